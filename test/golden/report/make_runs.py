#!/usr/bin/env python3
"""Makes the run folders beside it: small, but with every part that a run's page can have.  Run it in this folder."""
import json
import math
import random

random.seed(20261125)

TAGS = """drama comedy thriller romance action horror crime adventure mystery fantasy family war western history
based-on-novel-or-book independent-film-of-a-very-long-name london,-england""".split() + ["<b>&amp;</b>", "日本映画", "never seen"]


def write(folder, manifest, lines):
    with open(f"{folder}/manifest.json", "w") as f:
        json.dump(manifest, f, indent=1, ensure_ascii=False)
        f.write("\n")
    with open(f"{folder}/metrics.jsonl", "w") as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")


def started(command, **members):
    return {"format": 1, "command": command, "started": "2026-11-25T01:02:03Z",
            "versions": {"moviebert": "0.1.0", "server": "15.18"},
            "machine": {"cpu": "Example CPU", "cpus": 2, "blas_core": "SkylakeX", "kernels": "avx2"}} | members


def step(n, loss, rate):
    return {"type": "step", "step": n, "tokens": 4096 * n, "seconds": 0.5 * n, "loss": round(loss, 4), "accuracy": None,
            "rate": rate, "grad_norm": round(1 + math.exp(-n / 9), 3), "tokens_per_s": 8192, "gflops": 120.5}


def tags_run():
    query = "SELECT plot, tags FROM movies WHERE title <> '\"<script>alert(1)</script>\"' AND year < 2000"
    lines = []
    for n in range(1, 61):
        lines.append(step(n, 0.12 + 0.5 * math.exp(-n / 12), round(5e-5 * min(1, n / 6) * (1 - n / 61), 9)))
        if n % 10 == 0:
            lines.append({"type": "validation", "step": n, "loss": round(0.13 + 0.5 * math.exp(-n / 11), 4),
                          "macro_ap": round(0.48 - 0.3 * math.exp(-n / 20), 4),
                          "micro_ap": round(0.63 - 0.3 * math.exp(-n / 18), 4),
                          "micro_f1": round(0.60 - 0.4 * math.exp(-n / 15), 4)})
            lines.append({"type": "event", "step": n, "name": "best", "detail": ""})
            lines.append({"type": "event", "step": n, "name": "saved", "detail": ""})
    per_tag, support = [], []
    for i, tag in enumerate(TAGS):
        support.append(0 if tag == "never seen" else int(900 / (i + 1)) + 3)
        ap = None if tag == "never seen" else round(min(0.9, 0.2 + 0.1 * math.log(support[i]) * random.random()), 4)
        per_tag.append({"tag": tag, "support": support[i], "predicted": support[i], "precision": ap or 0,
                        "recall": ap or 0, "f1": ap or 0, "ap": ap, "threshold": 0.35})
    bins = [{"from": round(b / 15, 4), "to": round((b + 1) / 15, 4), "count": int(20000 * math.exp(-b)),
             "mean_score": round((b + 0.5) / 15, 4), "share": round(0.9 * (b + 0.5) / 15, 4)} for b in range(10)]
    bins += [{"from": round(b / 15, 4), "to": round((b + 1) / 15, 4), "count": 0, "mean_score": None, "share": None}
             for b in range(10, 15)]
    n = len(TAGS) - 1
    together = [[support[i] if i == j else min(support[i], support[j]) // (2 + (i + j) % 7) for j in range(n)]
                for i in range(n)]
    metrics = {"rows": 1000, "tags": len(TAGS),
               "at_calibrated_thresholds": {"micro_f1": 0.6111, "macro_f1": 0.4444}, "macro_ap": 0.4812,
               "micro_ap": 0.6321, "ece": 0.0134}
    lines.append({"type": "final", "step": 60, "validation": metrics | {"macro_ap": 0.4876},
                  "test": metrics | {"per_tag": per_tag},
                  "calibration": {"pairs": 20000, "ece": 0.0134, "brier": 0.0611, "bins": bins},
                  "cooccurrence": {"rows": 1000, "tags": TAGS[:n], "support": support[:n], "together": together}})
    write("tags.run", started(f"moviebert finetune -q '{query}' -o tags.safetensors", task="fine-tuning for tags",
                              query=query, threads=2, parameters=22713216,
                              rows={"training": 8000, "validation": 1000, "test": 1000}), lines)


def words_run():
    """Cut off in the middle of a line, after a roll back and a resumption."""
    lines = [{"type": "validation", "step": 0, "loss": 6.8, "accuracy": 0.04, "bits_per_character": 2.4}]
    for n in list(range(1, 41)) + list(range(31, 101)):
        line = step(n, 6.8 - 2.5 * n / 100, 1e-3)
        line["accuracy"] = round(0.04 + 0.003 * n, 4)
        if n == 25:
            line["loss"] = None
        lines.append(line)
        if n == 40 and lines[-2]["step"] == 39 and len(lines) < 45:
            lines.append({"type": "event", "step": 40, "name": "diverging", "detail": "the loss rose to 9.1"})
            lines.append({"type": "event", "step": 30, "name": "rolled_back", "detail": "from step 40 to step 30"})
        if n == 60:
            lines += [{"type": "event", "step": 60, "name": "plateau", "detail": "6.76"},
                      {"type": "event", "step": 60, "name": "interrupted", "detail": ""},
                      {"type": "event", "step": 60, "name": "resumed", "detail": ""}]
        if n % 20 == 0:
            lines.append({"type": "validation", "step": n, "loss": round(6.85 - 2.5 * n / 100, 4), "accuracy": 0.04,
                          "bits_per_character": 2.4})
    write("words.run", started("moviebert pretrain -q 'SELECT plot FROM movies' --vocab vocab.txt -o words.safetensors",
                               task="masked language modelling", threads=2, parameters=5364480,
                               unigram_entropy=6.7600840684657, data={"query": "SELECT plot FROM movies"},
                               rows={"read": 50000, "used": 50000, "null_text": 0},
                               vocabulary={"other": "general.txt", "tokens": 8192, "added_tokens": 3, "missing_tokens": 1,
                                           "tokens_per_word": 1.18, "other_tokens_per_word": 1.27,
                                           "added": [{"token": "heist", "uses": 120}, {"token": "noir", "uses": 80}],
                                           "missing": ["cell"]}), lines)
    with open("words.run/metrics.jsonl", "a") as f:
        f.write('{"type":"step","step":101,"lo')


tags_run()
words_run()
