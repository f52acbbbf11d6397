"""unittest with the command line of `python -m unittest`, which at the end says of every test that was skipped why."""

import sys
import unittest


class Result(unittest.TextTestResult):
    def printErrors(self):
        super().printErrors()
        for test, why in self.skipped:
            self.stream.writeln(f"skipped: {test.id()}: {why}")


sys.path.insert(0, "")
unittest.main(module=None, testRunner=unittest.TextTestRunner(resultclass=Result))
