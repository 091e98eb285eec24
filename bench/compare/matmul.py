#!/usr/bin/env python3
"""Matrix products y = x W^T: rapt's three precisions beside torch.matmul in float32 and bfloat16."""

import tempfile
from pathlib import Path

import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from common import Report, System, alternate, check, main, paired_row, progress, rapt_worker, relative_error, timed

ROUNDS = 5
# [M, K] times [N, K] transposed, as M, N, K
SIZES = (
    (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048),
    (2048, 512, 512),  # projections of the base model
    (2048, 2048, 512), (2048, 512, 2048),  # its feed-forward network
    (256, 10_000, 512),  # a block of logits
    (32, 512, 512),  # a step of decoding
)
QUICK = 1  # so many of them
LIMITS = {"highest": 1e-5, "high": 1e-4, "medium": 1e-2}  # of the relative error


def peers_of(x, weight):
    """(System, the product as it makes it, the precisions of rapt beside it)"""
    x_half, weight_half = x.bfloat16(), weight.bfloat16()
    products = (
        ("PyTorch", "float32", lambda: x @ weight.T, ("highest", "high")),
        ("PyTorch", "bfloat16", lambda: x_half @ weight_half.T, ("medium",)),
        # From float32 to float32, as rapt's.
        ("PyTorch", "bfloat16 of float32", lambda: (x.bfloat16() @ weight.bfloat16().T).float(), ("medium",)),
    )
    for name, precision, product, beside in products:
        yield System(name, precision, timed(product)), product, beside


def measure_size(settings, size, worker, folder):
    m, n, k = size
    work = f"product {m} x {n} x {k}"
    progress(work)
    torch.manual_seed(1)
    x, weight = torch.rand(m, k) * 2 - 1, torch.rand(n, k) * 2 - 1
    exact = x.double() @ weight.double().T
    save_file({"x": x, "weight": weight}, folder / "input.safetensors")
    worker.ask("gemm", input=str(folder / "input.safetensors"))

    def rapt_at(precision):
        def run(uncounted, counted):
            worker.ask("configure", threads=settings.threads, precision=precision)
            return worker.run(uncounted, counted)

        system = System("rapt", precision, run)
        run(0, 1)
        worker.ask("write", output=str(folder / "y.safetensors"))
        error = relative_error(load_file(folder / "y.safetensors")["y"], exact)
        return system, check(f"{work}, rapt {precision} against float64", error, LIMITS[precision])

    rapt = {precision: rapt_at(precision) for precision in LIMITS}
    peers = [(system, relative_error(product().double(), exact), beside)
             for system, product, beside in peers_of(x, weight)]
    systems = [system for system, *_ in (*rapt.values(), *peers)]
    times = alternate(systems, settings.rounds_of(ROUNDS))
    rapt_times, peer_times = dict(zip(rapt, times)), times[len(rapt):]
    return [paired_row(work, rapt[precision][0], system, rapt_times[precision], its_times, settings.threads,
                       f"relative error {error:.1e}, rapt's {rapt[precision][1]:.1e}")
            for (system, error, beside), its_times in zip(peers, peer_times) for precision in beside]


def measure(settings):
    torch.set_num_threads(settings.threads)
    report = Report()
    with tempfile.TemporaryDirectory() as name, rapt_worker(settings) as worker:
        for size in SIZES[:QUICK] if settings.quick else SIZES:
            report.rows += measure_size(settings, size, worker, Path(name))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "matmul")
