"""The examples of README.md, run as they stand."""

import os
import re
import subprocess
import unittest

from common import SandboxTest, control

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Examples(SandboxTest):
    def test_examples(self):
        with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
        script = "set -eu\n" + "\n".join(blocks).replace("/tmp/sandbox", self.world.state)
        done = subprocess.run(
            ["bash", "-c", script], cwd=os.path.dirname(FOLDER), capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertIn("train/greeting.txt", done.stdout)
        self.assertIn("encryptiondata", done.stdout)
        control("reset")


if __name__ == "__main__":
    unittest.main()
