#!/usr/bin/env python3
"""Writes transformer_xl.safetensors: small random Transformer-XL models of transformers, which read three segments.

    python tests/golden/make_transformer_xl.py [folder]        # default: the folder of this script

Needs a transformers that still has Transformer-XL, e.g. transformers 4.30 with torch 2.0 and numpy 1, and sacremoses.

pretrained_cases.py tells what the file holds. There are two sequences of 15 tokens, read in segments of 5:
`segment<k>` I64 [10] with `row_splits`, and for each `hidden<k>` [10, D] and `log_probabilities<k>` [10, V].
`memory<i>` [2 M, D] is what layer i remembers in the end, of the one sequence and then of the other (absent without
memory). The memory begins with zeros, as is this implementation's way; in the case "empty" with nothing. `loss` is
the model's own of the last segment: `targets` are the next tokens of `rows`, all but the last of each sequence.
"""

import pathlib
import sys
import warnings

import torch
from transformers import TransfoXLConfig, TransfoXLLMHeadModel

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY, SEGMENTS, LENGTH = 23, 3, 5
CASES = {
    "plain": {"cutoffs": [], "clamp_len": 4},
    "empty": {"cutoffs": [], "mem_len": 8, "untie_r": False, "begins_empty": True},
    "no_memory": {"cutoffs": [], "mem_len": 0, "d_embed": 6},
    "adaptive": {"cutoffs": [7, 12], "same_length": True},
    "projected": {"cutoffs": [4, 15], "d_embed": 6, "pre_lnorm": True, "untie_r": False, "clamp_len": 3},
    "div_2": {"cutoffs": [6, 12, 20], "div_val": 2, "pre_lnorm": True, "same_length": True, "mem_len": 4},
    "div_4": {"cutoffs": [9], "div_val": 4, "proj_share_all_but_first": False, "tie_word_embeddings": False,
              "d_embed": 6, "layer_norm_epsilon": 1e-3, "same_length": True, "clamp_len": 5},
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = lambda self: self  # the model rounds masked scores to float32; here all is float64
    cases = Cases()
    for number, (case, settings) in enumerate(CASES.items()):
        options = {"div_val": 1, "mem_len": 7, "clamp_len": 0, "same_length": False, "d_embed": 8, **settings}
        begins_empty = options.pop("begins_empty", False)
        config = TransfoXLConfig(vocab_size=VOCABULARY, d_model=8, n_head=2, d_head=3, d_inner=10, n_layer=2,
                                 dropout=0.0, dropatt=0.0, trainer_compatible=True, **options)
        model = randomise(TransfoXLLMHeadModel(config).double(), number).eval()
        sequences, _ = random_sequences([SEGMENTS * LENGTH] * 2, VOCABULARY, 100 + number)
        ids = torch.stack(sequences)  # [B, L]
        batch = {"row_splits": [0, LENGTH, 2 * LENGTH]}
        results = {}
        memory = [torch.zeros(0, 2, config.d_model)] * config.n_layer if begins_empty else None
        for k in range(SEGMENTS):
            segment = ids[:, k * LENGTH:(k + 1) * LENGTH]
            if k + 1 == SEGMENTS:
                loss = model(segment, mems=memory, labels=segment.clone()).loss
                batch["targets"] = segment[:, 1:].flatten().tolist()
                batch["rows"] = [i for i in range(2 * LENGTH) if (i + 1) % LENGTH]
            output = model(segment, mems=memory, output_hidden_states=True)
            batch[f"segment{k}"] = segment.flatten().tolist()
            results[f"hidden{k}"] = output.hidden_states[-1].flatten(0, 1)
            results[f"log_probabilities{k}"] = output.prediction_scores.flatten(0, 1)
            memory = output.mems
        for i, remembered in enumerate(memory or []):  # [M, B, D]
            results[f"memory{i}"] = remembered.transpose(0, 1).flatten(0, 1)
        cases.add(case, config_json(config, "TransfoXLLMHeadModel"), model, results, loss, batch)
    cases.write(folder / "transformer_xl.safetensors")


if __name__ == "__main__":
    main()
