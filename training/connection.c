/* connection.c - connecting, and what a server's error becomes. */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

#include "interrupt.h"
#include "memory.h"
#include "report.h"

#define MAX_KEYWORDS 8

/* A line from the terminal; false if Ctrl-C came instead.  before: the signals to let in while waiting. */
static bool
read_line(int tty, char *line, size_t size, const sigset_t *before)
{
	ssize_t n = -1;

	while (n < 0 && !interrupt_requested())
	{
		fd_set readable;

		FD_ZERO(&readable);
		FD_SET(tty, &readable);
		if (pselect(tty + 1, &readable, NULL, NULL, NULL, before) > 0)
			n = read(tty, line, size - 1);
		else if (errno != EINTR)
			break;
	}
	line[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/*
 * Asks on the terminal without echo.  Returns NULL when there is no terminal, or no answer.  Signals are let in only
 * while waiting: none gets lost just before it, and none, not even a second Ctrl-C, ends us with the terminal silent.
 */
static char *
ask_password(void)
{
	static const char question[] = "Password: ";
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	struct termios old, silent;
	sigset_t held, before;
	char line[1024];
	char *password = NULL;

	if (tty < 0)
		return NULL;
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &before);
	if (tcgetattr(tty, &old) == 0)
	{
		silent = old;
		silent.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(tty, TCSAFLUSH, &silent);
		if (write(tty, question, sizeof(question) - 1) > 0 && read_line(tty, line, sizeof(line), &before))
			password = copy_bytes(line, strcspn(line, "\n"));
		tcsetattr(tty, TCSAFLUSH, &old);
		(void) !write(tty, "\n", 1);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(tty);
	return password;
}

/* libpq ends its messages with newlines and begins with "connection to server ... failed: ". */
static const char *
one_line(const char *message, char *buffer, size_t size)
{
	size_t length = strlen(message);
	size_t i;

	while (length > 0 && message[length - 1] == '\n')
		length--;
	if (length >= size)
		length = size - 1;
	memcpy(buffer, message, length);
	buffer[length] = '\0';
	for (i = 0; i < length; i++)
		if (buffer[i] == '\n' || buffer[i] == '\t')
			buffer[i] = ' ';
	return buffer;
}

int
connection_open(const connection_options *options, PGconn **connection)
{
	char *password = NULL;
	PGconn *conn;
	char message[700];

	*connection = NULL;
	for (;;)
	{
		const char *keywords[MAX_KEYWORDS];
		const char *values[MAX_KEYWORDS];
		int n = 0;

#define ADD(keyword, value)                                                                                            \
	do                                                                                                                 \
	{                                                                                                                  \
		keywords[n] = keyword;                                                                                         \
		values[n++] = value;                                                                                           \
	} while (0)
		/* Defaults first: with expand_dbname, what a conninfo string says wins over what stands before it. */
		ADD("fallback_application_name", "moviebert");
		ADD("host", options->host);
		ADD("port", options->port);
		ADD("user", options->user);
		ADD("password", password);
		ADD("dbname", options->dbname);
		ADD("client_encoding", "UTF8");
		keywords[n] = NULL;
		values[n] = NULL;
#undef ADD
		conn = PQconnectdbParams(keywords, values, 1);
		if (conn != NULL && PQstatus(conn) == CONNECTION_BAD && PQconnectionNeedsPassword(conn) && password == NULL &&
			!options->no_password)
		{
			password = ask_password();
			if (password != NULL)
			{
				PQfinish(conn);
				continue;
			}
		}
		break;
	}
	free(password);
	if (interrupt_requested())
	{
		mb_error err = {0};

		PQfinish(conn);
		mb_fail(&err, MB_CANCELLED, "interrupted");
		return report_error(&err);
	}
	if (conn == NULL)
		return report_failure(TOOL_CONNECTION, NULL, "out of memory while connecting");
	if (PQstatus(conn) != CONNECTION_OK)
	{
		int code = report_failure(TOOL_CONNECTION,
								  "Give -h, -p, -U and -d as for psql, or set PGHOST, PGPORT, PGUSER and PGDATABASE.",
								  "%s", one_line(PQerrorMessage(conn), message, sizeof(message)));

		PQfinish(conn);
		return code;
	}
	interrupt_set_connection(conn);
	*connection = conn;
	return TOOL_OK;
}

void
connection_close(PGconn *connection)
{
	interrupt_set_connection(NULL);
	if (connection != NULL)
		PQfinish(connection);
}

/* Of the last error, "" if the server did not give it. */
static char last_sqlstate[6];

mb_status
connection_error(PGconn *connection, const PGresult *result, mb_error *err)
{
	const char *field = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	char line[600];

	snprintf(last_sqlstate, sizeof(last_sqlstate), "%s", field != NULL ? field : "");
	if (interrupt_requested())
		return mb_fail(err, MB_CANCELLED, "interrupted");
	field = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	if (field == NULL)
		return mb_fail(err, MB_IO, "%s", one_line(PQerrorMessage(connection), line, sizeof(line)));
	mb_fail(err, MB_IO, "%s", one_line(field, line, sizeof(line)));
	field = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	if (field != NULL)
		mb_detail(err, "%s", one_line(field, line, sizeof(line)));
	else if ((field = PQresultErrorField(result, PG_DIAG_SQLSTATE)) != NULL)
		mb_detail(err, "The server reported SQLSTATE %s.", field);
	field = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	if (field != NULL)
		mb_hint(err, "%s", one_line(field, line, sizeof(line)));
	return MB_IO;
}

/*
 * unique_violation and object_not_in_prerequisite_state: somebody was faster with the same, or took away what we had
 * seen; serialization_failure and deadlock_detected: the server chose us.
 */
bool
connection_error_is_transient(void)
{
	static const char *const transient[] = {"23505", "55000", "40001", "40P01"};
	size_t i;

	for (i = 0; i < sizeof(transient) / sizeof(transient[0]); i++)
		if (strcmp(last_sqlstate, transient[i]) == 0)
			return true;
	return false;
}

bool
connection_error_is_privilege(void)
{
	return strcmp(last_sqlstate, "42501") == 0; /* insufficient_privilege */
}

mb_status
connection_command(PGconn *connection, const char *sql, mb_error *err)
{
	PGresult *result = PQexec(connection, sql);
	ExecStatusType got = PQresultStatus(result);
	mb_status status = MB_OK;

	if (got != PGRES_COMMAND_OK && got != PGRES_TUPLES_OK)
		status = connection_error(connection, result, err);
	PQclear(result);
	return status;
}

mb_status
connection_query(PGconn *connection, const char *sql, int n_parameters, const char *const *parameters,
				 PGresult **result, mb_error *err)
{
	mb_status status;

	*result = PQexecParams(connection, sql, n_parameters, NULL, parameters, NULL, NULL, 0);
	if (PQresultStatus(*result) == PGRES_TUPLES_OK)
		return MB_OK;
	status = connection_error(connection, *result, err);
	PQclear(*result);
	*result = NULL;
	return status;
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

/* The extension's row, and whether this role may use its schema. */
static mb_status
find_extension(PGconn *connection, PGresult **result, mb_error *err)
{
	return connection_query(connection,
							"SELECT n.nspname, e.extversion, pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
							" FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
							" WHERE e.extname = 'moviebert'",
							0, NULL, result, err);
}

static int
compare_versions(PGconn *connection, const char *schema, const char *objects)
{
	string_buffer sql = {0};
	PGresult *result;
	mb_error err = {0};
	mb_status status;
	int code = TOOL_OK;

	string_printf(&sql, "SELECT %s.bert_version()", schema);
	status = connection_query(connection, sql.data, 0, NULL, &result, &err);
	string_release(&sql);
	if (status != MB_OK)
		return report_error(&err);
	if (strcmp(PQgetvalue(result, 0, 0), MOVIEBERT_VERSION) != 0)
		code = report_failure(TOOL_CONNECTION,
							  "Use the tool of the server's version, or install this version's extension on the server "
							  "and run ALTER EXTENSION moviebert UPDATE;",
							  "this tool is version %s, but the server's moviebert is version %s", MOVIEBERT_VERSION,
							  PQgetvalue(result, 0, 0));
	else if (strcmp(objects, MOVIEBERT_VERSION) != 0)
		code = report_failure(TOOL_CONNECTION, "Run ALTER EXTENSION moviebert UPDATE; in that database.",
							  "the extension moviebert in database \"%s\" is still version %s, but the server has "
							  "version %s",
							  PQdb(connection), objects, MOVIEBERT_VERSION);
	PQclear(result);
	return code;
}

int
connection_handshake(PGconn *connection, bool needed, char **schema)
{
	mb_error err = {0};
	PGresult *result;
	char *quoted;
	int code;

	*schema = NULL;
	if (find_extension(connection, &result, &err) != MB_OK)
		return report_error(&err);
	if (PQntuples(result) == 0 || (!needed && PQgetvalue(result, 0, 2)[0] != 't'))
	{
		PQclear(result);
		return needed ? report_failure(TOOL_CONNECTION, "Run CREATE EXTENSION moviebert; in that database first.",
									   "database \"%s\" does not have the extension moviebert", PQdb(connection))
					  : TOOL_OK;
	}
	quoted = PQescapeIdentifier(connection, PQgetvalue(result, 0, 0), strlen(PQgetvalue(result, 0, 0)));
	if (quoted == NULL)
		code = report_failure(TOOL_FAILED, NULL, "out of memory");
	else
		code = compare_versions(connection, quoted, PQgetvalue(result, 0, 1));
	PQclear(result);
	if (code == TOOL_OK)
		*schema = copy_string(quoted);
	PQfreemem(quoted);
	return code;
}
