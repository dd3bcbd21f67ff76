/* test_split.c - the hash split, the tag dictionary, tag arrays good and bad, and which tags become labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/labels.h"
#include "training/memory.h"
#include "training/options.h"
#include "training/split.h"
#include "training/tag_array.h"
#include "training/tagged_rows.h"

static void
split_is_fixed(void **state)
{
	(void) state;
	/* first eight bytes of sha256("1:casablanca"), sha256("2:casablanca"), sha256("1:") */
	assert_true(split_hash(1, "casablanca", 10) == 0x9d150d8d079b3602u);
	assert_true(split_hash(2, "casablanca", 10) == 0x5a78decdc460b031u);
	assert_true(split_hash(1, "", 0) == 0x0758ffe9350a70a1u);
	assert_int_equal(split_part(0, 0.1, 0.0), PART_VALIDATION);
	assert_int_equal(split_part(0, 0.1, 0.1), PART_TEST);
	assert_int_equal(split_part(UINT64_MAX, 0.1, 0.1), PART_TRAINING);
	assert_int_equal(split_part(UINT64_MAX, 0.0, 0.0), PART_TRAINING);
}

static void
split_has_the_asked_shares(void **state)
{
	int counts[N_PARTS] = {0};
	char key[32];
	int i;

	(void) state;
	for (i = 0; i < 20000; i++)
	{
		snprintf(key, sizeof(key), "tt%07d", i);
		counts[split_part(split_hash(1, key, strlen(key)), 0.1, 0.2)]++;
	}
	print_message("%d training, %d validation, %d test\n", counts[0], counts[1], counts[2]);
	assert_in_range(counts[PART_VALIDATION], 1850, 2150);
	assert_in_range(counts[PART_TEST], 3800, 4200);
}

static void
dictionary_numbers(void **state)
{
	dictionary words = {0};
	char name[32];
	int i;

	(void) state;
	assert_int_equal(dictionary_find(&words, "x"), -1);
	for (i = 0; i < 5000; i++)
	{
		snprintf(name, sizeof(name), "tag %d", i);
		assert_int_equal(dictionary_add(&words, name), i);
	}
	for (i = 4999; i >= 0; i--)
	{
		snprintf(name, sizeof(name), "tag %d", i);
		assert_int_equal(dictionary_add(&words, name), i);
		assert_int_equal(dictionary_find(&words, name), i);
	}
	assert_int_equal(words.n, 5000);
	assert_int_equal(dictionary_find(&words, "tag"), -1);
	dictionary_release(&words);
}

typedef struct array_case
{
	const char *literal;
	const char *expected; /* elements joined with '|', or NULL: an error */
	size_t nulls;
} array_case;

static void
check_array(tag_array *array, const array_case *c, bool json)
{
	string_buffer joined = {0};
	mb_error err = {0};
	mb_status status = (json ? tag_array_parse_json : tag_array_parse)(array, c->literal, strlen(c->literal), &err);
	size_t i;

	if (c->expected == NULL)
	{
		if (status == MB_OK)
			fail_msg("%s was accepted", c->literal);
		assert_true(err.message[0] != '\0');
		return;
	}
	if (status != MB_OK)
		fail_msg("%s was refused: %s", c->literal, err.message);
	string_add(&joined, "", 0);
	for (i = 0; i < array->n; i++)
		string_printf(&joined, "%s%s", i > 0 ? "|" : "", tag_array_at(array, i));
	assert_string_equal(joined.data, c->expected);
	assert_int_equal(array->nulls, c->nulls);
	string_release(&joined);
}

