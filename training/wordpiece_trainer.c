/*
 * wordpiece_trainer.c - the alphabet, the words as rows of pieces, and merging.
 *
 * Merging keeps for every pair of pieces how often it stands in the words, and a heap of pairs with the words in which
 * to look for them.  A count changes without its heap entry: an entry on top whose count is out of date goes back with
 * the right one, so that each merge touches only the words that have the pair.
 *
 * A merge makes new pairs only with its new piece, so the words of a pair are complete when it enters the heap: each
 * pair enters once, and what its count is after it was merged matters to nobody.
 */
#include "wordpiece_trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "memory.h"

#define N_CODEPOINTS 0x110000
#define NO_PAIR UINT32_MAX
#define NO_ENTRY SIZE_MAX
#define MAX_CHARACTER 8 /* bytes of "##", a character and a NUL */

typedef struct pair_count
{
	int32_t left, right;
	int64_t count;
	size_t entry; /* in fresh, while it gathers words there; else NO_ENTRY */
} pair_count;

/* A pair in the heap, with the words to merge it in: those that had it when it was pushed. */
typedef struct heap_entry
{
	int64_t count; /* when it was pushed */
	int32_t left, right;
	uint32_t pair;
	uint32_t n, capacity; /* capacity 0: words is not ours to free */
	uint32_t *words;
} heap_entry;

typedef struct entries
{
	heap_entry *items;
	size_t n, capacity;
} entries;

typedef struct trainer
{
	const word_counts *counts;
	const wordpiece_options *options;
	wordpiece_vocabulary *vocabulary;

	int32_t *pieces;   /* of all words, one after another */
	uint32_t *starts;  /* [n_words] where a word's pieces begin */
	uint16_t *lengths; /* [n_words] how many it has now */

	pair_count *pairs;
	size_t n_pairs, pairs_capacity;
	uint32_t *pair_slots; /* [n_pair_slots] index into pairs, or NO_PAIR; open addressing */
	size_t n_pair_slots;

	uint32_t *first_words; /* the word lists of all first entries */
	entries fresh;         /* entries of the current step, not in the heap yet */
	entries heap;
} trainer;

/* ---- the alphabet ------------------------------------------------------------------------------------------------ */

static int
compare_frequency(const void *left, const void *right)
{
	const dropped_character *a = left, *b = right;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return a->codepoint < b->codepoint ? -1 : a->codepoint > b->codepoint;
}

static int
compare_codepoint(const void *left, const void *right)
{
	const dropped_character *a = left, *b = right;

	return a->codepoint < b->codepoint ? -1 : a->codepoint > b->codepoint;
}

/* The next code point of a word, and its bytes. */
static size_t
next_character(const char *word, size_t bytes, int32_t *codepoint)
{
	utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *) word, (utf8proc_ssize_t) bytes, codepoint);

	return n > 0 ? (size_t) n : bytes;
}

static size_t
count_characters(const word_counts *words, uint64_t *counts)
{
	size_t n = 0, i;

	for (i = 0; i < words->n; i++)
	{
		const char *word = word_counts_text(words, i);
		size_t bytes = words->words[i].bytes, at = 0;

		while (at < bytes)
		{
			int32_t c;

			at += next_character(word + at, bytes - at, &c);
			n += counts[c] == 0;
			counts[c] += words->words[i].count;
		}
	}
	return n;
}

static int32_t
add_character(dictionary *tokens, int32_t codepoint, bool continues)
{
	char token[MAX_CHARACTER] = "##";
	size_t at = continues ? 2 : 0;
	utf8proc_ssize_t n = utf8proc_encode_char(codepoint, (utf8proc_uint8_t *) token + at);

	token[at + (size_t) n] = '\0';
	return dictionary_add(tokens, token);
}

/* ids [N_CODEPOINTS] of the characters kept, -1 for the others */
static void
make_alphabet(trainer *t, int32_t *ids)
{
	wordpiece_vocabulary *v = t->vocabulary;
	uint64_t *counts = allocate(N_CODEPOINTS, sizeof(*counts));
	size_t n = count_characters(t->counts, counts), kept, i = 0;
	dropped_character *seen = allocate(n, sizeof(*seen));
	int32_t c;

	for (c = 0; c < N_CODEPOINTS; c++)
	{
		ids[c] = -1;
		if (counts[c] > 0)
			seen[i++] = (dropped_character){c, counts[c]};
	}
	free(counts);
	qsort(seen, n, sizeof(*seen), compare_frequency);
	kept = n < t->options->limit_alphabet ? n : t->options->limit_alphabet;
	v->n_dropped = n - kept;
	v->dropped = allocate(v->n_dropped, sizeof(*v->dropped));
	memcpy(v->dropped, seen + kept, v->n_dropped * sizeof(*v->dropped));
	qsort(seen, kept, sizeof(*seen), compare_codepoint);
	for (i = 0; i < kept; i++)
		ids[seen[i].codepoint] = add_character(&v->tokens, seen[i].codepoint, false);
	v->n_alphabet = v->tokens.n - v->n_special;
	free(seen);
}

