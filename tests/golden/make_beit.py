#!/usr/bin/env python3
"""Writes beit.safetensors: small random BEiTs of transformers with every head, their outputs, losses and gradients.

    python tests/golden/make_beit.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `pixels` [B, C * H * W] are the pictures, `hidden` [B (P + 1), D] is the
last hidden state, of pictures with hidden patches where there are `mask` [B * P], 1 for hidden. Then, by architecture:
`pooled` [B, D]; `patches` [B P, V] and `targets` of a loss at the hidden patches; `classes` [B, labels] and `labels`. Of a
bare model the loss is the sum of the hidden state times `upstream` [B (P + 1), D] and of `pooled`.

Where pictures are oblong, transformers mixes up height and width of the table of addends; there it is gathered as the
paper's own code does.
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional
from transformers.models.beit import modeling_beit

from pretrained_cases import config_json, randomise
from saved_cases import SavedCases

LABELS = {"id2label": {0: "cat", 1: "dog", 2: "neither"}, "label2id": {"cat": 0, "dog": 1, "neither": 2}}
CASES = {
    "bare": ("BeitModel", {"use_relative_position_bias": True, "use_absolute_position_embeddings": True,
                           "hidden_act": "silu"}),
    "class_token": ("BeitModel", {"use_mean_pooling": False, "use_absolute_position_embeddings": True,
                                  "layer_scale_init_value": 0.0, "num_hidden_layers": 1, "num_attention_heads": 1}),
    "masked": ("BeitForMaskedImageModeling", {"use_mask_token": True, "use_shared_relative_position_bias": True,
                                              "num_hidden_layers": 3}),
    "masked_twice": ("BeitForMaskedImageModeling", {"use_mask_token": True, "use_shared_relative_position_bias": True,
                                                    "use_relative_position_bias": True, "num_channels": 1,
                                                    "use_absolute_position_embeddings": True, "hidden_act": "relu",
                                                    "use_mean_pooling": False, "layer_norm_eps": 1e-3}),
    "pictures": ("BeitForImageClassification", {"use_relative_position_bias": True, "use_mask_token": True,
                                                "drop_path_rate": 0.3, **LABELS}),
    "oblong": ("BeitForImageClassification", {"use_shared_relative_position_bias": True, "image_size": [8, 12],
                                              "num_channels": 2, "hidden_act": "gelu_new", **LABELS}),
    "strips": ("BeitForImageClassification", {"image_size": [6, 8], "patch_size": [2, 4], "use_mean_pooling": False,
                                              "num_hidden_layers": 1, **LABELS}),
}
PICTURES = 3


def gather(self, window_size, interpolate_pos_encoding=False, dim_size=None):
    index = self.generate_relative_position_index(window_size)
    return self.relative_position_bias_table[index].permute(2, 0, 1).unsqueeze(0)


def sides(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def run(model, architecture, config, generator):
    """results, loss and batch of a case."""
    (height, width), (patch_height, patch_width) = sides(config.image_size), sides(config.patch_size)
    patches = (height // patch_height) * (width // patch_width)
    pixels = torch.randn((PICTURES, config.num_channels, height, width), generator=generator).double()
    results, batch = {"pixels": pixels.reshape(PICTURES, -1)}, {}
    if architecture == "BeitForMaskedImageModeling":
        mask = torch.rand((PICTURES, patches), generator=generator) < 0.4
        mask[0, :2] = torch.tensor([True, False])
        batch["mask"] = mask.flatten().long().tolist()
        batch["targets"] = torch.randint(0, config.vocab_size, (int(mask.sum()),), generator=generator).tolist()
        results["hidden"] = model.beit(pixels, bool_masked_pos=mask).last_hidden_state.flatten(0, 1)
        output = model(pixels, bool_masked_pos=mask, labels=torch.tensor(batch["targets"]))
        results["patches"] = output.logits.flatten(0, 1)
        return results, output.loss, batch
    output = (model if architecture == "BeitModel" else model.beit)(pixels)
    results["hidden"], results["pooled"] = output.last_hidden_state.flatten(0, 1), output.pooler_output
    if architecture == "BeitModel":
        upstream = torch.randn(results["hidden"].shape, generator=generator).double()
        results["upstream"] = upstream
        return results, (results["hidden"] * upstream).sum() + results["pooled"].sum(), batch
    results["classes"] = model(pixels).logits
    batch["labels"] = torch.randint(0, 3, (PICTURES,), generator=generator).tolist()
    return results, functional.cross_entropy(results["classes"], torch.tensor(batch["labels"])), batch


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases()
    in_transformers = modeling_beit.BeitRelativePositionBias.forward
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12, "patch_size": 4, **settings}
        is_square = len(set(sides(options["image_size"]))) == 1
        modeling_beit.BeitRelativePositionBias.forward = in_transformers if is_square else gather
        config = transformers.BeitConfig(vocab_size=11, hidden_size=12, intermediate_size=16,
                                         attn_implementation="sdpa", **options)
        model = randomise(getattr(transformers, architecture)(config).double(), number).eval()
        results, loss, batch = run(model, architecture, config, torch.Generator().manual_seed(100 + number))
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "beit.safetensors")


if __name__ == "__main__":
    main()