static void
arrays(void **state)
{
	static const array_case cases[] = {{"{}", "", 0},
									   {"{drama}", "drama", 0},
									   {"{drama,comedy}", "drama|comedy", 0},
									   {"{ drama , comedy }", "drama|comedy", 0},
									   {"{\"sci-fi, soft\",war}", "sci-fi, soft|war", 0},
									   {"{\"a\\\"b\",\"c\\\\d\",\"{}\"}", "a\"b|c\\d|{}", 0},
									   {"{NULL,a,null}", "a", 2},
									   {"{\"NULL\"}", "NULL", 0},
									   {"{\"\"}", "", 0},
									   {"[2:3]={a,b}", "a|b", 0},
									   {"[-1:0]={a,b}", "a|b", 0},
									   {"{film noir}", "film noir", 0},
									   {"{caf\xc3\xa9}", "caf\xc3\xa9", 0},
									   {"{a\\,b}", "a,b", 0},
									   {"{a\\ }", "a ", 0},
									   {"", NULL, 0},
									   {"drama", NULL, 0},
									   {"{", NULL, 0},
									   {"{a", NULL, 0},
									   {"{a,", NULL, 0},
									   {"{a,}", NULL, 0},
									   {"{,a}", NULL, 0},
									   {"{a,,b}", NULL, 0},
									   {"{\"a}", NULL, 0},
									   {"{\"a\"b}", NULL, 0},
									   {"{a\"b\"}", NULL, 0},
									   {"{a}b", NULL, 0},
									   {"{{a},{b}}", NULL, 0},
									   {"[1:1][1:2]={{a,b}}", NULL, 0},
									   {"[1:2", NULL, 0},
									   {"[1:2]{a,b}", NULL, 0},
									   {"{\"a\\", NULL, 0},
									   {"{a\\", NULL, 0}};
	static const array_case json_cases[] = {{"[]", "", 0},
											{"[\"drama\", \"war\"]", "drama|war", 0},
											{"[null, \"a\"]", "a", 1},
											{"[\"a\\u00e9\"]", "a\xc3\xa9", 0},
											{"{\"a\": 1}", NULL, 0},
											{"[1]", NULL, 0},
											{"[\"a\"", NULL, 0},
											{"\"a\"", NULL, 0},
											{"null", NULL, 0},
											{"", NULL, 0}};
	tag_array array = {0};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_array(&array, &cases[i], false);
	for (i = 0; i < sizeof(json_cases) / sizeof(json_cases[0]); i++)
		check_array(&array, &json_cases[i], true);
	tag_array_release(&array);
}

/* Random bytes of the alphabet that matters: no crash, and what is accepted has sane contents. */
static void
arrays_survive_noise(void **state)
{
	static const char alphabet[] = "{}\",\\ab N[]:=1 \xc3\xa9";
	uint32_t seed = 99;
	tag_array array = {0};
	int round, accepted = 0;

	(void) state;
	for (round = 0; round < 200000; round++)
	{
		char *text;
		size_t size, i;
		mb_error err;

		seed = seed * 1664525u + 1013904223u;
		size = seed >> 8 & 15;
		text = malloc(size + 1); /* exact, so that sanitizers see a step too far */
		text[0] = '{';
		for (i = round % 2; i < size; i++)
		{
			seed = seed * 1664525u + 1013904223u;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		if (tag_array_parse(&array, text, size, &err) == MB_OK)
		{
			accepted++;
			for (i = 0; i < array.n; i++)
				assert_true(array.starts[i] < array.used && strlen(tag_array_at(&array, i)) < array.used);
		}
		free(text);
	}
	print_message("%d of 200000 accepted\n", accepted);
	assert_true(accepted > 100);
	tag_array_release(&array);
}

static void
add(tagged_rows *rows, const char *text, const char *key, row_part part, const char *const *tags, int n)
{
	int32_t ids[8];
	int i;

	for (i = 0; i < n; i++)
		ids[i] = dictionary_add(&rows->tags, tags[i]);
	tagged_rows_add(rows, text, strlen(text), ids, n, SCOPE_ALL, part, split_hash(1, key, strlen(key)));
}

static void
labels_by_support(void **state)
{
	static const char *const both[] = {"drama", "war"};
	static const char *const one[] = {"war"};
	static const char *const rare[] = {"opera", "drama"};
	tagged_rows rows = {0};
	label_set set;
	fit_rows part;
	float features[5] = {1, 2, 3, 4, 5};
	int64_t keys, texts;

	(void) state;
	add(&rows, "a", "k1", PART_TRAINING, both, 2);
	add(&rows, "b", "k2", PART_TRAINING, one, 1);
	add(&rows, "c", "k3", PART_TRAINING, rare, 2);
	add(&rows, "d", "k3", PART_VALIDATION, rare, 2);
	add(&rows, "a", "k5", PART_VALIDATION, one, 0);
	labels_select(&set, &rows, 2, 10);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.names[0], "drama"); /* equal support: by name */
	assert_string_equal(set.names[1], "war");
	assert_int_equal(set.support[0], 2);
	assert_int_equal(set.n_dropped, 1);
	assert_string_equal(set.dropped[0].name, "opera");
	assert_int_equal(set.dropped[0].support, 1);
	labels_gather(&part, &rows, &set, features, 1, PART_VALIDATION, false);
	assert_int_equal(part.n, 2);
	assert_true(part.features[0] == 4 && part.features[1] == 5);
	assert_int_equal(part.labels[0], 1);
	assert_int_equal(part.labels[1], 0);
	assert_int_equal(part.labels[2], 0);
	fit_rows_release(&part);
	labels_release(&set);

	labels_select(&set, &rows, 1, 1);
	assert_int_equal(set.n, 1);
	assert_int_equal(set.n_dropped, 2);
	labels_release(&set);

	tagged_rows_leakage(&rows, &keys, &texts);
	assert_int_equal(keys, 1);  /* k3 */
	assert_int_equal(texts, 1); /* a */
	tagged_rows_release(&rows);
}

