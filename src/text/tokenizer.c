/*
 * tokenizer.c - text -> ids, in one pass over the text and without memory of its own.
 *
 * Each code point goes through the reference's steps by itself, and what comes out is collected into a word, which
 * white space or punctuation ends.  One step looks beyond one code point: canonical decomposition sorts combining
 * characters by their class.  Accents are stripped right after it, so that only the few combining characters which are
 * not accents have to wait until the next starter.  They are part of one word, which is [UNK] if it is longer than
 * max_chars_per_word; so neither the word nor the marks behind it ever need more room than that.
 */
#include "vocabulary.h"

/* How much of a text is read before the caller is asked whether to go on. */
#define STRETCH 65536

typedef struct mark
{
	mb_codepoint c;
	int combining_class;
} mark;

/* A text is either tokenized or only split: v, longest and ids are of no use to the latter, on_word to the former. */
typedef struct tokenizing
{
	vocabulary v;
	mb_word_callback on_word; /* NULL: look words up */
	void *on_word_arg;
	const uint8_t *byte_kinds; /* [256] */
	size_t max_chars;
	size_t longest[2];
	bool lowercase, strip_accents, split_cjk;

	int32_t *ids;
	size_t capacity;
	size_t n_ids;

	size_t word_bytes;
	size_t word_chars; /* may exceed max_chars, but only by one */
	size_t n_marks;    /* of the word, behind what is in word; may exceed max_chars, but only by one */

	mark marks[MB_VOCABULARY_MAX_WORD_CHARS];
	unsigned char word[4 * MB_VOCABULARY_MAX_WORD_CHARS + 8]; /* padded, so that 8 can be read anywhere */
} tokenizing;

static inline void
put_id(tokenizing *t, uint32_t id)
{
	if (t->n_ids < t->capacity)
		t->ids[t->n_ids] = (int32_t) id;
	t->n_ids++;
}

/* ---- WordPiece --------------------------------------------------------------------------------------------------- */

/* The id of the longest key that word[at..) starts with, and its length; or MB_NO_TOKEN. */
static uint32_t
longest_match(const tokenizing *t, size_t at, size_t *matched)
{
	const unsigned char *key = t->word + at;
	bool continues = at > 0;
	size_t most = t->word_bytes - at;
	uint64_t hashes[MB_VOCABULARY_MAX_TOKEN_BYTES / 8 + 1]; /* hashes[i]: of the first i full words of 8 bytes */

	if (most > t->longest[continues])
	{
		most = t->longest[continues];
		while (most > 0 && mb_utf8_continues(key[most]))
			most--;
	}
	hashes[0] = t->v.header->seed;
	for (size_t i = 0; 8 * (i + 1) < most; i++)
		hashes[i + 1] = vocabulary_mix(hashes[i], vocabulary_head(key + 8 * i, 8));

	while (most > 0)
	{
		size_t full = (most - 1) / 8;
		uint32_t shape = (uint32_t) most << 1 | continues;
		uint64_t last = vocabulary_head(key + 8 * full, most - 8 * full);
		uint64_t head = full == 0 ? last : vocabulary_head(key, 8);
		uint32_t id = vocabulary_find(&t->v, vocabulary_hash(hashes[full], last, shape), head, shape, key);

		if (id != MB_NO_TOKEN)
		{
			*matched = most;
			return id;
		}
		do
			most--;
		while (most > 0 && mb_utf8_continues(key[most]));
	}
	return MB_NO_TOKEN;
}

static void
put_pieces(tokenizing *t)
{
	size_t n_before = t->n_ids;
	size_t at = 0;

	/* Most words are short, and tokens as they stand. */
	if (t->word_bytes <= 8 && t->word_chars <= t->max_chars)
	{
		uint64_t head = vocabulary_head(t->word, t->word_bytes);
		uint32_t shape = (uint32_t) t->word_bytes << 1;
		uint32_t id = vocabulary_find(&t->v, vocabulary_hash(t->v.header->seed, head, shape), head, shape, t->word);

		if (id != MB_NO_TOKEN)
		{
			put_id(t, id);
			return;
		}
	}
	if (t->word_chars <= t->max_chars)
	{
		while (at < t->word_bytes)
		{
			size_t matched = 0;
			uint32_t id = longest_match(t, at, &matched);

			if (id == MB_NO_TOKEN)
				break;
			put_id(t, id);
			at += matched;
		}
		if (at == t->word_bytes)
			return;
	}
	t->n_ids = n_before;
	put_id(t, t->v.header->unk_id);
}

/* ---- collecting words -------------------------------------------------------------------------------------------- */

static void
add_to_word(tokenizing *t, mb_codepoint c)
{
	if (t->word_chars < t->max_chars)
	{
		t->word_bytes += mb_utf8_encode(c, t->word + t->word_bytes);
		t->word_chars++;
	}
	else
		t->word_chars = t->max_chars + 1;
}

