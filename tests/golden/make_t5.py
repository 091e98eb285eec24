#!/usr/bin/env python3
"""Writes t5.safetensors and mt5.safetensors: small random T5 and mT5 models of transformers, with what they compute
and generate.

    python tests/golden/make_t5.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the files hold. `encoded` [M, D] is the encoder's output for the sequences `ids`,
`logits` [N, V] those of the decoder for `target_input` (`target_splits`), and `loss` the mean cross-entropy against
`target_output`. `greedy` (`greedy_splits`) are the tokens of a greedy search of at most LENGTH tokens behind the begin
symbol, without the end symbol; `beam` (`beam_splits`, `beam_scores`) the best of a beam search of 4 with the length
penalty BEAM_PENALTY. make_marian.py tells where the two libraries' searches agree.

`buckets/bidirectional` and `buckets/causal` are T5's buckets of the offsets -DISTANCES .. DISTANCES (key minus query)
for 32 buckets and a largest distance of 128, `buckets/few` those of 6 buckets up to 9.

config.json is written as transformers 4 wrote the published folders: `tie_word_embeddings` says whether the output
projection is the embedding and, with it, whether the decoder's output is multiplied by d_model^-0.5.
"""

import pathlib
import sys

import torch
from transformers import GenerationConfig, MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from make_marian import learn_to_reverse, without_end
from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY, PAD, END, LENGTH, BEAM_PENALTY, DISTANCES = 29, 0, 1, 11, 0.8, 300
CASES = {
    "relu_tied": {},
    "relu_untied": {"tie_word_embeddings": False, "num_decoder_layers": 1},
    "gated_tied": {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 1, "d_kv": 3},
    "gated_untied": {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu",
                     "relative_attention_num_buckets": 6, "relative_attention_max_distance": 5},
}
# mT5's config says that the matrices are tied, and its published folders have two.
MT5_CASES = {
    "untied": {"tie_word_embeddings": False, "num_decoder_layers": 1},
    "tied": {"feed_forward_proj": "gated-silu", "d_kv": 3, "layer_norm_epsilon": 1e-4},
    "relu": {"tie_word_embeddings": False, "feed_forward_proj": "relu"},
}


def t5_cases():
    return cases_of(CASES, T5Config, T5ForConditionalGeneration, 0)


def mt5_cases():
    return cases_of(MT5_CASES, MT5Config, MT5ForConditionalGeneration, 10)


def cases_of(settings_of, Config, Model, first):
    cases = Cases()
    for number, (case, settings) in enumerate(settings_of.items(), first):
        options = {"num_layers": 2, "num_heads": 2, "d_kv": 4, "d_ff": 16, "relative_attention_num_buckets": 8,
                   "relative_attention_max_distance": 12, **settings}
        config = Config(vocab_size=VOCABULARY, d_model=12, dropout_rate=0.0, decoder_start_token_id=PAD, **options)
        tied = settings.get("tie_word_embeddings", True)
        model = Model._from_config(config, attn_implementation="eager").to(torch.float64)
        if not tied:  # transformers 5 ties new models always, and leaves those untied whose files have both matrices
            model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        randomise(model, 400 + number).eval()
        learn_to_reverse(model, config, 500 + number, steps=400, end=END, first=2)

        sources, splits = random_sequences([5, 1, 9, 6], VOCABULARY, 100 + number, first=2)
        targets, _ = random_sequences([3, 6, 1, 10], VOCABULARY, 200 + number, first=2)
        encoded, logits, scores = [], [], []
        batch = {"ids": torch.cat(sources).tolist(), "row_splits": splits, "target_input": [], "target_splits": [0],
                 "target_output": [], "greedy": [], "greedy_splits": [0], "beam": [], "beam_splits": [0]}
        for source, target in zip(sources, targets):
            target_input = [PAD] + target.tolist()
            output = model(source[None], decoder_input_ids=torch.tensor([target_input]))
            encoded.append(output.encoder_last_hidden_state[0])
            logits.append(output.logits[0])
            batch["target_input"] += target_input
            batch["target_splits"].append(len(batch["target_input"]))
            batch["target_output"] += target.tolist() + [END]
            for name, search in (("greedy", {}), ("beam", {"num_beams": 4, "length_penalty": BEAM_PENALTY,
                                                           "early_stopping": "never"})):
                generation = GenerationConfig(do_sample=False, max_new_tokens=LENGTH, decoder_start_token_id=PAD,
                                              eos_token_id=END, pad_token_id=PAD, return_dict_in_generate=True,
                                              output_scores=True, **search)
                model.generation_config = generation
                found = model.generate(source[None], generation_config=generation)
                batch[name] += without_end(found.sequences[0], [END])
                batch[name + "_splits"].append(len(batch[name]))
                if name == "beam":
                    scores.append(found.sequences_scores[0])
        loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.tensor(batch["target_output"]))
        json = config_json(config, Model.__name__)
        json["tie_word_embeddings"] = json.pop("scale_decoder_outputs", False)
        assert json["tie_word_embeddings"] == (tied and Config is T5Config)
        cases.add(case, json, model,
                  {"encoded": torch.cat(encoded), "logits": torch.cat(logits), "beam_scores": torch.stack(scores)}, loss,
                  batch)
    return cases


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = t5_cases()
    offsets = torch.arange(-DISTANCES, DISTANCES + 1)
    for name, arguments in (("bidirectional", {}), ("causal", {"bidirectional": False}),
                            ("few", {"num_buckets": 6, "max_distance": 9})):
        cases.tensors[f"buckets/{name}"] = T5Attention._relative_position_bucket(offsets, **arguments).to(torch.int64)
    cases.write(folder / "t5.safetensors")
    mt5_cases().write(folder / "mt5.safetensors")


if __name__ == "__main__":
    main()
