/* test_report_data.c - reliability bins, tags that stand together and vocabularies, against cases computed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "training/metrics.h"
#include "training/report_data.h"

static double
number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value))
		fail_msg("\"%s\" is not a number", key);
	return json_number_value(value);
}

static void
reliability_by_hand(void **state)
{
	/* bins of 1/15: .03 and .05 in 0, .5 in 7, .95 and 1 in 14 */
	const float scores[] = {0.03f, 0.05f, 0.5f, 0.95f, 1.0f, 0.5f};
	const uint8_t labels[] = {0, 1, 1, 1, 0, 1}, known[] = {1, 1, 1, 1, 1, 0};
	json_t *all = report_calibration_json(scores, labels, NULL, 3, 2);
	json_t *some = report_calibration_json(scores, labels, known, 3, 2);
	json_t *none = report_calibration_json(scores, labels, NULL, 0, 2);
	const json_t *bins = json_object_get(some, "bins"), *bin;

	(void) state;
	assert_int_equal(json_array_size(bins), METRICS_ECE_BINS);
	assert_int_equal(number(some, "pairs"), 5);
	bin = json_array_get(bins, 0);
	assert_int_equal(number(bin, "count"), 2);
	assert_float_equal(number(bin, "mean_score"), 0.04, 1e-6);
	assert_float_equal(number(bin, "share"), 0.5, 1e-6);
	bin = json_array_get(bins, 7);
	assert_int_equal(number(bin, "count"), 1);
	assert_float_equal(number(bin, "share"), 1, 1e-6);
	assert_float_equal(number(bin, "from"), 0.4667, 1e-6);
	assert_float_equal(number(bin, "to"), 0.5333, 1e-6);
	assert_true(json_is_null(json_object_get(json_array_get(bins, 1), "share")));
	/* (|.08 - 1| + |.5 - 1| + |1.95 - 1|) / 5, and the mean square */
	assert_float_equal(number(some, "ece"), (0.92 + 0.5 + 0.95) / 5, 1e-4);
	assert_float_equal(number(some, "brier"), (0.0009 + 0.9025 + 0.25 + 0.0025 + 1) / 5, 1e-4);
	assert_float_equal(number(all, "ece"), metrics_ece(scores, labels, NULL, 6, 1), 1e-4);
	assert_int_equal(number(none, "pairs"), 0);
	assert_true(json_is_null(json_object_get(none, "ece")));
	json_decref(all);
	json_decref(some);
	json_decref(none);
}

static void
tags_together_by_hand(void **state)
{
	/* drama 3, "never" 0, noir 2, crime 3 of which one is unknown */
	static const char *const names[] = {"noir", "never", "drama", "crime"};
	const uint8_t labels[] = {1, 0, 1, 1, /**/ 0, 0, 1, 1, /**/ 1, 0, 1, 1};
	const uint8_t known[] = {1, 1, 1, 1, /**/ 1, 1, 1, 0, /**/ 1, 1, 1, 1};
	json_t *map = report_cooccurrence_json(labels, known, names, 3, 4, 0);
	json_t *two = report_cooccurrence_json(labels, NULL, names, 3, 4, 2);
	char *text = json_dumps(map, JSON_COMPACT);
	char *short_text = json_dumps(two, JSON_COMPACT);

	(void) state;
	assert_string_equal(text, "{\"rows\":3,\"tags\":[\"drama\",\"noir\",\"crime\"],\"support\":[3,2,2],"
							  "\"together\":[[3,2,2],[2,2,2],[2,2,2]]}");
	assert_string_equal(short_text, "{\"rows\":3,\"tags\":[\"drama\",\"crime\"],\"support\":[3,3],"
									"\"together\":[[3,3],[3,3]]}");
	free(text);
	free(short_text);
	json_decref(map);
	json_decref(two);
}

static void
vocabularies_by_hand(void **state)
{
	static const char own_text[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nheist\ng\n##a\n##g\nghost\n##heist\n";
	static const char other_text[] =
		"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ng\n##h\n##o\n##s\n##t\ncell\nh\n##e\n##i\n";
	vocabulary_use own = {0}, other = {0};
	word_counts counts;
	mb_error err = {0};
	json_t *difference;
	char *text;

	(void) state;
	word_counts_start(&counts, 100);
	word_counts_add(&counts, "ghost", 5, 1);
	word_counts_add(&counts, "heist", 5, 3);
	word_counts_add(&counts, "a", 1, 4);
	word_counts_sort(&counts);
	assert_int_equal(vocabulary_use_count(&own, own_text, strlen(own_text), &counts, 0, NULL, &err), MB_OK);
	assert_int_equal(vocabulary_use_count(&other, other_text, strlen(other_text), &counts, 0, NULL, &err), MB_OK);
	difference = report_vocabulary_json(&own, &other, "general", 10);
	text = json_dumps(difference, JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_string_equal(text, "{\"other\":\"general\",\"tokens\":12,\"added_tokens\":5,\"missing_tokens\":8,"
							  "\"tokens_per_word\":1.0,\"other_tokens_per_word\":3.0,"
							  "\"added\":[{\"token\":\"heist\",\"uses\":3},{\"token\":\"ghost\",\"uses\":1}],"
							  "\"missing\":[{\"token\":\"cell\",\"uses\":0}]}");
	free(text);
	json_decref(difference);
	vocabulary_use_release(&own);
	vocabulary_use_release(&other);
	word_counts_release(&counts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reliability_by_hand),
		cmocka_unit_test(tags_together_by_hand),
		cmocka_unit_test(vocabularies_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
