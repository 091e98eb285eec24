"""Writes scripts.json beside this script: texts, and the pieces that the pre-tokenizer UnicodeScripts of Hugging Face's
tokenizers package makes of them, with their places in bytes.

    python make_scripts.py            # needs tokenizers 0.23
    python make_scripts.py --table    # prints the ranges of include/rapt/text/scripts.hpp
"""

import json
import pathlib
import random
import sys

from tokenizers import pre_tokenizers

SCRIPTS = pre_tokenizers.UnicodeScripts()
POINTS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def is_one(text):
    return len(SCRIPTS.pre_tokenize_str(text)) == 1


def ranges():
    """[first, last, script] of the code points that have a script, which are numbered in the order of their first ones."""
    found, first_of = [], []
    previous = None
    for point in POINTS:
        if is_one("a" + point) and is_one("я" + point):  # It is of no script, and belongs to the piece before it.
            previous = None
            continue
        if previous is not None and is_one(previous + point):
            found[-1][1] = ord(point)
        else:
            script = next((i for i, first in enumerate(first_of) if is_one(first + point)), len(first_of))
            if script == len(first_of):
                first_of.append(point)
            found.append([ord(point), ord(point), script])
        previous = point
    return found


def texts(found):
    """Neighbours at the ends of ranges, and random texts of few scripts with spaces between."""
    rng = random.Random(15)
    yield from ("", " ", "   ", "  ab  cd!日本 ーか カ  ", "a\u0301я\u0378b", "\u0378a", " \u0378 ")
    for _ in range(400):
        some = rng.sample(found, rng.randint(1, 4))
        pool = [*(chr(rng.randint(first, last)) for first, last, _ in some for _ in range(2)), " ", "\u0378"]
        yield "".join(rng.choice(pool) for _ in range(rng.randint(0, 12)))
    ends = [chr(c) for first, last, _ in found for c in (first - 1, first, last, last + 1)
            if 0 <= c < 0x110000 and not 0xD800 <= c < 0xE000]
    for i in range(0, len(ends), 40):
        yield "".join(ends[i:i + 40])


def main():
    found = ranges()
    if "--table" in sys.argv:
        print(",".join("{0x%X, 0x%X, %d}" % tuple(one) for one in found))
        return
    golden = []
    for text in texts(found):
        pieces = []
        for _, (begin, end) in SCRIPTS.pre_tokenize_str(text):
            pieces += [len(text[:begin].encode()), len(text[:end].encode())]
        golden.append([text, pieces])
    path = pathlib.Path(__file__).with_name("scripts.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
