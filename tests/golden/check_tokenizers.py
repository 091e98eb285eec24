#!/usr/bin/env python3
"""Whether rapt's tokenizers give the ids, places and decoded texts of the Python packages, on a million texts each.

    python tests/golden/check_tokenizers.py FOLDER --data DATA_FOLDER [--ranks FOLDER] [--files NAME=FILE...]
        [--texts 1000000] [--few 20000] [--only WORD...] [--worker build/bench/tokenizer_worker]

The kinds: the real files of GPT-2 and BERT in DATA_FOLDER; files that are given by name (tokenizer.json, NAME.spm);
tiktoken's cl100k_base and o200k_base if --ranks has their files (the wheel bpe-openai has them); tokenizers that the
packages tokenizers and sentencepiece learn from the corpora of DATA_FOLDER, which are kept in FOLDER and used again;
and, on as many texts as --few says, a tokenizer of each other component of tokenizer.json and of each flag of an added
token.

The texts: lines of the corpora, prefixes and windows of them, several joined by spaces of all kinds, with doubled
spaces and special tokens in between; random strings; every code point between letters and between spaces, and, alone,
every assigned one. All are drawn from a fixed seed; FOLDER keeps them, too.

Which characters belong together where a table of replacements works on what a reader sees as one character depends on
the version of Unicode: the worker must be built with utf8proc 2.11 (Unicode 17), as the packages are. With utf8proc 2.8
(Unicode 14) two texts in a million differed in a kind with such a table, both with characters of Unicode 17.

A line for each kind goes to FOLDER/table.md as soon as it is known. It fails if anything differs. Needs numpy,
tokenizers, sentencepiece and tiktoken (checked with 0.23, 0.2.3 and 0.14), for which reason it is not part of the
tests. bench/compare/tokenization.py does the comparison itself.
"""

import argparse
import itertools
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench/compare"))

import numpy as np  # noqa: E402
import sentencepiece  # noqa: E402
import tiktoken  # noqa: E402
import tiktoken.load  # noqa: E402
from tiktoken_ext import openai_public  # noqa: E402
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,  # noqa: E402
                        processors, trainers)

from common import Worker  # noqa: E402
from make_sentencepiece import field, learned  # noqa: E402
from make_tokenizer_parts import (BYTES, all_tokenizers as tokenizers_of_parts, every_character,  # noqa: E402
                                  small_rules)
from make_tokenizers import EDGES, bert_model, byte_level, gpt2_model, wordpiece  # noqa: E402
from tokenization import (LONG, Differences, Package, compare, corpora, every_code_point, lines_of,  # noqa: E402
                          random_strings)

SPACES = ["", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u200d", "\u2028",
          "\u0085", "\u1680", "\x0b", "\x1c", "\x00", "▁", " ▁ "]
SPECIAL = ["<|endoftext|>", "<|endofprompt|>", "[MASK]", "[CLS]", "[SEP]", "[UNK]", "<s>", "</s>", "<unk>", "<mask>",
           "<pad>", "<0x41>", "<ctl>", "word", "cat", "ab", "Zürich", "ZÜRICH", "<|fim_prefix|>", "Straße", "naïve"]


# Texts ----------------------------------------------------------------------------------------------------------------


def all_lines(data):
    """Distinct lines of all corpora, and the words of the treebank."""
    found = dict.fromkeys(line for lines in corpora(data).values() for line in lines)
    for path in sorted((data / "multi30k/tok").glob("*.*")):
        found |= dict.fromkeys(lines_of(path))
    if (data / "tatoeba-cmn-eng/cmn.txt").is_file():
        found |= dict.fromkeys(line.split("\t")[0] for line in lines_of(data / "tatoeba-cmn-eng/cmn.txt"))
    for path in sorted((data / "gum").glob("*.trees")):
        for tree in lines_of(path):
            words = [part.rstrip(")") for part in tree.split() if part.endswith(")")]
            found |= dict.fromkeys([" ".join(words), *words])
    return list(found)


