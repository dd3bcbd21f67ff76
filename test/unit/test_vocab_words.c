/* test_vocab_words.c - words of texts, counting them, forgetting the rare ones, and what a vocabulary makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "moviebert/tokenizer.h"
#include "training/memory.h"
#include "training/output_file.h"
#include "training/vocabulary_use.h"

/* ---- words of texts ---------------------------------------------------------------------------------------------- */

static void
join(void *arg, const char *word, size_t bytes, bool too_long)
{
	string_buffer *list = arg;

	string_printf(list, "%s%.*s", list->size > 0 ? "|" : "", too_long ? 3 : (int) bytes, too_long ? "..." : word);
}

static void
assert_words(mb_tokenizer_options options, const char *text, const char *expected)
{
	string_buffer got = {0};
	mb_error err = {0};

	string_add(&got, "", 0);
	assert_int_equal(mb_split_words(&options, text, strlen(text), join, &got, NULL, &err), MB_OK);
	assert_string_equal(got.data, expected);
	string_release(&got);
}

static void
words_of_texts(void **state)
{
	mb_tokenizer_options uncased = mb_tokenizer_options_default(), accents = uncased, cased = uncased, whole = uncased;

	(void) state;
	accents.strip_accents = false;
	cased.lowercase = cased.strip_accents = false;
	whole.split_cjk = false;
	assert_words(uncased, "", "");
	assert_words(uncased, " \t\n", "");
	assert_words(uncased, "The Caf\xc3\xa9's CLOSED!", "the|cafe|'|s|closed|!");
	assert_words(accents, "The Caf\xc3\xa9's CLOSED!", "the|caf\xc3\xa9|'|s|closed|!");
	assert_words(cased, "The Caf\xc3\xa9's CLOSED!", "The|Caf\xc3\xa9|'|s|CLOSED|!");
	assert_words(uncased,
				 "a\xe6\x98\xa0\xe7\x94\xbb"
				 "b",
				 "a|\xe6\x98\xa0|\xe7\x94\xbb|b");
	assert_words(whole,
				 "a\xe6\x98\xa0\xe7\x94\xbb"
				 "b",
				 "a\xe6\x98\xa0\xe7\x94\xbb"
				 "b");
	/* A special token that is written in a text is text. */
	assert_words(uncased, "x [SEP] y", "x|[|sep|]|y");
	/* Soft hyphens and control characters are removed, and do not part words. */
	assert_words(uncased,
				 "so\xc2\xad"
				 "ft\x07ly",
				 "softly");
}

static void
long_words(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();

	(void) state;
	options.max_chars_per_word = 4;
	assert_words(options, "four fivee one", "four|...|one");
	/* Characters count, not bytes; marks that are stripped do not. */
	assert_words(options, "\xd1\x84\xd1\x84\xd1\x84\xd1\x84 \xd1\x84\xd1\x84\xd1\x84\xd1\x84\xd1\x84",
				 "\xd1\x84\xd1\x84\xd1\x84\xd1\x84|...");
	assert_words(options,
				 "a\xcc\x81"
				 "e\xcc\x81i\xcc\x81o\xcc\x81",
				 "aeio");
}

static bool
stop(void *arg)
{
	(void) arg;
	return true;
}

