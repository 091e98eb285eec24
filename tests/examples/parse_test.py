#!/usr/bin/env python3
"""examples/parse.cpp: both parsers learn the generated sentences; files of trees, tests, typed sentences, drawings, errors.

    python tests/examples/parse_test.py build/examples/parse [unittest's arguments]
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM = None
TIMEOUT = 300  # seconds
TREES = """\
(ROOT (S (NP-SBJ (DT the) (NN cat)) (VP (VBZ sleeps)) (. .)))
( (S (NP-SBJ-1 (DT the) (NN dog)) (VP (VBZ sees) (NP (DT a) (NN cat)) (-NONE- *T*)) (. .)))
(ROOT (FRAG (NP (NN cat))))
"""


def words(tree):
    return re.findall(r"\([^\s()]+ ([^\s()]+)\)", tree)


class ParseTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        (self.root / "trees").write_text(TREES)

    def parse(self, *arguments, text="", code=0):
        run = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.root, env={**os.environ, "RAPT_PRECISION": "highest"},
                             timeout=TIMEOUT, capture_output=True, text=True, input=text)
        self.assertEqual(run.returncode, code, run.stderr + run.stdout)
        return run.stdout if code == 0 else run.stderr

    def f1(self, said):
        return float(re.search(r"F1 ([\d.]+)", said)[1])

    def test_the_default_learns_to_parse_and_draws(self):
        said = self.parse()
        self.assertGreater(self.f1(said.split("unseen sentences")[1]), 95)
        svg = xml.etree.ElementTree.parse(self.root / "parse.svg").getroot()
        texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("farmer", texts)
        self.assertIn("SBAR", texts)

    def test_a_sequence_parser_that_has_learned_little_gives_trees(self):
        said = self.parse("train", "--model", "sequence", "--steps", 30, "--width", 32, "--layers", 1, "--heads", 2,
                          "--hidden", 32, "--warmup", 5, "--measured", 20, "--tokens", 500, "--parser", "p.safetensors")
        self.assertIn("200 unseen sentences", said)
        for flags in (), ("--gold-tags", "--beam", 2):
            said = self.parse("test", "--parser", "p.safetensors", "--trees", "trees", "--output", "found", *flags)
            self.assertIn("3 of 3 outputs are trees over the right words", said)
            found = (self.root / "found").read_text().splitlines()
            self.assertEqual([words(tree) for tree in found], [words(t.replace("(-NONE- *T*)", "")) for t in TREES.splitlines()])
        self.assertIn("(VBZ sleeps)", found[0])  # a tag that the generated sentences have not

    def test_a_treebank_of_ones_own(self):
        settings = ("--trees", "trees", "--validation", "trees", "--steps", 60, "--warmup", 5, "--batch", 3, "--subwords", 60,
                    "--width", 32, "--heads", 2, "--layers", 1, "--dropout", 0, "--learning-rate", 1e-2, "--validate-every", 30)
        for model, more in ("span", ()), ("span", ("--tags", "gold")), ("sequence", ("--replace-tags",)):
            with self.subTest(model=model, more=more):
                self.parse("train", "--model", model, "--parser", "p.safetensors", *settings, *more)
                said = self.parse("test", "--parser", "p.safetensors", "--trees", "trees", "--gold-tags")
                self.assertEqual(self.f1(said), 100)
                if more == ("--tags", "gold"):
                    error = self.parse("run", "--parser", "p.safetensors", text="the dog\n", code=1)
                    self.assertIn("this parser reads parts of speech", error)
                    continue
                said = self.parse("run", "--parser", "p.safetensors", "--svg", "tree", text="the cat sleeps.\n\nelephants\n")
                trees = said.splitlines()
                self.assertEqual([words(tree) for tree in trees], [["the", "cat", "sleeps", "."], ["elephants"]])
                for number in 1, 2:
                    xml.etree.ElementTree.parse(self.root / f"tree-{number}.svg")

    def test_a_killed_run_goes_on_to_the_same_bits(self):
        settings = ("train", "--steps", 12, "--warmup", 2, "--width", 16, "--layers", 1, "--heads", 2, "--hidden", 16,
                    "--validate-every", 6, "--measured", 10)
        self.parse(*settings, "--parser", "whole.safetensors")
        self.parse(*settings, "--folder", "run", "--checkpoint-every", 6, "--parser", "first.safetensors")
        self.parse(*settings, "--folder", "run", "--resume", "--parser", "again.safetensors")
        whole = (self.root / "whole.safetensors").read_bytes()
        self.assertEqual((self.root / "first.safetensors").read_bytes(), whole)
        self.assertEqual((self.root / "again.safetensors").read_bytes(), whole)

    def test_wrong_files_are_refused(self):
        (self.root / "broken").write_text("(S (NP (NN a))\n(S")
        error = self.parse("train", "--trees", "broken", code=1)
        self.assertIn("broken:2:3: the text ends within a tree: 2 brackets are open", error)
        (self.root / "word").write_text("(NN a)\n")
        self.assertIn("tree 1 is a word alone", self.parse("train", "--trees", "word", code=1))
        self.assertIn("none", self.parse("test", "--parser", "none", "--trees", "trees", code=1))

    def test_a_beam_of_nothing_is_refused(self):
        for command in ("test", "--trees", "trees"), ("run",):
            run = subprocess.run([PROGRAM, *command, "--parser", "none", "--beam", "0"], cwd=self.root, capture_output=True,
                                 text=True, timeout=TIMEOUT)
            self.assertGreater(run.returncode, 100)
            self.assertIn("--beam: must be from 1 to 1000, not 0", run.stderr)


if __name__ == "__main__":
    PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
