/* test_sequences.c - packing loses nothing, masking keeps its numbers and probabilities, spans keep apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "packed_vocabulary.h"
#include "training/sequences.h"

/* Ids 0 to 4 are special; of the others, those with id % 3 == 0 go on with the word before. */
#define VOCAB 60000
enum
{
	PAD,
	UNK,
	CLS,
	SEP,
	MASK,
	N_SPECIAL
};

static uint8_t special[VOCAB], continues[VOCAB];
static const special_ids specials = {CLS, SEP, MASK, PAD, VOCAB, special, continues};
static char path[] = "/tmp/moviebert-sequences-XXXXXX";

static int
slow(int n)
{
	return getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? n / 10 : n;
}

static int
set_up(void **state)
{
	int fd = mkstemp(path), id;

	(void) state;
	for (id = 0; id < N_SPECIAL; id++)
		special[id] = 1;
	for (id = N_SPECIAL; id < VOCAB; id++)
		continues[id] = id % 3 == 0;
	return fd < 0 ? -1 : close(fd);
}

static int
tear_down(void **state)
{
	(void) state;
	return unlink(path);
}

static void
check(mb_status status, const mb_error *err)
{
	if (status != MB_OK)
		fail_msg("status %d: %s; %s", status, err->message, err->detail);
}

