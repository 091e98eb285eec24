#!/usr/bin/env python3
"""examples/vision_pretraining.cpp: every objective is compared, what is killed goes on and repeats nothing, wrong uses.

    python tests/examples/vision_pretraining_test.py build/examples/vision_pretraining [unittest's arguments]
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from training_runs import checkpoint_step

PROGRAM = None
TIMEOUT = 600  # seconds
SMALL = ("--pretraining-batch", 8, "--labelled", 20, "--epochs", 1, "--batch", 20)
OBJECTIVES = ["vit_from_nothing", "mean_colour", "mosaic", "pixels", "mae", "beit_from_nothing", "beit",
              "next_from_nothing", "next_pixel", "masked_from_nothing", "masked_pixels"]


class VisionPretraining(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)

    def start(self, *arguments, seeds=1, threads=2):
        with open(self.root / "said.txt", "wb") as said:
            return subprocess.Popen([PROGRAM, "--seeds", str(seeds), *map(str, (*SMALL, *arguments))], cwd=self.root,
                                    stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                    env={**os.environ, "RAPT_THREADS": str(threads)})

    def compare(self, *arguments, code=0, seeds=1, threads=2):
        process = self.start(*arguments, seeds=seeds, threads=threads)
        returned = process.wait(TIMEOUT)
        said = (self.root / "said.txt").read_text(errors="replace")
        self.assertEqual(returned, code, said)
        return said

    def lines(self, folder):
        return [json.loads(line) for line in (self.root / folder / "results.jsonl").read_text().splitlines()]

    def write_lines(self, folder, entries):
        (self.root / folder / "results.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def results(self, folder):
        """Without what depends on time."""
        return [{key: value for key, value in entry.items() if key != "seconds"}
                for entry in self.lines(folder) if "objective" in entry]

    def test_all_objectives_are_compared_once(self):
        options = ("--pretraining-steps", 2, "--smaller", 4, "--folder", "out")
        said = self.compare(*options)
        results = self.results("out")
        self.assertEqual([entry["objective"] for entry in results], OBJECTIVES)
        for entry in results:
            self.assertEqual(entry["steps"], 0 if entry["objective"].endswith("from_nothing") else 2)
            self.assertTrue(0 < entry["accuracy"] < 1, entry)
        table = (self.root / "out" / "table.md").read_text()
        self.assertTrue(said.endswith(table), said)
        self.assertEqual(re.findall(r"^\| (\w+) \| \d", table, re.MULTILINE), OBJECTIVES)
        before = (self.root / "out" / "results.jsonl").read_bytes()
        again = self.compare(*options, "--resume")
        self.assertEqual(again.count("finished before"), len(OBJECTIVES))
        self.assertTrue(again.endswith(table), again)
        self.assertEqual((self.root / "out" / "results.jsonl").read_bytes(), before)

    def test_a_comparison_that_was_killed_is_as_one_that_was_not(self):
        # Validations are 4 steps apart, so that most checkpoints are inside of a window whose losses have a mean.
        options = ("--pretraining-steps", 40, "--checkpoint-every", 3, "--smaller", 4, "--objectives",
                   "mean_colour,masked_pixels")
        self.compare(*options, "--folder", "whole", threads=1)
        process = self.start(*options, "--folder", "killed")
        deadline = time.monotonic() + TIMEOUT
        while checkpoint_step(self.root / "killed" / "masked_pixels-1-pretraining") < 4 and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        code = process.wait(TIMEOUT)
        self.assertIn(code, (0, -signal.SIGKILL), (self.root / "said.txt").read_text(errors="replace"))
        finished = [entry["objective"] for entry in self.results("killed")]
        said = self.compare(*options, "--folder", "killed", "--resume")
        self.assertIn("mean_colour, seed 1: finished before\n", said)
        if finished == ["mean_colour"]:
            self.assertRegex(said, r"goes on after step \d+\n")
        else:  # the signal came when all was done, on a machine that had other work
            self.assertEqual(finished, ["mean_colour", "masked_pixels"])
        self.assertEqual(self.results("killed"), self.results("whole"))
        self.assertEqual((self.root / "killed/masked_pixels-1-pretraining/checkpoint.safetensors").read_bytes(),
                         (self.root / "whole/masked_pixels-1-pretraining/checkpoint.safetensors").read_bytes())
        more = self.compare(*options, "--folder", "killed", "--resume", seeds=2)
        self.assertEqual(more.count("finished before"), 2)
        self.assertEqual([entry["seed"] for entry in self.results("killed")], [1, 1, 2, 2])
        self.assertIn("| mean_colour | 40 |", more)

    def test_masked_pixels_of_few_pixels(self):
        self.compare("--pretraining-steps", 12, "--smaller", 28, "--objectives", "masked_pixels")  # 8 pixels a step

    def test_minutes_become_steps_that_are_kept(self):
        options = ("--minutes", 0.01, "--objectives", "pixels", "--folder", "out")
        self.compare(*options)
        plan, result = self.lines("out")[1:]
        self.assertEqual(plan["plan"], "pixels")
        self.assertGreaterEqual(plan["steps"], 1)
        self.assertEqual(result["steps"], plan["steps"])
        self.assertGreater(result["seconds"], 0)
        # As if it had been killed while it learned labels: the minutes without labels are known.
        self.write_lines("out", [*self.lines("out")[:2], {"pretrained": "pixels", "seed": 1, "seconds": 123.0}])
        self.assertIn(" | 2.05 | 1 | ", self.compare(*options, "--resume"))
        self.assertEqual(self.lines("out")[1:], [plan, {**result, "seconds": 123.0}])
        other = {**result, "seed": 7}  # of a seed that was interrupted before
        del other["seconds"]
        self.write_lines("out", [*self.lines("out"), other])
        self.assertIn(" | 2.05 (1 of 2) | 2 | ", self.compare(*options, "--resume"))
        self.write_lines("out", [*self.lines("out")[:1], {"plan": "pixels", "steps": 3}])
        self.compare(*options, "--resume", "--seed", 1, code=1)  # an option that was not given before
        (self.root / "out" / "pixels-1-pretraining" / "checkpoint.safetensors").unlink()
        self.compare(*options, "--resume")
        self.assertEqual(self.results("out")[0]["steps"], 3)

    def test_wrong_uses(self):
        options = ("--pretraining-steps", 1, "--objectives", "vit_from_nothing")
        self.compare(*options, "--folder", "out")
        self.assertRegex(self.compare(*options, "--folder", "out", code=1),
                         r"vision_pretraining: \[results\] .*results.jsonl: there are results of an earlier "
                         "comparison: --resume goes on from them, --restart gives them up")
        self.assertIn("results are of another comparison", self.compare(*options, "--folder", "out", "--resume",
                                                                        "--grays", 4, code=1))
        self.assertIn("nothing to resume: no folder none",
                      self.compare(*options, "--folder", "none", "--resume", code=1))
        self.assertNotIn("finished before", self.compare(*options, "--folder", "out", "--restart"))
        (self.root / "out" / "results.jsonl").write_text((self.root / "out" / "results.jsonl").read_text() + "{\n")
        self.assertRegex(self.compare(*options, "--folder", "out", "--resume", code=1), r"results.jsonl: line 3: ")
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["out", "said.txt"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
