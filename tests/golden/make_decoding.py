"""Writes decoding.json beside this script: tokenizers with empty tokens, ids without a token and tokens that are there
twice, and texts decoded with and without cleaning up their spaces.

    python make_decoding.py               # needs transformers 5.24 and tokenizers 0.23

The file:

    versions     of both packages
    tokenizers   a tokenizer.json by name
    cases        name
                 files       by name: text; for tokenizer.json the name of one above
                 texts       [text, its ids without special tokens around it]
                 decoded     [ids, whether special tokens are skipped, text]

Folders of which transformers reads a tokenizer_config.json are loaded by it; the others by tokenizers alone.
"""

import json
import pathlib
import random
import tempfile

import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
WORDS = "you should ve won it s n t do not . , ? ! ' re m i ##n ##' ##t a".split(" ")
SENTENCE = "you should ' ve won , it ' s n ' t . do not ! i ' m , you ' re ?"
CLEAN_UP = "clean_up_tokenization_spaces"
CLEAN_UP_BPE = CLEAN_UP + "_for_bpe_even_though_it_will_corrupt_output"
TEXTS = ["", " ", "abc b", "a  b", "ab a b c ac", "<x>ab<y>", SENTENCE]


def byte_level(more=(), merges=(("a", "b"),), added=()):
    """The bytes, "ab", and further tokens with ids of their own."""
    vocabulary = {name: i for i, name in enumerate(BYTES)} | {"ab": 256} | dict(more)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(added))
    return tokenizer


def wordpiece(vocabulary, cleanup=True, added=()):
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    tokenizer.add_special_tokens(list(added))
    return tokenizer


def numbered(tokens):
    return {token: i for i, token in enumerate(tokens)}


TOKENIZERS = {
    "byte level": byte_level(),
    "byte level, empty token": byte_level({"": 257}),
    "byte level, empty token in the middle": byte_level({"": 257, "bc": 258}, [("a", "b"), ("b", "c")]),
    "byte level, unused ids": byte_level({"bc": 261, "": 300}, [("b", "c"), ("a", "b")]),
    "byte level, a merge twice": byte_level({"bc": 257}, [("a", "b"), ("b", "c"), ("a", "b")]),
    "byte level, merges of the empty token": byte_level({"": 257}, [("a", ""), ("", "a"), ("", ""), ("a", "b")]),
    "byte level, added": byte_level({"": 257, "<y>": 258}, added=["<y>", "<x>", ""]),
    "byte level, added and unused ids": byte_level({"bc": 400}, added=["<x>", "<y>"]),
    "WordPiece": wordpiece(numbered(["[UNK]", "[CLS]", "[SEP]", *WORDS]), added=["[UNK]", "[CLS]", "[SEP]"]),
    "WordPiece, no cleanup": wordpiece(numbered(["[UNK]", "[CLS]", "[SEP]", *WORDS]), cleanup=False),
    "WordPiece, empty token": wordpiece({"[UNK]": 0, "a": 1, "##b": 2, "": 3, "##": 4, "c": 5}),
    "WordPiece, unused ids": wordpiece({"[UNK]": 2, "a": 4, "##b": 3, "": 7, "c": 11}, added=["<x>"]),
}


def random_ids(tokenizer, count):
    """Of any id up to the highest, tokens or none."""
    rng = random.Random(20260101)
    size = 1 + max(tokenizer.get_vocab().values())
    interesting = list(range(256, size)) if size > 256 else list(range(size))
    letters = [tokenizer.token_to_id(name) for name in ("a", "b", "c", "Ġ") if tokenizer.token_to_id(name) is not None]
    return [rng.choices(interesting + letters, k=rng.randint(1, 9)) for _ in range(count)]


def of_package(name, files, tokenizer):
    return {
        "name": name, "files": files,
        "texts": [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS],
        "decoded": [[ids, skip, tokenizer.decode(ids, skip_special_tokens=skip)]
                    for ids in random_ids(tokenizer, 24) for skip in (False, True)]}


def of_vocabulary_files(folder):
    """vocab.txt and vocab.json as the models' own readers take them."""
    lines = "[UNK]\na\n\n##b \na\nc\u00a0\n\n##c\x1c\n"
    (folder / "vocab.txt").write_bytes(lines.encode())
    vocabulary = models.WordPiece.read_file(str(folder / "vocab.txt"))
    yield of_package("vocab.txt", {"vocab.txt": lines}, wordpiece(vocabulary))
    names = json.dumps({name: i for i, name in enumerate(BYTES)} | {"ab": 256, "": 259, "bc": 270}, ensure_ascii=False)
    merges = "#version: 0.2\nb c\n#version of another kind\na b\na \n"
    (folder / "vocab.json").write_bytes(names.encode())
    (folder / "merges.txt").write_bytes(merges.encode())
    vocabulary, pairs = models.BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    yield of_package("vocab.json", {"vocab.json": names, "merges.txt": merges},
                     byte_level({"": 259, "bc": 270}, pairs))
    assert vocabulary == {name: i for i, name in enumerate(BYTES)} | {"ab": 256, "": 259, "bc": 270}


def of_transformers(name, tokenizer_name, config):
    tokenizer = TOKENIZERS[tokenizer_name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        tokenizer.save(str(folder / "tokenizer.json"))
        files = {"tokenizer.json": tokenizer_name}
        if config is not None:
            files["tokenizer_config.json"] = json.dumps(config)
            (folder / "tokenizer_config.json").write_text(files["tokenizer_config.json"])
        loaded = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    lists = [tokenizer.encode(SENTENCE, add_special_tokens=False).ids]
    rng = random.Random(20260102)
    if "WordPiece" in tokenizer_name:
        size = tokenizer.get_vocab_size()
        lists += [rng.choices(range(size), k=rng.randint(1, 14)) for _ in range(16)]
    else:
        pieces = [" ", " ", ".", ",", "?", "!", "'", "n't", "m", "s", "ve", "re", "do not", "x"]
        lists += [tokenizer.encode("".join(rng.choices(pieces, k=rng.randint(1, 14)))).ids for _ in range(16)]
    return {"name": name, "files": files, "texts": [],
            "decoded": [[ids, False, loaded.decode(ids)] for ids in lists]}


def main():
    cases = [of_package(name, {"tokenizer.json": name}, tokenizer) for name, tokenizer in TOKENIZERS.items()]
    with tempfile.TemporaryDirectory() as temporary:
        cases += of_vocabulary_files(pathlib.Path(temporary))
    configs = [("no file", None), ("no key", {"model_max_length": 512}), ("null", {CLEAN_UP: None}),
               ("false", {CLEAN_UP: False}), ("true", {CLEAN_UP: True}),
               ("true, for BPE, too", {CLEAN_UP: True, CLEAN_UP_BPE: True}), ("for BPE alone", {CLEAN_UP_BPE: True})]
    for tokenizer in "WordPiece", "WordPiece, no cleanup", "byte level":
        cases += [of_transformers(f"{tokenizer}: {name}", tokenizer, config) for name, config in configs]
    golden = {"versions": [transformers.__version__, tokenizers.__version__],
              "tokenizers": {name: json.loads(tokenizer.to_str()) for name, tokenizer in TOKENIZERS.items()},
              "cases": cases}
    path = pathlib.Path(__file__).with_name("decoding.json")
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
