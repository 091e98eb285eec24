#!/usr/bin/env python3
"""Writes vit_mae.safetensors: small random masked autoencoders of transformers, their outputs, losses and gradients.

    python tests/golden/make_vit_mae.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `pixels` [B, C * H * W] are the pictures, `noise` [B, P] is what the
hidden patches are chosen by, `mask` [B * P] is 1 for those, `hidden` [B (K + 1), D] is what the encoder makes of the
others, `positions` [P + 1, D] are those that training begins with. With a decoder: `patches` [B P, p_h p_w C], the
predicted pixels, and `decoder_positions`; without, the loss is the sum of `hidden` times `upstream`.

transformers gives the decoder's layers a name of its own in files that it writes; here they have that of the published
weights.
"""

import pathlib
import sys

import torch
import transformers
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

from pretrained_cases import config_json, randomise
from saved_cases import SavedCases

CASES = {
    "bare": ("ViTMAEModel", {"image_size": [8, 6], "patch_size": [4, 3], "num_channels": 2, "mask_ratio": 0.25,
                             "num_attention_heads": 1, "hidden_act": "silu"}),
    "pretraining": ("ViTMAEForPreTraining", {}),
    "normalised": ("ViTMAEForPreTraining", {"norm_pix_loss": True, "num_channels": 1, "mask_ratio": 0.5,
                                            "layer_norm_eps": 1e-3, "decoder_num_hidden_layers": 2,
                                            "num_hidden_layers": 1}),
    "colours": ("ViTMAEForPreTraining", {"norm_pix_loss": True, "image_size": 8, "patch_size": 2, "hidden_act": "relu",
                                         "decoder_num_attention_heads": 1, "decoder_hidden_size": 16}),
}
PICTURES = 3


def sides(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def initial_positions(rows, cols, width):
    """In the order of the published weights: columns before rows."""
    table = build_2d_sinusoidal_position_embedding(rows, cols, width, cls_token=True, dtype=torch.float64)
    return torch.cat([table[:, width // 2:], table[:, :width // 2]], dim=1)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases(lambda name: name.replace("decoder.decoder_encoder.layer.", "decoder.decoder_layers."))
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12, "patch_size": 4,
                   "decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, **settings}
        config = transformers.ViTMAEConfig(hidden_size=12, intermediate_size=16, decoder_intermediate_size=10,
                                           attn_implementation="sdpa", **options)
        model = randomise(getattr(transformers, architecture)(config).double(), number).eval()
        generator = torch.Generator().manual_seed(100 + number)
        (height, width), (patch_height, patch_width) = sides(config.image_size), sides(config.patch_size)
        rows, cols = height // patch_height, width // patch_width
        results = {"positions": initial_positions(rows, cols, config.hidden_size)}
        core = model if architecture == "ViTMAEModel" else model.vit
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:  # positions: others than those that training begins with
                parameter.data = torch.randn(parameter.shape, generator=generator).double()

        pixels = torch.randn((PICTURES, config.num_channels, height, width), generator=generator).double()
        noise = torch.rand((PICTURES, rows * cols), generator=generator).double()
        encoded = core(pixels, noise=noise)
        results.update({"pixels": pixels.reshape(PICTURES, -1), "noise": noise,
                        "hidden": encoded.last_hidden_state.flatten(0, 1)})
        batch = {"mask": encoded.mask.flatten().long().tolist()}
        if architecture == "ViTMAEModel":
            results["upstream"] = torch.randn(results["hidden"].shape, generator=generator).double()
            loss = (results["hidden"] * results["upstream"]).sum()
        else:
            output = model(pixels, noise=noise)
            results["patches"], loss = output.logits.flatten(0, 1), output.loss
            results["decoder_positions"] = initial_positions(rows, cols, config.decoder_hidden_size)
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "vit_mae.safetensors")


if __name__ == "__main__":
    main()
