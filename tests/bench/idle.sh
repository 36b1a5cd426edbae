#!/bin/bash
# What a node costs that has nothing to do: sixteen members on this machine,
# each linked to all others; CPU over a minute and anonymous memory of one.
# Usage: tests/bench/idle.sh BUILD_DIR [SECONDS] [MEMBERS]
# Prints "cpu_percent N", "rss_anon_kib N", "peers N".
set -u
cd "$(dirname "$0")/../.." || exit 1
program=$(realpath "$1/symbolon") || exit 1
seconds=${2:-60} members=${3:-16}
top=$(mktemp -d "${TMPDIR:-/tmp}/symbolon-idle.XXXXXX") || exit 1
pids=()

end() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do wait "$p" 2>/dev/null; done
	rm -rf "$top"
}
trap end EXIT
trap 'exit 130' INT TERM
die() {
	echo "idle: $*" >&2
	exit 1
}
node() {
	local m=$1
	shift
	"$program" -C "$top/$m" "$@" >"$top/out" 2>"$top/err" ||
		die "$m: $* failed: $(cat "$top/err")"
}
free_port() {
	local p
	while :; do
		p=$((20000 + (RANDOM << 1) % 40000))
		[ -e "$top/port.$p" ] && continue
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
	done
	: >"$top/port.$p"
	echo "$p"
}
live() { # links of node 1 that are up
	"$program" -C "$top/1" status --json 2>/dev/null |
		grep -o '"state": *"up"' | wc -l
}
# Exact, unlike the ticks in stat, which short wake-ups escape.
cpu_ns() {
	awk '{ n += $1 } END { printf "%.0f\n", n }' \
		"/proc/${pids[0]}/task/"*/schedstat
}

cards=()
for m in $(seq "$members"); do
	node "$m" init --member "idle-$m.example" --name "Idle $m" \
		--country DK --listen "127.0.0.1:$(free_port)"
	node "$m" card
	mv "$top/out" "$top/$m.card"
	cards+=("$top/$m.card")
done
node 1 roster found Idle "${cards[@]}"
mv "$top/out" "$top/idle.alliance"
for m in $(seq "$members"); do node "$m" roster sign "$top/idle.alliance"; done
for m in $(seq "$members"); do
	node "$m" roster install "$top/idle.alliance"
done
for m in $(seq "$members"); do
	"$program" -C "$top/$m" serve >/dev/null 2>"$top/$m.log" &
	pids+=($!)
done
for _ in $(seq 60); do
	sleep 1
	[ "$(live)" -ge $((members - 1)) ] && break
done
up=$(live)
[ "$up" -ge $((members - 1)) ] || die "only $up peers are up"
sleep 10 # until what the start needed is given back
before=$(cpu_ns) began=$(date +%s.%N)
sleep "$seconds"
used=$(($(cpu_ns) - before))
awk "BEGIN { printf \"cpu_percent %.3f\\n\",
	$used / 1e7 / ($(date +%s.%N) - $began) }"
awk '/RssAnon/ { print "rss_anon_kib", $2 }' "/proc/${pids[0]}/status"
echo "peers $up"
