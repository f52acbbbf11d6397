"""The manual page and the completions say what the program says. DECANT is the program."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DECANT = os.environ["DECANT"]
PAGE = os.path.join(ROOT, "docs", "decant.1")


def output(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, **options).stdout


def commands():
    listed = output(DECANT, "--help").partition("\nCommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)


def options(command):
    """The options that the program's table of COMMAND's help begins lines with."""
    lines = re.findall(r"^ +(?:-\w, )?--.*$", output(DECANT, command, "--help"), re.MULTILINE)
    return {word for line in lines for word in re.findall(r"(?:^| )(--[a-z][a-z-]*)", line)}


class Manual(unittest.TestCase):
    def test_it_is_what_the_help_says(self):
        result = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "manual.py"), DECANT, "--check"],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(0, result.returncode, result.stderr)

    def test_mandoc_has_nothing_to_say(self):
        result = subprocess.run(["mandoc", "-T", "lint", PAGE], capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ""), (result.returncode, result.stdout))

    def test_every_command_and_option_can_be_read(self):
        text = re.sub(r".\x08", "", output("mandoc", "-T", "utf8", "-O", "width=200", PAGE))
        for command in commands():
            part = text.partition(f"   decant {command}\n")[2].partition("\n   decant ")[0]
            for option in options(command):
                self.assertRegex(part, rf"(?m)^ .*{option}\b", command)


class Completion(unittest.TestCase):
    """Each shell itself completes, with the program as `decant` on the path."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        os.symlink(os.path.abspath(DECANT), os.path.join(self.folder, "decant"))
        with open(os.path.join(self.folder, "job.json"), "w", encoding="ascii"):
            pass
        os.mkdir(os.path.join(self.folder, "volume"))
        self.environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": self.folder, "LANG": "C.UTF-8"}

    def shell(self, *words):
        return output(*words, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL)

    def bash(self, *words):
        script = (f"source {ROOT}/completions/decant.bash; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
                  f"COMP_CWORD={len(words) - 1}; _decant; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return set(self.shell("bash", "--norc", "-c", script).split())

    def fish(self, *words):
        script = f"source {ROOT}/completions/decant.fish; complete -C '{' '.join(words)}'"
        return {line.partition("\t")[0] for line in self.shell("fish", "--no-config", "-c", script).splitlines()}

    def zsh(self, *words):
        """The function as it is, with doubles of what hands over the candidates."""
        script = ('compadd() { shift; print -l -- "$@" }; _describe() { print -l -- ${(P)2%%:*} }; _files() { print -l -- *(N) }; '
                  '_command_names() { : }; '
                  f"words=({' '.join(repr(w) for w in words)}); CURRENT={len(words)}; source {ROOT}/completions/_decant")
        return set(self.shell("zsh", "-f", "-c", script).split())

    def each(self):
        return (self.bash, self.fish, self.zsh)

    def test_commands(self):
        for shell in self.each():
            self.assertEqual(set(commands()), shell("decant", "") - {"--help", "--version"}, shell.__name__)

    def test_options(self):
        for shell in self.each():
            for command in commands():
                self.assertEqual(options(command), shell("decant", command, "--") - {"job.json", "volume", "decant"},
                                 f"{shell.__name__} {command}")

    def test_values(self):
        for shell in self.each():
            self.assertEqual({"error", "warn", "info", "debug"}, shell("decant", "run", "--log-level", "") - {"job.json", "decant", "volume/"},
                             shell.__name__)

    def test_files(self):
        for shell in self.each():
            self.assertIn("job.json", shell("decant", "run", "-c", ""), shell.__name__)

    def test_behind_the_dashes_is_somebody_else_s(self):
        self.assertIn("job.json", self.bash("decant", "exec", "--", ""))
        self.assertEqual(set(), self.bash("decant", "exec", "--", "--lo"))

    def test_zsh_reads_its_file(self):
        self.shell("zsh", "-n", f"{ROOT}/completions/_decant")


if __name__ == "__main__":
    unittest.main()
