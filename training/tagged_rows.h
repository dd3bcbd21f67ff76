/*
 * tagged_rows.h - rows of a query: texts with their tags, and an account of every row that could not be used.
 *
 * The rows come one by one from the connection (single-row mode), so that the client holds each once and never the
 * server's whole answer.
 */
#ifndef MOVIEBERT_TOOL_TAGGED_ROWS_H
#define MOVIEBERT_TOOL_TAGGED_ROWS_H

#include <libpq-fe.h>

#include "dictionary.h"
#include "moviebert/infer.h"
#include "split.h"
#include "tag_array.h"

#define TEXT_HASH_BYTES 16

#define SCOPE_ALL (-1)

typedef struct tagged_row
{
	size_t text_at; /* in texts */
	size_t text_size;
	size_t tags_at; /* in tag_ids */
	int32_t n_tags;
	int32_t scope; /* in scopes; SCOPE_ALL: every tag that the row does not have is known to be absent */
	row_part part;
	uint64_t key_hash;
	unsigned char text_hash[TEXT_HASH_BYTES]; /* first bytes of the text's SHA-256 */
} tagged_row;

/* What happened to the rows of one part's query; nothing is dropped without being in here. */
typedef struct row_counts
{
	int64_t read;
	int64_t used;
	int64_t null_text;     /* not used */
	int64_t empty_text;    /* not used: nothing but white space */
	int64_t null_tags;     /* not used: unknown is not "none" */
	int64_t no_tags;       /* used, as a row that has none of the tags */
	int64_t null_key;      /* used, split by their text */
	int64_t null_elements; /* NULL or empty strings among the tags, ignored */
	int64_t repeated_tags; /* the same tag twice in one row, counted once */
	int64_t scoped;        /* used, with a scope: of the tags outside it nothing is known */
} row_counts;

/*
 * The tags that a row's source could have given.  Rows of one catalogue have the same, so each is kept once.  A tag
 * that is in the scope and not in the row is absent; of one outside it nothing is known.
 */
typedef struct tag_scope
{
	size_t names_at; /* in scope_names: numbers in scope_words */
	int32_t n_names;
} tag_scope;

typedef struct tagged_rows
{
	tagged_row *rows; /* [n] */
	size_t n;
	size_t capacity;
	char *texts;
	size_t texts_used;
	size_t texts_capacity;
	int32_t *tag_ids;
	size_t tags_used;
	size_t tags_capacity;
	dictionary tags;
	dictionary scope_texts; /* a scope's array as the server wrote it -> its number */
	dictionary scope_words; /* the tags' names in scopes */
	tag_scope *scopes;      /* [scope_texts.n] */
	size_t scopes_capacity;
	int32_t *scope_names;
	size_t scope_names_used;
	size_t scope_names_capacity;
	row_counts counts;
} tagged_rows;

typedef struct query_columns
{
	const char *text;  /* NULL: the first column that is not named for something else */
	const char *tags;  /* NULL: the second that is not the key or the scope; the first where the second is the text */
	const char *key;   /* NULL: the text itself */
	const char *scope; /* NULL: of each row all is known */
} query_columns;

/* Puts rows into parts: all into one, or by hash. */
typedef struct part_rule
{
	bool by_hash;
	row_part part; /* when not by_hash */
	double validation;
	double test;
	int64_t seed;
} part_rule;

/*
 * Runs sql and appends its rows.  Errors: what the server says; a column that is absent or of the wrong type, with the
 * list of those present; a malformed array, with the row's number.
 */
mb_status tagged_rows_read(tagged_rows *rows, PGconn *connection, const char *sql, const query_columns *columns,
						   const part_rule *rule, bool silent, mb_error *err);

/* Adds one row; for tests and for readers other than a connection. */
void tagged_rows_add(tagged_rows *rows, const char *text, size_t text_size, const int32_t *tag_ids, int32_t n_tags,
					 int32_t scope, row_part part, uint64_t key_hash);

/* The number of the scope with these names; text tells scopes apart. */
int32_t tagged_rows_scope(tagged_rows *rows, const char *text, const tag_array *names);

/* Keys, and texts, that appear in more than one part. */
void tagged_rows_leakage(const tagged_rows *rows, int64_t *keys, int64_t *texts);

static inline mb_text
tagged_rows_text(const tagged_rows *rows, size_t i)
{
	return (mb_text){rows->texts + rows->rows[i].text_at, rows->rows[i].text_size};
}

/* One line on stderr for each kind of row that was left out or treated specially. */
void tagged_rows_report(const row_counts *counts, const char *what);

void tagged_rows_release(tagged_rows *rows);

#endif
