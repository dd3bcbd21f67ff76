/* vocabulary.c - packs a vocabulary into a position-independent blob, opens one, and answers questions about it. */
#include "vocabulary.h"

#include <stdlib.h>


/* A seed with which more slots than this are tried for one key is given up for another. */
#define MAX_PROBES 128
#define MAX_SEEDS 16

typedef struct key
{
	unsigned char bytes[MB_VOCABULARY_MAX_TOKEN_BYTES + 8]; /* padded, so that 8 can be read anywhere */
	uint32_t shape;
	uint64_t head;
} key;

mb_tokenizer_options
mb_tokenizer_options_default(void)
{
	mb_tokenizer_options options = {
		.lowercase = true,
		.strip_accents = true,
		.split_cjk = true,
		.max_chars_per_word = 100,
		.unk_token = "[UNK]",
		.cls_token = "[CLS]",
		.sep_token = "[SEP]",
		.pad_token = "[PAD]",
		.mask_token = "[MASK]",
	};

	return options;
}

/* token has 1 to MB_VOCABULARY_MAX_TOKEN_BYTES bytes.  "##" alone can continue nothing. */
static void
key_of(key *k, const char *token, size_t bytes)
{
	bool continues = bytes > 2 && token[0] == '#' && token[1] == '#';

	if (continues)
	{
		token += 2;
		bytes -= 2;
	}
	memcpy(k->bytes, token, bytes);
	memset(k->bytes + bytes, 0, 8);
	k->shape = (uint32_t) bytes << 1 | continues;
	k->head = vocabulary_head(k->bytes, bytes < 8 ? bytes : 8);
}

static uint64_t
key_hash(const key *k, uint64_t seed)
{
	size_t bytes = k->shape >> 1;
	size_t at = 0;
	uint64_t hash = seed;

	for (; bytes - at > 8; at += 8)
		hash = vocabulary_mix(hash, vocabulary_head(k->bytes + at, 8));
	return vocabulary_hash(hash, vocabulary_head(k->bytes + at, bytes - at), k->shape);
}

/* How many bytes of a token an error message shows: at most 80, and whole characters. */
static int
shown(const char *token, size_t bytes)
{
	size_t n = bytes < 80 ? bytes : 80;

	while (n < bytes && n > 0 && mb_utf8_continues((unsigned char) token[n]))
		n--;
	return (int) n;
}

/* ---- reading vocab.txt ------------------------------------------------------------------------------------------- */

size_t
mb_vocabulary_token_bytes(const char *line, size_t bytes)
{
	size_t at = 0, end = 0;

	while (at < bytes)
	{
		mb_codepoint c = 0;
		size_t n = mb_utf8_decode((const unsigned char *) line + at, bytes - at, &c);

		at += n > 0 ? n : 1; /* not UTF-8: not white space either */
		if (n == 0 || (mb_classes(c) & MB_SPACE) == 0)
			end = at;
	}
	return end;
}

typedef struct lines
{
	const char *text;
	size_t size;
	size_t at;
	size_t line; /* of the token that next_token found last, from 1 */
} lines;

/* The next line without its trailing white space; false at the end and, with *status set, on an error. */
static bool
next_token(lines *l, const char **token, size_t *bytes, mb_status *status, mb_error *err)
{
	size_t end = l->at;

	*status = MB_OK;
	if (l->at == l->size)
		return false;
	*token = l->text + l->at;
	l->line++;
	while (l->at < l->size && l->text[l->at] != '\n')
	{
		mb_codepoint c = 0;
		size_t n = mb_utf8_decode((const unsigned char *) l->text + l->at, l->size - l->at, &c);

		if (n == 0)
		{
			*status = mb_fail(err, MB_CORRUPT, "vocabulary is not valid UTF-8");
			mb_detail(err, "Line %zu has an ill-formed byte sequence at byte offset %zu of the vocabulary.", l->line,
					  l->at);
			return false;
		}
		l->at += n;
		if ((mb_classes(c) & MB_SPACE) == 0)
			end = l->at;
	}
	*bytes = end - (size_t) (*token - l->text);
	if (l->at < l->size)
		l->at++;
	if (*bytes > MB_VOCABULARY_MAX_TOKEN_BYTES)
	{
		*status = mb_fail(err, MB_LIMIT, "token of %zu bytes in vocabulary", *bytes);
		mb_detail(err, "Line %zu is longer than the limit of %d bytes.", l->line, MB_VOCABULARY_MAX_TOKEN_BYTES);
		return false;
	}
	return true;
}

