#!/usr/bin/env python3
"""`translate search` on a small corpus: rungs that go on from checkpoints, kills, and what it says to wrong options.

    python tests/examples/translate_search_test.py build/examples/translate [unittest's arguments]
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from training_runs import checkpoint_step, write_corpus  # noqa: E402

PROGRAM = None
TIMEOUT = 600  # seconds
CORPUS = ("--source", "../source.txt", "--target", "../target.txt", "--hold-out", 20)
TRAIN = (*CORPUS, "--tokens", 500, "--log-every", 1, "--checkpoint-every", 3)
SEARCH = ("--folder", "found", "--trials", 6, "--trial-steps", 9, "--rungs", 2, "--range", "layers=1:2", "--range",
          "vocabulary=60:90", "--range", "warmup=2:20", *TRAIN)
TIMES = "seconds", "took"


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.temporary.name)
        write_corpus(cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.root))

    def start(self, *arguments, threads="1"):
        with open(self.folder / "said.txt", "wb") as said:
            return subprocess.Popen([PROGRAM, "search", *map(str, arguments)], cwd=self.folder, stderr=said,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, "RAPT_THREADS": threads})

    def search(self, *arguments, code=0, **options):
        """What the search prints; `code` is its exit code, None: any."""
        process = self.start(*arguments, **options)
        out, _ = process.communicate(timeout=TIMEOUT)
        if code is not None:
            self.assertEqual(process.returncode, code, self.said())
        return out

    def said(self):
        return (self.folder / "said.txt").read_text()

    def log(self, folder="found"):
        """The whole lines of a log without times."""
        lines = (self.folder / folder / "log.jsonl").read_text().split("\n")[:-1]
        return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]

    def undisturbed(self):
        """The log of a search that nothing happens to, the bytes of the model of its best trial, and its folder."""
        if not hasattr(Search, "reference"):
            own, self.folder = self.folder, pathlib.Path(tempfile.mkdtemp(dir=self.root))
            self.search(*SEARCH, "--model", "best", threads="2")
            Search.reference = self.log(), (self.folder / "best").read_bytes(), self.folder
            self.folder = own
        return Search.reference

    def test_rungs_go_on_and_the_best_model_is_kept(self):
        log, model, folder = self.undisturbed()
        starts = [entry for entry in log if entry["event"] == "start"]
        ends = [entry for entry in log if entry["event"] == "end"]
        self.assertEqual(len(starts), len(ends))
        self.assertEqual([entry["trial"] for entry in starts if entry["rung"] == 0], list(range(6)))
        # Trial 0 has the usual settings, in the ranges.
        self.assertEqual(starts[0]["settings"],
                         {"learning-rate": 0.005, "warmup": 20, "dropout": 0.3, "layers": 2, "vocabulary": 90})
        for entry in ends:
            self.assertTrue(0 < entry["score"] < 10, entry)
            self.assertEqual(entry["resource"], 3 * 3 ** entry["rung"])
        promoted = [entry["trial"] for entry in ends if entry["rung"] == 1]
        self.assertGreaterEqual(len(promoted), 2)
        for trial in range(6):
            job = folder / f"found/trial-{trial:05}"
            self.assertEqual(checkpoint_step(job / "run"), 9 if trial in promoted else 3)
            lines = [json.loads(line) for line in (job / "run/log.jsonl").read_text().splitlines()]
            steps = [line["step"] for line in lines if "loss" in line]
            self.assertEqual(steps, list(range(1, len(steps) + 1)))  # no step was made twice
        best = min(ends, key=lambda entry: entry["score"])["trial"]
        self.assertEqual((folder / f"found/trial-{best:05}/model.safetensors").read_bytes(), model)
        page = (folder / "found/search.html").read_text()
        self.assertEqual(page.count("<tr "), 6)
        translated = subprocess.run([PROGRAM, "run", "--model", "best"], cwd=folder, input="alpha beta 3\n", text=True,
                                    capture_output=True, check=True)
        self.assertEqual(translated.stdout.count("\n"), 1)

    def test_killed_at_any_moment_it_repeats_no_finished_rung(self):
        log, model, _ = self.undisturbed()
        more = ()
        for wanted in 2, 7, 11:  # lines of the log
            process = self.start(*SEARCH, "--model", "best", *more)
            path = self.folder / "found/log.jsonl"
            deadline = time.monotonic() + TIMEOUT
            while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < wanted):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.005)
            time.sleep(0.02)
            process.send_signal(signal.SIGKILL if wanted != 7 else signal.SIGTERM)
            process.communicate()
            self.assertIn(process.returncode, (-signal.SIGKILL, 130, 0), self.said())  # it may have ended
            more = ("--resume",)
        self.search(*SEARCH, "--model", "best", *more)
        self.assertEqual(self.log(), log)
        self.assertEqual((self.folder / "best").read_bytes(), model)

    def test_killed_before_the_end_of_a_rung_was_noted(self):
        """The checkpoint of the rung's last step is there then, and the score is that of its validation."""
        log, model, folder = self.undisturbed()
        shutil.copytree(folder / "found", self.folder / "found")
        path = self.folder / "found/log.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        self.assertIn('"event":"end"', lines[-1])
        path.write_text("".join(lines[:-1]))
        self.search(*SEARCH, "--model", "best", "--resume")
        self.assertEqual(self.log(), log)
        self.assertEqual((self.folder / "best").read_bytes(), model)

    def test_resumed_with_other_limits(self):
        """A trial's steps are those of before; what does not decide the scores may change."""
        few = ("--folder", "found", "--rungs", 1, "--method", "random", "--vocabulary", 80, "--layers", 1, "--warmup",
               5)
        self.search(*few, "--trials", 1, "--trial-steps", 2, *TRAIN)
        self.search("--trials", 2, "--resume", "--log-every", 7, "--checkpoint-every", 3, "--tokens", 500, *CORPUS,
                    *few)
        ends = [entry for entry in self.log() if entry["event"] == "end"]
        self.assertEqual([(entry["trial"], entry["resource"]) for entry in ends], [(0, 2), (1, 2)])
        self.search(*few, "--trials", 3, "--resume", *TRAIN, "--patience", 1, code=1)
        self.assertRegex(self.said(), "the search was started with another task: .*--patience")

    def test_the_command_that_it_prints_trains_with_the_best_settings(self):
        out = self.search("--folder", "found", "--trials", 2, "--trial-steps", 2, "--rungs", 1, "--method", "random",
                          "--vocabulary", 80, "--layers", 1, "--warmup", 5, "--range",
                          "learning-rate=0.00123456789:0.00123456789123", "--model", "my model", "--workers", 2, *TRAIN)
        command = shlex.split(out)
        self.assertEqual(command[:2], ["translate", "train"])
        self.assertRegex(out, r"--vocabulary 80 .*--learning-rate 0\.00123456789\d* --dropout 0")
        self.assertTrue(out.endswith(" --model 'my model' --steps 2\n"), out)
        self.assertEqual(set(self.log()[1]["settings"]), {"learning-rate", "dropout"})
        found = (self.folder / "my model").read_bytes()
        test = (self.folder / "my model.test.source").read_text()
        self.assertEqual(test.count("\n"), 20)
        subprocess.run([PROGRAM, *command[1:]], cwd=self.folder, check=True, timeout=TIMEOUT, capture_output=True)
        self.assertEqual((self.folder / "my model").read_bytes(), found)
        self.assertEqual((self.folder / "my model.test.source").read_text(), test)

    def test_a_trial_that_fails_is_a_result(self):
        self.search("--folder", "found", "--trials", 3, "--trial-steps", 30, "--rungs", 1, "--vocabulary", 80,
                    "--layers", 1, "--dropout", 0, "--warmup", 1, "--range", "learning-rate=1e18:1e20", *TRAIN, code=1)
        ends = [entry for entry in self.log() if entry["event"] == "end"]
        self.assertEqual(len(ends), 3)
        for entry in ends:
            self.assertIn("the loss is not a number at step", entry["failure"])
        self.assertIn("no trial has a score", self.said())

    def test_scores_are_of_the_same_sentences(self):
        """A vocabulary with which sentences of the validation are left out is no better for it."""
        self.search("--folder", "found", "--trials", 1, "--trial-steps", 1, "--rungs", 1, "--layers", 1, "--vocabulary",
                    60, *CORPUS, "--tokens", 20, code=1)
        self.assertRegex(self.log()[-1]["failure"], r"\d+ validation pairs are longer than --tokens 20 with this")

    def test_minutes_end_it(self):
        minutes = ("--folder", "found", "--rungs", 2, "--vocabulary", 80, "--layers", 1, *TRAIN)
        began = time.monotonic()
        process = self.start(*minutes, "--minutes", 0.02)
        process.communicate(timeout=TIMEOUT)
        self.assertIn(process.returncode, (0, 1), self.said())  # 1: no trial has a score
        self.assertGreater(time.monotonic() - began, 1.2)
        lines = len(self.log())
        self.assertGreaterEqual(lines, 1)
        process = self.start(*minutes, "--minutes", 0.04, "--resume")  # a trial gets as much as before
        process.communicate(timeout=TIMEOUT)
        self.assertIn(process.returncode, (0, 1), self.said())
        self.assertIn("goes on after", self.said())
        self.assertGreaterEqual(len(self.log()), lines)

    def test_wrong_options(self):
        for arguments, text in (
                (CORPUS, r"\[search\] say when to stop: --minutes or --trials"),
                (("--trials", 1, *CORPUS), r"\[search\] say what a trial gets: --trial-steps or --trial-minutes"),
                (("--minutes", 1, "--source", "a", "--target", "b"), r"give --hold-out or --validation-source"),
                (("--minutes", 1, *CORPUS, "--steps", 3), r"--steps belongs to a single training"),
                (("--minutes", 1, *CORPUS, "--moving-average", 0.9), r"--moving-average: trials are compared, and"),
                (("--trials", 1, "--trial-steps", 2, *CORPUS), r"rungs would end at steps 0, 1, 2"),
                (("--minutes", 1, *CORPUS, "--drop-out", 0.1), r"not expected: .*--drop-out"),
                (("--minutes", 1, *CORPUS, "--range", "layers=1"), r"must be NAME=LOW:HIGH, not layers=1"),
                (("--minutes", 1, *CORPUS, "--range", "layers=1.5:2"), r"layers needs whole numbers: 1.5:2"),
                (("--minutes", 1, *CORPUS, "--range", "depth=1:2"), r"no searched option is called depth"),
                (("--minutes", 1, *CORPUS, "--layers", 2, "--range", "layers=1:2"), r"--layers is given, and --range"),
                (("--minutes", 1, *CORPUS, "--resume"), r"there is nothing to resume: no folder found")):
            with self.subTest(arguments):
                self.search("--folder", "found", *arguments, code=1)
                self.assertTrue(re.search(text, self.said()), self.said())
                self.assertFalse((self.folder / "found").exists())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
