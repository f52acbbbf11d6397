#!/bin/sh
# In the image's build stage (Debian 13): the compiler, the static libraries that Debian has, and the two that it has only
# as shared ones or with too much in it: cJSON, and libcurl with http and https alone. Debian's sources, with its patches.
# OPENSSL=trimmed builds OpenSSL as well, without what decant never calls; minutes slower to build.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources
else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends gcc libc6-dev make cmake ninja-build dpkg-dev python3-minimal \
    pkg-config ca-certificates libssl-dev zlib1g-dev libzstd-dev libexpat1-dev libseccomp-dev >/dev/null

mkdir -p /build/source /opt/static
cd /build/source

# The newest version whose source is to be had: a mirror may list one before, or after, it has the files.
fetch_source() {
    for version in $(apt-cache showsrc "$1" | sed -n 's/^Version: //p' | sort -Vru); do
        apt-get source -qq --only-source -o APT::Sandbox::User=root "$1=$version" >/build/fetch.log 2>&1 && return
        echo "no source of $1 $version; trying an older one"
    done
    cat /build/fetch.log
    exit 1
}

fetch_source curl
fetch_source cjson
export CFLAGS="-O2 -fPIC -ffunction-sections -fdata-sections -ffile-prefix-map=/build/source=. -fstack-protector-strong"
CFLAGS="$CFLAGS -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=3"

cd /build/source/cjson-*/
gcc $CFLAGS -c cJSON.c -o cJSON.o
install -d /opt/static/include/cjson /opt/static/lib
ar rcsD /opt/static/lib/libcjson.a cJSON.o
install -m 644 cJSON.h /opt/static/include/cjson/

if [ "${OPENSSL:-debian}" = trimmed ]; then
    cd /build/source
    fetch_source openssl
    cd openssl-*/
    # Out: ciphers, digests and signatures that neither Azure's services nor AMD's certificates use, old TLS, DTLS, QUIC, what
    # has a format of its own (CMS, TSP, CMP, OCSP), loadable modules; ChaCha20, as each processor with SEV-SNP has AES in hardware.
    # In, beside the needed: ML-KEM, for TLS 1.3's hybrid groups.
    ./Configure linux-x86_64 --prefix=/opt/static --libdir=lib --openssldir=/usr/lib/ssl --release no-shared no-module \
        no-apps no-docs no-tests no-engine no-legacy no-dso no-ssl3 no-tls1 no-tls1_1 no-dtls no-quic no-srtp no-sctp no-psk \
        no-srp no-ct no-ts no-cms no-cmp no-http no-comp no-idea no-seed no-camellia no-aria no-sm2 no-sm3 no-sm4 no-rc2 \
        no-rc4 no-rc5 no-bf no-cast no-md4 no-mdc2 no-rmd160 no-whirlpool no-blake2 no-siphash no-scrypt no-rfc3779 \
        no-gost no-ec2m no-dsa no-ml-dsa no-slh-dsa no-nextprotoneg no-ui-console no-rdrand no-chacha no-poly1305 no-des no-dh \
        no-ocb no-siv no-argon2 no-cmac no-ocsp no-multiblock no-ssl-trace $CFLAGS >/build/openssl.log &&
        make -j"$(nproc)" build_libs >>/build/openssl.log 2>&1 && make install_dev >>/build/openssl.log 2>&1 ||
        { tail -50 /build/openssl.log; exit 1; }
fi

cd /build/source/curl-*/
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX=/opt/static -DCMAKE_PREFIX_PATH=/opt/static -DCMAKE_INSTALL_LIBDIR=lib \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_STATIC_LIBS=ON -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DBUILD_LIBCURL_DOCS=OFF \
    -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=ON -DCURL_ZLIB=OFF -DCURL_BROTLI=OFF \
    -DCURL_ZSTD=OFF -DUSE_NGHTTP2=OFF -DUSE_LIBIDN2=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF \
    -DCURL_DISABLE_COOKIES=ON -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_HSTS=ON -DCURL_DISABLE_MIME=ON \
    -DCURL_DISABLE_NTLM=ON -DCURL_DISABLE_KERBEROS_AUTH=ON -DCURL_DISABLE_NEGOTIATE_AUTH=ON -DCURL_DISABLE_AWS=ON \
    -DCURL_DISABLE_DOH=ON -DCURL_DISABLE_WEBSOCKETS=ON -DCURL_DISABLE_VERBOSE_STRINGS=ON \
    -DCURL_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt -DCURL_CA_PATH=none >/build/curl-configure.log ||
    { cat /build/curl-configure.log; exit 1; }
cmake --build build --target install >/build/curl.log || { tail -50 /build/curl.log; exit 1; }
