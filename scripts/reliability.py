#!/usr/bin/python3
"""docs/reliability.md from the results of complete runs: `make fault FAULT_FULL=1 && scripts/reliability.py --write docs/reliability.md`.

The results are in tests/fault/results: what `make fault FAULT_FULL=1` found, case by case. Without --write the page is printed.
"""

import itertools
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "fault"))

import campaign  # noqa: E402
import network  # noqa: E402
import preload  # noqa: E402
import table  # noqa: E402
import tamper  # noqa: E402
import upload  # noqa: E402
import volume  # noqa: E402

HEAD = """# Reliability: what was made to fail, and what came of it

Every table here is made of the results of runs, which are in `tests/fault/results`; a test compares. What holds in every case: no crash,
no sanitizer's report, no leak, no secret in the output, and after a failure nothing published and nothing left on the volume. A number is
the exit code (`docs/operations.md` tells what each means). `build-check` is the program with the address and undefined-behaviour
sanitizers, `build-fault` with the leak sanitizer alone.

```sh
make fault                      # a sample of each table, by dice (FAULT_SEED repeats one); make check does this
make fault FAULT_FULL=1         # all of it
scripts/reliability.py --write docs/reliability.md
```
"""
COLUMNS = {
    "identity: token for the vault": "IMDS, vault", "identity: token for storage": "IMDS, storage", "entra: token": "Entra",
    "thim: certificates": "THIM", "kds: VCEK": "KDS, VCEK", "kds: chain": "KDS, chain", "attestation: token": "attest",
    "vault: release": "release", "sidecar: evidence": "sidecar, evidence", "sidecar: key": "sidecar, key",
    "storage: listing": "list", "storage: properties": "HEAD", "storage: range": "range", "storage: manifest": "manifest"}
MERGED = ((r"cut after \d+ bytes of the headers, once", "cut in the headers, after 1, 12, 17, 40, 100 bytes, once"),
          (r"cut after \d+ KiB of the body, once", "cut after each KiB of the body, once"))
CALLS = {"calls": "`decant run` with attestation, release, a listing, a digest and a gzip input.",
         "seal-calls": "`decant seal` of three files for a key of the vault, with a manifest."}
CLASSES = {"memory": "memory", "openssl": "OpenSSL", "curl": "libcurl", "parsers": "parsers (expat, cJSON, zlib)", "files": "files",
           "system": "system (sockets, threads, device …)"}


def made(about):
    return (f"Run at commit {', '.join(about['commits'])}, up to {about['date']}, in {about['seconds']} s; {', '.join(about['builds'])}.\n")


def how_many(name, kept):
    """A complete run that was interrupted says so."""
    total = len(TABLES[name])
    return f"{total} runs." if len(kept.rows) == total else f"{len(kept.rows)} of {total} cases; a complete run goes on with the others."


def grid(head, rows):
    line = "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n"
    return line + "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in rows)


def codes_of(codes):
    """1: 12, 41: 3 … in words."""
    return ", ".join(f"{code}: {count}" for code, count in sorted(codes.items(), key=campaign.by_code))


# ---- Calls ----

def calls_rows(kept):
    rows = []
    for group, title in CLASSES.items():
        of_class = [row for row in kept["calls"] if row["class"] == group and row["failed"]]
        codes = {}
        for row in of_class:
            for code, count in row["codes"].items():
                codes[code] = codes.get(code, 0) + count
        rows.append((title, len(of_class), sum(row["failed"] for row in of_class), codes_of(codes)))
    return rows


def unfinished(kept):
    """One sentence about what a complete run would still do."""
    rows, functions = {row["call"]: row for row in kept["calls"]}, [name for _, name in preload.table()]
    complete = [name for name in functions if name in rows and rows[name]["complete"]]
    if len(complete) == len(functions):
        return "All functions are through.\n"
    begun = [f"`{name}` {rows[name]['next'] - 1} of {rows[name]['of']} calls, spread evenly" if "of" in rows[name]
             else f"`{name}` up to its call number {rows[name]['next'] - 1}"
             for name in functions if name in rows and not rows[name]["complete"] and rows[name]["next"] > 1]
    return (f"{len(complete)} of {len(functions)} functions are through (of some, no call is made in this run)"
            f"{'; ' if begun else ''}{', '.join(begun)}. The step goes on where it ended.\n")


