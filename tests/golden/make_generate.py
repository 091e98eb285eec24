#!/usr/bin/env python3
"""Writes generate.json: what generate of transformers finds with the small models of other golden files, for many
settings of generation_config.json; and the distributions that its warpers leave to draw tokens from.

    python tests/golden/make_generate.py [folder]      # default: the folder of this script

The file:

    versions    of torch and transformers
    searches    file, case    of <file>.safetensors
                generation    generation_config.json
                sources       of one sequence each, by itself: prompts, or what a translator reads
                found         of each source the hypotheses, [tokens behind the source or the begin token without the
                              end token, score of beam search or null]
    warpers     logits, generation, probability of each token

Models are in float64; their logits are rounded to float32 in transformers' searches.
"""

import json
import pathlib
import random
import sys
import tempfile

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig
from transformers.generation.logits_process import LogitsProcessorList

HERE = pathlib.Path(__file__).parent
MODELS = [("marian", "shared"), ("marian", "separate"), ("t5", "relu_tied"), ("t5", "gated_untied"), ("gpt", None),
          ("llama", None)]


def load(file, case, folder):
    """The model of a case of a golden file, and the tokens that its folder names."""
    with safe_open(HERE / f"{file}.safetensors", "pt") as golden:
        cases = json.loads(golden.metadata()["info"])["cases"]
        case = case or next(iter(cases))
        prefix = f"{case}/param/"
        tensors = {name[len(prefix):]: golden.get_tensor(name) for name in golden.keys() if name.startswith(prefix)}
    config = cases[case]
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    kind = AutoModelForSeq2SeqLM if file in ("marian", "t5") else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    return case, model, config


def tokens_of(file, config):
    if file == "marian":
        return {"eos_token_id": 0, "pad_token_id": config["pad_token_id"],
                "decoder_start_token_id": config["decoder_start_token_id"], "bad_words_ids": [[config["pad_token_id"]]]}
    if file == "t5":
        return {"eos_token_id": 1, "pad_token_id": 0, "decoder_start_token_id": 0}
    return {"eos_token_id": 3, "pad_token_id": 0, "bos_token_id": 1}


def settings(rng, is_translator, tokens, vocabulary):
    """A random generation_config.json: every key now and then."""
    last = min(19, vocabulary - 1)
    words = lambda: [[rng.randint(2, last) for _ in range(rng.choice([1, 2, 2, 3]))] for _ in range(4)]
    drawn = {}
    beams = rng.choice([1, 2, 3, 4, 5])
    if beams > 1:
        drawn = {"num_beams": beams, "num_return_sequences": rng.randint(1, beams),
                 "length_penalty": rng.choice([0.0, 0.4, 1.0, 2.0]),
                 "early_stopping": rng.choice([False, True, "never"])}
    drawn.update(rng.choice([{"max_new_tokens": rng.randint(5, 12)}, {"max_length": rng.randint(12, 16)}, {}]))
    keys = {"no_repeat_ngram_size": lambda: rng.choice([1, 2, 2, 3]), "repetition_penalty": lambda: rng.choice([0.8, 1.3, 2.0]),
            "encoder_repetition_penalty": lambda: rng.choice([0.7, 1.5]), "encoder_no_repeat_ngram_size": lambda: rng.choice([2, 3]),
            "bad_words_ids": words, "begin_suppress_tokens": lambda: rng.sample(range(2, last + 1), 5),
            "suppress_tokens": lambda: rng.sample(range(2, last + 1), 3),
            "min_length": lambda: rng.randint(3, 9), "min_new_tokens": lambda: rng.randint(3, 5)}
    if is_translator:
        keys |= {"forced_bos_token_id": lambda: rng.randint(2, last), "forced_eos_token_id": lambda: tokens["eos_token_id"]}
    if beams == 1 or drawn["early_stopping"] != "never":
        keys["exponential_decay_length_penalty"] = lambda: [rng.randint(1, 5), rng.choice([1.1, 1.4])]
    for key in rng.sample(sorted(keys), rng.choice([0, 1, 1, 2, 3])):
        drawn[key] = keys[key]()
    if "bad_words_ids" in drawn and "bad_words_ids" in tokens:
        drawn["bad_words_ids"] = drawn["bad_words_ids"] + tokens["bad_words_ids"]
    if "suppress_tokens" in drawn:
        drawn["suppress_tokens"] = [t for t in drawn["suppress_tokens"] if t != drawn.get("forced_bos_token_id")]
    if drawn.get("no_repeat_ngram_size") == 1:
        drawn.pop("encoder_no_repeat_ngram_size", None)
    return {**tokens, **drawn}


