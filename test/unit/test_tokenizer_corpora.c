/*
 * test_tokenizer_corpora.c - ids equal to the reference's on every text of the data folder, where there is one.
 *
 * test/golden/tokenizer/corpora.tsv holds digests of what Hugging Face tokenizers gives for blocks of texts;
 * test/peers/tokenizer_corpora.py wrote it and says what a digest is of.  Under valgrind (MOVIEBERT_SLOW_MACHINE) and
 * with sanitizers the first block of each file and field is compared only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "moviebert/tokenizer.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW true
#else
#define SLOW (getenv("MOVIEBERT_SLOW_MACHINE") != NULL)
#endif

typedef struct block
{
	char configuration[32], file[64], field[16], sha256[65];
	size_t first, n_texts, n_ids;
} block;

typedef struct ids
{
	int32_t *ids; /* [room], the first for a text's number of ids */
	size_t room;
} ids;

static const char *
data_folder(void)
{
	const char *folder = getenv("MOVIEBERT_DATA");
	char path[4096];
	FILE *readme;

	if (folder == NULL)
		folder = "../shared/data";
	snprintf(path, sizeof(path), "%s/bert-base-uncased-vocab.txt", folder);
	readme = fopen(path, "rb");
	if (readme == NULL)
	{
		print_message("no data at %s; set MOVIEBERT_DATA\n", folder);
		skip();
	}
	fclose(readme);
	return folder;
}

static void
open_tokenizer(mb_tokenizer *tokenizer, void **blob, const char *folder, bool uncased)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	char path[4096];
	char *vocab = NULL;
	size_t size = 0, room = 0, blob_size;
	mb_error err;
	FILE *file;

	snprintf(path, sizeof(path), "%s/bert-base-uncased-vocab.txt", folder);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_true(getdelim(&vocab, &room, EOF, file) > 0);
	size = strlen(vocab);
	fclose(file);
	options.lowercase = options.strip_accents = uncased;
	if (mb_vocabulary_pack(vocab, size, &options, blob, &blob_size, &err) != MB_OK ||
		mb_tokenizer_open(tokenizer, *blob, blob_size, &err) != MB_OK)
		fail_msg("%s: %s", err.message, err.detail);
	free(vocab);
}

/* Adds a text's ids to the digest; returns their number. */
static size_t
digest_text(EVP_MD_CTX *digest, const mb_tokenizer *tokenizer, const char *text, size_t size, ids *out)
{
	size_t n = 0;
	mb_error err = {0};
	unsigned char bytes[4];

	for (;;)
	{
		if (mb_tokenize(tokenizer, text, size, out->ids, out->room, &n, NULL, &err) != MB_OK)
			fail_msg("%s: %s", err.message, err.detail);
		if (n <= out->room)
			break;
		out->room = 2 * n;
		out->ids = realloc(out->ids, out->room * sizeof(*out->ids));
		assert_non_null(out->ids);
	}
	for (size_t i = 0; i < 4; i++)
		bytes[i] = (unsigned char) (n >> 8 * i);
	EVP_DigestUpdate(digest, bytes, 4);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the digests are of little-endian ids"
#endif
	EVP_DigestUpdate(digest, out->ids, n * sizeof(*out->ids));
	return n;
}

/* Reads the next texts of a block and compares their digest. */
static void
check_block(const block *b, FILE *lines, const mb_tokenizer *tokenizer, ids *room)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char result[32];
	char *line = NULL, shown[65];
	size_t line_room = 0, n_ids = 0;

	EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
	for (size_t i = 0; i < b->n_texts; i++)
	{
		ssize_t n = getline(&line, &line_room, lines);

		if (n < 0)
			fail_msg("%s ends before text %zu", b->file, b->first + i);
		if (line[n - 1] == '\n')
			n--;
		if (strcmp(b->field, "-") == 0)
			n_ids += digest_text(digest, tokenizer, line, (size_t) n, room);
		else
		{
			json_t *object = json_loadb(line, (size_t) n, 0, NULL);
			json_t *text = json_object_get(object, b->field);

			assert_non_null(text);
			n_ids += digest_text(digest, tokenizer, json_string_value(text), json_string_length(text), room);
			json_decref(object);
		}
	}
	EVP_DigestFinal_ex(digest, result, NULL);
	EVP_MD_CTX_free(digest);
	free(line);
	for (size_t i = 0; i < 32; i++)
		snprintf(shown + 2 * i, 3, "%02x", result[i]);
	if (n_ids != b->n_ids || strcmp(shown, b->sha256) != 0)
		fail_msg("%s: %zu texts of %s (%s) from %zu on: %zu ids (%s), the reference has %zu (%s)", b->configuration,
				 b->n_texts, b->file, b->field, b->first, n_ids, shown, b->n_ids, b->sha256);
}

static void
check_configuration(void **state)
{
	const char *configuration = *state, *folder = data_folder();
	FILE *digests = fopen("test/golden/tokenizer/corpora.tsv", "r"), *lines = NULL;
	size_t n_blocks = 0, n_texts = 0, n_ids = 0;
	block b, last = {.file = ""};
	ids room = {NULL, 0};
	mb_tokenizer tokenizer;
	void *blob;

	assert_non_null(digests);
	open_tokenizer(&tokenizer, &blob, folder, strcmp(configuration, "uncased") == 0);
	assert_int_equal(fscanf(digests, "%*[^\n]"), 0);
	while (fscanf(digests, "%31s %63s %15s %zu %zu %zu %64s", b.configuration, b.file, b.field, &b.first, &b.n_texts,
				  &b.n_ids, b.sha256) == 7)
	{
		if (strcmp(b.configuration, configuration) != 0 || (SLOW && b.first > 1))
			continue;
		if (strcmp(b.file, last.file) != 0 || strcmp(b.field, last.field) != 0)
		{
			char command[8192];

			if (lines != NULL)
				pclose(lines);
			snprintf(command, sizeof(command), "exec zstd -dcq --long=27 '%s/%s.zst'", folder, b.file);
			lines = popen(command, "r");
			assert_non_null(lines);
		}
		check_block(&b, lines, &tokenizer, &room);
		last = b;
		n_blocks++;
		n_texts += b.n_texts;
		n_ids += b.n_ids;
	}
	if (lines != NULL)
		pclose(lines);
	print_message("%s: %zu blocks, %zu texts, %zu ids\n", configuration, n_blocks, n_texts, n_ids);
	assert_true(n_blocks >= 6 && n_ids > 0);
	fclose(digests);
	free(room.ids);
	free(blob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{"all texts of the data folder, uncased", check_configuration, NULL, NULL, "uncased"},
		{"all texts of the data folder, cased", check_configuration, NULL, NULL, "cased"},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
