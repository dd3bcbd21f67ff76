/*
 * test_net_adamw.c - the optimiser's step against the paper's formulas in double, and the same bits with any number of
 * threads.
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

#include "training/net/net.h"
#include "training/net/rng.h"

static const adamw_options usual = {0.9, 0.98, 1e-6, 0.01, 0.0};

/* Parameters of some tens of thousands: several blocks, none of them whole. */
typedef struct optimiser
{
	net net;
	real *w, *m, *v, *g;
	double *rate;
} optimiser;

static void
optimiser_open(optimiser *o)
{
	const net_options options = {{1301, 60, 1, 2, 77, 20, 2, 1e-12f, MB_GELU}, true, false, 0};
	size_t n;
	mb_error err;

	assert_int_equal(net_create(&o->net, &options, &err), MB_OK);
	n = o->net.n_parameters;
	assert_true(n > 65536);
	o->w = calloc(4 * n, sizeof(real));
	o->rate = calloc(o->net.n_tensors, sizeof(double));
	assert_true(o->w != NULL && o->rate != NULL);
	o->m = o->w + n;
	o->v = o->m + n;
	o->g = o->v + n;
	net_init(&o->net, o->w, 1, 0);
	for (size_t i = 0; i < n; i++)
		o->g[i] = (real) (rng_uniform(3, i) - 0.5);
	for (size_t i = 0; i < o->net.n_tensors; i++)
		o->rate[i] = 0.001 * (double) (i % 3 + 1);
}

static void
optimiser_close(optimiser *o)
{
	net_release(&o->net);
	free(o->w);
	free(o->rate);
}

static double
step(optimiser *o, uint64_t t, const adamw_options *options, int n_threads)
{
	return adamw_step(&o->net, o->w, o->m, o->v, o->g, t, o->rate, options, n_threads);
}

/* Gradients of step t. */
static void
draw(optimiser *o, uint64_t t)
{
	for (size_t i = 0; i < o->net.n_parameters; i++)
		o->g[i] = (real) (0.1 * (rng_uniform(t, i) - 0.5));
}

static void
steps_follow_the_formulas(void **state)
{
	optimiser o;
	size_t n;
	double *w, *m, *v, worst = 0.0;
	adamw_options clipped = usual;

	(void) state;
	optimiser_open(&o);
	n = o.net.n_parameters;
	clipped.clip = 1.0;
	w = calloc(3 * n, sizeof(double));
	assert_non_null(w);
	m = w + n;
	v = m + n;
	for (size_t i = 0; i < n; i++)
		w[i] = o.w[i];
	for (uint64_t t = 1; t <= 5; t++)
	{
		double norm = 0.0, got, scale;

		draw(&o, t);
		for (size_t i = 0; i < n; i++)
			norm += (double) o.g[i] * o.g[i];
		norm = sqrt(norm);
		got = step(&o, t, &clipped, 2);
		assert_true(fabs(got - norm) < 1e-12 * norm && norm > 1.0);
		scale = 1.0 / norm;
		for (size_t k = 0; k < o.net.n_tensors; k++)
			for (size_t i = o.net.tensors[k].offset; i < o.net.tensors[k].offset + o.net.tensors[k].size; i++)
			{
				double g = o.g[i] * scale, decay = o.net.tensors[k].n_dims == 2 ? 0.01 : 0.0;

				m[i] = 0.9 * m[i] + 0.1 * g;
				v[i] = 0.98 * v[i] + 0.02 * g * g;
				w[i] -= o.rate[k] *
						(m[i] / (1.0 - pow(0.9, (double) t)) / (sqrt(v[i] / (1.0 - pow(0.98, (double) t))) + 1e-6) +
						 decay * w[i]);
			}
	}
	for (size_t i = 0; i < n; i++)
		worst = fmax(worst, fabs(w[i] - (double) o.w[i]));
	print_message("after five steps of 0.001 to 0.003: weights off by at most %.2g\n", worst);
	assert_true(worst < 1e-6);
	free(w);
	optimiser_close(&o);
}

/* Without m and v of any size, |step| is the rate: what bias correction is for. */
static void
first_step_is_the_rate(void **state)
{
	optimiser o;
	real before;

	(void) state;
	optimiser_open(&o);
	before = o.w[1000];
	step(&o, 1, &usual, 1);
	assert_true(fabs(fabs((double) (o.w[1000] - before)) - 0.001) < 1e-5);
	optimiser_close(&o);
}

