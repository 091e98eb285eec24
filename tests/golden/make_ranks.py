"""Writes ranks.json beside this script: small vocabularies of ranks, and how the tiktoken package cuts texts with them.

    python make_ranks.py            # needs tiktoken 0.14 and tokenizers 0.23

The ranks are learned here from generated text by tokenizers; those of the set "shuffled" are put in a random order, so
that tokens are joined otherwise than they were learned. The file:

    version      of the package
    texts        all texts
    ranks        name -> the lines of a file of ranks
    sets         name
                 encoding    of tiktoken, whose pattern and special tokens are used, or
                 pattern     a regular expression in the syntax of Rust, and
                 special     its special tokens and their ids
                 ranks       which of the ranks
                 ids         of each text by encode_ordinary
                 allowed     of each text by encode with all special tokens allowed; null if that is the same
                 decoded     of each text, the bytes of these in hexadecimal digits; null if they are the text
                 one         of each text by encode with the first special token alone allowed: null where tiktoken
                             refuses; in the set Llama 3
"""

import base64
import json
import pathlib
import random

import tiktoken
from tiktoken_ext import openai_public
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from make_tokenizers import EDGES, LLAMA3, generated_lines
from make_tokenizer_parts import O200K, QWEN2

TEXTS = EDGES + [
    "HELLOworld HelloWORLD helloWorld's HELLO'S IT'Ll x'Re", "ABCǅef ǅ ʰABʰc Aʰ aʰB ÀÉ\u0301x", "\u0301A !\u0301\u0301A\u0301b",
    "我A爱bC カタカナABCカ", "a/b//c !/\n/ x =/\r\n", "  \n  ", "a  \n \t ", "x \n\n  y  \n", "don'T I'LL 1'st 2'ſ",
    "aaaaaaaaaaaaaaaaa", "ababababab abcabcabc", "<|endoftext|><|endofprompt|>a<|im_start|>b<|endoftext|", "1234567 ①②③④⑤",
    "\u1c89\u1c8a \U00010d50\U00010d70 \U00016d6b \U00011f5a",
]


def random_texts(count):
    rng = random.Random(11)
    pools = ["abc ABC'", " \t\n\r\u00a0", "0123½٣", ".,/!?-_()", "äÖßſǅʰ", "\u0301\u0338\u093f\u20dd", "我カ각न", "😀\u200d\ufe0f\U000e0001"]
    return ["".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, 40))) for _ in range(count)]


def learned_ranks(texts, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, show_progress=False,
                                                             initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of |= {chr(256 + i): byte for i, byte in enumerate(byte for byte in range(256) if byte not in printable)}
    return {bytes(byte_of[c] for c in name): rank for name, rank in tokenizer.get_vocab().items()}


def main():
    texts = TEXTS + random_texts(60)
    ranks = {"learned": learned_ranks(generated_lines()[:300] + TEXTS * 2 + random_texts(300), 700)}
    numbers = list(range(256, len(ranks["learned"])))
    random.Random(7).shuffle(numbers)
    by_rank = sorted(ranks["learned"], key=ranks["learned"].get)
    # tokens that no join of two others makes, too
    ranks["shuffled"] = {token: i if i < 256 else numbers[i - 256] for i, token in enumerate(by_rank)}
    ranks["shuffled"] |= {b"aaa": 700, b"aa": 701, b"aaaaa": 702, b"qxz": 704, b"\xe6\x88": 705}
    public = {name: getattr(openai_public, name) for name in ("r50k_base", "cl100k_base", "o200k_base")}
    openai_public.load_tiktoken_bpe = lambda *_, **__: {}
    small = {"<|endoftext|>": 800, "<|im_start|>": 802}
    sets = [{"name": name, "encoding": name, "ranks": which} for name in public for which in ranks]
    sets += [{"name": name, "pattern": pattern, "special": small, "ranks": "shuffled"} for name, pattern in {
        "Llama 3": LLAMA3, "Qwen": QWEN2, "words alone": r"\w+|\b'\b", "to the end": r"^\s+|(?i:a|ſ)b?+|\S{1,3}+|\s++$|\s",
        "sets": r"[\p{L}&&[^\p{Han}]]+|\p{Han}{2}?|\d+|[^\S\r\n]+|\s|\p{M}",
    }.items()]
    for one in sets:
        if "encoding" in one:
            found = public[one["encoding"]]()
            pattern, special = found["pat_str"], found["special_tokens"]
        else:
            pattern, special = one["pattern"], one["special"]
        encoding = tiktoken.Encoding(one["name"], pat_str=pattern, mergeable_ranks=ranks[one["ranks"]],
                                     special_tokens=special)
        first = sorted(special)[0]
        one["ids"] = [encoding.encode_ordinary(text) for text in texts]
        allowed = [encoding.encode(text, allowed_special="all") for text in texts]
        decoded = [encoding.decode_bytes(ids) for ids in allowed]
        one["allowed"] = [None if found == plain else found for found, plain in zip(allowed, one["ids"])]
        for text in texts if one["name"] == "Llama 3" else ():
            try:
                one.setdefault("one", []).append(encoding.encode(text, allowed_special={first}))
            except ValueError:
                one["one"].append(None)
        one["decoded"] = [None if found == text.encode() else found.hex() for found, text in zip(decoded, texts)]
    lines = {name: [f"{base64.b64encode(token).decode()} {rank}" for token, rank in sorted(one.items(), key=lambda x: x[1])]
             for name, one in ranks.items()}
    golden = {"version": tiktoken.__version__, "texts": texts, "ranks": lines, "sets": sets}
    path = pathlib.Path(__file__).with_name("ranks.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
