/* vocab_words.c - from a query's rows to counted words. */
#include <string.h>

#include "interrupt.h"
#include "query_rows.h"
#include "report.h"
#include "vocab.h"

typedef struct word_reader
{
	vocab_words *words;
	const vocab_request *request;
	int column;
} word_reader;

static mb_status
read_columns(void *arg, PGconn *connection, const PGresult *described, mb_error *err)
{
	word_reader *reader = arg;
	const char *name = reader->request->text_column;
	mb_status status =
		query_text_column(connection, described, name, query_first_text(described, -1), &reader->column, err);

	if (status == MB_OK)
		note_text_column(described, name, reader->column, -1);
	return status;
}

static void
add_word(void *arg, const char *word, size_t bytes, bool too_long)
{
	vocab_words *words = arg;

	if (too_long)
		words->too_long++;
	else
		word_counts_add(&words->counts, word, bytes, 1);
}

static mb_status
read_row(void *arg, const PGresult *result, int64_t number, mb_error *err)
{
	word_reader *reader = arg;
	vocab_words *words = reader->words;
	const char *text;
	size_t size;
	mb_status status;

	words->rows_read = number;
	if (PQgetisnull(result, 0, reader->column))
	{
		words->null_text++;
		return MB_OK;
	}
	text = PQgetvalue(result, 0, reader->column);
	size = (size_t) PQgetlength(result, 0, reader->column);
	if (text_is_blank(text, size))
	{
		words->empty_text++;
		return MB_OK;
	}
	status = mb_split_words(&reader->request->split, text, size, add_word, words, &tool_interrupt, err);
	if (status == MB_INVALID_UTF8)
		add_row_number(err, number);
	words->rows_used++;
	return status;
}

static void
report_rows(const vocab_words *words)
{
	char number[32];

	report_note("Rows: %s read", format_count(number, sizeof(number), words->rows_read));
	report_note("  %10s  used", format_count(number, sizeof(number), words->rows_used));
	if (words->null_text > 0)
		report_note("  %10s  left out: the text is NULL", format_count(number, sizeof(number), words->null_text));
	if (words->empty_text > 0)
		report_note("  %10s  left out: the text is empty", format_count(number, sizeof(number), words->empty_text));
}

static void
warn_forgotten(const word_counts *counts)
{
	char words[32], occurrences[32], undercount[32];

	if (counts->forgotten_words == 0)
		return;
	report_warning("too many distinct words: %s of the rarest were forgotten, seen %s times; no other count is short "
				   "by more than %s",
				   format_count(words, sizeof(words), (long long) counts->forgotten_words),
				   format_count(occurrences, sizeof(occurrences), (long long) counts->forgotten_occurrences),
				   format_count(undercount, sizeof(undercount), (long long) counts->undercount));
}

mb_status
vocab_words_read(vocab_words *words, PGconn *connection, const vocab_request *request, mb_error *err)
{
	word_reader reader = {words, request, 0};
	const row_handler handler = {read_columns, read_row, &reader, "a text"};
	mb_status status;

	memset(words, 0, sizeof(*words));
	word_counts_start(&words->counts, request->max_words);
	status = query_rows_read(connection, request->query, &handler, request->silent, err);
	if (status != MB_OK)
		return status;
	report_rows(words);
	if (words->rows_used == 0)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "the query gave no row with a text");
		mb_hint(err, "Check the query's WHERE clause, or name another column with --text.");
		return status;
	}
	if (words->counts.n == 0)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "the texts have no words to learn from");
		mb_hint(err, "Check which column is read: --text names another.");
		return status;
	}
	warn_forgotten(&words->counts);
	word_counts_sort(&words->counts);
	return MB_OK;
}

void
vocab_words_release(vocab_words *words)
{
	word_counts_release(&words->counts);
}
