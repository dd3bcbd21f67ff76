/* query_rows.c - describing a query, running it, and handing over its rows. */
#include "query_rows.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "interrupt.h"
#include "memory.h"
#include "progress.h"
#include "report.h"

bool
is_text_type(Oid type)
{
	return type == OID_TEXT || type == OID_NAME || type == OID_BPCHAR || type == OID_VARCHAR || type == OID_UNKNOWN;
}

bool
text_is_blank(const char *text, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\n' && text[i] != '\r' && text[i] != '\v' &&
			text[i] != '\f')
			return false;
	return true;
}

void
add_row_number(mb_error *err, int64_t number)
{
	size_t used = strlen(err->detail);

	snprintf(err->detail + used, sizeof(err->detail) - used, "%sIt is in row %lld of the query.", used > 0 ? "  " : "",
			 (long long) number);
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static void
list_columns(const PGresult *result, string_buffer *list)
{
	int i;

	string_add(list, "", 0);
	for (i = 0; i < PQnfields(result); i++)
		string_printf(list, "%s\"%s\"", i > 0 ? ", " : "", PQfname(result, i));
}

static mb_status
no_such_column(const PGresult *result, const char *role, const char *option, const char *name, mb_error *err)
{
	string_buffer list = {0};

	list_columns(result, &list);
	if (name != NULL)
		mb_fail(err, MB_INVALID_ARGUMENT, "the query has no column \"%s\" for the %s", name, role);
	else
		mb_fail(err, MB_INVALID_ARGUMENT, "the query has no column for the %s", role);
	mb_detail(err, "Its columns are: %s.", list.data);
	if (name != NULL)
		mb_hint(err, "Name one of them with --%s.", option);
	else
		mb_hint(err, "Select the text first and the tags second, or name the columns with --text and --tags.");
	string_release(&list);
	return MB_INVALID_ARGUMENT;
}

/* By name, exactly; the same name twice is an error. -1 absent, -2 ambiguous. */
static int
find_column(const PGresult *result, const char *name)
{
	int found = -1;
	int i;

	for (i = 0; i < PQnfields(result); i++)
		if (strcmp(PQfname(result, i), name) == 0)
		{
			if (found >= 0)
				return -2;
			found = i;
		}
	return found;
}

mb_status
query_column(const PGresult *result, const char *role, const char *option, const char *name, int position, int *column,
			 mb_error *err)
{
	if (name == NULL)
		*column = position < PQnfields(result) ? position : -1;
	else
		*column = find_column(result, name);
	if (*column == -2)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the query has more than one column \"%s\"", name);
		mb_hint(err, "Give them different names with AS.");
		return MB_INVALID_ARGUMENT;
	}
	return *column < 0 ? no_such_column(result, role, option, name, err) : MB_OK;
}

int
query_free_column(const PGresult *result, int nth, const int *taken, size_t n_taken)
{
	int column;

	for (column = 0; column < PQnfields(result); column++)
	{
		size_t i;

		for (i = 0; i < n_taken && taken[i] != column; i++)
			;
		if (i == n_taken && nth-- == 0)
			break;
	}
	return column;
}

int
query_first_text(const PGresult *result, int taken)
{
	int column = 0;

	while (column < PQnfields(result) && (column == taken || !is_text_type(PQftype(result, column))))
		column++;
	return column < PQnfields(result) ? column : query_free_column(result, 0, &taken, 1);
}

void
note_text_column(const PGresult *result, const char *name, int column, int taken)
{
	int other;

	if (name != NULL)
		return;
	for (other = 0; other < PQnfields(result); other++)
		if (other != column && other != taken && is_text_type(PQftype(result, other)))
		{
			report_note("Texts are taken from column \"%s\", not from \"%s\": --text names another",
						PQfname(result, column), PQfname(result, other));
			return;
		}
}

void
detail_column_type(PGconn *connection, const PGresult *result, int column, mb_error *err)
{
	char oid[16], modifier[16];
	const char *parameters[2] = {oid, modifier};
	mb_error ignored = {0};
	PGresult *named;

	snprintf(oid, sizeof(oid), "%u", PQftype(result, column));
	snprintf(modifier, sizeof(modifier), "%d", PQfmod(result, column));
	if (connection_query(connection, "SELECT pg_catalog.format_type($1::pg_catalog.oid, $2::pg_catalog.int4)", 2,
						 parameters, &named, &ignored) != MB_OK)
		return;
	mb_detail(err, "The column has type %s.", PQgetvalue(named, 0, 0));
	PQclear(named);
}

