"""The volume: full at every MiB and at every inode, read-only, taken away. Each case has a tmpfs of its own, in a mount namespace.

EIGHT blobs of 1 MiB: so a volume of N MiB is full somewhere in the middle. What happens while the run is at work is done by a
few lines of shell, which wait until the run has sealed its first file.
"""

import gzip
import json
import os
import subprocess

import table
from scene import harness

MIB = 1 << 20
EIGHT = 8
MOUNTS = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
# $1 program, $2 volume, $3 options, $4 libraries, $5 job, $6 what is left, $7 before, $8 meanwhile
SCRIPT = """
mount -t tmpfs -o "$3" small "$2" || exit 250
cd /
sealed() {
    for i in $(seq 500); do
        [ -z "$(find "$1/.decant/stage/tree" -type f 2>/dev/null)" ] || return
        sleep 0.02
    done
}
eval "$7"
LD_PRELOAD="$4" "$1" run -c "$5" </dev/null & run=$!
eval "$8"
wait $run
code=$?
[ ! -d "$2" ] || (cd "$2" && find . -mindepth 1 -printf '%P %s\\n' | sort) >"$6"
exit $code
"""


def in_namespace(place, job, options, before="", meanwhile=""):
    """Result, and name → size of what is on the volume afterwards."""
    left = os.path.join(place.folder, "left")
    with open(left, "w", encoding="ascii"):
        pass
    environment = place.environment()
    libraries = environment.pop("LD_PRELOAD")
    path = place.file("job.json", json.dumps(job))
    process = subprocess.Popen(["unshare", "-rm", "sh", "-c", SCRIPT, "sh", harness.DECANT, place.volume, options, libraries, path,
                                left, before, meanwhile], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    result = place.finish(process)
    with open(left, encoding="utf-8") as file:
        rows = [line.rsplit(" ", 1) for line in file.read().splitlines()]
    return result, {name: int(size) for name, size in rows}


def judged(place, result, left, wanted, foreign=()):
    """Complete, or nothing but the mark that tells those who wait; FOREIGN files are not ours."""
    for name in foreign:
        left.pop(name, None)
    if result.code == 0:
        place.assertEqual(result.summary["result"], "done")
        place.assertEqual({name: size for name, size in left.items() if not name.startswith(".decant")},
                          {name: len(content) for name, content in wanted.items()})
        place.assertIn(".decant/ready.json", left)
        place.assertEqual(set(left) - set(wanted), {".decant", ".decant/ready.json"})
    else:
        place.check_failure(result, result.code)
        place.assertLessEqual(set(left), {".decant", harness.MARK}, "something was left on the volume")
    return result


def eight(place, size=MIB):
    return {str(i): place.plain(size) for i in range(EIGHT)}


def put(place, files):
    for name, content in files.items():
        place.put("s/" + name, content, region=MIB)
    return place.quick_job(place.url("s/"), limits={"parallel": 2})


def full(place, mib):
    files = eight(place)
    result, left = in_namespace(place, put(place, files), f"size={mib}m")
    return judged(place, result, left, files)


def full_by_inflating(place, mib):
    content = bytes(EIGHT * MIB)
    place.put("s/a", gzip.compress(content))
    job = place.quick_job({"from": place.url("s/a"), "decompress": "gzip"})
    result, left = in_namespace(place, job, f"size={mib}m")
    return judged(place, result, left, {"a": content})


def full_of_inodes(place, inodes):
    files = eight(place, 1000)
    result, left = in_namespace(place, put(place, files), f"size=20m,nr_inodes={inodes}")
    return judged(place, result, left, files)


def slow_tail(place, files):
    """The job, and reads of the last blobs that take their time."""
    job = put(place, files)
    job["limits"]["parallel"] = 1
    place.box.fault({"delay_ms": 1500}, method="GET", path="/s/[3-7]", times=1)
    return job


def filled_meanwhile(place):
    files = eight(place)
    result, left = in_namespace(place, slow_tail(place, files), "size=20m",
                                meanwhile='sealed "$2"; head -c 30M /dev/zero >"$2/filler" 2>/dev/null')
    return judged(place, result, left, files, ["filler"])


def over_an_earlier_run(place, mib):
    """The files of an earlier run stay if the new ones find no room: all of them are as they were."""
    old, new = eight(place), eight(place, MIB + 1)
    place.put("s/0", old["0"])
    first = put(place, old)
    path = place.file("first.json", json.dumps(first))
    again = place.container
    place.container += "b"
    place.box.control("container", name=place.container)
    job = put(place, new)
    place.container = again
    result, left = in_namespace(place, job, f"size={mib}m", before=f'LD_PRELOAD="$4" "$1" run -c {path} </dev/null >/dev/null 2>&1; echo "first: $?" >&2')
    place.assertIn("first: 0", result.err)
    left.pop(harness.MARK, None)
    sizes = {name: size for name, size in left.items() if not name.startswith(".decant")}
    wanted = new if result.code == 0 else old
    place.assertEqual(sizes, {name: len(content) for name, content in wanted.items()})
    place.assertIn(".decant/ready.json", left)
    return result


def read_only(place):
    files = eight(place, 1000)
    result, left = in_namespace(place, put(place, files), "size=20m", before='mount -o remount,ro "$2"')
    return judged(place, result, left, files)


def read_only_meanwhile(place):
    """While the first answer is waited for, nothing is open for writing yet."""
    files = eight(place, 1000)
    job = put(place, files)
    place.box.fault({"delay_ms": 1500}, method="GET", path="comp=list", times=1)
    result, left = in_namespace(place, job, "size=20m", meanwhile='until mount -o remount,ro "$2" 2>/dev/null; do sleep 0.05; done')
    return judged(place, result, left, files)


def unmounted(place):
    files = eight(place, 1000)
    result, left = in_namespace(place, slow_tail(place, files), "size=20m", meanwhile='sealed "$2"; umount -l "$2"')
    place.assertNotIn(".decant/ready.json", left)
    return judged(place, result, left, files) if result.code else result


def removed(place, what):
    files = eight(place, 1000)
    result, left = in_namespace(place, slow_tail(place, files), "size=20m", meanwhile=f'sealed "$2"; cd "$2" && rm -rf {what}; cd /')
    return judged(place, result, left, files)


def covered(place):
    """Something else is mounted over it."""
    files = eight(place, 1000)
    result, left = in_namespace(place, slow_tail(place, files), "size=20m", meanwhile='sealed "$2"; mount -t tmpfs over "$2"')
    place.assertEqual(left, {})
    return result


NEEDED_MIB = 9          # eight of data, and some pages for names and lists


def cases():
    for mib in range(1, EIGHT + 4):
        yield table.Case("full", f"{mib} MiB for 8 MiB of files", 0 if mib >= NEEDED_MIB else 41, lambda place, n=mib: full(place, n))
    for mib in range(1, EIGHT + 4):
        yield table.Case("full", f"{mib} MiB for 8 MiB out of a gzip", 0 if mib >= NEEDED_MIB else 41,
                         lambda place, n=mib: full_by_inflating(place, n))
    for inodes in range(2, 25):
        yield table.Case("inodes", f"{inodes} inodes for 8 files", 0 if inodes >= 15 else 41,
                         lambda place, n=inodes: full_of_inodes(place, n))
    yield table.Case("full", "another program fills it meanwhile", 41, filled_meanwhile)
    for mib in range(9, 20):
        yield table.Case("full", f"{mib} MiB, and 8 MiB of an earlier run on it", 0 if mib >= 17 else 41,
                         lambda place, n=mib: over_an_earlier_run(place, n))
    yield table.Case("read-only", "from the beginning", 2, read_only)
    yield table.Case("read-only", "meanwhile", 2, read_only_meanwhile)
    yield table.Case("vanished", "unmounted meanwhile", 1, unmounted)
    yield table.Case("vanished", "something mounted over it meanwhile", 1, covered)
    yield table.Case("vanished", "decant's own folder removed meanwhile", 1, lambda place: removed(place, ".decant"))
    yield table.Case("vanished", "all of it removed meanwhile", 1, lambda place: removed(place, "* .decant"))


CASES = list(cases())
