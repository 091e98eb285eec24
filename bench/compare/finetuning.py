#!/usr/bin/env python3
"""Fine-tuning a sentence encoder with the example `finetune`, whole and by LoRA, against a linear layer on its vectors.

    python bench/compare/finetuning.py MODEL TREES [--finetune build/examples/finetune]

MODEL is a folder as sentence-transformers writes it, such as all-MiniLM-L6-v2's; TREES holds GUM's train.trees and
test.trees. The task is the kind of a sentence: S (a clause), NP (a noun phrase), question (SBARQ, SQ) or other, by the
tree above its words. All learn from the same --count sentences, which each seed draws anew, and are measured on every
third sentence of the test's. The linear layer is scikit-learn's logistic regression on the mean of transformers' last
hidden states, trained to convergence with the strength of its penalty chosen by cross-validation. Of `finetune` the
figures after the last epoch count, so that nothing is chosen by the test. Prints accuracies and macro F1 in percent.
"""

import argparse
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import f1_score
from transformers import AutoModel, AutoTokenizer

from common import ROOT

LORA = ["--lora", "8", "--targets", "query", "value", "dense", "--learning-rate", "1e-3"]
WHOLE = ["--learning-rate", "2e-4"]
KINDS = {"S": "S", "NP": "NP", "SBARQ": "question", "SQ": "question"}


def sentences(path):
    """(words, kind) of each tree."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind = re.match(r"\(ROOT \(([A-Z]+)", line)
        words = re.findall(r" ([^\s()]+)\)", line)
        found.append((" ".join(words), KINDS.get(kind.group(1) if kind else "", "other")))
    return found


def vectors(model, tokenizer, texts):
    """The mean of the last hidden states of each text.   [texts, D]"""
    rows = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
            rows.append(model(**ids).last_hidden_state[0].mean(0).numpy())
    return np.stack(rows)


def linear_layer(train, train_vectors, test, test_vectors):
    layer = LogisticRegressionCV(Cs=np.logspace(-2, 3, 6), cv=5, max_iter=5000, l1_ratios=(0,), scoring="accuracy",
                                 use_legacy_attributes=False)
    layer.fit(train_vectors, [kind for _, kind in train])
    found = layer.predict(test_vectors)
    kinds = [kind for _, kind in test]
    return 100 * np.mean(found == np.array(kinds)), 100 * f1_score(kinds, found, average="macro")


def finetuned(settings, folder, seed, flags):
    command = [settings.finetune, "--model", settings.model, "--train", folder / "train.tsv", "--validation",
               folder / "test.tsv", "--epochs", str(settings.epochs), "--batch", str(settings.batch), "--seed", str(seed),
               *flags]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    accuracy, f1 = re.findall(r"accuracy ([0-9.]+) %\s+macro F1 ([0-9.]+)", shown.stdout + shown.stderr)[-1]
    return float(accuracy), 100 * float(f1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("model", type=Path)
    parser.add_argument("trees", type=Path)
    parser.add_argument("--finetune", type=Path, default=ROOT / "build/examples/finetune")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    settings = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    train, test = sentences(settings.trees / "train.trees"), sentences(settings.trees / "test.trees")[::3]
    tokenizer, encoder = AutoTokenizer.from_pretrained(settings.model), AutoModel.from_pretrained(settings.model).eval()
    test_vectors = vectors(encoder, tokenizer, [text for text, _ in test])
    print("| seed | linear layer | LoRA | whole |\n|---|---|---|---|", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for seed in settings.seeds:
            some = random.Random(seed).sample(train, settings.count)
            for file, lines in (("train.tsv", some), ("test.tsv", test)):
                text = "".join(f"{words}\t{kind}\n" for words, kind in lines)
                Path(name, file).write_text("text\tlabel\n" + text, encoding="utf-8")
            some_vectors = vectors(encoder, tokenizer, [text for text, _ in some])
            rows.append([linear_layer(some, some_vectors, test, test_vectors),
                         *(finetuned(settings, Path(name), seed, flags) for flags in (LORA, WHOLE))])
            print(f"| {seed} | " + " | ".join(f"{a:.1f}, {f:.1f}" for a, f in rows[-1]) + " |", flush=True)
    print("| mean | " + " | ".join(f"{mean(row[i][0] for row in rows):.1f}, {mean(row[i][1] for row in rows):.1f}"
                                   for i in range(3)) + " |")


if __name__ == "__main__":
    main()
