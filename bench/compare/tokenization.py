#!/usr/bin/env python3
"""The tokenizers of pretrained models: rapt beside Hugging Face's tokenizers package, token for token, and beside it
and other packages in time.

    python bench/compare/tokenization.py OUTPUT_FOLDER --data DATA_FOLDER [--only check|speed|learning]

First every token, its place and its type, and the decoded text are compared: of corpora, of random Unicode strings and
of every code point; beside GPT-2 and BERT also tokenizers of every other component, those on a fifth of the corpora and code
points. Any difference is an error. Then all encode the same lines on one thread, in turns: tokenizers with vocabularies
of every kind, tiktoken, bpe-openai and rs-bpe with those that join by rank, sentencepiece with its own models. (What
packages but tokenizers need to make lists of ids in Python is counted, as no program gets them without.) At last the
learning of byte pairs is timed beside tokenizers and rustbpe, and of unigram models beside sentencepiece, with what
the models of both make of the corpus. Times are those of the processor, so that other programs on the machine disturb
them little.

DATA_FOLDER holds tokenizers/gpt2 (vocab.json, merges.txt), tokenizers/bert (vocab.txt), multi30k/raw,
shakespeare/input.txt, tatoeba-cmn-eng/cmn.txt and classical-chinese/*.tsv. What is not there is left out.
"""

import argparse
import datetime
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import tokenizers  # noqa: E402
from tokenizers import Tokenizer, models  # noqa: E402

import common  # noqa: E402
from common import ROOT, System, Worker, alternate, cpu_model, draw, paired_row, progress, table, timed  # noqa: E402

from token_peers import (Case, bpe_learners, gpt2_ranks, learned_cases, of_tiktoken, of_tokenizers,  # noqa: E402
                         rank_cases, sentencepiece_cases, unigram_learners, unigram_quality)

sys.path.append(str(ROOT / "tests/golden"))
from make_tokenizer_parts import all_tokenizers as small_tokenizers  # noqa: E402
from make_tokenizers import (BYTE_LEVEL, EDGES, WORDPIECE, bert_model, byte_level, gpt2_model, wordpiece)  # noqa: E402

def all_tokenizers(data):
    gpt2, bert = data / "tokenizers/gpt2", data / "tokenizers/bert"
    if gpt2.is_dir():
        for name, make in BYTE_LEVEL.items():
            yield f"GPT-2's vocabulary, {name}", make(gpt2_model(gpt2))
    if bert.is_dir():
        for name, make in WORDPIECE.items():
            yield f"BERT's vocabulary, {name}", make(bert_model(bert))
    for name, tokenizer in small_tokenizers():
        if "only first" not in name:  # which cannot cut the second text of a pair
            yield f"small vocabulary, {name}", tokenizer


def character_model():
    """Every character is a token: no word is unknown, so that nothing that normalising does is hidden."""
    characters = [chr(c) for c in (*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200))]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *("##" + c for c in characters)]
    return models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]")


# Texts ----------------------------------------------------------------------------------------------------------------

LONG = ["x" * 5000, " " * 3000, "ab" * 3000, "e\u0301" * 3000, "我" * 3000, "<|endoftext|>[MASK]" * 500, "a b " * 3000]
POOLS = [
    "abcdefghij ABCDEFG'", "the quick brown fox's don't  I'll ", "0123456789 .,;:!?-_()[]{}<>|@#$%^&*+=/\\\"'`~",
    " \t\n\r  \u00a0\u3000\u2003\x0b\x1c", "äöüßÄÖÜéèêñçøåÅİıŞğ",
    "\u0300\u0301\u0308\u0323\u0327\u0338\u0345\u3099\u0315\u302e\u1b44", "абвгдеёжзАБВЙйїў", "αβγδςσΣΆώϊ",
    "我爱北京天安门你好世界文字", "。，！？、；：「」《》（）", "がぎぐげごパピカナー", "각나다라마바사아한글",
    "नमस्तेदुनियाक्षिँ", "ااببتثجحمَرْحَ٣٫", "สวัสดีชาวโลกที่", "😀👍🏽👩\u200d👧🇩🇪☀️🎉",
    "\x00\x01\x08\x1f\x7f\x80\x9f\u200b\u200d\ufeff\u00ad\ue000\ufffd", "½²①ⅧⅣ٣४๓",
    "豈更車\U0002f800\U00020000\U0002a700\U0002ceb0",
]
RANGES = ((0, 0x3000), (0, 0xD800), (0xE000, 0x20000))


