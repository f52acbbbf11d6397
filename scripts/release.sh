#!/bin/sh
# A release of the commit that is checked out, from its archive: source, Debian package, static executable and image, the
# list of components, checksums. usage: scripts/release.sh FOLDER
# The source, the executable and the image are the same for the same commit (and Debian packages).
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: scripts/release.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
rm -f "$out"/decant* "$out"/SHA256SUMS
version=$(sed -n 's/^project(decant VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
machine=$(dpkg --print-architecture)
name=decant-$version
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git diff --quiet HEAD || echo "the release is of the commit, without what is not committed"
git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$out/$name.tar.gz"
tar -xzf "$out/$name.tar.gz" -C "$work"
cd "$work/$name"

cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_RULE_MESSAGES=OFF >"$work/log"
cmake --build build --target decant -j "$(nproc)" -- -s
(cd build && cpack -G DEB -B "$work/package") >"$work/log" || { cat "$work/log"; exit 1; }
cp "$work"/package/*.deb "$out/"

deploy/image/build.sh --tag "localhost/decant:$version" --out "$work/image"
cp "$work/image/decant" "$out/$name-linux-$machine"
cp "$work/image/image.tar" "$out/$name-image.tar"
cp "$work/image/sbom.spdx.json" "$out/$name.spdx.json"

cd "$out"
sha256sum decant* >SHA256SUMS
cat SHA256SUMS
