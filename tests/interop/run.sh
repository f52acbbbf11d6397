#!/bin/sh
# The tests against what nobody here wrote: the official Azure SDK for Python, and Azurite as the storage service.
# usage: DECANT=<program> tests/interop/run.sh [unittest's arguments]
# Both are installed once, under build-interop/, and again when a version below or in requirements.txt changes.
set -eu
cd "$(dirname "$0")/../.."
azurite=3.35.0
python=/usr/bin/python3
place=$PWD/build-interop
wanted="$(cksum <tests/interop/requirements.txt) azurite $azurite $($python --version)"

: "${DECANT:?the program to test}"
DECANT=$(realpath "$DECANT")

install_all() {
    rm -rf "$place"
    mkdir -p "$place/azurite"
    echo "installing the Azure SDK for Python and Azurite $azurite in build-interop/"
    $python -m venv "$place/venv"
    "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/interop/requirements.txt
    npm install --prefix "$place/azurite" --no-save --no-package-lock --no-audit --no-fund --loglevel error \
        "azurite@$azurite" >"$place/npm.log" 2>&1 || { cat "$place/npm.log" >&2; return 1; }
    echo "$wanted" >"$place/installed"
}

[ "$(cat "$place/installed" 2>/dev/null)" = "$wanted" ] || install_all

AZURITE=$place/azurite/node_modules/azurite/dist/src/blob/main.js
export DECANT AZURITE NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
[ $# -gt 0 ] || set -- discover -s tests/interop -t tests/interop
PYTHONPATH=tests/interop exec "$place/venv/bin/python" scripts/unittests.py "$@"
