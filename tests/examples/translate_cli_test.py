#!/usr/bin/env python3
"""The command line of examples/translate.cpp: what it does, and what it says to input that it cannot use.

    python tests/examples/translate_cli_test.py build/examples/translate [unittest's arguments]
"""

import json
import os
import pathlib
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None
TIMEOUT = 600  # seconds, for the slowest of sanitized builds on a busy machine
NEVER_SEEN = "\u0436\u0436 \U0001f642 \u2581"


def translate(*arguments, folder, stdin=b"", file_limit=None, **environment):
    """Runs the program in a folder; file_limit: bytes beyond which no file can grow, as on a full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, timeout=TIMEOUT, capture_output=True,
                          input=stdin.encode() if isinstance(stdin, str) else stdin,
                          env={**os.environ, **environment}, restore_signals=False,  # SIGXFSZ stays ignored
                          preexec_fn=limit if file_limit is not None else None)


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def words(number):
    """Sentence `number` of the corpus. Targets begin alike, so that the model soon has something to say."""
    chosen = random.Random(number).choices("alpha beta gamma delta epsilon zeta eta theta".split(), k=1 + number % 5)
    return " ".join(chosen), "la la la la la la " + " ".join(word.upper() for word in chosen)


def parse_model(data):
    """(header, tensors' bytes) of a safetensors file."""
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def build_model(header, tensors):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


class Cli(unittest.TestCase):
    """A folder with a corpus and a model, as it was at the beginning for each test."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        pairs = [words(number) for number in range(120)]
        write(cls.folder / "source.txt", [source for source, _ in pairs])
        write(cls.folder / "target.txt", [target for _, target in pairs])
        write(cls.folder / "pairs.tsv", [f"{number}\t{source}\t{target}" for number, (source, target) in
                                         enumerate(pairs)])
        write(cls.folder / "short.txt", ["one line"])
        (cls.folder / "empty.txt").write_bytes(b"")
        (cls.folder / "invalid.txt").write_bytes(b"fine\nnot \xff fine\n" + b"fine\n" * 118)
        (cls.folder / "directory").mkdir()
        cls.trained = cls.train("model", "--source", "source.txt", "--target", "target.txt")
        cls.model = (cls.folder / "model").read_bytes()
        cls.before = snapshot(cls.folder)

    @classmethod
    def train(cls, model, *arguments, **options):
        return translate("train", "--model", model, "--steps", 20, "--warmup", 10, "--vocabulary", 80, "--tokens", 400,
                         "--checkpoint-every", 0, *arguments, folder=cls.folder, **options)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def tearDown(self):
        for name in set(snapshot(self.folder)) - set(self.before):
            (self.folder / name).unlink()

    def expect_refused(self, result, *parts, progress=False):
        """Exit code 1, and a clear line with all the parts; nothing half-done is left."""
        error = result.stderr.decode()
        self.assertEqual(result.returncode, 1, error)
        lines = error.splitlines()
        if progress:  # what was said before it failed
            self.assertEqual(sum(line.startswith("translate: ") for line in lines), 1, error)
        else:
            self.assertEqual(len(lines), 1, error)
        self.assertRegex(lines[-1], r"^translate: \[.+\] .+")
        self.assertLess(len(lines[-1]), 1000, error)
        for part in parts:
            self.assertIn(part, lines[-1])
        self.assertEqual(result.stdout, b"")
        self.assertEqual(snapshot(self.folder), self.before)

    def expect_usage(self, result, *parts):
        """The command line itself is wrong: CLI11's exit code, a line about it, and one about --help."""
        error = result.stderr.decode()
        self.assertGreater(result.returncode, 100, error)
        self.assertEqual(len(error.splitlines()), 2, error)
        self.assertIn("--help", error)
        for part in parts:
            self.assertIn(part, error)
        self.assertEqual(result.stdout, b"")
        self.assertEqual(snapshot(self.folder), self.before)


class Train(Cli):
    def refuse(self, *arguments, parts, model="new", progress=False, stop=("--steps", 2), **options):
        result = translate("train", "--model", model, "--checkpoint-every", 0, *stop, *arguments, folder=self.folder,
                           **options)
        self.expect_refused(result, *parts, progress=progress)

    def test_good(self):
        self.assertEqual(self.trained.returncode, 0, self.trained.stderr)
        self.assertEqual(self.trained.stdout, b"")
        self.assertRegex(self.trained.stderr.decode(), r"120 pairs, \d+ subwords, \d+ parameters")
        self.assertRegex(self.trained.stderr.decode(), r"20 steps in .*: written to model")

    def test_the_same_model_again_at_any_number_of_threads(self):
        for threads in "1", "2":
            result = self.train("again", "--pairs", "pairs.tsv", "--source-column", 2, "--target-column", 3,
                                RAPT_THREADS=threads)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual((self.folder / "again").read_bytes(), self.model)

    # Fewer steps than come to a checkpoint: a log alone, which is in nobody's way the next time.
    def test_a_short_run_leaves_a_log(self):
        for steps in 2, 3:
            result = translate("train", "--model", "short", "--steps", steps, "--log-every", 1, "--source", "source.txt",
                               "--target", "target.txt", folder=self.folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(set(snapshot(self.folder)) - set(self.before), {"short", "short.run/log.jsonl"})
            lines = [json.loads(line) for line in (self.folder / "short.run/log.jsonl").read_text("utf-8").splitlines()]
            self.assertIn("120 pairs", lines[0]["corpus"])
            self.assertEqual([line["step"] for line in lines[1:]], list(range(1, steps + 1)))
            for key in "loss", "learning_rate", "gradient_norm", "tokens_per_second", "seconds":
                self.assertGreater(lines[1][key], 0)

    def test_places_of_the_folder(self):
        def refuse(folder, *parts):
            result = translate("train", "--model", "new", "--steps", 2, "--source", "source.txt", "--target", "target.txt",
                               "--folder", folder, folder=self.folder)
            self.expect_refused(result, "[run_folder]", folder, *parts)

        refuse("source.txt", "source.txt")
        refuse("source.txt/run", "Not a directory")

    def test_files(self):
        def files(source, target):
            return "--source", source, "--target", target

        self.refuse(*files("source.txt", "short.txt"), parts=["source.txt", "short.txt", "120", "1"])
        self.refuse(*files("empty.txt", "target.txt"), parts=["empty.txt", "empty"])
        self.refuse(*files("source.txt", "empty.txt"), parts=["empty.txt", "empty"])
        self.refuse(*files("absent.txt", "target.txt"), parts=["absent.txt"])
        self.refuse(*files("source.txt", "directory"), parts=["directory"])
        self.refuse(*files("source.txt", "invalid.txt"), parts=["invalid.txt:2", "UTF-8", "byte 5"])
        self.refuse(*files("source.txt", "target.txt"), "--validation-source", "source.txt", "--validation-target",
                    "short.txt", parts=["short.txt", "120", "1"])
        self.refuse("--pairs", "absent.tsv", parts=["absent.tsv"])
        self.refuse("--pairs", "pairs.tsv", "--target-column", 4, parts=["pairs.tsv:1", "3"])
        self.refuse("--source", "source.txt", parts=["--target"])
        self.refuse("--pairs", "pairs.tsv", *files("source.txt", "target.txt"), parts=["--pairs"])
        self.refuse(parts=["--source", "--pairs"])

    def corpus(self, *arguments, **options):
        self.refuse("--source", "source.txt", "--target", "target.txt", *arguments, **options)

    def test_values(self):
        self.corpus(stop=(), parts=["--steps", "--epochs", "--minutes"])
        self.corpus("--preset", "huge", parts=["huge", "tiny", "big"])
        for name, value in [("--dropout", 1.5), ("--attention-dropout", -0.5), ("--activation-dropout", 1),
                            ("--label-smoothing", 2)]:
            result = translate("train", "--model", "new", "--steps", 2, "--source", "source.txt", "--target", "target.txt",
                               name, value, folder=self.folder)
            self.expect_usage(result, f"{name}: must be", str(value))
        self.corpus("--hold-out", 120, parts=["hold out", "120"])
        self.corpus("--hold-out", 100000, parts=["hold out", "100000", "120"])
        self.corpus("--vocabulary", 3, parts=["vocabulary_size", "3"])
        self.corpus("--tokens", 1, parts=["no sentence pairs"], progress=True)
        self.corpus("--learning-rate", 1e30, "--warmup", 1, "--steps", 20, stop=(), parts=["loss", "learning rate"],
                    progress=True)
        self.corpus(parts=["RAPT_THREADS", "many"], progress=True, RAPT_THREADS="many")

    def test_byte_order_marks_and_blank_lines(self):
        source, target = (self.folder / "source.txt").read_text("utf-8"), (self.folder / "target.txt").read_text("utf-8")
        (self.folder / "marked.source").write_text("\ufeff" + source + "\u00a0\nalpha\n", "utf-8")
        (self.folder / "marked.target").write_text("\ufeff" + target + "LA\n\u3000\n", "utf-8")
        result = self.train("again", "--source", "marked.source", "--target", "marked.target")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("left out 2 pairs with a blank side", result.stderr.decode())
        self.assertEqual((self.folder / "again").read_bytes(), self.model)

    def test_places(self):
        self.corpus(model="source.txt/new", parts=["source.txt/new", "Not a directory"])
        self.corpus(model="absent/new", parts=["absent/new"])
        self.corpus(model="directory", parts=["directory"])
        self.corpus(model="/dev/null", parts=["/dev/null"])

    def test_a_full_disk_leaves_the_old_model(self):
        self.corpus(model="model", parts=["model", "File too large"], progress=True, file_limit=100_000)

    def test_usage(self):
        corpus = "--source", "source.txt", "--target", "target.txt", "--model", "new"
        for wrong in (("--steps", "two"), ("--tokens", 0), ("--accumulate", 0), ("--warmup", 0), ("--norm", "middle"),
                      ("--frobnicate",)):
            with self.subTest(wrong):
                self.expect_usage(translate("train", *corpus, *wrong, folder=self.folder), wrong[0])
        self.expect_usage(translate("train", "--steps", 2, folder=self.folder), "--model")
        self.expect_usage(translate("frobnicate", folder=self.folder), "frobnicate")

    def test_hold_out(self):
        # Each sentence has a character that no other has, so the subwords tell which ones were trained on. A third of
        # the pairs share their source with another pair, and as many their target.
        mark = [chr(0x4E00 + number) for number in range(400)]
        pairs = [("s " + mark[number], "t " + mark[200 + number]) for number in range(60)]
        pairs += [(pairs[number][0], "t " + mark[300 + number]) for number in range(20)]
        pairs += [("s " + mark[100 + number], pairs[20 + number][1]) for number in range(20)]
        write(self.folder / "marked.tsv", ["\t".join(pair) for pair in pairs])
        result = translate("train", "--pairs", "marked.tsv", "--hold-out", 8, "--steps", 2, "--vocabulary", 1000,
                           "--model", "marked", folder=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        test = list(zip((self.folder / "marked.test.source").read_text("utf-8").splitlines(),
                        (self.folder / "marked.test.target").read_text("utf-8").splitlines(), strict=True))
        self.assertEqual(len(test), 8)
        self.assertEqual(len(set(test)), 8)
        self.assertLessEqual(set(test), set(pairs))
        header, _ = parse_model((self.folder / "marked").read_bytes())
        trained_on = set(header["__metadata__"]["subwords"])
        for source, target in test:
            self.assertNotIn(source[-1], trained_on)
            self.assertNotIn(target[-1], trained_on)
        trained = [pair for pair in pairs if pair[0][-1] in trained_on and pair[1][-1] in trained_on]
        self.assertIn(f"\n{len(trained)} pairs, ", result.stderr.decode())
        self.assertLessEqual(len(trained), len(pairs) - 16)
        self.assertGreaterEqual(len(trained), len(pairs) - 4 * 16)  # what shares a sentence, but not all


class Run(Cli):
    def run_model(self, *arguments, stdin="alpha\n", **options):
        return translate("run", "--model", *arguments, folder=self.folder, stdin=stdin, **options)

    def test_as_many_lines_as_come(self):
        lines = ["alpha beta", "", NEVER_SEEN, "   ", "gamma " * 40, "</s> <s> <unk>", "", "epsilon", "\u00a0",
                 "\u3000\u3000", "\u00a0\t\u2003"]
        outputs = []
        for threads in "1", "2":
            for arguments in (("--beam", 1), ("--length-penalty", 5)):
                result = self.run_model("model", *arguments, stdin="\n".join(lines) + "\n", RAPT_THREADS=threads)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stderr, b"")
                translations = result.stdout.decode().split("\n")
                self.assertEqual(len(translations), len(lines) + 1)
                for line, translation in zip(lines, translations):
                    if not line.strip():
                        self.assertEqual(translation, "")
                self.assertIn("la", translations[0])  # not nothing, or there would be nothing to compare
                outputs.append(result.stdout)
        self.assertEqual(outputs[:2], outputs[2:])

    def test_line_ends(self):
        plain = self.run_model("model", stdin="alpha beta\ngamma\n").stdout
        self.assertEqual(self.run_model("model", stdin="\ufeff").stdout, b"")
        self.assertEqual(self.run_model("model", stdin="\ufeff\n").stdout, b"\n")
        self.assertEqual(self.run_model("model", stdin="alpha beta\r\ngamma\r\n").stdout, plain)
        self.assertEqual(self.run_model("model", stdin="alpha beta\ngamma").stdout, plain)
        self.assertEqual(self.run_model("model", stdin="").stdout, b"")
        many = self.run_model("model", "--beam", 1, stdin="alpha\n" * 2003).stdout  # more than are read at once
        self.assertEqual(many, self.run_model("model", "--beam", 1).stdout * 2003)

    def test_summary(self):
        result = translate("summary", "--model", "model", "--depth", 1, folder=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout.decode(), r"^name +shape +parameters\nembedding +[\d,]+\nencoder +[\d,]+\n"
                         r"decoder +[\d,]+\n[\d,]+ parameters, [\d,]+ of them trained\n.* MB of numbers;")
        everything = translate("summary", "--model", "model", folder=self.folder).stdout.decode()
        self.assertIn("in_proj_weight", everything)

    def test_shortlist(self):
        learn = ("shortlist", "--source", "source.txt", "--target", "target.txt", "--out", "list.json", "--model")
        result = translate(*learn, "model", folder=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout.decode(), r"^\d+ pairs; a source allows \d+ of \d+ subwords\n$")
        lines = "alpha beta\n\nepsilon zeta eta\n"
        # The corpus is small: the list holds all that the model says of it.
        self.assertEqual(self.run_model("model", "--shortlist", "list.json", stdin=lines).stdout,
                         self.run_model("model", stdin=lines).stdout)
        (self.folder / "list.json").unlink()
        for text, part in (('{"target_vocabulary": 5, "always": [], "candidates": []}', "5 target tokens"),
                           ("[]", "list.json")):
            (self.folder / "list.json").write_text(text)
            result = self.run_model("model", "--shortlist", "list.json")
            (self.folder / "list.json").unlink()
            self.expect_refused(result, part)

    def output(self, *arguments, stdin="alpha beta\n\nepsilon zeta eta\n"):
        result = self.run_model("model", *arguments, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, b"")
        return result.stdout.decode()

    def n_best(self, *arguments, **options):
        """[(line, translation, score)]"""
        found = [re.fullmatch(r"(\d+) \|\|\| (.*) \|\|\| (-?\d\S*)", line)
                 for line in self.output("--n-best", *arguments, **options).splitlines()]
        return [(int(match[1]), match[2], float(match[3])) for match in found]

    def test_n_best(self):
        for arguments in (), ("--length-normalisation", "plain", "--length-penalty", 1):
            best = self.output(*arguments).split("\n")
            found = self.n_best(3, *arguments)
            self.assertEqual([line for line, _, _ in found], [0, 0, 0, 1, 2, 2, 2])
            self.assertEqual(found[3], (1, "", 0))
            for start in 0, 4:
                self.assertEqual(found[start][1], best[found[start][0]])
                scores = [score for _, _, score in found[start:start + 3]]
                self.assertEqual(scores, sorted(scores, reverse=True))
                self.assertLess(scores[0], 0)
        many = self.n_best(1, "--beam", 1, stdin="alpha\n" * 2003)  # more than are read at once
        self.assertEqual([line for line, _, _ in many], list(range(2003)))
        self.expect_refused(self.run_model("model", "--n-best", 5), "n = 5", "beam_size = 4")

    def test_a_byte_order_mark_is_no_text(self):
        def page(text):  # shows the tokens that the model has read
            result = self.run_model("model", "--attention", "page.html", stdin=text)
            self.assertEqual(result.returncode, 0, result.stderr)
            return (self.folder / "page.html").read_text("utf-8")

        plain = page("alpha beta\n")
        self.assertEqual(page("\ufeffalpha beta\r\n"), plain)
        self.assertNotEqual(page("\ufeff\ufeffalpha beta\n"), plain)  # behind the beginning it is one

    def test_lengths(self):
        plain = self.output("--beam", 1, stdin="alpha\n")
        self.assertLessEqual(len(self.output("--max-length", 2, stdin="alpha\n").split()), 2)
        self.assertGreater(len(plain.split()), 2)
        self.assertGreater(len(self.output("--min-length", 60, stdin="alpha\n")), len(plain))
        self.expect_refused(self.run_model("model", "--min-length", 5, "--max-length", 4), "--min-length 5",
                            "--max-length 4")

    def test_sample(self):
        drawn = self.output("--sample", "--seed", 3)
        self.assertEqual(self.output("--sample", "--seed", 3), drawn)
        self.assertNotEqual(self.output("--sample", "--seed", 4), drawn)
        self.assertEqual(drawn.split("\n")[1], "")
        for greedy in ("--temperature", 0), ("--top-k", 1), ("--top-p", 1e-5):
            self.assertEqual(self.output("--sample", *greedy), self.output("--beam", 1))
        several = self.n_best(4, "--sample", "--seed", 3)
        self.assertEqual([line for line, _, _ in several], [0, 0, 0, 0, 1, 2, 2, 2, 2])
        self.assertEqual(several[0][1], drawn.split("\n")[0])
        self.assertGreater(len({text for _, text, _ in several[:4]}), 1)
        alike = self.n_best(1, "--sample", "--max-length", 3, stdin="alpha\n" * 2003)
        self.assertGreater(len({text for _, text, _ in alike}), 100)  # each line has random numbers of its own
        self.assertNotEqual([text for _, text, _ in alike[:3]], [text for _, text, _ in alike[2000:]])

    def test_whatever_bytes_are_drawn_a_line_stays_a_line(self):
        result = translate("train", "--model", "bytes", "--source", "source.txt", "--target", "target.txt", "--steps", 2,
                           "--checkpoint-every", 0, "--byte-fallback", "--vocabulary", 300, folder=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = ["alpha beta"] * 1000 + ["\u00a0"]
        result = self.run_model("bytes", "--sample", "--temperature", 2, "--max-length", 20, stdin="\n".join(lines) + "\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        text = result.stdout.decode()  # UTF-8
        self.assertEqual(text.count("\n"), len(lines))
        self.assertEqual(len(text.splitlines()), len(lines))  # Python's lines end with more characters than LF
        self.assertTrue(text.endswith("\n\n"))
        self.assertGreater(text.count("\ufffd"), 1000)  # bytes were drawn
        self.assertNotIn("\0", text)
        found = self.run_model("bytes", "--sample", "--n-best", 3, "--temperature", 2, stdin="alpha\n" * 100)
        numbers = [int(line.split(" ||| ")[0]) for line in found.stdout.decode().splitlines()]
        self.assertEqual(numbers, [line for line in range(100) for _ in range(3)])

    def test_attention_of_the_first_line_that_is_not_blank(self):
        result = self.run_model("model", "--attention", "page.html", stdin="\ufeff\u00a0\n \u3000\nalpha beta\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("alpha beta", (self.folder / "page.html").read_text("utf-8"))
        (self.folder / "page.html").unlink()
        result = self.run_model("model", "--attention", "page.html", stdin="\u00a0\n\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no line to draw", result.stderr.decode())
        self.assertEqual(result.stdout, b"\n\n")

    def test_eight_bits(self):
        exact, rounded = self.n_best(1), self.n_best(1, "--int8")
        self.assertEqual([line for line, _, _ in rounded], [line for line, _, _ in exact])
        self.assertNotEqual(rounded, exact)  # the scores differ a little
        for (_, _, score), (_, _, near) in zip(exact, rounded):
            self.assertAlmostEqual(float(near), float(score), delta=0.2)

    def test_ensemble(self):
        self.assertEqual(self.output("--model", "model"), self.output())
        other = self.train("other", "--source", "source.txt", "--target", "target.txt", "--seed", 2)
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertNotEqual(self.n_best(1, "--model", "other")[0][2], self.n_best(1)[0][2])
        self.assertEqual([text for _, text, _ in self.n_best(1, "--model", "other", "model")],
                         self.output("--model", "other", "model").splitlines())
        self.assertEqual(len(self.output("--model", "other", "--sample").splitlines()), 3)
        subwords = translate("train", "--model", "subwords", "--source", "source.txt", "--target", "target.txt",
                             "--steps", 2, "--vocabulary", 60, folder=self.folder)
        self.assertEqual(subwords.returncode, 0, subwords.stderr)
        refused = self.run_model("model", "--model", "subwords")
        refused_drawing = self.run_model("model", "--model", "other", "--attention", "page.html")
        self.tearDown()  # nothing but the folder as it was
        self.expect_refused(refused, "model and subwords", "the same subwords")
        self.expect_refused(refused_drawing, "--attention", "one model")
        self.expect_refused(self.run_model("model", "--model", "absent"), "absent")
        self.expect_refused(self.run_model("model", "--sample", "--attention", "page.html"), "--attention", "--sample")

    def test_invalid_text(self):
        self.expect_refused(self.run_model("model", stdin=b"alpha\nbeta\nb\xc3\xa4\xc3 \n"), "standard input:3",
                            "byte 4", "UTF-8")

    def test_not_a_model(self):
        self.expect_refused(self.run_model("absent"), "absent")
        self.expect_refused(self.run_model("directory"), "directory")
        self.expect_refused(self.run_model("/dev/null"), "/dev/null")
        self.expect_refused(self.run_model("empty.txt"), "empty.txt")
        self.expect_refused(self.run_model("source.txt"), "source.txt")

    def test_usage(self):
        self.expect_usage(self.run_model("model", "--beam", 0), "--beam", "0")
        self.expect_usage(self.run_model("model", "--length-penalty", "much"), "--length-penalty", "much")
        self.expect_usage(self.run_model("model", "--length-normalisation", "none"), "--length-normalisation", "none")
        self.expect_usage(self.run_model("model", "--n-best", 0), "--n-best", "0")
        self.expect_usage(self.run_model("model", "--sample", "--top-p", 0), "--top-p", "0")
        self.expect_usage(self.run_model("model", "--sample", "--temperature", -1), "--temperature", "-1")
        self.expect_usage(self.run_model("model", "--sample", "--beam", 2), "--sample", "--beam")
        for flag in "--temperature", "--top-k", "--top-p", "--seed":
            self.expect_usage(self.run_model("model", flag, 1), flag, "--sample")
        self.expect_usage(translate("run", folder=self.folder), "--model")

    def refuse(self, data, *parts):
        path = self.folder / "broken"
        path.write_bytes(data)
        result = self.run_model("broken")
        path.unlink()
        self.expect_refused(result, *parts)

    def test_truncated(self):
        for size in 1, 8, 9, 1000, len(self.model) // 2, len(self.model) - 1:
            with self.subTest(size):
                self.refuse(self.model[:size], "broken")
        self.refuse(self.model + b"\0", "broken")

    def test_corrupted(self):
        generator = random.Random(3)
        size = struct.unpack("<Q", self.model[:8])[0]
        for round_ in range(15):  # bytes of the header; in the tensors all would be valid
            position = generator.randrange(8, 8 + size)
            data = bytearray(self.model)
            data[position] ^= 1 << generator.randrange(8)
            with self.subTest(position=position, byte=data[position]):
                (self.folder / "broken").write_bytes(data)
                result = self.run_model("broken")
                self.assertIn(result.returncode, (0, 1), result.stderr)  # in the subwords it may be another spelling
                self.assertLessEqual(len(result.stderr.splitlines()), 1)
        self.refuse(generator.randbytes(5000), "broken")
        self.refuse(struct.pack("<Q", 2**64 - 1) + self.model[8:], "broken")
        self.refuse(struct.pack("<Q", size - 1) + self.model[8:], "broken")
        self.refuse(struct.pack("<Q", 400_000) + b"[" * 400_000, "broken")

    def changed(self, change):
        header, tensors = parse_model(self.model)
        config = json.loads(header["__metadata__"]["config"])
        change(header, config)
        if "config" in header["__metadata__"]:
            header["__metadata__"]["config"] = json.dumps(config)
        return build_model(header, tensors)

    def test_hostile_configurations(self):
        def with_config(**changes):
            return self.changed(lambda header, config: config.update(changes))

        for key in "d_model", "d_ff", "encoder_layers", "decoder_layers", "source_vocabulary", "learned_positions":
            for value in 999_999_998, 2**63, -1, 1e300, "8", None:
                with self.subTest(f"{key} = {value}"):
                    changes = {key: value}
                    if key == "source_vocabulary":
                        changes["target_vocabulary"] = value
                    self.refuse(with_config(**changes), "broken")
        self.refuse(with_config(d_ff=2**20, encoder_layers=1000, decoder_layers=1000), "broken")
        self.refuse(with_config(heads=3), "heads = 3")
        self.refuse(with_config(dropout=1), "dropout")
        self.refuse(with_config(more=1), "broken", '"more"')
        self.refuse(with_config(activation="none"), "broken", '"none"')

    def test_metadata(self):
        def with_metadata(**changes):
            return self.changed(lambda header, config: header["__metadata__"].update(changes))

        header, tensors = parse_model(self.model)
        plain = {name: facts for name, facts in header.items() if name != "__metadata__"}
        self.refuse(build_model(plain, tensors), "broken", '"subwords"')
        header["__metadata__"].pop("config")
        self.refuse(build_model(header, tensors), "broken", '"config"')
        header["__metadata__"]["config"] = "{"
        self.refuse(build_model(header, tensors), "broken", "JSON")
        header["__metadata__"]["config"] = '{"heads":' + "[" * 100_000 + "]" * 100_000 + "}"
        self.refuse(build_model(header, tensors), "broken", "heads")
        self.refuse(with_metadata(subwords=""), "broken")
        self.refuse(with_metadata(subwords="rapt bpe 1\n9999999999\n"), "broken")
        self.refuse(with_metadata(subwords="rapt bpe 1\n2\n\u2581\na\n"), "5")  # another number than the model's

    def test_tensors(self):
        def rename(header, _):
            header["x"] = header.pop("encoder.layers.0.norm1.bias")

        def reshape(header, _):
            shape = header["encoder.layers.0.linear1.weight"]["shape"]
            shape.reverse()

        self.refuse(self.changed(rename), "broken", '"encoder.layers.0.norm1.bias"')
        self.refuse(self.changed(reshape), "broken", '"encoder.layers.0.linear1.weight"', "[128, 256]")


class Score(Cli):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        references = [f"the {word} river runs near house number {number}, slowly." for number in range(20)
                      for word in ("old", "small", "long")]
        generator = random.Random(5)

        def spoilt(share):
            return [" ".join(word for word in line.split() if generator.random() > share) for line in references]

        write(cls.folder / "references.txt", references)
        for name, share in ("good", 0.1), ("equal", 0.1), ("bad", 0.4):
            write(cls.folder / f"{name}.txt", spoilt(share))
        cls.before = snapshot(cls.folder)

    def score(self, *arguments, stdin=b""):
        return translate("score", *arguments, folder=self.folder, stdin=stdin)

    def test_good(self):
        text = (self.folder / "target.txt").read_bytes()
        for arguments, stdin in (((), text), (("--hypotheses", "target.txt"), b"")):
            result = self.score("--references", "target.txt", *arguments, stdin=stdin)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stderr, b"")
            bleu, signature = result.stdout.decode().splitlines()
            self.assertRegex(bleu, r"^BLEU = 100\.00 100\.0/100\.0/100\.0/100\.0 \(BP = 1\.000 ratio = 1\.000 ")
            self.assertRegex(signature, r"^nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp\|version:rapt-[\d.]+$")
        result = self.score("--references", "target.txt", "--lowercase", "--tokenize", "none", stdin=text.lower())
        self.assertIn("BLEU = 100.00", result.stdout.decode())
        self.assertIn("case:lc|eff:no|tok:none", result.stdout.decode())
        result = self.score("--references", "target.txt", stdin=b"\n" * 120)
        self.assertIn("BLEU = 0.00", result.stdout.decode())

    def test_refused(self):
        self.expect_refused(self.score("--references", "target.txt", stdin=b"one\ntwo\n"), "2", "120", "target.txt")
        self.expect_refused(self.score("--references", "target.txt", "--hypotheses", "short.txt"), "1", "120")
        self.expect_refused(self.score("--references", "target.txt"), "0", "120")
        self.expect_refused(self.score("--references", "absent.txt"), "absent.txt")
        self.expect_refused(self.score("--references", "target.txt", "--hypotheses", "absent.txt"), "absent.txt")
        self.expect_refused(self.score("--references", "directory"), "directory")
        self.expect_refused(self.score("--references", "empty.txt"), "empty")
        self.expect_refused(self.score("--references", "invalid.txt"), "invalid.txt:2", "UTF-8")
        self.expect_refused(self.score("--references", "target.txt", stdin=b"\xff\n"), ":1", "UTF-8")
        self.expect_usage(self.score(), "--references")
        for wrong in (("--tokenize", "zh"), ("--metrics", "ter"), ("--metrics", "bleu,chrf,ter"),
                      ("--chrf-word-order", -1), ("--chrf-word-order", 7), ("--resamples", 1), ("--seed", "x")):
            with self.subTest(wrong):
                self.expect_usage(self.score("--references", "target.txt", *wrong), wrong[0])

    def lines(self, *arguments, hypotheses="good.txt"):
        result = self.score("--references", "references.txt", "--hypotheses", hypotheses, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, b"")
        return result.stdout.decode().splitlines()

    def test_metrics(self):
        bleu = self.lines()
        self.assertEqual(len(bleu), 2)
        chrf = self.lines("--metrics", "chrf")
        self.assertEqual(len(chrf), 2)
        self.assertRegex(chrf[0], r"^chrF2 = \d\d\.\d\d$")
        self.assertRegex(chrf[1], r"^nrefs:1\|case:mixed\|eff:yes\|nc:6\|nw:0\|space:no\|version:rapt-[\d.]+$")
        self.assertEqual(self.lines("--metrics", "bleu,chrf"), bleu + chrf)
        self.assertEqual(self.lines("--metrics", "chrf", "bleu"), chrf + bleu)
        plus = self.lines("--metrics", "chrf", "--chrf-word-order", 2, "--lowercase")
        self.assertRegex(plus[0], r"^chrF2\+\+ = \d\d\.\d\d$")
        self.assertRegex(plus[1], r"^nrefs:1\|case:lc\|eff:yes\|nc:6\|nw:2\|space:no\|")
        self.assertEqual(self.lines("--metrics", "chrf", hypotheses="references.txt")[0], "chrF2 = 100.00")

    def test_confidence(self):
        interval = r"\(μ = (\d+\.\d\d) ± (\d+\.\d\d)\)"
        plain = self.lines("--metrics", "bleu,chrf")
        sure = self.lines("--metrics", "bleu,chrf", "--confidence")
        self.assertEqual(len(sure), 4)
        for index in 0, 2:
            self.assertEqual(re.sub(" " + interval, "", sure[index]), plain[index])
            score = float(re.search(r"= (\S+)", sure[index])[1])
            mean, half_width = map(float, re.search(interval, sure[index]).groups())
            self.assertLess(abs(mean - score), half_width)
            self.assertGreater(half_width, 0.1)
            self.assertEqual(sure[index + 1].replace("|bs:1000|seed:12345", "", 1), plain[index + 1])
        self.assertEqual(sure, self.lines("--metrics", "bleu,chrf", "--confidence"))
        other = self.lines("--metrics", "bleu", "--confidence", "--resamples", 500, "--seed", 2)
        self.assertNotEqual(other[0], sure[0])
        self.assertTrue(other[1].startswith("nrefs:1|bs:500|seed:2|case:mixed|"), other[1])
        self.assertIn("(μ = 100.00 ± 0.00)", self.lines("--confidence", hypotheses="references.txt")[0])

    def test_compare(self):
        for other, low, high in ("bad", 0, 0.01), ("equal", 0.05, 1):
            lines = self.lines("--metrics", "bleu,chrf", "--compare", f"{other}.txt")
            self.assertEqual(len(lines), 8)
            for index, metric in (0, "bleu"), (4, "chrf"):
                with self.subTest(other=other, metric=metric):
                    ours, theirs, verdict, signature = lines[index:index + 4]
                    self.assertEqual(ours, self.lines("--metrics", metric, "--confidence")[0])
                    self.assertEqual([theirs, signature],
                                     self.lines("--metrics", metric, "--confidence", hypotheses=f"{other}.txt"))
                    difference, p = map(float, re.fullmatch(r"difference = ([+-]\d+\.\d\d) \(p = (0\.\d{4})\)",
                                                            verdict).groups())
                    scores = [float(re.search(r"= (\S+)", line)[1]) for line in (ours, theirs)]
                    self.assertAlmostEqual(difference, scores[1] - scores[0], delta=0.011)
                    self.assertGreaterEqual(p, low)
                    self.assertLessEqual(p, high)
        same = self.lines("--compare", "good.txt")
        self.assertEqual(same[2], "difference = +0.00 (p = 0.0010)")
        self.assertEqual(same[4:], ["Both files hold the same translations: p says nothing."])

    def test_compare_refused(self):
        def compare(other):
            return self.score("--references", "target.txt", "--hypotheses", "source.txt", "--compare", other)

        self.expect_refused(compare("short.txt"), "1 hypotheses in short.txt", "120 references in target.txt")
        self.expect_refused(compare("empty.txt"), "0 hypotheses in empty.txt", "120")
        self.expect_refused(compare("absent.txt"), "absent.txt")
        self.expect_refused(compare("directory"), "directory")
        self.expect_refused(compare("invalid.txt"), "invalid.txt:2", "UTF-8", "byte 5")


class Help(Cli):
    def test_each_subcommand(self):
        for arguments, words_ in (((), ["train", "run", "score", "RAPT_THREADS"]),
                                  (("train",), ["--source", "--target", "--hold-out", "--preset", "--seed"]),
                                  (("run",), ["--model", "--beam", "--length-penalty", "--n-best", "--sample"]),
                                  (("score",), ["--references", "--hypotheses", "--tokenize", "--metrics", "--confidence",
                                                "--compare"])):
            with self.subTest(arguments):
                result = translate(*arguments, "--help", folder=self.folder)
                self.assertEqual(result.returncode, 0)
                self.assertEqual(result.stderr, b"")
                for word in words_:
                    self.assertIsNotNone(re.search(re.escape(word) + r"\b", result.stdout.decode()), word)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
