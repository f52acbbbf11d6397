#!/bin/sh
# Which lines of src/ run. First from the fuzz corpora alone: of each parser (tests/fuzz/parsers) 90 % at least. Then with the unit tests and the tests against
# the sandbox as well: 90 % of all, and every exit code of enum status seen. The report is build-coverage/report/index.html, build-coverage/report.txt.
# usage: scripts/coverage.sh [corpus]    (corpus: the first half only)
set -eu
cd "$(dirname "$0")/.."
python=/usr/bin/python3 # Debian's, which has python3-cryptography
build=build-coverage
jobs=$(nproc)
report() {
    gcovr --root . --filter src/ --object-directory $build --gcov-ignore-parse-errors "$@" $build >/dev/null
}

cmake -S . -B $build -DCMAKE_RULE_MESSAGES=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=gcc -DDECANT_COVERAGE=ON >$build.log 2>&1 ||
    { cat $build.log; exit 1; }
cmake --build $build -j "$jobs" --target fuzz_targets -- -s
find $build -name '*.gcda' -delete

tests/fuzz/replay.sh $build >$build/replay.txt || { cat $build/replay.txt; exit 1; }
report --json $build/corpus.json
$python scripts/coverage.py corpus $build/corpus.json
[ "${1:-}" != corpus ] || exit 0

cmake --build $build -j "$jobs" --target decant unit_tests -- -s
ctest --test-dir $build --output-on-failure -j "$jobs" >$build/unit.txt || { cat $build/unit.txt; exit 1; }
tail -n 3 $build/unit.txt | head -n 1

failed=
export EXIT_CODES=$PWD/$build/codes DECANT=$PWD/$build/decant DOUBLES=$PWD/$build/tests/double
rm -f "$EXIT_CODES"
scripts/e2e.sh $build/e2e || failed=1

mkdir -p $build/report
report --json $build/all.json --txt $build/report.txt --html-details $build/report/index.html
$python scripts/coverage.py all $build/all.json "$EXIT_CODES"
[ -z "$failed" ] || echo "a test against the sandbox failed, see above"
[ -z "$failed" ]
