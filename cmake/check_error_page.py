#!/usr/bin/env python3
"""Checks that examples/guide/pages/errors.md explains every place that messages of the library name.

A message is `[where] rule: values`, thrown by `fail` or `require` (core/error.hpp). This script reads the calls of both
in include/rapt/ and collects each `where` that is written as text in the code: as the argument itself, or as a constant
named kWhere, kName or the like that a call uses. Each must stand on the page as `[where]`, and each that stands on the
page must be in the code. Places that come from a caller or a file's path are not texts in the code; the page has a
section of its own on them.

`--list` prints all messages instead, as a page in Markdown: place, text with "..." where values stand, type, header.
`--self-test` checks the checker.
"""

import pathlib
import re
import sys

CALL = re.compile(r"\b(?:rapt::)?(require|fail)(?:<([\w:]+)>)?\(")
CONSTANT = re.compile(r"constexpr (?:std::string_view|const char\*|auto) (k\w+) = \"([^\"]+)\"")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
ON_PAGE = re.compile(r"`\[([^\]`]+)\]`")


def arguments(text, start):
    """The arguments of a call whose opening bracket is before `start`; commas in brackets and literals do not count."""
    parts, depth, i = [""], 1, start
    while i < len(text):
        literal = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|//[^\n]*').match(text, i)
        if literal:
            if not literal[0].startswith("//"):
                parts[-1] += literal[0]
            i = literal.end()
            continue
        char = text[i]
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            break
        if char == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += char
        i += 1
    return [" ".join(part.split()) for part in parts]


def messages(header, text):
    """Yields (where, or None if it is no text in the code; the message; its type; the header)."""
    constants = {}
    for name, value in CONSTANT.findall(text):
        constants.setdefault(name, []).append(value)
    for call in CALL.finditer(text):
        line = text[text.rfind("\n", 0, call.start()) + 1 : call.start()]
        if "//" in line or re.search(r"\bvoid $", line):
            continue
        found = arguments(text, call.end())
        if call[1] == "require":
            found = found[1:]
        if not found:
            continue
        where, pieces = found[0], found[1:]
        words = " ".join(pieces)
        words = re.sub(r"\s*\.\.\.\s*(?:\.\.\.\s*)*", " ... ", _message(pieces)).strip() or words
        literal = TEXT.fullmatch(where)
        places = [literal[1]] if literal else constants.get(where.split("::")[-1], [None])
        for place in places:
            yield place, words, call[2] or "ValueError", header


def _message(pieces):
    text = ""
    for piece in pieces:
        literals = TEXT.findall(piece)
        text += "".join(literals) if literals and TEXT.sub("", piece).strip() == "" else " ... "
    return text.replace('\\"', '"').replace("\\n", " ")


def all_messages(root):
    for path in sorted((root / "include" / "rapt").rglob("*.hpp")):
        if path.name != "error.hpp":
            yield from messages(path.relative_to(root / "include").as_posix(), path.read_text(encoding="utf-8"))


def offences(places, page):
    shown = set(ON_PAGE.findall(page))
    for place in sorted(places - shown):
        yield f"examples/guide/pages/errors.md: no line explains `[{place}]`, which messages of the library name"
    for place in sorted(shown - places):
        yield f"examples/guide/pages/errors.md: `[{place}]` is named by no message of the library"


def print_list(found):
    print("# Every message\n\nGenerated from the headers. `...` stands for values.\n")
    print("| place | message | type | header |\n|---|---|---|---|")
    key = lambda m: (m[0] or "~", m[3], m[1])
    for place, words, kind, header in sorted(found, key=key):
        cell = words.replace("|", "\\|").replace("<", "&lt;")
        print(f"| `[{place or '...'}]` | {cell} | {kind} | {header} |")


def self_test():
    code = '''
constexpr std::string_view kWhere = "b";
require(f(1, ",") && x, "a", "x, y: ", x);
fail<IoError>(kWhere, file, ": bad \\"k\\"");
void f() { require(true, where, "no"); }  // require(false, "c", "in a comment")
'''
    expected = [("a", "x, y:  ...", "ValueError", "h"), ("b", '... : bad "k"', "IoError", "h"),
                (None, "no", "ValueError", "h")]
    got = [(place, words, kind, header) for place, words, kind, header in messages("h", code)]
    assert [" ".join(m[1].split()) for m in got] == [" ".join(m[1].split()) for m in expected], got
    assert [(m[0], m[2]) for m in got] == [(m[0], m[2]) for m in expected], got
    assert list(offences({"a", "b"}, "`[a]` and `[c]`")) == [
        "examples/guide/pages/errors.md: no line explains `[b]`, which messages of the library name",
        "examples/guide/pages/errors.md: `[c]` is named by no message of the library"]
    print("check_error_page.py: its own test passed")


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    found = list(all_messages(root))
    if "--list" in sys.argv[1:]:
        return print_list(found)
    places = {message[0] for message in found if message[0]}
    page = (root / "examples" / "guide" / "pages" / "errors.md").read_text(encoding="utf-8")
    wrong = list(offences(places, page))
    for offence in wrong:
        print(offence)
    if wrong:
        sys.exit(1)
    print(f"check_error_page.py: {len(found)} messages, {len(places)} places, all on the page")
    return None


if __name__ == "__main__":
    main()
