/* word_counts.c - open addressing with FNV-1a; forgetting rebuilds the table in place. */
#include "word_counts.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define FREE UINT32_MAX
#define TEXT_PER_WORD 10 /* English has nine bytes to a distinct word */

static uint32_t
hash_of(const char *word, size_t bytes)
{
	uint64_t hash = 14695981039346656037u;
	size_t i;

	for (i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char) word[i]) * 1099511628211u;
	return (uint32_t) (hash ^ hash >> 32);
}

static size_t
slot_of(const word_counts *counts, const char *word, size_t bytes, uint32_t hash)
{
	size_t slot = hash & (counts->n_slots - 1);

	while (counts->slots[slot] != FREE)
	{
		const word_count *w = &counts->words[counts->slots[slot]];

		if (w->hash == hash && w->bytes == bytes && memcmp(counts->text + w->at, word, bytes) == 0)
			break;
		slot = (slot + 1) & (counts->n_slots - 1);
	}
	return slot;
}

static void
fill_slots(word_counts *counts)
{
	size_t i;

	memset(counts->slots, 0xff, counts->n_slots * sizeof(*counts->slots));
	for (i = 0; i < counts->n; i++)
	{
		size_t slot = counts->words[i].hash & (counts->n_slots - 1);

		while (counts->slots[slot] != FREE)
			slot = (slot + 1) & (counts->n_slots - 1);
		counts->slots[slot] = (uint32_t) i;
	}
}

static void
set_slots(word_counts *counts, size_t n_slots)
{
	counts->n_slots = n_slots;
	counts->slots = reallocate(counts->slots, n_slots, sizeof(*counts->slots));
	fill_slots(counts);
}

void
word_counts_start(word_counts *counts, size_t max_words)
{
	memset(counts, 0, sizeof(*counts));
	counts->max_words = max_words;
	counts->max_text = max_words * TEXT_PER_WORD;
	/* The longest word must fit into half of the room. */
	if (counts->max_text < 4096)
		counts->max_text = 4096;
	if (counts->max_text > UINT32_MAX)
		counts->max_text = UINT32_MAX;
	set_slots(counts, 1024);
}

/* The smallest floor, of 1, 2, 4, ..., above which at most half of the words and half of their bytes remain. */
static uint64_t
choose_floor(const word_counts *counts)
{
	uint64_t floor = 1;

	for (;; floor *= 2)
	{
		size_t words = 0, text = 0, i;

		for (i = 0; i < counts->n; i++)
			if (counts->words[i].count > floor)
			{
				words++;
				text += counts->words[i].bytes;
			}
		if ((words <= counts->max_words / 2 && text <= counts->max_text / 2) || floor > UINT64_MAX / 4)
			return floor;
	}
}

static void
forget_rare_words(word_counts *counts)
{
	uint64_t floor = choose_floor(counts);
	size_t kept = 0, text_used = 0, i;

	/* Words stand in text in their own order, so that moving them to the front overwrites none that is still needed. */
	for (i = 0; i < counts->n; i++)
	{
		word_count w = counts->words[i];

		if (w.count <= floor)
		{
			counts->forgotten_words++;
			counts->forgotten_occurrences += w.count;
			continue;
		}
		memmove(counts->text + text_used, counts->text + w.at, w.bytes);
		w.at = (uint32_t) text_used;
		text_used += w.bytes;
		counts->words[kept++] = w;
	}
	counts->n = kept;
	counts->text_used = text_used;
	counts->undercount += floor;
	fill_slots(counts);
}

void
word_counts_add(word_counts *counts, const char *word, size_t bytes, uint64_t times)
{
	uint32_t hash = hash_of(word, bytes);
	size_t slot = slot_of(counts, word, bytes, hash);

	counts->occurrences += times;
	if (counts->slots[slot] != FREE)
	{
		counts->words[counts->slots[slot]].count += times;
		return;
	}
	if (counts->n == counts->max_words || counts->text_used + bytes > counts->max_text)
	{
		forget_rare_words(counts);
		slot = slot_of(counts, word, bytes, hash);
	}
	else if (counts->n * 2 >= counts->n_slots)
	{
		set_slots(counts, counts->n_slots * 2);
		slot = slot_of(counts, word, bytes, hash);
	}
	if (counts->n == counts->capacity)
	{
		counts->capacity = counts->capacity == 0 ? 1024 : counts->capacity * 2;
		counts->words = reallocate(counts->words, counts->capacity, sizeof(*counts->words));
	}
	while (counts->text_used + bytes > counts->text_capacity)
	{
		counts->text_capacity = counts->text_capacity == 0 ? 16384 : counts->text_capacity * 2;
		counts->text = reallocate(counts->text, counts->text_capacity, 1);
	}
	memcpy(counts->text + counts->text_used, word, bytes);
	counts->words[counts->n] = (word_count){times, (uint32_t) counts->text_used, (uint32_t) bytes, hash};
	counts->slots[slot] = (uint32_t) counts->n++;
	counts->text_used += bytes;
}

/* qsort's comparison has no argument of its own. */
static const char *sorted_text;

static int
compare_words(const void *left, const void *right)
{
	const word_count *a = left, *b = right;
	int order;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	order = memcmp(sorted_text + a->at, sorted_text + b->at, a->bytes < b->bytes ? a->bytes : b->bytes);
	if (order != 0)
		return order;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

void
word_counts_sort(word_counts *counts)
{
	free(counts->slots);
	counts->slots = NULL;
	counts->n_slots = 0;
	sorted_text = counts->text;
	if (counts->n > 0)
		qsort(counts->words, counts->n, sizeof(*counts->words), compare_words);
}

void
word_counts_release(word_counts *counts)
{
	free(counts->words);
	free(counts->slots);
	free(counts->text);
	memset(counts, 0, sizeof(*counts));
}
