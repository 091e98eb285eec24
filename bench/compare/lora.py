#!/usr/bin/env python3
"""LoRA: a step of Adam on an adapter and the peak of memory, beside PyTorch with PEFT.

GPT-2's smallest size (12 layers, d 768, vocabulary 50,257; 8 sequences of 256 tokens; c_attn adapted) and BERT-base with a
classifier (16 sequences of 128 tokens; query and value adapted, the classifier trained), rank 8, no dropout. Both sides open
the same folders and the same adapter, see the same batches, and their first losses are compared. They take turns: the ratio
is that of a step of each, the median of the rounds. Memory is the peak of each process from its start, libraries and the
loading of the model included. --processor-time counts the seconds that a process took of the processors, for a machine
that others use, too; with more than one thread these include waiting.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from safetensors.numpy import save_file

from common import Worker, check, progress

NO_DROPOUT = {"gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
              "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_labels": 4}}
ADAPTERS = {"gpt2": {"task_type": "CAUSAL_LM", "target_modules": ["c_attn"], "fan_in_fan_out": True},
            "bert": {"task_type": "SEQ_CLS", "target_modules": ["query", "value"]}}
BATCHES = {"gpt2": (8, 256, 50257), "bert": (16, 128, 30522)}
# PyTorch's weights and precision, rapt's weights and precision.
PEERS = {"float32": ("float32", "float32", "computed", "highest"),
         "bfloat16 products": ("float32", "bfloat16", "computed", "medium"),
         "bfloat16 weights": ("bfloat16", "bfloat16", "stored", "medium"),
         "float32 / int8 weights": ("float32", "float32", "int8", "highest")}


def save_batches(path, model, steps):
    rng = np.random.default_rng(1)
    sequences, length, vocabulary = BATCHES[model]
    tensors = {"ids": rng.integers(0, vocabulary, (steps, sequences, length)).astype(np.int32)}
    if model == "bert":
        tensors["labels"] = rng.integers(0, 4, (steps, sequences)).astype(np.int32)
    save_file(tensors, path)


def measure(settings, model, peer, folder, recompute):
    """One line of the table."""
    their_weights, their_precision, our_weights, our_precision = PEERS[peer]
    common = {"model": model, "adapter": str(folder / "adapter"), "batches": str(folder / "batches.safetensors"),
              "threads": settings.threads}
    wants_halves = {"rapt": our_weights == "stored", "PyTorch": their_weights == "bfloat16"}
    of = {name: str(folder / ("halves" if halves else "model")) for name, halves in wants_halves.items()}
    with Worker([str(settings.worker.resolve())]) as ours, \
            Worker([sys.executable, str(Path(__file__).with_name("torch_lora.py"))]) as theirs:
        ours.ask("open", folder=of["rapt"], weights=our_weights, precision=our_precision, recompute=recompute, **common)
        theirs.ask("open", folder=of["PyTorch"], weights=their_weights, precision=their_precision, **common)
        clock, times = "processor" if settings.processor_time else "seconds", ([], [])
        for turn in range(settings.rounds):
            for k in ((0, 1) if turn % 2 == 0 else (1, 0)):
                times[k].append(median((ours, theirs)[k].ask("run", uncounted=int(turn == 0), counted=1)[clock]))
        losses = [worker.ask("losses")["losses"] for worker in (ours, theirs)]
        peaks = [ours.ask("resident")["peak"], theirs.ask("resident", reset=False)["peak"]]
    difference = max(abs(a - b) for a, b in zip(*losses))
    if peer == "float32":
        check("the losses", difference, 1e-3)
    ratios = sorted(b / a for a, b in zip(*times))
    print(f"| {model} | {peer}{', recomputing' if recompute else ''} | {median(times[1]):.2f} s | {median(times[0]):.2f} s | "
          f"{median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f}) | {peaks[1] / 1e6:.0f} MB | {peaks[0] / 1e6:.0f} MB | "
          f"{peaks[0] / peaks[1]:.2f} | {difference:.1e} of {losses[1][0]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--worker", type=Path, required=True, help="rapt's program, built from lora_worker.cpp")
    parser.add_argument("--models", nargs="+", choices=BATCHES, default=list(BATCHES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--recompute", action="store_true", help="rapt keeps the blocks' inputs alone of its activations")
    parser.add_argument("--folder", type=Path, help="keeps the models for another run")
    settings = parser.parse_args()
    print("| model | PyTorch / rapt | PyTorch | rapt | ratio | PyTorch's peak | rapt's peak | of PyTorch's | losses differ by |\n"
          "|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for model in settings.models:
            folder = (settings.folder or Path(name)) / model
            if not (folder / "batches.safetensors").exists():
                progress(f"{model}: new weights")
                with Worker([sys.executable, str(Path(__file__).with_name("torch_lora.py"))]) as worker:
                    worker.ask("save", model=model, folder=str(folder / "model"), halves=str(folder / "halves"),
                               adapter=str(folder / "adapter"), options=NO_DROPOUT[model],
                               adapter_options={"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, **ADAPTERS[model]})
                save_batches(folder / "batches.safetensors", model, settings.rounds + 1)
            for peer in settings.peers:
                measure(settings, model, peer, folder, settings.recompute)


if __name__ == "__main__":
    main()
