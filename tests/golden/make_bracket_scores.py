#!/usr/bin/env python3
"""Pairs of random trees with the counts that PYEVALB, a Python version of evalb, gives for them.

    pip install PYEVALB
    python make_bracket_scores.py

Writes bracket_scores.tsv: gold tree, predicted tree, matched, gold and predicted brackets, crossing brackets, right tags,
words. PYEVALB has no parameter file: what COLLINS.prm says (words and labels that do not count, labels that are equal,
functions that are cut off) is done here before. It counts brackets that are twice in a tree once where they match; they
get numbers here, so that each matches one, as in evalb.
"""

import copy
import pathlib
import random

from PYEVALB import parser, scorer

PUNCTUATION = {",", ":", "``", "''", "."}
TAGS = ["NN", "VBD", "DT", "IN", "RB", "RP", "-LRB-", ",", ".", ":", "``", "''"]
LABELS = ["S", "NP", "NP-SBJ", "NP-SBJ-1", "VP", "PP=2", "ADVP", "PRT", "X"]


def random_tree(rng, words):
    """A constituent over words, as [label, children]; a leaf is (tag, word)."""
    if len(words) == 1 and rng.random() < 0.7:
        return words[0]
    label = rng.choice(LABELS)
    if rng.random() < 0.15:
        return [label, [random_tree(rng, words)]]
    cuts = sorted(rng.sample(range(1, len(words)), min(len(words) - 1, rng.choice([1, 1, 2, 3]))))
    if not cuts:
        return [label, [words[0]]]
    parts = [words[a:b] for a, b in zip([0] + cuts, cuts + [len(words)])]
    return [label, [random_tree(rng, part) for part in parts]]


def changed(rng, tree):
    """A copy in which some constituents are dissolved, renamed, or drawn anew."""
    if isinstance(tree, tuple):
        return (rng.choice(TAGS[:6]), tree[1]) if rng.random() < 0.05 and tree[0] not in PUNCTUATION else tree
    label, children = tree
    if rng.random() < 0.1:
        return random_tree(rng, leaves(tree))
    children = [changed(rng, child) for child in children]
    merged = []
    for child in children:
        merged.extend(child[1] if isinstance(child, list) and rng.random() < 0.15 else [child])
    return [rng.choice(LABELS) if rng.random() < 0.1 else label, merged]


def leaves(tree):
    return [tree] if isinstance(tree, tuple) else [leaf for child in tree[1] for leaf in leaves(child)]


def text(tree):
    if isinstance(tree, tuple):
        return f"({tree[0]} {tree[1]})"
    return f"({tree[0]} {' '.join(text(child) for child in tree[1])})"


def counted(tree, removed, position=0, seen=None):
    """The tree with the words of these positions removed, and the labels by which it is compared."""
    seen = {} if seen is None else seen

    def walk(node):
        nonlocal position
        if isinstance(node, tuple):
            position += 1
            return None if position - 1 in removed else node
        before = position
        children = [child for child in map(walk, node[1]) if child is not None]
        if not children:
            return None
        label = node[0].split("-")[0].split("=")[0]
        label = {"PRT": "ADVP"}.get(label, label)
        kept = tuple(i for i in range(before, position) if i not in removed)
        seen[label, kept] = seen.get((label, kept), 0) + 1
        number = seen[label, kept]
        return [label if number == 1 else f"{label}#{number}", children]

    return walk(tree)


def main():
    rng = random.Random(20261130)
    lines = []
    while len(lines) < 60:
        words = [(rng.choice(TAGS), f"w{i}") for i in range(rng.randint(1, 14))]
        removed = {i for i, (tag, _) in enumerate(words) if tag in PUNCTUATION}
        if len(removed) == len(words):
            continue
        gold = ["ROOT", [random_tree(rng, words)]]
        predicted = ["ROOT", [changed(rng, copy.deepcopy(gold[1][0]))]]
        trees = [parser.create_from_bracket_string(text(counted(tree, removed))) for tree in (gold, predicted)]
        result = scorer.Scorer().score_trees(*trees)
        # The root, which does not count, is one bracket more in all three numbers.
        lines.append("\t".join([text(gold), text(predicted)] + [str(n) for n in (
            result.matched_brackets - 1, result.gold_brackets - 1, result.test_brackets - 1, result.cross_brackets,
            result.correct_tags, result.words)]))
    path = pathlib.Path(__file__).with_name("bracket_scores.tsv")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: {len(lines)} pairs")


if __name__ == "__main__":
    main()
