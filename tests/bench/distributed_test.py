#!/usr/bin/env python3
"""bench/compare/distributed.py: which steps of runs that take place at once are counted.

    python tests/bench/distributed_test.py [unittest's arguments]

Skipped (exit code 77) where there is no NumPy.
"""

import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "bench/compare"))
try:
    import distributed
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


class DistributedTest(unittest.TestCase):
    def test_all_steps_of_one_run_are_counted(self):
        self.assertEqual(distributed.seconds_together([[(1, 2), (2, 4)]]), [1, 2])

    def test_steps_during_which_the_other_run_pauses_are_not_counted(self):
        first, second = [(0, 2), (2, 5), (5, 6)], [(1, 4), (4, 5), (5, 9)]
        self.assertEqual(distributed.seconds_together([first, second]), [3, 1, 3, 1])

    def test_runs_that_hardly_meet_are_an_error(self):
        with self.assertRaisesRegex(distributed.WorkerError, "for 1 of 6 steps"):
            distributed.seconds_together([[(0, 2), (2, 4), (4, 6)], [(5, 6), (6, 8), (8, 10)]])

    def test_a_step_is_that_of_its_slowest_process(self):
        self.assertEqual(distributed.longest_of([[(0, 3), (3, 4)], [(1, 3), (3, 6)]]), [(0, 3), (3, 6)])


if __name__ == "__main__":
    unittest.main()
