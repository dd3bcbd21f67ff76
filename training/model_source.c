/* model_source.c - mappings of model files and images. */
#include "model_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "interrupt.h"
#include "memory.h"
#include "output_file.h"
#include "progress.h"
#include "report.h"

static mb_status
map_descriptor(int fd, const char *path, const void **data, size_t *size, mb_error *err)
{
	struct stat info;
	void *map;

	if (fstat(fd, &info) != 0)
		return mb_fail_system(err, errno, "could not read \"%.250s\"", path);
	if (!S_ISREG(info.st_mode))
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "\"%s\" is not a file", path);
		mb_hint(err, S_ISDIR(info.st_mode) ? "For a Hugging Face folder, run \"moviebert import\" first."
										   : "Give a model file made by \"moviebert import\".");
		return MB_INVALID_ARGUMENT;
	}
	if (info.st_size == 0)
		return mb_fail(err, MB_CORRUPT, "file \"%s\" is empty", path);
	map = mmap(NULL, (size_t) info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return mb_fail_system(err, errno, "could not map \"%.250s\"", path);
	*data = map;
	*size = (size_t) info.st_size;
	return MB_OK;
}

mb_status
map_file(const char *path, const void **data, size_t *size, mb_error *err)
{
	mb_status status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	status = map_descriptor(fd, path, data, size, err);
	close(fd);
	return status;
}

/* A file without a name, gone when closed.  *shown is for messages. */
static int
temporary_file(char *shown, size_t size)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	snprintf(shown, size, "%s/moviebert-XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
	fd = mkstemp(shown);
	if (fd >= 0)
		unlink(shown);
	return fd;
}

static mb_status
open_mapped(model_source *source, mb_error *err)
{
	unsigned char digest[SHA256_BYTES];

	sha256_of(source->data, source->size, digest);
	sha256_hex(digest, source->sha256);
	return mb_model_open(&source->model, source->data, source->size, err);
}

mb_status
model_source_open_file(model_source *source, const char *path, mb_error *err)
{
	mb_status status;

	memset(source, 0, sizeof(*source));
	status = map_file(path, &source->data, &source->size, err);
	if (status == MB_OK)
	{
		status = open_mapped(source, err);
		if (status == MB_CORRUPT && err->hint[0] == '\0')
			mb_hint(err, "The file is \"%.200s\": give a model file as \"moviebert import\" or training makes it.", path);
	}
	if (status != MB_OK)
		model_source_close(source);
	return status;
}

/* Those of a running query that are still to come are not worth waiting for. */
static void
cancel_query(PGconn *connection)
{
	PGcancel *cancel = PQgetCancel(connection);
	char message[256];

	if (cancel != NULL)
		(void) PQcancel(cancel, message, sizeof(message));
	PQfreeCancel(cancel);
}

/* The chunks in order, into fd. */
static mb_status
fetch_chunks(PGconn *connection, const char *schema, const char *sha256_text, int fd, const char *shown, uint64_t size,
			 mb_error *err)
{
	string_buffer sql = {0};
	const char *parameters[1];
	PGresult *result;
	mb_status status = MB_OK;
	uint64_t received = 0;
	progress bar;
	int ok;

	string_printf(&sql, "SELECT data FROM %s.bert_model_chunk WHERE sha256 = $1 ORDER BY seq", schema);
	parameters[0] = sha256_text;
	ok = PQsendQueryParams(connection, sql.data, 1, NULL, parameters, NULL, NULL, 1) && PQsetSingleRowMode(connection);
	string_release(&sql);
	if (!ok)
		return connection_error(connection, NULL, err);
	progress_start(&bar, "Fetching", "bytes", size, false);
	while ((result = PQgetResult(connection)) != NULL)
	{
		ExecStatusType got = PQresultStatus(result);

		if (status == MB_OK && got == PGRES_SINGLE_TUPLE)
		{
			status = write_all(fd, PQgetvalue(result, 0, 0), (size_t) PQgetlength(result, 0, 0), shown, err);
			if (status != MB_OK)
				cancel_query(connection);
			received += (uint64_t) PQgetlength(result, 0, 0);
			progress_update(&bar, received);
		}
		else if (status == MB_OK && got != PGRES_TUPLES_OK)
			status = connection_error(connection, result, err);
		PQclear(result);
	}
	if (status == MB_OK && interrupt_requested())
		status = mb_fail(err, MB_CANCELLED, "interrupted");
	if (status == MB_OK && received == 0)
	{
		status = mb_fail(err, MB_CORRUPT, "the model has a name in the database, but no contents");
		mb_detail(err, "bert_model_chunk has no row with SHA-256 %.16s...", sha256_text);
		mb_hint(err, "Drop it with bert_drop_model and install it again.");
	}
	if (status == MB_OK)
		progress_finish(&bar, received);
	return status;
}

