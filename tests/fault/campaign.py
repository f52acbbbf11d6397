"""Every call fails once: `python3 tests/fault/campaign.py [--full [--seconds S]] [--seal] [--jobs N] [--results FILE] [--call NAME [--number N]]`.

For each function of calls.h: its call number 1, 2, 3 … fails, one in each run, until a run ends without having reached it.
The complete enumeration writes its counts to FILE and goes on where one that was interrupted, or stopped after S seconds, ended. Without --full: of each
function the first call, the last and one in between, and of the memory's so many that all phases of a run are met.
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import random

import subprocess
import sys
import threading
import time

import judge
import scene
import sealing
from preload import table

ROOT = os.path.dirname(os.path.dirname(scene.HERE))
MEMORY_SAMPLE = 120
CHUNK = 8
MANY = 500          # functions that are called more often than this are done in pieces


class Tally:
    """What came of each function's calls; thread-safe, kept in a file."""

    def __init__(self, path=None):
        self.path, self.lock = path, threading.Lock()
        self.calls, self.failures, self.seconds = {}, [], 0
        if path and os.path.exists(path):
            with open(path, encoding="ascii") as file:
                kept = json.load(file)
            self.calls = {each["call"]: each for each in kept["calls"]}
            self.failures, self.seconds = kept["failures"], kept.get("seconds", 0)

    def note(self, group, call, number, code, finding):
        with self.lock:
            row = self.calls.setdefault(call, {"class": group, "call": call, "failed": 0, "codes": {}, "next": 1,
                                               "complete": False})
            row["failed"] += 1
            row["codes"][str(code)] = row["codes"].get(str(code), 0) + 1
            if finding:
                self.failures.append({"class": group, "call": call, "number": number, "code": code, **finding})

    def progress(self, group, call, following, complete):
        with self.lock:
            row = self.calls.setdefault(call, {"class": group, "call": call, "failed": 0, "codes": {}, "next": 1,
                                               "complete": False})
            row["next"], row["complete"] = following, complete
            self.write()

    def total_of(self, call, count):
        """How many numbers are gone through where the order is not 1, 2, 3 …: a prime a bit over COUNT, the same in each run."""
        with self.lock:
            row = self.calls.setdefault(call, {"class": "memory", "call": call, "failed": 0, "codes": {}, "next": 1, "complete": False})
            if "of" not in row:
                row["of"] = next(number for number in itertools.count(count + CHUNK) if is_prime(number))
            return row["of"]

    def next_of(self, call):
        row = self.calls.get(call)
        return (row["next"], row["complete"]) if row else (1, False)

    def write(self, **more):
        if not self.path:
            return
        more = {"commit": commit(), "date": time.strftime("%Y-%m-%d", time.gmtime()), **more}
        text = json.dumps({"calls": sorted(self.calls.values(), key=lambda row: (row["class"], row["call"])),
                           "failures": self.failures, "seconds": self.seconds, **more}, indent=1)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(text + "\n")
        os.replace(self.path + ".new", self.path)

    def classes(self):
        """class → (functions, failing calls, how often which exit code)."""
        found = {}
        for row in self.calls.values():
            functions, failed, codes = found.setdefault(row["class"], [0, 0, collections.Counter()])
            codes.update(row["codes"])
            found[row["class"]] = [functions + (row["failed"] > 0), failed + row["failed"], codes]
        return found


