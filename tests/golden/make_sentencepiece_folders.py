"""Writes sentencepiece_folders.json beside this script: small folders with SentencePiece's files, and what comes of
texts with them.

    python make_sentencepiece_folders.py            # needs transformers 5.24, sentencepiece 0.2.3

    folders      name: files (name: text, or {"base64": ...})
    texts        all texts
    marian       ids          of each text, by MarianTokenizer
                 target_ids   of each text as a target
                 decoded      of the target ids, without special tokens
                 greedy, beam what MarianMTModel makes of some texts: the texts that the tokens decode to
                 translated   which texts, by number
    t5, llama    ids of each text, by the sentencepiece package with what the published tokenizers add: see `t5_ids`
"""

import base64
import json
import pathlib
import tempfile

import sentencepiece
import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

from make_sentencepiece import learned
from make_tokenizers import EDGES, generated_lines

TEXTS = EDGES[::3] + [
    ">>de<< the cat", ">>xx<< the cat", " >>de<< the cat", "the >>de<< cat", ">>de the", "the cat</s> sat <unk> on <pad>mats",
    "</s>", "<extra_id_0> the <extra_id_99>cat<extra_id_1>", "das Häuschen x", "the small cats, 我 爱 北京.", "日本",
]
WORDS = 140


def files_of(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).iterdir()):
        data = path.read_bytes()
        found[path.name] = (data.decode() if path.suffix == ".json" else {"base64": base64.b64encode(data).decode()})
    return found


def marian(folder):
    lines = [line.strip() for line in generated_lines()]
    source = learned(lines[:200], vocab_size=WORDS, character_coverage=0.98)
    target = learned(lines[200:], vocab_size=WORDS, character_coverage=0.98, model_type="bpe")
    (folder / "source.spm").write_bytes(without_map(source))
    (folder / "target.spm").write_bytes(without_map(target))
    pieces = []
    for file in (source, target):
        model = sentencepiece.SentencePieceProcessor(model_proto=file)
        pieces += [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    pieces = [piece for i, piece in enumerate(dict.fromkeys(pieces)) if i % 17 != 5]
    names = ["</s>", "<unk>", *pieces, "日本", ">>de<<", ">>fr<<", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"source_lang": "en", "target_lang": "de", "tokenizer_class": "MarianTokenizer", "model_max_length": 512}))
    config = MarianConfig(vocab_size=len(names), d_model=16, encoder_layers=1, decoder_layers=1,
                          encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
                          max_position_embeddings=64, eos_token_id=0, forced_eos_token_id=None,
                          pad_token_id=len(names) - 1, decoder_start_token_id=len(names) - 1, scale_embedding=True)
    torch.manual_seed(7)
    model = MarianMTModel(config)
    tokenizer = MarianTokenizer.from_pretrained(folder)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(250):  # the first words in reverse order: enough for translations to differ
        batch = [" ".join(line.split()[:5]) for line in lines[step % 20 * 20:][:20]]
        sources = tokenizer(batch, return_tensors="pt", padding=True)
        labels = tokenizer(text_target=[" ".join(reversed(line.split())) for line in batch], return_tensors="pt",
                           padding=True).input_ids
        labels[labels == config.pad_token_id] = -100
        optimizer.zero_grad()
        model(**sources, labels=labels).loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        model.final_logits_bias[0, -1] = -60
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()

    out = {"ids": [], "target_ids": [], "decoded": [], "greedy": [], "beam": [], "translated": []}
    for number, text in enumerate(TEXTS):
        out["ids"].append(tokenizer(text).input_ids)
        out["target_ids"].append(tokenizer(text_target=text).input_ids)
        out["decoded"].append(tokenizer.decode(out["target_ids"][-1], skip_special_tokens=True))
        if (number % 3 != 0 and number < 30) or not text.strip() or len(out["ids"][-1]) > 60:
            continue
        out["translated"].append(number)
        for name, search in (("greedy", {"num_beams": 1}),
                             ("beam", {"num_beams": 4, "length_penalty": 0.8, "early_stopping": "never"})):
            generation = GenerationConfig(do_sample=False, max_new_tokens=12, bad_words_ids=[[config.pad_token_id]],
                                          decoder_start_token_id=config.decoder_start_token_id, eos_token_id=0,
                                          pad_token_id=config.pad_token_id, **search)
            model.generation_config = generation
            found = model.generate(**tokenizer(text, return_tensors="pt"), generation_config=generation)
            out[name].append(tokenizer.decode(found[0], skip_special_tokens=True))
    return out


