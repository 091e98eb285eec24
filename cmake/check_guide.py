#!/usr/bin/env python3
"""Checks examples/guide/: the guide's pages show programs that are compiled and outputs that are compared.

- Every ```cpp block of a page is one include of a file, `--8<-- "translate_folder.cpp"`, or of a part of one between
  `// --8<-- [start:name]` and `// --8<-- [end:name]`, `--8<-- "translate_folder.cpp:name"`. A file is a program of the
  guide, or else named from the project's root, such as "examples/first.cpp". All other includes exist, too.
- Every program has at most 60 lines, and NAME.txt, what it prints, beside it; a page shows both. A program without
  NAME.txt says why it is not run, in a line `// not run: ...` near its top.
- Every program that a line `// needs: NAME` asks for exists.
- Lines of pages have at most 120 columns.

Prints one line per offence and fails if there are any. `--self-test` checks the checker.
"""

import pathlib
import re
import sys
import tempfile

FENCE = re.compile(r"^ *(```+|~~~+) *(\S*).*$")
INCLUDE = re.compile(r'^ *--8<-- "([^":]+)(?::([^"]+))?" *$')
CPP = {"cpp", "c++", "C++", "cxx", "cc", "hpp"}
LINES, COLUMNS, TOP_LINES = 60, 120, 6
OTHER_TEXTS = {"CMakeLists.txt", "requirements.txt"}


def blocks(text):
    """Yields (number of its first line, language, lines) of each fenced block, and (number, None, [line]) otherwise."""
    fence, start, language, lines = None, 0, "", []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None and match:
            fence, start, language, lines = match[1], number, match[2], []
        elif fence is not None and match and match[1].startswith(fence) and not match[2]:
            yield start, language, lines
            fence = None
        elif fence is not None:
            lines.append(line)
        else:
            yield number, None, [line]
    if fence is not None:
        yield start, language, lines


class Guide:
    def __init__(self, root):
        self.root, self.folder = root, root / "examples" / "guide"
        self.shown, self.offences = set(), []

    def find(self, name):
        for path in (self.folder / name, self.root / name):
            if path.is_file():
                return path
        return None

    def check_include(self, where, name, section):
        path = self.find(name)
        if path is None:
            self.offences.append(f"{where}: there is no {name} in examples/guide or the project's root")
            return
        self.shown.add(path)
        if section:
            text = path.read_text(encoding="utf-8")
            marks = [text.count(f"--8<-- [{kind}:{section}]") for kind in ("start", "end")]
            if marks != [1, 1]:
                self.offences.append(f"{where}: {name} has {marks[0]} starts and {marks[1]} ends of {section}")

    def check_page(self, page):
        name = page.relative_to(self.root).as_posix()
        text = page.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS:
                self.offences.append(f"{name}:{number}: {len(line)} columns, more than {COLUMNS}")
        for number, language, lines in blocks(text):
            includes = [INCLUDE.match(line) for line in lines]
            if language in CPP and (len(lines) != 1 or not includes[0]):
                self.offences.append(f"{name}:{number}: a block of C++ that is not one include of a file")
            for match in filter(None, includes):
                self.check_include(f"{name}:{number}", match[1], match[2])

    def check_program(self, program):
        name = program.relative_to(self.root).as_posix()
        lines = program.read_text(encoding="utf-8").splitlines()
        if len(lines) > LINES:
            self.offences.append(f"{name}: {len(lines)} lines, more than {LINES}")
        output, top = program.with_suffix(".txt"), lines[:TOP_LINES]
        if program not in self.shown:
            self.offences.append(f"{name}: no page shows it")
        if not output.is_file():
            if not any(re.match(r"^// not run: \S", line) for line in top):
                self.offences.append(f"{name}: there is neither {output.name} nor a line that says why it is not run")
        elif output not in self.shown:
            self.offences.append(f"{name}: no page shows what it prints, {output.name}")
        for line in top:
            needed = re.match(r"^// needs: (\S+)$", line)
            if needed and not (self.folder / f"{needed[1]}.txt").is_file():
                self.offences.append(f"{name}: it needs {needed[1]}, and there is no {needed[1]}.txt")

    def check(self):
        """(number of pages, number of programs, list of offences)"""
        pages, programs = sorted((self.folder / "pages").rglob("*.md")), sorted(self.folder.glob("*.cpp"))
        for page in pages:
            self.check_page(page)
        for program in programs:
            self.check_program(program)
        for output in sorted(self.folder.glob("*.txt")):
            if not output.with_suffix(".cpp").is_file() and output.name not in OTHER_TEXTS:
                self.offences.append(f"{output.relative_to(self.root).as_posix()}: there is no {output.stem}.cpp")
        return len(pages), len(programs), self.offences


def self_test():
    guide = "examples/guide/"
    page = ('# A\n```cpp\n--8<-- "a.cpp"\n```\n```text title="prints"\n--8<-- "a.txt"\n```\n'
            '```cpp\n--8<-- "a.cpp:part"\n```\n')
    program = "// --8<-- [start:part]\nint main() {}\n// --8<-- [end:part]\n"
    files = {guide + "pages/a.md": page, guide + "a.cpp": program, guide + "a.txt": "1\n"}
    for change, expected in [
        ({}, None),
        ({guide + "pages/a.md": page + "```sh\nls\n```\n"}, None),
        ({guide + "pages/a.md": page + "```cpp\nint x;\n```\n"}, "pages/a.md:11: a block of C++"),
        ({guide + "pages/a.md": page + '```cpp\n--8<-- "b.cpp"\n```\n'}, "pages/a.md:11: there is no b.cpp"),
        ({guide + "pages/a.md": page + '--8<-- "b.txt"\n'}, "pages/a.md:11: there is no b.txt"),
        ({guide + "pages/a.md": page.replace(":part", ":whole")}, "pages/a.md:8: a.cpp has 0 starts"),
        ({guide + "pages/a.md": page + "a" * 121 + "\n"}, "pages/a.md:11: 121 columns"),
        ({guide + "pages/a.md": page.replace("a.txt", "a.cpp")}, "a.cpp: no page shows what it prints"),
        ({guide + "pages/a.md": "# A\n", guide + "a.txt": None}, "a.cpp: no page shows it"),
        ({guide + "pages/a.md": page.replace("a.txt", "a.cpp"), guide + "a.txt": None}, "a.cpp: there is neither"),
        ({guide + "a.cpp": "// not run: it needs two machines\n" + program, guide + "a.txt": None,
          guide + "pages/a.md": page.replace("a.txt", "a.cpp")}, None),
        ({guide + "a.cpp": program + "\n" * 60}, "a.cpp: 63 lines"),
        ({guide + "a.cpp": "// needs: b\n" + program}, "a.cpp: it needs b"),
        ({guide + "b.txt": "1\n"}, "b.txt: there is no b.cpp"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**files, **change}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                if text is not None:
                    (root / name).write_text(text, encoding="utf-8")
            offences = Guide(root).check()[2]
        assert bool(offences) == bool(expected), (change, offences)
        assert not expected or offences[0].startswith(guide + expected), (change, offences)


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    pages, programs, offences = Guide(pathlib.Path(__file__).resolve().parent.parent).check()
    for offence in offences:
        print(offence)
    print(f"{pages} pages, {programs} programs, {len(offences)} offences")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
