"""Signals at random moments: some; FAULT_FULL: 500 of them, for docs/reliability.md."""

import unittest

import signals
import table

SOME = {"SIGTERM": 16, "SIGINT": 6, "SIGKILL": 10}


class Signals(unittest.TestCase):
    def test_random_moments(self):
        dice, counts = table.seed(), dict(signals.RUNS if table.FULL else SOME)
        campaign = signals.Campaign(table.JOBS)
        self.addCleanup(campaign.close)
        results = table.Results("signals") if table.FULL else None
        missing = dict(counts)
        for row in results.rows if results else []:         # of an interrupted complete run
            if row["end"] != "finding":
                campaign.ends[row["signal"], row["end"]] = row["runs"]
                missing[row["signal"]] -= row["runs"]
        if results:
            campaign.note = results.write
        rows = campaign.run(signals.plan(dice, missing))
        for row in rows:
            print(f"{row['signal']:8} {row['runs']:4} {row['end']}")
        self.assertEqual(campaign.findings, [])
        self.assertEqual(sum(row["runs"] for row in rows), sum(counts.values()))
        self.assertTrue(any("nothing published" in row["end"] for row in rows), "no run was stopped: that proves nothing")


if __name__ == "__main__":
    unittest.main()
