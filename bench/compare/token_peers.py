"""The packages beside which tokenization.py times rapt, each with vocabularies that rapt reads, too.

tokenizers must be there; tiktoken, bpe-openai, rs-bpe, sentencepiece and rustbpe are left out, with a word, where they
are not installed.
"""

import base64
import dataclasses
import importlib
import importlib.metadata
from collections.abc import Callable

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from common import progress

VOCABULARY_SIZE = 8000  # of learned models


def optional(name):
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        progress(f"{name} is not installed and is left out")
        return None


tiktoken, sentencepiece, bpe_openai, rustbpe = (
    optional(name) for name in ("tiktoken", "sentencepiece", "bpe_openai", "rustbpe"))
rs_bpe = optional("rs_bpe.bpe")


@dataclasses.dataclass
class Case:
    """A vocabulary with the packages that know it."""

    name: str
    load: dict  # what rapt's worker is asked to load
    peers: dict[str, Callable[[list[str]], list]]  # name with version -> what encodes lines


def versioned(distribution):
    return f"{distribution} {importlib.metadata.version(distribution)}"


def of_tokenizers(tokenizer):
    """Peers of a Tokenizer: the package alone."""
    return {f"tokenizers {tokenizers.__version__}": tokenizer.encode_batch_fast}


def gpt2_ranks(folder):
    """Bytes -> rank of GPT-2's vocabulary."""
    vocabulary = models.BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))[0]
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of |= {chr(256 + i): byte for i, byte in enumerate(byte for byte in range(256) if byte not in printable)}
    return {bytes(byte_of[c] for c in name): rank for name, rank in vocabulary.items() if name != "<|endoftext|>"}


def of_tiktoken(name, ranks):
    """Peers that join by rank; the pattern is that of tiktoken's encoding."""
    if tiktoken is None:
        return {}
    from tiktoken_ext import openai_public
    openai_public.load_tiktoken_bpe = openai_public.data_gym_to_mergeable_bpe_ranks = lambda *_, **__: {}
    encoding = tiktoken.Encoding(name, pat_str=getattr(openai_public, name)()["pat_str"], mergeable_ranks=ranks,
                                 special_tokens={})
    return {versioned("tiktoken"): lambda lines: [encoding.encode_ordinary(line) for line in lines]}


def rank_cases(folder):
    """The vocabularies of GPT-4 and GPT-4o, which the wheel of bpe-openai brings."""
    if bpe_openai is None:
        return
    for name in ("cl100k_base", "o200k_base"):
        encoding = bpe_openai.get_encoding(name)
        ranks = dict(encoding._mergeable_ranks)
        path = folder / f"{name}.tiktoken"
        path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n"
                                for token, rank in sorted(ranks.items(), key=lambda one: one[1])))
        peers = of_tiktoken(name, ranks)
        peers[versioned("bpe-openai")] = \
            lambda lines, encoding=encoding: [encoding.encode_ordinary(line) for line in lines]
        if rs_bpe is not None:
            rust = getattr(rs_bpe.openai, name)()
            peers[versioned("rs-bpe")] = lambda lines, rust=rust: [rust.encode(line) for line in lines]
        yield Case(name, {"path": str(path)}, peers)


def write_lines(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def sentencepiece_cases(folder, texts, what):
    """Models that the package sentencepiece learns from the texts."""
    if sentencepiece is None:
        return
    for kind in ("bpe", "unigram"):
        (folder / kind).mkdir(exist_ok=True)
        train_sentencepiece(write_lines(folder / "text", texts), folder / kind / "spiece", kind)
        path = str(folder / kind / "spiece.model")
        model = sentencepiece.SentencePieceProcessor(model_file=path)
        yield Case(f"SentencePiece's {kind} of {what}", {"path": path},
                   {versioned("sentencepiece"): lambda lines, model=model: model.encode(lines, num_threads=1)})


def train_sentencepiece(text, prefix, kind, size=VOCABULARY_SIZE, normalization="nmt_nfkc"):
    sentencepiece.SentencePieceTrainer.train(input=text, model_prefix=str(prefix), model_type=kind, vocab_size=size,
                                             num_threads=1, minloglevel=2, hard_vocab_limit=False,
                                             normalization_rule_name=normalization)


def unigram_quality(path, lines):
    """Of a unigram model's file: tokens a line, and the logarithm of the probability of a line's best segmentation. An
    unknown token is as improbable as sentencepiece takes it to be: by 10 less than the least probable piece."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    scores = [model.get_score(i) for i in range(model.get_piece_size())]
    scores[model.unk_id()] = min(scores) - 10
    ids = [i for line in model.encode(lines) for i in line]
    return len(ids) / len(lines), sum(scores[i] for i in ids) / len(lines)


def learned_cases(folder, texts, what):
    """Models of the other kinds that the package tokenizers learns from the texts."""
    def case(name, model, trainer, pre_tokenizer, decoder=None, normalizer=None):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if decoder is not None:
            tokenizer.decoder = decoder
        tokenizer.train_from_iterator(texts, trainer)
        path = str(folder / f"{name}.json")
        tokenizer.save(path)
        return Case(f"{name} of {what}", {"path": path}, of_tokenizers(tokenizer))

    shared = {"vocab_size": VOCABULARY_SIZE, "show_progress": False}
    specials = ["<unk>", "<s>", "</s>"]
    yield case("WordLevel", models.WordLevel(unk_token="<unk>"),
               trainers.WordLevelTrainer(special_tokens=specials, **shared), pre_tokenizers.Whitespace())
    yield case("WordPiece", models.WordPiece(unk_token="<unk>"),
               trainers.WordPieceTrainer(special_tokens=specials, **shared), pre_tokenizers.BertPreTokenizer(),
               decoders.WordPiece(), normalizers.BertNormalizer())
    yield case("Unigram", models.Unigram(),
               trainers.UnigramTrainer(special_tokens=specials, unk_token="<unk>", **shared),
               pre_tokenizers.Metaspace(), decoders.Metaspace(), normalizers.NFKC())
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    yield case("byte-fallback BPE", models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
               trainers.BpeTrainer(special_tokens=specials + byte_tokens, **shared), pre_tokenizers.Metaspace(),
               decoders.Metaspace())


def bpe_learners(texts, size):
    """name -> a function that learns a byte pair encoding of the texts."""
    def train_tokenizers():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, min_frequency=2, limit_alphabet=4000,
                                                                 show_progress=False))

    def train_rustbpe():
        rustbpe.Tokenizer().train_from_iterator(iter(texts), size, pattern=r" ?\S+|\s+")

    found = {f"tokenizers {tokenizers.__version__}": train_tokenizers}
    if rustbpe is not None:
        found[versioned("rustbpe")] = train_rustbpe
    return found


def unigram_learners(folder, texts, size):
    """name -> a function that learns a unigram model of the texts as they are and writes it to unigram.model."""
    if sentencepiece is None:
        return {}
    text = write_lines(folder / "text", texts)
    return {versioned("sentencepiece"):
            lambda: train_sentencepiece(text, folder / "unigram", "unigram", size, normalization="identity")}
