/*
 * test_compare.c - files of predictions: written, read, damaged, matched; and comparisons of synthetic models whose
 * difference is known.
 */
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

#include "moviebert/safetensors.h"
#include "training/bootstrap.h"
#include "training/compare.h"
#include "training/memory.h"
#include "training/net/rng.h"
#include "training/prediction_sets.h"

#define ROWS 240
#define TAGS 5

static char folder[] = "/tmp/moviebert-compare-XXXXXX";

static const char *
path_of(const char *name)
{
	static char paths[4][128];
	static int next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", folder, name);
	return paths[next];
}

/* Truth is the same for all; scores know it the better the larger signal is; seed moves them a little. */
static void
make(predictions *p, double signal, int64_t seed, bool masked)
{
	uint64_t truth = rng_key(1, RNG_SPLIT, 0, 0),
			 noise = rng_key((uint64_t) seed, RNG_SPLIT, (uint64_t) (signal * 1000), 1);
	size_t i, l;

	predictions_init(p, ROWS, TAGS, !masked);
	for (l = 0; l < TAGS; l++)
	{
		char name[16];

		/* not in their order */
		snprintf(name, sizeof(name), "tag %zu", (l * 3 + 1) % TAGS);
		p->tags[l] = copy_string(name);
		p->thresholds[l] = 0.4f;
	}
	for (i = 0; i < ROWS; i++)
	{
		p->keys[i] = rng_mix(i / 2);
		memcpy(p->texts[i], &(uint64_t){rng_mix(i + 1000)}, 8);
		p->lengths[i] = (uint32_t) (100 + i);
		for (l = 0; l < TAGS; l++)
		{
			size_t at = i * TAGS + l;
			double common = rng_uniform(truth, 2 * at), own = rng_uniform(noise, at);

			p->labels[at] = rng_uniform(truth, 2 * at + 1) < 0.3;
			if (masked)
				p->known[at] = at % 7 != 0;
			p->scores[at] = (float) (signal * p->labels[at] + (1 - signal) * (0.85 * common + 0.15 * own));
		}
	}
	p->has_seed = true;
	p->seed = seed;
	p->key = copy_string("film");
	predictions_sort(p);
}

static void
assert_same(const predictions *a, const predictions *b)
{
	size_t l;

	assert_int_equal(a->n_rows, b->n_rows);
	assert_int_equal(a->n_tags, b->n_tags);
	assert_memory_equal(a->scores, b->scores, a->n_rows * a->n_tags * sizeof(float));
	assert_memory_equal(a->labels, b->labels, a->n_rows * a->n_tags);
	assert_memory_equal(a->thresholds, b->thresholds, a->n_tags * sizeof(float));
	assert_memory_equal(a->keys, b->keys, a->n_rows * sizeof(uint64_t));
	assert_memory_equal(a->texts, b->texts, a->n_rows * PREDICTIONS_TEXT_BYTES);
	assert_memory_equal(a->lengths, b->lengths, a->n_rows * sizeof(uint32_t));
	assert_int_equal(a->known == NULL, b->known == NULL);
	if (a->known != NULL)
		assert_memory_equal(a->known, b->known, a->n_rows * a->n_tags);
	for (l = 0; l < a->n_tags; l++)
		assert_string_equal(a->tags[l], b->tags[l]);
}

static void
written_and_read(void **state)
{
	predictions p, read;
	mb_error err = {0};
	int masked;

	(void) state;
	for (masked = 0; masked < 2; masked++)
	{
		make(&p, 0.3, masked ? -5 : 17, masked);
		assert_string_equal(p.tags[0], "tag 0");
		if (masked)
			p.query = copy_string("SELECT \"plot\" -- \xc3\xa9");
		assert_int_equal(predictions_write(&p, path_of("one.pred"), &err), MB_OK);
		if (predictions_read(&read, path_of("one.pred"), &err) != MB_OK)
			fail_msg("%s; %s", err.message, err.detail);
		assert_same(&p, &read);
		assert_true(read.has_seed && read.seed == p.seed);
		assert_string_equal(read.key, "film");
		if (masked)
			assert_string_equal(read.query, p.query);
		else
			assert_null(read.query);
		predictions_release(&p);
		predictions_release(&read);
	}
}

