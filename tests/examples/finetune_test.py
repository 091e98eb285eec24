#!/usr/bin/env python3
"""examples/finetune.cpp on the small folders of tests/golden/make_pipelines.py: the folders that it writes, runs that are
killed, and what it says to flags, labels and folders that it cannot use.

    python tests/examples/finetune_test.py build/examples/finetune [unittest's arguments]

The example `tasks` in the same folder opens what is written; where it was not built, that is left out.
"""

import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from tasks_test import GOLDEN, safetensors, write_folder
from training_runs import checkpoint_step

PROGRAM = None
TIMEOUT = 120  # seconds
LABELS = ["contradiction", "neutral", "Entailment"]  # the order of the folder "classes"
TEXTS = [text for text in GOLDEN["texts"] if text.strip() and not set(text) & set("\t\n")][:24]
STILL = ("--epochs", "1", "--learning-rate", "1e-12")  # a training that changes next to nothing


def numbers(tensor):
    dtype, _, values = tensor
    if dtype == "BF16":
        values = b"".join(b"\0\0" + values[i:i + 2] for i in range(0, len(values), 2))
    return struct.unpack(f"<{len(values) // 4}f", values)


class FinetuneTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        self.write("train.tsv", [(LABELS[i % 3], text) for i, text in enumerate(TEXTS)])
        self.write("dev.tsv", [(LABELS[i % 3], text) for i, text in enumerate(TEXTS[:9])])

    def write(self, name, lines, header=("label", "text")):
        (self.root / name).write_text("".join("\t".join(line) + "\n" for line in [header, *lines]), encoding="utf-8")

    def model(self, name):
        folder = self.root / name
        if not folder.exists() and name in GOLDEN["folders"]:
            folder.mkdir()
            write_folder(name, folder)
        return folder

    def command(self, model, *arguments, train="train.tsv", validation="dev.tsv"):
        return {"args": [PROGRAM, "--model", self.model(model).name, "--train", train, "--validation", validation, *arguments],
                "cwd": self.root, "env": {**os.environ, "RAPT_PRECISION": "highest"}}

    def finetune(self, model, *arguments, **files):
        run = subprocess.run(**self.command(model, *arguments, **files), timeout=TIMEOUT, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def refusal(self, model, *arguments, **files):
        run = subprocess.run(**self.command(model, *arguments, **files), timeout=TIMEOUT, capture_output=True, text=True)
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertTrue(run.stderr.startswith("finetune: "), run.stderr)
        self.assertFalse(re.search("accuracy|error [0-9]", run.stdout), run.stdout)  # nothing was trained
        return run.stderr

    def config(self, folder):
        return json.loads((self.root / folder / "config.json").read_text())

    def labels(self, folder):
        return [name for _, name in sorted(self.config(folder)["id2label"].items(), key=lambda one: int(one[0]))]

    def weights(self, folder, file="model.safetensors"):
        return {name: numbers(tensor) for name, tensor in safetensors(self.root / folder / file)[1].items()}

    def expect_same_settings(self, folder, model):
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            if not (self.root / model / name).exists():
                continue
            self.assertEqual((self.root / folder / name).read_bytes(), (self.root / model / name).read_bytes())

    def expect_close(self, got, wanted):
        self.assertEqual(len(got), len(wanted))
        for one, other in zip(got, wanted):
            self.assertAlmostEqual(one, other, delta=1e-6)

    def test_own_head_and_its_order_of_labels_are_kept(self):
        for model in ("classes", "multi_label"):
            self.finetune(model, *STILL, "--out", "out")
            self.assertEqual(self.labels("out"), LABELS)
            self.assertEqual(self.config("out").get("problem_type") or "single_label_classification",
                             "single_label_classification")
            for name, values in self.weights(model).items():
                self.expect_close(self.weights("out")[name], values)
            self.expect_same_settings("out", model)

    def test_what_is_learned_is_what_is_written(self):
        self.write("words.tsv", [(LABELS[i % 3], " ".join(["cat the 1".split()[i % 3]] * 6 + text.split()[:1]))
                                 for i, text in enumerate(TEXTS)])
        for model in ("classes", "roberta_TokenClassification"):
            said = self.finetune(model, "--epochs", "30", "--batch", "8", "--learning-rate", "3e-2", "--out", "tuned",
                                 train="words.tsv", validation="words.tsv")
            measured = [float(number) for number in re.findall(r"accuracy ([0-9.]+) %", said)]
            self.assertGreater(max(measured), 90)
            self.assertEqual(self.labels("tuned"), LABELS if model == "classes" else sorted(LABELS))
            again = self.finetune("tuned", *STILL, train="words.tsv", validation="words.tsv")
            self.assertAlmostEqual(float(re.search(r"accuracy ([0-9.]+) %", again)[1]), max(measured), delta=0.01)

    def test_adapters_have_the_whole_head(self):
        prefix, labels = "base_model.model.", sorted(LABELS)
        self.write("two.tsv", [("a b".split()[i % 2], text) for i, text in enumerate(TEXTS[:8])])
        cases = [("classes", "train.tsv", ["classifier"], LABELS, "query,value"),
                 ("fill", "train.tsv", ["classifier", "bert.pooler.dense"], labels, "query,value"),
                 ("roberta_TokenClassification", "train.tsv", ["classifier.dense", "classifier.out_proj"], labels, "query"),
                 ("roberta_SequenceClassification", "two.tsv", ["classifier.dense", "classifier.out_proj"], ["a", "b"], "value"),
                 ("distilbert", "two.tsv", ["classifier", "pre_classifier"], ["a", "b"], "q_lin")]
        for model, file, modules, names, targets in cases:
            with self.subTest(model):
                self.finetune(model, "--lora", "2", "--targets", targets, "--batch", "4", "--out", "adapter-" + model,
                              train=file, validation=file)
                adapter = "adapter-" + model
                stored = self.weights(adapter, "adapter_model.safetensors")
                head = {name for name in stored if ".lora_" not in name}
                self.assertEqual(head, {prefix + module + kind for module in modules for kind in (".weight", ".bias")})
                self.assertGreater(len(stored), len(head))
                saved = json.loads((self.root / adapter / "adapter_config.json").read_text())["modules_to_save"]
                self.assertEqual(saved, sorted({re.sub(r"^classifier\..*", "classifier", module) for module in modules}))
                self.assertEqual(self.labels(adapter), names)
                self.expect_same_settings(adapter, model)
                self.assertFalse((self.root / adapter / "model.safetensors").exists())
                before = self.weights(model)
                for module in modules:  # what was there is trained, too
                    self.assertFalse(stored[prefix + module + ".weight"] == before.get(module + ".weight"), module)

    def test_regression(self):
        lines = [{"text": text, "label": [1, 0.5, "+1", ".5"][i % 4]} for i, text in enumerate(TEXTS)]
        (self.root / "n.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        said = self.finetune("regression", "--regression", "--measure", "error", "--epochs", "6", "--learning-rate", "5e-3", "--out", "out",
                             train="n.jsonl", validation="n.jsonl")
        errors = [float(number) for number in re.findall(r"mean squared error ([0-9.]+)", said)]
        self.assertLess(min(errors), errors[0])
        self.assertEqual((self.labels("out"), self.config("out")["problem_type"]), (["score"], "regression"))
        self.write("bad.tsv", [("1", "a text"), ("2b", "another")])
        self.assertIn('bad.tsv:3 has the label "2b", which is no number',
                      self.refusal("regression", "--regression", train="bad.tsv"))

    def kill(self, folder, model, *arguments, **files):
        """Starts a run in a folder and ends it behind a checkpoint."""
        process = subprocess.Popen(**self.command(model, *arguments, "--folder", folder, **files), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + TIMEOUT
        while checkpoint_step(self.root / folder) < 4 and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        self.assertIn(process.wait(TIMEOUT), (0, -signal.SIGKILL))

    def test_a_killed_run_goes_on_bit_for_bit(self):
        flags = ("--epochs", "6", "--batch", "4", "--checkpoint-every", "2", "--lora", "2")
        self.finetune("classes", *flags, "--folder", "whole", "--out", "out")
        self.kill("killed", "classes", *flags, "--out", "resumed")

        lines = (self.root / "dev.tsv").read_text(encoding="utf-8")
        for changed in (lines.replace("\nneutral\t", "\ncontradiction\t", 1), lines + "neutral\tone more\n"):
            (self.root / "dev.tsv").write_text(changed, encoding="utf-8")
            self.assertIn("another corpus", self.refusal("classes", *flags, "--folder", "killed", "--resume"))
        (self.root / "dev.tsv").write_text(lines, encoding="utf-8")

        said = self.finetune("classes", *flags, "--folder", "killed", "--out", "resumed", "--resume")
        self.assertRegex(said, r"goes on after step \d+\n")
        for name in ("adapter_model.safetensors", "adapter_config.json", "config.json"):
            self.assertEqual((self.root / "resumed" / name).read_bytes(), (self.root / "out" / name).read_bytes())

    def write_task(self, task):
        """A file of examples that are easy to learn, and flags to learn them; returns both."""
        nouns, names = "cat dog mats word".split(), "house world small 2026".split()
        examples = {
            "tokens": [{"tokens": ["the", nouns[i % 4], names[i // 4], "runs"], "labels": ["O", "B-PER", "I-PER", "O"]}
                       for i in range(16)] + [{"tokens": ["runs", "the"], "labels": ["O", "O"]}],
            "questions": [{"context": f"the {nouns[i % 4]} sat on {names[i // 4]} mats", "question": "the small word?",
                           "answer": f"{nouns[i % 4]} sat", "start": 4} for i in range(16)],
            "texts": [{"text": f"the {noun} {name}", "target": "the small cat"} for noun in nouns for name in names],
            "answers": [{"prompt": f"the {noun} {name}", "answer": " cat sat"} for noun in nouns for name in names]}
        file = self.root / (task + (".txt" if task == "language" else ".jsonl"))
        if task == "language":
            file.write_text("the small cat sat on the mats. " * 30)
        else:
            file.write_text("".join(json.dumps(example) + "\n" for example in examples[task]))
        return {"train": file.name, "validation": file.name}, ("--task", task, "--batch", "4", "--longest", "24")

    def test_every_task_is_learned_and_written(self):
        """From folders with a head for the task and from others; what is written is what was measured."""
        loss = r"loss ([0-9.]+)  perplexity"
        cases = [("tokens", "fill", (), r"F1 ([0-9.]+)", 0.9, ("entities", "--aggregation", "first"), "the cat house runs",
                  "cat house"),
                 ("questions", "fill", (), r"exact match ([0-9.]+) %", 90, ("ask",), "the small word?\tthe dog sat on small mats",
                  "dog sat"),
                 ("texts", "t5", ("--measure", "rouge_l", "--prefix", "small: "), r"rouge_l ([0-9.]+)", 0.9,
                  ("translate", "--from", "en", "--to", "de"), "the cat house", "the small cat"),
                 ("answers", "gpt", ("--measure", "exact_match"), r"exact_match ([0-9.]+)", 0.9,
                  ("generate", "--max-new-tokens", "2"), "the cat house", "cat sat"),
                 ("language", "gpt", ("--layer-decay", "0.9"), loss, None, ("generate", "--max-new-tokens", "2"), "the small",
                  "cat sat")]
        for task, model, flags, pattern, least, opening, line, answer in cases:
            with self.subTest(task):
                files, of_task = self.write_task(task)
                said = self.finetune(model, *of_task, *flags, "--epochs", "40", "--learning-rate", "3e-2", "--out", task, **files)
                measured = [float(number) for number in re.findall(pattern, said)]
                if least is None:
                    self.assertLess(min(measured), 0.5 * measured[0])
                else:
                    self.assertGreater(max(measured), least)
                best = min(measured) if pattern == loss else max(measured)
                again = self.finetune(task, *of_task, *flags, *STILL, **files)
                self.assertAlmostEqual(float(re.search(pattern, again)[1]), best, delta=0.01)
                self.expect_same_settings(task, model)
                program = pathlib.Path(PROGRAM).with_name("tasks")
                if program.exists():
                    run = subprocess.run([program, opening[0], "--model", task, *opening[1:]], input=line + "\n", cwd=self.root,
                                         timeout=TIMEOUT, capture_output=True, text=True)
                    self.assertEqual(run.returncode, 0, run.stderr)
                    self.assertIn(answer, run.stdout)

    def test_adapters_of_every_task(self):
        for task, model, kind in [("tokens", "entities", "TOKEN_CLS"), ("questions", "questions", "QUESTION_ANS"),
                                  ("texts", "t5", "SEQ_2_SEQ_LM"), ("answers", "gpt", "CAUSAL_LM")]:
            with self.subTest(task):
                files, flags = self.write_task(task)
                self.finetune(model, *flags, "--epochs", "1", "--lora", "2", "--out", "adapter-" + task, **files)
                config = json.loads((self.root / ("adapter-" + task) / "adapter_config.json").read_text())
                self.assertEqual(config["task_type"], kind)
                self.assertTrue(any(any(values) for name, values in self.weights("adapter-" + task, "adapter_model.safetensors")
                                    .items() if ".lora_B" in name))

    def test_killed_runs_of_every_task_go_on_bit_for_bit(self):
        for task, model in [("tokens", "entities"), ("questions", "questions"), ("texts", "t5"), ("answers", "gpt"),
                            ("language", "gpt")]:
            with self.subTest(task):
                files, flags = self.write_task(task)
                flags = (*flags, "--epochs", "5", "--checkpoint-every", "2", "--layer-decay", "0.8")
                self.finetune(model, *flags, "--folder", "whole-" + task, "--out", "out-" + task, **files)
                self.kill("killed-" + task, model, *flags, "--out", "resumed-" + task, **files)
                said = self.finetune(model, *flags, "--folder", "killed-" + task, "--resume", "--out", "resumed-" + task, **files)
                self.assertRegex(said, r"goes on after step \d+\n")
                for name in ("model.safetensors", "config.json"):
                    self.assertEqual((self.root / ("resumed-" + task) / name).read_bytes(),
                                     (self.root / ("out-" + task) / name).read_bytes())

    def test_examples_that_cannot_be_used_are_refused(self):
        def refusal(task, model, *lines, flags=()):
            (self.root / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            return self.refusal(model, "--task", task, *flags, train="bad.jsonl", validation="bad.jsonl")

        self.assertIn('bad.jsonl:1: 2 tokens have 1 labels', refusal("tokens", "fill", {"tokens": ["a", "b"], "labels": ["O"]}))
        self.assertIn('bad.jsonl:1: "labels" must be a list of strings: there is none', refusal("tokens", "fill", {"tokens": ["a"]}))
        self.assertIn('bad.jsonl:1: the answer "cat" does not stand at character 1 of the context',
                      refusal("questions", "fill", {"context": "a cat", "question": "x", "answer": "cat", "start": 1}))
        self.assertIn('bad.jsonl:1: "target" must be a string or a number: there is none', refusal("texts", "t5", {"text": "a"}))
        self.assertIn('"gpt2", known for this task are t5', refusal("texts", "gpt", {"text": "a", "target": "b"}))
        self.assertIn("--freeze leaves nothing to train: all 4632 parameters are frozen",
                      refusal("answers", "gpt", {"prompt": "a", "answer": "b"}, flags=("--freeze", "*")))
        self.assertIn("--measure bleu has no effect with this task, whose measures are: f1, accuracy",
                      self.refusal("fill", "--task", "tokens", "--measure", "bleu"))
        self.assertIn("bad.jsonl:2: none of 1 words has a token that could be learned from",
                      refusal("tokens", "fill", {"tokens": ["a", "b"], "labels": ["O", "B"]}, {"tokens": ["\u0001"], "labels": ["O"]}))
        self.assertIn("bad.jsonl:2: the text has no tokens",
                      refusal("classes", "fill", {"text": "a", "label": "b"}, {"text": "\u0001", "label": "c"}))
        self.assertIn("bad.jsonl:2: the second text has no tokens",
                      refusal("classes", "fill", {"text": "a", "label": "b"}, {"text": "a", "text2": "\u0001", "label": "c"}))
        self.assertIn("bad.jsonl:1: the text has no tokens", refusal("texts", "t5", {"text": " ", "target": "b"}))
        self.assertIn("bad.jsonl:1: the target has no tokens", refusal("texts", "t5", {"text": "a", "target": " "}))
        self.assertIn("pairs of texts have 3 special tokens: examples must have at least 5 tokens with this tokenizer, not 4",
                      refusal("classes", "fill", {"text": "a", "label": "b"}, {"text": "c", "text2": "a", "label": "d"},
                              flags=("--longest", "4")))
        self.assertRegex(refusal("texts", "t5", {"text": "a", "target": "b"}, flags=("--longest", "4", "--prefix", "a b c d e: ")),
                         "a text has [0-9]+ tokens of the prefix and special ones: 3 tokens, without the decoder's begin "
                         "token, have no room")
        (self.root / "model.gguf").write_bytes(b"GGUF")
        for task in ("classes", "answers"):
            self.assertIn("--model model.gguf is a GGUF file, which is not trained: give the Hugging Face folder",
                          self.refusal("model.gguf", "--task", task))
        self.assertIn("--layer-decay has no effect with --lora", self.refusal("none", "--layer-decay", "0.5", "--lora", "2"))

    def test_texts_are_encoded_as_the_folder_says(self):
        self.write("pairs.tsv", [(LABELS[i % 3], " ".join(TEXTS[i:i + 9]), TEXTS[i]) for i in range(9)],
                   header=("label", "text", "text2"))

        def corpus(*arguments, **settings):
            path = self.model("classes") / "tokenizer_config.json"
            before = path.read_text(encoding="utf-8")
            path.write_text(json.dumps({**json.loads(before), **settings}))
            self.finetune("classes", *STILL, *arguments, "--folder", "run", "--restart", train="pairs.tsv", validation="pairs.tsv")
            path.write_text(before, encoding="utf-8")
            return json.loads((self.root / "run" / "log.jsonl").read_text().splitlines()[0])["corpus"]

        plain, short = corpus(), corpus("--longest", "20")
        self.assertNotEqual(plain, short)
        self.assertEqual(corpus(model_max_length=20), short)
        self.assertNotEqual(corpus(model_max_length=20, truncation_side="left"), short)
        self.assertNotEqual(corpus(model_input_names=["input_ids", "attention_mask"]), plain)

    def test_generated_answers_keep_to_the_models_positions(self):
        """The longest answer behind the longest prompt would be more than the 64 that the model has."""
        (self.root / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [
            {"prompt": "cat " * 40, "answer": "mats"}, {"prompt": "the", "answer": " small" * 40}]))
        said = self.finetune("gpt", "--task", "answers", "--measure", "rouge_l", *STILL, train="long.jsonl",
                             validation="long.jsonl")
        self.assertRegex(said, r"rouge_l [0-9.]+")

    def test_the_corpus_has_all_that_changes_batches_and_measures(self):
        def corpus(task, model, key, change):
            files, flags = self.write_task(task)
            file = self.root / files["train"]
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            lines[0][key] += change
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            self.finetune(model, *flags, *STILL, "--folder", "run", "--restart", **files)
            return json.loads((self.root / "run" / "log.jsonl").read_text().splitlines()[0])["corpus"]

        for task, model, key in (("answers", "gpt", "answer"), ("texts", "t5", "target")):
            with self.subTest(task):
                cut, other = corpus(task, model, key, " the" * 60), corpus(task, model, key, " the" * 59 + " cat")
                self.assertNotEqual(cut, other)  # the same tokens, another text to be measured by
        settings = self.model("t5") / "config.json"
        before, plain = settings.read_text(), corpus("texts", "t5", "target", "")
        generation = self.model("t5") / "generation_config.json"
        for path in (settings, generation):
            path.write_text(json.dumps({**json.loads(path.read_text()), "decoder_start_token_id": 1}))
        self.assertNotEqual(json.loads(before)["decoder_start_token_id"], 1)
        self.assertNotEqual(corpus("texts", "t5", "target", ""), plain)

    def test_validation_data_are_checked_before_the_training(self):
        files, flags = self.write_task("questions")
        for name, change in (("context", {"context": "\u0001", "answer": "\u0001"}), ("question", {"question": "\u0001"})):
            line = {"context": "x", "question": "x", "answer": "x", "start": 0, **change}
            (self.root / "dev.jsonl").write_text("\n" + json.dumps(line) + "\n")
            self.assertIn(f"dev.jsonl:2: the {name} has no token",
                          self.refusal("questions", *flags, train=files["train"], validation="dev.jsonl"))

    def test_a_resumed_run_searches_as_before(self):
        """The folder's search decides how good the texts are, and so which model is the best."""
        for task, model in (("answers", "gpt"), ("texts", "t5")):
            files, flags = self.write_task(task)
            settings = self.model(model) / "generation_config.json"
            before = settings.read_text() if settings.exists() else None
            for measure in ("rouge_l", "loss"):
                with self.subTest(task, measure=measure):
                    run = (*flags, *STILL, "--measure", measure, "--folder", "run-" + task + measure, "--checkpoint-every", "1")
                    self.finetune(model, *run, **files)
                    settings.write_text(json.dumps({**json.loads(before or "{}"), "num_beams": 3}))
                    try:
                        if measure == "loss":
                            self.finetune(model, *run, "--resume", **files)
                        else:
                            self.assertIn("the run was started with another beam search of the model's folder: then null, now "
                                          '{"num_beams":3,', self.refusal(model, *run, "--resume", **files))
                    finally:  # The next measure begins with the folder as it was, even if this one has failed.
                        settings.write_text(before) if before else settings.unlink()

    def test_the_model_is_not_overwritten(self):
        before = {path.name: path.read_bytes() for path in self.model("classes").iterdir()}
        for out in ("classes", "./classes/", str(self.root / "classes")):
            self.assertIn("is the folder of --model", self.refusal("classes", "--out", out))
        self.assertEqual({path.name: path.read_bytes() for path in self.model("classes").iterdir()}, before)
        self.assertIn("cannot make the folder", self.refusal("classes", "--out", "train.tsv"))

    def test_flags_without_effect_and_unknown_labels_are_refused(self):
        self.assertIn("--freeze has no effect with --lora", self.refusal("none", "--lora", "2", "--freeze", "embedding*"))
        for task in ("tokens", "questions", "texts", "language", "answers"):
            self.assertIn("--regression has no effect with --task " + task, self.refusal("none", "--task", task, "--regression"))
        for task in ("classes", "tokens", "questions", "language", "answers"):
            for flag in ("--prefix", "--from", "--to"):
                self.assertIn(f"{flag} has no effect with --task {task}", self.refusal("none", "--task", task, flag, "de"))
        for flags in (("--alpha", "16"), ("--lora-dropout", "0"), ("--targets", "query")):
            self.assertIn(flags[0] + " has no effect without --lora", self.refusal("none", *flags))
            self.assertIn(flags[0] + " has no effect without --lora", self.refusal("none", *flags, "--lora", "0"))
        self.assertIn("--label-smoothing 0.1 has no effect on numbers",
                      self.refusal("none", "--regression", "--label-smoothing", "0.1"))
        self.assertIn("--label-smoothing 0.1 has no effect on places of answers",
                      self.refusal("none", "--task", "questions", "--label-smoothing", "0.1"))
        run = subprocess.run(**self.command("none", "--checkpoint-every", "5"), timeout=TIMEOUT, capture_output=True, text=True)
        self.assertIn("--checkpoint-every requires --folder", run.stdout + run.stderr)
        files, flags = self.write_task("texts")
        for flag, other in (("--from", "--to"), ("--to", "--from")):
            said = self.refusal("t5", *flags, flag, "en", **files)
            self.assertIn(flag + ' "en" has no effect: t5 is no model of many languages', said)
            self.assertNotIn(other, said)
        self.assertIn("--freeze classifier.* has no effect", self.refusal("none", "--freeze", "classifier.*"))
        self.assertIn("--measure f1 has no effect with --regression", self.refusal("none", "--regression", "--measure", "f1"))
        self.assertIn("--freeze pooler.* has no effect", self.refusal("roberta_TokenClassification", "--freeze", "pooler.*"))
        self.write("other.tsv", [("neutral", "a text"), ("maybe", "another")])
        self.assertIn('other.tsv:3 has the label "maybe", which is none of those that are known: "contradiction", "neutral", '
                      '"Entailment"', self.refusal("classes", validation="other.tsv"))
        self.finetune("classes", *STILL, "--freeze", "*", "--out", "out")
        self.assertEqual(self.weights("out")["bert.embeddings.LayerNorm.weight"],
                         self.weights("classes")["bert.embeddings.LayerNorm.weight"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