static inline void
end_word_without_marks(tokenizing *t)
{
	if (t->word_chars > 0)
	{
		if (t->on_word == NULL)
			put_pieces(t);
		else
			t->on_word(t->on_word_arg, (const char *) t->word, t->word_bytes, t->word_chars > t->max_chars);
		t->word_bytes = 0;
		t->word_chars = 0;
	}
}

/* A code point that has been normalised but for lower-casing. */
static void
add_normalised(tokenizing *t, mb_codepoint c, unsigned classes)
{
	mb_codepoint out[2] = {c, 0};
	size_t n = 1;

	/* The case of a letter makes it neither space nor punctuation. */
	if ((classes & MB_CASED) != 0 && t->lowercase)
		n = mb_lowercase(c, out);
	if ((classes & MB_SPACE) != 0)
		end_word_without_marks(t);
	else if ((classes & MB_PUNCTUATION) != 0)
	{
		end_word_without_marks(t);
		add_to_word(t, c);
		end_word_without_marks(t);
	}
	else
	{
		for (size_t i = 0; i < n; i++)
			add_to_word(t, out[i]);
	}
}

static void
add_marks(tokenizing *t)
{
	if (t->n_marks > t->max_chars)
		t->word_chars = t->max_chars + 1;
	else
	{
		for (size_t i = 0; i < t->n_marks; i++)
			add_normalised(t, t->marks[i].c, mb_classes(t->marks[i].c));
	}
	t->n_marks = 0;
}

/* Keeps marks sorted by class, those of one class in the text's order. */
static void
wait_as_mark(tokenizing *t, mb_codepoint c)
{
	int combining_class = mb_combining_class(c);
	size_t i = t->n_marks;

	if (t->n_marks >= t->max_chars)
	{
		t->n_marks = t->max_chars + 1;
		return;
	}
	for (; i > 0 && t->marks[i - 1].combining_class > combining_class; i--)
		t->marks[i] = t->marks[i - 1];
	t->marks[i] = (mark){c, combining_class};
	t->n_marks++;
}

static inline void
end_word(tokenizing *t)
{
	if (t->n_marks > 0)
		add_marks(t);
	end_word_without_marks(t);
}

/* One code point of a canonical decomposition. */
static void
add_decomposed(tokenizing *t, mb_codepoint c, unsigned classes)
{
	bool stripped = (classes & MB_MARK) != 0;

	if ((classes & MB_COMBINING) != 0)
	{
		if (!stripped)
			wait_as_mark(t, c);
		return;
	}
	if (t->n_marks > 0)
		add_marks(t);
	if (!stripped)
		add_normalised(t, c, classes);
}

static void
add_codepoint(tokenizing *t, mb_codepoint c)
{
	unsigned classes = mb_classes(c);
	bool apart = (classes & MB_IDEOGRAPH) != 0 && t->split_cjk;

	if ((classes & MB_REMOVED) != 0)
		return;
	if (apart)
		end_word(t);
	if (!t->strip_accents)
		add_normalised(t, c, classes);
	else if ((classes & MB_DECOMPOSES) != 0)
	{
		mb_codepoint parts[MB_MAX_DECOMPOSITION];
		size_t n = mb_decompose(c, parts);

		for (size_t i = 0; i < n; i++)
			add_decomposed(t, parts[i], mb_classes(parts[i]));
	}
	else
		add_decomposed(t, c, classes);
	if (apart)
		end_word(t);
}

/* ---- the text ---------------------------------------------------------------------------------------------------- */

