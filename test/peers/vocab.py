#!/usr/bin/env python3
"""Compares `moviebert vocab` with Hugging Face's WordPieceTrainer on the corpora of the data folder.

    cc -std=c17 -D_POSIX_C_SOURCE=200809L -O2 -Iinclude test/peers/tokenize.c build/libmoviebert.a -lutf8proc -o build/tokenize
    test/peers/vocab.py [--data FOLDER] [--tool ./moviebert] [--driver build/tokenize] [--encode 1000000]

Needs a server, where PGHOST and its like point; makes two tables there and drops them.  For each corpus, case and size:

- "plain": the reference as everybody runs it.  It numbers the "##c" in hash order, another one in each run, and numbers
  decide ties, so it differs from run to run; shown is how far our set is from it and, with --twice, how far it is from
  itself.  Its alphabet may differ only in characters of equal counts at the limit of 1000.
- "same numbers": the reference with the alphabet given in our order as special tokens.  Then nothing is left to chance,
  and its vocabulary must be ours, token by token.
- ids of --encode words by the reference's tokenizer and by ours, with the vocabulary that we trained.

Time and peak memory are those of whole processes; the reference's is a Python that reads the texts from a file.
Development only.
"""
import argparse
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MAX_CHARACTERS = 100


def parts(lowercase):
    from tokenizers import normalizers, pre_tokenizers

    return (normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=lowercase,
                                       lowercase=lowercase), pre_tokenizers.BertPreTokenizer())


def tokenizer_of(model, lowercase):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = parts(lowercase)
    return tokenizer


def without_long_words(lines, lowercase):
    """We do not learn from words that the tokenizer takes for [UNK]; the reference does, so it does not get them."""
    normalizer, pre_tokenizer = parts(lowercase)  # not those of the tokenizer in training, which is locked
    for line in lines:
        line = line.rstrip("\n")
        if re.search(r"\S{%d}" % (MAX_CHARACTERS + 1), line):
            words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(line))
            line = " ".join(word for word, _ in words if len(word) <= MAX_CHARACTERS)
        yield line


