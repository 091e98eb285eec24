#!/usr/bin/env python3
"""Attention, forward and backward: rapt beside PyTorch's scaled_dot_product_attention, and rapt's memory by length."""

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file

from common import Report, System, alternate, check, main, paired_row, progress, rapt_worker, relative_error, timed

HEADS, HEAD_DIM = 8, 64
ROUNDS = 5
SIZES = ((128, 32), (32, 128), (4, 512), (1, 2048))  # sequences, their length
LONG = (4096, 8192, 16_384)  # lengths at which rapt's memory is looked at
QUICK = 1  # so many of each
LIMIT = 1e-4  # of the relative difference of outputs and gradients


class TorchAttention:
    """sum(attention(query, key, value)) and its gradients."""

    def __init__(self, inputs, sequences, causal):
        self.inputs, self.sequences, self.causal = inputs, sequences, causal

    def heads(self, x):
        """[B, H, L, head_dim] of [B L, D]"""
        return x.view(self.sequences, -1, HEADS, HEAD_DIM).transpose(1, 2)

    def step(self):
        for leaf in self.inputs:
            leaf.grad = None
        self.output = F.scaled_dot_product_attention(*map(self.heads, self.inputs), is_causal=self.causal)
        self.output.sum().backward()

    def results(self):
        query, key, value = self.inputs
        output = self.output.detach().transpose(1, 2).reshape(query.shape)
        return {"output": output, "grad_query": query.grad, "grad_key": key.grad, "grad_value": value.grad}


def random_inputs(tokens):
    """query, key, value   [N, D]"""
    return [torch.randn(tokens, HEADS * HEAD_DIM).requires_grad_() for _ in range(3)]


def set_task(worker, folder, inputs, sequences, causal):
    names = ("query", "key", "value")
    save_file({name: value.detach() for name, value in zip(names, inputs)}, folder / "input.safetensors")
    worker.ask("attention", input=str(folder / "input.safetensors"), heads=HEADS, sequences=sequences, causal=causal)


def measure_size(settings, sequences, length, causal, worker, folder):
    work = f"attention{' causal' if causal else ''}, {sequences} x {length} tokens"
    progress(work)
    torch.manual_seed(1)
    inputs = random_inputs(sequences * length)
    peer = TorchAttention(inputs, sequences, causal)
    set_task(worker, folder, inputs, sequences, causal)

    worker.run(0, 1)
    worker.ask("write", output=str(folder / "output.safetensors"))
    ours = load_file(folder / "output.safetensors")
    peer.step()
    differences = {name: relative_error(ours[name], value) for name, value in peer.results().items()}
    for name, difference in differences.items():
        check(f"{work}: {name}", difference, LIMIT)

    systems = System("rapt", "highest", worker.run), System("PyTorch", "float32", timed(peer.step))
    rapt_times, peer_times = alternate(systems, settings.rounds_of(ROUNDS))
    return paired_row(work, *systems, rapt_times, peer_times, settings.threads,
                      f"output and gradients differ by {max(differences.values()):.0e}")


def extra_memory(length, worker, folder):
    """A note on what one causal sequence, forward and backward, adds to its query, key and value."""
    progress(f"memory of attention, {length} tokens")
    inputs = random_inputs(length)
    set_task(worker, folder, inputs, 1, True)
    extra = worker.ask("extra_memory")["bytes"] / 1e6
    return (f"attention, forward and backward, 1 x {length} tokens: rapt adds {extra:.0f} MB to the "
            f"{12 * inputs[0].numel() / 1e6:.0f} MB of query, key and value; the scores of all heads alone would be "
            f"{4e-6 * HEADS * length**2:.0f} MB")


def measure(settings):
    torch.set_num_threads(settings.threads)
    report = Report()
    with tempfile.TemporaryDirectory() as name, rapt_worker(settings) as worker:
        for sequences, length in SIZES[:QUICK] if settings.quick else SIZES:
            for causal in (False, True):
                report.rows.append(measure_size(settings, sequences, length, causal, worker, Path(name)))
        for length in LONG[:QUICK] if settings.quick else LONG:
            report.notes.append(extra_memory(length, worker, Path(name)))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "attention")
