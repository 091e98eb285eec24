#!/usr/bin/env python3
"""Writes gaussian_process.json: Gaussian processes with Matern 5/2 kernels, as scikit-learn computes them.

    python tests/golden/make_gaussian_process.py [folder]    # default: the folder of this script; needs scikit-learn
"""

import json
import pathlib
import sys

import numpy
import sklearn
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    generator = numpy.random.default_rng(1)
    cases = []
    for count, scales, variance, noise in ((1, [0.5], 2.0, 0.01), (6, [0.3], 1.0, 1e-4),
                                           (12, [0.2, 1.5, 0.7], 0.3, 0.1)):
        x = generator.uniform(size=(count, len(scales)))
        y = numpy.sin(5 * x).sum(axis=1) + 0.1 * generator.normal(size=count)
        points = generator.uniform(-0.2, 1.2, size=(5, len(scales)))
        kernel = ConstantKernel(variance) * Matern(length_scale=scales, nu=2.5)
        process = GaussianProcessRegressor(kernel, alpha=variance * noise, optimizer=None).fit(x, y)
        mean, standard_deviation = process.predict(points, return_std=True)
        cases.append({"x": x.tolist(), "y": y.tolist(), "length_scales": scales, "variance": variance, "noise": noise,
                      "log_marginal_likelihood": float(process.log_marginal_likelihood_value_),
                      "points": points.tolist(), "mean": mean.tolist(),
                      "standard_deviation": standard_deviation.tolist()})
    path = folder / "gaussian_process.json"
    path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
