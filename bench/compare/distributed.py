#!/usr/bin/env python3
"""Training steps of a Transformer over two processes of one thread: rapt over MPI beside PyTorch's
DistributedDataParallel over gloo, and both on one process and on two that know nothing of each other.

The machines are network namespaces (tests/distributed/machines.py) without a limit and with a link of 1 Gbit/s and
50 us (bench/scale/measure.py). Both sides take the same made-up sentences: a batch of about 2,048 tokens a side for
each process and step, so that two processes do twice the work of one. rapt has no padding; PyTorch gets padded batches.
Needs root, Linux, Open MPI, and the programs scale_worker and link beside the worker.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import Report, Row, System, WorkerError, check, main, paired_row, progress, turns

sys.path.append(str(Path(__file__).resolve().parents[1] / "scale"))
import measure as links  # noqa: E402

ROUNDS, STEPS, UNCOUNTED = {"tiny": 5, "small": 5, "base": 3}, {"tiny": 8, "small": 4, "base": 2}, 1
LINKS = ("none", "1000, 50")
BUCKETS_MB = (1, 4, 10)  # tried beside DistributedDataParallel's default, 25
COMPARED_STEPS = 3  # whose losses are compared, without dropout
LIMIT = 1e-4  # of the relative difference of losses
TIMEOUT = 300  # seconds, for any run
TORCH = Path(__file__).with_name("torch_distributed.py")
FAILURES = (OSError, subprocess.TimeoutExpired, WorkerError)  # of a run or of the machines


class Place:
    """Where runs take place: this machine for one process, machines with a link for two. With `twice` two runs of one
    process take place at once, which know nothing of each other: how long is a step when only the hardware is shared?
    """

    def __init__(self, programs, folder, link=None, machines=None, interface=None, twice=False):
        self.programs, self.folder, self.link = programs, folder, link
        self.machines, self.interface = machines, interface
        self.processes = len(machines.names) if machines else 1
        self.runs = 2 if twice else 1

    def at_once(self, run):
        """`run(fields of a task)` gives begin and end of each step, and their losses; returns those steps of each of
        the runs that take place at once, and the losses of the first. Runs wait for one another before they begin."""
        with tempfile.TemporaryDirectory(dir=self.folder) as meeting:
            fields = {} if self.runs == 1 else {"meeting": meeting, "runs": self.runs}
            with concurrent.futures.ThreadPoolExecutor(self.runs) as pool:
                results = [future.result() for future in [pool.submit(run, fields) for _ in range(self.runs)]]
        return [steps for steps, _ in results], results[0][1]

    def rapt(self, task):
        command = links.worker_command(self.programs, task, self.processes, self.machines, self.interface)
        return links.answer_of(command, self.machines, TIMEOUT)

    def train_rapt(self, task):
        return self.at_once(lambda fields: self.run_rapt({**task, **fields}))

    def run_rapt(self, task):
        ranks = self.rapt({**task, "task": "train"})["ranks"]
        return longest_of([list(zip(rank["begin"], rank["end"])) for rank in ranks]), ranks[0]["loss"]

    def batches(self, task):
        """The model and the batches of a task, as torch_distributed.py reads them."""
        weights = self.folder / "weights.safetensors"
        whole = {**task, "task": "batches", "micro_batches": self.processes, "weights": str(weights)}
        made = links.answer_of(links.worker_command(self.programs, whole))
        return {"config": made["config"], "batches": made["batches"], "weights": str(weights),
                "processes": self.processes, "uncounted": made["task"]["uncounted"]}

    def train_torch(self, task, bucket_mb=None):
        """As train_rapt; `task` is what `batches` has returned."""
        if self.machines:
            task = {**task, "address": self.address(), "port": 29500, "interface": self.interface,
                    "bucket_mb": bucket_mb}
        return self.at_once(lambda fields: self.run_torch({**task, **fields}))

    def run_torch(self, task):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            file = Path(folder) / "task.json"
            file.write_text(json.dumps(task), encoding="utf-8")
            commands = [[sys.executable, str(TORCH), str(file), str(rank)] for rank in range(self.processes)]
            if self.machines:
                commands = [self.machines.on(name, command) for name, command in zip(self.machines.names, commands)]
            ranks = [json.loads(text) for text in outputs_of(commands)]
        return (longest_of([rank["steps"] for rank in ranks]),
                [sum(step) / self.processes for step in zip(*(rank["losses"] for rank in ranks))])

    def address(self):
        """Of the first machine on the link."""
        shown = links.namespaces.run("ip", "-n", self.machines.namespace(self.machines.names[0]), "-j", "-4", "address",
                                     "show", "dev", self.interface)
        return json.loads(shown)[0]["addr_info"][0]["local"]


def longest_of(ranks):
    """Begin and end of each step, of the process that took longest for it."""
    return [max(step, key=lambda times: times[1] - times[0]) for step in zip(*ranks)]


def seconds_together(runs):
    """Seconds of the steps [run][step] (begin, end) during the whole of which all other runs make steps, too: they do
    not begin and end together to the step. WorkerError if that is less than half of them."""
    found = []
    for i, steps in enumerate(runs):
        others = runs[:i] + runs[i + 1:]
        found += [end - begin for begin, end in steps
                  if all(other[0][0] <= begin and end <= other[-1][1] for other in others)]
    count = sum(map(len, runs))
    if 2 * len(found) < count:
        raise WorkerError(f"runs that should take place at once did so for {len(found)} of {count} steps")
    return found


def outputs_of(commands):
    """What commands that run at the same time print. WorkerError if one of them fails, for which the others may be
    waiting, or if they take too long together; none of them is left then."""
    deadline = time.monotonic() + TIMEOUT
    with contextlib.ExitStack() as stack:
        running = []
        for command in commands:
            said, errors = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
            process = subprocess.Popen(command, stdout=said, stderr=errors)
            stack.callback(process.wait)
            stack.callback(process.kill)
            running.append((process, said, errors))
        while any([process.poll() is None for process, _, _ in running]):
            if time.monotonic() > deadline:
                raise WorkerError(f"took more than {TIMEOUT} s")
            if any(process.returncode for process, _, _ in running):
                break
            time.sleep(0.02)
        failed = [f"process {rank}: exit code {process.returncode}: {text_of(errors).strip()[-1000:]}"
                  for rank, (process, _, errors) in enumerate(running) if process.returncode]
        if failed:
            raise WorkerError("; ".join(failed))
        return [text_of(said) for _, said, _ in running]


def text_of(file):
    file.seek(0)
    return file.read()


def largest_difference(place, preset):
    """Of the losses of the first steps without dropout, relative to PyTorch's. The first step sees the same weights,
    the others what both optimizers have made of them."""
    task = {"preset": preset, "steps": COMPARED_STEPS, "uncounted": 0, "dropout": 0, "tokens": 512}
    ours, theirs = place.train_rapt(task)[1], place.train_torch(place.batches(task))[1]
    difference = max(abs(a / b - 1) for a, b in zip(ours, theirs))
    return check(f"losses of {preset}, {place.processes} processes", difference, LIMIT)


def fastest_bucket(place, batches):
    """Of BUCKETS_MB, by a short run of each; None if DistributedDataParallel's default is faster."""
    seconds = {size: np.median(seconds_together(place.train_torch(batches, size)[0]))
               for size in (None, *BUCKETS_MB)}
    return min(seconds, key=seconds.get)


