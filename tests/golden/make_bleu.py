"""Writes bleu.tsv beside this script: corpora and what sacrebleu says of them.

    python make_bleu.py            # needs sacrebleu 2

Lines of the file, columns between tabs; in text, a backslash begins \\t, \\n, \\r or \\\\:

    sacrebleu  version
    case       name
    pair       hypothesis   reference
    score      tokenize     lowercase   score   p1  p2  p3  p4   brevity_penalty   hyp_len  ref_len   printed

The pairs of a case come first, then its four scores.
"""

import pathlib
import random

import sacrebleu
from sacrebleu.metrics import BLEU

WORDS = (
    "a the man woman dog two young people in front of and is on with red blue shirt street plays guitar riding "
    "Mann Frau Straße läuft ÜBER grün Ärger école naïve Éclair 1,000 3.14 well-known 1990-95 U.S. e.g. don't "
    "(left) \"quoted\" end. yes, no; what? wow! 50% $5 a/b x=y [1] {2} ~3 `tick` ^ _ @home #tag &amp; &lt;b&gt; "
    "Москва Привет, мир. ΟΔΟΣ Σ ὈΔΥΣΣΕΎΣ İstanbul ŞIK 你好 世界。 今天,天气 日本語 テスト、 안녕 مرحبا، שלום "
    "2.5-inch 10-20 .5 5. ,5 5, 1.a a.1 ... -- - '' <skipped> ²³ ½"
).split()

HAND_MADE = {
    "identical": [("The quick brown fox jumps over the dog.", "The quick brown fox jumps over the dog.")],
    "nothing in common": [("a b c d e", "v w x y z")],
    "empty hypothesis": [("", "The cat sat on the mat.")],
    "empty hypothesis among others": [("", "one two three four"), ("five six seven eight nine", "five six seven eight")],
    "empty reference": [("one two three four five", "")],
    "both empty": [("", "")],
    "one word": [("word", "word")],
    "one wrong word": [("word", "world")],
    "three words": [("one two three", "one two three")],
    "four words": [("one two three four", "one two three four")],
    "no matching four-gram": [("the cat sat here on the mat", "the cat sat on a mat here today")],
    "only single words match": [("d c b a e", "a b c d e")],
    "repeated words": [("the the the the the the the", "the cat is on the mat"), ("a a a a", "a a a a a a")],
    "brevity": [("the house is", "the house is very small and very old"), ("it was a fine day", "it was a fine day")],
    "too long": [("it was a very fine and long day in May", "it was a fine day")],
    "entities": [("Tom &amp; Jerry say &quot;hi there&quot; &lt;now&gt;", "Tom & Jerry say \"hi there\" <now>"),
                 ("&amp;lt; &amp;amp;quot; &AMP; &nbsp;", "&lt; &quot; &AMP; &nbsp;")],
    "skipped mark": [("a <skipped> b c d <skip<skipped>ped> e", "a b c d <skipped> e")],
    "digits and dashes": [("from 1990-1995 a 20-year-old scored 3-0 in U-21", "from 1990 - 1995 a 20 -year-old scored 3-0 in U-21")],
    "stops and digits": [("It costs 1,000.50, or 3.14.15 or .5 or 5. or 6,", "It costs 1,000.50 , or 3.14.15 or . 5 or 5 . or 6 ,")],
    "runs of stops": [("Wait... what.,b ,,,. 1.,2 ..3 4..", "Wait . . . what . , b , , , . 1.,2 ..3 4 . .")],
    "apostrophes": [("don't 'quoted' o'clock rock'n'roll", "don't 'quoted' o'clock rock 'n' roll")],
    "all ASCII symbols": [("a!b\"c#d$e%f&g'h(i)j*k+l,m-n.o/p:q;r<s=t>u?v@w[x\\y]z^a_b`c{d|e}f~g",
                           "a ! b \" c # d $ e % f & g ' h ( i ) j * k + l , m - n . o / p : q ; r < s = t > u ? v @ w [ x \\ y ] z ^ a _ b ` c { d | e } f ~ g")],
    "control characters": [("a\x01b c\x1cd\x1de\x1ff g\x7fh", "a\x01b c d e f g\x7fh")],
    "tabs and newlines": [("one\ttwo\nthree four-\nteen five\r\nsix", "one two three fourteen five six"),
                          ("ends with a dash-\n", "ends with a dash-"), ("ends-\n ", "ends -")],
    "no-break space": [("100\u00a0km at 5\u00a0000.\u00a0Then\u202fmore", "100 km at 5 000. Then more")],
    "full-width space": [("今日\u3000は\u3000良い\u3000天気", "今日 は 良い 天気"), ("\u3000", "a")],
    "other spaces": [("a\u2003b\u2009c\u200bd\u0085e\u2028f\u2029g\ufeffh\u180ei", "a b c\u200bd e f g\ufeffh\u180ei")],
    "spaces around": [("   one two  three   four \u00a0 ", "one two three four")],
    "full-width punctuation": [("你好,世界。今天,天气很好。", "你好,世界。今天,天气很好."), ("a。b c、d", "a。b c、d")],
    "punctuation beside Unicode": [("é.è ü,ö 5.é é.5 ½.5 ²-3 ٣.٤ 3-é", "é . è ü , ö 5 . é é .5 ½ .5 ²-3 ٣ . ٤ 3 - é")],
    "Cyrillic case": [("ПРИВЕТ, Мир и все люди", "привет, мир И ВСЕ люди")],
    "Greek sigma": [("ΟΔΟΣ ΣΟΦΟΣ Σ ΑΣ. ΑΣ'Α ΑΣ' 1Σ", "οδος σοφος σ ας. ας'α ας' 1σ")],
    "Turkish dotted I": [("İstanbul IĞDIR is big and old", "i̇stanbul iğdir is big and old")],
    "sharp s and ligatures": [("STRASSE Straße STRAẞE ﬁne Ǆ ǅ", "strasse straße straße ﬁne ǆ ǆ")],
    "other scripts with case": [("ԱԲԳ ႠႡ Ა ᏣᎳᎩ 𐐀𐐁 𞤀 Ⅷ Ⓐ Ω K Å", "աբգ ⴀⴁ ა ꮳꮃꭹ 𐐨𐐩 𞤢 ⅷ ⓐ ω k å")],
    "Arabic and Hebrew": [("مرحبا، بالعالم. كيف الحال؟", "مرحبا، بالعالم . كيف حالك؟"), ("שלום עולם! מה שלומך", "שלום, עולם! מה שלומך")],
    "emoji": [("good 👍🏽 morning 🇩🇪, all.", "good 👍🏽 morning 🇩🇪 , all .")],
    "combining marks": [("cafe\u0301, nai\u0308ve. A\u030angstrom", "café, naïve . Ångstrom")],
    "already tokenized": [("the man is riding a bike .", "the man is riding a bike ."), ("a - b , c", "a-b, c")],
}


