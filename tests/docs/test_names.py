"""What the documentation names exists: source files, tests, rooms, commands; and its tables of exit codes agree."""

import json
import os
import re
import unittest

import blocks
from blocks import ROOT

SOURCE = re.compile(r"`([\w-]+(?:/[\w-]+)*\.[ch])`")
TEST = re.compile(r"`(tests/[\w./-]+)::(\w+)`")
CODE_ROW = re.compile(r"^\| (\d+(?:, \d+)*) \| ([^|]*) \|", re.MULTILINE)


def text_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def sources():
    """Every C file, as a path below src (room/file.c) or the root (tests/…)."""
    found = set()
    for top in ("src", "tests", "scripts"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            base = os.path.relpath(folder, os.path.join(ROOT, top) if top == "src" else ROOT)
            found |= {os.path.normpath(os.path.join(base, name)) for name in names if name.endswith((".c", ".h"))}
    return found


def stale_sources(text, known):
    """Names in backticks of C files that are not there. A bare name in the row of a room is one of that room."""
    stale = []
    for line in text.split("\n"):
        room = re.match(r"\| `(\w+)` \|", line)
        for name in SOURCE.findall(line):
            if room and "/" not in name:
                good = f"{room[1]}/{name}" in known
            else:
                name = name.removeprefix("src/")
                good = name in known or ("/" not in name and any(path.endswith("/" + name) for path in known))
            if not good:
                stale.append(name)
    return stale


def missing_tests(text):
    """Tests as FILE::NAME that are not there; in a test written as a table, NAME is a word of it."""
    missing = []
    for path, name in TEST.findall(text):
        where = os.path.join(ROOT, path)
        if not os.path.exists(where) or not re.search(rf"\b(def|void) {name}\b", text_of(path)):
            missing.append(f"{path}::{name}")
    return missing


class Names(unittest.TestCase):
    def test_source_files(self):
        known = sources()
        for page in blocks.pages():
            with self.subTest(page):
                self.assertEqual([], stale_sources(text_of(page), known))

    def test_stale_ones_are_found(self):
        known = {"job/run.c", "main.c", "tests/unit/peer.h"}
        text = "`job/run.c` `src/job/run.c` `run.c` `tests/unit/peer.h`\n| `job` | x | `run.c` |\n"
        self.assertEqual([], stale_sources(text, known))
        text = "`job/keyring.c` `gone.c`\n| `job` | x | `main.c` |\n"
        self.assertEqual(["job/keyring.c", "gone.c", "main.c"], stale_sources(text, known))

    def test_tests(self):
        named = sum(len(TEST.findall(text_of(page))) for page in blocks.pages())
        self.assertGreater(named, 50)
        for page in blocks.pages():
            with self.subTest(page):
                self.assertEqual([], missing_tests(text_of(page)))
                for path in re.findall(r"`(tests/[\w./-]+)`", text_of(page)):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)

    def test_missing_ones_are_found(self):
        here = "tests/docs/test_names.py"
        self.assertEqual([f"{here}::nothing", "tests/gone.py::test_tests"],
                         missing_tests(f"`{here}::test_tests` `{here}::nothing` `tests/gone.py::test_tests`"))

    def test_every_defence_names_its_tests(self):
        """A row of the threat model without a test would be a claim."""
        rows = text_of("docs/security.md").partition("## Who can do what")[2].partition("\n## ")[0]
        rows = [row for row in rows.split("\n") if row.startswith("| ") and not row.startswith(("| attack", "|---"))]
        self.assertGreater(len(rows), 30)
        for row in rows:
            self.assertIn("`tests/", row.split("|")[3], row)

    def test_rooms(self):
        """docs/architecture.md has a row for each folder of src, and only for those."""
        listed = text_of("docs/architecture.md").partition("## Rooms")[2].partition("\n## ")[0]
        self.assertEqual({entry.name for entry in os.scandir(os.path.join(ROOT, "src")) if entry.is_dir()},
                         set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE)))

    def test_top_pages_are_there_and_reached(self):
        for page in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
            self.assertTrue(text_of(page).startswith("# "), page)
        readme = text_of("README.md")
        for page in blocks.pages():
            if re.match(r"docs/|[A-Z]+\.md$", page) and page != "README.md":
                self.assertTrue(page in readme, f"README.md does not lead to {page}")


class Job(unittest.TestCase):
    def test_every_member_is_told(self):
        """docs/job.md speaks of each member of docs/job.schema.json."""
        schema, page = json.loads(text_of("docs/job.schema.json")), text_of("docs/job.md")
        names = set(schema["properties"])
        parts = [*schema["properties"].values(), *(schema["$defs"][name] for name in ("key", "input", "output"))]
        for part in parts:
            names |= set(part.get("properties", {}))
        self.assertGreater(len(names), 40)
        self.assertEqual([], [name for name in sorted(names) if not re.search(rf"[`.\"]{re.escape(name)}\b", page)])


class ExitCodes(unittest.TestCase):
    @staticmethod
    def codes(page):
        return {int(code) for row in CODE_ROW.findall(text_of(page).partition("## Exit codes")[2].partition("\n## ")[0])
                for code in row[0].split(",")}

    def test_tables_agree(self):
        """README.md, docs/operations.md and the program's own list."""
        base = text_of("src/base/base.h")
        own = {int(code) for code in re.findall(r"\bE_\w+ = (\d+)", base)} | {0}
        self.assertGreater(len(own), 15)
        for page in ("README.md", "docs/operations.md"):
            with self.subTest(page):
                self.assertEqual(own, self.codes(page) & own)
                self.assertLessEqual(self.codes(page) - own, {50, 130, 143})


if __name__ == "__main__":
    unittest.main()