def padding(batches):
    """How many tokens of PyTorch's batches there are for each one that is no padding."""
    lists = [batch[key] for batch in batches["batches"] for key in ("source", "target_input")]
    return sum(len(ids) * max(map(len, ids)) for ids in lists) / sum(len(line) for ids in lists for line in ids)


@dataclasses.dataclass
class Contestant:
    place: Place
    name: str
    run: Callable[[], list[list[tuple[float, float]]]]  # begin and end of each step of each run
    turns: list[list[float]] = dataclasses.field(default_factory=list)

    def seconds(self):
        return float(np.median([np.median(turn) for turn in self.turns]))


def contestants_of(place, batches, task, quick):
    """rapt first."""
    yield Contestant(place, "rapt", lambda: place.train_rapt(task)[0])
    if place.processes == 1:
        yield Contestant(place, "PyTorch", lambda: place.train_torch(batches)[0])
        return
    yield Contestant(place, "PyTorch DDP, buckets of 25 MB (its default)", lambda: place.train_torch(batches)[0])
    has_limit = links.LINKS[place.link] is not None  # else buckets hardly matter
    if has_limit and not quick and (size := fastest_bucket(place, batches)) is not None:
        yield Contestant(place, f"PyTorch DDP, buckets of {size} MB (its fastest)",
                         lambda: place.train_torch(batches, size)[0])


