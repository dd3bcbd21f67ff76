#!/usr/bin/env python3
"""Training steps of PyTorch beside those of build/bench_training, taken in turns in the same run.  Prints a JSON object.

    peer_training.py [--case pretrain_4x256] [--rounds 7] [--driver build/bench_training]

Both sides train networks of the same sizes in fp32 with the same dropout, the same tokens a step, clipping and AdamW.
PyTorch is transformers' BERT with sdpa; its masked-LM head sees the masked places only.  For fine-tuning (mean pooling,
binary cross entropy) it pads to the longest text of a batch; "sorted" has batches of texts of similar length.  Tokens
are those of the texts, without padding.  PyTorch runs with each number of threads, with whole steps and with micro-batches,
and with AdamW foreach and fused; what is fastest in a trial of a few steps is measured.  Each side is a process of its own, whose
peak of memory is Linux's VmHWM; that of an idle PyTorch (imports alone) is told too.  Figures are medians.
"""
import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ["pretrain_4x256", "pretrain_6x384", "finetune_4x256", "finetune_6x384"]
TRIAL_STEPS = 3
WARM_UP = 2
CLIP = 1.0


# ---- PyTorch, in a process of its own -------------------------------------------------------------------------------------


def peak_kilobytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


class Pretraining:
    """Steps of masked language modelling; fresh random ids each time, as long sequences."""

    def __init__(self, torch, case, how):
        from transformers import BertConfig, BertForMaskedLM

        self.torch, self.case, self.micro = torch, case, how["micro"]
        self.model = BertForMaskedLM(config_of(BertConfig, case, dropout=0.0))
        self.rate, self.betas, self.epsilon = 1e-3, (0.9, 0.98), 1e-6

    def step(self):
        torch, case = self.torch, self.case
        T, texts = case["length"], case["tokens_per_step"] // case["length"]
        masked = round(case["masked"] * T)
        ids = torch.randint(5, case["vocabulary"], (texts, T))
        places = torch.rand(texts, T).argsort(1)[:, :masked].sort(1).values + T * torch.arange(texts)[:, None]
        labels = torch.randint(5, case["vocabulary"], (texts, masked))
        for i in range(0, texts, self.micro):
            part = slice(i, i + self.micro)
            hidden = self.model.bert(input_ids=ids[part]).last_hidden_state
            hidden = hidden.flatten(0, 1)[(places[part] - i * T).flatten()]
            loss = torch.nn.functional.cross_entropy(self.model.cls(hidden), labels[part].flatten(), reduction="sum")
            (loss / (texts * masked)).backward()
        return texts * T


class Finetuning:
    """Steps of multi-label classification of texts of many lengths, padded."""

    def __init__(self, torch, case, how):
        from transformers import BertConfig, BertModel

        self.torch, self.case, self.sorted = torch, case, how["sorted"]
        self.model = torch.nn.Module()
        self.model.bert = BertModel(config_of(BertConfig, case, dropout=0.1), add_pooling_layer=False)
        self.model.head = torch.nn.Linear(case["hidden_size"], case["labels"])
        self.rate, self.betas, self.epsilon = 1e-4, (0.9, 0.999), 1e-8
        self.batches = iter(())

    def next_batch(self):
        """Lengths of a batch's texts: from a random order, sorted within a hundred batches where that is asked for."""
        torch, case, rows = self.torch, self.case, self.case["rows_per_step"]
        lengths = next(self.batches, None)
        if lengths is None:
            span = case["longest"] - case["shortest"] + 1
            order = case["shortest"] + torch.randperm(rows * 100) * 37 % span
            order = order.sort().values if self.sorted else order
            self.batches = iter([order[i * rows : (i + 1) * rows] for i in torch.randperm(100)])
            lengths = next(self.batches)
        return lengths

    def step(self):
        torch, case = self.torch, self.case
        lengths = self.next_batch()
        mask = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
        ids = torch.randint(5, case["vocabulary"], mask.shape) * mask
        labels = (torch.rand(len(lengths), case["labels"]) < 0.1).float()
        hidden = self.model.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        weights = mask[:, :, None].float()
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        logits = self.model.head(torch.nn.functional.dropout(pooled, 0.1))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum").div(len(lengths)).backward()
        return int(lengths.sum())


def config_of(config, case, dropout):
    # Attention's own dropout is left out, as moviebert has none.
    return config(vocab_size=case["vocabulary"], hidden_size=case["hidden_size"], num_hidden_layers=case["layers"],
                  num_attention_heads=case["heads"], intermediate_size=4 * case["hidden_size"], max_position_embeddings=128,
                  hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0, attn_implementation="sdpa")


