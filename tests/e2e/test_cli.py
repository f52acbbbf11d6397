"""The command line, and everything that a run says."""

import json
import os
import pty
import re
import select
import subprocess
import time

from harness import DECANT, SOON_S, Case, Result


class Arguments(Case):
    def test_help(self):
        for arguments in (["--help"], ["run", "--help"], ["run", "-h"], ["help"], ["-h"]):
            with self.subTest(arguments=arguments):
                result = self.run_decant(*arguments)
                self.assertEqual((result.code, result.err), (0, ""), result)
                self.assertIn("decant run", result.out)
                self.assertLessEqual(len(result.out.splitlines()), 40)
                self.assertLessEqual(max(map(len, result.out.splitlines())), 100)

    def test_no_arguments(self):
        result = self.run_decant()
        self.assertEqual((result.code, result.out), (2, ""))
        self.assertIn("decant run", result.err)

    def test_version(self):
        result = self.run_decant("--version")
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertRegex(result.out, r"\Adecant \d+\.\d+\.\d+\n\Z")

    def test_wrong_ones(self):
        cases = [(["pour"], "unknown command", "--help"), (["run", "--frm", "x"], "unknown option --frm"), (["run", "-x"], "option"),
                 (["run", "-c"], "wants a value"), (["run", "--to"], "wants a value"), (["run", "more"], "unexpected argument"),
                 (["run", "--from", "https://a/b/c"], "--from and --to"), (["run", "--to", "x"], "--from and --to"),
                 (["run", "--from", "https://a/b/c", "--to", "/x"], "--attestation"),
                 (["run", "-c", "x", "--from", "y"], "exclude each other"), (["run", "--timeout", "soon"], "--timeout"),
                 (["run", "--timeout", "-1"], "--timeout"), (["run", "--timeout", "1s"], "--timeout"),
                 (["run", "--log-format", "xml"], "--log-format"), (["run", "--log-level", "loud"], "--log-level")]
        for arguments, *words in cases:
            with self.subTest(arguments=arguments):
                self.bad(2, *words, arguments=arguments)

    def test_options_after_the_job(self):
        self.put("a", self.plain())
        path = self.file("job", json.dumps(self.quick_job(self.url("a"))))
        for arguments in (["run", f"--job={path}", "--dry-run"], ["run", "--dry-run", f"-c{path}"]):
            self.assertEqual(self.run_decant(*arguments).code, 0)


class Logs(Case):
    def setUp(self):
        super().setUp()
        self.put("s/a", self.plain())
        self.put("s/b c", self.plain(100000))

    def test_json_when_not_on_a_terminal(self):
        result = self.good(job=self.job(self.url("s/")))
        events = result.events()
        self.assertEqual(len(events), len(result.err.splitlines()))
        self.assertEqual([event["event"] for event in events if event["event"] in ("volume", "evidence", "attested", "released")],
                         ["volume", "evidence", "attested", "released"])
        for event in events:
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(event["level"], ("error", "warn", "info", "debug"))

    def test_text(self):
        result = self.good("--log-format", "text", job=self.job(self.url("s/")))
        for line in result.err.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) \w+( [\w.]+=.+)*$")

    def test_levels(self):
        job = self.job(self.url("s/"))
        lines = []
        for level in ("error", "warn", "info", "debug"):
            self.empty()
            lines.append(len(self.good("--log-level", level, job=job).err.splitlines()))
        self.assertEqual(lines[0], 0)
        self.assertEqual(sorted(lines), lines)
        self.assertLess(lines[2], lines[3])

    def test_the_last_words_at_every_level(self):
        job = self.quick_job(self.url("none"))
        for level in ("error", "warn", "info", "debug"):
            self.bad(20, "BlobNotFound", arguments=["--log-level", level], job=job)
        result = self.bad(20, arguments=["--log-format", "text", "--log-level", "error"], job=job)
        self.assertEqual(result.err, result.sentence + "\n")
        event = self.bad(20, arguments=["--log-format", "json"], job=job).events()[-1]
        self.assertEqual((event["event"], event["exit_code"], event["service_code"]), ("failed", 20, "BlobNotFound"))
        self.assertRegex(event["request_id"], "^[0-9a-f-]{36}$")
        self.assertNotIn("(null)", event)

    def test_last_words_have_no_empty_members(self):
        event = self.bad(2, job={}).events()[-1]
        self.assertEqual(set(event), {"time", "level", "event", "message", "exit_code"})

    def test_debug_tells_no_secret(self):
        sas = self.sas()
        self.box.fault({"status": 503}, path="/s/", times=2)
        self.good("--log-level", "debug", job=self.job(f"{self.url('s/')}?{sas}"))


