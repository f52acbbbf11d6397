#!/bin/sh
# Installs what a task needs on Debian 12 or later, as root or with sudo; nothing where it is already there.
# usage: scripts/setup.sh build|check|deploy|bench|java
set -eu

build="gcc libc6-dev make cmake libcurl4-openssl-dev libssl-dev libcjson-dev zlib1g-dev libexpat1-dev libseccomp-dev
    python3 python3-cryptography ca-certificates"
check="libcmocka-dev clang libclang-rt-dev curl openssl python3-venv clang-tidy cppcheck valgrind libc6-dbg gcovr"
deploy="dpkg-dev buildah podman runc catatonit mmdebstrap busybox-static python3-yaml mandoc zsh fish"
bench="python3-venv curl time openssl nginx-light libnginx-mod-http-headers-more-filter libnginx-mod-http-echo
    rclone age wrk gnuplot-nox libsecret-1-0"

case "${1:-build}" in
build) wanted=$build ;;
check)
    wanted="$build $check $deploy"
    command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm" # Azurite
    ;;
deploy) wanted="$build $deploy" ;;
bench)
    wanted="$build $bench"
    command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm" # Azurite, azcopy
    ;;
java)
    wanted="$build $check openjdk-17-jdk-headless maven"
    command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm" # Azurite
    ;;
*) echo "usage: scripts/setup.sh build|check|deploy|bench|java" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "$state" = "ii " ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "scripts/setup.sh knows Debian's packages only; please install:$missing" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null 2>&1 || { echo "neither root nor sudo; please install:$missing" >&2; exit 1; }
fi
echo "installing:$missing"
$as_root apt-get update -qq
# RUNLEVEL: the benchmark's nginx is its own; Debian's service must not start.
# shellcheck disable=SC2086 # a list of packages
$as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