def child(case, how):
    """Says hello, then takes a step for each line of stdin, as bench_training --steps does."""
    os.environ["OMP_NUM_THREADS"] = str(how["threads"])
    import torch
    import transformers

    torch.set_num_threads(how["threads"])
    idle = peak_kilobytes()
    task = (Pretraining if "length" in case else Finetuning)(torch, case, how)
    model = task.model.train()
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if (p.dim() == 2) == decays], "weight_decay": 0.01 if decays else 0.0}
              for decays in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=task.rate, betas=task.betas, eps=task.epsilon, **{how["adamw"]: True})
    print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__, "idle_kb": idle,
                      "parameters": sum(p.numel() for p in parameters)}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        tokens = task.step()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu, "tokens": tokens}),
              flush=True)
    print(json.dumps({"peak_kb": peak_kilobytes()}))


# ---- in turns -------------------------------------------------------------------------------------------------------------


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, cwd=ROOT)
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[:3]} ended with {self.process.wait()}")
        return json.loads(line)

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        """Kilobytes that it had at most."""
        self.process.stdin.close()
        kilobytes = self.read()["peak_kb"]
        self.process.wait()
        return kilobytes


def peer(case, how):
    return Side([sys.executable, __file__, "--child", json.dumps([case, how])])


def variants(case, sort):
    threads, optimizers = sorted({1, os.cpu_count()}), ["foreach", "fused"]
    if "length" not in case:
        return [{"threads": t, "adamw": a, "sorted": sort} for t, a in itertools.product(threads, optimizers)]
    texts = case["tokens_per_step"] // case["length"]
    return [{"threads": t, "adamw": a, "micro": m} for t, m, a in
            itertools.product(threads, [texts, texts // 4, texts // 8], optimizers)]


def speed(steps, by="seconds"):
    return statistics.median(s["tokens"] / s[by] for s in steps)


def best_variant(case, sort):
    """What is fastest in a trial, over all its steps but the first: one setting after another, not all combinations."""
    speeds = {}

    def trial(how):
        name = json.dumps(how)
        if name not in speeds:
            side = peer(case, how)
            speeds[name] = speed([side.step() for _ in range(1 + TRIAL_STEPS)][1:])
            side.close()
        return speeds[name]

    best = variants(case, sort)[-1]
    for key in best:
        choices = [v for v in variants(case, sort) if all(v[k] == best[k] for k in best if k != key)]
        if len(choices) > 1:
            best = max(choices, key=trial)
    return best


def measure(driver, name, rounds):
    ours = Side([driver, "--steps", name])
    case = ours.hello
    peers = {"pytorch": best_variant(case, False)}
    if "length" not in case:
        peers["pytorch_sorted"] = best_variant(case, True)
    sides = {"moviebert": ours} | {label: peer(case, how) for label, how in peers.items()}
    steps, peaks = {label: [] for label in sides}, []
    for i in range(WARM_UP + rounds):
        for label, side in sides.items():
            step = side.step()
            if i >= WARM_UP:
                steps[label].append(step)
        if i in (0, WARM_UP + rounds - 1):
            peaks.append(float(subprocess.run([driver, "--peak"], stdout=subprocess.PIPE, check=True, text=True).stdout))
    hellos = {label: side.hello for label, side in sides.items()}
    memory = {label: side.close() for label, side in sides.items()}

    result = {key: case[key] for key in ("layers", "hidden_size", "heads", "vocabulary", "parameters")} | {"rounds": rounds}
    result["peak_gflops"] = max(peaks)
    for label in sides:
        tokens_per_s = speed(steps[label])
        gflops = 1e-9 * tokens_per_s * case["flops_per_token"]
        result[label] = {"ms": round(1e3 * statistics.median(s["seconds"] for s in steps[label]), 1),
                         "tokens_per_s": round(tokens_per_s), "gflops": round(gflops, 1),
                         "share_of_peak": round(gflops / max(peaks), 3),
                         "tokens_per_cpu_s": round(speed(steps[label], "cpu_seconds")),
                         "peak_mb": round(memory[label] / 1024)}
        if label in peers:
            result[label] |= peers[label] | {"idle_mb": round(hellos[label]["idle_kb"] / 1024),
                                             "times_faster": round(speed(steps["moviebert"]) / tokens_per_s, 2),
                                             "share_of_memory": round(memory["moviebert"] / memory[label], 3)}
    return result, {key: hellos["pytorch"][key] for key in ("torch", "transformers")}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint", nargs="?", help="not used: script/bench gives it to every peer")
    arguments.add_argument("--case", action="append", choices=CASES)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--driver", default=str(ROOT / "build/bench_training"))
    arguments.add_argument("--child", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        return child(*json.loads(given.child))
    result = {}
    for name in given.case or CASES:
        result[name], versions = measure(given.driver, name, given.rounds)
        result = versions | result
    print(json.dumps(result))


if __name__ == "__main__":
    main()
