/*
 * test_bootstrap.c - weighted metrics against metrics of rows that are really repeated; intervals, sign flips and
 * adjusted p values against scipy's (test/golden/metrics/bootstrap.json); and intervals that hold what they promise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "training/bootstrap.h"
#include "training/net/rng.h"
#include "training/significance.h"
#include "training/weighted.h"

static void
assert_near(double got, double expected, double tolerance, const char *what)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%s is %.12g, expected %.12g", what, got, expected);
}

static uint64_t state_of_random;

static double
uniform(void)
{
	return rng_uniform(7, state_of_random++);
}

#define N 40
#define L 6
#define MOST 3

typedef struct table
{
	float scores[N * MOST * L], thresholds[L];
	uint8_t labels[N * MOST * L], known[N * MOST * L];
} table;

/* Scores in tenths: ties everywhere.  Tag 0 has no support; tag 1 is known in the first row alone. */
static void
make_table(table *t)
{
	int i;

	for (i = 0; i < N * L; i++)
	{
		t->labels[i] = i % L != 0 && uniform() < 0.3;
		t->scores[i] = (float) floor(10 * (0.6 * uniform() + 0.4 * t->labels[i])) / 10;
		t->known[i] = i % L == 1 ? i < L : uniform() < 0.7;
	}
	for (i = 0; i < L; i++)
		t->thresholds[i] = (float) (0.3 + 0.3 * uniform());
}

static void
weights_repeat_rows(void **state)
{
	const metrics_cutoffs cutoffs = {3, {1, 3, 10}};
	static table t, repeated;
	uint32_t weights[N];
	double values[WEIGHTED_MAX];
	metrics m;
	char title[32];
	size_t i, f, copies, trial;

	(void) state;
	for (trial = 0; trial < 12; trial++)
	{
		bool masked = trial % 2 == 1;
		weighted_rows *rows;
		size_t n = 0;

		make_table(&t);
		for (i = 0; i < N; i++)
		{
			/* all as they are; some up to three times; all but a few; the first row not at all */
			weights[i] = trial < 2 ? 1 : trial < 8 ? (uint32_t) (uniform() * (MOST + 1)) : i > 0 && uniform() < 0.1;
			for (copies = 0; copies < weights[i]; copies++, n++)
			{
				memcpy(repeated.scores + n * L, t.scores + i * L, L * sizeof(float));
				memcpy(repeated.labels + n * L, t.labels + i * L, L);
				memcpy(repeated.known + n * L, t.known + i * L, L);
			}
		}
		metrics_compute(&m, repeated.scores, repeated.labels, masked ? repeated.known : NULL, t.thresholds, n, L,
						&cutoffs);
		rows =
			weighted_prepare(t.scores, t.labels, masked ? t.known : NULL, t.thresholds, N, L, &cutoffs, WEIGHTED_ALL);
		weighted_compute(rows, weights, values);
		for (f = 0; f < weighted_count(&cutoffs); f++)
		{
			weighted_title(title, sizeof(title), &cutoffs, f);
			assert_near(values[f], weighted_from_metrics(&m, f), 1e-12, title);
		}
		weighted_release(rows);

		/* What is not wanted is not computed. */
		rows = weighted_prepare(t.scores, t.labels, masked ? t.known : NULL, t.thresholds, N, L, &cutoffs,
								1u << WEIGHTED_MACRO_F1);
		weighted_compute(rows, weights, values);
		for (f = 0; f < weighted_count(&cutoffs); f++)
			assert_near(values[f], f == WEIGHTED_MACRO_F1 ? m.calibrated.macro_f1 : 0, 1e-12, "a wanted figure alone");
		weighted_release(rows);
		metrics_release(&m);
	}
}

static double
number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static double *
numbers(const json_t *array, size_t *n)
{
	double *values;
	size_t i;

	*n = json_array_size(array);
	values = calloc(*n + 1, sizeof(double));
	for (i = 0; i < *n; i++)
		values[i] = json_number_value(json_array_get(array, i));
	return values;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
intervals_as_scipy(void **state)
{
	json_t *root = json_load_file("test/golden/metrics/bootstrap.json", 0, NULL);
	const json_t *one, *pair;
	size_t index;

	(void) state;
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "intervals"), index, one)
	{
		const json_t *without = json_object_get(one, "without");
		size_t n_parts = json_array_size(without), n, f;
		double *draws = numbers(json_object_get(one, "draws"), &n);
		double *left_out[2];
		jackknife parts[2];
		interval got;

		print_message("%s\n", json_string_value(json_object_get(one, "name")));
		for (f = 0; f < n_parts; f++)
		{
			left_out[f] = numbers(json_array_get(without, f), &parts[f].n);
			parts[f].without = left_out[f];
		}
		qsort(draws, n, sizeof(double), compare_doubles);
		bootstrap_interval(&got, number(one, "estimate"), bootstrap_acceleration(parts, n_parts), draws, n,
						   number(root, "level"));
		assert_near(got.standard_error, number(one, "standard_error"), 1e-9, "standard error");
		pair = json_object_get(one, "percentile");
		assert_near(got.percentile_low, json_number_value(json_array_get(pair, 0)), 1e-9, "percentile, low");
		assert_near(got.percentile_high, json_number_value(json_array_get(pair, 1)), 1e-9, "percentile, high");
		pair = json_object_get(one, "bca");
		assert_near(got.low, json_number_value(json_array_get(pair, 0)), 1e-9, "BCa, low");
		assert_near(got.high, json_number_value(json_array_get(pair, 1)), 1e-9, "BCa, high");
		assert_true(got.low != got.percentile_low);
		for (f = 0; f < n_parts; f++)
			free(left_out[f]);
		free(draws);
	}
	json_array_foreach(json_object_get(root, "normal_quantiles"), index, one)
		assert_near(normal_quantile(json_number_value(json_array_get(one, 0))),
					json_number_value(json_array_get(one, 1)), 1e-9, "normal quantile");
	json_decref(root);
}

