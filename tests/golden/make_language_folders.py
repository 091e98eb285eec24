#!/usr/bin/env python3
"""Writes language_folders.json beside this script: small folders with SentencePiece's files as those of multilingual and
other models, and what comes of texts with them.

    python make_language_folders.py MULTI30K        # its folder with train.en and train.de; needs transformers 5.24

    folders       name: files (name: text, or {"base64": ...})
    texts         all texts
    <name>        ids      of each text, by the sentencepiece package with what the published tokenizers add: `Family`
                  decoded  of these ids, without special tokens, by the same package
    m2m100        the same by transformers' M2M100Tokenizer, for which SentencePiece's package works
    bart          the same by transformers' BartTokenizer, of vocab.json and merges.txt; and `pairs`, of each text and the
                  next: the ids, and `spans` of the tokens of the texts in characters
    translated    of mbart and m2m100, whose folders have a small model, the texts of `lines` in the languages of `to`:
                  what beam search of 4 generates with transformers, decoded

Where transformers 5.24 reads such a folder with a tokenizer of its own making, the ids of plain texts are compared with
those here.
"""

import json
import pathlib
import re
import sys
import tempfile

import sentencepiece
import tokenizers
import torch
import transformers
from transformers import GenerationConfig, M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer, MBartConfig
from transformers import BartTokenizer, MBartForConditionalGeneration
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M100
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART50
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

from make_sentencepiece import learned
from make_sentencepiece_folders import files_of, split_at, without_map

TEXTS = [
    "A man is riding a bike.", "Zwei Hunde spielen im Schnee.", "  two  children\tplay ", "", " ", "1,000 people, 日本 and ∑",
    "Ein Mädchen<mask>springt", "a <mask> dog", "de_DE a dog", "a dog __de__ barks", "</s>", "<s>a<unk>b<pad>",
    "the deu_Latn word", "<mask_1>a <mask_2> b <unk_7>", "<bos>a<eos> <start_of_turn>user\nhi<end_of_turn>", "<sep>",
    "Die Frau trägt eine rote Jacke und läuft über die Straße.", "a\nb", "e\u0301 \u00e9", "   <mask>  x",
]
LINES = ["a man is riding", "two dogs play in the snow", "the girl sings", "a red jacket"]


class Family:
    """What a tokenizer adds to SentencePiece: the id of a piece (by a function of its id there), the ids of special
    tokens, which ids stand before and behind a text, and special tokens to which the spaces before them belong."""

    def __init__(self, proto, piece, special, before, behind, spaced=()):
        self.model = sentencepiece.SentencePieceProcessor(model_proto=proto)
        self.piece, self.special, self.spaced = piece, special, spaced
        self.before, self.behind = before, behind

    def encode(self, text):
        ids = []
        parts = split_at(text, self.special)
        for i, part in enumerate(parts):
            if i % 2:
                ids.append(self.special[part])
                continue
            if i + 1 < len(parts) and parts[i + 1] in self.spaced:
                part = part.rstrip()
            ids += [self.piece(id) for id in self.model.encode(part)]
        return [self.special[token] for token in self.before] + ids + [self.special[token] for token in self.behind]

    def decode(self, ids):
        pieces = {self.piece(i): i for i in range(self.model.get_piece_size())}
        special = set(self.special.values())
        return self.model.decode([pieces[id] for id in ids if id not in special])


def fairseq(proto, languages, before, behind):
    """The first four tokens are fairseq's; languages and the mask stand behind the pieces."""
    size = sentencepiece.SentencePieceProcessor(model_proto=proto).get_piece_size()
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    special |= {code: size + 1 + i for i, code in enumerate(languages)}
    special["<mask>"] = size + 1 + len(languages)
    return Family(proto, lambda id: 3 if id == 0 else id + 1, special, before, behind, {"<mask>"})


def pegasus(proto):
    special = {"<pad>": 0, "</s>": 1, "<mask_1>": 2, "<mask_2>": 3, "<unk>": 105}
    special |= {f"<unk_{i}>": i + 2 for i in range(2, 103)}
    return Family(proto, lambda id: id if id < 2 else id + 103, special, [], ["</s>"])


def plain(proto, special, before, behind, spaced=()):
    model = sentencepiece.SentencePieceProcessor(model_proto=proto)
    return Family(proto, lambda id: id, {token: model.piece_to_id(token) for token in special}, before, behind, spaced)


