#!/usr/bin/env python3
"""make.py - writes the tiny checkpoints beside it, in the forms in which BERTs are found.

Random weights, large enough that every matrix, bias and LayerNorm shows in the result.  Most folders hold the same
weights as bert-model in another form, so that importing them must give the same model.  Run it with torch, transformers,
safetensors, tokenizers and sentence-transformers (written with 2.14, 5.24, 0.8, 0.23 and 6.2); it gives the same bytes again.
"""
import json
import pathlib
import shutil

import numpy
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertModel

HERE = pathlib.Path(__file__).parent
WORDS = """the a an and of in to is he she it who on with film movie ghost robot ship night rain love killer detective
murder haunt space war king old house run comedy romance horror drama""".split()
PIECES = "##s ##ed ##ing ##er ##ly ##ship ##house".split()
ROLES = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SYMBOLS = list(".,!?'-()$") + ["é", "ß", "日", "本", "я"]

# Each token once: "a" is a letter and a word.
UNCASED = list(dict.fromkeys(ROLES + SYMBOLS + list("0123456789") + list(LETTERS) + ["##" + c for c in LETTERS] + PIECES + WORDS))
CASED = list(dict.fromkeys(ROLES + SYMBOLS + list(LETTERS) + list(LETTERS.upper()) + ["##" + c for c in LETTERS] + PIECES + WORDS +
                           ["Ghost", "É", "[FILM]"]))

CONFIG = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 20,
    "initializer_range": 0.02,
    "intermediate_size": 28,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": len(UNCASED),
}
TOKENIZER = {
    "do_lower_case": True,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
    "model_max_length": 40,
    "tokenizer_class": "BertTokenizer",
}


def weights(architecture, seed=1, **changes):
    """A state dict as transformers names it, all numbers random."""
    config = BertConfig(**{**CONFIG, **changes, "tie_word_embeddings": True})
    random = numpy.random.RandomState(seed)
    state = {}
    for name, tensor in sorted(architecture(config).state_dict().items()):
        if name in ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"):
            continue
        scale = 0.8 if "embeddings.weight" in name else 1.5 / tensor.shape[-1] ** 0.5 if tensor.dim() == 2 else 0.2
        values = random.standard_normal(tuple(tensor.shape)) * scale + (1.0 if name.endswith("LayerNorm.weight") else 0.0)
        state[name] = torch.tensor(values, dtype=torch.float32)
    return state


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    indent = None if path.name == "tokenizer.json" else 2
    text = value if isinstance(value, str) else json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def save(folder, state, metadata={"format": "pt"}, name="model.safetensors"):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / name, metadata)


