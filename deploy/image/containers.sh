#!/bin/sh
# Runs a command with a store and settings of containers of its own below FOLDER: what it makes disturbs nobody's podman,
# and it works where cgroups are of version 1, limits cannot be raised and no registry is reached.
# usage: deploy/image/containers.sh FOLDER COMMAND…
set -eu
mkdir -p "$1/store" "$1/run"
folder=$(cd "$1" && pwd)
shift
cat >"$folder/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$folder/store"
runroot = "$folder/run"
END
# The caller's own limit of files: a pod's first container gets the caller's soft one whatever is said here, and a hard one
# below that is invalid.
cat >"$folder/containers.conf" <<END
[containers]
default_ulimits = ["nofile=$(ulimit -Sn):$(ulimit -Hn)", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
export CONTAINERS_STORAGE_CONF="$folder/storage.conf" CONTAINERS_CONF="$folder/containers.conf"
exec "$@"
