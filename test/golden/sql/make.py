#!/usr/bin/env python3
"""make.py - the model files and reference values of the SQL tests.

Writes four tiny model files with random weights (tagger, genre, rating, plain), and reference.sql: what transformers, in
float64, says of some texts.  Run it in this folder; it needs torch and transformers.
"""
import json
import struct
import tempfile

import numpy as np
import torch
from transformers import BertConfig, BertModel, BertTokenizer

WORDS = """the of in and she he who is to ghost ship love robot detective killer rain house night war dog ring
    space train island king child murder music secret learns hunts falls finds haunt ##ing ##ed cafe""".split()
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
DIGITS = [str(d) for d in range(10)]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(".,!?'-:") + LETTERS + ["##" + c for c in LETTERS] \
    + DIGITS + ["##" + d for d in DIGITS] + WORDS
assert len(set(VOCAB)) == len(VOCAB)
CONFIG = dict(vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
              max_position_embeddings=32, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12)
MODELS = {
    "tagger": dict(mode="mean", normalize=True, max_length=16, long_text="windows", window_stride=7,
                   problem="multi_label", kind="tagger",
                   tags=[("horror", 0.45), ("comedy", 0.72), ("romance", 0.48), ("science fiction", None), ("café noir", 0.8)]),
    "genre": dict(mode="pooler", normalize=False, max_length=32, long_text="truncate", window_stride=15,
                  problem="single_label", kind="classifier",
                  tags=[("drama", None), ("western", None), ("musical", None)]),
    "rating": dict(mode="mean", normalize=False, max_length=32, long_text="windows", window_stride=15,
                   problem="regression", kind="tagger",
                   tags=[("stars", None)]),
    "plain": dict(mode="cls", normalize=True, max_length=32, long_text="windows", window_stride=30,
                  problem=None, kind=None, tags=[]),
}
TEXTS = [
    "", "ghost", "The ghost ship.", "a robot learns to love", "A detective hunts a killer in the rain.",
    "She finds the secret of the island: a child who is king!", "Zyzzyva 1984?", "caf\u00e9 CAFE\u0301 \u2603",
    "the house of the ghost " * 12, "war, war, war, war, war, war, war, war, war, war, war, war, war, war, war",
]


def weights(seed, labels):
    """Random weights by the names of the model file, as F16 holds them."""
    rng = np.random.default_rng(seed)
    h, i = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (CONFIG["vocab_size"], h),
              "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], h),
              "embeddings.token_type_embeddings.weight": (CONFIG["type_vocab_size"], h),
              "embeddings.LayerNorm.weight": (h,), "embeddings.LayerNorm.bias": (h,),
              "pooler.dense.weight": (h, h), "pooler.dense.bias": (h,)}
    for n in range(CONFIG["num_hidden_layers"]):
        at = f"encoder.layer.{n}."
        for name, shape in {"attention.self.query": (h, h), "attention.self.key": (h, h), "attention.self.value": (h, h),
                            "attention.output.dense": (h, h), "intermediate.dense": (i, h), "output.dense": (h, i)}.items():
            shapes[at + name + ".weight"], shapes[at + name + ".bias"] = shape, shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[at + name + ".weight"] = shapes[at + name + ".bias"] = (h,)
    if labels:
        shapes["classifier.weight"], shapes["classifier.bias"] = (labels, h), (labels,)
    made = {}
    for name, shape in shapes.items():
        value = rng.standard_normal(shape)
        if name.endswith("LayerNorm.weight"):
            value = 1 + 0.1 * value
        elif name.endswith("bias"):
            value = 0.1 * value
        elif name.startswith("classifier"):
            value = 1.5 * value
        elif "word_embeddings" not in name:
            value = 0.3 * value
        made[name] = value.astype(np.float16)
    return made


