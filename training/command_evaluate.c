/* command_evaluate.c - moviebert evaluate: how good a model's tags are on the rows of a query, and how sure that is. */
#include "commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "card.h"
#include "connection.h"
#include "features.h"
#include "intervals.h"
#include "labels.h"
#include "memory.h"
#include "metrics.h"
#include "output_file.h"
#include "parallel.h"
#include "predictions.h"
#include "report.h"

typedef struct evaluation
{
	const char *query;
	query_columns columns;
	features_options features;
	const char *output;
	metrics_cutoffs cutoffs;
	interval_options intervals;
	bool as_json;
	size_t max_tags;
} evaluation;

/* Below so many, draws with replacement vary less than new rows would: the intervals are too narrow. */
#define FEW_CLUSTERS 30

/* A model's tags and what it says of the rows. */
typedef struct judgement
{
	size_t n_tags;
	const char **names;
	float *thresholds;
	float *scores;
	fit_rows truth;
} judgement;

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

/* Unicode characters of valid UTF-8: bytes that do not continue one. */
static uint32_t
count_characters(mb_text text)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < text.size; i++)
		n += ((unsigned char) text.data[i] & 0xC0) != 0x80;
	return n;
}

/* The seed of the run that trained the model: the run's own, or, where only a split had one, the split's. */
static bool
seed_of_card(const char *card_json, int64_t *seed)
{
	json_t *card = card_json != NULL ? json_loads(card_json, 0, NULL) : NULL;
	const json_t *found = json_object_get(json_object_get(card, "training"), "seed");
	bool there;

	if (!json_is_integer(found))
		found = json_object_get(json_object_get(json_object_get(card, "data"), "split"), "seed");
	there = json_is_integer(found);
	if (there)
		*seed = json_integer_value(found);
	json_decref(card);
	return there;
}

static mb_status
write_predictions(const evaluation *request, const model_source *source, const tagged_rows *rows, const judgement *j,
				  mb_error *err)
{
	predictions p;
	mb_status status;
	size_t i;

	predictions_init(&p, rows->n, j->n_tags, j->truth.known == NULL);
	memcpy(p.scores, j->scores, rows->n * j->n_tags * sizeof(float));
	memcpy(p.labels, j->truth.labels, rows->n * j->n_tags);
	if (p.known != NULL)
		memcpy(p.known, j->truth.known, rows->n * j->n_tags);
	memcpy(p.thresholds, j->thresholds, j->n_tags * sizeof(float));
	for (i = 0; i < j->n_tags; i++)
		p.tags[i] = copy_string(j->names[i]);
	for (i = 0; i < rows->n; i++)
	{
		p.keys[i] = rows->rows[i].key_hash;
		memcpy(p.texts[i], rows->rows[i].text_hash, PREDICTIONS_TEXT_BYTES);
		p.lengths[i] = count_characters(tagged_rows_text(rows, i));
	}
	memcpy(p.model_sha256, source->sha256, SHA256_HEX);
	p.has_seed = seed_of_card(source->model->card_json, &p.seed);
	p.key = request->columns.key != NULL ? copy_string(request->columns.key) : NULL;
	p.query = copy_string(request->query);
	predictions_sort(&p);
	status = predictions_write(&p, request->output, err);
	predictions_release(&p);
	return status;
}

static mb_status
report_figures(const evaluation *request, const model_source *source, const tagged_rows *rows, const judgement *j,
			   mb_error *err)
{
	uint64_t *keys = allocate(rows->n, sizeof(uint64_t));
	bool with_intervals = request->intervals.draws > 0;
	metric_intervals intervals;
	mb_status status = MB_OK;
	metrics m;
	size_t i;

	for (i = 0; i < rows->n; i++)
		keys[i] = rows->rows[i].key_hash;
	metrics_compute(&m, j->scores, j->truth.labels, j->truth.known, j->thresholds, rows->n, j->n_tags,
					&request->cutoffs);
	if (m.tags_with_support == 0)
		report_warning("no row has a tag that the model knows, so that there is nothing to recognise: tags must be spelt "
					   "as the model has them");
	if (with_intervals)
		status = intervals_compute(&intervals, j->scores, j->truth.labels, j->truth.known, j->thresholds, keys, rows->n,
								   j->n_tags, &request->cutoffs, &request->intervals, err);
	if (status == MB_OK && with_intervals && intervals.clusters < FEW_CLUSTERS)
		report_warning("the intervals are too narrow: %zu %s are too few to know from them how others vary",
					   intervals.clusters, request->intervals.clustered_by != NULL ? "keys" : "texts");
	if (status == MB_OK && request->as_json)
	{
		json_t *root = json_pack("{s:s, s:s, s:o, s:o}", "model_sha256", source->sha256, "query", request->query,
								 "rows", row_counts_json(&rows->counts), "metrics", metrics_json(&m, j->names, true));

		if (with_intervals)
			json_object_set_new(root, "intervals", intervals_json(&intervals, &request->intervals));
		json_print(root);
		json_decref(root);
	}
	else if (status == MB_OK)
	{
		metrics_print(&m, j->names, "Evaluation", request->max_tags);
		if (with_intervals)
			intervals_print(&intervals, &request->intervals);
	}
	metrics_release(&m);
	free(keys);
	return status;
}

