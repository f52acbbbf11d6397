"""The commands that the documentation shows: the code blocks of Markdown pages marked sh or console, as shell commands.

A block marked sh holds commands only. In one marked console, commands stand behind "$ ", the rest is what they print. Blocks
without a mark, and all others, are no commands.
"""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Command:
    def __init__(self, page, line, text, shown=None):
        self.page, self.line, self.text, self.shown = page, line, text, shown

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text}"


class Block:
    def __init__(self, page, line, language, lines):
        self.page, self.line, self.language, self.lines = page, line, language, lines

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def pages():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()
    return sorted(page for page in listed if os.path.exists(os.path.join(ROOT, page)))


def blocks(page):
    """Fenced and indented code blocks; an indented one has the language ""."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        lines = file.read().split("\n")
    at, after_blank = 0, True
    while at < len(lines):
        fence = re.match(r"(\s*)```(\w*)$", lines[at])
        if fence:
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```")
            indent = len(fence[1])
            yield Block(page, at + 2, fence[2] or "text", [line[indent:] for line in lines[at + 1:end]])
            at, after_blank = end + 1, False
        elif after_blank and lines[at].startswith("    ") and not re.match(r"\s+([-*|]|\d+\.) ", lines[at]):
            end = next((i for i in range(at, len(lines)) if lines[i].strip() and not lines[i].startswith("    ")), len(lines))
            yield Block(page, at + 1, "", [line[4:] for line in lines[at:end]])
            at, after_blank = end, False
        else:
            after_blank = not lines[at].strip()
            at += 1


def complete(text):
    if text.rstrip().endswith("\\"):
        return False
    check = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return not re.search("unexpected end of file|unexpected EOF|delimited by end-of-file", check.stderr)


def logical(lines):
    """(offset, text): what belongs to one command: continued lines, quotes, here-documents, loops."""
    at = 0
    while at < len(lines):
        start, text = at, lines[at]
        while at + 1 < len(lines) and not complete(text):
            at += 1
            text += "\n" + lines[at]
        yield start, text
        at += 1


def sh_commands(block):
    for offset, text in logical(block.lines):
        if text.strip() and not text.lstrip().startswith("#"):
            yield Command(block.page, block.line + offset, text)


def console_commands(block):
    """Each with what the page says that it prints."""
    starts = [at for at, line in enumerate(block.lines) if line.startswith("$ ")] + [len(block.lines)]
    for start, end in zip(starts, starts[1:]):
        lines = [block.lines[start][2:], *block.lines[start + 1:end]]
        offset, text = next(logical(lines))
        rest = lines[offset + text.count("\n") + 1:]
        yield Command(block.page, block.line + start, text, "\n".join(rest))


def commands(page):
    for block in blocks(page):
        if block.language == "sh":
            yield from sh_commands(block)
        elif block.language == "console":
            yield from console_commands(block)
