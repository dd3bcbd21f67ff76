/* test_metrics.c - metrics against cases computed by hand, and against scikit-learn's (test/golden/metrics). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "training/metrics.h"
#include "training/ranking.h"

static void
assert_near(double got, double expected, double tolerance, const char *what)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%s is %.12g, expected %.12g", what, got, expected);
}

/*
 * Three rows, two tags.   scores         labels
 *                         .9  .2         1 0
 *                         .6  .7         0 1
 *                         .3  .1         1 0
 * At 0.5: predicted (1,0) (1,1) (0,0); hits: row 1 tag 1, row 2 tag 2.
 */
static void
by_hand(void **state)
{
	const float scores[] = {0.9f, 0.2f, 0.6f, 0.7f, 0.3f, 0.1f};
	const uint8_t labels[] = {1, 0, 0, 1, 1, 0};
	const float thresholds[] = {0.5f, 0.5f};
	metrics m;

	(void) state;
	metrics_compute(&m, scores, labels, NULL, thresholds, 3, 2, NULL);
	assert_int_equal(m.rows_with_tags, 3);
	assert_near(m.calibrated.micro_precision, 2.0 / 3, 1e-12, "micro precision");
	assert_near(m.calibrated.micro_recall, 2.0 / 3, 1e-12, "micro recall");
	assert_near(m.calibrated.micro_f1, 2.0 / 3, 1e-12, "micro F1");
	/* tag 1: 1 hit, 2 predicted, 2 true: F1 1/2; tag 2: 1, 1, 1: F1 1 */
	assert_near(m.calibrated.macro_f1, 0.75, 1e-12, "macro F1");
	/* rows: 1, 2/3, 0 */
	assert_near(m.calibrated.samples_f1, (1 + 2.0 / 3) / 3, 1e-12, "samples F1");
	/* tag 1 ranks 1 0 1: AP = 1/2 (1 + 2/3); tag 2: 1 */
	assert_near(m.per_tag[0].average_precision, 5.0 / 6, 1e-12, "AP of tag 1");
	assert_near(m.macro_ap, (5.0 / 6 + 1) / 2, 1e-12, "macro AP");
	/* all pairs: .9+ .7+ .6- .3+ ...: 1/3 (1 + 1 + 3/4) */
	assert_near(m.micro_ap, 2.75 / 3, 1e-12, "micro AP");
	assert_near(m.at[0].precision, 1.0 / 3, 1e-12, "P@3 with two tags");
	assert_near(m.at[0].recall, 1.0, 1e-12, "R@3 with two tags");
	metrics_release(&m);
}

static void
ties_are_one_step(void **state)
{
	const float scores[] = {0.5f, 0.5f, 0.5f, 0.5f};
	const uint8_t a[] = {1, 0, 0, 0}, b[] = {0, 0, 0, 1}, none[] = {0, 0, 0, 0};

	(void) state;
	assert_near(metrics_average_precision(scores, a, NULL, 4, 1), 0.25, 1e-12, "AP, positive first");
	assert_near(metrics_average_precision(scores, b, NULL, 4, 1), 0.25, 1e-12, "AP, positive last");
	assert_true(isnan(metrics_average_precision(scores, none, NULL, 4, 1)));
}

static void
ranking_orders_all_floats(void **state)
{
	const float scores[] = {0.0f, -0.0f, 3.5f, -2.0f, 1e-30f, INFINITY, -INFINITY, 0.25f};
	const float expected[] = {INFINITY, 3.5f, 0.25f, 1e-30f, 0.0f, 0.0f, -2.0f, -INFINITY};
	const uint8_t labels[8] = {0, 1, 0, 0, 0, 1, 0, 0};
	ranking order = {0};
	size_t i;

	(void) state;
	ranking_sort(&order, scores, labels, NULL, 8, 1);
	for (i = 0; i < 8; i++)
		assert_true(ranking_score(&order, i) == expected[i]);
	assert_true(ranking_label(&order, 0));
	ranking_release(&order);
}

static void
nothing_to_measure(void **state)
{
	const float thresholds[] = {0.5f};
	const float scores[] = {0.2f};
	const uint8_t labels[] = {0};
	metrics m;

	(void) state;
	metrics_compute(&m, scores, labels, NULL, thresholds, 1, 1, NULL);
	assert_near(m.calibrated.micro_f1, 0, 0, "micro F1 of nothing");
	assert_near(m.macro_ap, 0, 0, "macro AP of nothing");
	assert_int_equal(m.tags_with_support, 0);
	metrics_release(&m);
}

static void
perfect_calibration(void **state)
{
	float scores[1000];
	uint8_t labels[1000];
	int i;

	(void) state;
	for (i = 0; i < 1000; i++)
	{
		scores[i] = 0.3f;
		labels[i] = i % 10 < 3;
	}
	assert_near(metrics_ece(scores, labels, NULL, 1000, 1), 0, 1e-6, "ECE of honest scores");
	for (i = 0; i < 1000; i++)
		scores[i] = 0.9f;
	assert_near(metrics_ece(scores, labels, NULL, 1000, 1), 0.6, 1e-6, "ECE of boasting scores");
}

