"""Writes sentencepiece.json beside this script: small models, and how the sentencepiece package cuts texts with them.

    python make_sentencepiece.py            # needs sentencepiece 0.2.3

The models are learned here from generated text. Of the package's rules of normalisation, which are 240 KB each, a model
has those whose characters occur in the texts. The file:

    version      of the package
    texts        all texts
    sets         name
                 model       the model's file in base64
                 texts       which of the texts, by number
                 ids         of each text
                 spans       of each text: begin and end of each token, in bytes
                 decoded     of each text
                 best        of unigram models, for some texts by number: the ids of the 5 best segmentations

A token of a byte has the place of its whole character, as in rapt. (The package gives it to the last byte alone.)
"""

import base64
import io
import json
import pathlib
import random
import struct
import tempfile

import sentencepiece

from make_tokenizers import EDGES, generated_lines

TEXTS = EDGES + [
    "▁", "▁▁a▁b▁", " ▁ a", "the cat sat <mask>on<mask> mats", "KATZE katze Katze<ctl>", "<s>a</s><unk><0x41>", "a  b   c    ",
    "日本語 unknown 日本 x 語", "㍿ ㌔ ℃ ﷺ ½ ﬁnd", "A\u030a Å Å", "\t tabs\t\tand\tmore\t", "ffi ﬃ ſt", "…", "～ｱ",
    "the the the runs running runner walked walking",
]


def rules(name):
    """The rules of the package: from characters to characters."""
    model = learned(["a b c"] * 20, normalization_rule_name=name, vocab_size=8)
    charsmap = field(field(model, 3), 2)
    size, = struct.unpack("<I", charsmap[:4])
    units, texts = struct.unpack(f"<{size // 4}I", charsmap[4:4 + size]), charsmap[4 + size:]
    found = {}

    def offset(unit):
        return (unit >> 10) << (8 if unit & 0x200 else 0)

    def walk(at, key):
        if key and units[at] & 0x100:
            begin = units[at ^ offset(units[at])] & 0x7FFFFFFF
            found[key.decode()] = texts[begin:texts.index(b"\0", begin)].decode()
        base = at ^ offset(units[at])
        for byte in range(1, 256):
            if units[base ^ byte] & 0x800000FF == byte:
                walk(base ^ byte, key + bytes([byte]))

    walk(0, b"")
    return found


def field(message, wanted):
    """A field of bytes of a protobuf message."""
    at = 0

    def varint():
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
        key = varint()
        if key & 7 == 2:
            size = varint()
            if key >> 3 == wanted:
                return message[at:at + size]
            at += size
        elif key & 7 == 5:
            at += 4
        else:
            varint()
    raise KeyError(wanted)


def learned(lines, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2,
                                             num_threads=1, hard_vocab_limit=False, **options)
    return model.getvalue()


def small(rule=None, **options):
    """A model that has of the rule what the texts need. A rule of two names is for decoded text, too."""
    lines = [line.strip() for line in generated_lines()]
    with tempfile.TemporaryDirectory() as folder:
        for key, name in (("normalization_rule_tsv", rule), ("denormalization_rule_tsv", options.pop("denormal", None))):
            if name is None:
                continue
            characters = set("".join(TEXTS))
            chosen = [(a, b) for a, b in sorted(rules(name).items()) if set(a) <= characters]
            path = pathlib.Path(folder) / key
            path.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n"
                                    for a, b in chosen), encoding="utf-8")
            options[key] = str(path)
        if rule is None:
            options["normalization_rule_name"] = "identity"
        return learned(lines, **{"vocab_size": 300, "character_coverage": 0.995, **options})


SETS = {
    "unigram": lambda: small("nmt_nfkc"),
    "unigram, bytes, identity": lambda: small(byte_fallback=True, vocab_size=500, remove_extra_whitespaces=False),
    "unigram, NFKC, symbols": lambda: small("nfkc", user_defined_symbols=["<mask>", "the cat", "▁x", "atz"],
                                            control_symbols=["<ctl>"], pad_id=3, unk_surface="?"),
    "unigram, case folded, suffix": lambda: small("nmt_nfkc_cf", treat_whitespace_as_suffix=True),
    "unigram, without prefix, across spaces": lambda: small("nfkc_cf", add_dummy_prefix=False, split_by_whitespace=False),
    "unigram, spaces kept": lambda: small("nfkc", remove_extra_whitespaces=False, denormal="nfkc_cf"),
    "BPE": lambda: small("nmt_nfkc", model_type="bpe"),
    "BPE, bytes, identity, spaces kept": lambda: small(model_type="bpe", byte_fallback=True, vocab_size=520,
                                                       remove_extra_whitespaces=False,
                                                       allow_whitespace_only_pieces=True),
    "BPE, symbols, suffix": lambda: small("nfkc", model_type="bpe", treat_whitespace_as_suffix=True,
                                          user_defined_symbols=["<mask>", "the cat", "atz", "s"]),
    "BPE, across spaces": lambda: small("nmt_nfkc_cf", model_type="bpe", split_by_whitespace=False),
    "characters": lambda: small("nmt_nfkc", model_type="char", vocab_size=60),
    "words": lambda: small("nmt_nfkc", model_type="word", vocab_size=60),
}


def encoded(model, text):
    found = model.encode(text, return_type="offset_mapping", return_bytes=True)
    ids, spans = found["ids"], found["offsets"]
    bytes_of = [int(model.id_to_piece(i)[3:5], 16) if model.is_byte(i) else -1 for i in ids]
    for i in range(len(ids) - 2, -1, -1):
        if bytes_of[i] >= 0 and 0x80 <= bytes_of[i + 1] < 0xC0:
            spans[i] = spans[i + 1]
    return ids, [place for span in spans for place in span]


def main():
    path = pathlib.Path(__file__).with_name("sentencepiece.json")
    sets = []
    for number, (name, make) in enumerate(SETS.items()):
        file = make()
        model = sentencepiece.SentencePieceProcessor(model_proto=file)
        chosen = list(range(len(TEXTS))) if number in (0, 1, 6, 7) else list(range(number % 3, len(EDGES), 3)) + list(
            range(len(EDGES), len(TEXTS)))
        one = {"name": name, "model": base64.b64encode(file).decode(), "texts": chosen, "ids": [], "spans": [],
               "decoded": []}
        for i in chosen:
            ids, spans = encoded(model, TEXTS[i])
            one["ids"].append(ids)
            one["spans"].append(spans)
            one["decoded"].append(model.decode(ids) if ids else "")
        if name.startswith("unigram"):
            one["best"] = {}
            for i in chosen[-15:]:
                if not one["ids"][chosen.index(i)]:
                    continue
                lists = model.nbest_encode(TEXTS[i], nbest_size=5, return_type=int)
                one["best"][str(i)] = lists
        sets.append(one)
        print(name, model.get_piece_size(), len(file))
    golden = {"version": sentencepiece.__version__, "texts": TEXTS, "sets": sets}
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(sets)} sets, {len(TEXTS)} texts, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
