#!/usr/bin/env python3
"""Training examples over machines (machines.py): the same files on one, two and four of them, and an end with a message
when a link is cut.

    machines_test.py EXAMPLES MPIRUN

EXAMPLES is the folder of the programs, MPIRUN the launcher of the MPI that they were built with. Exits with 77, which
means skipped, where there is no MPI or machines cannot be made.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machines import Machines, why_not

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
from training_runs import ENVIRONMENT, checkpoint_step, example_command, ranks, results, write_corpus

NAMES = ["anna", "bert", "cleo", "dora"]
MOST_SECONDS = 120  # for any run: a busy machine is slow, and one that hangs is noticed


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def start(folder, command):
    folder.mkdir()
    with open(folder / "said.txt", "wb") as said:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                env={**os.environ, **ENVIRONMENT})


def finish(process, folder, machines):
    """The exit code and what the run printed."""
    try:
        code = process.wait(MOST_SECONDS)
    except subprocess.TimeoutExpired:
        code = "no end"
    finally:
        process.kill()
        machines.end_processes()
    return code, (folder / "said.txt").read_text(errors="replace")


def check_same_bits(root, programs, mpirun, example):
    """On one machine without mpirun, and on as many machines as processes."""
    folder = root / f"{example.split()[0]}-alone"
    code = start(folder, example_command(programs, example)).wait(MOST_SECONDS)
    expect(code == 0, (folder / "said.txt").read_text(errors="replace"))
    expected = results(folder)
    for processes, more in (1, []), (2, []), (4, ["--shard-optimizer"]):
        with Machines(NAMES[:processes]) as machines:
            folder = root / f"{example.split()[0]}-{processes}"
            begin = time.monotonic()
            command = ["env", "RAPT_THREADS=1", *example_command(programs, example, *more)]
            code, said = finish(start(folder, machines.mpirun(mpirun, processes, command)), folder, machines)
            expect(code == 0, f"{example} over {processes} machines: exit code {code}\n{said}")
            expect(results(folder) == expected, f"the files of {example} over {processes} machines\n{said}")
            # What a step adds up has the size of the model, and each of the other processes' sums travels.
            steps = sum("loss" in entry for entry in expected["log"])
            model = next(path for path in folder.rglob("*.safetensors") if "model" in str(path.relative_to(folder)))
            least = (processes - 1) * steps * model.stat().st_size
            sent = sum(map(machines.sent_bytes, machines.names))
            expect(sent >= least, f"{example} over {processes} machines: {sent} bytes were sent, and not {least}")
            print(f"{example}, machines: {processes}, {time.monotonic() - begin:.1f} s: {len(expected) - 1} files and "
                  f"{len(expected['log'])} lines of the log are the same; {sent} bytes sent, {least} or more needed",
                  flush=True)


def check_cut_link(root, programs, mpirun):
    with Machines(NAMES[:2]) as machines:
        folder = root / "cut"
        command = ["env", "RAPT_THREADS=1", *example_command(programs, "gpt", "--steps", 100000, "--timeout", 2)]
        process = start(folder, machines.mpirun(mpirun, 2, command))
        begin = time.monotonic()
        while checkpoint_step(folder) < 8:
            expect(process.poll() is None and time.monotonic() - begin < MOST_SECONDS,
                   (folder / "said.txt").read_text(errors="replace"))
            time.sleep(0.01)
        machines.cut("bert")
        begin = time.monotonic()
        while left := ranks(programs, folder):
            expect(time.monotonic() - begin < 30, f"the ranks {sorted(left)} have not ended after a cut link")
            time.sleep(0.05)
        print(f"all ranks have ended {time.monotonic() - begin:.1f} s after the link was cut", flush=True)
        machines.join("bert")  # the launcher learns that the ranks there have ended, if it has not yet given up
        code, said = finish(process, folder, machines)
        expect(code not in (0, "no end"), f"the exit code after a cut link: {code}\n{said}")
        expect("gpt, rank 0: [mpi] no answer within 2 s from rank 1" in said, f"what rank 0 says of a cut link\n{said}")


def main():
    programs, mpirun = pathlib.Path(os.path.abspath(sys.argv[1])), sys.argv[2]
    reason = f"there is no MPI ({mpirun})" if not shutil.which(mpirun) else why_not()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which removes the machines
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_corpus(root)
        for example in "gpt", "vit", "translate train":
            check_same_bits(root, programs, mpirun, example)
        check_cut_link(root, programs, mpirun)
    print("machines: all is right")


if __name__ == "__main__":
    main()
