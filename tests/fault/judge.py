"""What holds after a run in which one call failed, whatever it was."""

import os
import re
import subprocess

import scene
from scene import harness

# Which exit codes a class may end with: 0 where the failure can be lived with. A lack of memory accuses nobody.
ALLOWED = {"memory": {0, 1, 41}, "openssl": set(harness.ALL_CODES) | {0},
           "curl": set(harness.ALL_CODES) | {0}, "parsers": set(harness.ALL_CODES) | {0},
           "files": set(harness.ALL_CODES) | {0}, "system": set(harness.ALL_CODES) | {0}}


def contents(volume):
    return {name: content for name, (mode, content) in harness.tree(volume).items() if mode[0] != "d"}


def of_success(lane, result):
    """What is wrong with a run that says it succeeded, or None."""
    found = contents(lane.volume)
    ready = found.pop(".decant/ready.json", None)
    if result.code != 0:
        return f"exit code {result.code}"
    if ready is None:
        return "no ready.json"
    if found != scene.FILES:
        return f"files {sorted(found)}, not the right ones"
    return None


def of_failure(lane, result):
    left = contents(lane.volume)
    named = [name for name in left if not name.startswith(".decant/stage/")]
    if named:
        return f"published {named} with exit code {result.code}"
    if harness.tree(lane.volume):
        return f"left {sorted(harness.tree(lane.volume))}"
    return None


def words(result):
    """What must never stand in the output."""
    if any(word in result.err for word in harness.SANITIZER_WORDS):
        return "sanitizer: " + next((line for line in result.err.splitlines() if "SUMMARY" in line), "a report")
    if "worthless-plaintext" in result.err + result.out or "PRIVATE KEY" in result.err:
        return "a secret in the output"
    return None


def verdict(lane, group, result):
    if result.code == harness.SANITIZER_EXIT or words(result):
        return words(result) or "sanitizer"
    if result.code in (132, 134, 135, 136, 139) or result.code not in {0, *harness.ALL_CODES}:
        return f"ended with {result.code}"
    if result.code not in ALLOWED[group]:
        return f"exit code {result.code} is not for this class: {result.sentence}"
    return of_success(lane, result) if result.code == 0 else of_failure(lane, result)


def where(lane):
    """The functions of decant on the stack when the call failed."""
    inside = [hex(each - lane.state.base) for each in lane.state.frames if 0 <= each - lane.state.base < 1 << 26]
    if not inside:
        return []
    told = subprocess.run(["addr2line", "-f", "-e", harness.DECANT, *inside], capture_output=True, text=True, check=False)
    lines = told.stdout.splitlines()
    return [f"{name} {os.path.basename(line)}" for name, line in zip(lines[::2], lines[1::2])]


def finding(lane, group, call, result):
    what = verdict(lane, group, result)
    if what is None:
        return None
    return {"what": what, "where": where(lane), "said": re.sub(r"\s+", " ", result.err[-1500:])}