def windows(ids, what):
    """The windows of a text's token ids, as include/moviebert/infer.h defines them."""
    width = what["max_length"] - 2
    if len(ids) <= width or what["long_text"] == "truncate":
        return [ids[:width]]
    starts = list(range(0, len(ids) - width, what["window_stride"])) + [len(ids) - width]
    return [ids[start:start + width] for start in starts]


def reference(what, made, tokenizer):
    """(text, embedding, scores or None) of all texts."""
    model = BertModel(BertConfig(**CONFIG, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0)).double().eval()
    state = {name: torch.from_numpy(value.astype(np.float64)) for name, value in made.items()
             if not name.startswith("classifier")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("position_ids" in name for name in missing), (missing, unexpected)
    for text in TEXTS:
        vectors = []
        for window in windows(tokenizer.encode(text, add_special_tokens=False), what):
            with torch.no_grad():
                out = model(torch.tensor([[tokenizer.cls_token_id, *window, tokenizer.sep_token_id]]))
            vectors.append({"mean": out.last_hidden_state[0].mean(0), "cls": out.last_hidden_state[0, 0],
                            "pooler": out.pooler_output[0]}[what["mode"]])
        vector = torch.stack(vectors).mean(0)
        if what["normalize"]:
            vector = torch.nn.functional.normalize(vector, dim=0)
        scores = None
        if what["problem"]:
            logits = torch.from_numpy(made["classifier.weight"].astype(np.float64)) @ vector \
                + torch.from_numpy(made["classifier.bias"].astype(np.float64))
            scores = {"multi_label": torch.sigmoid, "single_label": lambda x: torch.softmax(x, 0),
                      "regression": lambda x: x}[what["problem"]](logits)
        yield text, vector, scores


def save(path, made, metadata):
    """A safetensors file, the same bytes each time."""
    header, data = {"__metadata__": metadata}, b""
    for name, value in sorted(made.items()):
        header[name] = {"dtype": "F16", "shape": value.shape, "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def literal(vector):
    return "NULL" if vector is None else "'{" + ",".join(f"{x:.7f}" for x in vector.tolist()) + "}'"


def main():
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write("\n".join(VOCAB) + "\n")
        file.flush()
        tokenizer = BertTokenizer(file.name, do_lower_case=True)
    lines = ["-- reference.sql - what transformers says in float64; written by make.py.",
             "CREATE TEMPORARY TABLE reference (model text, text text, embedding real[], scores real[]);",
             "INSERT INTO reference VALUES"]
    rows = []
    for seed, (name, what) in enumerate(MODELS.items()):
        made = weights(seed + 1, len(what["tags"]))
        config = dict(CONFIG, model_type="bert",
                      architectures=["BertForSequenceClassification" if what["kind"] == "classifier" else "BertModel"])
        metadata = {
            "format": "pt", "moviebert.format": "1", "moviebert.config": json.dumps(config),
            "moviebert.vocab": "\n".join(VOCAB) + "\n",
            "moviebert.tokenizer": json.dumps({
                "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "split_special_tokens": False,
                "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                "mask_token": "[MASK]", "additional_special_tokens": []}),
            "moviebert.pooling": json.dumps({key: what[key] for key in
                                             ("mode", "normalize", "max_length", "long_text", "window_stride")}),
            "moviebert.card": json.dumps({"note": "random weights, for tests"}),
        }
        if what["problem"]:
            metadata["moviebert.head"] = json.dumps({"problem": what["problem"], "kind": what["kind"]})
            metadata["moviebert.tags"] = json.dumps(
                [{"name": tag, "threshold": threshold, "support": None} for tag, threshold in what["tags"]],
                ensure_ascii=False)
        save(f"{name}.safetensors", made, metadata)
        for text, vector, scores in reference(what, made, tokenizer):
            print(name, repr(text[:30]), None if scores is None else [round(x, 3) for x in scores.tolist()])
            rows.append("('%s', '%s', %s, %s)" % (name, text.replace("'", "''"), literal(vector), literal(scores)))
    with open("reference.sql", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n" + ",\n".join(rows) + ";\n")


main()