def random_strings(count):
    rng = random.Random(20181011)
    marks = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.combining(chr(c))]
    strings = []
    for _ in range(count):
        characters = []
        pools = rng.sample(POOLS, rng.randint(1, 5))
        for _ in range(rng.randint(0, 60)):
            kind = rng.random()
            if kind < 0.85:
                characters.append(rng.choice(rng.choice(pools)))
            elif kind < 0.90:
                characters.append(rng.choice(marks))
            elif kind < 0.95:
                characters.append(chr(rng.randrange(*rng.choice(RANGES))))
            else:
                c = rng.randrange(0x110000 - 0x800)
                characters.append(chr(c if c < 0xD800 else c + 0x800))
        strings.append("".join(characters))
    return strings


def every_code_point():
    """Each between letters, between numbers, behind a space and beside marks."""
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    return ["".join(f"a{x}a1{x}1 {x}\u0334\u0345{x}'s " for x in points[i:i + 32]) for i in range(0, len(points), 32)]


def lines_of(path):
    return path.read_text(encoding="utf-8").split("\n")


def corpora(data):
    """name -> lines; what is not there is left out."""
    found = {}
    for language, name in (("en", "English"), ("de", "German")):
        if multi30k := sorted((data / "multi30k/raw").glob(f"*.{language}")):
            found[f"Multi30k, {name}"] = [line for path in multi30k for line in lines_of(path)]
    if (data / "shakespeare/input.txt").is_file():
        found["tiny Shakespeare"] = lines_of(data / "shakespeare/input.txt")
    if (data / "tatoeba-cmn-eng/cmn.txt").is_file():
        found["Tatoeba, Chinese"] = [line.split("\t")[1] for line in lines_of(data / "tatoeba-cmn-eng/cmn.txt") if line]
    classical = sorted((data / "classical-chinese").glob("*.tsv"))
    if classical:
        found["classical Chinese"] = [text for path in classical for line in lines_of(path)
                                      for text in line.split("\t")]
    return found


# Checking -------------------------------------------------------------------------------------------------------------


def write_texts(path, texts):
    path.write_text(json.dumps(texts), encoding="utf-8")
    return str(path)


class Package:
    """What the package tokenizers makes of texts. The numbers are in the order of tokenizer_worker.cpp's `encode`."""

    def __init__(self, tokenizer, skips=(True, False)):
        self.tokenizer = tokenizer
        tokenizer.no_padding()  # rapt has none
        self.skips = skips  # how texts are decoded: whether special tokens are left out

    def encode(self, firsts, seconds, add_special):
        """The numbers of all texts in one array: of each text the count, the ids, begins, ends and types of its tokens;
        and the ids of each text."""
        numbers, all_ids = [], []
        for encoding in self.tokenizer.encode_batch(list(zip(firsts, seconds)) if seconds else firsts,
                                                    add_special_tokens=add_special):
            ids, offsets = encoding.ids, encoding.offsets
            begins, ends = zip(*offsets) if offsets else ((), ())
            numbers.append(len(ids))
            numbers += ids
            numbers += begins
            numbers += ends
            numbers += encoding.type_ids
            all_ids.append(ids)
        return np.array(numbers, dtype=np.int32), all_ids

    def decode(self, all_ids, skip_special):
        return self.tokenizer.decode_batch(all_ids, skip_special_tokens=skip_special)


def ask_encodings(worker, folder, firsts, seconds, add_special):
    """rapt's numbers of all texts, as Package.encode gives them."""
    texts = {"first": write_texts(folder / "first.json", firsts)}
    if seconds:
        texts["second"] = write_texts(folder / "second.json", seconds)
    worker.ask("texts", **texts)
    worker.ask("encode", output=str(folder / "tokens"), add_special=add_special)
    return np.fromfile(folder / "tokens", dtype=np.int32)


def of_each_text(numbers, texts):
    """[ids, begins, ends, types] of each text."""
    at = 0
    for _ in range(texts):
        count = int(numbers[at])
        yield numbers[at + 1:at + 1 + 4 * count].reshape(4, count)
        at += 1 + 4 * count
    assert at == len(numbers)


class Differences:
    """What differs, counted in texts."""

    def __init__(self):
        self.texts = self.tokens = self.ids = self.places = self.types = self.decoded = 0
        self.examples = []

    def add(self, what, text, ours, theirs):
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 5:
            self.examples.append(f"{what}: {text[:80]!r}: {ours} instead of {theirs}")

    @property
    def total(self):
        return self.ids + self.places + self.types + self.decoded


