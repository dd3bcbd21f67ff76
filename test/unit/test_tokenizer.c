/* test_tokenizer.c - ids equal to the reference's on hostile texts; the contract's edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "moviebert/tokenizer.h"
#include "moviebert/utf8.h"
#include "src/text/unicode.h"
#include "test/unit/packed_vocabulary.h"

/* Shows ids as tokens, for a human to see what went wrong. */
static void
print_ids(const char *who, const mb_tokenizer *tokenizer, const int32_t *ids, size_t n)
{
	print_message("%s:", who);
	for (size_t i = 0; i < n; i++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(tokenizer, ids[i], &bytes);

		print_message(" %d \"%.*s\"", ids[i], (int) bytes, token == NULL ? "" : token);
	}
	print_message("\n");
}

static void
assert_ids(const mb_tokenizer *tokenizer, const char *text, size_t size, const int32_t *expected, size_t n_expected)
{
	size_t n = 0, n_again = 0;
	mb_error err = {0};
	int32_t *ids = malloc((n_expected + 1) * sizeof(*ids));

	if (mb_tokenize(tokenizer, text, size, ids, n_expected, &n, NULL, &err) != MB_OK)
		fail_msg("%s: %s", err.message, err.detail);
	if (n != n_expected || (n > 0 && memcmp(ids, expected, n * sizeof(*ids)) != 0))
	{
		print_ids("expected", tokenizer, expected, n_expected);
		print_ids("got", tokenizer, ids, n < n_expected ? n : n_expected);
		fail_msg("%zu ids, %zu expected, in \"%.*s\"", n, n_expected, (int) size, text);
	}
	/* Only counted, it is the same number. */
	assert_int_equal(mb_tokenize(tokenizer, text, size, NULL, 0, &n_again, NULL, &err), MB_OK);
	assert_int_equal(n_again, n);
	free(ids);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

static const char *const additional[] = {
	"<s>", "<s", "<s>>", "[SEP]]", "[CLS][SEP]", "film", "\xc3\xa9", "\xe4\xb8\xad\xe6\x96\x87", "ing"};

typedef struct configuration
{
	const char *name;
	bool lowercase, strip_accents, split_cjk, split_special_tokens;
	int32_t max_chars_per_word;
	size_t n_additional;
} configuration;

/* As in make_golden.py. */
static configuration configurations[] = {
	{"uncased", true, true, true, false, 100, 0},          {"cased", false, false, true, false, 100, 0},
	{"uncased_accents", true, false, true, false, 100, 0}, {"cased_stripped", false, true, true, false, 100, 0},
	{"no_cjk", true, true, false, false, 100, 0},          {"split_specials", true, true, true, true, 100, 0},
	{"additional", true, true, true, false, 100, 9},       {"short_words", true, false, true, false, 5, 0},
};

static void
hostile_texts(void **state)
{
	const configuration *c = *state;
	mb_tokenizer_options options = mb_tokenizer_options_default();
	size_t size, n_texts = 0, n_ids = 0;
	char *vocab = read_file(GOLDEN "vocab.txt", &size);
	packed p;
	FILE *cases = fopen(GOLDEN "cases.jsonl", "r");
	json_t *line;
	json_error_t error;

	options.lowercase = c->lowercase;
	options.strip_accents = c->strip_accents;
	options.split_cjk = c->split_cjk;
	options.split_special_tokens = c->split_special_tokens;
	options.max_chars_per_word = c->max_chars_per_word;
	options.additional_special_tokens = additional;
	options.n_additional_special_tokens = c->n_additional;
	p = pack(vocab, size, &options);
	assert_non_null(cases);
	while ((line = json_loadf(cases, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error)) != NULL)
	{
		json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, c->name);
		int32_t *expected = malloc((json_array_size(ids) + 1) * sizeof(*expected));

		assert_true(json_is_string(text) && json_is_array(ids));
		for (size_t i = 0; i < json_array_size(ids); i++)
			expected[i] = (int32_t) json_integer_value(json_array_get(ids, i));
		assert_ids(&p.tokenizer, json_string_value(text), json_string_length(text), expected, json_array_size(ids));
		n_texts++;
		n_ids += json_array_size(ids);
		free(expected);
		json_decref(line);
	}
	print_message("%s: %zu texts, %zu ids\n", c->name, n_texts, n_ids);
	assert_true(n_texts >= 500 && n_ids > 5 * n_texts);
	fclose(cases);
	free(p.blob);
	free(vocab);
}