/* The first of specials[low..high) whose byte i is at least `byte`; they are sorted, and longer than i. */
static size_t
first_special(const vocabulary *v, size_t low, size_t high, size_t i, int byte)
{
	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (v->text[v->starts[v->specials[middle]] + i] < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The bytes of the longest special token that text starts with, and its id; 0 if there is none. */
static size_t
match_special(const vocabulary *v, const unsigned char *text, size_t size, uint32_t *id)
{
	size_t low = 0, high = v->header->n_specials;
	size_t matched = 0, i = 0;

	/* Those of [low, high) begin with text[0..i), and shorter ones come first. */
	while (low < high)
	{
		uint32_t first = v->specials[low];

		if (v->starts[first + 1] - v->starts[first] == i)
		{
			matched = i;
			*id = first;
			low++;
		}
		else if (i == size)
			break;
		else
		{
			low = first_special(v, low, high, i, text[i]);
			high = first_special(v, low, high, i, text[i] + 1);
			i++;
		}
	}
	return matched;
}

/* Eight bytes at a time: 0x20 wherever a byte is between 'A' and 'Z'. */
static inline uint64_t
capitals(uint64_t letters)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = 0x80 * ones;
	uint64_t low = letters & ~high;
	uint64_t from_a = low + (0x80 - 'A') * ones, beyond_z = low + (0x80 - 'Z' - 1) * ones;

	return (from_a & ~beyond_z & ~letters & high) >> 2;
}

/* ASCII letters, digits and whatever else of ASCII does not end a word; n of them, and `readable` bytes in all. */
static void
add_letters(tokenizing *t, const unsigned char *letters, size_t n, size_t readable)
{
	unsigned char *to;
	size_t room, i;

	if (t->n_marks > 0)
		add_marks(t);
	room = t->word_chars < t->max_chars ? t->max_chars - t->word_chars : 0;
	if (n > room)
	{
		/* One [UNK], whatever its letters. */
		t->word_chars = t->max_chars + 1;
		return;
	}
	to = t->word + t->word_bytes;
	for (i = 0; i < n && readable - i >= 8; i += 8)
	{
		uint64_t eight;

		memcpy(&eight, letters + i, 8);
		if (t->lowercase)
			eight |= capitals(eight);
		memcpy(to + i, &eight, 8);
	}
	for (; i < n; i++)
		to[i] = (unsigned char) (letters[i] | (t->lowercase ? capitals(letters[i]) : 0));
	t->word_bytes += n;
	t->word_chars += n;
}

static mb_status
read_text(tokenizing *t, const char *text, size_t text_bytes, const mb_interrupt *interrupt, mb_error *err)
{
	const unsigned char *bytes = (const unsigned char *) text;
	const uint8_t *kinds = t->byte_kinds;
	size_t at = 0, ask_at = STRETCH;

	while (at < text_bytes)
	{
		unsigned kind = kinds[bytes[at]];

		if (at >= ask_at)
		{
			if (mb_interrupted(interrupt))
				return mb_fail(err, MB_CANCELLED, "tokenizing was cancelled");
			ask_at = at + STRETCH;
		}
		if ((kind & MB_BYTE_SPECIAL) != 0)
		{
			uint32_t id = 0;
			size_t n = match_special(&t->v, bytes + at, text_bytes - at, &id);

			if (n > 0)
			{
				end_word(t);
				put_id(t, id);
				at += n;
				continue;
			}
			kind &= ~(unsigned) MB_BYTE_SPECIAL;
		}
		switch (kind)
		{
			case MB_BYTE_LETTER:
			{
				size_t first = at;

				do
					at++;
				while (at < text_bytes && kinds[bytes[at]] == MB_BYTE_LETTER);
				add_letters(t, bytes + first, at - first, text_bytes - first);
				break;
			}
			case MB_BYTE_SPACE:
				end_word(t);
				at++;
				break;
			case MB_BYTE_PUNCTUATION:
				end_word(t);
				add_to_word(t, bytes[at]);
				end_word_without_marks(t);
				at++;
				break;
			case MB_BYTE_REMOVED:
				at++;
				break;
			default:
			{
				mb_codepoint c = 0;
				size_t n = mb_utf8_decode(bytes + at, text_bytes - at, &c);

				if (n == 0)
				{
					mb_fail(err, MB_INVALID_UTF8, "text is not valid UTF-8");
					mb_detail(err, "The byte sequence at byte offset %zu is ill-formed.", at);
					return MB_INVALID_UTF8;
				}
				add_codepoint(t, c);
				at += n;
			}
		}
	}
	end_word(t);
	return MB_OK;
}

mb_status
mb_tokenize(const mb_tokenizer *tokenizer, const char *text, size_t text_bytes, int32_t *ids, size_t capacity,
			size_t *n_ids, const mb_interrupt *interrupt, mb_error *err)
{
	tokenizing t;
	mb_status status;

	t.v = vocabulary_of(tokenizer);
	t.on_word = NULL;
	t.byte_kinds = t.v.header->byte_kinds;
	t.max_chars = t.v.header->max_chars_per_word;
	t.longest[0] = t.v.header->longest[0];
	t.longest[1] = t.v.header->longest[1];
	t.lowercase = t.v.header->lowercase;
	t.strip_accents = t.v.header->strip_accents;
	t.split_cjk = t.v.header->split_cjk;
	t.ids = ids;
	t.capacity = capacity;
	t.n_ids = 0;
	t.word_bytes = 0;
	t.word_chars = 0;
	t.n_marks = 0;
	status = read_text(&t, text, text_bytes, interrupt, err);
	*n_ids = status == MB_OK ? t.n_ids : 0;
	return status;
}

mb_status
mb_split_words(const mb_tokenizer_options *options, const char *text, size_t text_bytes, mb_word_callback on_word,
			   void *arg, const mb_interrupt *interrupt, mb_error *err)
{
	uint8_t byte_kinds[256];
	tokenizing t;

	if (options->max_chars_per_word < 1 || options->max_chars_per_word > MB_VOCABULARY_MAX_WORD_CHARS)
		return mb_fail(err, MB_INVALID_ARGUMENT, "words of at most %ld characters are not supported",
					   (long) options->max_chars_per_word);
	mb_plain_byte_kinds(byte_kinds);
	t.on_word = on_word;
	t.on_word_arg = arg;
	t.byte_kinds = byte_kinds;
	t.max_chars = (size_t) options->max_chars_per_word;
	t.lowercase = options->lowercase;
	t.strip_accents = options->strip_accents;
	t.split_cjk = options->split_cjk;
	t.word_bytes = 0;
	t.word_chars = 0;
	t.n_marks = 0;
	return read_text(&t, text, text_bytes, interrupt, err);
}
