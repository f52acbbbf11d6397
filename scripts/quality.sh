#!/bin/sh
# What other tools than compilers and tests find: tidy (clang-tidy), cppcheck, analyzer (gcc -fanalyzer), valgrind (the unit tests, built with -funsigned-char),
# msan (the unit tests with clang's MemorySanitizer). Without arguments: all. A finding fails.
# usage: scripts/quality.sh [TOOL…]
set -u
cd "$(dirname "$0")/.."
build=build-quality
jobs=$(nproc)
flags="-std=gnu2x -D_GNU_SOURCE -DDECANT_VERSION=\"0\" -DDECANT_SECCOMP -Isrc"
mkdir -p $build

# One file each, at the same time as others: TOOL FLAGS FILE. Output of those that found something.
each_file() {
    find src -name '*.c' | sort | xargs -P "$jobs" -n 1 sh -c '
        with="-include scripts/analysed.h"
        [ "$2" != src/base/error.c ] || with= # it defines what analysed.h describes
        case $0 in
        tidy) said=$(clang-tidy --quiet "$2" -- $1 $with 2>/dev/null) ;;
        analyzer) said=$(gcc $1 $with -O1 -Wall -Wextra -fanalyzer -Werror -c -o /dev/null "$2" 2>&1) ;;
        esac || { printf "%s\n" "$said"; exit 1; }' "$1" "$flags"
}

tidy() {
    each_file tidy
}

analyzer() {
    each_file analyzer
}

check_cpp() {
    cppcheck --quiet --std=c11 --language=c -j "$jobs" --error-exitcode=1 --inline-suppr --library=posix,gnu \
        --enable=warning,performance,portability --suppressions-list=scripts/cppcheck.txt -D_GNU_SOURCE -DDECANT_VERSION='"0"' -Isrc src
}

unit_tests() {
    dir=$build/$1
    shift
    cmake -S . -B "$dir" -DCMAKE_RULE_MESSAGES=OFF -DDECANT_WERROR=OFF -DCMAKE_BUILD_TYPE=Debug "$@" >"$dir.log" 2>&1 ||
        { cat "$dir.log"; return 1; }
    cmake --build "$dir" -j "$jobs" --target unit_tests -- -s
}

# run_tests FOLDER OPTION PATTERN: with -E all but those of PATTERN, with -R those alone
run_tests() {
    ctest --test-dir "$1" --output-on-failure -j "$jobs" "$2" "$3" >"$1.txt" 2>&1 || { cat "$1.txt"; return 1; }
    grep "tests passed" "$1.txt"
}

# A half to five minutes each there, for making and using RSA keys; and two that see another system there: output/test_resume kills its processes
# in the midst, and child/test_child wants the error of a command that cannot be started, which posix_spawn gives only where vfork shares memory.
# ASan sees them all, and MSan the last.
left_out="envelope/test_(formats|roundtrip|writer)|evidence/test_report|inspect/test_fixtures|key/test_(exchange|jwk|offer|release|vectors)|output/test_resume|child/test_child"

valgrind() {
    unit_tests valgrind -DCMAKE_C_COMPILER=gcc -DCMAKE_C_FLAGS="-funsigned-char -O1" \
        "-DCMAKE_CROSSCOMPILING_EMULATOR=valgrind;--quiet;--error-exitcode=98;--leak-check=full;--show-leak-kinds=definite,possible;--errors-for-leak-kinds=definite,possible;--suppressions=$PWD/scripts/valgrind.supp" &&
        run_tests $build/valgrind -E "$left_out" && echo "left out under valgrind: $left_out"
}

# Where no library that was built without it writes what we read: no JSON, no OpenSSL, no libcurl.
without_libraries="base/test_(buf|error|file|stop|task|url)|child/|finding/|job/test_(pace|shard)|output/test_(name|volume)|storage/test_location"

msan() {
    unit_tests msan -DCMAKE_C_COMPILER=clang -DDECANT_SANITIZE=memory &&
        MSAN_OPTIONS=poison_in_malloc=0 run_tests $build/msan -R "$without_libraries"
}

[ $# -gt 0 ] || set -- tidy cppcheck analyzer valgrind msan
found=
for tool in "$@"; do
    start=$(date +%s)
    case $tool in
    cppcheck) check_cpp ;;
    tidy | analyzer | valgrind | msan) $tool ;;
    *) echo "no tool $tool" >&2; exit 2 ;;
    esac || found="$found $tool"
    echo "$tool: $(($(date +%s) - start)) s"
done
[ -z "$found" ] || echo "found something:$found"
[ -z "$found" ]