/* Rows and tags in any order are the same file. */
static void
order_does_not_matter(void **state)
{
	predictions p, other;
	size_t i, l;

	(void) state;
	make(&p, 0.3, 1, true);
	predictions_init(&other, ROWS, TAGS, false);
	for (i = 0; i < ROWS; i++)
	{
		size_t from = (i * 77 + 5) % ROWS;

		other.keys[i] = p.keys[from];
		memcpy(other.texts[i], p.texts[from], PREDICTIONS_TEXT_BYTES);
		other.lengths[i] = p.lengths[from];
		for (l = 0; l < TAGS; l++)
		{
			size_t to_at = i * TAGS + l, from_at = from * TAGS + (l + 2) % TAGS;

			other.scores[to_at] = p.scores[from_at];
			other.known[to_at] = p.known[from_at];
			/* what is said of unknown pairs is nothing */
			other.labels[to_at] = p.known[from_at] ? p.labels[from_at] : 1;
		}
	}
	for (l = 0; l < TAGS; l++)
	{
		other.tags[l] = copy_string(p.tags[(l + 2) % TAGS]);
		other.thresholds[l] = p.thresholds[(l + 2) % TAGS];
	}
	predictions_sort(&other);
	assert_same(&p, &other);
	predictions_release(&p);
	predictions_release(&other);
}

