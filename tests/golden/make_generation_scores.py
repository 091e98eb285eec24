#!/usr/bin/env python3
"""Writes generation_scores.json: Fréchet distances and inception scores, as numpy and scipy compute them.

    python tests/golden/make_generation_scores.py [folder]    # default: the folder of this script; needs scipy
"""

import json
import pathlib
import sys

import numpy
import scipy
import scipy.linalg
import scipy.special


def frechet_distance(a, b):
    """As Heusel et al. 2017 compute it, with the square root of the product of both covariances."""
    covariance_a, covariance_b = (numpy.atleast_2d(numpy.cov(x, rowvar=False)) for x in (a, b))
    root = numpy.real(scipy.linalg.sqrtm(covariance_a @ covariance_b))
    difference = a.mean(axis=0) - b.mean(axis=0)
    return float(difference @ difference + numpy.trace(covariance_a + covariance_b - 2 * root))


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = numpy.random.default_rng(1)
    cases = []
    # (features, images of a, images of b): the last has fewer images than features, so that covariances are singular.
    for size, count_a, count_b in ((1, 5, 7), (4, 20, 30), (6, 4, 5)):
        mix = generator.normal(size=(size, size))
        a = generator.normal(size=(count_a, size)) + 3
        b = generator.normal(size=(count_b, size)) @ mix + generator.normal(size=size)
        a, b = a.round(4), b.round(4)
        cases.append({"a": a.tolist(), "b": b.tolist(), "mean": a.mean(axis=0).tolist(),
                      "covariance": numpy.atleast_2d(numpy.cov(a, rowvar=False)).tolist(),
                      "distance": frechet_distance(a, b)})
    scores = []
    for scale in (0.1, 3.0):
        p = scipy.special.softmax(scale * generator.normal(size=(9, 4)), axis=1)
        score = numpy.exp(scipy.special.rel_entr(p, p.mean(axis=0)).sum(axis=1).mean())
        scores.append({"probabilities": p.tolist(), "score": float(score)})
    path = folder / "generation_scores.json"
    versions = {"numpy": numpy.__version__, "scipy": scipy.__version__}
    path.write_text(json.dumps({**versions, "distances": cases, "scores": scores}) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
