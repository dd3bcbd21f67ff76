#!/usr/bin/env python3
"""Writes vocab.txt and cases.jsonl: hostile texts, and the ids that Hugging Face `tokenizers` gives them; unicode.sha256.

    python3 test/golden/tokenizer/make_golden.py         (needs the package tokenizers; development only)

Each line of cases.jsonl is a JSON object: "text", and the ids by the name of a configuration.  The vocabulary is made from
the texts: of each character seen and of each word some get a token to start with, some a piece to continue with, and some
nothing, by a hash of theirs, so that whole words, pieces and [UNK] all occur.

unicode.sha256 is the digest of what the reference makes of every code point; see unicode_digest.
"""
import hashlib
import itertools
import json
import os
import random
import zlib

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROLES = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
ADDITIONAL = ["<s>", "<s", "<s>>", "[SEP]]", "[CLS][SEP]", "film", "é", "中文", "ing"]
# name: lowercase, strip_accents, split_cjk, split_special_tokens, max_chars_per_word, additional_special_tokens
CONFIGURATIONS = {
    "uncased": (True, True, True, False, 100, []),
    "cased": (False, False, True, False, 100, []),
    "uncased_accents": (True, False, True, False, 100, []),
    "cased_stripped": (False, True, True, False, 100, []),
    "no_cjk": (True, True, False, False, 100, []),
    "split_specials": (True, True, True, True, 100, []),
    "additional": (True, True, True, False, 100, ADDITIONAL),
    "short_words": (True, False, True, False, 5, []),
}

SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x2010),
                           0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)]
CONTROLS = [chr(c) for c in (0, 1, 8, 14, 27, 0x7F, 0x80, 0x84, 0x86, 0x9F, 0xAD, 0x600, 0x61C, 0x6DD, 0x70F, 0x8E2, 0x200B, 0x200C,
                             0x200D, 0x200E, 0x200F, 0x202A, 0x202E, 0x2061, 0x2065, 0x2066, 0x2069, 0x206F, 0xFFF9, 0xFFFB,
                             0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0xFDD0, 0xFDEF, 0xE000, 0xF8FF, 0x110BD, 0x110CD, 0x13430,
                             0x1BCA0, 0x1D173, 0x1FFFE, 0xE0001, 0xE0020, 0xE007F, 0xE0100, 0xF0000, 0xFFFFD, 0xFFFFF,
                             0x100000, 0x10FFFD, 0x10FFFE, 0x10FFFF)]
PUNCTUATION = [chr(c) for c in (*range(0x21, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F), 0xA1, 0xA7,
                                0xAB, 0xB6, 0xB7, 0xBB, 0xBF, 0x37E, 0x387, 0x55A, 0x589, 0x5BE, 0x60C, 0x61B, 0x61F, 0x66A,
                                0x6D4, 0x964, 0x965, 0xE4F, 0x104A, 0x10FB, 0x166D, 0x1680, 0x17D4, 0x1800, 0x2010, 0x2013,
                                0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2026, 0x2030, 0x203D, 0x2044, 0x2052, 0x2053,
                                0x207D, 0x2308, 0x2329, 0x2768, 0x2E3A, 0x2E43, 0x2E52, 0x3001, 0x3002, 0x300C, 0x301C,
                                0x3030, 0x30FB, 0xA9C1, 0xFE10, 0xFE58, 0xFF01, 0xFF0C, 0xFF5E, 0x10100, 0x1056F, 0x1DA87,
                                0x1E95E)]
SYMBOLS = list("$+<=>^`|~€£¥©®™°±×÷¬¦¨¯´¸№℃←∀∑√∞≠⌂■☃♥✓➤⠿㈱㍿𝄞𝔸🀄🂡🄰") + ["\u1fef", "\u1ffd", "\u212a", "\u212b", "\u2126"]
# Combining characters without and with a class, stripped or kept by the reference, some newer than its tables.
MARKS = [chr(c) for c in (0x300, 0x301, 0x307, 0x308, 0x323, 0x327, 0x334, 0x344, 0x345, 0x34F, 0x360, 0x36F, 0x483, 0x488, 0x5B0,
                          0x5BF, 0x64B, 0x651, 0x670, 0x8D4, 0x8E3, 0x93C, 0x94D, 0x93E, 0x9BE, 0xC55, 0xDCA, 0xE38, 0xE48, 0xF71, 0xF72,
                          0xF73, 0xF74, 0xF75, 0x1037, 0x1AB0, 0x1ABE, 0x1AC1, 0x1B35, 0x1B44, 0x1BAA, 0x1BF2, 0x1CF7, 0x1DF6, 0x1DFA,
                          0x20DD, 0x20E3, 0x302A, 0x302E, 0x302F, 0x3099, 0x309A, 0xA953, 0xA9C0, 0xABEC, 0xFB1E, 0xFE0F, 0xFE20,
                          0x1133C, 0x1134D, 0x11366, 0x11935, 0x1193E, 0x16FF0, 0x1D165, 0x1D166, 0x1D167, 0x1D16D, 0x1D16E,
                          0x1D172, 0x1E130, 0x1E8D0, 0x1E944, 0x1E94A)]
