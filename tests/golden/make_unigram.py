"""Writes unigram.json beside this script: lines of text, and of the model that sentencepiece's trainer learns from them,
with several sizes of the vocabulary, how many tokens the text has and its log-probability.

    python make_unigram.py            # needs sentencepiece 0.2.3
"""

import io
import json
import pathlib
import random

import sentencepiece

ONSETS, NUCLEI, CODAS = "b d f g k l m n p r s t v st tr kl".split(), "a e i o u ei au".split(), ["", "n", "r", "s", "l"]
ENDINGS = ["", "", "s", "ing", "ed", "er", "ly", "ness"]


def lines():
    rng = random.Random(21)
    stems = ["".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(rng.randint(1, 3)))
             for _ in range(260)]
    weights = [1 / (i + 3) for i in range(len(stems))]
    for _ in range(700):
        words = [stem + rng.choice(ENDINGS) for stem in rng.choices(stems, weights, k=rng.randint(3, 9))]
        if rng.random() < 0.2:
            words.insert(0, str(rng.randint(1, 2000)))
        if rng.random() < 0.1:
            words.append(rng.choice(["日本", "これ", "Ünï", "don't", "x-y"]))
        yield " ".join(words).capitalize() + rng.choice([".", ".", "!", ""])


def main():
    text, results = list(lines()), []
    for size in (150, 300, 500):
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=file, vocab_size=size,
                                                 model_type="unigram", normalization_rule_name="identity", num_threads=1,
                                                 minloglevel=2, character_coverage=1.0)
        model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
        ids = [i for line in model.encode(text) for i in line]
        assert model.unk_id() not in ids
        results.append({"size": model.get_piece_size(), "tokens": len(ids), "score": sum(map(model.get_score, ids))})
    path = pathlib.Path(__file__).with_name("unigram.json")
    path.write_text(json.dumps({"version": sentencepiece.__version__, "lines": text, "results": results},
                               separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes", results)


if __name__ == "__main__":
    main()
