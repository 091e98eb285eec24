"""Writes tokenizers.json beside this script: texts, and how Hugging Face's tokenizers package cuts them.

    python make_tokenizers.py [DATA_FOLDER]            # needs tokenizers 0.23

The small vocabularies are learned here from generated text, so that the file holds all that a test needs. Of the real
vocabularies, which lie in DATA_FOLDER (tokenizers/gpt2 with vocab.json and merges.txt, tokenizers/bert with vocab.txt)
and may not be here, it holds the results alone; without DATA_FOLDER those of the file as it is are kept. The file:

    version      of the package
    texts        all texts
    sets         name
                 tokenizer   a whole tokenizer.json, or
                 folder      of DATA_FOLDER, and options: what differs from the default
                 texts       which of the texts, by number
                 ids         of each text, special tokens included
                 spans       of each text: begin and end of each token, in bytes; 0, 0 for special tokens around it
                 types       of each text that has any other than 0, by its place in the list: of each token
                 decoded     of each text, special tokens included; null if it is not the text's own UTF-8
                 pairs       the same four of each text with the one behind it in the list, for the first 12

bench/compare/tokenization.py takes the texts and the tokenizers from here, too.
"""

import collections
import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")

EDGES = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", " a", "a ", "  a  b  ", "a\n\nb", "a \n b", "\n\n\n", " \n ", "a\u00a0b",
    "\u3000", "don't we'll they've I'm he'd you're it's", "DON'T WE'LL THEY'VE I'M HE'D YOU'RE IT'S",
    "'s's 's ' s 'S 'ſ 'ſa", "''ll'lll", "x'", "'", "''", "12345678 1,234.5 ½ ² ① Ⅷ ٣٤٥", "a1b2", "!?!... --- ::",
    " !a !1 ! ", "(word) [x] {y} #tag @me $5 50%", "<|endoftext|>", "a<|endoftext|>b",
    "a <|endoftext|> b<|endoftext|><|endoftext|>", "<|endoftext", "<<|endoftext|>", "<|begin_of_text|>hi<|eot_id|>",
    "[MASK]", "a[MASK]b", "[mask] [Mask] [MASK", "[[MASK]]", "[CLS] a [SEP] b [PAD][UNK]",
    "fill  <mask>  here <mask>", "das Häuschen, die Häuschens", "the cat  sat; the catnap",
    "in Zürich, ZÜRICH, Zu\u0308rich", "newwords NEWWORD RAW raw", "two  two words\n two words",
    "café cafe\u0301 ÄÖÜ ßẞ ŒÆ İıIi ŞŠ Ǆ", "e\u0301\u0323 e\u0323\u0301 \u0344 \u0f73\u0f71", "ΣΑΣ ΟΔΥΣΣΕΥΣ ΆΈ",
    "Привет, мир! ёЁ й", "我爱北京天安门。你好，世界！", "中文English混合123文字", "漢字かなカナ ｶﾞ が ガ", "한국어 각각", "नमस्ते दुनिया क्षि",
    "สวัสดีชาวโลก", "שָׁלוֹם", "مَرْحَبًا ٣٫٥", "豈更車 \U0002f800", "👍🏽 👩‍👩‍👧 🇩🇪 ☀️ 1️⃣ 😀😀", "\U0001f600a\U0001f600 1",
    "\x00a\x01\x7f\x1f\x0b\x0c\x85b\x9f", "a\u200bb\u200db\u2060\ufeff", "\u00ad\ufffd\ue000",
    "≠≮ \u037e \u212a\u2126 \u1fef", "\u2028a\u2029b\u0085c", "\u1680\u2000\u200a\u202f\u205f",
    "\x1c\x1d\x1e\x1f a\x1cb", "a" * 100, "a" * 101, "ä" * 100, "é" * 101, " " * 40, "ab" * 60, "\u0301", "\u0301a",
    "a\u0301\u0301\u0301b", "\u302e\x1f\u0327 \u0327\x08\u1b44 \u302e\u0327\u1b44",
    "\U0001d15e\U0001d165\U0001d16d \U0001d160", "unaffable unwanted runningly", "http://a.b/c?d=e&f=g",
    "snake_case camelCase x+=1;\n\tif (a<b) {\n\t\treturn;\n\t}\n", "…—–“”‘’«»„", "100€ £5 ¥7 ₿",
    "\u0378\u0380\U000e0000\U0010ffff", "a\u0378b", "\u061d\u2e52 \U00011c30",
    "\u1c89 \ua7cb \ua7dc \U00010d50 \U00016ea0", "do not cry , we ' ve won ! it ' s n't .",
]


# Tokenizers -----------------------------------------------------------------------------------------------------------


def byte_level(model, prefix=False, trim=False):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def llama3(model):
    """Llama 3's components around another vocabulary."""
    saved = json.loads(Tokenizer(model).to_str())["model"]
    model = models.BPE(vocab=saved["vocab"], merges=[tuple(merge) for merge in saved["merges"]], ignore_merges=True)
    tokenizer = byte_level(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|begin_of_text|> $A",
            pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])])
    return tokenizer


def roberta(model):
    """RoBERTa's: added tokens that strip, trimmed places, another template, and truncation."""
    tokenizer = byte_level(model, prefix=True)
    tokenizer.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True, rstrip=False)])
    tokenizer.add_tokens(["Häuschen", AddedToken("the cat", rstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), trim_offsets=True,
        add_prefix_space=True)
    tokenizer.enable_truncation(60)
    return tokenizer


def wordpiece(model, **normalizer):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(**normalizer)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", model.token_to_id("[SEP]")),
                                                         ("[CLS]", model.token_to_id("[CLS]")))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"])
    return tokenizer