/* ---- words as pieces --------------------------------------------------------------------------------------------- */

/*
 * A character outside the alphabet is dropped, and its neighbours become adjacent; if it was the first of its word,
 * the word begins with a "##" piece.
 */
static mb_status
make_pieces(trainer *t, mb_error *err)
{
	const word_counts *words = t->counts;
	dictionary *tokens = &t->vocabulary->tokens;
	int32_t *starting = allocate(N_CODEPOINTS, sizeof(*starting));
	int32_t *continuing = allocate(N_CODEPOINTS, sizeof(*continuing));
	uint32_t n_pieces = 0;
	size_t n_before, i;

	make_alphabet(t, starting);
	n_before = tokens->n;
	memset(continuing, 0xff, N_CODEPOINTS * sizeof(*continuing));
	t->pieces = allocate(words->text_used, sizeof(*t->pieces));
	t->starts = allocate(words->n, sizeof(*t->starts));
	t->lengths = allocate(words->n, sizeof(*t->lengths));
	for (i = 0; i < words->n; i++)
	{
		const char *word = word_counts_text(words, i);
		size_t bytes = words->words[i].bytes, at = 0;
		bool first = true;

		t->starts[i] = n_pieces;
		for (; at < bytes; first = false)
		{
			int32_t c;

			at += next_character(word + at, bytes - at, &c);
			if (starting[c] < 0)
				continue;
			if (!first && continuing[c] < 0)
				continuing[c] = add_character(tokens, c, true);
			t->pieces[n_pieces++] = first ? starting[c] : continuing[c];
		}
		t->lengths[i] = (uint16_t) (n_pieces - t->starts[i]);
	}
	t->vocabulary->n_continuing = tokens->n - n_before;
	free(starting);
	free(continuing);
	if (tokens->n <= t->options->size)
		return MB_OK;
	mb_fail(err, MB_LIMIT, "a vocabulary of %zu tokens is too small for this text", t->options->size);
	mb_detail(err, "%zu special tokens, %zu characters, and %zu of them again inside words, are %zu tokens already.",
			  t->vocabulary->n_special, t->vocabulary->n_alphabet, t->vocabulary->n_continuing, tokens->n);
	mb_hint(err, "Give a larger --size, or a smaller --limit-alphabet.");
	return MB_LIMIT;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

static size_t
pair_slot(const trainer *t, int32_t left, int32_t right)
{
	uint64_t hash = ((uint64_t) (uint32_t) left << 32 | (uint32_t) right) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (size_t) (hash >> 32) & (t->n_pair_slots - 1);

	while (t->pair_slots[slot] != NO_PAIR)
	{
		const pair_count *p = &t->pairs[t->pair_slots[slot]];

		if (p->left == left && p->right == right)
			break;
		slot = (slot + 1) & (t->n_pair_slots - 1);
	}
	return slot;
}

static void
grow_pair_slots(trainer *t)
{
	size_t i;

	t->n_pair_slots = t->n_pair_slots == 0 ? 4096 : t->n_pair_slots * 2;
	t->pair_slots = reallocate(t->pair_slots, t->n_pair_slots, sizeof(*t->pair_slots));
	memset(t->pair_slots, 0xff, t->n_pair_slots * sizeof(*t->pair_slots));
	for (i = 0; i < t->n_pairs; i++)
		t->pair_slots[pair_slot(t, t->pairs[i].left, t->pairs[i].right)] = (uint32_t) i;
}

static pair_count *
get_pair(trainer *t, int32_t left, int32_t right)
{
	size_t slot;

	if (t->n_pairs * 2 >= t->n_pair_slots)
		grow_pair_slots(t);
	slot = pair_slot(t, left, right);
	if (t->pair_slots[slot] == NO_PAIR)
	{
		if (t->n_pairs == t->pairs_capacity)
		{
			t->pairs_capacity = t->pairs_capacity == 0 ? 2048 : t->pairs_capacity * 2;
			t->pairs = reallocate(t->pairs, t->pairs_capacity, sizeof(*t->pairs));
		}
		t->pairs[t->n_pairs] = (pair_count){left, right, 0, NO_ENTRY};
		t->pair_slots[slot] = (uint32_t) t->n_pairs++;
	}
	return &t->pairs[t->pair_slots[slot]];
}

/* ---- the heap ---------------------------------------------------------------------------------------------------- */

static bool
comes_before(const heap_entry *a, const heap_entry *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	if (a->left != b->left)
		return a->left < b->left;
	return a->right < b->right;
}

static void
heap_down(entries *heap, size_t at, heap_entry moving)
{
	for (;;)
	{
		size_t child = 2 * at + 1;

		if (child >= heap->n)
			break;
		if (child + 1 < heap->n && comes_before(&heap->items[child + 1], &heap->items[child]))
			child++;
		if (!comes_before(&heap->items[child], &moving))
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = moving;
}

static heap_entry *
entries_add(entries *list, heap_entry entry)
{
	if (list->n == list->capacity)
	{
		list->capacity = list->capacity == 0 ? 256 : list->capacity * 2;
		list->items = reallocate(list->items, list->capacity, sizeof(*list->items));
	}
	list->items[list->n] = entry;
	return &list->items[list->n++];
}

static void
heap_push(entries *heap, heap_entry entry)
{
	size_t at = heap->n;

	entries_add(heap, entry);
	while (at > 0 && comes_before(&entry, &heap->items[(at - 1) / 2]))
	{
		heap->items[at] = heap->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->items[at] = entry;
}

static heap_entry
heap_pop(entries *heap)
{
	heap_entry top = heap->items[0];

	heap->n--;
	if (heap->n > 0)
		heap_down(heap, 0, heap->items[heap->n]);
	return top;
}

static void
drop_words(heap_entry *entry)
{
	if (entry->capacity > 0)
		free(entry->words);
}

/* Moves the fresh entries whose pairs are there into the heap. */
static void
push_fresh(trainer *t)
{
	size_t i;

	for (i = 0; i < t->fresh.n; i++)
	{
		heap_entry *entry = &t->fresh.items[i];
		pair_count *p = &t->pairs[entry->pair];

		p->entry = NO_ENTRY;
		if (p->count <= 0)
		{
			drop_words(entry);
			continue;
		}
		entry->count = p->count;
		heap_push(&t->heap, *entry);
	}
	t->fresh.n = 0;
}

/* ---- counting and merging ---------------------------------------------------------------------------------------- */

static heap_entry *
fresh_entry(trainer *t, pair_count *p)
{
	if (p->entry == NO_ENTRY)
	{
		p->entry = t->fresh.n;
		entries_add(&t->fresh,
					(heap_entry){.left = p->left, .right = p->right, .pair = (uint32_t) (p - t->pairs), .words = NULL});
	}
	return &t->fresh.items[p->entry];
}

/* The pair of pieces j - 1 and j of word i. */
static pair_count *
pair_at(trainer *t, size_t i, size_t j)
{
	const int32_t *pieces = t->pieces + t->starts[i];

	return get_pair(t, pieces[j - 1], pieces[j]);
}

/*
 * Counts all pairs, and then gathers their words: when it is known how many words each has at most, all the lists fit
 * into one piece of memory.
 */
static void
count_pairs(trainer *t)
{
	size_t total = 0, i, j;

	for (i = 0; i < t->counts->n; i++)
		for (j = 1; j < t->lengths[i]; j++)
		{
			pair_count *p = pair_at(t, i, j);

			p->count += (int64_t) t->counts->words[i].count;
			fresh_entry(t, p)->n++;
			total++;
		}
	t->first_words = allocate(total, sizeof(*t->first_words));
	for (i = 0, total = 0; i < t->fresh.n; i++)
	{
		t->fresh.items[i].words = t->first_words + total;
		total += t->fresh.items[i].n;
		t->fresh.items[i].n = 0;
	}
	for (i = 0; i < t->counts->n; i++)
		for (j = 1; j < t->lengths[i]; j++)
		{
			heap_entry *entry = &t->fresh.items[pair_at(t, i, j)->entry];

			if (entry->n == 0 || entry->words[entry->n - 1] != i)
				entry->words[entry->n++] = (uint32_t) i;
		}
	push_fresh(t);
}

static void
pair_vanishes(trainer *t, int32_t left, int32_t right, uint32_t word)
{
	get_pair(t, left, right)->count -= (int64_t) t->counts->words[word].count;
}

static void
pair_appears(trainer *t, int32_t left, int32_t right, uint32_t word)
{
	pair_count *p = get_pair(t, left, right);
	heap_entry *entry = fresh_entry(t, p);

	p->count += (int64_t) t->counts->words[word].count;
	if (entry->n > 0 && entry->words[entry->n - 1] == word)
		return;
	if (entry->n == entry->capacity)
	{
		entry->capacity = entry->capacity == 0 ? 2 : entry->capacity * 2;
		entry->words = reallocate(entry->words, entry->capacity, sizeof(*entry->words));
	}
	entry->words[entry->n++] = word;
}

static void
merge_in_word(trainer *t, uint32_t word, int32_t left, int32_t right, int32_t merged)
{
	int32_t *pieces = t->pieces + t->starts[word];
	size_t n = t->lengths[word], from = 0, to = 0;

	while (from < n)
	{
		if (from + 1 == n || pieces[from] != left || pieces[from + 1] != right)
		{
			pieces[to++] = pieces[from++];
			continue;
		}
		if (to > 0)
		{
			pair_vanishes(t, pieces[to - 1], left, word);
			pair_appears(t, pieces[to - 1], merged, word);
		}
		if (from + 2 < n)
		{
			pair_vanishes(t, right, pieces[from + 2], word);
			pair_appears(t, merged, pieces[from + 2], word);
		}
		pieces[to++] = merged;
		from += 2;
	}
	t->lengths[word] = (uint16_t) to;
}

static int32_t
merged_token(trainer *t, int32_t left, int32_t right)
{
	dictionary *tokens = &t->vocabulary->tokens;
	const char *tail = tokens->names[right];
	string_buffer name = {0};
	int32_t id;

	if (strncmp(tail, "##", 2) == 0)
		tail += 2;
	string_printf(&name, "%s%s", tokens->names[left], tail);
	id = dictionary_add(tokens, name.data);
	string_release(&name);
	return id;
}

static mb_status
merge_pairs(trainer *t, mb_error *err)
{
	const wordpiece_options *options = t->options;
	const dictionary *tokens = &t->vocabulary->tokens;

	while (tokens->n < options->size && t->heap.n > 0)
	{
		heap_entry top = heap_pop(&t->heap);
		int64_t count = t->pairs[top.pair].count;
		int32_t merged;
		uint32_t i;

		if (top.count != count)
		{
			top.count = count;
			heap_push(&t->heap, top);
			continue;
		}
		if (count < 1 || (uint64_t) count < options->min_frequency)
		{
			drop_words(&top);
			break;
		}
		if (mb_interrupted(options->interrupt))
		{
			drop_words(&top);
			return mb_fail(err, MB_CANCELLED, "interrupted");
		}
		merged = merged_token(t, top.left, top.right);
		for (i = 0; i < top.n; i++)
			merge_in_word(t, top.words[i], top.left, top.right, merged);
		drop_words(&top);
		push_fresh(t);
		t->vocabulary->last_count = (uint64_t) count;
		if (options->progress != NULL)
			options->progress(options->progress_arg, tokens->n);
	}
	return MB_OK;
}

static void
trainer_release(trainer *t)
{
	size_t i;

	for (i = 0; i < t->heap.n; i++)
		drop_words(&t->heap.items[i]);
	free(t->heap.items);
	free(t->fresh.items);
	free(t->first_words);
	free(t->pair_slots);
	free(t->pairs);
	free(t->lengths);
	free(t->starts);
	free(t->pieces);
}

mb_status
wordpiece_train(wordpiece_vocabulary *vocabulary, const word_counts *words, const wordpiece_options *options,
				mb_error *err)
{
	trainer t = {.counts = words, .options = options, .vocabulary = vocabulary};
	mb_status status;
	size_t i;

	memset(vocabulary, 0, sizeof(*vocabulary));
	for (i = 0; i < options->n_special; i++)
		dictionary_add(&vocabulary->tokens, options->special_tokens[i]);
	vocabulary->n_special = vocabulary->tokens.n;
	status = make_pieces(&t, err);
	if (status == MB_OK)
	{
		count_pairs(&t);
		status = merge_pairs(&t, err);
	}
	trainer_release(&t);
	if (status != MB_OK)
		wordpiece_vocabulary_release(vocabulary);
	return status;
}

void
wordpiece_vocabulary_release(wordpiece_vocabulary *vocabulary)
{
	dictionary_release(&vocabulary->tokens);
	free(vocabulary->dropped);
	memset(vocabulary, 0, sizeof(*vocabulary));
}
