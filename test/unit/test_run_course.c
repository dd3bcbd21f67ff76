/* test_run_course.c - what a training run decides from numbers alone: its learning rate, its marks, and how it goes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "training/run_schedule.h"
#include "training/run_watch.h"

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

static void
test_rate(void **state)
{
	const run_schedule by_steps = {100, 0, 0.1}, by_budget = {0, 200, 0.25};
	double begin, end, rate, before = 0;
	uint64_t step;

	(void) state;
	for (step = 0; step < 100; step++)
	{
		run_schedule_part(&by_steps, step, 1e9, 1e9, &begin, &end);
		rate = run_schedule_rate(&by_steps, begin, end);
		assert_true(rate > 0 && rate <= 1);
		if (step < 10)
			assert_float_equal(rate, (double) (step + 1) / 10, 1e-12);
		else
			assert_float_equal(rate, (double) (100 - step) / 90, 1e-12);
		assert_true(step < 10 ? rate > before : step == 10 || rate < before);
		before = rate;
	}
	run_schedule_part(&by_budget, 12345, 100, 10, &begin, &end);
	assert_float_equal(begin, 0.5, 1e-12);
	assert_float_equal(end, 0.55, 1e-12);
	assert_float_equal(run_schedule_rate(&by_budget, begin, end), 0.5 / 0.75, 1e-12);
	run_schedule_part(&by_budget, 0, 0, 10, &begin, &end);
	assert_float_equal(run_schedule_rate(&by_budget, begin, end), 0.05 / 0.25, 1e-12);
	/* A step that is longer than the rest of the budget. */
	run_schedule_part(&by_budget, 0, 199, 10, &begin, &end);
	assert_float_equal(end, 1, 0);
	assert_false(run_schedule_over(&by_steps, 99, 1e9));
	assert_true(run_schedule_over(&by_steps, 100, 0));
	assert_false(run_schedule_over(&by_budget, 1000000, 199.9));
	assert_true(run_schedule_over(&by_budget, 0, 200));
}

static void
test_no_warmup(void **state)
{
	const run_schedule none = {10, 0, 0}, only = {10, 0, 1};

	(void) state;
	assert_float_equal(run_schedule_rate(&none, 0, 0.1), 1, 0);
	assert_float_equal(run_schedule_rate(&none, 0.9, 1), 0.1, 1e-12);
	assert_float_equal(run_schedule_rate(&only, 0.9, 1), 1, 0);
}

/* However many steps: exactly n marks, the last at the end. */
static void
test_marks(void **state)
{
	const uint64_t counts[] = {1, 7, 20, 30, 49, 1000, 12347};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		const run_schedule schedule = {counts[i], 0, 0};
		uint64_t step, passed = 0, last = 0;

		for (step = 0; step < counts[i]; step++)
		{
			double begin, end;

			run_schedule_part(&schedule, step, 0, 0, &begin, &end);
			if (run_schedule_passes(begin, end, 20))
			{
				passed++;
				last = step;
			}
		}
		assert_int_equal(passed, counts[i] < 20 ? counts[i] : 20);
		assert_int_equal(last, counts[i] - 1);
	}
}

/* ---- watch ------------------------------------------------------------------------------------------------------- */

/* Falls from 6 to 2, with noise that is always the same. */
static double
good_loss(int step)
{
	return 2 + 4 * exp(-step / 300.0) + 0.2 * sin(step * 1.7) * cos(step * 0.3);
}

static void
test_good_course(void **state)
{
	run_watch watch = {0};
	int step;

	(void) state;
	for (step = 0; step < 3000; step++)
		assert_int_equal(run_watch_step(&watch, good_loss(step), true), WATCH_FINE);
	/* A few bad batches are no divergence. */
	for (step = 0; step < 5; step++)
		assert_int_equal(run_watch_step(&watch, 4, true), WATCH_FINE);
	assert_int_equal(run_watch_step(&watch, 2, true), WATCH_FINE);
	/* Nor is a loss that never changes and then does a little. */
	memset(&watch, 0, sizeof(watch));
	for (step = 0; step < 300; step++)
		assert_int_equal(run_watch_step(&watch, step < 200 ? 1 : 1.02, true), WATCH_FINE);
}

