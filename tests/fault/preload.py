"""What the library of fault.c counted and hit: its table of calls, its state file."""

import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
CALLS_MAX, FRAMES = 256, 24
LAYOUT = struct.Struct(f"4Q{FRAMES}Q{CALLS_MAX}Q")


def table():
    """(class, function) of calls.h, in its order."""
    with open(os.path.join(HERE, "calls.h"), encoding="ascii") as file:
        text = file.read()
    return [(group.lower(), name) for group, name in re.findall(r"C\(([A-Z]+), (\w+), [^)]*\)", text)
            if group != "CLASS"]


class State:
    """A state file, fresh for each run."""

    def __init__(self, path):
        self.path, self.names = path, [name for _, name in table()]
        self.clear()

    def clear(self):
        with open(self.path, "wb") as file:
            file.write(bytes(LAYOUT.size))

    def read(self):
        with open(self.path, "rb") as file:
            armed, hit, n_frames, base, *rest = LAYOUT.unpack(file.read(LAYOUT.size))
        self.armed, self.hit, self.base = bool(armed), hit, base
        self.frames = rest[:min(n_frames, FRAMES)]
        self.counts = {name: count for name, count in zip(self.names, rest[FRAMES:]) if count}
        return self
