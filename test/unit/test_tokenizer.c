/* test_tokenizer.c - ids equal to the reference's on hostile texts; the contract's edges; damaged vocabularies. */
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
#include "src/text/unicode.h"
#include "src/text/utf8.h"
#include "src/text/vocabulary.h"

#define GOLDEN "test/golden/tokenizer/"
#define TINY_VOCAB                                                                                                     \
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nab\n##a\n##b\n##bc\n.\n\xc3\xa9\n##\xc3\xa9\n\xe4\xb8\xad\n"

typedef struct packed
{
	void *blob;
	size_t size;
	mb_tokenizer tokenizer;
} packed;

static char *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data;

	if (file == NULL)
		fail_msg("cannot open %s", path);
	fseek(file, 0, SEEK_END);
	*size = (size_t) ftell(file);
	rewind(file);
	data = malloc(*size + 1);
	assert_int_equal(fread(data, 1, *size, file), *size);
	data[*size] = '\0';
	fclose(file);
	return data;
}

static packed
pack(const char *vocab, size_t size, const mb_tokenizer_options *options)
{
	packed p = {0};
	mb_error err = {0};

	if (mb_vocabulary_pack(vocab, size, options, &p.blob, &p.size, &err) != MB_OK ||
		mb_tokenizer_open(&p.tokenizer, p.blob, p.size, &err) != MB_OK)
		fail_msg("%s: %s", err.message, err.detail);
	return p;
}

static packed
pack_tiny(void)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();

	return pack(TINY_VOCAB, strlen(TINY_VOCAB), &options);
}

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

/* ---- vocabularies ------------------------------------------------------------------------------------------------ */

#define ROLES "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static void
assert_refused(const char *vocab, size_t size, const mb_tokenizer_options *options, mb_status status,
			   const char *message, const char *detail)
{
	void *blob = &blob;
	size_t blob_size = 1;
	mb_error err = {0};

	assert_int_equal(mb_vocabulary_pack(vocab, size, options, &blob, &blob_size, &err), status);
	assert_int_equal(err.status, status);
	print_message("%s | %s | %s\n", err.message, err.detail, err.hint);
	if (strstr(err.message, message) == NULL || strstr(err.detail, detail) == NULL)
		fail_msg("wanted \"%s\" and \"%s\"", message, detail);
	assert_null(blob);
	assert_int_equal(blob_size, 0);
}

