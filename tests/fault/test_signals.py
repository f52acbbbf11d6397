"""Signals at random moments: some; FAULT_FULL: 500 of them, for docs/reliability.md."""

import time
import unittest

import signals
import table

SOME = {"SIGTERM": 16, "SIGINT": 6, "SIGKILL": 10}


class Signals(unittest.TestCase):
    def test_random_moments(self):
        dice, start = table.seed(), time.monotonic()
        counts = signals.RUNS if table.FULL else SOME
        campaign = signals.Campaign(table.JOBS)
        self.addCleanup(campaign.close)
        rows = campaign.run(signals.plan(dice, counts))
        for row in rows:
            print(f"{row['signal']:8} {row['runs']:4} {row['end']}")
        if table.FULL:
            table.keep("signals", rows, time.monotonic() - start)
        self.assertEqual(campaign.findings, [])
        self.assertEqual(sum(row["runs"] for row in rows), sum(counts.values()))
        self.assertTrue(any("nothing published" in row["end"] for row in rows), "no run was stopped: that proves nothing")


if __name__ == "__main__":
    unittest.main()
