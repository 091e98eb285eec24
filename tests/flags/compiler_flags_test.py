#!/usr/bin/env python3
# covers: version.hpp
"""Compiles a small program with flags that change floating-point arithmetic or take a part of C++ away: each one is
refused with one sentence that names it, or the program computes the right numbers.

    compiler_flags_test.py INCLUDE EIGEN [COMPILER...]       # default: g++ and clang++, those that there are
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# Flags, and words of the message that refuses them.
REFUSED = [
    ("-std=c++17", "-std=c++20"),
    ("-ffast-math", "-ffast-math"),
    ("-Ofast", "-ffast-math"),
    ("-ffinite-math-only", "-ffinite-math-only"),
    ("-fno-exceptions", "-fno-exceptions"),
]
REFUSED_BY_GCC = [
    ("-fassociative-math -fno-signed-zeros -fno-trapping-math", "-fassociative-math"),
    ("-funsafe-math-optimizations", "-fassociative-math"),
    ("-freciprocal-math", "-freciprocal-math"),
    ("-fno-signed-zeros", "-fno-signed-zeros"),
    ("-mfpmath=387", "387"),
    ("-mfpmath=both", "387"),
    ("-fsingle-precision-constant", "-fsingle-precision-constant"),
]
REFUSED_BY_CLANG = [("-ffp-model=fast", "-ffast-math")]

# With these the numbers are right. Several at a time, as compiling takes long.
RIGHT = ["-fno-math-errno -fno-trapping-math -ffp-contract=off -fno-rtti"]
RIGHT_BY_GCC = ["-ffp-contract=fast -mfma -frounding-math"]
RIGHT_BY_CLANG = [  # which has no macro for them
    "-funsafe-math-optimizations -ffp-contract=fast -mfma",
    "-fassociative-math -fno-signed-zeros -fno-trapping-math -freciprocal-math -fapprox-func -fno-honor-infinities",
]

UMBRELLAS = ("rapt.hpp", "declarations.hpp", "tokenizer_files.hpp", "export_onnx.hpp")  # nothing but includes


def is_clang(compiler):
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    return "clang" in version


def complaint_unless_refused(command, words):
    run = subprocess.run([*command, "-E", "-x", "c++", "-"], input="#include <rapt/version.hpp>\n", capture_output=True,
                         text=True)
    errors = [line for line in run.stderr.splitlines() if "error:" in line]
    if run.returncode == 0:
        return "is not refused"
    if len(errors) != 1 or "rapt " not in errors[0] or words not in errors[0]:
        return f"is refused with other words: {errors}"
    return None


def complaint_unless_right(command, program):
    build = subprocess.run([*command, str(HERE / "softmax.cpp"), "-o", program, "-pthread"], capture_output=True,
                           text=True)
    if build.returncode != 0:
        return f"does not compile: {build.stderr}"
    run = subprocess.run([program], capture_output=True, text=True)
    return None if run.returncode == 0 else f"computes wrong numbers: {run.stdout}{run.stderr}"


def main():
    include, eigen, *compilers = sys.argv[1:]
    compilers = compilers or [c for c in ("g++", "clang++", "clang++-14") if shutil.which(c)][:2]
    failures = []
    for header in sorted(pathlib.Path(include).rglob("*.hpp")):
        text = header.read_text(encoding="utf-8")
        if header.name not in UMBRELLAS and "RAPT_ABI" not in text and '#include "rapt/version.hpp"' not in text:
            failures.append(f"{header} does without RAPT_ABI, so nothing makes it include rapt/version.hpp")
    with tempfile.TemporaryDirectory() as folder:
        program = str(pathlib.Path(folder) / "program")
        for compiler in compilers:
            clang = is_clang(compiler)
            base = [compiler, "-std=c++20", "-I", include, "-isystem", eigen, "-O2"]
            checks = [(flags, complaint_unless_refused, words)
                      for flags, words in REFUSED + (REFUSED_BY_CLANG if clang else REFUSED_BY_GCC)]
            checks += [(flags, complaint_unless_right, program)
                       for flags in RIGHT + (RIGHT_BY_CLANG if clang else RIGHT_BY_GCC)]
            for flags, check, argument in checks:
                complaint = check([*base, *flags.split()], argument)
                if complaint:
                    failures.append(f"{compiler} {flags} {complaint}")
    for failure in failures:
        print("FAILED:", failure)
    print(f"{', '.join(compilers)}: {len(failures)} failures")
    return len(failures) != 0


if __name__ == "__main__":
    sys.exit(main())