static void
vocabularies_refused(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default(), changed;
	static const char *const missing[] = {"<extra>"};
	static const char *const null_token[] = {NULL};
	char *long_line = malloc(2000);
	size_t prefix = strlen(ROLES);

	(void) state;
	assert_refused("", 0, &options, MB_CORRUPT, "vocabulary is empty", "");
	assert_refused("\n", 1, &options, MB_CORRUPT, "the unknown token \"[UNK]\" is missing", "");
	assert_refused(ROLES "a\nb\na\n", prefix + 6, &options, MB_CORRUPT, "duplicate token \"a\"", "Lines 6 and 8 ");
	assert_refused(ROLES "a\nb\na \t\r\n", prefix + 9, &options, MB_CORRUPT, "duplicate token \"a\"", "Lines 6 and 8 ");
	assert_refused(ROLES "##a\n##a", prefix + 7, &options, MB_CORRUPT, "duplicate token \"##a\"", "Lines 6 and 7 ");
	assert_refused(ROLES "a\nb\xff\n", prefix + 5, &options, MB_CORRUPT, "not valid UTF-8",
				   "Line 7 has an ill-formed byte sequence at byte offset 34 ");
	assert_refused(ROLES "a\xc3", prefix + 2, &options, MB_CORRUPT, "not valid UTF-8", "byte offset 32 ");
	assert_refused("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", 24, &options, MB_CORRUPT, "the mask token \"[MASK]\" is missing",
				   "");
	assert_refused("[PAD]\n[UNK]\n[CLS]\n[MASK]\n", 25, &options, MB_CORRUPT,
				   "the separator token \"[SEP]\" is missing", "");
	assert_refused("[PAD]\n[UNK]\n[SEP]\n[MASK]\n", 25, &options, MB_CORRUPT, "the classification token \"[CLS]\"", "");
	assert_refused("[CLS]\n[UNK]\n[SEP]\n[MASK]\n", 25, &options, MB_CORRUPT, "the padding token \"[PAD]\" is missing",
				   "");

	memcpy(long_line, ROLES, prefix);
	memset(long_line + prefix, 'x', 1001);
	assert_refused(long_line, prefix + 1001, &options, MB_LIMIT, "token of 1001 bytes", "Line 6 ");
	long_line[prefix + 1000] = ' ';
	free(pack(long_line, prefix + 1001, &options).blob);
	free(long_line);

	changed = options;
	changed.max_chars_per_word = 0;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "max_input_chars_per_word is 0", "between 1 and 1000");
	changed.max_chars_per_word = 1001;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "max_input_chars_per_word is 1001",
				   "between 1 and 1000");
	changed = options;
	changed.sep_token = NULL;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "a role token", "");
	changed.sep_token = "";
	assert_refused(ROLES, prefix, &changed, MB_CORRUPT, "the separator token \"\" is missing", "");
	changed = options;
	changed.n_additional_special_tokens = 1;
	changed.additional_special_tokens = missing;
	assert_refused(ROLES, prefix, &changed, MB_CORRUPT, "the special token \"<extra>\" is missing", "");
	changed.additional_special_tokens = null_token;
	assert_refused(ROLES, prefix, &changed, MB_INVALID_ARGUMENT, "an additional special token", "");
}

/* A message never ends in the middle of a character. */
static void
long_token_in_message(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	char vocab[512] = ROLES "x";
	mb_error err;
	void *blob;
	size_t size, at = 0;

	(void) state;
	for (int copy = 0; copy < 2; copy++)
	{
		strcat(vocab, copy == 0 ? "" : "\nx");
		for (int i = 0; i < 50; i++)
			strcat(vocab, "\xe4\xb8\xad");
	}
	assert_int_equal(mb_vocabulary_pack(vocab, strlen(vocab), &options, &blob, &size, &err), MB_CORRUPT);
	while (at < strlen(err.message))
	{
		mb_codepoint c;
		size_t n = mb_utf8_decode((unsigned char *) err.message + at, strlen(err.message) - at, &c);

		assert_true(n > 0);
		at += n;
	}
}

static void
lines_of_vocabularies(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	static const char vocab[] = ROLES "a \t\n\n\nb\xc2\xa0\r\n##\n##c\xe2\x80\xa8\n  d\ne f";
	static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",  "",
										 "",      "b",     "##",    "##c",   "  d",    "e f"};
	int32_t n = sizeof(tokens) / sizeof(tokens[0]);
	packed p = pack(vocab, sizeof(vocab) - 1, &options);
	size_t bytes;

	(void) state;
	assert_int_equal(mb_tokenizer_vocab_size(&p.tokenizer), n);
	for (int32_t id = 0; id < n; id++)
	{
		const char *token = mb_tokenizer_token(&p.tokenizer, id, &bytes);

		assert_int_equal(bytes, strlen(tokens[id]));
		assert_memory_equal(token, tokens[id], bytes);
		assert_int_equal(mb_tokenizer_id(&p.tokenizer, tokens[id], bytes), bytes == 0 ? -1 : id);
	}
	assert_null(mb_tokenizer_token(&p.tokenizer, -1, &bytes));
	assert_null(mb_tokenizer_token(&p.tokenizer, n, &bytes));
	assert_int_equal(mb_tokenizer_id(&p.tokenizer, "c", 1), -1);
	assert_int_equal(mb_tokenizer_id(&p.tokenizer, "##a", 3), -1);
	assert_int_equal(mb_tokenizer_pad_id(&p.tokenizer), 0);
	assert_int_equal(mb_tokenizer_unk_id(&p.tokenizer), 1);
	assert_int_equal(mb_tokenizer_cls_id(&p.tokenizer), 2);
	assert_int_equal(mb_tokenizer_sep_id(&p.tokenizer), 3);
	assert_int_equal(mb_tokenizer_mask_id(&p.tokenizer), 4);
	free(p.blob);
}