/* One valid file of two rows and two tags, and a change for each way to be wrong. */
static void
damaged_files_are_refused(void **state)
{
	static const float scores[] = {0.1f, 0.9f, 0.5f, 0.4f}, bad_scores[] = {0.1f, 1.5f, 0.5f, 0.4f},
					   nan_scores[] = {0.1f, NAN, 0.5f, 0.4f}, thresholds[] = {0.5f, 0.5f},
					   bad_thresholds[] = {0.5f, INFINITY};
	static const uint8_t labels[] = {0, 1, 0, 1}, bad_labels[] = {0, 2, 0, 1}, texts[32] = {0};
	static const uint64_t keys[] = {1, 2};
	static const uint32_t lengths[] = {10, 20};
	static const char good[] = "{\"version\":1,\"tags\":[\"a\",\"b\"],\"seed\":null,\"key\":null}";
	const struct
	{
		const char *what;     /* in the message or detail; NULL: accepted */
		const char *metadata; /* NULL: none */
		size_t tensor;    /* changed: 0 scores, 1 labels, 2 thresholds, 3 keys, 4 texts, 5 lengths, 6 known, 7 none */
		mb_tensor change; /* dtype, shape and data; no name: left out */
	} cases[] = {
		{NULL, good, 7, {0}},
		{NULL, good, 6, {"known", MB_U8, 2, {2, 2}, labels, 4}},
		{"no tensor \"labels\"", good, 1, {0}},
		{"no tensor \"scores\"", good, 0, {0}},
		{"no tensor \"lengths\"", good, 5, {0}},
		{"\"scores\" has a value outside 0 to 1", good, 0, {"scores", MB_F32, 2, {2, 2}, bad_scores, 16}},
		{"\"scores\" has a value outside 0 to 1", good, 0, {"scores", MB_F32, 2, {2, 2}, nan_scores, 16}},
		{"\"labels\" has a value other than 0 and 1", good, 1, {"labels", MB_U8, 2, {2, 2}, bad_labels, 4}},
		{"\"known\" has a value other than 0 and 1", good, 6, {"known", MB_U8, 2, {2, 2}, bad_labels, 4}},
		{"\"known\" has another type or shape", good, 6, {"known", MB_U8, 2, {4, 1}, labels, 4}},
		{"\"thresholds\" has a value that is not finite", good, 2, {"thresholds", MB_F32, 1, {2}, bad_thresholds, 8}},
		{"\"thresholds\" has another type or shape", good, 2, {"thresholds", MB_F32, 1, {1}, thresholds, 4}},
		{"\"keys\" has another type or shape", good, 3, {"keys", MB_I64, 1, {2}, keys, 16}},
		{"\"texts\" has another type or shape", good, 4, {"texts", MB_U8, 2, {2, 8}, texts, 16}},
		{"not a table of at least one row", good, 0, {"scores", MB_F32, 1, {4}, scores, 16}},
		{"not a table of at least one row", "{\"version\":1,\"tags\":[\"a\"]}", 7, {0}},
		{"not a table of at least one row", "{\"version\":1}", 7, {0}},
		{"tag \"a\" twice", "{\"version\":1,\"tags\":[\"a\",\"a\"]}", 7, {0}},
		{"name is not a string", "{\"version\":1,\"tags\":[\"a\",1]}", 7, {0}},
		{"seed is not a whole number", "{\"version\":1,\"tags\":[\"a\",\"b\"],\"seed\":\"1\"}", 7, {0}},
		{"another version", "{\"version\":2,\"tags\":[\"a\",\"b\"]}", 7, {0}},
		{"no JSON object", "[]", 7, {0}},
		{"no JSON object", "{", 7, {0}},
		{"no JSON object", NULL, 7, {0}},
	};
	size_t c, t;

	(void) state;
	for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		mb_tensor tensors[7] = {{"scores", MB_F32, 2, {2, 2}, scores, 16},     {"labels", MB_U8, 2, {2, 2}, labels, 4},
								{"thresholds", MB_F32, 1, {2}, thresholds, 8}, {"keys", MB_U64, 1, {2}, keys, 16},
								{"texts", MB_U8, 2, {2, 16}, texts, 32},       {"lengths", MB_U32, 1, {2}, lengths, 8}};
		mb_metadata metadata = {"moviebert.predictions", cases[c].metadata};
		mb_error err = {0};
		predictions p;
		mb_status status;
		size_t n = 0;

		if (cases[c].tensor < 7)
			tensors[cases[c].tensor] = cases[c].change;
		for (t = 0; t < 7; t++)
			if (tensors[t].name != NULL)
				tensors[n++] = tensors[t];
		assert_int_equal(
			mb_safetensors_write(path_of("bad.pred"), tensors, n, &metadata, cases[c].metadata != NULL, &err), MB_OK);
		status = predictions_read(&p, path_of("bad.pred"), &err);
		if (cases[c].what == NULL)
		{
			assert_int_equal(status, MB_OK);
			predictions_release(&p);
			continue;
		}
		print_message("%s: %s\n", err.message, err.detail);
		assert_int_not_equal(status, MB_OK);
		if (strstr(err.detail, cases[c].what) == NULL && strstr(err.message, cases[c].what) == NULL)
			fail_msg("no \"%s\" in it", cases[c].what);
	}
}

static void
mismatches_are_told(void **state)
{
	predictions a, b;
	mb_error err = {0};
	size_t i;

	(void) state;
	make(&a, 0.3, 1, false);
	make(&b, 0.5, 2, false);
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_OK);
	b.labels[3] = !b.labels[3];
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_INVALID_ARGUMENT);
	print_message("%s: %s\n", err.message, err.detail);
	assert_non_null(strstr(err.detail, "1 of 1200 pairs of row and tag differ (0 in whether they are known)"));
	assert_non_null(strstr(err.detail, "\"tag 3\""));
	b.labels[3] = !b.labels[3];

	/* the last row becomes another one */
	b.keys[ROWS - 1] = UINT64_MAX;
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_INVALID_ARGUMENT);
	print_message("%s: %s %s\n", err.message, err.detail, err.hint);
	assert_non_null(strstr(err.detail, "the second lacks 1; of 240 rows of the second, the first lacks 1"));
	assert_non_null(strstr(err.hint, "rows of one query"));
	for (i = 0; i < ROWS; i++)
		b.keys[i] = rng_mix(i + 5000);
	predictions_sort(&b);
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.hint, "same --key"));
	predictions_release(&b);

	make(&b, 0.5, 2, true);
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.detail, "(172 in whether they are known)"));
	free(b.tags[4]);
	b.tags[4] = copy_string("western");
	assert_int_equal(predictions_match(&a, &b, "A", "B", &err), MB_INVALID_ARGUMENT);
	print_message("%s: %s\n", err.message, err.detail);
	assert_string_equal(err.detail, "Only the first has tag 4.  Only the second has western.");
	predictions_release(&a);
	predictions_release(&b);
}

