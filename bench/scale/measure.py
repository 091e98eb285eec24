#!/usr/bin/env python3
"""Measures the parts of training steps and whole steps over links of chosen rates and delays, for simulate.py.

    python bench/scale/measure.py build/bench OUT.json --corpus train.en train.de [--only NAME...]

The machines are network namespaces (tests/distributed/machines.py), joined by links of a
rate, which `tc tbf` keeps, and a delay, which the program `link` makes, or of a rate alone ("tbf"), or without limits
("none"). They share the processors of this one: of P processes of one thread on C processors each has at most C / P of
one. Results are added to OUT.json as they come; what it has already is not measured again. Needs root, Linux and Open
MPI.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/distributed"))
import machines as namespaces  # noqa: E402

ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
BUFFER = "262144"  # bytes of TCP on each side of a connection: enough for what is under way on any of these links
LAUNCHER = "mpirun.openmpi" if shutil.which("mpirun.openmpi") else "mpirun"  # the former is Debian's name
TIMEOUT = 170  # seconds, for any run

# Links: Mbit/s, and microseconds of delay in one direction as `link` is told; a round trip measures what it really is.
LINKS = {
    "none": None,
    "tbf 1000": 1000,
    "250, 50": (250, 50),
    "1000, 50": (1000, 50),
    "1000, 500": (1000, 500),
}

# name -> (processes, link, task). Processes of one thread each, but in "compute".
CASES = {}
for preset in ("tiny", "small", "base", "big"):
    CASES[f"sizes {preset}"] = (1, "none", {"task": "sizes", "preset": preset})
for preset, threads, tokens, steps in (
        ("tiny", 1, 2048, 12), ("tiny", 1, 512, 12), ("small", 1, 2048, 8), ("small", 1, 512, 8), ("tiny", 2, 2048, 12),
        ("tiny", 2, 512, 12), ("small", 2, 2048, 10), ("small", 2, 512, 10), ("base", 2, 2048, 4), ("base", 2, 512, 6),
        ("big", 2, 2048, 2), ("big", 2, 512, 3)):
    CASES[f"compute {preset}, {threads} threads, {tokens} tokens"] = (
        1, "none", {"task": "compute", "preset": preset, "threads": threads, "tokens": tokens, "steps": steps})
for link in LINKS:
    CASES[f"round trip, {link}"] = (2, link, {"task": "round_trip", "preset": "tiny", "steps": 200, "uncounted": 20})
for preset, processes, steps in (("tiny", 2, 8), ("small", 2, 5), ("base", 2, 3), ("tiny", 4, 6), ("small", 4, 4),
                                 ("tiny", 8, 5), ("small", 8, 3)):
    for link in LINKS:
        if preset == "base" and link == "250, 50":
            continue  # 30 s a step, and nothing new
        CASES[f"exchange {preset}, {processes} processes, {link}"] = (
            processes, link, {"task": "exchange", "preset": preset, "steps": steps})
for processes in (2, 4, 8):  # many messages
    CASES[f"exchange tiny, {processes} processes, none, small buckets"] = (
        processes, "none", {"task": "exchange", "preset": "tiny", "steps": 5, "bucket_bytes": processes * 2**13})
for preset, processes, steps in (("tiny", 2, 10), ("small", 2, 6), ("base", 2, 2), ("tiny", 4, 6)):
    for link in LINKS:
        if preset == "base" and link not in ("none", "1000, 50"):
            continue
        CASES[f"train {preset}, {processes} processes, {link}"] = (
            processes, link, {"task": "train", "preset": preset, "steps": steps, "overlap": False})
for preset, steps in (("tiny", 10), ("small", 6)):
    CASES[f"train {preset}, 2 processes, 1000, 50, sharded"] = (
        2, "1000, 50", {"task": "train", "preset": preset, "steps": steps, "overlap": False, "shard_optimizer": True})
    CASES[f"train {preset}, 2 processes, 1000, 50, bfloat16"] = (
        2, "1000, 50", {"task": "train", "preset": preset, "steps": steps, "overlap": False, "exchange": "bfloat16"})
for preset, steps, bucket in (("small", 6, 2**25), ("small", 6, 2**22), ("base", 2, 2**25)):
    CASES[f"train {preset}, 2 processes, 1000, 50, overlap, buckets of {bucket >> 20} MiB"] = (
        2, "1000, 50", {"task": "train", "preset": preset, "steps": steps, "bucket_bytes": bucket})
for case in CASES.values():  # the paper's vocabulary, with its presets
    if case[2]["preset"] in ("base", "big"):
        case[2]["vocabulary"] = 37000


@contextlib.contextmanager
def joined_machines(count, link, programs):
    """Machines with a link, and the name of the interface that has it."""
    rate = f"{LINKS[link]}mbit" if isinstance(LINKS[link], int) else None
    with namespaces.Machines([f"machine{i}" for i in range(count)], rate=rate) as machines:
        if not isinstance(LINKS[link], tuple):
            yield machines, "eth0"
            return
        names = [machines.namespace(name) for name in machines.names]
        rate, delay = LINKS[link]
        switch = subprocess.Popen(["chrt", "--fifo", "1", programs / "link", str(delay), *names],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if switch.stdout.readline() != "ready\n":
                raise OSError(f"link ended with code {switch.wait()}")
            for name in names:
                namespaces.run("tc", "-n", name, "qdisc", "add", "dev", "link0", "root", "tbf", "rate", f"{rate}mbit",
                               "burst", "128kb", "latency", "50ms")
            yield machines, "link0"
        finally:
            switch.stdin.close()
            switch.wait()


def batch_tokens(source, target, limit):
    """The tokens of the batches that BatchStream makes of these sentences, with words in the place of tokens."""
    lengths = [[len(line.split()) + 1 for line in file.read_text().splitlines()] for file in (source, target)]
    batches, filled = [], None
    for pair in sorted(zip(*reversed(lengths))):
        filled = [a + b for a, b in zip(filled, pair)] if filled else None
        if filled is None or max(filled) > limit:
            filled = pair
            batches.append(0)
        batches[-1] = sum(filled)
    return batches


def worker_command(programs, task, processes=1, machines=None, interface=None, launcher=LAUNCHER, before=""):
    """Starts the worker: alone, or by Open MPI on several machines whose messages go over this interface."""
    # Without `send`, Open MPI 4.1 often uses the directions of a slow link in turns: the answer that allows the other
    # side to send waits behind a whole message.
    command = [*shlex.split(before), programs / "scale_worker", json.dumps(task)]
    if processes == 1:
        return command
    options = ("--bind-to", "none", "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", interface,
               "--mca", "btl_tcp_sndbuf", BUFFER, "--mca", "btl_tcp_rcvbuf", BUFFER,
               "--mca", "btl_tcp_flags", "send", "--mca", "oob_tcp_if_include", "eth0")
    return machines.mpirun(launcher, processes, [*options, *command])


def answer_of(command, machines=None, timeout=TIMEOUT):
    """What the worker prints. OSError if it fails; TimeoutExpired if it takes too long."""
    try:
        done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False,
                              timeout=timeout)
    except subprocess.TimeoutExpired:
        if machines:  # those on other machines may go on without mpirun
            machines.end_processes()
        raise
    if done.returncode != 0:
        raise OSError(f"exit code {done.returncode}: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def starter(processes, link, arguments):
    """A function of a task that starts the worker over machines with this link and gives its answer."""
    machines = interface = None

    def answer(task):
        result = answer_of(worker_command(arguments.programs, task, processes, machines, interface, arguments.launcher,
                                          arguments.before), machines)
        if task["task"] != "sizes":
            del result["sizes"]
        return result

    with contextlib.ExitStack() as stack:
        if processes > 1:
            machines, interface = stack.enter_context(joined_machines(processes, link, arguments.programs))
        yield answer


def write(path, results):
    """Replaces the file as a whole."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(results))
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description="Measures training steps and their parts over shaped links.")
    parser.add_argument("programs", type=lambda text: pathlib.Path(text).resolve(),
                        help="the folder of scale_worker and link")
    parser.add_argument("out", type=pathlib.Path, help="the file of results, JSON")
    parser.add_argument("--only", nargs="*", default=[""], help="the cases whose names begin so")
    parser.add_argument("--launcher", default=LAUNCHER, help="Open MPI's (default: %(default)s)")
    parser.add_argument("--corpus", nargs=2, type=pathlib.Path, default=[], metavar=("SOURCE", "TARGET"),
                        help="sentences of two languages, a line each, whose lengths tell how much batches differ")
    parser.add_argument("--before", default="", help="a command that starts each process, as `nice -n -20`")
    arguments = parser.parse_args()
    if reason := namespaces.why_not():
        sys.exit(f"measure.py: {reason}")
    results = {"processors": os.cpu_count(), "cases": {}}
    if arguments.out.exists():
        results = json.loads(arguments.out.read_text())
    if arguments.corpus:
        results["batch_tokens"] = batch_tokens(*arguments.corpus, limit=2048)
        write(arguments.out, results)
    wanted = {name: case for name, case in CASES.items() if name not in results["cases"] and
              any(name.startswith(beginning) for beginning in arguments.only)}
    for processes, link in dict.fromkeys((case[0], case[1]) for case in wanted.values()):
        with starter(processes, link, arguments) as answer:
            for name, (_, _, task) in wanted.items():
                if wanted[name][:2] != (processes, link):
                    continue
                load, start = os.getloadavg()[0], time.monotonic()
                try:
                    results["cases"][name] = {"link": link, "processes": processes, "load": load,
                                              "kernel": platform.release(), "answer": answer(task)}
                except (OSError, subprocess.TimeoutExpired) as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    continue
                write(arguments.out, results)
                print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
