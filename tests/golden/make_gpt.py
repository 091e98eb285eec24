#!/usr/bin/env python3
"""Writes gpt.safetensors: small random GPT-2 models of transformers, with hidden states, logits, loss and gradients.

    python tests/golden/make_gpt.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `hidden` [N, D], `logits` [N, V]; `targets` are the next tokens of the
rows `rows`, all but the last of each sequence, and `loss` is the mean cross-entropy over them. `generated` are the
tokens of a greedy search of 6 tokens behind each sequence (`generated_penalty`: with a repetition penalty of 1.7).
"""

import pathlib
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY = 29
CASES = {
    "tied": {},
    "untied": {"tie_word_embeddings": False, "n_inner": 20, "activation_function": "relu", "scale_attn_weights": False},
    "by_layer": {"scale_attn_by_inverse_layer_idx": True, "activation_function": "silu", "n_layer": 3,
                 "layer_norm_epsilon": 1e-3},
    "upcast": {"reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True, "n_head": 1,
               "activation_function": "gelu"},
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = Cases()
    for number, (case, settings) in enumerate(CASES.items()):
        options = {"n_layer": 2, "n_head": 3, **settings}
        config = GPT2Config(vocab_size=VOCABULARY, n_positions=16, n_embd=12, resid_pdrop=0.0, embd_pdrop=0.0,
                            attn_pdrop=0.0, bos_token_id=0, eos_token_id=None, attn_implementation="eager", **options)
        # transformers' reordered attention works in float32 only
        kind = torch.float32 if config.reorder_and_upcast_attn else torch.float64
        model = randomise(GPT2LMHeadModel(config).to(kind), number).eval()
        sequences, splits = random_sequences([5, 1, 9], VOCABULARY, 100 + number)
        hidden, logits, targets, rows = [], [], [], []
        for i, sequence in enumerate(sequences):
            output = model(sequence[None], output_hidden_states=True)
            hidden.append(output.hidden_states[-1][0])
            logits.append(output.logits[0])
            targets += sequence[1:].tolist()
            rows += range(splits[i], splits[i + 1] - 1)
        loss = torch.nn.functional.cross_entropy(torch.cat(logits)[rows], torch.tensor(targets))
        batch = {"ids": torch.cat(sequences).tolist(), "row_splits": splits, "targets": targets, "rows": rows}
        for name, penalty in (("generated", 1.0), ("generated_penalty", 1.7)):
            batch[name] = []
            for sequence in sequences:
                found = model.generate(sequence[None], attention_mask=torch.ones_like(sequence[None]), do_sample=False,
                                       max_new_tokens=6, repetition_penalty=penalty, pad_token_id=0,
                                       eos_token_id=None)
                batch[name] += found[0, len(sequence):].tolist()
        cases.add(case, config_json(config, "GPT2LMHeadModel"), model,
                  {"hidden": torch.cat(hidden), "logits": torch.cat(logits)}, loss, batch)
    cases.write(folder / "gpt.safetensors")


if __name__ == "__main__":
    main()
