"""What the comparisons share: the processes that are timed, turns, statistics, the table and the image."""

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import platform
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PRECISIONS = ("highest", "high", "medium")
TURN_SECONDS = 0.4  # counted work of the fastest system in a turn
SPIN_SECONDS = 0.05  # uncounted at the start of a turn: the other system's threads are still spinning down
ROOT = Path(__file__).resolve().parents[2]


class WorkerError(Exception):
    """A worker could not do what it was asked."""


class QualityError(Exception):
    """Two systems do not compute the same."""


class Worker:
    """A process that answers one JSON line with another: worker.cpp or torch_worker.py."""

    def __init__(self, command):
        self.name = Path(command[-1]).name
        # A group of its own, so that stopping it also stops the compilers that torch.compile starts.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)

    def ask(self, command, limit=None, **values):
        """The answer; WorkerError if the worker says that it failed, ends, or takes more than `limit` seconds."""
        try:
            self.process.stdin.write(json.dumps({"command": command, **values}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the answer is empty
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise WorkerError(f"took more than {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name} ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def run(self, uncounted, counted):
        """Seconds of each counted step."""
        return self.ask("run", uncounted=uncounted, counted=counted)["seconds"]

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def rapt_worker(settings, precision="highest"):
    worker = Worker([str(settings.worker)])
    worker.ask("configure", threads=settings.threads, precision=precision)
    return worker


# Turns ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class System:
    name: str
    precision: str
    run: Callable[[int, int], list[float]]  # (uncounted, counted) -> seconds of each counted step


def timed(step, clock=time.perf_counter):
    """The `run` of a System in this process."""
    def run(uncounted, counted):
        for _ in range(uncounted):
            step()
        seconds = []
        for _ in range(counted):
            start = clock()
            step()
            seconds.append(clock() - start)
        return seconds

    return run


def alternate(systems, rounds, step_seconds=None):
    """Seconds of every counted step: [system][round][step].

    A round is a turn of each system; every other round goes backwards. Given their step_seconds, all systems make the
    same number of steps: those of a turn of the fastest. Otherwise each makes as many as fill a turn.
    """
    same_steps = step_seconds is not None
    if not same_steps:
        step_seconds = [float(np.median(system.run(1, 3))) for system in systems]
    fastest = min(step_seconds)
    times = [[] for _ in systems]
    for i in range(rounds):
        order = range(len(systems)) if i % 2 == 0 else reversed(range(len(systems)))
        for k in order:
            step = fastest if same_steps else step_seconds[k]
            times[k].append(systems[k].run(math.ceil(SPIN_SECONDS / step), math.ceil(TURN_SECONDS / step)))
    return times


# Results --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """One line of the table. A peer that could not be measured has no values, and `quality` says why."""

    work: str
    peer: str
    precision: str  # the peer's / rapt's
    threads: int
    quality: str
    unit: str = "ms"
    peer_value: float = math.nan
    rapt_value: float = math.nan
    ratios: list[float] = dataclasses.field(default_factory=list)  # peer / rapt, one a round

    @property
    def ratio(self):
        return float(np.median(self.ratios)) if self.ratios else math.nan

    @property
    def quartiles(self):
        return np.percentile(self.ratios, [25, 75]).tolist()


def paired_row(work, rapt, peer, rapt_times, peer_times, threads, quality):
    """Row of two systems that took turns; times are [round][step]."""
    rapt_turns, peer_turns = ([float(np.median(turn)) for turn in times] for times in (rapt_times, peer_times))
    return Row(work, peer.name, f"{peer.precision} / {rapt.precision}", threads, quality,
               peer_value=1e3 * float(np.median(peer_turns)), rapt_value=1e3 * float(np.median(rapt_turns)),
               ratios=[p / r for p, r in zip(peer_turns, rapt_turns)])


@dataclasses.dataclass
class Report:
    rows: list[Row] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)  # lines below the table

    def add(self, other):
        self.rows += other.rows
        self.notes += other.notes


def relative_error(value, reference):
    """||value - reference|| / ||reference||, Frobenius, in float64."""
    value, reference = (np.asarray(array, dtype=np.float64) for array in (value, reference))
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def check(what, difference, limit):
    """Fails unless difference <= limit."""
    if not difference <= limit:  # also for NaN
        raise QualityError(f"{what}: differs by {difference:.3g}, at most {limit:g} is allowed")
    return difference


def progress(text):
    print(text, file=sys.stderr, flush=True)


# Output ---------------------------------------------------------------------------------------------------------------


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                platform.processor() or platform.machine())


def head(settings):
    """What was measured, where, with what: lines of Markdown."""
    with rapt_worker(settings) as worker:
        info = worker.ask("info")
    units = {name: "float32" if unit == "none" else f"bfloat16 on {unit}" for name, unit in info["units"].items()}
    versions = [f"Python {platform.python_version()}"]
    for name, package in (("PyTorch", "torch"), ("ONNX Runtime", "onnxruntime"), ("NumPy", "numpy")):
        try:
            versions.append(f"{name} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass  # not every script needs all of them
    return [
        f"- processor: {cpu_model()}, {settings.threads} of {os.cpu_count()} threads; load average at the start "
        f"{settings.load:.2f}",
        f"- {info['build_info']}; products run in {', '.join(f'{name}: {units[name]}' for name in PRECISIONS)}",
        f"- {', '.join(versions)}",
        f"- {datetime.date.today().isoformat()}, `python {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`",
    ]


def table(rows):
    """Markdown; ratio > 1: rapt needs less."""
    def value(number, unit):
        return "-" if math.isnan(number) else f"{number:.4g} {unit}" if number < 1000 else f"{number:.0f} {unit}"

    lines = ["| work | system | precision: its / rapt's | its median | rapt's median | ratio (quartiles) | threads | "
             "quality |", "|---|---|---|---:|---:|---:|---:|---|"]
    for row in rows:
        ratio = "-" if not row.ratios else f"{row.ratio:.2f}"
        if len(row.ratios) > 1:
            ratio += " ({:.2f} - {:.2f})".format(*row.quartiles)
        lines.append(f"| {row.work} | {row.peer} | {row.precision} | {value(row.peer_value, row.unit)} | "
                     f"{value(row.rapt_value, row.unit)} | {ratio} | {row.threads} | {row.quality} |")
    return "\n".join(lines)


def draw(rows, path):
    """Horizontal bars of the ratios, quartiles as whiskers."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    rows = [row for row in rows if row.ratios][::-1]  # the first on top
    figure, axes = pyplot.subplots(figsize=(10, 1 + 0.26 * len(rows)), layout="constrained")
    for y, row in enumerate(rows):
        axes.barh(y, row.ratio - 1, left=1, height=0.7, color="tab:blue" if row.ratio >= 1 else "tab:orange")
        if len(row.ratios) > 1:
            axes.plot(row.quartiles, [y, y], color="black", linewidth=1)
        axes.annotate(f"{row.ratio:.2f}", (max(row.ratio, *row.quartiles, 1), y), xytext=(4, 0),
                      textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [f"{row.work}: {row.peer}, {row.precision}" for row in rows], fontsize=8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("ratio: right of 1, rapt needs less")
    axes.margins(x=0.08)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path)
    pyplot.close(figure)


def parse_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("output", type=Path, help="folder for the table and the image; is made if need be")
    parser.add_argument("--worker", type=Path, default=ROOT / "build/bench/compare_worker",
                        help="rapt's program, built from worker.cpp (default: %(default)s)")
    parser.add_argument("--data", type=Path,
                        help="folder that holds multi30k/raw/train.en and train.de; without: synthetic sentences")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of every system (default: the machine's, %(default)s)")
    parser.add_argument("--rounds", type=int, help="turns of each system (default: 3 to 7, by the time that one takes)")
    parser.add_argument("--quick", action="store_true", help="one round, the smallest sizes: to see that all works")
    parser.add_argument("--compile", nargs="*", choices=("tiny", "small", "base"), default=["small"],
                        help="presets that are also trained with torch.compile, which takes minutes (default: small)")
    parser.add_argument("--compile-seconds", type=float, default=180,
                        help="torch.compile may take so long for a model (default: %(default)g)")
    parser.add_argument("--paper-dropout", action="store_true",
                        help="drop out embeddings and sublayers' outputs alone, as the paper does; default: attention "
                        "weights and hidden units, too, as torch.nn.Transformer does")
    settings = parser.parse_args()
    if not settings.worker.is_file():
        parser.error(f"there is no {settings.worker}: build the target rapt_compare_worker, or give --worker")
    settings.load = os.getloadavg()[0]
    settings.rounds_of = lambda default: 1 if settings.quick else settings.rounds or default
    return settings


def main(measure, description, name):
    """Command line of a comparison: measures, prints the table, writes it and the image to the output folder."""
    settings = parse_arguments(description)
    settings.output.mkdir(parents=True, exist_ok=True)
    lines = head(settings)
    if settings.load > 0.3:
        lines.append("- **the machine was not idle: spinning threads of every system suffer, the times mean little**")
        progress(lines[-1])
    try:
        report = measure(settings)
    except QualityError as error:
        sys.exit(f"NOT THE SAME WORK: {error}")
    text = "\n".join(["# rapt beside other systems", "", *lines, "", "Ratio: what the system needs / what rapt needs, "
                      "the median of pairs taken in alternation, with their quartiles.", "", table(report.rows), "",
                      *(f"- {note}" for note in report.notes)]) + "\n"
    (settings.output / f"{name}.md").write_text(text, encoding="utf-8")
    draw(report.rows, settings.output / f"{name}.svg")
    print(text)
