"""Signals at random moments of a complete run: SIGTERM, SIGINT, SIGKILL.

After SIGTERM and SIGINT the volume is as it was, or complete. After SIGKILL no name is partial, and the next run succeeds, with
nothing left of the one before. A row of the results is a signal and an end of the run.
"""

import os
import queue
import signal
import threading
import time

import lane
from scene import harness

RUNS = {"SIGTERM": 200, "SIGINT": 100, "SIGKILL": 200}
CODES = {"SIGTERM": 143, "SIGINT": 130, "SIGKILL": 137}
N = 6


class Campaign:
    """Lanes that are signalled at moments that the dice say, between nothing and a bit more than a whole run takes."""

    def __init__(self, jobs):
        self.places = queue.Queue()
        self.lanes = [lane.Lane(number) for number in range(jobs)]
        self.lock, self.ends, self.findings = threading.Lock(), {}, []
        self.note = lambda rows: None   # hears what there is so far
        for place in self.lanes:
            self.furnish(place)
            self.places.put(place)

    @staticmethod
    def furnish(place):
        place.fresh()
        place.files = {f"{i}/{i}": place.plain(20000 + i) for i in range(N)}
        for name, content in place.files.items():
            place.put("s/" + name, content)
        place.box.fault({"delay_ms": 10}, method="GET", path="/s/", times=-1)
        place.the_job = place.job(place.url("s/"), limits={"parallel": 2})
        start = time.monotonic()
        place.good(job=place.the_job, files=place.files)
        place.whole_s = time.monotonic() - start

    def close(self):
        for place in self.lanes:
            place.close()

    def one(self, name, fraction):
        place = self.places.get()
        try:
            place.empty()
            after = fraction * 1.2 * place.whole_s
            result = self.signalled(place, getattr(signal, name), after)
            if fraction > 0.85 and result.code != 0:    # machines get slower and faster meanwhile
                place.whole_s *= 1.1
            elif fraction < 0.7 and result.code == 0:
                place.whole_s *= 0.9
            end = judge_kill(place, result) if name == "SIGKILL" else judge_stop(place, result, CODES[name])
        except (AssertionError, OSError) as error:
            end = "finding"
            with self.lock:
                self.findings.append(f"{name} after {after:.3f} s: {error}"[:3000])
        finally:
            self.places.put(place)
        with self.lock:
            self.ends[name, end] = self.ends.get((name, end), 0) + 1
            self.note(self.rows())

    @staticmethod
    def signalled(place, number, after):
        process = place.start([], place.the_job)
        timer = threading.Timer(after, process.send_signal, [number])
        timer.start()
        try:
            return place.finish(process)
        finally:
            timer.cancel()

    def run(self, plan):
        """PLAN: (signal's name, moment from 0 to 1) …"""
        work = queue.SimpleQueue()
        for each in plan:
            work.put(each)

        def worker():
            while True:
                try:
                    each = work.get_nowait()
                except queue.Empty:
                    return
                self.one(*each)

        threads = [threading.Thread(target=worker) for _ in self.lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.rows()

    def rows(self):
        return [{"signal": name, "end": end, "runs": count} for (name, end), count in sorted(self.ends.items())]


def judge_stop(place, result, code):
    """A signal that comes before the program has taken hold of it ends it as it ends every program."""
    place.assertIn(result.code, (code, 0), result)
    if result.code == 0:
        place.assert_files(place.files)
        return "exit 0, complete"
    place.assertEqual(harness.tree(place.volume), {})
    place.assertEqual(result.out, "")
    return f"exit {code}, nothing published or left"


def judge_kill(place, result):
    place.assertIn(result.code, (137, 0), result)
    for name, (mode, content) in harness.tree(place.volume).items():
        if mode[0] == "-" and not name.startswith(".decant/"):
            place.assertEqual(content, place.files[name], "a partial file has a name")
    ready = os.path.exists(os.path.join(place.volume, ".decant", "ready.json"))
    named = any(not name.startswith(".decant") for name in harness.tree(place.volume))
    if ready:
        place.assertEqual({each["name"] for each in place.ready()["files"]}, set(place.files))
    place.good(job=place.the_job, files=place.files)
    if result.code == 0:
        return "exit 0, complete"
    how = "complete" if ready else "some whole files" if named else "no file"
    return f"killed; {how} named; the next run succeeds, nothing else is left"


def plan(dice, counts):
    chosen = [(name, dice.random()) for name, count in counts.items() for _ in range(count)]
    dice.shuffle(chosen)
    return chosen
