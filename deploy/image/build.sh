#!/bin/sh
# Builds the image of ../../Dockerfile with buildah, and says what it is: digests, sizes.
# usage: deploy/image/build.sh [--tag NAME] [--base IMAGE] [--openssl debian|trimmed] [--out FOLDER] [--no-cache]
#
# Without --base, no registry is asked: a Debian 13 is made by mmdebstrap from Debian's packages (kept in the store as
# localhost/decant-base). --out gets the binary, its list of components (SPDX) and the image as an OCI archive.
# The environment's CONTAINERS_STORAGE_CONF and CONTAINERS_CONF say where images are kept, as for podman.
set -eu
cd "$(dirname "$0")/../.."
tag=localhost/decant:latest
base=
out=
openssl=debian
cache=--layers

while [ $# -gt 0 ]; do
    case $1 in
    --tag) tag=$2; shift ;;
    --base) base=$2; shift ;;
    --openssl) openssl=$2; shift ;;
    --out) out=$2; shift ;;
    --no-cache) cache=--no-cache ;;
    *) sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2 ;;
    esac
    shift
done

epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make_base() {
    echo "making $1 with mmdebstrap"
    mmdebstrap --quiet --variant=minbase --include=ca-certificates trixie "$work/base.tar"
    podman import -q --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        "$work/base.tar" "$1" >/dev/null
    rm "$work/base.tar"
}

if [ -z "$base" ]; then
    base=localhost/decant-base:trixie
    podman image exists $base || make_base $base
fi

# chroot: works as root in a container or a small virtual machine; a RUN needs no isolation from a builder that is ours.
stage() {
    buildah bud --isolation chroot --pull-never --timestamp "$epoch" --build-arg "BASE=$base" \
        --build-arg "OPENSSL=$openssl" --build-arg "SOURCE_DATE_EPOCH=$epoch" --file Dockerfile "$@" . >"$work/log" 2>&1 ||
        { tail -60 "$work/log"; exit 1; }
}
stage $cache --target build --tag "${tag%:*}-build"
stage --layers --tag "$tag"

podman save -q --format oci-archive -o "$work/image.tar" "$tag"
mount=$(buildah from --pull-never "$tag")
folder=$(buildah mount "$mount")
cp "$folder/usr/bin/decant" "$folder/usr/share/doc/decant/sbom.spdx.json" "$work/"
buildah umount "$mount" >/dev/null
buildah rm "$mount" >/dev/null
[ -z "$out" ] || { mkdir -p "$out" && cp "$work/decant" "$work/sbom.spdx.json" "$work/image.tar" "$out/"; }

echo "image    $tag $(podman image inspect --format '{{.Digest}}' "$tag")"
echo "binary   sha256:$(sha256sum "$work/decant" | cut -d' ' -f1)"
echo "openssl  $(sed -n '/"name": "openssl"/,/versionInfo/s/.*"versionInfo": "\(.*\)",/\1/p' "$work/sbom.spdx.json")"
printf 'sizes    binary %s bytes, image %s bytes (OCI archive, layers compressed)\n' \
    "$(stat -c %s "$work/decant")" "$(stat -c %s "$work/image.tar")"
