"""Started as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from common import call, world

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Start(unittest.TestCase):
    def test_start_and_stop(self):
        with tempfile.TemporaryDirectory() as folder:
            state = os.path.join(folder, "new", "state")
            process = subprocess.Popen(
                [sys.executable, FOLDER, "--state", state, "--seconds", "60", "--keys", world().keys.folder],
                cwd="/",
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                line = process.stdout.readline()
                self.assertIn("sandbox.json", line)
                with open(os.path.join(state, "sandbox.json"), encoding="ascii") as file:
                    told = json.load(file)
                self.assertEqual(call("GET", told["sidecar"] + "/status").status, 200)
                for path in (
                    told["ca_file"],
                    told["security_context"],
                    told["federated_token_file"],
                    *told["device"].values(),
                ):
                    self.assertTrue(os.path.exists(path), path)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(10), 0)
                self.assertFalse(os.path.exists(os.path.join(state, "sandbox.json")))
            finally:
                process.kill()
                process.stdout.close()

    def test_usage(self):
        done = subprocess.run([sys.executable, FOLDER], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--state", done.stderr)


if __name__ == "__main__":
    unittest.main()
