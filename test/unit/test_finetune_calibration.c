/* test_finetune_calibration.c - Platt scaling and thresholds, on cases whose answer is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "training/calibration.h"

static void
threshold_by_hand(void **state)
{
	/* F1 after each score: 2/4, 4/5, 4/6, 6/7, 6/8; the best cut is between .4 and .2 */
	const float scores[] = {0.9f, 0.8f, 0.6f, 0.4f, 0.2f};
	const uint8_t labels[] = {1, 1, 0, 1, 0};
	const uint8_t none[5] = {0};
	double f1, threshold = threshold_best_f1(scores, labels, NULL, 5, 1, &f1);

	(void) state;
	assert_true(fabs(threshold - 0.3) < 1e-6);
	assert_true(fabs(f1 - 6.0 / 7) < 1e-12);
	assert_true(isnan(threshold_best_f1(scores, none, NULL, 5, 1, &f1)) && f1 == 0);
}

static void
threshold_never_splits_ties(void **state)
{
	const float scores[] = {0.7f, 0.7f, 0.7f, 0.1f};
	const uint8_t labels[] = {1, 0, 1, 0};
	double f1, threshold = threshold_best_f1(scores, labels, NULL, 4, 1, &f1);

	(void) state;
	assert_true(threshold > 0.1 && threshold <= 0.7);
	assert_true(fabs(f1 - 0.8) < 1e-12);
}

/* Every threshold tried one by one must not beat the one found. */
static void
threshold_is_the_best(void **state)
{
	uint32_t seed = 12345;
	int round;

	(void) state;
	for (round = 0; round < 200; round++)
	{
		float scores[40];
		uint8_t labels[40];
		int n = 1 + round % 40, i, j, support = 0;
		double f1, threshold, found = 0;

		for (i = 0; i < n; i++)
		{
			seed = seed * 1664525u + 1013904223u;
			scores[i] = (float) (seed >> 24) / 64.0f / 4.0f;
			labels[i] = (seed >> 10 & 3) == 0;
			support += labels[i];
		}
		threshold = threshold_best_f1(scores, labels, NULL, (size_t) n, 1, &f1);
		if (support == 0)
			continue;
		for (j = -1; j < n; j++)
		{
			double cut = j < 0 ? threshold : (double) scores[j], hits = 0, predicted = 0, value;

			for (i = 0; i < n; i++)
			{
				predicted += (double) scores[i] >= cut;
				hits += (double) scores[i] >= cut && labels[i];
			}
			value = 2 * hits / (support + predicted);
			if (j < 0)
				found = value;
			else
				assert_true(value <= found + 1e-12);
		}
		assert_true(fabs(found - f1) < 1e-12);
	}
}

static void
thresholds_shrink(void **state)
{
	enum
	{
		ROWS = 200
	};
	float scores[ROWS * 2];
	uint8_t labels[ROWS * 2] = {0};
	float thresholds[2];
	double global, own;
	int i;

	(void) state;
	for (i = 0; i < ROWS; i++)
	{
		scores[i * 2] = (float) i / ROWS;
		labels[i * 2] = i >= 100;
		scores[i * 2 + 1] = (float) i / ROWS * 0.2f;
		labels[i * 2 + 1] = i >= 195; /* five rows */
	}
	thresholds_calibrate(scores, labels, NULL, ROWS, 2, thresholds, &global);
	own = threshold_best_f1(scores + 1, labels + 1, NULL, ROWS, 2, NULL);
	print_message("global %.3f, tags %.3f %.3f, the rare tag alone %.3f\n", global, (double) thresholds[0],
				  (double) thresholds[1], own);
	assert_true(fabs((double) thresholds[0] - (100.0 / 120 * 0.4975 + 20.0 / 120 * global)) < 1e-3);
	assert_true(fabs((double) thresholds[1] - (5.0 / 25 * own + 20.0 / 25 * global)) < 1e-6);
}

static void
platt_recovers(void **state)
{
	enum
	{
		ROWS = 20000
	};
	float *logits = malloc(ROWS * sizeof(float));
	uint8_t *labels = malloc(ROWS);
	uint32_t seed = 7;
	double a, c;
	int i;

	(void) state;
	for (i = 0; i < ROWS; i++)
	{
		seed = seed * 1664525u + 1013904223u;
		logits[i] = (float) (seed >> 8) / 16777216.0f * 8 - 4;
		seed = seed * 1664525u + 1013904223u;
		labels[i] = (double) (seed >> 8) / 16777216.0 < sigmoid(0.5 * (double) logits[i] - 1);
	}
	platt_fit(logits, labels, NULL, ROWS, 1, PLATT_PRIOR, &a, &c);
	print_message("a %.3f (0.5), c %.3f (-1)\n", a, c);
	assert_true(fabs(a - 0.5) < 0.03 && fabs(c + 1) < 0.05);
	/* without rows, nothing is changed */
	platt_fit(logits, labels, NULL, 0, 1, PLATT_PRIOR, &a, &c);
	assert_true(a == 1 && c == 0);
	/* scores that rank the wrong way round are never turned over */
	for (i = 0; i < 1000; i++)
		labels[i] = logits[i] < 0;
	platt_fit(logits, labels, NULL, 1000, 1, PLATT_PRIOR, &a, &c);
	assert_true(a > 0);
	free(logits);
	free(labels);
}

static void
sigmoid_extremes(void **state)
{
	(void) state;
	assert_true(sigmoid(1000) == 1 && sigmoid(-1000) == 0 && sigmoid(0) == 0.5);
	assert_true(softplus(1000) == 1000 && softplus(-1000) == 0);
	assert_true(fabs(softplus(0) - log(2)) < 1e-15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_by_hand),     cmocka_unit_test(threshold_never_splits_ties),
		cmocka_unit_test(threshold_is_the_best), cmocka_unit_test(thresholds_shrink),
		cmocka_unit_test(platt_recovers),        cmocka_unit_test(sigmoid_extremes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
