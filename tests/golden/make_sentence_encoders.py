#!/usr/bin/env python3
"""Writes sentence_encoders.json: vectors that sentence-transformers gives texts with encoders of several families; and
sentence_settings.json: the same with a default prompt and lower case.

    python tests/golden/make_sentence_encoders.py [folder]        # default: the folder of this script; needs
                                                                  # sentence-transformers 6.2

The models are those of pipelines.json. Each file:

    versions    of sentence-transformers and transformers
    texts       what is encoded
    cases       folder     of pipelines.json
                files      further files of the folder, or what takes the place of its own: {name: JSON}
                vectors    [texts, D]
"""

import json
import pathlib
import sys
import tempfile

import sentence_transformers
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
TEXTS = ["The small cat sat.", "the SMALL dog", "", "in Zürich, ÄÖÜ", "two cats and the dogs of the old man by the sea " * 2,
         "x" * 30 + " runs", "[MASK] <mask>", "1,234.5 and 我爱北京"]
SETTINGS_TEXTS = ["the ΟΔΟΣ", "the οδος", "a CAT <mask> <MASK>", "İ and ẞ", ""]
TYPE = "sentence_transformers.models."


def write_folder(golden, tensors, name, folder, files):
    """The folder of pipelines.json with further files."""
    for file, content in golden["folders"][name].items():
        if file == "tensors":
            save_file({tensor: tensors[key].float().clone() for tensor, key in content.items()},
                      folder / "model.safetensors", {"format": "pt"})
        else:
            (folder / file).write_text(golden["files"][content], encoding="utf-8")
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


def modules(pooling, normalize, width):
    """modules.json and the settings of pooling."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    return {"modules.json": [{"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": TYPE + kind}
                             for i, kind in enumerate(kinds)],
            "1_Pooling/config.json": {"word_embedding_dimension": width, "pooling_mode_cls_token": pooling == "cls",
                                      "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": False,
                                      "pooling_mode_mean_sqrt_len_tokens": False}}


def cases(golden):
    def tokenizer_config(name, **changes):
        return {"tokenizer_config.json": {**json.loads(golden["files"][golden["folders"][name]["tokenizer_config.json"]]),
                                          **changes}}

    roberta = "roberta_MaskedLM"
    yield roberta, {**modules("mean", True, 8), "sentence_bert_config.json": {"max_seq_length": 14, "do_lower_case": False},
                    **tokenizer_config(roberta, truncation_side="left")}
    yield roberta, {**modules("cls", False, 8), "sentence_roberta_config.json": {"max_seq_length": 9, "do_lower_case": True}}
    yield "distilbert", {**modules("cls", True, 16), "sentence_distilbert_config.json": {"max_seq_length": 12},
                         "1_Pooling/config.json": {"embedding_dimension": 16, "pooling_mode": ["cls"]}}
    yield "modernbert", {**modules("mean", False, 16), "sentence_bert_config.json": {"max_seq_length": None},
                         **tokenizer_config("modernbert", model_max_length=13)}
    yield "fill", {**modules("mean", True, 16), "sentence_bert_config.json": {"max_seq_length": 20},
                   **tokenizer_config("fill", truncation_side="left"),
                   "1_Pooling/config.json": {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": True}}


def settings_cases():
    prompts = {"config_sentence_transformers.json": {"prompts": {"query": "the CAT: ", "document": ""},
                                                     "default_prompt_name": "query"}}
    lower = {"sentence_bert_config.json": {"max_seq_length": 30, "do_lower_case": True}}
    roberta = "roberta_MaskedLM"
    yield roberta, {**modules("mean", True, 8), **lower}
    yield roberta, {**modules("mean", False, 8), **prompts}
    yield roberta, {**modules("cls", True, 8), **lower, **prompts}
    yield "fill", {**modules("mean", True, 16), **lower, **prompts}


def write(path, texts, cases, golden, tensors):
    found = []
    for name, files in cases:
        with tempfile.TemporaryDirectory() as temporary:
            write_folder(golden, tensors, name, pathlib.Path(temporary), files)
            model = sentence_transformers.SentenceTransformer(temporary, device="cpu")
            vectors = model.encode(texts)
        found.append({"folder": name, "files": files, "vectors": [[round(float(x), 7) for x in row] for row in vectors]})
    text = json.dumps({"versions": [sentence_transformers.__version__, transformers.__version__], "texts": texts,
                       "cases": found}, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(found)} cases, {path.stat().st_size} bytes")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE)
    golden = json.loads((HERE / "pipelines.json").read_text(encoding="utf-8"))
    tensors = load_file(HERE / "pipelines.safetensors")
    torch.set_num_threads(1)
    write(folder / "sentence_encoders.json", TEXTS, cases(golden), golden, tensors)
    write(folder / "sentence_settings.json", SETTINGS_TEXTS, settings_cases(), golden, tensors)


if __name__ == "__main__":
    main()
