"""Writes tokenizer_parts.json beside this script: tokenizers of each component that a tokenizer.json can have, and how
Hugging Face's tokenizers package cuts texts with them.

    python make_tokenizer_parts.py            # needs tokenizers 0.23 and sentencepiece

The file has the form of tokenizers.json (make_tokenizers.py), with `tokenizer` in each set, whose model is a number in the
list `models`. Most sets have a third of the texts.

bench/compare/tokenization.py takes the tokenizers from here, too.
"""

import collections
import io
import json
import math
import pathlib
import tempfile

import sentencepiece
import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors)

from make_tokenizers import EDGES, WORDS, generated_lines, results, small_bpe, small_wordpiece

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
            r"\s*[\r\n]+|\s+(?!\S)|\s+")
CHARACTERS = sorted(set("".join(WORDS)) | set(".!?;,'\n ▁_-0123456789äöüÄÖÜ"))


def learned_merges(symbols_of, count):
    """Merges of the most frequent pairs, the first in order of several; `symbols_of` gives the words of a line."""
    words = [list(word) for line in generated_lines()[:200] for word in symbols_of(line)]
    merges, names = [], set()
    while len(merges) < count:
        pairs = {}
        for word in words:
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = max(sorted(pairs), key=pairs.get)
        merges.append(best)
        for i, word in enumerate(words):
            joined = []
            for symbol in word:
                if joined and (joined[-1], symbol) == best:
                    joined[-1] += symbol
                else:
                    joined.append(symbol)
            words[i] = joined
    return merges


def bpe(symbols_of, characters, special=("<unk>",), extra=(), join=lambda a, b: a + b, **options):
    merges = learned_merges(symbols_of, 120)
    names = dict.fromkeys([*special, *extra, *characters])
    names.update(dict.fromkeys(join(a, b) for a, b in merges))
    return models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges, unk_token=special[0], **options)


def metaspace_words(line):
    return [("▁" + word) for word in line.split()]


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def suffix_bpe(**options):
    """As GPT-1: words end with </w>."""
    merges = learned_merges(lambda line: [[*word[:-1], word[-1] + "</w>"] for word in line.split()], 120)
    names = dict.fromkeys(["<unk>", *CHARACTERS, *(c + "</w>" for c in CHARACTERS), *(a + b for a, b in merges)])
    return models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges, unk_token="<unk>",
                      end_of_word_suffix="</w>", **options)


def prefix_bpe(**options):
    """With ## before what continues a word."""
    merges = learned_merges(lambda line: [[word[0], *("##" + c for c in word[1:])] for word in line.split()], 0)
    merges = [("t", "##h"), ("th", "##e"), ("##a", "##t"), ("c", "##at"), ("##u", "##n"), ("##n", "##i"), ("r", "##un")]
    joined = [a + b[2:] for a, b in merges]
    names = dict.fromkeys(["<unk>", *CHARACTERS, *("##" + c for c in CHARACTERS), *joined])
    return models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges, unk_token="<unk>",
                      continuing_subword_prefix="##", **options)


def llama_bpe(**options):
    return bpe(metaspace_words, CHARACTERS, ("<unk>", "<s>", "</s>"), BYTES, byte_fallback=True, fuse_unk=True, **options)


def word_level():
    words = dict.fromkeys(["<unk>", *WORDS, *(word.lower() for word in WORDS), *"▁.,!?-12", "▁the", "▁a", "▁b", "a", "b"])
    return models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>")


def unigram(**options):
    """The characters, and the words' beginnings and endings, by their frequency."""
    counts = collections.Counter()
    for line in generated_lines():
        for word in metaspace_words(line):
            counts.update(word[i:k] for i in range(len(word)) for k in range(i + 1, min(i + 6, len(word)) + 1))
    counts = {piece: count for piece, count in counts.items() if len(piece) == 1 or count > 30}
    total = sum(counts.values())
    pieces = sorted(counts, key=lambda piece: (-counts[piece], piece))[:400]
    special = [("<unk>", 0.0), *((byte, 0.0) for byte in BYTES if options.get("byte_fallback"))]
    return models.Unigram(special + [(piece, math.log(counts[piece] / total)) for piece in pieces], 0, **options)


def small_rules():
    """Rules of normalisation, compiled by sentencepiece."""
    rules = {"½": "1⁄2", "ﬁ": "fi", "…": "...", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": "", "ガ": "が",
             "e\u0301": "é", "é": "e", "ab": "ba", "A": "a", "㍿": "株式会社", "👍": "+1", "ä": "ae"}
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
        for old, new in rules.items():
            file.write(f"{' '.join(f'{ord(c):X}' for c in old)}\t{' '.join(f'{ord(c):X}' for c in new)}\n")
        file.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(generated_lines()), model_writer=model, vocab_size=150, hard_vocab_limit=False,
            normalization_rule_tsv=file.name, minloglevel=2)
    normalizer = dict(fields(model.getvalue()))[3]
    return dict(fields(normalizer))[2]