def compare(worker, folder, package, texts, differences, pairs=False, add_special=True):
    for begin in range(0, len(texts), 20000):
        firsts = texts[begin:begin + 20000]
        seconds = firsts[::-1] if pairs else None
        our_numbers = ask_encodings(worker, folder, firsts, seconds, add_special)
        their_numbers, all_ids = package.encode(firsts, seconds, add_special)
        differences.texts += len(firsts)
        differences.tokens += sum(map(len, all_ids))
        if not np.array_equal(our_numbers, their_numbers):
            for text, ours, theirs in zip(firsts, of_each_text(our_numbers, len(firsts)),
                                          of_each_text(their_numbers, len(firsts))):
                if ours.shape != theirs.shape or (ours[0] != theirs[0]).any():
                    differences.add("ids", text, ours[0].tolist(), theirs[0].tolist())
                elif (ours[1:3] != theirs[1:3]).any():
                    differences.add("places", text, ours[1:3].T.tolist(), theirs[1:3].T.tolist())
                elif (ours[3] != theirs[3]).any():
                    differences.add("types", text, ours[3].tolist(), theirs[3].tolist())
        for skip in package.skips:
            worker.ask("decode", output=str(folder / "decoded.json"), skip_special=skip)
            decoded = json.loads((folder / "decoded.json").read_text(encoding="utf-8"))
            for text, ours, theirs in zip(firsts, decoded, package.decode(all_ids, skip)):
                # Bytes that are no text (a truncated character): the package puts U+FFFD there.
                if ours != theirs and not (ours is None and "\ufffd" in theirs):
                    differences.add("decoded", text, repr(ours), repr(theirs))


WHOLE = ("GPT-2's vocabulary, as GPT-2", "BERT's vocabulary, uncased", "BERT's vocabulary, cased")


def check(settings, worker, folder):
    """Lines of Markdown, and the number of differences."""
    texts = corpora(settings.data)
    if "tiny Shakespeare" in texts:
        texts["tiny Shakespeare, whole"] = ["\n".join(texts["tiny Shakespeare"])]
    texts |= {"edge cases": EDGES + LONG, "10,000 random strings": random_strings(10000),
              "every code point": every_code_point()}
    rows, total = [], 0

    def add_row(name, what, differences):
        nonlocal total
        rows.append(f"| {name} | {what} | {differences.texts} | {differences.tokens} | {differences.ids} | "
                    f"{differences.places} | {differences.types} | {differences.decoded} |")
        for example in differences.examples:
            progress(f"  {name}: {example}")
        total += differences.total

    for name, tokenizer in all_tokenizers(settings.data):
        tokenizer.save(str(folder / "tokenizer.json"))
        worker.ask("load", path=str(folder / "tokenizer.json"))
        for what, lines in texts.items():
            progress(f"{name}: {what}")
            if name not in WHOLE and what not in ("edge cases", "10,000 random strings"):
                lines = lines[::5]
            differences = Differences()
            compare(worker, folder, Package(tokenizer), lines, differences)
            if what in ("edge cases", "10,000 random strings"):
                compare(worker, folder, Package(tokenizer), lines, differences, pairs=True)
                compare(worker, folder, Package(tokenizer), lines, differences, pairs=True, add_special=False)
            add_row(name, what, differences)
        # What rapt writes, the package reads, to the same effect.
        worker.ask("save", path=str(folder / "saved.json"))
        again = Tokenizer.from_file(str(folder / "saved.json"))
        differences = Differences()
        compare(worker, folder, Package(again), texts["edge cases"] + texts["10,000 random strings"], differences)
        add_row(name, "as written by rapt", differences)
    for name in ("uncased", "cased", "lower case with accents", "not cleaned"):
        progress(f"single characters, {name}")
        tokenizer = WORDPIECE[name](character_model())
        tokenizer.save(str(folder / "tokenizer.json"))
        worker.ask("load", path=str(folder / "tokenizer.json"))
        for what in ("edge cases", "10,000 random strings", "every code point"):
            differences = Differences()
            compare(worker, folder, Package(tokenizer), texts[what], differences)
            add_row(f"single characters, {name}", what, differences)
    # The models' own files, without a tokenizer.json.
    for path, make in (("gpt2", lambda folder: byte_level(gpt2_model(folder))),
                       ("bert", lambda folder: wordpiece(bert_model(folder)))):
        folder_of_files = settings.data / "tokenizers" / path
        if not folder_of_files.is_dir():
            continue
        worker.ask("load", path=str(folder_of_files))
        differences = Differences()
        compare(worker, folder, Package(make(folder_of_files)), EDGES + texts["10,000 random strings"], differences)
        add_row(f"the files of {path}", "edge cases, random strings", differences)
    head = ["| tokenizer | texts | texts | tokens | with other ids | other places | other types | other decoded text |",
            "|---|---|---:|---:|---:|---:|---:|---:|"]
    return head + rows, total


