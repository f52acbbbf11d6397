"""The tamper matrix: a sample of each kind; FAULT_FULL: all of it, for docs/reliability.md."""

import unittest

import table
import tamper


class Tampered(unittest.TestCase):
    def test_the_matrix(self):
        table.check(self, "tamper", tamper.CASES, per_group=8)

    def test_no_case_twice(self):
        keys = [case.key for case in tamper.CASES]
        self.assertEqual(len(keys), len(set(keys)))


if __name__ == "__main__":
    unittest.main()
