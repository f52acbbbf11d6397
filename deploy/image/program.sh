#!/bin/sh
# In the image's build stage: decant itself, and /out, which is the image's whole file system.
# usage: program.sh [SOURCE]; wherever the source lies, the same bytes come out
set -eu
source=${1:-/src}
export LC_ALL=C SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}"

rm -rf /build/decant /out
cmake -S "$source" -B /build/decant -G Ninja -DCMAKE_BUILD_TYPE=Release -DDECANT_STATIC=ON \
    -DCMAKE_PREFIX_PATH=/opt/static >/build/configure.log || { cat /build/configure.log; exit 1; }
cmake --build /build/decant --target decant >/build/decant.log || { tail -50 /build/decant.log; exit 1; }

install -d /out/usr/bin /out/usr/lib/ssl /out/etc/ssl/certs /out/usr/share/doc/decant
install -m 755 -s /build/decant/decant /out/usr/bin/decant
install -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/
ln -s /etc/ssl/certs/ca-certificates.crt /out/usr/lib/ssl/cert.pem # where Debian's OpenSSL looks
install -m 644 "$source/LICENSE" /out/usr/share/doc/decant/
python3 /build/sbom.py /build/decant/decant.map /out >/out/usr/share/doc/decant/sbom.spdx.json
find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
