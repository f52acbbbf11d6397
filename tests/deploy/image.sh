#!/bin/sh
# Builds the image in a store of its own (build-image) and tests it; then, with "pods", runs the pod patterns with it.
# usage: tests/deploy/image.sh image|pods      DOUBLES…: see pods.py
set -eu
cd "$(dirname "$0")/../.."
store=deploy/image/containers.sh
export DECANT_IMAGE=localhost/decant:test DECANT_BUILD_STAGE=localhost/decant-build IMAGE_OUT="$PWD/build-image/out"
python=/usr/bin/python3

$store build-image deploy/image/build.sh --tag "$DECANT_IMAGE" --out "$IMAGE_OUT"
case $1 in
image) $store build-image $python tests/deploy/test_image.py ;;
pods)
    if ! why=$($store build-image podman run --rm --network host --read-only "$DECANT_IMAGE" --version 2>&1); then
        echo "SKIPPED: podman cannot run a container here: $why"
        exit 0
    fi
    $store build-image $python tests/deploy/pods.py
    ;;
esac