# Speed ----------------------------------------------------------------------------------------------------------------


LEARNED = 10000  # the size of vocabularies whose learning is timed
WORK = {"batch": "a batch, ids", "spans": "all lines, ids and places", "each": "line by line, ids"}


def pretrained_cases(data):
    """Of the models whose vocabularies are in the data folder, with their tokenizers."""
    gpt2, bert = data / "tokenizers/gpt2", data / "tokenizers/bert"
    if gpt2.is_dir():
        yield "GPT-2", byte_level(gpt2_model(gpt2)), of_tiktoken("gpt2", gpt2_ranks(gpt2))
    if bert.is_dir():
        yield "BERT uncased", wordpiece(bert_model(bert)), {}


def row_of(work, rapt, peer, rapt_times, peer_times, megabytes):
    row = paired_row(work, rapt, peer, rapt_times, peer_times, threads=1, quality="")
    row.quality = f"{1e3 * megabytes / row.peer_value:.1f} and {1e3 * megabytes / row.rapt_value:.1f} MB/s"
    row.precision = "-"
    progress(f"  {work}, {peer.name}: {row.ratio:.2f}; {row.quality}")
    return row


def thinned(lines, most):
    """Lines from all over a corpus."""
    return lines[::max(1, len(lines) // most)]


def size_of(lines):
    """In megabytes."""
    return sum(len(line.encode()) for line in lines) / 1e6


def rapt_ids(worker, folder):
    """The ids of each text that the worker has."""
    worker.ask("ids", batch=True, output=str(folder / "ids"))
    numbers = np.fromfile(folder / "ids", dtype=np.int32)
    found, at = [], 0
    while at < len(numbers):
        count = int(numbers[at])
        found.append(numbers[at + 1:at + 1 + count].tolist())
        at += 1 + count
    return found


def systems_of(ours, peers):
    """rapt first."""
    return [System("rapt", "-", ours),
            *(System(name, "-", timed(step, time.process_time)) for name, step in peers.items())]


def time_work(worker, settings, work, kind, peers, megabytes):
    """A row for each peer; `peers` are name -> what is timed."""
    def ours(uncounted, counted):
        worker.ask("task", kind=kind, threads=1)
        return worker.run(uncounted, counted)

    systems = systems_of(ours, peers)
    times = alternate(systems, settings.rounds)
    return [row_of(work, systems[0], system, times[0], seconds, megabytes)
            for system, seconds in zip(systems[1:], times[1:])]


def speed_of_case(case, what, lines, settings, worker, folder):
    """Rows of a vocabulary on a corpus, in batches, once the ids are found equal."""
    progress(f"{case.name}: {what}")
    lines = thinned(lines, settings.lines)
    worker.ask("load", **case.load)
    worker.ask("texts", first=write_texts(folder / "first.json", lines))
    found = rapt_ids(worker, folder)
    for name, encode in case.peers.items():
        different = sum(list(getattr(theirs, "ids", theirs)) != ours
                        for theirs, ours in zip(encode(lines), found, strict=True))
        if different:
            sys.exit(f"NOT THE SAME TOKENS: {case.name}, {what}: {different} of {len(lines)} lines beside {name}")
    steps = {name: lambda encode=encode: encode(lines) for name, encode in case.peers.items()}
    return time_work(worker, settings, f"{case.name}, {what}, {WORK['batch']}", "batch", steps, size_of(lines))


def speed(settings, worker, folder):
    rows = []
    texts = corpora(settings.data)
    for name, tokenizer, more in pretrained_cases(settings.data):
        tokenizer.save(str(folder / "tokenizer.json"))
        case = Case(name, {"path": str(folder / "tokenizer.json")}, of_tokenizers(tokenizer) | more)
        for what, lines in texts.items():
            rows += speed_of_case(case, what, lines, settings, worker, folder)
            lines = thinned(lines, settings.lines)
            peer = next(iter(case.peers))
            for kind, step in (("spans", lambda: tokenizer.encode_batch(lines)),
                               ("each", lambda: [tokenizer.encode(line).ids for line in lines])):
                rows += time_work(worker, settings, f"{name}, {what}, {WORK[kind]}", kind, {peer: step},
                                  size_of(lines))
    for case in rank_cases(folder):
        for what, lines in texts.items():
            rows += speed_of_case(case, what, lines, settings, worker, folder)
    for language, chosen in languages(texts).items():
        lines = [line for one in chosen.values() for line in one]
        for case in [*sentencepiece_cases(folder, lines, language), *learned_cases(folder, lines, language)]:
            for what, some in chosen.items():
                rows += speed_of_case(case, what, some, settings, worker, folder)
    return rows


def languages(texts):
    """The corpora with spaces between words, and those without."""
    chosen = {"European": {}, "Chinese": {}}
    for what, lines in texts.items():
        chosen["Chinese" if "Chinese" in what else "European"][what] = lines
    return {language: some for language, some in chosen.items() if some}


def learning(settings, worker, folder):
    rows = []
    for language, chosen in languages(corpora(settings.data)).items():
        lines = [line for one in chosen.values() for line in one]
        worker.ask("texts", first=write_texts(folder / "first.json", lines))
        for kind, peers in (("learn_bpe", bpe_learners(lines, LEARNED)),
                            ("learn_unigram", unigram_learners(folder, lines, LEARNED))):
            progress(f"{kind}: {language}")

            def ours(uncounted, counted, kind=kind):
                worker.ask("task", kind=kind, threads=1, vocabulary_size=LEARNED)
                return worker.run(uncounted, counted)

            systems = systems_of(ours, peers)
            times = [[] for _ in systems]
            for i in range(settings.learning_rounds):
                for k in (range(len(systems)) if i % 2 == 0 else reversed(range(len(systems)))):
                    times[k].append(systems[k].run(0, 1))
            work = {"learn_bpe": "learning byte pairs", "learn_unigram": "learning a unigram model"}[kind]
            found = [row_of(f"{work}, {language} corpora", systems[0], system, times[0], seconds, size_of(lines))
                     for system, seconds in zip(systems[1:], times[1:])]
            if kind == "learn_unigram" and found:
                worker.ask("learned", path=str(folder / "learned.model"))
                theirs, ours = (unigram_quality(folder / name, lines) for name in ("unigram.model", "learned.model"))
                found[0].quality += (f"; {theirs[0]:.2f} and {ours[0]:.2f} tokens a line, "
                                     f"log-probability of a line {theirs[1]:.2f} and {ours[1]:.2f}")
                progress(f"  {found[0].quality}")
            rows += found
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder for the tables and the image; is made if need be")
    parser.add_argument("--data", type=Path, required=True, help="folder of vocabularies and corpora")
    parser.add_argument("--worker", type=Path, default=ROOT / "build/bench/tokenizer_worker",
                        help="rapt's program, built from tokenizer_worker.cpp (default: %(default)s)")
    parser.add_argument("--only", choices=("check", "speed", "learning"), help="one of the parts")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each system (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=10000,
                        help="lines of each corpus that are timed; tokenizers' cache holds 10,000 words "
                        "(default: %(default)s)")
    parser.add_argument("--turn-seconds", type=float, default=common.TURN_SECONDS,
                        help="counted work of a turn (default: %(default)s)")
    parser.add_argument("--learning-rounds", type=int, default=3, help="turns of each learner (default: %(default)s)")
    settings = parser.parse_args()
    if not settings.worker.is_file():
        parser.error(f"there is no {settings.worker}: build the target rapt_tokenizer_worker, or give --worker")
    common.TURN_SECONDS = settings.turn_seconds
    settings.output.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    lines, total, rows = [], 0, []
    with tempfile.TemporaryDirectory() as name, Worker([str(settings.worker)]) as worker:
        lines += [f"- processor: {cpu_model()}, one thread of {os.cpu_count()}; load average at the start {load:.2f}",
                  f"- tokenizers {tokenizers.__version__}; rapt compiled by {worker.ask('info')['compiler']}",
                  f"- {datetime.date.today().isoformat()}; processor time"]
        if settings.only in (None, "check"):
            checked, total = check(settings, worker, Path(name))
            lines += ["", "## The same tokens", "", *checked]
        if settings.only in (None, "speed"):
            rows += speed(settings, worker, Path(name))
        if settings.only in (None, "learning"):
            rows += learning(settings, worker, Path(name))
        if rows:
            lines += ["", "## Time", "", "Ratio: what the package needs / what rapt needs, the median of pairs taken "
                      "in alternation, with their quartiles. Last: its throughput and rapt's.", "", table(rows)]
    text = "\n".join(["# Tokenizers of pretrained models", "", *lines]) + "\n"
    (settings.output / "tokenization.md").write_text(text, encoding="utf-8")
    if rows:
        draw(rows, settings.output / "tokenization.svg")
    print(text)
    if total:
        sys.exit(f"NOT THE SAME TOKENS: {total} differences")


if __name__ == "__main__":
    main()
