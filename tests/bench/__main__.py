"""The benchmark: rows of downloads and uploads, competitors side by side, alternating, memory warmed before each run.

Writes results.md, results.json and results.png into --to (build/bench). Exit code 0 also where a target is missed: the table
says so; 1 if decant failed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, ROOT]

import competitors  # noqa: E402
import latency  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import rows as all_rows  # noqa: E402
import sealing  # noqa: E402
from data import Store  # noqa: E402
from servers import Azurite, Nginx  # noqa: E402


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--decant", default=os.path.join(ROOT, "build", "decant"))
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PROGRAM",
                        help="another build of decant, measured beside it; can be given again")
    parser.add_argument("--tools", default=os.path.join(ROOT, "build-bench"), help="where run.sh put the SDK, Azurite and azcopy")
    parser.add_argument("--to", default=os.path.join(ROOT, "build", "bench"), metavar="DIR", help="for the results")
    parser.add_argument("--work", default="/dev/shm", metavar="DIR", help="a tmpfs with room for thrice the largest row")
    parser.add_argument("--rows", metavar="A,B,…", help="only these")
    parser.add_argument("--only", metavar="A,B,…", help="only these competitors")
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="runs of each competitor (5; with --quick 3)")
    parser.add_argument("--quick", action="store_true", help="a quarter of the sizes or less")
    parser.add_argument("--list", action="store_true", help="rows and competitors, and nothing else")
    options = parser.parse_args(arguments)
    options.repeat = options.repeat or (3 if options.quick else 5)
    options.rows = options.rows.split(",") if options.rows else None
    options.only = options.only.split(",") if options.only else None
    options.also = dict(each.split("=", 1) for each in options.also)
    return options


def everybody(options):
    return competitors.all_competitors(options.also) + sealing.all_competitors(options.also)


def chosen(things, names, what):
    unknown = set(names or ()) - {thing.key for thing in things}
    if unknown:
        sys.exit(f"no {what} {', '.join(sorted(unknown))}; --list shows what there is")
    return [thing for thing in things if names is None or thing.key in names]


class Bench:
    def __init__(self, options, work):
        self.options, self.work, self.out = options, work, os.path.join(work, "out")
        self.store, self.nginx, self.azurite, self.results = Store(work), None, None, []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def room_for(self, row):
        """The stored bytes, and twice the output (for warming; the output itself comes after)."""
        needed = (2 if row.data in self.store.sets else 3) * row.total
        there = min(shutil.disk_usage(self.work).free, memory_available())
        return None if needed < there else f"{self.work} has room for {there >> 20} MiB, {needed >> 20} are needed"

    def forget(self, later):
        """Give back what no later row reads."""
        for container in set(self.store.sets) - {row.data for row in later}:
            self.store.drop(container)

    def measure_row(self, row):
        result = report.RowResult(row.key, row.title, row.total, row.count)
        self.results.append(result)
        reason = self.room_for(row)
        if reason:
            result.not_run["all"] = reason
            return
        data = all_rows.make(self.store, row)
        server = self.server_for(row, data)
        runs = {}
        for each in chosen(everybody(self.options), self.options.only, "competitor"):
            if each.seals != row.seals or not each.concerns(row):
                continue
            reason = each.why_not(row)
            run = competitors.Run(row, data, f"{server.endpoints[row.way]}/{data.container}", server.sas(data.container),
                                  server.ca_file if row.way == "https" else None, self.store, self.work, self.out,
                                  self.options.tools, self.options.decant)
            if not reason:
                reason = self.attempt(each.prepare, run)
            if reason:
                result.not_run[each.label] = reason
            else:
                runs[each] = run
        for repetition in range(self.options.repeat):
            order = list(runs)
            for each in order[repetition % len(order):] + order[:repetition % len(order)] if order else []:
                reason = self.attempt(self.run_once, each, runs[each], result, repetition == 0)
                if reason:
                    result.not_run[each.label] = reason
                    result.samples.pop(each.key, None)
                    del runs[each]
        self.say("")

    def attempt(self, call, *arguments):
        """The reason why it did not work."""
        try:
            call(*arguments)
            return None
        except FileNotFoundError as error:
            return f"{error.filename} is not there"
        except (measure.Failed, OSError, subprocess.CalledProcessError) as error:
            return str(error)

    def server_for(self, row, data):
        if not row.azurite:
            if self.nginx is not None:
                self.nginx.stop()  # it has to learn the new blobs' metadata
                shutil.rmtree(self.nginx.folder)
            self.nginx = Nginx(self.store)
            return self.nginx
        if self.azurite is None:
            self.azurite = Azurite(self.work, self.options.tools)
        self.azurite.make(data.container, None if row.seals else data.blobs[0])
        return self.azurite

    def run_once(self, competitor, run, result, first):
        shutil.rmtree(self.out, ignore_errors=True)
        os.mkdir(self.out)
        commands = competitor.commands(run)
        measure.warm(self.work, max(0 if run.row.seals else 2 * run.row.total, 64 * measure.MIB))
        competitor.before(run)
        sample = competitor.refine(run, measure.run(commands, os.path.join(self.work, "said")))
        if first:
            competitor.check(run)
        shutil.rmtree(self.out)
        result.add(competitor, sample)
        self.say(f"{run.row.key:12} {competitor.key:14} {sample.wall:7.3f} s  CPU {sample.cpu:7.3f} s  {sample.peak_mib:7.1f} MiB")

    def stop(self):
        for server in (self.nginx, self.azurite):
            if server is not None:
                server.stop()


class Stopped(Exception):
    """By SIGTERM: what was measured until then is written."""


def stopped(*_):
    raise Stopped


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))


def list_all(rows, options):
    print("rows:")
    for row in rows:
        print(f"  {row.key:14} {row.title}")
    print(f"  {'latency':14} one small blob, {latency.DELAY_MS} ms on every service (the sandbox)\ncompetitors:")
    for each in everybody(options):
        print(f"  {each.key:14} {each.label}" + (" (sealing)" if each.seals else ""))


def main():
    options = options_of(sys.argv[1:])
    rows = all_rows.rows(options.quick)
    if options.list:
        list_all(rows, options)
        return 0
    with_latency = options.rows is None or "latency" in options.rows
    wanted = chosen(rows, [name for name in options.rows if name != "latency"] if options.rows else None, "row")
    chosen(everybody(options), options.only, "competitor")
    work = tempfile.mkdtemp(prefix="decant-bench-", dir=options.work)
    bench = Bench(options, work)
    round_trips = None
    signal.signal(signal.SIGTERM, stopped)
    try:
        for index, row in enumerate(wanted):
            bench.measure_row(row)
            bench.forget(wanted[index + 1:])
        if with_latency:
            round_trips = latency.measure_latency(options.decant, os.path.join(work, "latency"), options.repeat)
    except Stopped:
        bench.say("stopped: these are the results so far")
    finally:
        bench.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(report.write(options, bench.results, round_trips))
    return 1 if any(result.failed for result in bench.results) else 0


if __name__ == "__main__":
    sys.exit(main())
