#!/usr/bin/env python3
"""Parsers trained on a treebank by the example `parse` and by PyTorch, equally long: brackets found in new sentences.

    python bench/compare/parsing.py OUTPUT TREES [--parsers span span-gold sequence] [--equal steps] [--quick]

TREES holds train.trees, dev.trees and test.trees, as GUM's are. rapt trains first, for --steps; PyTorch then trains the
same model on the same tokens, in batches of the same size, with the same schedule, optimizer and dropout, for as many
seconds on as many threads (validations and checkpoints of neither are counted), its learning rate falling to 0 with its
time. With `--equal steps` it makes as many steps instead. Highest learning rate, warm-up and dropout are those that
were chosen for rapt at its number of steps; in equal minutes PyTorch makes another number of steps with the same steps
of warm-up. One seed: how far seeds differ is not known. Both keep the version that does best on dev.trees, of as many
validations. PyTorch's parameters have rapt's names, so that `parse test` decodes and scores both parsers.

Before that, loss and norm of the gradients of 64 trees are compared, with the same weights and without dropout. All
that is finished is kept in OUTPUT, and trainings have checkpoints: the same command goes on where it was stopped; one
with other settings or trees is refused. Writes parsing.md and parsing.svg there.

One training comes after the other: equal minutes compare them only if the load of the machine stays the same. The notes
below the table have what a step took at the beginning and at the end of each. Build the preset release: with
RAPT_EXAMPLES_QUICKLY, which tests/run.sh sets in build/, the example is compiled with -O1.
"""

import argparse
import datetime
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from common import ROOT, QualityError, check, cpu_model, progress
from parse_runs import OtherRun, builds, claim, fingerprint, flags_of, intervals, log_of, pace, seconds_per_step
from parse_runs import train_arguments
from torch_parse import KINDS, Training, load_parser
from treebank import ParserFile, read_trees

SPAN = {"--subwords": 5000, "--width": 256, "--layers": 4, "--heads": 8, "--hidden": 1024, "--dropout": 0.2,
        "--batch": 32, "--learning-rate": 8e-4, "--warmup": 400, "--steps": 10000, "--validate-every": 500,
        "--measured": 1573}
SEQUENCE = {"--subwords": 5000, "--width": 256, "--layers": 4, "--heads": 4, "--hidden": 1024, "--dropout": 0.3,
            "--tokens": 3000, "--learning-rate": 1e-3, "--warmup": 500, "--steps": 6000, "--validate-every": 500,
            "--measured": 200}
PARSERS = {"span": {"--model": "span", **SPAN}, "span-gold": {"--model": "span", "--tags": "gold", **SPAN},
           "sequence": {"--model": "sequence", **SEQUENCE}}
QUICK = {"--subwords": 300, "--width": 32, "--layers": 1, "--heads": 2, "--hidden": 64, "--steps": 200, "--warmup": 20,
         "--validate-every": 50, "--measured": 20}
QUICK_TREES = 100
LIMIT = 1e-4  # of the relative difference of losses
LIMIT_OF_GRADIENTS = 1e-3  # close scores may have another tree win
COMPARED_TREES = 64