static size_t
put_codepoint(unsigned char *line, size_t at, mb_codepoint c)
{
	return at + mb_utf8_encode(c, line + at);
}

/* With whatever version of utf8proc this machine has: see unicode_digest in make_golden.py. */
static void
every_code_point(void **state)
{
	static const mb_codepoint probes[] = {0x334,   0x16ff0, 0x93c, 0x3099, 0x94d,  0x5b0,  0x5bf, 0x64b, 0xe38,
										  0xf71,   0xf72,   0xf74, 0x327,  0x1dce, 0x302a, 0x323, 0x59a, 0x302e,
										  0x1d16d, 0x5ae,   0x301, 0x315,  0x35c,  0x35d,  0x345};
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char result[32];
	char shown[65];
	size_t size;
	char *expected = read_file(GOLDEN "unicode.sha256", &size);

	(void) state;
	EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
	for (mb_codepoint c = 0; c < 0x110000; c++)
	{
		unsigned char line[128];
		unsigned classes = mb_classes(c);
		mb_codepoint parts[MB_MAX_DECOMPOSITION] = {c}, lower[2] = {c};
		size_t n_parts = 1, n_lower = 1, n;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		if (classes & MB_DECOMPOSES)
			n_parts = mb_decompose(c, parts);
		if (classes & MB_CASED)
			n_lower = mb_lowercase(c, lower);
		n = put_codepoint(line, 0, c);
		line[n++] = ' ';
		for (size_t i = 0; i < n_parts; i++)
			n = put_codepoint(line, n, parts[i]);
		line[n++] = ' ';
		for (size_t i = 0; i < n_lower; i++)
			n = put_codepoint(line, n, lower[i]);
		line[n++] = ' ';
		line[n++] = classes & MB_REMOVED ? '1' : '0';
		line[n++] = classes & MB_SPACE ? '1' : '0';
		line[n++] = classes & MB_PUNCTUATION ? '1' : '0';
		line[n++] = classes & MB_MARK ? '1' : '0';
		if (classes & MB_COMBINING)
		{
			line[n++] = ' ';
			for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
			{
				bool before =
					(mb_classes(probes[i]) & MB_COMBINING) && mb_combining_class(c) < mb_combining_class(probes[i]);

				line[n++] = before ? '1' : '0';
			}
		}
		line[n++] = '\n';
		EVP_DigestUpdate(digest, line, n);
	}
	EVP_DigestFinal_ex(digest, result, NULL);
	EVP_MD_CTX_free(digest);
	for (size_t i = 0; i < 32; i++)
		snprintf(shown + 2 * i, 3, "%02x", result[i]);
	expected[64] = '\0';
	assert_string_equal(shown, expected);
	free(expected);
}

/* ---- mb_tokenize ------------------------------------------------------------------------------------------------- */

