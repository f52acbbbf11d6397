"""docs/reliability.md says what the results say, and the results are about the cases that there are."""

import json
import os
import sys
import unittest

import signals
import table
from preload import table as calls
from scene import harness

sys.path.insert(0, os.path.join(harness.ROOT, "scripts"))

import reliability  # noqa: E402


@unittest.skipIf(table.FULL, "a complete run has just made results that the page does not know yet")
class Document(unittest.TestCase):
    def test_the_page_is_made_of_the_results(self):
        with open(os.path.join(harness.ROOT, "docs", "reliability.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), reliability.page(), "run scripts/reliability.py --write docs/reliability.md")

    def test_each_row_is_a_case(self):
        for name, cases in reliability.TABLES.items():
            cases = {(case.group, case.name): case for case in cases}
            for row in table.Results(name).rows:
                with self.subTest(name, row=row):
                    case = cases[row["group"], row["case"]]
                    self.assertEqual((row["code"], row.get("note", "")), (case.expected, case.note), case.key)
                    self.assertNotIn("finding", row, case.key)

    def test_calls(self):
        known = {call for _, call in calls()}
        for name in reliability.CALLS:
            with self.subTest(name), open(os.path.join(table.RESULTS, name + ".json"), encoding="ascii") as file:
                kept = json.load(file)
                self.assertEqual(kept["failures"], [])
                self.assertEqual({row["call"] for row in kept["calls"]} - known, set())

    def test_signals(self):
        counts = {}
        for row in table.Results("signals").rows:
            counts[row["signal"]] = counts.get(row["signal"], 0) + row["runs"]
            self.assertNotEqual(row["end"], "finding")
        self.assertTrue(all(count <= signals.RUNS[name] for name, count in counts.items()))


if __name__ == "__main__":
    unittest.main()