def tokenizer_json(vocab, lowercase, truncation=None, added=ROLES):
    special = [{"id": vocab.index(t), "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for t in added if not t.startswith("[unused")]
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": truncation and {"max_length": truncation, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": template,
                           "pair": template + [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                           "special_tokens": {t: {"id": t, "ids": [vocab.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(vocab)}},
    }


def folder(name, state=None, config={}, tokenizer={}, vocab=UNCASED):
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    write(path / "config.json", {**CONFIG, **config})
    write(path / "tokenizer_config.json", {**TOKENIZER, **tokenizer})
    if vocab:
        write(path / "vocab.txt", "".join(token + "\n" for token in vocab))
    if state:
        save(path, state)
    return path


def pooling(mode):
    return {"word_embedding_dimension": CONFIG["hidden_size"], "pooling_mode_cls_token": mode == "cls",
            "pooling_mode_mean_tokens": mode == "mean", "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}


def modules(*parts):
    return [{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind} for i, (path, kind) in enumerate(parts)]


def old_names(state):
    """As Google's TensorFlow checkpoints were converted: gamma and beta, under "bert."."""
    return {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in state.items()}


def main():
    plain = weights(BertModel)

    # The same model in seven forms.
    path = folder("bert-model", plain)
    write(path / "special_tokens_map.json", {k: v for k, v in TOKENIZER.items() if k.endswith("_token")})
    write(path / "tokenizer.json", tokenizer_json(UNCASED, True))
    folder("prefixed", {"bert." + name: tensor for name, tensor in plain.items()})
    folder("gamma-beta", {**old_names(plain), "embeddings.position_ids": torch.arange(CONFIG["max_position_embeddings"]).unsqueeze(0)})
    path = folder("tokenizer-json", plain, vocab=None)
    write(path / "tokenizer.json", tokenizer_json(UNCASED, True))
    path = folder("sharded")
    names = sorted(plain)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save(path, {name: plain[name] for name in held}, name=shard)
    write(path / "model.safetensors.index.json",
          {"metadata": {"total_size": sum(t.numel() * 4 for t in plain.values())},
           "weight_map": {name: shard for shard, held in shards.items() for name in held}})

    # The same numbers, rounded.
    folder("fp16", {name: tensor.half() for name, tensor in plain.items()}, {"torch_dtype": "float16"})
    folder("bf16", {name: tensor.bfloat16() for name, tensor in plain.items()}, {"torch_dtype": "bfloat16"})

    # The masked-LM head: tied, and as pretraining left it (a decoder of its own that is equal, and the next-sentence head).
    masked = weights(BertForMaskedLM, 2)
    folder("masked-lm", masked, {"architectures": ["BertForMaskedLM"]})
    pretraining = {**weights(BertForPreTraining, 3), **masked}
    pretraining["cls.predictions.decoder.weight"] = masked["bert.embeddings.word_embeddings.weight"].clone()
    pretraining["cls.predictions.decoder.bias"] = masked["cls.predictions.bias"].clone()
    folder("pre-training", old_names(pretraining), {"architectures": ["BertForPreTraining"]})

    # Classification heads.
    for name, labels, problem in (("single-label", ["drama", "comedy", "horror"], "single_label_classification"),
                                  ("multi-label", ["drama", "comedy", "horror", "science fiction"], "multi_label_classification"),
                                  ("regression", ["rating"], "regression")):
        config = {"id2label": {str(i): label for i, label in enumerate(labels)}, "label2id": {label: i for i, label in enumerate(labels)}}
        folder(name, weights(BertForSequenceClassification, 4, num_labels=len(labels)),
               {"architectures": ["BertForSequenceClassification"], "problem_type": problem, **config})

    # sentence-transformers.  The first has the trap of all-MiniLM-L6-v2: tokenizer.json truncates at half the length.
    big = {"num_hidden_layers": 2, "num_attention_heads": 2}
    deep = weights(BertModel, 5, **big)
    path = folder("sentence-mean", deep, big)
    write(path / "tokenizer.json", tokenizer_json(UNCASED, True, truncation=16))
    write(path / "modules.json", modules(("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")))
    write(path / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    write(path / "1_Pooling/config.json", pooling("mean"))
    write(path / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0"}})
    # Git keeps no empty folder, and sentence-transformers wants one.
    write(path / "2_Normalize/.keep", "")

    path = folder("sentence-cls")
    write(path / "modules.json", modules(("0_Transformer", "Transformer"), ("1_Pooling", "Pooling")))
    write(path / "1_Pooling/config.json", pooling("cls"))
    for name in ("config.json", "tokenizer_config.json", "vocab.txt"):
        (path / "0_Transformer").mkdir(exist_ok=True)
        (path / name).rename(path / "0_Transformer" / name)
    write(path / "0_Transformer/sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": False})
    save(path / "0_Transformer", plain)

    # LaBSE's form: a Dense with tanh after [CLS], which is the pooler by another name.
    path = folder("sentence-dense", weights(BertModel, 6))
    write(path / "modules.json", modules(("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Normalize", "Normalize")))
    write(path / "1_Pooling/config.json", pooling("cls"))
    write(path / "2_Dense/config.json", {"in_features": 20, "out_features": 20, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"})
    dense = weights(BertModel, 7)
    save(path / "2_Dense", {"linear.weight": dense["pooler.dense.weight"], "linear.bias": dense["pooler.dense.bias"]})
    write(path / "3_Normalize/.keep", "")

    # Cased, with a token of its own that is matched whole.
    cased = {"vocab_size": len(CASED)}
    path = folder("cased", weights(BertModel, 8, **cased), cased,
                  {"do_lower_case": False, "additional_special_tokens": ["[FILM]"], "model_max_length": 1000000000000000019884624838656}, CASED)
    write(path / "tokenizer.json", tokenizer_json(CASED, False, added=ROLES + ["[FILM]"]))

    # As the libraries write it today.
    from sentence_transformers import SentenceTransformer
    path = HERE / "sentence-saved"
    shutil.rmtree(path, ignore_errors=True)
    model = SentenceTransformer(str(HERE / "sentence-mean"), device="cpu")
    model.save(str(path), create_model_card=False)
    for config in path.rglob("config_sentence_transformers.json"):
        write(config, {**json.loads(config.read_text()), "__version__": {}})


if __name__ == "__main__":
    main()
