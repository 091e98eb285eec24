"""Trees as parsing.py's PyTorch reads and learns them: as examples of a span parser, or of a sequence parser.

What turns trees into tokens (subwords, symbols, labels, parts of speech) is read from a parser's file of rapt.
"""

import dataclasses
import functools
import json
import re

import numpy as np
from safetensors import safe_open

UNKNOWN, BEGIN, END = 0, 1, 2
WORD_MARK = "\u2581"


# Trees ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Node:
    label: str
    word: str = ""
    children: list["Node"] = dataclasses.field(default_factory=list)

    def leaves(self):
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]


def read_trees(path):
    """The trees of a file without traces, one a line; labels of constituents have no functions, roots are ROOT."""
    trees = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        top = Node("")
        open_nodes = [top]
        for word, label, closes in re.findall(r"([^ \t\r()]+)|\(([^ \t\r()]*)|(\))", line):
            if word:
                open_nodes[-1].word = word
            elif not closes:
                node = Node(label or "ROOT")
                open_nodes[-1].children.append(node)
                open_nodes.append(node)
            else:
                node = open_nodes.pop()
                if node.children and (mark := re.search("[-=]", node.label)) and mark.start() > 0:
                    node.label = node.label[:mark.start()]
        trees += top.children
    return trees


def chain_spans(tree):
    """(begin, end) of each constituent and its label; those over the same words are one, labels from the outer to the
    inner one joined."""
    spans = {}

    def visit(node, begin):
        if not node.children:
            return begin + 1
        end = begin + len(node.leaves())
        spans[begin, end] = f"{spans[begin, end]}+{node.label}" if (begin, end) in spans else node.label
        for child in node.children:
            begin = visit(child, begin)
        return end

    visit(tree, 0)
    return spans


def linearized(tree):
    """The symbols of a tree, depth first; a word is its part of speech."""
    if not tree.children:
        return [tree.label]
    inner = [symbol for child in tree.children for symbol in linearized(child)]
    return [f"({tree.label}", *inner, f"){tree.label}"]


# Tokens ---------------------------------------------------------------------------------------------------------------


class Subwords:
    """rapt's byte pair encoding: of neighbours, those are joined whose text is the token with the lowest id."""

    def __init__(self, text):
        kind, count, *pieces = text.split("\n")
        if kind != "rapt bpe 1":
            raise ValueError(f"subwords of another kind: {kind}")
        self.ids = {piece: END + 1 + i for i, piece in enumerate(pieces[:int(count)])}

    @functools.cache
    def encode(self, word):
        symbols = [WORD_MARK, *(c if c in self.ids and c != WORD_MARK else None for c in word)]
        while True:
            pairs = [(self.ids[a + b], i) for i, (a, b) in enumerate(zip(symbols, symbols[1:]))
                     if a and b and a + b in self.ids]
            if not pairs:
                return [self.ids[symbol] if symbol else UNKNOWN for symbol in symbols]
            i = min(pairs)[1]
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]


class ParserFile:
    """The metadata of a parser's file."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.metadata = file.metadata()
        self.config = json.loads(self.metadata["config"])
        self.subwords = Subwords(self.metadata["subwords"])


# Examples -------------------------------------------------------------------------------------------------------------


class SpanExamples:
    """A tree as a sentence: its tokens; the row behind each fencepost; the part of speech of each word, and of each
    token that of its word; the label of each span (0, 1), (0, 2) .. (1, 2) .., -1 where there is none."""

    def __init__(self, trees, file):
        labels = {label: i for i, label in enumerate(file.config["labels"])}
        tags = {tag: i for i, tag in enumerate(file.config["tags"])}
        self.examples = []
        for tree in trees:
            leaves = tree.leaves()
            ids, posts, token_tags = [BEGIN], [], [len(tags)]
            for leaf in leaves:
                posts.append(len(ids))
                pieces = file.subwords.encode(leaf.word)
                ids += pieces
                token_tags += [tags[leaf.label]] * len(pieces)
            posts.append(len(ids))
            gold = np.full((len(posts), len(posts)), -1)
            for (begin, end), label in chain_spans(tree).items():
                gold[begin, end] = labels[label]
            self.examples.append((ids + [END], np.array(posts), np.array([tags[leaf.label] for leaf in leaves]),
                                  token_tags + [len(tags)], gold[np.triu_indices(len(posts), 1)]))

    def epoch(self, size, generator):
        order = generator.permutation(len(self.examples))
        return [order[i:i + size] for i in range(0, len(order), size)]

    def batch(self, numbers):
        return [self.examples[i] for i in numbers]


class SequenceExamples:
    """Pairs of the tokens of a sentence and the symbols of its tree, in batches of so many tokens at most on a side."""

    def __init__(self, trees, file):
        names = file.metadata["symbols"].split("\n")[:-1]
        symbols = {name: END + 1 + i for i, name in enumerate(names)}
        self.pairs = [([i for leaf in tree.leaves() for i in file.subwords.encode(leaf.word)],
                       [symbols[symbol] for symbol in linearized(tree)]) for tree in trees]

    def epoch(self, size, generator):
        order = generator.permutation(len(self.pairs))
        order = sorted(order, key=lambda i: (len(self.pairs[i][1]), len(self.pairs[i][0])))
        batches, source, target = [], 0, 0
        for i in order:
            source, target = source + len(self.pairs[i][0]) + 1, target + len(self.pairs[i][1]) + 1
            if not batches or max(source, target) > size:
                batches.append([])
                source, target = len(self.pairs[i][0]) + 1, len(self.pairs[i][1]) + 1
            batches[-1].append(i)
        generator.shuffle(batches)
        return batches

    def batch(self, numbers):
        return [self.pairs[i] for i in numbers]
