/*
 * word_counts.h - how often each word was seen, in a table that cannot grow without bound.
 *
 * A table that is full forgets its rarest words: those seen at most `floor` times, with the smallest floor that empties
 * half of it (lossy counting: Manku and Motwani, 2002).  A word's count is then too small by at most the sum of the
 * floors, which is kept, as is how many words and occurrences were forgotten; nothing is lost unseen.  Ordinary text
 * stays far below the default bounds, and then every count is exact.
 */
#ifndef MOVIEBERT_TOOL_WORD_COUNTS_H
#define MOVIEBERT_TOOL_WORD_COUNTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct word_count
{
	uint64_t count;
	uint32_t at; /* in text */
	uint32_t bytes;
	uint32_t hash;
} word_count;

typedef struct word_counts
{
	word_count *words; /* [n] */
	uint32_t *slots;   /* [n_slots] index into words, UINT32_MAX: free; open addressing */
	char *text;        /* [text_used] */
	size_t n, capacity, n_slots;
	size_t text_used, text_capacity;
	size_t max_words, max_text;

	uint64_t occurrences;     /* of words added, the forgotten ones included */
	uint64_t forgotten_words; /* a word forgotten twice counts twice */
	uint64_t forgotten_occurrences;
	uint64_t undercount; /* no count is short by more */
} word_counts;

/* 0 < max_words < 2^31; the words' bytes are bounded by ten for each.  Release with word_counts_release. */
void word_counts_start(word_counts *counts, size_t max_words);

/* 0 < bytes <= 1,000. */
void word_counts_add(word_counts *counts, const char *word, size_t bytes, uint64_t times);

/* Orders the words by (count descending, bytes ascending), whatever order they came in; nothing may be added after. */
void word_counts_sort(word_counts *counts);

static inline const char *
word_counts_text(const word_counts *counts, size_t i)
{
	return counts->text + counts->words[i].at;
}

void word_counts_release(word_counts *counts);

#endif
