#!/usr/bin/env python3
"""Writes deit.safetensors: small random DeiTs of transformers, their outputs, losses and gradients.

    python tests/golden/make_deit.py [folder]        # default: the folder of this script

As make_vit.py, with a second token. With a teacher there are `classes`, the mean of both heads' scores, `of_class` and
`of_distillation`, theirs alone, the `teacher`'s scores [B, labels], and two losses of equal weights, of the paper's
equations 2 and 3: `loss`, whose gradients the file has, for a hard teacher, and `soft_loss` at temperature 3.
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional

from make_vit import NAMED, PICTURES, run, sides
from pretrained_cases import config_json, randomise
from saved_cases import SavedCases

CASES = {
    "bare": ("DeiTModel", {"image_size": [8, 6], "patch_size": [4, 3], "num_channels": 2, "hidden_act": "silu",
                           "layer_norm_eps": 1e-3, "num_attention_heads": 1}),
    "pooler": ("DeiTModel", {"image_size": [4, 12], "qkv_bias": False, "pooler_output_size": 5}),
    "classes": ("DeiTForImageClassification", {**NAMED, "num_channels": 1}),
    "teacher": ("DeiTForImageClassificationWithTeacher", {**NAMED}),
    "resized": ("DeiTForImageClassificationWithTeacher", {**NAMED, "num_hidden_layers": 1, "size": [8, 20]}),
}
TEMPERATURE = 3


def run_with_teacher(model, config, size, generator):
    pixels = torch.randn((PICTURES, config.num_channels, *size), generator=generator).double()
    extra = {"interpolate_pos_encoding": True} if sides(config.image_size) != size else {}
    output = model(pixels, **extra)
    teacher = torch.randn(output.logits.shape, generator=generator).double()
    labels = torch.randint(0, config.num_labels, (PICTURES,), generator=generator)
    of_labels = functional.cross_entropy(output.cls_logits, labels)
    hard = functional.cross_entropy(output.distillation_logits, teacher.argmax(dim=1))
    soft = TEMPERATURE ** 2 * functional.kl_div(functional.log_softmax(output.distillation_logits / TEMPERATURE, dim=1),
                                                functional.log_softmax(teacher / TEMPERATURE, dim=1),
                                                reduction="batchmean", log_target=True)
    hidden = model.deit(pixels, **extra).last_hidden_state
    results = {"pixels": pixels.reshape(PICTURES, -1), "hidden": hidden.flatten(0, 1), "classes": output.logits,
               "of_class": output.cls_logits, "of_distillation": output.distillation_logits,
               "teacher": teacher, "soft_loss": ((of_labels + soft) / 2).reshape(1)}
    batch = {"labels": labels.tolist(), **({"size": list(size)} if extra else {})}
    return results, (of_labels + hard) / 2, batch


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases()
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12, "patch_size": 4, **settings}
        size = options.pop("size", options["image_size"])
        config = transformers.DeiTConfig(hidden_size=12, intermediate_size=16, attn_implementation="sdpa", **options)
        extra = {"add_pooling_layer": False} if case == "bare" else {}
        model = randomise(getattr(transformers, architecture)(config, **extra).double(), number).eval()
        compute = run_with_teacher if architecture.endswith("WithTeacher") else run
        results, loss, batch = compute(model, config, sides(size), torch.Generator().manual_seed(100 + number))
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "deit.safetensors")


if __name__ == "__main__":
    main()