def single_code_points():
    """Each assigned one, and of the others one in 64."""
    points = (chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    return [c for c in points if unicodedata.category(c) not in ("Cn", "Co") or ord(c) % 64 == 1]


def made_of(lines, count):
    """Windows, prefixes and concatenations of lines, with more spaces and with special tokens."""
    rng = random.Random(31337)
    random_, below = rng.random, lambda n: int(rng.random() * n)
    texts = []
    for _ in range(count):
        line = lines[below(len(lines))]
        kind = random_()
        begin = below(len(line) + 1) if kind < 0.6 else 0
        text = line[begin:begin + 1 + below(40)]
        if kind < 0.45:
            other = lines[below(len(lines))]
            at = below(len(other) + 1)
            text += SPACES[below(len(SPACES))] + other[at:at + below(25)]
        elif kind < 0.5:
            text = text.replace(" ", SPACES[below(len(SPACES))])
        elif kind < 0.55:
            at = below(len(text) + 1)
            text = text[:at] + SPECIAL[below(len(SPECIAL))] + text[at:]
        elif kind < 0.6:
            at = below(len(text) + 1)
            text = SPACES[below(len(SPACES))] + text[:at] + SPACES[below(len(SPACES))] * 2 + text[at:].upper()
        texts.append(text)
    return texts


def all_texts(data, count):
    """At least `count` texts, of which every part is a sample."""
    lines = all_lines(data)
    texts = [*lines, *EDGES, *LONG, *every_code_point(), *single_code_points(), *random_strings(100000)]
    print(f"{len(texts)} lines, code points and random strings", file=sys.stderr)
    texts += made_of(lines, max(0, count - len(texts)))
    random.Random(99).shuffle(texts)
    return texts


# What the packages make of them ---------------------------------------------------------------------------------------


class SentencePiecePackage:
    """As tokenization.Package. A token of a byte has the place of its whole character, as in rapt; the package gives
    it to the last byte alone."""

    skips = (True,)

    def __init__(self, file):
        self.model = sentencepiece.SentencePieceProcessor(model_proto=file, num_threads=1)
        pieces = range(self.model.get_piece_size())
        self.bytes = [int(self.model.id_to_piece(i)[3:5], 16) if self.model.is_byte(i) else -1 for i in pieces]
        self.has_bytes = max(self.bytes) >= 0

    def encode(self, firsts, seconds, add_special):
        assert not seconds
        numbers, all_ids = [], []
        for found in self.model.encode(firsts, return_type="offset_mapping"):
            ids, spans = found["ids"], found["offsets"]
            if self.has_bytes:
                spans = list(spans)
                for i in range(len(ids) - 2, -1, -1):
                    if self.bytes[ids[i]] >= 0 and 0x80 <= self.bytes[ids[i + 1]] < 0xC0:
                        spans[i] = spans[i + 1]
            begins, ends = zip(*spans) if spans else ((), ())
            numbers.append(len(ids))
            numbers += ids
            numbers += begins
            numbers += ends
            numbers += [0] * len(ids)
            all_ids.append(ids)
        return np.array(numbers, dtype=np.int32), all_ids

    def decode(self, all_ids, skip_special):
        return self.model.decode(all_ids)


class RankPackage:
    """As tokenization.Package. The package says with which character a token begins."""

    skips = (False,)

    def __init__(self, path):
        ranks = tiktoken.load.load_tiktoken_bpe(str(path))
        found = {}
        loads, openai_public.load_tiktoken_bpe = openai_public.load_tiktoken_bpe, lambda *_, **__: ranks
        try:
            found = getattr(openai_public, path.stem)()
        finally:
            openai_public.load_tiktoken_bpe = loads
        self.encoding = tiktoken.Encoding(**found)
        # Tokens that begin within a character.
        self.within = {rank for token, rank in ranks.items() if 0x80 <= token[0] < 0xC0}

    def encode(self, firsts, seconds, add_special):
        assert not seconds
        numbers, all_ids = [], self.encoding.encode_batch(firsts, num_threads=1, allowed_special="all")
        for text, ids in zip(firsts, all_ids):
            begins = self.encoding.decode_with_offsets(ids)[1] if ids else []
            ends = [begin + (token in self.within) for begin, token in zip(begins[1:], ids[1:])]
            numbers.append(len(ids))
            numbers += ids
            numbers += begins
            numbers += ends
            numbers += [len(text)] if ids else []
            numbers += [0] * len(ids)
        return np.array(numbers, dtype=np.int32), all_ids

    def decode(self, all_ids, skip_special):
        return self.encoding.decode_batch(all_ids, num_threads=1)


# Kinds ----------------------------------------------------------------------------------------------------------------


def compiled_rules(name):
    """The rules of normalisation that sentencepiece has by this name."""
    model = learned(["a b c"] * 20, normalization_rule_name=name, vocab_size=8)
    return field(field(model, 3), 2)


def learned_byte_level(lines):
    tokenizer = byte_level(models.BPE())
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=8000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"],
        show_progress=False))
    return tokenizer


