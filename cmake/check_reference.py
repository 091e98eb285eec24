#!/usr/bin/env python3
"""Checks that the public names of the headers have comments, from which the guide's reference is made.

    check_reference.py [--list]

Every class, function, type, constant and concept must have one, and in the rooms COMPLETE every member of a class,
too: a comment of its own (an overload: that of the first one), or its name in the comment of its class, or a meaning
that it shares with all members of its name (SHARED_MEMBERS of reference.py). Prints a line for each name without a
comment and how many members of the other rooms have none; `--list` prints these, too. Exit code 77, which ctest shows as skipped,
where there is no doxygen. `--self-test` checks the checker.
"""

import collections
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import reference  # noqa: E402

COMPLETE = {"autograd", "audio", "core", "data", "distributed", "finetune", "generation", "images", "io", "kernels",
            "nn", "onnx", "optim", "search", "visualization"}  # rooms


def offences(names):
    """(lines about names that must have a comment, lines about other members)"""
    must, others = [], []
    for header, tops in names.headers.items():
        for name in tops:
            if not reference.is_documented(name):
                must.append(f"include/rapt/{header}:{name.line}: {name.title} has no comment")
            for member in name.members:
                if not reference.is_documented(member, name):
                    (must if header.split("/")[0] in COMPLETE else others).append(
                        f"include/rapt/{header}:{member.line}: {member.title} has no comment")
    return must, others


def self_test():
    source = reference.Header.__new__(reference.Header)
    source.lines = ["/// One.", "/// Two.", "template <class T,", "          class U>", "struct A {",
                    "  int a = 0;  ///< three", "  ///< four", "  int b = 0;", "};", "", "int c();", "/// Five", "[[nodiscard]] inline int d();"]
    assert source.comment(5) == "One.\nTwo." and source.comment(6) == "three\nfour", source.comment(6)
    assert source.comment(8) == "" and source.comment(11) == "" and source.comment(13) == "Five"

    def make(kind, name, comment=""):
        return reference.Name(kind, name, "", "rapt", "a.hpp", 1, "", comment)

    owner = make("struct", "A", "Holds `rate` and more.")
    assert reference.is_documented(make("variable", "rate"), owner)
    assert not reference.is_documented(make("variable", "rat"), owner)
    assert reference.is_documented(make("function", "visit"), owner)
    assert not reference.is_documented(make("function", "f"))
    overloads = reference.document_overloads(
        [make("function", "f", "Adds."), make("function", "f"), make("function", "g")])
    assert [reference.is_documented(name) for name in overloads] == [True, True, False]
    assert reference.tidy("const Tensor< T > &x, std::span< const Index > ids") == \
        "const Tensor<T>& x, std::span<const Index> ids"


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    if not shutil.which("doxygen"):
        print("SKIPPED: there is no doxygen")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        names = reference.Reference(reference.run_doxygen(folder))
    must, others = offences(names)
    print("\n".join(must + (others if "--list" in sys.argv else [])))
    rooms = collections.Counter(line.split("/")[2] for line in others)
    total = sum(1 for _ in names.all())
    print(f"{total} public names; without a comment: {len(must)} that must have one, {len(others)} other members", end="")
    print(f" ({', '.join(f'{room} {count}' for room, count in sorted(rooms.items()))})" if rooms else "")
    return 1 if must or total < 1000 else 0


if __name__ == "__main__":
    sys.exit(main())
