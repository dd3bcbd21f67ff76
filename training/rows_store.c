/* rows_store.c - tagged_rows to a file and back. */
#include "rows_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "model_source.h"
#include "output_file.h"
#include "sha256.h"

#define MAGIC "MBROWS01"

enum
{
	SIZE_ROW,
	SIZE_COUNTS,
	SIZE_SCOPE,
	N_ROWS,
	N_TEXT_BYTES,
	N_TAG_IDS,
	N_TAGS,
	N_SCOPES,
	N_SCOPE_NAMES,
	N_SCOPE_WORDS,
	N_NUMBERS
};

static void
add_names(string_buffer *out, const dictionary *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		string_add(out, names->names[i], strlen(names->names[i]) + 1);
}

static void
add_bytes(string_buffer *out, const void *data, size_t size)
{
	if (size > 0)
		string_add(out, data, size);
}

mb_status
rows_store_write(const char *path, const tagged_rows *rows, const row_counts counts[N_PARTS], mb_error *err)
{
	const uint64_t numbers[N_NUMBERS] = {
		[SIZE_ROW] = sizeof(tagged_row),   [SIZE_COUNTS] = sizeof(row_counts),      [SIZE_SCOPE] = sizeof(tag_scope),
		[N_ROWS] = rows->n,                [N_TEXT_BYTES] = rows->texts_used,       [N_TAG_IDS] = rows->tags_used,
		[N_TAGS] = rows->tags.n,           [N_SCOPES] = rows->scope_texts.n,        [N_SCOPE_NAMES] = rows->scope_names_used,
		[N_SCOPE_WORDS] = rows->scope_words.n};
	unsigned char digest[SHA256_BYTES];
	string_buffer out = {0};
	mb_status status;

	add_bytes(&out, MAGIC, 8);
	add_bytes(&out, numbers, sizeof(numbers));
	add_bytes(&out, counts, N_PARTS * sizeof(row_counts));
	add_bytes(&out, rows->rows, rows->n * sizeof(tagged_row));
	add_bytes(&out, rows->scopes, rows->scope_texts.n * sizeof(tag_scope));
	add_bytes(&out, rows->tag_ids, rows->tags_used * sizeof(int32_t));
	add_bytes(&out, rows->scope_names, rows->scope_names_used * sizeof(int32_t));
	add_bytes(&out, rows->texts, rows->texts_used);
	add_names(&out, &rows->tags);
	add_names(&out, &rows->scope_texts);
	add_names(&out, &rows->scope_words);
	sha256_of(out.data, out.size, digest);
	add_bytes(&out, digest, sizeof(digest));
	status = output_file_write(path, out.data, out.size, err);
	string_release(&out);
	return status;
}

/* What is left of a file. */
typedef struct cursor
{
	const char *at;
	size_t left;
	bool ok;
} cursor;

static void *
take(cursor *from, uint64_t n, size_t size)
{
	void *copy;

	if (!from->ok || (n > 0 && size > from->left / n))
	{
		from->ok = false;
		return NULL;
	}
	copy = allocate((size_t) n, size);
	if (n > 0)
		memcpy(copy, from->at, (size_t) n * size);
	from->at += (size_t) n * size;
	from->left -= (size_t) n * size;
	return copy;
}

static void
take_names(cursor *from, uint64_t n, dictionary *names)
{
	uint64_t i;

	for (i = 0; i < n && from->ok; i++)
	{
		const char *end = memchr(from->at, '\0', from->left);

		from->ok = end != NULL && (size_t) dictionary_add(names, from->at) == i;
		if (!from->ok)
			return;
		from->left -= (size_t) (end + 1 - from->at);
		from->at = end + 1;
	}
}

/* The digest says that the file is what was written; this, that it was written by this version. */
static mb_status
parse(const char *path, const char *data, size_t size, tagged_rows *rows, row_counts counts[N_PARTS], mb_error *err)
{
	unsigned char digest[SHA256_BYTES];
	uint64_t numbers[N_NUMBERS];
	cursor from = {data + 8 + sizeof(numbers), 0, true};
	row_counts *stored;

	if (size < 8 + sizeof(numbers) + SHA256_BYTES || memcmp(data, MAGIC, 8) != 0)
		return mb_fail(err, MB_CORRUPT, "\"%.250s\" does not hold a run's rows", path);
	sha256_of(data, size - SHA256_BYTES, digest);
	if (memcmp(digest, data + size - SHA256_BYTES, SHA256_BYTES) != 0)
	{
		mb_fail(err, MB_CORRUPT, "the run's rows in \"%.250s\" are damaged", path);
		mb_hint(err, "Begin the run anew with --restart.");
		return MB_CORRUPT;
	}
	memcpy(numbers, data + 8, sizeof(numbers));
	if (numbers[SIZE_ROW] != sizeof(tagged_row) || numbers[SIZE_COUNTS] != sizeof(row_counts) ||
		numbers[SIZE_SCOPE] != sizeof(tag_scope))
		return mb_fail(err, MB_CORRUPT, "the run's rows in \"%.250s\" were written by another version", path);
	from.left = size - 8 - sizeof(numbers) - SHA256_BYTES;
	stored = take(&from, N_PARTS, sizeof(row_counts));
	rows->rows = take(&from, numbers[N_ROWS], sizeof(tagged_row));
	rows->scopes = take(&from, numbers[N_SCOPES], sizeof(tag_scope));
	rows->tag_ids = take(&from, numbers[N_TAG_IDS], sizeof(int32_t));
	rows->scope_names = take(&from, numbers[N_SCOPE_NAMES], sizeof(int32_t));
	rows->texts = take(&from, numbers[N_TEXT_BYTES], 1);
	take_names(&from, numbers[N_TAGS], &rows->tags);
	take_names(&from, numbers[N_SCOPES], &rows->scope_texts);
	take_names(&from, numbers[N_SCOPE_WORDS], &rows->scope_words);
	if (stored != NULL)
		memcpy(counts, stored, N_PARTS * sizeof(row_counts));
	free(stored);
	if (!from.ok || from.left != 0)
		return mb_fail(err, MB_CORRUPT, "\"%.250s\" does not hold a run's rows", path);
	rows->n = rows->capacity = (size_t) numbers[N_ROWS];
	rows->texts_used = rows->texts_capacity = (size_t) numbers[N_TEXT_BYTES];
	rows->tags_used = rows->tags_capacity = (size_t) numbers[N_TAG_IDS];
	rows->scopes_capacity = (size_t) numbers[N_SCOPES];
	rows->scope_names_used = rows->scope_names_capacity = (size_t) numbers[N_SCOPE_NAMES];
	return MB_OK;
}

mb_status
rows_store_read(const char *path, tagged_rows *rows, row_counts counts[N_PARTS], mb_error *err)
{
	const void *data;
	size_t size;
	mb_status status = map_file(path, &data, &size, err);

	memset(rows, 0, sizeof(*rows));
	if (status != MB_OK)
		return status;
	status = parse(path, data, size, rows, counts, err);
	munmap((void *) (uintptr_t) data, size);
	if (status != MB_OK)
		tagged_rows_release(rows);
	return status;
}
