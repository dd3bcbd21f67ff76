/* token_store.c - writing a file of token ids front to back, and reading pieces of it from anywhere. */
#include "token_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "output_file.h"

#define MAGIC "MBTOKENS"
#define VERSION 1
#define NARROW 1u

/* As it is in the file, on the little-endian machines that the engine runs on; no member needs padding. */
typedef struct file_header
{
	char magic[8];
	uint32_t version;
	uint32_t flags;
	uint64_t texts;
	uint64_t tokens;
	text_size sizes[N_PARTS];
	unsigned char sha256[SHA256_BYTES];
} file_header;

_Static_assert(sizeof(file_header) == 136, "the header has no gaps");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they are in memory");

static size_t
id_size(bool narrow)
{
	return narrow ? sizeof(uint16_t) : sizeof(int32_t);
}

/* Bytes of all ids with their padding. */
static uint64_t
ids_size(uint64_t tokens, bool narrow)
{
	return (tokens * id_size(narrow) + 7) & ~UINT64_C(7);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

#define BUFFER_SIZE ((size_t) 1 << 20)

struct token_writer
{
	file_header header;
	char *path;
	char *temporary;
	int fd;
	unsigned char *buffer;
	size_t used;
	sha256 *hash;
	uint64_t *ends;
	uint8_t *parts;
	size_t capacity;
};

static void
release(token_writer *writer)
{
	unsigned char digest[SHA256_BYTES];

	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->hash != NULL)
		sha256_finish(writer->hash, digest);
	free(writer->path);
	free(writer->temporary);
	free(writer->buffer);
	free(writer->ends);
	free(writer->parts);
	free(writer);
}

mb_status
token_store_start(token_writer **result, const char *path, int32_t vocab_size, mb_error *err)
{
	token_writer *writer = allocate(1, sizeof(*writer));
	string_buffer temporary = {0};
	mb_status status = MB_OK;

	*result = NULL;
	string_printf(&temporary, "%s.tmp", path);
	writer->path = copy_string(path);
	writer->temporary = temporary.data;
	writer->buffer = allocate(BUFFER_SIZE, 1);
	writer->hash = sha256_start();
	memcpy(writer->header.magic, MAGIC, sizeof(writer->header.magic));
	writer->header.version = VERSION;
	writer->header.flags = vocab_size <= UINT16_MAX + 1 ? NARROW : 0;
	/* As in output_file_write: one that a killed run left behind goes, and nobody's link is followed. */
	unlink(writer->temporary);
	writer->fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (writer->fd < 0)
		status = mb_fail_system(err, errno, "could not create \"%.250s\"", path);
	else if (lseek(writer->fd, (off_t) sizeof(file_header), SEEK_SET) < 0)
		status = mb_fail_system(err, errno, "could not write \"%.250s\"", path);
	if (status != MB_OK)
	{
		token_store_abandon(writer);
		return status;
	}
	*result = writer;
	return MB_OK;
}

static mb_status
flush(token_writer *writer, mb_error *err)
{
	mb_status status = write_all(writer->fd, writer->buffer, writer->used, writer->path, err);

	writer->used = 0;
	return status;
}

static mb_status
append(token_writer *writer, const void *bytes, size_t size, mb_error *err)
{
	const unsigned char *from = bytes;

	while (size > 0)
	{
		size_t n = BUFFER_SIZE - writer->used < size ? BUFFER_SIZE - writer->used : size;

		memcpy(writer->buffer + writer->used, from, n);
		writer->used += n;
		from += n;
		size -= n;
		if (writer->used == BUFFER_SIZE)
		{
			mb_status status = flush(writer, err);

			if (status != MB_OK)
				return status;
		}
	}
	return MB_OK;
}

mb_status
token_store_add(token_writer *writer, const int32_t *ids, size_t n, const void *row, size_t row_size, mb_error *err)
{
	file_header *header = &writer->header;
	bool narrow = (header->flags & NARROW) != 0;
	uint64_t hashed = row_size;
	mb_status status = MB_OK;
	size_t i;

	for (i = 0; i < n; i++)
		if (ids[i] < 0 || (narrow && ids[i] > UINT16_MAX))
			return mb_fail(err, MB_INVALID_ARGUMENT, "token id %" PRId32 " is not of the store's vocabulary", ids[i]);
	if (!narrow)
		status = append(writer, ids, n * sizeof(*ids), err);
	for (i = 0; narrow && i < n && status == MB_OK; i++)
	{
		uint16_t id = (uint16_t) ids[i];

		status = append(writer, &id, sizeof(id), err);
	}
	if (status != MB_OK)
		return status;
	if (header->texts == writer->capacity)
	{
		writer->capacity = writer->capacity == 0 ? 4096 : writer->capacity * 2;
		writer->ends = reallocate(writer->ends, writer->capacity, sizeof(*writer->ends));
		writer->parts = reallocate(writer->parts, writer->capacity, sizeof(*writer->parts));
	}
	header->tokens += n;
	writer->ends[header->texts] = header->tokens;
	writer->parts[header->texts] = PART_TRAINING;
	header->texts++;
	sha256_add(writer->hash, &hashed, sizeof(hashed));
	sha256_add(writer->hash, row, row_size);
	return MB_OK;
}

