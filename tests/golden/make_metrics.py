"""Writes metrics.tsv beside this script: hypotheses, references and what sacrebleu says of them.

    python make_metrics.py            # needs sacrebleu 2

The sentences are generated: random edits of references in several scripts, and the cases at the edges by hand. Lines of
the file, columns between tabs; in text, a backslash begins \\t or \\\\:

    sacrebleu    version
    metric       name     sacrebleu's signature without nrefs and version
    set          name
    pair         hypothesis   reference
    scores       one of each metric, in the order of the metric lines
    confidence   metric   every        offset   score   mean     half_width
    paired       metric   every        offset   other   baseline system       p_value

The pairs of a set come first, then its scores. `confidence` and `paired` are of all pairs of the file together, 1000
resamples: of the system that gives the reference itself instead of the hypothesis of every `every`-th pair, beginning
with pair `offset` (none when they are equal); for `paired`, that is the baseline, and the system is the one whose offset
is `other`.
"""

import pathlib
import random

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

METRICS = {
    "bleu": BLEU(force=True),
    "bleu none": BLEU(force=True, tokenize="none"),
    "bleu lowercase": BLEU(force=True, lowercase=True),
    "chrf": CHRF(),
    "chrf lowercase": CHRF(lowercase=True),
    "chrf whitespace": CHRF(whitespace=True),
    "chrf eps": CHRF(eps_smoothing=True),
    "chrf++": CHRF(word_order=2),
    "chrf++ lowercase whitespace eps": CHRF(word_order=2, lowercase=True, whitespace=True, eps_smoothing=True),
    "chrf short": CHRF(char_order=3, word_order=1, beta=1),
}

# Pieces of sentences by script, and what stands between them.
SCRIPTS = {
    "english": (" ", "a the small old dogs river runs sings slowly near behind (perhaps) \"well\" don't it's U.S. 3.5 "
                     "1,250 50% 1990-95 well-known yes, no; stop. what? go! A/B C++ x=1 (ii) ... - #1 'so' [sic]"),
    "german": (" ", "der die das Bär Tür läuft über schöne Straße GRÖSSE Äpfel größer Übung fährt „gut“ 3,5 1.250 "
                    "am 3. Mai, z.B. und/oder O-Ton? nein! heißt süß Öl; (alt) Kühlschranktür weiß:"),
    "french": (" ", "l'été où déjà naïve cœur ça « bon » aujourd'hui ÉCOLE élève 12,5 est-ce garçon forêt ! ? ; très Noël"),
    "russian": (" ", "река бежит быстро старый дом ёлка МОСКВА Привет, мир! где? 2-й 5,5 объём съел (тут) всё. ЧАЙ"),
    "greek": (" ", "ο ποταμός ΤΡΕΧΕΙ γρήγορα ΣΟΦΟΣ λόγος, ΟΔΟΣ. παλιό σπίτι; 7,5 Άνθρωποι ώρα"),
    "chinese": ("", "天 气 很 好 我 们 去 公 园 看 书 , 。 ! ? 《 》 3 15 岁 的 了 小 河 在 跑 、 ： OK 电脑 学校 昨天"),
    "japanese": ("", "今日 は とても 良い 天気 です 。 、 カメラ を 買い ました ー 「 」 3 月 １５ ﾃﾚﾋﾞ が"),
    "arabic": (" ", "النهر يجري ببطء قرب البيت القديم، هل رأيت؟ نعم! ٣٫٥ مَرْحَبًا بالعالم. كتاب: ١٢ (هنا) لا؛ والولد"),
    "hebrew": (" ", "הנהר זורם לאט ליד הבית הישן, האם ראית? כן! שָׁלוֹם עולם. ספר: 12 (כאן) צה\"ל ג'ירפה"),
    "devanagari": (" ", "नदी धीरे बहती है पुराना घर। क्या तुमने देखा? हाँ! ३.५ नमस्ते, दुनिया किताब: १२ (यहाँ) क्षत्रिय ज्ञान"),
    "korean": (" ", "강은 천천히 흐른다 오래된 집, 보았니? 네! 3.5 안녕하세요 세계. 책: 12 (여기) 학교에서"),
    "thai": ("", "แม่น้ำ ไหล ช้าๆ ใกล้ บ้าน เก่า คุณ เห็น ไหม 3.5 สวัสดี ชาวโลก ๑๒ ฯ"),
    "emoji": (" ", "good 👍🏽 morning 🇩🇪 👩‍👩‍👧 ☀️ ok 😀 😀😀 night 🌙, 🎉! x² ½ ❤️ <3 :-) fin"),
    "mixed": (" ", "the Straße 天气 река النهر नदी 👍 1,5 A.B. naïve, 漢字。 İstanbul ŞIK ﬁne Ǆ K Å 2.5-inch cafe\u0301 "
                   "a\u00a0b \u3000 &amp; &lt;b&gt; tab\there <skipped> \\n"),
}

