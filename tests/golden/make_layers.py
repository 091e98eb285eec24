#!/usr/bin/env python3
"""Writes layers.safetensors: recurrent layers, convolutions and additive attention, by PyTorch.

    python tests/golden/make_layers.py [folder]        # default: the folder of this script

make_transformer.py tells how values are chosen, stored and named. Sequences have the lengths 5 3 7, rows `x` [N, I].

    lstm, lstm_no_bias           torch.nn.LSTM of one layer; I = 5, H = 6
    lstm_stack                   two layers in both directions, from `initial_hidden` and `initial_cell` [layers *
                                 directions, B, H]
    gru, gru_no_bias, gru_stack  the same of torch.nn.GRU, without a cell
                                 Beside `output` [N, H] or [N, 2H] they have `last_hidden` and (LSTM) `last_cell`, whose
                                 upstream gradients are `upstream_hidden` and `upstream_cell`.
    conv_<name>                  torch.nn.Conv1d from 4 to 6 channels, on each sequence alone; `causal` ones are padded
                                 before the first row only. The settings tell window and name.
    additive, additive_causal    softmax(v tanh(W_q query + W_k key + b)) key, with queries of the lengths 4 6 1;
                                 causal: query i of Lq sees keys up to i + Lk - Lq. `weights` [B, 1, Lq, Lk]
"""

import sys
from pathlib import Path

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from make_transformer import (SOURCE_LENGTHS, TARGET_LENGTHS, Golden, fill_parameters, minus_infinity_where, normal,
                              pad, splits_of, unpad)

INPUTS, HIDDEN = 5, 6
CONVOLUTIONS = {
    "centred": {"width": 3, "stride": 1, "padding": 1, "dilation": 1, "causal": False},
    "strided": {"width": 4, "stride": 2, "padding": 2, "dilation": 1, "causal": False},
    "dilated": {"width": 3, "stride": 1, "padding": 2, "dilation": 2, "causal": False},
    "causal": {"width": 3, "stride": 1, "padding": 2, "dilation": 1, "causal": True},
    "causal_dilated": {"width": 2, "stride": 1, "padding": 3, "dilation": 3, "causal": True},
}


def recurrent_case(golden, name, kind, layers=1, bidirectional=False, bias=True, initial=False):
    module = fill_parameters(kind(INPUTS, HIDDEN, layers, bias=bias, batch_first=True, bidirectional=bidirectional))
    splits = splits_of(SOURCE_LENGTHS)
    states = (layers * (1 + bidirectional), len(SOURCE_LENGTHS), HIDDEN)
    inputs = {"x": normal(sum(SOURCE_LENGTHS), INPUTS).requires_grad_(), "row_splits": splits}
    has_cell = kind is torch.nn.LSTM
    given = None
    if initial:
        inputs["initial_hidden"] = given = normal(*states).requires_grad_()
        if has_cell:
            inputs["initial_cell"] = normal(*states).requires_grad_()
            given = (given, inputs["initial_cell"])
    packed = pack_padded_sequence(pad(inputs["x"], splits), splits.diff(), batch_first=True, enforce_sorted=False)
    output, last = module(packed, given)
    output = unpad(pad_packed_sequence(output, batch_first=True)[0], splits)
    named = dict(zip(("hidden", "cell"), last if has_cell else (last,)))
    more = 0
    for word, value in named.items():
        upstream = normal(*value.shape)
        golden.put(f"{name}/last_{word}", value)
        golden.put(f"{name}/upstream_{word}", upstream)
        more = more + (value * upstream).sum()
    parameters = list(module.named_parameters())
    more.backward(retain_graph=True)
    of_last = {key: value.grad.clone() for key, value in (*inputs.items(), *parameters) if value.requires_grad}
    settings = {"inputs": INPUTS, "hidden": HIDDEN, "layers": layers, "bidirectional": bidirectional, "bias": bias}
    golden.put_case(name, settings, inputs, output, parameters)
    for key, value in (*inputs.items(), *parameters):  # put_case has the gradients of the output's part alone
        if value.requires_grad:
            prefix = "" if key in inputs else "param/"
            golden.put(f"{name}/grad/{prefix}{key}", value.grad + of_last[key])


def convolution_case(golden, name, settings):
    module = fill_parameters(
        torch.nn.Conv1d(4, 6, settings["width"], settings["stride"], dilation=settings["dilation"]))
    splits = splits_of(SOURCE_LENGTHS)
    x = normal(sum(SOURCE_LENGTHS), 4).requires_grad_()
    behind = 0 if settings["causal"] else settings["padding"]
    results = []
    for sequence in x.split(SOURCE_LENGTHS):
        padded = torch.nn.functional.pad(sequence.T, (settings["padding"], behind))
        if padded.shape[1] > (settings["width"] - 1) * settings["dilation"]:
            results.append(module(padded[None])[0].T)
    golden.put_case(f"conv_{name}", settings, {"x": x, "row_splits": splits}, torch.cat(results),
                    list(module.named_parameters()))


def additive_case(golden, name, causal):
    sizes = {"query": 5, "key": 4, "columns": 7}
    parameters = {"query_proj.weight": normal(7, 5), "key_proj.weight": normal(7, 4), "key_proj.bias": normal(7),
                  "v": normal(7)}
    for value in parameters.values():
        value.requires_grad_()
    query, key = normal(sum(TARGET_LENGTHS), 5).requires_grad_(), normal(sum(SOURCE_LENGTHS), 4).requires_grad_()
    outputs, weights = [], torch.zeros(3, 1, max(TARGET_LENGTHS), max(SOURCE_LENGTHS), dtype=torch.float64)
    for s, (q, k) in enumerate(zip(query.split(TARGET_LENGTHS), key.split(SOURCE_LENGTHS))):
        projected_query = q @ parameters["query_proj.weight"].T
        projected_key = k @ parameters["key_proj.weight"].T + parameters["key_proj.bias"]
        scores = torch.tanh(projected_query[:, None] + projected_key[None]) @ parameters["v"]
        if causal:
            hidden = torch.ones(scores.shape, dtype=torch.bool).triu(1 + len(k) - len(q))
            scores = scores + minus_infinity_where(hidden)
        seen = (scores > -torch.inf).any(1, keepdim=True)
        probabilities = torch.where(seen, scores, torch.zeros_like(scores)).softmax(1) * seen
        weights[s, 0, :len(q), :len(k)] = probabilities
        outputs.append(probabilities @ k)
    golden.put_case(name, {**sizes, "causal": causal},
                    {"query": query, "key": key, "query_splits": splits_of(TARGET_LENGTHS),
                     "key_splits": splits_of(SOURCE_LENGTHS)}, torch.cat(outputs), list(parameters.items()))
    golden.put(f"{name}/weights", weights)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    golden = Golden()
    for word, kind in ("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU):
        recurrent_case(golden, word, kind)
        recurrent_case(golden, f"{word}_no_bias", kind, bias=False)
        recurrent_case(golden, f"{word}_stack", kind, layers=2, bidirectional=True, initial=True)
    for name, settings in CONVOLUTIONS.items():
        convolution_case(golden, name, settings)
    additive_case(golden, "additive", False)
    additive_case(golden, "additive_causal", True)
    golden.save(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent) / "layers.safetensors")


if __name__ == "__main__":
    main()