/* Texts of these lengths; the tokens of all are N_SPECIAL, N_SPECIAL + 1, ... so that each is told by its id. */
static void
make_store(token_store *store, const size_t *lengths, size_t n)
{
	token_writer *writer;
	int32_t *ids, id = N_SPECIAL;
	mb_error err = {0};
	size_t i, j;

	check(token_store_start(&writer, path, VOCAB, &err), &err);
	for (i = 0; i < n; i++)
	{
		ids = malloc(lengths[i] * sizeof(*ids) + 1);
		for (j = 0; j < lengths[i]; j++)
			ids[j] = id++;
		check(token_store_add(writer, ids, lengths[i], "", 0, &err), &err);
		free(ids);
	}
	assert_true(id <= VOCAB);
	check(token_store_finish(writer, &err), &err);
	check(token_store_open(store, path, &err), &err);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

#define N_TEXTS 300

typedef struct packed_part
{
	token_store store;
	uint64_t part[N_TEXTS];
	uint64_t n, tokens, stream; /* of the part; stream: with a [SEP] behind each text */
	packing *p;
} packed_part;

/* Every third text belongs to somebody else. */
static void
start_packing(packed_part *it, size_t T, uint64_t seed)
{
	size_t lengths[N_TEXTS], i;
	mb_error err = {0};

	memset(it, 0, sizeof(*it));
	for (i = 0; i < N_TEXTS; i++)
		lengths[i] = i % 10 == 7 ? 0 : i % 50 == 1 ? 700 : i * 31 % 47;
	make_store(&it->store, lengths, N_TEXTS);
	for (i = 0; i < N_TEXTS; i++)
		if (i % 3 != 2)
		{
			it->part[it->n++] = i;
			it->tokens += lengths[i];
			it->stream += lengths[i] > 0 ? lengths[i] + 1 : 0;
		}
	check(packing_create(&it->p, &it->store, it->part, it->n, T, &specials, seed, &err), &err);
	assert_int_equal(packing_sequences(it->p), it->stream / (T - 2));
}

static void
stop_packing(packed_part *it)
{
	packing_destroy(it->p);
	token_store_close(&it->store);
}

static void
read_epoch(packed_part *it, uint64_t epoch, size_t T, int32_t *ids)
{
	uint64_t n = packing_sequences(it->p), i;
	mb_error err = {0};

	check(packing_epoch(it->p, epoch, &err), &err);
	for (i = 0; i < n; i++)
		check(packing_read(it->p, epoch * n + i, ids + i * T, &err), &err);
}

/* The text that a token is of. */
static uint64_t
text_of(const token_store *store, int32_t id)
{
	uint64_t text = 0;

	while (store->ends[text] <= (uint64_t) (id - N_SPECIAL))
		text++;
	return text;
}

/*
 * Each token at most once, and all but a rest shorter than a sequence; in order within a sequence, a [SEP] exactly where
 * a text ends, and nothing of another part.
 */
static void
check_epoch(packed_part *it, size_t T, const int32_t *ids)
{
	uint64_t n = packing_sequences(it->p), seen = 0, separators = 0, s;
	uint8_t *found = calloc(VOCAB, 1);

	for (s = 0; s < n; s++)
	{
		const int32_t *row = ids + s * T;
		size_t t;

		assert_int_equal(row[0], CLS);
		assert_int_equal(row[T - 1], SEP);
		for (t = 1; t + 1 < T; t++)
		{
			uint64_t text;
			bool last;

			if (row[t] == SEP)
			{
				separators++;
				continue;
			}
			assert_in_range(row[t], N_SPECIAL, VOCAB - 1);
			assert_false(found[row[t]]);
			found[row[t]] = 1;
			seen++;
			text = text_of(&it->store, row[t]);
			assert_true(text % 3 != 2);
			last = it->store.ends[text] == (uint64_t) (row[t] - N_SPECIAL + 1);
			if (t + 2 < T)
				assert_int_equal(row[t + 1], last ? SEP : row[t] + 1);
		}
	}
	free(found);
	assert_int_equal(seen + separators, n * (T - 2));
	assert_true(it->stream - n * (T - 2) < T - 2);
	print_message("T %zu: %d of %d tokens in %d sequences\n", T, (int) seen, (int) it->tokens, (int) n);
}

static void
packing_covers_each_token_once(void **state)
{
	static const size_t lengths[] = {3, 16, 64, 128, 1000};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
	{
		size_t T = lengths[i];
		packed_part it;
		int32_t *ids;
		uint64_t epoch;

		start_packing(&it, T, 42);
		ids = malloc(packing_sequences(it.p) * T * sizeof(*ids));
		for (epoch = 0; epoch < 3; epoch++)
		{
			read_epoch(&it, epoch, T, ids);
			check_epoch(&it, T, ids);
		}
		free(ids);
		stop_packing(&it);
	}
}

static void
epochs_differ_and_repeat(void **state)
{
	enum
	{
		T = 64
	};
	packed_part it, again, other;
	size_t bytes;
	int32_t *a, *b;

	(void) state;
	start_packing(&it, T, 42);
	start_packing(&again, T, 42);
	start_packing(&other, T, 43);
	bytes = packing_sequences(it.p) * T * sizeof(*a);
	a = malloc(bytes);
	b = malloc(bytes);
	read_epoch(&it, 5, T, a);
	read_epoch(&again, 4, T, b); /* not in order, as a run that resumes */
	assert_memory_not_equal(a, b, bytes);
	read_epoch(&again, 5, T, b);
	assert_memory_equal(a, b, bytes);
	read_epoch(&other, 5, T, b);
	assert_memory_not_equal(a, b, bytes);
	free(a);
	free(b);
	stop_packing(&it);
	stop_packing(&again);
	stop_packing(&other);
}

/* Two epochs stand side by side; a third takes the place of the first. */
static void
epochs_can_be_straddled(void **state)
{
	enum
	{
		T = 32
	};
	int32_t before[T], after[T], ids[T];
	packed_part it;
	mb_error err = {0};
	uint64_t n;

	(void) state;
	start_packing(&it, T, 1);
	n = packing_sequences(it.p);
	assert_int_equal(packing_read(it.p, 0, ids, &err), MB_INVALID_ARGUMENT); /* no order yet */
	check(packing_epoch(it.p, 0, &err), &err);
	check(packing_read(it.p, n - 1, before, &err), &err);
	assert_int_equal(packing_read(it.p, n, ids, &err), MB_INVALID_ARGUMENT);
	check(packing_epoch(it.p, 1, &err), &err);
	check(packing_read(it.p, n - 1, ids, &err), &err);
	assert_memory_equal(ids, before, sizeof(ids));
	check(packing_read(it.p, n, after, &err), &err);
	check(packing_epoch(it.p, 2, &err), &err);
	check(packing_read(it.p, n, ids, &err), &err);
	assert_memory_equal(ids, after, sizeof(ids));
	assert_int_equal(packing_read(it.p, n - 1, ids, &err), MB_INVALID_ARGUMENT);
	check(packing_read(it.p, 2 * n, ids, &err), &err);
	stop_packing(&it);
}

/* The first text of the stream is any text, the first piece any piece: chi-squared over many epochs. */
static void
orders_are_uniform(void **state)
{
	enum
	{
		TEXTS = 8,
		T = 7 /* a sequence is a text: 4 tokens, its [SEP], and the two around */
	};
	int epochs = slow(8000), counts[TEXTS][TEXTS] = {{0}}, e, i, j;
	size_t lengths[TEXTS];
	uint64_t part[TEXTS];
	token_store store;
	packing *p;
	mb_error err = {0};
	double chi_squared = 0;

	(void) state;
	for (i = 0; i < TEXTS; i++)
	{
		lengths[i] = 4;
		part[i] = (uint64_t) i;
	}
	make_store(&store, lengths, TEXTS);
	check(packing_create(&p, &store, part, TEXTS, T, &specials, 9, &err), &err);
	assert_int_equal(packing_sequences(p), TEXTS);
	for (e = 0; e < epochs; e++)
	{
		check(packing_epoch(p, (uint64_t) e, &err), &err);
		for (i = 0; i < TEXTS; i++)
		{
			int32_t ids[T];

			check(packing_read(p, (uint64_t) (e * TEXTS + i), ids, &err), &err);
			counts[i][text_of(&store, ids[1])]++;
		}
	}
	for (i = 0; i < TEXTS; i++)
		for (j = 0; j < TEXTS; j++)
			chi_squared += pow(counts[i][j] - epochs / (double) TEXTS, 2) / (epochs / (double) TEXTS);
	/* Rows and columns are permutations: 49 degrees of freedom, each of variance 8/7.  99.99 % of the time below 97. */
	chi_squared *= (TEXTS - 1.0) / TEXTS;
	print_message("chi-squared %.1f, should be about 49\n", chi_squared);
	assert_true(chi_squared < 97);
	packing_destroy(p);
	token_store_close(&store);
}

static void
too_few_texts_are_refused(void **state)
{
	static const size_t lengths[] = {0, 61, 0, 62};
	static const uint64_t nothing[] = {0, 2}, short_by_one[] = {0, 1}, enough[] = {3};
	const special_ids small = {CLS, SEP, MASK, PAD, 70, special, continues};
	int32_t ids[65];
	token_store store;
	packing *p;
	mb_error err = {0};

	(void) state;
	make_store(&store, lengths, 4);
	assert_int_equal(packing_create(&p, &store, nothing, 2, 65, &specials, 1, &err), MB_INVALID_ARGUMENT);
	assert_null(p);
	print_message("%s: %s\n", err.message, err.detail);
	assert_int_equal(packing_create(&p, &store, short_by_one, 2, 65, &specials, 1, &err), MB_INVALID_ARGUMENT);
	assert_int_equal(packing_create(&p, &store, enough, 1, 2, &specials, 1, &err), MB_INVALID_ARGUMENT);
	assert_int_equal(packing_create(&p, &store, enough, 0, 65, &specials, 1, &err), MB_INVALID_ARGUMENT);
	check(packing_create(&p, &store, enough, 1, 65, &specials, 1, &err), &err);
	assert_int_equal(packing_sequences(p), 1);
	packing_destroy(p);
	/* Stored with another vocabulary than the model's. */
	check(packing_create(&p, &store, enough, 1, 65, &small, 1, &err), &err);
	check(packing_epoch(p, 0, &err), &err);
	assert_int_equal(packing_read(p, 0, ids, &err), MB_CORRUPT);
	print_message("%s: %s\n", err.message, err.detail);
	packing_destroy(p);
	packing_destroy(NULL);
	token_store_close(&store);
}

/* ---- masking ----------------------------------------------------------------------------------------------------- */

#define T_MASKED 128

/* [CLS], tokens none of which is special but a [SEP] in the middle and an [UNK], [SEP] */
static void
fill(int32_t ids[T_MASKED], int32_t first)
{
	int t;

	for (t = 0; t < T_MASKED; t++)
		ids[t] = first + t;
	ids[0] = CLS;
	ids[T_MASKED / 2] = ids[T_MASKED - 1] = SEP;
	ids[40] = UNK;
}

/* Whether k of n is what a probability p gives, within five deviations. */
static void
check_share(const char *what, double k, double n, double p)
{
	double deviations = (k - n * p) / sqrt(n * p * (1 - p));

	print_message("%-40s %.5f, should be %.5f: %+.2f deviations\n", what, k / n, p, deviations);
	assert_true(fabs(deviations) < 5);
}

static void
masking_has_its_probabilities(void **state)
{
	static const masking how = {0.15, false};
	const int32_t vocab = 1005; /* 1,000 that are not special */
	const special_ids small = {CLS, SEP, MASK, PAD, vocab, special, continues};
	int rounds = slow(40000), masked = 0, random = 0, kept = 0, n = 0, at[T_MASKED] = {0}, r, t;
	int *drawn = calloc((size_t) vocab, sizeof(*drawn));
	double chi_squared = 0;

	(void) state;
	for (r = 0; r < rounds; r++)
	{
		int32_t ids[T_MASKED], original[T_MASKED], places[T_MASKED], labels[T_MASKED];
		size_t targets, i;

		fill(original, 500);
		memcpy(ids, original, sizeof(ids));
		targets = mask_sequence(ids, T_MASKED, &how, &small, 7, (uint64_t) r, places, labels);
		assert_int_equal(targets, 19); /* .15 * 128 = 19.2 */
		for (i = 0; i < targets; i++)
		{
			int32_t place = places[i];

			assert_true(i == 0 || place > places[i - 1]);
			assert_int_equal(labels[i], original[place]);
			assert_false(special[labels[i]]);
			at[place]++;
			if (ids[place] == MASK)
				masked++;
			else
			{
				assert_false(special[ids[place]]);
				assert_true(ids[place] < vocab);
				drawn[ids[place]] += ids[place] != labels[i];
				kept += ids[place] == labels[i];
				random += ids[place] != labels[i];
			}
			ids[place] = original[place];
		}
		assert_memory_equal(ids, original, sizeof(ids)); /* nothing else was touched */
		n += (int) targets;
	}
	check_share("[MASK]", masked, n, 0.8);
	/* a random token is one time in a thousand the one that was there */
	check_share("random", random, n, 0.1 * 0.999);
	check_share("kept", kept, n, 0.1 + 0.1 * 0.001);
	for (t = 0; t < T_MASKED; t++)
		if (special[t == 0 || t == T_MASKED / 2 || t == T_MASKED - 1 ? SEP : t == 40 ? UNK : N_SPECIAL])
			assert_int_equal(at[t], 0);
		else
		{
			double expected = rounds * 19.0 / 124, deviations = (at[t] - expected) / sqrt(expected * (1 - 19.0 / 124));

			if (fabs(deviations) >= 5)
				fail_msg("place %d was a target %d times, should be %.0f", t, at[t], expected);
		}
	for (t = N_SPECIAL; t < vocab; t++)
		chi_squared += pow(drawn[t] - random / 1000.0, 2) / (random / 1000.0);
	/* about 999 degrees of freedom, standard deviation 45 (labels are drawn a little less often: of no weight) */
	print_message("random tokens: chi-squared %.1f, should be about 999\n", chi_squared);
	assert_true(fabs(chi_squared - 999) < 5 * 45);
	free(drawn);
}

static void
masking_repeats(void **state)
{
	static const masking how = {0.15, false};
	int32_t a[T_MASKED], b[T_MASKED], places[T_MASKED], labels[T_MASKED];
	int same = 0, i;

	(void) state;
	for (i = 0; i < 300; i++)
	{
		int seed = i % 3 == 1 ? 8 : 7, number = i % 3 == 2 ? 2000 + i : i;

		fill(a, 100);
		fill(b, 100);
		mask_sequence(a, T_MASKED, &how, &specials, 7, (uint64_t) i, places, labels);
		mask_sequence(b, T_MASKED, &how, &specials, (uint64_t) seed, (uint64_t) number, places, labels);
		if (i % 3 == 0)
			assert_memory_equal(a, b, sizeof(a));
		else
			same += memcmp(a, b, sizeof(a)) == 0;
	}
	assert_int_equal(same, 0);
}

static void
masking_has_its_number(void **state)
{
	static const struct
	{
		double share;
		size_t T, targets;
	} cases[] = {{0.15, 128, 19}, {0.15, 10, 2}, {0.15, 3, 0}, {0.5, 3, 1}, {0.3, 100, 30}, {1, 50, 48}, {0, 50, 0}};
	int32_t ids[T_MASKED], places[T_MASKED], labels[T_MASKED];
	size_t i, t;

	(void) state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		masking how = {cases[i].share, false};
		size_t n;

		for (t = 0; t < cases[i].T; t++)
			ids[t] = t == 0 ? CLS : t + 1 == cases[i].T ? SEP : (int32_t) t + 100;
		n = mask_sequence(ids, cases[i].T, &how, &specials, 1, i, places, labels);
		print_message("%.2f of %zu: %zu\n", how.share, cases[i].T, n);
		assert_int_equal(n, cases[i].targets);
		/* Nothing that qualifies. */
		for (t = 0; t < cases[i].T; t++)
			ids[t] = UNK;
		assert_int_equal(mask_sequence(ids, cases[i].T, &how, &specials, 1, i, places, labels), 0);
	}
}

