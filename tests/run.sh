#!/bin/bash
# Run test programs, count their tests, end with "N passed, N failed, N
# skipped". Usage: tests/run.sh check|test|soak [ROUNDS]. Programs must be
# built; `make check`, `make test` and `make soak` do that first.
set -u
cd "$(dirname "$0")/.." || exit 1

passed=0 failed=0 skipped=0
log=$(mktemp -d) || exit 1
trap 'rm -rf "$log"' EXIT
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:exitcode=98:suppressions=$PWD/tests/tsan.supp

# The number on cmocka's line that begins with $2 in file $1.
number() {
	sed -n "s/^\[ *$2 *\] \([0-9][0-9]*\) test(s).*/\1/p" "$1" |
		awk '{ n += $1 } END { print n + 0 }'
}

one() { # one PROGRAM FILE: run a test binary, its output into FILE
	local start=$SECONDS
	timeout "${LIMIT:-400}" "$1" >"$2" 2>&1
	echo "exit $? $((SECONDS - start))" >>"$2"
}

cmocka() { # cmocka PROGRAM...: test binaries, as many at once as cores
	local p out code good bad skip
	for p in "$@"; do
		while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
		one "$p" "$log/${p//\//_}" &
	done
	wait
	for p in "$@"; do
		out=$log/${p//\//_}
		code=$(awk 'END { print $2 }' "$out")
		good=$(number "$out" PASSED) bad=$(number "$out" FAILED)
		skip=$(number "$out" SKIPPED)
		if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
			bad=1 # died, leaked or hung: the sanitizer knows
		fi
		passed=$((passed + good)) failed=$((failed + bad))
		skipped=$((skipped + skip))
		printf '%-44s %4d passed' "$p" "$good"
		[ "$bad" -gt 0 ] && printf ', %d FAILED (%s)' "$bad" "$code"
		[ "$skip" -gt 0 ] && printf ', %d skipped' "$skip"
		printf ' (%s s)\n' "$(awk 'END { print $3 }' "$out")"
		grep -h '^skipped:' "$out" | sort -u
		[ "$bad" -gt 0 ] && grep -vE '^\[ +(RUN|OK)' "$out" |
			head -n 80
	done
}

counted() { # counted TITLE COMMAND...: ends with "N passed, N failed"
	local title=$1 out="$log/out" code line good bad skip
	shift
	"$@" 2>&1 | tee "$out"
	code=${PIPESTATUS[0]}
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1)
	good=$(expr "$line" : '\([0-9]*\) passed')
	bad=$(expr "$line" : '.* \([0-9]*\) failed')
	skip=$(expr "$line" : '.* \([0-9]*\) skipped')
	if [ "$code" -ne 0 ] && [ "${bad:-0}" -eq 0 ]; then
		bad=1
		echo "$title ended with $code"
	fi
	passed=$((passed + ${good:-0})) failed=$((failed + ${bad:-0}))
	skipped=$((skipped + ${skip:-0}))
}

programs() { # programs GLOB...: those whose source exists
	local source
	for source in $1; do
		[ -f "$source" ] && echo "build/$2/${source%.c}"
	done
}

# A minute each where nobody waits.
fuzz_seconds=${FUZZ_SECONDS:-$([ "${CI:-}" = true ] && echo 60 || echo 5)}

target() { # target NAME: a fuzz target over its seeds, then a while on
	local dir=tests/vectors/${1#fuzz_} out=$log/$1
	mkdir "$out"
	timeout 900 "build/fuzz/tests/fuzz/$1" -rss_limit_mb=2048 -seed=1 \
		-max_total_time="$fuzz_seconds" -artifact_prefix="$out/" \
		"$out" $([ -d "$dir" ] && echo "$dir") >"$log/$1.out" 2>&1 ||
		touch "$log/$1.failed"
}

corpora() { # every fuzz target, as many at once as cores
	local source name
	for source in tests/fuzz/fuzz_*.c; do
		while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
		target "$(basename "$source" .c)" &
	done
	wait
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		if [ -e "$log/$name.failed" ]; then
			failed=$((failed + 1))
			echo "FUZZ TARGET FAILED: $name"
			tail -n 40 "$log/$name.out"
		else
			passed=$((passed + 1))
		fi
	done
	echo "fuzz targets: $(ls tests/fuzz/fuzz_*.c | wc -l)"
}

# What starts threads is run under the thread sanitizer as well.
threaded() {
	local source
	for source in $(grep -lE 'writer|node/(control|import|link|node|tls)' \
		tests/node/test_*.c | grep -vE 'data|crash'); do
		echo "build/tsan/${source%.c}"
	done
}

mode=${1:-test}
case $mode in
check)
	cmocka $(programs 'tests/proto/test_*.c' asan) \
		$(programs 'tests/sim/test_*.c' asan)
	;;
test)
	cmocka $(programs 'tests/proto/test_*.c' asan) \
		$(programs 'tests/sim/test_*.c' asan) \
		$(programs 'tests/node/test_*.c' asan) $(threaded)
	corpora
	counted e2e python3 tests/e2e/run.py -j 2 --binary build/asan/symbolon \
		--fast-binary build/release/symbolon
	counted demonstration env ONCE=1 conf/demo.sh build/release/symbolon
	;;
soak)
	export ROUNDS=${2:-2000}
	LIMIT=36000 cmocka build/asan/tests/node/test_crash
	counted e2e python3 tests/e2e/run.py -j 2 --binary build/asan/symbolon \
		--fast-binary build/release/symbolon --rounds "$ROUNDS" kill
	;;
*)
	echo "run.sh: check, test or soak" >&2
	exit 2
	;;
esac

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