def added_wordpiece(model):
    """With tokens that are looked for in the normalised text, and truncation."""
    tokenizer = wordpiece(model)
    tokenizer.add_tokens(["Zürich", "newword", AddedToken("two words", lstrip=True),
                          AddedToken("RAW", normalized=False)])
    tokenizer.enable_truncation(24)
    return tokenizer


BYTE_LEVEL = {
    "as GPT-2": byte_level,
    "prefix space, trimmed": lambda model: byte_level(model, prefix=True, trim=True),
    "RoBERTa's components": roberta,
    "Llama 3's components": llama3,
}
WORDPIECE = {
    "uncased": wordpiece,
    "cased": lambda model: wordpiece(model, lowercase=False),
    "lower case with accents": lambda model: wordpiece(model, strip_accents=False),
    "not cleaned": lambda model: wordpiece(model, clean_text=False, handle_chinese_chars=False),
    "added tokens": added_wordpiece,
}


def gpt2_model(folder):
    return models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))


def bert_model(folder):
    return models.WordPiece(models.WordPiece.read_file(str(folder / "vocab.txt")), unk_token="[UNK]")


# Small vocabularies ---------------------------------------------------------------------------------------------------

WORDS = ("the a small old cats cat sat on mats runs running runner walked walking unwanted don't it's we'll they've "
         "I'm Das das Häuschen größer Straße über schöne Zürich café naïve élève были дом дома старый мир привет ЁЛКА "
         "我 爱 北京 世界 你好 文字 中文 漢字 かな カナ 한국어 각 नमस्ते 😀 👍 1 12 123 2026 3,5 word words two new return if x"
         ).split(" ")


def generated_lines():
    rng = random.Random(20190214)
    weights = [1 / (1 + i % 17) for i in range(len(WORDS))]
    return [rng.choice(["", " "]) + " ".join(rng.choices(WORDS, weights, k=rng.randint(2, 12))) + rng.choice(".!?;,\n")
            for _ in range(400)]


def small_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(generated_lines(), trainer)
    return tokenizer.model


def small_wordpiece():
    """The characters, and the most frequent beginnings and endings of words. (The package's trainer breaks ties anew in
    each run.)"""
    counts = collections.Counter()
    for line in generated_lines():
        for text in (line, line.lower()):
            for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text):
                for i in range(1, len(word)):
                    counts.update([word[:i + 1], "##" + word[i:]])
    characters = sorted(set("".join(WORDS)) | set("".join(WORDS).lower()) | set(".!?;,'"))
    pieces = [piece for piece, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *("##" + c for c in characters), *pieces]
    return models.WordPiece({token: i for i, token in enumerate(dict.fromkeys(tokens[:500]))}, unk_token="[UNK]")


# Results --------------------------------------------------------------------------------------------------------------


def byte_spans(encoding, texts):
    spans = []
    for (begin, end), which in zip(encoding.offsets, encoding.sequence_ids):
        text = "" if which is None else texts[which]
        spans += [len(text[:begin].encode()), len(text[:end].encode())]
    return spans


def results(tokenizer, inputs):
    out = {"ids": [], "spans": [], "types": {}, "decoded": []}
    for i, texts in enumerate(inputs):
        encoding = tokenizer.encode(*texts)
        out["ids"].append(encoding.ids)
        out["spans"].append(byte_spans(encoding, texts))
        if any(encoding.type_ids):
            out["types"][str(i)] = encoding.type_ids
        decoded = tokenizer.decode(encoding.ids, skip_special_tokens=False)
        out["decoded"].append(None if "\ufffd" in decoded else decoded)
    return out


def make_set(name, source, tokenizer, chosen):
    texts = [EDGES[i] for i in chosen]
    return {"name": name, **source, "texts": chosen, **results(tokenizer, [(text,) for text in texts]),
            "pairs": results(tokenizer, list(zip(texts, texts[1:]))[:12])}


def main():
    path = pathlib.Path(__file__).with_name("tokenizers.json")
    everything = list(range(len(EDGES)))
    some = everything[::2]
    sets = []
    small = {"byte-level": (small_bpe, BYTE_LEVEL), "WordPiece": (small_wordpiece, WORDPIECE)}
    for kind, (model, variants) in small.items():
        for i, (name, make) in enumerate(variants.items()):
            # A model of its own for each: adding tokens changes nothing of another's.
            tokenizer = make(model())
            sets.append(make_set(f"small {kind}, {name}", {"tokenizer": json.loads(tokenizer.to_str())}, tokenizer,
                                 everything if i == 0 else everything[i % 3::3]))
    if len(sys.argv) > 1:
        data = pathlib.Path(sys.argv[1]) / "tokenizers"
        sets.append(make_set("GPT-2", {"folder": "tokenizers/gpt2", "options": {}},
                             byte_level(gpt2_model(data / "gpt2")), everything))
        bert = bert_model(data / "bert")
        sets.append(make_set("BERT uncased", {"folder": "tokenizers/bert", "options": {}}, wordpiece(bert), everything))
        sets.append(make_set("BERT cased", {"folder": "tokenizers/bert", "options": {"lowercase": False}},
                             wordpiece(bert, lowercase=False), some))
    else:
        sets += [one for one in json.loads(path.read_text(encoding="utf-8"))["sets"] if "folder" in one]
    golden = {"version": tokenizers.__version__, "texts": EDGES, "sets": sets}
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(sets)} sets, {len(EDGES)} texts, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
