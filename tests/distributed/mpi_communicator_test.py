#!/usr/bin/env python3
"""Processes under mpirun: the collective operations, and how all end when one of them fails.

    mpi_communicator_test.py PROGRAM MPIRUN

PROGRAM is mpi_program.cpp's. Exits with 77, which means skipped, if there is no MPIRUN.
"""
# covers: distributed/mpi_communicator.hpp, distributed/mpi_session.hpp

import os
import shutil
import subprocess
import sys
import time

MOST_SECONDS = 240  # for any run: a busy machine is slow, and one that hangs is noticed


class Launcher:
    def __init__(self, program, mpirun):
        self.program = program
        version = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False).stdout
        self.is_open_mpi = "Open MPI" in version or "OpenRTE" in version
        self.command = [mpirun, *(["--oversubscribe"] if self.is_open_mpi else [])]
        self.environment = {
            **os.environ,
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "ASAN_OPTIONS": "detect_leaks=0",  # MPI keeps memory to the end
        }

    def run(self, processes, *arguments):
        """(exit code, what it printed, what it printed on standard error)"""
        command = [*self.command, "-n", str(processes), self.program, *map(str, arguments)]
        start = time.monotonic()
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False,
                              timeout=MOST_SECONDS)
        seconds = time.monotonic() - start
        shown = f"{' '.join(command)}: exit code {done.returncode} after {seconds:.1f} s\n{done.stdout}{done.stderr}"
        print(shown, flush=True)
        return done.returncode, done.stdout, done.stderr


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def check_collectives(launcher):
    for processes, work in ((1, "collectives"), (2, "collectives"), (4, "collectives"), (3, "parts")):
        code, out, _ = launcher.run(processes, work)
        expect(code == 0 and out == f"{work} {processes}\n", f"{work} over {processes} processes")


def check_lengths(launcher):
    code, out, _ = launcher.run(2, "length", 8)
    expect(code == 0 and out == "length 2\n", "a message of the expected length")
    for size in (4, 7, 9, 12):
        code, _, err = launcher.run(2, "length", size)
        expect(code != 0, f"the exit code after a message of {size} bytes")
        for rank in (0, 1):
            expect(any(line.startswith(f"mpi_program, rank {rank}: [mpi] ") and
                       "rank 0 has sent a message of another length than the 8 bytes expected" in line
                       for line in err.splitlines()), f"what rank {rank} says of a message of {size} bytes")


def check_threads(launcher):
    code, out, _ = launcher.run(1, "single")
    expect(code == 0 and "[mpi] threads must be able to take turns in MPI" in out and "level 0" in out,
           "a communicator of an MPI for one thread")


def check_exception(launcher):
    for processes, wrong in ((1, 0), (2, 0), (4, 3)):
        code, out, err = launcher.run(processes, "throw", wrong)
        expect(code != 0 and "not disturbed" not in out, "the exit code after an exception")
        expect("the disk is full" in err, "the cause")
        for rank in range(processes):
            text = f"mpi_program, rank {rank}: [mpi] rank {wrong} has ended: the disk is full"
            expect(rank == wrong or text in err, f"what rank {rank} says of an exception of rank {wrong}")
    code, _, err = launcher.run(3, "unwind", 1)
    expect(code != 0, "an exception that leaves the session")
    expect("main: the disk is full" in err and err.count("main: [mpi] rank 1 has ended: an exception") == 2,
           "what is said of an exception that leaves the session")
    code, _, err = launcher.run(3, "catch", 1)
    expect(code != 0, "an operation's failure that the program catches itself")
    expect(err.count("caught: [mpi] rank 1 has ended: an exception") == 2 and "no operation succeeds" not in err,
           "what is said of an operation's failure that the program catches itself")


def check_silence(launcher):
    # Rank 1 is stopped, or has left without a word: the others know after the time-out.
    for work in ("stop", "leave"):
        code, out, err = launcher.run(3, work, 1, 5)
        expect(code != 0 and "not disturbed" not in out, f"the exit code of {work}")
        lines = err.splitlines()
        for rank in (0, 2):
            expect(any(line.startswith(f"mpi_program, rank {rank}: [mpi] ") for line in lines),
                   f"{work}: rank {rank} says nothing")
        expect(any(line.startswith("mpi_program, rank 0: [mpi] ") and "no answer within 5 s" in line and
                   "rank 1" in line for line in lines), f"{work}: rank 0, which waits for rank 1, does not name it")


def check_other_operation(launcher):
    code, _, err = launcher.run(2, "other_operation", 1)
    expect(code != 0 and "another length" in err, "operations that differ")


def check_kill(launcher):
    # The launcher kills the others, too, Open MPI's a second after it has asked them to end: what they can say in this
    # time is in check_late.
    for processes, wrong in ((2, 1), (4, 0)):
        code, out, err = launcher.run(processes, "kill", wrong)
        expect(code != 0 and "not disturbed" not in out, "the exit code after a process was killed")
        expect("signal 9" in out + err, "what the launcher says of a process that was killed")


def check_late(launcher):
    # SIGTERM alone ends nothing: the process that was waited for is only late.
    code, out, err = launcher.run(2, "late", 1)
    expect(code == 0 and out == "not disturbed 2\n", "a process that is late")
    expect("[mpi] rank 0 was asked to end and waits for rank 1\n" in err, "what is said while a process is late")


def check_linger(launcher):
    # What one process does after the last operation may take longer than the time-out.
    code, out, _ = launcher.run(2, "linger", 0, 10)
    expect(code == 0 and out == "not disturbed 2\n", "a process that has more to do in the end")


def main():
    program, mpirun = sys.argv[1:]
    if not shutil.which(mpirun):
        print(f"SKIPPED: there is no {mpirun}")
        return 77
    launcher = Launcher(program, mpirun)
    for check in (check_collectives, check_lengths, check_threads, check_exception, check_silence, check_other_operation,
                  check_kill, check_late, check_linger):
        check(launcher)
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