def learned_llama(lines):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=6000, limit_alphabet=1500, special_tokens=["<unk>", "<s>", "</s>", *BYTES], show_progress=False))
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = saved["added_tokens"][:3]  # the bytes are plain tokens
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def learned_unigram(lines):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(compiled_rules("nmt_nfkc")),
                                                 normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.UnigramTrainer(
        vocab_size=6000, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")])
    return tokenizer


def learned_wordpiece(lines):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=8000, special_tokens=special,
                                                                   show_progress=False))
    return wordpiece(tokenizer.model, lowercase=False)


def learned_word_level(lines):
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(),
                                                 normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(lines, trainers.WordLevelTrainer(
        vocab_size=20000, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    return tokenizer


LEARNED = {
    "byte-level BPE, learned": learned_byte_level,
    "BPE, Metaspace and byte fallback, learned": learned_llama,
    "Unigram, learned": learned_unigram,
    "WordPiece, learned": learned_wordpiece,
    "WordLevel, learned": learned_word_level,
}
SYMBOLS = ["<mask>", "Straße", "▁cat", "ing", "我"]
SENTENCEPIECE = {
    "SentencePiece unigram, nmt_nfkc": dict(model_type="unigram", normalization_rule_name="nmt_nfkc"),
    "SentencePiece BPE, nmt_nfkc": dict(model_type="bpe", normalization_rule_name="nmt_nfkc"),
    "SentencePiece unigram, identity, bytes, spaces kept": dict(
        model_type="unigram", normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False),
    "SentencePiece BPE, identity, bytes, spaces kept": dict(
        model_type="bpe", normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True),
    "SentencePiece unigram, nfkc_cf, symbols, suffix": dict(
        model_type="unigram", normalization_rule_name="nfkc_cf", user_defined_symbols=SYMBOLS,
        control_symbols=["<ctl>"], treat_whitespace_as_suffix=True),
    "SentencePiece BPE, nfkc_cf, symbols, bytes": dict(
        model_type="bpe", normalization_rule_name="nfkc_cf", user_defined_symbols=SYMBOLS, byte_fallback=True),
    "SentencePiece unigram, nmt_nfkc, bytes, symbols": dict(
        model_type="unigram", normalization_rule_name="nmt_nfkc", user_defined_symbols=SYMBOLS, byte_fallback=True),
    "SentencePiece BPE, nmt_nfkc_cf, suffix, across spaces": dict(
        model_type="bpe", normalization_rule_name="nmt_nfkc_cf", treat_whitespace_as_suffix=True,
        split_by_whitespace=False),
}


def with_flags():
    """Added tokens with each flag and all combinations of flags, of which normalising changes some."""
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    words = ["Zürich", "word", "ab", "cat", "[MASK]", "the", "Straße", "我", "é", "<mask>", "a b", "ing"]
    without_accents = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    for normalizer in (None, normalizers.Lowercase(), without_accents):
        for pre_tokenizer in (pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Whitespace()):
            tokenizer = Tokenizer(every_character())
            if normalizer is not None:
                tokenizer.normalizer = normalizer
            tokenizer.pre_tokenizer = pre_tokenizer
            rng = random.Random(5)
            for values in itertools.product((False, True), repeat=len(flags)):
                tokenizer.add_tokens([AddedToken(rng.choice(words) + rng.choice(["", "s", " ", "!"]),
                                                 **dict(zip(flags, values)))])
            tokenizer.add_tokens([AddedToken(word, lstrip=i % 2 == 0, rstrip=i % 3 == 0, single_word=i % 4 == 1,
                                             normalized=i % 3 > 0, special=i % 5 == 0) for i, word in enumerate(words)])
            yield (f"added tokens, {type(normalizer).__name__}, {type(pre_tokenizer).__name__}", tokenizer)


def more_parts():
    """Components that the golden file of the parts does not have, and the package's whole rules."""
    makes = {
        "scripts": (None, pre_tokenizers.UnicodeScripts(), decoders.Fuse()),
        "all rules of nmt_nfkc": (normalizers.Precompiled(compiled_rules("nmt_nfkc")), None, decoders.Fuse()),
        "all rules of nfkc_cf, Metaspace": (normalizers.Precompiled(compiled_rules("nfkc_cf")),
                                            pre_tokenizers.Metaspace(), decoders.Metaspace()),
        "small rules, BERT": (normalizers.Sequence([normalizers.BertNormalizer(),
                                                    normalizers.Precompiled(small_rules())]),
                              pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()),
        "CTC": (normalizers.Strip(), pre_tokenizers.WhitespaceSplit(), decoders.CTC("a", " ")),
        "strip, replace": (normalizers.Nmt(), pre_tokenizers.CharDelimiterSplit("我"),
                           decoders.Sequence([decoders.Strip("a", 2, 0), decoders.Replace(Regex("[b-d]+"), "<>"),
                                              decoders.ByteFallback(), decoders.BPEDecoder("e")])),
    }
    for name, (normalizer, pre_tokenizer, decoder) in makes.items():
        tokenizer = Tokenizer(every_character())
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if pre_tokenizer is not None:
            tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoder
        yield name, tokenizer


def kinds(settings):
    """(name, whether it gets many texts, a function that gives the package's side and makes rapt load the same)."""
    data, folder = settings.data, settings.folder

    def learned_lines():
        lines = all_lines(data)
        random.Random(3).shuffle(lines)
        return [line for line in lines if line.strip()][:20000]

    def of_tokenizer(make, path=None):
        def load(worker):
            if path is None:
                make().save(str(folder / "tokenizer.json"))
            worker.ask("load", path=str(path or folder / "tokenizer.json"))
            return Package(make() if path else Tokenizer.from_file(str(folder / "tokenizer.json")))
        return load

    def of_file(path):
        return of_tokenizer(lambda: Tokenizer.from_file(str(path)), path)

    def of_learned(name, learn):
        path = folder / f"{name}.json"

        def load(worker):
            if not path.is_file():
                learn(learned_lines()).save(str(path))
            return of_file(path)(worker)
        return load

    def of_sentencepiece(path):
        def load(worker):
            worker.ask("load", path=str(path))
            return SentencePiecePackage(path.read_bytes())
        return load

    def of_learned_sentencepiece(name, options):
        path = folder / f"{name}.spm"

        def load(worker):
            if not path.is_file():
                path.write_bytes(learned(
                    learned_lines()[:15000], **{"vocab_size": 4000, "character_coverage": 0.999, **options}))
            return of_sentencepiece(path)(worker)
        return load

    def of_ranks(path):
        def load(worker):
            worker.ask("load", path=str(path), encoding=path.stem)
            return RankPackage(path)
        return load

    gpt2, bert = data / "tokenizers/gpt2", data / "tokenizers/bert"
    if gpt2.is_dir():
        yield "GPT-2, its files", True, of_tokenizer(lambda: byte_level(gpt2_model(gpt2)), gpt2)
    if bert.is_dir():
        yield "BERT uncased, its files", True, of_tokenizer(lambda: wordpiece(bert_model(bert)), bert)
    for path in sorted(settings.ranks.glob("*.tiktoken")) if settings.ranks else ():
        yield f"{path.stem}, tiktoken", True, of_ranks(path)
    for name, path in settings.files:
        yield f"{name}, {path.name}", True, of_file(path) if path.suffix == ".json" else of_sentencepiece(path)
    for name, learn in LEARNED.items():
        yield name, True, of_learned(name, learn)
    for name, options in SENTENCEPIECE.items():
        yield name, True, of_learned_sentencepiece(name, options)
    if gpt2.is_dir():
        yield "GPT-2, tokenizer.json", False, of_tokenizer(lambda: byte_level(gpt2_model(gpt2)))
    if bert.is_dir():
        yield "BERT uncased, tokenizer.json", False, of_tokenizer(lambda: wordpiece(bert_model(bert)))
        yield "BERT cased, tokenizer.json", False, of_tokenizer(lambda: wordpiece(bert_model(bert), lowercase=False))
    for name, tokenizer in itertools.chain(with_flags(), more_parts(), tokenizers_of_parts()):
        yield f"part: {name}", False, of_tokenizer(lambda tokenizer=tokenizer: tokenizer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the table and for what the packages learn; is made if need be")
    parser.add_argument("--data", type=Path, required=True, help="folder of vocabularies and corpora")
    parser.add_argument("--ranks", type=Path, help="folder of cl100k_base.tiktoken and others of tiktoken's names")
    parser.add_argument("--files", nargs="*", default=[], metavar="NAME=FILE",
                        help="files tokenizer.json, and SentencePiece's with a name that ends with .spm")
    parser.add_argument("--texts", type=int, default=1000000, help="at least, of each kind (default: %(default)s)")
    parser.add_argument("--few", type=int, default=20000, help="of tokenizers of one component (default: %(default)s)")
    parser.add_argument("--only", nargs="*", default=[""], metavar="WORD", help="kinds whose names contain a word")
    parser.add_argument("--worker", type=Path, default=ROOT / "build/bench/tokenizer_worker",
                        help="rapt's program, built from bench/compare/tokenizer_worker.cpp (default: %(default)s)")
    settings = parser.parse_args()
    settings.files = [(name, Path(path)) for name, _, path in (one.partition("=") for one in settings.files)]
    settings.folder.mkdir(parents=True, exist_ok=True)
    if not settings.worker.is_file():
        parser.error(f"there is no {settings.worker}: build the target rapt_tokenizer_worker, or give --worker")
    path = settings.folder / f"texts of {settings.texts}.json"
    if not path.is_file():
        path.write_text(json.dumps(all_texts(settings.data, settings.texts)), encoding="utf-8")
    texts = json.loads(path.read_text(encoding="utf-8"))
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    total = 0
    with tempfile.TemporaryDirectory(dir=memory) as scratch, Worker([str(settings.worker)]) as worker, \
            open(settings.folder / "table.md", "a", encoding="utf-8") as table:
        for name, has_many, load in kinds(settings):
            if not any(word in name for word in settings.only):
                continue
            started = time.time()
            package = load(worker)
            count = len(texts) if has_many else settings.few
            differences = Differences()
            # Special tokens left out of decoded texts: of a fifth.
            compare(worker, Path(scratch), package, texts[:count // 5], differences)
            package.skips = package.skips[-1:]
            compare(worker, Path(scratch), package, texts[count // 5:count], differences)
            row = (f"| {name} | {differences.texts} | {differences.tokens} | {differences.ids} | "
                   f"{differences.places} | {differences.types} | {differences.decoded} |")
            print(row, f"{time.time() - started:.0f} s", flush=True)
            print(row, file=table, flush=True)
            for example in differences.examples:
                print(f"  {name}: {example}", flush=True)
            total += differences.total
    if total:
        sys.exit(f"NOT THE SAME: {total} differences")


if __name__ == "__main__":
    main()
