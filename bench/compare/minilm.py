#!/usr/bin/env python3
"""Sentence embeddings of a real model: rapt's example `semantic_search` beside transformers and sentence-transformers.

    python bench/compare/minilm.py MODEL LINES [--search build/examples/semantic_search] [--count 200]

MODEL is a folder as sentence-transformers writes it, such as all-MiniLM-L6-v2's: config.json, model.safetensors,
tokenizer.json or vocab.txt, modules.json. LINES is a text file, of which the first --count lines are taken, and a few
lines that are hard to cut into tokens are added. Each line is then a query for all others. Prints how far the vectors
are from those of transformers in float64, beside those of transformers and, where it is installed, sentence-transformers
in float32; for how many queries the order of the lines is the same; and what each needs for all lines.
Fails if a number differs by more than 1e-5, or an order by more than what lies within that.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModel, AutoTokenizer

from common import ROOT

LIMIT = 1e-5
HARD = ["", " ", "Crème brûlée in a naïve café", "東京 is 東の京", "ΑΣΟΦΟΣ ﬁne Ǆ", "emoji 😀 and 👩‍👩‍👧", "a" * 150,
        "[CLS] and [MASK] as text", "tabs\tand\u00a0spaces \u200b", "don't stop: 3,000.50 $ (or so)",
        " ".join(f"word{i} and" for i in range(200))]


def rapt_vectors(program, model, lines, folder):
    """[lines, D], and seconds as the program says."""
    text, vectors = Path(folder) / "lines.txt", Path(folder) / "vectors.safetensors"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    vectors.unlink(missing_ok=True)
    run = subprocess.run([program, "--model", model, "--lines", text, "--query", "x", "--vectors", vectors], check=True,
                         capture_output=True, text=True)
    return load_file(vectors)["vectors"], float(re.search(r"lines in ([\d.]+) s", run.stderr)[1])


def torch_vectors(model, tokenizer, lines, batch=32):
    """Mean of the hidden states, of length 1; lines of like length together, as sentence-transformers has them."""
    order = sorted(range(len(lines)), key=lambda i: -len(lines[i]))
    vectors = np.empty((len(lines), model.config.hidden_size))
    with torch.inference_mode():
        for i in range(0, len(order), batch):
            part = order[i:i + batch]
            inputs = tokenizer([lines[k] for k in part], padding=True, truncation=True, max_length=256,
                               return_tensors="pt")
            hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
            mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            vectors[part] = torch.nn.functional.normalize(mean, dim=1)
    return vectors


def same_order(ours, theirs):
    """Queries with the same order of all lines, with the same first ten, and the largest difference of their cosines
    between two lines that changed places."""
    our_cosines, their_cosines = ours @ ours.T, theirs @ theirs.T
    our_order, their_order = (np.argsort(-cosines, axis=1, kind="stable") for cosines in (our_cosines, their_cosines))
    all_same = (our_order == their_order).all(axis=1)
    swapped = np.abs(np.take_along_axis(their_cosines, our_order, 1) - np.take_along_axis(their_cosines, their_order, 1))
    return int(all_same.sum()), int((our_order[:, :10] == their_order[:, :10]).all(axis=1).sum()), float(swapped.max())


def timed(f, *arguments):
    start = time.perf_counter()
    result = f(*arguments)
    return result, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--search", type=Path, default=ROOT / "build/examples/semantic_search")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each system")
    settings = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    lines = settings.lines.read_text(encoding="utf-8").splitlines()[:settings.count] + HARD

    tokenizer = AutoTokenizer.from_pretrained(settings.model)
    model = AutoModel.from_pretrained(settings.model, dtype=torch.float32).eval()
    exact = torch_vectors(AutoModel.from_pretrained(settings.model, dtype=torch.float64).eval(), tokenizer, lines)
    with tempfile.TemporaryDirectory() as folder:
        systems = {"rapt": lambda: rapt_vectors(settings.search, settings.model, lines, folder),
                   "transformers": lambda: timed(torch_vectors, model, tokenizer, lines)}
        try:
            from sentence_transformers import SentenceTransformer
            package = SentenceTransformer(str(settings.model), device="cpu")
            systems["sentence-transformers"] = lambda: timed(package.encode, lines)
        except ImportError:
            pass
        results = {name: [run() for _ in range(settings.rounds)] for name, run in systems.items()}

    print(f"{len(lines)} lines, vectors of {exact.shape[1]}; differences from transformers in float64")
    failed = False
    for name, turns in results.items():
        vectors = np.asarray(turns[0][0], dtype=np.float64)
        difference = float(np.abs(vectors - exact).max())
        all_lines, ten, swapped = same_order(vectors, exact)
        print(f"{name}: largest difference {difference:.2e}; the same order of all lines for {all_lines} of "
              f"{len(lines)} queries, of the first ten for {ten}; lines that changed places were {swapped:.1e} apart; "
              f"{np.median([seconds for _, seconds in turns]):.2f} s")
        failed = failed or (name == "rapt" and (difference > LIMIT or swapped > LIMIT))
    sys.exit("rapt's vectors are not the same" if failed else 0)


if __name__ == "__main__":
    main()
