"""Writes cases.json: vocabularies that Hugging Face's WordPieceTrainer makes of small corpora without ties.

Usage: python make.py [cases.json]

The trainer breaks ties in hash order, another one in each run.  A corpus counts as one without ties if RUNS runs give the
same set of tokens.  What is compared is therefore the set; it is written sorted.
"""
import json
import os
import random
import sys

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

RUNS = 12
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train(lines, options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=options["strip_accents"], lowercase=options["lowercase"])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=options["size"], min_frequency=options["min_frequency"], limit_alphabet=options["limit_alphabet"],
        show_progress=False, special_tokens=SPECIALS)
    tokenizer.train_from_iterator(lines, trainer)
    return sorted(tokenizer.get_vocab())


def case(name, lines, **options):
    options = {"size": 1000, "min_frequency": 2, "limit_alphabet": 1000, "lowercase": True, "strip_accents": True} | options
    vocab = train(lines, options)
    without_ties = all(train(lines, options) == vocab for _ in range(RUNS - 1))
    return {"name": name, **options, "lines": lines, "vocab": vocab} if without_ties else None


def settled(name, make, **options):
    """The first seed whose corpus has no ties that matter."""
    for seed in range(1000):
        found = case(name, make(random.Random(seed)), **options)
        if found:
            print(f"{name}: seed {seed}, {len(found['lines'])} lines, {len(found['vocab'])} tokens")
            return found
    sys.exit(f"{name}: no corpus without ties")


def syllables(rng, starts, middles, ends, n):
    """Words of one to four syllables."""
    return ["".join(rng.choice(starts) + rng.choice(middles) + rng.choice(ends) for _ in range(rng.randint(1, 4)))
            for _ in range(n)]


def corpus(rng, words, n_lines, dress=lambda rng, word: word):
    """The words with counts that fall as Zipf's law has it, in lines, shuffled."""
    bag = [word for rank, word in enumerate(words) for _ in range(1 + int(9 * len(words) / (rank + 1) / 10))]
    rng.shuffle(bag)
    bag = [dress(rng, word) for word in bag]
    step = -(-len(bag) // n_lines)
    return [" ".join(bag[i: i + step]) for i in range(0, len(bag), step)]


def plain(rng):
    return corpus(rng, syllables(rng, "bcdfglmnprstvw", "aeiou", ["", "", "n", "r", "st"], 150), 40)


def dressed(rng):
    """Capitals, accents, punctuation, ideographs, control characters: what happens before words are words."""
    def dress(rng, word):
        kind = rng.randrange(10)
        if kind == 0:
            word = word.capitalize()
        elif kind == 1:
            word = word.replace("e", "\u00e9").replace("o", "o\u0308")
        elif kind == 2:
            word = f"({word}),"
        elif kind == 3:
            word = f"{word}\u6620\u753b{word[0]}"
        elif kind == 4:
            word = f"{word}\u00ad\u200b\u0007{word[::-1]}!"
        elif kind == 5:
            word = f"{word}'s\u00a0\u2014\u3000$5 [SEP]"
        return word

    return corpus(rng, syllables(rng, "bdgklmnst", "aeiou", ["", "n", "r"], 80), 30, dress)


def repeated(rng):
    """Overlaps: words of few letters."""
    return corpus(rng, ["".join(rng.choice("aab") for _ in range(rng.randint(1, 14))) for _ in range(30)], 10)


def strange(rng):
    """Rare letters, of counts that differ, beyond the limit."""
    words = syllables(rng, "bdglmnst", "aeiou", ["", "n"], 60)
    letters = [chr(0x430 + i) for i in range(12)]
    lines = corpus(rng, words, 20)
    for i, letter in enumerate(letters):
        for _ in range(2 + 3 * i):
            j = rng.randrange(len(lines))
            k = rng.randrange(len(lines[j]) + 1)
            lines[j] = lines[j][:k] + letter + lines[j][k:]
    return lines


def main():
    output = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
    cases = [
        settled("plain", plain, size=120),
        settled("plain, more tokens", plain, size=220),
        settled("plain, frequent pairs only", plain, min_frequency=12),
        settled("dressed", dressed, size=150),
        settled("dressed, accents kept", dressed, size=150, strip_accents=False),
        settled("dressed, cased", dressed, size=190, lowercase=False, strip_accents=False),
        settled("repeated letters", repeated, size=30),
        settled("limited alphabet", strange, size=110, limit_alphabet=20),
    ]
    with open(output, "w", encoding="utf-8") as out:
        json.dump({"tokenizers": tokenizers.__version__, "cases": cases}, out, ensure_ascii=True, indent=0, sort_keys=True)
        out.write("\n")


if __name__ == "__main__":
    main()
