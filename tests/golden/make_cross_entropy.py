#!/usr/bin/env python3
"""Writes cross_entropy.safetensors: cross-entropy with its options, and gradients, by PyTorch.

    python tests/golden/make_cross_entropy.py [folder]        # default: the folder of this script

A case `<number>` has x [N, D], weight [V, D], bias [V] and `targets` [N], whose logits are x weight^T + bias; `loss` [1]
or [N], `upstream` of the same shape, and the gradients of sum(loss * upstream): `grad/logits`, `grad/x`, `grad/weight`,
`grad/bias`. Its options are in the metadata's "info": {"cases": {"<number>": {"label_smoothing": .., "ignore_index": ..,
"reduction": .., "class_weights": [..]}}}. Everything is computed in float64 from values rounded to float32.
"""

import itertools
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

REDUCTIONS = ("mean", "sum", "none")
CASES = [((7, 5, 3), *options)  # N, V, D
         for options in itertools.product((0.0, 0.1), (False, True), (None, -100, 2), REDUCTIONS)]
CASES += [((3, 33, 2), 0.1, True, None, reduction) for reduction in REDUCTIONS]


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    tensors, cases = {}, {}
    for number, ((rows, vocabulary, width), smoothing, weighted, ignore, reduction) in enumerate(CASES):
        generator = torch.Generator().manual_seed(number)
        x, weight, bias = (torch.randn(*shape, generator=generator) for shape in
                           ((rows, width), (vocabulary, width), (vocabulary,)))
        targets = torch.randint(0, vocabulary, (rows,), generator=generator)
        if ignore is not None:
            targets[0] = targets[rows // 2] = ignore
        class_weights = torch.rand(vocabulary, generator=generator) * 2 if weighted else None
        if weighted:
            class_weights[1] = 0
        leaves = [t.double().requires_grad_() for t in (x, weight, bias)]
        logits = F.linear(*leaves)
        logits.retain_grad()
        loss = F.cross_entropy(logits, targets, weight=None if class_weights is None else class_weights.double(),
                               ignore_index=-100 if ignore is None else ignore, reduction=reduction,
                               label_smoothing=smoothing)
        upstream = torch.rand(loss.shape, generator=generator) + 0.5
        (loss * upstream.double()).sum().backward()
        values = {"x": x, "weight": weight, "bias": bias, "loss": loss.detach().reshape(-1),
                  "upstream": upstream.reshape(-1), "grad/logits": logits.grad, "grad/x": leaves[0].grad,
                  "grad/weight": leaves[1].grad, "grad/bias": leaves[2].grad}
        for name, value in values.items():
            tensors[f"{number}/{name}"] = value.detach().float().contiguous()
        tensors[f"{number}/targets"] = targets
        cases[str(number)] = {"label_smoothing": smoothing, "ignore_index": ignore, "reduction": reduction,
                              "class_weights": [] if class_weights is None else class_weights.tolist()}
    path = folder / "cross_entropy.safetensors"
    save_file(tensors, path, metadata={"info": json.dumps({"torch": torch.__version__, "cases": cases})})
    print(f"{path}: {path.stat().st_size} bytes, {len(cases)} cases")


if __name__ == "__main__":
    main()
