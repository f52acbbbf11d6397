#!/bin/sh
# Which lines of src/ ran, as counted by the programs of BUILD since "forget".
# usage: scripts/coverage.sh forget BUILD    delete the counts
#        scripts/coverage.sh corpus BUILD    after the fuzz corpora alone: of each parser (tests/fuzz/parsers) 90 % at least
#        scripts/coverage.sh all BUILD       after the unit tests and the tests against the sandbox as well: 90 % of all, and every exit code seen
#        scripts/coverage.sh html BUILD      after "all": BUILD/report/index.html
set -eu
cd "$(dirname "$0")/.."
build=$2
count() {
    gcovr -j "$(nproc)" --root . --filter src/ --object-directory "$build" --gcov-ignore-parse-errors --json "$build/$1.json" "$build" >/dev/null &&
        /usr/bin/python3 scripts/coverage.py "$@"
}

case $1 in
forget) find "$build" -name '*.gcda' -delete ;;
corpus) count corpus "$build/corpus.json" ;;
all) count all "$build/all.json" "$build/codes" ;;
html)
    mkdir -p "$build/report"
    gcovr --root . -a "$build/all.json" --html-details "$build/report/index.html"
    echo "$build/report/index.html"
    ;;
*) echo "usage: scripts/coverage.sh forget|corpus|all|html BUILD" >&2; exit 2 ;;
esac