def parse(settings, *arguments):
    """What the example prints."""
    run = subprocess.run([settings.parse, *map(str, arguments)], capture_output=True, text=True,
                         env={**os.environ, "RAPT_THREADS": str(settings.threads), "RAPT_PRECISION": "highest"})
    if run.returncode:
        sys.exit(f"{settings.parse} {shlex.join(map(str, arguments))}\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.stdout


def measure(settings, parser, trees, gold_tags=False):
    """Percentages, and how many outputs are trees over the right words."""
    said = parse(settings, "test", "--parser", parser, "--trees", trees, *(["--gold-tags"] if gold_tags else []))
    found = {name: float(value) for name, value in re.findall(r"(\w+) ([0-9.]+)(?=  |$)", said.splitlines()[1])}
    return {**found, "trees": re.match(r"\d+ of \d+", said).group()}


def compare_losses(settings, flags):
    """The largest difference of the first step's loss, and of the norm of its gradients."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = settings.files["train"].read_text(encoding="utf-8").split("\n")[:COMPARED_TREES]
        (folder / "trees").write_text("\n".join(lines) + "\n", encoding="utf-8")
        one_batch = {"--tokens": 100000} if flags["--model"] == "sequence" else {"--batch": COMPARED_TREES}
        still = {**flags, **one_batch, "--subwords": 500, "--dropout": 0, "--steps": 1, "--warmup": 0,
                 "--learning-rate": 1e-12}
        parse(settings, "train", "--trees", folder / "trees", "--parser", folder / "parser", "--folder", folder / "run",
              "--log-every", 1, *flags_of(still))
        theirs = next(entry for entry in log_of(folder / "run") if "loss" in entry)
        file = ParserFile(folder / "parser")
        kind, examples = KINDS[flags["--model"]]
        model = kind(file.config)
        load_parser(model, folder / "parser")
        loss = model.loss(examples(read_trees(folder / "trees"), file).batch(range(COMPARED_TREES)))
        loss.backward()
        norm = math.hypot(*(float(p.grad.norm()) for p in model.parameters()))
        return (check("loss", abs(loss.item() / theirs["loss"] - 1), LIMIT),
                check("norm of gradients", abs(norm / theirs["gradient_norm"] - 1), LIMIT_OF_GRADIENTS))


def train_rapt(settings, flags, folder):
    """The parser's file, the seconds of its training and the F1 of validations after so many minutes."""
    parser, run = folder / "rapt.safetensors", folder / "run"
    if not parser.exists():
        progress(f"{folder.name}: rapt trains for {flags['--steps']} steps")
        parse(settings, *train_arguments(flags, settings.files, parser, run))
    log = log_of(run)
    step = seconds_per_step(log)
    curve = [(entry["step"] * step / 60, 100 * entry["f1"]) for entry in log if "f1" in entry and "step" in entry]
    return parser, step * flags["--steps"], curve


def torch_training(settings, flags, folder, seconds):
    """Of the parser that rapt has trained in this folder."""
    dev = folder / "dev.trees"
    lines = settings.files["dev"].read_text(encoding="utf-8").split("\n")[:flags["--measured"]]
    dev.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def f1_of(path):
        return measure(settings, path, dev, flags.get("--tags") == "gold")["F1"]

    return Training(folder, read_trees(settings.files["train"]), f1_of, kind=flags["--model"],
                    batch=flags["--tokens" if flags["--model"] == "sequence" else "--batch"],
                    peak=flags["--learning-rate"], warmup=flags["--warmup"],
                    validations=max(1, flags["--steps"] // flags["--validate-every"]),
                    **({"steps": flags["--steps"]} if settings.equal == "steps" else {"seconds": seconds}))


def compare(settings, name, flags):
    """The rows of one parser and the curves of its trainings."""
    folder = settings.output / name
    kept = folder / "result.json"
    claim(folder, {"flags": flags, "equal": settings.equal, "threads": settings.threads, "PyTorch": torch.__version__,
                   **{part: fingerprint(file) for part, file in settings.files.items()}})
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    loss, norm = compare_losses(settings, flags)
    parser, seconds, curve = train_rapt(settings, flags, folder)
    log = log_of(folder / "run")
    training = torch_training(settings, flags, folder, seconds)
    state = training.run()
    rows = []
    for gold in {"span": (False,), "span-gold": (True,), "sequence": (False, True)}[name]:
        for system, path, steps, spent in (("rapt", parser, flags["--steps"], seconds),
                                           ("PyTorch", training.parser, state.step, state.seconds)):
            rows.append({"system": system, "speech": "gold" if gold else "predicted", "steps": steps,
                         "minutes": spent / 60, **measure(settings, path, settings.files["test"], gold)})
    result = {"flags": flags, "rows": rows, "loss": loss, "norm": norm, "builds": builds(log),
              "pace": {"rapt": pace(intervals(log)), "PyTorch": pace(state.intervals)}, "load": state.load,
              "charts": state.charts / state.seconds, "curves": {"rapt": curve, "PyTorch": state.curve},
              "parameters": sum(p.numel() for p in training.model.parameters())}
    kept.write_text(json.dumps(result), encoding="utf-8")
    return result


def table(results):
    lines = ["| parser | parameters | parts of speech | trained by | steps | minutes | F1 | precision | recall | "
             "complete | tags right | trees over the right words |",
             "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for name, result in results.items():
        for row in result["rows"]:
            figures = [f"{row[key]:.2f}" for key in ("F1", "precision", "recall", "complete", "tags")]
            lines.append(f"| {name.split('-')[0]} | {result['parameters']:,} | {row['speech']} | {row['system']} | "
                         f"{row['steps']:,} | {row['minutes']:.1f} | {' | '.join(figures)} | {row['trees']} |")
    return "\n".join([*lines, "", *(note(name, result) for name, result in results.items())])


def note(name, result):
    """What stands below the table about a parser."""
    paces = "; ".join(f"{system} {1e3 * begin:.0f} and {1e3 * end:.0f}"
                      for system, (begin, end) in result["pace"].items())
    text = (f"- {name}: `parse train {' '.join(map(str, flags_of(result['flags'])))}` ({'; '.join(result['builds'])}); "
            f"with the same weights and {COMPARED_TREES} trees, losses differ by {result['loss']:.0e}, norms of "
            f"gradients by {result['norm']:.0e}. Milliseconds of a step at the beginning and at the end: {paces}. Load "
            f"average at PyTorch's validations: {min(result['load']):.2f} to {max(result['load']):.2f}")
    if result["charts"] > 0:
        text += f". The search for trees, in NumPy on one thread, is {100 * result['charts']:.1f} % of PyTorch's time"
    return text


def draw(results, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for color, (name, result) in zip(("tab:blue", "tab:orange", "tab:green"), results.items()):
        for style, (system, curve) in zip(("-", "--"), result["curves"].items()):
            axes.plot(*zip(*curve), style, color=color, label=f"{name}, {system}")
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("F1 of brackets, validation")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("output", type=Path)
    parser.add_argument("trees", type=Path)
    parser.add_argument("--parse", type=Path, default=ROOT / "build/examples/parse")
    parser.add_argument("--parsers", nargs="+", choices=PARSERS, default=["span", "sequence"])
    parser.add_argument("--steps", type=int, help="of rapt (default: 10,000; of sequence 6,000)")
    parser.add_argument("--equal", choices=("minutes", "steps"), default="minutes",
                        help="what both trainings have alike")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="some trees, small models: to see that all works")
    settings = parser.parse_args()
    settings.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    settings.files = {name: settings.trees / f"{name}.trees" for name in ("train", "dev", "test")}
    if settings.quick:
        for name, file in settings.files.items():
            settings.files[name] = settings.output / f"{name}.trees"
            lines = file.read_text(encoding="utf-8").split("\n")[:QUICK_TREES]
            settings.files[name].write_text("\n".join(lines) + "\n", encoding="utf-8")
    head = (f"{cpu_model()}, {settings.threads} threads, PyTorch {torch.__version__}, load average at the start "
            f"{os.getloadavg()[0]:.2f}; {datetime.date.today().isoformat()}, "
            f"`python {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`")
    results = {}
    for name in settings.parsers:
        flags = {**PARSERS[name], **(QUICK if settings.quick else {})}
        flags["--steps"] = settings.steps or flags["--steps"]
        try:
            results[name] = compare(settings, name, flags)
        except QualityError as error:
            sys.exit(f"NOT THE SAME MODEL: {error}")
        except OtherRun as error:
            sys.exit(str(error))
        text = f"{head}\n\n{table(results)}\n"
        (settings.output / "parsing.md").write_text(text, encoding="utf-8")
        draw(results, settings.output / "parsing.svg")
    print(text)


if __name__ == "__main__":
    main()
