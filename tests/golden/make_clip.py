#!/usr/bin/env python3
"""Writes clip.safetensors: small random CLIPs of transformers, their outputs, losses and gradients.

    python tests/golden/make_clip.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `pixels` [B, C * H * W] are the pictures, `ids` and `row_splits` as many
texts. `text_hidden` and `image_hidden` are the last hidden states, `text_embedding` and `image_embedding` [B, E] the
vectors of length 1, `logits` [images, texts]; the loss is the contrastive one.
"""

import pathlib
import sys

import torch
import transformers

from pretrained_cases import config_json, random_sequences, randomise
from saved_cases import SavedCases

# A text's vocabulary ends with the begin and the end token.
CASES = {
    "plain": ({}, {}, {}),
    "largest_id": ({"eos_token_id": 2, "hidden_act": "gelu", "num_attention_heads": 1, "num_hidden_layers": 1,
                    "layer_norm_eps": 1e-3, "hidden_size": 12},
                   {"image_size": 8, "patch_size": 4, "num_channels": 2, "num_attention_heads": 3},
                   {"projection_dim": 5, "logit_scale_init_value": 1.5}),
}
LENGTHS = (3, 6, 4)
SEEDS = (4, 3)  # of which no gradient is a small difference of large numbers


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases()
    for seed, (case, (text, vision, settings)) in zip(SEEDS, CASES.items(), strict=True):
        text = {"vocab_size": 15, "max_position_embeddings": 7, "hidden_size": 8, "intermediate_size": 12,
                "num_hidden_layers": 2, "num_attention_heads": 2, "bos_token_id": 13, "eos_token_id": 14, **text}
        vision = {"image_size": 6, "patch_size": 3, "hidden_size": 12, "intermediate_size": 10,
                  "num_hidden_layers": 2, "num_attention_heads": 2, **vision}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, attn_implementation="sdpa",
                                         **{"projection_dim": 6, **settings})
        model = randomise(transformers.CLIPModel(config).double(), seed).eval()
        generator = torch.Generator().manual_seed(100 + seed)
        channels, size = config.vision_config.num_channels, config.vision_config.image_size
        pixels = torch.randn((len(LENGTHS), channels, size, size), generator=generator).double()
        sequences, splits = random_sequences(LENGTHS, 13, 200 + seed)
        for sequence in sequences:  # an end token at the end, and another behind it must not count
            sequence[0], sequence[-1] = 13, 14
        sequences[1][-2] = 14
        image = model.get_image_features(pixels)
        texts = [model.get_text_features(sequence[None]) for sequence in sequences]
        images = image.pooler_output / image.pooler_output.norm(dim=-1, keepdim=True)
        vectors = torch.cat([text.pooler_output for text in texts])
        vectors = vectors / vectors.norm(dim=-1, keepdim=True)
        logits = images @ vectors.T * model.logit_scale.exp()
        loss = transformers.models.clip.modeling_clip.image_text_contrastive_loss(logits.T)
        results = {"pixels": pixels.reshape(len(LENGTHS), -1), "image_hidden": image.last_hidden_state.flatten(0, 1),
                   "text_hidden": torch.cat([text.last_hidden_state[0] for text in texts]), "image_embedding": images,
                   "text_embedding": vectors, "logits": logits}
        cases.add(case, config_json(config, "CLIPModel"), model, results, loss,
                  {"ids": torch.cat(sequences).tolist(), "row_splits": splits})
    cases.write(folder / "clip.safetensors")


if __name__ == "__main__":
    main()
