/*
 * vocabulary_use.h - what a vocabulary makes of counted words: how many tokens, which ones, and how much is [UNK].
 */
#ifndef MOVIEBERT_TOOL_VOCABULARY_USE_H
#define MOVIEBERT_TOOL_VOCABULARY_USE_H

#include "moviebert/tokenizer.h"
#include "word_counts.h"

/* Words of more characters are [UNK] to the tokenizer, as max_input_chars_per_word is in every BERT. */
#define MAX_WORD_CHARACTERS 100

typedef struct vocabulary_use
{
	void *blob; /* that tokenizer looks at */
	mb_tokenizer tokenizer;
	size_t n_tokens;
	uint64_t *uses; /* [n_tokens] how often the words need each */
	uint64_t words;
	uint64_t tokens;
	uint64_t unknown; /* words that are [UNK] */
} vocabulary_use;

/*
 * vocab is a vocab.txt; the words have been normalised.  too_long more words, which counts does not hold, are [UNK].
 * Errors: those of mb_vocabulary_pack, MB_CANCELLED.
 */
mb_status vocabulary_use_count(vocabulary_use *use, const char *vocab, size_t vocab_bytes, const word_counts *counts,
							   uint64_t too_long, const mb_interrupt *interrupt, mb_error *err);
/* The same with a file, which the error names. */
mb_status vocabulary_use_read(vocabulary_use *use, const char *path, const word_counts *counts, uint64_t too_long,
							  const mb_interrupt *interrupt, mb_error *err);
void vocabulary_use_release(vocabulary_use *use);

/* Ids of the tokens of a that b does not have, most used first; *n of them, the caller's to free. */
int32_t *vocabulary_difference(const vocabulary_use *a, const vocabulary_use *b, size_t *n);

/* Tokens that no word needs, special tokens aside. */
size_t vocabulary_unused(const vocabulary_use *use);

#endif
