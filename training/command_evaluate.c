/* command_evaluate.c - moviebert evaluate: how good a model's tags are on the rows of a query. */
#include "commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calibration.h"
#include "card.h"
#include "connection.h"
#include "features.h"
#include "labels.h"
#include "memory.h"
#include "metrics.h"
#include "parallel.h"
#include "report.h"

typedef struct evaluation
{
	const char *query;
	query_columns columns;
	features_options features;
	bool as_json;
	size_t max_tags;
} evaluation;

static void
report_unknown(const label_set *labels)
{
	string_buffer list = {0};

	if (labels->n_dropped == 0)
		return;
	labels_list_dropped(&list, labels);
	report_note("Tags of the rows that the model does not know, ignored: %zu: %s", labels->n_dropped, list.data);
	string_release(&list);
}

static mb_status
evaluate(const evaluation *request, model_source *source, const tagged_rows *rows, mb_error *err)
{
	const mb_model *model = source->model;
	size_t L = (size_t) model->pipeline.num_labels, H = (size_t) model->config.hidden_size;
	const char **names = allocate(L, sizeof(char *));
	float *thresholds = allocate(L, sizeof(float));
	float *features = NULL, *scores;
	features_stats stats;
	label_set labels;
	fit_rows truth;
	metrics m;
	mb_status status;
	size_t i;

	for (i = 0; i < L; i++)
	{
		names[i] = model->tags[i].name;
		thresholds[i] = isnan(model->tags[i].threshold) ? 0.5f : model->tags[i].threshold;
	}
	status = features_compute(source, rows, &request->features, &features, &stats, err);
	if (status == MB_OK)
	{
		labels_of_model(&labels, rows, names, (int32_t) L);
		report_unknown(&labels);
		labels_gather(&truth, rows, &labels, NULL, H, PART_TEST, true);
		scores = allocate(rows->n * L, sizeof(float));
		mb_classify(&source->image, features, rows->n, scores);
		for (i = 0; i < rows->n * L; i++)
			scores[i] = (float) sigmoid((double) scores[i]);
		metrics_compute(&m, scores, truth.labels, truth.known, thresholds, rows->n, L, NULL);
		if (request->as_json)
		{
			json_t *root = json_pack("{s:s, s:s, s:o, s:o}", "model_sha256", source->sha256, "query", request->query,
									 "rows", row_counts_json(&rows->counts), "metrics", metrics_json(&m, names, true));

			json_print(root);
			json_decref(root);
		}
		else
			metrics_print(&m, names, "Evaluation", request->max_tags);
		metrics_release(&m);
		free(scores);
		fit_rows_release(&truth);
		labels_release(&labels);
	}
	free(features);
	free(names);
	free(thresholds);
	return status;
}

static mb_status
check_head(const mb_model *model, mb_error *err)
{
	if (model->pipeline.problem == MB_MULTI_LABEL)
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT,
			model->pipeline.problem == MB_NO_HEAD ? "the model has no tags" : "the model's head does not give tags");
	mb_hint(err, "Train tags with \"moviebert finetune\" first.");
	return MB_INVALID_ARGUMENT;
}

