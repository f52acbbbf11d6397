"""How long do N runs that start together wait for their keys? A simulation of decant's own rules (src/access/keyring.c,
src/http/retry.c) against a vault that lets LIMIT releases through in ten seconds; refusals do not count against it.

usage: python3 tests/bench/fleet.py
"""

import collections
import heapq
import random
import statistics

WINDOW_S = 10
ANSWER_S = 0.1  # a refusal; a release takes 0.7 s, but waiting runs do not wait for that
FREE, SPREAD_MAX_S = 10, 60  # spread_out
FIRST_DELAY_S, DELAY_MAX_S = 0.8, 60  # delay_ms: doubled each time, anything from 0 to that
PATIENCE_S, PATIENCE_PER_SHARD_S = 300, 1.5


class Vault:
    def __init__(self, limit, retry_after):
        self.limit, self.retry_after, self.given = limit, retry_after, collections.deque()

    def ask(self, now):
        """None, or what Retry-After says (0: nothing)."""
        while self.given and self.given[0] <= now - WINDOW_S:
            self.given.popleft()
        if len(self.given) < self.limit:
            self.given.append(now)
            return None
        return self.given[0] + WINDOW_S - now if self.retry_after else 0


def delay(tries, asked):
    if asked:
        return asked + random.uniform(0, asked / 10)
    return random.uniform(0, min(FIRST_DELAY_S * 2 ** (tries - 1), DELAY_MAX_S))


def simulate(runs, vaults, limit, retry_after, declared=True):
    """(seconds until each has its key, how many gave up, refusals). DECLARED: limits.shards or --shard says how many they are."""
    shards = runs if declared else 1
    stores = [Vault(limit, retry_after) for _ in range(vaults)]
    spread = min(max(shards - FREE, 0), SPREAD_MAX_S)
    patience = PATIENCE_S + PATIENCE_PER_SHARD_S * shards
    queue = [(random.uniform(0, spread), run, 0, None) for run in range(runs)]
    heapq.heapify(queue)
    waits, gave_up, refusals = [], 0, 0
    while queue:
        now, run, tries, first = heapq.heappop(queue)
        first = now if first is None else first
        asked = stores[run % vaults].ask(now)
        if asked is None:
            waits.append(now)
            continue
        refusals, tries = refusals + 1, tries + 1
        if tries >= 5 and now - first >= patience:
            gave_up += 1
            continue
        heapq.heappush(queue, (now + ANSWER_S + delay(tries, asked), run, tries, first))
    return waits, gave_up, refusals


def main():
    random.seed(1)
    print("| runs | vaults | limit in 10 s | Retry-After | median s | last s | gave up | refusals per run |")
    print("|---|---|---|---|---|---|---|---|")
    for runs, vaults, limit, retry_after, declared in (
            (1, 1, 10, False, True), (100, 1, 10, False, True), (100, 1, 10, True, True), (100, 1, 10, False, False),
            (100, 1, 20, False, True), (1000, 1, 10, False, True), (1000, 1, 10, False, False), (1000, 5, 10, False, True),
            (10000, 1, 10, False, True), (10000, 5, 10, False, True), (10000, 50, 10, False, True)):
        waits, gave_up, refusals = simulate(runs, vaults, limit, retry_after, declared)
        note = "" if declared else " (not told how many they are)"
        print(f"| {runs:,}{note} | {vaults} | {limit} | {'yes' if retry_after else 'no'} | {statistics.median(waits):,.0f} | "
              f"{max(waits):,.0f} | {gave_up} | {refusals / runs:.1f} |")


if __name__ == "__main__":
    main()
