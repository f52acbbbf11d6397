"""cmake --install into a prefix of one's own. DECANT lies in the folder that it was built in."""

import os
import subprocess
import tempfile
import unittest

BUILT = os.path.dirname(os.path.abspath(os.environ["DECANT"]))
EXPECTED = ("share/man/man1/decant.1", "share/decant/job.schema.json", "share/doc/decant/README.md", "share/doc/decant/SECURITY.md",
            "share/doc/decant/job.md", "share/doc/decant/security.md", "share/doc/decant/copyright",
            "share/bash-completion/completions/decant", "share/zsh/vendor-completions/_decant",
            "share/fish/vendor_completions.d/decant.fish")


class Install(unittest.TestCase):
    def test_prefix(self):
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run(["cmake", "--install", BUILT, "--prefix", prefix], check=True, capture_output=True, timeout=120)
            said = subprocess.run([os.path.join(prefix, "bin/decant"), "--version"], check=True, capture_output=True, text=True,
                                  timeout=60).stdout
            self.assertRegex(said, r"^decant \d+\.\d+\.\d+\n$")
            for name in EXPECTED:
                self.assertGreater(os.path.getsize(os.path.join(prefix, name)), 0, name)


if __name__ == "__main__":
    unittest.main()