/* A tag outside a row's scope is unknown there, unless the row has it all the same. */
static void
labels_within_scopes(void **state)
{
	static const char *const drama[] = {"drama"}, *const both[] = {"drama", "war"};
	static const char scope_text[] = "{drama,opera}";
	tagged_rows rows = {0};
	tag_array names = {0};
	label_set set;
	fit_rows part;
	const char *unused = NULL;
	mb_error err;
	int32_t scope;

	(void) state;
	assert_int_equal(tag_array_parse(&names, scope_text, strlen(scope_text), &err), MB_OK);
	scope = tagged_rows_scope(&rows, scope_text, &names);
	assert_int_equal(tagged_rows_scope(&rows, scope_text, &names), scope);
	assert_int_equal(rows.scope_texts.n, 1);
	add(&rows, "all is known", "k1", PART_TRAINING, both, 2);
	add(&rows, "drama or not", "k2", PART_TRAINING, drama, 0);
	add(&rows, "war all the same", "k3", PART_TRAINING, both + 1, 1);
	rows.rows[1].scope = rows.rows[2].scope = scope;
	labels_select(&set, &rows, 1, 10);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.names[0], "war");
	assert_string_equal(set.names[1], "drama");
	labels_gather(&part, &rows, &set, NULL, 0, PART_TRAINING, false);
	assert_non_null(part.known);
	assert_memory_equal(part.labels, ((uint8_t[]){1, 1, 0, 0, 1, 0}), 6);
	assert_memory_equal(part.known, ((uint8_t[]){1, 1, 0, 1, 1, 1}), 6);
	assert_int_equal(labels_unused_scope(&rows, &unused), 1);
	assert_string_equal(unused, "opera");
	fit_rows_release(&part);
	labels_release(&set);
	tag_array_release(&names);
	tagged_rows_release(&rows);
}

static void
suggestions(void **state)
{
	static const char *const words[] = {"import", "info", "install", "export", "finetune", "evaluate"};

	(void) state;
	assert_string_equal(options_suggest("instal", words, 6), "install");
	assert_string_equal(options_suggest("imoprt", words, 6), "import");
	assert_string_equal(options_suggest("fine-tune", words, 6), "finetune");
	assert_string_equal(options_suggest("eval", words, 6), "evaluate");
	assert_null(options_suggest("banana", words, 6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_is_fixed),       cmocka_unit_test(split_has_the_asked_shares),
		cmocka_unit_test(dictionary_numbers),   cmocka_unit_test(arrays),
		cmocka_unit_test(arrays_survive_noise), cmocka_unit_test(labels_by_support),
		cmocka_unit_test(labels_within_scopes), cmocka_unit_test(suggestions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
