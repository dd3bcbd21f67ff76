/*
 * text_source.h - reading a query's texts into a token store: once, before training, so that training needs no connection.
 *
 * Every row is accounted for.  A text's part is decided by a hash of its key (split.h) and kept in the store.  Memory
 * holds one row and the store's nine bytes per text.
 */
#ifndef MOVIEBERT_TOOL_TEXT_SOURCE_H
#define MOVIEBERT_TOOL_TEXT_SOURCE_H

#include <libpq-fe.h>

#include "moviebert/tokenizer.h"
#include "token_store.h"

typedef struct text_request
{
	const char *query;
	const char *text_column; /* NULL: the first that is text and not the key */
	const char *key_column;  /* what the split goes by; NULL: the text itself */
	double validation;       /* share of the validation part */
	int64_t seed;            /* of the split */
	bool silent;
} text_request;

typedef struct text_counts
{
	int64_t read, used, null_text, empty_text;
	int64_t null_key;  /* used, split by their text */
	int64_t no_tokens; /* used, but nothing of them is left (only control characters, ...) */
} text_counts;

/*
 * Runs the query and writes the store at path, which appears when all is well; open it with token_store_open.  Reports the
 * rows on stderr unless silent.
 *
 * If the connection is lost, it is opened again and the query run from its start, into a store begun anew: a query
 * without ORDER BY may give its rows in another order, so that nothing can be gone on with; and reading takes minutes at
 * most, where training takes hours.  After TEXT_SOURCE_TRIES losses, or about a minute without a server, it is an error.
 *
 * Errors: those of query_rows_read and of token_store.h; MB_INVALID_UTF8 with the row's number; MB_INVALID_ARGUMENT
 * (column absent or not text, no row with a text).
 */
mb_status text_source_read(const char *path, PGconn *connection, const text_request *request,
						   const mb_tokenizer *tokenizer, text_counts *counts, mb_error *err);

#define TEXT_SOURCE_TRIES 6

/* White space between words is ASCII's here: these counts are for bits per character and tokens per word. */
text_size text_measure(const char *text, size_t bytes);

#endif