/* ---- parts of both packing and opening --------------------------------------------------------------------------- */

static uint8_t
byte_kind(int byte)
{
	unsigned classes;

	if (byte >= 0x80)
		return MB_BYTE_WIDE;
	classes = mb_classes(byte);
	if ((classes & MB_REMOVED) != 0)
		return MB_BYTE_REMOVED;
	if ((classes & MB_SPACE) != 0)
		return MB_BYTE_SPACE;
	return (classes & MB_PUNCTUATION) != 0 ? MB_BYTE_PUNCTUATION : MB_BYTE_LETTER;
}

void
mb_plain_byte_kinds(uint8_t kinds[256])
{
	for (int byte = 0; byte < 256; byte++)
		kinds[byte] = byte_kind(byte);
}

static void
find_byte_kinds(uint8_t kinds[256], const vocabulary *v)
{
	mb_plain_byte_kinds(kinds);
	if (v->header->split_special_tokens)
		return;
	for (uint32_t i = 0; i < v->header->n_specials; i++)
		kinds[v->text[v->starts[v->specials[i]]]] |= MB_BYTE_SPECIAL;
}

/* Orders two tokens by their bytes, a shorter one before those that it begins. */
static int
compare_tokens(const vocabulary *v, uint32_t a, uint32_t b)
{
	size_t a_bytes = v->starts[a + 1] - v->starts[a], b_bytes = v->starts[b + 1] - v->starts[b];
	int order = memcmp(v->text + v->starts[a], v->text + v->starts[b], a_bytes < b_bytes ? a_bytes : b_bytes);

	if (order != 0)
		return order;
	return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static uint64_t
blob_size(const vocabulary_header *h)
{
	uint64_t size = sizeof(vocabulary_header) + (uint64_t) h->n_slots * sizeof(vocabulary_slot) +
					((uint64_t) h->n_tokens + 1 + h->n_specials) * sizeof(uint32_t) + h->text_bytes;

	return (size + 7) & ~(uint64_t) 7;
}

/* The writable counterpart of vocabulary_of. */
typedef struct parts
{
	vocabulary_header *header;
	vocabulary_slot *slots;
	uint32_t *starts, *specials;
	char *text;
} parts;

static parts
parts_of(void *blob)
{
	parts p;

	p.header = blob;
	p.slots = (vocabulary_slot *) (void *) (p.header + 1);
	p.starts = (uint32_t *) (void *) (p.slots + p.header->n_slots);
	p.specials = p.starts + p.header->n_tokens + 1;
	p.text = (char *) (p.specials + p.header->n_specials);
	return p;
}

/* Fills the slots; *crowded says that the seed is a bad one. */
static mb_status
fill_slots(const parts *p, bool *crowded, mb_error *err)
{
	size_t mask = p->header->n_slots - 1;
	vocabulary view = {p->header, p->slots, p->starts, p->specials, (const unsigned char *) p->text};

	*crowded = false;
	for (size_t i = 0; i <= mask; i++)
		p->slots[i] = (vocabulary_slot){0, 0, MB_NO_TOKEN};
	for (uint32_t id = 0; id < p->header->n_tokens; id++)
	{
		const char *token = p->text + p->starts[id];
		size_t bytes = p->starts[id + 1] - p->starts[id];
		key k;
		uint64_t hash;
		uint32_t same;
		size_t probes = 0, at;

		if (bytes == 0)
			continue;
		key_of(&k, token, bytes);
		hash = key_hash(&k, p->header->seed);
		same = vocabulary_find(&view, hash, k.head, k.shape, k.bytes);
		if (same != MB_NO_TOKEN)
		{
			mb_fail(err, MB_CORRUPT, "duplicate token \"%.*s\" in vocabulary", shown(token, bytes), token);
			mb_detail(err, "Lines %lu and %lu hold the same token.", (unsigned long) same + 1, (unsigned long) id + 1);
			return MB_CORRUPT;
		}
		for (at = (size_t) hash & mask; p->slots[at].id != MB_NO_TOKEN; at = (at + 1) & mask)
		{
			if (++probes > MAX_PROBES)
			{
				*crowded = true;
				return MB_OK;
			}
		}
		p->slots[at] = (vocabulary_slot){k.head, k.shape, id};
	}
	return MB_OK;
}

/* The id of a token while packing, or MB_NO_TOKEN. */
static uint32_t
find_token(const vocabulary *v, const char *token, size_t bytes)
{
	key k;

	if (bytes == 0 || bytes > MB_VOCABULARY_MAX_TOKEN_BYTES)
		return MB_NO_TOKEN;
	key_of(&k, token, bytes);
	return vocabulary_find(v, key_hash(&k, v->header->seed), k.head, k.shape, k.bytes);
}

static mb_status
find_role(const vocabulary *v, const char *role, const char *token, uint32_t *id, mb_error *err)
{
	*id = find_token(v, token, strlen(token));
	if (*id == MB_NO_TOKEN)
	{
		mb_fail(err, MB_CORRUPT, "the %s token \"%.*s\" is missing from the vocabulary", role,
				shown(token, strlen(token)), token);
		mb_hint(err, "Check that the vocabulary and the tokenizer's configuration are of the same checkpoint.");
		return MB_CORRUPT;
	}
	return MB_OK;
}

typedef struct special
{
	const char *token;
	size_t bytes;
	uint32_t id;
} special;

static int
compare_specials(const void *left, const void *right)
{
	const special *a = left, *b = right;
	int order = memcmp(a->token, b->token, a->bytes < b->bytes ? a->bytes : b->bytes);

	if (order != 0)
		return order;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

/* Sets the role ids and writes the sorted special tokens; header->n_specials is what there is room for. */
static mb_status
fill_specials(const parts *p, const vocabulary *v, const mb_tokenizer_options *options, special *specials,
			  mb_error *err)
{
	vocabulary_header *h = p->header;
	const char *roles[] = {options->unk_token, options->cls_token, options->sep_token, options->pad_token,
						   options->mask_token};
	size_t n = 0;

	if (find_role(v, "unknown", options->unk_token, &h->unk_id, err) != MB_OK ||
		find_role(v, "classification", options->cls_token, &h->cls_id, err) != MB_OK ||
		find_role(v, "separator", options->sep_token, &h->sep_id, err) != MB_OK ||
		find_role(v, "padding", options->pad_token, &h->pad_id, err) != MB_OK ||
		find_role(v, "mask", options->mask_token, &h->mask_id, err) != MB_OK)
		return MB_CORRUPT;
	for (; n < h->n_specials; n++)
	{
		const char *token = n < 5 ? roles[n] : options->additional_special_tokens[n - 5];

		specials[n].token = token;
		specials[n].bytes = strlen(token);
		specials[n].id = find_token(v, token, specials[n].bytes);
		if (specials[n].id == MB_NO_TOKEN)
		{
			mb_fail(err, MB_CORRUPT, "the special token \"%.*s\" is missing from the vocabulary",
					shown(token, specials[n].bytes), token);
			mb_hint(err, "A token that was added later needs a line of its own in vocab.txt.");
			return MB_CORRUPT;
		}
	}
	qsort(specials, n, sizeof(special), compare_specials);
	/* A token named twice, or in two roles, keeps two equal places, which matching does not mind. */
	for (size_t i = 0; i < n; i++)
		p->specials[i] = specials[i].id;
	find_byte_kinds(h->byte_kinds, v);
	return MB_OK;
}

static mb_status
check_options(const mb_tokenizer_options *options, mb_error *err)
{
	const char *roles[] = {options->unk_token, options->cls_token, options->sep_token, options->pad_token,
						   options->mask_token};

	if (options->max_chars_per_word < 1 || options->max_chars_per_word > MB_VOCABULARY_MAX_WORD_CHARS)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "max_input_chars_per_word is %ld", (long) options->max_chars_per_word);
		mb_detail(err, "It must be between 1 and %d.", MB_VOCABULARY_MAX_WORD_CHARS);
		return MB_INVALID_ARGUMENT;
	}
	for (size_t i = 0; i < 5; i++)
	{
		if (roles[i] == NULL)
			return mb_fail(err, MB_INVALID_ARGUMENT, "a role token of the tokenizer is not given");
	}
	if (options->n_additional_special_tokens > MB_VOCABULARY_MAX_TOKENS)
		return mb_fail(err, MB_LIMIT, "too many additional special tokens");
	for (size_t i = 0; i < options->n_additional_special_tokens; i++)
	{
		if (options->additional_special_tokens[i] == NULL)
			return mb_fail(err, MB_INVALID_ARGUMENT, "an additional special token is not given");
	}
	return MB_OK;
}

