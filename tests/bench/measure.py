"""One timed run: processes started together, their wall time, processor time and peak memory.

Two traps shape this file. Memory that was freed some seconds ago is slow to touch again where a hypervisor takes free pages
back, so `warm` writes and deletes twice the output right before each run. And a child's peak memory as wait4 tells it
begins with its parent's (the pages of a Python process), so GNU time, which is small, starts each program and notes it.
"""

import dataclasses
import os
import shutil
import statistics
import subprocess
import time

MIB = 1 << 20
TIME = "/usr/bin/time"


class Failed(Exception):
    """A competitor that did not do its work."""


@dataclasses.dataclass
class Command:
    argv: list
    environment: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Sample:
    wall: float
    cpu: float
    peak_mib: float
    output: str = ""


def warm(folder, size):
    """Touch SIZE bytes of FOLDER's file system, and give them back."""
    piece = bytes(4 * MIB)
    path = os.path.join(folder, "warm")
    with open(path, "wb", buffering=0) as file:
        for _ in range(0, size, len(piece)):
            file.write(piece)
    os.unlink(path)


def start(command, folder, index):
    peak = os.path.join(folder, f"peak.{index}")
    with open(os.path.join(folder, f"out.{index}"), "wb") as out, open(os.path.join(folder, f"err.{index}"), "wb") as err:
        return subprocess.Popen([TIME, "-q", "-f", "%M", "-o", peak, *command.argv], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=err, env={**os.environ, **command.environment})


def text_of(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def last_words(folder, index):
    """The last line of letters: some end in a ruler."""
    for name in (f"err.{index}", f"out.{index}"):
        lines = [line for line in text_of(folder, name).splitlines() if any(letter.isalpha() for letter in line)]
        if lines:
            return lines[-1][:300]
    return "it said nothing"


def run(commands, folder):
    """All COMMANDS at once; FOLDER is for what they print. Peaks and processor times are added up."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    begin = time.monotonic()
    processes = [start(command, folder, index) for index, command in enumerate(commands)]
    cpu = 0.0
    for process in processes:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
    wall = time.monotonic() - begin
    for index, process in enumerate(processes):
        if process.returncode != 0:
            raise Failed(f"exit code {process.returncode}: {last_words(folder, index)}")
    peak = sum(int(text_of(folder, f"peak.{index}").split()[-1]) for index in range(len(commands)))
    return Sample(wall, cpu, peak / 1024, text_of(folder, "out.0"))


def median(samples, field):
    return statistics.median(getattr(sample, field) for sample in samples)
