/* test_vocabulary.c - vocabularies good and bad; packed ones, moved, damaged and forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "moviebert/tokenizer.h"
#include "moviebert/utf8.h"
#include "src/text/vocabulary.h"
#include "test/unit/packed_vocabulary.h"

/* ---- vocabularies ------------------------------------------------------------------------------------------------ */

#define ROLES "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static void
assert_refused(const char *vocab, size_t size, const mb_tokenizer_options *options, mb_status status,
			   const char *message, const char *detail)
{
	void *blob = &blob;
	size_t blob_size = 1;
	mb_error err = {0};

	assert_int_equal(mb_vocabulary_pack(vocab, size, options, &blob, &blob_size, &err), status);
	assert_int_equal(err.status, status);
	print_message("%s | %s | %s\n", err.message, err.detail, err.hint);
	if (strstr(err.message, message) == NULL || strstr(err.detail, detail) == NULL)
		fail_msg("wanted \"%s\" and \"%s\"", message, detail);
	assert_null(blob);
	assert_int_equal(blob_size, 0);
}

static void
vocabularies_refused(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default(), changed;
	static const char *const missing[] = {"<extra>"};
	static const char *const null_token[] = {NULL};
	char *long_line = malloc(2000);
	size_t prefix = strlen(ROLES);

	(void) state;
	assert_refused("", 0, &options, MB_CORRUPT, "vocabulary is empty", "");
	assert_refused("\n", 1, &options, MB_CORRUPT, "the unknown token \"[UNK]\" is missing", "");
	assert_refused(ROLES "a\nb\na\n", prefix + 6, &options, MB_CORRUPT, "duplicate token \"a\"", "Lines 6 and 8 ");
	assert_refused(ROLES "a\nb\na \t\r\n", prefix + 9, &options, MB_CORRUPT, "duplicate token \"a\"", "Lines 6 and 8 ");
	assert_refused(ROLES "##a\n##a", prefix + 7, &options, MB_CORRUPT, "duplicate token \"##a\"", "Lines 6 and 7 ");
	assert_refused(ROLES "a\nb\xff\n", prefix + 5, &options, MB_CORRUPT, "not valid UTF-8",
				   "Line 7 has an ill-formed byte sequence at byte offset 34 ");
	assert_refused(ROLES "a\xc3", prefix + 2, &options, MB_CORRUPT, "not valid UTF-8", "byte offset 32 ");
	assert_refused("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", 24, &options, MB_CORRUPT, "the mask token \"[MASK]\" is missing",
				   "");
	assert_refused("[PAD]\n[UNK]\n[CLS]\n[MASK]\n", 25, &options, MB_CORRUPT,
				   "the separator token \"[SEP]\" is missing", "");
	assert_refused("[PAD]\n[UNK]\n[SEP]\n[MASK]\n", 25, &options, MB_CORRUPT, "the classification token \"[CLS]\"", "");
	assert_refused("[CLS]\n[UNK]\n[SEP]\n[MASK]\n", 25, &options, MB_CORRUPT, "the padding token \"[PAD]\" is missing",
				   "");

	memcpy(long_line, ROLES, prefix);
	memset(long_line + prefix, 'x', 1001);
	assert_refused(long_line, prefix + 1001, &options, MB_LIMIT, "token of 1001 bytes", "Line 6 ");
	long_line[prefix + 1000] = ' ';
	free(pack(long_line, prefix + 1001, &options).blob);
	free(long_line);

	changed = options;
	changed.max_chars_per_word = 0;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "max_input_chars_per_word is 0", "between 1 and 1000");
	changed.max_chars_per_word = 1001;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "max_input_chars_per_word is 1001",
				   "between 1 and 1000");
	changed = options;
	changed.sep_token = NULL;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "a role token", "");
	changed.sep_token = "";
	assert_refused(ROLES, prefix, &changed, MB_CORRUPT, "the separator token \"\" is missing", "");
	changed = options;
	changed.n_additional_special_tokens = 1;
	changed.additional_special_tokens = missing;
	assert_refused(ROLES, prefix, &changed, MB_CORRUPT, "the special token \"<extra>\" is missing", "");
	changed.additional_special_tokens = null_token;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "an additional special token", "");
}

