/*
 * command_install.c - moviebert install: a model file becomes rows of a database, over the ordinary connection.
 *
 * One transaction: the chunks by binary COPY, then bert_register_model, which checks them.  Anything that goes wrong,
 * Ctrl-C included, rolls all of it back.
 */
#include "commands.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "describe.h"
#include "interrupt.h"
#include "memory.h"
#include "model_source.h"
#include "progress.h"
#include "report.h"

#define INSTALL_ATTEMPTS 3

static void
put_u16(string_buffer *out, unsigned value)
{
	const char bytes[2] = {(char) (value >> 8), (char) value};

	string_add(out, bytes, 2);
}

static void
put_u32(string_buffer *out, uint32_t value)
{
	const char bytes[4] = {(char) (value >> 24), (char) (value >> 16), (char) (value >> 8), (char) value};

	string_add(out, bytes, 4);
}

/* One row of the binary COPY format: (sha256 text, seq integer, data bytea). */
static void
put_chunk(string_buffer *out, const char *sha256_text, uint32_t seq, const char *data, size_t size)
{
	out->size = 0;
	put_u16(out, 3);
	put_u32(out, (uint32_t) strlen(sha256_text));
	string_add(out, sha256_text, strlen(sha256_text));
	put_u32(out, 4);
	put_u32(out, seq);
	put_u32(out, (uint32_t) size);
	string_add(out, data, size);
}

