"""decant wait: until a job has published whole, or failed; then another command in its place."""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

from harness import DECANT, SOON_S, Case

BARE = ["env", "-u", "LD_PRELOAD"]


class Wait(Case):
    def setUp(self):
        super().setUp()
        self.text = self.plain(3000)
        self.put("a", self.text)
        self.ready_file = os.path.join(self.volume, ".decant", "ready.json")

    def publish(self):
        self.good(job=self.quick_job({"from": self.url("a"), "to": "a"}))

    def begin(self, *arguments, path=None, environment=None):
        return subprocess.Popen([DECANT, "wait", path or self.ready_file, *arguments], cwd=self.folder,
                                env=self.environment(**(environment or {})), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(self, *arguments, **details):
        return self.finish(self.begin(*arguments, **details))

    def timed(self, process):
        start = time.monotonic()
        result = self.finish(process)
        return result, time.monotonic() - start

    # ---- Ready ----

    def test_already_there(self):
        self.publish()
        result = self.wait("--timeout", "5")
        self.assertEqual((result.code, result.out), (0, ""), result)

    def test_comes_later(self):
        process = self.begin("--timeout", "60")
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        self.publish()
        result, seconds = self.timed(process)
        self.assertEqual(result.code, 0, result)
        self.assertLess(seconds, SOON_S)

    def test_relative_path(self):
        self.publish()
        link = os.path.join(self.folder, "mnt")
        os.symlink(self.volume, link)
        self.assertEqual(self.wait("--timeout", "5", path="mnt/.decant/ready.json").code, 0)

    def test_becomes_the_command(self):
        """The same process: nobody stands between the container's runtime and the workload."""
        self.publish()
        process = self.begin("--", *BARE, "sh", "-c", "echo $$; cat; exit 17")
        out, _ = process.communicate(b"from outside\n", 60)
        self.assertEqual((process.returncode, out.decode()), (17, f"{process.pid}\nfrom outside\n"))

    def test_the_command_has_all_of_its_environment(self):
        self.publish()
        result = self.wait("--", *BARE, "sh", "-c", "echo $AZURE_CLIENT_SECRET $MINE",
                           environment={"AZURE_CLIENT_SECRET": "of-the-command", "MINE": "too"})
        self.assertEqual(result.out, "of-the-command too\n", result)

    def test_the_command_takes_signals_as_usual(self):
        self.publish()
        result = self.wait("--", *BARE, "sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status")
        for line in result.out.splitlines():
            self.assertEqual(int(line.split()[1], 16) & 0x5002, 0, result)  # INT, PIPE, TERM

    def test_command_that_cannot_be_started(self):
        self.publish()
        self.check_failure(self.wait("--", "no-such-command"), 50, "no-such-command", "No such file")

    # ---- Not ready ----

    def test_time_out(self):
        process = self.begin("--timeout", "1", "--", "touch", "started")
        result, seconds = self.timed(process)
        self.check_failure(result, 22, "time is up", "ready\\.json is not there", "--timeout")
        self.assertTrue(0.5 < seconds < 5, seconds)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "started")))

    def test_a_file_that_is_missing_or_cut(self):
        """What is listed must be there, in its size; when it comes, the wait is over."""
        self.publish()
        path = os.path.join(self.volume, "a")
        os.rename(path, path + ".away")
        self.check_failure(self.wait("--timeout", "1"), 22, "a is not there in its whole size")
        with open(path, "wb") as file:
            file.write(self.text[:-1])
        self.check_failure(self.wait("--timeout", "1"), 22, "a is not there in its whole size")
        process = self.begin("--timeout", "60")
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        os.rename(path + ".away", path)
        self.assertEqual(self.finish(process).code, 0)

    def test_a_ready_file_that_is_cut(self):
        self.publish()
        with open(self.ready_file, "rb") as file:
            whole = file.read()
        os.unlink(self.ready_file)
        for size in (0, 1, len(whole) // 2, len(whole) - 2):
            with open(self.ready_file, "wb") as file:
                file.write(whole[:size])
            with self.subTest(size=size):
                self.check_failure(self.wait("--timeout", "1"), 22, "not of decant's form")

    def slow_rerun(self):
        """Another run over what an earlier one published, still at work."""
        self.publish()
        self.put("a", self.plain(5000))
        self.box.fault({"delay_ms": 3000}, method="GET", path=self.container, times=1)
        working = self.start([], self.quick_job({"from": self.url("a"), "to": "a"}))
        self.comes(os.path.join(self.volume, ".decant", "stage"))
        return working

    def comes(self, path):
        until = time.monotonic() + 30
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), until, f"no {path}")
            time.sleep(0.02)

    def test_an_earlier_run_s_ready_file_is_not_enough(self):
        """While the next run is at work: its files may replace those at any moment."""
        working = self.slow_rerun()
        self.assertTrue(os.path.exists(self.ready_file))
        self.check_failure(self.wait("--timeout", "1"), 22, "a run is at work")
        waiting = self.begin("--timeout", "60", "--", *BARE, "wc", "-c", os.path.join(self.volume, "a"))
        self.assertEqual(self.finish(working).code, 0)
        self.assertEqual(self.finish(waiting).out.split()[0], "5000")

    def test_after_a_killed_run_the_next_one_counts(self):
        working = self.slow_rerun()
        working.kill()
        working.communicate()
        self.check_failure(self.wait("--timeout", "1"), 22, "or was killed")
        self.publish()
        self.assertEqual(self.wait("--timeout", "5").code, 0)

    def test_a_volume_that_is_mounted_later(self):
        """Neither the folder nor the volume is there when the wait begins."""
        place = os.path.join(self.folder, "mnt")
        process = self.begin("--timeout", "60", path=os.path.join(place, "plain", ".decant", "ready.json"))
        time.sleep(0.5)
        os.mkdir(place)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        self.publish()
        os.symlink(self.volume, os.path.join(place, "plain"))
        self.assertEqual(self.finish(process).code, 0)

    def test_signals_end_the_wait(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            process = self.begin()
            time.sleep(0.5)
            process.send_signal(number)
            result, seconds = self.timed(process)
            self.check_failure(result, code, "interrupted")
            self.assertLess(seconds, SOON_S)

    # ---- Failed ----

    def fail_a_job(self):
        return self.bad(20, job=self.quick_job({"from": self.url("missing"), "to": "b"}), untouched=False)

    def test_a_failed_job_ends_it_at_once(self):
        process = self.begin("--", "touch", "started")
        time.sleep(0.3)
        failed = self.fail_a_job()
        result, seconds = self.timed(process)
        self.check_failure(result, 20, "the job failed: decant run: ", "missing")
        self.assertIn(failed.sentence.rstrip("."), result.sentence)
        self.assertLess(seconds, SOON_S)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "started")))

    def test_the_next_run_takes_the_mark_away(self):
        self.fail_a_job()
        self.assertEqual(self.wait("--timeout", "5").code, 20)
        self.publish()
        self.assertEqual(self.wait("--timeout", "5").code, 0)

    def test_a_run_that_is_not_let_in_leaves_no_mark(self):
        """Another decant is at work on the volume: its failure is not that one's."""
        self.box.fault({"delay_ms": 4000}, method="GET", times=-1)
        working = self.start([], self.quick_job({"from": self.url("a"), "to": "a"}))
        time.sleep(1)
        refused = self.run_decant(job=self.quick_job({"from": self.url("a"), "to": "a"}))
        self.assertIn("another decant", refused.sentence)
        self.assertFalse(os.path.exists(os.path.join(self.volume, ".decant", "failed.json")))
        working.send_signal(signal.SIGTERM)
        self.finish(working)

    def test_every_waiter_hears_of_it(self):
        processes = [self.begin("--timeout", "60") for _ in range(3)]
        timer = threading.Timer(0.5, self.publish)
        timer.start()
        self.assertEqual([self.finish(each).code for each in processes], [0, 0, 0])
        timer.join()

    def test_a_mark_has_no_secret(self):
        job = self.quick_job(self.url("missing") + "?" + self.sas(permissions="r"), identity={"type": "none"})
        job["inputs"][0]["to"] = "b"
        self.run_decant(job=job)
        with open(os.path.join(self.volume, ".decant", "failed.json"), encoding="utf-8") as file:
            text = file.read()
        self.assert_no_secret(text)
        self.assertEqual(json.loads(text)["exit_code"], 20)


class Usage(Case):
    def test_refused(self):
        for arguments, words in ((["wait"], "READY-FILE is missing"), (["wait", "a", "b"], "unexpected argument"),
                                 (["wait", "a", "--"], "command"), (["wait", "a", "--timeout", "x"], "seconds"),
                                 (["wait", "a", "-c", "job"], "does not take|unknown option")):
            with self.subTest(arguments):
                self.check_failure(self.run_decant(*arguments), 2, words)


if __name__ == "__main__":
    unittest.main()