def train_reference(job):
    """Runs in a process of its own: prints the vocabulary in the order of ids, and what it took."""
    from tokenizers import models, trainers

    start = time.monotonic()
    tokenizer = tokenizer_of(models.WordPiece(unk_token="[UNK]"), job["lowercase"])
    trainer = trainers.WordPieceTrainer(
        vocab_size=job["size"], min_frequency=2, limit_alphabet=job["limit_alphabet"], show_progress=False,
        special_tokens=job["specials"])
    with open(job["corpus"], encoding="utf-8", newline="\n") as lines:
        tokenizer.train_from_iterator(without_long_words(lines, job["lowercase"]), trainer)
    vocab = tokenizer.get_vocab()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    json.dump({"vocab": sorted(vocab, key=vocab.get), "seconds": time.monotonic() - start,
               "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}, sys.stdout)


def reference(**job):
    run = subprocess.run([sys.executable, __file__, "--train-reference", json.dumps(job)], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def ours(tool, table, size, lowercase, output):
    start = time.monotonic()
    process = subprocess.Popen(
        [tool, "vocab", "-q", f"SELECT t FROM {table}", f"--size={size}", "-o", output, "--json", "--quiet"]
        + ([] if lowercase else ["--cased"]), stdout=subprocess.PIPE)
    report = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, "moviebert vocab failed"
    with open(output, encoding="utf-8", newline="\n") as lines:
        vocab = [line[:-1] for line in lines]
    return {"vocab": vocab, "report": report, "seconds": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1024}


def first_words(corpus, n):
    texts = []
    with open(corpus, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            texts.append(line.rstrip("\n"))
            n -= len(line.split())
            if n <= 0:
                break
    return texts


def same_encodings(driver, vocab_file, vocab, lowercase, texts):
    from tokenizers import models

    tokenizer = tokenizer_of(models.WordPiece({token: i for i, token in enumerate(vocab)}, unk_token="[UNK]",
                                              max_input_chars_per_word=MAX_CHARACTERS), lowercase)
    tokenizer.add_special_tokens(SPECIALS)
    expected = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    data = [text.encode() for text in texts]
    flag = str(int(lowercase))
    output = subprocess.run([driver, vocab_file, flag, flag, "1", "0"], stdout=subprocess.PIPE, check=True,
                            input=b"".join(struct.pack("<I", len(d)) + d for d in data)).stdout
    got, at = [], 0
    for _ in texts:
        (n,) = struct.unpack_from("<I", output, at)
        got.append(list(struct.unpack_from(f"<{n}i", output, at + 4)))
        at += 4 + 4 * n
    return sum(a == b for a, b in zip(expected, got)), sum(map(len, expected))


def psql(command, **how):
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", command], check=True, **how)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--tool", default="./moviebert")
    parser.add_argument("--driver", default="build/tokenize")
    parser.add_argument("--encode", type=int, default=1000000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8192, 30522])
    parser.add_argument("--corpora", nargs="+", default=["movies", "general"])
    parser.add_argument("--cases", nargs="+", default=["uncased", "cased"])
    parser.add_argument("--twice", action="store_true", help="run the reference twice")
    parser.add_argument("--train-reference", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train_reference:
        return train_reference(json.loads(args.train_reference))
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.corpora:
            corpus, table = f"{folder}/{name}.txt", f"moviebert_peer_{name}"
            with open(corpus, "wb") as out:
                subprocess.run(["zstd", "-dcq", "--long=27", f"{args.data}/corpus_{name}.txt.zst"], stdout=out, check=True)
            psql(f"CREATE UNLOGGED TABLE {table} (t text)")
            with open(corpus, "rb") as lines:
                psql(f"\\copy {table} from stdin with (format csv, delimiter E'\\x01', quote E'\\x02')", stdin=lines)
            try:
                for case in args.cases:
                    for size in args.sizes:
                        wrong += compare(args, corpus, table, name, case == "uncased", size, f"{folder}/vocab.txt")
            finally:
                psql(f"DROP TABLE {table}")
    print("all equal" if wrong == 0 else f"{wrong} comparisons failed")
    return int(wrong > 0)


def alphabet_account(report, mine, plain):
    """Of the characters at the limit, those of one count are the reference's to choose by chance; no others may differ."""
    theirs = {token for token in plain if len(token) == 1} - set(mine)
    at_limit = {c["character"] for c in report["alphabet"]["dropped"] if c["count"] == report["alphabet"]["dropped"][0]["count"]}
    if not theirs:
        return True, "alphabet equal"
    return theirs <= at_limit, f"{len(theirs)} characters of its alphabet are others, " + (
        "all tied at the limit" if theirs <= at_limit else "NOT all tied at the limit")


def compare(args, corpus, table, name, lowercase, size, vocab_file):
    mine = ours(args.tool, table, size, lowercase, vocab_file)
    kinds = mine["report"]["tokens"]
    numbered = mine["vocab"][: kinds["special"] + kinds["characters"] + kinds["continuing_characters"]]
    plain = reference(corpus=corpus, size=size, lowercase=lowercase, limit_alphabet=1000, specials=SPECIALS)
    again = plain
    if args.twice:
        again = reference(corpus=corpus, size=size, lowercase=lowercase, limit_alphabet=1000, specials=SPECIALS)
    fixed = reference(corpus=corpus, size=size, lowercase=lowercase, limit_alphabet=0, specials=numbered)
    texts = first_words(corpus, args.encode)
    equal, n_ids = same_encodings(args.driver, vocab_file, mine["vocab"], lowercase, texts)
    explained, alphabet = alphabet_account(mine["report"], mine["vocab"], plain["vocab"])
    ok = fixed["vocab"] == mine["vocab"] and equal == len(texts) and explained
    print(f"{name}, {'uncased' if lowercase else 'cased'}, {size}: {'ok' if ok else 'WRONG'}")
    print(f"  same numbers: {'equal, token by token' if fixed['vocab'] == mine['vocab'] else 'DIFFERENT'}"
          f" ({len(mine['vocab'])} tokens)")
    print(f"  plain: {len(set(mine['vocab']) - set(plain['vocab']))} of ours are not in the reference's"
          + (f", {len(set(again['vocab']) - set(plain['vocab']))} of its second run not in its first" if args.twice else "")
          + f"; {alphabet}")
    print(f"  encodings: {equal} of {len(texts)} texts equal, {n_ids} ids")
    print(f"  ours {mine['seconds']:.1f} s ({mine['cpu']:.1f} s of CPU), {mine['peak_mb']:.0f} MB; "
          f"reference {plain['seconds']:.1f} s ({plain['cpu']:.1f} s), {plain['peak_mb']:.0f} MB", flush=True)
    return int(not ok)


if __name__ == "__main__":
    sys.exit(main())