static int
run(int argc, char **argv)
{
	evaluation request = {0};
	connection_options where = {0};
	const char *model_path = NULL, *model_name = NULL;
	int64_t threads = parallel_default_threads();
	bool quiet = false, all_tags = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "model", 'm', "FILE", NULL, &model_path, 0, 0, "the model file"},
		{OPTION_STRING, "from-database", 0, "NAME", NULL, &model_name, 0, 0, "or the installed model NAME"},
		{OPTION_STRING, "query", 'q', "SQL", NULL, &request.query, 0, 0,
		 "a SELECT that gives a text and its true tags (required)"},
		{OPTION_STRING, "text", 0, "COLUMN", NULL, &request.columns.text, 0, 0, "its text column (default: the first)"},
		{OPTION_STRING, "tags", 0, "COLUMN", NULL, &request.columns.tags, 0, 0,
		 "its tags column (default: the second)"},
		{OPTION_STRING, "scope", 0, "COLUMN", NULL, &request.columns.scope, 0, 0,
		 "its column (text[] or a JSON array) of the tags that the row's source could have\ngiven; of the others nothing "
		 "is known in that row.  NULL: all (default)"},
		{OPTION_STRING, "cache", 0, "FILE", NULL, &request.features.cache_path, 0, 0,
		 "vectors of texts, as finetune keeps them"},
		{OPTION_INTEGER, "threads", 0, "N", NULL, &threads, 1, 64, "threads to compute with (default: all CPUs)"},
		{OPTION_FLAG, "json", 0, NULL, NULL, &request.as_json, 0, 0, "print JSON instead of tables"},
		{OPTION_FLAG, "all-tags", 0, NULL, NULL, &all_tags, 0, 0, "tables with every tag, not only the first 50"},
		{OPTION_FLAG, "quiet", 0, NULL, NULL, &quiet, 0, 0, "no progress and no notes"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	const part_rule rule = {false, PART_TEST, 0, 0, 0};
	PGconn *connection = NULL;
	char *schema = NULL;
	model_source source;
	tagged_rows rows = {0};
	mb_error err = {0};
	mb_status status = MB_OK;
	int code = options_parse(&command_evaluate, options, argc, argv, NULL);

	if (code >= 0)
		return code;
	if ((model_path == NULL) == (model_name == NULL))
		return report_failure(TOOL_USAGE, "Give --model=FILE, or --from-database=NAME.", "evaluate needs one model");
	if (request.query == NULL)
		return report_failure(TOOL_USAGE, "Add --query=\"SELECT plot, tags FROM movies\".", "evaluate needs a query");
	report_quiet(quiet);
	request.features.silent = quiet;
	request.features.n_threads = (int) threads;
	request.max_tags = all_tags ? 0 : 50;
	if (model_path != NULL && model_source_open_file(&source, model_path, &err) != MB_OK)
		return report_error(&err);
	code = connection_open(&where, &connection);
	if (code == TOOL_OK)
		code = connection_handshake(connection, model_name != NULL, &schema);
	if (code != TOOL_OK)
	{
		connection_close(connection);
		if (model_path != NULL)
			model_source_close(&source);
		return code;
	}
	if (model_name != NULL)
		status = model_source_open_database(&source, connection, schema, model_name, &err);
	free(schema);
	if (status == MB_OK)
	{
		status = check_head(source.model, &err);
		if (status == MB_OK)
			status = tagged_rows_read(&rows, connection, request.query, &request.columns, &rule, quiet, &err);
		connection_close(connection);
		connection = NULL;
		if (status == MB_OK)
		{
			tagged_rows_report(&rows.counts, "evaluation");
			if (rows.n == 0)
			{
				status = mb_fail(&err, MB_INVALID_ARGUMENT, "the query gave no row with text and tags");
				mb_hint(&err, "Check the query's WHERE clause.");
			}
		}
		if (status == MB_OK)
			status = model_source_image(&source, &err);
		if (status == MB_OK)
			status = evaluate(&request, &source, &rows, &err);
		tagged_rows_release(&rows);
		model_source_close(&source);
	}
	connection_close(connection);
	return status == MB_OK ? TOOL_OK : report_error(&err);
}

const command_spec command_evaluate = {
	"evaluate",
	"",
	0,
	0,
	"measure a model's tags on the rows of a query",
	"Computes the scores that bert_tag_scores would give, and compares them with the rows' tags: micro, macro and "
	"samples F1\n"
	"at the model's own thresholds and at 0.5, macro and micro average precision, precision and recall of the best 3 "
	"and 5\n"
	"tags, calibration error, and all of it per tag.  Definitions are scikit-learn's, with zero_division=0.\n"
	"Use rows that the model was not trained on.",
	"  moviebert evaluate --model tags.safetensors -d mydb --query \"SELECT plot, tags FROM movies WHERE fold = 2\"\n",
	run};
