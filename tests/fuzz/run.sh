#!/bin/sh
# make fuzz: each target for FUZZ_SECONDS (60), with libFuzzer under ASan and UBSan. What reaches an edge that nothing reached
# before is merged into tests/fuzz/corpus. The last lines are a table: CPU seconds, executions, coverage (edges), inputs.
# usage: tests/fuzz/run.sh [TARGET…]
set -eu
cd "$(dirname "$0")/../.."
build=${FUZZ_BUILD:-build-fuzz}
seconds=${FUZZ_SECONDS:-60}
work=$build/work
jobs=$(nproc)

cmake -S . -B "$build" -DCMAKE_RULE_MESSAGES=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g" -DCMAKE_C_COMPILER=clang \
    -DDECANT_FUZZER=ON -DDECANT_SANITIZE=address,undefined >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build" -j "$jobs" --target fuzz_targets -- -s
mkdir -p "$work"

field() { # of libFuzzer's final statistics
    sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

[ $# -gt 0 ] || set -- $(cd tests/fuzz/corpus && echo *)
table=
for target in "$@"; do
    log=$work/$target.log
    new=$work/$target
    mkdir -p "$new"
    dictionary=
    [ ! -f "tests/fuzz/$target.dict" ] || dictionary=-dict=tests/fuzz/$target.dict
    limit=$(sed -n "s/^$target \([0-9]*\)$/\1/p" tests/fuzz/limits)
    start=$(awk '{ print $16 + $17 }' /proc/$$/stat) # ticks of children that ended
    # shellcheck disable=SC2086 # no dictionary is no argument
    "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len="${limit:-4096}" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$work/$target-" $dictionary "$new" "tests/fuzz/corpus/$target" >"$log" 2>&1 ||
        { tail -n 40 "$log"; echo "fuzz $target: found something, see $work/$target-*"; exit 1; }
    end=$(awk '{ print $16 + $17 }' /proc/$$/stat)
    "$build/tests/fuzz/fuzz_$target" -set_cover_merge=1 -use_counters=0 -max_len="${limit:-4096}" "tests/fuzz/corpus/$target" "$new" >>"$log" 2>&1
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    inputs=$(find "tests/fuzz/corpus/$target" -type f | wc -l)
    line=$(printf '%-10s %8s %12s %8s %7s' "$target" "$(((end - start) / 100))" "$(field number_of_executed_units "$log")" "$edges" "$inputs")
    echo "$line"
    table="$table$line
"
done
printf '\n%-10s %8s %12s %8s %7s\n%s' target "cpu s" executions edges inputs "$table"