def fields(message):
    """The fields of a protobuf message: their numbers and values."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key % 8 == 0:
            yield key // 8, number()
        else:
            length = {1: 8, 5: 4}.get(key % 8) or number()
            yield key // 8, message[at:at + length]
            at += length


def every_character():
    """The characters of the texts, so that no word is unknown."""
    characters = sorted(set("".join(EDGES)) | {chr(c) for c in range(256)} | set("▁Ġ") |
                        {chr(c) for c in range(0x100, 0x144)})
    return models.BPE(vocab={c: i for i, c in enumerate(["<unk>", *characters])}, merges=[], unk_token="<unk>")


def make(model, normalizer=None, pre_tokenizer=None, decoder=None, post_processor=None, added=()):
    tokenizer = Tokenizer(model)
    for name, part in (("normalizer", normalizer), ("pre_tokenizer", pre_tokenizer), ("decoder", decoder),
                       ("post_processor", post_processor)):
        if part is not None:
            setattr(tokenizer, name, part)
    if added:
        tokenizer.add_tokens(list(added))
    return tokenizer


def llama():
    tokenizer = make(llama_bpe(), normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                     decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                                decoders.Strip(" ", 1, 0)]))
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1",
                                                             special_tokens=[("<s>", 1)])
    return tokenizer


def truncated(direction, strategy="longest_first"):
    tokenizer = make(word_level(), pre_tokenizer=pre_tokenizers.Whitespace())
    tokenizer.enable_truncation(5 if strategy == "longest_first" else 60, direction=direction, strategy=strategy)
    return tokenizer


def byte_level_steps(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def split(pattern, behavior, invert=False):
    """Pieces are unknown words, whose places tell where the text was split."""
    return make(word_level(), pre_tokenizer=pre_tokenizers.Split(pattern, behavior, invert))


NORMALIZERS = {
    "precompiled": normalizers.Sequence([normalizers.Precompiled(small_rules()), normalizers.NFC()]),
    "NFC": normalizers.NFC(), "NFD": normalizers.NFD(), "NFKC": normalizers.NFKC(), "NFKD": normalizers.NFKD(),
    "lower case": normalizers.Lowercase(), "strip": normalizers.Strip(), "strip left": normalizers.Strip(right=False),
    "strip right": normalizers.Strip(left=False), "NMT": normalizers.Nmt(), "byte level": normalizers.ByteLevel(),
    "strip accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]),
    "replace": normalizers.Sequence([normalizers.Replace("a", "bcd"), normalizers.Replace("b", ""),
                                     normalizers.Replace(Regex(r"\s+"), " ")]),
    "prepend": normalizers.Sequence([normalizers.Prepend("▁é"), normalizers.NFD(), normalizers.Replace("e", "ee")]),
    "BERT": normalizers.Sequence([normalizers.BertNormalizer(strip_accents=False), normalizers.NFC()]),
}
PRE_TOKENIZERS = {
    "white space": pre_tokenizers.WhitespaceSplit(), "words": pre_tokenizers.Whitespace(),
    "BERT": pre_tokenizers.BertPreTokenizer(), "digits": pre_tokenizers.Digits(),
    "single digits": pre_tokenizers.Digits(individual_digits=True), "delimiter": pre_tokenizers.CharDelimiterSplit("a"),
    "fixed length": pre_tokenizers.FixedLength(3), "byte level": pre_tokenizers.ByteLevel(),
    "Metaspace": pre_tokenizers.Metaspace(), "Metaspace, first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "Metaspace, never": pre_tokenizers.Metaspace("_", prepend_scheme="never"),
    "Metaspace, whole": pre_tokenizers.Metaspace(split=False),
    "sequence": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(),
                                         pre_tokenizers.Metaspace(prepend_scheme="first"),
                                         pre_tokenizers.Punctuation("merged_with_previous")]),
    **{f"punctuation, {behavior}": pre_tokenizers.Punctuation(behavior)
       for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")},
}
SPLITS = {
    "Qwen 2's pattern": (Regex(QWEN2), "isolated"), "GPT-4o's pattern": (Regex(O200K), "isolated"),
    "DeepSeek's pattern": (Regex(DEEPSEEK), "isolated"), "a string": ("a", "removed"), "the empty string": ("", "isolated"),
    "not spaces": (Regex(r"\S+"), "removed", True), "words or spaces": (Regex(r"\w+|\s+"), "contiguous"),
    "merged": (Regex(r"[\p{P}\p{S}]"), "merged_with_previous"), "merged, next": (Regex(r"\p{Lu}"), "merged_with_next"),
    "merged, inverted": (Regex(r"[^\W\d]{1,2}+"), "merged_with_next", True),
    "sets": (Regex(r"[\p{L}&&[^a-e\p{Han}]]+|[[:space:][:punct:]]|\h+"), "isolated"),
    "lines": (Regex(r"^.$|\b(?m:a.)\b|(?<=[ab])\s|\R"), "isolated"), "nothing": (Regex(r"x*"), "contiguous"),
}
POST_PROCESSORS = {
    "trimmed": processors.ByteLevel(trim_offsets=True, add_prefix_space=True),
    "trimmed twice": processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False),
                                          processors.ByteLevel(trim_offsets=True, add_prefix_space=True)]),
    "RoBERTa": processors.RobertaProcessing(("b", small_bpe().token_to_id("b")), ("a", small_bpe().token_to_id("a"))),
}
ADDED = [AddedToken("word", single_word=True), AddedToken("Zürich", normalized=True), AddedToken("cat", lstrip=True, rstrip=True),
         AddedToken("<|endoftext|>", special=True, normalized=False), AddedToken("ab", single_word=True, normalized=False)]


def all_tokenizers():
    yield "LLaMA's components", llama()
    yield "SentencePiece's BPE, Metaspace", make(llama_bpe(), pre_tokenizer=pre_tokenizers.Metaspace(),
                                                  decoder=decoders.Metaspace())
    yield "T5's components", make(unigram(), normalizers.Precompiled(small_rules()), pre_tokenizers.Metaspace(),
                                  decoders.Metaspace(), added=ADDED)
    yield "Unigram, byte fallback", make(unigram(byte_fallback=True), normalizers.Replace(" ", "▁"), None,
                                         decoders.Sequence([decoders.ByteFallback(), decoders.Replace("▁", " ")]))
    yield "BPE of words", make(bpe(str.split, CHARACTERS), normalizers.NFC(), pre_tokenizers.Whitespace(),
                               decoders.Fuse())
    yield "BPE, fused unknown", make(bpe(str.split, CHARACTERS, fuse_unk=True), None, pre_tokenizers.WhitespaceSplit())
    yield "BPE, ignoring merges", make(bpe(str.split, CHARACTERS, ignore_merges=True), None, pre_tokenizers.Whitespace())
    yield "BPE with a suffix", make(suffix_bpe(), normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer(),
                                    decoders.BPEDecoder("</w>"))
    yield "BPE with a prefix", make(prefix_bpe(), None, pre_tokenizers.Whitespace(), decoders.WordPiece("##", True))
    yield "WordLevel", make(word_level(), normalizers.Lowercase(), pre_tokenizers.Whitespace(), added=ADDED)
    yield "WordLevel, CTC", make(word_level(), None, pre_tokenizers.Whitespace(), decoders.CTC("a", "▁"))
    yield "WordPiece of bytes", make(small_wordpiece(), normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
                                     pre_tokenizers.Whitespace(), decoders.WordPiece("##", False), added=ADDED)
    yield "byte-level, no decoder", make(small_bpe(), normalizers.NFC(), pre_tokenizers.ByteLevel(), None, processors.ByteLevel(trim_offsets=True))
    for name, pattern in (("Qwen 2", QWEN2), ("GPT-4o", O200K), ("DeepSeek", DEEPSEEK)):
        yield f"byte-level, {name}", make(small_bpe(), normalizers.NFC(), byte_level_steps(pattern), decoders.ByteLevel(),
                                          added=ADDED)
    for name, normalizer in NORMALIZERS.items():
        yield f"normalizer: {name}", make(every_character(), normalizer, added=ADDED)
    for name, pre_tokenizer in PRE_TOKENIZERS.items():
        yield f"pre-tokenizer: {name}", make(bpe(metaspace_words, CHARACTERS), normalizers.Strip(), pre_tokenizer,
                                             added=ADDED[:1])
    for name, arguments in SPLITS.items():
        yield f"split: {name}", split(*arguments)
    for name, post_processor in POST_PROCESSORS.items():
        yield f"post-processor: {name}", make(small_bpe(), None, pre_tokenizers.ByteLevel(), decoders.Fuse(), post_processor,
                                              added=ADDED)
    yield "truncated left", truncated("left")
    yield "truncated right", truncated("right")
    yield "truncated, only first", truncated("right", "only_first")


def main():
    path = pathlib.Path(__file__).with_name("tokenizer_parts.json")
    sets, shared = [], []
    for i, (name, tokenizer) in enumerate(all_tokenizers()):
        chosen = list(range(len(EDGES))) if i < 4 else list(range(i % 3, len(EDGES), 3))
        texts = [EDGES[k] for k in chosen]
        saved = json.loads(tokenizer.to_str())
        if saved["model"] not in shared:
            shared.append(saved["model"])
        saved["model"] = shared.index(saved["model"])
        sets.append({"name": name, "tokenizer": saved, "texts": chosen,
                     **results(tokenizer, [(text,) for text in texts]),
                     "pairs": results(tokenizer, list(zip(texts, texts[1:]))[:6])})
    golden = {"version": tokenizers.__version__, "texts": EDGES, "models": shared, "sets": sets}
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(sets)} sets, {len(EDGES)} texts, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
