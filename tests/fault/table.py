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
import threading
import time
import typing

import campaign
import lane
import scene

RESULTS = os.path.join(scene.HERE, "results")
FULL = bool(os.environ.get("FAULT_FULL"))
WRITE_EACH = 5
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


def run(cases, jobs=JOBS, note=lambda row: None):
    """The rows of CASES in their order; NOTE hears of each when it is there."""
    places = queue.Queue()
    lanes = [lane.Lane(number) for number in range(min(jobs, len(cases)))]
    for each in lanes:
        places.put(each)

    def one(case):
        place = places.get()
        try:
            row = play(place, case)
        finally:
            places.put(place)
        note(row)
        return row

    try:
        with concurrent.futures.ThreadPoolExecutor(max(1, len(lanes))) as pool:
            return list(pool.map(one, cases))
    finally:
        for each in lanes:
            each.close()


class Results:
    """What complete runs found, in a file that an interrupted one goes on with."""

    def __init__(self, name):
        self.path, self.lock, self.start = os.path.join(RESULTS, name + ".json"), threading.Lock(), time.monotonic()
        self.about, self.rows = {"commits": [], "builds": [], "seconds": 0}, []
        if os.path.exists(self.path):
            with open(self.path, encoding="ascii") as file:
                kept = json.load(file)
            self.about, self.rows = kept["about"], kept["rows"]

    def write(self, rows):
        with self.lock:
            now = time.monotonic()
            for name, value in (("commits", campaign.commit()), ("builds", os.path.basename(os.path.dirname(scene.harness.DECANT)))):
                if value not in self.about[name]:
                    self.about[name].append(value)
            self.about["seconds"] += round(now - self.start)
            self.about["date"] = time.strftime("%Y-%m-%d", time.gmtime())
            self.start, self.rows = now, rows
            os.makedirs(RESULTS, exist_ok=True)
            lines = ",\n".join("  " + json.dumps(row, ensure_ascii=True) for row in rows)
            with open(self.path + ".new", "w", encoding="ascii") as file:
                file.write(f'{{"about": {json.dumps(self.about)},\n "rows": [\n{lines}\n ]}}\n')
            os.replace(self.path + ".new", self.path)


def run_missing(name, cases):
    """All of CASES that have no good row yet; the rows of all."""
    results, lock = Results(name), threading.Lock()
    wanted = {(case.group, case.name): case for case in cases}
    rows = {}
    for row in results.rows:
        case = wanted.get((row["group"], row["case"]))
        if case and "finding" not in row and (row["code"], row.get("note", "")) == (case.expected, case.note):
            rows[case.group, case.name] = row

    def in_order():
        return [rows[key] for key in wanted if key in rows]

    def note(row):
        with lock:
            rows[row["group"], row["case"]] = row
            if len(rows) % WRITE_EACH == 0:
                results.write(in_order())

    run([case for key, case in wanted.items() if key not in rows], note=note)
    results.write(in_order())
    return in_order()


def check(test, name, cases, per_group):
    """The body of a test: a sample of CASES; or all of them, of which the results are kept."""
    chosen = sample(cases, per_group)
    rows = run_missing(name, cases) if FULL and len(chosen) == len(cases) else run(chosen)
    print(f"{name}: {len(rows)} of {len(cases)} cases")
    test.assertEqual([f"{row['group']}: {row['case']}: {row['finding']}" for row in rows if "finding" in row], [])
