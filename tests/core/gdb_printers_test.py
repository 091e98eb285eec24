#!/usr/bin/env python3
# covers: core/gdb_printers.hpp
"""gdb prints rapt's types by the script beside core/gdb_printers.hpp, which it loads itself or is given.

    python tests/core/gdb_printers_test.py build/tests/rapt_gdb_program [unittest's arguments]

Skipped where there is no gdb with Python, or where gdb may not start programs.
"""

import pathlib
import shutil
import subprocess
import sys
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "include/rapt/core/gdb_printers.hpp.py"
PROGRAM = sys.argv.pop(1)
EXPECTED = {
    "shape": "[2, 3]",
    "scalar": "[]",
    "matrix": "float [2, 3]\n[[ 0.5,    2,  nan],\n [   1, -inf,    3]]",
    "none": "int []\n[]",
    "taken": "float [4, 5] without elements",
    "columns": "float [2, 2]\n[[   2,  nan],\n [-inf,    3]]",
    "splits": "3 sequences of 3, 0, 2 rows",
    "no_splits": "no sequences",
    "undefined": "undefined variable",
    "weight": "parameter, has a gradient of shape [2], float [2]\n[ 1, -2]",
    "frozen": "parameter, frozen, float [1]\n[7]",
    "product": "variable of 'multiply', requires a gradient, float [2]\n[1, 4]",
}
SHORT_CUBE = """double [2, 20, 20]
[[[  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  ...,
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25]],

 [[  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  ...,
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25,   0.25],
  [  0.25,   0.25,   0.25, ...,   0.25,   0.25, -1e-09]]]"""


def gdb(before, commands):
    """What gdb says about the program at its breakpoint; `before` are commands that come before the program."""
    arguments = [argument for command in before for argument in ("-iex", command)]
    for command in ("break look", "run", "up", *commands):
        arguments += ["-ex", command]
    return subprocess.run(["gdb", "-q", "-nx", "-batch", *arguments, PROGRAM], capture_output=True, text=True,
                          timeout=300)


def printed(before, names):
    """By name what gdb prints."""
    run = gdb(before, [command for name in names for command in (f"echo <{name}>\\n", f"print {name}")])
    parts = run.stdout.split("\n<")[1:]
    if len(parts) != len(names):
        raise AssertionError(run.stdout + run.stderr)
    return {part.split(">\n", 1)[0]: part.split(" = ", 1)[1].rstrip("\n") for part in parts}


class GdbPrintersTest(unittest.TestCase):
    def test_a_sourced_script_prints_every_type(self):
        # The program would load the script as well; here it may not.
        found = printed(["set auto-load off", f"source {SCRIPT}"], [*EXPECTED, "cube"])
        for name, text in EXPECTED.items():
            self.assertEqual(found[name], text, name)
        self.assertEqual(found["cube"], SHORT_CUBE)

    def test_the_program_brings_the_script(self):
        self.assertEqual(printed([f"add-auto-load-safe-path {SCRIPT.parent}"], ["matrix"])["matrix"],
                         EXPECTED["matrix"])

    def test_without_permission_gdb_says_what_permits_it(self):
        run = gdb(["set auto-load safe-path /nowhere"], ["print matrix"])
        self.assertIn("add-auto-load-safe-path", run.stdout + run.stderr)
        self.assertIn("data_ = ", run.stdout)

    def test_as_many_elements_as_gdb_is_told_to_print(self):
        run = gdb(["set auto-load off", f"source {SCRIPT}"], ["set print elements 1", "print weight", "print splits"])
        self.assertIn("[ 1, -2]", run.stdout)  # too short to leave anything out
        self.assertIn("3 sequences of 3, ... rows", run.stdout)


if __name__ == "__main__":
    if shutil.which("gdb") is None:
        print("SKIPPED: there is no gdb")
        sys.exit(77)
    probe = gdb([], ["python print('python', 'works')"])
    if "python works" not in probe.stdout or "Breakpoint 1, " not in probe.stdout:
        print("SKIPPED: gdb cannot run programs here, or has no Python:", probe.stdout, probe.stderr)
        sys.exit(77)
    unittest.main()