LETTERS = [
    "Café crème brûlée", "gospić", "Ångström", "ﬁne oﬃce ﬂow ﬀ ﬅ", "Straße STRASSE ẞ ß", "İstanbul ISTANBUL ıIiİ", "ΌΔΟΣ Οδός ΣΑΣ ς σ",
    "ǅ ǆ Ǆ ǈ ǋ ǲ", "Ǻ ǻ Ǿ", "Ŀ ŀ ĳ Ĳ", "ſ K Å Ω", "ÿ Ÿ", "Œuvre œuf Æther ætt", "Łódź łódź Ðð Þþ Øø Đđ Ħħ Ŧŧ", "Ơ ơ Ư ư Việt Nam Tiếng Việt phở",
    "Привет МИР ёЁйЙ ЇїЎў", "Ѐ ѝ Ѓ ѓ ӂ Ӵ", "Ա ա և", "Ⴀ ⴀ ა Ა", "Ꭰ ꭰ Ᏸ ᏸ", "Ω ὼ ᾳ ᾼ ᾀ ᾈ ῼ Ὠ ᾮ", "Ⓐ ⓐ Ⅷ ⅷ", "𐐀𐐨 𐒰𐓘 𐲀𐳀 𑢠𑣀 𖹀𖹠 𞤀𞤢", "Ꞌ ꞌ Ꞑ Ɡ Ɪ Ʞ Ꟃ Ꟈ Ꟶ Ꟑ", "Ɤ Ƛ Ꟊ Ꟍ Ꟛ Ꟁ", "Ａｂｃ １２３ ｶﾞ",
    "日本語のテキスト", "東京タワー", "中文字符测试", "漢字kanji漢字", "カタカナ ガギグ パピプ", "が か\u3099 は\u309a", "한국어 텍스트 각 각", "ᄀ 가 가 각 힣 ꥠ ힰ ퟋ",
    "㐀 䶿 一 鿿 𠀀 𪛟 𪜀 𫜿 𫝀 𫠝 𫠠 𫢠 𫤟 𫤠 𬺯 𬺰 𮯠 𰀀 𱍐", "豈 更 﨑 塚 丽 𪘀", "々 〇 〆 ヶ ㋿ ㍻", "ㄅㄆㄇ ㆠ", "ꀀ ꒌ 𗀀 𘠀 𖿠 𛅰",
    "नमस्ते दुनिया क्षत्रिय क़ ख़", "বাংলা ভাষা ো য়", "ਪੰਜਾਬੀ ਸ਼", "தமிழ் கொ கௌ", "తెలుగు ై", "ಕನ್ನಡ ೋ", "മലയാളം ൊ ൌ", "සිංහල ෝ ෞ", "ไทย ภาษาไทย กำ", "ລາວ ຳ", "བོད་སྐད་ ཱི གྷ", "မြန်မာ ဦ", "ខ្មែរ", "ᬒ ᬆ ᭀ", "𑄮 𑍋 𑒻 𑖺 𑤸",
    "العَرَبِيَّة آ أ ؤ إ ئ ۀ ۂ ۓ", "שָׁלוֹם שׁ שּׁ יִ ﬡ", "‏שלום‎ hello ‫مرحبا‬", "فارسی می‌خواهم", "ހުސް", "ܫܠܡܐ", "ߒߞߏ߫", "አማርኛ ፡ ።", "ᏣᎳᎩ", "ᐃᓄᒃᑎᑐᑦ", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "ᠮᠣᠩᠭᠣᠯ᠎ᠠ",
]
EMOJI = ["😀", "👩‍👩‍👧‍👦 family", "👍🏽 ok", "🇩🇪🇫🇷", "1️⃣2️⃣#️⃣", "❤️", "❤︎", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🧑🏿‍🚀", "a😀b", "😀😀😀", "☺️☺", "🏳️‍🌈", "👁️‍🗨️", "🫠🫡", "🪿🩷", "🫩"]
SENTENCES = [
    "", " ", "  \t\n ", "a", "A", "The quick brown fox jumps over the lazy dog.", "It's 5 o'clock; don't go!", "e-mail: a.b@c.de, http://x.y/z?q=1&r=2#f",
    "$1,234.56 (50%) ~ <b>bold</b> {x} [y] a_b ^ | \\", "...!!!???", "-- --- – —", "x" * 200, "film films filming FILM Film fiLm reFILMed", "ingesting sing ing",
    "Hello\u0000World", "line one\r\nline two\rline three\n\n\nfour", "tab\tseparated\tvalues", "trailing space ", " leading space", "a\u200bb\u200cc\u200dd\ufeffe",
    "soft\u00adhyphen", "non\u00a0breaking", "zero\u200bwidth", "The Matrix (1999) — a film by the Wachowskis", "WALL·E", "Amélie", "Léon: The Professional", "Pokémon", "Señor", "naïve façade", "Dvořák", "Motörhead",
    "'", "''", "\u2019s", "don\u2019t", "\u201cquoted\u201d", "1st 2nd 3rd", "3.14", "1e10", "C++ C# F#", "AT&T", "##ing", "## ing", "#", "##", "a##b", "[unused1]", "[unused1", "unused1", "[ SEP ]", "_", "__init__", "a\\nb", "A" * 99 + " b", "ǰ ẖ ẗ ẘ ẙ ẚ", "ŉ", "ΐ ΰ", "և", "ﬓ ﬗ",
]


def long_words():
    for n in (4, 5, 6, 98, 99, 100, 101, 102, 199, 200, 201):
        yield "x" * n
        yield "X" * n + "y"
        yield "é" * n
        yield "e\u0301" * n
        yield "\u302e" * n
        yield "a" + "\u302f\u302e" * (n // 2)
        yield "İ" * n
        yield "中" * n
        yield "가" * n
        yield "😀" * n
        yield "a" * n + " " + "b" * n
        yield "a" * n + "." + "b" * n
        yield "a" * n + "\u0301"
        yield "a" * n + "\u200b"
        yield "a" * n + "[SEP]" + "b" * n
        yield "ab" * (n // 2) + "\u1baa" * 3


def special_tokens():
    for token in ROLES:
        for text in (token, token.lower(), token.title(), token[:-1], token[1:], token + token, "a" + token + "b", "a " + token + " b",
                     token + ".", "[" + token + "]", " " + token + " ", token + "\u0301", "e" + token + "\u0301", token.replace("[", "[ "),
                     token[:3] + "\u200b" + token[3:], token[:2] + "[" + token, "\u302e" + token + "\u302e", "中" + token + "文"):
            yield text
    yield from ("[[[[SEP]]]]", "[SEP][SEP]]", "[CLS][SEP]", "[CLS][SEP", "[CLS][CLS][SEP]]", "[CLS]film[SEP]", "<s>", "<s", "<s>>", "<s>>>", "<<s>", "<S>", "< s>",
                "é", "É", "e\u0301", "caféx", "中文", "中 文", "大中文字", "[PAD][MASK][UNK]", "[SE[SEP]P]", "[MASK]ed", "un[MASK]", "[mask]", "［SEP］", "[ＳＥＰ]", "[SEP\u0301]", "[\u0301SEP]")


def texts():
    random.seed(20261124)
    yield from SENTENCES
    yield from LETTERS
    yield from (text.swapcase() for text in LETTERS)
    yield from EMOJI
    yield from (f"a{c}b {c} {c}{c}x" for c in SPACES)
    yield from (f"a{c}b {c} {c}{c}x" for c in CONTROLS)
    yield from (f"a{c}b {c}c" for c in PUNCTUATION)
    yield from (f"a{c}b {c}c" for c in SYMBOLS)
    yield from (f"a{m}b {m} {m}{m}e ." + m for m in MARKS)
    for _ in range(60):
        yield "".join(random.choice("aeoAE. ") + "".join(random.choices(MARKS, k=random.randint(0, 5))) for _ in range(5))
    yield from long_words()
    yield from special_tokens()
    pool = SPACES + CONTROLS + PUNCTUATION + SYMBOLS + MARKS * 2 + ROLES + ADDITIONAL + list("abcdeABCDE éÉ中文한글") * 6
    for _ in range(150):
        yield "".join(random.choices(pool, k=random.randint(1, 15)))


def unicode_digest():
    """For each code point but surrogates, in order: itself, its NFD, its lower case, and whether it is removed, space,
    punctuation or a stripped mark; if NFD sorts it behind U+0334 or before U+0300, also which of PROBES it comes before."""
    probes = [chr(c) for c in (0x334, 0x16FF0, 0x93C, 0x3099, 0x94D, 0x5B0, 0x5BF, 0x64B, 0xE38, 0xF71, 0xF72, 0xF74, 0x327, 0x1DCE,
                               0x302A, 0x323, 0x59A, 0x302E, 0x1D16D, 0x5AE, 0x301, 0x315, 0x35C, 0x35D, 0x345)]
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    nfd = normalizers.NFD().normalize_str
    lower = normalizers.BertNormalizer(**{**options, "lowercase": True}).normalize_str
    strip = normalizers.BertNormalizer(**{**options, "strip_accents": True}).normalize_str
    clean = normalizers.BertNormalizer(**{**options, "clean_text": True}).normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    digest = hashlib.sha256()
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        char = chr(c)
        words = len(split("a" + char + "b"))
        facts = [clean("a" + char + "b") == "ab", words == 2, words == 3, strip(char) == ""]
        line = f"{char} {nfd(char)} {lower(char)} " + "".join("01"[fact] for fact in facts)
        if nfd(char) == char and (nfd("a" + char + "\u0334") != "a" + char + "\u0334" or nfd("a\u0300" + char) != "a\u0300" + char):
            line += " " + "".join("01"[probe != char and nfd("a" + probe + char) == "a" + char + probe] for probe in probes)
        digest.update((line + "\n").encode())
    return digest.hexdigest()


def reference(vocab, lowercase, strip_accents, split_cjk, split_special_tokens, max_chars, additional):
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=max_chars))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=split_cjk, strip_accents=strip_accents, lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(ROLES + additional)
    tokenizer.encode_special_tokens = split_special_tokens
    return tokenizer


def make_vocabulary(all_texts):
    """vocab.txt's lines, some of them with white space at their end."""
    lines = dict.fromkeys(["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ADDITIONAL, "", "##", "not one word", "a-b", "##[SEP]"])
    lines.update(dict.fromkeys(chr(c) for c in range(0x21, 0x7F)))
    lines.update(dict.fromkeys("##" + c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
    tokenizers = [reference({"[UNK]": 0}, *options) for options in CONFIGURATIONS.values()]
    for text, tokenizer in itertools.product(all_texts, tokenizers):
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            for char in word:
                chosen = zlib.crc32(char.encode()) % 8
                if chosen >= 1:
                    lines.setdefault("##" + char)
                if chosen >= 2:
                    lines.setdefault(char)
            chosen = zlib.crc32(word.encode()) % 12
            if 2 <= len(word) <= 30 and chosen < 7:
                lines.setdefault((word, word[:2], word[: len(word) // 2 + 1], "##" + word[1:], "##" + word[-2:], "##" + word[1:3], "##" + word[-3:])[chosen])
    ends = ["", "", "", " ", "\t", "\r", " \u3000", "\x85", "\u2028"]
    return [line + (ends[zlib.crc32(line.encode()) % len(ends)] if line.isascii() else "") for line in lines]


def main():
    all_texts = list(dict.fromkeys(texts()))
    vocab_file = os.path.join(FOLDER, "vocab.txt")
    with open(vocab_file, "w", encoding="utf-8", newline="") as out:
        out.write("\n".join(make_vocabulary(all_texts)))
    vocab = models.WordPiece.read_file(vocab_file)
    tokenizers = {name: reference(vocab, *options) for name, options in CONFIGURATIONS.items()}
    with open(os.path.join(FOLDER, "cases.jsonl"), "w", encoding="ascii") as out:
        for text in all_texts:
            case = {"text": text}
            for name, tokenizer in tokenizers.items():
                case[name] = tokenizer.encode(text, add_special_tokens=False).ids
            print(json.dumps(case, separators=(",", ":")), file=out)
    with open(os.path.join(FOLDER, "unicode.sha256"), "w", encoding="ascii") as out:
        print(unicode_digest(), file=out)
    print(f"{len(all_texts)} texts, {len(vocab)} tokens")


if __name__ == "__main__":
    main()
