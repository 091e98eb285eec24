#!/usr/bin/env python3
"""Training examples that several processes run together under mpirun: they write the bits that one process writes,
whatever their number, and end with a message when one of them is lost.

    python tests/examples/processes_test.py build/examples MPIRUN [unittest's arguments]

MPIRUN is the launcher of the MPI that the examples were built with; "none" if they were built without.
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

from tasks_test import GOLDEN, write_folder
from training_runs import ENVIRONMENT, checkpoint_step, example_command, ranks, results, write_corpus

PROGRAMS = LAUNCHER = None
TIMEOUT = 300  # seconds


class Processes(unittest.TestCase):
    def setUp(self):
        if LAUNCHER == "none":
            self.skipTest("the examples were built without MPI")
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        write_corpus(self.root)

    def command(self, example, *more):
        if not (PROGRAMS / example.split()[0]).exists():
            self.skipTest(f"{example.split()[0]} is not built")
        return example_command(PROGRAMS, example, *more)

    def start(self, folder, arguments, **how):
        folder.mkdir(exist_ok=True)
        with open(folder / "said.txt", "wb") as said:
            return subprocess.Popen(arguments, cwd=folder, stdout=said, stderr=subprocess.STDOUT,
                                    env={**os.environ, **ENVIRONMENT}, **{"stdin": subprocess.DEVNULL, **how},
                                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def finish(self, process, folder, code=0):
        try:
            found = process.wait(TIMEOUT)
        finally:
            process.kill()
        said = (folder / "said.txt").read_text(errors="replace")
        if code is not None:
            self.assertEqual(found, code, said)
        return said

    def train(self, example, processes, folder, *more, code=0):
        command = self.command(example, *more)
        launched = [LAUNCHER, "-n", str(processes), *command] if processes > 0 else command
        return self.finish(self.start(self.root / folder, launched), self.root / folder, code)

    def signal_rank(self, example, processes, folder, rank, number, *more):
        """Sends a signal to a rank of a run after the checkpoint of step 8; returns exit code, seconds and text."""
        folder = self.root / folder
        process = self.start(folder, [LAUNCHER, "-n", str(processes), *self.command(example, *more)])
        deadline = time.monotonic() + TIMEOUT
        while checkpoint_step(folder / "run") < 8:
            self.assertIsNone(process.poll(), (folder / "said.txt").read_text(errors="replace"))
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        os.kill(ranks(PROGRAMS, folder)[rank], number)
        begin = time.monotonic()
        said = self.finish(process, folder, None)
        return process.returncode, time.monotonic() - begin, said

    def same_on_any_number(self, example):
        self.train(example, 0, "one")
        expected = results(self.root / "one")
        self.assertGreater(len(expected["log"]), 10)
        for processes, more in (1, []), (2, []), (4, ["--shard-optimizer"]):
            said = self.train(example, processes, str(processes), *more)
            self.assertEqual(results(self.root / str(processes)), expected, said)
        first = json.loads((self.root / "4/run/log.jsonl").read_text().splitlines()[0])
        self.assertEqual((first["processes"], first["threads"]), (4, [1] * 4))

    def test_gpt(self):
        self.same_on_any_number("gpt")

    def test_vit(self):
        self.same_on_any_number("vit")

    def test_translate(self):
        self.same_on_any_number("translate train")

    def test_finetune(self):
        (self.root / "classes").mkdir()
        write_folder("classes", self.root / "classes")
        labels = ["contradiction", "neutral", "Entailment"]
        texts = [text for text in GOLDEN["texts"] if text.strip() and not set(text) & set("\t\n")][:24]
        lines = ["label\ttext"] + [f"{labels[i % 3]}\t{text}" for i, text in enumerate(texts)]
        (self.root / "train.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        self.same_on_any_number("finetune")

    def test_generated_texts_are_shared(self):
        (self.root / "classes").mkdir()
        write_folder("gpt", self.root / "classes")
        examples = [{"prompt": f"the {noun} {name}", "answer": " cat sat"}
                    for noun in ("cat", "dog", "mats") for name in ("house", "small")]
        (self.root / "train.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
        answers = ("--task", "answers", "--measure", "rouge_l", "--train", "../train.jsonl",
                   "--validation", "../train.jsonl", "--longest", 24, "--epochs", 8)
        self.train("finetune", 0, "one", *answers)
        self.train("finetune", 4, "four", *answers)
        self.assertEqual(results(self.root / "four"), results(self.root / "one"))
        self.assertIn("rouge_l", json.dumps(results(self.root / "one")["log"]))

    def test_one_says_what_there_is_to_say(self):
        one, two = self.train("gpt", 0, "one"), self.train("gpt", 2, "two")
        times = r"[\d.]+ s\b|, \d+ threads|\S+ tokens/s.*"
        lines = [sorted(re.sub(times, "", said).splitlines()) for said in (one, two)]
        self.assertEqual(*lines)

    # Runs that are to be ended from outside have so many steps that they cannot be over before. The translator's steps
    # do not depend on their number: an interrupted run goes on for some steps more and is compared with one of as many.

    def expect_going_on(self, folder):
        """Resumes a run of `translate train` for some steps, which must give what an uninterrupted run gives."""
        step = checkpoint_step(self.root / folder / "run")
        self.assertGreaterEqual(step, 8)
        said = self.train("translate train", 2, folder, "--steps", step + 12, "--resume")
        self.assertIn(f"goes on after step {step}\n", said)
        self.train("translate train", 0, f"{folder} one", "--steps", step + 12)
        self.assertEqual(results(self.root / folder), results(self.root / f"{folder} one"))

    def test_a_lost_process(self):
        code, seconds, said = self.signal_rank("translate train", 3, "killed", 1, signal.SIGKILL, "--steps", 10**6)
        self.assertNotEqual(code, 0)
        self.assertLess(seconds, 60)
        self.assertEqual(ranks(PROGRAMS, self.root / "killed"), {}, said)
        self.expect_going_on("killed")

    def test_a_process_that_stops_answering(self):
        code, seconds, said = self.signal_rank("gpt", 2, "stopped", 1, signal.SIGSTOP, "--steps", 10**6, "--timeout", 10)
        self.assertNotEqual(code, 0)
        self.assertLess(seconds, 60)
        self.assertRegex(said, r"gpt, rank 0: .*rank 1")

    def test_an_interruption(self):
        for rank, number in (1, signal.SIGTERM), (0, signal.SIGINT):
            folder = f"interrupted {rank}"
            code, _, said = self.signal_rank("translate train", 3, folder, rank, number, "--steps", 10**6)
            self.assertEqual(code, 130, said)
            stops = re.findall(r"^stopped after step \d+: the same run with --resume goes on$", said, re.M)
            self.assertEqual(len(stops), 1, said)
            self.assertIn(f"stopped after step {checkpoint_step(self.root / folder / 'run')}:", said)
            self.expect_going_on(folder)

    def test_processes_that_differ(self):
        def differ(name, first, second):
            folder = self.root / name
            said = self.finish(self.start(folder, [LAUNCHER, "-n", "1", *first, ":", "-n", "1", *second]), folder, None)
            self.assertRegex(said, r"gpt, rank 0: ")
            self.assertRegex(said, r"gpt, rank 1: ")
            self.assertFalse((folder / "run/checkpoint.safetensors").exists())
            return said

        command = self.command("gpt")
        self.assertIn("all processes must have the same --seed: rank 0 has (none), rank 1 has '[\"2\"]'",
                      differ("seeds", command, [*command, "--seed", "2"]))
        self.assertIn("the same corpus", differ("texts", command, [*command, "--text", "../source.txt"]))
        if "avx2" in pathlib.Path("/proc/cpuinfo").read_text():
            at_levels = [["env", f"RAPT_SIMD={level}", *command] for level in ("avx2", "baseline")]
            self.assertIn("the same instruction set: rank 0 has 'avx2', rank 1 has 'baseline'",
                          differ("instructions", *at_levels))

    def test_processes_of_which_one_has_no_folder(self):
        """Of a program of several trainings: the one without a folder must not go on to another operation."""
        folder = self.root / "folders"
        command = self.command("mae", "--epochs", 1, "--image", "image.png", "--pretraining-steps", 2,
                               "--labelled", 100, "--micro-batches", 2)
        said = self.finish(self.start(folder, [LAUNCHER, "-n", "1", *command, "--folder", "run", ":", "-n", "1",
                                               *command]), folder, None)
        for rank in 0, 1:
            self.assertRegex(said, rf"mae, rank {rank}: .*all processes must have the same --folder: "
                                   "rank 0 has 'given', rank 1 has 'not given'")
        self.assertFalse((folder / "run").exists())

    def test_refusals(self):
        for example in "gpt", "translate train":
            said = self.train(example, 2, "one micro-batch", "--micro-batches", 1, code=1)
            self.assertIn("it has started 2 processes, which share the micro-batches of a step: give --micro-batches",
                          said)
            self.assertEqual([path.name for path in (self.root / "one micro-batch").iterdir()], ["said.txt"])
        said = self.train("gpt", 0, "gpt", "--micro-batches", 3, code=None)
        self.assertIn("--micro-batches: must be a power of two, not 3", said)
        lengths = ("--min-length", 3, "--max-length", 2)
        said = self.train("translate run", 2, "lengths", "--model", "none", *lengths, code=1)
        self.assertIn("--min-length 3 is more than --max-length 2", said)
        said = self.finish(self.start(self.root / "score", [LAUNCHER, "-n", "2", str(PROGRAMS / "translate"), "score",
                                                            "--references", "../target.txt"]), self.root / "score", 1)
        self.assertIn("it has started 2 processes, and there is no work here that they could share", said)
        self.assertIn("[train] there is nothing to resume: no folder none",
                      self.train("gpt", 2, "gpt", "--folder", "none", "--resume", code=1))

    def test_the_launcher_of_another_mpi_is_no_use(self):
        """Its processes do not find one another: each would train a model of its own in the same folder."""
        folder = self.root / "other"
        process = self.start(folder, ["env", "OMPI_COMM_WORLD_SIZE=2", *self.command("gpt")])
        said = self.finish(process, folder, 1)
        self.assertIn("mpirun has started 2 processes, and this program's MPI knows of 1", said)
        self.assertFalse((folder / "run").exists())

    def test_a_model_that_carries_its_cache_is_refused(self):
        said = self.train("transformer_xl", 2, "xl", "--steps", 2, "--micro-batches", 2, code=1)
        self.assertRegex(said, "transformer_xl, rank [01]: .*no work here that they could share")

    def test_translations_keep_their_order(self):
        self.train("translate train", 0, "model")
        lines = [f"{line} \n" for line in (self.root / "source.txt").read_text().splitlines()[:45]] + ["\n", "alpha"]
        (self.root / "input.txt").write_text("".join(lines))
        for more in [], ["--n-best", 2, "--beam", 2], ["--sample", "--n-best", 2]:
            outputs = []
            for launch in [], [LAUNCHER, "-n", "3"]:
                command = [*launch, *self.command("translate run", "--model", "../model/model.safetensors", *more)]
                with open(self.root / "input.txt", "rb") as source:
                    process = self.start(self.root / "output", command, stdin=source)
                outputs.append(self.finish(process, self.root / "output"))
            self.assertEqual(*outputs)
            written = outputs[0].splitlines()
            if more:
                numbers = list(dict.fromkeys(line.split(" ||| ")[0] for line in written))
                self.assertEqual(numbers, list(map(str, range(47))))
            else:
                self.assertEqual(len(written), 47)


class WithoutMpi(unittest.TestCase):
    def test_a_launcher_is_no_use(self):
        if LAUNCHER != "none":
            self.skipTest("the examples were built with MPI")
        result = subprocess.run([PROGRAMS / "gpt", "--steps", "1"], env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"},
                                timeout=TIMEOUT, capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("mpirun has started 2 processes, and this program was built without MPI", result.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAMS = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    LAUNCHER = sys.argv.pop(1)
    unittest.main()
