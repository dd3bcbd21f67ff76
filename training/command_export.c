/* command_export.c - moviebert export: a folder for transformers and sentence-transformers. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "connection.h"
#include "model_source.h"
#include "report.h"

static int
run(int argc, char **argv)
{
	const char *file, *output = NULL, *name = NULL;
	bool as_tagger = false;
	connection_options where = {0};
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "output", 'o', "FOLDER", NULL, &output, 0, 0, "the folder to write: new, or empty (required)"},
		{OPTION_STRING, "from-database", 0, "NAME", NULL, &name, 0, 0,
		 "take the installed model NAME instead of a file"},
		{OPTION_FLAG, "as-tagger", 0, NULL, NULL, &as_tagger, 0, 0,
		 "add the tag head as a sentence-transformers Dense module:\nencode() then gives the tags' logits"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	PGconn *connection = NULL;
	char *schema = NULL;
	model_source source;
	mb_error err = {0};
	mb_status status;
	int code = options_parse(&command_export, options, argc, argv, &file);

	if (code >= 0)
		return code;
	if ((file == NULL) == (name == NULL))
		return report_failure(TOOL_USAGE, "Give a model file, or --from-database=NAME.",
							  "export needs one model, from a file or from a database");
	if (output == NULL)
		return report_failure(TOOL_USAGE, "Add -o FOLDER.", "export needs the name of the folder to write");
	if (name != NULL)
	{
		code = connection_open(&where, &connection);
		if (code == TOOL_OK)
			code = connection_handshake(connection, true, &schema);
		if (code != TOOL_OK)
		{
			connection_close(connection);
			return code;
		}
		status = model_source_open_database(&source, connection, schema, name, &err);
		free(schema);
		connection_close(connection);
	}
	else
		status = model_source_open_file(&source, file, &err);
	if (status != MB_OK)
		return report_error(&err);
	status = mb_export(source.model, output, as_tagger, &err);
	if (status == MB_OK)
		printf("Exported \"%s\" (sha256 %.16s...) to \"%s\".\n", name != NULL ? name : file, source.sha256, output);
	model_source_close(&source);
	return status == MB_OK ? TOOL_OK : report_error(&err);
}

const command_spec command_export = {
	"export",
	"[FILE]",
	0,
	1,
	"write a folder that transformers and sentence-transformers load",
	"Writes config.json, model.safetensors, vocab.txt, tokenizer files and the sentence-transformers modules, so that\n"
	"AutoModel, AutoTokenizer and SentenceTransformer load the model unchanged.  A model out of a database is checked\n"
	"against its SHA-256 first.",
	"  moviebert export tags.safetensors -o ./tags-hf\n"
	"  moviebert export --from-database=tags -d mydb -o ./tags-hf --as-tagger\n",
	run};
