#!/usr/bin/env python3
"""Writes class_scores.json: labels that were predicted and right, with scikit-learn's accuracy and F1.

    python tests/golden/make_class_scores.py [folder]        # default: the folder of this script; needs scikit-learn
"""

import json
import pathlib
import random
import sys

import sklearn
from sklearn.metrics import accuracy_score, f1_score


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = random.Random(1)
    cases = []
    for labels, count, used in ((2, 20, 2), (5, 60, 5), (6, 40, 4), (4, 1, 1), (3, 30, 3)):
        wanted = [generator.randrange(used) for _ in range(count)]
        predicted = [label if generator.random() < 0.6 else generator.randrange(min(labels, used + 1))
                     for label in wanted]
        if len(cases) == 4:
            predicted = [(label + 1) % labels for label in wanted]  # none is right
        each = f1_score(wanted, predicted, labels=list(range(labels)), average=None, zero_division=0)
        cases.append({"labels": labels, "predicted": predicted, "wanted": wanted,
                      "accuracy": accuracy_score(wanted, predicted), "f1": [float(value) for value in each],
                      "macro": f1_score(wanted, predicted, average="macro", zero_division=0),
                      "weighted": f1_score(wanted, predicted, average="weighted", zero_division=0)})
    path = folder / "class_scores.json"
    path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
