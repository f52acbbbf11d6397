"""decant exec: the job, then the workload as a child: its status, its signals, and none of our secrets."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import DECANT, Case, tree

BARE = ["env", "-u", "LD_PRELOAD"]  # the workload is not ours to sanitize


def can_unshare():
    """Why we cannot be process 1 of a PID namespace, or None."""
    tried = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.strip()


def as_from_a_terminal():
    """A shell's background jobs start with these ignored, and what starts ignored stays so."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Exec(Case):
    def setUp(self):
        super().setUp()
        self.text = self.plain(3000)
        self.put("a", self.text)

    def exec_job(self, **parts):
        return self.quick_job({"from": self.url("a"), "to": "a"}, **parts)

    def begin(self, *command, job=None, options=(), environment=None, around=()):
        path = self.file(f"exec-{len(os.listdir(self.folder))}.json", json.dumps(job or self.exec_job()))
        return subprocess.Popen([*around, DECANT, "exec", "-c", path, *options, "--", *command], cwd=self.folder,
                                env=self.environment(**(environment or {})), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, preexec_fn=as_from_a_terminal)

    def run_exec(self, *command, data=b"", **details):
        return self.finish(self.begin(*command, **details), data)

    def sh(self, script, **details):
        return self.run_exec(*BARE, "sh", "-c", script, **details)

    def wait_for(self, name):
        """Until the workload made the file NAME."""
        path, until = os.path.join(self.folder, name), time.monotonic() + 60
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), until, f"no {name}")
            time.sleep(0.02)
        with open(path, encoding="utf-8") as file:
            return file.read()


class Status(Exec):
    def test_status_is_passed_through(self):
        for status in (0, 1, 7, 22, 255):
            with self.subTest(status=status):
                self.assertEqual(self.sh(f"exit {status}").code, status)

    def test_killed_by_a_signal(self):
        for name, number in (("KILL", 9), ("TERM", 15), ("SEGV", 11)):
            with self.subTest(name):
                self.assertEqual(self.sh(f"kill -{name} $$").code, 128 + number)

    def test_the_files_are_there_and_streams_are_the_commands(self):
        result = self.sh(f"cat; wc -c < {self.volume}/a; test -f {self.volume}/.decant/ready.json", data=b"from outside\n")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.out, f"from outside\n{len(self.text)}\n")
        events = [event["event"] for event in result.events()]
        self.assertLess(events.index("published"), events.index("started"))
        self.assertLess(events.index("started"), events.index("ended"))

    def test_report(self):
        path = os.path.join(self.folder, "report.json")
        self.assertEqual(self.sh("exit 3", options=["--report", path]).code, 3)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual((report["exit_status"], report["run"]["files"]), (3, 1))


class NotStarted(Exec):
    def test_missing_command(self):
        for command, words in (("no-such-command", "No such file"), ("/no/such", "No such file"),
                               ("/etc/passwd", "Permission denied")):
            with self.subTest(command):
                result = self.run_exec(command)
                self.check_failure(result, 50, command, words)

    def test_no_command(self):
        job = self.file("job.json", json.dumps(self.exec_job()))
        for arguments in (["exec", "-c", job], ["exec", "-c", job, "--"]):
            with self.subTest(arguments):
                self.check_failure(self.run_decant(*arguments), 2, "command is missing")
        self.assertEqual(tree(self.volume), {})

    def test_a_failed_run_starts_nothing(self):
        job = self.quick_job({"from": self.url("missing"), "to": "a"})
        result = self.run_exec("touch", "started", job=job)
        self.check_failure(result, 20, "missing")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "started")))

    def test_interrupted_before_it_starts(self):
        self.box.fault({"delay_ms": 5000}, times=-1)
        process = self.begin("touch", "started")
        time.sleep(0.6)
        process.send_signal(signal.SIGTERM)
        self.check_failure(self.finish(process), 143, "SIGTERM")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "started")))


