#!/usr/bin/env python3
"""Writes adapter_gpt.bin: the adapter of lora.safetensors' case "gpt" in the file that older versions of PEFT wrote.

    python tests/golden/make_adapter_bin.py [folder]        # default: the folder of this script
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file

PREFIX = "gpt/adapter/"


def main():
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    tensors = load_file(here / "lora.safetensors")
    adapter = {name[len(PREFIX):]: tensor.clone() for name, tensor in tensors.items() if name.startswith(PREFIX)}
    torch.save(adapter, folder / "adapter_gpt.bin")


if __name__ == "__main__":
    main()
