/* command_import.c - moviebert import: a checkpoint folder becomes one model file. */
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "model_source.h"
#include "report.h"

static int
run(int argc, char **argv)
{
	const char *folder, *output = NULL, *long_text = "windows", *pooling = NULL;
	int64_t max_length = 0;
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "output", 'o', "FILE", NULL, &output, 0, 0, "the model file to write (required)"},
		{OPTION_CHOICE, "long-text", 0, "HOW", "windows|truncate", &long_text, 0, 0,
		 "texts longer than the model's length: windows (default) reads\nthem whole, truncate keeps their beginning as "
		 "sentence-transformers does"},
		{OPTION_INTEGER, "max-length", 0, "N", NULL, &max_length, 3, 1000000,
		 "tokens of one window, [CLS] and [SEP] included\n(default: what the checkpoint says)"},
		{OPTION_CHOICE, "pooling", 0, "HOW", "mean|cls|pooler", &pooling, 0, 0,
		 "how token vectors become one vector (default: what the checkpoint says)"},
		OPTION_END};
	mb_import_options how = {0};
	model_source source;
	mb_error err = {0};
	int code = options_parse(&command_import, options, argc, argv, &folder);

	if (code >= 0)
		return code;
	if (output == NULL)
		return report_failure(TOOL_USAGE, "Add -o FILE.", "import needs the name of the model file to write");
	how.long_text = strcmp(long_text, "truncate") == 0 ? MB_LONG_TRUNCATE : MB_LONG_WINDOWS;
	how.max_length = (int32_t) max_length;
	how.pooling = pooling;
	if (mb_import(folder, output, &how, &err) != MB_OK || model_source_open_file(&source, output, &err) != MB_OK)
		return report_error(&err);
	printf("Imported \"%s\" into \"%s\".\n\n", folder, output);
	describe_model(&source, 10);
	model_source_close(&source);
	return TOOL_OK;
}

const command_spec command_import = {
	"import",
	"FOLDER",
	1,
	1,
	"turn a Hugging Face or sentence-transformers folder into a model file",
	"Reads a checkpoint of BertModel, BertForMaskedLM or BertForSequenceClassification, or a sentence-transformers\n"
	"folder with a BERT in it (MiniLM, BGE, E5 and their like): config.json, model.safetensors (one file or shards),\n"
	"vocab.txt or tokenizer.json, tokenizer_config.json, modules.json.  Nothing "
	"is fetched: bring the folder yourself.\n"
	"The model file is plain safetensors; weights stay as they are (fp32, fp16 or bf16).",
	"  moviebert import ./all-MiniLM-L6-v2 -o minilm.safetensors\n"
	"  moviebert import ./bert-base-uncased -o bert.safetensors --pooling=cls --max-length=256\n",
	run};