class Signals(Exec):
    TRAPS = ("for s in HUP INT QUIT TERM USR1 USR2; do trap \"echo $s; exit 40\" $s; done; "
             ": > up; while :; do sleep 0.02; done")

    def test_each_is_passed_on(self):
        for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
            with self.subTest(name):
                process = self.begin(*BARE, "sh", "-c", self.TRAPS)
                self.wait_for("up")
                os.unlink(os.path.join(self.folder, "up"))
                process.send_signal(getattr(signal, f"SIG{name}"))
                result = self.finish(process)
                self.assertEqual((result.code, result.out), (40, f"{name}\n"), result)

    def test_a_command_that_does_not_care(self):
        process = self.begin(*BARE, "sh", "-c", ": > up; exec sleep 60")
        self.wait_for("up")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(process).code, 143)

    def test_a_command_that_takes_its_time(self):
        process = self.begin(*BARE, "sh", "-c", "trap 'sleep 0.5; echo clean; exit 0' TERM; : > up; "
                                                "while :; do sleep 0.02; done")
        self.wait_for("up")
        process.send_signal(signal.SIGTERM)
        result = self.finish(process)
        self.assertEqual((result.code, result.out), (0, "clean\n"), result)


class Secrets(Exec):
    def test_environment_has_none(self):
        """What the kernel shows of the child, not what the child shows of itself."""
        sas = self.sas(permissions="r")
        job = self.quick_job({"from": self.url("a"), "to": "a", "sas_env": "INPUT_SAS"},
                             identity={"type": "token", "vault_token_env": "VAULT_TOKEN",
                                       "storage_token_env": "STORAGE_TOKEN"})
        secrets = {"INPUT_SAS": sas, "VAULT_TOKEN": self.token("https://vault.azure.net"),
                   "STORAGE_TOKEN": self.token("https://storage.azure.com"),
                   "AZURE_CLIENT_SECRET": self.box["client_secret"], "DECANT_JOB": json.dumps(job)}
        process = self.begin(*BARE, "sh", "-c", "echo $$ > pid.new; mv pid.new pid; while ! test -e go; do sleep 0.02; done",
                             job=job, environment={**secrets, "AZURE_CLIENT_ID": "kept", "MY_OWN": "kept"})
        pid = int(self.wait_for("pid"))
        with open(f"/proc/{pid}/environ", "rb") as file:
            seen = dict(each.split(b"=", 1) for each in file.read().split(b"\0") if each)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read()
        self.file("go", "")
        result = self.finish(process)
        self.assertEqual(result.code, 0, result)
        for name, value in secrets.items():
            self.assertNotIn(name.encode(), seen)
            self.assertNotIn(value.encode(), b"\n".join([*seen.values(), arguments]))
        self.assertEqual((seen[b"MY_OWN"], seen[b"AZURE_CLIENT_ID"]), (b"kept", b"kept"))

    def test_the_environment_of_decant_itself(self):
        """What decant was started with holds them all; not even root, with the rights it has in a container, can look there."""
        if os.geteuid() != 0:
            print("skipped: only root can give up rights of root's")
            self.skipTest("not root")
        result = self.sh("cat /proc/$PPID/comm; cat /proc/$PPID/environ /proc/$PPID/mem > /dev/null",
                         around=["setpriv", "--inh-caps=-all", "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,"
                                 "+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"])
        self.assertEqual((result.code, result.out), (1, "decant\n"), result)
        self.assertEqual(result.err.count("Permission denied"), 2, result)

    def test_no_descriptor_of_ours(self):
        result = self.run_exec(*BARE, "ls", "/proc/self/fd")
        self.assertEqual(result.out.split(), ["0", "1", "2", "3"], result)  # 3: ls reads the folder


