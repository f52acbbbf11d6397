"""A place where cases run one after the other, beside other lanes: a sandbox, a volume and the harness's judgement."""

import atexit
import functools
import json
import os
import re
import shutil
import tempfile

import scene
from scene import harness


@functools.cache
def keys():
    if os.environ.get("FAULT_KEYS"):
        return os.environ["FAULT_KEYS"]
    folder = tempfile.mkdtemp(prefix="decant-fault-keys-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Lane(harness.Case):
    """Not a test itself: what `run_decant`, `put`, `job` … of the harness need. Import the module, not the name: unittest would run it."""

    def runTest(self):
        pass

    def __init__(self, number):
        super().__init__()
        self.box = harness.Box("--keys", keys())        # made once: they take longer than many a case
        self.number, self.secrets, self.plaintexts = number, [self.box["client_secret"], self.box["account_key"]], []
        self.folder, self.volume = self.temporary(None), self.temporary("/dev/shm")
        self.containers = 0
        self.shortcut = self.ready_made_pair() if os.path.exists(scene.FAULT) else {}

    def ready_made_pair(self):
        """The ephemeral RSA pair need not be made in each of hundreds of runs: see fault.c."""
        return {"FAULT_PAIR": scene.pair_file(self.folder), "FAULT_STATE": scene.State(os.path.join(self.folder, "state")).path,
                "LD_PRELOAD": " ".join([harness.preload("sev_device", "files"), scene.FAULT])}

    def environment(self, **changes):
        return super().environment(**{**self.shortcut, **changes})

    def fresh(self):
        """Nothing of the case before is left."""
        self.box.control("reset")
        self.empty()
        self.containers += 1
        self.container = f"lane{self.containers}"
        self.box.control("container", name=self.container)
        self.plaintexts.clear()

    def seal(self, job, *arguments):
        path = self.file("seal.json", json.dumps(job))
        return self.finish(self.start(["seal", "-c", path, *arguments]))

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