static void
threads_give_the_same_bits(void **state)
{
	optimiser o[3];
	adamw_options clipped = usual;

	(void) state;
	clipped.clip = 0.5;
	for (int i = 0; i < 3; i++)
	{
		optimiser_open(&o[i]);
		for (uint64_t t = 1; t <= 3; t++)
		{
			draw(&o[i], t);
			step(&o[i], t, &clipped, i + 1);
		}
		assert_memory_equal(o[0].w, o[i].w, 4 * o[0].net.n_parameters * sizeof(real));
	}
	for (int i = 0; i < 3; i++)
		optimiser_close(&o[i]);
}

static void
what_has_no_rate_stays(void **state)
{
	optimiser o;
	real *before;
	const net_tensor *first, *second;
	double norm, rest;

	(void) state;
	optimiser_open(&o);
	before = calloc(o.net.n_parameters, sizeof(real));
	assert_non_null(before);
	memcpy(before, o.w, o.net.n_parameters * sizeof(real));
	first = &o.net.tensors[0];
	second = &o.net.tensors[1];
	rest = adamw_step(&o.net, o.w, o.m, o.v, o.g, 1, o.rate, &usual, 2);
	memcpy(o.w, before, o.net.n_parameters * sizeof(real));
	memset(o.m, 0, 2 * o.net.n_parameters * sizeof(real));
	o.rate[0] = 0.0;
	o.g[5] = NAN; /* it does not even count */
	norm = step(&o, 1, &usual, 2);
	assert_true(isfinite(norm) && norm < rest);
	assert_memory_equal(o.w, before, first->size * sizeof(real));
	assert_true(o.m[first->offset + 7] == 0.0f && o.v[first->offset + 7] == 0.0f);
	assert_true(o.w[second->offset] != before[second->offset]);
	free(before);
	optimiser_close(&o);
}

static void
a_norm_that_is_not_finite_changes_nothing(void **state)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY};
	optimiser o;
	real *before;
	size_t bytes;

	(void) state;
	optimiser_open(&o);
	bytes = 4 * o.net.n_parameters * sizeof(real);
	before = malloc(bytes);
	assert_non_null(before);
	step(&o, 1, &usual, 1);
	for (int i = 0; i < 3; i++)
	{
		o.g[40000] = bad[i];
		memcpy(before, o.w, bytes);
		assert_false(isfinite(step(&o, 2, &usual, 2)));
		assert_memory_equal(before, o.w, bytes);
	}
	free(before);
	optimiser_close(&o);
}

/* (((a + b) + c) + d), whatever the threads. */
static void
shards_are_summed_in_order(void **state)
{
	enum
	{
		SHARDS = 4,
		N = 200001
	};
	real *shards[SHARDS], *expected = malloc(N * sizeof(real));

	(void) state;
	assert_non_null(expected);
	for (int s = 0; s < SHARDS; s++)
	{
		shards[s] = malloc(N * sizeof(real));
		assert_non_null(shards[s]);
	}
	for (int n_threads = 1; n_threads <= 3; n_threads++)
	{
		for (int s = 0; s < SHARDS; s++)
			for (size_t i = 0; i < N; i++)
				shards[s][i] = (real) (rng_uniform((uint64_t) s, i) - 0.5);
		for (size_t i = 0; i < N; i++)
			expected[i] = ((shards[0][i] + shards[1][i]) + shards[2][i]) + shards[3][i];
		gradients_reduce(shards, SHARDS, N, n_threads);
		assert_memory_equal(shards[0], expected, N * sizeof(real));
	}
	gradients_reduce(shards, 1, N, 2);
	assert_memory_equal(shards[0], expected, N * sizeof(real));
	for (int s = 0; s < SHARDS; s++)
		free(shards[s]);
	free(expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_follow_the_formulas),
		cmocka_unit_test(first_step_is_the_rate),
		cmocka_unit_test(threads_give_the_same_bits),
		cmocka_unit_test(what_has_no_rate_stays),
		cmocka_unit_test(a_norm_that_is_not_finite_changes_nothing),
		cmocka_unit_test(shards_are_summed_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
