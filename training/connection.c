/* connection.c - connecting, and what a server's error becomes. */
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "interrupt.h"
#include "memory.h"
#include "report.h"

#define MAX_KEYWORDS 8

/* Asks on the terminal without echo.  Returns NULL when there is no terminal. */
static char *
ask_password(void)
{
	FILE *tty = fopen("/dev/tty", "r+");
	struct termios old, silent;
	char line[1024];
	char *password = NULL;

	if (tty == NULL)
		return NULL;
	fputs("Password: ", tty);
	fflush(tty);
	if (tcgetattr(fileno(tty), &old) == 0)
	{
		silent = old;
		silent.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(fileno(tty), TCSAFLUSH, &silent);
		if (fgets(line, sizeof(line), tty) != NULL)
			password = copy_bytes(line, strcspn(line, "\n"));
		tcsetattr(fileno(tty), TCSAFLUSH, &old);
		fputc('\n', tty);
	}
	fclose(tty);
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

mb_status
connection_error(PGconn *connection, const PGresult *result, mb_error *err)
{
	const char *field;
	char line[600];

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

int
connection_handshake(PGconn *connection, char **schema)
{
	mb_error err = {0};
	PGresult *result;
	string_buffer sql = {0};
	char *quoted;
	int code = TOOL_OK;

	*schema = NULL;
	if (connection_query(connection,
						 "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n"
						 " ON n.oid = e.extnamespace WHERE e.extname = 'moviebert'",
						 0, NULL, &result, &err) != MB_OK)
		return report_error(&err);
	if (PQntuples(result) == 0)
	{
		PQclear(result);
		return report_failure(TOOL_CONNECTION, "Run CREATE EXTENSION moviebert; in that database first.",
							  "database \"%s\" does not have the extension moviebert", PQdb(connection));
	}
	quoted = PQescapeIdentifier(connection, PQgetvalue(result, 0, 0), strlen(PQgetvalue(result, 0, 0)));
	PQclear(result);
	if (quoted == NULL)
		return report_failure(TOOL_FAILED, NULL, "out of memory");
	*schema = copy_string(quoted);
	PQfreemem(quoted);
	string_printf(&sql, "SELECT %s.bert_version()", *schema);
	if (connection_query(connection, sql.data, 0, NULL, &result, &err) != MB_OK)
		code = report_error(&err);
	else
	{
		const char *version = PQgetvalue(result, 0, 0);

		if (strcmp(version, MOVIEBERT_VERSION) != 0)
			code = report_failure(
				TOOL_CONNECTION,
				"Use the tool of the server's version, or install this version's extension on the server "
				"and run ALTER EXTENSION moviebert UPDATE;",
				"this tool is version %s, but the server's moviebert is version %s", MOVIEBERT_VERSION, version);
		PQclear(result);
	}
	string_release(&sql);
	if (code != TOOL_OK)
	{
		free(*schema);
		*schema = NULL;
	}
	return code;
}

char *
qualified_name(const char *quoted_schema, const char *name)
{
	string_buffer buffer = {0};

	string_printf(&buffer, "%s.%s", quoted_schema, name);
	return buffer.data;
}
