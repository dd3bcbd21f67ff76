"""The honest bar for tags: TF-IDF of words and word pairs with one logistic regression per tag (scikit-learn).

The same rows, folds, choice of regularisation (validation macro AP), thresholds (best F1 per tag on the validation part,
shrunk to the best global one by n/(n+20)) and metrics as `moviebert finetune` and `moviebert evaluate`.

Usage: python tags_baseline.py --data movies_tagged.jsonl[.zst] --field genres|tags [--min-support N] [-o result.json]
       --compare tool.json   prints the tool's evaluation beside it
"""
import argparse
import json
import subprocess
import sys
import time

import numpy as np
import sklearn
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

TRAINING, VALIDATION, TEST = range(3, 10), (1,), (2,)


def read(path, field):
    command = ["zstdcat", path] if path.endswith(".zst") else ["cat", path]
    rows = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True).stdout.splitlines()]
    return [(r["text"], sorted(set(r[field])), r["fold"]) for r in rows if r[field] and r["text"].strip()]


def pick(rows, folds):
    return [r for r in rows if r[2] in folds]


def best_threshold(scores, truth):
    """Halfway between two scores where F1 is highest; None without support."""
    if not truth.any():
        return None
    order = np.argsort(-scores, kind="stable")
    s, hits = scores[order], np.cumsum(truth[order])
    f1 = 2 * hits / (truth.sum() + np.arange(1, len(s) + 1))
    last_of_tie = np.append(s[1:] != s[:-1], True)
    at = int(np.argmax(np.where(last_of_tie, f1, -1)))
    return float((s[at] + s[at + 1]) / 2) if at + 1 < len(s) else float(s[at])


def calibrate(scores, truth):
    shared = best_threshold(scores.ravel(), truth.ravel())
    thresholds = []
    for l in range(truth.shape[1]):
        own, n = best_threshold(scores[:, l], truth[:, l]), truth[:, l].sum()
        weight = n / (n + 20)
        thresholds.append(shared if own is None else weight * own + (1 - weight) * shared)
    return np.array(thresholds)


