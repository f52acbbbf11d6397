#!/bin/sh
# Every test, in steps that can be named alone: lint quality fuzz unit e2e coverage schema sandbox hardening interop docs fault image pods deploy package ("build"
# just builds what one needs to try a test by hand; "fault-full" takes two hours, "java" wants Maven). Without arguments: all.
# coverage judges what fuzz, unit and e2e of the same call ran.
# A step that takes too long is ended and has failed. The last lines say whether the working tree is as it was, and count.
set -u
cd "$(dirname "$0")/.."
checked=build-check    # gcc, ASan and UBSan, warnings are errors
counted=build-coverage # the same, and counts which lines run
clanged=build-clang
passed=0
failed=0
names=
times=

jobs=$(nproc)
python=/usr/bin/python3 # Debian's, which has python3-cryptography
unittests="scripts/unittests.py discover"

# At the most, in seconds: several times what the step takes on two cores that do nothing else.
limit_of() {
    case $1 in
    e2e | interop | docs | fault | image | pods | package | coverage | quality | java) echo 1800 ;;
    fault_full) echo 14400 ;;
    tree_same) echo 60 ;;
    *) echo 900 ;;
    esac
}

# step NAME FUNCTION: in a process group of its own, so that all of it can be ended.
step() {
    name=$1
    limit=$(limit_of "$2")
    printf '\n== %s\n' "$name"
    start=$(date +%s)
    timeout -k 20 "$limit" scripts/check.sh --function "$2" &
    running=$!
    wait $running
    result=$?
    running=
    took=$(($(date +%s) - start))
    times="$times$took $name
"
    if [ $result -eq 0 ]; then
        passed=$((passed + 1))
        printf -- '-- %s: passed in %s s\n' "$name" "$took"
    else
        failed=$((failed + 1))
        names="$names $name"
        case $result in
        124 | 137) printf -- '-- %s: FAILED: ended, it took more than %s s\n' "$name" "$limit" ;;
        *) printf -- '-- %s: FAILED\n' "$name" ;;
        esac
    fi
}

# What git sees of the working tree; nothing where there is no git.
tree_state() {
    git status --porcelain 2>/dev/null && git diff HEAD | git hash-object --stdin
}

tree_same() {
    [ "$(tree_state)" = "$tree" ] || { echo "the steps changed the working tree:"; git status --short; return 1; }
}

configure() {
    dir=$1
    shift
    cmake -S . -B "$dir" -DCMAKE_RULE_MESSAGES=OFF -DDECANT_WERROR=ON "$@" >"$dir.log" 2>&1 ||
        { cat "$dir.log"; return 1; }
}

compile() {
    dir=$1
    shift
    cmake --build "$dir" -j "$jobs" --target "$@" -- -s
}

build_checked() {
    configure $checked -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=gcc -DDECANT_SANITIZE=address,undefined &&
        compile $checked decant doubles
}

# The counts of earlier programs are no use, and each run would complain of them.
build_counted() {
    configure $counted -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=gcc -DDECANT_SANITIZE=address,undefined -DDECANT_COVERAGE=ON &&
        compile $counted decant unit_tests fuzz_targets && scripts/coverage.sh forget $counted
}

build_clang() {
    configure $clanged -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DDECANT_SANITIZE=address,undefined &&
        compile $clanged decant
}

build_release() {
    configure build -DCMAKE_BUILD_TYPE=Release && compile build decant
}

unit() {
    ctest --test-dir $counted --output-on-failure -j "$jobs"
    result=$?
    sed -n '/^skipped: /p' $counted/Testing/Temporary/LastTest.log | sort | uniq -c
    return $result
}

# What fuzzing found, again, with both compilers; and how much of each parser that is.
fuzz() {
    scripts/coverage.sh forget $counted && tests/fuzz/replay.sh $counted && scripts/coverage.sh corpus $counted &&
        build_clang && compile $clanged fuzz_targets && tests/fuzz/replay.sh $clanged
}

sandbox() {
    $python $unittests -s sandbox/tests
}

schema() {
    $python scripts/schema_check.py $checked/decant
}

e2e() {
    rm -f $counted/codes
    EXIT_CODES=$PWD/$counted/codes DECANT=$PWD/$counted/decant DOUBLES=$PWD/$counted/tests/double scripts/e2e.sh $counted/e2e
}

