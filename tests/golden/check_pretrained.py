#!/usr/bin/env python3
"""Whether transformers loads a folder that rapt's save_pretrained wrote, and finds in it what it should.

    python tests/golden/check_pretrained.py FOLDER [--file FILE.safetensors] [--case CASE] [--class NAME]

The folder is loaded with the class that its config.json names (or --class), which must miss no tensor, find none too
many and none of another shape. Then every tensor of FILE (default: the folder's own model.safetensors) is compared, bit
for bit, with the loaded model's of the same name. With --case, FILE is one of the golden files of this folder, and its
tensors <case>/param/<name> are compared. Fails if anything differs.
"""

import argparse
import json
import pathlib
import sys

import torch
import transformers
from safetensors import safe_open

from saved_cases import saved


def load(folder, name):
    """The model, and what the loading had to say against it."""
    if name is None:
        name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(folder, dtype="auto", output_loading_info=True)
    # A model without a head always has a pooler there, a new one where the file has none.
    info["missing_keys"] = {key for key in info["missing_keys"] if not key.startswith("pooler.")}
    complaints = [f"{kind.replace('_', ' ')}: {sorted(map(str, found))}" for kind, found in info.items() if found]
    return name, model, complaints


def compare(model, path, prefix):
    """How many tensors were compared, and which differ."""
    stored = model.state_dict() | saved(model)  # a module's name in memory is not always that in files
    differences, compared = [], 0
    with safe_open(path, "pt") as file:
        for key in file.keys():
            if not key.startswith(prefix):
                continue
            name, compared = key[len(prefix):], compared + 1
            expected = file.get_tensor(key)
            if name not in stored:
                differences.append(f"{name}: the model has no such tensor")
            elif stored[name].shape != expected.shape:
                differences.append(f"{name}: {list(stored[name].shape)}, expected {list(expected.shape)}")
            elif not torch.equal(stored[name], expected.to(stored[name].dtype)):
                differences.append(f"{name}: differs by {(stored[name] - expected).abs().max().item():.3g}")
    return compared, differences


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--file", type=pathlib.Path, help="what to compare with; default: FOLDER/model.safetensors")
    parser.add_argument("--case", help="FILE is a golden file: compare its <case>/param/ tensors")
    parser.add_argument("--class", dest="name", help="instead of the architecture in config.json")
    arguments = parser.parse_args()

    name, model, wrong = load(arguments.folder, arguments.name)
    path = arguments.file or arguments.folder / "model.safetensors"
    compared, differences = compare(model, path, f"{arguments.case}/param/" if arguments.case else "")
    wrong += differences
    if compared == 0:
        wrong.append(f"{path} has nothing to compare")
    for line in wrong:
        print(f"  {line}")
    print(f"{arguments.folder}: {name}, {compared} tensors compared, {'FAILED' if wrong else 'all the same'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