def at_k(scores, labels, k):
    some = labels.sum(axis=1) > 0
    best = np.argsort(-scores[some], axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(labels[some], best, axis=1).sum(axis=1)
    return float(np.mean(hits / k)), float(np.mean(hits / labels[some].sum(axis=1)))


def ece(scores, labels, bins=15):
    which = np.minimum((scores.ravel() * bins).astype(int), bins - 1)
    s = np.bincount(which, scores.ravel(), bins)
    t = np.bincount(which, labels.ravel(), bins)
    return float(np.abs(s - t).sum() / scores.size)


def f1s(labels, guess):
    return {
        "micro_precision": round(precision_score(labels, guess, average="micro", zero_division=0), 4),
        "micro_recall": round(recall_score(labels, guess, average="micro", zero_division=0), 4),
        "micro_f1": round(f1_score(labels, guess, average="micro", zero_division=0), 4),
        "macro_f1": round(f1_score(labels, guess, average="macro", zero_division=0), 4),
        "samples_f1": round(f1_score(labels, guess, average="samples", zero_division=0), 4),
    }


def macro_ap(scores, labels):
    return float(np.mean([average_precision_score(labels[:, l], scores[:, l])
                          for l in range(labels.shape[1]) if labels[:, l].any()]))


def measure(scores, labels, thresholds):
    p3, r3 = at_k(scores, labels, 3)
    p5, r5 = at_k(scores, labels, 5)
    return {
        "rows": len(labels),
        "tags": labels.shape[1],
        "at_calibrated_thresholds": f1s(labels, (scores >= thresholds).astype(int)),
        "at_half": f1s(labels, (scores >= 0.5).astype(int)),
        "macro_ap": round(macro_ap(scores, labels), 4),
        "micro_ap": round(float(average_precision_score(labels.ravel(), scores.ravel())), 4),
        "precision_at_3": round(p3, 4), "recall_at_3": round(r3, 4),
        "precision_at_5": round(p5, 4), "recall_at_5": round(r5, 4),
        "ece": round(ece(scores, labels), 4),
    }


def matrix(rows, tags):
    at = {t: i for i, t in enumerate(tags)}
    labels = np.zeros((len(rows), len(tags)), dtype=np.int8)
    for i, row in enumerate(rows):
        for t in row[1]:
            if t in at:
                labels[i, at[t]] = 1
    return labels


def train(x, y, c):
    """One regression per tag -> weights and biases."""
    w, b = np.zeros((x.shape[1], y.shape[1]), dtype=np.float32), np.zeros(y.shape[1])
    for l in range(y.shape[1]):
        model = LogisticRegression(C=c, solver="liblinear", max_iter=200)
        model.fit(x, y[:, l])
        w[:, l], b[l] = model.coef_[0], model.intercept_[0]
    return w, b


def show(name, m):
    own, half = m["at_calibrated_thresholds"], m["at_half"]
    print(f"{name:<28} micro F1 {own['micro_f1']:.4f}  macro F1 {own['macro_f1']:.4f}  samples F1 {own['samples_f1']:.4f}"
          f"  macro AP {m['macro_ap']:.4f}  micro AP {m['micro_ap']:.4f}  P@3 {m['precision_at_3']:.4f}"
          f"  R@3 {m['recall_at_3']:.4f}  ECE {m['ece']:.4f}   (at 0.5: {half['micro_f1']:.4f} {half['macro_f1']:.4f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--field", default="genres", choices=["genres", "tags"])
    parser.add_argument("--min-support", type=int, default=20, help="training rows a tag must have")
    parser.add_argument("--min-df", type=int, default=2)
    parser.add_argument("--c", type=float, nargs="*", default=[1, 3, 10, 30])
    parser.add_argument("-o", "--output")
    parser.add_argument("--compare", help="JSON of `moviebert evaluate --json` on the same test rows")
    args = parser.parse_args()

    started = time.time()
    rows = read(args.data, args.field)
    training, validation, test = pick(rows, TRAINING), pick(rows, VALIDATION), pick(rows, TEST)
    counts = {}
    for _, tags, _ in training:
        for t in tags:
            counts[t] = counts.get(t, 0) + 1
    tags = sorted((t for t in counts if counts[t] >= args.min_support), key=lambda t: (-counts[t], t))
    y, yv, yt = matrix(training, tags), matrix(validation, tags), matrix(test, tags)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=args.min_df)
    x = vectorizer.fit_transform([r[0] for r in training])
    xv = vectorizer.transform([r[0] for r in validation])
    xt = vectorizer.transform([r[0] for r in test])
    print(f"{len(training)} training, {len(validation)} validation, {len(test)} test rows; {len(tags)} tags; "
          f"{x.shape[1]} features", file=sys.stderr)

    best = None
    for c in args.c:
        w, b = train(x, y, c)
        scores = expit(xv @ w + b)
        value = macro_ap(scores, yv)
        print(f"C {c:g}: validation macro AP {value:.4f}  ({time.time() - started:.0f} s)", file=sys.stderr)
        if best is None or value > best[0]:
            best = (value, c, calibrate(scores, yv), expit(xt @ w + b), measure(scores, yv, calibrate(scores, yv)))
    _, c, thresholds, test_scores, on_validation = best
    result = {
        "system": "TF-IDF (1-2 grams, sublinear) + logistic regression per tag",
        "scikit-learn": sklearn.__version__,
        "field": args.field,
        "c": c,
        "min_df": args.min_df,
        "features": int(x.shape[1]),
        "parts": {"training": len(training), "validation": len(validation), "test": len(test)},
        "seconds": round(time.time() - started),
        "metrics": {"validation": on_validation, "test": measure(test_scores, yt, thresholds)},
    }
    show("TF-IDF + LR, test", result["metrics"]["test"])
    if args.compare:
        with open(args.compare, encoding="utf-8") as f:
            show("moviebert, test", json.load(f)["metrics"])
    if args.output:
        with open(args.output, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=1, sort_keys=True)
            out.write("\n")


main()
