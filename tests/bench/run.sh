#!/bin/bash
# The figures: the machine's own limits first, then import, catch-up,
# questions, visibility, disk and memory, all in one run, each beside the
# limit or aim that it is to be compared with.
# Usage: tests/bench/run.sh BUILD_DIR [--json] [--records N] [--seconds S]
#        [--quick]: without the minute of sixteen idle nodes
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
shift
records=1000000 seconds=10 json= quick=
while [ $# -gt 0 ]; do
	case $1 in
	--json) json=1 ;;
	--quick) quick=1 ;;
	--records) records=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	*) echo "bench: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done
program=$(realpath "$build/symbolon") || exit 1
tools=$(realpath "$build/tests/bench") || exit 1
top=$(mktemp -d "${TMPDIR:-/tmp}/symbolon-bench.XXXXXX") || exit 1
declare -A pid port limit
a=bench-a.example b=bench-b.example

end() {
	local m
	for m in "${!pid[@]}"; do
		[ -n "${pid[$m]}" ] && kill "${pid[$m]}" 2>/dev/null
		wait "${pid[$m]}" 2>/dev/null
	done
	rm -rf "$top"
}
trap end EXIT
trap 'exit 130' INT TERM
die() {
	echo "bench: $*" >&2
	exit 1
}
node() {
	local m=$1
	shift
	"$program" -C "$top/$m" "$@"
}
serve() {
	"$program" -C "$top/$1" serve >"$top/$1.out" 2>>"$top/$1.log" &
	pid[$1]=$!
}
stop() {
	kill "${pid[$1]}" && wait "${pid[$1]}"
	pid[$1]=""
}
now() { date +%s.%N; }
calc() { awk "BEGIN { printf \"%.6g\", $* }"; }
row() { # row NAME VALUE UNIT AIM NOTE
	if [ -n "$json" ]; then
		printf '{"name":"%s","value":%s,"unit":"%s","aim":"%s",' "$1" \
			"$2" "$3" "$4"
		printf '"note":"%s"}\n' "$5"
	else
		printf '%-42s %12s %-14s %-16s %s\n' "$1" "$2" "$3" "$4" "$5"
	fi
}
size_of() { # records that $1 holds of $2's log
	node "$1" status --json 2>/dev/null | tr -d ' \n' |
		grep -o "{[^{}]*\"member\":\"$2\"[^{}]*}" |
		grep -o '"size":[0-9]*' | head -n 1 | cut -d: -f2
}
rss_anon() { awk '/RssAnon/ { print $2 }' "/proc/${pid[$1]}/status"; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/${pid[$1]}/stat"; }
free_port() {
	local p
	while :; do
		p=$((10240 + RANDOM % 22000)) # below what connections take
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
	done
	echo "$p"
}

[ -n "$json" ] || echo "what                                              \
value unit           aim              note"

# ---- the machine ----------------------------------------------------------
while read -r name value unit; do
	limit[$name]=$value
	row "machine: $name" "$value" "$unit" "" "one core"
done < <("$tools/bench_limits" "$top")

# ---- two members ----------------------------------------------------------
for m in $a $b; do
	port[$m]=$(free_port)
	node $m init --member $m --name "Bench $m" --country DK \
		--listen "127.0.0.1:${port[$m]}" >/dev/null 2>"$top/err" ||
		die "$(cat "$top/err")"
	node $m card >"$top/$m.card" 2>/dev/null || die "no card"
done
node $a roster found Bench "$top/$a.card" "$top/$b.card" \
	>"$top/bench.alliance" 2>/dev/null || die "roster found"
for m in $a $b; do
	node $m roster sign "$top/bench.alliance" 2>/dev/null >&2 ||
		die "roster sign"
done
for m in $a $b; do
	node $m roster install "$top/bench.alliance" 2>/dev/null >&2 ||
		die "roster install"
done
"$tools/bench_data" offers 5000 >"$top/offers.ndjson"
"$tools/bench_data" credentials "$records" >"$top/credentials.csv"
"$tools/bench_data" rules 5000 >"$top/rules.ndjson"
bytes=$(stat -c %s "$top/credentials.csv")

# ---- import ---------------------------------------------------------------
node $a import offers "$top/offers.ndjson" >/dev/null 2>"$top/err" ||
	die "$(cat "$top/err")"
start=$(now)
node $a import credentials "$top/credentials.csv" --json >"$top/import" \
	2>"$top/err" || die "$(cat "$top/err")"
took=$(calc "$(now) - $start")
rate=$(calc "int($records / $took)")
row "import, CSV to durable" "$rate" "awards/s" "150000" \
	"$(calc "int(1000 * $rate / ${limit[lmdb_append]}) / 1000") of bare \
append; row $((bytes / records)) B"
disk=$(du -sB1 "$top/$a/data" | cut -f1)
row "disk per award at the origin" "$((disk / records))" "bytes" \
	"under 3 rows" "$(calc "int(100 * $disk / $bytes) / 100") times the row"

# ---- catch-up -------------------------------------------------------------
serve $a
serve $b
total=""
for _ in $(seq 600); do
	total=$(size_of $a $a)
	[ -n "$total" ] && break
	sleep 0.05
done
[ -n "$total" ] || die "node a does not answer: $(tail -n 3 "$top/$a.log")"
start="" first=0
for _ in $(seq 20000); do
	have=$(size_of $b $a)
	if [ -z "$start" ] && [ "${have:-0}" -gt 0 ]; then
		start=$(now) first=$have
	fi
	[ "${have:-0}" = "$total" ] && break
	sleep 0.05
done
[ "$have" = "$total" ] || die "no catch-up: $have of $total"
took=$(calc "$(now) - $start")
rate=$(calc "int(($total - $first) / $took)")
row "catch-up over mTLS, verified, durable" "$rate" "records/s" "150000" \
	"$total records, both nodes on this machine"
disk=$(du -sB1 "$top/$b/data" | cut -f1)
row "disk per award at a partner" "$((disk / records))" "bytes" "" ""

# ---- questions ------------------------------------------------------------
node $b import rules "$top/rules.ndjson" >/dev/null 2>"$top/err" ||
	die "$(cat "$top/err")"
for p in 1 16; do
	aim="30000, p99<1000" what="one in flight each"
	[ $p = 16 ] && aim=60000 what="16 in flight each"
	"$tools/bench_ask" "$top/$a" "$top/bench.alliance" "${port[$b]}" $b \
		$b $a "$records" "$seconds" 8 $p >"$top/ask" 2>"$top/err" ||
		die "$(cat "$top/err")"
	row "answers, 8 connections, $what" \
		"$(awk '/^answers/ { print $2 }' "$top/ask")" "answers/s" \
		"$aim" "p50 $(awk '/^p50/ { print $2 }' "$top/ask") us, p99 \
$(awk '/^p99/ { print $2 }' "$top/ask") us"
done

# ---- a new record at a peer -----------------------------------------------
rss_after=$(rss_anon $b)
stop $a
stop $b
"$tools/bench_visible" "$top/$a" "$top/$b" 200 >"$top/visible" \
	2>"$top/err" || die "$(cat "$top/err")"
row "new record visible at a peer, p50" \
	"$(awk '/^p50/ { print $2 }' "$top/visible")" "us" "2000" ""
row "new record visible at a peer, p99" \
	"$(awk '/^p99/ { print $2 }' "$top/visible")" "us" "10000" ""

# ---- idle -----------------------------------------------------------------
serve $a
serve $b
sleep 15
before=$(cpu_ticks $b) start=$(now)
sleep 10
used=$(calc "($(cpu_ticks $b) - $before) / $(getconf CLK_TCK)")
row "idle CPU, one peer" \
	"$(calc "int(10000 * $used / ($(now) - $start)) / 100")" "% of a core" \
	"" ""
row "anonymous memory, idle" "$(rss_anon $b)" "KiB" "" \
	"RssAnon"
row "anonymous memory after the load" "$rss_after" "KiB" "" "RssAnon"
stop $a
stop $b
[ -n "$quick" ] && exit 0
tests/bench/idle.sh "$build" >"$top/idle" 2>"$top/err" ||
	die "$(cat "$top/err")"
row "idle CPU, 15 peers" "$(awk '/^cpu/ { print $2 }' "$top/idle")" \
	"% of a core" "0.5" "over a minute"
row "anonymous memory, idle, 15 peers" \
	"$(awk '/^rss/ { print $2 }' "$top/idle")" "KiB" "30720" "RssAnon"
