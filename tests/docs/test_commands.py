"""Every command of the documentation is run, or this says who else runs it, or why nobody can.

A page is one session of a shell, in a mount namespace with an empty tmpfs at /mnt/plain, where the sandbox plays Azure under its
public names (a proxy and a CA of its own). Azure's and Kubernetes' own tools are stand-ins that check their words against
azure.json. DECANT is the program.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

import blocks
from blocks import ROOT
from world import World

SESSION_S = 300

# Who else runs a command, by its first words. "make" and a target: that the target exists is checked here.
ELSEWHERE = (
    (r"make (check|demo|bench|interop|fuzz|fault|image|release)\b", "make"),
    (r"make( |$)", "make"),
    (r"cmake -S \. -B build -DCMAKE_BUILD_TYPE=Release", "the step lint builds it so"),
    (r"sudo apt-get install|apt-get install", "no need where this runs: scripts/setup.sh does it"),
    (r"git clone ", "a clone is what this runs in"),
    (r"tests/bench/run\.sh", "make bench"),
    (r"tests/interop/run\.sh", "the step interop"),
    (r"deploy/(image|test)", "the steps image and pods"),
    (r"docker build ", "the Dockerfile is built by the step image; docker itself needs a registry"),
    (r"scripts/(check|quality|setup|release|reliability)", "make check"),
)
BY_ITS_OWN_TEST = {"sandbox/README.md": "sandbox/tests/test_readme.py"}
# Where a failure is what the page shows: page, pattern of the command, exit code.
EXPECTED = {}


def elsewhere(command):
    return next((who for pattern, who in ELSEWHERE if re.match(pattern, command.text)), None)


class Pages(unittest.TestCase):
    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)

    def session(self, page, commands, folder):
        """Exit code and output of each command, one shell for all."""
        script, log = os.path.join(folder, ".session"), os.path.join(folder, ".log")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"exec 9>{log}\nshopt -s expand_aliases\n")
            for number, command in enumerate(commands):
                out = os.path.join(folder, f".out-{number}")
                file.write(f"export SHOWN={'1' if command.shown is not None else ''}\n{{\n{command.text}\n}} >{out} 2>{out}.err </dev/null\necho {number} $? >&9\n")
        mounted = "mount -t tmpfs -o mode=755 docs /mnt && mkdir /mnt/plain && exec bash " + script
        subprocess.run(["unshare", "-m", "bash", "-c", mounted], cwd=folder, env=self.world.environment(folder),
                       timeout=SESSION_S, check=False, stdin=subprocess.DEVNULL)
        with open(log, encoding="ascii") as file:
            codes = dict(map(int, line.split()) for line in file)
        return [(codes.get(number), self.output(folder, number)) for number in range(len(commands))]

    @staticmethod
    def output(folder, number):
        text = ""
        for suffix in ("", ".err"):
            path = os.path.join(folder, f".out-{number}{suffix}")
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text

    def check_page(self, page):
        own = [command for command in blocks.commands(page) if not elsewhere(command)]
        for command in blocks.commands(page):
            if elsewhere(command) == "make":
                self.check_target(command)
        if not own or page in BY_ITS_OWN_TEST:
            return
        folder = tempfile.mkdtemp(prefix="decant-docs-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.world.furnish(page, folder)
        for command, (code, output) in zip(own, self.session(page, own, folder)):
            with self.subTest(str(command)):
                wanted = next((code for (where, pattern), code in EXPECTED.items()
                               if where == page and re.search(pattern, command.text)), 0)
                self.assertEqual(code, wanted, f"{command}\n{output[-3000:]}")
                self.check_shown(command, output)

    def check_target(self, command):
        words = command.text.partition("#")[0].split()
        target = words[1] if len(words) > 1 else "all"
        with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
            self.assertRegex(file.read(), rf"(?m)^{re.escape(target)}:", str(command))

    def check_shown(self, command, output):
        """Each line that the page shows was printed, but for what differs from run to run."""
        for line in (command.shown or "").split("\n"):
            words = re.sub(r"[\d.:T-]+Z\b|[0-9a-f]{4,}…?|\d+|…", "\0", line.strip())
            if words and "…}" not in line:
                pattern = ".*?".join(re.escape(part) for part in words.split("\0"))
                self.assertRegex(output, pattern, f"{command}: shows what is not printed")

    def test_all_pages(self):
        self.assertGreater(len(blocks.pages()), 5)
        for page in blocks.pages():
            with self.subTest(page):
                self.check_page(page)


class Convention(unittest.TestCase):
    """A command outside of a block marked sh or console would not be run."""

    PROGRAMS = re.compile(r"(decant (run|seal|exec|wait|key|attest|policy|inspect|doctor)|make|cmake|az|kubectl|podman|docker|"
                          r"curl|python3|scripts/|tests/\w+/\w+\.(sh|py)|git|apt-get|sudo) \S")

    def test_commands_are_marked(self):
        for page in blocks.pages():
            for block in blocks.blocks(page):
                if block.language == "":
                    for line in block.lines:
                        with self.subTest(f"{page}:{block.line}"):
                            self.assertIsNone(self.PROGRAMS.match(line), f"{page}:{block.line}: mark this block as sh, console or "
                                              f"text: {line}")


class Links(unittest.TestCase):
    def test_files_that_pages_name_are_there(self):
        for page in blocks.pages():
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                text = file.read()
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                with self.subTest(page=page, target=target):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, os.path.dirname(page), target)), f"{page}: {target}")
            for target in re.findall(r"`((?:docs|src|scripts|tests|sandbox|samples|deploy)/[\w./-]+\.\w+)`", text):
                with self.subTest(page=page, target=target):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, target)), f"{page}: {target}")


if __name__ == "__main__":
    unittest.main()
