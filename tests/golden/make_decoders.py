#!/usr/bin/env python3
"""Writes qwen3.safetensors, phi3.safetensors and gemma.safetensors: small random models of transformers without an
encoder, with their logits, losses and gradients.

    python tests/golden/make_decoders.py [folder]        # default: the folder of this script

What the files hold is what make_llama.py writes of Llama.
"""

import pathlib
import sys

import torch
import transformers

import make_llama
from pretrained_cases import Cases

TWO_BASES = {"full_attention": {"rope_type": "default", "rope_theta": 200.0},
             "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}}
GEMMA = {"num_hidden_layers": 3, "query_pre_attn_scalar": 6, "sliding_window": 3, "attention_bias": False}
FILES = {
    "qwen3": {
        "plain": ("Qwen3", {"num_hidden_layers": 2}),
        "grouped_tied": ("Qwen3", {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6,
                                   "tie_word_embeddings": True, "rms_norm_eps": 1e-2}),
        "biases_yarn": ("Qwen3", {"attention_bias": True, "head_dim": 10,
                                  "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0,
                                                      "original_max_position_embeddings": 8}}),
    },
    "phi3": {
        "plain": ("Phi3", {"num_hidden_layers": 2, "num_key_value_heads": 2}),
        "window_grouped": ("Phi3", {"num_attention_heads": 4, "hidden_size": 16, "num_key_value_heads": 2,
                                    "sliding_window": 3, "tie_word_embeddings": True}),
        "partial_longrope": ("Phi3", {"hidden_size": 16, "original_max_position_embeddings": 6,
                                      "rope_parameters": {"rope_type": "longrope", "rope_theta": 20.0,
                                                          "partial_rotary_factor": 0.75,
                                                          "original_max_position_embeddings": 6,
                                                          "short_factor": [1.0, 1.1, 1.5],
                                                          "long_factor": [1.0, 2.0, 5.0]}}),
        "longrope_factor": ("Phi3", {"original_max_position_embeddings": 16,
                                     "rope_parameters": {"rope_type": "longrope", "rope_theta": 50.0, "factor": 3.0,
                                                         "attention_factor": 1.3,
                                                         "original_max_position_embeddings": 16,
                                                         "short_factor": [1.0, 1.25], "long_factor": [1.0, 4.0]}}),
    },
    "gemma": {
        "gemma2": ("Gemma2", {**GEMMA, "tie_word_embeddings": True, "attn_logit_softcapping": 2.0,
                              "final_logit_softcapping": 3.0}),
        "gemma2_uncapped": ("Gemma2", {**GEMMA, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
                                       "attention_bias": True, "attn_logit_softcapping": None,
                                       "final_logit_softcapping": None, "num_hidden_layers": 2}),
        "gemma3": ("Gemma3", {**GEMMA, "rope_parameters": TWO_BASES, "num_hidden_layers": 3,
                              "sliding_window_pattern": 3, "tie_word_embeddings": True}),
        "gemma3_scaled": ("Gemma3", {**GEMMA, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6,
                                     "num_hidden_layers": 2, "sliding_window_pattern": 2,
                                     "final_logit_softcapping": 2.5,
                                     "rope_parameters": {**TWO_BASES, "full_attention": {
                                         "rope_type": "linear", "factor": 8.0, "rope_theta": 200.0}}}),
    },
}
# What make_llama.py gives every model, and these have not.
WITHOUT = {"Phi3": ["head_dim"]}
CONFIGS = {"Gemma3": "Gemma3TextConfig"}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for first, (file, settings_of) in enumerate(FILES.items(), 1):
        cases = Cases()
        for number, (case, (family, settings)) in enumerate(settings_of.items(), 1000 * first):
            make_llama.add_model(cases, case, family, settings, number, config_class=CONFIGS.get(family),
                                 without=WITHOUT.get(family, ()))
        cases.write(folder / f"{file}.safetensors")


if __name__ == "__main__":
    main()