class Reports(Case):
    def test_success(self):
        self.put("a", self.plain(70000))
        path = os.path.join(self.folder, "report.json")
        result = self.good("--report", path, job=self.job(self.url("a")))
        with open(path, encoding="ascii") as file:
            text = file.read()
        self.assertEqual(text, result.out)
        summary = json.loads(text)
        self.assertEqual((summary["files"], summary["bytes"], summary["keys"]), (1, 70000, 1))
        for name in ("attest_ms", "release_ms", "total_ms", "requests", "retries", "stored_bytes"):
            self.assertGreaterEqual(summary[name], 0)
        self.assertGreaterEqual(summary["total_ms"], summary["release_ms"])

    def test_failure(self):
        path = self.file("report.json", "old and much longer than what is written over it" * 100)
        result = self.bad(20, arguments=["--report", path], job=self.quick_job(self.url("none")))
        with open(path, encoding="ascii") as file:
            report = json.load(file)
        self.assertEqual((report["result"], report["exit_code"]), ("failed", 20))
        self.assertEqual(report["message"], result.sentence)
        self.assertEqual(report["service_code"], "BlobNotFound")
        self.assertTrue(report["remedy"] and report["request_id"])

    def test_a_report_that_cannot_be_written(self):
        self.put("a", self.plain())
        """Told before the run: afterwards its files would be there in spite of the failure."""
        self.bad(2, "report /nonexistent/report", arguments=["--report", "/nonexistent/report"],
                 job=self.quick_job(self.url("a")))
        self.assertEqual([entry for entry in self.box.log() if entry["service"] != "control"], [])

    def test_a_report_into_a_pipe(self):
        self.put("a", self.plain())
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        result = self.good("--report", path, job=self.quick_job(self.url("a")))
        self.assertEqual(reader.communicate(timeout=10)[0], result.out)

    def test_termination_log(self):
        path = self.file("termination-log", "old" * 1000)
        result = self.bad(20, job=self.quick_job(self.url("none")),
                          environment={"DOUBLE_FILES": f"/dev/termination-log={path}"})
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read().strip(), result.sentence)

    def test_termination_log_of_a_success(self):
        self.put("a", self.plain())
        path = self.file("termination-log", "")
        self.good(job=self.quick_job(self.url("a")), environment={"DOUBLE_FILES": f"/dev/termination-log={path}"})
        self.assertEqual(os.path.getsize(path), 0)

    def test_standard_output_that_is_full(self):
        self.put("a", self.plain())
        path = self.file("job", json.dumps(self.quick_job(self.url("a"))))
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([DECANT, "run", "-c", path], env=self.environment(), stdout=full, stderr=subprocess.PIPE,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stderr)    # what is published stays published
        self.assertIn(b"summary_not_written", done.stderr)


class Streams(Case):
    def run_by_shell(self, redirection):
        path = self.file("job", json.dumps(self.quick_job(self.url("s/"))))
        return subprocess.run(["sh", "-c", f'exec "$0" run -c "$1" {redirection}', DECANT, path], env=self.environment(),
                              capture_output=True, check=False)

    def test_closed_ones(self):
        """No file gets the number of a closed stream, and a log line or two with it."""
        files = {"a": self.plain(300000), "b": self.plain(300000)}
        for name, content in files.items():
            self.put("s/" + name, content)
        for redirection in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(redirection=redirection):
                self.volume = self.temporary("/dev/shm")
                done = self.run_by_shell(redirection)
                self.assertEqual(done.returncode, 0, done)
                self.assert_files(files)

    def test_nobody_reads(self):
        self.put("s/a", self.plain())
        for stream in ("stdout", "stderr"):
            with self.subTest(stream=stream):
                path = self.file("job", json.dumps(self.quick_job(self.url("s/"))))
                reader, writer = os.pipe()
                os.close(reader)
                with open(writer, "wb") as broken:
                    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: broken}
                    done = subprocess.run([DECANT, "run", "-c", path], env=self.environment(), check=False, **streams)
                self.assertEqual(done.returncode, 0, done)


