#!/usr/bin/env python3
"""Compares whole steps of masked language modelling with PyTorch's: loss, norm, every gradient, weights after two AdamW steps.

    cc -std=c17 -D_DEFAULT_SOURCE -O2 -Iinclude -I. test/peers/training_step.c build/libtool.a build/libmoviebert.a \\
        -lopenblas -lcrypto -lpq -lutf8proc -ljansson -lm -lpthread -o build/training_step
    test/peers/training_step.py [CHECKPOINT-FOLDER] [--size 8192,256,4,4] [--texts 32] [--length 128] [--full] [--time STEPS]

Without a checkpoint the model is a random one of --size vocabulary,hidden,layers,heads; a checkpoint without a masked-LM head gets a
random one.  The batch is random ids in sequences of random lengths, or all of --length with --full.  The reference is float64,
padded.  Fails if the loss or the norm is off by more than 1e-5, or a gradient's cosine is below 0.99999.  --time
measures both sides with two threads (PyTorch in float32, without the logits of places that are not masked) and prints
what memory each process took.
"""
import argparse
import copy
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

RATE, CLIP, DECAY = 1e-3, 1.0, 0.01


def model_of(given, folder):
    """A BertForMaskedLM, saved to folder."""
    torch.manual_seed(1)
    quiet = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    if given.checkpoint:
        config = BertConfig.from_pretrained(given.checkpoint, **quiet)
        model = BertForMaskedLM.from_pretrained(given.checkpoint, config=config)
    else:
        V, H, layers, heads = map(int, given.size.split(","))
        model = BertForMaskedLM(BertConfig(vocab_size=V, hidden_size=H, num_hidden_layers=layers, num_attention_heads=heads,
                                           intermediate_size=4 * H, **quiet))
        for name, p in model.named_parameters():  # not nearly linear, as weights of 0.02 would make it
            if p.dim() == 2:
                p.data.mul_(3)
            elif name.endswith("bias"):
                p.data.uniform_(-0.1, 0.1)
    model.save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, model.config.vocab_size)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}))
    return model


def batch_of(given, vocab_size):
    random = np.random.default_rng(1)
    lengths = np.full(given.texts, given.length) if given.full else random.integers(3, given.length + 1, given.texts)
    N = int(lengths.sum())
    ids = random.integers(0, vocab_size, N)
    places = np.sort(random.choice(N, max(1, round(0.15 * N)), replace=False))
    labels = random.integers(0, vocab_size, len(places))
    return lengths, ids, places, labels


def padded(lengths, ids, places, labels):
    B, T = len(lengths), int(lengths.max())
    mask = np.arange(T)[None, :] < lengths[:, None]
    x = np.zeros((B, T), dtype=np.int64)
    x[mask] = ids
    y = np.full(int(lengths.sum()), -100)
    y[places] = labels
    targets = np.full((B, T), -100)
    targets[mask] = y
    return torch.from_numpy(x), torch.from_numpy(mask.astype(np.int64)), torch.from_numpy(targets)


def optimizer_of(model):
    groups = [{"params": [p for p in model.parameters() if (p.dim() == 2) == decays], "weight_decay": DECAY if decays else 0.0}
              for decays in (True, False)]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), eps=1e-6)


def reference(model, batch):
    x, mask, targets = padded(*batch)
    model = copy.deepcopy(model).double().train()
    model.tie_weights()
    optimizer, losses, norms, gradients = optimizer_of(model), [], [], None
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(input_ids=x, attention_mask=mask, labels=targets).loss
        loss.backward()
        if gradients is None:
            gradients = {name.removeprefix("bert."): p.grad.clone() for name, p in model.named_parameters()}
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
    return losses, norms, gradients, {n.removeprefix("bert."): p.detach() for n, p in model.named_parameters()}


