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
cat >"$folder/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
export CONTAINERS_STORAGE_CONF="$folder/storage.conf" CONTAINERS_CONF="$folder/containers.conf"
exec "$@"
