"""Samples in; a Markdown table, the raw figures and a plot out."""

import dataclasses
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess

from measure import median

GIB = 1 << 30
FLOORS = ("curl-1", "curl-2", "curl-4", "curl-16", "curl-parallel", "curl-sha256")
PLOTTED = ("decant", "floor", "sdk", "azcopy", "rclone", "age")


@dataclasses.dataclass
class RowResult:
    key: str
    title: str
    total: int
    count: int
    samples: dict = dataclasses.field(default_factory=dict)  # competitor → samples
    labels: dict = dataclasses.field(default_factory=dict)
    not_run: dict = dataclasses.field(default_factory=dict)

    def add(self, competitor, sample):
        self.samples.setdefault(competitor.key, []).append(sample)
        self.labels[competitor.key] = competitor.label

    def median(self, key, field="wall"):
        return median(self.samples[key], field) if self.samples.get(key) else None

    def floor(self):
        """The fastest that does not decrypt."""
        there = [key for key in FLOORS if key in self.samples]
        return min(there, key=self.median) if there else None

    def builds(self):
        """decant, and the other builds of it."""
        return [key for key in self.samples if key == "decant" or key.startswith("decant@")]

    @property
    def failed(self):
        return any("decant" in label and "exit code" in reason for label, reason in self.not_run.items())


@dataclasses.dataclass
class Target:
    row: str  # regular expression for the row's key
    other: str  # a competitor, "floor", or "" for decant alone
    field: str
    limit: float
    sense: str  # at most: ours ÷ theirs; at least: theirs ÷ ours
    text: str
    ours: str = ""  # "" for each build of decant, or a competitor


TARGETS = [
    Target("[14]g-https?", "floor", "wall", 1.10, "at most", "wall time ÷ the fastest curl"),
    Target("[14]g-https?", "floor", "cpu", 1.6, "at most", "CPU time ÷ the same curl"),
    Target("1g-https?|files", "sdk", "wall", 6, "at least", "times faster than the SDK"),
    Target("1g-http", "azcopy", "wall", 3, "at least", "times faster than azcopy"),
    Target("azurite", "azcopy", "wall", 3, "at least", "times faster than azcopy (from Azurite)"),
    Target("1g-http", "rclone", "wall", 1.5, "at least", "times faster than rclone crypt"),
    Target("4g-https?|small.*", "", "peak_mib", 32, "at most", "peak memory, MiB"),
    Target("small.*", "curl-parallel", "wall", 0.8, "at least", "rate ÷ curl --parallel"),
    Target("small.*", "wrk", "wall", 0.8, "at least", "rate ÷ wrk, which writes nothing"),
    Target("files|small.*", "decant", "wall", 1.05, "at most", "wall time with pins ÷ without", "decant-pinned"),
    Target("seal.*", "sdk", "wall", 5, "at least", "times faster than the SDK"),
    Target("seal.*", "azcopy", "wall", 1.2, "at most", "wall time ÷ azcopy, which does not encrypt"),
    Target("seal.*", "", "peak_mib", 48, "at most", "peak memory, MiB"),
]


def value_of(target, ours, result):
    mine = result.median(ours, target.field)
    if mine is None or target.other == "":
        return mine
    key = result.floor() if target.other == "floor" else target.other
    theirs = key and result.median(key, target.field)
    if not theirs:
        return None
    return theirs / mine if target.sense == "at least" else mine / theirs


def verdict(target, value):
    if value is None:
        return "–"
    met = value <= target.limit if target.sense == "at most" else value >= target.limit
    return f"{value:.2f}" if met else f"**{value:.2f} missed**"


def verdicts(results, builds):
    for target in TARGETS:
        for result in results:
            if not re.fullmatch(target.row, result.key):
                continue
            values = [value_of(target, target.ours or build, result) for build in ([builds[0]] if target.ours else builds)]
            if any(value is not None for value in values):
                yield [result.title, target.text, f"{target.sense} {target.limit:g}", *(verdict(target, value) for value in values)]


def target_table(results, round_trips):
    builds = list(dict.fromkeys(["decant", *(key for result in results for key in result.builds())]))
    lines = ["## Targets", "", f"| row | what | target | {' | '.join(builds)} |", "|---|---|---|" + "---|" * len(builds)]
    lines += [f"| {' | '.join(each)} |" for each in verdicts(results, builds)]
    if round_trips and "not_run" not in round_trips:
        trips = round_trips["round_trips"]
        lines.append(f"| one small blob, 50 ms on every service | round trips that wait for each other | at most 4 | "
                     f"{verdict(Target('', '', '', 4.2, 'at most', ''), trips)} |")
    return lines


