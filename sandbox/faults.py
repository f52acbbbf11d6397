"""Faults on demand, and the log of requests.

A rule names a service, a method and a regular expression for the path with its query; SKIP matching requests pass first,
then TIMES requests (-1: all) get ACTION. What an action may hold is in ACTIONS.
"""

import re
import threading
import time

ACTIONS = {
    "delay_ms": "wait before anything else",
    "status": "answer with this status in the service's own error form; the service does not see the request",
    "code": "its error code",
    "message": "its message",
    "headers": "further headers; null takes one away",
    "retry_after": "a Retry-After header",
    "body": "this text in place of the body",
    "body_bytes": "so many filler bytes in place of the body",
    "not_json": "a body that is no JSON",
    "redirect": "302 to this URL",
    "cut_after": "send so many bytes of the body, then close",
    "cut_head_after": "send so many bytes of the status line and headers, then close",
    "reset": "break the connection off with a reset in the place of an answer; the service does not see the request",
    "drop": "close without an answer; the service does not see the request",
    "drop_answer": "close without an answer after the service did what was asked",
    "slow_bps": "send the body at this rate",
    "slow_head_bps": "send status line and headers at this rate",
    "gzip": "compress the body, asked or not, and say so",
    "wrong_range": "true: another range, told truthfully; 'header': a wrong Content-Range; 'bytes': the bytes of another "
    "place under the right one; 'total': a wrong total size",
    "ignore_range": "200 and the whole blob",
    "etag": "another ETag",
    "flip_byte": "change the byte at this offset of the body",
}
REPLACES = ("status", "redirect", "body", "body_bytes", "not_json")


class Rule:
    def __init__(self, wish):
        unknown = set(wish) - {"service", "method", "path", "skip", "times", "action"}
        action = wish.get("action")
        if unknown or not isinstance(action, dict) or set(action) - set(ACTIONS) or not action:
            raise ValueError(f"a fault has service, method, path, skip, times and an action of: {', '.join(ACTIONS)}")
        self.service, self.method = wish.get("service"), wish.get("method")
        try:
            self.path = re.compile(wish.get("path", ""))
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from None
        self.skip, self.times, self.action = int(wish.get("skip", 0)), int(wish.get("times", 1)), action

    def wants(self, service, method, target):
        return (
            self.service in (None, service)
            and self.method in (None, method)
            and self.times != 0
            and self.path.search(target) is not None
        )


class Faults:
    """The rules in force; thread-safe."""

    def __init__(self):
        self.lock, self.rules = threading.Lock(), []

    def add(self, wish):
        rule = Rule(wish)
        with self.lock:
            self.rules.append(rule)

    def clear(self):
        with self.lock:
            self.rules.clear()

    def take(self, service, method, target):
        """The action for this request, counted; an empty one if there is none."""
        with self.lock:
            for rule in self.rules:
                if not rule.wants(service, method, target):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.times > 0:
                    rule.times -= 1
                return rule.action
        return {}


class Lies:
    """Cryptographic lies: service → what, so many times (-1: always)."""

    def __init__(self, known):
        self.lock, self.known, self.active = threading.Lock(), known, {}

    def set(self, service, what, times=-1):
        if what is not None and what not in self.known.get(service, ()):
            raise ValueError(f"{service} can lie about: {', '.join(self.known.get(service, ())) or 'nothing'}")
        with self.lock:
            self.active[service] = [what, times]

    def clear(self):
        with self.lock:
            self.active.clear()

    def take(self, service):
        with self.lock:
            what, times = self.active.get(service, (None, 0))
            if what is None or times == 0:
                return None
            if times > 0:
                self.active[service][1] -= 1
            return what


class Throttle:
    """At most LIMIT requests in PERIOD seconds; off while LIMIT is None."""

    def __init__(self):
        self.lock, self.limit, self.period, self.seen = threading.Lock(), None, 10.0, []

    def set(self, limit, period=10.0):
        with self.lock:
            self.limit, self.period, self.seen = limit, float(period), []

    def wait(self):
        """Seconds after which the request would be let in; 0: it is."""
        with self.lock:
            if self.limit is None:
                return 0
            now = time.monotonic()
            self.seen = [at for at in self.seen if now - at < self.period]
            if len(self.seen) < self.limit:
                self.seen.append(now)
                return 0
            return max(1, round(self.seen[0] + self.period - now + 0.5))


class Log:
    """What came in: the last LIMIT requests, without secrets."""

    LIMIT = 100000

    def __init__(self):
        self.lock, self.entries = threading.Lock(), []

    def add(self, **entry):
        with self.lock:
            self.entries.append(entry)
            del self.entries[: -self.LIMIT]
        return entry

    def read(self):
        with self.lock:
            return [dict(entry) for entry in self.entries]

    def clear(self):
        with self.lock:
            self.entries.clear()


def without_secrets(target):
    """A request target whose signature values are hidden."""
    return re.sub(r"(?i)([?&](?:sig|client_secret|client_assertion)=)[^&]*", r"\1REDACTED", target)
