/* test_token_store.c - texts come back as they were stored, and a damaged file is refused by name. */
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

#include "failing_disk.h"
#include "training/model_source.h"
#include "training/output_file.h"
#include "training/text_source.h"
#include "training/token_store.h"

#define HEADER_BYTES 136

static char folder[] = "/tmp/moviebert-store-XXXXXX";
static char path[64], temporary[64], damaged[64];

static int
make_folder(void **state)
{
	(void) state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/store", folder);
	snprintf(temporary, sizeof(temporary), "%s/store.tmp", folder);
	snprintf(damaged, sizeof(damaged), "%s/damaged", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void) state;
	unlink(path);
	unlink(damaged);
	return rmdir(folder);
}

static bool
exists(const char *name)
{
	struct stat found;

	return stat(name, &found) == 0;
}

static void
check(mb_status status, const mb_error *err)
{
	if (status != MB_OK)
		fail_msg("status %d: %s; %s", status, err->message, err->detail);
}

/* What text i, token j holds. */
static int32_t
id_of(int i, size_t j, int32_t vocab_size)
{
	return (int32_t) (((uint64_t) i * 7919 + j * 104729 + (j == 0)) % (uint64_t) vocab_size);
}

static size_t
length_of(int i)
{
	return i % 5 == 3 ? 0 : (size_t) (i * 37 % 1500); /* some are empty, some longer than the reader's buffer */
}

static row_part
part_of(int i)
{
	return i % 4 == 1 ? PART_VALIDATION : PART_TRAINING;
}

static void
write_store(int n, int32_t vocab_size)
{
	token_writer *writer;
	int32_t ids[1500];
	mb_error err = {0};
	int i;

	check(token_store_start(&writer, path, vocab_size, &err), &err);
	for (i = 0; i < n; i++)
	{
		text_size size = {(uint64_t) i, (uint64_t) i * 5, (uint64_t) i * 6};
		char row[32];
		size_t j;

		for (j = 0; j < length_of(i); j++)
			ids[j] = id_of(i, j, vocab_size);
		snprintf(row, sizeof(row), "row %d", i);
		check(token_store_add(writer, ids, length_of(i), row, strlen(row), &err), &err);
		token_store_mark(writer, part_of(i), &size);
	}
	assert_true(exists(temporary));
	check(token_store_finish(writer, &err), &err);
	assert_false(exists(temporary));
}

static void
check_store(int n, int32_t vocab_size)
{
	uint64_t tokens = 0, texts[N_PARTS] = {0}, words[N_PARTS] = {0}, words_of_all = 0;
	token_store store;
	int32_t ids[1500];
	mb_error err = {0};
	int i, part;

	check(token_store_open(&store, path, &err), &err);
	assert_int_equal(store.texts, n);
	assert_true(store.narrow == (vocab_size <= 65536));
	for (i = 0; i < n; i++)
	{
		size_t length = length_of(i), first = length / 3, j;

		assert_int_equal(token_store_length(&store, (uint64_t) i), length);
		assert_int_equal(store.parts[i], part_of(i));
		check(token_store_read(&store, (uint64_t) i, 0, length, ids, &err), &err);
		for (j = 0; j < length; j++)
			assert_int_equal(ids[j], id_of(i, j, vocab_size));
		check(token_store_read(&store, (uint64_t) i, first, length - first, ids, &err), &err);
		for (j = first; j < length; j++)
			assert_int_equal(ids[j - first], id_of(i, j, vocab_size));
		assert_int_equal(token_store_read(&store, (uint64_t) i, first, length - first + 1, ids, &err),
						 MB_INVALID_ARGUMENT);
		assert_int_equal(token_store_read(&store, (uint64_t) i, length + 1, 0, ids, &err), MB_INVALID_ARGUMENT);
		tokens += length;
		texts[part_of(i)]++;
		words[part_of(i)] += (uint64_t) i;
		words_of_all += (uint64_t) i;
	}
	assert_int_equal(token_store_read(&store, (uint64_t) n, 0, 0, ids, &err), MB_INVALID_ARGUMENT);
	assert_int_equal(store.tokens, tokens);
	assert_int_equal(store.words, words_of_all);
	assert_int_equal(store.characters, words_of_all * 5);
	assert_int_equal(store.bytes, words_of_all * 6);
	for (part = 0; part < N_PARTS; part++)
	{
		uint64_t *numbers = token_store_part(&store, (row_part) part);
		uint64_t before = 0, j;

		assert_int_equal(store.part_texts[part], texts[part]);
		assert_int_equal(store.part_sizes[part].words, words[part]);
		for (j = 0; j < texts[part]; j++)
		{
			assert_true(j == 0 || numbers[j] > before);
			assert_int_equal(part_of((int) numbers[j]), part);
			before = numbers[j];
		}
		free(numbers);
	}
	assert_int_equal(store.part_tokens[PART_TRAINING] + store.part_tokens[PART_VALIDATION], tokens);
	token_store_close(&store);
}

