#!/usr/bin/env python3
"""Training examples over machines (machines.py): the same files on one, two and four of them, also if they are started
as examples/README.md says, and an end with a message when a link is cut, by the processes and by the launcher.

    machines_test.py EXAMPLES MPIRUN

EXAMPLES is the folder of the programs, MPIRUN the launcher of the MPI that they were built with. Exits with 77, which
means skipped, where there is no MPI or machines cannot be made.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machines import Machines, is_open_mpi, why_not

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/examples"))
from training_runs import ENVIRONMENT, checkpoint_step, example_command, ranks, results, write_corpus

NAMES = ["anna", "bert", "cleo", "dora"]
MOST_SECONDS = 120  # for any run: a busy machine is slow, and one that hangs is noticed


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def start(folder, command):
    folder.mkdir(exist_ok=True)
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


def check_readme(root, programs, mpirun):
    """The lines of examples/README.md that start a training on two machines, word for word but for the number of steps,
    give the same files as their program without mpirun."""
    text = (ROOT / "examples/README.md").read_text()
    written = re.search(r"^## On several machines$.*?^```$\n(.*?)^```$", text, re.M | re.S)[1]
    lines, count = re.subn(r"--steps \d+", "--steps 2", written)
    expect(count == 1, f"examples/README.md shall give a number of steps\n{written}")

    def run(name, command):
        folder = root / name
        (folder / "build").mkdir(parents=True)
        (folder / "build/examples").symlink_to(programs)
        (folder / "bin").mkdir()
        (folder / "bin/mpirun").symlink_to(shutil.which(mpirun))
        for language, corpus in ("en", "source"), ("de", "target"):
            (folder / f"train.{language}").symlink_to(root / f"{corpus}.txt")
        shell = ["sh", "-ec", f"PATH=$PWD/bin:$PATH\n{command}"]
        code, said = finish(start(folder, machines.on("anna", shell)), folder, machines)
        expect(code == 0, f"{command}\nexit code {code}\n{said}")
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")}

    with Machines(NAMES[:2]) as machines:
        begin = time.monotonic()
        expected = run("readme-alone", lines[lines.index("build/examples/"):])
        before = sum(map(machines.sent_bytes, machines.names))
        expect(run("readme", lines) == expected, "the files of the training that examples/README.md starts")
        sent = sum(map(machines.sent_bytes, machines.names)) - before
        least = 2 * len(expected[pathlib.Path("en-de.safetensors")])  # a sum travels in each step
        expect(sent >= least, f"the training that examples/README.md starts: {sent} bytes were sent, and not {least}")
        print(f"as examples/README.md says, {time.monotonic() - begin:.1f} s: {len(expected)} files are the same; "
              f"{sent} bytes sent, {least} or more needed", flush=True)


def start_and_cut(machines, folder, programs, mpirun, timeout, options=()):
    """A training of which the link is cut; when that was, too."""
    command = ["env", "RAPT_THREADS=1", *example_command(programs, "gpt", "--steps", 100000, "--timeout", timeout)]
    process = start(folder, machines.mpirun(mpirun, 2, [*options, *command]))
    begin = time.monotonic()
    while checkpoint_step(folder / "run") < 8:
        expect(process.poll() is None and time.monotonic() - begin < MOST_SECONDS,
               (folder / "said.txt").read_text(errors="replace"))
        time.sleep(0.01)
    machines.cut("bert")
    return process, time.monotonic()


def check_cut_link(root, programs, mpirun):
    with Machines(NAMES[:2]) as machines:
        folder = root / "cut"
        process, begin = start_and_cut(machines, folder, programs, mpirun, timeout=2)
        while left := ranks(programs, folder):
            expect(time.monotonic() - begin < 30, f"the ranks {sorted(left)} have not ended after a cut link")
            time.sleep(0.05)
        print(f"all ranks have ended {time.monotonic() - begin:.1f} s after the link was cut", flush=True)
        machines.join("bert")  # the launcher learns that the ranks there have ended, if it has not yet given up
        code, said = finish(process, folder, machines)
        expect(code not in (0, "no end"), f"the exit code after a cut link: {code}\n{said}")
        expect("gpt, rank 0: [mpi] no answer within 2 s from rank 1" in said, f"what rank 0 says of a cut link\n{said}")


def check_noticed_cut(root, programs, mpirun):
    """Open MPI's launcher asks whether the other machine is still there, and ends everything before the processes'
    time-out."""
    options = [word for name, value in (("time", 1), ("intvl", 1), ("probes", 2))
               for word in ("--mca", f"oob_tcp_keepalive_{name}", str(value))]
    with Machines(NAMES[:2]) as machines:
        folder = root / "noticed"
        process, begin = start_and_cut(machines, folder, programs, mpirun, MOST_SECONDS, options)
        code, said = finish(process, folder, machines)
        expect(code not in (0, "no end"), f"the exit code of a launcher that notices a cut link: {code}\n{said}")
        expect(re.search("lost communication.*node bert", said, re.S), f"what a launcher says of a cut link\n{said}")
        print(f"mpirun has ended {time.monotonic() - begin:.1f} s after the link was cut", flush=True)


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
        if is_open_mpi(mpirun):  # others have hostfiles of another form
            check_readme(root, programs, mpirun)
            check_noticed_cut(root, programs, mpirun)
        check_cut_link(root, programs, mpirun)
    print("machines: all is right")


if __name__ == "__main__":
    main()