def row_table(result):
    lines = [f"## {result.title}", ""]
    ours = result.median("decant")
    if result.samples:
        rate = "blobs/s" if result.count > 1000 else "GiB/s"
        lines += [f"| | wall s (least–most) | ÷ decant | {rate} | CPU s | peak MiB |", "|---|---|---|---|---|---|"]
    floor = result.floor()
    for key, samples in result.samples.items():
        walls = [sample.wall for sample in samples]
        wall = statistics.median(walls)
        amount = result.count / wall if result.count > 1000 else result.total / GIB / wall
        mark = " (the floor)" if key == floor else ""
        lines.append(f"| {result.labels[key]}{mark} | {wall:.2f} ({min(walls):.2f}–{max(walls):.2f}) | "
                     f"{f'{wall / ours:.2f}' if ours else '–'} | {f'{amount:,.0f}' if result.count > 1000 else f'{amount:.2f}'} | "
                     f"{median(samples, 'cpu'):.2f} | {median(samples, 'peak_mib'):.0f} |")
    if result.not_run:
        lines += ["", "Not run: " + "; ".join(f"{label}: {reason}" for label, reason in result.not_run.items()) + "."]
    return lines + [""]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False).stdout.split()[1:2]
    return f"{os.cpu_count()} × {models[0] if models else platform.machine()}, Linux {platform.release()}, OpenSSL {' '.join(openssl)}"


def markdown(options, results, round_trips):
    size = "quick: smaller sizes" if options.quick else "full sizes"
    lines = ["# Benchmark", "", f"{datetime.date.today()}, {machine()}. {options.repeat} runs of each, alternating, memory warmed "
             f"before each; medians. {size.capitalize()}. Client and server share the machine's cores. \"÷ decant\" above 1: slower than decant.",
             ""]
    lines += target_table(results, round_trips) + [""]
    for result in results:
        lines += row_table(result)
    if round_trips:
        lines += ["## One small blob, 50 ms on every service", ""]
        lines.append(f"Not run: {round_trips['not_run']}." if "not_run" in round_trips else
                     f"{round_trips['plain_s']:.3f} s without delay, {round_trips['delayed_s']:.3f} s with it: "
                     f"{round_trips['round_trips']:.2f} round trips wait for each other.")
    return "\n".join(lines).rstrip() + "\n"


def plot(options, results):
    """A gnuplot picture of throughput; says why if there is none."""
    rows = [result for result in results if result.count <= 1000 and "decant" in result.samples]
    also = sorted({key for row in rows for key in row.builds()} - {"decant"})
    if shutil.which("gnuplot") is None or not rows:
        return "no plot: " + ("gnuplot is not installed" if rows else "no row to plot")
    key_in = {row.key: lambda column, row=row: row.floor() if column == "floor" else column for row in rows}
    columns = [column for column in (PLOTTED[0], *also, *PLOTTED[1:]) if any(key_in[row.key](column) in row.samples for row in rows)]
    path, picture = os.path.join(options.to, "results.dat"), os.path.join(options.to, "results.png")
    with open(path, "w", encoding="utf-8") as file:
        file.write("row " + " ".join(columns) + "\n")
        for row in rows:
            keys = [key_in[row.key](column) for column in columns]
            rates = [f"{row.total / GIB / row.median(key):.4f}" if key in row.samples else "0" for key in keys]
            file.write(f'"{row.title}" ' + " ".join(rates) + "\n")
    script = (f"set terminal pngcairo size 1200,600; set output '{picture}'; set style data histograms; set style fill solid 0.8; "
              "set ylabel 'GiB/s'; set key top right; set grid y; set xtics rotate by -15; set bmargin 6; set yrange [0:*]; "
              f"set title 'One run, medians; floor: the fastest curl, not decrypting; no bar: not run'; plot for [i=2:{len(columns) + 1}] '{path}' using i:xtic(1) title columnheader(i)")
    done = subprocess.run(["gnuplot", "-e", script], capture_output=True, text=True, check=False)
    return picture if done.returncode == 0 else f"no plot: {done.stderr.strip()[-200:]}"


def write(options, results, round_trips):
    os.makedirs(options.to, exist_ok=True)
    raw = {"rows": [dataclasses.asdict(result) for result in results], "latency": round_trips, "repeat": options.repeat,
           "quick": options.quick, "machine": machine()}
    with open(os.path.join(options.to, "results.json"), "w", encoding="utf-8") as file:
        json.dump(raw, file, indent=1)
    text = markdown(options, results, round_trips)
    with open(os.path.join(options.to, "results.md"), "w", encoding="utf-8") as file:
        file.write(text)
    return text + "\n" + plot(options, results)