void
token_store_mark(token_writer *writer, row_part part, const text_size *size)
{
	text_size *sum = &writer->header.sizes[part];

	writer->parts[writer->header.texts - 1] = (uint8_t) part;
	sum->words += size->words;
	sum->characters += size->characters;
	sum->bytes += size->bytes;
}

/* What follows the ids, and the header before them. */
static mb_status
write_rest(token_writer *writer, mb_error *err)
{
	static const unsigned char zeros[8];
	file_header *header = &writer->header;
	bool narrow = (header->flags & NARROW) != 0;
	size_t padding = (size_t) (ids_size(header->tokens, narrow) - header->tokens * id_size(narrow));
	mb_status status = append(writer, zeros, padding, err);

	sha256_finish(writer->hash, header->sha256);
	writer->hash = NULL;
	if (status == MB_OK)
		status = append(writer, writer->ends, header->texts * sizeof(*writer->ends), err);
	if (status == MB_OK)
		status = append(writer, writer->parts, header->texts, err);
	if (status == MB_OK)
		status = flush(writer, err);
	if (status == MB_OK && lseek(writer->fd, 0, SEEK_SET) != 0)
		status = mb_fail_system(err, errno, "could not write \"%.250s\"", writer->path);
	if (status == MB_OK)
		status = write_all(writer->fd, header, sizeof(*header), writer->path, err);
	if (status == MB_OK && fsync(writer->fd) != 0)
		status = mb_fail_system(err, errno, "could not sync \"%.250s\"", writer->path);
	return status;
}

mb_status
token_store_finish(token_writer *writer, mb_error *err)
{
	mb_status status = write_rest(writer, err);

	if (close(writer->fd) != 0 && status == MB_OK)
		status = mb_fail_system(err, errno, "could not write \"%.250s\"", writer->path);
	writer->fd = -1;
	if (status == MB_OK)
		status = output_file_rename(writer->temporary, writer->path, err);
	if (status != MB_OK)
		unlink(writer->temporary);
	release(writer);
	return status;
}

