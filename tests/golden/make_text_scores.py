#!/usr/bin/env python3
"""Writes text_scores.json: ROUGE of rouge_score, exact match and F1 of torchmetrics' SQuAD, entities of seqeval.

    python tests/golden/make_text_scores.py [folder]     # default: the folder of this script

Each part needs its package alone: rouge_score, torchmetrics, seqeval. A part whose package is not there stays as the
file has it.
"""

import json
import pathlib
import random
import sys

WORDS = ("the cat sat on a mat , and THE dog's bone ; an apple-tree in Köln costs 3.50 € today Today cats a–b "
         "the-end I\u0307stanbul \u212aelvin naïve a\u0301 İ don't _the_ 2nd").split()


def text(generator, most):
    return " ".join(generator.choice(WORDS) for _ in range(generator.randrange(most)))


def pairs(generator, count):
    """Texts, and what they are compared with: another one, a changed one, the same."""
    for number in range(count):
        right = text(generator, 12)
        words = [generator.choice(WORDS) if generator.random() < 0.3 else word for word in right.split()]
        if generator.random() < 0.5:
            generator.shuffle(words)
        yield [text(generator, 9), " ".join(words), "  ".join(right.split()).upper()][number % 3], right


def rouge():
    from rouge_score import rouge_scorer
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    cases = []
    for hypothesis, reference in pairs(random.Random(1), 36):
        scores = scorer.score(reference, hypothesis)
        cases.append({"hypothesis": hypothesis, "reference": reference,
                      **{name: [score.precision, score.recall, score.fmeasure] for name, score in scores.items()}})
    return cases


def answers():
    import importlib
    squad = importlib.import_module("torchmetrics.functional.text.squad")
    generator = random.Random(2)
    cases = []
    for answer, right in [("", ""), ("the", ""), ("", "an!"), ("", "x"), ("x", ""), *pairs(generator, 36)]:
        several = [right] if generator.random() < 0.5 else [right, text(generator, 5)]
        cases.append({"answer": answer, "right": several,
                      "exact_match": max(float(squad._compute_exact_match_score(answer, one)) for one in several),
                      "f1": max(float(squad._compute_f1_score(answer, one)) for one in several)})
    return cases


def entities():
    from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
    generator = random.Random(3)
    cases = []
    for tags in ("BIO", "IO", "BIESO", "BIESO."):
        names = [tag if tag in "O." else f"{tag}-{kind}" for tag in tags for kind in ("PER", "LOC", "NEW-YORK")]
        names += ["B", "I"] if tags == "BIESO." else []
        for _ in range(4):
            wanted = [[generator.choice(names) for _ in range(generator.randrange(1, 9))] for _ in range(3)]
            predicted = [[label if generator.random() < 0.7 else generator.choice(names) for label in sentence]
                         for sentence in wanted]
            precision, recall, f1, _ = precision_recall_fscore_support(wanted, predicted, average="micro", zero_division=0)
            kinds = sorted({kind for kind, _, _ in get_entities(wanted) + get_entities(predicted)})
            each = precision_recall_fscore_support(wanted, predicted, average=None, zero_division=0)[2]
            cases.append({"wanted": wanted, "predicted": predicted, "entities": [list(map(str, one)) for one in get_entities(wanted[0])],
                          "micro": [float(precision), float(recall), float(f1)],
                          "f1": {kind: float(one) for kind, one in zip(kinds, each)}})
    return cases


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    path = folder / "text_scores.json"
    golden = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for part in (rouge, answers, entities):
        try:
            golden[part.__name__] = part()
        except ImportError as error:
            print(f"{part.__name__} stays as it is: {error}")
    path.write_text(json.dumps(golden, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
