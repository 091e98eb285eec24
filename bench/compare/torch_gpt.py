#!/usr/bin/env python3
"""PyTorch's side of gpt.py: a GPT as lean as PyTorch lets it be, and transformers' GPT-2 for generation.

Names and layouts of files are those of transformers' GPT-2: matrices of the layers are [in, out].
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from torch_worker import Worker, serve


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        """[B, L, D]"""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).chunk(3, 2))
        rate = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=rate).transpose(1, 2).flatten(2)
        x = x + F.dropout(self.attn_out(attended), rate)
        return x + F.dropout(self.mlp_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")), rate)


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, layers, heads, dropout):
        super().__init__()
        self.dropout = dropout
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_sum = name.endswith("out.weight")
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if into_sum else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids, targets):
        """Mean cross-entropy of targets [B, L]."""
        x = F.dropout(self.wte(ids) + self.wpe.weight[:ids.shape[1]], self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(F.linear(self.ln_f(x), self.wte.weight).flatten(0, 1), targets.flatten())


def file_name(name):
    """What transformers calls a parameter, and whether it keeps it transposed."""
    for ours, theirs in (("c_attn", "attn.c_attn"), ("attn_out", "attn.c_proj"), ("c_fc", "mlp.c_fc"),
                         ("mlp_out", "mlp.c_proj")):
        if f".{ours}." in name:
            return "transformer." + name.replace("blocks.", "h.").replace(ours, theirs), name.endswith("weight")
    return "transformer." + name.replace("blocks.", "h."), False


class GptWorker(Worker):
    def save_gpt(self, folder, vocabulary, context, width, layers, heads, dropout=0.0):
        """A folder with the weights of a new model."""
        torch.manual_seed(1)
        model, tensors = Gpt(vocabulary, context, width, layers, heads, dropout), {}
        for name, value in model.state_dict().items():
            stored, turned = file_name(name)
            tensors[stored] = (value.T if turned else value).contiguous()
        Path(folder).mkdir(parents=True, exist_ok=True)
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": vocabulary,
                  "n_positions": context, "n_embd": width, "n_layer": layers, "n_head": heads, "embd_pdrop": dropout,
                  "resid_pdrop": dropout, "attn_pdrop": dropout, "activation_function": "gelu_new",
                  "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None}
        (Path(folder) / "config.json").write_text(json.dumps(config))
        return {"parameters": sum(p.numel() for p in model.parameters())}

    def gpt_training(self, folder, tokens, starts, context, peak, floor, warmup, steps, compile=False):
        config = json.loads((Path(folder) / "config.json").read_text())
        self.model = Gpt(*(config[key] for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head",
                                                "resid_pdrop")))
        stored = load_file(Path(folder) / "model.safetensors")
        state = {}
        for name in self.model.state_dict():
            key, turned = file_name(name)
            state[name] = stored[key].T if turned else stored[key]
        self.model.load_state_dict(state)
        self.loss_of_model = torch.compile(self.model) if compile else self.model
        self.texts = load_file(tokens)
        self.starts, self.context = torch.tensor(starts), context
        self.schedule = (peak, floor, warmup, steps)
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        self.optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                            {"params": vectors, "weight_decay": 0.0}],
                                           lr=peak, betas=(0.9, 0.99), eps=1e-8, fused=True)
        self.steps = 0
        self.windows = torch.arange(context)
        return {}

    def rate(self, step):
        peak, floor, warmup, steps = self.schedule
        if step <= warmup:
            return peak * step / warmup
        progress = min(1.0, (step - warmup) / (steps - warmup))
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    def step(self):
        places = self.starts[self.steps % len(self.starts), :, None] + self.windows  # [B, L]
        self.steps += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.steps)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            loss = self.loss_of_model(self.texts["train"][places], self.texts["train"][places + 1])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.last_loss = loss.item()

    @torch.no_grad()
    def gpt_loss(self, count):
        self.model.eval()
        text = self.texts["validation"][:count]
        total, targets, size = 0.0, 0, self.context
        whole = (len(text) - 1) // size
        for part in torch.arange(whole).split(64):
            places = part[:, None] * size + self.windows
            total += self.model(text[places], text[places + 1]).item() * places.numel()
            targets += places.numel()
        rest = text[whole * size:]
        if len(rest) > 1:
            total += self.model(rest[None, :-1], rest[None, 1:]).item() * (len(rest) - 1)
            targets += len(rest) - 1
        self.model.train()
        return {"loss": total / targets, "last_training_loss": self.last_loss}

    def gpt_generation(self, folder, prompts, new_tokens):
        import transformers
        self.generator = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=self.precision).eval()
        self.prompts = torch.tensor(prompts)
        self.step = lambda: self.generate(new_tokens)
        return {}

    @torch.no_grad()
    def generate(self, new_tokens):
        found = self.generator.generate(self.prompts, attention_mask=torch.ones_like(self.prompts), do_sample=False,
                                        max_new_tokens=new_tokens, min_new_tokens=new_tokens, pad_token_id=0)
        self.found = found[:, self.prompts.shape[1]:].tolist()

    def gpt_tokens(self):
        return {"tokens": self.found}


if __name__ == "__main__":
    serve(GptWorker())
