/* rows_store.c - tagged_rows to a file and back. */
#include "rows_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* The file being written: beside its place, hashed as it goes. */
typedef struct store_writer
{
	const char *path;
	int fd;
	sha256 *hash;
	mb_status status;
	mb_error *err;
} store_writer;

static void
add_bytes(store_writer *to, const void *data, size_t size)
{
	if (to->status != MB_OK || size == 0)
		return;
	sha256_add(to->hash, data, size);
	to->status = write_all(to->fd, data, size, to->path, to->err);
}

static void
add_names(store_writer *to, const dictionary *names)
{
	string_buffer all = {0};
	size_t i;

	for (i = 0; i < names->n; i++)
		string_add(&all, names->names[i], strlen(names->names[i]) + 1);
	add_bytes(to, all.data, all.size);
	string_release(&all);
}

static void
add_rows(store_writer *to, const tagged_rows *rows, const row_counts counts[N_PARTS])
{
	const uint64_t numbers[N_NUMBERS] = {[SIZE_ROW] = sizeof(tagged_row),
										 [SIZE_COUNTS] = sizeof(row_counts),
										 [SIZE_SCOPE] = sizeof(tag_scope),
										 [N_ROWS] = rows->n,
										 [N_TEXT_BYTES] = rows->texts_used,
										 [N_TAG_IDS] = rows->tags_used,
										 [N_TAGS] = rows->tags.n,
										 [N_SCOPES] = rows->scope_texts.n,
										 [N_SCOPE_NAMES] = rows->scope_names_used,
										 [N_SCOPE_WORDS] = rows->scope_words.n};

	add_bytes(to, MAGIC, 8);
	add_bytes(to, numbers, sizeof(numbers));
	add_bytes(to, counts, N_PARTS * sizeof(row_counts));
	add_bytes(to, rows->rows, rows->n * sizeof(tagged_row));
	add_bytes(to, rows->scopes, rows->scope_texts.n * sizeof(tag_scope));
	add_bytes(to, rows->tag_ids, rows->tags_used * sizeof(int32_t));
	add_bytes(to, rows->scope_names, rows->scope_names_used * sizeof(int32_t));
	add_bytes(to, rows->texts, rows->texts_used);
	add_names(to, &rows->tags);
	add_names(to, &rows->scope_texts);
	add_names(to, &rows->scope_words);
}

mb_status
rows_store_write(const char *path, const tagged_rows *rows, const row_counts counts[N_PARTS], mb_error *err)
{
	string_buffer temporary = {0};
	unsigned char digest[SHA256_BYTES];
	store_writer to = {.path = path, .status = MB_OK, .err = err};

	string_printf(&temporary, "%s.tmp", path);
	/* As output_file_write does. */
	unlink(temporary.data);
	to.fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (to.fd < 0)
	{
		string_release(&temporary);
		return mb_fail_system(err, errno, "could not write \"%.250s\"", path);
	}
	to.hash = sha256_start();
	add_rows(&to, rows, counts);
	sha256_finish(to.hash, digest);
	if (to.status == MB_OK)
		to.status = write_all(to.fd, digest, sizeof(digest), path, err);
	if (to.status == MB_OK && fsync(to.fd) != 0)
		to.status = mb_fail_system(err, errno, "could not write \"%.250s\" to disk", path);
	if (close(to.fd) != 0 && to.status == MB_OK)
		to.status = mb_fail_system(err, errno, "could not write \"%.250s\"", path);
	if (to.status == MB_OK)
		to.status = output_file_rename(temporary.data, path, err);
	if (to.status != MB_OK)
		unlink(temporary.data);
	string_release(&temporary);
	return to.status;
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