static void
write_set(prediction_set *set, const char *name, double signal, const int64_t *seeds, size_t n, bool with_seeds)
{
	mb_error err = {0};
	size_t s;

	for (s = 0; s < n; s++)
	{
		predictions p;
		char file[64];

		make(&p, signal, seeds[s], false);
		p.has_seed = with_seeds;
		snprintf(file, sizeof(file), "%s-%zu.pred", name, s);
		assert_int_equal(predictions_write(&p, path_of(file), &err), MB_OK);
		prediction_set_add(set, path_of(file));
		predictions_release(&p);
	}
	if (prediction_set_read(set, &err) != MB_OK)
		fail_msg("%s", err.message);
}

static void
sets_pair_by_seed_or_name(void **state)
{
	const int64_t up[] = {1, 2, 3}, down[] = {3, 2, 1}, other[] = {4, 5, 6};
	prediction_set a = {0}, b = {0};
	mb_error err = {0};
	bool by_seed;
	size_t s;

	(void) state;
	write_set(&a, "a", 0.3, up, 3, true);
	write_set(&b, "b", 0.4, down, 3, true);
	assert_int_equal(prediction_sets_pair(&a, &b, &by_seed, &err), MB_OK);
	assert_true(by_seed);
	for (s = 0; s < 3; s++)
		assert_int_equal(a.files[s].seed, b.files[s].seed);
	prediction_set_release(&b);

	write_set(&b, "b", 0.4, other, 3, true);
	assert_int_equal(prediction_sets_pair(&a, &b, &by_seed, &err), MB_OK);
	assert_false(by_seed);
	assert_non_null(strstr(b.paths[0], "b-0.pred"));
	prediction_set_release(&b);

	write_set(&b, "b", 0.4, up, 2, true);
	assert_int_equal(prediction_sets_pair(&a, &b, &by_seed, &err), MB_INVALID_ARGUMENT);
	print_message("%s: %s\n", err.message, err.detail);
	assert_string_equal(err.detail, "Seeds of A alone: 3.  Seeds of B alone: none.");
	prediction_set_release(&a);
	prediction_set_release(&b);

	/* The same run twice is not two seeds. */
	write_set(&a, "a", 0.3, up, 1, true);
	prediction_set_add(&a, a.paths[0]);
	predictions_release(&a.files[0]);
	free(a.files);
	a.files = NULL;
	assert_int_equal(prediction_set_read(&a, &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "have the same scores"));
	prediction_set_release(&a);
}

static void
compare_models(comparison *c, double signal_a, double signal_b, size_t n, size_t draws, int threads)
{
	predictions a[8], b[8];
	const compare_options options = {draws, 3, threads, true, metrics_default_cutoffs};
	mb_error err = {0};
	size_t s;

	for (s = 0; s < n; s++)
	{
		make(&a[s], signal_a, 10 + (int64_t) s, false);
		make(&b[s], signal_b, 20 + (int64_t) s, false);
	}
	assert_int_equal(compare_run(c, a, b, n, &options, &err), MB_OK);
	/* Names of tags belong to a, which goes. */
	for (s = 0; s < c->n_tags; s++)
		c->tags[s].name = "";
	for (s = 0; s < n; s++)
	{
		predictions_release(&a[s]);
		predictions_release(&b[s]);
	}
}

