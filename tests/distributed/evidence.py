#!/usr/bin/env python3
"""What takes too long for the tests: trainings on 1 to 8 processes compared bit for bit, and many that are disturbed at
random moments. Prints tables in Markdown and fails if anything differs.

    evidence.py bits EXAMPLES MPIRUN DATA [--examples gpt,vit,translate]
                     [--settings plain,dropout,sharded] [--threads 1,2]
    evidence.py faults EXAMPLES MPIRUN [--kinds kill,stop,cut,full] [--runs 30] [--timeout 3] [--seed 1]
                       [--jobs 2]

EXAMPLES is the folder of the programs, MPIRUN the launcher of the MPI that they were built with, DATA the folder of
multi30k, shakespeare and mnist. Faults need root, those of links the namespaces of machines.py.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machines import Machines, run, why_not

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
from training_runs import ENVIRONMENT, checkpoint_step, example_command, ranks, results

MOST_SECONDS = 600  # for any run


def start(folder, command, threads=1):
    folder.mkdir(exist_ok=True)
    with open(folder / "said.txt", "ab") as said:
        environment = {**os.environ, **ENVIRONMENT, "RAPT_THREADS": str(threads)}
        return subprocess.Popen(list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=said,
                                stderr=subprocess.STDOUT, env=environment)


def finish(process, folder, code=0):
    found = process.wait(MOST_SECONDS)
    if found != code:
        raise RuntimeError(f"{folder}: exit code {found}\n{(folder / 'said.txt').read_text(errors='replace')[-3000:]}")


def logged_steps(folder):
    try:
        return (folder / "run/log.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def wait_for_step(process, folder, step, programs):
    """Waits until the log has so many lines; false if the run has ended before."""
    while logged_steps(folder) < step:
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return bool(ranks(programs, folder))


# The same bits -------------------------------------------------------------------------------------------------------

RUN = ("--folder", "run", "--log-every", 1, "--checkpoint-every", 25, "--micro-batches", 8)


PAIRS = 2000  # of Multi30k's 29,000: each process learns the subwords by itself


def steps_of_50(data, root):
    """Commands of 50 steps and 8 micro-batches."""
    train = root / "multi30k"
    for language in "en", "de":
        lines = (data / f"multi30k/raw/train.{language}").read_text().splitlines(keepends=True)[:PAIRS]
        (root / f"multi30k.{language}").write_text("".join(lines))
    return {
        "gpt": ("gpt", "--text", data / "shakespeare/input.txt", "--steps", 50, "--warmup", 10, "--width", 64,
                "--layers", 2, "--context", 64, "--batch", 2, "--sample", 0, "--model", "model", *RUN),
        "vit": ("vit", "--mnist", data / "mnist", "--epochs", 1, "--batch", 150, "--patch", 14, "--width", 32,
                "--layers", 2, "--heads", 2, "--hidden", 64, "--image", "image.png", "--model", "model", *RUN),
        "translate": ("translate", "train", "--source", f"{train}.en", "--target", f"{train}.de", "--hold-out", 50,
                      "--preset", "tiny", "--vocabulary", 1000, "--tokens", 64, "--steps", 50, "--warmup", 10,
                      "--model", "model.safetensors", *RUN),
    }


def setting_flags(example, setting):
    if setting == "plain":
        return ["--dropout", 0]
    return ["--dropout", 0.1, *(["--clip", 0.5] if example == "translate" else []),  # gpt and vit clip always
            *(["--shard-optimizer"] if setting == "sharded" else [])]


def check_bits(arguments):
    programs, mpirun = arguments.programs, arguments.mpirun
    wrong = 0
    moments = random.Random(arguments.seed)
    print("| example | setting | threads | processes with the bits of one without mpirun | "
          "P = 4 stopped by SIGTERM, goes on with |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        examples = steps_of_50(arguments.data, root)
        for example in arguments.examples.split(","):
            program, *rest = examples[example]
            references = {}
            for setting in arguments.settings.split(","):
                command = [programs / program, *rest, *setting_flags(example, setting)]
                key = "dropout" if setting == "sharded" else setting  # shards change no bits
                if key not in references:
                    folder = root / f"{example}-{key}"
                    alone = [programs / program, *rest, *setting_flags(example, key)]
                    finish(start(folder, alone), folder)
                    references[key] = results(folder)
                expected = references[key]
                if not len([entry for entry in expected["log"] if "loss" in entry]) >= 50:
                    raise RuntimeError(f"{example}: the log has {len(expected['log'])} lines")
                for threads in map(int, arguments.threads.split(",")):
                    same, goes_on = [], []

                    def compare(folder, name, into):
                        is_same = results(folder) == expected
                        into.append(name if is_same else f"**not {name}**")
                        shutil.rmtree(folder)
                        return not is_same

                    for processes in 1, 2, 4, 8:
                        folder = root / "run"
                        finish(start(folder, [mpirun, "-n", processes, *command], threads), folder)
                        wrong += compare(folder, processes, same)
                    # A checkpoint of four processes.
                    folder = root / "four"
                    process = start(folder, [mpirun, "-n", 4, *command], threads)
                    if not wait_for_step(process, folder, moments.randint(5, 40), programs):
                        raise RuntimeError(f"{folder} has ended too early")
                    os.kill(moments.choice(sorted(ranks(programs, folder).items()))[1], signal.SIGTERM)
                    finish(process, folder, 130)
                    step = checkpoint_step(folder / "run")
                    if not 0 < step < 50:
                        raise RuntimeError(f"{folder} was stopped after step {step}")
                    for processes in 2, 1:
                        folder = root / f"from-four-{processes}"
                        shutil.copytree(root / "four", folder)
                        finish(start(folder, [mpirun, "-n", processes, *command, "--resume"], threads), folder)
                        wrong += compare(folder, processes, goes_on)
                    shutil.rmtree(root / "four")
                    print(f"| {example} | {setting} | {threads} | {', '.join(map(str, same))} | "
                          f"{', '.join(map(str, goes_on))} (step {step}) |", flush=True)
    return wrong


# Faults --------------------------------------------------------------------------------------------------------------

STEPS = 120
JOB = ("gpt", "--steps", STEPS, "--checkpoint-every", 5)


def limit_of(kind, timeout):
    """The seconds in which all ranks must have ended: a second for the launcher between SIGTERM and SIGKILL; the
    time-out, and as long until all have heard of it. The rest is for a busy machine."""
    return {"kill": 10, "stop": 9 + 2 * timeout, "cut": 9 + 2 * timeout}.get(kind)


class Fault:
    """A run that is disturbed at a random moment, and the run that goes on behind it."""

    def __init__(self, arguments, kind, number, expected, root):
        self.programs, self.mpirun, self.kind, self.expected = arguments.programs, arguments.mpirun, kind, expected
        self.timeout = arguments.timeout
        self.random = random.Random(f"{arguments.seed} {kind} {number}")
        self.folder = root / f"{kind}-{number}"
        self.kept = root / f"wrong-{kind}-{number}"  # the folder of a run that went wrong, for who looks for the reason
        self.processes = self.random.randint(2, 4)
        self.ends = self.is_same = False
        self.seconds = 0.0
        self.survivors = self.speakers = 0
        self.code = None
        self.busy = 0  # how often the run was begun again
        self.remark = ""

    def run(self):
        self.folder.mkdir()
        is_mounted = False
        try:
            if self.kind == "full":
                (self.folder / "run").mkdir()
                run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.folder / "run"))
                is_mounted = True
            if self.kind == "cut":
                with Machines(["anna", "bert"]) as machines:
                    self._disturb(machines)
            else:
                self._disturb(None)
            self._go_on()
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            self.remark = str(error)
        finally:
            if not (self.ends and self.is_same and not self.remark):
                shutil.copytree(self.folder, self.kept)
            if is_mounted:
                run("umount", str(self.folder / "run"))
            shutil.rmtree(self.folder)
        return self

    def _command(self, *more):
        return ["env", "RAPT_THREADS=1", *example_command(self.programs, *JOB, *more)]

    def _begin(self, machines):
        """A run that has come to a random step. One that has ended before, as the machine was too busy for so short a
        time-out, is begun again."""
        launch = machines.mpirun if machines else lambda mpirun, processes, command: [mpirun, "-n", processes, *command]
        for self.busy in range(10):
            process = start(self.folder, launch(self.mpirun, self.processes, self._command("--timeout", self.timeout)))
            if wait_for_step(process, self.folder, self.random.randint(1, STEPS * 3 // 4), self.programs):
                return process
            process.wait(MOST_SECONDS)
            said = (self.folder / "said.txt").read_text(errors="replace")
            if "no answer within" not in said and "not all processes have begun" not in said:
                break
            for path in self.folder.rglob("*"):
                if path.is_file():
                    path.unlink()
        raise RuntimeError(f"{self.folder} has ended before it was disturbed")

    def _disturb(self, machines):
        process = self._begin(machines)
        time.sleep(self.random.uniform(0, 0.02))
        victims = ranks(self.programs, self.folder)
        begin = time.monotonic()
        stopped = None
        if self.kind == "full":
            self._fill()
        else:
            if self.kind == "cut":
                machines.cut(self.random.choice(machines.names))
                self.survivors = self.processes
            else:
                stopped = self.random.choice(sorted(victims))
                os.kill(victims[stopped], signal.SIGKILL if self.kind == "kill" else signal.SIGSTOP)
                self.survivors = self.processes - 1
            while ranks(self.programs, self.folder) and time.monotonic() - begin < 120:
                time.sleep(0.02)
            self.ends = not ranks(self.programs, self.folder)
            self.seconds = time.monotonic() - begin
            if machines:
                for name in machines.names:
                    machines.join(name)
        self.code = process.wait(MOST_SECONDS)
        said = (self.folder / "said.txt").read_text(errors="replace")
        spoken = re.findall(r"^gpt, rank (\d+): .*\[mpi\]|^\[mpi\] rank (\d+) was asked to end and waits", said, re.M)
        self.speakers = len({rank for pair in spoken for rank in pair if rank} - {str(stopped)})
        if self.kind == "full":  # nothing is kept, and the training goes on to its end
            model = "model/model.safetensors"
            self.ends = self.code == 0 and (self.folder / model).read_bytes() == self.expected[model]
            self.survivors, self.speakers = 1, int("cannot keep what is learned" in said)
            (self.folder / "run/filler").unlink()
        elif self.code == 0:
            raise RuntimeError(f"{self.folder}: exit code 0 after a fault")

    def _fill(self):
        """Leaves no room on the disk."""
        with open(self.folder / "run/filler", "wb", buffering=0) as filler:
            for size in 1 << 16, 1 << 12, 1:
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass

    def _go_on(self):
        how = "--resume" if checkpoint_step(self.folder / "run") > 0 else "--restart"
        again = [self.mpirun, "-n", self.random.randint(1, 4), *self._command(how)]
        finish(start(self.folder, again), self.folder)
        self.is_same = results(self.folder) == self.expected


def how_long(longest, limit):
    return f"{longest:.1f} s, {limit} s" if limit else "(trains on to the same model)"


def check_faults(arguments):
    wrong = 0
    root = pathlib.Path(tempfile.mkdtemp(prefix="rapt-faults-"))
    folder = root / "undisturbed"
    finish(start(folder, example_command(arguments.programs, *JOB)), folder)
    expected = results(folder)
    print("| fault | runs | all ranks have ended as they should | longest, limit | survivors that say why | "
          "exit codes | resumed run has the same bits |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for kind in arguments.kinds.split(","):
        if kind == "cut" and (reason := why_not()):
            print(f"SKIPPED: {kind}: {reason}")
            continue
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            runs = [pool.submit(Fault(arguments, kind, number, expected, root).run) for number in range(arguments.runs)]
            faults = [finished.result() for finished in runs]
        limit = limit_of(kind, arguments.timeout)
        codes = collections.Counter(fault.code for fault in faults)
        ended, same = sum(fault.ends for fault in faults), sum(fault.is_same for fault in faults)
        longest = max(fault.seconds for fault in faults)
        print(f"| {kind} | {len(faults)} | {ended} | {how_long(longest, limit)} | "
              f"{sum(fault.speakers for fault in faults)} of {sum(fault.survivors for fault in faults)} | "
              f"{', '.join(f'{code}: {count}' for code, count in codes.items())} | {same} |", flush=True)
        if busy := sum(fault.busy for fault in faults):
            print(f"{kind}: {busy} times a busy machine ended a run before it was disturbed, which was begun again")
        for fault in faults:
            if fault.remark or not fault.ends or not fault.is_same:
                print(f"{fault.kept}: {fault.remark}")
        wrong += len(faults) - same + len(faults) - ended + (limit is not None and longest > limit)
    if wrong == 0:
        shutil.rmtree(root)
    return wrong


def main():
    parser = argparse.ArgumentParser(description="Training over processes: the same bits, and faults.")
    parser.add_argument("what", choices=["bits", "faults"])
    parser.add_argument("programs", type=lambda path: pathlib.Path(os.path.abspath(path)))
    parser.add_argument("mpirun")
    parser.add_argument("data", nargs="?", type=lambda path: pathlib.Path(os.path.abspath(path)))
    parser.add_argument("--examples", default="gpt,vit,translate")
    parser.add_argument("--settings", default="plain,dropout,sharded")
    parser.add_argument("--threads", default="1,2", help="of a process")
    parser.add_argument("--kinds", default="kill,stop,cut,full")
    parser.add_argument("--runs", type=int, default=30, help="of each kind of fault")
    parser.add_argument("--timeout", type=int, default=3, help="the seconds that a disturbed process waits for others")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--jobs", type=int, default=2, help="the number of disturbed runs at a time")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which removes machines and folders
    if arguments.what == "bits" and arguments.data is None:
        parser.error("bits needs DATA")
    wrong = check_bits(arguments) if arguments.what == "bits" else check_faults(arguments)
    sys.exit(f"{wrong} runs are wrong" if wrong else 0)


if __name__ == "__main__":
    main()
