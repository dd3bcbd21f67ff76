"""Writes cases.json: what scikit-learn says of small score matrices, ties and tags without support included.

Usage: python make.py [cases.json]
"""
import json
import os
import sys
import warnings

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, ndcg_score, precision_score, recall_score

warnings.filterwarnings("ignore")


def at_k(scores, labels, k):
    precision, recall = [], []
    for s, y in zip(scores, labels):
        if not y.sum():
            continue
        best = np.argsort(-s, kind="stable")[:k]
        precision.append(y[best].sum() / k)
        recall.append(y[best].sum() / y.sum())
    return float(np.mean(precision)), float(np.mean(recall))


def ndcg(scores, labels, k):
    """Ties are broken by tag order here and in the tool, where ndcg_score would average them: so ranks are its scores."""
    some = labels.any(axis=1)
    order = np.argsort(-scores[some], axis=1, kind="stable")
    ranks = np.argsort(order, axis=1)
    return float(ndcg_score(labels[some], -ranks, k=k))


def learned(scores, labels, k):
    """Tags among the k best of a row that has them, and the mean recall of tags, when the k best are the predictions."""
    guess = np.zeros_like(labels)
    for i, s in enumerate(scores):
        guess[i, np.argsort(-s, kind="stable")[:k]] = 1
    return tags_learned(guess, labels)


def tags_learned(guess, labels):
    hits = (guess & labels).sum(axis=0)
    supported = labels.any(axis=0)
    recall = recall_score(labels[:, supported], guess[:, supported], average="macro", zero_division=0)
    return [int((hits > 0).sum()), float(recall)]


def ece(scores, labels, bins=15):
    flat, truth = scores.ravel(), labels.ravel()
    which = np.minimum((flat * np.float32(bins)).astype(int), bins - 1)
    return float(sum(abs(flat[which == b].sum() - truth[which == b].sum()) for b in range(bins)) / flat.size)


def summary(labels, guess):
    return {
        "micro_precision": precision_score(labels, guess, average="micro", zero_division=0),
        "micro_recall": recall_score(labels, guess, average="micro", zero_division=0),
        "micro_f1": f1_score(labels, guess, average="micro", zero_division=0),
        "macro_f1": f1_score(labels, guess, average="macro", zero_division=0),
        "samples_f1": f1_score(labels, guess, average="samples", zero_division=0),
    }


def case(name, rng, n, tags, decimals, empty_tag=None):
    labels = (rng.random((n, tags)) < rng.uniform(0.05, 0.5, tags)).astype(int)
    if empty_tag is not None:
        labels[:, empty_tag] = 0
    scores = np.clip(0.25 + 0.35 * labels + 0.3 * rng.standard_normal((n, tags)), 0, 1)
    scores = np.round(scores, decimals).astype(np.float32)
    thresholds = np.round(rng.uniform(0.2, 0.6, tags), 3).astype(np.float32)
    guess = (scores >= thresholds).astype(int)
    s = scores.astype(np.float64)
    per_tag = [average_precision_score(labels[:, l], s[:, l]) if labels[:, l].any() else None for l in range(tags)]
    p3, r3 = at_k(s, labels, 3)
    p5, r5 = at_k(s, labels, 5)
    return {
        "name": name,
        "rows": n,
        "tags": tags,
        "scores": [float(x) for x in scores.ravel()],
        "labels": [int(x) for x in labels.ravel()],
        "thresholds": [float(x) for x in thresholds],
        "calibrated": summary(labels, guess),
        "half": summary(labels, (scores >= 0.5).astype(int)),
        "per_tag_ap": per_tag,
        "per_tag_f1": [float(f1_score(labels[:, l], guess[:, l], zero_division=0)) for l in range(tags)],
        "macro_ap": float(np.mean([p for p in per_tag if p is not None])),
        "micro_ap": float(average_precision_score(labels.ravel(), s.ravel())),
        "precision_at_3": p3,
        "recall_at_3": r3,
        "precision_at_5": p5,
        "recall_at_5": r5,
        "ece": ece(scores, labels),
        "brier": float(brier_score_loss(labels.ravel(), s.ravel())),
        "per_tag_ece": [ece(scores[:, l], labels[:, l]) for l in range(tags)],
        "per_tag_brier": [float(np.mean((s[:, l] - labels[:, l]) ** 2)) for l in range(tags)],
        "ndcg_at_3": ndcg(s, labels, 3),
        "ndcg_at_5": ndcg(s, labels, 5),
        "learned": tags_learned(guess, labels),
        "learned_at_3": learned(s, labels, 3),
        "learned_at_5": learned(s, labels, 5),
    }


