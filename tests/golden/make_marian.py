#!/usr/bin/env python3
"""Writes marian.safetensors: small random MarianMT models of transformers, with what they compute and generate.

    python tests/golden/make_marian.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `encoded` [M, D] is the encoder's output for the sequences `ids`,
`logits` [N, V] those of the decoder for `target_input` (`target_splits`), and `loss` the mean cross-entropy against
`target_output`. `greedy` (`greedy_splits`) are the tokens of a greedy search of at most LENGTH tokens behind the begin
symbol, without the end symbol; `beam` (`beam_splits`, `beam_scores`) the best of a beam search of 4 with the length
penalty BEAM_PENALTY.

Where transformers' beam search and rapt's agree: with early_stopping="never" both go on until no live hypothesis can
become the best, and scores are the log-probability over |Y|^penalty, the end symbol counted (rapt's
LengthNormalisation::plain). Where they do not, and what is therefore left out: early_stopping True or False stop
earlier; forced_eos_token_id ends what reaches the maximum length for nothing, while rapt cuts it off, as transformers
does without; of the n best, rapt finds more that ended (transformers looks at the best 4 candidates of a step, rapt at
all down to the 4th that lives on). Both never generate the padding token, but transformers leaves it its share of the
probability, rapt does not: scores are those of rapt only where that share is nothing. In the case "padding" it is not.
"""

import pathlib
import sys

import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY = 29
END, LENGTH, BEAM_PENALTY = 0, 11, 0.8
CASES = {
    "shared": {"scale_embedding": True, "activation_function": "silu"},
    "separate": {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 23, "decoder_start_token_id": 22,
                 "pad_token_id": 21, "activation_function": "relu", "encoder_layers": 1, "decoder_layers": 2,
                 "encoder_attention_heads": 2, "decoder_attention_heads": 3, "encoder_ffn_dim": 18,
                 "decoder_ffn_dim": 14, "forced_eos_token_id": None},
    "untied": {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 31, "tie_word_embeddings": False,
               "scale_embedding": True, "activation_function": "gelu", "encoder_layers": 1, "decoder_ffn_dim": 10},
    "padding": {"scale_embedding": True, "activation_function": "gelu_new", "encoder_layers": 1,
                "eos_token_id": [END, 5]},
}


def learn_to_reverse(model, config, seed, steps=150, end=END, first=1):
    """Enough for searches to have something to decide; what is not learned says the same whatever it reads."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        length = int(torch.randint(4, 10, (1,), generator=generator))
        sources = torch.randint(first, 20, (16, length), generator=generator)
        targets = torch.cat([sources.flip(1), torch.full((16, 1), end)], dim=1)
        inputs = torch.cat([torch.full((16, 1), config.decoder_start_token_id), targets[:, :-1]], dim=1)
        logits = model(sources, decoder_input_ids=inputs).logits
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.float32).to(torch.float64))


def without_end(tokens, ends):
    """Behind the begin symbol, up to the first end."""
    tokens = tokens[1:].tolist()
    return next((tokens[:i] for i, token in enumerate(tokens) if token in ends), tokens)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = Cases()
    for number, (case, settings) in enumerate(CASES.items()):
        options = {"encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 3, "decoder_attention_heads": 3,
                   "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "eos_token_id": END, "forced_eos_token_id": END,
                   "pad_token_id": VOCABULARY - 1, "decoder_start_token_id": VOCABULARY - 1, **settings}
        config = MarianConfig(vocab_size=VOCABULARY, d_model=12, max_position_embeddings=16, dropout=0.0,
                              attn_implementation="eager", **options)
        model = randomise(MarianMTModel(config).to(torch.float64), number).eval()
        for module in model.modules():  # gives the padding token's row no gradient, although the decoder begins with it
            if isinstance(module, torch.nn.Embedding):
                module.padding_idx = None
        vocabulary, pad = model.final_logits_bias.shape[1], config.pad_token_id
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        generator = torch.Generator().manual_seed(50 + number)
        bias = torch.randn(1, vocabulary, generator=generator, dtype=torch.float32) * 0.3
        bias[0, pad] = 0 if case == "padding" else -60
        model.final_logits_bias = torch.nn.Buffer(bias.to(torch.float64))
        learn_to_reverse(model, config, 300 + number)
        if case == "padding":  # as in the published models
            with torch.no_grad():
                model.lm_head.weight[pad] = 0

        sources, splits = random_sequences([5, 1, 9, 6], VOCABULARY - 1, 100 + number, first=1)
        targets, _ = random_sequences([3, 6, 1, 4], min(VOCABULARY, vocabulary) - 2, 200 + number, first=1)
        encoded, logits, scores = [], [], []
        batch = {"ids": torch.cat(sources).tolist(), "row_splits": splits, "target_input": [], "target_splits": [0],
                 "target_output": [], "greedy": [], "greedy_splits": [0], "beam": [], "beam_splits": [0]}
        for source, target in zip(sources, targets):
            target_input = [config.decoder_start_token_id] + target.tolist()
            output = model(source[None], decoder_input_ids=torch.tensor([target_input]))
            encoded.append(output.encoder_last_hidden_state[0])
            logits.append(output.logits[0])
            batch["target_input"] += target_input
            batch["target_splits"].append(len(batch["target_input"]))
            batch["target_output"] += target.tolist() + [END]
            for name, search in (("greedy", {}), ("beam", {"num_beams": 4, "length_penalty": BEAM_PENALTY,
                                                           "early_stopping": "never"})):
                generation = GenerationConfig(do_sample=False, max_new_tokens=LENGTH, bad_words_ids=[[pad]],
                                              decoder_start_token_id=config.decoder_start_token_id, eos_token_id=ends,
                                              pad_token_id=pad, return_dict_in_generate=True, output_scores=True,
                                              **search)
                model.generation_config = generation  # else the model's own fills in what is not set
                found = model.generate(source[None], generation_config=generation)
                batch[name] += without_end(found.sequences[0], ends)
                batch[name + "_splits"].append(len(batch[name]))
                if name == "beam":
                    scores.append(found.sequences_scores[0])
        loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.tensor(batch["target_output"]))
        cases.add(case, config_json(config, "MarianMTModel"), model,
                  {"encoded": torch.cat(encoded), "logits": torch.cat(logits), "beam_scores": torch.stack(scores)}, loss,
                  batch, buffers=["final_logits_bias"])
    cases.write(folder / "marian.safetensors")


if __name__ == "__main__":
    main()
