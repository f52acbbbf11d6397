"""A place where cases run one after the other, beside other lanes: a sandbox, a volume and the harness's judgement."""

import re
import shutil

import scene
from scene import harness


class Lane(harness.Case):
    """Not a test itself: what `run_decant`, `put`, `job` … of the harness need. Import the module, not the name: unittest would run it."""

    def runTest(self):
        pass

    def __init__(self, number):
        super().__init__()
        self.box = harness.Box()
        self.number, self.secrets, self.plaintexts = number, [self.box["client_secret"], self.box["account_key"]], []
        self.folder, self.volume = self.temporary(None), self.temporary("/dev/shm")
        self.containers = 0

    def fresh(self):
        """Nothing of the case before is left."""
        self.box.control("reset")
        self.empty()
        self.containers += 1
        self.container = f"lane{self.containers}"
        self.box.control("container", name=self.container)
        self.plaintexts.clear()

    def close(self):
        self.doCleanups()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- What every case has to show ----

    def ended(self, result, expected, files):
        """RESULT has one of the exit codes EXPECTED; after 0 the volume holds FILES, else nothing."""
        codes = expected if isinstance(expected, (tuple, list)) else (expected,)
        self.assertIn(result.code, codes, result)
        if result.code == 0:
            self.assert_files(files)
        else:
            self.check_failure(result, result.code)
            self.assertEqual(harness.tree(self.volume), {}, "something was left on the volume")
        return result

    def words_of(self, result):
        """The last line, without what differs from run to run."""
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4,}", "…", result.sentence)


__all__ = ["Lane", "harness", "scene"]
