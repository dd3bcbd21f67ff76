/*
 * fuzz_tokenizer.c - libFuzzer: options, a vocabulary and a text, all from the input; or a packed vocabulary that is
 * damaged.
 *
 * Input: one byte of options, one of max_chars_per_word, one of damage (0: none), the vocabulary up to the first byte
 * 0, then the text.  The role tokens are put before the vocabulary, so that most inputs get as far as tokenizing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moviebert/tokenizer.h"

#define ROLES "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<s>\n"

static void
require(bool holds, const char *what)
{
	if (!holds)
	{
		fprintf(stderr, "fuzz_tokenizer: %s\n", what);
		abort();
	}
}

/* All that must hold for any vocabulary and text. */
static void
tokenize(const mb_tokenizer *tokenizer, const uint8_t *text, size_t size)
{
	/* Every code point gives at most one id, and a special token is some code points. */
	size_t room = size + 1, n = 0, n_counted = 0, n_again = 0;
	int32_t *ids = malloc(room * sizeof(*ids)), *again = malloc(room * sizeof(*again));
	mb_error err;
	mb_status status = mb_tokenize(tokenizer, (const char *) text, size, ids, room, &n, NULL, &err);

	require(ids != NULL && again != NULL, "out of memory");
	require(status == MB_OK || status == MB_INVALID_UTF8, "tokenizing failed");
	require(mb_tokenize(tokenizer, (const char *) text, size, NULL, 0, &n_counted, NULL, &err) == status,
			"another status");
	require(n_counted == n, "another number of ids when only counted");
	require(status == MB_OK || (n == 0 && strstr(err.detail, "byte offset ") != NULL), "an error without its offset");
	require(n < room, "more ids than bytes");
	for (size_t i = 0; i < n; i++)
	{
		size_t bytes;

		require(ids[i] >= 0 && ids[i] < mb_tokenizer_vocab_size(tokenizer), "an id out of range");
		require(mb_tokenizer_token(tokenizer, ids[i], &bytes) != NULL, "an id without a token");
	}
	if (n > 1)
	{
		/* Half the room, and a sentinel behind it. */
		again[n / 2] = -7;
		require(mb_tokenize(tokenizer, (const char *) text, size, again, n / 2, &n_again, NULL, &err) == MB_OK,
				"another status");
		require(n_again == n && again[n / 2] == -7, "wrote beyond the room");
		require(memcmp(ids, again, n / 2 * sizeof(*ids)) == 0, "other ids");
	}
	free(ids);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const additional[] = {"<s>", "[SEP]", "a"};
	mb_tokenizer_options options = mb_tokenizer_options_default();
	const uint8_t *end;
	size_t vocab_size, blob_size;
	char *vocab;
	void *blob;
	mb_tokenizer tokenizer;
	mb_error err;
	mb_status status;
	uint8_t damage;

	if (size < 3 || (end = memchr(data + 3, 0, size - 3)) == NULL)
		return 0;
	options.lowercase = data[0] & 1;
	options.strip_accents = data[0] >> 1 & 1;
	options.split_cjk = data[0] >> 2 & 1;
	options.split_special_tokens = data[0] >> 3 & 1;
	options.n_additional_special_tokens = data[0] >> 4 & 3;
	options.additional_special_tokens = additional;
	options.max_chars_per_word = data[1] == 0xff ? 1000 : data[1];
	damage = data[2];

	vocab_size = sizeof(ROLES) - 1 + (size_t) (end - (data + 3));
	vocab = malloc(vocab_size);
	require(vocab != NULL, "out of memory");
	memcpy(vocab, ROLES, sizeof(ROLES) - 1);
	memcpy(vocab + sizeof(ROLES) - 1, data + 3, vocab_size - (sizeof(ROLES) - 1));
	status = mb_vocabulary_pack(vocab, vocab_size, &options, &blob, &blob_size, &err);
	free(vocab);
	if (status != MB_OK)
	{
		require(blob == NULL && err.status == status && err.message[0] != '\0', "an error that says nothing");
		return 0;
	}
	end++;
	if (damage != 0)
	{
		/* Bytes of the text decide which bytes of the blob change, and how. */
		for (const uint8_t *p = end; p + 3 <= data + size && damage-- > 0; p += 3)
			((uint8_t *) blob)[((size_t) p[0] << 8 | p[1]) % blob_size] ^= p[2];
		status = mb_tokenizer_open(&tokenizer, blob, blob_size, &err);
		require(status == MB_OK || status == MB_CORRUPT, "another status");
	}
	else
		require(mb_tokenizer_open(&tokenizer, blob, blob_size, &err) == MB_OK, "what was packed does not open");
	if (status == MB_OK)
		tokenize(&tokenizer, end, (size_t) (data + size - end));
	free(blob);
	return 0;
}