class Sealing(Exec):
    """What the workload leaves below the volume, sealed when it ends."""

    def output(self, name, **members):
        return {"from": name, "to": self.url(f"{name}/"), "key": self.key.versionless, **members}

    def sealing_job(self, *outputs):
        return self.exec_job(outputs=list(outputs))

    MAKE = "mkdir {v}/out {v}/logs; tr a-z A-Z < {v}/a > {v}/out/x; echo log > {v}/logs/y; "

    def make(self, then, *outputs, **details):
        return self.sh(self.MAKE.format(v=self.volume) + then, job=self.sealing_job(*outputs), **details)

    def test_success_seals_all(self):
        path = os.path.join(self.folder, "report.json")
        result = self.make("exit 0", self.output("out"), self.output("logs", when="always"), options=["--report", path])
        self.assertEqual(result.code, 0, result)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["seal"]["files"], 2)
        back = self.temporary("/dev/shm")
        self.good(job=self.quick_job({"from": self.url("out/"), "to": "back"}, volume={"path": back}),
                  files={"back/x": self.text.upper()}, volume=back)

    def test_failure_seals_what_is_always_sealed(self):
        result = self.make("exit 5", self.output("out"), self.output("logs", when="always"))
        self.assertEqual(result.code, 5, result)
        seen = [event["event"] for event in result.events()]
        self.assertLess(seen.index("not_sealed"), seen.index("sealed"))
        back = self.temporary("/dev/shm")
        self.good(job=self.quick_job({"from": self.url("logs/"), "to": "back"}, volume={"path": back}),
                  files={"back/y": b"log\n"}, volume=back)
        self.assertEqual(self.box.log("storage", "PUT", "/out/"), [])

    def test_failure_without_that_seals_nothing(self):
        result = self.make("kill -9 $$", self.output("out"))
        self.assertEqual(result.code, 137, result)
        self.assertEqual(self.box.log("storage", "PUT"), [])

    def test_ours_if_sealing_failed(self):
        for then in ("exit 0", "exit 5"):
            with self.subTest(then):
                self.box.control("reset")
                self.empty()
                self.box.fault({"status": 403}, method="PUT", times=-1)
                result = self.make(then, self.output("out", when="always"))
                self.assertEqual(result.code, 21, result)
                self.assertRegex(result.sentence, f"the command ended with {then[-1]}, but its outputs are not sealed")

    def test_an_output_that_the_command_did_not_make(self):
        result = self.sh("exit 0", job=self.sealing_job(self.output("nothing")))
        self.assertEqual(result.code, 20, result)
        self.assertIn("nothing", result.sentence)

    def test_only_outputs(self):
        job = self.sealing_job(self.output("out"))
        del job["inputs"]
        result = self.sh(f"mkdir {self.volume}/out; echo 1 > {self.volume}/out/x", job=job)
        self.assertEqual(result.code, 0, result)
        self.assertNotEqual(self.box.log("storage", "PUT", "/out/x"), [])

    def test_sigterm_while_sealing(self):
        self.box.fault({"delay_ms": 8000}, method="PUT", times=-1)
        process = self.begin(*BARE, "sh", "-c", self.MAKE.format(v=self.volume) + ": > up", job=self.sealing_job(self.output("out")))
        self.wait_for("up")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        self.check_failure(self.finish(process), 143, "SIGTERM")
        self.assertEqual(self.box.log("storage", "PUT", "comp=blocklist"), [])


class ProcessOne(Exec):
    """In a PID namespace of its own, as in a container."""

    def setUp(self):
        why = can_unshare()
        if why:
            self.skipTest(f"no PID namespace here: {why}")
        super().setUp()

    def environment(self, **changes):
        """The leak sanitizer cannot look at process 1."""
        return super().environment(**{"ASAN_OPTIONS": "exitcode=99:detect_leaks=0", **changes})

    AROUND = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

    def test_status(self):
        result = self.sh("cat /proc/1/comm; exit 9", around=self.AROUND)
        self.assertEqual((result.code, result.out), (9, "decant\n"), result)

    def test_orphans_are_reaped(self):
        """Twenty grandchildren end after their parents did: process 1 inherits them, and none stays a zombie."""
        script = ("i=0; while [ $i -lt 20 ]; do (sleep 0.1 & ); i=$((i+1)); done; sleep 1; "
                  "for s in /proc/[0-9]*/status; do grep -H '^State:.*Z' $s; done; echo checked")
        result = self.sh(script, around=self.AROUND)
        self.assertEqual((result.code, result.out), (0, "checked\n"), result)

    def test_sigterm(self):
        """The kernel drops what process 1 has no handler for: it must be passed on all the same."""
        process = self.begin(*BARE, "sh", "-c", "trap 'exit 41' TERM; : > up; while :; do sleep 0.02; done", around=self.AROUND)
        self.wait_for("up")
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
        self.assertEqual(self.finish(process).code, 41)

    def test_missing_command(self):
        self.check_failure(self.run_exec("no-such-command", around=self.AROUND), 50, "no-such-command")


if __name__ == "__main__":
    unittest.main()
