#!/usr/bin/env python3
"""Writes optimizers.safetensors: weights after each step of PyTorch's optimizers, and of Lion.

    python tests/golden/make_optimizers.py [folder]        # default: the folder of this script

`matrix` [5, 7] and `vector` [3] are the initial weights, `grad/<name>` [steps, size] their gradients and `rates` [steps]
the learning rates of all cases. `<case>/<name>` [steps, size] are the weights after each step, in float64 from values
rounded to float32. In the steps that `without_gradient` [steps] marks, the vector has no gradient: PyTorch leaves it, and
counts updates of each parameter by itself. In cases whose name ends in `_matrices`, vectors do not decay.

PyTorch has no Lion: `Lion` below is algorithm 2 of Chen et al. 2023 ("Symbolic Discovery of Optimization Algorithms").
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

STEPS = 9
WITHOUT_GRADIENT = (1, 5, 6)  # steps, counted from 0


class Lion(torch.optim.Optimizer):
    """c = beta1 m + (1 - beta1) g,  w -= lr (sign(c) + weight_decay w),  m = beta2 m + (1 - beta2) g"""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                direction = torch.sign(beta1 * m + (1 - beta1) * w.grad)
                w -= group["lr"] * (direction + group["weight_decay"] * w)
                self.state[w]["m"] = beta2 * m + (1 - beta2) * w.grad


ADAM = {"betas": (0.8, 0.95), "eps": 1e-3}
CASES = {
    "sgd": (torch.optim.SGD, {}),
    "sgd_decay": (torch.optim.SGD, {"weight_decay": 0.3}),
    "sgd_momentum": (torch.optim.SGD, {"momentum": 0.7}),
    "sgd_dampening": (torch.optim.SGD, {"momentum": 0.7, "dampening": 0.4, "weight_decay": 0.1}),
    "sgd_nesterov": (torch.optim.SGD, {"momentum": 0.7, "nesterov": True, "weight_decay": 0.1}),
    "sgd_matrices": (torch.optim.SGD, {"momentum": 0.7, "weight_decay": 0.3}),
    "adam": (torch.optim.Adam, ADAM),
    "adam_l2": (torch.optim.Adam, {**ADAM, "weight_decay": 0.3}),
    "adam_amsgrad": (torch.optim.Adam, {**ADAM, "amsgrad": True}),
    "adamw": (torch.optim.AdamW, {**ADAM, "weight_decay": 0.3}),
    "adamw_amsgrad": (torch.optim.AdamW, {**ADAM, "weight_decay": 0.3, "amsgrad": True}),
    "adam_l2_matrices": (torch.optim.Adam, {**ADAM, "weight_decay": 0.3}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "rmsprop_alpha": (torch.optim.RMSprop, {"alpha": 0.6, "eps": 1e-2, "weight_decay": 0.3}),
    "rmsprop_momentum": (torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.7}),
    "rmsprop_centered": (torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-2, "centered": True}),
    "rmsprop_all": (torch.optim.RMSprop, {"alpha": 0.8, "eps": 1e-2, "centered": True, "momentum": 0.5,
                                          "weight_decay": 0.1}),
    "rmsprop_matrices": (torch.optim.RMSprop, {"weight_decay": 0.3}),
    "adagrad": (torch.optim.Adagrad, {}),
    "adagrad_decay": (torch.optim.Adagrad, {"lr_decay": 0.5, "weight_decay": 0.3}),
    "adagrad_initial": (torch.optim.Adagrad, {"initial_accumulator_value": 0.5, "eps": 1e-2}),
    "adagrad_matrices": (torch.optim.Adagrad, {"weight_decay": 0.3}),
    "lion": (Lion, {}),
    "lion_decay": (Lion, {"betas": (0.6, 0.8), "weight_decay": 0.3}),
    "lion_matrices": (Lion, {"weight_decay": 0.3}),
}


def train(case, weights, gradients, rates):
    """The weights after each step."""
    make, options = CASES[case]
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in weights.items()}
    groups = [{"params": [parameters["matrix"]]}, {"params": [parameters["vector"]]}]
    if case.endswith("_matrices"):
        groups[1]["weight_decay"] = 0.0
    optimizer = make(groups, lr=0.1, **options)
    history = {name: [] for name in weights}
    for k in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rates[k].item()
        for name, parameter in parameters.items():
            missing = name == "vector" and k in WITHOUT_GRADIENT
            parameter.grad = None if missing else gradients[name][k].reshape(parameter.shape).clone()
        optimizer.step()
        for name, parameter in parameters.items():
            history[name].append(parameter.detach().flatten().clone())
    return {name: torch.stack(values) for name, values in history.items()}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(shape, generator=generator).double()
               for name, shape in (("matrix", (5, 7)), ("vector", (3,)))}
    gradients = {name: torch.randn(STEPS, value.numel(), generator=generator).double()
                 for name, value in weights.items()}
    for gradient in gradients.values():
        gradient[:, 0] = 0.0  # a weight that nothing depends on
        gradient[:, 1] *= 1e-3
    rates = torch.tensor([0.1, 0.05, 0.1, 0.2, 0.1, 0.025, 0.1, 0.05, 0.0]).double()
    without = torch.zeros(STEPS, dtype=torch.int32)
    without[list(WITHOUT_GRADIENT)] = 1
    tensors = {**weights, "rates": rates, "without_gradient": without}
    tensors.update({f"grad/{name}": value for name, value in gradients.items()})
    for case in CASES:
        tensors.update({f"{case}/{name}": value for name, value in train(case, weights, gradients, rates).items()})
    path = folder / "optimizers.safetensors"
    info = {"torch": torch.__version__, "cases": {case: options for case, (_, options) in CASES.items()}}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata={"info": json.dumps(info)})
    print(f"{path}: {path.stat().st_size} bytes, {len(CASES)} cases")


if __name__ == "__main__":
    main()
