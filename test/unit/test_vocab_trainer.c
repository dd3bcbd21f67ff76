/*
 * test_vocab_trainer.c - the WordPiece trainer against its definition, and what it does at its edges.
 *
 * The definition is a literal one: all pairs are counted anew before each merge, entries stand in a list that is
 * searched from end to end, and words are looked for in all words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/memory.h"
#include "training/wordpiece_trainer.h"

static const char *const special[] = {"[PAD]", "[UNK]"};

static wordpiece_options
options(size_t size)
{
	return (wordpiece_options){
		.size = size, .min_frequency = 2, .limit_alphabet = 1000, .special_tokens = special, .n_special = 2};
}

static char *
joined(const dictionary *tokens)
{
	string_buffer text = {0};
	size_t i;

	for (i = 0; i < tokens->n; i++)
		string_printf(&text, "%s%s", i > 0 ? " " : "", tokens->names[i]);
	return text.data;
}

/* ---- the definition ---------------------------------------------------------------------------------------------- */

#define MAX_WORDS 40
#define MAX_PIECES 16
#define MAX_TOKENS 300
#define MAX_ENTRIES 4000

typedef struct naive_entry
{
	int left, right;
	int64_t count;
	bool words[MAX_WORDS];
	bool gone;
} naive_entry;

typedef struct naive
{
	int n_words;
	int64_t counts[MAX_WORDS];
	int pieces[MAX_WORDS][MAX_PIECES];
	int lengths[MAX_WORDS];
	int64_t merged[MAX_TOKENS][MAX_TOKENS]; /* occurrences of a pair that have become one piece */
	naive_entry entries[MAX_ENTRIES];
	int n_entries;
	dictionary tokens;
	int reappeared; /* entries for a pair that had one already: the trainer relies on there being none */
} naive;

static int64_t
naive_count(const naive *m, int left, int right)
{
	int64_t count = m->merged[left][right];
	int w, i;

	for (w = 0; w < m->n_words; w++)
		for (i = 0; i + 1 < m->lengths[w]; i++)
			if (m->pieces[w][i] == left && m->pieces[w][i + 1] == right)
				count += m->counts[w];
	return count;
}

/* An entry for each pair in `new_pairs`, with the words of new_pairs[left][right]. */
static void
naive_add_entries(naive *m, bool (*new_pairs)[MAX_TOKENS][MAX_WORDS])
{
	int left, right, w, e;

	for (left = 0; left < (int) m->tokens.n; left++)
		for (right = 0; right < (int) m->tokens.n; right++)
		{
			bool any = false;

			for (w = 0; w < m->n_words; w++)
				any = any || new_pairs[left][right][w];
			if (!any || naive_count(m, left, right) == 0)
				continue;
			for (e = 0; e < m->n_entries; e++)
				if (m->entries[e].left == left && m->entries[e].right == right)
				{
					m->reappeared++;
					break;
				}
			assert_true(m->n_entries < MAX_ENTRIES);
			m->entries[m->n_entries] =
				(naive_entry){.left = left, .right = right, .count = naive_count(m, left, right)};
			memcpy(m->entries[m->n_entries].words, new_pairs[left][right], sizeof(m->entries[0].words));
			m->n_entries++;
		}
}

static int
naive_best(const naive *m)
{
	int best = -1, e;

	for (e = 0; e < m->n_entries; e++)
	{
		const naive_entry *a = &m->entries[e], *b = best < 0 ? NULL : &m->entries[best];

		if (a->gone)
			continue;
		if (b == NULL || a->count > b->count ||
			(a->count == b->count && (a->left < b->left || (a->left == b->left && a->right < b->right))))
			best = e;
	}
	return best;
}

