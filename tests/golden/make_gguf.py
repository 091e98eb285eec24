#!/usr/bin/env python3
"""Writes GGUF files for tests/io/gguf_test.cpp and tests/pretrained/gguf_test.cpp by gguf's GGUFWriter, as llama.cpp's
convert_hf_to_gguf.py would, and what gguf, transformers, sentencepiece and tokenizers find in them. Fails if
transformers reads other numbers from a model's file (`gguf_file`) than were written.

    python tests/golden/make_gguf.py [folder]        # default: the folder of this script

gguf_types.gguf           a tensor of each type; the quantised ones have random blocks
gguf_types.safetensors    the same tensors as gguf's reader dequantises them, F32
gguf_NAME.gguf            a small random model, NAME in MODELS, most with a tokenizer; its embedding is F16
gguf_models.safetensors   "NAME/logits" [N, 64 or V] are the first columns of transformers' logits for "NAME/ids" [N],
                          one sequence
gguf_texts.json           {"NAME": {"ids of texts": [[text, [id, ...]], ...], "prompt": text, "completion": [id, ...]}}
"""

import io
import json
import pathlib
import sys

import gguf
import numpy
import sentencepiece
import tokenizers
import torch
import transformers
from gguf import GGMLQuantizationType as Q
from safetensors.numpy import save_file

TYPES = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q2_K]
CORPUS = ["the house is old and the old house is small", "a small dog sees the house", "Der Hund sieht das alte Haus",
          "größere Häuser sind schöner", "in 2024 there were 1234 houses, and 56 dogs!", "we're old; they'll see us"] * 20
TEXTS = ["the old house", " a  dog's\n\nhouse ", "größer 12345 日本 é", "", "We'LL see: HOUSES\t!"]