static void
verdicts(void **state)
{
	size_t draws = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 100 : 1000, f, s, l;
	comparison c, again;
	char sentence[320];
	const compared_figure *ap = &c.figures[WEIGHTED_MACRO_AP];

	(void) state;
	/* A known effect. */
	compare_models(&c, 0.30, 0.36, 6, draws, 2);
	assert_int_equal(compare_verdict(&c, WEIGHTED_MACRO_AP, "macro AP", sentence, sizeof(sentence)), COMPARE_BETTER);
	print_message("%s\n", sentence);
	assert_non_null(strstr(sentence, "B is better than A by "));
	assert_non_null(strstr(sentence, "points of macro AP (95 % interval "));
	assert_non_null(strstr(sentence, "p = 0.031, 6 seeds)."));
	assert_true(ap->delta.low > 0 && ap->delta.low < ap->delta.estimate && ap->delta.high > ap->delta.estimate);
	assert_true(ap->p == 0.03125);
	assert_true(ap->p_holm == 3 * 0.03125);
	assert_true(isnan(c.figures[WEIGHTED_BRIER].p_holm));
	for (f = 0; f < c.n_figures; f++)
	{
		double mean = 0;

		for (s = 0; s < 6; s++)
			mean += c.figures[f].deltas[s] / 6;
		assert_true(fabs(mean - c.figures[f].delta.estimate) < 1e-12);
		assert_true(fabs(c.figures[f].b - c.figures[f].a - mean) < 1e-12);
	}
	for (l = 0; l < TAGS; l++)
	{
		assert_true(c.tags[l].ap_b > c.tags[l].ap_a);
		assert_true(c.tags[l].p >= 0.03125 && c.tags[l].q >= c.tags[l].p);
		assert_true(l == 0 || c.tags[l].support <= c.tags[l - 1].support);
	}
	assert_int_equal(c.n_lengths, 4);
	assert_int_equal(c.lengths[0].shortest, 100);
	assert_int_equal(c.lengths[3].longest, 100 + ROWS - 1);
	for (l = 0; l < 4; l++)
		assert_int_equal(c.lengths[l].rows, ROWS / 4);
	assert_int_equal(c.n_clusters, ROWS / 2);

	/* The same again with one thread: the same numbers. */
	compare_models(&again, 0.30, 0.36, 6, draws, 1);
	for (f = 0; f < c.n_figures; f++)
		assert_memory_equal(&c.figures[f].delta, &again.figures[f].delta, sizeof(interval));
	compare_release(&again);
	compare_release(&c);

	/* The other way round; and by a figure of which less is better. */
	compare_models(&c, 0.36, 0.30, 6, draws, 2);
	assert_int_equal(compare_verdict(&c, WEIGHTED_MACRO_AP, "macro AP", sentence, sizeof(sentence)), COMPARE_WORSE);
	print_message("%s\n", sentence);
	assert_null(strchr(sentence, '-'));
	assert_true(c.figures[WEIGHTED_BRIER].delta.estimate > 0);
	assert_int_equal(compare_verdict(&c, WEIGHTED_BRIER, "Brier", sentence, sizeof(sentence)), COMPARE_WORSE);
	print_message("%s\n", sentence);
	compare_release(&c);

	/* No effect, and an effect with too few seeds for any p. */
	compare_models(&c, 0.30, 0.3004, 6, draws, 2);
	assert_int_equal(compare_verdict(&c, WEIGHTED_MACRO_AP, "macro AP", sentence, sizeof(sentence)), COMPARE_NOT_SHOWN);
	print_message("%s\n", sentence);
	assert_non_null(strstr(sentence, "No difference between A and B is shown: B - A is "));
	compare_release(&c);
	compare_models(&c, 0.30, 0.36, 5, draws, 2);
	assert_true(ap->delta.low > 0);
	assert_int_equal(compare_verdict(&c, WEIGHTED_MACRO_AP, "macro AP", sentence, sizeof(sentence)), COMPARE_NOT_SHOWN);
	compare_release(&c);
}

static int
make_folder(void **state)
{
	(void) state;
	return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = {"one.pred", "bad.pred", "a-0.pred", "a-1.pred",
										"a-2.pred", "b-0.pred", "b-1.pred", "b-2.pred"};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read),          cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(damaged_files_are_refused), cmocka_unit_test(mismatches_are_told),
		cmocka_unit_test(sets_pair_by_seed_or_name), cmocka_unit_test(verdicts)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
