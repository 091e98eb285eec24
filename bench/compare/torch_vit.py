#!/usr/bin/env python3
"""PyTorch's side of vit.py: a Vision Transformer as lean as PyTorch lets it be.

Names in files are those of transformers' ViT, which keeps queries, keys and values apart.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from torch_worker import Worker, serve


class Block(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        """[B, L, D]"""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2))
        x = x + self.projection(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, channels, side, patch, width, layers, heads, hidden, classes):
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // patch)**2 + 1, width))
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, classes)

    def forward(self, pixels):
        """Scores [B, classes] of pixels [B, C, H, W]."""
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


def file_tensors(model):
    """The parameters under the names of transformers' ViTForImageClassification."""
    names = {"patches": "vit.embeddings.patch_embeddings.projection", "class_token": "vit.embeddings.cls_token",
             "positions": "vit.embeddings.position_embeddings", "norm": "vit.layernorm", "head": "classifier"}
    parts = {"norm1": "layernorm_before", "norm2": "layernorm_after", "projection": "attention.output.dense",
             "up": "intermediate.dense", "down": "output.dense"}
    tensors = {}
    for name, value in model.state_dict().items():
        first, _, rest = name.partition(".")
        if first != "blocks":
            tensors[names[first] + ("." + rest if rest else "")] = value
            continue
        layer, part, kind = rest.split(".")
        prefix = f"vit.encoder.layer.{layer}."
        if part == "qkv":
            for which, piece in zip(("query", "key", "value"), value.chunk(3)):
                tensors[f"{prefix}attention.attention.{which}.{kind}"] = piece
        else:
            tensors[f"{prefix}{parts[part]}.{kind}"] = value
    return {name: value.contiguous() for name, value in tensors.items()}


class VitWorker(Worker):
    def vit_training(self, folder, batches):
        """A model with new weights, which are written to the folder."""
        shape = json.loads((Path(folder) / "shape.json").read_text())
        torch.manual_seed(1)
        self.model = Vit(**shape)
        save_file(file_tensors(self.model), Path(folder) / "model.safetensors", metadata={"format": "pt"})
        config = {"model_type": "vit", "architectures": ["ViTForImageClassification"], "num_channels": shape["channels"],
                  "image_size": shape["side"], "patch_size": shape["patch"], "hidden_size": shape["width"],
                  "num_hidden_layers": shape["layers"], "num_attention_heads": shape["heads"],
                  "intermediate_size": shape["hidden"], "hidden_act": "gelu", "layer_norm_eps": 1e-6,
                  "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "qkv_bias": True,
                  "id2label": {str(i): str(i) for i in range(shape["classes"])}}
        (Path(folder) / "config.json").write_text(json.dumps(config))
        tensors = load_file(batches)
        size = (-1, shape["channels"], shape["side"], shape["side"])
        self.batches = [(tensors[f"pixels.{i}"].reshape(size), tensors[f"labels.{i}"].long())
                        for i in range(len(tensors) // 2)]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8,
                                           weight_decay=0.05, fused=True)
        self.step_losses = []
        return {"parameters": sum(p.numel() for p in self.model.parameters())}

    def step(self):
        pixels, labels = self.batches[len(self.step_losses) % len(self.batches)]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            loss = F.cross_entropy(self.model(pixels), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step_losses.append(loss.item())


if __name__ == "__main__":
    serve(VitWorker())
