#!/usr/bin/env python3
"""Weights in 16, 8 and 4 bits: tokens a second beside llama.cpp on the same random Llama, and what they cost in loss.

Both sides decode one sequence greedily behind the same prompt, rapt with `from_pretrained`'s `stored` (F16), `int8` and
`int4` of a Hugging Face folder, llama.cpp with F16, Q8_0 and Q4_0 files made of the same numbers. "stored (GGUF)": rapt
opens llama.cpp's file, too, and keeps its blocks as they are. They take turns; a ratio is that of the tokens a
second of one turn of each, prompts of 8 tokens included. --processor-time counts the seconds that a process took of the
processors, for a machine that others use, too; with more than one thread these include waiting. "Of memory" is the rate
at which rapt reads its weights over the rate at which as many threads read plain memory. With --text
FILE a byte-level Llama of the folder --trained is also evaluated in each type.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import gguf
import numpy as np
from common import Worker
from safetensors.numpy import save_file

SHAPES = {"gpt2": {"hidden": 768, "layers": 12, "heads": 12, "ff": 2048, "vocabulary": 32000},
          "1b": {"hidden": 2048, "layers": 22, "heads": 32, "ff": 5632, "vocabulary": 32000}}
# How rapt keeps the weights, of the folder or of the peer's file; bits of a weight; the peer's file.
PEERS = (("stored", "hf", 16, "F16"), ("int8", "hf", 8, "Q8_0"), ("int4", "hf", 4.5, "Q4_0"),
         ("stored", "Q8_0.gguf", 8.5, "Q8_0"), ("stored", "Q4_0.gguf", 4.5, "Q4_0"))


def save_models(folder, shape, kinds):
    """A Hugging Face folder in F16 and GGUF files; returns the numbers that a token reads of the matrices."""
    rng = np.random.default_rng(1)
    d, ff, vocabulary, heads = (shape[k] for k in ("hidden", "ff", "vocabulary", "heads"))
    (folder / "hf").mkdir()
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": d, "intermediate_size": ff,
              "num_hidden_layers": shape["layers"], "num_attention_heads": heads, "num_key_value_heads": heads,
              "vocab_size": vocabulary, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
              "torch_dtype": "float16"}
    (folder / "hf/config.json").write_text(json.dumps(config))

    def matrix(rows, cols):
        return (rng.standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)).astype(np.float16)

    names = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
             "model.norm.weight": "output_norm.weight"}
    tensors = {"model.embed_tokens.weight": matrix(vocabulary, d), "lm_head.weight": matrix(vocabulary, d),
               "model.norm.weight": np.ones(d, np.float16)}
    parts = {"self_attn.q_proj": ("attn_q", d, d), "self_attn.k_proj": ("attn_k", d, d),
             "self_attn.v_proj": ("attn_v", d, d), "self_attn.o_proj": ("attn_output", d, d),
             "mlp.gate_proj": ("ffn_gate", ff, d), "mlp.up_proj": ("ffn_up", ff, d),
             "mlp.down_proj": ("ffn_down", d, ff)}
    for i in range(shape["layers"]):
        for name, (theirs, rows, cols) in parts.items():
            tensors[f"model.layers.{i}.{name}.weight"] = matrix(rows, cols)
            names[f"model.layers.{i}.{name}.weight"] = f"blk.{i}.{theirs}.weight"
        for name, theirs in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")):
            tensors[f"model.layers.{i}.{name}.weight"] = np.ones(d, np.float16)
            names[f"model.layers.{i}.{name}.weight"] = f"blk.{i}.{theirs}.weight"
    save_file(tensors, folder / "hf/model.safetensors", {"format": "pt"})
    for kind in kinds:
        quantized = gguf.GGMLQuantizationType[kind]
        writer = gguf.GGUFWriter(folder / f"{kind}.gguf", "llama")
        writer.add_context_length(2048)
        writer.add_embedding_length(d)
        writer.add_block_count(shape["layers"])
        writer.add_feed_forward_length(ff)
        writer.add_head_count(heads)
        writer.add_head_count_kv(heads)
        writer.add_rope_dimension_count(d // heads)
        writer.add_rope_freq_base(10000.0)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_vocab_size(vocabulary)
        writer.add_tokenizer_model("llama")
        pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
        writer.add_token_list(pieces + [f"w{i}" for i in range(len(pieces), vocabulary)])
        writer.add_token_scores([0.0] * vocabulary)
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (vocabulary - 259))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        for name, value in tensors.items():
            if value.ndim == 1:
                writer.add_tensor(names[name], value.astype(np.float32))
                continue
            if name.endswith(("q_proj.weight", "k_proj.weight")):  # llama.cpp rotates neighbours, not halves
                value = value.reshape(heads, 2, d // heads // 2, d).swapaxes(1, 2).reshape(d, d)
            if kind == "F16":
                writer.add_tensor(names[name], value)
            else:
                data = gguf.quants.quantize(value.astype(np.float32), quantized)
                writer.add_tensor(names[name], data, raw_dtype=quantized)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return sum(t.size for n, t in tensors.items() if t.ndim == 2) - vocabulary * d  # a row of the embedding alone


def timed(settings, worker, task):
    """The answer to `generate`, and tokens a second."""
    def clock():
        if not settings.processor_time:
            return time.monotonic()
        fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    begin = clock()
    found = worker.ask("generate", **task)
    return found, task["new_tokens"] / (clock() - begin)


def decode(settings, folder, numbers):
    prompt = np.random.default_rng(2).integers(300, 30000, 8).tolist()
    task = {"prompt": prompt, "new_tokens": settings.new_tokens}
    for threads in settings.threads:
        for weights, source, bits, kind in PEERS:
            with Worker([str(settings.worker.resolve())]) as ours, \
                    Worker([settings.peer_python, str(Path(__file__).with_name("llama_cpp_worker.py"))]) as theirs:
                sizes = ours.ask("open", folder=str(folder / source), weights=weights, threads=threads,
                                 precision="highest")
                theirs.ask("open", model=str(folder / f"{kind}.gguf"), threads=threads, context=1024)
                rates, peer, memory = [], [], []
                for turn in range(settings.rounds + 1):  # the first is not counted
                    second = "processor_second" if settings.processor_time else "second"
                    memory.append(ours.ask("bandwidth")[f"bytes_per_{second}"])
                    found, rate = timed(settings, ours, task)
                    other, peer_rate = timed(settings, theirs, task)
                    rates.append(rate)
                    peer.append(peer_rate)
                words = [int(w) for w in re.findall(r"w([0-9]+)", other["text"])]  # pieces 0 .. 258 have other names
                same = next((i for i, (a, b) in enumerate(zip(found["tokens"], words)) if a != b), len(words))
                ratios = sorted(a / b for a, b in zip(rates[1:], peer[1:]))
                shares = sorted(numbers * bits / 8 * a / m for a, m in zip(rates[1:], memory[1:]))
                name = weights + (" (GGUF)" if source.endswith(".gguf") else "")
                print(f"| {settings.shape} | {threads} | {name} / {kind} | {median(rates[1:]):.1f} | "
                      f"{median(peer[1:]):.1f} | {median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f}) | "
                      f"{median(shares):.2f} | {sizes['anonymous'] / 1e6:.0f} + {sizes['mapped'] / 1e6:.0f} MB, peak "
                      f"{sizes['peak'] / 1e6:.0f} | {same} of {settings.new_tokens} |", flush=True)


def losses(settings):
    for weights in ("computed", "stored", "int8", "int4"):
        for folder in settings.trained:
            with Worker([str(settings.worker.resolve())]) as ours:
                sizes = ours.ask("open", folder=str(folder), weights=weights, threads=max(settings.threads),
                                 precision="highest")
                loss = ours.ask("loss", text=str(settings.text), length=128)
                print(f"| {folder.name} | {weights} | {loss['loss']:.5f} | {np.exp(loss['loss']):.4f} | "
                      f"{sizes['anonymous'] / 1e6:.0f} + {sizes['mapped'] / 1e6:.0f} MB |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--worker", type=Path, required=True, help="rapt's program, built from weights_worker.cpp")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has xllamacpp")
    parser.add_argument("--shape", choices=SHAPES, default="gpt2")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--models", type=Path, help="folder that keeps the models for another run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--text", type=Path, help="evaluate the folders of --trained on its bytes instead")
    parser.add_argument("--trained", type=Path, nargs="+", default=[])
    settings = parser.parse_args()
    if settings.text:
        print("| model | weights | loss | perplexity | anonymous + mapped |\n|---|---|---|---|---|")
        return losses(settings)
    print("| shape | threads | rapt / llama.cpp | rapt tokens/s | llama.cpp tokens/s | ratio | of memory | rapt's process"
          " | same tokens |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = (settings.models or Path(name)) / settings.shape
        if not (folder / "numbers.json").exists():
            folder.mkdir(parents=True)
            numbers = save_models(folder, SHAPES[settings.shape], sorted({kind for *_, kind in PEERS}))
            (folder / "numbers.json").write_text(json.dumps(numbers))
        decode(settings, folder, json.loads((folder / "numbers.json").read_text()))


if __name__ == "__main__":
    main()
