#!/usr/bin/env python3
"""examples/tasks.cpp on the small folders of tests/golden/make_pipelines.py, make_zero_shot.py and make_speech.py: what it
prints, and what it says to folders and lines that it cannot use.

    python tests/examples/tasks_test.py build/examples/tasks [unittest's arguments]
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

PROGRAM = None
TIMEOUT = 120  # seconds
GOLDEN_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden"
GOLDEN = json.loads((GOLDEN_FOLDER / "pipelines.json").read_text(encoding="utf-8"))


def write_folder(name, folder):
    """Writes a model's folder with the tensors as pipelines.safetensors stores them."""
    data = (GOLDEN_FOLDER / "pipelines.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    stored, tensors = json.loads(data[8:8 + size]), data[8 + size:]
    header, body = {}, b""
    for file, content in GOLDEN["folders"][name].items():
        if file != "tensors":
            (folder / file).write_text(GOLDEN["files"][content], encoding="utf-8")
            continue
        for tensor, key in content.items():
            begin, end = stored[key]["data_offsets"]
            header[tensor] = {**stored[key], "data_offsets": [len(body), len(body) + end - begin]}
            body += tensors[begin:end]
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def safetensors(path):
    """The metadata and, by name, the type, the shape and the bytes of each tensor."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    metadata = header.pop("__metadata__", {})
    return metadata, {name: (one["dtype"], one["shape"], body[slice(*one["data_offsets"])]) for name, one in header.items()}


def write_golden_case(file, name, folder, settings):
    """Writes the model of a case of a golden file of pretrained models; `settings`: names of files and the keys of the
    golden file's metadata that they hold. Returns the metadata and the tensors."""
    metadata, tensors = safetensors(GOLDEN_FOLDER / file)
    info, prefix, header, body = json.loads(metadata["info"]), name + "/param/", {}, b""
    for stored, (dtype, shape, values) in tensors.items():
        if stored.startswith(prefix):
            header[stored[len(prefix):]] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
            body += values
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    (folder / "config.json").write_text(json.dumps(info["cases"][name]))
    for path, key in settings.items():
        (folder / path).write_text(json.dumps(info[key]))
    return info, tensors


def png(channels, height, width):
    """The file of `sample_image` in tests/golden/make_resize.py."""
    rows = b"".join(b"\0" + bytes((x * x * 7 + y * 13 + x * y * (c + 3) + c * 31 + (x // 5 + y // 7) % 2 * 120) % 256
                                  for x in range(width) for c in range(channels)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class TasksTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_tasks(self, task, model, *arguments, stdin):
        folder = self.folder / model  # of a model that is not there yet, pipelines.json has the files
        if not folder.exists():
            folder.mkdir()
            write_folder(model, folder)
        return subprocess.run([PROGRAM, task, "--model", folder, *arguments], timeout=TIMEOUT, capture_output=True,
                              input=stdin if isinstance(stdin, bytes) else "".join(line + "\n" for line in stdin).encode(),
                              cwd=self.folder, env={**os.environ, "RAPT_PRECISION": "highest"})

    def results(self, task, model, *arguments, stdin):
        """What --json gives for each line."""
        run = self.run_tasks(task, model, *arguments, "--json", stdin=stdin)
        self.assertEqual(run.returncode, 0, run.stderr.decode())
        found = [json.loads(line) for line in run.stdout.decode().splitlines()]
        self.assertEqual([one["line"] for one in found], list(range(1, len(stdin) + 1)))
        return [one["results"] for one in found]

    def expect_labels(self, found, labels, expected):
        self.assertEqual([[one["label"] for one in result] for result in found],
                         [[labels[label] for label, _ in result] for result in expected])
        for result, wanted in zip(found, expected):
            for one, (_, score) in zip(result, wanted):
                self.assertAlmostEqual(one["score"], score, delta=1e-4)

    def test_classify(self):
        texts = [text for text in GOLDEN["texts"] if "\n" not in text]
        expected = [result for text, result in zip(GOLDEN["texts"], GOLDEN["classify"]) if "\n" not in text]
        labels = ["contradiction", "neutral", "Entailment"]
        self.expect_labels(self.results("classify", "classes", "--top-k", "3", stdin=texts), labels, expected)
        plain = self.run_tasks("classify", "classes", stdin=texts[:2])
        label, score = expected[0][0]
        self.assertEqual(plain.stdout.decode().splitlines()[0], f"1\t{labels[label]}\t{score:.4f}")
        self.assertEqual(self.run_tasks("classify", "classes", stdin=b"").stdout, b"")

    def test_zero_shot(self):
        case = GOLDEN["zero_shot"]
        self.expect_labels(self.results("zero-shot", "classes", "--labels", ",".join(case["labels"]), stdin=GOLDEN["texts"][:9]),
                           case["labels"], case["one"][:9])

    def test_entities_and_answers_name_parts_of_the_line(self):
        texts = GOLDEN["texts"][:9:2]
        for result, text, wanted in zip(self.results("entities", "entities", stdin=texts), texts, GOLDEN["entities"]["none"]):
            self.assertEqual([[one["label"], one["begin"], one["end"]] for one in result],
                             [[label, begin, end] for label, _, begin, end, _ in wanted])
            for one in result:
                self.assertEqual(one["text"], text.encode()[one["begin"]:one["end"]].decode())
        questions = GOLDEN["questions"]["questions"][:9]
        found = self.results("ask", "questions", stdin=["\t".join(one) for one in questions])
        self.assertEqual([[one["begin"], one["end"]] for [one] in found],
                         [[begin, end] for [[_, begin, end]] in GOLDEN["questions"]["default"][:9]])

    def test_fill_and_rank(self):
        found = self.results("fill", "fill", "--top-k", "2", stdin=GOLDEN["fill"]["texts"][:5])
        self.assertEqual([[one["text"] for one in result] for result in found],
                         [[text for mask in masks for _, _, _, text in mask] for masks in GOLDEN["fill"]["two"][:5]])
        run = self.run_tasks("rank", "rank", "--query", GOLDEN["texts"][3], "--top-k", "2", stdin=GOLDEN["texts"][:9])
        best = sorted(range(9), key=lambda i: -GOLDEN["rank"][i])[:2]
        self.assertEqual([int(line.split("\t")[0]) for line in run.stdout.decode().splitlines()], [i + 1 for i in best])

    def test_texts_are_generated(self):
        case = GOLDEN["t5"]
        found = self.results("translate", "t5", "--max-new-tokens", "5", "--num-beams", "3", "--num-return-sequences", "2",
                             stdin=case["texts"][:5])
        self.assertEqual([[one["text"] for one in result] for result in found], case["beams"][:5])
        self.assertEqual(len(self.results("summarise", "t5", stdin=case["texts"][:3])), 3)
        found = self.results("generate", "gpt", "--sample", "--seed", "3", stdin=GOLDEN["gpt"]["texts"][:3])
        self.assertEqual(found, self.results("generate", "gpt", "--sample", "--seed", "3", stdin=GOLDEN["gpt"]["texts"][:3]))

    def test_images(self):
        case = GOLDEN["images"]
        names = [f"{i}.png" for i in range(len(case["shapes"]))]
        for name, shape in zip(names, case["shapes"]):
            (self.folder / name).write_bytes(png(*shape))
        self.expect_labels(self.results("images", "vit", stdin=names), case["labels"], case["vit"])
        run = self.run_tasks("images", "vit", stdin=[names[0], "none.png"])
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr.decode(), r"^tasks: \[standard input:2\] .*none.png: cannot open")
        self.assertTrue(run.stdout.startswith(b"1\t"))

    def test_zero_shot_images(self):
        info, tensors = write_golden_case("zero_shot.safetensors", "clip", self.folder / "clip",
                                          {"tokenizer.json": "tokenizer", "preprocessor_config.json": "processor"})
        names = []
        for i in range(3):
            _, (height, width, channels), pixels = tensors[f"image{i}"]
            grey = channels == 1
            names.append(f"{i}.ppm")
            (self.folder / names[-1]).write_bytes(b"P%d %d %d 255\n" % (5 if grey else 6, width, height) + pixels)
        labels = info["labels"]
        for key, arguments in [("plain_scores", []), ("scores", ["--template", info["description"]])]:
            _, _, values = tensors[key]
            scores = struct.unpack(f"<{3 * len(labels)}f", values)
            rows = [scores[i * len(labels):(i + 1) * len(labels)] for i in range(3)]
            self.expect_labels(self.results("zero-shot-images", "clip", "--labels", ",".join(labels), *arguments, stdin=names),
                               labels, [sorted(enumerate(row), key=lambda one: -one[1]) for row in rows])
        run = self.run_tasks("zero-shot-images", "clip", "--labels", "a,b", "--template", "none", stdin=names[:1])
        self.assertIn("hypothesis_template must have one {}", run.stderr.decode())

    def test_transcribe(self):
        info, tensors = write_golden_case("speech.safetensors", "whisper", self.folder / "whisper", {
            "tokenizer.json": "tokenizer", "preprocessor_config.json": "processor", "generation_config.json": "generation"})
        (self.folder / "a.wav").write_bytes(tensors["sound"][2])
        for wanted in info["texts"].values():
            flags = ["--language", wanted["language"], *(["--translate"] if wanted["task"] == "translate" else [])]
            self.assertEqual(self.results("transcribe", "whisper", *flags, stdin=["a.wav", "a.wav"]),
                             [[{"text": wanted["text"]}]] * 2)
        heard = self.results("transcribe", "whisper", stdin=["a.wav"])[0][0]["text"]
        self.assertEqual(heard, info["texts"]["german"]["text"])  # the language is detected
        run = self.run_tasks("transcribe", "whisper", "--language", "xx", stdin=["a.wav"])
        self.assertRegex(run.stderr.decode(), r"^tasks: \[standard input:1\] .*does not know the language xx")
        run = self.run_tasks("transcribe", "whisper", stdin=["a.wav", "none.wav"])
        self.assertEqual((run.returncode, len(run.stdout.splitlines())), (1, 1))
        self.assertRegex(run.stderr.decode(), r"^tasks: \[standard input:2\] .*none.wav")

    def test_bad_lines_are_named(self):
        run = self.run_tasks("classify", "classes", stdin=b"fine\nfine\nb\xff\nfine\n")
        self.assertEqual(run.returncode, 1)
        self.assertIn("[standard input:3] not UTF-8: byte 2", run.stderr.decode())
        self.assertEqual(len(run.stdout.splitlines()), 2)
        run = self.run_tasks("fill", "fill", stdin=["the [MASK].", "no mask"])
        self.assertEqual(run.returncode, 1)
        self.assertIn("[standard input:2]", run.stderr.decode())
        run = self.run_tasks("ask", "questions", stdin=["no tab"])
        self.assertIn("a line must be a question, a tab and the text", run.stderr.decode())

    def test_folders_of_other_tasks_are_refused(self):
        for task, model, text in [("entities", "classes", "BertForSequenceClassification has no head for this task"),
                                  ("summarise", "gpt", 'the model is of type "gpt2"'),
                                  ("images", "classes", "no preprocessor_config.json")]:
            run = self.run_tasks(task, model, stdin=["a"])
            self.assertEqual(run.returncode, 1)
            self.assertIn(text, run.stderr.decode())
            self.assertEqual(run.stdout, b"")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
