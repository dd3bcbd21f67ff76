#!/usr/bin/env python3
"""make_import_seeds.py - writes test/fuzz/corpus/fuzz_import: small whole checkpoints in fuzz_import.c's form."""
import json
import pathlib

OUT = pathlib.Path(__file__).parent / "corpus" / "fuzz_import"
LETTERS = {name: chr(ord("a") + i) for i, name in enumerate(
    """config.json tokenizer_config.json tokenizer.json vocab.txt special_tokens_map.json added_tokens.json model.safetensors
    model.safetensors.index.json one.safetensors two.safetensors modules.json sentence_bert_config.json
    config_sentence_transformers.json 1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors moviebert.json
    moviebert_head/config.json moviebert_head/model.safetensors""".split())}
H, I, P, V = 2, 3, 4, 7
VOCAB = "[PAD] [UNK] [CLS] [SEP] [MASK] a ##b".split()


def text(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tensors(shapes, dtype="F32"):
    """A header's text, the mark, and zeros."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 if dtype == "F32" else 2
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return text(header) + b"\xff\xfd" + bytes(at)


def encoder(layers, prefix="", gamma="weight", beta="bias"):
    norm = lambda at: {f"{prefix}{at}.LayerNorm.{gamma}": (H,), f"{prefix}{at}.LayerNorm.{beta}": (H,)}
    linear = lambda at, out, n: {f"{prefix}{at}.weight": (out, n), f"{prefix}{at}.bias": (out,)}
    shapes = {f"{prefix}embeddings.word_embeddings.weight": (V, H), f"{prefix}embeddings.position_embeddings.weight": (P, H),
              f"{prefix}embeddings.token_type_embeddings.weight": (1, H), **norm("embeddings")}
    for n in range(layers):
        at = f"encoder.layer.{n}."
        for part in ("query", "key", "value"):
            shapes.update(linear(f"{at}attention.self.{part}", H, H))
        shapes.update({**linear(at + "attention.output.dense", H, H), **norm(at + "attention.output"),
                       **linear(at + "intermediate.dense", I, H), **linear(at + "output.dense", H, I), **norm(at + "output")})
    return shapes


def config(architecture="BertModel", layers=0, **more):
    return text({"architectures": [architecture], "model_type": "bert", "vocab_size": V, "hidden_size": H, "num_hidden_layers": layers,
                 "num_attention_heads": 1, "intermediate_size": I, "max_position_embeddings": P, "type_vocab_size": 1, **more})


def seed(name, **files):
    names = {key.replace("__", "/").replace("_DOT_", "."): value for key, value in files.items()}
    (OUT / name).write_bytes(b"".join(b"\xff\xfe" + LETTERS[key].encode() + value for key, value in names.items()))


def modules(*kinds):
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "Normalize": "2_Normalize"}
    return text([{"type": "sentence_transformers.models." + kind, "path": paths[kind]} for kind in kinds])


TOKENIZER_JSON = text({
    "added_tokens": [{"id": 0, "content": "[PAD]", "special": True, "normalized": False}, {"id": 6, "content": "[X]", "special": True}],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
              "vocab": {token: i for i, token in enumerate(VOCAB[:6])}}})
VOCAB_TXT = "\n".join(VOCAB).encode() + b"\n"
POOLER = {"pooler.dense.weight": (H, H), "pooler.dense.bias": (H,)}
CLASSIFIER = {"classifier.weight": (2, H), "classifier.bias": (2,)}
MASKED = {"cls.predictions.transform.dense.weight": (H, H), "cls.predictions.transform.dense.bias": (H,),
          "cls.predictions.transform.LayerNorm.weight": (H,), "cls.predictions.transform.LayerNorm.bias": (H,),
          "cls.predictions.bias": (V,)}
DENSE = {"linear.weight": (H, H), "linear.bias": (H,)}
TOKENS = text({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True,
               "cls_token": {"content": "[CLS]"}, "model_max_length": 4, "additional_special_tokens": ["a"]})


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    plain = dict(config_DOT_json=config(), vocab_DOT_txt=VOCAB_TXT, model_DOT_safetensors=tensors(encoder(0)))
    seed("plain", **plain, tokenizer_config_DOT_json=TOKENS)
    seed("layer", config_DOT_json=config(layers=1), vocab_DOT_txt=VOCAB_TXT,
         model_DOT_safetensors=tensors({**encoder(1, "bert.", "gamma", "beta"), **{"bert." + k: v for k, v in POOLER.items()}}, "F16"))
    seed("tokenizer-json", config_DOT_json=config(), tokenizer_DOT_json=TOKENIZER_JSON, model_DOT_safetensors=tensors(encoder(0)),
         tokenizer_config_DOT_json=text({"tokenizer_class": "PreTrainedTokenizerFast"}))
    seed("added", **{**plain, "vocab_DOT_txt": "\n".join(VOCAB[:5]).encode()}, added_tokens_DOT_json=text({"<x>": 5}),
         special_tokens_map_DOT_json=text({"additional_special_tokens": ["<x>"], "unk_token": {"content": "[UNK]"}}))
    shapes = encoder(0)
    names = list(shapes)
    seed("sharded", config_DOT_json=config(), vocab_DOT_txt=VOCAB_TXT,
         model_DOT_safetensors_DOT_index_DOT_json=text({"weight_map": {n: ("one" if i < 2 else "two") + ".safetensors" for i, n in enumerate(names)}}),
         one_DOT_safetensors=tensors({n: shapes[n] for n in names[:2]}), two_DOT_safetensors=tensors({n: shapes[n] for n in names[2:]}))
    seed("masked-lm", config_DOT_json=config("BertForPreTraining", tie_word_embeddings=True), vocab_DOT_txt=VOCAB_TXT,
         model_DOT_safetensors=tensors({**encoder(0, "bert."), **MASKED, "cls.predictions.decoder.weight": (V, H), "cls.seq_relationship.bias": (2,)}))
    seed("classifier", config_DOT_json=config("BertForSequenceClassification", id2label={"0": "x", "1": "y"}, problem_type="multi_label_classification"),
         vocab_DOT_txt=VOCAB_TXT, model_DOT_safetensors=tensors({**encoder(0), **POOLER, **CLASSIFIER}),
         moviebert_DOT_json=text({"format": 1, "pooling": {"max_length": 4, "window_stride": 1},
                                  "tags": [{"name": "x", "threshold": 0.5, "support": 3}, {"name": "y"}], "card": {"a": 0.1}}))
    seed("mean", **plain, modules_DOT_json=modules("Transformer", "Pooling", "Normalize"),
         sentence_bert_config_DOT_json=text({"max_seq_length": 3, "do_lower_case": False}),
         config_sentence_transformers_DOT_json=text({"prompts": {"query": "q: "}, "default_prompt_name": None}),
         **{"1_Pooling__config_DOT_json": text({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})})
    seed("dense", **plain, modules_DOT_json=modules("Transformer", "Pooling", "Dense"),
         **{"1_Pooling__config_DOT_json": text({"pooling_mode": "cls"}),
            "2_Dense__config_DOT_json": text({"in_features": H, "out_features": H, "bias": True, "activation_function": "torch.nn.Tanh"}),
            "2_Dense__model_DOT_safetensors": tensors(DENSE)})
    seed("tagger", **plain, moviebert_DOT_json=text({"format": 1, "head": {"problem": "multi_label"}, "tags": [{"name": "x"}, {"name": "y", "threshold": 0.25}]}),
         **{"moviebert_head__config_DOT_json": text({"activation_function": "torch.nn.modules.linear.Identity"}),
            "moviebert_head__model_DOT_safetensors": tensors(DENSE)})


if __name__ == "__main__":
    main()
