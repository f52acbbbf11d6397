"""The volume, full, read-only or gone: a sample; FAULT_FULL: the whole table, for docs/reliability.md."""

import unittest

import table
import volume


@unittest.skipUnless(volume.MOUNTS, "no mount namespaces here")
class Volume(unittest.TestCase):
    def test_each_trouble(self):
        table.check(self, "volume", volume.CASES, per_group=3)


if __name__ == "__main__":
    unittest.main()