docs() {
    DECANT=$PWD/$checked/decant DOUBLES=$PWD/$checked/tests/double $python $unittests -s tests/docs -t tests/docs
}

interop() {
    DECANT=$PWD/$checked/decant tests/interop/run.sh
}

java() {
    DECANT=$PWD/$checked/decant tests/interop/java/run.sh
}

hardening() {
    scripts/hardening.sh
}

layers() {
    scripts/layers.sh
}

quality() {
    scripts/quality.sh
}

coverage() {
    scripts/coverage.sh all $counted
}

fault() {
    DECANT=$PWD/$checked/decant DOUBLES=$PWD/$checked/tests/double $python $unittests -s tests/fault -t tests/fault
}

image() {
    tests/deploy/image.sh image
}

pods() {
    tests/deploy/image.sh pods
}

# The manifests, against models of container groups, pods and jobs that others made.
deploy() {
    [ -x build-deploy/bin/python ] || $python -m venv build-deploy
    build-deploy/bin/pip install -q --disable-pip-version-check -r tests/deploy/requirements.txt || return 1
    DECANT=$PWD/$checked/decant build-deploy/bin/python $unittests -s tests/deploy -p 'test_manifests.py'
}

# A release, made in full; the manual page and the completions.
package() {
    deploy/image/containers.sh build-image scripts/release.sh build-package &&
        DECANT=$PWD/$checked/decant RELEASE=$PWD/build-package $python $unittests -s tests/package
}

# Every call of a run and of a seal fails once: two hours. A faster build, which still counts what leaks; goes on where it stopped.
fault_full() {
    configure build-fault -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 -DCMAKE_C_COMPILER=gcc -DDECANT_SANITIZE=leak &&
        compile build-fault decant doubles &&
        export DECANT="$PWD/build-fault/decant" DOUBLES="$PWD/build-fault/tests/double" &&
        $python tests/fault/campaign.py --full --jobs "$jobs" --results tests/fault/results/calls.json &&
        $python tests/fault/campaign.py --full --seal --jobs "$jobs" --results tests/fault/results/seal-calls.json
}

if [ "${1:-}" = --function ]; then # a step's own process
    "$2"
    exit
fi

running=
trap '[ -z "$running" ] || kill "$running"; exit 130' INT TERM
tree=$(tree_state)
export tree
all_steps="lint quality fuzz unit e2e coverage schema sandbox hardening interop docs fault image pods deploy package"
[ $# -gt 0 ] || set -- $all_steps
case " $* " in
*" fuzz "* | *" unit "* | *" e2e "*) step "build that counts lines" build_counted ;;
esac
case " $* " in
*" schema "* | *" hardening "* | *" interop "* | *" docs "* | *" fault "* | *" java "* | *" deploy "* | *" package "* | *" build "*)
    step "build with gcc, ASan and UBSan" build_checked
    ;;
esac
for wanted in "$@"; do
    case $wanted in
    build) ;;
    lint)
        step "layers" layers
        step "build with clang" build_clang
        step "build for release" build_release
        ;;
    fault-full) step "every call fails once" fault_full ;;
    quality | fuzz | unit | e2e | coverage | schema | sandbox | hardening | interop | docs | fault | image | pods | deploy | package | java)
        step "$wanted" "$wanted"
        ;;
    *) echo "no step $wanted; there are: build $all_steps" >&2; exit 2 ;;
    esac
done
step "working tree as it was" tree_same
printf '\nseconds:'
printf '%s' "$times" | sort -rn | awk '{ seconds = $1; $1 = ""; printf "%s %s,", $0, seconds; all += seconds } END { print " in all " all }'
[ -z "$names" ] || printf '\nfailed:%s\n' "$names"
if [ -z "$tree" ]; then
    state="not a git checkout"
elif [ "$(echo "$tree" | wc -l)" -eq 1 ]; then
    state="the working tree is clean"
else
    state="the working tree has the changes it had"
fi
case $names in *"working tree"*) state="the steps changed the working tree" ;; esac
printf '\n%s\n%s passed, %s failed\n' "$state" "$passed" "$failed"
[ "$failed" -eq 0 ]