static mb_status
copy_chunks(PGconn *connection, const char *schema, const model_source *source, mb_error *err)
{
	/* Signature, flags, and length of a header extension (manual of COPY, "Binary Format"). */
	static const char header[] = "PGCOPY\n\377\r\n\0" "\0\0\0\0" "\0\0\0\0";
	string_buffer sql = {0}, row = {0};
	mb_status status = MB_OK;
	PGresult *result;
	progress bar;
	size_t at = 0;
	uint32_t seq = 0;

	string_printf(&sql, "COPY %s.bert_model_chunk (sha256, seq, data) FROM STDIN (FORMAT binary)", schema);
	result = PQexec(connection, sql.data);
	string_release(&sql);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		status = connection_error(connection, result, err);
	PQclear(result);
	if (status != MB_OK)
		return status;
	progress_start(&bar, "Installing", "bytes", source->size, false);
	if (PQputCopyData(connection, header, sizeof(header) - 1) != 1)
		status = connection_error(connection, NULL, err);
	for (at = 0; at < source->size && status == MB_OK; seq++)
	{
		size_t size = source->size - at < MB_CHUNK_SIZE ? source->size - at : MB_CHUNK_SIZE;

		put_chunk(&row, source->sha256, seq, (const char *) source->data + at, size);
		if (interrupt_requested())
			status = mb_fail(err, MB_CANCELLED, "interrupted");
		else if (PQputCopyData(connection, row.data, (int) row.size) != 1)
			status = connection_error(connection, NULL, err);
		at += size;
		progress_update(&bar, at);
	}
	string_release(&row);
	if (status == MB_OK)
	{
		static const char trailer[2] = {'\377', '\377'};

		if (PQputCopyData(connection, trailer, 2) != 1 || PQputCopyEnd(connection, NULL) != 1)
			status = connection_error(connection, NULL, err);
	}
	else
		(void) PQputCopyEnd(connection, "interrupted");
	while ((result = PQgetResult(connection)) != NULL)
	{
		if (status == MB_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
			status = connection_error(connection, result, err);
		PQclear(result);
	}
	if (status == MB_OK)
		progress_finish(&bar, source->size);
	return status;
}

/* Runs schema.function(parameters) and forgets the result. */
static mb_status
call(PGconn *connection, const char *schema, const char *function, int n_parameters, const char *const *parameters,
	 mb_error *err)
{
	string_buffer sql = {0};
	PGresult *result = NULL;
	mb_status status;
	int i;

	string_printf(&sql, "SELECT %s.%s(", schema, function);
	for (i = 0; i < n_parameters; i++)
		string_printf(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
	string_printf(&sql, ")");
	status = connection_query(connection, sql.data, n_parameters, parameters, &result, err);
	PQclear(result);
	string_release(&sql);
	return status;
}

typedef enum found
{
	FOUND_NOTHING,
	FOUND_CHUNKS, /* the same file under another name */
	FOUND_SAME    /* name and file */
} found;

static mb_status
look(PGconn *connection, const char *schema, const char *name, const char *sha256_text, found *what, mb_error *err)
{
	string_buffer sql = {0};
	const char *parameters[2] = {name, sha256_text};
	PGresult *result;
	mb_status status;

	string_printf(&sql,
				  "SELECT (SELECT sha256 FROM %s.bert_models WHERE name = $1),"
				  " EXISTS (SELECT FROM %s.bert_model_chunk WHERE sha256 = $2)",
				  schema, schema);
	status = connection_query(connection, sql.data, 2, parameters, &result, err);
	string_release(&sql);
	if (status != MB_OK)
		return status;
	*what = PQgetvalue(result, 0, 1)[0] == 't' ? FOUND_CHUNKS : FOUND_NOTHING;
	if (!PQgetisnull(result, 0, 0))
	{
		if (strcmp(PQgetvalue(result, 0, 0), sha256_text) == 0)
			*what = FOUND_SAME;
		else
		{
			status = mb_fail(err, MB_INVALID_ARGUMENT, "model \"%s\" already exists with other contents", name);
			mb_detail(err, "The name stands for SHA-256 %.16s..., the file has %.16s...", PQgetvalue(result, 0, 0),
					  sha256_text);
			mb_hint(err, "Give the new version a name of its own: a name never changes its weights.");
		}
	}
	PQclear(result);
	return status;
}

static mb_status
install_once(PGconn *connection, const char *schema, const char *name, bool make_default, const model_source *source,
			 found *what, mb_error *err)
{
	const char *parameters[2] = {name, source->sha256};
	mb_status status = connection_command(connection, "BEGIN", err);

	if (status == MB_OK)
		status = look(connection, schema, name, source->sha256, what, err);
	if (status == MB_OK && *what == FOUND_NOTHING)
		status = copy_chunks(connection, schema, source, err);
	if (status == MB_OK && *what != FOUND_SAME)
		status = call(connection, schema, "bert_register_model", 2, parameters, err);
	if (status == MB_OK && make_default)
		status = call(connection, schema, "bert_default_model", 1, parameters, err);
	if (status == MB_OK && interrupt_requested())
		status = mb_fail(err, MB_CANCELLED, "interrupted");
	if (status == MB_OK)
		status = connection_command(connection, "COMMIT", err);
	return status;
}

/* What the two tables ask for, as bert_register_model and bert_default_model check it. */
static void
hint_grants(PGconn *connection, const char *schema, bool make_default, mb_error *err)
{
	char *role = PQescapeIdentifier(connection, PQuser(connection), strlen(PQuser(connection)));

	if (role == NULL)
		return;
	if (make_default)
		mb_hint(err,
				"A superuser can run GRANT INSERT ON %s.bert_model, %s.bert_model_chunk TO %s; "
				"GRANT INSERT, UPDATE ON %s.bert_default TO %s;",
				schema, schema, role, schema, role);
	else
		mb_hint(err, "A superuser can run GRANT INSERT ON %s.bert_model, %s.bert_model_chunk TO %s;", schema,
				schema, role);
	PQfreemem(role);
}

/*
 * Looking and copying take no lock that would keep others out: that asks for more rights than INSERT.  Who installs or
 * drops the same file at the same time makes us fail, and the next look finds what they left.
 */
static mb_status
install(PGconn *connection, const char *schema, const char *name, bool make_default, const model_source *source,
		mb_error *err)
{
	found what = FOUND_NOTHING;
	mb_status status = MB_OK;
	bool again = true;

	for (int left = INSTALL_ATTEMPTS; left > 0 && again; left--)
	{
		mb_error ignored;

		status = install_once(connection, schema, name, make_default, source, &what, err);
		again = status == MB_IO && connection_error_is_transient() && !interrupt_requested();
		if (status == MB_IO && connection_error_is_privilege())
			hint_grants(connection, schema, make_default, err);
		if (status != MB_OK)
			(void) connection_command(connection, "ROLLBACK", &ignored);
	}
	if (status == MB_OK)
		printf(what == FOUND_SAME ? "Model \"%s\" was already installed in database \"%s\" (sha256 %.16s...)%s.\n"
								  : "Installed model \"%s\" in database \"%s\" (sha256 %.16s...)%s.\n",
			   name, PQdb(connection), source->sha256, make_default ? ", the default" : "");
	return status;
}

static int
run(int argc, char **argv)
{
	const char *file, *name = NULL;
	bool make_default = false;
	connection_options where = {0};
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "name", 'n', "NAME", NULL, &name, 0, 0, "the model's name in SQL (required)"},
		{OPTION_FLAG, "default", 0, NULL, NULL, &make_default, 0, 0, "make it the database's default model"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	PGconn *connection;
	char *schema = NULL;
	model_source source;
	mb_error err = {0};
	int code = options_parse(&command_install, options, argc, argv, &file);

	if (code >= 0)
		return code;
	if (name == NULL || name[0] == '\0')
		return report_failure(TOOL_USAGE, "Add --name=NAME.", "install needs a name for the model");
	if (model_source_open_file(&source, file, &err) != MB_OK)
		return report_error(&err);
	code = connection_open(&where, &connection);
	if (code == TOOL_OK)
		code = connection_handshake(connection, true, &schema);
	if (code == TOOL_OK && install(connection, schema, name, make_default, &source, &err) != MB_OK)
		code = report_error(&err);
	free(schema);
	connection_close(connection);
	model_source_close(&source);
	return code;
}

const command_spec command_install = {
	"install",
	"FILE",
	1,
	1,
	"put a model file into a database",
	"Sends the model over an ordinary connection, so the server may be anywhere; "
	"one transaction, so that it is there\n"
	"whole or not at all.  The database needs CREATE EXTENSION moviebert, of this "
	"tool's version.  Installing the same file\n"
	"under the same name again changes nothing.",
	"  moviebert install tags.safetensors --name=tags --default -d mydb\n"
	"  moviebert install tags.safetensors --name=tags -d \"host=db.example.org dbname=films user=me sslmode=require\"\n",
	run};
