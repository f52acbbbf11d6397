"""What holds after a run in which one call failed, whatever it was."""

import os
import re
import subprocess

from scene import harness

# Which exit codes a class may end with: 0 where the failure can be lived with. A lack of memory accuses nobody.
ALLOWED = {"memory": {0, 1, 41}, "openssl": set(harness.ALL_CODES) | {0},
           "curl": set(harness.ALL_CODES) | {0}, "parsers": set(harness.ALL_CODES) | {0},
           "files": set(harness.ALL_CODES) | {0}, "system": set(harness.ALL_CODES) | {0}}


LIBRARY_LEAK = "leak in OpenSSL"    # in the place of an exit code, which the sanitizer's hides


def words(result):
    """What must never stand in the output."""
    if any(word in result.err for word in harness.SANITIZER_WORDS):
        return "sanitizer: " + next((line for line in result.err.splitlines() if "SUMMARY" in line), "a report")
    if "worthless-plaintext" in result.err + result.out or "PRIVATE KEY" in result.err:
        return "a secret in the output"
    return None


def is_library_leak(result, stack):
    """OpenSSL 3.0 loses some of its own blocks when its memory runs out, such as a name that it was about to register. It
    is its leak if the call that failed and each block that was lost were OpenSSL's own; what decant would lose of
    OpenSSL's objects shows where whole calls of OpenSSL fail."""
    blocks = re.split(r"(?:Direct|Indirect) leak of", result.err)[1:]
    own = ("openssl_new", "openssl_resize")
    return (len(blocks) > 0 and "ERROR: AddressSanitizer" not in result.err and "runtime error" not in result.err
            and any(word in line for word in own for line in stack[:3])
            and all(any(word in block for word in own) for block in blocks))


def verdict(lane, group, result):
    if result.code == harness.SANITIZER_EXIT or words(result):
        return words(result) or "sanitizer"
    if result.code in (132, 134, 135, 136, 139) or result.code not in {0, *harness.ALL_CODES}:
        return f"ended with {result.code}"
    if result.code not in ALLOWED[group]:
        return f"exit code {result.code} is not for this class: {result.sentence}"
    return lane.after_success() if result.code == 0 else lane.after_failure(result)


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
    stack = where(lane)
    if is_library_leak(result, stack):
        result.code = LIBRARY_LEAK
        what = lane.after_success() and lane.after_failure(result)
        if what is None:
            return None
    return {"what": what, "where": stack, "said": re.sub(r"\s+", " ", result.err[-1500:])}
