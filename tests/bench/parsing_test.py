#!/usr/bin/env python3
"""bench/compare/parsing.py: whose folder it is, which seconds are counted, PyTorch's checkpoints and trees.

    python tests/bench/parsing_test.py [unittest's arguments]

Tests of PyTorch's side are skipped where there is no PyTorch.
"""

import pathlib
import random
import sys
import tempfile
import unittest
from unittest import mock

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "bench/compare"))
import parse_runs  # noqa: E402

try:
    import torch
    import torch_parse
except ImportError:
    torch = torch_parse = None

FLAGS = {"--model": "span", "--steps": 40, "--validate-every": 20}


def step(number, seconds):
    return {"step": number, "loss": 1.0, "seconds": seconds}


class FolderTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)


class RunsTest(FolderTest):
    def test_a_folder_of_other_settings_is_refused_before_there_are_results(self):
        trees = self.root / "train.trees"
        trees.write_text("(ROOT (NN a))\n")
        made = {"flags": FLAGS, "equal": "minutes", "threads": 2, "train": parse_runs.fingerprint(trees)}
        folder = self.root / "out" / "span"
        parse_runs.claim(folder, made)
        parse_runs.claim(folder, made)  # goes on
        trees.write_text("(ROOT (NN b))\n")
        for other in ({"flags": {**FLAGS, "--steps": 200}}, {"equal": "steps"}, {"threads": 1},
                      {"train": parse_runs.fingerprint(trees)}):
            with self.assertRaisesRegex(parse_runs.OtherRun, f"made with other settings.*{next(iter(other))}"):
                parse_runs.claim(folder, {**made, **other})
        with self.assertRaisesRegex(parse_runs.OtherRun, "threads: 2, now None"):
            parse_runs.claim(folder, {key: value for key, value in made.items() if key != "threads"})
        parse_runs.claim(folder, made)

    def test_results_of_an_unknown_make_are_refused(self):
        (self.root / "rapt.safetensors").write_bytes(b"")
        with self.assertRaisesRegex(parse_runs.OtherRun, "is not empty"):
            parse_runs.claim(self.root, {"threads": 2})

    def test_an_interrupted_claim_is_repeated(self):
        (self.root / "made.json.new").write_text("{")
        parse_runs.claim(self.root, {"threads": 2})
        parse_runs.claim(self.root, {"threads": 2})

    def test_checkpoints_are_written_where_validations_are(self):
        run = self.root / "run"
        files = {"train": "a.trees", "dev": "b.trees"}
        words = parse_runs.train_arguments(FLAGS, files, "p.safetensors", run)
        self.assertEqual(words[words.index("--checkpoint-every") + 1], 20)
        self.assertEqual(words[words.index("--validate-every") + 1], 20)
        self.assertNotIn("--resume", words)
        run.mkdir()
        (run / "checkpoint.safetensors").write_bytes(b"")
        self.assertIn("--resume", parse_runs.train_arguments(FLAGS, files, "p.safetensors", run))

    def test_seconds_of_validations_checkpoints_and_pauses_are_not_counted(self):
        log = [{"rapt": "rapt 1, simd avx2"}, step(10, 10.0), step(20, 20.0), {"step": 20, "f1": 0.5},
               step(30, 100.0),  # validation and checkpoint
               step(40, 112.0), {"rapt": "rapt 1, simd avx2"}, step(50, 9.0), step(60, 23.0)]
        self.assertEqual(parse_runs.intervals(log), [(20, 10, 10.0), (40, 10, 12.0), (60, 10, 14.0)])
        self.assertEqual(parse_runs.seconds_per_step(log), 1.2)
        self.assertEqual(parse_runs.pace(parse_runs.intervals(log)), [1.0, 1.4])
        self.assertEqual(parse_runs.builds(log), ["rapt 1, simd avx2"])
        self.assertEqual(parse_runs.builds([*log, {"rapt": "another"}]), ["rapt 1, simd avx2", "another"])

    def test_pace_is_the_median_of_the_first_and_of_the_last_fifth(self):
        counted = [(i, 1, 1.0 if i <= 20 else 2.0 if i <= 80 else 4.0) for i in range(1, 101)]
        counted[3] = (4, 1, 99.0)
        self.assertEqual(parse_runs.pace(counted), [1.0, 4.0])
        self.assertEqual(parse_runs.pace([(10, 10, 20.0), (10, 0, 1.0)]), [2.0, 2.0])


def best_sum(scores, length):
    """Of the best binary tree, tried recursively; scores by (begin, end)."""
    def best(begin, end):
        inner = max((best(begin, middle) + best(middle, end) for middle in range(begin + 1, end)), default=0)
        return scores[begin, end] + inner

    return best(0, length)


@unittest.skipUnless(torch, "there is no PyTorch")
class TorchTest(FolderTest):
    def test_best_trees_of_uneven_sentences(self):
        generator = random.Random(1)
        lengths = [6, 1, 3, 7, 2, 2, 5, 1, 4]
        spans = [[(begin, end) for begin in range(n) for end in range(begin + 1, n + 1)] for n in lengths]
        scores = [{span: generator.gauss(0, 1) for span in of_sentence} for of_sentence in spans]
        rows = torch.tensor([score for of_sentence in scores for score in of_sentence.values()]).double().numpy()
        for count in (1, 3, len(lengths)):
            found = torch_parse.best_trees(rows[:sum(map(len, spans[:count]))], lengths[:count])
            first = at = 0
            for n, of_sentence, score in zip(lengths[:count], spans, scores):
                tree = [of_sentence[row - first] for row in found[at:at + 2 * n - 1]]
                self.assertEqual(len(set(tree)), 2 * n - 1)
                self.assertAlmostEqual(sum(score[span] for span in tree), best_sum(score, n))
                first, at = first + len(of_sentence), at + 2 * n - 1
            self.assertEqual(at, len(found))

    def test_the_best_parser_is_the_one_that_the_checkpoint_names(self):
        class Model(torch.nn.Linear):
            NAMES, chart_seconds = {}, 0.5

        class File:
            metadata = {"config": "{}"}

        def training(scores):
            made = torch_parse.Training.__new__(torch_parse.Training)
            made.folder, made.file, made.model, made.state = self.root, File, Model(1, 1), torch_parse.State()
            made.parser, made.checkpoint = self.root / "torch.safetensors", self.root / "torch.checkpoint"
            made.optimizer = torch.optim.Adam(made.model.parameters())
            made.seconds, made.steps, made.validations = float("inf"), 1, len(scores)
            made.f1_of = lambda path: scores[len(made.state.curve)]
            return made

        def set_weight(made, value):
            with torch.no_grad():
                made.model.weight.fill_(value)

        first = training([50, 60])
        first.state.step, first.state.seconds = 1, 3.0
        set_weight(first, 1)
        first.validate()
        set_weight(first, 2)
        with mock.patch.object(torch, "save", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            first.validate()  # better, and ended before its checkpoint was written
        again = training([50, 40])  # now the second is worse
        again.run()
        self.assertEqual(again.state.best, 50)
        self.assertEqual(again.state.intervals, [(1, 1, 3.0), (1, 0, 0.0)])
        self.assertEqual(again.state.charts, 1.0)
        kept = Model(1, 1)
        torch_parse.load_parser(kept, again.parser)
        self.assertEqual(kept.weight.item(), 1)
        self.assertEqual(list(self.root.glob("torch.best.*")), [])


if __name__ == "__main__":
    unittest.main()