def without_map(file):
    """A model with the identity in place of the 240 KB of normalisation rules."""
    out, at = b"", 0

    def varint(value):
        encoded = b""
        while value > 127:
            encoded += bytes([value & 127 | 128])
            value >>= 7
        return encoded + bytes([value])

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = file[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(file):
        key = read()
        size = read()
        content = file[at:at + size]
        at += size
        if key >> 3 == 3:
            content = b"\x0a\x08identity"
        out += varint(key) + varint(len(content)) + content
    return out


def split_at(text, tokens):
    """The parts of a text: tokens, of which the longest counts, and what is between them."""
    parts, at = [""], 0
    while at < len(text):
        token = max((t for t in tokens if text.startswith(t, at)), key=len, default=None)
        if token is None:
            parts[-1] += text[at]
            at += 1
        else:
            parts += [token, ""]
            at += len(token)
    return parts


def t5_ids(model, text):
    """T5: the extra ids stand behind the pieces, the last one first; texts end with </s>."""
    special = {f"<extra_id_{i}>": model.get_piece_size() + 99 - i for i in range(100)}
    special |= {"<pad>": 0, "</s>": 1, "<unk>": 2}
    ids = []
    for i, part in enumerate(split_at(text, special)):
        ids += [special[part]] if i % 2 else model.encode(part)
    return ids + [1]


def llama_ids(model, text):
    """Llama: texts begin with <s>."""
    special = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": model.get_piece_size()}
    ids = [1]
    for i, part in enumerate(split_at(text, special)):
        ids += [special[part]] if i % 2 else model.encode(part)
    return ids


def main():
    lines = [line.strip() for line in generated_lines()]
    golden = {"texts": TEXTS, "folders": {}}
    with tempfile.TemporaryDirectory() as name:
        for family in ("marian", "t5", "llama"):
            folder = pathlib.Path(name) / family
            folder.mkdir()
            if family == "marian":
                golden["marian"] = marian(folder)
            elif family == "t5":
                file = without_map(learned(lines, vocab_size=200, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                                           character_coverage=0.98))
                (folder / "spiece.model").write_bytes(file)
                (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
                model = sentencepiece.SentencePieceProcessor(model_proto=file)
                golden[family] = {"ids": [t5_ids(model, text) for text in TEXTS]}
            else:
                file = without_map(learned(lines, vocab_size=420, model_type="bpe", byte_fallback=True,
                                           normalization_rule_name="identity", remove_extra_whitespaces=False))
                (folder / "tokenizer.model").write_bytes(file)
                (folder / "tokenizer_config.json").write_text(json.dumps(
                    {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False,
                     "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "rstrip": False},
                     "eos_token": "</s>", "unk_token": "<unk>"}))
                model = sentencepiece.SentencePieceProcessor(model_proto=file)
                (folder / "added_tokens.json").write_text(json.dumps({"<pad>": model.get_piece_size()}))
                golden[family] = {"ids": [llama_ids(model, text) for text in TEXTS]}
            golden["folders"][family] = files_of(folder)
    path = pathlib.Path(__file__).with_name("sentencepiece_folders.json")
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {path.stat().st_size} bytes", *golden["marian"]["greedy"], sep="\n")


if __name__ == "__main__":
    main()
