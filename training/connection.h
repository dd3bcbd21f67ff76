/*
 * connection.h - one libpq connection: psql's options, the version handshake, queries with errors in our shape.
 */
#ifndef MOVIEBERT_TOOL_CONNECTION_H
#define MOVIEBERT_TOOL_CONNECTION_H

#include <libpq-fe.h>

#include "moviebert/status.h"
#include "options.h"

typedef struct connection_options
{
	const char *dbname; /* a name, a conninfo string or a URI, as psql's -d */
	const char *host;
	const char *port;
	const char *user;
	bool no_password; /* -w */
} connection_options;

/* The lines of an options table for a connection_options variable. */
#define CONNECTION_OPTIONS(c)                                                                                          \
	OPTION_HELP_HEADING(                                                                                               \
		"Connection options, as psql's (environment: PGHOST, PGPORT, PGUSER, PGDATABASE, PGSERVICE, ...)"),            \
		{OPTION_STRING,                                                                                                \
		 "dbname",                                                                                                     \
		 'd',                                                                                                          \
		 "NAME",                                                                                                       \
		 NULL,                                                                                                         \
		 &(c).dbname,                                                                                                  \
		 0,                                                                                                            \
		 0,                                                                                                            \
		 "database, or a whole \"conninfo string\" or URI"},                                                           \
		{OPTION_STRING, "host", 'h', "HOST", NULL, &(c).host, 0, 0, "server or directory of its socket"},              \
		{OPTION_STRING, "port", 'p', "PORT", NULL, &(c).port, 0, 0, "port"},                                           \
		{OPTION_STRING, "username", 'U', "NAME", NULL, &(c).user, 0, 0, "role"},                                       \
	{                                                                                                                  \
		OPTION_FLAG, "no-password", 'w', NULL, NULL, &(c).no_password, 0, 0, "never ask for a password"                \
	}

/*
 * Connects, with UTF-8 as client encoding and our signal handler's cancel request armed.  Returns TOOL_OK, or an exit
 * code after reporting the error.
 */
int connection_open(const connection_options *options, PGconn **connection);
void connection_close(PGconn *connection); /* NULL is fine */

/*
 * Finds the extension in this database and compares versions: its library's and its objects' with the tool's.  *schema
 * (the caller's to free) becomes its schema, quoted for use in SQL.  A database without it is refused if it is needed;
 * else, or if this role may not use it, *schema becomes NULL.  Returns TOOL_OK, or an exit code after reporting.
 */
int connection_handshake(PGconn *connection, bool needed, char **schema);

/* Fills err from a failed result (or from the connection when result is NULL). A cancelled query is MB_CANCELLED. */
mb_status connection_error(PGconn *connection, const PGresult *result, mb_error *err);

/* Runs a command that returns no rows that matter. */
mb_status connection_command(PGconn *connection, const char *sql, mb_error *err);

/* Runs a query with text parameters and gives its rows; *result is the caller's to PQclear. */
mb_status connection_query(PGconn *connection, const char *sql, int n_parameters, const char *const *parameters,
						   PGresult **result, mb_error *err);

/* Whether the last error that connection_error saw came of what others were doing at the same time. */
bool connection_error_is_transient(void);

/* Whether it was that this role may not. */
bool connection_error_is_privilege(void);

#endif
