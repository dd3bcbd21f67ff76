#!/usr/bin/env python3
"""Compares our numbers on real film plots with PyTorch's in float64 over the same windows, and with sentence-transformers.

    cc -std=c17 -D_POSIX_C_SOURCE=200809L -O2 -Iinclude test/peers/embed_kernels.c build/libmoviebert.a -lutf8proc -ljansson -lm \\
        -o build/embed_kernels
    test/peers/embeddings.py CHECKPOINT-FOLDER [--rows 1020] [--twice] [--head] [--kernels avx512,avx2,portable]

--twice runs the checkpoint's layers twice, one after another: as deep a model as its weights give.  --head puts a random
head on it and compares a BertForSequenceClassification's logits.  Kernel sets after the first take every fifth text.
Fails if a cosine is below 0.999999 or a difference above 1e-5.
"""
import argparse
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, BertModel

# Texts by their number of tokens, and the share of rows that each kind gets.
KINDS = [(1, 64, 0.55), (64, 128, 0.27), (128, 256, 0.09), (256, 512, 0.05), (512, 10**9, 0.04)]
LABELS = 7


def tokenizer_of(folder):
    tokenizer = Tokenizer(models.WordPiece.from_file(f"{folder}/vocab.txt", unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    return tokenizer


def choose_texts(data, tokenizer, rows):
    wanted = [round(rows * share) for _, _, share in KINDS]
    zstd = subprocess.Popen(["zstd", "-dcq", "--long=27", f"{data}/movies_tagged.jsonl.zst"], stdout=subprocess.PIPE)
    chosen = []
    for number, line in enumerate(zstd.stdout):
        if number % 3:  # from all sources
            continue
        text = json.loads(line)["text"]
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        kind = next((k for k, (low, high, _) in enumerate(KINDS) if low <= len(tokens) < high), None)
        if kind is not None and wanted[kind] > 0:
            wanted[kind] -= 1
            chosen.append((text, tokens))
    zstd.wait()
    assert not any(wanted), f"too few texts: {wanted} lacking"
    return chosen


def windows_of(tokens, width, stride):
    if len(tokens) <= width:
        return [tokens]
    starts = list(range(0, len(tokens) - width, stride)) + [len(tokens) - width]
    return [tokens[start:start + width] for start in starts]


def reference(encoder, special, texts, pooling, max_length, stride):
    """The mean of the windows' pooled vectors of each text, not normalised.  Windows of one length share a call.

    special: the ids of [CLS] and [SEP]."""
    by_length = {}
    for text, (_, tokens) in enumerate(texts):
        for window in windows_of(tokens, max_length - 2, stride):
            by_length.setdefault(len(window), []).append((text, [special[0], *window, special[1]]))
    sums, counts, n_tokens = [0] * len(texts), [0] * len(texts), 0
    with torch.no_grad():
        for length, windows in sorted(by_length.items()):
            for i in range(0, len(windows), 8):
                part = windows[i:i + 8]
                ids = torch.tensor([ids for _, ids in part])
                n_tokens += ids.numel()
                result = encoder(ids, attention_mask=torch.ones_like(ids))
                pooled = {"mean": lambda: result[0].mean(1), "cls": lambda: result[0][:, 0], "pooler": lambda: result[1]}[pooling]()
                for (text, _), vector in zip(part, pooled):
                    sums[text] = sums[text] + vector
                    counts[text] += 1
    return torch.stack([s / c for s, c in zip(sums, counts)]), n_tokens


def ours(driver, model, what, texts, *options):
    given = b"".join(struct.pack("<I", len(text)) + text for text in (text.encode() for text, _ in texts))
    start = time.time()
    out = subprocess.run([driver, model, what, *options], input=given, stdout=subprocess.PIPE, check=True).stdout
    return torch.from_numpy(np.frombuffer(out, "<f4").reshape(len(texts), -1).astype("f8")), time.time() - start


def compare(name, got, expected):
    cosine = torch.nn.functional.cosine_similarity(got, expected, dim=1).min().item()
    difference = (got - expected).abs().max().item()
    good = cosine >= 0.999999 and difference <= 1e-5
    print(f"{'ok  ' if good else 'BAD '} {name}: {len(got)} rows, lowest cosine 1 - {1 - cosine:.2g}, largest difference {difference:.3g}", flush=True)
    return good


def repeated(folder, to):
    """The checkpoint with its layers twice."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    layers = config["num_hidden_layers"]
    state = load_file(to / "model.safetensors")
    for name in list(state):
        parts = name.split(".")
        if "layer" in parts:
            at = parts.index("layer") + 1
            parts[at] = str(int(parts[at]) + layers)
            state[".".join(parts)] = state[name].clone()
    save_file(state, to / "model.safetensors", metadata={"format": "pt"})
    config["num_hidden_layers"] = 2 * layers
    (to / "config.json").write_text(json.dumps(config))


def with_head(folder, to):
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(folder, num_labels=LABELS, problem_type="multi_label_classification")
    model = BertForSequenceClassification.from_pretrained(folder, config=config)
    model.classifier.weight.data.normal_(std=0.3)
    model.save_pretrained(to, safe_serialization=True)
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(folder / name, to / name)


def run_import(folder, out, *options):
    subprocess.run(["./moviebert", "import", str(folder), "-o", str(out), *options], check=True, stdout=subprocess.DEVNULL)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint", type=pathlib.Path)
    arguments.add_argument("--data", default="../shared/data")
    arguments.add_argument("--driver", default="build/embed_kernels")
    arguments.add_argument("--rows", type=int, default=1020)
    arguments.add_argument("--kernels", default="avx512,avx2,portable")
    arguments.add_argument("--twice", action="store_true")
    arguments.add_argument("--head", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    good = True

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folder = given.checkpoint
        if given.twice:
            repeated(folder, scratch / "twice")
            folder = scratch / "twice"
        if given.head:
            with_head(folder, scratch / "head")
            folder = scratch / "head"
        run_import(folder, scratch / "model", "--long-text=windows")
        with open(scratch / "model", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        pooling = json.loads(header["__metadata__"]["moviebert.pooling"])

        tokenizer = tokenizer_of(folder)
        special = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        texts = choose_texts(given.data, tokenizer, given.rows)
        if given.head:
            model = BertForSequenceClassification.from_pretrained(folder).double().eval()
            encoder = model.bert
        else:
            encoder = BertModel.from_pretrained(folder).double().eval()
        start = time.time()
        expected, n_tokens = reference(encoder, special, texts, pooling["mode"], pooling["max_length"], pooling["window_stride"])
        print(f"{len(texts)} texts of {min(len(t) for _, t in texts)} to {max(len(t) for _, t in texts)} tokens, {n_tokens} computed; "
              f"pooling {pooling}; reference in {time.time() - start:.0f} s", flush=True)
        if pooling["normalize"]:
            expected = torch.nn.functional.normalize(expected, dim=1)
        if given.head:
            expected = model.classifier(expected).detach()
        what = "logits" if given.head else "embeddings"
        for i, kernels in enumerate(given.kernels.split(",")):
            step = 1 if i == 0 else 5
            got, seconds = ours(given.driver, scratch / "model", what, texts[::step], kernels)
            good &= compare(f"{what}, {kernels} ({seconds:.0f} s)", got, expected[::step])

        if not given.twice and not given.head and (folder / "modules.json").exists():
            from sentence_transformers import SentenceTransformer

            run_import(folder, scratch / "truncating", "--long-text=truncate")
            long = [text for text in texts if len(text[1]) > pooling["max_length"] - 2]
            got, _ = ours(given.driver, scratch / "truncating", what, long)
            peer = SentenceTransformer(str(folder), device="cpu").float().encode([text for text, _ in long], batch_size=8)
            # Both are fp32: twice the error of one against float64.
            good &= compare("truncated, against sentence-transformers in fp32", got, torch.from_numpy(peer).double())
    return not good


if __name__ == "__main__":
    sys.exit(main())