static void
every_token_found(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	size_t size;
	char *vocab = read_file(GOLDEN "vocab.txt", &size);
	packed p = pack(vocab, size, &options);

	(void) state;
	for (int32_t id = 0; id < mb_tokenizer_vocab_size(&p.tokenizer); id++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&p.tokenizer, id, &bytes);

		if (bytes > 0)
			assert_int_equal(mb_tokenizer_id(&p.tokenizer, token, bytes), id);
	}
	free(p.blob);
	free(vocab);
}

/* Two hundred tokens that share one slot under the usual seed: another seed is taken, and all are found. */
static void
tokens_collide(void **state)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	packed usual = pack_tiny(), p;
	uint64_t seed = vocabulary_of(&usual.tokenizer).header->seed;
	char vocab[sizeof(ROLES) + 200 * 9] = ROLES;
	size_t at = strlen(ROLES);

	(void) state;
	for (unsigned i = 0; at < sizeof(vocab) - 1; i++)
	{
		char token[9];

		snprintf(token, sizeof(token), "%08x", i);
		if ((vocabulary_hash(seed, vocabulary_head((unsigned char *) token, 8), 16) & 511) == 7)
		{
			memcpy(vocab + at, token, 8);
			vocab[at + 8] = '\n';
			at += 9;
		}
	}
	p = pack(vocab, at, &options);
	assert_int_equal(mb_tokenizer_vocab_size(&p.tokenizer), 205);
	assert_int_equal(vocabulary_of(&p.tokenizer).header->n_slots, 512);
	assert_true(vocabulary_of(&p.tokenizer).header->seed != seed);
	for (int32_t id = 5; id < 205; id++)
		assert_int_equal(mb_tokenizer_id(&p.tokenizer, vocab + strlen(ROLES) + 9 * (id - 5), 8), id);
	free(p.blob);
	free(usual.blob);
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

static void
blob_moves(void **state)
{
	packed p = pack_tiny(), again = pack_tiny();

	(void) state;
	assert_int_equal(p.size, again.size);
	assert_memory_equal(p.blob, again.blob, p.size); /* the same input, the same bytes */
	memset(p.blob, 0xee, p.size);
	free(p.blob);
	ASSERT_TINY(again, "ab a", 7, 5);
	free(again.blob);
}

static void
blob_unaligned(void **state)
{
	packed p = pack_tiny();
	char *copy = malloc(p.size + 1);
	mb_tokenizer tokenizer;

	(void) state;
	memcpy(copy + 1, p.blob, p.size);
	assert_int_equal(mb_tokenizer_open(&tokenizer, copy + 1, p.size, NULL), MB_INVALID_ARGUMENT);
	free(copy);
	free(p.blob);
}

/* Opens a copy of exactly `size` bytes; if it opens, tokenizing with it must stay inside, whatever the ids are. */
static mb_status
open_damaged(const void *blob, size_t size)
{
	static const char text[] = "ab abb b.bc [SEP] \xe4\xb8\xad caf\xc3\xa9 abcabcabcabcabc [MASK [PAD]";
	mb_tokenizer tokenizer;
	int32_t ids[64];
	size_t n;
	void *copy = malloc(size + (size == 0));
	mb_error err = {0};
	mb_status status;

	memcpy(copy, blob, size);
	status = mb_tokenizer_open(&tokenizer, copy, size, &err);
	if (status == MB_OK)
	{
		assert_int_equal(mb_tokenize(&tokenizer, text, sizeof(text) - 1, ids, 64, &n, NULL, NULL), MB_OK);
		for (size_t i = 0; i < n && i < 64; i++)
			assert_in_range(ids[i], 0, mb_tokenizer_vocab_size(&tokenizer) - 1);
	}
	else if (status != MB_CORRUPT || err.detail[0] == '\0')
		fail_msg("status %d: %s", status, err.message);
	free(copy);
	return status;
}

