#!/usr/bin/env python3
"""Compares our ids with those of Hugging Face `tokenizers` on every text of the data folder, and writes their digests.

    cc -std=c17 -D_POSIX_C_SOURCE=200809L -O2 -Iinclude test/peers/tokenize.c build/libmoviebert.a -lutf8proc -o build/tokenize
    test/peers/tokenizer_corpora.py --digests test/golden/tokenizer/corpora.tsv [--tokenizer-json FILE] [--data FOLDER]

Texts are all lines of all files, and the titles and texts of movies_tagged.jsonl decoded.  A digest is the SHA-256 of the
reference's ids of a block of texts: for each text the number of its ids and the ids, 32 bits each, low byte first.  The
unit test test_tokenizer_corpora compares them where there is no Python.  Development only.
"""
import argparse
import hashlib
import itertools
import json
import struct
import subprocess
import sys

import numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

BLOCK = 5000
FILES = ["corpus_general.txt", "corpus_movies.txt", "movies_tagged.jsonl", "sentiment_imdb.tsv"]
SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
# name: lowercase, strip_accents, split_cjk, split_special_tokens
CONFIGURATIONS = {"uncased": (1, 1, 1, 0), "cased": (0, 0, 1, 0)}


def reference(vocab_file, lowercase, strip_accents, split_cjk, split_special_tokens):
    with open(vocab_file, encoding="utf-8", newline="\n") as lines:
        vocab = {line.rstrip(): i for i, line in enumerate(lines)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=bool(split_cjk), strip_accents=bool(strip_accents), lowercase=bool(lowercase))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.encode_special_tokens = bool(split_special_tokens)
    return tokenizer


def blocks(data):
    """(file, field, first text's number, texts); the field of a whole line is '-'."""
    for name in FILES:
        fields = ["-"] + (["title", "text"] if name.endswith(".jsonl") else [])
        for field in fields:
            zstd = subprocess.Popen(["zstd", "-dcq", "--long=27", f"{data}/{name}.zst"], stdout=subprocess.PIPE)
            lines = (line.rstrip(b"\n").decode() for line in zstd.stdout)
            texts = lines if field == "-" else (json.loads(line)[field] for line in lines)
            first = 1
            while block := list(itertools.islice(texts, BLOCK)):
                yield name, field, first, block
                first += len(block)
            assert zstd.wait() == 0


def framed(ids):
    return struct.pack("<I", len(ids)) + numpy.array(ids, dtype="<i4").tobytes()


def ours(driver, vocab_file, options, texts):
    given = b"".join(struct.pack("<I", len(text)) + text for text in (text.encode() for text in texts))
    command = [driver, vocab_file, *map(str, options)]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", default="../shared/data")
    arguments.add_argument("--driver", default="build/tokenize")
    arguments.add_argument("--tokenizer-json", help="compare with this file's tokenizer instead")
    arguments.add_argument("--digests", help="the file to write")
    given = arguments.parse_args()

    vocab_file = f"{given.data}/bert-base-uncased-vocab.txt"
    if given.tokenizer_json:
        tokenizer = Tokenizer.from_file(given.tokenizer_json)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        references = {"uncased": tokenizer}
    else:
        references = {name: reference(vocab_file, *options) for name, options in CONFIGURATIONS.items()}

    rows, counts, different = [], {}, 0
    for name, field, first, texts in blocks(given.data):
        for configuration, tokenizer in references.items():
            expected = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
            wanted = b"".join(map(framed, expected))
            n_ids = sum(map(len, expected))
            total = counts.setdefault((configuration, name, field), [0, 0])
            total[0] += len(texts)
            total[1] += n_ids
            rows.append((configuration, name, field, first, len(texts), n_ids, hashlib.sha256(wanted).hexdigest()))
            if ours(given.driver, vocab_file, CONFIGURATIONS[configuration], texts) != wanted:
                different += 1
                print(f"{configuration}: {name} {field}, texts from {first}: different", file=sys.stderr)
    for key, (n_texts, n_ids) in counts.items():
        print(*key, f"{n_texts} texts, {n_ids} ids")
    print(f"{different} of {len(rows)} blocks differ")
    if given.digests:
        with open(given.digests, "w", encoding="utf-8") as out:
            print("configuration\tfile\tfield\tfirst\ttexts\tids\tsha256", file=out)
            for row in rows:
                print(*row, sep="\t", file=out)
    return different != 0


if __name__ == "__main__":
    sys.exit(main())