mb_status
model_source_open_database(model_source *source, PGconn *connection, const char *schema, const char *name,
						   mb_error *err)
{
	string_buffer sql = {0};
	char expected[SHA256_HEX];
	char shown[300];
	PGresult *result;
	mb_status status;
	uint64_t size;
	int fd;

	memset(source, 0, sizeof(*source));
	string_printf(&sql, "SELECT sha256, size FROM %s.bert_models WHERE name = $1", schema);
	status = connection_query(connection, sql.data, 1, &name, &result, err);
	string_release(&sql);
	if (status != MB_OK)
		return status;
	if (PQntuples(result) != 1)
	{
		PQclear(result);
		mb_fail(err, MB_INVALID_ARGUMENT, "model \"%s\" does not exist in database \"%s\"", name, PQdb(connection));
		mb_hint(err, "The view bert_models lists those that do.");
		return MB_INVALID_ARGUMENT;
	}
	snprintf(expected, sizeof(expected), "%s", PQgetvalue(result, 0, 0));
	size = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
	PQclear(result);
	fd = temporary_file(shown, sizeof(shown));
	if (fd < 0)
		return mb_fail_system(err, errno, "could not create \"%.250s\"", shown);
	status = fetch_chunks(connection, schema, expected, fd, shown, size, err);
	if (status == MB_OK)
		status = map_descriptor(fd, shown, &source->data, &source->size, err);
	close(fd);
	if (status == MB_OK)
	{
		status = open_mapped(source, err);
		if (strcmp(source->sha256, expected) != 0)
		{
			status = mb_fail(err, MB_CORRUPT, "model \"%s\" is damaged in the database", name);
			mb_detail(err, "Its chunks have SHA-256 %.16s..., but it was stored as %.16s...", source->sha256, expected);
			mb_hint(err, "Drop it with bert_drop_model and install it again.");
		}
	}
	if (status != MB_OK)
		model_source_close(source);
	return status;
}

mb_status
model_source_image(model_source *source, mb_error *err)
{
	char shown[300];
	const void *data = NULL;
	mb_status status;
	int fd = temporary_file(shown, sizeof(shown));

	if (fd < 0)
		return mb_fail_system(err, errno, "could not create \"%.250s\"", shown);
	status = mb_image_write(source->model, fd, &tool_interrupt, err);
	if (status == MB_OK)
		status = map_descriptor(fd, shown, &data, &source->image_size, err);
	close(fd);
	if (status != MB_OK)
		return status;
	status = mb_image_open(&source->image, data, source->image_size, err);
	if (status != MB_OK)
	{
		munmap((void *) (uintptr_t) data, source->image_size);
		return status;
	}
	source->image_data = (void *) (uintptr_t) data;
	return MB_OK;
}

void
model_source_close(model_source *source)
{
	if (source->image_data != NULL)
	{
		mb_image_close(&source->image);
		munmap(source->image_data, source->image_size);
	}
	mb_model_close(source->model);
	if (source->data != NULL)
		munmap((void *) (uintptr_t) source->data, source->size);
	memset(source, 0, sizeof(*source));
}
