#!/usr/bin/env python3
"""Hugging Face `tokenizers` on the texts of bench_tokenizer.c, one thread.  Prints a JSON object; speeds are per second of
processor time.

    peer_tokenizer.py [CHECKPOINT-FOLDER]     (its vocab.txt; else the data folder's vocabulary)
"""
import json
import os
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

TEXT_BYTES = 32_000_000
data = os.environ.get("MOVIEBERT_DATA", "../shared/data")
vocab = os.path.join(sys.argv[1], "vocab.txt") if len(sys.argv) > 1 else f"{data}/bert-base-uncased-vocab.txt"
tokenizer = Tokenizer(models.WordPiece.from_file(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
tokenizer.normalizer = normalizers.BertNormalizer()
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])

source = "corpus_movies.txt"
zstd = subprocess.Popen(["zstd", "-dcq", "--long=27", f"{data}/{source}.zst"], stdout=subprocess.PIPE)
text = zstd.stdout.read(TEXT_BYTES)
zstd.kill()
lines = text[: text.rindex(b"\n")].decode().split("\n")

# encode_batch_fast leaves out the offsets, which is the fairer of the two; older versions have the other only.
encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
best, tokens = 1e9, 0
for _ in range(3):
    seconds = tokens = 0
    for i in range(0, len(lines), 1000):
        start = time.process_time()
        encodings = encode(lines[i : i + 1000], add_special_tokens=False)
        seconds += time.process_time() - start
        tokens += sum(map(len, encodings))
    best = min(best, seconds)
size = sum(len(line.encode()) + 1 for line in lines)
print(json.dumps({"library": f"tokenizers {tokenizers.__version__}", "texts_from": source, "texts": len(lines), "bytes": size, "tokens": tokens,
                  "mb_per_s": round(1e-6 * size / best, 2), "million_tokens_per_s": round(1e-6 * tokens / best, 3)}))
