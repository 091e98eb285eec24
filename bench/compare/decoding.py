#!/usr/bin/env python3
"""Beam search of a Transformer: rapt beside CTranslate2 on the same weights and sentences.

Random weights of rapt's presets, all outputs forced to one length; or, with --model FILE, a translator that was trained
with examples/translate, on multi30k/tok/test_2016_flickr of the data folder, nothing forced. Then the time by length
of the outputs. CTranslate2 gets the weights through its own format, and the threads and the batches with which it is
fastest; rapt takes batches as its Translator does.
"""

import argparse
import contextlib
import dataclasses
import json
import random
import sys
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
import sacrebleu
from safetensors import safe_open

from common import Report, System, alternate, check, main, paired_row, progress, rapt_worker, timed

VOCABULARY, BEAM, BATCH_TOKENS, POSITIONS = 10_000, 4, 1500, 1024
BEGIN, END = 1, 2
PRESETS = {"tiny": 1000, "base": 64}  # sentences to decode
FORCED, LIMIT = 16, 256  # tokens of the outputs: of random weights, at most
LENGTHS, LENGTHS_BATCH = (32, 64, 128, 256), 16
ROUNDS = 3
INT8 = "medium, int8 weights"  # of rapt: everything but the products with weights is float32
MODES = ("highest", "medium", INT8)
COMPUTE_TYPES = ("float32", "bfloat16", "int8")  # of CTranslate2, where the processor has them
PEER_BATCHES = (128, 256, 512, BATCH_TOKENS)  # source tokens, of which the fastest is taken
CHOICE_SHARE = 4  # on every fourth sentence
LONG_SECONDS = 1.0  # of such a step the first part, in which the other's threads spin, does not matter
SCORE_LIMIT = 1e-4  # of the log-probability of a token, in float32
SCORED = 32  # sentences
TEST_SET = "multi30k/tok/test_2016_flickr.lc.norm.tok"


# The model in CTranslate2's format ------------------------------------------------------------------------------------


def sinusoids(config):
    """[POSITIONS, D], see SinusoidalOptions."""
    half = config["d_model"] // 2
    interleaved = config["sinusoid_layout"] == "interleaved"
    positions = np.arange(POSITIONS)[:, None] + config["first_position"]
    angles = positions * 10000.0 ** (-np.arange(half) / (half if interleaved else max(half - 1, 1)))
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1 if interleaved else 1)
    return waves.reshape(POSITIONS, 2 * half).astype(np.float32)


SYMBOLS = {0: "<unk>", BEGIN: "<s>", END: "</s>"}
SYMBOL_IDS = {name: token for token, name in SYMBOLS.items()}


def token_name(token):
    return SYMBOLS.get(token, str(token))


def token_id(name):
    return SYMBOL_IDS[name] if name in SYMBOL_IDS else int(name)


class Converter:
    """Fills a TransformerSpec from a rapt model file, whose parameters are named as torch.nn.Transformer's."""

    def __init__(self, file):
        with safe_open(file, "numpy") as tensors:
            self.config = json.loads(tensors.metadata()["config"])
            self.tensors = {name: tensors.get_tensor(name) for name in tensors.keys()}
        if self.config["learned_positions"] or not self.config["share_embeddings"]:
            sys.exit(f"{file}: only models with sinusoids and shared embeddings can be compared")

    def save(self, folder):
        config = self.config
        activations = {"relu": ctranslate2.specs.Activation.RELU, "gelu": ctranslate2.specs.Activation.GELU,
                       "gelu_tanh": ctranslate2.specs.Activation.GELUTanh}
        pre_norm = config["norm"] == "pre"
        if config["final_norm"] != pre_norm:
            sys.exit("only models with final norms behind pre-norm layers alone can be compared")
        spec = ctranslate2.specs.TransformerSpec.from_config(
            (config["encoder_layers"], config["decoder_layers"]), config["heads"], pre_norm=pre_norm,
            activation=activations[config["activation"]])
        positions, table = sinusoids(config), self.tensors["embedding.weight"]
        for name, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
            stack.position_encodings.encodings = positions
            stack.scale_embeddings = True
            if pre_norm:
                self.norm(stack.layer_norm, f"{name}.norm")
            for i, layer in enumerate(stack.layer):
                self.layer(layer, f"{name}.layers.{i}")
        spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
        if "output.bias" in self.tensors:
            spec.decoder.projection.bias = self.tensors["output.bias"]
        names = [token_name(i) for i in range(len(table))]
        spec.register_source_vocabulary(names)
        spec.register_target_vocabulary(names)
        spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
        spec.config.decoder_start_token = "<s>"
        spec.config.layer_norm_epsilon = config["layer_norm_epsilon"]
        spec.validate()
        folder.mkdir()
        spec.save(str(folder))

    def layer(self, layer, name):
        d_model = self.config["d_model"]
        self.linear(layer.self_attention.linear[0], f"{name}.self_attn.in_proj_")
        self.linear(layer.self_attention.linear[1], f"{name}.self_attn.out_proj.")
        self.norm(layer.self_attention.layer_norm, f"{name}.norm1")
        last_norm = "norm2"
        if hasattr(layer, "attention"):
            self.linear(layer.attention.linear[0], f"{name}.multihead_attn.in_proj_", slice(0, d_model))
            self.linear(layer.attention.linear[1], f"{name}.multihead_attn.in_proj_", slice(d_model, None))
            self.linear(layer.attention.linear[2], f"{name}.multihead_attn.out_proj.")
            self.norm(layer.attention.layer_norm, f"{name}.norm2")
            last_norm = "norm3"
        self.linear(layer.ffn.linear_0, f"{name}.linear1.")
        self.linear(layer.ffn.linear_1, f"{name}.linear2.")
        self.norm(layer.ffn.layer_norm, f"{name}.{last_norm}")

    def linear(self, linear, prefix, rows=slice(None)):
        linear.weight = np.ascontiguousarray(self.tensors[prefix + "weight"][rows])
        linear.bias = np.ascontiguousarray(self.tensors[prefix + "bias"][rows])

    def norm(self, norm, name):
        norm.gamma, norm.beta = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]


