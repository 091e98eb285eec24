#!/usr/bin/env python3
"""examples/parse.cpp: both parsers learn the generated sentences; files of trees, tests, typed sentences, drawings, errors.

    python tests/examples/parse_test.py build/examples/parse [unittest's arguments]
"""

import json
import os
import pathlib
import re
import struct
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


LITTLE = ("--steps", 30, "--width", 32, "--layers", 1, "--heads", 2, "--hidden", 32, "--warmup", 5)


def words(tree):
    return re.findall(r"\([^\s()]+ ([^\s()]+)\)", tree)


def change_metadata(source, target, change):
    """Copies a safetensors file; change(metadata) may change the texts that it holds."""
    data = source.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])


def without_last_subword(text):
    header, count, *pieces = text.splitlines()
    return "\n".join([header, str(int(count) - 1), *pieces[:-1]]) + "\n"


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
        said = self.parse("train", "--model", "sequence", *LITTLE, "--measured", 20, "--tokens", 500,
                          "--parser", "p.safetensors")
        self.assertIn("200 unseen sentences", said)
        for flags, tags in ((), "predicted"), (("--gold-tags", "--beam", 2), "gold"):
            said = self.parse("test", "--parser", "p.safetensors", "--trees", "trees", "--output", "found", *flags)
            self.assertIn(f"3 of 3 outputs are trees over the right words; {tags} tags", said)
            found = (self.root / "found").read_text().splitlines()
            self.assertEqual([words(tree) for tree in found], [words(t.replace("(-NONE- *T*)", "")) for t in TREES.splitlines()])
        self.assertIn("(VBZ sleeps)", found[0])  # a tag that the generated sentences have not
        # A tree depends on its own tags alone, and not on whether those of other sentences are known.
        (self.root / "known").write_text("(ROOT (S (NP (DT the) (NN dog)) (VP (VBD saw) (NP (PRP it))) (. .)))\n")
        (self.root / "both").write_text((self.root / "known").read_text() + TREES)
        trees = []
        for name in "known", "both":
            self.parse("test", "--parser", "p.safetensors", "--trees", name, "--output", "found", "--gold-tags")
            trees.append((self.root / "found").read_text().splitlines()[0])
        self.assertEqual(trees[0], trees[1])
        self.refuses_changed_files(["parser", "subwords", "symbols", "roots", "words", "limits", "config"], [
            ("parser", lambda text: "tree", "there is no parser of the kind \"tree\""),
            ("symbols", lambda text: text + "(QP\n)QP\n", "symbols, the model's target vocabulary has"),
            ("symbols", lambda text: text.replace(")NP\n", "NN-\n"), "the symbol \"(NP\" has no \")\""),
            ("roots", lambda text: "(QP\n", "the root \"(QP\" is no symbol that opens"),
            ("roots", lambda text: "", "0 roots"),
            ("limits", lambda text: "64\n4\n0\n", '"limits" must be three numbers from 1'),
            ("words", lambda text: "yes", "\"words\" must be \"replaced\" or \"tags\", not \"yes\"")])

    def refuses_changed_files(self, keys, changes):
        """p.safetensors without each key, and with (key, change of its text, what is said)."""
        changes = [(key, None, f'has no "{key}" in its metadata') for key in keys] + changes
        for key, change, message in changes:
            with self.subTest(key=key, message=message):
                def edit(metadata):
                    metadata.update({key: change(metadata[key])} if change else {})
                    if not change:
                        del metadata[key]
                change_metadata(self.root / "p.safetensors", self.root / "changed.safetensors", edit)
                error = self.parse("run", "--parser", "changed.safetensors", text="the dog\n", code=1)
                self.assertIn("changed.safetensors: ", error)
                self.assertIn(message, error)

    def test_typed_sentences_are_cut_as_in_treebanks(self):
        self.parse("train", *LITTLE, "--measured", 1, "--parser", "p.safetensors")
        lines = {
            'He (Bob) didn\'t say "no" ...': 'He -LRB- Bob -RRB- did n\'t say " no " ...',
            "The dog's U.S. friend, Mr. Smith, can\u2019t pay $5.50!?":
                "The dog 's U.S. friend , Mr. Smith , ca n\u2019t pay $ 5.50 ! ?",
            "\u201cWait\u2026\u201d she said\u2014the [old] dogs' 20%.":
                "\u201c Wait \u2026 \u201d she said \u2014 the [ old ] dogs ' 20 % .",
            "'s n't ' . ) I'm 3.5.": "'s n't ' . -RRB- I 'm 3.5 .",
        }
        said = self.parse("run", "--parser", "p.safetensors", text="\n".join(lines) + "\n").splitlines()
        self.assertEqual([" ".join(words(tree)) for tree in said], list(lines.values()))
        (self.root / "said").write_text("\n".join(said))
        self.parse("test", "--parser", "p.safetensors", "--trees", "said")  # the trees can be read
        self.refuses_changed_files(["parser", "subwords", "config"], [
            ("subwords", without_last_subword, "subwords, the model's vocabulary has"),
            ("config", lambda text: text.replace('"NP"', '"S"'), "the label \"S\" is there twice")])

    def test_xx_is_a_tag_like_others(self):
        (self.root / "trees").write_text(TREES + "(ROOT (FRAG (NP (XX foo))))\n")
        self.parse("train", "--model", "sequence", "--trees", "trees", *LITTLE, "--subwords", 60,
                   "--learning-rate", 1e-2, "--parser", "p.safetensors")
        self.parse("test", "--parser", "p.safetensors", "--trees", "trees", "--output", "found", "--gold-tags")
        self.assertTrue(all(tree.startswith("(ROOT ") for tree in (self.root / "found").read_text().splitlines()))
        said = self.parse("run", "--parser", "p.safetensors", text="the cat sleeps.\n")
        self.assertRegex(said, r"\((?!XX)[^ ()]+ cat\)")  # predicted

    def test_a_treebank_of_your_own(self):
        (self.root / "trees").write_text(TREES + "(ROOT (A (B (C (D (E (NN dog)))))))\n")  # longer than the default chain
        settings = ("--trees", "trees", "--validation", "trees", "--steps", 60, "--warmup", 5, "--subwords", 60,
                    "--width", 32, "--heads", 2, "--layers", 1, "--dropout", 0, "--learning-rate", 1e-2,
                    "--validate-every", 30)
        for model, more in ("span", ("--batch", 3)), ("span", ("--tags", "gold")), ("sequence", ("--replace-tags",)):
            with self.subTest(model=model, more=more):
                self.parse("train", "--model", model, "--parser", "p.safetensors", *settings, *more)
                test = ("test", "--parser", "p.safetensors", "--trees", "trees")
                if more == ("--tags", "gold"):
                    self.assertIn("this parser reads parts of speech", self.parse(*test, code=1))
                    self.assertEqual(self.f1(self.parse(*test, "--gold-tags")), 100)
                else:
                    said = self.parse(*test)
                    self.assertEqual(self.f1(said), 100)
                    self.assertIn("; no tags" if model == "sequence" else "; predicted tags", said)
                    error = self.parse(*test, "--gold-tags", code=1)
                    other = "train one without --replace-tags" if model == "sequence" else "train one with --tags gold"
                    self.assertIn(other, error)
                if model == "span":
                    error = self.parse(*test, "--beam", 2, code=1)
                    self.assertIn("--beam has no effect on a parser of the kind span", error)
                if more == ("--tags", "gold"):
                    error = self.parse("run", "--parser", "p.safetensors", text="the dog\n", code=1)
                    self.assertIn("this parser reads parts of speech", error)
                    continue
                said = self.parse("run", "--parser", "p.safetensors", "--svg", "tree", text="the cat sleeps.\n\nelephants\n")
                trees = said.splitlines()
                self.assertEqual([words(tree) for tree in trees], [["the", "cat", "sleeps", "."], ["elephants"]])
                for number in 1, 2:
                    xml.etree.ElementTree.parse(self.root / f"tree-{number}.svg")

    def test_wrong_files_are_refused(self):
        (self.root / "broken").write_text("(S (NP (NN a))\n(S")
        error = self.parse("train", "--trees", "broken", code=1)
        self.assertIn("broken:2:3: the text ends within a tree: 2 brackets are open", error)
        (self.root / "word").write_text("(NN a)\n")
        self.assertIn("tree 1 is a word alone", self.parse("train", "--trees", "word", code=1))
        (self.root / "traces").write_text("(S (NN a))\n(S (-NONE- *))\n")
        error = self.parse("train", "--trees", "traces", code=1)
        self.assertIn("traces: tree 2: [syntax_tree] the tree has no words", error)
        self.assertIn("none", self.parse("test", "--parser", "none", "--trees", "trees", code=1))
        (self.root / "long").write_text("(S " + "(NN a) " * 800 + ")\n")
        error = self.parse("train", "--trees", "long", "--width", 1024, code=1)
        self.assertIn("the 1 longest sentences have 320400 spans, for which a model of the width 1024 has at most 262144",
                      error)

    def test_options_without_an_effect_are_refused(self):
        for model, flags in ("sequence", ("--batch", 3)), ("sequence", ("--tags", "gold")), ("span", ("--tokens", 30)), (
                "span", ("--replace-tags",)):
            error = self.parse("train", "--model", model, *flags, code=1)
            self.assertIn(f"{flags[0]} has no effect with --model {model}", error)

    def test_a_beam_of_nothing_is_refused(self):
        for command in ("test", "--trees", "trees"), ("run",):
            run = subprocess.run([PROGRAM, *command, "--parser", "none", "--beam", "0"], cwd=self.root, capture_output=True,
                                 text=True, timeout=TIMEOUT)
            self.assertGreater(run.returncode, 100)
            self.assertIn("--beam: must be from 1 to 1000, not 0", run.stderr)


if __name__ == "__main__":
    PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
