#!/bin/bash
# What the compiler does not see: form, layers, purity, sizes, banned calls.
# Prints each offence as file:line: text and ends with the number of them.
set -u
cd "$(dirname "$0")/.." || exit 1

offences=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
offence() {
	echo "$*"
	offences=$((offences + 1))
}
each() { # each TEXT: every line of standard input is an offence
	while IFS= read -r line; do offence "$line: $1"; done
}
headers=$(ls proto/*.h node/*.h tests/*/*.h 2>/dev/null)
sources=$(ls proto/*.c node/*.c tests/*/*.c 2>/dev/null)
ours=$(ls proto/*.[ch] node/*.[ch])
flags="-std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -I. \
$(pkg-config --cflags libuv msgpack jansson libcyaml libutf8proc)"

# 1 form
clang-format --dry-run $headers $sources 2>&1 |
	grep -E 'warning|error' | sed 's/ warning:.*//' >"$tmp/format"
each 'not formatted; run make format' <"$tmp/format"
for f in $headers; do
	tail -n 1 "$f" | grep -q '^#endif /\*' ||
		offence "$f: the guard's #endif is not the last line"
	gcc $flags -fsyntax-only -Wall -Wextra -Werror -x c "$f" \
		2>"$tmp/alone" || offence "$f: does not compile alone"
done
sed 's|/\*.*||' $headers | grep -E \
	'^#define [A-Z_0-9]+ [0-9a-z]+ *[-+*/<|]+ *[0-9A-Z]' >"$tmp/m"
each 'macro with an operator needs parentheses' <"$tmp/m"

# 2 warnings are errors in both compilers
for cc in gcc clang; do
	make -s -k CC=$cc BUILD=plain O="$tmp/$cc" -j"$(nproc)" \
		"$tmp/$cc/symbolon" >"$tmp/out" 2>&1 ||
		offence "$cc: $(grep -m 3 -E 'error|warning' "$tmp/out")"
done

# 3 proto/ is pure: what its plain objects ask of the outside
nm -u "$tmp"/gcc/proto/*.o 2>/dev/null | awk '/ U / { print $2 }' |
	sort -u >"$tmp/asked"
banned='^(time|gettimeofday|clock_gettime|clock|rand|random|srand|getrandom|'
banned+='RAND_bytes|open|openat|read|write|close|fopen|fclose|fread|fwrite|'
banned+='printf|fprintf|snprintf|sprintf|vsnprintf|puts|fputs|putchar|stderr|'
banned+='stdout|getenv|setenv|socket|connect|bind|listen|send|recv|poll|'
banned+='select|epoll_.*|pthread_.*|uv_.*|mdb_.*|SSL_.*|syslog|sleep|usleep|'
banned+='nanosleep|__.*printf_chk|exit|_exit|system|popen|fork|execv.*)$'
grep -E "$banned" "$tmp/asked" | sed 's/^/proto: /' >"$tmp/impure"
each 'is impure (clock, randomness, files, sockets, stdio, threads)' \
	<"$tmp/impure"
grep -nE '#include[ <"]+(uv|lmdb|stdio|time|pthread|unistd|sys/socket)\.h' \
	proto/*.[ch] >"$tmp/inc"
grep -nE '#include[ <"]+(openssl/ssl\.h|\.\./|node/)' proto/*.[ch] \
	>>"$tmp/inc"
each 'proto/ may not include this' <"$tmp/inc"

# 4 who may know which library
only() { # only PATTERN FILE...: others may not include it
	local pattern=$1 allowed
	shift
	allowed=$(printf '%s|' "$@")
	grep -nE "#include <$pattern" $ours |
		grep -vE "^(${allowed%|}):" >"$tmp/only"
	each "only $* may include this" <"$tmp/only"
}
only 'lmdb\.h' node/store.c 'node/store_[a-z]*\.[ch]'
only 'openssl/ssl\.h' node/tls.c 'node/tls_[a-z]*\.[ch]'
only 'msgpack' proto/enc.c proto/dec.c
only 'uv\.h' 'node/loop\.[ch]' 'node/link\.[ch]' 'node/peer\.[ch]' \
	'node/node\.[ch]' 'node/node_[a-z]*\.[ch]' 'node/peer_[a-z]*\.[ch]' \
	'node/dial\.[ch]'
only 'jansson\.h' node/json.c
only 'cyaml' 'node/config[a-z_]*\.[ch]'
only 'utf8proc\.h' proto/text.c node/table.c

# 5 layers: a file includes only levels below its own (README, "Levels")
sed -n '/<!-- levels -->/,/<!-- end -->/p' README.md |
	awk '/^ *[0-9]+ / { for (i = 3; i <= NF; i++) print $i, $1, $2 }' \
	>"$tmp/levels" # file level folder
[ -s "$tmp/levels" ] || offence 'README.md: no list of levels'
awk '
	# store_log belongs to store, the longest listed beginning of its name.
	function module(name) {
		while (!(name in level) && name ~ /\/.*_/)
			sub(/_[^_]*$/, "", name)
		return name
	}
	FILENAME ~ /levels$/ { level[$3 "/" $1] = $2; next }
	FNR == 1 {
		name = FILENAME; sub(/\.[ch]$/, "", name); name = module(name)
		if (!(name in level)) print FILENAME ":1: has no level"
	}
	/^#include "/ {
		split($0, part, "\""); other = part[2]; sub(/\.h$/, "", other)
		if (other !~ /\//) {
			split(FILENAME, dir, "/"); other = dir[1] "/" other
		}
		other = module(other)
		if (other == name || !(name in level) || !(other in level)) next
		if (level[other] + 0 >= level[name] + 0)
			print FILENAME ":" FNR ": " other " is not below"
	}
' "$tmp/levels" $ours >"$tmp/up"
each 'see the levels in README.md' <"$tmp/up"

# 6 sizes
ctags -x --c-kinds=f --fields=+ne -o - --_xformat='%N %F %n %{end}' $ours |
	awk '$4 - $3 + 1 > 70 { print $2 ":" $3 ": " $1 " has " $4 - $3 + 1 " lines" }' |
	grep -vFf tests/lint.exempt >"$tmp/long"
each 'functions have at most 70' <"$tmp/long"
wc -l $ours | awk '$2 != "total" && $1 > 800 { print $2 ": " $1 " lines" }' \
	>"$tmp/big"
each 'files have at most 800' <"$tmp/big"

# 7 words
grep -nwE '(strcpy|strcat|sprintf|vsprintf|atoi|atol|gets|alloca|strtok)\(' \
	$ours >"$tmp/calls"
each 'banned call' <"$tmp/calls"
grep -nE '[^a-z_](malloc|calloc|realloc|strdup|strndup)\(' $ours |
	grep -v '^proto/bytes\.c:' >"$tmp/alloc"
each 'allocate with xmalloc and its kin' <"$tmp/alloc"
git grep -nwE 'TODO|FIXME|XXX' -- 'proto/*' 'node/*' 'tests/*.[ch]' \
	>"$tmp/todo"
each 'unfinished' <"$tmp/todo"
git grep -niwE '(recognize[ds]?|behavior|color|program me)' -- \
	'*.[ch]' '*.md' conf | grep -viE 'NO_COLOR' >"$tmp/words"
each 'British spelling' <"$tmp/words"
git grep -nIE '(^|[^A-Za-z0-9_.-])/(work|root|home)/' -- . \
	':!tests/lint.sh' >"$tmp/paths"
each "a machine's path" <"$tmp/paths"

# 8 helpers in other languages
for f in $(git ls-files '*.sh' .ci/run); do
	bash -n "$f" 2>"$tmp/sh" || offence "$f: $(head -n 1 "$tmp/sh")"
done
for f in $(git ls-files '*.py'); do
	python3 -c 'import ast,sys; ast.parse(open(sys.argv[1]).read())' "$f" ||
		offence "$f: does not parse"
done
if [ -f conf/symbolon.1 ]; then
	mandoc -T lint -W warning conf/symbolon.1 >"$tmp/man" 2>&1 ||
		each 'man page' <"$tmp/man"
fi

[ $offences -eq 0 ] && echo "lint: clean" && exit 0
echo "lint: $offences offences"
exit 1