# Work and systems -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Work:
    name: str
    model: Path  # of rapt
    converted: Path  # of CTranslate2
    sources: list[list[int]]  # each ends with </s>
    length: int  # of all outputs; 0: not forced
    length_penalty: float = 0.0
    extra_length: int = LIMIT  # tokens more than the source's at most, which CTranslate2 has not


class Rapt:
    def __init__(self, settings, mode, work):
        precision = "medium" if mode == INT8 else mode
        self.work, self.worker = work, rapt_worker(settings, precision)
        self.worker.ask("decoding", model=str(work.model), source=work.sources, int8=mode == INT8,
                        beam_size=BEAM, length_penalty=work.length_penalty, min_length=work.length,
                        max_length=work.length or LIMIT, extra_length=work.extra_length)
        self.system = System("rapt", mode, self.run_turn)
        self.step_seconds = self.worker.run(0, 1)[0]

    def run_turn(self, uncounted, counted):
        return self.worker.run(uncounted if self.step_seconds < LONG_SECONDS else 0, counted)

    @property
    def found(self):
        """Token ids without </s>."""
        return self.worker.ask("hypotheses")["tokens"]

    def score(self, targets):
        """Log-probabilities of each token and </s>, for targets of the first sources."""
        return self.worker.ask("score", target=targets)["log_probabilities"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.close()


class Peer:
    """CTranslate2 in one compute type, on one division of the threads, with one size of batches."""

    def __init__(self, work, compute_type, intra_threads, inter_threads):
        self.work, self.threads = work, f"{inter_threads} x {intra_threads} threads"
        self.translator = ctranslate2.Translator(str(work.converted), device="cpu", compute_type=compute_type,
                                                 intra_threads=intra_threads, inter_threads=inter_threads)
        self.sources = [[token_name(token) for token in source] for source in work.sources]
        self.options = {"beam_size": BEAM, "length_penalty": work.length_penalty, "batch_type": "tokens"}
        self.options |= {"min_decoding_length": work.length or 1, "max_decoding_length": work.length or LIMIT}
        self.run = timed(self.translate)
        self.system = System("CTranslate2", compute_type, self.run_turn)
        self.step_seconds = np.inf

    def run_turn(self, uncounted, counted):
        return self.run(uncounted if self.step_seconds < LONG_SECONDS else 0, counted)

    def translate(self):
        self.results = self.translator.translate_batch(self.sources, **self.options)

    def choose_batches(self, sizes):
        """Takes the fastest size."""
        everything = self.sources
        self.sources = everything[::CHOICE_SHARE] if len(sizes) > 1 else everything
        self.options["max_batch_size"] = sizes[0]
        self.run(1, 0)
        times = {}
        for size in sizes:
            self.options["max_batch_size"] = size
            times[size] = min(self.run(0, 2))
        self.options["max_batch_size"] = fastest = min(times, key=times.get)
        self.step_seconds = times[fastest] * len(everything) / len(self.sources)
        self.sources = everything
        return self

    @property
    def found(self):
        return [[token_id(name) for name in result.hypotheses[0]] for result in self.results]

    def score(self, targets):
        names = [[token_name(token) for token in target] for target in targets]
        return [result.log_probs for result in self.translator.score_batch(self.sources[:len(names)], names)]

    @property
    def setting(self):
        return f"{self.threads}, batches of {self.options['max_batch_size']} tokens"


def fastest_peer(settings, work, compute_type):
    """Of all divisions of the threads and all sizes of batches."""
    divisions, sizes = {(settings.threads, 1), (1, settings.threads)}, PEER_BATCHES
    if len(work.sources) <= LENGTHS_BATCH:
        divisions, sizes = {(settings.threads, 1)}, [BATCH_TOKENS]  # a single batch
    peers = [Peer(work, compute_type, intra, inter).choose_batches(sizes) for intra, inter in sorted(divisions)]
    best = min(peers, key=lambda peer: peer.step_seconds)
    progress(f"{work.name}: CTranslate2 {compute_type}: {best.step_seconds:.3g} s with {best.setting}")
    return best


# Measuring ------------------------------------------------------------------------------------------------------------


def compare_scores(work, ours, theirs):
    """The largest difference of the log-probability of any token, of the outputs that rapt found."""
    targets = ours.found[:SCORED]
    differences = [np.abs(np.subtract(a, b)).max() for a, b in zip(ours.score(targets), theirs.score(targets))]
    return float(np.max(differences))


def same_share(found, theirs):
    return float(np.mean([a == b for a, b in zip(found, theirs)]))


def log_probability(work, scorer, found):
    """Of an output on average, in the model as `scorer` computes it."""
    scores = scorer.score(found)
    return float(np.mean([sum(each[:work.length or None]) for each in scores]))


class Bleu:
    """BLEU of token ids against the reference lines of a test set, as they are tokenised there."""

    def __init__(self, settings, model, references):
        self.settings, self.model, self.references = settings, model, references

    def __call__(self, found):
        with rapt_worker(self.settings) as worker:
            lines = worker.ask("detokenize", model=str(self.model), tokens=found)["lines"]
        return sacrebleu.corpus_bleu(lines, [self.references], tokenize="none", force=True).score


def rate_row(row, found, theirs):
    """The row with tokens of the outputs a second, </s> included, in place of times."""
    def size(outputs):
        return sum(len(tokens) + 1 for tokens in outputs)

    row.unit = "tokens/s"
    row.peer_value, row.rapt_value = 1e3 * size(theirs) / row.peer_value, 1e3 * size(found) / row.rapt_value
    return row


def measure_work(settings, work, rates=True, bleu=None):
    """rapt's highest precision beside float32, its lower ones beside the fastest compute type."""
    types = [name for name in COMPUTE_TYPES if name in ctranslate2.get_supported_compute_types("cpu")]
    with contextlib.ExitStack() as stack:
        progress(f"{work.name}: rapt")
        ours = {name: stack.enter_context(Rapt(settings, name, work)) for name in MODES}
        peers = {name: fastest_peer(settings, work, name) for name in types}
        best = min(peers, key=lambda name: peers[name].step_seconds)
        difference = compare_scores(work, ours["highest"], peers["float32"])
        check(f"{work.name}: log-probability of a token, rapt highest against float32", difference, SCORE_LIMIT)
        pairs = [("highest", "float32"), ("medium", best), (INT8, best)]
        pairs += [("medium", name) for name in types if name not in (best, "float32")]

        contestants = [*ours.values(), *peers.values()]
        progress(f"{work.name}: turns of {len(contestants)} systems")
        turns = alternate([contestant.system for contestant in contestants], settings.rounds_of(ROUNDS),
                          [contestant.step_seconds for contestant in contestants])
        times = dict(zip(map(id, contestants), turns))
        rows = []
        for precision, compute_type in dict.fromkeys(pairs):
            rapt, peer = ours[precision], peers[compute_type]
            found, theirs = rapt.found, peer.found
            quality = [peer.setting, f"{same_share(found, theirs):.1%} the same outputs"]
            row = paired_row(work.name, rapt.system, peer.system, times[id(rapt)], times[id(peer)], settings.threads,
                             quality="")
            if rates:
                per_second = (1e3 * len(work.sources) / value for value in (row.peer_value, row.rapt_value))
                quality.insert(0, "{:.4g} sentences/s, rapt {:.4g}".format(*per_second))
                row = rate_row(row, found, theirs)
            means = (log_probability(work, ours["highest"], outputs) for outputs in (theirs, found))
            quality.append("log-probability of an output {:.3f}, rapt {:.3f}".format(*means))
            if precision == "highest":
                quality.append(f"that of a given token differs by at most {difference:.0e}")
            if bleu:
                quality.append(f"BLEU {bleu(theirs):.2f}, rapt {bleu(found):.2f}")
            row.quality = "; ".join(quality)
            rows.append(row)
    return rows


def synthetic_sentences(count, vocabulary):
    """Random ids; lengths, with </s>, spread as those of Multi30k's captions: 6 to 34, 14 on average."""
    rng = random.Random(1)
    lengths = [min(max(round(rng.lognormvariate(2.52, 0.3)), 5), 33) for _ in range(count)]
    return [[rng.randrange(3, vocabulary) for _ in range(length)] + [END] for length in lengths]


def convert(model, folder):
    converted = folder / f"{model.stem}_ctranslate2"
    Converter(model).save(converted)
    return converted


def random_model(settings, preset, folder):
    model = folder / f"{preset}.safetensors"
    with rapt_worker(settings) as worker:
        config = worker.ask("preset", name=preset, vocabulary=VOCABULARY)
        worker.ask("new_model", config=config, output=str(model))
    return model


def measure_trained(settings, model, folder):
    """Text is not encoded and decoded in the time measured."""
    if not settings.data:
        sys.exit("--model needs --data: the sentences to translate")
    source, target = (Path(f"{settings.data / TEST_SET}.{language}") for language in ("en", "de"))
    with rapt_worker(settings) as worker:
        ids = worker.ask("encode", model=str(model), lines=str(source))["tokens"]
    references = target.read_text(encoding="utf-8").splitlines()
    if settings.quick:
        ids, references = ids[:100], references[:100]
    work = Work("beam search, trained", model, convert(model, folder), [line + [END] for line in ids], 0)
    rows = measure_work(settings, work, bleu=Bleu(settings, model, references))
    # Until no unfinished output could win at its longest rapt goes on, CTranslate2 until as many have ended as the beam
    # has: rapt gets the limit that its Translator has.
    normalised = dataclasses.replace(work, name="beam search, trained, length penalty 0.6", length_penalty=0.6,
                                     extra_length=50)
    return rows + measure_work(settings, normalised, bleu=Bleu(settings, model, references))


def measure_lengths(settings, work):
    """One batch, by the length of its outputs."""
    report, microseconds = Report(), {name: [] for name in MODES}
    lengths = LENGTHS[:2] if settings.quick else LENGTHS
    for length in lengths:
        name = f"beam search, {LENGTHS_BATCH} sources, {length} tokens"
        forced = dataclasses.replace(work, name=name, sources=work.sources[:LENGTHS_BATCH], length=length)
        rows = measure_work(settings, forced, rates=False)
        report.rows += rows
        for row in rows:
            microseconds[row.precision.split(" / ")[1]].append((row, 1e3 / length))
    for precision in MODES:
        times = dict.fromkeys(f"{row.rapt_value * scale:.0f}" for row, scale in microseconds[precision]
                              if row.ratios)
        if times:
            report.notes.append(f"decoding: {' / '.join(times)} microseconds for each of "
                                f"{' / '.join(map(str, lengths))} tokens of {LENGTHS_BATCH} outputs, {precision}")
    return report


def measure(settings, trained=None):
    """`trained`: a translator's file."""
    report = Report(notes=[f"decoding: CTranslate2 {ctranslate2.__version__}, beams of {BEAM}" +
                           (f", trained model {trained.name}" if trained else "")])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if trained:
            report.rows += measure_trained(settings, trained, folder)
        for preset in ("tiny",) if settings.quick else PRESETS:
            model = random_model(settings, preset, folder)
            count = 100 if settings.quick else PRESETS[preset]
            work = Work(f"beam search, {preset}, outputs of {FORCED}", model, convert(model, folder),
                        synthetic_sentences(count, VOCABULARY), FORCED)
            report.rows += measure_work(settings, work)
            if preset == "tiny":
                report.add(measure_lengths(settings, work))
    return report


def take_model_argument():
    """--model FILE of the command line, which is left without it: the other scripts have none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model", type=Path)
    known, sys.argv[1:] = parser.parse_known_args()
    return known.model


if __name__ == "__main__":
    model = take_model_argument()
    main(lambda settings: measure(settings, model), __doc__.splitlines()[0], "decoding")
