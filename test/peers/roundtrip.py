#!/usr/bin/env python3
"""roundtrip.py [CHECKPOINT ...] - checkpoint -> import -> export -> Python: the same ids, the same numbers.

For each folder, and for variants made of it with transformers:
  ids      AutoTokenizer of the export = AutoTokenizer of the original, for every text
  hidden   AutoModel (and the architecture's own class) of the export = of the original, every output: equal
  encode   SentenceTransformer of the export = of the original: equal
  ours     moviebert's vectors - SentenceTransformer's of the export, computed in float64: at most 1e-5
  scores   moviebert's scores - the class's, or the tagger's, through sigmoid or softmax, in float64: at most 1e-5
and for models from scratch, as the tool's training writes them:
  config   config.json of the export loads as BertConfig's own, with the class and the labels that it should have
  missing  weights that the class lacks or does not know (the decoder is tied)
  losses   the training network's cross entropy - BertForMaskedLM's in float64, relative, for each text: at most 1e-5
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import numpy
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from transformers import (AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, BertConfig,
                          BertForMaskedLM, BertForSequenceClassification, BertModel)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "moviebert"
LIMIT = 1e-5

TEXTS = ["", "a", "the ghost ship", "A Ghost in the MACHINE!", "[SEP] and [MASK] in a text", "café naïve Ångström ß ﬁ",
         "日本の映画、ホラー。", "я люблю кино", "don't-stop   now\t\nplease", "robot robots robotic 12345 $9.99", "\u200bzero\u00adwidth\ufeff",
         "😀 emoji 👩‍🚀", "x" * 101, "A detective hunts a killer through the rain, and the killer hunts the detective. " * 40,
         "A shark terrorises a beach; a lone sailor remembers the war.", "a robot learns what love is"]


def run(*args):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, cwd=ROOT)


def build(name, folder, *libraries):
    program = folder / name
    run("cc", "-std=c17", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Iinclude", f"test/peers/{name}.c", *libraries, "build/libmoviebert.a", "-lutf8proc",
        "-ljansson", "-lopenblas", "-lm", "-lpthread", "-o", program)
    return program


def ours(program, model, texts):
    """Vectors and scores, as moviebert computes them."""
    data = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    out = subprocess.run([str(program), str(model)], input=data, check=True, capture_output=True).stdout
    with safe_open(str(model), "np") as file:
        hidden = json.loads(file.metadata()["moviebert.config"])["hidden_size"]
    rows = numpy.frombuffer(out, numpy.float32).reshape(len(texts), -1)
    return rows[:, :hidden], rows[:, hidden:]


def outputs(folder, auto, ids):
    """Every output of a class for each text alone, in float64."""
    model = auto.from_pretrained(str(folder), dtype=torch.float64, attn_implementation="eager").eval()
    with torch.no_grad():
        results = [model(torch.tensor([row])) for row in ids]
    return [tuple(value.numpy() for key, value in result.items() if key != "pooler_output") for result in results]


def encode(folder, texts):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float64}).double()
    # One at a time: padding changes the order of sums.
    return numpy.stack([model.encode([t], convert_to_numpy=False)[0].detach().numpy() for t in texts])


def activation(logits, problem):
    if problem == "regression":
        return logits
    if problem == "multi_label":
        return 1 / (1 + numpy.exp(-logits))
    return numpy.exp(logits) / numpy.exp(logits).sum(-1, keepdims=True)


class Checks:
    def __init__(self):
        self.failed = 0

    def note(self, name, values):
        bad = [k for k, v in values.items() if not v <= (LIMIT if k in ("ours", "scores", "losses") else 0)]
        self.failed += len(bad)
        print(f"{name:34}", " ".join(f"{k} {v:.1e}" for k, v in values.items()), "FAILED: " + ", ".join(bad) if bad else "", flush=True)


def difference(a, b):
    return max(float(numpy.abs(x - y).max(initial=0)) if x.shape == y.shape else numpy.inf for x, y in zip(a, b, strict=True))


def check(checks, name, folder, work, program):
    """One checkpoint, its way through moviebert, and what is loaded from both ends."""
    model, exported = work / (name + ".safetensors"), work / (name + "-hf")
    run(TOOL, "import", folder, "-o", model, "--long-text=truncate")
    run(TOOL, "export", model, "-o", exported)
    with safe_open(str(model), "np") as file:
        metadata = file.metadata()
    pooling = json.loads(metadata["moviebert.pooling"])
    texts = TEXTS
    inner = folder / "0_Transformer" if (folder / "0_Transformer").exists() else folder

    before, after = AutoTokenizer.from_pretrained(str(inner)), AutoTokenizer.from_pretrained(str(exported))
    length = pooling["max_length"]
    ids = [before(t, truncation=True, max_length=length)["input_ids"] for t in texts]
    values = {"ids": float(sum(a != b for a, b in zip(ids, (after(t, truncation=True, max_length=length)["input_ids"] for t in texts))))}
    values["ids"] += float(after.model_max_length != length)

    architecture = json.loads((exported / "config.json").read_text())["architectures"][0]
    classes = [AutoModel] + {"BertForMaskedLM": [AutoModelForMaskedLM], "BertForSequenceClassification": [AutoModelForSequenceClassification]}.get(architecture, [])
    values["hidden"] = max(difference(a, b) for auto in classes
                           for a, b in zip(outputs(inner, auto, ids), outputs(exported, auto, ids)))
    theirs = encode(exported, texts)
    if (folder / "modules.json").exists():
        values["encode"] = difference([encode(folder, texts)], [theirs])
    vectors, scores = ours(program, model, texts)
    values["ours"] = difference([theirs], [vectors])
    if architecture == "BertForSequenceClassification":
        problem = json.loads(metadata["moviebert.head"])["problem"]
        logits = numpy.concatenate([row[0] for row in outputs(exported, AutoModelForSequenceClassification, ids)])
        values["scores"] = difference([activation(logits, problem)], [scores])
    checks.note(name, values)
    return model


def check_tagger(checks, name, model, work, program):
    """Tags on the model's vectors, as finetune writes them."""
    tagger = work / (name + "-tags.safetensors")
    with safe_open(str(model), "np") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys() if not key.startswith("classifier.")}
    hidden, random = json.loads(metadata["moviebert.config"])["hidden_size"], numpy.random.RandomState(1)
    tensors["classifier.weight"] = random.standard_normal((5, hidden)).astype(numpy.float32)
    tensors["classifier.bias"] = random.standard_normal(5).astype(numpy.float32)
    metadata["moviebert.head"] = json.dumps({"problem": "multi_label", "kind": "tagger"})
    metadata["moviebert.tags"] = json.dumps([{"name": f"tag {i}", "threshold": 0.5, "support": 10} for i in range(5)])
    save_file(tensors, tagger, metadata)
    vectors, scores = ours(program, tagger, TEXTS)
    values = {}
    for as_tagger in (False, True):
        exported, again = work / f"{name}-tags-{as_tagger}", work / f"{name}-again"
        run(TOOL, "export", tagger, "-o", exported, *(["--as-tagger"] if as_tagger else []))
        run(TOOL, "import", exported, "-o", again, "--long-text=truncate")
        theirs = encode(exported, TEXTS)
        if as_tagger:
            values["scores"] = difference([activation(theirs, "multi_label")], [scores])
        else:
            values["ours"] = difference([theirs], [vectors])
        values["again"] = max(values.get("again", 0), difference(ours(program, again, TEXTS), (vectors, scores)))
    checks.note(name + " with tags", values)


