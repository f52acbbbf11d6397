"""Tables of cases: run some or all of them side by side, and keep what came of each for docs/reliability.md.

A case belongs to a group and has a name, the exit code that the contract wants, and a function of a lane that plays it, gives
the Result, and raises AssertionError where anything else than the exit code is wrong.
"""

import concurrent.futures
import dataclasses
import json
import os
import queue
import random
import time
import typing

import campaign
import lane
import scene

RESULTS = os.path.join(scene.HERE, "results")
FULL = bool(os.environ.get("FAULT_FULL"))
JOBS = int(os.environ.get("FAULT_JOBS", "2"))


@dataclasses.dataclass
class Case:
    group: str
    name: str
    expected: typing.Any                # exit code
    play: typing.Callable
    slow: bool = False                  # waits for long: only with FAULT_FULL
    note: str = ""                      # for the document

    @property
    def key(self):
        return f"{self.group}: {self.name}"


def seed():
    chosen = int(os.environ.get("FAULT_SEED", int.from_bytes(os.urandom(4), "big")))
    print(f"FAULT_SEED={chosen}", flush=True)
    return random.Random(chosen)


def sample(cases, per_group):
    """PER_GROUP quick cases of each group, by dice; with FAULT_FULL all there are. FAULT_CASE: those whose name has it."""
    wanted = os.environ.get("FAULT_CASE")
    if wanted:
        return [case for case in cases if wanted in case.key]
    if FULL:
        return list(cases)
    dice, groups = seed(), {}
    for case in cases:
        if not case.slow:
            groups.setdefault(case.group, []).append(case)
    return [case for group in groups.values() for case in dice.sample(group, min(per_group, len(group)))]


def play(place, case):
    """One row: what came of CASE."""
    row = {"group": case.group, "case": case.name, "expected": case.expected, "code": None}
    if case.note:
        row["note"] = case.note
    try:
        place.fresh()
        result = case.play(place)
        row["code"] = result.code
        if result.code != case.expected:
            row["finding"] = f"exit {result.code}: {place.words_of(result)}"
    except (AssertionError, OSError) as error:
        row["finding"] = str(error)[:3000]
    if "finding" in row:
        print(f"{case.key}: {row['finding']}", flush=True)
    return row


def run(cases, jobs=JOBS):
    """The rows of CASES in their order."""
    places = queue.Queue()
    lanes = [lane.Lane(number) for number in range(min(jobs, len(cases)))]
    for each in lanes:
        places.put(each)

    def one(case):
        place = places.get()
        try:
            return play(place, case)
        finally:
            places.put(place)

    try:
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            return list(pool.map(one, cases))
    finally:
        for each in lanes:
            each.close()


def keep(name, rows, seconds, **more):
    """What a complete run found, for the document."""
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, name + ".json")
    about = {"commit": campaign.commit(), "date": time.strftime("%Y-%m-%d", time.gmtime()), "seconds": round(seconds), **more}
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=True) for row in rows)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f'{{"about": {json.dumps(about)},\n "rows": [\n{lines}\n ]}}\n')
    os.replace(path + ".new", path)


def kept(name):
    with open(os.path.join(RESULTS, name + ".json"), encoding="ascii") as file:
        return json.load(file)


def check(test, name, cases, per_group):
    """The body of a test: a sample of CASES, or all of them; then the results are kept."""
    chosen = sample(cases, per_group)
    start = time.monotonic()
    rows = run(chosen)
    if FULL and len(rows) == len(cases):
        keep(name, rows, time.monotonic() - start)
    print(f"{name}: {len(rows)} of {len(cases)} cases")
    test.assertEqual([f"{row['group']}: {row['case']}: {row['finding']}" for row in rows if "finding" in row], [])