static void
tests_as_scipy(void **state)
{
	json_t *root = json_load_file("test/golden/metrics/bootstrap.json", 0, NULL);
	const json_t *one;
	double many[24];
	size_t index, n, i;

	(void) state;
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "sign_flips"), index, one)
	{
		double *differences = numbers(json_object_get(one, "differences"), &n);

		assert_near(sign_flip_test(differences, n, 1), number(one, "p"), 1e-12, "sign-flip p");
		free(differences);
	}
	json_array_foreach(json_object_get(root, "adjustments"), index, one)
	{
		double *p = numbers(json_object_get(one, "p"), &n);
		double *holm = numbers(json_object_get(one, "holm"), &n);
		double *expected = numbers(json_object_get(one, "benjamini_hochberg"), &n);
		double *adjusted = numbers(json_object_get(one, "p"), &n);

		holm_adjust(adjusted, n);
		for (i = 0; i < n; i++)
			assert_near(adjusted[i], holm[i], 1e-12, "Holm");
		benjamini_hochberg_adjust(p, n);
		for (i = 0; i < n; i++)
			assert_near(p[i], expected[i], 1e-12, "Benjamini-Hochberg");
		free(p);
		free(holm);
		free(adjusted);
		free(expected);
	}
	json_decref(root);

	/* By hand: six differences of one sign can do no better than 2 of 64; no difference is no evidence. */
	assert_near(sign_flip_smallest(6), 0.03125, 0, "the smallest p of six");
	assert_near(sign_flip_smallest(5), 0.0625, 0, "the smallest p of five");
	for (i = 0; i < 24; i++)
		many[i] = 0;
	assert_near(sign_flip_test(many, 6, 1), 1, 0, "p of nothing");
	assert_near(sign_flip_test(many, 0, 1), 1, 0, "p of no pairs");

	/* Too many for all signs: drawn ones.  16 of 24 ones: 2 P(X >= 16), X binomial, is 0.15159 */
	if (getenv("MOVIEBERT_SLOW_MACHINE") != NULL)
		return;
	for (i = 0; i < 24; i++)
		many[i] = i < 16 ? 1 : -1;
	assert_near(sign_flip_test(many, 24, 1), 0.15159, 0.002, "p of drawn signs");
	assert_true(sign_flip_test(many, 24, 1) == sign_flip_test(many, 24, 1));
}

/* The mean of values in groups: rows of one cluster share a part of their value. */
typedef struct grouped
{
	double values[60];
	size_t n_seeds;
	double of_seed[8];
} grouped;

static void
grouped_mean(void *arg, const uint32_t *seed_weights, const uint32_t *weights, double *values)
{
	const grouped *g = arg;
	double sum = 0, count = 0, seeds = 0, count_seeds = 0;
	size_t i;

	for (i = 0; i < 60; i++)
	{
		sum += weights[i] * g->values[i];
		count += weights[i];
	}
	for (i = 0; i < g->n_seeds; i++)
	{
		seeds += seed_weights[i] * g->of_seed[i];
		count_seeds += seed_weights[i];
	}
	values[0] = (count > 0 ? sum / count : 0) + (count_seeds > 0 ? seeds / count_seeds : 0);
}

static double
normal(void)
{
	return normal_quantile(0.5 / (1 << 20) + uniform() * (1 - 1.0 / (1 << 20)));
}

