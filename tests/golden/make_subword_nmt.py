"""Writes subword_nmt.tsv beside this script: codes files and how subword-nmt cuts lines with them.

    python make_subword_nmt.py            # needs subword-nmt 0.3

Lines of the file, columns between tabs; in text, a backslash begins \\t, \\n, \\r or \\\\:

    codes  name  text of the codes file
    line   text  its pieces

The codes come first, then the lines that they cut.
"""

import io
import pathlib
import random

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

TEXT = """the lowest house stands lower than the newest houses on the widest street
newer and wider rooms are slower to warm than the old and narrow ones
sie wohnten in einem kleineren Häuschen am größten Platz der schönsten Städte
die größeren Häuser stehen an den breiteren Straßen , die kleinsten an den schmalsten
старые дома стоят на старой улице , новые дома стоят на новой улице
我 爱 你 , 你 爱 我 ; 我们 爱 他们 , 他们 爱 我们
don &apos;t stop at the stopped stops , the stopper has stopped stopping
she walks , walked and has been walking ; he talks , talked and has been talking
"""

LINES = [
    "the lowest newest widest slowest houses", "walkings talked stopped", "a", "ab", "", " ", "  the   new  street  ",
    "the\tnew\u00a0street the\u3000new", "größtes Straßenhäuschen ÄÖÜ", "старая новая дома", "我爱你们 他们爱我",
    "don&apos;t stop", "🙂 new🙂er 👍🏽", "a@@ b@@c @@ @@d", "the</w> </w> </w>x x</w>y", "<s> <unk> <0x41> </s>",
    "e\u0301tage naïve", "xxxx xxxxx zzz zqzqzq", "the new street\r", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
]


def escaped(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def learned(symbols):
    codes = io.StringIO()
    learn_bpe(io.StringIO(TEXT * 3), codes, symbols)
    return codes.getvalue()


def made_up(rng, version):
    """Pairs of earlier symbols in any order, some of them twice, as no learning would leave them."""
    symbols = ["a", "b", "c", "a</w>", "b</w>"] if version == "0.2" else ["a", "b", "c", "</w>"]
    pairs = []
    for _ in range(rng.randint(3, 24)):
        left = rng.choice([s for s in symbols if not s.endswith("</w>")])
        pairs.append((left, rng.choice(symbols)))
        symbols.append("".join(pairs[-1]))
    pairs += rng.sample(pairs, min(3, len(pairs)))
    if rng.random() < 0.7:
        rng.shuffle(pairs)
    return "".join(f"{left} {right}\n" for left, right in pairs)


def main():
    rng = random.Random(20160812)
    cases = [("learned 20", learned(20), LINES), ("learned 150", learned(150), LINES)]
    for i in range(40):
        version = rng.choice(["0.1", "0.2"])
        header = "" if version == "0.1" and rng.random() < 0.5 else f"#version: {version}\n"
        words = ["".join(rng.choice("aaabbbcd") for _ in range(rng.randint(1, 14))) for _ in range(40)]
        cases.append((f"made up {i}", header + made_up(rng, version), [" ".join(words)]))
    out = []
    for name, codes, lines in cases:
        bpe = BPE(io.StringIO(codes))
        out.append(f"codes\t{name}\t{escaped(codes)}")
        out += [f"line\t{escaped(line)}\t{escaped(bpe.segment(line))}" for line in lines]
    path = pathlib.Path(__file__).with_name("subword_nmt.tsv")
    path.write_text("\n".join(out) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(cases)} codes, {sum(len(lines) for _, _, lines in cases)} lines")


if __name__ == "__main__":
    main()
