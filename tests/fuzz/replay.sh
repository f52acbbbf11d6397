#!/bin/sh
# Every target of BUILD over its corpus, two at a time. Fails if one fails, or has no corpus.
# usage: tests/fuzz/replay.sh BUILD
set -eu
build=$1
cd "$(dirname "$0")"
case $build in /*) ;; *) build=../../$build ;; esac
for program in "$build"/tests/fuzz/fuzz_*; do
    [ ! -x "$program" ] || echo "${program##*/fuzz_}"
done | xargs -P 2 -I '{}' sh -c '
    said=$("$1/tests/fuzz/fuzz_$2" "corpus/$2" 2>&1) && printf "%-10s %s\n" "$2" "${said##*: }" && exit 0
    printf "%s\nfuzz target %s failed\n" "$said" "$2"
    exit 1' sh "$build" '{}'
