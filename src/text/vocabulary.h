/*
 * vocabulary.h - the packed vocabulary: where its parts stand, and looking a token up.
 *
 * A blob is, in the machine's own byte order, each part directly after the one before:
 *
 *   header
 *   slots    [n_slots]       open addressing with linear probing; a power of two, at most half of it used
 *   starts   [n_tokens + 1]  token i's bytes are text[starts[i]..starts[i + 1])
 *   specials [n_specials]    ids of tokens that are matched literally, sorted by their bytes
 *   text     [text_bytes]    all tokens' bytes, one after another; zeros fill up to a multiple of 8
 *
 * A token "##ing" is the key "ing" of the kind "continues a word"; any other token is a key of the kind "starts a
 * word".
 */
#ifndef MOVIEBERT_TEXT_VOCABULARY_H
#define MOVIEBERT_TEXT_VOCABULARY_H

#include <string.h>

#include "moviebert/tokenizer.h"
#include "unicode.h"

#define MB_VOCABULARY_MAX_TOKENS ((uint32_t) 1 << 24)
#define MB_VOCABULARY_MAX_TOKEN_BYTES 1000
/* The tokenizer holds a word, and the marks behind it, on the stack. */
#define MB_VOCABULARY_MAX_WORD_CHARS 1000

#define MB_NO_TOKEN UINT32_MAX

/* What a byte of a text may be. */
enum
{
	MB_BYTE_LETTER, /* ASCII, part of a word */
	MB_BYTE_SPACE,
	MB_BYTE_PUNCTUATION,
	MB_BYTE_REMOVED,
	MB_BYTE_WIDE,         /* of a code point beyond ASCII */
	MB_BYTE_SPECIAL = 128 /* or'ed: a special token may begin here */
};

typedef struct vocabulary_header
{
	char magic[8];
	uint64_t size; /* of the whole blob */
	uint64_t seed; /* of the hash */
	uint64_t text_bytes;
	uint32_t n_slots;
	uint32_t n_tokens;
	uint32_t n_specials;
	uint32_t max_chars_per_word;
	uint32_t longest[2]; /* bytes of the longest key that starts a word, and that continues one */
	uint32_t unk_id, cls_id, sep_id, pad_id, mask_id;
	uint8_t lowercase, strip_accents, split_cjk, split_special_tokens;
	uint8_t byte_kinds[256];
} vocabulary_header;

typedef struct vocabulary_slot
{
	uint64_t head;  /* the key's first 8 bytes as they stand in memory, then zeros */
	uint32_t shape; /* the key's bytes * 2, + 1 if it continues a word */
	uint32_t id;    /* MB_NO_TOKEN: the slot is free */
} vocabulary_slot;

typedef struct vocabulary
{
	const vocabulary_header *header;
	const vocabulary_slot *slots;
	const uint32_t *starts;
	const uint32_t *specials;
	const unsigned char *text;
} vocabulary;

/* The kind of each byte where no special token matters. */
void mb_plain_byte_kinds(uint8_t kinds[256]);

/* Changes with the layout and with the hash. */
static const char vocabulary_magic[8] = {'m', 'b', 'v', 'o', 'c', 'a', 'b', '2'};

/* The parts of a blob that mb_tokenizer_open has found good. */
static inline vocabulary
vocabulary_of(const mb_tokenizer *tokenizer)
{
	vocabulary v;

	v.header = (const vocabulary_header *) (const void *) tokenizer->blob;
	v.slots = (const vocabulary_slot *) (const void *) (v.header + 1);
	v.starts = (const uint32_t *) (const void *) (v.slots + v.header->n_slots);
	v.specials = v.starts + v.header->n_tokens + 1;
	v.text = (const unsigned char *) (v.specials + v.header->n_specials);
	return v;
}

/* The first n bytes at p, 0 < n <= 8, as they stand in memory, then zeros.  Eight bytes must be readable. */
static inline uint64_t
vocabulary_head(const unsigned char *p, size_t n)
{
	uint64_t word;

	memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word & (UINT64_MAX >> (64 - 8 * n));
#else
	return word & (UINT64_MAX << (64 - 8 * n));
#endif
}

static inline uint64_t
vocabulary_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/*
 * The hash of a key is that of its full words of 8 bytes but the last, which mb_tokenize keeps for all prefixes of a
 * word, and of its last 1 to 8 bytes and its shape.
 */
static inline uint64_t
vocabulary_hash(uint64_t before_last, uint64_t last, uint32_t shape)
{
	uint64_t hash = vocabulary_mix(before_last, last + ((uint64_t) shape << 48));

	/* A product's low bits know only of its factors' low bits, and tokens differ at their ends: the high ones are
	 * taken. */
	return (hash * UINT64_C(0xe7037ed1a0b428db)) >> 32;
}

/* The id of a key of `bytes` > 0 bytes, or MB_NO_TOKEN. */
static inline uint32_t
vocabulary_find(const vocabulary *v, uint64_t hash, uint64_t head, uint32_t shape, const unsigned char *key)
{
	size_t mask = v->header->n_slots - 1;

	for (size_t i = (size_t) hash & mask;; i = (i + 1) & mask)
	{
		const vocabulary_slot *slot = &v->slots[i];

		if (slot->head == head && slot->shape == shape && slot->id != MB_NO_TOKEN)
		{
			size_t bytes = shape >> 1;

			/* The token ends as its key does. */
			if (bytes <= 8 || memcmp(v->text + v->starts[slot->id + 1] - bytes, key, bytes) == 0)
				return slot->id;
		}
		if (slot->id == MB_NO_TOKEN)
			return MB_NO_TOKEN;
	}
}

#endif
