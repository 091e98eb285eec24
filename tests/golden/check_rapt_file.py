#!/usr/bin/env python3
"""Loads a Transformer that rapt saved into PyTorch and compares logits and loss.

    python tests/golden/check_rapt_file.py model.safetensors tokens.json

model.safetensors  tensors named as class Model of make_transformer.py names them; its metadata key "config" holds JSON,
                   of which `heads`, `norm_first` (or "norm": "pre" / "post") and `activation` (relu, gelu) are read.
                   Every other size is read from the shapes, and load_state_dict is strict: no tensor may be missing,
                   left over or of another shape.
tokens.json        {"source": [[ids], ...], "target_input": [[ids], ...], "target_output": [[ids], ...],
                    "logits": [[V numbers] per target token, sequences end to end], "loss": number,
                    "label_smoothing": 0.1, "config": {...}}
                   The last four are optional: without `logits` or `loss` PyTorch's are printed alone; `config` adds to
                   that of the model file and overrides it.

Prints PyTorch's values beside rapt's; exits with 1 if they differ by more than 1e-4 (of the largest logit or the loss).
"""

import itertools
import json
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open

from make_transformer import Model, splits_of

TOLERANCE = 1e-4


def count_layers(state, prefix):
    return len({name.split(".")[2] for name in state if name.startswith(prefix + ".layers.")})


def load_model(path, extra_config):
    with safe_open(path, framework="pt") as file:
        config = {**json.loads((file.metadata() or {}).get("config", "{}")), **extra_config}
        state = {name: file.get_tensor(name) for name in file.keys()}
    missing = [key for key in ("heads", "activation") if key not in config]
    if "norm_first" not in config and config.get("norm") not in ("pre", "post"):
        missing.append("norm_first")
    if missing:
        sys.exit(f"{path}: config has no {', '.join(missing)}: {config}")
    source_embedding = state["embedding.weight" if "embedding.weight" in state else "source_embedding.weight"]
    target_embedding = state.get("target_embedding.weight")
    model = Model(
        source_vocabulary=source_embedding.shape[0],
        target_vocabulary=None if target_embedding is None else target_embedding.shape[0],
        d_model=source_embedding.shape[1],
        heads=config["heads"],
        d_ff=state["encoder.layers.0.linear1.weight"].shape[0],
        encoder_layers=count_layers(state, "encoder"),
        decoder_layers=count_layers(state, "decoder"),
        norm_first=bool(config.get("norm_first", config.get("norm") == "pre")),
        activation=config["activation"],
    )
    model.load_state_dict(state, strict=True)
    return model.double()  # so that what differs below is rapt's rounding alone


def flat(sequences):
    return torch.tensor(list(itertools.chain.from_iterable(sequences)), dtype=torch.long)


def compare(what, torch_value, rapt_value):
    """Prints the largest difference and says whether it is within TOLERANCE."""
    rapt_value = torch.tensor(rapt_value, dtype=torch.float64)
    if rapt_value.shape != torch_value.shape:
        print(f"{what}: PyTorch {list(torch_value.shape)}, rapt {list(rapt_value.shape)}: shapes differ")
        return False
    difference = (torch_value - rapt_value).abs().max().item()
    largest = torch_value.abs().max().item()
    same = difference <= TOLERANCE * largest  # false for NaN
    verdict = "same" if same else "DIFFERENT"
    print(f"{what}: largest difference {difference:.3e}, largest value {largest:.3e}: {verdict}")
    return same


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as file:
        tokens = json.load(file)
    torch.set_num_threads(1)
    model = load_model(sys.argv[1], tokens.get("config", {}))
    source, target = tokens["source"], tokens["target_input"]
    with torch.enable_grad():  # and training mode (dropout is 0): keeps PyTorch off its fused inference path
        logits = model(flat(source), splits_of(map(len, source)), flat(target), splits_of(map(len, target))).detach()
    loss = F.cross_entropy(logits, flat(tokens["target_output"]), label_smoothing=tokens.get("label_smoothing", 0.1))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"loaded {count} parameters; PyTorch {torch.__version__}: loss {loss:.7f}")
    same = True
    for what, value in (("logits", logits), ("loss", loss)):
        if what in tokens:
            same = compare(what, value, tokens[what]) and same
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
