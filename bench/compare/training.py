#!/usr/bin/env python3
"""Training steps of a Transformer (forward, backward, Adam): rapt beside PyTorch, time and memory.

Presets tiny, small and base of rapt's TransformerConfig, joint byte-pair vocabulary of 10,000, batches of about 2,048
tokens a side. rapt has no padding; PyTorch gets the same sentences as padded batches with key padding masks.
"""

import contextlib
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from common import Report, Row, System, Worker, WorkerError, alternate, check, main, paired_row, progress, rapt_worker

VOCABULARY, TOKENS, BATCHES, MEMORY_STEPS = 10_000, 2048, 8, 3
ROUNDS = {"tiny": 7, "small": 5, "base": 3}
# PyTorch's precision, whether compiled, the precision of rapt beside it
PEERS = (("float32", False, "highest"), ("float32", True, "highest"), ("float32", False, "high"),
         ("bfloat16", False, "medium"), ("bfloat16", True, "medium"))
LIMITS = {"highest": 1e-3, "high": 1e-3, "medium": 2e-2}  # of the relative difference to PyTorch's float32


def write_synthetic_sentences(folder):
    """Two text files of 10,000 sentences of 6 to 20 made-up words, frequent and rare ones; translated word by word."""
    rng = random.Random(1)
    syllables = [a + b + c for a in "bdfghklmnprstvwz" for b in "aeiou" for c in ("", "n", "r", "s")]
    words = [["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(8000)] for _ in range(2)]
    weights = [1 / rank for rank in range(1, 8001)]
    files = [folder / "synthetic.source", folder / "synthetic.target"]
    sentences = [rng.choices(range(8000), weights, k=rng.randint(6, 20)) for _ in range(10_000)]
    for file, language in zip(files, words):
        file.write_text("".join(" ".join(language[word] for word in s) + "\n" for s in sentences), encoding="utf-8")
    return files


def make_batches(settings, folder):
    if settings.data:
        source, target = (settings.data / "multi30k/raw" / name for name in ("train.en", "train.de"))
    else:
        source, target = write_synthetic_sentences(folder)
    progress(f"batches from {source.name} and {target.name}")
    with rapt_worker(settings) as worker:
        return worker.ask("make_batches", source=str(source), target=str(target), vocabulary=VOCABULARY, tokens=TOKENS,
                          count=BATCHES)


def torch_worker(settings, precision):
    worker = Worker([sys.executable, str(Path(__file__).with_name("torch_worker.py"))])
    worker.ask("configure", threads=settings.threads, precision=precision)
    return worker


class Contestant:
    """A worker with a model in training, and what is known of it."""

    def __init__(self, name, precision, worker, task, limit=None, **values):
        self.worker, self.system = worker, System(name, precision, worker.run)
        self.compiled = values.get("compile", False)
        worker.ask("transformer", **task, **values)
        before = worker.ask("resident", reset=True)["now"]
        # The first step also makes the optimizer's moments and compiles; a later batch may be compiled for again.
        steps = BATCHES if self.compiled else MEMORY_STEPS
        seconds = worker.ask("run", limit=limit, uncounted=1, counted=steps - 1)["seconds"]
        self.step_seconds = float(np.median(seconds))
        self.memory = worker.ask("resident", reset=False)["peak"] - before
        worker.ask("restart", weights=task["weights"])

    def loss(self):
        """Dropout is off."""
        return self.worker.ask("loss", batch=0)

    def last_training_loss(self, steps):
        return float(np.mean(self.worker.ask("losses")["losses"][-steps:]))


def describe(batches):
    def mean(key):
        return sum(len(ids) for batch in batches for ids in batch[key]) / len(batches)

    def padded(key):
        return sum(len(batch[key]) * max(map(len, batch[key])) for batch in batches) / len(batches)

    return (f"training: {len(batches)} batches of {mean('source'):.0f} source and {mean('target_input'):.0f} target "
            f"tokens on average; padded {padded('source'):.0f} and {padded('target_input'):.0f}")


def quality_of(rapt, peer, reference):
    """Differences of loss and gradient norm from PyTorch's float32, dropout off; fails when rapt's are too large."""
    def differences(contestant):
        found = contestant.loss()
        return [abs(found[key] / reference[key] - 1) for key in ("loss", "gradient_norm")]

    ours, theirs = differences(rapt), differences(peer)
    limit = LIMITS[rapt.system.precision]
    for what, difference in zip(("loss", "gradient norm"), ours):
        check(f"{what}, rapt {rapt.system.precision} against PyTorch float32", difference, limit)
    text = "loss {:.4f}, rapt's off by {:.0e}, its gradient norm by {:.0e}".format(reference["loss"], *ours)
    if peer.system.precision != "float32":
        text += "; the system's by {:.0e} and {:.0e}".format(*theirs)
    return text


class Contest:
    """The systems that train one preset, started when they are asked for and stopped together."""

    def __init__(self, settings, work, task, stack):
        self.settings, self.work, self.task, self.stack = settings, work, task, stack
        self.started = {}

    def rapt(self, precision):
        return self.start("rapt", precision, lambda: rapt_worker(self.settings, precision))

    def torch(self, precision, compiled=False):
        """Throws WorkerError when torch.compile does not work."""
        if not compiled:
            return self.start("PyTorch", precision, lambda: torch_worker(self.settings, precision), compile=False)
        if shutil.which("g++") is None:
            raise WorkerError("torch.compile needs g++")
        return self.start("PyTorch compiled", precision, lambda: torch_worker(self.settings, precision), compile=True,
                          limit=self.settings.compile_seconds)

    def start(self, name, precision, make_worker, **values):
        if (name, precision) not in self.started:
            progress(f"{self.work}: {name} {precision}")
            worker = self.stack.enter_context(make_worker())
            self.started[name, precision] = Contestant(name, precision, worker, self.task, **values)
        return self.started[name, precision]


def make_task(settings, preset, made, folder):
    with rapt_worker(settings) as worker:
        config = worker.ask("preset", name=preset, vocabulary=made["vocabulary"])
    config |= {"final_norm": True, "dropout": 0.1}  # torch.nn.Transformer always has final norms
    config |= dict.fromkeys(("attention_dropout", "activation_dropout"), 0 if settings.paper_dropout else 0.1)
    weights = str(folder / f"{preset}.safetensors")
    with torch_worker(settings, "float32") as worker:
        worker.ask("save", config=config, output=weights)
    return {"config": config, "weights": weights, "batches": made["batches"]}


def measure_preset(settings, preset, made, folder):
    work, threads = f"training step, {preset}", settings.threads
    times_rows, memory_rows, failed_rows, pairs = [], [], [], []
    with contextlib.ExitStack() as stack:
        contest = Contest(settings, work, make_task(settings, preset, made, folder), stack)
        units = contest.rapt("highest").worker.ask("info")["units"]
        for precision, compiled, rapt_precision in PEERS:
            if compiled and preset not in settings.compile:
                continue
            if rapt_precision == "high" and units["high"] == "none":
                continue  # this processor computes high as highest
            try:
                pairs.append((contest.rapt(rapt_precision), contest.torch(precision, compiled)))
            except WorkerError as error:
                if not compiled:
                    raise
                reason = " ".join(str(error).split())[:200]
                failed_rows.append(Row(work, "PyTorch compiled", f"{precision} / {rapt_precision}", threads,
                                       f"not measured: {reason}"))

        reference = contest.torch("float32").loss()
        qualities = [None if peer.compiled else quality_of(ours, peer, reference) for ours, peer in pairs]
        contestants = list(dict.fromkeys(contestant for pair in pairs for contestant in pair))
        progress(f"{work}: turns of {len(contestants)} systems")
        turns = alternate([contestant.system for contestant in contestants], settings.rounds_of(ROUNDS[preset]),
                          [contestant.step_seconds for contestant in contestants])
        times = dict(zip(contestants, turns))
        for (ours, peer), quality in zip(pairs, qualities):
            steps = len(times[peer][0])
            losses = [contestant.last_training_loss(steps) for contestant in (peer, ours)]
            trained = "mean training loss of the last turn {:.3f}, rapt's {:.3f}".format(*losses)
            times_rows.append(paired_row(work, ours.system, peer.system, times[ours], times[peer], threads,
                                         quality or trained))
            if not peer.compiled:  # what a compiled one holds is mostly the compiler
                memory_rows.append(Row(f"{work}, peak memory", peer.system.name, times_rows[-1].precision, threads,
                                       trained, "MB", peer.memory / 1e6, ours.memory / 1e6,
                                       [peer.memory / ours.memory]))
    return Report(times_rows + failed_rows + memory_rows)


def measure(settings):
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        made = make_batches(settings, Path(name))
        report.notes.append(describe(made["batches"]))
        for preset in settings.presets:
            report.add(measure_preset(settings, preset, made, Path(name)))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "training")