def measure_preset(settings, preset, places):
    task = {"preset": preset, "steps": 2 if settings.quick else STEPS[preset], "uncounted": UNCOUNTED}
    groups, qualities, paddings = [], [], []
    for place in places:
        progress(f"{preset}, {describe(place)}: losses, buckets")
        difference = largest_difference(place, preset)
        qualities.append(f"losses without dropout differ by {difference:.0e} at most")
        batches = place.batches(task)
        paddings.append(padding(batches))
        groups.append(list(contestants_of(place, batches, task, settings.quick)))
    everybody = [contestant for group in groups for contestant in group]
    for k in turns(len(everybody), settings.rounds_of(ROUNDS[preset])):
        progress(f"{preset}, {describe(everybody[k].place)}: {everybody[k].name}")
        everybody[k].turns.append(seconds_together(everybody[k].run()))
    report, rapt = Report(), System("rapt", "highest", None)
    for place, (ours, *peers), quality in zip(places, groups, qualities):
        for peer in peers:
            report.rows.append(paired_row(f"training step, {preset}, {describe(place)}", rapt,
                                          System(peer.name, "float32", None), ours.turns, peer.turns, 1, quality))
    for (ours, *peers) in groups[1:]:
        slower = ", ".join(f"{name} {contestant.seconds() / alone.seconds():.2f}" for name, contestant, alone in
                           (("rapt", ours, groups[0][0]), *((peer.name, peer, groups[0][1]) for peer in peers)))
        work = "for twice its work" if ours.place.processes > 1 else "for the same work in each"
        report.notes.append(f"{preset}, {describe(ours.place)}: a step takes so many times as long as on one process, "
                            f"{work}: {slower}")
    report.notes.append(f"{preset}: with padding, PyTorch's batches have {np.mean(paddings):.2f} times as many tokens")
    return report


def describe(place):
    if place.processes == 1:
        return "1 process" if place.runs == 1 else "2 processes that share nothing but the processors"
    rate_and_delay = links.LINKS[place.link]
    return "2 processes, " + ("no limit" if rate_and_delay is None else "{:g} Gbit/s, {} us".format(
        rate_and_delay[0] / 1000, rate_and_delay[1]))


def why_not(programs):
    missing = [name for name in ("scale_worker", "link") if not (programs / name).is_file()]
    if missing:
        return f"there is no {' and no '.join(missing)} in {programs}"
    if not shutil.which(links.LAUNCHER):
        return f"there is no {links.LAUNCHER}"
    if not links.namespaces.is_open_mpi(links.LAUNCHER):
        return f"{links.LAUNCHER} is not Open MPI's"
    return links.namespaces.why_not()


def not_measured(work, reason):
    """A row that says why; `reason` is a text or what was thrown."""
    if isinstance(reason, subprocess.TimeoutExpired):
        reason = f"took more than {reason.timeout:g} s"
    text = " ".join(str(reason).split()).replace("|", r"\|")
    return Row(work, "PyTorch DDP", "float32 / highest", 1, f"not measured: {text}")


def measure(settings):
    programs = settings.worker.resolve().parent
    if reason := why_not(programs):
        return Report([not_measured("training step, 2 processes", reason)])
    report = Report()
    try:
        measure_presets(settings, programs, report)
    except FAILURES as error:  # of the machines
        report.rows.append(not_measured("training step, 2 processes", error))
    return report


def measure_presets(settings, programs, report):
    """Adds to the report what there is; a preset whose runs fail does not keep the others from being measured."""
    report.notes.append(links.namespaces.run(links.LAUNCHER, "--version").splitlines()[0])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places = [Place(programs, folder), Place(programs, folder, twice=True)]
        for link in LINKS:
            machines, interface = stack.enter_context(links.joined_machines(2, link, programs))
            places.append(Place(programs, folder, link, machines, interface))
        for preset in settings.presets:
            try:
                report.add(measure_preset(settings, preset, places))
            except FAILURES as error:
                report.rows.append(not_measured(f"training step, {preset}", error))


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "distributed")