def unknown_weights(cls, folder):
    _, info = cls.from_pretrained(str(folder), output_loading_info=True)
    return float(sum(len(info[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")))


def check_trained(checks, work, program, trained):
    """A masked-LM model and a multi-label classifier from scratch."""
    vocab = ROOT / "test/golden/checkpoints/bert-model/vocab.txt"
    labels = ["horror", "film d'été", "love"]
    for name, cls in (("masked-lm", BertForMaskedLM), ("classifier", BertForSequenceClassification)):
        model, exported, again = (work / f"trained-{name}{end}" for end in (".safetensors", "-hf", "-again"))
        run(trained, name, vocab, model)
        run(TOOL, "export", model, "-o", exported)
        run(TOOL, "import", exported, "-o", again, "--long-text=truncate")
        with safe_open(str(model), "np") as file:
            said = json.loads(file.metadata()["moviebert.config"])
        config = BertConfig.from_pretrained(str(exported))
        own = BertConfig(**{key: value for key, value in said.items() if key not in ("architectures", "model_type")})
        if name == "classifier":
            own.id2label, own.label2id, own.problem_type = dict(enumerate(labels)), {l: i for i, l in enumerate(labels)}, "multi_label_classification"
        ours_, theirs_ = own.to_dict(), config.to_dict()
        values = {"config": float(sum(theirs_[key] != ours_[key] for key in ours_ if key not in ("architectures", "dtype", "torch_dtype")))}
        values["config"] += float(config.architectures != [cls.__name__])
        values["missing"] = unknown_weights(cls, exported)
        tokenizer = AutoTokenizer.from_pretrained(str(exported))
        ids = [tokenizer(t, truncation=True, max_length=128)["input_ids"] for t in TEXTS]
        vectors, scores = ours(program, model, TEXTS)
        values["ours"] = difference([encode(exported, TEXTS)], [vectors])
        values["again"] = difference(ours(program, again, TEXTS), (vectors, scores))
        logits = [row[0][0] for row in outputs(exported, cls, ids)]
        if name == "classifier":
            values["scores"] = difference([activation(numpy.stack(logits), "multi_label")], [scores])
        else:
            random = numpy.random.RandomState(1)
            wanted = [random.randint(0, config.vocab_size, len(row)) for row in ids]
            data = b"".join(struct.pack(f"<i{2 * len(row)}i", len(row), *row, *label) for row, label in zip(ids, wanted))
            losses = numpy.frombuffer(subprocess.run([str(trained), "losses", str(model)], input=data, check=True, capture_output=True).stdout)
            reference = numpy.array([float(torch.nn.functional.cross_entropy(torch.tensor(rows), torch.tensor(label), reduction="sum"))
                                     for rows, label in zip(logits, wanted)])
            values["losses"] = difference([losses / reference], [numpy.ones(len(TEXTS))])
        checks.note("trained " + name, values)


def variants(folder, work):
    """What else a checkpoint's encoder is found in."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    torch.manual_seed(1)

    def save(name, model):
        path = work / name
        model.save_pretrained(str(path))
        tokenizer.save_pretrained(str(path))
        return name, path

    masked = BertForMaskedLM.from_pretrained(str(folder))
    yield save(folder.name + "-masked-lm", masked)
    for problem, labels in (("single_label_classification", 4), ("multi_label_classification", 3), ("regression", 1)):
        model = BertForSequenceClassification.from_pretrained(str(folder), num_labels=labels, problem_type=problem)
        torch.nn.init.normal_(model.classifier.weight)
        yield save(f"{folder.name}-{problem.split('_')[0]}", model)
    yield save(folder.name + "-sharded", BertModel.from_pretrained(str(folder)))
    BertModel.from_pretrained(str(folder)).save_pretrained(str(work / (folder.name + "-sharded")), max_shard_size="20MB")
    (work / (folder.name + "-sharded") / "model.safetensors").unlink(missing_ok=True)
    yield save(folder.name + "-fp16", BertModel.from_pretrained(str(folder), dtype=torch.float16))


def main():
    checks = Checks()
    print("torch", torch.__version__, "transformers", transformers.__version__)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        program = build("embed", work)
        check_trained(checks, work, program, build("trained", work, "build/libtool.a"))
        for config in sorted((ROOT / "test/golden/checkpoints").glob("*/modules.json")) + sorted((ROOT / "test/golden/checkpoints").glob("*/config.json")):
            folder = config.parent
            if config.name == "config.json" and (folder / "modules.json").exists():
                continue
            model = check(checks, folder.name, folder, work, program)
            if folder.name in ("sentence-mean", "sentence-cls", "sentence-dense", "masked-lm", "cased"):
                check_tagger(checks, folder.name, model, work, program)
        for argument in sys.argv[1:]:
            folder = pathlib.Path(argument).resolve()
            model = check(checks, folder.name, folder, work, program)
            check_tagger(checks, folder.name, model, work, program)
            for variant, path in variants(folder, work):
                check(checks, variant, path, work, program)
    print("all within limits" if checks.failed == 0 else f"{checks.failed} FAILED")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