static void
round_trips(void **state)
{
	static const int32_t vocab_sizes[] = {100, 65536, 65537, 1000000};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(vocab_sizes) / sizeof(vocab_sizes[0]); i++)
	{
		write_store(400, vocab_sizes[i]);
		check_store(400, vocab_sizes[i]);
	}
	write_store(1, 100); /* one text, which is empty: no tokens at all */
	check_store(1, 100);
	write_store(0, 100);
	check_store(0, 100);
}

/* sha256 of "\5\0\0\0\0\0\0\0row 0" "\5\0\0\0\0\0\0\0row 1" */
static void
rows_are_hashed(void **state)
{
	token_store store;
	char hex[SHA256_HEX];
	mb_error err = {0};

	(void) state;
	write_store(2, 100);
	check(token_store_open(&store, path, &err), &err);
	sha256_hex(store.sha256, hex);
	token_store_close(&store);
	assert_string_equal(hex, "f74fcbecb784dd0fd77b19bfbcd35fb836fb4fe411a95a053f25858432caf9c8");
}

/* The layout is a promise: a store that an older tool wrote is read by a newer one. */
static void
layout_is_as_stated(void **state)
{
	static const int32_t ids[] = {1, 2, 300};
	static const text_size size = {3, 14, 15};
	static const unsigned char begin[] = "MBTOKENS\1\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
										 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
										 "\3\0\0\0\0\0\0\0\16\0\0\0\0\0\0\0\17\0\0\0\0\0\0\0"
										 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const unsigned char rest[] = "\1\0\2\0\54\1\0\0\3\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\1";
	const unsigned char *data;
	token_writer *writer;
	const void *mapped;
	size_t bytes;
	mb_error err = {0};

	(void) state;
	check(token_store_start(&writer, path, 8192, &err), &err);
	check(token_store_add(writer, ids, 3, "a", 1, &err), &err);
	token_store_mark(writer, PART_VALIDATION, &size);
	check(token_store_add(writer, ids, 0, "b", 1, &err), &err); /* not marked: training */
	check(token_store_finish(writer, &err), &err);
	check(map_file(path, &mapped, &bytes, &err), &err);
	data = mapped;
	assert_int_equal(bytes, HEADER_BYTES + 8 + 16 + 2);
	assert_memory_equal(data, begin, sizeof(begin));
	assert_memory_equal(data + HEADER_BYTES, rest, sizeof(rest));
}

typedef struct damage
{
	const char *what;
	long at;     /* from the start; negative: from the end */
	int value;   /* what the byte becomes */
	long resize; /* by so many bytes */
	const char *says;
	mb_status status;
} damage;

static void
damaged_files_are_refused(void **state)
{
	/* 400 texts: 3,200 bytes of ends and 400 of parts at the end of the file. */
	static const damage cases[] = {
		{"magic", 0, 'X', 0, "does not begin with", MB_CORRUPT},
		{"version", 8, 2, 0, "version 2", MB_UNSUPPORTED},
		{"unknown flag", 12, 3, 0, "flags 3", MB_UNSUPPORTED},
		{"other width", 12, 0, 0, "do not fill", MB_CORRUPT},
		{"number of texts", 16, 0xff, 0, "do not fill", MB_CORRUPT},
		{"huge number of texts", 23, 0xff, 0, "do not fill", MB_CORRUPT},
		{"number of tokens", 24, 0xff, 0, "do not fill", MB_CORRUPT},
		{"huge number of tokens", 31, 0xff, 0, "do not fill", MB_CORRUPT},
		{"an end", -3600 + 8 * 100 + 7, 1, 0, "Text 100 ends at", MB_CORRUPT},
		{"an end before the one before", -3600 + 8 * 300 + 2, 0, 0, "Text 300 ends at", MB_CORRUPT},
		{"last end", -400 - 8, 0x01, 0, "ends at", MB_CORRUPT},
		{"a part", -200, 3, 0, "Text 200 is in part 3", MB_CORRUPT},
		{"a byte short", -1, 0, -1, "do not fill", MB_CORRUPT},
		{"a byte more", -1, 0, 1, "do not fill", MB_CORRUPT},
		{"header only", 0, 'M', -1000000, "do not fill", MB_CORRUPT},
		{"half a header", 0, 'M', -1000001, "too short", MB_CORRUPT}};
	const void *mapped;
	size_t bytes, i;
	mb_error err = {0};
	token_store store;

	(void) state;
	write_store(400, 100);
	check(map_file(path, &mapped, &bytes, &err), &err);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const damage *c = &cases[i];
		size_t size = c->resize == -1000000   ? HEADER_BYTES
					  : c->resize == -1000001 ? HEADER_BYTES / 2
											  : (size_t) ((long) bytes + c->resize);
		unsigned char *copy = calloc(bytes + 1, 1);
		mb_status status;

		memcpy(copy, mapped, bytes);
		copy[c->at < 0 ? (long) bytes + c->at : c->at] = (unsigned char) c->value;
		check(output_file_write(damaged, copy, size, &err), &err);
		free(copy);
		memset(&err, 0, sizeof(err));
		status = token_store_open(&store, damaged, &err);
		print_message("%-28s %s: %s\n", c->what, err.message, err.detail);
		assert_int_equal(status, c->status);
		assert_non_null(strstr(err.detail, c->says));
		token_store_close(&store); /* harmless */
	}
	unlink(damaged);
	assert_int_equal(token_store_open(&store, damaged, &err), MB_IO);
	assert_int_equal(token_store_open(&store, folder, &err), MB_CORRUPT);
}

