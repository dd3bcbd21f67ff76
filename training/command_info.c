/* command_info.c - moviebert info: what a model file holds. */
#include "commands.h"

#include <stdio.h>

#include "card.h"
#include "describe.h"
#include "report.h"

static int
run(int argc, char **argv)
{
	const char *file;
	bool as_json = false, whole_card = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_FLAG, "json", 0, NULL, NULL, &as_json, 0, 0, "everything as one JSON object"},
		{OPTION_FLAG, "card", 0, NULL, NULL, &whole_card, 0, 0, "the whole card, as JSON, in place of its main lines"},
		OPTION_END};
	model_source source;
	mb_error err = {0};
	int code = options_parse(&command_info, options, argc, argv, &file);

	if (code >= 0)
		return code;
	if (model_source_open_file(&source, file, &err) != MB_OK)
		return report_error(&err);
	if (as_json)
	{
		json_t *description = describe_model_json(&source);

		json_print(description);
		json_decref(description);
	}
	else
	{
		json_t *card = source.model->card_json != NULL ? json_loads(source.model->card_json, 0, NULL) : NULL;

		printf("%s\n", file);
		describe_model(&source, 0);
		if (whole_card && json_object_size(card) > 0)
		{
			printf("\n  card\n");
			json_print(card);
		}
		else
			describe_card(card);
		json_decref(card);
	}
	model_source_close(&source);
	return TOOL_OK;
}

const command_spec command_info = {
	"info",
	"FILE",
	1,
	1,
	"show what a model file holds",
	"Shows the encoder's sizes, how texts become vectors, the tags with their thresholds and\n"
	"support, the file's size and SHA-256, and the card: data, training and metrics.",
	"  moviebert info tags.safetensors\n  moviebert info --json tags.safetensors | jq .card\n",
	run};