static void
blobs_damaged(void **state)
{
	packed p = pack_tiny();
	unsigned char *bytes = p.blob;
	size_t refused = 0, tried = 0;

	(void) state;
	assert_int_equal(open_damaged(p.blob, p.size), MB_OK);
	for (size_t size = 0; size < p.size; size++)
		assert_int_equal(open_damaged(p.blob, size), MB_CORRUPT);
	for (size_t at = 0; at < p.size; at++)
	{
		static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x10};

		for (size_t i = 0; i < sizeof(masks); i++)
		{
			bytes[at] ^= masks[i];
			refused += open_damaged(p.blob, p.size) == MB_CORRUPT;
			tried++;
			bytes[at] ^= masks[i];
		}
	}
	print_message("%zu of %zu damaged blobs refused\n", refused, tried);
	assert_true(refused > tried / 4);
	assert_int_equal(open_damaged(p.blob, p.size), MB_OK);
	free(p.blob);
}

typedef struct writable
{
	vocabulary_header *header;
	vocabulary_slot *slots;
	uint32_t *starts, *specials;
	unsigned char *text;
} writable;

static vocabulary_slot *
used_slot(const writable *w)
{
	vocabulary_slot *slot = w->slots;

	while (slot->id == MB_NO_TOKEN)
		slot++;
	return slot;
}

static void
fill_all_slots(writable *w)
{
	/* No slot is free: a search for what is not there would not end. */
	for (uint32_t i = 0; i < w->header->n_slots; i++)
	{
		if (w->slots[i].id == MB_NO_TOKEN)
			w->slots[i] = *used_slot(w);
	}
}

static void
lengthen_key(writable *w)
{
	/* The first token of more than 8 bytes would be compared from before its place. */
	used_slot(w)->shape += 2 * 40;
}

static void
empty_key(writable *w)
{
	used_slot(w)->shape &= 1;
}

static void
name_missing_token(writable *w)
{
	used_slot(w)->id = w->header->n_tokens;
}

static void
first_start_not_0(writable *w)
{
	w->starts[0] = 1;
}

static void
last_start_beyond_text(writable *w)
{
	w->starts[w->header->n_tokens] += 8;
}

static void
starts_descend(writable *w)
{
	w->starts[3] = w->starts[4] + 1;
}

static void
special_is_missing(writable *w)
{
	w->specials[2] = w->header->n_tokens;
}

static void
specials_unsorted(writable *w)
{
	uint32_t first = w->specials[0];

	w->specials[0] = w->specials[4];
	w->specials[4] = first;
}

static void
byte_kind_wrong(writable *w)
{
	w->header->byte_kinds['a'] = MB_BYTE_WIDE;
}

#define SETS_HEADER(name, field, value)                                                                                \
	static void name(writable *w)                                                                                      \
	{                                                                                                                  \
		w->header->field = (value);                                                                                    \
	}

