/* text_source.c - rows to tokens to the store, and again from the start if the connection is lost. */
#include "text_source.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connection.h"
#include "interrupt.h"
#include "memory.h"
#include "query_rows.h"
#include "report.h"

/* Buffers reused from row to row. */
typedef struct text_reader
{
	const text_request *request;
	const mb_tokenizer *tokenizer;
	token_writer *writer;
	text_counts *counts;
	int text, key; /* columns; key -1: none */
	int32_t *ids;
	size_t capacity;
	char *row; /* text, NUL, key: what is hashed */
	size_t row_capacity;
} text_reader;

static mb_status
read_columns(void *arg, PGconn *connection, const PGresult *described, mb_error *err)
{
	text_reader *reader = arg;
	const text_request *request = reader->request;
	mb_status status = MB_OK;

	reader->key = -1;
	if (request->key_column != NULL)
		status = query_column(described, "key", "key", request->key_column, 0, &reader->key, err);
	if (status == MB_OK)
		status = query_text_column(connection, described, request->text_column,
								   query_first_text(described, reader->key), &reader->text, err);
	if (status == MB_OK)
		note_text_column(described, request->text_column, reader->text, reader->key);
	return status;
}

text_size
text_measure(const char *text, size_t bytes)
{
	text_size size = {0, 0, bytes};
	bool in_word = false;
	size_t i;

	for (i = 0; i < bytes; i++)
	{
		bool space = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');

		size.characters += ((unsigned char) text[i] & 0xc0) != 0x80;
		size.words += !space && !in_word;
		in_word = !space;
	}
	return size;
}

static mb_status
tokenize(text_reader *reader, const char *text, size_t bytes, size_t *n, mb_error *err)
{
	mb_status status = mb_tokenize(reader->tokenizer, text, bytes, reader->ids, reader->capacity, n, &tool_interrupt, err);

	if (status != MB_OK || *n <= reader->capacity)
		return status;
	reader->capacity = *n * 2;
	reader->ids = reallocate(reader->ids, reader->capacity, sizeof(*reader->ids));
	return mb_tokenize(reader->tokenizer, text, bytes, reader->ids, reader->capacity, n, &tool_interrupt, err);
}

/* A text has no NUL, so that text and key are told apart. */
static size_t
fill_row(text_reader *reader, const char *text, size_t text_bytes, const char *key, size_t key_bytes)
{
	size_t needed = text_bytes + 1 + key_bytes;

	if (needed > reader->row_capacity)
	{
		reader->row_capacity = needed * 2;
		reader->row = reallocate(reader->row, reader->row_capacity, 1);
	}
	memcpy(reader->row, text, text_bytes);
	reader->row[text_bytes] = '\0';
	memcpy(reader->row + text_bytes + 1, key, key_bytes);
	return needed;
}

static mb_status
read_row(void *arg, const PGresult *result, int64_t number, mb_error *err)
{
	text_reader *reader = arg;
	text_counts *counts = reader->counts;
	const char *text, *key = "";
	size_t text_bytes, key_bytes = 0, row_bytes, n = 0;
	text_size size;
	uint64_t hash;
	mb_status status;

	counts->read = number;
	if (PQgetisnull(result, 0, reader->text))
	{
		counts->null_text++;
		return MB_OK;
	}
	text = PQgetvalue(result, 0, reader->text);
	text_bytes = (size_t) PQgetlength(result, 0, reader->text);
	if (text_is_blank(text, text_bytes))
	{
		counts->empty_text++;
		return MB_OK;
	}
	status = tokenize(reader, text, text_bytes, &n, err);
	if (status == MB_INVALID_UTF8)
		add_row_number(err, number);
	if (status != MB_OK)
		return status;
	if (reader->key >= 0 && PQgetisnull(result, 0, reader->key))
		counts->null_key++;
	else if (reader->key >= 0)
	{
		key = PQgetvalue(result, 0, reader->key);
		key_bytes = (size_t) PQgetlength(result, 0, reader->key);
	}
	hash = reader->key >= 0 && !PQgetisnull(result, 0, reader->key)
			   ? split_hash(reader->request->seed, key, key_bytes)
			   : split_hash(reader->request->seed, text, text_bytes);
	row_bytes = fill_row(reader, text, text_bytes, key, key_bytes);
	status = token_store_add(reader->writer, reader->ids, n, reader->row, row_bytes, err);
	if (status != MB_OK)
		return status;
	size = text_measure(text, text_bytes);
	token_store_mark(reader->writer, split_part(hash, reader->request->validation, 0), &size);
	counts->used++;
	counts->no_tokens += n == 0;
	return MB_OK;
}