BY_HAND = {
    "empty hypothesis": [("", "a river runs near the old house.")],
    "empty reference": [("a river runs near the old house.", "")],
    "both empty": [("", "")],
    "empty lines among others": [("", "one two three four"), ("five six seven eight", ""), ("", ""),
                                 ("nine ten eleven twelve", "nine ten eleven twelve")],
    "white space alone": [("  \t ", " "), ("\u3000", "a b")],
    "trailing spaces": [("a river runs.  ", "a river runs."), ("near the house", "near the house \u00a0 ")],
    "leading spaces": [("   a river runs.", "a river runs."), ("near the house", "  near  the house")],
    "one word": [("river", "river")],
    "one wrong word": [("river", "rivers")],
    "one letter": [("a", "a")],
    "one wrong letter": [("a", "b")],
    "one mark": [(".", ".")],
    "two letters": [("ab", "ab")],
    "five letters": [("abcde", "abcde")],
    "five letters against many": [("abcde", "abcdefghijkl")],
    "many letters against five": [("abcdefghijkl", "abcde")],
    "two words": [("old house", "old house"), ("river", "house")],
    "three words": [("the old house", "the old house")],
    "four words": [("the old river house", "the old river house")],
    "nothing in common": [("aaa bbb ccc ddd", "eee fff ggg hhh")],
    "letters alone in common": [("d c b a", "a b c d")],
    "repeated letters": [("aaaaaaaaaaaa", "aaaaaa"), ("abababab", "babababa")],
    "repeated words": [("the the the the the the", "the cat is on the mat")],
    "identical": [("A river runs near the old house, slowly.", "A river runs near the old house, slowly.")] * 3,
    "identical but for case": [("A River RUNS near the Old House.", "a river runs near the old house.")],
    "identical but for spaces": [("a river runsnear the oldhouse.", "a riverruns near the old house.")],
    "words in brackets": [("(old) (house) \"so\" 'it' [a] {b}", "(old house) \"so 'it' [a {b")],
    "marks on both sides": [("...so... (hi) --x-- ?!", "... so ... ( hi ) -- x -- ? !")],
    "marks and other scripts": [("«да» ¿qué? 「は」 ‘x’ €5", "« да » ¿ qué ? 「 は 」 ‘ x ’ € 5")],
    "combining marks": [("cafe\u0301 A\u030angstro\u0308m", "café Ångström")],
    "emoji of several code points": [("👩‍👩‍👧 👍🏽 🇩🇪🇫🇷", "👩‍👧 👍 🇩🇪")],
    "brevity": [("the house", "the house is very small and very old"), ("a fine day", "it was a fine day in May")],
    "too long": [("it was a very fine and very long day in May", "a fine day")],
}


def generated(rng, script):
    glue, words = SCRIPTS[script]
    words = words.split(" ")
    pairs = []
    noise = rng.choice([0.05, 0.15, 0.3])
    for _ in range(rng.randint(1, 4)):
        reference = [rng.choice(words) for _ in range(rng.randint(1, 15))]
        hypothesis = []
        for word in reference:
            r = rng.random()
            if r < noise:
                continue
            if r < 2 * noise:
                word = rng.choice(words)
            elif r < 2.5 * noise:
                at = rng.randrange(len(word)) if word else 0
                word = word[:at] + rng.choice(["", "e", word[:1], "."]) + word[at + 1:]
            elif r < 3 * noise:
                word = word.swapcase()
            hypothesis.append(word)
        if rng.random() < 0.2:
            rng.shuffle(hypothesis)
        pairs.append((glue.join(hypothesis) + rng.choice(["", "", "", " ", "."]), glue.join(reference)))
    return pairs


def escaped(text):
    assert "\n" not in text and "\r" not in text
    return text.replace("\\", "\\\\").replace("\t", "\\t")


def better(pairs, every, offset):
    """The hypotheses, the reference itself in place of every so many."""
    return [reference if i % every == offset else hypothesis for i, (hypothesis, reference) in enumerate(pairs)]


def bootstrap_lines(pairs):
    references = [[reference for _, reference in pairs]]
    systems = {(every, offset): better(pairs, every, offset) for every, offset in
               [(25, 3), (25, 11), (10, 2), (10, 7), (7, 3), (7, 7)]}
    for name in ("bleu none", "chrf", "chrf++"):
        metric = METRICS[name]
        for (every, offset), system in systems.items():
            b = metric.corpus_score(system, references, n_bootstrap=1000)
            yield f"confidence\t{name}\t{every}\t{offset}\t{b.score:.10f}\t{b._mean:.6f}\t{b._ci:.6f}"
        for every, offset, other in [(25, 3, 11), (25, 11, 3), (10, 2, 7), (7, 3, 7), (7, 3, 3)]:
            test = PairedTest([("baseline", systems[every, offset]), ("system", systems[every, other])],
                              {name: metric}, references, test_type="bs", n_samples=1000)
            _, results = test()
            baseline, system = next(scores for key, scores in results.items() if key != "System")
            yield (f"paired\t{name}\t{every}\t{offset}\t{other}\t{baseline.score:.10f}\t{system.score:.10f}"
                   f"\t{system.p_value:.6f}")


def main():
    rng = random.Random(20150917)
    sets = dict(BY_HAND)
    for i in range(16):
        for script in SCRIPTS:
            sets[f"{script} {i}"] = generated(rng, script)
    lines = []
    for name, pairs in sets.items():
        lines.append(f"set\t{name}")
        lines += [f"pair\t{escaped(hypothesis)}\t{escaped(reference)}" for hypothesis, reference in pairs]
        scores = [metric.corpus_score([h for h, _ in pairs], [[r for _, r in pairs]]).score
                  for metric in METRICS.values()]
        lines.append("\t".join(["scores", *(f"{score:.10f}".rstrip("0").rstrip(".") for score in scores)]))
    lines += bootstrap_lines([pair for pairs in sets.values() for pair in pairs])
    head = [f"sacrebleu\t{sacrebleu.__version__}"]
    for name, metric in METRICS.items():
        metric.n_bootstrap = metric.seed = None
        parts = metric.get_signature().format().split("|")
        head.append(f"metric\t{name}\t" + "|".join(part for part in parts if not part.startswith(("nrefs", "version"))))
    path = pathlib.Path(__file__).with_name("metrics.tsv")
    path.write_text("\n".join(head + lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(sets)} sets, {sum(map(len, sets.values()))} pairs, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