def masked(name, rng, n, tags, decimals, share):
    """Of each pair that is not known nothing counts: the definitions over what is left."""
    one = case(name, rng, n, tags, decimals)
    shape = (n, tags)
    scores = np.array(one["scores"], dtype=np.float32).reshape(shape)
    labels = np.array(one["labels"]).reshape(shape)
    known = rng.random(shape) < share
    known[1] = False
    known[:, -1] &= rng.random(n) < 0.5
    s = scores.astype(np.float64)

    def f1s(guess):
        rows = [f1_score(labels[i][known[i]], guess[i][known[i]], zero_division=0) for i in range(n) if known[i].any()]
        tag = [f1_score(labels[:, l][known[:, l]], guess[:, l][known[:, l]], zero_division=0) for l in range(tags)]
        y, g = labels[known], guess[known]
        return {
            "micro_precision": precision_score(y, g, zero_division=0),
            "micro_recall": recall_score(y, g, zero_division=0),
            "micro_f1": f1_score(y, g, zero_division=0),
            "macro_f1": float(np.mean(tag)),
            "samples_f1": float(np.mean(rows)),
        }, [float(x) for x in tag]

    def best(k):
        precision, recall, gains = [], [], []
        for i in range(n):
            y = labels[i][known[i]]
            if not y.sum():
                continue
            first = np.argsort(-s[i][known[i]], kind="stable")[:k]
            precision.append(y[first].sum() / k)
            recall.append(y[first].sum() / y.sum())
            worth = 1 / np.log2(np.arange(len(y)) + 2)
            gains.append((y[first] * worth[:k]).sum() / worth[: min(k, y.sum())].sum())
        return float(np.mean(precision)), float(np.mean(recall)), float(np.mean(gains))

    def learned(guess):
        recalls = [recall_score(labels[known[:, l], l], guess[known[:, l], l]) for l in range(tags) if labels[known[:, l], l].any()]
        return [int((guess & labels & known).any(axis=0).sum()), float(np.mean(recalls))]

    def first(k):
        guess = np.zeros(shape, dtype=int)
        for i in range(n):
            guess[i, np.argsort(np.where(known[i], -s[i], np.inf), kind="stable")[:k]] = 1
        return guess & known

    per_tag = []
    for l in range(tags):
        y = labels[:, l][known[:, l]]
        per_tag.append(average_precision_score(y, s[:, l][known[:, l]]) if y.any() else None)
    one["known"] = [int(x) for x in known.ravel()]
    one["calibrated"], one["per_tag_f1"] = f1s((scores >= np.array(one["thresholds"], dtype=np.float32)).astype(int))
    one["half"], _ = f1s((scores >= 0.5).astype(int))
    one["per_tag_ap"] = per_tag
    one["macro_ap"] = float(np.mean([p for p in per_tag if p is not None]))
    one["micro_ap"] = float(average_precision_score(labels[known], s[known]))
    one["precision_at_3"], one["recall_at_3"], one["ndcg_at_3"] = best(3)
    one["precision_at_5"], one["recall_at_5"], one["ndcg_at_5"] = best(5)
    one["learned"] = learned((scores >= np.array(one["thresholds"], dtype=np.float32)).astype(int))
    one["learned_at_3"], one["learned_at_5"] = learned(first(3)), learned(first(5))
    one["brier"] = float(np.mean((s[known] - labels[known]) ** 2))
    one["per_tag_brier"] = [float(np.mean((s[known[:, l], l] - labels[known[:, l], l]) ** 2)) for l in range(tags)]
    one["per_tag_ece"] = [ece(scores[known[:, l], l], labels[known[:, l], l]) for l in range(tags)]
    one["ece"] = ece(scores[known], labels[known])
    return one


def main():
    rng = np.random.default_rng(20261124)
    cases = [
        case("no ties", rng, 60, 6, 6),
        case("many ties", rng, 80, 5, 1),
        case("a tag without support", rng, 50, 7, 2, empty_tag=3),
        case("two tags", rng, 30, 2, 2),
        case("few rows", rng, 4, 8, 2),
        masked("some pairs unknown", rng, 60, 7, 2, 0.7),
        masked("most pairs unknown", rng, 40, 6, 1, 0.25),
    ]
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "cases.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"scikit-learn": sklearn.__version__, "cases": cases}, out)
        out.write("\n")


main()
