"""The volume: what it must be made of, how full it may get, and who else may be there."""

import gzip
import json
import os
import subprocess
import unittest

from harness import MARK, DECANT, Case, Result, counter, tree

MOUNTS = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
SMALL = """
mount -t tmpfs -o size=$3 small "$2" || exit 250
env LD_PRELOAD="$4" "$1" run -c "$5" $6
code=$?
cd "$2" && find . -mindepth 1 >"$7"
exit $code
"""


class FileSystems(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain(1000)
        self.put("a", self.content)

    def job_for(self, require=None, path=None):
        return self.quick_job(self.url("a"), volume={"require": require, "path": path or self.volume})

    def kind_of(self, result):
        return next(event["kind"] for event in result.events() if event["event"] == "volume")

    def test_tmpfs(self):
        for require in (None, "confidential", "tmpfs", "any"):
            result = self.good(job=self.job_for(require), files={"a": self.content})
            self.assertEqual(self.kind_of(result), "tmpfs")
            self.assertNotIn("volume_not_confidential", result.err)

    def test_not_tmpfs(self):
        disk = {"DOUBLE_STATFS_PATH": self.volume, "DOUBLE_STATFS_TYPE": "ef53"}
        self.bad(40, "not confidential", "ext4", "Memory", job=self.job_for(), environment=disk)
        self.bad(40, "not tmpfs", "ext4", job=self.job_for("tmpfs"), environment=disk)
        result = self.good(job=self.job_for("any"), environment=disk, files={"a": self.content})
        self.assertIn("volume_not_confidential", [event["event"] for event in result.events() if event["level"] == "warn"])

    def test_nothing_is_asked_for_before_the_volume_is_good(self):
        disk = {"DOUBLE_STATFS_PATH": self.volume, "DOUBLE_STATFS_TYPE": "ef53"}
        self.bad(40, job=self.job(self.url("a")), environment=disk)
        self.assertEqual([entry for entry in self.box.log() if entry["service"] != "control"], [])

    def test_ramfs(self):
        memory = {"DOUBLE_STATFS_PATH": self.volume, "DOUBLE_STATFS_TYPE": "858458f6"}
        result = self.good(job=self.job_for(), environment=memory, files={"a": self.content})
        self.assertEqual(self.kind_of(result), "ramfs")

    def test_device_mapper(self):
        path = self.temporary(None)
        device = os.stat(path).st_dev
        if os.major(device) == 0:
            self.skipTest("the temporary directory is on no block device")
        for uuid, code in (("CRYPT-PLAIN-a", 0), ("CRYPT-LUKS2-0123-x", 0), ("LVM-abc", 40), ("CRYPT-VERITY-x", 40),
                           ("CRYPT-LUKS2-OPAL-x", 40), ("", 40)):
            with self.subTest(uuid=uuid):
                file = self.file("uuid", uuid + "\n")
                double = {"DOUBLE_FILES": f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/uuid={file}"}
                result = self.run_decant(job=self.job_for(path=path), environment=double)
                self.assertEqual(result.code, code, result)
                if code == 0:
                    self.assertIn("on dm-crypt", self.kind_of(result))
                    self.assert_files({"a": self.content}, path)

    def test_swap_is_reported(self):
        swaps = self.file("swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1048572 0 -2\n")
        result = self.good(job=self.job_for(), environment={"DOUBLE_FILES": f"/proc/swaps={swaps}"})
        self.assertIn("swap", [event["event"] for event in result.events() if event["level"] == "warn"])

    def test_no_directory(self):
        self.bad(2, "/nonexistent/volume", job=self.job_for(path="/nonexistent/volume"))
        self.bad(2, "not a directory", job=self.job_for(path=self.file("plain", "x")))

    def test_decant_s_own_place_is_taken(self):
        with open(os.path.join(self.volume, ".decant"), "w", encoding="ascii") as file:
            file.write("mine")
        self.bad(42, "\\.decant", "remove what is there", job=self.job_for())
        os.unlink(os.path.join(self.volume, ".decant"))
        os.symlink(self.folder, os.path.join(self.volume, ".decant"))
        self.bad(42, "\\.decant", job=self.job_for())

    def test_one_at_a_time(self):
        self.box.fault({"delay_ms": 1500}, method="GET", path="/a")
        first = self.start([], self.job_for())
        self.addCleanup(first.kill)
        while not self.box.log("storage", "HEAD"):
            self.assertIsNone(first.poll())
        self.check_failure(self.run_decant(job=self.job_for()), 1, "another decant is at work", "Wait until")
        self.assertEqual(self.finish(first).code, 0)
        self.assert_files({"a": self.content})

    def test_what_a_killed_run_left_is_cleared(self):
        os.makedirs(os.path.join(self.volume, ".decant", "stage", "tree", "x"))
        with open(os.path.join(self.volume, ".decant", "stage", "tree", "x", "y"), "w", encoding="ascii") as file:
            file.write("old")
        self.good(job=self.job_for(), files={"a": self.content})

    def test_a_directory_where_a_file_should_be(self):
        os.makedirs(os.path.join(self.volume, "a", "b"))
        self.bad(42, "a", job=self.job_for())

    def test_a_file_where_a_directory_should_be(self):
        with open(os.path.join(self.volume, "d"), "w", encoding="ascii") as file:
            file.write("x")
        self.put("s/d/a", self.plain())
        self.bad(42, "d", job=self.quick_job(self.url("s/")))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class AnotherUser(Case):
    """decant as a user who is not root."""

    NOBODY = 65534

    def run_as_nobody(self, **volume):
        path = self.file("job", json.dumps(self.quick_job(self.url("a"), network=None, volume=volume)))
        done = subprocess.run([DECANT, "run", "-c", path], env=self.environment_of_another(), capture_output=True, check=False,
                              user=self.NOBODY, group=self.NOBODY, extra_groups=[])
        return self.judged(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))

    def setUp(self):
        super().setUp()
        try:
            subprocess.run([DECANT, "--version"], env=self.environment(), capture_output=True, check=True, user=self.NOBODY,
                           group=self.NOBODY)
        except (PermissionError, subprocess.CalledProcessError):    # a checkout below somebody's closed home
            self.skipTest("the program is out of that user's reach")
        self.content = self.plain()
        self.put("a", self.content)

    def test_volume_of_another(self):
        self.check_failure(self.run_as_nobody(), 2, "Permission denied", "writable for user 65534", "fsGroup")
        self.assertEqual(tree(self.volume), {})

    def test_own_volume(self):
        os.chmod(self.volume, 0o777)
        self.assertEqual(self.run_as_nobody().code, 0)
        self.assert_files({"a": self.content})
        self.assertEqual(os.stat(os.path.join(self.volume, "a")).st_uid, self.NOBODY)

    def test_owner_that_is_not_ours_to_give(self):
        os.chmod(self.volume, 0o777)
        self.check_failure(self.run_as_nobody(uid=1234), 2, "volume.uid", "CHOWN")
        self.assertEqual(tree(self.volume), {})


@unittest.skipUnless(MOUNTS, "no mount namespaces here")
class Full(Case):
    """A volume of two mebibytes."""

    def run_small(self, job, options="", size="2m"):
        path, left = self.file("job", json.dumps(job)), os.path.join(self.folder, f"left-{next(counter)}")
        environment = self.environment()
        libraries = environment.pop("LD_PRELOAD")
        process = subprocess.Popen(["unshare", "-rm", "sh", "-c", SMALL, "sh", DECANT, self.volume, size, libraries, path,
                                    options, left], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        result = self.finish(process)
        with open(left, encoding="utf-8") as file:
            return result, sorted(file.read().split())

    def refused(self, job, *words, options=""):
        result, left = self.run_small(job, options)
        self.check_failure(result, 41, *words)
        marked = [] if "--dry-run" in options else ["./.decant", "./" + MARK]
        self.assertEqual(left, marked, "only the mark for those who wait")

    def test_that_it_works_at_all(self):
        self.put("a", self.plain(1 << 20))
        result, left = self.run_small(self.quick_job(self.url("a")))
        self.assertEqual(result.code, 0, result)
        self.assertEqual(left, ["./.decant", "./.decant/ready.json", "./a"])

    def test_one_blob_too_large(self):
        """Known before a byte of it is asked for."""
        self.put("a", self.plain(3 << 20))
        self.refused(self.quick_job(self.url("a")), r"blob \w+/a", "bytes", "larger")
        self.assertEqual(self.reads(), [])

    def test_dry_run_tells(self):
        self.put("a", self.plain(3 << 20))
        self.refused(self.quick_job(self.url("a")), "larger", options="--dry-run")

    def test_many_blobs_together(self):
        for i in range(30):
            self.put(f"s/{i}", self.plain(100000))
        self.refused(self.quick_job(self.url("s/")), r"blob \w+/s/", "larger")

    def test_inflated(self):
        self.put("a", gzip.compress(bytes(10 << 20)))
        self.refused(self.quick_job({"from": self.url("a"), "decompress": "gzip"}), r"blob \w+/a", "larger")