/* How often the interval holds the truth, which is 0. */
static double
coverage(bool clustered, size_t n_seeds, int trials, bool skewed)
{
	int covered = 0, trial, i;

	for (trial = 0; trial < trials; trial++)
	{
		uint64_t keys[60];
		bootstrap_clusters clusters;
		bootstrap_plan plan = {&clusters, n_seeds, 1, 300, (uint64_t) trial, 1, 0.95, grouped_mean, NULL, NULL};
		grouped g = {.n_seeds = n_seeds > 1 ? n_seeds : 0};
		interval got;
		double shared = 0;

		for (i = 0; i < 60; i++)
		{
			/* pairs of rows that are nearly the same */
			if (i % 2 == 0)
				shared = skewed ? -log(1 - uniform()) - 1 : normal();
			g.values[i] = shared + 0.1 * normal();
			keys[i] = rng_mix((uint64_t) (clustered ? i / 2 : i));
		}
		for (i = 0; i < (int) n_seeds; i++)
			g.of_seed[i] = 0.3 * normal();
		plan.arg = &g;
		bootstrap_clusters_make(&clusters, keys, 60);
		assert_int_equal(clusters.n, clustered ? 30 : 60);
		assert_int_equal(bootstrap_run(&plan, &got, NULL), MB_OK);
		covered += got.low <= 0 && got.high >= 0;
		bootstrap_clusters_release(&clusters);
	}
	return (double) covered / trials;
}

/* 95 % intervals of 30 clusters cover some 93 %; those that forget the clusters, or the seeds, far less. */
static void
intervals_cover(void **state)
{
	int trials = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 20 : 600;
	double with = coverage(true, 1, trials, false), without = coverage(false, 1, trials, false);
	double skewed = coverage(true, 1, trials, true), seeds = coverage(true, 8, trials, false);

	(void) state;
	print_message("coverage %.3f by clusters, %.3f by rows; skewed %.3f; with 8 seeds %.3f\n", with, without, skewed,
				  seeds);
	if (trials < 600)
		return;
	assert_true(with > 0.90 && with < 0.975);
	assert_true(without < 0.87);
	assert_true(skewed > 0.88 && skewed < 0.975);
	assert_true(seeds > 0.88 && seeds < 0.975);
}

static void
same_draws_for_any_threads(void **state)
{
	uint64_t keys[60], shuffled[60];
	bootstrap_clusters clusters, other;
	bootstrap_plan plan = {&clusters, 4, 1, 500, 11, 1, 0.95, grouped_mean, NULL, NULL};
	grouped g = {.n_seeds = 4}, moved = {.n_seeds = 4};
	interval one, three, next;
	int i;

	(void) state;
	for (i = 0; i < 60; i++)
	{
		g.values[i] = normal();
		keys[i] = rng_mix((uint64_t) i / 3);
	}
	for (i = 0; i < 4; i++)
		moved.of_seed[i] = g.of_seed[i] = normal();
	plan.arg = &g;
	bootstrap_clusters_make(&clusters, keys, 60);
	assert_int_equal(bootstrap_run(&plan, &one, NULL), MB_OK);
	plan.n_threads = 3;
	assert_int_equal(bootstrap_run(&plan, &three, NULL), MB_OK);
	assert_memory_equal(&one, &three, sizeof(one));
	plan.seed = 12;
	assert_int_equal(bootstrap_run(&plan, &next, NULL), MB_OK);
	assert_true(next.low != one.low);

	/* Rows in another order are the same clusters, so the same draws. */
	for (i = 0; i < 60; i++)
	{
		moved.values[(i * 7 + 3) % 60] = g.values[i];
		shuffled[(i * 7 + 3) % 60] = keys[i];
	}
	bootstrap_clusters_make(&other, shuffled, 60);
	plan.clusters = &other;
	plan.seed = 11;
	plan.arg = &moved;
	assert_int_equal(bootstrap_run(&plan, &next, NULL), MB_OK);
	assert_near(next.low, one.low, 1e-9, "low end of shuffled rows");
	assert_near(next.high, one.high, 1e-9, "high end of shuffled rows");
	bootstrap_clusters_release(&clusters);
	bootstrap_clusters_release(&other);
}

/* A figure that does not move: an interval of one point. */
static void
nothing_moves(void **state)
{
	uint64_t keys[60];
	bootstrap_clusters clusters;
	grouped g = {.n_seeds = 0};
	bootstrap_plan plan = {&clusters, 1, 1, 50, 1, 1, 0.95, grouped_mean, &g, NULL};
	interval got;
	int i;

	(void) state;
	for (i = 0; i < 60; i++)
	{
		g.values[i] = 0.25;
		keys[i] = (uint64_t) i;
	}
	bootstrap_clusters_make(&clusters, keys, 60);
	assert_int_equal(bootstrap_run(&plan, &got, NULL), MB_OK);
	assert_true(got.low == 0.25 && got.high == 0.25 && got.standard_error < 1e-12);
	bootstrap_clusters_release(&clusters);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(weights_repeat_rows),
									   cmocka_unit_test(intervals_as_scipy),
									   cmocka_unit_test(tests_as_scipy),
									   cmocka_unit_test(intervals_cover),
									   cmocka_unit_test(same_draws_for_any_threads),
									   cmocka_unit_test(nothing_moves)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