#define ASSERT_TINY(p, text, ...)                                                                                      \
	assert_ids(&(p).tokenizer, text, sizeof(text) - 1, (const int32_t[]){__VA_ARGS__},                                 \
			   sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void
words_and_pieces(void **state)
{
	packed p = pack_tiny();

	(void) state;
	ASSERT_TINY(p, "a b ab", 5, 6, 7);
	ASSERT_TINY(p, "AB.aa", 7, 11, 5, 8);
	ASSERT_TINY(p, "abbc", 7, 10);
	ASSERT_TINY(p, "abc", 1);  /* the longest match "ab" leaves "c"; there is no going back to "a", "##bc" */
	ASSERT_TINY(p, "bbcx", 1); /* pieces found before the unmatched rest are taken back */
	ASSERT_TINY(p, "a x b", 5, 1, 6);
	ASSERT_TINY(p, "\xe4\xb8\xad\xe4\xb8\xad", 14, 14);
	ASSERT_TINY(p, "a[SEP]b[sep]", 5, 3, 6, 1, 1, 1);
	free(p.blob);
}

static void
empty_texts(void **state)
{
	packed p = pack_tiny();
	size_t n = 99;

	(void) state;
	assert_int_equal(mb_tokenize(&p.tokenizer, NULL, 0, NULL, 0, &n, NULL, NULL), MB_OK);
	assert_int_equal(n, 0);
	assert_ids(&p.tokenizer, "", 0, NULL, 0);
	assert_ids(&p.tokenizer, " \t\n\xc2\xa0\xe2\x80\x8b", 9, NULL, 0);
	free(p.blob);
}

static void
more_ids_than_room(void **state)
{
	packed p = pack_tiny();
	int32_t ids[8];
	size_t n;
	static const int32_t all[] = {5, 6, 7, 8, 1, 11};
	const char text[] = "a b aba x.";

	(void) state;
	for (size_t capacity = 0; capacity <= 7; capacity++)
	{
		for (size_t i = 0; i < 8; i++)
			ids[i] = -7;
		assert_int_equal(mb_tokenize(&p.tokenizer, text, strlen(text), ids, capacity, &n, NULL, NULL), MB_OK);
		assert_int_equal(n, 6);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(ids[i], i < capacity && i < 6 ? all[i] : -7);
	}
	free(p.blob);
}

static void
ill_formed_utf8(void **state)
{
	static const struct
	{
		const char *what, *text;
		size_t size, offset;
	} cases[] = {
		{"lone continuation", "\x80", 1, 0},
		{"lone continuation after text", "abc\xbf", 4, 3},
		{"overlong of 2", "a\xc0\x80", 3, 1},
		{"overlong of 2, upper end", "a\xc1\xbf", 3, 1},
		{"overlong of 3", "ab\xe0\x80\x80", 5, 2},
		{"overlong of 3, upper end", "ab\xe0\x9f\xbf", 5, 2},
		{"overlong of 4", "\xf0\x80\x80\x80", 4, 0},
		{"overlong of 4, upper end", "\xf0\x8f\xbf\xbf", 4, 0},
		{"first surrogate", "x \xed\xa0\x80", 5, 2},
		{"last surrogate", "x \xed\xbf\xbf", 5, 2},
		{"beyond U+10FFFF", "\xf4\x90\x80\x80", 4, 0},
		{"lead byte F5", "\xf5\x80\x80\x80", 4, 0},
		{"lead byte F8", "\xf8\x88\x80\x80\x80", 5, 0},
		{"byte FE", "a\xfe", 2, 1},
		{"byte FF", "a\xff", 2, 1},
		{"2 bytes cut off", "aa\xc3", 3, 2},
		{"3 bytes cut off after 1", "\xe4", 1, 0},
		{"3 bytes cut off after 2", "\xe4\xb8", 2, 0},
		{"4 bytes cut off after 1", "\xf0", 1, 0},
		{"4 bytes cut off after 2", "\xf0\x9f", 2, 0},
		{"4 bytes cut off after 3", "\xf0\x9f\x98", 3, 0},
		{"2 bytes interrupted", "\xc3 a", 3, 0},
		{"3 bytes interrupted", "\xe4\xb8 a", 4, 0},
		{"4 bytes interrupted", "\xf0\x9f\x98 a", 5, 0},
		{"behind a good one", "\xc3\xa9\xc3\xa9\xa9", 5, 4},
		{"Latin-1", "caf\xe9 x", 6, 3},
		{"behind a special token", "[SEP]\xff", 6, 5},
		{"behind a word that is too long",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaa\xff",
		 113, 112},
	};
	static const char *const good[] = {"\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
									   "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	packed p = pack_tiny();

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		/* A copy of exactly its size: a read beyond it is seen by valgrind and AddressSanitizer. */
		char *text = malloc(cases[i].size);
		size_t n = 99;
		mb_error err = {0};
		char offset[64];

		memcpy(text, cases[i].text, cases[i].size);
		print_message("%s\n", cases[i].what);
		assert_int_equal(mb_tokenize(&p.tokenizer, text, cases[i].size, NULL, 0, &n, NULL, &err), MB_INVALID_UTF8);
		assert_int_equal(err.status, MB_INVALID_UTF8);
		snprintf(offset, sizeof(offset), "byte offset %zu ", cases[i].offset);
		if (strstr(err.detail, offset) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.detail, offset);
		assert_int_equal(n, 0);
		free(text);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		size_t n;

		assert_int_equal(mb_tokenize(&p.tokenizer, good[i], strlen(good[i]), NULL, 0, &n, NULL, NULL), MB_OK);
	}
	free(p.blob);
}

typedef struct asked
{
	int times, stop_at;
} asked;

static bool
ask(void *arg)
{
	asked *a = arg;

	return ++a->times == a->stop_at;
}

static void
cancelling(void **state)
{
	packed p = pack_tiny();
	size_t size = 1000000, n = 99;
	char *text = malloc(size);
	asked a = {0, 0};
	mb_interrupt interrupt = {ask, &a};
	mb_error err = {0};

	(void) state;
	for (size_t i = 0; i < size; i++)
		text[i] = i % 3 == 2 ? ' ' : 'a';
	assert_int_equal(mb_tokenize(&p.tokenizer, text, size, NULL, 0, &n, &interrupt, &err), MB_OK);
	assert_int_equal(n, 666667);
	print_message("asked %d times in 1 MB\n", a.times);
	assert_in_range(a.times, 10, 20);
	a = (asked){0, 3};
	assert_int_equal(mb_tokenize(&p.tokenizer, text, size, NULL, 0, &n, &interrupt, &err), MB_CANCELLED);
	assert_int_equal(err.status, MB_CANCELLED);
	assert_int_equal(a.times, 3);
	assert_int_equal(n, 0);
	free(text);
	free(p.blob);
}

/* Texts of 10 MB that make each step work hardest; time must grow with the length and not with its square. */
static void
long_texts(void **state)
{
	static const struct
	{
		const char *unit;
		size_t ids_per_unit; /* 0: all is one word */
	} cases[] = {
		{"a", 0},                        /* one endless word */
		{"\xe1\xae\xaa", 0},             /* marks that wait to be sorted, and no starter */
		{"\xe3\x80\xaf\xe1\xae\xaa", 0}, /* in the wrong order, too */
		{"\xcc\x81", 0},                 /* marks that are stripped: nothing is left */
		{".", 1},
		{"[", 1},
		{"\xe4\xb8\xad", 1},
		{"[SEP]", 1},
		{"abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ", 99},
		{"abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbx ", 1},
	};
	size_t size = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 300000 : 10000000;
	packed p = pack_tiny();
	char *text = malloc(size);

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t unit = strlen(cases[i].unit), n_units = size / unit, n;
		clock_t before = clock();
		double seconds;

		for (size_t j = 0; j < n_units; j++)
			memcpy(text + j * unit, cases[i].unit, unit);
		assert_int_equal(mb_tokenize(&p.tokenizer, text, n_units * unit, NULL, 0, &n, NULL, NULL), MB_OK);
		seconds = (double) (clock() - before) / CLOCKS_PER_SEC;
		print_message("%zu of \"%.10s\": %zu ids, %.3f s\n", n_units, cases[i].unit, n, seconds);
		if (cases[i].ids_per_unit > 0)
			assert_int_equal(n, cases[i].ids_per_unit * n_units);
		else
			assert_int_equal(n, strcmp(cases[i].unit, "\xcc\x81") != 0);
		/* A quadratic step would take hours. */
		assert_true(seconds < 60);
	}
	free(text);
	free(p.blob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{"hostile texts, uncased", hostile_texts, NULL, NULL, &configurations[0]},
		{"hostile texts, cased", hostile_texts, NULL, NULL, &configurations[1]},
		{"hostile texts, uncased with accents", hostile_texts, NULL, NULL, &configurations[2]},
		{"hostile texts, cased without accents", hostile_texts, NULL, NULL, &configurations[3]},
		{"hostile texts, CJK not split", hostile_texts, NULL, NULL, &configurations[4]},
		{"hostile texts, special tokens split", hostile_texts, NULL, NULL, &configurations[5]},
		{"hostile texts, additional special tokens", hostile_texts, NULL, NULL, &configurations[6]},
		{"hostile texts, words of at most 5 characters", hostile_texts, NULL, NULL, &configurations[7]},
		cmocka_unit_test(every_code_point),
		cmocka_unit_test(words_and_pieces),
		cmocka_unit_test(empty_texts),
		cmocka_unit_test(more_ids_than_room),
		cmocka_unit_test(ill_formed_utf8),
		cmocka_unit_test(cancelling),
		cmocka_unit_test(long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
