#!/usr/bin/env python3
"""Judges what scripts/coverage.sh counted.

usage: coverage.py corpus GCOVR-JSON          each parser's lines that the fuzz corpora run
       coverage.py all GCOVR-JSON CODES       all lines of src/, and the exit codes that were seen ("CODE COMMAND" a line)
"""

import collections
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WANTED = 90.0  # percent
# What no input brings about: the allocator, OpenSSL or this program itself fails. tests/fault makes these happen.
NOT_BY_INPUT = re.compile(r"\b(fail|fail_errno|fail_openssl)\(\w*e, E_BUG,|no memory|memory_ran_out")


def read(path):
    """file → {line: how often}, of the lines that are code."""
    files = {}
    with open(path, encoding="utf-8") as file:
        for each in json.load(file)["files"]:
            lines = collections.defaultdict(int)
            for line in each["lines"]:
                if not line.get("gcovr/noncode"):
                    lines[line["line_number"]] += line["count"]
            files[each["file"]] = lines
    return files


def percent(lines):
    return 100.0 * sum(count > 0 for count in lines.values()) / len(lines) if lines else 100.0


def ranges(numbers):
    """[3, 4, 5, 9] → "3-5,9"."""
    out = []
    for n in numbers:
        if out and n == out[-1][1] + 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def functions(path):
    """name → lines, of the functions that begin at the left margin and end with a } there."""
    found, start = {}, None
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        name = re.match(r"[a-z].*?\b(\w+)\(", line)
        if name and not line.endswith(";"):
            start, called = number, name[1]
        elif line == "}" and start:
            found[called] = range(start, number + 1)
            start = None
    return found


def parsers():
    """tests/fuzz/parsers: path → names of functions that are no parser there, and why is written beside them."""
    for line in (ROOT / "tests" / "fuzz" / "parsers").read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words[0], words[1:]


def corpus(files):
    bad = []
    print(f"{'parser':32} {'lines':>6} {'run':>7}   not run; (in brackets: no input does that)")
    for path, left_out in parsers():
        lines = dict(files[path])
        where = functions(path)
        for name in left_out:
            for number in where[name]:
                lines.pop(number, None)
        source = (ROOT / path).read_text(encoding="utf-8").splitlines()
        missing = [number for number, count in sorted(lines.items()) if not count]
        never = [n for n in missing if NOT_BY_INPUT.search(source[n - 1])]
        rest = [n for n in missing if n not in never]
        print(f"{path:32} {len(lines):6} {percent(lines):6.1f}%   {ranges(rest)}{' (' + ranges(never) + ')' if never else ''}")
        if percent(lines) < WANTED:
            bad.append(path)
    if bad:
        sys.exit(f"below {WANTED} % of the lines: {', '.join(bad)}")


def statuses():
    text = (ROOT / "src" / "base" / "base.h").read_text(encoding="utf-8")
    found = dict(re.findall(r"\b(OK|E_\w+) = (\d+),", text))
    return {int(code): name for name, code in found.items()} | {143: "E_INTERRUPTED by SIGTERM"}


def seen_codes(path):
    """`exec` hands its command's status on: of its own it has only 50."""
    with open(path, encoding="ascii") as file:
        pairs = [line.split() for line in file]
    return collections.Counter(int(code) for code, *command in pairs if command != ["exec"] or code == "50")


def total(files, codes):
    rooms = collections.defaultdict(dict)
    for path, lines in files.items():
        rooms[path.split("/")[1]].update({(path, n): count for n, count in lines.items()})
    for room, lines in sorted(rooms.items()):
        print(f"  {room:14} {len(lines):6} lines {percent(lines):6.1f}%")
    every = {key: count for lines in rooms.values() for key, count in lines.items()}
    print(f"  {'all of src':14} {len(every):6} lines {percent(every):6.1f}%")
    seen = seen_codes(codes)
    print("exit codes: " + ", ".join(f"{code} ({seen[code]} times)" for code in sorted(statuses())))
    missing = [f"{code} {name}" for code, name in statuses().items() if not seen[code]]
    if missing:
        sys.exit(f"no run ended with: {', '.join(missing)}")
    if percent(every) < WANTED:
        sys.exit(f"below {WANTED} % of the lines")


def main():
    if sys.argv[1] == "corpus":
        corpus(read(sys.argv[2]))
    else:
        total(read(sys.argv[2]), sys.argv[3])


main()
