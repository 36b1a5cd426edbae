#!/bin/bash
# A demonstration alliance of three made-up universities on loopback, from
# conf/sample/. Shows nine questions, each with its command, its answer and
# whether that was the expected one, then stays up until Ctrl-C.
# Usage: conf/demo.sh PROGRAM. ONCE=1: end after the questions, with status 0
# only if every answer was the expected one.
set -u
cd "$(dirname "$0")/.." || exit 1
program=$(realpath "$1") || exit 1
sample=$PWD/conf/sample
top=$(mktemp -d "${TMPDIR:-/tmp}/symbolon-demo.XXXXXX") || exit 1
declare -A pid port name
members="fjordby lindenau portomar"
name=([fjordby]="University of Fjordby" [lindenau]="Technical University of \
Lindenau" [portomar]="University of Portomar")
declare -A country=([fjordby]=DK [lindenau]=DE [portomar]=PT)
passed=0 failed=0

stop() { # stop MEMBER: by its own pid
	[ -n "${pid[$1]:-}" ] || return 0
	kill "${pid[$1]}" 2>/dev/null
	wait "${pid[$1]}" 2>/dev/null
	pid[$1]=""
}
end() {
	local m
	for m in $members; do stop "$m"; done
	rm -rf "$top"
}
trap end EXIT
trap 'exit 130' INT TERM
die() {
	echo "demo: $*" >&2
	exit 1
}
node() { # node MEMBER COMMAND...
	local m=$1
	shift
	"$program" -C "$top/$m" "$@"
}
quietly() { # quietly COMMAND...: its output only when it fails
	"$@" >"$top/out" 2>&1 || {
		cat "$top/out" >&2
		die "this failed: $*"
	}
}
free_port() { # on which nothing listens
	local p
	while :; do
		p=$((10240 + RANDOM % 22000)) # below what connections take
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
	done
	echo "$p"
}
serve() { # serve MEMBER
	"$program" -C "$top/$1" serve >"$top/$1.out" 2>"$top/$1.log" &
	pid[$1]=$!
}
until_true() { # until_true SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}
in_sync() { # every node has every record of the others
	local m
	for m in $members; do
		[ "$(node "$m" status --json | tr -d ' \n' |
			grep -o '"needed":0' | wc -l)" -ge 3 ] || return 1
	done
}
has() { node "$@"; }
heard() { # the owners have told portomar that its copies are complete
	! node portomar recognise fjordby.example/FJ-2025-000001 \
		--by lindenau.example | grep -q "never heard"
}

show() { # show MEMBER EXPECTED COMMAND...: EXPECTED is a pattern of grep -E
	local m=$1 expected=$2 out
	shift 2
	echo "\$ symbolon -C $m $*"
	out=$(cd "$top" && node "$m" "$@" 2>&1)
	printf '%s\n' "$out"
	if printf '%s\n' "$out" | tr '\n' ' ' | grep -qE "$expected"; then
		echo "  -> as expected"
		passed=$((passed + 1))
	else
		echo "  -> NOT as expected: $expected"
		failed=$((failed + 1))
	fi
	echo
}
title() { printf '%s\n' "--- $1"; }

# ---- three universities found an alliance ---------------------------------

echo "A demonstration alliance in $top"
for m in $members; do
	port[$m]=$(free_port)
	quietly node "$m" init --member "$m.example" --name "${name[$m]}" \
		--country "${country[$m]}" --listen "127.0.0.1:${port[$m]}" \
		--contact "recognition@$m.example"
	node "$m" card >"$top/$m.card" 2>/dev/null || die "no card of $m"
done
node fjordby roster found "Demonstration Alliance" "$top"/*.card \
	>"$top/demo.alliance" 2>"$top/out" || die "$(cat "$top/out")"
for m in $members; do
	quietly node "$m" roster sign "$top/demo.alliance"
done
for m in $members; do
	quietly node "$m" roster install "$top/demo.alliance"
	serve "$m"
done
until_true 30 in_sync || die "the nodes do not find each other:
$(tail -n 5 "$top"/*.log)"
quietly node fjordby import offers "$sample/fjordby/offers.ndjson"
quietly node fjordby import credentials "$sample/fjordby/credentials.csv"
quietly node fjordby credential revoke FJ-2025-000006 --reason issued-in-error
quietly node lindenau import rules "$sample/lindenau/rules.ndjson"
quietly node portomar import rules "$sample/portomar/rules.ndjson"
until_true 30 in_sync || die "the nodes do not come into sync"
until_true 30 has portomar credential show fjordby.example/FJ-2025-000010
until_true 10 heard || die "portomar does not hear the others"

# ---- what they are for ----------------------------------------------------

f=fjordby.example
title "1 of 9: the three nodes are in sync"
show portomar 'all is well.*portomar.example.*fjordby.example.*lindenau' status
title "2 of 9: Lindenau recognises a course in full, asked at Portomar"
show portomar 'RECOGNISED IN FULL by lindenau.example.*INF-2207.*heard [0-9]' \
	recognise $f/FJ-2025-000001 --by lindenau.example
title "3 of 9: the issuer is down; the same answer, from the copy"
stop fjordby
sleep 1
show portomar 'RECOGNISED IN FULL by lindenau.example.*INF-2207.*heard [0-9]' \
	recognise $f/FJ-2025-000001 --by lindenau.example
title "4 of 9: three rules fit equally; none is chosen silently"
show lindenau 'NEEDS REVIEW by portomar.example' \
	recognise $f/FJ-2025-000002 --by portomar.example
title "5 of 9: recognised as generic credit"
show lindenau 'RECOGNISED IN FULL by portomar.example.*\(generic\)' \
	recognise $f/FJ-2024-000003 --by portomar.example
title "6 of 9: a rule that had expired when the course was completed"
show portomar 'UNDETERMINED by lindenau.example' \
	recognise $f/FJ-2021-000004 --by lindenau.example \
	--explain
title "7 of 9: silence is not a refusal"
show portomar 'UNDETERMINED by lindenau.example.*not a refusal' \
	recognise $f/FJ-2025-000005 --by lindenau.example
title "8 of 9: a revoked credential"
show lindenau 'NOT EVALUABLE.*revoked' \
	recognise $f/FJ-2025-000006 --by lindenau.example
title "9 of 9: a proof that somebody altered is refused"
node lindenau log proof lindenau.example/lin-1 --disclose \
	>"$top/good.proof" 2>/dev/null || die "no proof"
awk '/^index / { print "index", $2 + 1; next } { print }' \
	"$top/good.proof" >"$top/altered.proof"
quietly node lindenau verify "$top/good.proof" --roster "$top/demo.alliance"
show lindenau 'not verif|does not' verify altered.proof \
	--roster demo.alliance

if [ "${ONCE:-}" = 1 ]; then
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
fi

serve fjordby
cat <<EOT
$passed answers as expected, $failed not. The alliance stays up until Ctrl-C.
Try, in another terminal:

  symbolon() { $program "\$@"; }; cd $top
  symbolon -C portomar status
  symbolon -C portomar recognise $f/FJ-2025-000001 --by all --explain
  symbolon -C lindenau recognise --offer $f/DB201 --by portomar.example
  symbolon -C fjordby credential list
  symbolon -C lindenau peer test $f
  symbolon -C portomar log check $f
  symbolon -C fjordby changes --kind credentials
  symbolon help
EOT
while :; do sleep 1; done
