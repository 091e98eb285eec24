#!/usr/bin/env python3
"""PyTorch's side of the training comparison: the commands of worker.cpp that training.py needs, and `save`.

A torch.nn.Transformer as its users have it: padded batches, batch first, key padding masks, Adam in one kernel. The
precision is float32, or bfloat16 by autocast.
"""

import json
import math
import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

IGNORED = -100  # target of a padded position

warnings.filterwarnings("ignore")


def sinusoids(length, d_model):
    """sin(pos / 10000^(2i/D)) in columns 2i, cos in columns 2i + 1. [length, D]"""
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


def pad(sequences, value):
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sequences], True, value)  # [B, L]


def padding_of(sequences):
    """True where a padded batch has no token. [B, L]"""
    lengths = torch.tensor([len(ids) for ids in sequences])
    return torch.arange(int(lengths.max())) >= lengths[:, None]


class Batch:
    def __init__(self, lists):
        self.source, self.source_padding = pad(lists["source"], 0), padding_of(lists["source"])
        self.target, self.target_padding = pad(lists["target_input"], 0), padding_of(lists["target_input"])
        self.labels = pad(lists["target_output"], IGNORED)
        length = self.target.shape[1]
        self.causal = torch.ones(length, length, dtype=torch.bool).triu(1)


class Model(torch.nn.Transformer):
    """torch.nn.Transformer with one matrix for both embeddings and the output projection."""

    def __init__(self, config, longest):
        super().__init__(d_model=config["d_model"], nhead=config["heads"], dim_feedforward=config["d_ff"],
                         num_encoder_layers=config["encoder_layers"], num_decoder_layers=config["decoder_layers"],
                         dropout=config["dropout"], activation=config["activation"],
                         norm_first=config["norm"] == "pre", batch_first=True)
        if not config["final_norm"]:
            self.encoder.norm = self.decoder.norm = None
        for layer in (*self.encoder.layers, *self.decoder.layers):
            layer.dropout.p = config["activation_dropout"]
        for module in self.modules():
            if isinstance(module, torch.nn.MultiheadAttention):
                module.dropout = config["attention_dropout"]
        self.embedding = torch.nn.Embedding(config["source_vocabulary"], self.d_model)
        torch.nn.init.normal_(self.embedding.weight, std=self.d_model**-0.5)
        self.embedding_dropout = torch.nn.Dropout(config["dropout"])
        self.register_buffer("positions", sinusoids(longest, self.d_model), persistent=False)

    def forward(self, batch):
        """Logits [B, L, V]"""
        hidden = super().forward(self.embed(batch.source), self.embed(batch.target), tgt_mask=batch.causal,
                                 src_key_padding_mask=batch.source_padding,
                                 tgt_key_padding_mask=batch.target_padding,
                                 memory_key_padding_mask=batch.source_padding, tgt_is_causal=True)
        return F.linear(hidden, self.embedding.weight)

    def embed(self, ids):
        """[B, L] -> [B, L, D]"""
        return self.embedding_dropout(self.embedding(ids) * math.sqrt(self.d_model) + self.positions[:ids.shape[1]])


def smoothed_loss(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, label_smoothing=0.1)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)


class Worker:
    def configure(self, threads, precision):
        torch.set_num_threads(threads)
        self.precision = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        return {"threads": torch.get_num_threads()}

    def save(self, config, output):
        """Writes the weights that a new model has."""
        torch.manual_seed(1)
        save_file({name: value.contiguous() for name, value in Model(config, 2).state_dict().items()}, output)
        return {}

    def transformer(self, config, weights, batches, compile):
        self.batches = [Batch(lists) for lists in batches]
        longest = max(max(batch.source.shape[1], batch.target.shape[1]) for batch in self.batches)
        self.model = Model(config, longest)
        self.loss_of_logits = smoothed_loss
        if compile:
            self.compile()
        return self.restart(weights)

    def compile(self):
        """Layer by layer: a layer of each kind is compiled once, for all of them and for all batches."""
        for layers in (self.model.encoder.layers, self.model.decoder.layers):
            for i, layer in enumerate(layers):
                layers[i] = torch.compile(layer, dynamic=True)
        self.loss_of_logits = torch.compile(smoothed_loss, dynamic=True)

    def restart(self, weights):
        state = load_file(weights)
        self.model.load_state_dict({name: state[name.replace("_orig_mod.", "")] for name in self.model.state_dict()})
        self.model.train()
        self.model.zero_grad(set_to_none=True)
        torch.manual_seed(1)
        self.optimizer, self.step_losses = None, []
        return {}

    def loss_of(self, batch):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            return self.loss_of_logits(self.model(batch), batch.labels)

    def step(self):
        if self.optimizer is None:
            self.optimizer = adam(self.model)
        loss = self.loss_of(self.batches[len(self.step_losses) % len(self.batches)])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step_losses.append(loss.item())

    def loss(self, batch):
        self.model.eval()
        loss = self.loss_of(self.batches[batch])
        loss.backward()
        squares = sum(p.grad.double().square().sum() for p in self.model.parameters() if p.grad is not None)
        self.model.zero_grad(set_to_none=True)
        self.model.train()
        return {"loss": loss.item(), "gradient_norm": math.sqrt(squares)}

    def losses(self):
        return {"losses": self.step_losses}

    def run(self, uncounted, counted):
        for _ in range(uncounted):
            self.step()
        seconds = []
        for _ in range(counted):
            start = time.perf_counter()
            self.step()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}

    def resident(self, reset):
        if reset:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {key: 1024 * int(status[name].split()[0]) for key, name in (("now", "VmRSS"), ("peak", "VmHWM"))}


def serve(worker):
    """Answers commands from the standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed, by compilers too, is no answer
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(worker, command.pop("command"))(**command)
        except Exception as error:  # of any kind: the other side decides what to do
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(Worker())
