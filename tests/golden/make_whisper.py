#!/usr/bin/env python3
"""Writes whisper.safetensors: small random Whispers of transformers, their outputs, losses, gradients and texts.

    python tests/golden/make_whisper.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `frames` [B * frames, bins] are the spectrograms, all of one length;
`target_ids` and `target_splits` the decoder's input; `encoder` [B * P, D] the encoder output, `logits` [N, V]. The loss
is the mean cross-entropy of `labels` [N]. `generated` and `generated_splits`: the tokens behind the begin token and
`prefix`, which is forced, by greedy search, with the suppressed tokens of the config.
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional

from pretrained_cases import config_json, random_sequences, randomise
from saved_cases import SavedCases

CASES = {
    "plain": {},
    "options": {"scale_embedding": True, "activation_function": "relu", "encoder_attention_heads": 4,
                "decoder_attention_heads": 1, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 10,
                "decoder_ffn_dim": 6, "num_mel_bins": 3, "max_source_positions": 4},
}
LENGTHS = (4, 2, 5)
GENERATED = 6
SUPPRESSED, BEGIN_SUPPRESSED, PREFIX = [3, 7], [1, 5], [11, 12]


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = SavedCases()
    for seed, (case, settings) in enumerate(CASES.items()):
        settings = {"vocab_size": 15, "num_mel_bins": 5, "d_model": 8, "encoder_layers": 2, "decoder_layers": 1,
                    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 12,
                    "decoder_ffn_dim": 12, "max_source_positions": 5, "max_target_positions": 10, **settings}
        config = transformers.WhisperConfig(decoder_start_token_id=13, pad_token_id=14, bos_token_id=14,
                                            eos_token_id=14, suppress_tokens=SUPPRESSED,
                                            begin_suppress_tokens=BEGIN_SUPPRESSED, **settings)
        model = randomise(transformers.WhisperForConditionalGeneration(config).double(), seed).eval()
        with torch.no_grad():  # so that the texts are not one token over and over
            model.model.decoder.embed_positions.weight.mul_(8)
        generator = torch.Generator().manual_seed(100 + seed)
        length = 2 * config.max_source_positions
        frames = torch.randn((len(LENGTHS), length, config.num_mel_bins), generator=generator).double()
        features = frames.transpose(1, 2).contiguous()
        targets, splits = random_sequences(LENGTHS, 14, 200 + seed)
        labels = torch.randint(0, 15, (splits[-1],), generator=generator)
        encoder = model.model.encoder(features).last_hidden_state
        logits = torch.cat([model(features[i:i + 1], decoder_input_ids=targets[i][None]).logits[0]
                            for i in range(len(LENGTHS))])
        loss = functional.cross_entropy(logits, labels)
        generated, ends = [], [0]
        for i in range(len(LENGTHS)):
            ids = [13, *PREFIX]
            while len(ids) < 1 + len(PREFIX) + GENERATED:
                scores = model(features[i:i + 1], decoder_input_ids=torch.tensor([ids])).logits[0, -1].detach()
                scores[SUPPRESSED] = -torch.inf
                if len(ids) == 1 + len(PREFIX):
                    scores[BEGIN_SUPPRESSED] = -torch.inf
                ids.append(int(scores.argmax()))
                if ids[-1] == 14:
                    ids.pop()
                    break
            generated += ids[1 + len(PREFIX):]
            ends.append(len(generated))
        results = {"frames": frames.flatten(0, 1), "encoder": encoder.flatten(0, 1), "logits": logits}
        cases.add(case, config_json(config, "WhisperForConditionalGeneration"), model, results, loss,
                  {"target_ids": torch.cat(targets).tolist(), "target_splits": splits, "labels": labels.tolist(),
                   "generated": generated, "generated_splits": ends, "prefix": PREFIX})
    cases.write(folder / "whisper.safetensors")


if __name__ == "__main__":
    main()
