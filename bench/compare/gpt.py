#!/usr/bin/env python3
"""GPT: training on the characters of a text beside PyTorch, and generation beside transformers.

Training has nanoGPT's settings for tiny Shakespeare on a CPU: 4 layers, d 128, 4 heads, windows of 64 characters, 12 in
a batch, 2,000 steps, no dropout, AdamW (0.9, 0.99) with a decay of 0.1 of matrices, clipping at 1, rate 1e-3 to 1e-4 by
a cosine with 100 steps of warm-up. Both sides start from the same weights and see the same windows, so their losses can
be compared. With --larger-minutes M instead its setting for a GPU: 6 layers, d 384, 6 heads, windows of 256, 64 in a batch,
dropout 0.2, as many steps as both sides together do in M minutes. Generation continues one prompt greedily with random weights of GPT-2's smallest size.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from common import Report, Row, System, Worker, check, main, paired_row, progress, rapt_worker

PEERS = (("float32", "highest"), ("float32", "high"), ("bfloat16", "medium"))
STEPS, TURNS = 2000, 10
LARGER_STEPS, LARGER_TURN = 5000, 5  # of the whole schedule; done at a time
NEW_TOKENS, PROMPT, ROUNDS = 200, 16, 3


def text_of(settings):
    """Two parts: 90 % to train on, 10 % to validate."""
    if settings.data:
        text = (settings.data / "shakespeare/input.txt").read_text(encoding="utf-8")
    else:
        rng = random.Random(1)
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2000)]
        text = " ".join(rng.choices(words, [1 / rank for rank in range(1, 2001)], k=100_000))
    characters = sorted(set(text))
    ids = torch.tensor([characters.index(c) for c in text])
    cut = int(0.9 * len(ids))
    return len(characters), {"train": ids[:cut].contiguous(), "validation": ids[cut:].contiguous()}


def torch_worker(settings, precision):
    worker = Worker([sys.executable, str(Path(__file__).with_name("torch_gpt.py"))])
    worker.ask("configure", threads=settings.threads, precision=precision)
    return worker


def measure_training(settings, folder):
    vocabulary, texts = text_of(settings)
    save_file(texts, folder / "tokens.safetensors")
    with torch_worker(settings, "float32") as worker:
        size = worker.ask("save_gpt", folder=str(folder / "gpt"), vocabulary=vocabulary, context=64, width=128,
                          layers=4, heads=4)["parameters"]
    turns, steps = (2, 100) if settings.quick else (TURNS, STEPS)
    starts = np.random.default_rng(1).integers(0, len(texts["train"]) - 64, (steps, 12)).tolist()
    task = {"folder": str(folder / "gpt"), "tokens": str(folder / "tokens.safetensors"), "starts": starts, "context": 64,
            "peak": 1e-3, "floor": 1e-4, "warmup": 100, "steps": STEPS}
    rows, first = [], {}
    for torch_precision, rapt_precision in PEERS:
        work = f"GPT, {steps} training steps"
        progress(f"{work}: PyTorch {torch_precision}, rapt {rapt_precision}")
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(rapt_worker(settings, rapt_precision))
            theirs = stack.enter_context(torch_worker(settings, torch_precision))
            if rapt_precision == "high" and ours.ask("info")["units"]["high"] == "none":
                continue  # this processor computes high as highest
            for worker in (ours, theirs):
                worker.ask("gpt_training", **task)
            times = ([], [])
            for turn in range(turns):  # every step is one of the training, and timed
                order = (0, 1) if turn % 2 == 0 else (1, 0)
                for k in order:
                    times[k].append((ours, theirs)[k].run(0, steps // turns))
            losses = [worker.ask("gpt_loss", count=len(texts["validation"]))["loss"] for worker in (ours, theirs)]
        if rapt_precision == "highest" and not settings.quick:
            check("validation loss after the last step, rapt against PyTorch float32",
                  abs(losses[0] / losses[1] - 1), 0.02)
        totals = [sum(map(sum, side)) for side in times]
        quality = (f"{size} parameters; in all {totals[1]:.1f} s, rapt's {totals[0]:.1f}; validation loss "
                   f"{losses[1]:.3f}, rapt's {losses[0]:.3f}")
        rows.append(paired_row(work, System("rapt", rapt_precision, None), System("PyTorch", torch_precision, None),
                               *times, settings.threads, quality))
    return Report(rows)


def measure_larger(settings, folder, minutes):
    """Both from the same weights on the same windows, by turns until the time is over; dropout draws differ."""
    vocabulary, texts = text_of(settings)
    save_file(texts, folder / "tokens.safetensors")
    with torch_worker(settings, "float32") as worker:
        size = worker.ask("save_gpt", folder=str(folder / "larger"), vocabulary=vocabulary, context=256, width=384,
                          layers=6, heads=6, dropout=0.2)["parameters"]
    starts = np.random.default_rng(1).integers(0, len(texts["train"]) - 256, (LARGER_STEPS, 64)).tolist()
    task = {"folder": str(folder / "larger"), "tokens": str(folder / "tokens.safetensors"), "starts": starts,
            "context": 256, "peak": 1e-3, "floor": 1e-4, "warmup": 100, "steps": LARGER_STEPS}
    with rapt_worker(settings, "highest") as ours, torch_worker(settings, "float32") as theirs:
        for worker in (ours, theirs):
            worker.ask("gpt_training", **task)
        times, turn, end = ([], []), 0, time.monotonic() + 60 * minutes
        while turn == 0 or time.monotonic() < end:
            for k in ((0, 1) if turn % 2 == 0 else (1, 0)):
                times[k].append((ours, theirs)[k].run(0, LARGER_TURN))
            turn += 1
            if turn % 5 == 0:
                losses = [worker.ask("gpt_loss", count=20_000)["loss"] for worker in (ours, theirs)]
                progress("{} steps: validation loss rapt {:.4f}, PyTorch {:.4f}".format(turn * LARGER_TURN, *losses))
        losses = [worker.ask("gpt_loss", count=len(texts["validation"]))["loss"] for worker in (ours, theirs)]
    steps = turn * LARGER_TURN
    quality = f"{size} parameters; validation loss after {steps} steps {losses[1]:.4f}, rapt's {losses[0]:.4f}"
    return Report([paired_row(f"larger GPT, {steps} training steps", System("rapt", "highest", None),
                              System("PyTorch", "float32", None), *times, settings.threads, quality)])


def measure_generation(settings, folder):
    sizes = {"vocabulary": 50257, "context": 1024, "width": 768, "layers": 12, "heads": 12}
    if settings.quick:
        sizes |= {"vocabulary": 1000, "width": 128, "layers": 2, "heads": 4}
    with torch_worker(settings, "float32") as worker:
        worker.ask("save_gpt", folder=str(folder / "gpt2"), **sizes)
    prompt = np.random.default_rng(2).integers(0, sizes["vocabulary"], PROMPT).tolist()
    new = 20 if settings.quick else NEW_TOKENS
    task = {"folder": str(folder / "gpt2"), "prompts": [prompt], "new_tokens": new}
    rows, work = [], f"GPT-2's smallest size, {new} tokens behind a prompt of {PROMPT}"
    modes = {"highest": ("highest", "as they are"), "medium": ("medium", "packed"),
             "medium, int8 weights": ("medium", "int8")}
    for mode, (rapt_precision, weights) in modes.items():
        progress(f"{work}: transformers, rapt {mode}")
        with rapt_worker(settings, rapt_precision) as ours, torch_worker(settings, "float32") as theirs:
            ours.ask("gpt_generation", weights=weights, **task)
            theirs.ask("gpt_generation", **task)
            times, memory, tokens = ([], []), [], []
            for turn in range(settings.rounds_of(ROUNDS)):
                for k in ((0, 1) if turn % 2 == 0 else (1, 0)):
                    times[k].append((ours, theirs)[k].run(1 if turn == 0 else 0, 1))
            for worker in (ours, theirs):
                tokens.append(worker.ask("gpt_tokens")["tokens"][0])
                memory.append(worker.ask("resident", reset=False)["peak"])
        same = next((i for i, pair in enumerate(zip(*tokens)) if pair[0] != pair[1]), new)
        if rapt_precision == "highest":
            check("tokens until the first difference", new - same, 0)
        quality = f"the first {same} of {new} tokens are the same"
        rows.append(paired_row(work, System("rapt", mode, None), System("transformers", "float32", None),
                               *times, settings.threads, quality))
        rows.append(Row(f"{work}, peak memory", "transformers", rows[-1].precision, settings.threads,
                        "of the whole process", "MB", memory[1] / 1e6, memory[0] / 1e6, [memory[1] / memory[0]]))
    return Report(rows)


def measure(settings, larger_minutes=None):
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        if larger_minutes:
            return measure_larger(settings, Path(name), larger_minutes)
        report.add(measure_training(settings, Path(name)))
        report.add(measure_generation(settings, Path(name)))
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--larger-minutes", type=float)
    known, sys.argv[1:] = parser.parse_known_args()
    main(lambda settings: measure(settings, known.larger_minutes), __doc__.splitlines()[0],
         "gpt_larger" if known.larger_minutes else "gpt")
