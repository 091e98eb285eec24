#!/usr/bin/env python3
"""Checks that every header has a test.

The test of include/rapt/<path>.hpp is tests/<path>_test.cpp, or another file under tests/ with a line near its top that
names the header: `// covers: nn/add_norm.hpp, nn/linear.hpp` (`# covers: ...` in Python; a line that ends with a comma
goes on in the next). Prints one line for each header without a test and for each name of a covers-line that is no header
or that the C++ file does not include, and fails if there are any. `--self-test` checks the checker.
"""

import pathlib
import re
import sys
import tempfile

TOP_LINES = 30  # covers-lines stand here or above
COVERS = re.compile(r"^(?://|#) covers: (.*)$")
CONTINUED = re.compile(r"^(?://|#)\s+(.*)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]((?:rapt|tests)/[^">]+)[">]', re.MULTILINE)


def covered_headers(text):
    """The headers that a test's covers-lines name, in their order."""
    names, goes_on = [], False
    for line in text.splitlines()[:TOP_LINES]:
        match = CONTINUED.match(line) if goes_on else COVERS.match(line)
        goes_on = False
        if match:
            names += [name.strip() for name in match[1].split(",") if name.strip()]
            goes_on = match[1].rstrip().endswith(",")
    return names


def reachable_headers(root, test):
    """The headers, relative to include/rapt, that a C++ file includes, directly or through others of the project."""
    seen, queue = set(), [test]
    while queue:
        for included in INCLUDE.findall(queue.pop().read_text(encoding="utf-8")):
            path = root / "include" / included if included.startswith("rapt/") else root / included
            if path not in seen and path.is_file():
                seen.add(path)
                queue.append(path)
    base = root / "include" / "rapt"
    return {path.relative_to(base).as_posix() for path in seen if path.is_relative_to(base)}


def check(root):
    """(number of headers, list of complaints)"""
    base, tests = root / "include" / "rapt", root / "tests"
    headers = sorted(path.relative_to(base).as_posix() for path in base.rglob("*.hpp"))
    has_test = {header for header in headers if (tests / (header[: -len(".hpp")] + "_test.cpp")).is_file()}
    covered, complaints = set(), []
    for test in sorted(path for path in tests.rglob("*") if path.suffix in (".cpp", ".py")):
        names = covered_headers(test.read_text(encoding="utf-8"))
        if not names:
            continue
        where = test.relative_to(root).as_posix()
        reachable = reachable_headers(root, test) if test.suffix == ".cpp" else set(names)
        for name in names:
            if name not in headers:
                complaints.append(f"{where}: covers a header that does not exist: {name}")
            elif name not in reachable:
                complaints.append(f"{where}: covers a header that it does not include: {name}")
            else:
                covered.add(name)
    for header in headers:
        if header not in has_test and header not in covered:
            complaints.append(f"include/rapt/{header}: neither tests/{header[:-4]}_test.cpp nor a covers-line names it")
    return len(headers), complaints


def self_test():
    files = {
        "include/rapt/core/a.hpp": "",
        "include/rapt/core/b.hpp": '#include "rapt/core/a.hpp"\n',
        "include/rapt/core/c.hpp": "",
        "tests/core/a_test.cpp": '#include "rapt/core/a.hpp"\n',
        "tests/core/all_test.cpp": '// covers: core/b.hpp,\n//   core/c.hpp\n#include "tests/common/all.hpp"\n',
        "tests/common/all.hpp": '#include "rapt/core/b.hpp"\n#include "rapt/core/c.hpp"\n',
    }
    all_test = "tests/core/all_test.cpp"
    for change, expected in [
        ({}, None),
        ({all_test: files[all_test].replace(",\n//  ", "\n//")}, "include/rapt/core/c.hpp: neither"),
        ({all_test: "\n" * TOP_LINES + files[all_test]}, "include/rapt/core/b.hpp: neither"),
        ({"include/rapt/core/d.hpp": ""}, "include/rapt/core/d.hpp: neither"),
        ({"tests/common/all.hpp": '#include "rapt/core/c.hpp"\n'}, f"{all_test}: covers a header that it does not"),
        ({"tests/page_test.py": "# covers: core/x.hpp\n"}, "tests/page_test.py: covers a header that does not exist"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**files, **change}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            count, complaints = check(root)
        assert count == 3 + ("include/rapt/core/d.hpp" in change), count
        assert bool(complaints) == bool(expected), (change, complaints)
        assert not expected or complaints[0].startswith(expected), (change, complaints)


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    count, complaints = check(pathlib.Path(__file__).resolve().parent.parent)
    for complaint in complaints:
        print(complaint)
    print(f"{count} headers, {len(complaints)} complaints")
    return 1 if complaints or not count else 0


if __name__ == "__main__":
    sys.exit(main())
