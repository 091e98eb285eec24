#!/usr/bin/env python3
"""Writes rapt as a single header on standard output: the headers that are named, and all that they include, each once.

    python3 cmake/amalgamate.py > rapt_single.hpp                       # rapt/rapt.hpp: needs Eigen and threads alone
    python3 cmake/amalgamate.py rapt/rapt.hpp rapt/io/model_file.hpp    # more of rapt; needs what these headers need
    python3 cmake/amalgamate.py --line-markers > rapt_single.hpp        # messages of the compiler name rapt's own files

A program includes either this file or headers of rapt, not both in one translation unit. rapt::precompiled is not for
it: what the file holds is compiled in the program.
"""

import argparse
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"(rapt/[^"]+)"|<([^>]+)>)\s*(?://.*)?$')
CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|endif)\b")


class Amalgamation:
    def __init__(self, folder, line_markers):
        self.folder, self.line_markers = folder, line_markers
        self.seen, self.lines = set(), []

    def mark(self, header, number):
        """What follows is line `number` of the header, as far as messages of the compiler are concerned."""
        if self.line_markers:
            self.lines.append(f'#line {number} "{header}"')

    def add(self, header):
        if header in self.seen:
            return
        self.seen.add(header)
        path = self.folder / header
        if not path.is_file():
            sys.exit(f"[amalgamate] {self.folder} has no header {header}")
        if path.with_name(path.name + ".py").exists():
            sys.exit(f"[amalgamate] {header} works beside {path.name}.py alone; include it as it is")
        depth = 0
        marked = False  # the place in the header that follows has been told
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            condition = CONDITION.match(line)
            if condition:
                depth += -1 if condition[1] == "endif" else 1
            include = INCLUDE.match(line)
            if line.strip() == "#pragma once":
                continue
            if include and include[1] and depth == 0:
                self.add(include[1])
                marked = False
                continue
            if include and include[1]:
                # Once, behind a condition, it would be missing where it is included without. The umbrella's one case
                # declares what rapt::precompiled holds, which a program with the single header does not link.
                if include[1] != "rapt/precompiled/declarations.hpp":
                    sys.exit(f"[amalgamate] {header}:{number} includes {include[1]} under a condition")
                self.lines.append('#error "a single header cannot be used with rapt::precompiled"')
                marked = False
                continue
            if include and depth == 0:
                if include[2] in self.seen:
                    marked = False
                    continue
                self.seen.add(include[2])
            if not marked:
                self.mark(header, number)
                marked = True
            self.lines.append(line)


def amalgamate(root, headers, line_markers):
    amalgamation = Amalgamation(root / "include", line_markers)
    for header in headers:
        amalgamation.add(header)
    licence = (root / "LICENSE").read_text(encoding="utf-8").strip().splitlines()
    lines = [f"// {line}".rstrip() for line in licence]
    lines += ["//", f"// {', '.join(headers)} of rapt in one file, made by cmake/amalgamate.py.", "#pragma once", ""]
    return "\n".join(lines + amalgamation.lines) + "\n"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {
            "LICENSE": "Free\n\nto use\n",
            "include/rapt/a.hpp": '#pragma once\n#include <vector>\n\n#include "rapt/b.hpp"\nint a;\n',
            "include/rapt/b.hpp": '#pragma once\n#include <vector>\n#ifdef X\n#include <x>\n#endif\nint b;\n',
            "include/rapt/c.hpp": '#pragma once\n#include "rapt/b.hpp"  // b\n#include "rapt/a.hpp"\nint c;\n',
            "include/rapt/d.hpp": '#ifdef X\n#include "rapt/a.hpp"\n#endif\n',
            "include/rapt/e.hpp": "int e;\n",
            "include/rapt/e.hpp.py": "",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        body = amalgamate(root, ["rapt/c.hpp"], False).split("#pragma once\n", 1)
        assert body[0].startswith("// Free\n//\n// to use\n//\n// rapt/c.hpp of rapt"), body[0]
        assert body[1] == "\n#include <vector>\n#ifdef X\n#include <x>\n#endif\nint b;\n\nint a;\nint c;\n", body[1]
        marked = amalgamate(root, ["rapt/c.hpp"], True).splitlines()
        for line, place in (("int a;", "a.hpp", ), ("int b;", "b.hpp"), ("int c;", "c.hpp")):
            at = marked.index(line)
            marker = max(i for i in range(at) if marked[i].startswith("#line"))
            number = int(marked[marker].split()[1]) + at - marker - 1
            assert f'"rapt/{place}"' in marked[marker], (line, marked[marker])
            assert (root / "include/rapt" / place).read_text(encoding="utf-8").splitlines()[number - 1] == line, line
        for refused in ("rapt/d.hpp", "rapt/e.hpp", "rapt/no.hpp"):
            try:
                amalgamate(root, [refused], False)
            except SystemExit:
                continue
            raise AssertionError(f"{refused} is not refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("headers", nargs="*", default=["rapt/rapt.hpp"], help="default: rapt/rapt.hpp")
    parser.add_argument("--line-markers", action="store_true", help="write #line directives that name rapt's files")
    parser.add_argument("--self-test", action="store_true", help="check this script and write nothing")
    options = parser.parse_args()
    if options.self_test:
        self_test()
    else:
        root = pathlib.Path(__file__).resolve().parent.parent
        sys.stdout.write(amalgamate(root, options.headers, options.line_markers))


if __name__ == "__main__":
    main()
