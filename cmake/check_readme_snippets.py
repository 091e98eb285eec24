#!/usr/bin/env python3
"""Checks that every ```cpp block of README.md is a program under examples/, word for word, so that it is compiled.

A program's leading comment may be left out in the README. The first block must be examples/first.cpp.

    check_readme_snippets.py [FIRST]

FIRST is the compiled examples/first.cpp: it is run with each set of vector instructions (or, where the processor lacks
one, the best that it has) and must print what README.md says that it prints, the block behind the program's.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

OUTPUT = re.compile(r"^```cpp\n.*?^```\n\nprints[^`]*^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(?:cpp|c\+\+|C\+\+)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def without_leading_comment(text):
    lines = text.splitlines()
    while lines and (lines[0].startswith("//") or not lines[0].strip()):
        lines.pop(0)
    return "\n".join(lines)


def first_difference(block, program):
    """A sentence about the first line that differs."""
    block, program = block.splitlines(), program.splitlines()
    for number, (ours, theirs) in enumerate(zip(block, program), 1):
        if ours != theirs:
            return f"line {number} is\n    {ours}\n  and there\n    {theirs}"
    return f"it has {len(block)} lines, and there are {len(program)}"


def check(readme, programs):
    """Yields one text per offence. `programs` maps file names to their texts."""
    blocks = list(BLOCK.finditer(readme))
    if not blocks:
        yield "README.md has no ```cpp block"
    for i, match in enumerate(blocks):
        line = readme.count("\n", 0, match.start()) + 1
        block = match[1].strip("\n")
        candidates = {"first.cpp": programs.get("first.cpp", "")} if i == 0 else programs
        if any(block in (text.strip("\n"), without_leading_comment(text)) for text in candidates.values()):
            continue
        wanted = without_leading_comment(block)
        closest = max(
            candidates,
            key=lambda name: len(set(wanted.splitlines()) & set(candidates[name].splitlines())),
        )
        yield (
            f"README.md:{line}: this block is no program under examples/; closest is examples/{closest}: "
            + first_difference(wanted, without_leading_comment(candidates[closest]))
        )


def check_output(readme, program):
    """Yields one text per set of vector instructions with which the program prints something else than the page says."""
    promised = OUTPUT.search(readme)
    if promised is None:
        yield "README.md does not say what its first program prints"
        return
    for level in ("avx512", "avx2", "baseline"):
        started = time.monotonic()
        run = subprocess.run([program], env=dict(os.environ, RAPT_SIMD=level), capture_output=True, text=True)
        print(f"{program} with {level}: {time.monotonic() - started:.1f} s")
        if run.returncode != 0 or run.stdout != promised[1]:
            yield (f"the first program prints with {level} (exit code {run.returncode})\n{run.stdout}{run.stderr}"
                   f"and README.md says\n{promised[1]}")


def self_test():
    programs = {"first.cpp": "/// \\file\n/// Text.\n#include <a>\n\nint main() {}\n", "two.cpp": "int two;\n"}
    good = "# x\n```cpp\n#include <a>\n\nint main() {}\n```\ntext\n```sh\nls\n```\n```cpp\nint two;\n```\n"
    assert not list(check(good, programs)), list(check(good, programs))
    assert not list(check("```cpp\n" + programs["first.cpp"] + "```\n", programs))
    assert list(check("", programs))
    assert "README.md:1: " in list(check("```cpp\nint two;\n```\n", programs))[0]  # not the first program
    assert OUTPUT.search("```cpp\nint a;\n```\n\nprints, soon,\n\n```\n1\n2\n```\n")[1] == "1\n2\n"
    assert list(check_output("```cpp\nint a;\n```\n", ""))
    assert "int three;" in list(check(good.replace("int two;", "int three;"), programs))[0]


def main():
    self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    programs = {path.name: path.read_text(encoding="utf-8") for path in sorted((root / "examples").glob("*.cpp"))}
    if not (root / "README.md").exists() or not programs:
        print("README.md or examples/*.cpp is missing")
        return 1
    offences = list(check((root / "README.md").read_text(encoding="utf-8"), programs))
    if len(sys.argv) > 1:
        offences += check_output((root / "README.md").read_text(encoding="utf-8"), sys.argv[1])
    print("\n".join(offences) or "every ```cpp block of README.md is a program under examples/")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