/* Words of one to five pieces; each all or nothing, the number reached but where no word fits any more, each alike. */
static void
whole_words_stay_together(void **state)
{
	static const masking how = {0.15, true};
	int rounds = slow(20000), full = 0, of_length[6] = {0}, words_of_length[6] = {0}, r;

	(void) state;
	for (r = 0; r < rounds; r++)
	{
		int32_t ids[T_MASKED], original[T_MASKED], places[T_MASKED], labels[T_MASKED];
		bool target[T_MASKED] = {false};
		size_t n, i, t, end;
		bool fits = false;

		for (t = 0; t < T_MASKED; t++)
			original[t] = (int32_t) (t * t + (size_t) r) % 7 < 3 ? 301 + (int32_t) t * 3 : 300 + (int32_t) t * 3;
		fill(ids, 0);
		for (t = 0; t < T_MASKED; t++)
			if (special[ids[t]] && (t == 0 || t == 40 || t == T_MASKED / 2 || t == T_MASKED - 1))
				original[t] = ids[t];
		memcpy(ids, original, sizeof(ids));
		n = mask_sequence(ids, T_MASKED, &how, &specials, 3, (uint64_t) r, places, labels);
		assert_true(n <= 19);
		for (i = 0; i < n; i++)
			target[places[i]] = true;
		for (t = 0; t < T_MASKED; t = end)
		{
			end = t + 1;
			if (special[original[t]])
			{
				assert_false(target[t]);
				continue;
			}
			for (; end < T_MASKED && continues[original[end]]; end++)
				assert_int_equal(target[end], target[t]);
			assert_true(end - t < 20);
			fits = fits || (!target[t] && end - t <= 19 - n);
			if (end - t < 6)
			{
				words_of_length[end - t]++;
				of_length[end - t] += target[t];
			}
		}
		full += n == 19;
		assert_true(n == 19 || !fits);
	}
	print_message("%d of %d sequences have all 19 targets\n", full, rounds);
	for (r = 1; r < 6; r++)
		print_message("words of %d: %.4f are targets\n", r, of_length[r] / (double) words_of_length[r]);
	assert_true(full > rounds / 2);
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

static void
check_span(const int32_t *ids, size_t length, const token_store *store, uint64_t text, size_t min_tokens,
		   size_t max_length, size_t *first)
{
	uint64_t begin = token_store_begin(store, text);
	size_t t;

	assert_in_range(length, min_tokens + 2, max_length);
	assert_int_equal(ids[0], CLS);
	assert_int_equal(ids[length - 1], SEP);
	*first = (size_t) (ids[1] - N_SPECIAL) - (size_t) begin;
	assert_true(ids[1] >= N_SPECIAL + (int32_t) begin);
	for (t = 1; t + 1 < length; t++)
		assert_int_equal(ids[t], ids[1] + (int32_t) t - 1);
	assert_true(*first + length - 2 <= token_store_length(store, text));
}

static void
spans_keep_apart(void **state)
{
	static const size_t lengths[] = {15, 16, 17, 40, 300, 5000};
	enum
	{
		MAX_LENGTH = 64,
		MIN_TOKENS = 8
	};
	int32_t a[MAX_LENGTH], b[MAX_LENGTH], copy[MAX_LENGTH];
	span_pair pair = {a, b, 0, 0}, again = {copy, b, 0, 0};
	int rounds = slow(20000), r;
	token_store store;
	mb_error err = {0};
	mb_status status;
	uint64_t text;

	(void) state;
	make_store(&store, lengths, 6);
	assert_false(span_pair_read(&pair, &store, 0, MIN_TOKENS, MAX_LENGTH, &specials, 1, 1, &status, &err));
	assert_int_equal(status, MB_OK); /* too short is no error */
	for (text = 1; text < 6; text++)
	{
		int a_is_first = 0;
		double sum_first = 0, sum_length = 0, longest = lengths[text] / 2 < 62 ? (double) (lengths[text] / 2) : 62;

		for (r = 0; r < rounds; r++)
		{
			size_t at_a, at_b, a_length;

			assert_true(span_pair_read(&pair, &store, text, MIN_TOKENS, MAX_LENGTH, &specials, 5, (uint64_t) r, &status,
									   &err));
			check_span(a, pair.a_length, &store, text, MIN_TOKENS, MAX_LENGTH, &at_a);
			check_span(b, pair.b_length, &store, text, MIN_TOKENS, MAX_LENGTH, &at_b);
			assert_true(at_a + pair.a_length - 2 <= at_b || at_b + pair.b_length - 2 <= at_a);
			a_is_first += at_a < at_b;
			/* by symmetry the middle of a span is, on average, the middle of the text */
			sum_first += (double) at_a + (double) (pair.a_length - 2) / 2;
			sum_length += (double) (pair.a_length - 2);
			a_length = pair.a_length;
			if (r % 100 == 0)
			{
				assert_true(span_pair_read(&again, &store, text, MIN_TOKENS, MAX_LENGTH, &specials, 5, (uint64_t) r,
										   &status, &err));
				assert_int_equal(again.a_length, a_length);
				assert_memory_equal(copy, a, a_length * sizeof(*a));
			}
		}
		print_message("text of %zu: middle %.2f, length %.2f\n", lengths[text], sum_first / rounds, sum_length / rounds);
		check_share("the first span is first", a_is_first, rounds, 0.5);
		assert_true(fabs(sum_first / rounds - (double) lengths[text] / 2) <
					5 * (double) lengths[text] / 3 / sqrt(rounds));
		assert_true(fabs(sum_length / rounds - (8 + longest) / 2) < 5 * longest / 3 / sqrt(rounds) + 1e-9);
	}
	assert_false(span_pair_read(&pair, &store, 5, 0, MAX_LENGTH, &specials, 1, 1, &status, &err));
	assert_int_equal(status, MB_INVALID_ARGUMENT);
	assert_false(span_pair_read(&pair, &store, 5, 63, MAX_LENGTH, &specials, 1, 1, &status, &err));
	assert_int_equal(status, MB_INVALID_ARGUMENT);
	token_store_close(&store);
}

/* ---- a vocabulary's special tokens ------------------------------------------------------------------------------- */

static void
special_tokens_of_a_vocabulary(void **state)
{
	/* Line 6 is empty, and "##" alone is no piece of a word. */
	static const char vocab[] = "a\n[MASK]\n[SEP]\n##b\n[CLS]\n[UNK]\n\n[PAD]\n##\n[unused1]\n##[genre]\n";
	static const char *const additional[] = {"##[genre]"};
	static const uint8_t is_special[] = {0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1};
	static const uint8_t goes_on[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1};
	mb_tokenizer_options options = mb_tokenizer_options_default();
	packed p;
	special_ids ids;

	(void) state;
	options.additional_special_tokens = additional;
	options.n_additional_special_tokens = 1;
	p = pack(vocab, sizeof(vocab) - 1, &options);
	special_ids_create(&ids, &p.tokenizer);
	assert_int_equal(ids.vocab_size, 11);
	assert_int_equal(ids.cls, 4);
	assert_int_equal(ids.sep, 2);
	assert_int_equal(ids.mask, 1);
	assert_int_equal(ids.pad, 7);
	assert_memory_equal(ids.special, is_special, sizeof(is_special));
	assert_memory_equal(ids.continues, goes_on, sizeof(goes_on));
	special_ids_release(&ids);
	free(p.blob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packing_covers_each_token_once),
									   cmocka_unit_test(epochs_differ_and_repeat),
									   cmocka_unit_test(epochs_can_be_straddled),
									   cmocka_unit_test(orders_are_uniform),
									   cmocka_unit_test(too_few_texts_are_refused),
									   cmocka_unit_test(masking_has_its_probabilities),
									   cmocka_unit_test(masking_repeats),
									   cmocka_unit_test(masking_has_its_number),
									   cmocka_unit_test(whole_words_stay_together),
									   cmocka_unit_test(spans_keep_apart),
									   cmocka_unit_test(special_tokens_of_a_vocabulary)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
