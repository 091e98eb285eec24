#!/usr/bin/env python3
"""Runs a compiler and fails when it takes more processor time or memory than a header-only library may ask for.

    check_compile_cost.py SECONDS MEGABYTES COMMAND...
"""

import resource
import subprocess
import sys


def main():
    seconds, megabytes, command = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    status = subprocess.run(command, check=False).returncode
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_seconds = usage.ru_utime + usage.ru_stime
    used_megabytes = usage.ru_maxrss / 1024  # of the largest process; Linux counts kilobytes
    print(f"{' '.join(command)}: {used_seconds:.1f} s of {seconds:g}, {used_megabytes:.0f} MB of {megabytes:g}")
    return status or int(used_seconds > seconds or used_megabytes > megabytes)


if __name__ == "__main__":
    sys.exit(main())
