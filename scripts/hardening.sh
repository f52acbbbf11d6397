#!/bin/sh
# What tests/hardening says of a release build, and of one with test hooks whose memory is searched for secrets.
set -eu
cd "$(dirname "$0")/.."
python=/usr/bin/python3 # Debian's, which has python3-cryptography
doubles=${DOUBLES:-$PWD/build-check/tests/double}
jobs=$(nproc)

build() {
    cmake -S . -B "$1" -DCMAKE_RULE_MESSAGES=OFF -DDECANT_WERROR=ON -DCMAKE_BUILD_TYPE=Release "$2" >"$1.log" 2>&1 ||
        { cat "$1.log"; return 1; }
    cmake --build "$1" -j "$jobs" --target decant -- -s
}

run() {
    DECANT=$PWD/$1/decant DOUBLES=$doubles $python scripts/unittests.py discover -s tests/hardening -t tests/hardening -p "$2"
}

[ -e "$doubles/libdouble_sev_device.so" ] || { echo "no $doubles/libdouble_sev_device.so: scripts/check.sh build" >&2; exit 1; }
build build -DDECANT_TEST_HOOKS=OFF
run build 'test_[!m]*.py'
build build-hooks -DDECANT_TEST_HOOKS=ON
run build-hooks 'test_memory.py'