static void
test_divergence(void **state)
{
	run_watch watch = {0};
	watch_verdict verdict = WATCH_FINE;
	int step;

	(void) state;
	for (step = 0; step < 1000; step++)
		assert_int_equal(run_watch_step(&watch, good_loss(step), true), WATCH_FINE);
	/* A jump that stays: found by its deviation, though far from twice the lowest. */
	for (step = 0; step < 30 && verdict == WATCH_FINE; step++)
		verdict = run_watch_step(&watch, 4.2, true);
	assert_int_equal(verdict, WATCH_DIVERGED);
	assert_int_equal(step, 10);
	/* One that creeps up from the start. */
	memset(&watch, 0, sizeof(watch));
	for (step = 0, verdict = WATCH_FINE; step < 300 && verdict == WATCH_FINE; step++)
		verdict = run_watch_step(&watch, 6 + 0.1 * step, true);
	assert_int_equal(verdict, WATCH_DIVERGED);
	printf("a creeping loss was called diverging after %d steps\n", step);
	assert_true(step < 120);
}

static void
test_not_finite(void **state)
{
	run_watch watch = {0};

	(void) state;
	assert_int_equal(run_watch_step(&watch, 3, true), WATCH_FINE);
	assert_int_equal(run_watch_step(&watch, 3, false), WATCH_SKIPPED);
	assert_int_equal(run_watch_step(&watch, NAN, true), WATCH_SKIPPED);
	assert_int_equal(run_watch_step(&watch, 3, true), WATCH_FINE);
	assert_int_equal(run_watch_step(&watch, INFINITY, true), WATCH_SKIPPED);
	assert_int_equal(run_watch_step(&watch, 3, false), WATCH_SKIPPED);
	assert_int_equal(run_watch_step(&watch, 3, false), WATCH_NOT_FINITE);
	assert_true(isfinite(watch.smooth));
}

static void
test_plateau(void **state)
{
	const double unigram = 6.5;

	(void) state;
	/* Too early, by share or by steps. */
	assert_int_equal(run_watch_plateau(PLATEAU_UNKNOWN, 0.1, 5000, 6.1, 0.15, unigram), PLATEAU_UNKNOWN);
	assert_int_equal(run_watch_plateau(PLATEAU_UNKNOWN, 0.5, 999, 6.1, 0.15, unigram), PLATEAU_UNKNOWN);
	/* Learning already. */
	assert_int_equal(run_watch_plateau(PLATEAU_UNKNOWN, 0.5, 5000, 5.4, 0.19, unigram), PLATEAU_UNKNOWN);
	assert_int_equal(run_watch_plateau(PLATEAU_UNKNOWN, 0.5, 5000, 5.9, 0.21, unigram), PLATEAU_UNKNOWN);
	/* On it, and off it once. */
	assert_int_equal(run_watch_plateau(PLATEAU_UNKNOWN, 0.16, 1000, 5.9, 0.15, unigram), PLATEAU_ON);
	assert_int_equal(run_watch_plateau(PLATEAU_ON, 0.2, 1100, 5.3, 0.19, unigram), PLATEAU_ON);
	assert_int_equal(run_watch_plateau(PLATEAU_ON, 0.3, 1200, 5.1, 0.20, unigram), PLATEAU_ESCAPED);
	assert_int_equal(run_watch_plateau(PLATEAU_ON, 0.3, 1200, 5.3, 0.22, unigram), PLATEAU_ESCAPED);
	assert_int_equal(run_watch_plateau(PLATEAU_ESCAPED, 0.4, 1300, 6.1, 0.15, unigram), PLATEAU_ESCAPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_no_warmup),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_good_course),
		cmocka_unit_test(test_divergence),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_plateau),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