def calls():
    text = """
## Calls

Call number N = 1, 2, 3 … of each function fails, one in each run, until a run ends without having reached it (`tests/fault/calls.h` lists
the functions; memory, files and system also where libraries call). Allowed is 0 where a failure can be lived with; a lack of memory must end with
0, 1 or 41. "leak in OpenSSL" are runs in which OpenSSL 3.0 lost a block of its own when its memory ran out.
"""
    for name, what in CALLS.items():
        with open(os.path.join(table.RESULTS, name + ".json"), encoding="ascii") as file:
            kept = json.load(file)
        text += f"\n{what} Run at commit {kept['commit']}, up to {kept['date']}, in {kept['seconds']} s; build-fault.\n\n"
        text += grid(("class", "functions", "failing calls", "exit codes: runs"), calls_rows(kept)) + "\n" + unfinished(kept)
    return text


# ---- Network ----

def merged(name):
    return next((title for pattern, title in MERGED if re.fullmatch(pattern, name)), name)


def network_rows(rows, columns):
    cells = {}
    for row in rows:
        cells.setdefault(merged(row["case"]), {}).setdefault(row["group"], []).append(row["code"])
    found = []
    for name, by_request in cells.items():
        line = []
        for request in columns:
            codes = sorted(set(by_request.get(request, [])))
            line.append("/".join(map(str, codes)) or "–")
        found.append((name, *line))
    return sorted(found, key=lambda row: not row[0].endswith("once"))


def network_part():
    kept = table.Results("network")
    text = f"""
## Network

Each request, broken in each way: once (or a few times), which a run has to get over, or for good. {how_many('network', kept)} Runs that
would wait end by a time limit of {table_limit()} s.

{made(kept.about)}
"""
    return text + grid(("what happens", *COLUMNS.values()), network_rows(kept.rows, COLUMNS)) + upload_part()


def upload_part():
    kept = table.Results("upload")
    text = f"""
The same of `decant seal`, over three files with a manifest (before a file of more than 4 MiB is sent, its name is looked for): after
a failure no blob is there, not even of a commit whose answer got lost. {how_many('upload', kept)}

{made(kept.about)}
"""
    columns = {name: name.split(": ", 1)[1] for name in dict.fromkeys(row["group"] for row in kept.rows)}
    return text + grid(("what happens", *columns.values()), network_rows(kept.rows, columns))


def table_limit():
    return network.LIMITS_S[0]


# ---- Volume, signals, tamper matrix ----

def volume_rows(rows):
    """Neighbours that differ in their number only, and end alike, are one row."""
    split = []
    for row in rows:
        match = re.match(r"(\d+) (MiB|inodes)(.*)", row["case"])
        split.append((row["group"], match[3] if match else None, row["code"], int(match[1]) if match else None,
                      (match[2] + match[3]) if match else row["case"]))
    found = []
    for (group, _, code, title), same in itertools.groupby(split, key=lambda each: (each[0], each[1], each[2], each[4])):
        numbers = [each[3] for each in same]
        prefix = "" if numbers[0] is None else f"{numbers[0]} " if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]} "
        found.append((group, prefix + title, code))
    return found


def volume_part():
    kept = table.Results("volume")
    text = f"""
## Volume

A tmpfs of its own for each case. {how_many('volume', kept)}

{made(kept.about)}
"""
    return text + grid(("", "volume", "exit code"), volume_rows(kept.rows))


def signals_part():
    kept = table.Results("signals")
    text = f"""
## Signals

At random moments between start and end of a complete run with attestation and release, over six blobs. {sum(row['runs'] for row in kept.rows)} runs.

{made(kept.about)}
"""
    return text + grid(("signal", "runs", "end"), [(row["signal"], row["runs"], row["end"]) for row in kept.rows])


TITLES = {"envelope": "Envelopes: a blob of three regions, client-side encryption 2.0", "substitution": "What the format cannot tell",
          "token": "The attestation service's token", "release": "The vault's answer", "evidence": "Report, certificates, endorsement"}


def tamper_part():
    kept = table.Results("tamper")
    text = f"""
## Tamper matrix

One thing is changed, and the whole program runs against it. Where the format itself cannot tell the change, the run succeeds, and the row
names what in the job closes it; the rows with it follow.

{how_many('tamper', kept)}

{made(kept.about)}"""
    for group, title in TITLES.items():
        rows = [(row["case"], row["code"], row.get("note", "")) for row in kept.rows if row["group"] == group]
        text += f"\n### {title}\n\n" + grid(("changed", "exit code", ""), rows)
    return text


TABLES = {"network": network.CASES, "upload": upload.CASES, "volume": volume.CASES, "tamper": tamper.CASES}


def page():
    return HEAD + calls() + network_part() + volume_part() + signals_part() + tamper_part()


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--write":
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write(page())
        return 0
    if len(sys.argv) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