class Terminal(Case):
    def on_a_terminal(self, *arguments, job):
        """(exit code, what the terminal got)."""
        path = self.file("job", json.dumps(job))
        main, terminal = pty.openpty()
        process = subprocess.Popen([DECANT, "run", "-c", path, *arguments], env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        seen, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([main], [], [], 1)[0]:
                try:
                    piece = os.read(main, 65536)
                except OSError:                 # the other end is closed
                    break
                if not piece:
                    break
                seen += piece
        os.close(main)
        out = process.communicate()[0]
        text = seen.decode().replace("\r\n", "\n")
        self.judged(Result(process.returncode, out.decode(), text))
        return process.returncode, text

    def setUp(self):
        super().setUp()
        self.put("s/a", self.plain(3 << 20))
        self.box.fault({"slow_bps": 2 << 20}, method="GET", path="/s/a", times=-1)

    def test_progress(self):
        code, text = self.on_a_terminal(job=self.quick_job(self.url("s/")))
        self.assertEqual(code, 0, text)
        lines = re.findall(r"decanting: ([\d.]+) (\S+) of 3\.0 MiB, 0 of 1 blobs, [\d.]+ \S+/s, \d+ s left", text)
        self.assertGreater(len(lines), 2, text)
        self.assertTrue(text.endswith("\r\x1b[K"), repr(text[-80:]))
        for line in text.split("\n"):
            self.assertNotRegex(line, r"decanting:.*\dZ info")     # a log line never stands behind a progress line

    def test_no_progress(self):
        code, text = self.on_a_terminal("--no-progress", job=self.quick_job(self.url("s/")))
        self.assertEqual(code, 0, text)
        self.assertNotIn("decanting:", text)
        self.assertNotIn("\x1b", text)

    def test_json_on_a_terminal_has_no_progress_line(self):
        code, text = self.on_a_terminal("--log-format", "json", job=self.quick_job(self.url("s/")))
        self.assertEqual(code, 0, text)
        self.assertNotIn("\x1b", text)

    def test_last_words_stand_alone(self):
        self.box.fault({"status": 403}, method="GET", path="/s/a", skip=1)
        self.put("s/b", self.plain(1 << 20))
        self.box.fault({"delay_ms": 700, "status": 403}, method="GET", path="/s/b", times=-1)
        code, text = self.on_a_terminal(job=self.quick_job(self.url("s/")))
        self.assertEqual(code, 21, text)
        self.assertRegex(text.rstrip("\n").split("\n")[-1], r"\A(?:\r|\x1b\[K)*(?:.*\r\x1b\[K)?decant run: .*\.\Z")


class Limits(Case):
    def test_timeout(self):
        self.put("a", self.plain(4 << 20))
        self.box.fault({"slow_bps": 100000}, method="GET", times=-1)
        start = time.monotonic()
        self.bad(22, "limits.timeout_s", job=self.quick_job(self.url("a")), arguments=["--timeout", "1"])
        self.assertLess(time.monotonic() - start, SOON_S)

    def test_timeout_of_zero_is_none(self):
        self.put("a", self.plain())
        self.good("--timeout", "0", job=self.quick_job(self.url("a"), limits={"timeout_s": 1}))

    def test_max_plaintext(self):
        for i in range(3):
            self.put(f"s/{i}", self.plain(900000))
        self.bad(41, "more than 2 MiB", job=self.quick_job(self.url("s/"), limits={"max_plaintext_mib": 2}))
        self.good(job=self.quick_job(self.url("s/"), limits={"max_plaintext_mib": 3}))

    def test_one_worker_and_many(self):
        content = self.plain(20 << 20)
        self.put("a", content)
        for limits in ({"parallel": 1}, {"parallel": 256}, {"memory_mib": 32}, {"memory_mib": 32, "parallel": 1}):
            with self.subTest(limits=limits):
                self.good(job=self.quick_job(self.url("a"), limits=limits), files={"a": content})