SETS_HEADER(other_magic, magic[7], '1')
SETS_HEADER(other_size, size, w->header->size + 8)
SETS_HEADER(no_tokens, n_tokens, 0)
SETS_HEADER(too_many_tokens, n_tokens, UINT32_MAX)
SETS_HEADER(no_slots, n_slots, 0)
SETS_HEADER(slots_no_power_of_two, n_slots, w->header->n_slots - 1)
SETS_HEADER(too_many_slots, n_slots, 1u << 31)
SETS_HEADER(too_few_specials, n_specials, 4)
SETS_HEADER(too_many_specials, n_specials, UINT32_MAX)
SETS_HEADER(too_much_text, text_bytes, UINT64_MAX - 100)
SETS_HEADER(words_too_long, max_chars_per_word, 1001)
SETS_HEADER(words_without_chars, max_chars_per_word, 0)
SETS_HEADER(first_key_too_long, longest[0], 1001)
SETS_HEADER(next_key_too_long, longest[1], 1001)
SETS_HEADER(unk_out_of_range, unk_id, w->header->n_tokens)
SETS_HEADER(cls_out_of_range, cls_id, UINT32_MAX)
SETS_HEADER(sep_out_of_range, sep_id, w->header->n_tokens)
SETS_HEADER(pad_out_of_range, pad_id, w->header->n_tokens)
SETS_HEADER(mask_out_of_range, mask_id, w->header->n_tokens)
SETS_HEADER(flag_out_of_range, strip_accents, 2)

/* Each way to be wrong that a look-up would not survive is found when the blob is opened. */
static void
blobs_forged(void **state)
{
	static const struct
	{
		void (*forge)(writable *w);
		const char *detail;
	} cases[] = {
		{other_magic, "does not begin as one does"},    {other_size, "size and its header differ"},
		{no_tokens, "header is out of range"},          {too_many_tokens, "header is out of range"},
		{no_slots, "header is out of range"},           {slots_no_power_of_two, "header is out of range"},
		{too_many_slots, "header is out of range"},     {too_few_specials, "header is out of range"},
		{too_many_specials, "header is out of range"},  {too_much_text, "header is out of range"},
		{words_too_long, "header is out of range"},     {words_without_chars, "header is out of range"},
		{first_key_too_long, "header is out of range"}, {next_key_too_long, "header is out of range"},
		{unk_out_of_range, "header is out of range"},   {cls_out_of_range, "header is out of range"},
		{sep_out_of_range, "header is out of range"},   {pad_out_of_range, "header is out of range"},
		{mask_out_of_range, "header is out of range"},  {flag_out_of_range, "header is out of range"},
		{fill_all_slots, "hash table is too full"},     {lengthen_key, "token's length differ"},
		{empty_key, "token's length differ"},           {name_missing_token, "a token that is not there"},
		{first_start_not_0, "do not fill their part"},  {last_start_beyond_text, "do not fill their part"},
		{starts_descend, "place is out of order"},      {special_is_missing, "special token is not there"},
		{specials_unsorted, "special tokens are out"},  {byte_kind_wrong, "table of bytes is wrong"},
	};
	packed p = pack_tiny();
	vocabulary v = vocabulary_of(&p.tokenizer);
	unsigned char *base = p.blob;
	size_t slots = (size_t) ((const unsigned char *) v.slots - base);
	size_t starts = (size_t) ((const unsigned char *) v.starts - base);
	size_t specials = (size_t) ((const unsigned char *) v.specials - base);
	size_t text = (size_t) (v.text - base);

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		unsigned char *copy = malloc(p.size);
		writable w = {(void *) copy, (void *) (copy + slots), (void *) (copy + starts), (void *) (copy + specials),
					  copy + text};
		mb_tokenizer tokenizer;
		mb_error err = {0};

		memcpy(copy, p.blob, p.size);
		cases[i].forge(&w);
		if (mb_tokenizer_open(&tokenizer, copy, p.size, &err) != MB_CORRUPT ||
			strstr(err.detail, cases[i].detail) == NULL)
			fail_msg("case %zu: wanted \"%s\", got \"%s\"", i, cases[i].detail, err.detail);
		assert_null(tokenizer.blob);
		free(copy);
	}
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
		cmocka_unit_test(vocabularies_refused),
		cmocka_unit_test(long_token_in_message),
		cmocka_unit_test(lines_of_vocabularies),
		cmocka_unit_test(every_token_found),
		cmocka_unit_test(tokens_collide),
		cmocka_unit_test(blob_moves),
		cmocka_unit_test(blob_unaligned),
		cmocka_unit_test(blobs_damaged),
		cmocka_unit_test(blobs_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