def find(model, generation, source, is_translator):
    model.generation_config = GenerationConfig(**generation)
    with torch.no_grad():
        out = model.generate(torch.tensor([source]), return_dict_in_generate=True, output_scores=True)
    start = 1 if is_translator else len(source)
    found = []
    for number, tokens in enumerate(out.sequences[:, start:].tolist()):
        score = None
        if generation.get("num_beams", 1) > 1:
            tokens = tokens[:int((out.beam_indices[number] >= 0).sum())]
            score = float(out.sequences_scores[number])
            if score < -1e8:
                continue
        end = generation["eos_token_id"]
        found.append([tokens[:tokens.index(end)] if end in tokens else tokens, score])
    return found


def searches():
    torch.set_num_threads(1)
    rng = random.Random(20261129)
    cases = []
    for file, case in MODELS:
        with tempfile.TemporaryDirectory() as temporary:
            case, model, config = load(file, case, pathlib.Path(temporary))
        is_translator = file in ("marian", "t5")
        tokens = tokens_of(file, config)
        vocabulary = config.get("decoder_vocab_size") or config["vocab_size"]
        for _ in range(20 if is_translator else 12):
            generation = settings(rng, is_translator, tokens, vocabulary)
            sources = [[rng.randint(2, min(19, vocabulary - 1)) for _ in range(length)] for length in (5, 1, 8)]
            cases.append({"file": file, "case": case, "generation": generation, "sources": sources,
                          "found": [find(model, generation, source, is_translator) for source in sources]})
    return cases


def warpers():
    rng = random.Random(20261130)
    model = type("Model", (transformers.GenerationMixin,), {"config": transformers.GPT2Config(), "device": "cpu"})()
    cases = []
    for number in range(60):
        generator = torch.Generator().manual_seed(number)
        logits = (torch.randn(1, 23, generator=generator, dtype=torch.float64) * rng.choice([0.5, 2, 4])).to(torch.float32)
        choices = {"temperature": rng.choice([0.5, 1.7]), "top_k": rng.randint(2, 20), "top_p": rng.choice([0.5, 0.9]),
                   "min_p": rng.choice([0.02, 0.2]), "typical_p": rng.choice([0.3, 0.8]),
                   "epsilon_cutoff": rng.choice([0.01, 0.06]), "eta_cutoff": rng.choice([0.02, 0.2])}
        chosen = {key: choices[key] for key in rng.sample(sorted(choices), rng.choice([1, 1, 2, 3]))}
        generation = {"do_sample": True, "top_k": 0, **chosen}
        config = GenerationConfig(**{"temperature": 1.0, "typical_p": 1.0, "top_p": 1.0, **generation})
        config._eos_token_tensor = None
        processors = model._get_logits_processor(config, input_ids_seq_length=1)
        scores = processors(torch.tensor([[0]]), logits.to(torch.float64))
        cases.append({"logits": logits[0].tolist(), "generation": generation,
                      "probabilities": [round(p, 9) for p in scores.softmax(-1)[0].tolist()]})
    return cases


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE)
    golden = {"versions": [torch.__version__, transformers.__version__], "searches": searches(), "warpers": warpers()}
    path = folder / "generate.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(golden['searches'])} searches, {len(golden['warpers'])} warpers, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