static mb_status
evaluate(const evaluation *request, model_source *source, const tagged_rows *rows, mb_error *err)
{
	const mb_model *model = source->model;
	size_t L = (size_t) model->pipeline.num_labels, H = (size_t) model->config.hidden_size;
	judgement j = {.n_tags = L, .names = allocate(L, sizeof(char *)), .thresholds = allocate(L, sizeof(float))};
	float *features = NULL;
	features_stats stats;
	label_set labels;
	mb_status status;
	size_t i;

	for (i = 0; i < L; i++)
	{
		j.names[i] = model->tags[i].name;
		j.thresholds[i] = isnan(model->tags[i].threshold) ? 0.5f : model->tags[i].threshold;
	}
	status = features_compute(source, rows, &request->features, &features, &stats, err);
	if (status == MB_OK)
	{
		labels_of_model(&labels, rows, j.names, (int32_t) L);
		report_unknown(&labels);
		labels_gather(&j.truth, rows, &labels, NULL, H, PART_TEST, true);
		j.scores = allocate(rows->n * L, sizeof(float));
		mb_classify(&source->image, features, rows->n, j.scores);
		for (i = 0; i < rows->n * L; i++)
			j.scores[i] = (float) sigmoid((double) j.scores[i]);
		if (request->output != NULL)
			status = write_predictions(request, source, rows, &j, err);
		if (status == MB_OK)
			status = report_figures(request, source, rows, &j, err);
		free(j.scores);
		fit_rows_release(&j.truth);
		labels_release(&labels);
	}
	free(features);
	free(j.names);
	free(j.thresholds);
	return status;
}

/* "3,5" */
static int
parse_cutoffs(const char *list, metrics_cutoffs *cutoffs)
{
	const char *at = list;

	cutoffs->n = 0;
	for (;;)
	{
		char *end;
		unsigned long k = at[0] >= '0' && at[0] <= '9' ? strtoul(at, &end, 10) : 0;

		if (k < 1 || k > 1000 || (*end != ',' && *end != '\0') || cutoffs->n == METRICS_MAX_CUTOFFS)
			return report_failure(TOOL_USAGE, "It is up to eight numbers from 1 to 1000, with commas: --k=3,5.",
								  "invalid value \"%s\" for option \"--k\"", list);
		cutoffs->k[cutoffs->n++] = k;
		if (*end == '\0')
			return -1;
		at = end + 1;
	}
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
	evaluation request = {.cutoffs = metrics_default_cutoffs};
	connection_options where = {0};
	const char *model_path = NULL, *model_name = NULL, *cutoffs = NULL;
	int64_t draws = 1000, seed = 1, threads = parallel_default_threads();
	bool quiet = false, all_tags = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "model", 'm', "FILE", NULL, &model_path, 0, 0, "the model file"},
		{OPTION_STRING, "from-database", 0, "NAME", NULL, &model_name, 0, 0, "or the installed model NAME"},
		{OPTION_STRING, "query", 'q', "SQL", NULL, &request.query, 0, 0,
		 "a SELECT that gives a text and its true tags (required)"},
		{OPTION_STRING, "text", 0, "COLUMN", NULL, &request.columns.text, 0, 0,
		 "its text column (default: the first that no other option names)"},
		{OPTION_STRING, "tags", 0, "COLUMN", NULL, &request.columns.tags, 0, 0,
		 "its tags column (default: the second, not counting --key and --scope)"},
		{OPTION_STRING, "scope", 0, "COLUMN", NULL, &request.columns.scope, 0, 0,
		 "its column (text[] or a JSON array) of the tags that the row's source could have\n"
		 "given; of the others nothing is known in that row.  NULL: all (default)"},
		{OPTION_STRING, "key", 0, "COLUMN", NULL, &request.columns.key, 0, 0,
		 "its column that says which rows belong together, such as a film's number; intervals\n"
		 "draw them together (default: the text)"},
		{OPTION_STRING, "output", 'o', "FILE", NULL, &request.output, 0, 0,
		 "write scores and true tags to FILE, for \"moviebert compare\""},
		{OPTION_STRING, "k", 0, "LIST", NULL, &cutoffs, 0, 0, "how many best tags to look at (default: 3,5)"},
		{OPTION_INTEGER, "draws", 0, "N", NULL, &draws, 0, 1000000,
		 "draws of the bootstrap behind the intervals; 0: no intervals (default: 1000)"},
		{OPTION_INTEGER, "seed", 0, "N", NULL, &seed, 0, 1e15, "seed of the draws (default: 1)"},
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
	if (cutoffs != NULL && (code = parse_cutoffs(cutoffs, &request.cutoffs)) >= 0)
		return code;
	report_quiet(quiet);
	request.features.silent = quiet;
	request.features.n_threads = (int) threads;
	request.max_tags = all_tags ? 0 : 50;
	request.intervals = (interval_options){(size_t) draws, (uint64_t) seed, (int) threads, quiet, request.columns.key};
	if (request.output != NULL && output_file_check(request.output, &err) != MB_OK)
		return report_error(&err);
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
	"Computes the scores that bert_tag_scores would give, and compares them with the "
	"rows' tags: micro, macro and samples F1\n"
	"at the model's own thresholds and at 0.5, macro and micro average precision, precision, recall and nDCG of the\n"
	"best 3 and 5 tags, how many tags it has learned to give at all, calibration "
	"error (ECE) and Brier score, and all of\n"
	"it per tag.\n"
	"Definitions are scikit-learn's, with zero_division=0.  95 % intervals come from a bootstrap over the rows.\n"
	"Use rows that the model was not trained on.",
	"  moviebert evaluate --model tags.safetensors -d mydb --query \"SELECT plot, tags FROM movies WHERE fold = 2\"\n"
	"  moviebert evaluate --model seed-1.safetensors -d mydb --key film -o runs/seed-1.pred \\\n"
	"      --query \"SELECT plot, tags, film FROM movies WHERE fold = 2\"\n",
	run};
