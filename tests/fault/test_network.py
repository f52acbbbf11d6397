"""Each request of a run, broken at each phase: a sample of every request; FAULT_FULL: the whole table, for docs/reliability.md."""

import unittest

import network
import table
import upload


class Network(unittest.TestCase):
    def test_each_request_at_each_phase(self):
        table.check(self, "network", network.CASES, per_group=3)

    def test_each_request_of_seal(self):
        table.check(self, "upload", upload.CASES, per_group=3)

    def test_no_case_twice(self):
        keys = [case.key for case in network.CASES + upload.CASES]
        self.assertEqual(len(keys), len(set(keys)))


if __name__ == "__main__":
    unittest.main()