/* A message never ends in the middle of a character. */
static void
long_token_in_message(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	char vocab[512] = ROLES "x";
	mb_error err;
	void *blob;
	size_t size, at = 0;

	(void) state;
	for (int copy = 0; copy < 2; copy++)
	{
		strcat(vocab, copy == 0 ? "" : "\nx");
		for (int i = 0; i < 50; i++)
			strcat(vocab, "\xe4\xb8\xad");
	}
	assert_int_equal(mb_vocabulary_pack(vocab, strlen(vocab), &options, &blob, &size, &err), MB_CORRUPT);
	while (at < strlen(err.message))
	{
		mb_codepoint c;
		size_t n = mb_utf8_decode((unsigned char *) err.message + at, strlen(err.message) - at, &c);

		assert_true(n > 0);
		at += n;
	}
}

static void
lines_of_vocabularies(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	static const char vocab[] = ROLES "a \t\n\n\nb\xc2\xa0\r\n##\n##c\xe2\x80\xa8\n  d\ne f";
	static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",  "",
										 "",      "b",     "##",    "##c",   "  d",    "e f"};
	int32_t n = sizeof(tokens) / sizeof(tokens[0]);
	packed p = pack(vocab, sizeof(vocab) - 1, &options);
	size_t bytes;

	(void) state;
	assert_int_equal(mb_tokenizer_vocab_size(&p.tokenizer), n);
	for (int32_t id = 0; id < n; id++)
	{
		const char *token = mb_tokenizer_token(&p.tokenizer, id, &bytes);

		assert_int_equal(bytes, strlen(tokens[id]));
		assert_memory_equal(token, tokens[id], bytes);
		assert_int_equal(mb_tokenizer_id(&p.tokenizer, tokens[id], bytes), bytes == 0 ? -1 : id);
	}
	assert_null(mb_tokenizer_token(&p.tokenizer, -1, &bytes));
	assert_null(mb_tokenizer_token(&p.tokenizer, n, &bytes));
	assert_int_equal(mb_tokenizer_id(&p.tokenizer, "c", 1), -1);
	assert_int_equal(mb_tokenizer_id(&p.tokenizer, "##a", 3), -1);
	assert_int_equal(mb_tokenizer_pad_id(&p.tokenizer), 0);
	assert_int_equal(mb_tokenizer_unk_id(&p.tokenizer), 1);
	assert_int_equal(mb_tokenizer_cls_id(&p.tokenizer), 2);
	assert_int_equal(mb_tokenizer_sep_id(&p.tokenizer), 3);
	assert_int_equal(mb_tokenizer_mask_id(&p.tokenizer), 4);
	free(p.blob);
}

static void
every_token_found(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	size_t size;
	char *vocab = read_file(GOLDEN "vocab.txt", &size);
	packed p = pack(vocab, size, &options);

	(void) state;
	for (int32_t id = 0; id < mb_tokenizer_vocab_size(&p.tokenizer); id++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&p.tokenizer, id, &bytes);

		if (bytes > 0)
			assert_int_equal(mb_tokenizer_id(&p.tokenizer, token, bytes), id);
	}
	free(p.blob);
	free(vocab);
}