/* A store that is begun takes nothing from the one that is there, and leaves nothing when it is given up. */
static void
appears_whole_or_not_at_all(void **state)
{
	static const int32_t good[] = {1, 2}, negative[] = {-1}, wide[] = {65536};
	char nowhere[80];
	token_writer *writer;
	mb_error err = {0};

	(void) state;
	write_store(10, 100);
	check(token_store_start(&writer, path, 100, &err), &err);
	check(token_store_add(writer, good, 2, "a", 1, &err), &err);
	assert_int_equal(token_store_add(writer, negative, 1, "a", 1, &err), MB_INVALID_ARGUMENT);
	assert_int_equal(token_store_add(writer, wide, 1, "a", 1, &err), MB_INVALID_ARGUMENT);
	token_store_abandon(writer);
	assert_false(exists(temporary));
	check_store(10, 100);
	/* What a killed run left is no obstacle. */
	check(output_file_write(temporary, "x", 1, &err), &err);
	write_store(20, 100);
	check_store(20, 100);
	token_store_abandon(NULL);
	snprintf(nowhere, sizeof(nowhere), "%s/none/store", folder);
	assert_int_equal(token_store_start(&writer, nowhere, 100, &err), MB_IO);
	assert_null(writer);
	assert_non_null(strstr(err.message, "could not create"));
}

/* A store of 3 MB, so that the disk can fail while texts are added, too. */
static mb_status
write_large(mb_error *err)
{
	token_writer *writer;
	int32_t ids[1500] = {0};
	mb_status status = token_store_start(&writer, path, 100000, err);
	int i;

	assert_int_equal(status, MB_OK);
	for (i = 0; i < 500 && status == MB_OK; i++)
		status = token_store_add(writer, ids, 1500, "row", 3, err);
	if (status == MB_OK)
		return token_store_finish(writer, err);
	token_store_abandon(writer);
	return status;
}

static void
disk_fails(void **state)
{
	static const size_t rooms[] = {0, 1, 1 << 20, 2000000, 3000000, 3000000 + 4499, 3000000 + 4500 + 135};
	mb_error err = {0};
	token_store store;
	size_t i;

	(void) state;
	write_store(10, 100);
	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
	{
		mb_status status;

		disk_fills_after(rooms[i]);
		status = write_large(&err);
		disk_works();
		assert_int_equal(status, MB_IO);
		assert_non_null(strstr(err.message, "could not write"));
		assert_non_null(strstr(err.detail, "No space left"));
		assert_false(exists(temporary));
		check_store(10, 100); /* what was there is there */
	}
	fsync_fails();
	assert_int_equal(write_large(&err), MB_IO);
	disk_works();
	assert_false(exists(temporary));
	check_store(10, 100);
	disk_fills_after(3000000 + 4500 + 136); /* and not a byte more is needed */
	check(write_large(&err), &err);
	disk_works();
	disk_interrupts();
	write_store(10, 100);
	disk_works();
	check_store(10, 100);
	check(write_large(&err), &err);
	check(token_store_open(&store, path, &err), &err);
	assert_int_equal(store.tokens, 750000);
	token_store_close(&store);
}

static void
text_is_measured(void **state)
{
	static const struct
	{
		const char *text;
		text_size size;
	} cases[] = {{"", {0, 0, 0}},
				 {"  ", {0, 2, 2}},
				 {"one", {1, 3, 3}},
				 {" two\twords\n", {2, 11, 11}},
				 {"caf\xc3\xa9 \xf0\x9f\x8e\xac", {2, 6, 10}},
				 {"a\xc2\xa0" "b", {1, 3, 4}}};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		text_size size = text_measure(cases[i].text, strlen(cases[i].text));

		assert_int_equal(size.words, cases[i].size.words);
		assert_int_equal(size.characters, cases[i].size.characters);
		assert_int_equal(size.bytes, cases[i].size.bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),         cmocka_unit_test(rows_are_hashed),
		cmocka_unit_test(layout_is_as_stated), cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(text_is_measured),    cmocka_unit_test(appears_whole_or_not_at_all),
		cmocka_unit_test(disk_fails)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
