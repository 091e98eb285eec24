#!/usr/bin/env python3
"""Writes patch_prediction.safetensors: small Vision Transformers that predict corrupted patches, by PyTorch.

    python tests/golden/make_patch_prediction.py [folder]        # default: the folder of this script

make_transformer.py tells how values are chosen, stored and named. The encoder is torch.nn.TransformerEncoder (pre-norm,
GELU) behind a Conv2d; images have 2 channels of 8 x 12 pixels from 0 to 1, patches 4 x 4, so that there are 6 of them.

    images           `pixels` [B, C * H * W]
    masked           I64, the numbers of the corrupted patches; patch p of image b has the number 6 b + p
    shown            I64, what stands in place of each: the number of a patch, or -1, the mask embedding
    targets          I64, the colours of each masked patch's cells; of the case `pixels` F32, its pixels in the order
                     (y, x, c)
    output           what the head predicts   # [masked, outputs]
    loss             the mean cross-entropy over all cells, or the mean squared distance over all pixels

Levels are made of means by torch.bucketize, by boundaries that the library does not use.
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional

from make_transformer import Golden, fill_parameters, normal

IMAGES, CHANNELS, HEIGHT, WIDTH, PATCH, WIDTH_OF_MODEL = 3, 2, 8, 12, 4, 12
PATCHES = (HEIGHT // PATCH) * (WIDTH // PATCH)
BITS = 2
MASKED = [1, 2, 5, 6, 9, 10, 12, 13, 17]
SHOWN = [-1, -1, 3, -1, 9, -1, 14, -1, -1]
CELLS = {"mean_colour": 1, "mosaic": 2, "pixels": None}  # of a side


class Prediction(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.class_token = torch.nn.Parameter(torch.empty(1, 1, WIDTH_OF_MODEL))
        self.mask_embedding = torch.nn.Parameter(torch.empty(1, WIDTH_OF_MODEL))
        self.positions = torch.nn.Parameter(torch.empty(1, 1 + PATCHES, WIDTH_OF_MODEL))
        self.patch_embedding = torch.nn.Conv2d(CHANNELS, WIDTH_OF_MODEL, PATCH, stride=PATCH)
        layer = torch.nn.TransformerEncoderLayer(WIDTH_OF_MODEL, 3, 20, dropout=0.0, activation="gelu",
                                                 batch_first=True, norm_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, norm=torch.nn.LayerNorm(WIDTH_OF_MODEL),
                                                   enable_nested_tensor=False)
        self.head = torch.nn.Linear(WIDTH_OF_MODEL, outputs)

    def forward(self, images):
        """What the head says of the masked patches."""
        embedded = self.patch_embedding(images).flatten(2).transpose(1, 2).reshape(-1, WIDTH_OF_MODEL)
        rows = [embedded[p] for p in range(len(embedded))]
        for place, source in zip(MASKED, SHOWN):
            rows[place] = self.mask_embedding[0] if source < 0 else embedded[source]
        patches = torch.stack(rows).reshape(IMAGES, PATCHES, WIDTH_OF_MODEL)
        tokens = torch.cat([self.class_token.expand(IMAGES, 1, -1), patches], dim=1) + self.positions
        hidden = self.encoder(tokens)[:, 1:].reshape(-1, WIDTH_OF_MODEL)
        return self.head(hidden[MASKED])


def masked_patches(images):
    """[masked, C, p, p]"""
    patches = functional.unfold(images, PATCH, stride=PATCH).transpose(1, 2)
    return patches.reshape(-1, CHANNELS, PATCH, PATCH)[MASKED]


def colours(images, side):
    means = functional.adaptive_avg_pool2d(masked_patches(images), side)  # [masked, C, side, side]
    boundaries = torch.arange(1, 2**BITS, dtype=torch.float64) / 2**BITS
    levels = torch.bucketize(means, boundaries, right=True)
    first, second = levels.unbind(dim=1)
    return (first * 2**BITS + second).flatten()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    torch.manual_seed(71)
    golden = Golden()
    for case, side in CELLS.items():
        images = torch.rand(IMAGES, CHANNELS, HEIGHT, WIDTH).double()
        outputs = CHANNELS * PATCH**2 if side is None else side**2 * 2**(BITS * CHANNELS)
        model = fill_parameters(Prediction(outputs))
        with torch.no_grad():
            for parameter in (model.class_token, model.mask_embedding, model.positions):
                parameter.copy_(normal(*parameter.shape, scale=0.5))
            model.patch_embedding.weight.copy_(normal(*model.patch_embedding.weight.shape, scale=0.2))
        output = model(images)
        if side is None:
            targets = masked_patches(images).permute(0, 2, 3, 1).flatten(1)
            loss = functional.mse_loss(output, targets)
        else:
            targets = colours(images, side)
            loss = functional.cross_entropy(output.reshape(len(targets), -1), targets)
        loss.backward()
        golden.cases[case] = {"bits": BITS, "side": side or 0}
        golden.put(f"{case}/pixels", images.reshape(IMAGES, -1))
        golden.put(f"{case}/masked", torch.tensor(MASKED))
        golden.put(f"{case}/shown", torch.tensor(SHOWN))
        golden.put(f"{case}/targets", targets)
        golden.put(f"{case}/output", output)
        golden.put(f"{case}/loss", loss)
        for name, parameter in model.named_parameters():
            golden.put(f"{case}/param/{name}", parameter)
            golden.put(f"{case}/grad/param/{name}", parameter.grad)
    golden.save(folder / "patch_prediction.safetensors")


if __name__ == "__main__":
    main()