static void
naive_merge(naive *m, const naive_entry *entry, int token, bool (*new_pairs)[MAX_TOKENS][MAX_WORDS])
{
	int w, i;

	for (w = 0; w < m->n_words; w++)
	{
		int n = 0, old[MAX_PIECES], was_new[MAX_PIECES];

		if (!entry->words[w])
			continue;
		memcpy(old, m->pieces[w], sizeof(old));
		for (i = 0; i < m->lengths[w]; i++)
		{
			bool here = i + 1 < m->lengths[w] && old[i] == entry->left && old[i + 1] == entry->right;

			was_new[n] = here;
			m->pieces[w][n++] = here ? token : old[i];
			if (here)
				m->merged[entry->left][entry->right] += m->counts[w];
			i += here;
		}
		m->lengths[w] = n;
		for (i = 0; i + 1 < n; i++)
			if (was_new[i] || was_new[i + 1])
				new_pairs[m->pieces[w][i]][m->pieces[w][i + 1]][w] = true;
	}
}

/* words: distinct, of ASCII letters, sorted as word_counts_sort does. */
static void
naive_train(naive *m, const word_counts *words, const wordpiece_options *how)
{
	static bool new_pairs[MAX_TOKENS][MAX_TOKENS][MAX_WORDS];
	char token[64];
	int c, w, i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < (int) how->n_special; i++)
		dictionary_add(&m->tokens, how->special_tokens[i]);
	for (c = 'a'; c <= 'z'; c++)
		for (w = 0; w < (int) words->n; w++)
			if (memchr(word_counts_text(words, (size_t) w), c, words->words[w].bytes) != NULL)
			{
				snprintf(token, sizeof(token), "%c", c);
				dictionary_add(&m->tokens, token);
			}
	m->n_words = (int) words->n;
	assert_true(m->n_words <= MAX_WORDS);
	for (w = 0; w < m->n_words; w++)
	{
		m->counts[w] = (int64_t) words->words[w].count;
		m->lengths[w] = (int) words->words[w].bytes;
		assert_true(m->lengths[w] <= MAX_PIECES);
		for (i = 0; i < m->lengths[w]; i++)
		{
			snprintf(token, sizeof(token), "%s%c", i > 0 ? "##" : "", word_counts_text(words, (size_t) w)[i]);
			m->pieces[w][i] = dictionary_add(&m->tokens, token);
		}
	}
	memset(new_pairs, 0, sizeof(new_pairs));
	for (w = 0; w < m->n_words; w++)
		for (i = 0; i + 1 < m->lengths[w]; i++)
			new_pairs[m->pieces[w][i]][m->pieces[w][i + 1]][w] = true;
	naive_add_entries(m, new_pairs);
	while (m->tokens.n < how->size)
	{
		int best = naive_best(m), id;
		naive_entry *entry;
		const char *tail;

		if (best < 0)
			break;
		entry = &m->entries[best];
		if (entry->count != naive_count(m, entry->left, entry->right))
		{
			entry->count = naive_count(m, entry->left, entry->right);
			continue;
		}
		if (entry->count < (int64_t) how->min_frequency || entry->count < 1)
			break;
		tail = m->tokens.names[entry->right];
		snprintf(token, sizeof(token), "%s%s", m->tokens.names[entry->left], tail + (tail[0] == '#' ? 2 : 0));
		id = dictionary_add(&m->tokens, token);
		assert_true(id < MAX_TOKENS);
		entry->gone = true;
		memset(new_pairs, 0, sizeof(new_pairs));
		naive_merge(m, entry, id, new_pairs);
		naive_add_entries(m, new_pairs);
	}
}

/* ---- random words ------------------------------------------------------------------------------------------------ */

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Few letters, so that there are repetitions, overlaps and ties. */
static void
random_words(word_counts *words)
{
	uint32_t letters = 1 + random_below(4), n = 1 + random_below(MAX_WORDS), i, j;

	word_counts_start(words, 1000);
	for (i = 0; i < n; i++)
	{
		char word[MAX_PIECES];
		uint32_t bytes = 1 + random_below(random_below(2) ? 5 : 12);

		for (j = 0; j < bytes; j++)
			word[j] = (char) ('a' + random_below(letters));
		word_counts_add(words, word, bytes, 1 + random_below(random_below(2) ? 3 : 50));
	}
	word_counts_sort(words);
}