mb_status
query_text_column(PGconn *connection, const PGresult *result, const char *name, int position, int *column,
				  mb_error *err)
{
	mb_status status = query_column(result, "text", "text", name, position, column, err);

	if (status != MB_OK || is_text_type(PQftype(result, *column)))
		return status;
	mb_fail(err, MB_INVALID_ARGUMENT, "column \"%s\" is not of type text", PQfname(result, *column));
	detail_column_type(connection, result, *column, err);
	mb_hint(err, "Cast it to text in the query, or name another column with --text.");
	return MB_INVALID_ARGUMENT;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/*
 * Parses sql without running it and gives its columns.  Parse and Describe go in one pipeline, because a pooler between
 * us and the server keeps them together only so.
 */
static mb_status
describe_query(PGconn *connection, const char *sql, PGresult **described, mb_error *err)
{
	mb_status status = MB_OK;
	bool synchronised = false;

	*described = NULL;
	if (!PQenterPipelineMode(connection) || !PQsendPrepare(connection, "", sql, 0, NULL) ||
		!PQsendDescribePrepared(connection, "") || !PQpipelineSync(connection))
		return connection_error(connection, NULL, err);
	while (!synchronised && PQstatus(connection) == CONNECTION_OK)
	{
		PGresult *result = PQgetResult(connection); /* NULL parts the results of one step from those of the next */
		ExecStatusType got = result != NULL ? PQresultStatus(result) : PGRES_COMMAND_OK;

		synchronised = got == PGRES_PIPELINE_SYNC;
		if (got != PGRES_COMMAND_OK && got != PGRES_PIPELINE_SYNC && got != PGRES_PIPELINE_ABORTED && status == MB_OK)
			status = connection_error(connection, result, err);
		/* The last step's result before the synchronisation is the description. */
		if (result != NULL && got == PGRES_COMMAND_OK)
		{
			PQclear(*described);
			*described = result;
		}
		else
			PQclear(result);
	}
	if (status == MB_OK && (!synchronised || !PQexitPipelineMode(connection)))
		status = connection_error(connection, NULL, err);
	else if (synchronised)
		(void) PQexitPipelineMode(connection);
	if (status != MB_OK)
	{
		PQclear(*described);
		*described = NULL;
	}
	return status;
}

static mb_status
check_columns(PGconn *connection, const char *sql, const row_handler *handler, mb_error *err)
{
	PGresult *described;
	mb_status status = describe_query(connection, sql, &described, err);

	if (status != MB_OK)
		return status;
	if (PQnfields(described) == 0)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "the query returns no rows");
		mb_hint(err, "Give a SELECT that returns %s.", handler->wanted);
	}
	else
		status = handler->columns(handler->arg, connection, described, err);
	PQclear(described);
	return status;
}

/* Cancels what is still running and reads the connection empty, so that it can be used again. */
static void
abandon_query(PGconn *connection)
{
	PGcancel *cancel = PQgetCancel(connection);
	PGresult *result;
	char message[256];

	if (cancel != NULL)
	{
		(void) PQcancel(cancel, message, sizeof(message));
		PQfreeCancel(cancel);
	}
	while ((result = PQgetResult(connection)) != NULL)
		PQclear(result);
}

/* What the server says of a query that would change something says nothing of whose wish it was that it may not. */
static void
hint_read_only(const PGresult *result, mb_error *err)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (sqlstate != NULL && strcmp(sqlstate, "25006") == 0)
		mb_hint(err, "The tool only reads: give a query that changes nothing.");
}

/* So that the row at fault can be found: a division by zero, bytes that are not UTF-8, ... */
static void
detail_rows_before(int64_t n, mb_error *err)
{
	size_t used = strlen(err->detail);

	if (n > 0)
		snprintf(err->detail + used, sizeof(err->detail) - used, "%sThe query gave %lld rows before that.",
				 used > 0 ? "  " : "", (long long) n);
}

static mb_status
read_rows(PGconn *connection, const char *sql, const row_handler *handler, bool silent, mb_error *err)
{
	PGresult *result;
	mb_status status = check_columns(connection, sql, handler, err);
	int64_t n = 0;
	progress bar;

	if (status != MB_OK)
		return status;
	/* The extended protocol runs exactly one command: a query with a second command behind it is refused. */
	if (!PQsendQueryParams(connection, sql, 0, NULL, NULL, NULL, NULL, 0) || !PQsetSingleRowMode(connection))
		return connection_error(connection, NULL, err);
	progress_start(&bar, "Reading", "rows", 0, silent);
	while ((result = PQgetResult(connection)) != NULL)
	{
		ExecStatusType got = PQresultStatus(result);

		if (got == PGRES_SINGLE_TUPLE)
			status = handler->row(handler->arg, result, ++n, err);
		else if (got != PGRES_TUPLES_OK)
		{
			status = connection_error(connection, result, err);
			hint_read_only(result, err);
			detail_rows_before(n, err);
		}
		PQclear(result);
		if (status == MB_OK && interrupt_requested())
			status = mb_fail(err, MB_CANCELLED, "interrupted");
		if (status != MB_OK)
		{
			abandon_query(connection);
			return status;
		}
		progress_update(&bar, (uint64_t) n);
	}
	progress_finish(&bar, (uint64_t) n);
	return MB_OK;
}

mb_status
query_rows_read(PGconn *connection, const char *sql, const row_handler *handler, bool silent, mb_error *err)
{
	mb_error ignored = {0};
	mb_status status =
		connection_command(connection, "BEGIN READ ONLY; SET LOCAL synchronize_seqscans = off", err);

	if (status != MB_OK)
		return status;
	status = read_rows(connection, sql, handler, silent, err);
	if (status == MB_OK)
		return connection_command(connection, "COMMIT", err);
	(void) connection_command(connection, "ROLLBACK", &ignored);
	return status;
}

int64_t
query_rows_estimate(PGconn *connection, const char *sql)
{
	string_buffer explain = {0};
	PGresult *result = NULL;
	mb_error ignored = {0};
	json_t *plan = NULL;
	int64_t rows = -1;

	string_printf(&explain, "EXPLAIN (FORMAT JSON) %s", sql);
	if (connection_query(connection, explain.data, 0, NULL, &result, &ignored) == MB_OK && PQntuples(result) == 1)
		plan = json_loads(PQgetvalue(result, 0, 0), 0, NULL);
	if (plan != NULL)
	{
		json_t *expected = json_object_get(json_object_get(json_array_get(plan, 0), "Plan"), "Plan Rows");

		if (json_is_number(expected))
			rows = (int64_t) json_number_value(expected);
	}
	json_decref(plan);
	PQclear(result);
	string_release(&explain);
	return rows;
}
