"""How the program was built, from its own headers (readelf). DECANT is a release build."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DECANT = os.environ.get("DECANT", os.path.join(ROOT, "build", "decant"))


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, DECANT], capture_output=True, text=True, check=True).stdout


class Binary(unittest.TestCase):
    def test_position_independent(self):
        self.assertRegex(readelf("-h"), r"Type:\s+DYN")
        self.assertRegex(readelf("-d"), r"FLAGS_1\).*\bPIE\b")

    def test_relocations_are_read_only_and_bound_at_the_start(self):
        self.assertIn("GNU_RELRO", readelf("-l"))
        self.assertRegex(readelf("-d"), r"BIND_NOW|FLAGS_1\).*\bNOW\b")

    def test_nothing_is_writable_and_executable(self):
        segments = re.findall(r"^\s+(LOAD|GNU_STACK)\s.*\s([R ][W ][E ])\s+0x\w+$", readelf("-l"), re.MULTILINE)
        self.assertIn("GNU_STACK", dict(segments))
        self.assertGreater(len(segments), 3)
        for kind, flags in segments:
            self.assertFalse("W" in flags and "E" in flags, (kind, flags))
            self.assertFalse(kind == "GNU_STACK" and "E" in flags)
        self.assertNotIn("TEXTREL", readelf("-d"))

    def test_control_flow(self):
        if os.uname().machine != "x86_64":
            self.skipTest("x86-64 only")
        # The note of the whole program says so only where the C library's start files do, which Debian's do not:
        # so the landing pads are counted. Those files alone bring fewer than ten.
        with open(DECANT, "rb") as file:
            self.assertGreater(file.read().count(b"\xf3\x0f\x1e\xfa"), 500)

    def test_stack_protector_and_checked_functions(self):
        symbols = readelf("--dyn-syms")
        self.assertIn("__stack_chk_fail", symbols)
        self.assertRegex(symbols, r"__\w+_chk@")

    def test_no_library_paths_of_the_builder(self):
        self.assertNotRegex(readelf("-d"), r"\((RPATH|RUNPATH)\)")

    def test_no_hooks(self):
        """What stops and what spares secrets exists in the build of test_memory.py only."""
        with open(DECANT, "rb") as file:
            self.assertNotIn(b"DECANT_TEST_", file.read())


if __name__ == "__main__":
    unittest.main()