static void
equals_its_definition(void **state)
{
	int rounds = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 12 : 400, round, reappeared = 0;
	size_t merges = 0;
	naive *m = malloc(sizeof(*m));

	(void) state;
	for (round = 0; round < rounds; round++)
	{
		word_counts words;
		wordpiece_vocabulary v;
		wordpiece_options how = options(0);
		mb_error err = {0};
		char *expected, *got;

		seed = (uint32_t) round * 7919u + 17u;
		random_words(&words);
		how.size = 12 + random_below(100);
		how.min_frequency = random_below(4);
		assert_int_equal(wordpiece_train(&v, &words, &how, &err), MB_OK);
		naive_train(m, &words, &how);
		expected = joined(&m->tokens);
		got = joined(&v.tokens);
		if (strcmp(expected, got) != 0)
			fail_msg("round %d\nexpected %s\ngot      %s", round, expected, got);
		merges += v.tokens.n - v.n_special - v.n_alphabet - v.n_continuing;
		reappeared += m->reappeared;
		free(expected);
		free(got);
		dictionary_release(&m->tokens);
		wordpiece_vocabulary_release(&v);
		word_counts_release(&words);
	}
	print_message("%d corpora, %zu merged tokens, %d pairs that appeared again\n", rounds, merges, reappeared);
	assert_true(merges > 100);
	assert_int_equal(reappeared, 0);
	free(m);
}

/* ---- by hand ----------------------------------------------------------------------------------------------------- */

typedef struct counted
{
	const char *word;
	uint64_t count;
} counted;

static char *
train(const counted *list, wordpiece_options how, wordpiece_vocabulary *v)
{
	word_counts words;
	mb_error err = {0};

	word_counts_start(&words, 1000);
	for (; list->word != NULL; list++)
		word_counts_add(&words, list->word, strlen(list->word), list->count);
	word_counts_sort(&words);
	if (wordpiece_train(v, &words, &how, &err) != MB_OK)
		fail_msg("%s", err.message);
	word_counts_release(&words);
	return joined(&v->tokens);
}

static void
assert_trained(const counted *list, wordpiece_options how, const char *expected)
{
	wordpiece_vocabulary v;
	char *got = train(list, how, &v);

	assert_string_equal(got, expected);
	free(got);
	wordpiece_vocabulary_release(&v);
}

static void
merges_by_hand(void **state)
{
	/* ("##u", "##g") 25, then ("h", "##ug") 15: "##g" was numbered before "##n", by "hug" coming first. */
	static const counted hugs[] = {{"hug", 15}, {"pun", 12}, {"pug", 10}, {"bun", 4}, {NULL, 0}};
	static const counted overlap[] = {{"aaaa", 3}, {"aaa", 2}, {NULL, 0}};

	(void) state;
	assert_trained(hugs, options(12), "[PAD] [UNK] b g h n p u ##u ##g ##n ##ug");
	assert_trained(hugs, options(15), "[PAD] [UNK] b g h n p u ##u ##g ##n ##ug ##un hug pun");
	/* (a, ##a) 5 and (##a, ##a) 3 * 2 + 2 = 8; "a ##aa ##a" then has ("##aa", "##a") 3 and "a ##aa" 5. */
	assert_trained(overlap, options(6), "[PAD] [UNK] a ##a ##aa aaa");
	assert_trained(overlap, options(100), "[PAD] [UNK] a ##a ##aa aaa aaaa");
}

static void
ties_go_to_the_smaller_numbers(void **state)
{
	static const counted words[] = {{"xy", 5}, {"ab", 5}, {"zb", 5}, {NULL, 0}};

	(void) state;
	/* Words of one count in the order of their bytes: ab, xy, zb; so "##b" before "##y". */
	assert_trained(words, options(11), "[PAD] [UNK] a b x y z ##b ##y ab xy");
	assert_trained(words, options(12), "[PAD] [UNK] a b x y z ##b ##y ab xy zb");
}

static void
large_counts(void **state)
{
	static const counted words[] = {
		{"ab", UINT64_C(3000000000)}, {"cb", UINT64_C(3000000001)}, {"cd", UINT64_C(5000000000)}, {NULL, 0}};

	(void) state;
	/* In 32 bits the first would be negative, and the last smaller than the second. */
	assert_trained(words, options(12), "[PAD] [UNK] a b c d ##d ##b cd cb ab");
}

