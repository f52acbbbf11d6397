"""What a run takes from itself, seen from outside (/proc) and in its log; and that a run needs no more than it keeps.

DECANT is a build without sanitizers, whose runtimes need what is forbidden here.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from harness import DECANT, TOKEN, Case, preload, tree  # noqa: E402


class Guarded(Case):
    def setUp(self):
        super().setUp()
        self.text = self.plain(200000)
        self.put("a/b", self.text)
        self.plain_job = self.quick_job(self.url("a/"))

    def environment(self, **changes):
        return super().environment(**{"LD_PRELOAD": preload("sev_device"), "DECANT_HARDENING": "on", **changes})

    def hardening(self, result):
        events = [event for event in result.events() if event["event"] == "hardening"]
        self.assertEqual(len(events), 1, result)
        return events[0]

    def status_in_the_middle(self, process):
        """/proc/PID/status while it waits for a slow service."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            if status.get("NoNewPrivs") == "1" and status.get("Seccomp") != "0":
                return status
            time.sleep(0.02)
        return status


class Kernel(Guarded):
    def test_what_the_kernel_says_of_it(self):
        self.box.fault({"delay_ms": 3000}, method="GET", times=-1)
        process = self.start([], self.plain_job)
        try:
            status = self.status_in_the_middle(process)
            with open(f"/proc/{process.pid}/limits", encoding="ascii") as file:
                core = re.search(r"Max core file size\s+(\d+)", file.read())[1]
            owner = os.stat(f"/proc/{process.pid}/mem").st_uid
        finally:
            process.send_signal(signal.SIGTERM)
            result = self.finish(process)
        self.assertEqual((status["NoNewPrivs"], core, owner), ("1", "0", 0))
        said = self.hardening(result)
        self.assertEqual(status["Seccomp"], "2" if said["seccomp"] == "filter" else "0")

    def test_log_and_modes(self):
        said = self.hardening(self.good(job=self.plain_job, files={"b": self.text}))
        self.assertRegex(said["landlock"], r"^abi \d+$|^not in this kernel$|^failed")
        self.assertRegex(said["seccomp"], r"^filter$|^not in this build$|^failed")
        complete = said["landlock"].startswith("abi") and said["seccomp"] == "filter"
        self.empty()
        result = self.run_decant(job=self.plain_job, environment={"DECANT_HARDENING": "require"})
        self.assertEqual(result.code, 0 if complete else 1, result)
        self.bad(2, "DECANT_HARDENING is off, on or require", job=self.plain_job, environment={"DECANT_HARDENING": "full"})

    def test_off(self):
        result = self.good("--log-level", "debug", job=self.plain_job, environment={"DECANT_HARDENING": "off"})
        self.assertEqual((self.hardening(result)["landlock"], self.hardening(result)["seccomp"]), ("off", "off"))

    def test_inherited_descriptors_are_closed(self):
        with open(self.file("left-open", "x"), "rb") as file:
            os.set_inheritable(file.fileno(), True)
            path = self.file("job.json", json.dumps(self.plain_job))
            process = subprocess.Popen([DECANT, "run", "-c", path], env=self.environment(), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=False)
            result = self.finish(process)
        self.assertEqual(result.code, 0, result)
        self.assertGreaterEqual(self.hardening(result)["closed"], 1)

    def test_a_descriptor_that_the_job_names_stays(self):
        reading, writing = os.pipe()
        os.write(writing, self.sas(permissions="rl").encode())
        os.close(writing)
        job = self.quick_job({"from": self.url("a/"), "to": "a", "sas_file": f"/dev/fd/{reading}"})
        path = self.file("job.json", json.dumps(job))
        process = subprocess.Popen([DECANT, "run", "-c", path], env=self.environment(), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[reading])
        os.close(reading)
        self.assertEqual(self.finish(process).code, 0)


class Landlock(Guarded):
    def test_writing_elsewhere_fails(self):
        """The volume and the report can be written; a way out of the volume cannot, though root may all else."""
        report = os.path.join(self.folder, "report.json")
        result = self.good("--report", report, job=self.plain_job, files={"b": self.text})
        if not self.hardening(result)["landlock"].startswith("abi"):
            self.skipTest(f"landlock is {self.hardening(result)['landlock']}")
        with open(report, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["result"], "done")

    def test_with_evidence_through_device_and_tsm(self):
        for plays, source in (("guest", "device"), ("tsm", "tsm")):
            with self.subTest(plays):
                self.empty()
                job = self.job(self.url("a/"), attestation={"evidence": source})
                self.good(job=job, files={"b": self.text}, environment={"DOUBLE_SEV": plays})


class Least(Guarded):
    """No user but nobody's, no capability, nothing to write but the volume."""

    def test_as_nobody_without_capabilities_on_a_read_only_root(self):
        if os.geteuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None:
            self.skipTest("needs root, setpriv and unshare")
        path = self.file("job.json", json.dumps(self.plain_job))
        os.chown(self.volume, 65534, 65534)
        os.chmod(self.box.state, 0o755)
        copy = shutil.copy(DECANT, os.path.join(self.folder, "decant"))
        for folder, _, files in os.walk(self.folder):
            for name in files:
                os.chmod(os.path.join(folder, name), 0o755)
        script = ("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro / && shift && "
                  "exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all "
                  "--no-new-privs \"$@\"")
        command = ["unshare", "--mount", "sh", "-c", script, "sh", self.volume, copy, "run", "-c", path]
        process = subprocess.Popen(command, env=self.environment(LD_PRELOAD=None), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        result = self.finish(process)
        if "mount:" in result.err or "unshare:" in result.err:
            self.skipTest(f"no mount namespace here: {result.err.strip()}")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(tree(self.volume)["b"][1], self.text)


class Traces(Guarded):
    """Secrets are in no log at any level, no report, no error, no argument list."""

    def test_every_level(self):
        token = self.token("https://storage.azure.com")
        job = self.quick_job({"from": self.url("a/"), "to": "a", "sas_file": self.file("sas", self.sas(permissions="rl"))},
                             identity={"type": "token", "storage_token_file": self.file("token", token)})
        report = os.path.join(self.folder, "report.json")
        for level in ("error", "warn", "info", "debug"):
            for form in ("text", "json"):
                with self.subTest(level=level, form=form):
                    result = self.run_decant("--log-level", level, "--log-format", form, "--report", report, job=job)
                    self.assertEqual(result.code, 0, result)
                    with open(report, encoding="utf-8") as file:
                        self.assert_no_secret(file.read())
        self.box.fault({"status": 403}, times=-1)
        result = self.run_decant("--log-level", "debug", "--report", report, job=job)
        self.assertEqual(result.code, 21, result)
        with open(report, encoding="utf-8") as file:
            self.assert_no_secret(file.read())
        with open(os.path.join(self.volume, ".decant", "failed.json"), encoding="utf-8") as file:
            self.assertIsNone(TOKEN.search(file.read()))


if __name__ == "__main__":
    unittest.main()
