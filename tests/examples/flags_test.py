#!/usr/bin/env python3
"""The command lines of the examples: numbers that make no sense are refused before anything is done, and --help speaks in
sentences.

    python tests/examples/flags_test.py build/examples [unittest's arguments]

A program that is not in the folder was not built, and is left out.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = None
TIMEOUT = 60  # seconds
PROCESSES = [("--micro-batches", 0), ("--timeout", 0)]
TRAINING = [("--checkpoint-every", -1), ("--log-every", "x"), *PROCESSES]
DIGITS = [("--epochs", 0), ("--batch", 0), ("--learning-rate", "nan"), ("--weight-decay", -1), ("--label-smoothing", 1),
          ("--rotation", 181), ("--shift", -1), ("--zoom", 1), ("--seed", -1), *TRAINING]
WITHOUT_LABELS = [("--pretraining-steps", 0), ("--pretraining-batch", -1), ("--pretraining-rate", 0),
                  ("--pretraining-decay", "nan"), ("--labelled", 5), *DIGITS]
PRETRAINING = [("--share", 0), ("--share", 1), *WITHOUT_LABELS]
SIZES = [("--layers", 0), ("--heads", 0)]
# The command, and flags with numbers that it must refuse.
EXAMPLES = {
    "gpt": [*SIZES, ("--context", 1), ("--batch", "2.5"), ("--width", 0), ("--dropout", 1), ("--steps", 0), ("--warmup", -1),
            ("--learning-rate", "inf"), ("--beta2", 1), ("--sample", -1), ("--temperature", "nan"), ("--seed", -1), *TRAINING],
    "bert_mlm": [("--layers", 0), ("--vocabulary", 0), ("--length", 3), ("--length", 5000), ("--width", 0), ("--batch", 0),
                 ("--steps", -3), ("--learning-rate", 0), ("--seed", "x"), *TRAINING],
    "vit": [*SIZES, ("--shown", 0), ("--patch", 0), ("--width", 0), ("--hidden", 0), ("--dropout", 1), *DIGITS],
    "deit": [*SIZES, ("--teacher-epochs", 0), ("--images", 0), ("--temperature", 0), ("--weight", 1.5), ("--patch", 0),
             ("--width", 0), ("--hidden", -1), *DIGITS],
    "mae": PRETRAINING,
    "beit": [("--visual-tokens", 1), *PRETRAINING],
    "vision_pretraining": [("--minutes", 0), ("--seeds", 0), ("--visual-tokens", 1), ("--grays", 1), ("--smaller", 0),
                           *WITHOUT_LABELS],
    "image_gpt": [*SIZES, ("--steps", 0), ("--smaller", 0), ("--grays", 1), ("--grays", 257), ("--d-model", 0), ("--batch", 0),
                  ("--learning-rate", 0), ("--temperature", -1), ("--completions", 0), ("--probe", 0), *TRAINING],
    "gpt_translator": [("--layers", 1), ("--heads", 0), ("--minutes", 0), ("--d-model", 0), ("--dropout", 1),
                       ("--label-smoothing", -1), ("--hold-out", 0), ("--longest", 0), ("--tokens", 0), ("--learning-rate", 0),
                       ("--warmup", 0), ("--validate-every", 0), ("--patience", -1), ("--beam", 0), *TRAINING],
    "transformer_xl": [("--steps", 0), ("--streams", 0), ("--length", 0), ("--memory", 0), ("--layers", 0), ("--d-model", 0),
                       ("--learning-rate", "nan"), ("--seed", -1), *TRAINING],
    "transgan": [("--steps", 0), ("--batch", 0), ("--width", 31), ("--columns", 3), ("--latent", 0), ("--judged", 1),
                 ("--judge-epochs", 0), ("--learning-rate", 0), ("--penalty", -1), ("--average-decay", 1),
                 ("--seed", -1), *TRAINING],
    "complete --model m": [("--tokens", 0), ("--temperature", -1), ("--top-k", -1), ("--top-p", 0), ("--top-p", 2),
                           ("--repetition-penalty", 0), ("--seed", -1)],
    "chat": [("--tokens", 0), ("--temperature", -1), ("--steps", 0), ("--measure", 0), ("--seed", -1)],
    "semantic_search --model m --lines l": [("--top", 0)],
    "live": [("--measure", -1), ("--answerers", 0), ("--threads", 0), ("--learning-rate", "nan"), ("--batch", 0),
             ("--publish-every", 0), ("--steps-per-correction", 0), ("--remember", 0), ("--seed", -1)],
    "finetune --model m --train t --validation v": [
        ("--layer-decay", 0), ("--lora", -1), ("--alpha", 0), ("--lora-dropout", 1), ("--batch", 0), ("--epochs", 0),
        ("--learning-rate", -1), ("--label-smoothing", 1), ("--patience", -1), ("--longest", 3), ("--seed", -1), *TRAINING],
    "parse train": [*SIZES, ("--steps", 0), ("--minutes", -1), ("--warmup", -1), ("--learning-rate", "nan"), ("--batch", 0),
                    ("--tokens", 0), ("--subwords", 0), ("--width", 0), ("--hidden", 0), ("--dropout", 1),
                    ("--validate-every", 0), ("--measured", 0), ("--seed", -1), *TRAINING],
    "tasks ask --model m": [("--top-k", 0), ("--max-answer-len", "x"), ("--doc-stride", -1)],
    "tasks generate --model m": [("--max-new-tokens", 0), ("--num-beams", 0), ("--temperature", "nan"), ("--seed", -1)],
    "word_vectors": [("--count", 0)],
    "translate train --model m": [("--learning-rate", "nan"), ("--clip", "nan"), ("--minutes", -1), ("--bpe-dropout", 1),
                                  ("--dropout", -0.3), ("--attention-dropout", 1), ("--activation-dropout", "nan"),
                                  ("--label-smoothing", -0.1),
                                  ("--keep", 0), ("--seed", -1), *PROCESSES],
    "translate run --model m": [("--length-penalty", "nan"), ("--length-penalty", -1), ("--min-length", -1), ("--max-length", 0), ("--beam", 1001), ("--timeout", 0)],
    "translate score --references r": [("--resamples", 1), ("--seed", -1)],
    "translate shortlist --model m --source s --target t --out o": [("--per-subword", 0), ("--most-frequent", -1)],
}


class Flags(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)

    def test_there_is_a_program(self):
        self.assertTrue([command for command in EXAMPLES if (PROGRAMS / command.split()[0]).exists()], PROGRAMS)

    def run_built(self, command, *arguments):
        """None if the program was not built."""
        name, *rest = command.split()
        if not (PROGRAMS / name).exists():
            return None
        return subprocess.run([PROGRAMS / name, *rest, *map(str, arguments)], cwd=self.temporary.name, timeout=TIMEOUT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def test_what_is_learned_needs_a_text(self):
        for name in "--epochs", "--dimensions", "--window":
            result = self.run_built("word_vectors", name, 5)
            if result is None:
                self.skipTest("word_vectors was not built")
            self.assertGreater(result.returncode, 100, result.stdout + result.stderr)
            self.assertIn(f"{name} requires --text", result.stderr)

    def test_numbers_that_make_no_sense(self):
        for command, flags in EXAMPLES.items():
            for name, value in flags:
                with self.subTest(command, name=name, value=value):
                    result = self.run_built(command, name, value)
                    if result is None:
                        break
                    self.assertGreater(result.returncode, 100, result.stdout + result.stderr)
                    self.assertRegex(result.stderr.splitlines()[0], f"^{name}: must be .*, not {value}$")
                    self.assertEqual(result.stdout, "")
                    self.assertEqual(os.listdir(self.temporary.name), [])

    def test_log_every_needs_a_log_or_a_plot(self):
        for command, flags in EXAMPLES.items():
            if TRAINING[1] not in flags:
                continue
            with self.subTest(command):
                result = self.run_built(command, "--log-every", 1)
                if result is None:
                    continue
                self.assertGreater(result.returncode, 100, result.stdout + result.stderr)
                self.assertIn("--log-every requires --folder or --plot", result.stderr)

    def test_transgan_says_what_cannot_be_before_it_learns(self):
        files = "--generator", "--judge", "--samples", "--interpolations", "--neighbours"
        for arguments, text in ((("--loss", "wasserstein", "--penalty", 0), "--loss wasserstein needs a --penalty: 0"),
                                *(((name, "missing/file"), "missing/file: ") for name in files)):
            with self.subTest(arguments):
                result = self.run_built("transgan", *arguments)
                if result is None:
                    self.skipTest("transgan was not built")
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertIn(text, result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertEqual(os.listdir(self.temporary.name), [])

    def test_help_speaks_in_sentences(self):
        for command in EXAMPLES:
            result = self.run_built(command.split(" --")[0], "--help")
            if result is None:
                continue
            self.assertEqual(result.returncode, 0)
            text = re.sub(r"\n {20,}", "  ", result.stdout)  # a description begins on a line of its own, or goes on there
            options = re.findall(r"^  (--\S+).*?  +(\S.*)$", text, re.MULTILINE)
            self.assertGreaterEqual(len(options), 5, result.stdout)
            for name, description in options:
                with self.subTest(command, name=name):
                    self.assertRegex(description, r"^[A-Z].*\.$")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAMS = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