/* Counts and measures the tokens, so that the blob can be allocated. */
static mb_status
measure(vocabulary_header *h, const char *vocab, size_t vocab_bytes, mb_error *err)
{
	lines l = {vocab, vocab_bytes, 0, 0};
	const char *token = NULL;
	size_t bytes = 0;
	mb_status status;

	if (vocab_bytes == 0)
		return mb_fail(err, MB_CORRUPT, "vocabulary is empty");
	while (next_token(&l, &token, &bytes, &status, err))
	{
		bool continues = bytes > 2 && token[0] == '#' && token[1] == '#';
		uint32_t key_bytes = (uint32_t) bytes - (continues ? 2 : 0);

		if (h->n_tokens == MB_VOCABULARY_MAX_TOKENS)
		{
			mb_fail(err, MB_LIMIT, "vocabulary has too many tokens");
			mb_detail(err, "The limit is %lu tokens.", (unsigned long) MB_VOCABULARY_MAX_TOKENS);
			return MB_LIMIT;
		}
		h->n_tokens++;
		h->text_bytes += bytes;
		if (key_bytes > h->longest[continues])
			h->longest[continues] = key_bytes;
	}
	if (status == MB_OK && h->text_bytes > UINT32_MAX)
		return mb_fail(err, MB_LIMIT, "vocabulary has more than 4 GiB of tokens");
	for (h->n_slots = 2; h->n_slots < 2 * h->n_tokens;)
		h->n_slots *= 2;
	return status;
}

