/* vocabulary_use.c - the engine's own tokenizer over each distinct word. */
#include "vocabulary_use.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "model_source.h"

#define WORDS_BETWEEN_CHECKS 4096

static mb_status
open_vocabulary(vocabulary_use *use, const char *vocab, size_t vocab_bytes, mb_error *err)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	size_t size;
	mb_status status;

	/* Words come as they are to be looked up. */
	options.lowercase = false;
	options.strip_accents = false;
	options.split_cjk = false;
	options.split_special_tokens = true;
	options.max_chars_per_word = MAX_WORD_CHARACTERS;
	status = mb_vocabulary_pack(vocab, vocab_bytes, &options, &use->blob, &size, err);
	return status == MB_OK ? mb_tokenizer_open(&use->tokenizer, use->blob, size, err) : status;
}

mb_status
vocabulary_use_count(vocabulary_use *use, const char *vocab, size_t vocab_bytes, const word_counts *counts,
					 uint64_t too_long, const mb_interrupt *interrupt, mb_error *err)
{
	int32_t ids[MAX_WORD_CHARACTERS];
	mb_status status;
	size_t i, j;

	memset(use, 0, sizeof(*use));
	status = open_vocabulary(use, vocab, vocab_bytes, err);
	if (status != MB_OK)
		return status;
	use->n_tokens = (size_t) mb_tokenizer_vocab_size(&use->tokenizer);
	use->uses = allocate(use->n_tokens, sizeof(*use->uses));
	use->words = use->tokens = use->unknown = too_long;
	for (i = 0; i < counts->n && status == MB_OK; i++)
	{
		uint64_t count = counts->words[i].count;
		size_t n = 0;

		if (i % WORDS_BETWEEN_CHECKS == 0 && mb_interrupted(interrupt))
			status = mb_fail(err, MB_CANCELLED, "interrupted");
		else
			status = mb_tokenize(&use->tokenizer, word_counts_text(counts, i), counts->words[i].bytes, ids,
								 MAX_WORD_CHARACTERS, &n, NULL, err);
		use->words += count;
		use->tokens += count * n;
		if (n == 1 && ids[0] == mb_tokenizer_unk_id(&use->tokenizer))
			use->unknown += count;
		for (j = 0; j < n; j++)
			use->uses[ids[j]] += count;
	}
	return status;
}

mb_status
vocabulary_use_read(vocabulary_use *use, const char *path, const word_counts *counts, uint64_t too_long,
					const mb_interrupt *interrupt, mb_error *err)
{
	const void *data;
	size_t size;
	mb_status status = map_file(path, &data, &size, err);

	if (status != MB_OK)
		return status;
	status = vocabulary_use_count(use, data, size, counts, too_long, interrupt, err);
	if (status == MB_CORRUPT || status == MB_LIMIT)
		mb_hint(err, "The vocabulary is that of --compare: \"%.200s\".", path);
	munmap((void *) (uintptr_t) data, size);
	return status;
}

void
vocabulary_use_release(vocabulary_use *use)
{
	free(use->uses);
	free(use->blob);
	memset(use, 0, sizeof(*use));
}

typedef struct ranked
{
	uint64_t uses;
	int32_t id;
} ranked;

static int
compare_ranked(const void *left, const void *right)
{
	const ranked *a = left, *b = right;

	if (a->uses != b->uses)
		return a->uses > b->uses ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

int32_t *
vocabulary_difference(const vocabulary_use *a, const vocabulary_use *b, size_t *n)
{
	ranked *found = allocate(a->n_tokens, sizeof(*found));
	int32_t *ids;
	size_t i;

	*n = 0;
	for (i = 0; i < a->n_tokens; i++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&a->tokenizer, (int32_t) i, &bytes);

		if (bytes > 0 && mb_tokenizer_id(&b->tokenizer, token, bytes) < 0)
			found[(*n)++] = (ranked){a->uses[i], (int32_t) i};
	}
	qsort(found, *n, sizeof(*found), compare_ranked);
	ids = allocate(*n, sizeof(*ids));
	for (i = 0; i < *n; i++)
		ids[i] = found[i].id;
	free(found);
	return ids;
}

static bool
is_role_token(const mb_tokenizer *tokenizer, int32_t id)
{
	return id == mb_tokenizer_unk_id(tokenizer) || id == mb_tokenizer_cls_id(tokenizer) ||
		   id == mb_tokenizer_sep_id(tokenizer) || id == mb_tokenizer_pad_id(tokenizer) ||
		   id == mb_tokenizer_mask_id(tokenizer);
}

size_t
vocabulary_unused(const vocabulary_use *use)
{
	size_t unused = 0, i;

	for (i = 0; i < use->n_tokens; i++)
		unused += use->uses[i] == 0 && !is_role_token(&use->tokenizer, (int32_t) i);
	return unused;
}
