#!/usr/bin/env python3
"""Runs a program of the guide and compares what it prints with what its page says, byte for byte.

    run_program.py PROGRAM EXPECTED.txt FOLDER [NEEDED...]

The program runs in FOLDER, which is emptied first and begins with copies of the files in the folders NEEDED, those that
other programs have left. `--self-test` checks this script.
"""

import difflib
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(program, expected, folder, needed):
    """Returns what differs, as text, or an empty text."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for other in needed:
        shutil.copytree(other, folder, dirs_exist_ok=True)
    result = subprocess.run(program, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    promised = pathlib.Path(expected).read_bytes()
    if result.returncode == 0 and result.stdout == promised:
        return ""
    lines = [text.decode("utf-8", "backslashreplace").splitlines(keepends=True) for text in (promised, result.stdout)]
    difference = "".join(difflib.unified_diff(*lines, fromfile="the page", tofile="the program", n=1))
    if result.stdout != promised and not difference:
        difference = "the ends of lines differ\n"
    errors = result.stderr.decode("utf-8", "backslashreplace")
    return f"{program}: exit code {result.returncode}\n{difference}{errors}"


def self_test():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "other").mkdir()
        (folder / "other" / "left.txt").write_text("left\n")
        (folder / "expected.txt").write_text("left\n")
        arguments = (folder / "expected.txt", folder / "run", [folder / "other"])
        assert run(["cat", "left.txt"], *arguments) == ""
        (folder / "run" / "old.txt").write_text("old")
        assert run(["ls"], *arguments) != "" and not (folder / "run" / "old.txt").exists()
        assert "+right" in run(["echo", "right"], *arguments)
        assert "exit code 3" in run(["sh", "-c", "cat left.txt; exit 3"], *arguments)
        assert run(["printf", "left"], *arguments) != ""  # no end of the line


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    program, expected, folder, *needed = sys.argv[1:]
    difference = run([program], expected, folder, needed)
    print(difference or "prints what its page says")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
