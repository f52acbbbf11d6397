#!/bin/sh
# How fast, beside what others reach on the same machine in the same run? Installs what it needs, then measures.
# usage: tests/bench/run.sh [--quick] [--rows NAMES] [--only NAMES] … (--help; --list shows rows and competitors)
# Debian's packages come by scripts/setup.sh bench; the SDK, Azurite and azcopy go to build-bench/, once.
set -eu
cd "$(dirname "$0")/../.."
azurite=3.35.0
azcopy=10.32.2
python=/usr/bin/python3
place=$PWD/build-bench
wanted="$(cksum <tests/interop/requirements.txt) azurite $azurite azcopy $azcopy $($python --version)"

scripts/setup.sh bench

install_all() {
    rm -rf "$place"
    mkdir -p "$place"
    echo "installing the Azure SDK for Python, Azurite $azurite and azcopy $azcopy in build-bench/"
    $python -m venv "$place/venv"
    "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/interop/requirements.txt
    npm install --prefix "$place" --no-save --no-package-lock --no-audit --no-fund --loglevel error \
        "azurite@$azurite" "@azure-tools/azcopy-linux@$azcopy" >"$place/npm.log" 2>&1 ||
        { cat "$place/npm.log" >&2; return 1; }
    echo "$wanted" >"$place/installed"
}

# A competitor that cannot be installed is reported as "not run"; the others are still measured.
[ "$(cat "$place/installed" 2>/dev/null)" = "$wanted" ] || install_all ||
    echo "the SDK, Azurite or azcopy could not be installed" >&2
exec $python tests/bench --tools "$place" "$@"
