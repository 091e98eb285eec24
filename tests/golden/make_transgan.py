#!/usr/bin/env python3
"""Writes transgan.safetensors: a small random generator and discriminator of TransGAN, written in PyTorch's own
functions, their results and gradients, and an R1 penalty with its gradient by double backward.

    python tests/golden/make_transgan.py [folder]        # default: the folder of this script

`generator.<name>` and `discriminator.<name>` are parameters under rapt's names, `<model>_gradient.<name>` the gradients
of the sum of `images` (or `scores`) times `images_upstream` (`scores_upstream`), `penalty_gradient.<name>` those of
`penalty`, which is half of the mean squared norm of the scores' gradient at `pixels`. Numbers are computed in double
from parameters rounded to float, and stored in float. The configs are those of tests/models/transgan_test.cpp.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional

IMAGE = (2, 8, 12)  # channels, height, width
IMAGES = 3
EPSILON = 1e-8
GENERATOR = {"latent": 5, "width": 16, "patch": 2, "layers": (2, 1), "heads": (2, 1), "windows": (0, 2), "ratio": 2}
DISCRIMINATOR = {"patch": 2, "columns": (6, 4), "layers": (1, 2), "heads": (2, 5), "windows": (2, 0), "ratio": 2}


class Parameters(dict):
    """Parameters by name, drawn when they are first asked for."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def get(self, name, *shape):
        if name not in self:
            value = 0.3 * torch.randn(shape, generator=self.generator)
            self[name] = value.double().requires_grad_()
        assert self[name].shape == shape, (name, self[name].shape, shape)
        return self[name]


def rms_norm(p, name, x):
    return x / (x.pow(2).mean(dim=-1, keepdim=True) + EPSILON).sqrt() * p.get(name + ".weight", x.shape[-1])


def linear(p, name, x, outputs):
    return functional.linear(x, p.get(name + ".weight", outputs, x.shape[-1]), p.get(name + ".bias", outputs))


def distances(rows, cols, class_token):
    """The number of the distance of each pair of tokens, [L, L], and how many numbers there are."""
    places = [(i, j) for i in range(rows) for j in range(cols)]
    count = (2 * rows - 1) * (2 * cols - 1)
    pairs = torch.tensor([[(a[0] - b[0] + rows - 1) * (2 * cols - 1) + a[1] - b[1] + cols - 1 for b in places]
                          for a in places])
    if not class_token:
        return pairs, count
    whole = torch.empty((len(places) + 1, len(places) + 1), dtype=torch.long)
    whole[1:, 1:] = pairs
    whole[0, 1:], whole[1:, 0], whole[0, 0] = count, count + 1, count + 2
    return whole, count + 3


def block(p, name, x, heads, pairs, count, ratio):
    """x [sequences, L, D]"""
    width = x.shape[-1]
    h = rms_norm(p, name + ".norm1", x)
    weight = p.get(name + ".self_attn.in_proj_weight", 3 * width, width)
    qkv = functional.linear(h, weight, p.get(name + ".self_attn.in_proj_bias", 3 * width))
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    bias = p.get(name + ".self_attn.position_bias.table", count, heads)[pairs].permute(2, 0, 1)
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
    x = x + linear(p, name + ".self_attn.out_proj", attended.transpose(1, 2).flatten(2), width)
    h = functional.gelu(linear(p, name + ".linear1", rms_norm(p, name + ".norm2", x), ratio * width))
    return x + linear(p, name + ".linear2", h, width)


