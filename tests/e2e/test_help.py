"""Help fits a screen and says what there is: no option without help, no help without an option.

Needs no sandbox. DECANT is the program.
"""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DECANT = os.environ.get("DECANT", os.path.join(ROOT, "build-check", "decant"))
LINES_MAX, COLUMNS_MAX = 40, 100


def decant(*arguments):
    result = subprocess.run([DECANT, *arguments], capture_output=True, text=True, timeout=60, check=False,
                            stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


def commands():
    listed = decant("--help")[1].partition("\nCommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)


def options_in_help(text):
    ours = re.sub(r" -- .*", "", text)      # behind it stand another program's
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", ours))


def options_in_source():
    with open(os.path.join(ROOT, "src", "cli", "options.c"), encoding="utf-8") as source:
        table = source.read().partition("} rules[] = {")[2].partition("};")[0]
    return dict(re.findall(r'\{"([a-z-]+)",[^,]*,[^,]*,\s*(TEXT|FLAG|TAKE)', table))


class Help(unittest.TestCase):
    def test_each_fits_a_screen(self):
        self.assertIn("run", commands())
        for arguments in (["--help"], *([command, "--help"] for command in commands())):
            with self.subTest(arguments):
                code, out, err = decant(*arguments)
                self.assertEqual((code, err), (0, ""))
                self.assertTrue(out.endswith("\n"))
                lines = out.splitlines()
                self.assertLessEqual(len(lines), LINES_MAX)
                for line in lines:
                    self.assertLessEqual(len(line), COLUMNS_MAX, line)
                    self.assertEqual(line, line.rstrip())
                    self.assertNotIn("\t", line)

    def test_short_forms(self):
        self.assertEqual(decant("-h"), decant("--help"))
        self.assertEqual(decant("help"), decant("--help"))
        self.assertEqual(decant("run", "-h"), decant("run", "--help"))

    def test_options_and_help_agree(self):
        known = options_in_source()
        self.assertGreater(len(known), 5)
        told = set().union(*(options_in_help(decant(command, "--help")[1]) for command in commands()))
        self.assertEqual(told, set(known))
        self.assertLessEqual(options_in_help(decant("--help")[1]), set(known) | {"version"})

    def test_options_take_values_or_not(self):
        for name, kind in options_in_source().items():
            with self.subTest(name):
                command = next(each for each in commands() if name in options_in_help(decant(each, "--help")[1]))
                code, _, err = decant(command, f"--{name}" if kind != "FLAG" else f"--{name}=x")
                self.assertEqual(code, 2)
                if kind != "FLAG":
                    self.assertIn(f"--{name} wants a value", err)

    def test_without_anything_it_helps_on_standard_error(self):
        code, out, err = decant()
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(err, decant("--help")[1])

    def test_version(self):
        code, out, err = decant("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Adecant \d+\.\d+\.\d+\n\Z")

    def test_unknown_words(self):
        for arguments, word in ((["pour"], "unknown command"), (["run", "--no-such"], "unknown option --no-such"),
                                (["run", "-x"], "unknown option"), (["run", "word"], 'unexpected argument \\"word\\"')):
            with self.subTest(arguments):
                code, out, err = decant(*arguments)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(word, err)
                self.assertIn("--help", err)

    def test_an_unknown_command_cannot_command_the_terminal(self):
        for form in ([], ["--log-format", "text"]):
            code, _, err = decant("\x1b[2Jrun", *form)
            self.assertEqual(code, 2)
            self.assertNotIn("\x1b", err)


if __name__ == "__main__":
    unittest.main()
