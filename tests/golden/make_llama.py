#!/usr/bin/env python3
"""Writes llama.safetensors and rotary.json with transformers as the oracle: small random models of Llama's shape, and
the frequencies of rotary positions under every scaling.

    python tests/golden/make_llama.py [folder]        # default: the folder of this script

pretrained_cases.py tells what llama.safetensors holds. `logits` [N, V]; `targets` are the next tokens of the rows
`rows`, all but the last of each sequence, and `loss` is the mean cross-entropy over them. Norms, softmax and angles are
float32 in transformers whatever the model is.

rotary.json: {"<case>": {"head_dim", "length", "max_position_embeddings", "rope_parameters", "magnitude",
"frequencies": [one a pair, of a sequence of `length` tokens]}}
"""

import json
import pathlib
import sys

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY = 11
PLAIN = {"vocab_size": VOCABULARY, "hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 1,
         "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 32,
         "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "bos_token_id": None, "eos_token_id": None,
         "pad_token_id": None, "rope_parameters": {"rope_type": "default", "rope_theta": 20.0},
         "attn_implementation": "eager"}
CASES = {
    "plain": ("Llama", {"num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 4}),
    "grouped_tied": ("Llama", {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                               "head_dim": 6, "tie_word_embeddings": True, "rms_norm_eps": 1e-2}),
    "multi_query_biases": ("Llama", {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 4,
                                     "attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 50.0}}),
    "dynamic": ("Llama", {"max_position_embeddings": 6,
                          "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 100.0}}),
    "llama3": ("Llama", {"rope_parameters": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
                                             "high_freq_factor": 4.0, "original_max_position_embeddings": 40,
                                             "rope_theta": 100.0}}),
    "yarn": ("Llama", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 4.0,
                                           "original_max_position_embeddings": 64, "rope_theta": 100.0}}),
    "mistral_window": ("Mistral", {"num_hidden_layers": 2, "sliding_window": 3}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "glm_partial_interleaved": ("Glm", {"num_attention_heads": 4, "num_key_value_heads": 2,
                                        "rope_parameters": {"rope_type": "default", "rope_theta": 30.0,
                                                            "partial_rotary_factor": 0.5}}),
}

# head_dim, length and rope_parameters; max_position_embeddings is 2048.
ROTARY = {
    "linear": (32, 10, {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}),
    "dynamic_short": (32, 2048, {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}),
    "dynamic_long": (32, 5000, {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}),
    "dynamic_partial": (32, 3000, {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0,
                                   "partial_rotary_factor": 0.75}),
    "llama31": (128, 10, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 8192, "rope_theta": 500000.0}),
    "llama32": (64, 10, {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192, "rope_theta": 500000.0}),
    "yarn": (64, 10, {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096,
                      "rope_theta": 10000.0}),
    "yarn_betas": (64, 10, {"rope_type": "yarn", "factor": 4.0, "beta_fast": 20.0, "beta_slow": 2.0,
                            "original_max_position_embeddings": 32768, "rope_theta": 1000000.0, "truncate": False}),
    "yarn_attention_factor": (64, 10, {"rope_type": "yarn", "factor": 4.0, "attention_factor": 0.7,
                                       "original_max_position_embeddings": 4096, "rope_theta": 10000.0}),
    "yarn_mscale": (64, 10, {"rope_type": "yarn", "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0,
                             "original_max_position_embeddings": 4096, "rope_theta": 10000.0}),
}


def add_model(cases, case, family, settings, number, config_class=None, without=()):
    """config_class: the name of the config's class, if it is not the family's; without: settings that it does not have."""
    plain = {name: value for name, value in PLAIN.items() if name not in without}
    config = getattr(transformers, config_class or family + "Config")(**{**plain, **json.loads(json.dumps(settings))})
    architecture = family + "ForCausalLM"
    model = randomise(getattr(transformers, architecture)(config).double(), number, deviation=0.5).eval()
    sequences, splits = random_sequences([5, 2, 9], VOCABULARY, 100 + number)
    outputs, targets, rows = {}, [], []
    for sequence in sorted(sequences, key=len):  # short ones first: dynamic scaling remembers the longest
        outputs[len(sequence)] = model(sequence[None], use_cache=False).logits[0]
    for i, sequence in enumerate(sequences):
        targets += sequence[1:].tolist()
        rows += range(splits[i], splits[i + 1] - 1)
    logits = torch.cat([outputs[len(sequence)] for sequence in sequences])
    loss = torch.nn.functional.cross_entropy(logits[rows], torch.tensor(targets))
    batch = {"ids": torch.cat(sequences).tolist(), "row_splits": splits, "targets": targets, "rows": rows}
    cases.add(case, config_json(config, architecture), model, {"logits": logits}, loss, batch)


def rotary_case(head_dim, length, rope_parameters):
    positions = {"max_position_embeddings": 2048}
    config = transformers.LlamaConfig(hidden_size=2 * head_dim, num_attention_heads=2, **positions,
                                      rope_parameters=dict(rope_parameters))
    frequencies, magnitude = ROPE_INIT_FUNCTIONS[rope_parameters["rope_type"]](config, seq_len=length)
    return {"head_dim": head_dim, "length": length, **positions, "rope_parameters": rope_parameters,
            "magnitude": float(magnitude), "frequencies": [float(f"{f:.8g}") for f in frequencies.tolist()]}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = Cases()
    for number, (case, (family, settings)) in enumerate(CASES.items()):
        add_model(cases, case, family, settings, number)
    cases.write(folder / "llama.safetensors")
    rotary = {case: rotary_case(*settings) for case, settings in ROTARY.items()}
    lines = [f"{json.dumps(case)}: {json.dumps(found)}" for case, found in rotary.items()]
    (folder / "rotary.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