def stage(p, name, x, heads, layers, window, ratio, class_token=False):
    """A grid of tokens x [B, D, rows, cols], and the same after the blocks; with a class token that row, [B, D]."""
    images, width, rows, cols = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    if class_token:
        first = p.get(name + ".class_token", 1, width).expand(images, 1, width)
        tokens = torch.cat((first, tokens), dim=1)
    tokens = tokens + p.get(name + ".positions", tokens.shape[1], width)
    side_rows, side_cols = (window, window) if window > 0 else (rows, cols)
    if window > 0:
        tokens = tokens.reshape(images, rows // window, window, cols // window, window, width)
        tokens = tokens.transpose(2, 3).reshape(-1, window * window, width)
    pairs, count = distances(side_rows, side_cols, class_token)
    for i in range(layers):
        tokens = block(p, f"{name}.layers.{i}", tokens, heads, pairs, count, ratio)
    if class_token:
        return rms_norm(p, name + ".norm", tokens)[:, 0]
    if window > 0:
        tokens = tokens.reshape(images, rows // window, cols // window, window, window, width)
        tokens = tokens.transpose(2, 3).reshape(images, rows * cols, width)
    return tokens.transpose(1, 2).reshape(images, width, rows, cols)


def generate(p, z, config=GENERATOR):
    channels, height, width = IMAGE
    stages, patch = len(config["layers"]), config["patch"]
    rows, cols = height // patch >> (stages - 1), width // patch >> (stages - 1)
    x = linear(p, "first", z, rows * cols * config["width"])
    x = x.reshape(len(z), rows, cols, config["width"]).permute(0, 3, 1, 2)
    for i in range(stages):
        if i > 0:
            x = functional.pixel_shuffle(x, 2)
        x = stage(p, f"stages.{i}", x, config["heads"][i], config["layers"][i], config["windows"][i], config["ratio"])
    pixels = torch.tanh(linear(p, "to_pixels", x.permute(0, 2, 3, 1), channels * patch * patch))
    return functional.pixel_shuffle(pixels.permute(0, 3, 1, 2), patch).flatten(1)


def score(p, pixels, config=DISCRIMINATOR):
    images = pixels.reshape(-1, *IMAGE)
    stages = len(config["layers"])
    x = None
    for i in range(stages):
        side, columns = config["patch"] << i, config["columns"][i]
        weight = p.get(f"embeddings.{i}.weight", columns, IMAGE[0], side, side)
        patches = functional.conv2d(images, weight, p.get(f"embeddings.{i}.bias", columns), stride=side)
        x = patches if x is None else torch.cat((functional.avg_pool2d(x, 2), patches), dim=1)
        x = stage(p, f"stages.{i}", x, config["heads"][i], config["layers"][i], config["windows"][i], config["ratio"],
                  class_token=i + 1 == stages)
    return linear(p, "head", x, 1)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = torch.Generator().manual_seed(1)
    tensors = {}

    def draw(name, *shape):
        tensors[name] = torch.randn(shape, generator=generator)
        return tensors[name].double()

    def store(model, parameters, gradients):
        for name, gradient in zip(parameters, gradients):
            tensors[f"{model}.{name}"] = gradient

    z = draw("z", IMAGES, GENERATOR["latent"])
    p = Parameters(generator)
    tensors["images"] = images = generate(p, z)
    loss = (images * draw("images_upstream", *images.shape)).sum()
    store("generator", p, p.values())
    store("generator_gradient", p, torch.autograd.grad(loss, list(p.values())))

    pixels = draw("pixels", IMAGES, IMAGE[0] * IMAGE[1] * IMAGE[2]).requires_grad_()
    p = Parameters(generator)
    tensors["scores"] = scores = score(p, pixels)
    loss = (scores * draw("scores_upstream", IMAGES, 1)).sum()
    store("discriminator", p, p.values())
    store("discriminator_gradient", p, torch.autograd.grad(loss, list(p.values()), retain_graph=True))
    slope, = torch.autograd.grad(scores.sum(), pixels, create_graph=True)
    penalty = slope.pow(2).sum(dim=1).mean() / 2
    tensors["penalty"] = penalty.reshape(1)
    gradients = torch.autograd.grad(penalty, list(p.values()), allow_unused=True)
    store("penalty_gradient", p, (torch.zeros_like(v) if g is None else g for v, g in zip(p.values(), gradients)))

    path = folder / "transgan.safetensors"
    save_file({name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}, path,
              metadata={"torch": torch.__version__})
    print(f"{path}: {path.stat().st_size} bytes, penalty {float(penalty.detach())}")


if __name__ == "__main__":
    main()