class Campaign:
    """Lanes that run side by side against one sandbox."""

    def __init__(self, jobs, tally, seconds=None, kind=scene.Lane):
        self.scene, self.tally, self.jobs = kind.scene_of(), tally, jobs
        self.until = time.monotonic() + seconds if seconds else float("inf")
        self.lanes = [kind(self.scene, str(i)) for i in range(jobs)]
        self.free, self.lock = list(self.lanes), threading.Lock()
        self.groups = dict((name, group) for group, name in table())

    def close(self):
        for lane in self.lanes:
            lane.close()
        self.scene.close()

    def baseline(self):
        """How often each function is called in a run in which nothing fails."""
        lane = self.lanes[0]
        lane.empty()
        result = lane.run()
        wrong = lane.after_success()
        if wrong or result.code != 0 or not lane.state.armed:
            raise SystemExit(f"the run without a fault is not good: {wrong}\n{result}")
        return dict(lane.state.counts)

    def one(self, call, number):
        """Fails call NUMBER of CALL; False if no such call was made."""
        with self.lock:
            lane = self.free.pop()
        try:
            lane.empty()
            result = lane.run(call, number)
            if not lane.state.hit:
                return False
            finding = judge.finding(lane, self.groups[call], call, result)
            self.tally.note(self.groups[call], call, number, result.code, finding)
            if finding:
                print(f"{call} {number}: {finding['what']}", flush=True)
            return True
        finally:
            with self.lock:
                self.free.append(lane)

    def each(self, work):
        """Runs (call, number) pairs side by side; says of each whether it was reached."""
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(lambda pair: self.one(*pair), work))

    def complete(self, call, count):
        """Numbers 1, 2 … of CALL, which was called COUNT times when nothing failed, until some in a row are not reached:
        threads make the count vary by a few. Of MANY, evenly spread ones first."""
        following, complete = self.tally.next_of(call)
        step = CHUNK * self.jobs if count > CHUNK else max(1, count)
        while not complete and time.monotonic() < self.until:
            numbers = range(following, following + step)
            if count > MANY:
                reached = self.each([(call, spread(index, self.tally.total_of(call, count))) for index in numbers])
                complete = following + step > self.tally.total_of(call, count)
            else:
                reached = self.each([(call, number) for number in numbers])
                complete = not any(reached)
            following += len(reached)
            self.tally.progress(self.groups[call], call, following, complete)


def is_prime(number):
    return all(number % by for by in range(2, int(number ** 0.5) + 1))


def spread(index, total):
    """The numbers 1 … TOTAL, a prime, each once for INDEX 1 … TOTAL, in an order whose every beginning is spread evenly."""
    return 1 + index * int(total * 0.618) % total


def sample(counts, groups, dice):
    """Of each function the first call, the last and one between; of the memory's, one in each of so many stretches."""
    chosen = []
    for call, count in counts.items():
        if groups[call] == "memory" and count > MANY:
            edges = [1 + count * i // MEMORY_SAMPLE for i in range(MEMORY_SAMPLE + 1)]
            chosen += [(call, dice.randrange(low, max(low + 1, high))) for low, high in zip(edges, edges[1:])]
        else:
            chosen += [(call, number) for number in sorted({1, count, dice.randint(1, count)})]
    return chosen


def commit():
    told = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%h"], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def run_full(campaign, tally, counts):
    start = time.time()
    for _, call in sorted(table(), key=lambda row: (row[0] == "memory", row)):
        campaign.complete(call, counts.get(call, 0))
    whole = all(tally.next_of(call)[1] for _, call in table())
    tally.seconds += round(time.time() - start)
    tally.write(complete=whole)


def by_code(item):
    return (not item[0].isdigit(), int(item[0]) if item[0].isdigit() else 0, item[0])


def show(tally):
    for group, (functions, failed, codes) in sorted(tally.classes().items()):
        text = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items(), key=by_code))
        print(f"{group:8} {functions:3} functions {failed:6} failing calls; exit codes {text}")
    print(f"{len(tally.failures)} findings")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seconds", type=float, help="stop a complete enumeration after so long")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", help="where a complete enumeration keeps its counts")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--seal", action="store_true", help="of decant seal instead of decant run")
    parser.add_argument("--call")
    parser.add_argument("--number", type=int)
    options = parser.parse_args()
    tally = Tally(options.results if options.full else None)
    campaign = Campaign(options.jobs, tally, options.seconds, sealing.Lane if options.seal else scene.Lane)
    try:
        counts = campaign.baseline()
        if options.number:
            campaign.lanes[0].empty()
            result = campaign.lanes[0].run(options.call, options.number)
            print(result, judge.finding(campaign.lanes[0], campaign.groups[options.call], options.call, result), sep="\n")
            return 0
        if options.call:
            campaign.complete(options.call, counts.get(options.call, 0))
        elif options.full:
            run_full(campaign, tally, counts)
        else:
            print(f"seed {options.seed}")
            campaign.each(sample(counts, campaign.groups, random.Random(options.seed)))
    finally:
        campaign.close()
    show(tally)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