def generated(rng):
    """References of random words, hypotheses that are edited copies."""
    pairs = []
    for _ in range(rng.randint(1, 12)):
        reference = [rng.choice(WORDS) for _ in range(rng.randint(1, 25))]
        hypothesis = []
        for word in reference:
            r = rng.random()
            if r < 0.08:
                continue
            hypothesis.append(rng.choice(WORDS) if r < 0.2 else word.upper() if r < 0.25 else word)
            if r > 0.95:
                hypothesis.append(rng.choice(WORDS))
        glue = rng.choice([" ", " ", " ", "  ", "\u00a0", ""])
        pairs.append((glue.join(hypothesis), rng.choice([" ", " ", " ", ""]).join(reference)))
    return pairs


def escaped(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def main():
    rng = random.Random(20020707)
    cases = dict(HAND_MADE)
    for i in range(30):
        cases[f"generated {i}"] = generated(rng)
    lines = [f"sacrebleu\t{sacrebleu.__version__}"]
    for name, pairs in cases.items():
        lines.append(f"case\t{name}")
        lines += [f"pair\t{escaped(hypothesis)}\t{escaped(reference)}" for hypothesis, reference in pairs]
        for tokenize in ("13a", "none"):
            for lowercase in (False, True):
                metric = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
                b = metric.corpus_score([h for h, _ in pairs], [[r for _, r in pairs]])
                numbers = [b.score, *b.precisions, b.bp]
                lines.append("\t".join(["score", tokenize, str(int(lowercase)), *(f"{x:.6f}" for x in numbers),
                                        str(b.sys_len), str(b.ref_len), str(b)]))
    path = pathlib.Path(__file__).with_name("bleu.tsv")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(cases)} cases")


if __name__ == "__main__":
    main()
