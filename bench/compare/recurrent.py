#!/usr/bin/env python3
"""LSTM and GRU layers, forward and backward, on sentences of uneven lengths: rapt beside PyTorch.

PyTorch has the sentences packed (pack_padded_sequence, longest first, which spares it sorting) and, as it has other
code for them, padded: but not in both directions, where states would begin in the padding.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_sequence

from common import Report, System, alternate, check, main, paired_row, progress, rapt_worker, relative_error, timed

ROUNDS = 5
SENTENCES = 64
SIZES = (("LSTM", 128, 1, False), ("LSTM", 256, 1, False), ("LSTM", 512, 2, False), ("LSTM", 256, 1, True),
         ("GRU", 128, 1, False), ("GRU", 256, 1, False), ("GRU", 512, 2, False), ("GRU", 256, 1, True))
QUICK = (0, 4)
LIMIT = 1e-4  # of the relative difference of outputs and gradients


def sentence_lengths():
    """Lengths as those of Multi30k's sentences: 13 on average, from 5 to 36; longest first."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.empty(SENTENCES).log_normal_(2.5, 0.35, generator=generator)
    return sorted(drawn.round().long().clamp(5, 36).tolist(), reverse=True)


class TorchLayer:
    """sum(states) and its gradients."""

    def __init__(self, module, x, lengths, packed):
        self.module, self.x, self.lengths, self.packed = module, x, lengths, packed
        batch = pad_sequence(x.detach().split(lengths), batch_first=True)
        if packed:
            batch = pack_padded_sequence(batch, torch.tensor(lengths), batch_first=True)
            self.batch_sizes = batch.batch_sizes
            batch = batch.data
        else:
            self.exists = (torch.arange(lengths[0]) < torch.tensor(lengths)[:, None])[:, :, None]
        self.input = batch.requires_grad_()

    def step(self):
        self.input.grad = None
        self.module.zero_grad(set_to_none=True)
        if self.packed:
            self.output = self.module(PackedSequence(self.input, self.batch_sizes))[0].data
            self.output.sum().backward()
        else:
            self.output = self.module(self.input)[0]
            (self.output * self.exists).sum().backward()

    def rows(self, values):
        """[N, D], sentence after sentence."""
        if self.packed:
            order = torch.cat([torch.arange(size) for size in self.batch_sizes])
            return torch.cat([values[order == s] for s in range(SENTENCES)])
        return torch.cat([values[s, :length] for s, length in enumerate(self.lengths)])

    def results(self):
        gradients = {f"grad_{name}": value.grad for name, value in self.module.named_parameters()}
        return {"output": self.rows(self.output.detach()), "grad_x": self.rows(self.input.grad), **gradients}


def measure_size(settings, size, worker, folder):
    kind, width, layers, bidirectional = size
    work = f"{kind}, {layers} layer{'s' if layers > 1 else ''} of {width}{' both ways' if bidirectional else ''}"
    progress(work)
    torch.manual_seed(1)
    lengths = sentence_lengths()
    module = getattr(torch.nn, kind)(width, width, layers, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(sum(lengths), width)
    save_file({"x": x, **{name: value.detach() for name, value in module.named_parameters()}},
              folder / "input.safetensors")
    worker.ask("recurrent", input=str(folder / "input.safetensors"), kind=kind, hidden=width, layers=layers,
               bidirectional=bidirectional, lengths=lengths)
    worker.run(0, 1)
    worker.ask("write", output=str(folder / "output.safetensors"))
    ours = load_file(folder / "output.safetensors")
    peers = {"packed": TorchLayer(module, x, lengths, packed=True)}
    if not bidirectional:
        peers["padded"] = TorchLayer(module, x, lengths, packed=False)
    largest = 0.0
    for name, peer in peers.items():
        peer.step()
        for key, value in peer.results().items():
            largest = max(largest, check(f"{work}, {name}: {key}", relative_error(ours[key], value), LIMIT))
    systems = [System("rapt", "highest", worker.run)]
    systems += [System(f"PyTorch, {name}", "float32", timed(peer.step)) for name, peer in peers.items()]
    times = alternate(systems, settings.rounds_of(ROUNDS))
    work += f", {SENTENCES} sentences, {sum(lengths)} tokens"
    return [paired_row(work, systems[0], peer, times[0], peer_times, settings.threads,
                       f"output and gradients differ by {largest:.0e}") for peer, peer_times in
            zip(systems[1:], times[1:])]


def measure(settings):
    torch.set_num_threads(settings.threads)
    report = Report()
    with tempfile.TemporaryDirectory() as name, rapt_worker(settings) as worker:
        for i, size in enumerate(SIZES):
            if not settings.quick or i in QUICK:
                report.rows += measure_size(settings, size, worker, Path(name))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "recurrent")
