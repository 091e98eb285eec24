#!/usr/bin/env python3
"""Fails when a program takes more processor time or memory to compile than a header-only library may ask for.

    check_compile_cost.py RATIO MEGABYTES REFERENCE SOURCE COMPILER...

Time counts as a multiple of what REFERENCE takes, compiled in turns with SOURCE: seconds alone would say how fast and
how busy the machine is.
"""

import os
import subprocess
import sys

TURNS = 3


def compile_once(command):
    """Seconds of processor time and megabytes of the largest process."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(process.returncode)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024  # Linux counts kilobytes


def main():
    ratio, megabytes, reference, source, *compiler = sys.argv[1:]
    used = [[compile_once([*compiler, "-c", file, "-o", os.devnull]) for file in (reference, source)]
            for _ in range(TURNS)]
    seconds = [min(turn[k][0] for turn in used) for k in range(2)]
    memory = max(turn[1][1] for turn in used)
    print(f"{source}: {seconds[1]:.1f} s, {seconds[1] / seconds[0]:.2f} times the {seconds[0]:.1f} s of {reference}, "
          f"at most {ratio}; {memory:.0f} MB, at most {megabytes}")
    return int(seconds[1] > float(ratio) * seconds[0] or memory > float(megabytes))


if __name__ == "__main__":
    sys.exit(main())
