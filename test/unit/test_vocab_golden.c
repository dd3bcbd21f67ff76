/*
 * test_vocab_golden.c - from texts to tokens: equal, as a set, to Hugging Face's WordPieceTrainer on the corpora of
 * test/golden/vocab, and the same bytes whatever the order of the texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "moviebert/tokenizer.h"
#include "training/vocabulary_use.h"
#include "training/wordpiece_trainer.h"

static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

static void
add(void *arg, const char *word, size_t bytes, bool too_long)
{
	assert_false(too_long);
	word_counts_add(arg, word, bytes, 1);
}

static bool
flag(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static size_t
number(const json_t *object, const char *name)
{
	return (size_t) json_integer_value(json_object_get(object, name));
}

static void
train(wordpiece_vocabulary *v, const json_t *c, bool backwards)
{
	json_t *lines = json_object_get(c, "lines");
	mb_tokenizer_options split = mb_tokenizer_options_default();
	wordpiece_options how = {.size = number(c, "size"),
							 .min_frequency = number(c, "min_frequency"),
							 .limit_alphabet = number(c, "limit_alphabet"),
							 .special_tokens = special,
							 .n_special = 5};
	size_t n = json_array_size(lines), i;
	word_counts words;
	mb_error err = {0};

	assert_true(n > 0);
	split.lowercase = flag(c, "lowercase");
	split.strip_accents = flag(c, "strip_accents");
	word_counts_start(&words, 100000);
	for (i = 0; i < n; i++)
	{
		json_t *line = json_array_get(lines, backwards ? n - 1 - i : i);

		assert_int_equal(
			mb_split_words(&split, json_string_value(line), json_string_length(line), add, &words, NULL, &err), MB_OK);
	}
	word_counts_sort(&words);
	if (wordpiece_train(v, &words, &how, &err) != MB_OK)
		fail_msg("%s", err.message);
	word_counts_release(&words);
}

static size_t
report_missing(const char *name, const char *what, const dictionary *a, const dictionary *b)
{
	size_t missing = 0, i;

	for (i = 0; i < a->n; i++)
		if (dictionary_find(b, a->names[i]) < 0)
		{
			print_message("%s: \"%s\" %s\n", name, a->names[i], what);
			missing++;
		}
	return missing;
}

static void
equals_the_reference(void **state)
{
	json_error_t where;
	json_t *file = json_load_file("test/golden/vocab/cases.json", 0, &where), *c, *token;
	size_t i, j, wrong = 0;

	(void) state;
	if (file == NULL)
		fail_msg("test/golden/vocab/cases.json: %s", where.text);
	assert_true(json_array_size(json_object_get(file, "cases")) >= 8);
	json_array_foreach(json_object_get(file, "cases"), i, c)
	{
		const char *name = json_string_value(json_object_get(c, "name"));
		dictionary expected = {0};
		wordpiece_vocabulary v, again;

		json_array_foreach(json_object_get(c, "vocab"), j, token) dictionary_add(&expected, json_string_value(token));
		train(&v, c, false);
		train(&again, c, true);
		print_message("%s: %zu tokens, %zu expected\n", name, v.tokens.n, expected.n);
		wrong += report_missing(name, "is missing", &expected, &v.tokens);
		wrong += report_missing(name, "is not the reference's", &v.tokens, &expected);
		assert_int_equal(v.tokens.n, again.tokens.n);
		for (j = 0; j < v.tokens.n; j++)
			assert_string_equal(v.tokens.names[j], again.tokens.names[j]);
		for (j = 0; j < 5; j++)
			assert_string_equal(v.tokens.names[j], special[j]);
		wordpiece_vocabulary_release(&v);
		wordpiece_vocabulary_release(&again);
		dictionary_release(&expected);
	}
	json_decref(file);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_reference)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