static double
number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void
check_f1(const f1_summary *got, const json_t *expected)
{
	assert_near(got->micro_precision, number(expected, "micro_precision"), 1e-9, "micro precision");
	assert_near(got->micro_recall, number(expected, "micro_recall"), 1e-9, "micro recall");
	assert_near(got->micro_f1, number(expected, "micro_f1"), 1e-9, "micro F1");
	assert_near(got->macro_f1, number(expected, "macro_f1"), 1e-9, "macro F1");
	assert_near(got->samples_f1, number(expected, "samples_f1"), 1e-9, "samples F1");
}

static void
check_learned(int32_t learned, double recall, const json_t *expected)
{
	assert_int_equal(learned, json_integer_value(json_array_get(expected, 0)));
	assert_near(recall, json_number_value(json_array_get(expected, 1)), 1e-9, "mean recall of tags");
}

static void
as_scikit_learn(void **state)
{
	json_t *root = json_load_file("test/golden/metrics/cases.json", 0, NULL);
	json_t *one;
	size_t index;

	(void) state;
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "cases"), index, one)
	{
		size_t n = (size_t) json_integer_value(json_object_get(one, "rows"));
		size_t tags = (size_t) json_integer_value(json_object_get(one, "tags"));
		float *scores = calloc(n * tags, sizeof(float)), *thresholds = calloc(tags, sizeof(float));
		uint8_t *labels = calloc(n * tags, 1), *known = NULL;
		const json_t *known_pairs = json_object_get(one, "known");
		metrics m;
		size_t i;

		if (known_pairs != NULL)
			known = calloc(n * tags, 1);
		for (i = 0; known != NULL && i < n * tags; i++)
			known[i] = (uint8_t) json_integer_value(json_array_get(known_pairs, i));
		print_message("%s\n", json_string_value(json_object_get(one, "name")));
		for (i = 0; i < n * tags; i++)
		{
			scores[i] = (float) json_number_value(json_array_get(json_object_get(one, "scores"), i));
			labels[i] = (uint8_t) json_integer_value(json_array_get(json_object_get(one, "labels"), i));
		}
		for (i = 0; i < tags; i++)
			thresholds[i] = (float) json_number_value(json_array_get(json_object_get(one, "thresholds"), i));
		metrics_compute(&m, scores, labels, known, thresholds, n, tags, NULL);
		check_f1(&m.calibrated, json_object_get(one, "calibrated"));
		check_f1(&m.half, json_object_get(one, "half"));
		for (i = 0; i < tags; i++)
		{
			const json_t *ap = json_array_get(json_object_get(one, "per_tag_ap"), i);

			assert_int_equal(json_is_null(ap), isnan(m.per_tag[i].average_precision));
			if (!json_is_null(ap))
				assert_near(m.per_tag[i].average_precision, json_number_value(ap), 1e-9, "AP");
			assert_near(m.per_tag[i].f1, json_number_value(json_array_get(json_object_get(one, "per_tag_f1"), i)), 1e-9,
						"F1");
			assert_near(m.per_tag[i].ece, json_number_value(json_array_get(json_object_get(one, "per_tag_ece"), i)),
						1e-6, "ECE of a tag");
			assert_near(m.per_tag[i].brier, json_number_value(json_array_get(json_object_get(one, "per_tag_brier"), i)),
						1e-9, "Brier of a tag");
		}
		assert_near(m.macro_ap, number(one, "macro_ap"), 1e-9, "macro AP");
		assert_near(m.micro_ap, number(one, "micro_ap"), 1e-9, "micro AP");
		assert_near(m.at[0].precision, number(one, "precision_at_3"), 1e-9, "P@3");
		assert_near(m.at[0].recall, number(one, "recall_at_3"), 1e-9, "R@3");
		assert_near(m.at[1].precision, number(one, "precision_at_5"), 1e-9, "P@5");
		assert_near(m.at[1].recall, number(one, "recall_at_5"), 1e-9, "R@5");
		assert_near(m.ece, number(one, "ece"), 1e-6, "ECE");
		assert_near(m.brier, number(one, "brier"), 1e-9, "Brier");
		assert_near(m.at[0].ndcg, number(one, "ndcg_at_3"), 1e-9, "nDCG@3");
		assert_near(m.at[1].ndcg, number(one, "ndcg_at_5"), 1e-9, "nDCG@5");
		check_learned(m.tags_learned, m.tag_recall, json_object_get(one, "learned"));
		check_learned(m.at[0].tags_learned, m.at[0].tag_recall, json_object_get(one, "learned_at_3"));
		check_learned(m.at[1].tags_learned, m.at[1].tag_recall, json_object_get(one, "learned_at_5"));
		metrics_release(&m);
		free(scores);
		free(thresholds);
		free(labels);
		free(known);
	}
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand),
									   cmocka_unit_test(ties_are_one_step),
									   cmocka_unit_test(ranking_orders_all_floats),
									   cmocka_unit_test(nothing_to_measure),
									   cmocka_unit_test(perfect_calibration),
									   cmocka_unit_test(as_scikit_learn)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
