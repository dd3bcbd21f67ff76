"""Writes bootstrap.json: what scipy says of intervals, sign-flip tests and adjusted p values.

Usage: python make_bootstrap.py [bootstrap.json]
"""
import json
import os
import sys

import numpy as np
import scipy
from scipy.stats import bootstrap, false_discovery_control, norm, permutation_test

LEVEL = 0.95


def mean_ratio(x, y, axis=-1):
    return np.mean(y, axis=axis) / np.mean(x, axis=axis)


def case(name, data, statistic, seed):
    """scipy hands out its draws, so that intervals of the same draws can be compared."""

    def run(method):
        return bootstrap(
            data, statistic, n_resamples=400, confidence_level=LEVEL, method=method, vectorized=True,
            random_state=np.random.default_rng(seed),
        )

    bca, percentile = run("BCa"), run("percentile")
    assert (bca.bootstrap_distribution == percentile.bootstrap_distribution).all()
    without = []
    for f, part in enumerate(data):
        without.append([
            float(statistic(*[np.delete(d, i) if g == f else d for g, d in enumerate(data)], axis=-1)) for i in range(len(part))
        ])
    return {
        "name": name,
        "estimate": float(statistic(*data, axis=-1)),
        "without": without,
        "draws": [float(x) for x in bca.bootstrap_distribution],
        "standard_error": float(bca.standard_error),
        "percentile": [float(percentile.confidence_interval.low), float(percentile.confidence_interval.high)],
        "bca": [float(bca.confidence_interval.low), float(bca.confidence_interval.high)],
    }


def sign_flip(differences):
    result = permutation_test((differences,), lambda x, axis=-1: np.mean(x, axis=axis), permutation_type="samples",
                              n_resamples=np.inf, vectorized=True)
    return {"differences": [float(x) for x in differences], "p": float(result.pvalue)}


def holm(p):
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(np.minimum(1, p[order] * (len(p) - np.arange(len(p)))))
    out = np.empty(len(p))
    out[order] = adjusted
    return out


def adjusted(p):
    return {"p": [float(x) for x in p], "holm": [float(x) for x in holm(p)],
            "benjamini_hochberg": [float(x) for x in false_discovery_control(p)]}


def main():
    rng = np.random.default_rng(20261125)
    skewed = rng.exponential(2, 45)
    other = rng.exponential(3, 12)
    golden = {
        "scipy": scipy.__version__,
        "level": LEVEL,
        "intervals": [
            case("mean of skewed values", (skewed,), np.mean, 1),
            case("variance of skewed values", (skewed,), np.var, 2),
            case("two samples", (skewed, other), mean_ratio, 3),
        ],
        "normal_quantiles": [[p, float(norm.ppf(p))] for p in (1e-10, 0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999999)],
        "sign_flips": [
            sign_flip(np.array([1.0, 2, 3, 4, 5, 6])),
            sign_flip(np.array([1.0, 2, -3, 4, 5, 6])),
            sign_flip(np.array([0.5, 0.5, 0.5, -0.5, 0.5])),
            sign_flip(rng.normal(0.4, 1, 11)),
        ],
        "adjustments": [adjusted(rng.random(1)), adjusted(rng.random(9) ** 3), adjusted(np.array([0.03125] * 3 + [0.5, 0.5, 1]))],
    }
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "bootstrap.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(golden, out)
        out.write("\n")


main()
