"""Writes missing_bytes.json beside this script: byte-level vocabularies without the tokens of some bytes, and how Hugging
Face's tokenizers package cuts texts with them. The file has the form of tokenizers.json (make_tokenizers.py).

    python make_missing_bytes.py            # needs tokenizers 0.23
"""

import json
import pathlib

import tokenizers
from tokenizers import models

import make_tokenizers as shared

TEXTS = ["", "a", "ab ä b", "ää", "äöäa", "é", "我爱 a", "the cat's \u00e4 hat", " äa", "äthe ", "\n\n", "a<|endoftext|>ä",
         "\x00\x01a", "1234ä5", "ab\u0301", "😀😀 the", "THE ä", "ä" * 40]


def model(unknown=None, fuse=False, missing="ÃĠ±åĀ"):
    names = [chr(c) for c in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100), *range(0x100, 0x144)]]
    names = [name for name in names if name not in missing]
    merges = [("t", "h"), ("th", "e"), ("a", "b"), ("c", "a"), ("ca", "t"), ("¤", "a"), ("h", "a")]
    names = dict.fromkeys([*(["<unk>"] if unknown else []), *names, *(a + b for a, b in merges), "thecat"])
    return models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges, unk_token=unknown, fuse_unk=fuse)


def main():
    shared.EDGES = TEXTS
    sets = []
    for name, options in {"left out": {}, "unknown": {"unknown": "<unk>"}, "fused": {"unknown": "<unk>", "fuse": True},
                          "none missing": {"unknown": "<unk>", "fuse": True, "missing": ""}}.items():
        for kind, make in {"GPT-2": shared.byte_level, "prefix, trimmed": lambda m: shared.byte_level(m, True, True),
                           "Llama 3": shared.llama3}.items():
            if kind == "Llama 3" and options:
                continue  # It makes the model anew, without its unknown token.
            tokenizer = make(model(**options))
            sets.append(shared.make_set(f"{name}, {kind}", {"tokenizer": json.loads(tokenizer.to_str())}, tokenizer,
                                        list(range(len(TEXTS)))))
    golden = {"version": tokenizers.__version__, "texts": TEXTS, "sets": sets}
    path = pathlib.Path(__file__).with_name("missing_bytes.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes", [one["name"] for one in sets])


if __name__ == "__main__":
    main()
