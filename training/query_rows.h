/*
 * query_rows.h - the rows of a query, one by one, and its columns by name or place.
 *
 * Rows come in single-row mode: the client holds each once and never the server's whole answer.  Columns are looked at
 * before the query runs, so that a wrong name or type does not cost the hours of a long query.
 */
#ifndef MOVIEBERT_TOOL_QUERY_ROWS_H
#define MOVIEBERT_TOOL_QUERY_ROWS_H

#include <libpq-fe.h>
#include <stdint.h>

#include "moviebert/status.h"

/* Type oids from the server's catalogue (src/include/catalog/pg_type.dat); they never change. */
enum
{
	OID_TEXT = 25,
	OID_NAME = 19,
	OID_BPCHAR = 1042,
	OID_VARCHAR = 1043,
	OID_UNKNOWN = 705,
	OID_JSON = 114,
	OID_JSONB = 3802,
	OID_TEXT_ARRAY = 1009,
	OID_NAME_ARRAY = 1003,
	OID_BPCHAR_ARRAY = 1014,
	OID_VARCHAR_ARRAY = 1015
};

bool is_text_type(Oid type);

/* "The column has type integer.", after the server's own name for it. */
void detail_column_type(PGconn *connection, const PGresult *result, int column, mb_error *err);

/*
 * The place of the column that plays a role ("text", "tags", ...): the one called name, or, with name NULL, the one at
 * position.  option is what names it on the command line.  Errors: absent, with the list of those present; ambiguous.
 */
mb_status query_column(const PGresult *result, const char *role, const char *option, const char *name, int position,
					   int *column, mb_error *err);

/* The nth column, from 0, of those whose places are not in taken (-1 there: none); the number of columns if none is. */
int query_free_column(const PGresult *result, int nth, const int *taken, size_t n_taken);

/* The first column that is text, other than taken (-1: none); else the first free one, for the error that it gives. */
int query_first_text(const PGresult *result, int taken);

/* Notes which column the texts come from, where no option names it and the query has more of type text than that. */
void note_text_column(const PGresult *result, const char *name, int column, int taken);

/* The column of texts, which must be of a text type; --text names it. */
mb_status query_text_column(PGconn *connection, const PGresult *result, const char *name, int position, int *column,
							mb_error *err);

typedef struct row_handler
{
	/* Called once, before the query runs, with a result that has columns and no rows; the connection is idle. */
	mb_status (*columns)(void *arg, PGconn *connection, const PGresult *described, mb_error *err);
	/* Called for each row, which is row 0 of its result; number counts from 1. */
	mb_status (*row)(void *arg, const PGresult *result, int64_t number, mb_error *err);
	void *arg;
	const char *wanted; /* what such a query returns, for the hint when this one returns nothing: "a text" */
} row_handler;

/*
 * Runs sql, which is one command that returns rows, in a transaction that can only read, and in which a scan of a large
 * table does not begin where another one happens to be: the same query of the same table gives its rows in the same order,
 * as in pg_dump.  Errors: what the server says; a command without rows; the handler's own; MB_CANCELLED.
 */
mb_status query_rows_read(PGconn *connection, const char *sql, const row_handler *handler, bool silent, mb_error *err);

/* How many rows the server's planner expects of sql, or -1 if it does not say. */
int64_t query_rows_estimate(PGconn *connection, const char *sql);

/* Nothing but ASCII white space. */
bool text_is_blank(const char *text, size_t size);

/* "It is in row N of the query.", after whatever detail err has. */
void add_row_number(mb_error *err, int64_t number);

#endif
