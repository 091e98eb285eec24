#!/usr/bin/env python3
"""Writes files of torch.save for tests/io/torch_file_test.cpp and tests/pretrained/torch_folder_test.cpp.

    python tests/golden/make_torch_files.py [folder]        # default: the folder of this script

torch_types.pt            tensors of every type, views and shared storages, nested containers and other values
torch_types.safetensors   the same tensors as Python's torch.load sees them, under the names that TorchFile gives them
torch_protocol5.pt        some of them by pickle's protocol 5
torch_old.pt              the format before PyTorch 1.6
torch_shared.pt           a matrix under two names, two views of it, and a complex matrix, transposed and copied
torch_negative.pt         a tensor of which the file has the elements of the other sign
torch_evil.pt             a pickle that would run a command
torch_llama.bin           the parameters of the case "grouped_tied" of llama.safetensors, as pytorch_model.bin
"""

import collections
import os
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool]


def contents():
    """What the file holds; tensors are found by `tensors_of`."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn((5, 6), generator=generator)
    types = collections.OrderedDict()
    for dtype in DTYPES:
        if dtype.is_floating_point:
            types[str(dtype)[6:]] = torch.randn((2, 3), generator=generator).to(dtype)
        else:
            values = torch.randint(0, 100, (2, 3), generator=generator)
            types[str(dtype)[6:]] = (values % 2 == 0) if dtype is torch.bool else values.to(dtype)
    types["int8"][0, 0], types["int64"][1, 2] = -128, -2**62
    half = torch.arange(24, dtype=torch.float16).reshape(2, 3, 4)
    return {
        "types": types,
        "views": {"base": base, "rows": base[1:3], "columns": base[:, 2:4], "transposed": base.t(),
                  "every_second": base[::2, 1::3], "permuted": half.permute(2, 0, 1), "repeated": base[0].expand(3, 6),
                  "element": base[4, 5], "flat": base.reshape(-1)[7:], "empty": torch.empty((0, 3)),
                  "scalar": torch.tensor(2.5, dtype=torch.float64)},
        "parameter": torch.nn.Parameter(base[0, :2].clone()),
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "moments": [base[2], base[3].double()]}},
                      "groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0], "foreach": None}]},
        "epoch": 7, "large": -2**40, "done": True, "name": "größer", "shape": torch.Size([2, 3]),
        "dtype": torch.bfloat16,
    }


def tensors_of(value, name=""):
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_of(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from tensors_of(item, f"{name}.{i}" if name else str(i))


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must not run",)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    everything = contents()
    torch.save(everything, folder / "torch_types.pt")
    loaded = torch.load(folder / "torch_types.pt", weights_only=True)
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors_of(loaded)},
              folder / "torch_types.safetensors")
    some = {"views": {name: everything["views"][name] for name in ("base", "transposed")}, "epoch": 7, "large": -2**40}
    torch.save(some, folder / "torch_protocol5.pt", pickle_protocol=5)
    torch.save({"weight": torch.ones(2)}, folder / "torch_old.pt", _use_new_zipfile_serialization=False)
    shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    complex_values = shared.to(torch.complex128) * (1 + 2j)
    torch.save({"x": shared, "y": shared, "last": shared[1:], "transposed": shared.t(),
                "complex": {"transposed": complex_values.t(),
                                              "copied": complex_values.t().contiguous()}}, folder / "torch_shared.pt")
    torch.save({"imaginary": torch.tensor([1 + 2j, 3 + 4j]).conj().imag}, folder / "torch_negative.pt")
    torch.save({"weight": torch.ones(2), "evil": Evil()}, folder / "torch_evil.pt")
    prefix = "grouped_tied/param/"
    with safe_open(pathlib.Path(__file__).parent / "llama.safetensors", "pt") as file:
        state = collections.OrderedDict((name[len(prefix):], file.get_tensor(name).clone())
                                        for name in file.keys() if name.startswith(prefix))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]  # tied: one storage, as transformers writes it
    torch.save(state, folder / "torch_llama.bin")


if __name__ == "__main__":
    main()