static mb_status
fill(const parts *p, const char *vocab, size_t vocab_bytes, const mb_tokenizer_options *options, special *specials,
	 mb_error *err)
{
	lines l = {vocab, vocab_bytes, 0, 0};
	vocabulary view = {p->header, p->slots, p->starts, p->specials, (const unsigned char *) p->text};
	const char *token = NULL;
	size_t bytes = 0;
	uint32_t n = 0, at = 0;
	bool crowded = true;
	mb_status status;

	while (next_token(&l, &token, &bytes, &status, err))
	{
		p->starts[n++] = at;
		memcpy(p->text + at, token, bytes);
		at += (uint32_t) bytes;
	}
	p->starts[n] = at;
	for (int i = 0; crowded && i < MAX_SEEDS; i++)
	{
		p->header->seed = UINT64_C(0xd6e8feb86659fd93) * (uint64_t) (i + 1);
		status = fill_slots(p, &crowded, err);
		if (status != MB_OK)
			return status;
	}
	if (crowded)
		return mb_fail(err, MB_LIMIT, "vocabulary's tokens cannot be told apart by hashing");
	return fill_specials(p, &view, options, specials, err);
}

mb_status
mb_vocabulary_pack(const char *vocab, size_t vocab_bytes, const mb_tokenizer_options *options, void **blob,
				   size_t *blob_bytes, mb_error *err)
{
	vocabulary_header h = {.lowercase = options->lowercase,
						   .strip_accents = options->strip_accents,
						   .split_cjk = options->split_cjk,
						   .split_special_tokens = options->split_special_tokens};
	mb_status status = check_options(options, err);
	special *specials;
	parts p;

	*blob = NULL;
	*blob_bytes = 0;
	if (status == MB_OK)
		status = measure(&h, vocab, vocab_bytes, err);
	if (status != MB_OK)
		return status;
	memcpy(h.magic, vocabulary_magic, sizeof(h.magic));
	h.n_specials = 5 + (uint32_t) options->n_additional_special_tokens;
	h.max_chars_per_word = (uint32_t) options->max_chars_per_word;
	h.size = blob_size(&h);
	if (h.size > SIZE_MAX / 2)
		return mb_fail(err, MB_OUT_OF_MEMORY, "vocabulary is too large for this machine's addresses");

	p.header = calloc(1, (size_t) h.size);
	specials = calloc(h.n_specials, sizeof(special));
	if (p.header == NULL || specials == NULL)
	{
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
		mb_detail(err, "Packing a vocabulary takes %zu bytes.", (size_t) h.size);
	}
	else
	{
		*p.header = h;
		p = parts_of(p.header);
		status = fill(&p, vocab, vocab_bytes, options, specials, err);
	}
	free(specials);
	if (status != MB_OK)
	{
		free(p.header);
		return status;
	}
	*blob = p.header;
	*blob_bytes = (size_t) h.size;
	return MB_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static mb_status
damaged(mb_error *err, const char *what)
{
	mb_fail(err, MB_CORRUPT, "packed vocabulary is damaged");
	mb_detail(err, "%s", what);
	return MB_CORRUPT;
}

static bool
header_is_sane(const vocabulary_header *h)
{
	return h->n_tokens >= 1 && h->n_tokens <= MB_VOCABULARY_MAX_TOKENS && h->n_slots >= 2 &&
		   h->n_slots <= 4 * MB_VOCABULARY_MAX_TOKENS && (h->n_slots & (h->n_slots - 1)) == 0 && h->n_specials >= 5 &&
		   h->n_specials <= MB_VOCABULARY_MAX_TOKENS + 5 && h->text_bytes <= UINT32_MAX && h->max_chars_per_word >= 1 &&
		   h->max_chars_per_word <= MB_VOCABULARY_MAX_WORD_CHARS && h->longest[0] <= MB_VOCABULARY_MAX_TOKEN_BYTES &&
		   h->longest[1] <= MB_VOCABULARY_MAX_TOKEN_BYTES && h->unk_id < h->n_tokens && h->cls_id < h->n_tokens &&
		   h->sep_id < h->n_tokens && h->pad_id < h->n_tokens && h->mask_id < h->n_tokens && h->lowercase <= 1 &&
		   h->strip_accents <= 1 && h->split_cjk <= 1 && h->split_special_tokens <= 1;
}

/*
 * All that a look-up relies on, so that none of it need be checked there: tokens lie in the text, a key's length is its
 * token's, and a search ends because there is a free slot.
 */
static mb_status
check_parts(const vocabulary *v, mb_error *err)
{
	const vocabulary_header *h = v->header;
	uint8_t kinds[256];
	uint32_t used = 0;

	if (v->starts[0] != 0 || v->starts[h->n_tokens] != h->text_bytes)
		return damaged(err, "The tokens' bytes do not fill their part.");
	for (uint32_t id = 0; id < h->n_tokens; id++)
	{
		if (v->starts[id + 1] < v->starts[id] || v->starts[id + 1] - v->starts[id] > MB_VOCABULARY_MAX_TOKEN_BYTES)
			return damaged(err, "A token's place is out of order.");
	}
	for (uint32_t i = 0; i < h->n_slots; i++)
	{
		const vocabulary_slot *slot = &v->slots[i];
		uint32_t bytes, prefix = slot->shape & 1 ? 2 : 0;

		if (slot->id == MB_NO_TOKEN)
			continue;
		used++;
		if (slot->id >= h->n_tokens)
			return damaged(err, "The hash table names a token that is not there.");
		bytes = v->starts[slot->id + 1] - v->starts[slot->id];
		if (slot->shape >> 1 == 0 || (slot->shape >> 1) + prefix != bytes)
			return damaged(err, "The hash table and a token's length differ.");
	}
	if (used > h->n_slots / 2)
		return damaged(err, "The hash table is too full.");
	for (uint32_t i = 0; i < h->n_specials; i++)
	{
		if (v->specials[i] >= h->n_tokens || v->starts[v->specials[i] + 1] == v->starts[v->specials[i]])
			return damaged(err, "A special token is not there.");
		if (i > 0 && compare_tokens(v, v->specials[i - 1], v->specials[i]) > 0)
			return damaged(err, "The special tokens are out of order.");
	}
	find_byte_kinds(kinds, v);
	if (memcmp(kinds, h->byte_kinds, sizeof(kinds)) != 0)
		return damaged(err, "Its table of bytes is wrong.");
	return MB_OK;
}

mb_status
mb_tokenizer_open(mb_tokenizer *tokenizer, const void *blob, size_t size, mb_error *err)
{
	const vocabulary_header *h = blob;
	mb_tokenizer opened = {blob, size};
	vocabulary v;
	mb_status status;

	memset(tokenizer, 0, sizeof(*tokenizer));
	if (((uintptr_t) blob & 7) != 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "packed vocabulary is not aligned to 8 bytes");
	if (size < sizeof(*h))
		return damaged(err, "It is shorter than its header.");
	if (memcmp(h->magic, vocabulary_magic, sizeof(h->magic)) != 0)
		return damaged(err, "It does not begin as one does.");
	if (!header_is_sane(h))
		return damaged(err, "Its header is out of range.");
	if (h->size != size || blob_size(h) != size)
		return damaged(err, "Its size and its header differ.");
	v = vocabulary_of(&opened);
	status = check_parts(&v, err);
	if (status == MB_OK)
		*tokenizer = opened;
	return status;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

const char *
mb_tokenizer_token(const mb_tokenizer *tokenizer, int32_t id, size_t *bytes)
{
	vocabulary v = vocabulary_of(tokenizer);

	if (id < 0 || (uint32_t) id >= v.header->n_tokens)
	{
		*bytes = 0;
		return NULL;
	}
	*bytes = v.starts[id + 1] - v.starts[id];
	return (const char *) v.text + v.starts[id];
}

int32_t
mb_tokenizer_id(const mb_tokenizer *tokenizer, const char *token, size_t bytes)
{
	vocabulary v = vocabulary_of(tokenizer);
	uint32_t id = find_token(&v, token, bytes);

	return id == MB_NO_TOKEN ? -1 : (int32_t) id;
}

int32_t
mb_tokenizer_vocab_size(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->n_tokens;
}

int32_t
mb_tokenizer_unk_id(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->unk_id;
}

int32_t
mb_tokenizer_cls_id(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->cls_id;
}

int32_t
mb_tokenizer_sep_id(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->sep_id;
}

int32_t
mb_tokenizer_pad_id(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->pad_id;
}

int32_t
mb_tokenizer_mask_id(const mb_tokenizer *tokenizer)
{
	return (int32_t) vocabulary_of(tokenizer).header->mask_id;
}

bool
mb_tokenizer_is_special(const mb_tokenizer *tokenizer, int32_t id)
{
	vocabulary v = vocabulary_of(tokenizer);

	for (uint32_t i = 0; i < v.header->n_specials; i++)
		if ((int64_t) v.specials[i] == id)
			return true;
	return false;
}
