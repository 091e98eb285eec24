#!/usr/bin/env python3
"""Training examples that are killed and interrupted: resumed, they write the same bits as runs that nothing happened to.

    python tests/examples/resume_test.py build/examples [unittest's arguments]

A program that is not in the folder was not built, and is left out.
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

PROGRAMS = None
TIMEOUT = 600  # seconds
DIGITS = ("--epochs", 1, "--image", "image.png")
PARSER = ("--steps", 24, "--width", 16, "--layers", 1, "--heads", 2, "--hidden", 16, "--warmup", 4,
          "--validate-every", 10, "--measured", 5, "--parser", "model.safetensors")
# What is run (a word behind the program's name tells its runs apart), the trainings of a run (each has a folder of its
# own; "" is the run's), and what stays the same.
EXAMPLES = {
    "gpt": (("--steps", 60, "--warmup", 10, "--width", 32, "--layers", 1, "--context", 16, "--dropout", 0.1, "--sample", 20,
             "--model", "model"), [""], ["model/model.safetensors"]),
    "bert_mlm": (("--steps", 24, "--width", 32, "--layers", 1, "--batch", 16, "--vocabulary", 100), [""], []),
    "vit": ((*DIGITS, "--batch", 256, "--width", 16, "--layers", 1, "--heads", 1, "--hidden", 16, "--dropout", 0.1, "--patch", 14,
             "--model", "model"), [""], ["model/model.safetensors"]),
    "mae": ((*DIGITS, "--pretraining-steps", 8, "--pretraining-batch", 16, "--labelled", 200),
            ["pretraining", "pretrained", "from-nothing"], ["image.png"]),
    "transgan": (("--steps", 8, "--batch", 8, "--width", 32, "--columns", 4, "--latent", 8, "--judge-epochs", 1,
                  "--judged", 50, "--generator", "generator.safetensors"), ["judge", "gan"],
                 ["generator.safetensors", "samples.png", "interpolations.png", "neighbours.png"]),
    "parse span": (("train", *PARSER), [""], ["model.safetensors"]),
    "parse sequence": (("train", "--model", "sequence", "--tokens", 300, *PARSER), [""], ["model.safetensors"]),
    "transformer_xl": (("--steps", 30, "--streams", 4, "--length", 16, "--memory", 32, "--layers", 2, "--d-model", 16,
                        "--text", "../text.txt"), ["without-memory", "with-memory"], []),
}


class Resume(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.temporary.name)
        lines = [f"{n} times {n % 7} is {n * (n % 7)}\n" for n in range(400)]
        (self.root / "text.txt").write_text("".join(lines))

    def tearDown(self):
        self.temporary.cleanup()

    def start(self, name, folder, *arguments):
        folder.mkdir(exist_ok=True)
        options = EXAMPLES[name][0]
        with open(folder / "said.txt", "wb") as said:
            return subprocess.Popen(
                [PROGRAMS / name.split()[0], *map(str, options), "--folder", "run", "--checkpoint-every", "4", "--log-every", "1",
                 *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                env={**os.environ, "RAPT_THREADS": "2"}, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def finish(self, name, folder, *arguments):
        process = self.start(name, folder, *arguments)
        said = folder / "said.txt"
        self.assertEqual(process.wait(TIMEOUT), 0, said.read_text(errors="replace"))
        return said.read_text(errors="replace")

    def stop_at(self, name, folder, training, step, number, *arguments):
        """Sends a signal after the first checkpoint of this step or a later one; returns the exit code."""
        process = self.start(name, folder, *arguments)
        deadline = time.monotonic() + TIMEOUT
        while checkpoint_step(folder / "run" / training) < step:
            self.assertIsNone(process.poll(), (folder / "said.txt").read_text(errors="replace"))
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        process.send_signal(number)
        return process.wait(TIMEOUT)

    def results(self, name, folder):
        """Checkpoints and other files, and what was said of the model in the end."""
        _, trainings, files = EXAMPLES[name]
        paths = [folder / "run" / training / "checkpoint.safetensors" for training in trainings]
        return [path.read_bytes() for path in paths + [folder / file for file in files]]

    def losses(self, name, folder):
        logs = [(folder / "run" / training / "log.jsonl").read_text().splitlines() for training in EXAMPLES[name][1]]
        return [[(entry["step"], entry["loss"]) for entry in map(json.loads, log) if "loss" in entry] for log in logs]

    def kill_and_resume(self, name):
        if not (PROGRAMS / name.split()[0]).exists():
            self.skipTest(f"{name.split()[0]} is not built")
        trainings = EXAMPLES[name][1]
        whole, killed = self.root / "whole", self.root / "killed"
        self.finish(name, whole)
        expected = self.results(name, whole)
        # A kill in the first training, an interruption in the last one.
        code = self.stop_at(name, killed, trainings[0], 4, signal.SIGKILL)
        self.assertIn(code, (0, -signal.SIGKILL))
        code = self.stop_at(name, killed, trainings[-1], 12 if len(trainings) == 1 else 4, signal.SIGINT, "--resume")
        said = (killed / "said.txt").read_text(errors="replace")
        # A signal behind the last step, when the job has ended, ends the program at once.
        self.assertIn(code, (0, 130, -signal.SIGINT), said)
        if code == 130:
            self.assertRegex(said, r"stopped after step \d+: the same run with --resume goes on\n$")
        text = self.finish(name, killed, "--resume")
        self.assertRegex(text, r"goes on after step \d+\n")
        self.assertEqual(self.losses(name, killed), self.losses(name, whole))
        for got, wanted in zip(self.results(name, killed), expected, strict=True):
            self.assertTrue(got == wanted)

    def test_gpt(self):
        self.kill_and_resume("gpt")

    def test_bert_mlm(self):
        self.kill_and_resume("bert_mlm")

    def test_vit(self):
        self.kill_and_resume("vit")

    def test_mae(self):
        self.kill_and_resume("mae")

    def test_transgan(self):
        self.kill_and_resume("transgan")

    def test_parse_span(self):
        self.kill_and_resume("parse span")

    def test_parse_sequence(self):
        self.kill_and_resume("parse sequence")

    def test_transformer_xl(self):
        self.kill_and_resume("transformer_xl")

    def test_refusals(self):
        if not (PROGRAMS / "gpt").exists():
            self.skipTest("gpt is not built")
        folder = self.root / "run of gpt"

        def refuse(*arguments):
            process = self.start("gpt", folder, *arguments)
            self.assertEqual(process.wait(TIMEOUT), 1)
            return (folder / "said.txt").read_text(errors="replace")

        self.assertIn("nothing to resume: no folder run", refuse("--resume"))
        self.finish("gpt", folder)
        self.assertRegex(refuse(), r"gpt: \[train\] .*checkpoint.safetensors: .*--resume goes on.*--restart gives it up")
        self.assertIn('the run was started with another --batch: then not given, now ["5"]', refuse("--resume", "--batch", "5"))
        self.assertIn("another corpus", refuse("--resume", "--text", "../text.txt"))
        self.assertFalse(re.search("goes on", self.finish("gpt", folder, "--restart")))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAMS = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
