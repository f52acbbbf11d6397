"""A rerun fetches only what is not right any more."""

import json
import os
import unittest

from harness import Case, signal, time


class Resume(Case):
    def setUp(self):
        super().setUp()
        self.files = {f"{number}": self.plain(1000 * (number + 1)) for number in range(4)}
        for name, content in self.files.items():
            self.put(f"set/{name}", content)

    def rerun(self, kept, files=None, **parts):
        self.box.control("reset")
        result = self.good(job=self.job(self.url("set/"), **parts), files=files or self.files)
        self.assertEqual(result.summary["kept"], kept, result)
        self.assertEqual(result.summary["files"], len(files or self.files))
        self.assertEqual(len(self.reads()), len(files or self.files) - kept)
        return result

    def test_everything_is_kept_and_no_key_released(self):
        self.rerun(0)
        self.rerun(4)
        self.assertEqual(self.releases(), [])

    def test_a_changed_blob_is_fetched(self):
        self.rerun(0)
        self.files["2"] = self.plain(77)
        self.put("set/2", self.files["2"])
        self.rerun(3)

    def test_a_touched_file_is_fetched(self):
        self.rerun(0)
        path = os.path.join(self.volume, "1")
        os.chmod(path, 0o640)
        with open(path, "r+b") as file:
            file.write(b"x")
        os.chmod(path, 0o440)
        self.rerun(3)

    def test_a_missing_file_is_fetched(self):
        self.rerun(0)
        os.unlink(os.path.join(self.volume, "0"))
        self.rerun(3)

    def test_new_demands_are_met(self):
        """What was kept must be what the job asks for now."""
        self.put("one", b"worth it")
        self.good(job=self.quick_job({"from": self.url("one")}))
        self.bad(31, "the job says", job=self.quick_job({"from": self.url("one"), "size": 3}))
        result = self.good(job=self.quick_job({"from": self.url("one"), "size": 8}))
        self.assertEqual(result.summary["kept"], 1)

    def test_a_key_that_is_no_longer_allowed(self):
        self.rerun(0)
        self.bad(14, "does not allow", job=self.job(self.url("set/"), keys=[{"kid": self.key.versionless + "x"}]))

    def test_after_a_kill(self):
        """Sealed files of a killed run are adopted by the next one."""
        self.box.fault({"delay_ms": 5000}, path="set/3", method="GET")
        process = self.start([], self.job(self.url("set/"), limits={"parallel": 2}))
        for _ in range(100):
            staged = os.path.join(self.volume, ".decant", "stage", "tree")
            if os.path.isdir(staged) and len(os.listdir(staged)) == 3:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual([name for name in os.listdir(self.volume) if name != ".decant"], [])
        result = self.rerun(3)
        self.assertEqual(json.loads(result.out)["kept"], 3)


if __name__ == "__main__":
    unittest.main()
