#!/bin/sh
# The tests against the sandbox, one module more at once than there are processors (they also wait), large ones first; each has a sandbox of its own. What a module says goes to FOLDER.
# usage: DECANT=… DOUBLES=… scripts/e2e.sh FOLDER
set -u
cd "$(dirname "$0")/.."
export python=/usr/bin/python3 # Debian's, which has python3-cryptography
rm -rf "$1"
mkdir -p "$1"
for module in $(ls -S tests/e2e/test_*.py); do
    basename "$module"
done | xargs -P $(($(nproc) + 1)) -I '{}' sh -c '
    $python scripts/unittests.py discover -s tests/e2e -t tests/e2e -p "$1" >"$2/$1.txt" 2>&1 || { cat "$2/$1.txt"; exit 1; }' sh '{}' "$1"
failed=$?
sed -n '/^skipped: /p' "$1"/*.txt
echo "tests against the sandbox: $(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' "$1"/*.txt | awk '{ n += $1 } END { print n }')"
exit $failed