/* Two hundred tokens that share one slot under the usual seed: another seed is taken, and all are found. */
static void
tokens_collide(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	packed usual = pack_tiny(), p;
	uint64_t seed = vocabulary_of(&usual.tokenizer).header->seed;
	char vocab[sizeof(ROLES) + 200 * 9] = ROLES;
	size_t at = strlen(ROLES);

	(void) state;
	for (unsigned i = 0; at < sizeof(vocab) - 1; i++)
	{
		char token[9];

		snprintf(token, sizeof(token), "%08x", i);
		if ((vocabulary_hash(seed, vocabulary_head((unsigned char *) token, 8), 16) & 511) == 7)
		{
			memcpy(vocab + at, token, 8);
			vocab[at + 8] = '\n';
			at += 9;
		}
	}
	p = pack(vocab, at, &options);
	assert_int_equal(mb_tokenizer_vocab_size(&p.tokenizer), 205);
	assert_int_equal(vocabulary_of(&p.tokenizer).header->n_slots, 512);
	assert_true(vocabulary_of(&p.tokenizer).header->seed != seed);
	for (int32_t id = 5; id < 205; id++)
		assert_int_equal(mb_tokenizer_id(&p.tokenizer, vocab + strlen(ROLES) + 9 * (id - 5), 8), id);
	free(p.blob);
	free(usual.blob);
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

static void
blob_moves(void **state)
{
	packed p = pack_tiny(), again = pack_tiny();
	int32_t ids[4];
	size_t n;

	(void) state;
	assert_int_equal(p.size, again.size);
	assert_memory_equal(p.blob, again.blob, p.size); /* the same input, the same bytes */
	memset(p.blob, 0xee, p.size);
	free(p.blob);
	assert_int_equal(mb_tokenize(&again.tokenizer, "ab a", 4, ids, 4, &n, NULL, NULL), MB_OK);
	assert_true(n == 2 && ids[0] == 7 && ids[1] == 5);
	free(again.blob);
}

static void
blob_unaligned(void **state)
{
	packed p = pack_tiny();
	char *copy = malloc(p.size + 1);
	mb_tokenizer tokenizer;

	(void) state;
	memcpy(copy + 1, p.blob, p.size);
	assert_int_equal(mb_tokenizer_open(&tokenizer, copy + 1, p.size, NULL), MB_INVALID_ARGUMENT);
	free(copy);
	free(p.blob);
}

/* Opens a copy of exactly `size` bytes; if it opens, tokenizing with it must stay inside, whatever the ids are. */
static mb_status
open_damaged(const void *blob, size_t size)
{
	static const char text[] = "ab abb b.bc [SEP] \xe4\xb8\xad caf\xc3\xa9 abcabcabcabcabc [MASK [PAD]";
	mb_tokenizer tokenizer;
	int32_t ids[64];
	size_t n;
	void *copy = malloc(size + (size == 0));
	mb_error err = {0};
	mb_status status;

	memcpy(copy, blob, size);
	status = mb_tokenizer_open(&tokenizer, copy, size, &err);
	if (status == MB_OK)
	{
		assert_int_equal(mb_tokenize(&tokenizer, text, sizeof(text) - 1, ids, 64, &n, NULL, NULL), MB_OK);
		for (size_t i = 0; i < n && i < 64; i++)
			assert_in_range(ids[i], 0, mb_tokenizer_vocab_size(&tokenizer) - 1);
	}
	else if (status != MB_CORRUPT || err.detail[0] == '\0')
		fail_msg("status %d: %s", status, err.message);
	free(copy);
	return status;
}

static void
blobs_damaged(void **state)
{
	packed p = pack_tiny();
	unsigned char *bytes = p.blob;
	size_t refused = 0, tried = 0;

	(void) state;
	assert_int_equal(open_damaged(p.blob, p.size), MB_OK);
	for (size_t size = 0; size < p.size; size++)
		assert_int_equal(open_damaged(p.blob, size), MB_CORRUPT);
	for (size_t at = 0; at < p.size; at++)
	{
		static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x10};

		for (size_t i = 0; i < sizeof(masks); i++)
		{
			bytes[at] ^= masks[i];
			refused += open_damaged(p.blob, p.size) == MB_CORRUPT;
			tried++;
			bytes[at] ^= masks[i];
		}
	}
	print_message("%zu of %zu damaged blobs refused\n", refused, tried);
	assert_true(refused > tried / 4);
	assert_int_equal(open_damaged(p.blob, p.size), MB_OK);
	free(p.blob);
}

