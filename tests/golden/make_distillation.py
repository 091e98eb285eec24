#!/usr/bin/env python3
"""Writes distillation.safetensors: distillation losses of random logits and their gradients, by PyTorch.

    python tests/golden/make_distillation.py [folder]        # default: the folder of this script

A case `<number>` has `student` and `teacher` [N, V], `labels` [N], `loss` [1], `grad/student` [N, V]. Its options are
in the metadata's "info": {"cases": {"<number>": {"hard": .., "temperature": .., "weight": ..}}}. Everything is computed
in float64 from values rounded to float32.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional

CASES = [(rows, classes, hard, temperature, weight)
         for rows, classes in ((1, 2), (5, 7), (3, 40))
         for hard, temperature, weight in ((False, 1.0, 0.5), (False, 4.0, 1.0), (False, 2.5, 0.25), (True, 2.0, 0.5),
                                           (True, 1.0, 1.0), (False, 3.0, 0.0))]


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    tensors, cases = {}, {}
    for number, (rows, classes, hard, temperature, weight) in enumerate(CASES):
        generator = torch.Generator().manual_seed(number)
        student, teacher = (torch.randn(rows, classes, generator=generator).double() * 3 for _ in range(2))
        student, teacher = student.float().double().requires_grad_(), teacher.float().double()
        labels = torch.randint(0, classes, (rows,), generator=generator)
        if hard:
            term = functional.cross_entropy(student, teacher.argmax(dim=1))
        else:
            term = temperature**2 * functional.kl_div(
                functional.log_softmax(student / temperature, dim=1), functional.log_softmax(teacher / temperature, dim=1),
                reduction="batchmean", log_target=True)
        loss = weight * term + (1 - weight) * functional.cross_entropy(student, labels)
        loss.backward()
        values = {"student": student.detach(), "teacher": teacher, "loss": loss.detach().reshape(1),
                  "grad/student": student.grad}
        for name, value in values.items():
            tensors[f"{number}/{name}"] = value.float().contiguous()
        tensors[f"{number}/labels"] = labels
        cases[str(number)] = {"hard": hard, "temperature": temperature, "weight": weight}
    path = folder / "distillation.safetensors"
    save_file(tensors, path, metadata={"info": json.dumps({"torch": torch.__version__, "cases": cases})})
    print(f"{path}: {path.stat().st_size} bytes, {len(cases)} cases")


if __name__ == "__main__":
    main()
