#!/bin/sh
# Install what building (and testing) needs on Debian 12 and later.
# Usage: conf/setup.sh build [test]. Says what it installs and uses apt as
# root or through sudo; does nothing when all is there.
set -eu

build="gcc make pkg-config libc6-dev libuv1-dev libssl-dev liblmdb-dev
	libmsgpack-dev libjansson-dev libcyaml-dev libyaml-dev libutf8proc-dev"
test="clang clang-format libclang-rt-14-dev llvm libcmocka-dev universal-ctags
	python3 openssl git mandoc binutils"

wanted=""
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	*) echo "setup.sh: unknown set '$set' (build, test)" >&2; exit 2 ;;
	esac
done

command -v dpkg-query >/dev/null || {
	echo "setup.sh: not a Debian system; install by hand:" $wanted >&2
	exit 0
}
missing=""
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
		2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Installing what is missing:$missing" >&2
sudo=""
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "setup.sh: neither root nor sudo here; as root, run:" >&2
		echo "  apt-get install$missing" >&2
		exit 1
	}
	sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
