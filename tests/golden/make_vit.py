#!/usr/bin/env python3
"""Writes vit.safetensors: small random ViTs of transformers, their outputs, losses and gradients.

    python tests/golden/make_vit.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `pixels` [B, C * H * W] are the pictures, `hidden` [B (P + 1), D] is the
last hidden state. Then, by architecture: `pooled` [B, pooler width]; `classes` [B, labels] and `labels`, whose
cross-entropy is the loss. Of a bare model the loss is the sum of `hidden` and, if it has a pooler, `pooled`, each times
its `upstream_..`. Where the pictures are not of the config's size, `size` is [height, width]: positions were resized.
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional

from pretrained_cases import config_json, randomise
from saved_cases import SavedCases

NAMED = {"id2label": {0: "cat", 1: "dog", 2: "neither"}, "label2id": {"cat": 0, "dog": 1, "neither": 2}}
CASES = {
    "bare": ("ViTModel", {"image_size": [8, 6], "patch_size": [4, 3], "num_channels": 2, "hidden_act": "gelu_new",
                          "layer_norm_eps": 1e-3, "num_attention_heads": 1}),
    "pooler": ("ViTModel", {"image_size": [8, 12], "patch_size": 4, "pooler_output_size": 7, "qkv_bias": False,
                            "encoder_stride": 4}),
    "relu_pooler": ("ViTModel", {"num_hidden_layers": 1, "pooler_act": "relu", "num_channels": 1}),
    "classes": ("ViTForImageClassification", {**NAMED, "num_hidden_layers": 3}),
    "no_bias": ("ViTForImageClassification", {"qkv_bias": False, "hidden_act": "relu", "num_channels": 1,
                                              "image_size": [4, 12], "patch_size": [2, 6]}),
    "resized": ("ViTForImageClassification", {**NAMED, "size": [20, 8]}),
    "larger": ("ViTModel", {"num_hidden_layers": 1, "patch_size": 2, "image_size": 4, "size": [10, 14]}),
}
WITHOUT_POOLER = ("bare", "larger")
PICTURES = 3


def sides(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def run(model, config, size, generator):
    """results, loss and batch of a case."""
    pixels = torch.randn((PICTURES, config.num_channels, *size), generator=generator).double()
    extra = {"interpolate_pos_encoding": True} if sides(config.image_size) != size else {}
    core = getattr(model, model.base_model_prefix, model)
    output = core(pixels, **extra)
    results = {"pixels": pixels.reshape(PICTURES, -1), "hidden": output.last_hidden_state.flatten(0, 1)}
    batch = {"size": list(size)} if extra else {}
    if core is model:
        loss = 0
        if output.pooler_output is not None:
            results["pooled"] = output.pooler_output
        for name in [name for name in ("hidden", "pooled") if name in results]:
            upstream = torch.randn(results[name].shape, generator=generator).double()
            results[f"upstream_{name}"], loss = upstream, loss + (results[name] * upstream).sum()
        return results, loss, batch
    results["classes"] = model(pixels, **extra).logits
    batch["labels"] = torch.randint(0, config.num_labels, (PICTURES,), generator=generator).tolist()
    return results, functional.cross_entropy(results["classes"], torch.tensor(batch["labels"])), batch


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases()
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12, "patch_size": 4, **settings}
        size = options.pop("size", options["image_size"])
        config = transformers.ViTConfig(hidden_size=12, intermediate_size=16, attn_implementation="sdpa", **options)
        extra = {"add_pooling_layer": False} if case in WITHOUT_POOLER else {}
        model = randomise(getattr(transformers, architecture)(config, **extra).double(), number).eval()
        results, loss, batch = run(model, config, sides(size), torch.Generator().manual_seed(100 + number))
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "vit.safetensors")


if __name__ == "__main__":
    main()
