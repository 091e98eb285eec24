#!/usr/bin/env python3
"""examples/live.cpp: answers, corrections and what is learned from them, the folder and the next run, the measurement.

    python tests/examples/live_test.py build/examples/live [unittest's arguments]
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

from tasks_test import write_folder

PROGRAM = None
TIMEOUT = 120  # seconds
LABELS = ["future", "past", "present"]
TEXTS = {"we met Tom yesterday": "past", "he will read a book tomorrow": "future", "she is tired": "present"}
NUMBERS = r"\s+".join([r"(\d+)"] * 7)


class LiveTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)

    def command(self, *arguments):
        return {"args": [PROGRAM, *arguments], "cwd": self.root, "env": {**os.environ, "RAPT_PRECISION": "highest"}}

    def run_live(self, *arguments, lines=(), code=0):
        run = subprocess.run(**self.command(*arguments), timeout=TIMEOUT, capture_output=True,
                             input="".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
        self.assertEqual(run.returncode, code, run.stderr.decode())
        return run

    def answers(self, *arguments, lines):
        return self.run_live(*arguments, lines=lines).stdout.decode().splitlines()

    def teach(self, *arguments):
        """Asks and corrects until all is right; returns the number of corrections."""
        live = subprocess.Popen(**self.command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        with live:
            corrections, end = 0, time.monotonic() + TIMEOUT
            wrong = TEXTS
            while wrong:
                self.assertLess(time.monotonic(), end, f"never learned: {wrong}")
                wrong = {}
                for text, label in TEXTS.items():
                    live.stdin.write(text + "\n")
                    answer = live.stdout.readline().rstrip("\n")
                    self.assertIn(answer, LABELS)
                    if answer != label:
                        wrong[text] = answer
                        live.stdin.write(f"!{label}\n")
                        corrections += 1
                time.sleep(0.05)
            live.stdin.close()
            self.assertEqual(live.stdout.read(), "")
            self.assertEqual(live.wait(TIMEOUT), 0)
        return corrections

    def remembered(self, folder):
        lines = (self.root / folder / "corrections.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def test_it_learns_while_it_answers_and_goes_on_in_the_next_run(self):
        corrections = self.teach("--folder", "mine")
        self.assertGreaterEqual(corrections, 1)
        remembered = self.remembered("mine")
        self.assertEqual(len(remembered), corrections)
        self.assertTrue(all(TEXTS[one["text"]] == one["label"] for one in remembered))
        self.assertEqual(self.answers("--folder", "mine", lines=TEXTS), list(TEXTS.values()))
        self.assertEqual(self.remembered("mine"), remembered)
        weights = (self.root / "mine" / "model.safetensors").read_bytes()

        text = "a question nobody asked"  # what is handed over just before the end is learned, too
        answer = self.answers("--folder", "mine", lines=[text])[0]
        self.assertEqual((self.root / "mine" / "model.safetensors").read_bytes(), weights)
        other = LABELS[LABELS.index(answer) - 1]
        self.run_live("--folder", "mine", "--steps-per-correction", "100", lines=[text, "!" + other])
        self.assertEqual(self.answers("--folder", "mine", lines=[text]), [other])
        self.assertEqual(self.remembered("mine")[-1], {"text": text, "label": other})
        self.run_live("--folder", "mine", "--remember", "3", lines=[line for i in range(4) for line in (f"text {i}", "!past")])
        self.assertEqual([one["text"] for one in self.remembered("mine")], ["text 1", "text 2", "text 3"])

    def test_folders_of_other_encoders(self):
        for name in ("classes", "fill"):
            (self.root / name).mkdir()
            write_folder(name, self.root / name)
        texts = ["the cat", "the 1"]
        own = self.answers("--model", "classes", lines=texts)
        self.assertTrue(set(own) <= {"contradiction", "neutral", "Entailment"})
        run = self.run_live("--model", "fill", code=1)
        self.assertIn("[live] fill: the model does not tell labels of texts apart", run.stderr.decode())
        run = self.run_live("--model", "fill", "--labels", "up,down", "--folder", "mine", lines=["the cat", "!down", "the 1", "!up"])
        self.assertTrue(set(run.stdout.decode().split()) <= {"up", "down"})
        config = json.loads((self.root / "mine" / "config.json").read_text())
        self.assertEqual(list(config["id2label"].values()), ["up", "down"])
        self.assertEqual([one["label"] for one in self.remembered("mine")], ["down", "up"])
        self.assertEqual(len(self.answers("--folder", "mine", lines=texts)), 2)

    def test_lines_that_cannot_be_used_are_named(self):
        run = self.run_live(lines=["!past", "fine", "!never", "", "fine"])
        self.assertEqual(run.stderr.decode().splitlines(), [
            "live: there is no text before !past", 'live: there is no label "never": the labels are future, past, present'])
        self.assertEqual(len(run.stdout.splitlines()), 2)
        run = self.run_live("--folder", "mine", lines=["fine", "!past", "b\udcff"], code=1)
        self.assertRegex(run.stderr.decode(), r"^live: \[standard input:3\] not UTF-8")
        self.assertEqual(self.remembered("mine"), [{"text": "fine", "label": "past"}])  # kept nevertheless

    def test_measurement(self):
        said = self.run_live("--measure", "1500", "--answerers", "2", "--folder", "mine").stdout.decode()
        rows = {name: [int(number) for number in re.search(f"^{name} +{NUMBERS}$", said, re.MULTILINE).groups()]
                for name in ("all", "at exchanges", "others")}
        self.assertEqual(rows["all"][0], 1500)
        for column in (0, 5, 6):
            self.assertEqual(rows["all"][column], rows["at exchanges"][column] + rows["others"][column])
        for answers, median, most, nearly_all, slowest, slow, preempted in rows.values():
            self.assertTrue(0 < median <= most <= nearly_all <= slowest and preempted <= slow <= answers, rows)
        learned = [int(number) for number in re.search(r"(\d+) corrections, (\d+) steps, (\d+) exchanges", said).groups()]
        self.assertTrue(all(number > 0 for number in learned), said)
        self.assertEqual(len(self.remembered("mine")), learned[0])
        # Its own count is right: the model in the folder does as well as it said.
        after = re.search(r"right of 1000 other texts: ([0-9.]+) % before, ([0-9.]+) % after", said)[2]
        again = self.run_live("--measure", "1", "--folder", "mine").stdout.decode()
        self.assertEqual(re.search(r": ([0-9.]+) % before", again)[1], after)

    def test_texts_of_ones_own(self):
        lines = [{"text": f"{word} {i}", "label": word} for i in range(20) for word in ("red", "blue")]
        (self.root / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        said = self.run_live("--texts", "texts.jsonl", "--measure", "400").stdout.decode()
        self.assertIn("right of 4 other texts: ", said)
        run = self.run_live("--texts", "texts.jsonl", "--labels", "red,green", "--measure", "400", code=1)
        self.assertIn('texts.jsonl:2 has the label "blue", which is none of those that are known', run.stderr.decode())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