static void
report_rows(const text_counts *counts)
{
	char number[32];

	report_note("Rows: %s read", format_count(number, sizeof(number), counts->read));
	report_count(counts->used, "used");
	report_count(counts->null_text, "left out: the text is NULL");
	report_count(counts->empty_text, "left out: the text is empty");
	report_count(counts->no_tokens, "used, but without a token");
	report_count(counts->null_key, "used, split by their text: the key is NULL");
}

static mb_status
check_counts(const text_counts *counts, mb_error *err)
{
	if (counts->used > counts->no_tokens)
		return MB_OK;
	if (counts->read == 0)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the query gave no rows");
		mb_hint(err, "Check the query's WHERE clause, and which database it ran in.");
	}
	else
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the query gave no row with a text");
		mb_detail(err, "Of %lld rows, the text is NULL in %lld, empty in %lld, and without a token in %lld.",
				  (long long) counts->read, (long long) counts->null_text, (long long) counts->empty_text,
				  (long long) counts->no_tokens);
		mb_hint(err, "Check which column is read: --text names another.");
	}
	return MB_INVALID_ARGUMENT;
}

/* One run of the query; the store is there afterwards, or nothing of it. */
static mb_status
read_once(const char *path, PGconn *connection, text_reader *reader, mb_error *err)
{
	const row_handler handler = {read_columns, read_row, reader, "a text"};
	mb_status status;

	memset(reader->counts, 0, sizeof(*reader->counts));
	status = token_store_start(&reader->writer, path, mb_tokenizer_vocab_size(reader->tokenizer), err);
	if (status != MB_OK)
		return status;
	status = query_rows_read(connection, reader->request->query, &handler, reader->request->silent, err);
	if (status == MB_OK)
	{
		if (!reader->request->silent)
			report_rows(reader->counts);
		status = check_counts(reader->counts, err);
	}
	if (status == MB_OK)
		return token_store_finish(reader->writer, err);
	token_store_abandon(reader->writer);
	return status;
}

/* Waits 1, 2, 4, ... seconds between attempts, because a server that restarts needs a while; a signal ends the wait. */
static mb_status
reconnect(PGconn *connection, int tries, mb_error *err)
{
	struct timespec pause = {(time_t) 1 << tries, 0};

	report_note("Connecting again in %d s ...", 1 << tries);
	while (!interrupt_requested() && nanosleep(&pause, &pause) != 0)
		;
	if (interrupt_requested())
		return mb_fail(err, MB_CANCELLED, "interrupted");
	/* The handler's cancel request is for a server process that is gone. */
	interrupt_set_connection(NULL);
	PQreset(connection);
	interrupt_set_connection(connection);
	return MB_OK;
}

mb_status
text_source_read(const char *path, PGconn *connection, const text_request *request, const mb_tokenizer *tokenizer,
				 text_counts *counts, mb_error *err)
{
	text_reader reader = {.request = request, .tokenizer = tokenizer, .counts = counts};
	mb_status status = MB_OK;
	int tries = 0;

	for (;;)
	{
		bool connected = PQstatus(connection) == CONNECTION_OK;

		status = connected ? read_once(path, connection, &reader, err) : connection_error(connection, NULL, err);
		if (status != MB_IO || PQstatus(connection) == CONNECTION_OK || tries == TEXT_SOURCE_TRIES)
			break;
		if (connected)
			report_warning("the connection was lost after %lld rows; the query starts again from its first",
						   (long long) counts->read);
		status = reconnect(connection, tries++, err);
		if (status != MB_OK)
			break;
	}
	if (status == MB_IO && PQstatus(connection) != CONNECTION_OK)
		mb_hint(err, "Of %d attempts to read the rows, none came to their end; nothing was trained.", tries + 1);
	free(reader.ids);
	free(reader.row);
	return status;
}
