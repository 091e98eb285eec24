#!/usr/bin/env python3
"""Checks that the public names of the headers have comments, from which the guide's reference is made.

    check_reference.py

Every class, function, type, constant and concept must have one, and every member of a class, too: a comment of its own
(an overload: that of the first one), or its name in the comment of its class, or a meaning that it shares with all
members of its name (SHARED_MEMBERS of reference.py). Prints a line for each name without a comment. Exit code 77, which
ctest shows as skipped, where there is no doxygen. `--self-test` checks the checker.
"""

import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import reference  # noqa: E402

def offences(names):
    """Lines about names without a comment."""
    found = []
    for header, tops in names.headers.items():
        for name in tops:
            without = [] if reference.is_documented(name) else [name]
            without += [member for member in name.members if not reference.is_documented(member, name)]
            found += [f"include/rapt/{header}:{it.line}: {it.title} has no comment" for it in without]
    return found


def self_test():
    source = reference.Header.__new__(reference.Header)
    source.lines = ["/// One.", "/// Two.", "template <class T,", "          class U>", "struct A {",
                    "  int a = 0;  ///< three", "  ///< four", "  int b = 0;", "};", "", "int c();", "/// Five",
                    "[[nodiscard]] inline int d();"]
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
    found = offences(names)
    total = sum(1 for _ in names.all())
    print("\n".join([*found, f"{total} public names, {len(found)} without a comment"]))
    return 1 if found or total < 1000 else 0


if __name__ == "__main__":
    sys.exit(main())
