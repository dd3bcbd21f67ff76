#!/usr/bin/env python3
"""make.py - writes cases.json: what transformers' BERT computes in float64 for small models of many shapes.

No weight is stored.  Each is made from its tensor's name and its place in it by weight(), which test/unit/seeded_model.c
repeats, in fp32 operations that give the same bits everywhere.  Run it with torch, transformers and numpy.
"""
import json
import pathlib

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

HERE = pathlib.Path(__file__).parent

CASES = [
    dict(name="plain", H=32, L=2, heads=2, I=64, P=40, lengths=[7, 1, 40, 2, 19], normalize=True),
    dict(name="odd sizes, three layers", H=36, L=3, heads=3, I=77, P=50, eps=1e-5, pooling="cls", lengths=[50, 3, 13, 1]),
    dict(name="one head, tanh gelu, pooler", H=20, L=1, heads=1, I=33, P=17, act="gelu_new", pooling="pooler", lengths=[17, 5]),
    dict(name="relu, four heads", H=64, L=2, heads=4, I=100, P=30, act="relu", lengths=[30, 9]),
    dict(name="silu, heads of six", H=24, L=2, heads=4, I=48, P=30, act="silu", eps=1e-5, lengths=[12, 30]),
    dict(name="gelu by PyTorch's tanh", H=16, L=1, heads=4, I=31, P=20, act="gelu_pytorch_tanh", pooling="cls", normalize=True, lengths=[20]),
    dict(name="heads of one", H=7, L=2, heads=7, I=5, P=12, lengths=[12, 4, 1]),
    dict(name="no layers", H=18, L=0, heads=3, I=8, P=9, lengths=[9, 1], normalize=True),
    dict(name="wide, many blocks", H=288, L=1, heads=4, I=530, P=20, lengths=[20, 2]),
    dict(name="long", H=32, L=1, heads=2, I=40, P=300, lengths=[300, 259, 3]),
    dict(name="multi-label", H=32, L=2, heads=4, I=64, P=24, pooling="pooler", problem="multi_label", labels=5, lengths=[24, 8, 2]),
    dict(name="single label, forty labels", H=40, L=1, heads=5, I=64, P=24, pooling="pooler", problem="single_label", labels=40, lengths=[24, 8]),
    dict(name="regression", H=32, L=1, heads=2, I=64, P=24, pooling="pooler", problem="regression", labels=1, lengths=[11, 24]),
    dict(name="tags on mean pooling", H=32, L=1, heads=2, I=64, P=24, problem="multi_label", labels=33, normalize=True, lengths=[11, 24]),
]
DEFAULTS = dict(V=90, act="gelu", eps=1e-12, pooling="mean", normalize=False, problem=None, labels=0)


def mix(seed, n):
    """n numbers of 32 bits: the finaliser of MurmurHash3 over a seed and a counter."""
    with np.errstate(over="ignore"):
        h = np.uint32(seed) + np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B9)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return h ^ (h >> np.uint32(16))


def seed_of(name):
    h = 2166136261  # FNV-1a
    for byte in name.encode():
        h = (h ^ byte) * 16777619 % 2**32
    return h


def weight(name, shape):
    """Uniform in (-1, 1) * scale: 1.5/sqrt(in) for a matrix, 1/4 for a bias, 1/2 for embeddings; norms' weights about 1."""
    unit = (mix(seed_of(name), int(np.prod(shape))) >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    if name.endswith("LayerNorm.weight"):
        unit = unit * np.float32(0.25) + np.float32(1)
    elif name.endswith("bias"):
        unit = unit * np.float32(0.25)
    elif "embeddings" in name:
        unit = unit * np.float32(0.5)
    else:
        unit = unit * np.float32(1.5 / np.sqrt(np.float64(shape[1])))
    return torch.from_numpy(unit.reshape(shape)).double()


def build(case):
    config = BertConfig(
        vocab_size=case["V"], hidden_size=case["H"], num_hidden_layers=case["L"], num_attention_heads=case["heads"],
        intermediate_size=case["I"], max_position_embeddings=case["P"], hidden_act=case["act"], layer_norm_eps=case["eps"],
        num_labels=case["labels"] or 2, problem_type=None)
    if case["problem"] and case["pooling"] == "pooler":
        model = BertForSequenceClassification(config)
    else:
        model = BertModel(config)
    model = model.double().eval()
    state = {}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            state[name] = weight(name.removeprefix("bert."), tuple(tensor.shape))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("position_ids" in name for name in missing), (missing, unexpected)
    return model


def digits(tensor):
    return [[float(f"{x:.8g}") for x in row] for row in tensor.tolist()]


def rows_to_store(length):
    return list(range(length)) if length <= 3 else [0, length // 2, length - 1]


def run(case):
    case = {**DEFAULTS, **case}
    model = build(case)
    ids = (mix(seed_of(case["name"]), sum(case["lengths"])) % np.uint32(case["V"])).astype(int).tolist()
    out = dict(case, ids=ids, layers=[[] for _ in range(case["L"] + 1)], pooled=[], logits=[])
    first = 0
    for length in case["lengths"]:
        with torch.no_grad():
            result = model(torch.tensor([ids[first:first + length]]), output_hidden_states=True)
            for layer, states in enumerate(result.hidden_states):
                out["layers"][layer] += digits(states[0][rows_to_store(length)])
            states = result.hidden_states[-1]
            if case["pooling"] == "pooler":
                pooled = getattr(model, "bert", model).pooler(states)
            else:
                pooled = states[:, 0] if case["pooling"] == "cls" else states.mean(1)
            if case["normalize"]:
                pooled = torch.nn.functional.normalize(pooled, dim=1)
            out["pooled"] += digits(pooled)
            if case["problem"] and case["pooling"] == "pooler":
                out["logits"] += digits(result.logits)
            elif case["problem"]:
                w = weight("classifier.weight", (case["labels"], case["H"]))
                out["logits"] += digits(pooled @ w.T + weight("classifier.bias", (case["labels"],)))
        first += length
    return out


with open(HERE / "cases.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(run(case), separators=(",", ":")) for case in CASES) + "\n]\n")