def compare(folder, name, family, **options):
    """The ids of plain texts with those of the tokenizer that transformers makes of the folder."""
    tokenizer = getattr(transformers, name).from_pretrained(folder, **options)
    for text in TEXTS:
        if re.fullmatch(r"[A-Za-zäöüß.,0-9]+( [A-Za-zäöüß.,0-9]+)*", text) and "_" not in text:
            theirs, ours = tokenizer(text).input_ids, family.encode(text)
            if name == "NllbTokenizer":  # gives a folder without tokenizer.json no languages
                theirs, ours = theirs[1:], ours[1:]
            if theirs != ours:
                print(f"{folder.name}: {name} differs: {text!r}", theirs, ours)


def translator(model, encode, languages, lines, steps=120):
    """Learns to copy into the first language and to reverse into the second."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        line = lines[step % len(lines)]
        optimizer.zero_grad()
        for number, (begin, forced) in enumerate(languages):
            words = line if number == 0 else " ".join(reversed(line.split()))
            target = forced + [id for id in encode(words, bare=True)] + [2]
            inputs = begin + target[:-1]
            logits = model(torch.tensor([encode(line)]), decoder_input_ids=torch.tensor([inputs])).logits[0]
            torch.nn.functional.cross_entropy(logits, torch.tensor(target)).backward()
        optimizer.step()
    model.eval()


def generated(model, ids, begin, forced):
    generation = GenerationConfig(do_sample=False, max_new_tokens=14, num_beams=4, early_stopping="never",
                                  length_penalty=1.0, decoder_start_token_id=begin, forced_bos_token_id=forced,
                                  eos_token_id=2, pad_token_id=1)
    model.generation_config = generation
    return model.generate(torch.tensor([ids]), generation_config=generation)[0].tolist()


def sizes(vocabulary, **options):
    return dict(vocab_size=vocabulary, d_model=12, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=12, decoder_ffn_dim=12, max_position_embeddings=48,
                dropout=0.0, attention_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
                forced_eos_token_id=None, **options)


def save(model, folder):
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def config_file(folder, **settings):
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    data = pathlib.Path(sys.argv[1])
    lines = [line for side in ("en", "de") for line in (data / f"train.{side}").read_text("utf-8").splitlines()[:1500]]
    golden = {"texts": TEXTS, "lines": LINES, "folders": {}}
    unigram = without_map(learned(lines, vocab_size=150, character_coverage=0.985))
    bpe = without_map(learned(lines, vocab_size=150, character_coverage=0.985, model_type="bpe"))
    with tempfile.TemporaryDirectory() as name:
        def folder_of(family, file, proto, **settings):
            folder = pathlib.Path(name) / family
            folder.mkdir()
            (folder / file).write_bytes(proto)
            config_file(folder, **settings)
            return folder

        def add(folder, family):
            golden[folder.name] = {"ids": [family.encode(text) for text in TEXTS]}
            golden[folder.name]["decoded"] = [family.decode(ids) for ids in golden[folder.name]["ids"]]
            golden["folders"][folder.name] = files_of(folder)

        bpe_file = "sentencepiece.bpe.model"
        folder = folder_of("xlm_roberta", bpe_file, unigram, tokenizer_class="XLMRobertaTokenizer")
        family = fairseq(unigram, [], ["<s>"], ["</s>"])
        compare(folder, "XLMRobertaTokenizer", family)
        add(folder, family)

        folder = folder_of("mbart50", bpe_file, unigram, tokenizer_class="MBart50Tokenizer", src_lang="de_DE")
        family = fairseq(unigram, MBART50, ["de_DE"], ["</s>"])
        compare(folder, "MBart50Tokenizer", family)
        add(folder, family)

        folder = folder_of("nllb", bpe_file, bpe, tokenizer_class="NllbTokenizer", src_lang=None)
        family = fairseq(bpe, NLLB, ["eng_Latn"], ["</s>"])
        compare(folder, "NllbTokenizer", family)
        add(folder, family)

        folder = folder_of("mbart", bpe_file, unigram, tokenizer_class="MBartTokenizer")
        family = fairseq(unigram, MBART50[:25], [], ["</s>", "en_XX"])
        compare(folder, "MBartTokenizer", family)
        special = family.special
        model = MBartForConditionalGeneration(MBartConfig(**sizes(special["<mask>"] + 1, decoder_start_token_id=3)))
        translator(model, lambda text, bare=False: family.encode(text)[:-2] if bare else family.encode(text),
                   [([special["en_XX"]], []), ([special["de_DE"]], [])], LINES)
        save(model, folder)
        add(folder, family)
        golden["mbart"]["to"] = ["en_XX", "de_DE"]
        golden["mbart"]["translated"] = [[
            family.decode(generated(model, family.encode(line), special[to], None)) for line in LINES]
            for to in golden["mbart"]["to"]]

        folder = folder_of("pegasus", "spiece.model", without_map(learned(
            lines, vocab_size=150, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=0.985)),
            tokenizer_class="PegasusTokenizer")
        family = pegasus((folder / "spiece.model").read_bytes())
        compare(folder, "PegasusTokenizer", family)
        add(folder, family)

        folder = folder_of("gemma", "tokenizer.model", learned(
            lines, vocab_size=450, model_type="bpe", byte_fallback=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
            pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", split_digits=True, add_dummy_prefix=False,
            remove_extra_whitespaces=False, normalization_rule_name="identity", allow_whitespace_only_pieces=True,
            user_defined_symbols=["<mask>", "\n", "<start_of_turn>", "<end_of_turn>"]), tokenizer_class="GemmaTokenizer",
            add_bos_token=True)
        family = plain((folder / "tokenizer.model").read_bytes(), ["<pad>", "<eos>", "<bos>", "<unk>"], ["<bos>"], [])
        compare(folder, "GemmaTokenizer", family)
        add(folder, family)

        folder = folder_of("barthez", bpe_file, without_map(learned(
            lines, vocab_size=150, bos_id=0, pad_id=1, eos_id=2, unk_id=3, character_coverage=0.985,
            user_defined_symbols=["<mask>"])), tokenizer_class="BarthezTokenizer")
        family = plain((folder / bpe_file).read_bytes(), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], ["<s>"],
                       ["</s>"], {"<mask>"})
        add(folder, family)

        folder = folder_of("m2m100", bpe_file, bpe, tokenizer_class="M2M100Tokenizer", src_lang="en",
                           additional_special_tokens=[f"__{code}__" for code in M2M100["m2m100"]])
        pieces = sentencepiece.SentencePieceProcessor(model_proto=bpe)
        names = ["<s>", "<pad>", "</s>", "<unk>"]
        names += [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size()) if i % 23 != 7]
        (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
        tokenizer = M2M100Tokenizer.from_pretrained(folder)
        model = M2M100ForConditionalGeneration(M2M100Config(**sizes(len(names) + 108, decoder_start_token_id=2)))
        en, de = tokenizer.get_lang_id("en"), tokenizer.get_lang_id("de")
        translator(model, lambda text, bare=False: tokenizer(text).input_ids[1:-1] if bare else tokenizer(text).input_ids,
                   [([2], [en]), ([2], [de])], LINES, steps=600)
        save(model, folder)
        golden["m2m100"] = {"ids": [tokenizer(text).input_ids for text in TEXTS], "to": ["en", "de"]}
        golden["m2m100"]["decoded"] = [tokenizer.decode(ids, skip_special_tokens=True)
                                       for ids in golden["m2m100"]["ids"]]
        golden["m2m100"]["translated"] = [[
            tokenizer.decode(generated(model, tokenizer(line).input_ids, 2, to), skip_special_tokens=True)
            for line in LINES] for to in (en, de)]
        golden["folders"]["m2m100"] = files_of(folder)

        folder = pathlib.Path(name) / "bart"
        folder.mkdir()
        bytes_of = tokenizers.ByteLevelBPETokenizer()
        bytes_of.train_from_iterator(lines[::10], vocab_size=330, show_progress=False,
                                     special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
        bytes_of.save_model(str(folder))
        config_file(folder, tokenizer_class="BartTokenizer")
        # The mask includes the space before it, as in the published folders and transformers 4; 5 has to be told.
        tokenizer = BartTokenizer.from_pretrained(folder, mask_token=tokenizers.AddedToken("<mask>", lstrip=True))
        pairs = [tokenizer.backend_tokenizer.encode(first, second) for first, second in zip(TEXTS, TEXTS[1:])]
        golden["bart"] = {"ids": [tokenizer(text).input_ids for text in TEXTS],
                          "pairs": [pair.ids for pair in pairs],
                          "spans": [[span for span, text in zip(pair.offsets, pair.sequence_ids) if text is not None]
                                    for pair in pairs]}
        golden["bart"]["decoded"] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in golden["bart"]["ids"]]
        golden["folders"]["bart"] = files_of(folder)
    path = pathlib.Path(__file__).with_name("language_folders.json")
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {path.stat().st_size} bytes", golden["mbart"]["translated"], golden["m2m100"]["translated"], sep="\n")


if __name__ == "__main__":
    main()
