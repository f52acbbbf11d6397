"""Signals at many moments: afterwards the volume is as before, or complete."""

import os
import shutil
import signal
import threading
import time

from harness import SOON_S, Case, tree

ABREAST = 4


class Interrupted(Case):
    """Slow services, a handful of files, and a signal at each of many moments."""

    def setUp(self):
        super().setUp()
        self.files = {f"{i}/{i}": self.plain(20000 + i) for i in range(12)}
        for name, content in self.files.items():
            self.put("s/" + name, content)

    def slow_down(self):
        for service, ms in (("attestation", 120), ("vault", 150)):
            self.box.fault({"delay_ms": ms}, service=service, times=-1)
        self.box.fault({"delay_ms": 40}, method="GET", path="/s/", times=-1)

    def run_and_signal(self, number, after, volume):
        process = self.start([], self.job(self.url("s/"), volume={"path": volume}, limits={"parallel": 4}))
        timer = threading.Timer(after, process.send_signal, [number])
        timer.start()
        try:
            return self.finish(process)
        finally:
            timer.cancel()

    def each(self, number, moments, prepare, check):
        """Runs with NUMBER sent after each of MOMENTS, some side by side."""
        failures, slots = [], threading.Semaphore(ABREAST)

        def one(after):
            with slots:
                try:
                    volume = self.temporary("/dev/shm")
                    prepare(volume)
                    check(self.run_and_signal(number, after, volume), volume, after)
                except AssertionError as error:
                    failures.append(f"after {after} s: {error}")

        threads = [threading.Thread(target=one, args=(after,)) for after in moments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def check_whole_or_nothing(self, code, before=None):
        ends = {"done": 0, "stopped": 0}

        def check(result, volume, after):
            self.assertIn(result.code, (code, 0), result)
            if result.code == 0:
                self.assert_files(self.files, volume)
                ends["done"] += 1
            else:
                self.assertEqual(tree(volume), before or {})
                self.assertEqual(result.out, "")
                if result.err.strip() and after > 0.2:
                    self.assertRegex(result.sentence, "interrupted|stopped|signal")
                ends["stopped"] += 1

        return check, ends

    def test_sigterm(self):
        self.slow_down()
        check, ends = self.check_whole_or_nothing(143)
        self.each(signal.SIGTERM, [i * 0.05 for i in range(24)], lambda volume: None, check)
        self.assertGreater(ends["stopped"], 3, ends)

    def test_sigint(self):
        self.slow_down()
        check, ends = self.check_whole_or_nothing(130)
        self.each(signal.SIGINT, [i * 0.1 for i in range(10)], lambda volume: None, check)
        self.assertGreater(ends["stopped"], 2, ends)

    def test_sigterm_over_an_earlier_run(self):
        """The files of the earlier run stay, or all are the new ones."""
        self.good(job=self.job(self.url("s/")), files=self.files)
        before = tree(self.volume)
        for name in self.files:
            self.files[name] = self.plain(30000)
            self.put("s/" + name, self.files[name])
        self.slow_down()
        check, _ = self.check_whole_or_nothing(143, before)

        def prepare(volume):
            os.rmdir(volume)
            shutil.copytree(self.volume, volume, symlinks=True)

        self.each(signal.SIGTERM, [0.2 + i * 0.08 for i in range(12)], prepare, check)

    def test_sigkill(self):
        """Nothing with a name is partial, and the next run succeeds."""
        self.slow_down()
        killed = []

        def check(result, volume, _):
            killed.append(result.code == 137)
            for name, (mode, content) in tree(volume).items():
                if mode[0] == "-" and not name.startswith(".decant/"):
                    self.assertEqual(content, self.files[name])
            if os.path.exists(os.path.join(volume, ".decant", "ready.json")):
                self.assertEqual(len(self.ready(volume)["files"]), len(self.files))
            self.good(job=self.job(self.url("s/"), volume={"path": volume}), files=self.files, volume=volume)

        self.each(signal.SIGKILL, [0.1 + i * 0.12 for i in range(8)], lambda volume: None, check)
        self.assertIn(True, killed)


class WhileAServiceHangs(Case):
    """A stop does not wait for anybody."""

    def setUp(self):
        super().setUp()
        self.put("s/a", self.plain(4 << 20))

    def ends_soon(self, path, action, service, number=signal.SIGTERM, code=143):
        self.box.control("reset")
        self.empty()
        self.box.fault(action, service=service, path=path, times=-1)
        process = self.start([], self.job(self.url("s/")))
        time.sleep(0.8)
        process.send_signal(number)
        start = time.monotonic()
        result = self.finish(process)
        self.assertLess(time.monotonic() - start, SOON_S)
        self.check_failure(result, code, "interrupted|stopped|signal")
        self.assertEqual(tree(self.volume), {})

    def test_each(self):
        late = {"delay_ms": 15000}
        for case, (service, path, action) in {
                "token": ("identity", "", late), "attestation": ("attestation", "", late), "release": ("vault", "release", late),
                "listing": ("storage", "comp=list", late), "read": ("storage", "/s/a", late),
                "trickle": ("storage", "/s/a", {"slow_bps": 2000}),
                "waiting for another try": ("vault", "", {"status": 429, "retry_after": 30})}.items():
            with self.subTest(case=case):
                self.ends_soon(path, action, service)

    def test_sigint(self):
        self.ends_soon("release", {"delay_ms": 15000}, "vault", signal.SIGINT, 130)

    def test_while_the_device_is_busy(self):
        for plays in ("guest", "sev", "tsm"):
            with self.subTest(plays=plays):
                environment = {"DOUBLE_SEV": plays, "DOUBLE_SEV_FAIL": "throttle:100000"}
                process = self.start([], self.job(self.url("s/"), attestation={"evidence": "auto"}), environment)
                time.sleep(0.6)
                process.send_signal(signal.SIGTERM)
                start = time.monotonic()
                self.check_failure(self.finish(process), 143, "SIGTERM")
                self.assertLess(time.monotonic() - start, SOON_S)
                self.assertEqual(tree(self.volume), {})
