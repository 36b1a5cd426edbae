#!/bin/sh
# Fuzz each target for so many seconds from its seeds; new inputs go to
# build/fuzz/corpus, failures to build/fuzz/. Usage: tests/fuzz/run.sh SECONDS
set -eu
cd "$(dirname "$0")/../.."
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	seeds=tests/vectors/${name#fuzz_}
	corpus=build/fuzz/corpus/$name
	mkdir -p "$corpus"
	[ -d "$seeds" ] || seeds=
	echo "== $name"
	"build/fuzz/tests/fuzz/$name" -max_total_time="$1" -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix=build/fuzz/ \
		"$corpus" $seeds 2>&1 | grep -E 'stat::|ERROR|SUMMARY' || true
	ls build/fuzz/crash-* >/dev/null 2>&1 && exit 1
done
exit 0