void
token_store_abandon(token_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		unlink(writer->temporary);
	release(writer);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A file that ends too early is EIO: its size was checked, so somebody is cutting it while we read. */
static mb_status
read_at(int fd, void *bytes, size_t size, uint64_t at, mb_error *err)
{
	unsigned char *to = bytes;

	while (size > 0)
	{
		ssize_t n = pread(fd, to, size, (off_t) at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mb_fail_system(err, n == 0 ? EIO : errno, "could not read the stored texts");
		to += n;
		at += (uint64_t) n;
		size -= (size_t) n;
	}
	return MB_OK;
}

static mb_status
corrupt(const char *path, mb_error *err)
{
	mb_fail(err, MB_CORRUPT, "\"%.200s\" is not a file of stored texts, or it is damaged", path);
	mb_hint(err, "It is made anew from the query by a run in a new folder.");
	return MB_CORRUPT;
}

static mb_status
check_header(const file_header *header, uint64_t size, const char *path, mb_error *err)
{
	bool narrow = (header->flags & NARROW) != 0;
	uint64_t rest;

	if (memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0)
	{
		corrupt(path, err);
		mb_detail(err, "It does not begin with \"%s\".", MAGIC);
		return MB_CORRUPT;
	}
	if (header->version != VERSION || (header->flags & ~NARROW) != 0)
	{
		mb_fail(err, MB_UNSUPPORTED, "\"%.200s\" is a file of stored texts of another version", path);
		mb_detail(err, "It has version %" PRIu32 " and flags %" PRIu32 "; this tool reads version %d.", header->version,
				  header->flags, VERSION);
		return MB_UNSUPPORTED;
	}
	rest = size - sizeof(*header);
	/* Divided, not multiplied: the numbers may be anything. */
	if (header->tokens <= rest / id_size(narrow) && ids_size(header->tokens, narrow) <= rest &&
		header->texts <= (rest - ids_size(header->tokens, narrow)) / (sizeof(uint64_t) + 1) &&
		rest == ids_size(header->tokens, narrow) + header->texts * (sizeof(uint64_t) + 1))
		return MB_OK;
	corrupt(path, err);
	mb_detail(err, "It has %" PRIu64 " bytes, which %" PRIu64 " texts of %" PRIu64 " tokens do not fill.", size,
			  header->texts, header->tokens);
	return MB_CORRUPT;
}

/* Also counts each part's texts and tokens. */
static mb_status
check_texts(token_store *store, const char *path, mb_error *err)
{
	uint64_t before = 0, i;

	for (i = 0; i < store->texts; i++)
	{
		if (store->ends[i] < before || store->ends[i] > store->tokens)
		{
			corrupt(path, err);
			mb_detail(err, "Text %" PRIu64 " ends at %" PRIu64 ", after one that ends at %" PRIu64 " of %" PRIu64 ".", i,
					  store->ends[i], before, store->tokens);
			return MB_CORRUPT;
		}
		if (store->parts[i] >= N_PARTS)
		{
			corrupt(path, err);
			mb_detail(err, "Text %" PRIu64 " is in part %d, of %d.", i, store->parts[i], N_PARTS);
			return MB_CORRUPT;
		}
		store->part_texts[store->parts[i]]++;
		store->part_tokens[store->parts[i]] += store->ends[i] - before;
		before = store->ends[i];
	}
	if (before == store->tokens)
		return MB_OK;
	corrupt(path, err);
	mb_detail(err, "The last text ends at %" PRIu64 " of %" PRIu64 " tokens.", before, store->tokens);
	return MB_CORRUPT;
}

static void
take_header(token_store *store, const file_header *header)
{
	int part;

	store->narrow = (header->flags & NARROW) != 0;
	store->texts = header->texts;
	store->tokens = header->tokens;
	memcpy(store->part_sizes, header->sizes, sizeof(store->part_sizes));
	memcpy(store->sha256, header->sha256, sizeof(store->sha256));
	for (part = 0; part < N_PARTS; part++)
	{
		store->words += header->sizes[part].words;
		store->characters += header->sizes[part].characters;
		store->bytes += header->sizes[part].bytes;
	}
}

mb_status
token_store_open(token_store *store, const char *path, mb_error *err)
{
	file_header header;
	struct stat found;
	mb_status status;
	uint64_t at;

	memset(store, 0, sizeof(*store));
	store->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (store->fd < 0 || fstat(store->fd, &found) != 0)
		status = mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	else if (!S_ISREG(found.st_mode) || (uint64_t) found.st_size < sizeof(header))
	{
		status = corrupt(path, err);
		mb_detail(err, "It is too short for a header.");
	}
	else
		status = read_at(store->fd, &header, sizeof(header), 0, err);
	if (status == MB_OK)
		status = check_header(&header, (uint64_t) found.st_size, path, err);
	if (status == MB_OK)
	{
		take_header(store, &header);
		store->ends = allocate(store->texts, sizeof(*store->ends));
		store->parts = allocate(store->texts, sizeof(*store->parts));
		at = sizeof(header) + ids_size(store->tokens, store->narrow);
		status = read_at(store->fd, store->ends, store->texts * sizeof(*store->ends), at, err);
		at += store->texts * sizeof(*store->ends);
		if (status == MB_OK)
			status = read_at(store->fd, store->parts, store->texts, at, err);
	}
	if (status == MB_OK)
		status = check_texts(store, path, err);
	if (status != MB_OK)
		token_store_close(store);
	return status;
}

void
token_store_close(token_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	store->fd = -1;
	free(store->ends);
	free(store->parts);
	store->ends = NULL;
	store->parts = NULL;
}

uint64_t *
token_store_part(const token_store *store, row_part part)
{
	uint64_t *numbers = allocate(store->part_texts[part], sizeof(*numbers));
	uint64_t n = 0, i;

	for (i = 0; i < store->texts; i++)
		if (store->parts[i] == part)
			numbers[n++] = i;
	return numbers;
}

mb_status
token_store_read(const token_store *store, uint64_t text, uint64_t first, size_t n, int32_t *ids, mb_error *err)
{
	uint64_t at = sizeof(file_header);
	uint16_t piece[1024];

	if (text >= store->texts || first > token_store_length(store, text) || n > token_store_length(store, text) - first)
		return mb_fail(err, MB_INVALID_ARGUMENT, "stored text %" PRIu64 " has no tokens %" PRIu64 " to %" PRIu64, text,
					   first, first + n);
	at += (token_store_begin(store, text) + first) * id_size(store->narrow);
	if (!store->narrow)
		return read_at(store->fd, ids, n * sizeof(*ids), at, err);
	while (n > 0)
	{
		size_t now = n < sizeof(piece) / sizeof(piece[0]) ? n : sizeof(piece) / sizeof(piece[0]);
		mb_status status = read_at(store->fd, piece, now * sizeof(piece[0]), at, err);
		size_t i;

		if (status != MB_OK)
			return status;
		for (i = 0; i < now; i++)
			*ids++ = piece[i];
		at += now * sizeof(piece[0]);
		n -= now;
	}
	return MB_OK;
}