static void
frequency_stops(void **state)
{
	static const counted words[] = {{"ab", 3}, {"cb", 2}, {"cd", 1}, {NULL, 0}};
	wordpiece_options how = options(100);
	wordpiece_vocabulary v;

	(void) state;
	how.min_frequency = 3;
	assert_trained(words, how, "[PAD] [UNK] a b c d ##b ##d ab");
	how.min_frequency = 2;
	assert_trained(words, how, "[PAD] [UNK] a b c d ##b ##d ab cb");
	how.min_frequency = 1;
	free(train(words, how, &v));
	assert_int_equal(v.last_count, 1);
	assert_int_equal(v.n_special, 2);
	assert_int_equal(v.n_alphabet, 4);
	assert_int_equal(v.n_continuing, 2);
	assert_int_equal(v.tokens.n, 11);
	wordpiece_vocabulary_release(&v);
}

static void
alphabet_is_limited(void **state)
{
	/* e-acute 9, a 14, b 8, z 5, c 5 */
	static const counted words[] = {{"a\xc3\xa9"
									 "b",
									 8},
									{"ac", 5},
									{"\xc3\xa9"
									 "a",
									 1},
									{"z", 5},
									{NULL, 0}};
	wordpiece_options how = options(100);
	wordpiece_vocabulary v;
	char *got;

	(void) state;
	how.limit_alphabet = 2;
	how.min_frequency = 1;
	got = train(words, how, &v);
	/* Without "b" its neighbours end the word; "c" and "z", of equal counts, are both dropped, in their order. */
	assert_string_equal(got, "[PAD] [UNK] a \xc3\xa9 ##\xc3\xa9 ##a a\xc3\xa9 \xc3\xa9"
							 "a");
	assert_int_equal(v.n_dropped, 3);
	assert_int_equal(v.dropped[0].codepoint, 'b');
	assert_int_equal(v.dropped[0].count, 8);
	assert_int_equal(v.dropped[1].codepoint, 'c');
	assert_int_equal(v.dropped[2].codepoint, 'z');
	free(got);
	wordpiece_vocabulary_release(&v);

	/* Dropped characters leave their neighbours side by side, and may leave a word that begins with "##". */
	how.limit_alphabet = 3;
	how.size = 9;
	assert_trained((counted[]){{"axb", 9}, {"b", 20}, {"a", 20}, {"xab", 9}, {"yyyyyy", 9}, {NULL, 0}}, how,
				   "[PAD] [UNK] a b y ##b ##a ##y ##yy");
}

static bool
stop(void *arg)
{
	int *left = arg;

	return (*left)-- <= 0;
}

static void
errors(void **state)
{
	word_counts words;
	wordpiece_vocabulary v;
	wordpiece_options how = options(6);
	mb_error err = {0};
	int left = 1;
	mb_interrupt interrupt = {stop, &left};

	(void) state;
	word_counts_start(&words, 1000);
	word_counts_add(&words, "abcd", 4, 5);
	word_counts_add(&words, "abc", 3, 5);
	word_counts_sort(&words);
	assert_int_equal(wordpiece_train(&v, &words, &how, &err), MB_LIMIT);
	print_message("%s\n%s\n%s\n", err.message, err.detail, err.hint);
	assert_non_null(strstr(err.detail, "2 special tokens, 4 characters, and 3 of them again inside words, are 9"));
	assert_int_equal(v.tokens.n, 0);
	how.size = 9;
	assert_int_equal(wordpiece_train(&v, &words, &how, &err), MB_OK);
	assert_int_equal(v.tokens.n, 9);
	wordpiece_vocabulary_release(&v);
	how.size = 100;
	how.interrupt = &interrupt;
	assert_int_equal(wordpiece_train(&v, &words, &how, &err), MB_CANCELLED);
	assert_int_equal(left, -1);
	word_counts_release(&words);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(equals_its_definition),
									   cmocka_unit_test(merges_by_hand),
									   cmocka_unit_test(ties_go_to_the_smaller_numbers),
									   cmocka_unit_test(large_counts),
									   cmocka_unit_test(frequency_stops),
									   cmocka_unit_test(alphabet_is_limited),
									   cmocka_unit_test(errors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
