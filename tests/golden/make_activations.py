#!/usr/bin/env python3
"""Writes activations.safetensors: the activations of torch.nn.functional and their gradients, by PyTorch.

    python tests/golden/make_activations.py [folder]        # default: the folder of this script

All read `x` [4, 16], which has every kink of every case; `upstream` [4, 16] is the gradient of the result. A case
`<name>` has `output` and `grad/x`; glu's are [4, 8] (its upstream is the first half of the columns), prelu's also
`slope` and `grad/slope`. Everything is computed in float64 from values rounded to float32.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

CASES = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "leaky_relu_0.25": lambda x: F.leaky_relu(x, 0.25),
    "elu": F.elu,
    "elu_1.5": lambda x: F.elu(x, 1.5),
    "celu": F.celu,
    "celu_2": lambda x: F.celu(x, 2.0),
    "selu": F.selu,
    "softplus": F.softplus,
    "softplus_2_3": lambda x: F.softplus(x, 2.0, 3.0),
    "softsign": F.softsign,
    "mish": F.mish,
    "hardtanh": F.hardtanh,
    "hardtanh_-2_0.5": lambda x: F.hardtanh(x, -2.0, 0.5),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "logsigmoid": F.logsigmoid,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "softshrink_1": lambda x: F.softshrink(x, 1.0),
    "hardshrink": F.hardshrink,
    "hardshrink_1": lambda x: F.hardshrink(x, 1.0),
    "threshold": lambda x: F.threshold(x, 0.5, -7.0),
    "glu": F.glu,
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 16, generator=generator) * 4
    kinks = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -2.0, 1.5, 20.5, -30.0, 90.0, -90.0, 1e-3]
    x[1] = torch.tensor(kinks)
    upstream = torch.randn(4, 16, generator=generator)
    tensors = {"x": x, "upstream": upstream}
    for name, function in CASES.items():
        leaf = x.double().requires_grad_()
        output = function(leaf)
        output.backward(upstream.double()[:, :output.shape[1]])
        tensors[f"{name}/output"], tensors[f"{name}/grad/x"] = output.detach(), leaf.grad
    for name, slopes in ("prelu", torch.tensor([0.25])), ("prelu_columns", torch.randn(16, generator=generator)):
        leaf, slope = x.double().requires_grad_(), slopes.double().requires_grad_()
        output = F.prelu(leaf, slope)
        output.backward(upstream.double())
        tensors |= {f"{name}/slope": slopes, f"{name}/output": output.detach(), f"{name}/grad/x": leaf.grad,
                    f"{name}/grad/slope": slope.grad}
    path = folder / "activations.safetensors"
    save_file({name: value.float().contiguous() for name, value in tensors.items()}, path,
              metadata={"torch": torch.__version__})
    print(f"{path}: {path.stat().st_size} bytes, {len(CASES) + 2} cases")


if __name__ == "__main__":
    main()
