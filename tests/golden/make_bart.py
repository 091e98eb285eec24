#!/usr/bin/env python3
"""Writes bart.safetensors: small random BART, mBART, Pegasus and M2M100 models of transformers, with what they compute
and generate.

    python tests/golden/make_bart.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `encoded` [M, D] is the encoder's output for the sequences `ids`,
`logits` [N, V] those of the decoder for `target_input` (`target_splits`), and `loss` the mean cross-entropy against
`target_output`. `beam` (`beam_splits`, `beam_scores`) are the tokens of the best of a beam search of 4 with the length
penalty BEAM_PENALTY, of at most LENGTH tokens, without begin and end symbol; make_marian.py tells where the two
libraries' searches agree. `forced` and `forced_splits` are the same where the first token must be FORCED, as that of a
target's language; a forced token counts nothing.

The cases whose names end in "classes" are those of a sequence classifier: `logits` [B, labels] of the sequences `ids`,
each of which has an end symbol, and `loss` against `labels`.

Gradients of blocks are there in the cases of WHOLE alone, which keeps the file small.
"""

import pathlib
import sys

import torch
import transformers
from transformers import GenerationConfig

from make_marian import learn_to_reverse, without_end
from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY, PAD, END, FORCED = 29, 1, 2, 27
LENGTH, BEAM_PENALTY = 9, 0.8
CASES = {
    "bart": {},
    "bart_scaled": {"scale_embedding": True, "activation_function": "relu", "decoder_start_token_id": 0},
    "mbart": {"scale_embedding": True},
    "mbart_plain": {"activation_function": "gelu_new", "decoder_start_token_id": 28},
    "pegasus": {"scale_embedding": True, "activation_function": "relu", "decoder_start_token_id": PAD},
    "pegasus_plain": {"decoder_start_token_id": PAD, "decoder_layers": 2},
    "m2m": {"activation_function": "relu"},
    "m2m_plain": {"scale_embedding": False, "activation_function": "silu", "pad_token_id": 4},
    "bart_classes": {"num_labels": 3},
    "mbart_classes": {"num_labels": 2, "scale_embedding": True},
}
WHOLE = {"bart", "mbart"}
CLASSES = {"bart": "Bart", "mbart": "MBart", "pegasus": "Pegasus", "m2m": "M2M100"}


def made(case, settings, number):
    """The model of a case and its config."""
    prefix = CLASSES[case.split("_")[0]]
    options = {"encoder_layers": 2 if case == "mbart" else 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 4,
               "encoder_ffn_dim": 12, "decoder_ffn_dim": 10, "bos_token_id": 0, "pad_token_id": PAD,
               "eos_token_id": END, "decoder_start_token_id": END, "forced_eos_token_id": None, **settings}
    config = getattr(transformers, prefix + "Config")(
        vocab_size=VOCABULARY, d_model=8, max_position_embeddings=14, dropout=0.0, attention_dropout=0.0,
        encoder_layerdrop=0.0, decoder_layerdrop=0.0, attn_implementation="eager", **options)
    kind = "ForSequenceClassification" if case.endswith("classes") else "ForConditionalGeneration"
    model = getattr(transformers, prefix + kind)(config).to(torch.float64)
    randomise(model, number).eval()
    for module in model.modules():  # gives the padding token's row no gradient, although the decoder may begin with it
        if type(module).__name__.endswith("WordEmbedding") or type(module) is torch.nn.Embedding:
            module.padding_idx = None
    return model, config, prefix + kind


def translator(cases, case, model, config, architecture, number):
    buffers = []
    if hasattr(model, "final_logits_bias"):
        generator = torch.Generator().manual_seed(50 + number)
        bias = torch.randn(1, VOCABULARY, generator=generator, dtype=torch.float32) * 0.3
        model.final_logits_bias = torch.nn.Buffer(bias.to(torch.float64))
        buffers = ["final_logits_bias"]
    learn_to_reverse(model, config, 300 + number, end=END, first=5)

    sources, splits = random_sequences([5, 1, 9, 6], VOCABULARY, 100 + number, first=5)
    targets, _ = random_sequences([3, 6, 1, 4], VOCABULARY, 200 + number, first=5)
    encoded, logits = [], []
    batch = {"ids": torch.cat(sources).tolist(), "row_splits": splits, "target_input": [], "target_splits": [0],
             "target_output": [], "beam": [], "beam_splits": [0], "forced": [], "forced_splits": [0]}
    scores = {"beam": [], "forced": []}
    for source, target in zip(sources, targets):
        target_input = [config.decoder_start_token_id] + target.tolist()
        output = model(source[None], decoder_input_ids=torch.tensor([target_input]))
        encoded.append(output.encoder_last_hidden_state[0])
        logits.append(output.logits[0])
        batch["target_input"] += target_input
        batch["target_splits"].append(len(batch["target_input"]))
        batch["target_output"] += target.tolist() + [END]
        for name, forced in (("beam", None), ("forced", FORCED)):
            generation = GenerationConfig(do_sample=False, max_new_tokens=LENGTH, num_beams=4, early_stopping="never",
                                          length_penalty=BEAM_PENALTY, forced_bos_token_id=forced,
                                          decoder_start_token_id=config.decoder_start_token_id, eos_token_id=END,
                                          pad_token_id=config.pad_token_id, return_dict_in_generate=True,
                                          output_scores=True)
            model.generation_config = generation  # else the model's own fills in what is not set
            found = model.generate(source[None], generation_config=generation)
            batch[name] += without_end(found.sequences[0], [END])
            batch[name + "_splits"].append(len(batch[name]))
            scores[name].append(found.sequences_scores[0])
    loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.tensor(batch["target_output"]))
    results = {"encoded": torch.cat(encoded), "logits": torch.cat(logits), "beam_scores": torch.stack(scores["beam"]),
               "forced_scores": torch.stack(scores["forced"])}
    cases.add(case, config_json(config, architecture), model, results, loss, batch, buffers=buffers)


def classifier(cases, case, model, config, architecture, number):
    sources, _ = random_sequences([4, 2, 7], VOCABULARY, 100 + number, first=5)
    sources = [torch.cat([torch.tensor([0]), source, torch.tensor([END])]) for source in sources]
    sources[1] = torch.cat([sources[1], sources[2], torch.tensor([9])])  # two ends: the last one counts, and a token behind
    labels = torch.tensor([1, 0, config.num_labels - 1])
    logits = torch.cat([model(source[None]).logits for source in sources])
    splits = [0]
    for source in sources:
        splits.append(splits[-1] + len(source))
    batch = {"ids": torch.cat(sources).tolist(), "row_splits": splits, "labels": labels.tolist()}
    loss = torch.nn.functional.cross_entropy(logits, labels)
    cases.add(case, config_json(config, architecture), model, {"logits": logits}, loss, batch)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    torch.set_num_threads(1)
    cases = Cases()
    for number, (case, settings) in enumerate(CASES.items()):
        model, config, architecture = made(case, settings, number)
        (classifier if case.endswith("classes") else translator)(cases, case, model, config, architecture, number)
        if case not in WHOLE:
            start = f"{case}/grad/param/model."
            cases.tensors = {name: tensor for name, tensor in cases.tensors.items()
                             if not (name.startswith(start) and ".layers." in name)}
    cases.write(folder / "bart.safetensors")


if __name__ == "__main__":
    main()