SHAPE = {"hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 64, "rms_norm_eps": 1e-5}
MODELS = {
    "llama": ("Llama", {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True}, "llama"),
    "llama3": ("Llama", {"head_dim": 8, "tie_word_embeddings": True, "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}}, "llama-bpe"),
    "qwen2": ("Qwen2", {"num_attention_heads": 2, "head_dim": None, "tie_word_embeddings": True}, "qwen2"),
    "qwen3": ("Qwen3", {"tie_word_embeddings": False}, None),
    "gemma2": ("Gemma2", {"num_hidden_layers": 2, "query_pre_attn_scalar": 4, "sliding_window": 3,
                          "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}, "gemma"),
    "gemma3": ("Gemma3Text", {"num_hidden_layers": 6, "query_pre_attn_scalar": 4, "sliding_window": 3}, None),
}
# transformers' names by llama.cpp's, of one layer and of the whole.
LAYER = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "input_layernorm": "attn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
NORMS = {False: {"post_attention_layernorm": "ffn_norm"},
         True: {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
                "post_feedforward_layernorm": "post_ffw_norm"}}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_types(folder):
    random = numpy.random.default_rng(1)
    writer = gguf.GGUFWriter(str(folder / "gguf_types.gguf"), "none")
    writer.add_array("numbers", [1, -2, 3])
    writer.add_float64("real", 0.5)
    writer.add_string("text", "größer")
    writer.add_array("flags", [True, False])
    expected = {}
    for kind in TYPES:
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        if elements == 1:
            values = random.standard_normal((2, 3)).astype(numpy.float32)
            data = values.astype(numpy.float16) if kind == Q.F16 else values
            data = gguf.quants.quantize(values, kind) if kind == Q.BF16 else data
        else:
            rows, blocks = 2, 1 if elements == 256 else 2
            data = random.integers(0, 256, (rows, blocks, size), dtype=numpy.uint8)
            halves = {Q.Q4_K: [0, 1], Q.Q5_K: [0, 1], Q.Q6_K: [104], Q.Q2_K: [40, 41]}.get(kind, [0, 1])
            halves = [0] if kind in (Q.Q4_0, Q.Q5_0, Q.Q8_0) else halves
            for half in halves:  # scales are finite
                scales = (random.standard_normal((rows, blocks)) * 0.1).astype(numpy.float16)
                data[:, :, 2 * half:2 * half + 2] = scales[..., None].view(numpy.uint8)
            data = data.reshape(rows, -1)
        writer.add_tensor(kind.name, data, raw_dtype=None if kind in (Q.F32, Q.F16) else kind)
        if kind != Q.Q2_K:
            expected[kind.name] = gguf.quants.dequantize(data, kind).astype(numpy.float32)
    finish(writer)
    save_file(expected, folder / "gguf_types.safetensors")


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def sentencepiece_model(gemma):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, model_type="bpe", vocab_size=340, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=not gemma,
        character_coverage=1.0, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def byte_level(pre):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=pre == "llama-bpe"))
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+").replace("DIGITS", "{1,3}" if pre == "llama-bpe" else "")
    parts = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = parts.Sequence([parts.Split(tokenizers.Regex(pattern), "isolated"),
                                              parts.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    if pre == "qwen2":
        tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.train_from_iterator(CORPUS, tokenizers.trainers.BpeTrainer(
        vocab_size=330, show_progress=False, initial_alphabet=parts.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    return tokenizer


def add_tokenizer(writer, pre):
    """Returns the vocabulary's size, the begin and end tokens, and a function that encodes, with the begin token where
    texts have one."""
    if pre in ("llama", "gemma"):
        model = sentencepiece_model(pre == "gemma")
        kinds = [gguf.TokenType.UNKNOWN if model.is_unknown(i) else gguf.TokenType.CONTROL if model.is_control(i)
                 else gguf.TokenType.BYTE if model.is_byte(i) else gguf.TokenType.NORMAL
                 for i in range(model.vocab_size())]
        writer.add_tokenizer_model("llama")
        writer.add_token_list([model.id_to_piece(i) for i in range(model.vocab_size())])
        writer.add_token_scores([model.get_score(i) for i in range(model.vocab_size())])
        writer.add_token_types(kinds)
        writer.add_add_space_prefix(pre == "llama")
        begin, end = model.bos_id(), model.eos_id()
        size, encode = model.vocab_size(), lambda text: [begin] + model.encode(text)
    else:
        tokenizer = byte_level(pre)
        model = json.loads(tokenizer.to_str())
        size = tokenizer.get_vocab_size()
        tokens = [tokenizer.id_to_token(i) for i in range(size)]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(tokens)
        writer.add_token_types([gguf.TokenType.CONTROL if "|" in t and len(t) > 5 else gguf.TokenType.NORMAL
                                for t in tokens])
        writer.add_token_merges([" ".join(merge) for merge in model["model"]["merges"]])
        begin, end = tokenizer.token_to_id("<|begin|>"), tokenizer.token_to_id("<|end|>")
        prefix = [begin] if pre == "llama-bpe" else []
        encode = lambda text: prefix + tokenizer.encode(text).ids
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    return size, begin, end, encode


def permuted(weight, heads):
    """llama.cpp's order of the rows of queries and keys."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def gguf_name(name, is_gemma):
    part, kind = name.rsplit(".", 1)
    if part in WHOLE:
        return f"{WHOLE[part]}.{kind}"
    number, part = part.removeprefix("model.layers.").split(".", 1)
    return f"blk.{number}.{ {**LAYER, **NORMS[is_gemma]}[part]}.{kind}"


def write_model(folder, name, family, settings, pre, number, expected):
    path = folder / f"gguf_{name}.gguf"
    is_gemma = family.startswith("Gemma")
    architecture = {"Llama": "llama", "Gemma3Text": "gemma3"}.get(family, family.lower())
    writer = gguf.GGUFWriter(str(path), architecture)
    size, begin, end, encode = add_tokenizer(writer, pre) if pre else (11, None, None, None)
    shape = {key: value for key, value in {**SHAPE, **settings}.items() if value is not None}
    config = getattr(transformers, family + "Config")(**shape, vocab_size=size, bos_token_id=begin, eos_token_id=end,
                                                      attn_implementation="eager")
    model = getattr(transformers, family.removesuffix("Text") + "ForCausalLM")(config).float().eval()
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.3
            parameter.copy_((noise + (0 if is_gemma else 1)) if parameter.dim() == 1 else noise)
        model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight.half())
    heads, few = config.num_attention_heads, config.num_key_value_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(few)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if architecture == "llama":
        writer.add_rope_dimension_count(head_dim)
        writer.add_vocab_size(size)
    if is_gemma:
        writer.add_sliding_window(config.sliding_window)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if rope["rope_type"] == "llama3":
        plain = 1 / rope["rope_theta"] ** (torch.arange(0, head_dim, 2) / head_dim)
        writer.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq).float().numpy())
    with torch.no_grad():
        for stored, parameter in model.named_parameters():
            weight = parameter.numpy().copy()
            if architecture == "llama" and (".q_proj." in stored or ".k_proj." in stored):
                weight = permuted(weight, heads if ".q_proj." in stored else few)
            if is_gemma and "norm." in stored:
                weight = weight + 1
            kind = numpy.float16 if stored == "model.embed_tokens.weight" else numpy.float32
            writer.add_tensor(gguf_name(stored, is_gemma), weight.astype(kind))
        finish(writer)
        ids = torch.randint(0, size, (7,), generator=generator)
        logits = model(ids[None], use_cache=False).logits
        read = type(model).from_pretrained(folder, gguf_file=path.name, config=config, dtype=torch.float32).eval()
        if not torch.equal(read(ids[None], use_cache=False).logits, logits):
            sys.exit(f"{path}: transformers reads another model")
        expected["tensors"][f"{name}/ids"] = ids.numpy()
        expected["tensors"][f"{name}/logits"] = logits[0, :, :64].contiguous().numpy()
        if encode is None:
            return
        prompt = encode("the old")
        found = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, eos_token_id=end,
                               pad_token_id=end)[0].tolist()[len(prompt):]
    expected["texts"][name] = {"ids of texts": [[text, encode(text)] for text in TEXTS], "prompt": "the old",
                               "completion": [i for i in found if i != end]}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    write_types(folder)
    expected = {"tensors": {}, "texts": {}}
    for number, (name, (family, settings, pre)) in enumerate(MODELS.items()):
        write_model(folder, name, family, settings, pre, number, expected)
    save_file(expected["tensors"], folder / "gguf_models.safetensors")
    (folder / "gguf_texts.json").write_text(json.dumps(expected["texts"], ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
