"""The examples of README.md, run as they stand, against the sandbox that these tests share."""

import os
import re
import subprocess
import unittest

from common import SandboxTest, control

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BY_OTHERS = {"Start": "test_start.py: this command ends only when it is told to", "Tests": "it is what runs this"}
TIMEOUT_S = 120


def examples():
    """The commands of each section but those."""
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as file:
        sections = re.split(r"(?m)^## (.*)\n", file.read())[1:]
    for title, text in zip(sections[::2], sections[1::2]):
        if title not in BY_OTHERS:
            yield from re.findall(r"```sh\n(.*?)```", text, re.S)


class Examples(SandboxTest):
    def test_examples(self):
        script = "set -eu\n" + "\n".join(examples()).replace("/tmp/sandbox", self.world.state)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=os.path.dirname(FOLDER),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertIn("train/greeting.txt", done.stdout)
        self.assertIn("encryptiondata", done.stdout)
        control("reset")


if __name__ == "__main__":
    unittest.main()