def peer_seconds(model, batch, steps):
    """PyTorch in float32, the head at the masked places only."""
    torch.set_num_threads(2)
    x, mask, targets = padded(*batch)
    mask = None if bool(mask.all()) else mask
    model.train()
    optimizer, masked, seconds = optimizer_of(model), targets != -100, []
    for _ in range(steps):
        start = time.time()
        optimizer.zero_grad()
        hidden = model.bert(input_ids=x, attention_mask=mask).last_hidden_state[masked]
        torch.nn.functional.cross_entropy(model.cls(hidden), targets[masked]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        seconds.append(time.time() - start)
    return seconds


def ours(driver, model_file, batch, scratch, shards, steps):
    lengths, ids, places, labels = batch
    header = np.array([len(lengths), len(ids), len(places)])
    np.concatenate([header, lengths, ids, places, labels]).astype("<i4").tofile(scratch / "batch")
    command = [driver, str(model_file), str(scratch / "batch"), str(scratch / "out"), str(shards), str(steps)]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(told), load_file(scratch / "out")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint", nargs="?", type=pathlib.Path)
    arguments.add_argument("--size", default="8192,256,4,4")
    arguments.add_argument("--texts", type=int, default=32)
    arguments.add_argument("--length", type=int, default=128)
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--time", type=int, default=0)
    arguments.add_argument("--driver", default="build/training_step")
    given = arguments.parse_args()
    good = True

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        model = model_of(given, scratch / "folder")
        subprocess.run(["./moviebert", "import", str(scratch / "folder"), "-o", str(scratch / "model")], check=True,
                       stdout=subprocess.DEVNULL)
        batch = batch_of(given, model.config.vocab_size)
        told, tensors = ours(given.driver, scratch / "model", batch, scratch, 2, max(2, given.time))
        print(f"{told['parameters']} parameters, {len(batch[0])} texts, {len(batch[1])} tokens, {len(batch[2])} masked")
        if given.time:
            best = min(s["seconds"] for s in told["steps"])
            print(f"moviebert: {len(batch[1]) / best:.0f} tokens/s, {told['flops_per_token'] * len(batch[1]) / best / 1e9:.0f} "
                  f"GFLOP/s, {told['kilobytes'] / 1024:.0f} MiB resident at most")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seconds = peer_seconds(model, batch, given.time)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(f"PyTorch:   {len(batch[1]) / min(seconds):.0f} tokens/s, {after / 1024:.0f} MiB resident at most, "
                  f"{(after - before) / 1024:.0f} of them by the steps")
            return 0
        losses, norms, gradients, weights = reference(model, batch)
        for i in range(2):
            loss, norm = (told["steps"][i][what] for what in ("loss", "norm"))
            error = max(abs(loss / losses[i] - 1), abs(norm / norms[i] - 1))
            good &= error <= 1e-5
            print(f"step {i + 1}: loss {loss:.9g}, PyTorch {losses[i]:.9g}; norm {norm:.9g}, PyTorch {norms[i]:.9g}")
        worst = (2.0, "")
        for name, expected in gradients.items():
            got = tensors["gradient." + name].double().flatten()
            expected = expected.flatten()
            if name.endswith("key.bias"):  # 0 but for rounding: softmax does not see it
                good &= bool(got.norm() <= 1e-5 * norms[0])
                continue
            cosine = (torch.dot(got, expected) / (got.norm() * expected.norm())).item()
            worst = min(worst, (cosine, name))
        good &= worst[0] >= 0.99999
        print(f"lowest cosine of {len(gradients)} gradients: 1 - {1 - worst[0]:.2g} ({worst[1]})")
        differences = torch.cat([(tensors["after." + n].double() - w).abs().flatten() for n, w in weights.items()]) / RATE
        print(f"weights after two steps, in rates: mean difference {differences.mean():.2g}, "
              f"{(differences > 0.01).double().mean():.2g} of them off by more than 0.01, largest {differences.max():.2g}")
    print("ok" if good else "BAD")
    return not good


if __name__ == "__main__":
    sys.exit(main())