typedef struct writable
{
	vocabulary_header *header;
	vocabulary_slot *slots;
	uint32_t *starts, *specials;
	unsigned char *text;
} writable;

static vocabulary_slot *
used_slot(const writable *w)
{
	vocabulary_slot *slot = w->slots;

	while (slot->id == MB_NO_TOKEN)
		slot++;
	return slot;
}

static void
fill_all_slots(writable *w)
{
	/* No slot is free: a search for what is not there would not end. */
	for (uint32_t i = 0; i < w->header->n_slots; i++)
	{
		if (w->slots[i].id == MB_NO_TOKEN)
			w->slots[i] = *used_slot(w);
	}
}

static void
lengthen_key(writable *w)
{
	/* The first token of more than 8 bytes would be compared from before its place. */
	used_slot(w)->shape += 2 * 40;
}

static void
empty_key(writable *w)
{
	used_slot(w)->shape &= 1;
}

static void
name_missing_token(writable *w)
{
	used_slot(w)->id = w->header->n_tokens;
}

static void
first_start_not_0(writable *w)
{
	w->starts[0] = 1;
}

static void
last_start_beyond_text(writable *w)
{
	w->starts[w->header->n_tokens] += 8;
}

static void
starts_descend(writable *w)
{
	w->starts[3] = w->starts[4] + 1;
}

static void
special_is_missing(writable *w)
{
	w->specials[2] = w->header->n_tokens;
}

static void
specials_unsorted(writable *w)
{
	uint32_t first = w->specials[0];

	w->specials[0] = w->specials[4];
	w->specials[4] = first;
}

static void
byte_kind_wrong(writable *w)
{
	w->header->byte_kinds['a'] = MB_BYTE_WIDE;
}

#define SETS_HEADER(name, field, value)                                                                                \
	static void name(writable *w)                                                                                      \
	{                                                                                                                  \
		w->header->field = (value);                                                                                    \
	}

SETS_HEADER(other_magic, magic[7], '1')
SETS_HEADER(other_size, size, w->header->size + 8)
SETS_HEADER(no_tokens, n_tokens, 0)
SETS_HEADER(too_many_tokens, n_tokens, UINT32_MAX)
SETS_HEADER(no_slots, n_slots, 0)
SETS_HEADER(slots_no_power_of_two, n_slots, w->header->n_slots - 1)
SETS_HEADER(too_many_slots, n_slots, 1u << 31)
SETS_HEADER(too_few_specials, n_specials, 4)
SETS_HEADER(too_many_specials, n_specials, UINT32_MAX)
SETS_HEADER(too_much_text, text_bytes, UINT64_MAX - 100)
SETS_HEADER(words_too_long, max_chars_per_word, 1001)
SETS_HEADER(words_without_chars, max_chars_per_word, 0)
SETS_HEADER(first_key_too_long, longest[0], 1001)
SETS_HEADER(next_key_too_long, longest[1], 1001)
SETS_HEADER(unk_out_of_range, unk_id, w->header->n_tokens)
SETS_HEADER(cls_out_of_range, cls_id, UINT32_MAX)
SETS_HEADER(sep_out_of_range, sep_id, w->header->n_tokens)
SETS_HEADER(pad_out_of_range, pad_id, w->header->n_tokens)
SETS_HEADER(mask_out_of_range, mask_id, w->header->n_tokens)
SETS_HEADER(flag_out_of_range, strip_accents, 2)

