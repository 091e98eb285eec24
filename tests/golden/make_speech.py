#!/usr/bin/env python3
"""Writes speech.safetensors: a small random Whisper, sound, and what transformers writes of it.

    python tests/golden/make_speech.py [folder]        # default: the folder of this script

The model hears one second at a time. The tokenizer has bytes and a few words, laid out as those of published folders;
letters and words alone are not suppressed. Tensors:

    whisper/param/<name>   F32, the parameters; pretrained_cases.py tells the metadata "info", which further has
                           "tokenizer": tokenizer.json, "processor": preprocessor_config.json, "generation":
                           generation_config.json, "texts": how sound and settings are transcribed, "language": what is
                           detected in the first second
    sound                  U8, a WAV file of 1.3 s at 16 kHz, which are two windows
"""

import io
import json
import pathlib
import sys
import wave

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

from pretrained_cases import config_json, randomise, stored_names

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|haw|>", "<|translate|>", "<|transcribe|>",
           "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>", "<|0.02|>"]
LETTERS = [chr(code) for code in range(97, 123)] + ["\u0120", ".", ","]
WORDS = [("\u0120", "t"), ("h", "e"), ("\u0120t", "he"), ("i", "n"), ("a", "n"), ("an", "d"), ("\u0120", "and")]
SETTINGS = {"german": {"language": "de", "task": "transcribe"}, "translated": {"language": "haw", "task": "translate"}}
RATE = 16000
SEED = 12  # of which texts and languages differ


def make_tokenizer():
    names = LETTERS + ["".join(pair) for pair in WORDS]
    names += sorted(set(tokenizers.pre_tokenizers.ByteLevel.alphabet()) - set(LETTERS))
    vocabulary = {token: i for i, token in enumerate(names)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=WORDS))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    # Published folders call the times not special: text must be without them all the same.
    tokenizer.add_tokens([tokenizers.AddedToken(name, special=not name[2].isdigit(), normalized=False)
                          for name in SPECIAL])
    return tokenizer


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    tokenizer = make_tokenizer()
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    vocabulary = tokenizer.get_vocab_size()
    config = transformers.WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=10, d_model=8, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=12, decoder_ffn_dim=12,
        max_source_positions=50, max_target_positions=16, decoder_start_token_id=ids["<|startoftranscript|>"],
        pad_token_id=ids["<|endoftext|>"], bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|endoftext|>"],
        begin_suppress_tokens=None)
    model = randomise(transformers.WhisperForConditionalGeneration(config), SEED).eval()
    with torch.no_grad():  # so that the texts are not one token over and over, and depend on the sound
        model.model.decoder.embed_positions.weight.mul_(4)
        model.model.decoder.layers[0].self_attn.out_proj.weight.mul_(16)
        model.model.decoder.layers[0].encoder_attn.out_proj.weight.mul_(16)
        model.model.encoder.conv1.weight.mul_(8)
    generation = {"decoder_start_token_id": ids["<|startoftranscript|>"], "pad_token_id": ids["<|endoftext|>"],
                  "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|endoftext|>"], "max_length": 16,
                  "suppress_tokens": [3, *range(len(LETTERS) + len(WORDS), ids["<|endoftext|>"]),
                                      *(ids[name] for name in SPECIAL[1:11])], "begin_suppress_tokens": [29, 0],
                  "is_multilingual": True, "no_timestamps_token_id": ids["<|notimestamps|>"],
                  "lang_to_id": {name: ids[name] for name in SPECIAL[2:5]},
                  "task_to_id": {"translate": ids["<|translate|>"], "transcribe": ids["<|transcribe|>"]}}
    model.generation_config = transformers.GenerationConfig(**generation)
    extractor = transformers.WhisperFeatureExtractor(feature_size=10, chunk_length=1)
    random = numpy.random.default_rng(1)
    time = numpy.arange(int(1.3 * RATE)) / RATE
    sound = numpy.sin(2 * numpy.pi * (300 + 900 * time) * time) * numpy.exp(-1.5 * (time % 0.9))
    samples = (12000 * sound + 600 * random.standard_normal(len(time))).astype("<i2")
    sound = samples.astype(numpy.float32) / 32768
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1), writer.setsampwidth(2), writer.setframerate(RATE)
        writer.writeframes(samples.tobytes())

    def features(begin):
        return extractor(sound[begin:begin + RATE], sampling_rate=RATE, return_tensors="pt").input_features

    texts = {}
    for name, settings in SETTINGS.items():
        tokens = [model.generate(features(begin), **settings)[0].tolist() for begin in range(0, len(sound), RATE)]
        words = [[token for token in window if token < ids["<|endoftext|>"]] for window in tokens]
        texts[name] = {**settings, "tokens": words, "text": "".join(tokenizer.decode(window) for window in words)}
    language = model.detect_language(input_features=features(0), generation_config=model.generation_config)
    info = {"torch": torch.__version__, "transformers": transformers.__version__,
            "cases": {"whisper": config_json(config, "WhisperForConditionalGeneration")},
            "tokenizer": json.loads(tokenizer.to_str()), "processor": extractor.to_dict(), "generation": generation,
            "texts": texts, "language": tokenizer.id_to_token(int(language[0]))}
    info["processor"].pop("mel_filters", None)
    tensors = {f"whisper/param/{name}": value.detach().contiguous() for name, value in stored_names(model).items()}
    tensors["whisper/param/model.encoder.embed_positions.weight"] = model.model.encoder.embed_positions.weight.detach()
    path = folder / "speech.safetensors"
    save_file({**tensors, "sound": torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)}, path, metadata={"info": json.dumps(info)})
    print(f"{path}: {path.stat().st_size} bytes, {vocabulary} tokens\n{texts}\n{info['language']}")


if __name__ == "__main__":
    main()
