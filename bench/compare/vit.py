#!/usr/bin/env python3
"""Vision Transformers: training steps beside PyTorch.

Two models on random images: that of examples/vit for MNIST (28 x 28, patches of 7, 6 layers, d 64, 4 heads, ff 128,
64 in a batch), and one for images of 3 x 32 x 32 (patches of 4, 6 layers, d 128, 4 heads, ff 256, 128 in a batch).
Both sides start from the same weights and see the same batches.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from common import Report, System, Worker, alternate, check, main, paired_row, progress, rapt_worker

SHAPES = {
    "ViT, 64 x 28 x 28": (64, {"channels": 1, "side": 28, "patch": 7, "width": 64, "layers": 6, "heads": 4,
                               "hidden": 128, "classes": 10}),
    "ViT, 128 x 3 x 32 x 32": (128, {"channels": 3, "side": 32, "patch": 4, "width": 128, "layers": 6, "heads": 4,
                                     "hidden": 256, "classes": 10}),
}
PEERS = (("float32", "highest"), ("float32", "high"), ("bfloat16", "medium"))
BATCHES, ROUNDS, CHECKED = 4, 7, 8


def torch_worker(settings, precision):
    worker = Worker([sys.executable, str(Path(__file__).with_name("torch_vit.py"))])
    worker.ask("configure", threads=settings.threads, precision=precision)
    return worker


def write_batches(path, images, shape):
    rng = np.random.default_rng(1)
    pixels = shape["channels"] * shape["side"]**2
    save_file({f"pixels.{i}": rng.standard_normal((images, pixels), np.float32) for i in range(BATCHES)} |
              {f"labels.{i}": rng.integers(0, shape["classes"], images) for i in range(BATCHES)}, path)


def measure(settings):
    rows = []
    for work, (images, shape) in SHAPES.items():
        for torch_precision, rapt_precision in PEERS:
            progress(f"{work}: PyTorch {torch_precision}, rapt {rapt_precision}")
            with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
                folder = Path(name)
                (folder / "shape.json").write_text(json.dumps(shape))
                task = {"folder": str(folder), "batches": str(folder / "batches.safetensors")}
                write_batches(task["batches"], images, shape)
                ours = stack.enter_context(rapt_worker(settings, rapt_precision))
                if rapt_precision == "high" and ours.ask("info")["units"]["high"] == "none":
                    continue  # this processor computes high as highest
                theirs = stack.enter_context(torch_worker(settings, torch_precision))
                size = theirs.ask("vit_training", **task)["parameters"]
                ours.ask("vit_training", **task)
                for worker in (ours, theirs):
                    worker.run(0, CHECKED)
                losses = [worker.ask(f"{prefix}losses")["losses"][:CHECKED]
                          for worker, prefix in ((ours, "vit_"), (theirs, ""))]
                if rapt_precision == "highest":
                    check(f"{work}: losses of the first {CHECKED} steps, rapt against PyTorch float32",
                          float(np.abs(np.subtract(*losses)).max()), 1e-3)
                systems = [System("rapt", rapt_precision, ours.run), System("PyTorch", torch_precision, theirs.run)]
                times = alternate(systems, settings.rounds_of(ROUNDS), [worker.run(0, 1)[0] for worker in (ours, theirs)])
            quality = (f"{size} parameters; loss at step {CHECKED} {losses[1][-1]:.4f}, rapt's {losses[0][-1]:.4f}")
            rows.append(paired_row(f"{work}, training step", *systems, *times, settings.threads, quality))
    return Report(rows)


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "vit")