/* Each way to be wrong that a look-up would not survive is found when the blob is opened. */
static void
blobs_forged(void **state)
{
	static const struct
	{
		void (*forge)(writable *w);
		const char *detail;
	} cases[] = {
		{other_magic, "does not begin as one does"},    {other_size, "size and its header differ"},
		{no_tokens, "header is out of range"},          {too_many_tokens, "header is out of range"},
		{no_slots, "header is out of range"},           {slots_no_power_of_two, "header is out of range"},
		{too_many_slots, "header is out of range"},     {too_few_specials, "header is out of range"},
		{too_many_specials, "header is out of range"},  {too_much_text, "header is out of range"},
		{words_too_long, "header is out of range"},     {words_without_chars, "header is out of range"},
		{first_key_too_long, "header is out of range"}, {next_key_too_long, "header is out of range"},
		{unk_out_of_range, "header is out of range"},   {cls_out_of_range, "header is out of range"},
		{sep_out_of_range, "header is out of range"},   {pad_out_of_range, "header is out of range"},
		{mask_out_of_range, "header is out of range"},  {flag_out_of_range, "header is out of range"},
		{fill_all_slots, "hash table is too full"},     {lengthen_key, "token's length differ"},
		{empty_key, "token's length differ"},           {name_missing_token, "a token that is not there"},
		{first_start_not_0, "do not fill their part"},  {last_start_beyond_text, "do not fill their part"},
		{starts_descend, "place is out of order"},      {special_is_missing, "special token is not there"},
		{specials_unsorted, "special tokens are out"},  {byte_kind_wrong, "table of bytes is wrong"},
	};
	packed p = pack_tiny();
	vocabulary v = vocabulary_of(&p.tokenizer);
	unsigned char *base = p.blob;
	size_t slots = (size_t) ((const unsigned char *) v.slots - base);
	size_t starts = (size_t) ((const unsigned char *) v.starts - base);
	size_t specials = (size_t) ((const unsigned char *) v.specials - base);
	size_t text = (size_t) (v.text - base);

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		unsigned char *copy = malloc(p.size);
		writable w = {(void *) copy, (void *) (copy + slots), (void *) (copy + starts), (void *) (copy + specials),
					  copy + text};
		mb_tokenizer tokenizer;
		mb_error err = {0};

		memcpy(copy, p.blob, p.size);
		cases[i].forge(&w);
		if (mb_tokenizer_open(&tokenizer, copy, p.size, &err) != MB_CORRUPT ||
			strstr(err.detail, cases[i].detail) == NULL)
			fail_msg("case %zu: wanted \"%s\", got \"%s\"", i, cases[i].detail, err.detail);
		assert_null(tokenizer.blob);
		free(copy);
	}
	free(p.blob);
}

/* All of Unicode's White_Space, and nothing else, is cut off a line's end. */
static void
white_space_at_the_end_is_no_token(void **state)
{
	static const struct
	{
		const char *line;
		size_t bytes;
	} cases[] = {
		{"", 0},
		{"film", 4},
		{" a b \t\v\f\r", 4},
		{"x\xc2\x85\xc2\xa0\xe1\x9a\x80\xe2\x80\x83\xe2\x80\xa8\xe2\x80\xaf\xe2\x81\x9f\xe3\x80\x80", 1},
		{"x\xe2\x80\x8b ", 4}, /* U+200B has no such property */
		{"\xe3\x80\x80", 0},
		{"x \xe3\x80", 4}, /* not UTF-8 */
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(mb_vocabulary_token_bytes(cases[i].line, strlen(cases[i].line)), cases[i].bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vocabularies_refused),  cmocka_unit_test(long_token_in_message),
		cmocka_unit_test(lines_of_vocabularies), cmocka_unit_test(every_token_found),
		cmocka_unit_test(tokens_collide),        cmocka_unit_test(blob_moves),
		cmocka_unit_test(blob_unaligned),        cmocka_unit_test(blobs_damaged),
		cmocka_unit_test(blobs_forged),
		cmocka_unit_test(white_space_at_the_end_is_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