static void
split_errors(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	const mb_interrupt interrupt = {stop, NULL};
	string_buffer got = {0};
	char *blank = malloc(200000);
	mb_error err = {0};

	(void) state;
	assert_int_equal(mb_split_words(&options, "ab c\xff", 5, join, &got, NULL, &err), MB_INVALID_UTF8);
	assert_non_null(strstr(err.detail, "byte offset 4"));
	assert_string_equal(got.data, "ab");
	memset(blank, ' ', 200000);
	assert_int_equal(mb_split_words(&options, blank, 200000, join, &got, &interrupt, &err), MB_CANCELLED);
	options.max_chars_per_word = 0;
	assert_int_equal(mb_split_words(&options, "a", 1, join, &got, NULL, &err), MB_INVALID_ARGUMENT);
	options.max_chars_per_word = 1 << 20;
	assert_int_equal(mb_split_words(&options, "a", 1, join, &got, NULL, &err), MB_INVALID_ARGUMENT);
	free(blank);
	string_release(&got);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void
counts_and_order(void **state)
{
	word_counts counts;
	char word[16];
	int i, round;

	(void) state;
	word_counts_start(&counts, 100000);
	for (round = 0; round < 3; round++)
		for (i = 0; i < 5000; i++)
		{
			snprintf(word, sizeof(word), "w%d", i);
			word_counts_add(&counts, word, strlen(word), i == 1234 ? 5 : 1);
		}
	assert_int_equal(counts.n, 5000);
	word_counts_add(&counts, "w", 1, 3);
	word_counts_sort(&counts);
	assert_int_equal(counts.occurrences, 15000 - 3 + 15 + 3);
	assert_int_equal(counts.words[0].count, 15);
	assert_memory_equal(word_counts_text(&counts, 0), "w1234", 5);
	/* Then by bytes, a word before those that it begins. */
	assert_int_equal(counts.words[1].bytes, 1);
	assert_memory_equal(word_counts_text(&counts, 2), "w0", 2);
	assert_memory_equal(word_counts_text(&counts, 3), "w1", 2);
	assert_memory_equal(word_counts_text(&counts, 4), "w10", 3);
	assert_int_equal(counts.forgotten_words, 0);
	word_counts_release(&counts);
}

/* Ten frequent words amid a flood of rare ones: they stay, and the account adds up. */
static void
forgets_the_rare(void **state)
{
	word_counts counts;
	uint64_t kept = 0, frequent = 0;
	char word[16];
	size_t i;
	int j;

	(void) state;
	word_counts_start(&counts, 1000);
	for (j = 0; j < 50000; j++)
	{
		snprintf(word, sizeof(word), "rare%d", j);
		word_counts_add(&counts, word, strlen(word), 1);
		snprintf(word, sizeof(word), "often%d", j % 10);
		word_counts_add(&counts, word, strlen(word), 1);
		assert_true(counts.n <= 1000);
	}
	word_counts_sort(&counts);
	for (i = 0; i < counts.n; i++)
	{
		kept += counts.words[i].count;
		if (memcmp(word_counts_text(&counts, i), "often", 5) == 0)
		{
			frequent++;
			assert_true(counts.words[i].count <= 5000);
			assert_true(counts.words[i].count + counts.undercount >= 5000);
		}
	}
	print_message("%zu words kept, %lu forgotten, counts short by at most %lu\n", counts.n,
				  (unsigned long) counts.forgotten_words, (unsigned long) counts.undercount);
	assert_int_equal(frequent, 10);
	assert_int_equal(counts.occurrences, 100000);
	assert_int_equal(kept + counts.forgotten_occurrences, 100000);
	assert_true(counts.forgotten_words > 40000);
	word_counts_release(&counts);
}

/* Long words are bounded by their bytes; words that are all equally frequent can only all go. */
static void
bounds_hold(void **state)
{
	word_counts counts;
	char word[400];
	int i;

	(void) state;
	word_counts_start(&counts, 1000);
	for (i = 0; i < 3000; i++)
	{
		memset(word, 'a' + i % 26, sizeof(word));
		snprintf(word, sizeof(word), "%d", i);
		word[strlen(word)] = 'x';
		word_counts_add(&counts, word, sizeof(word), 7);
		assert_true(counts.text_used <= 10000);
	}
	assert_true(counts.n <= 25 && counts.n > 0);
	assert_true(counts.forgotten_words + counts.n == 3000);
	assert_true(counts.undercount >= 7);
	word_counts_release(&counts);
}

/* ---- what a vocabulary makes of words ---------------------------------------------------------------------------- */

static void
use_of_vocabularies(void **state)
{
	static const char one[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nab\n##c\na\n##b\n";
	static const char other[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##bc\n##b\nz\n";
	word_counts counts;
	vocabulary_use a, b;
	mb_error err = {0};
	int32_t *ids;
	size_t n;

	(void) state;
	word_counts_start(&counts, 1000);
	word_counts_add(&counts, "abc", 3, 10);
	word_counts_add(&counts, "ab", 2, 4);
	word_counts_add(&counts, "q", 1, 3);
	word_counts_add(&counts, "Ab", 2, 1); /* words are taken as they are */
	word_counts_sort(&counts);
	assert_int_equal(vocabulary_use_count(&a, one, strlen(one), &counts, 2, NULL, &err), MB_OK);
	assert_int_equal(a.words, 20);
	assert_int_equal(a.unknown, 6);
	assert_int_equal(a.tokens, 20 + 4 + 4 + 2);
	assert_int_equal(a.uses[5], 14);
	assert_int_equal(a.uses[6], 10);
	assert_int_equal(vocabulary_unused(&a), 2); /* a, ##b */
	assert_int_equal(vocabulary_use_count(&b, other, strlen(other), &counts, 0, NULL, &err), MB_OK);
	assert_int_equal(b.unknown, 4);
	assert_int_equal(b.tokens, 20 + 8 + 4);
	ids = vocabulary_difference(&a, &b, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ids[0], 5);
	assert_int_equal(ids[1], 6);
	free(ids);
	ids = vocabulary_difference(&b, &a, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ids[0], 6);
	assert_int_equal(ids[1], 8);
	free(ids);
	vocabulary_use_release(&a);
	vocabulary_use_release(&b);
	assert_int_equal(vocabulary_use_count(&a, "a\nb\n", 4, &counts, 0, NULL, &err), MB_CORRUPT);
	vocabulary_use_release(&a);
	word_counts_release(&counts);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static void
output_files(void **state)
{
	char folder[] = "/tmp/moviebert-test-XXXXXX", path[64], temporary[64], line[16] = "";
	mb_error err = {0};
	FILE *in;

	(void) state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/vocab.txt", folder);
	snprintf(temporary, sizeof(temporary), "%s/vocab.txt.tmp", folder);
	assert_int_equal(output_file_check(path, &err), MB_OK);
	assert_int_equal(output_file_check(folder, &err), MB_IO);
	assert_int_equal(output_file_check("/no/such/folder/file", &err), MB_IO);
	print_message("%s: %s\n", err.message, err.detail);
	assert_int_equal(output_file_write("/no/such/folder/file", "x", 1, &err), MB_IO);
	/* Over what an earlier run left. */
	in = fopen(temporary, "w");
	fputs("half", in);
	fclose(in);
	assert_int_equal(output_file_write(path, "first\n", 6, &err), MB_OK);
	assert_int_equal(output_file_write(path, "new\n", 4, &err), MB_OK);
	in = fopen(path, "r");
	assert_non_null(fgets(line, sizeof(line), in));
	fclose(in);
	assert_string_equal(line, "new\n");
	assert_int_not_equal(access(temporary, F_OK), 0);
	unlink(path);
	/* A folder cannot be replaced by a file, and the temporary file goes. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(output_file_write(path, "x", 1, &err), MB_IO);
	assert_int_not_equal(access(temporary, F_OK), 0);
	rmdir(path);
	assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words_of_texts),      cmocka_unit_test(long_words),
									   cmocka_unit_test(split_errors),        cmocka_unit_test(counts_and_order),
									   cmocka_unit_test(forgets_the_rare),    cmocka_unit_test(bounds_hold),
									   cmocka_unit_test(use_of_vocabularies), cmocka_unit_test(output_files)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
