/* export_card.c - README.md of an export: what the model is, and how to load it so that it gives the same numbers. */
#include "export.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static const char *const pooling_texts[] = {"the mean of all tokens' last hidden states",
											"the last hidden state of [CLS]",
											"BERT's pooler, tanh of a linear layer on [CLS]"};
static const char *const problem_texts[] = {"", "several tags may fit a text; a tag's score is sigmoid(logit)",
											"one label fits a text; scores are softmax(logits)",
											"the score is the logit"};

static void
write_head(FILE *out, const mb_model *model, bool as_tagger)
{
	const char *task = as_tagger || strcmp(model->kind, "classifier") == 0 ? "text-classification"
					   : strcmp(model->kind, "masked-lm") == 0             ? "fill-mask"
																		   : "sentence-similarity";

	fprintf(out,
			"---\n"
			"library_name: sentence-transformers\n"
			"pipeline_tag: %s\n"
			"tags:\n- sentence-transformers\n- transformers\n- bert\n- moviebert\n"
			"---\n\n"
			"# BERT of %d layer%s, hidden size %d\n\n"
			"Exported by moviebert.\n\n",
			task, model->config.num_hidden_layers, model->config.num_hidden_layers == 1 ? "" : "s",
			model->config.hidden_size);
	fprintf(out, "| | |\n|---|---|\n");
	fprintf(out, "| Kind | %s (%s) |\n", model->kind, model->architecture);
	fprintf(out, "| Weights | %" PRId64 " |\n", model->parameters);
	fprintf(out, "| Vector | %d dimensions, %s%s |\n", model->config.hidden_size,
			pooling_texts[model->pipeline.pooling], model->pipeline.normalize ? "; L2-normalised" : "");
	fprintf(out, "| Length | %d tokens, [CLS] and [SEP] included |\n", model->pipeline.max_length);
	fprintf(out, "| Vocabulary | %d, %s, accents %s |\n\n", model->config.vocab_size,
			model->tokenizer.lowercase ? "lower-cased" : "cased", model->tokenizer.strip_accents ? "stripped" : "kept");
}

/* Sources and terms, as whoever trained the model put them. */
static void
write_about(FILE *out, const mb_model *model)
{
	json_t *card = NULL;
	const char *about;
	mb_error ignored;

	if (model->card_json != NULL &&
		mb_json_parse(&card, model->card_json, strlen(model->card_json), "card", &ignored) == MB_OK &&
		(about = json_string_value(json_object_get(card, "about"))) != NULL)
		fprintf(out, "%s\n\n", about);
	json_decref(card);
}

static void
write_usage(FILE *out, const mb_model *model, bool as_tagger)
{
	fprintf(out,
			"## Use\n\n"
			"```py\n"
			"from sentence_transformers import SentenceTransformer\n"
			"model = SentenceTransformer(\"FOLDER\")\n"
			"%s = model.encode(texts)\n"
			"```\n\n",
			as_tagger ? "logits" : "embeddings");
	if (strcmp(model->kind, "classifier") == 0)
		fprintf(out, "```py\n"
					 "from transformers import pipeline\n"
					 "scores = pipeline(\"text-classification\", \"FOLDER\", top_k=None)(texts)\n"
					 "```\n\n");
	else if (strcmp(model->kind, "masked-lm") == 0)
		fprintf(out, "```py\n"
					 "from transformers import pipeline\n"
					 "words = pipeline(\"fill-mask\", \"FOLDER\")(texts)\n"
					 "```\n\n");
	if (as_tagger)
		fprintf(out,
				"The last module is the head of the tags: `encode` gives a logit for each, in the order of the table "
				"below.\n\n");
	else if (strcmp(model->kind, "tagger") == 0)
		fprintf(out, "`encode` gives the vector that the tags stand on. The head is in `" CHECKPOINT_HEAD_FOLDER
					 "`, a Dense module that `modules.json`\ndoes not list; an export as a tagger lists it.\n\n");
	if (model->pipeline.long_text == MB_LONG_WINDOWS)
		fprintf(
			out,
			"Longer texts: sentence-transformers keeps the first %d tokens. In moviebert this model reads them whole, "
			"in windows\nof that length, one every %d tokens, whose vectors are averaged.\n\n",
			model->pipeline.max_length, model->pipeline.window_stride);
}

/* A name inside a table's cell. */
static void
write_cell(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '|')
			fputs("\\|", out);
		else
			fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
}

static void
write_tags(FILE *out, const mb_model *model)
{
	fprintf(out,
			"## Tags\n\n"
			"Here %s.\nA tag is given where its score reaches its threshold.\n\n"
			"| Tag | Threshold | Training rows |\n|---|---:|---:|\n",
			problem_texts[model->pipeline.problem]);
	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
	{
		const mb_tag *tag = &model->tags[i];

		fputs("| ", out);
		write_cell(out, tag->name);
		if (isnan(tag->threshold))
			fputs(" | ", out);
		else
			fprintf(out, " | %.4f", (double) tag->threshold);
		if (tag->support < 0)
			fputs(" | |\n", out);
		else
			fprintf(out, " | %" PRId64 " |\n", tag->support);
	}
	fputc('\n', out);
}

char *
export_card(const mb_model *model, bool as_tagger)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (out == NULL)
		return NULL;
	write_head(out, model, as_tagger);
	write_about(out, model);
	write_usage(out, model, as_tagger);
	if (model->pipeline.num_labels > 0)
		write_tags(out, model);
	fprintf(out,
			"`" CHECKPOINT_OWN_FILE "` holds what these libraries have no place for (thresholds, windows, the card of "
			"the training);\n`moviebert import` reads it back.\n");
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed)
	{
		free(text);
		return NULL;
	}
	return text;
}
