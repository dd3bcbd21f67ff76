/*
 * command_finetune.c - moviebert finetune: a query's rows become tags.
 *
 * With --freeze all, which is here: read, split, embed once, fit, calibrate, measure, write.  Else finetune_full.c.
 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "card.h"
#include "connection.h"
#include "finetune.h"
#include "finetune_full.h"
#include "interrupt.h"
#include "memory.h"
#include "output_file.h"
#include "parallel.h"
#include "progress.h"
#include "report.h"

static void
trial_progress(void *arg, int done, int total)
{
	(void) total;
	progress_update(arg, (uint64_t) done);
}

static void
report_trials(const fit_result *fit)
{
	int i;

	printf("\nChoosing regularisation on the validation part (macro AP):\n\n");
	printf("  %-11s %8s %10s %9s %9s\n", "imbalance", "L2", "iterations", "macro AP", "log loss");
	for (i = 0; i < fit->n_trials; i++)
	{
		const fit_trial *t = &fit->trials[i];

		printf("  %-11s %8.1e %9d%s %9.4f %9.5f%s\n", fit_imbalance_names[t->imbalance], t->l2, t->iterations,
			   t->converged ? " " : "+", t->validation_macro_ap, t->validation_log_loss,
			   i == fit->chosen ? "  <- chosen" : "");
	}
	if (fit_chosen_at_end(fit))
		report_note("The chosen L2 is at the end of the range that was tried: --l2 tries one beyond it.");
}

static void
report_features(const features_stats *stats)
{
	char distinct[32], cached[32], tokens[32];

	report_note("Vectors: %s distinct texts, %s from the cache, %s tokens computed in %.1f s (%.0f texts/s)",
				format_count(distinct, sizeof(distinct), (long long) stats->distinct),
				format_count(cached, sizeof(cached), (long long) stats->cached),
				format_count(tokens, sizeof(tokens), (long long) stats->infer.tokens), stats->seconds,
				stats->seconds > 0 ? (double) stats->infer.texts / stats->seconds : 0.0);
	if (stats->infer.truncated > 0)
		report_warning(stats->infer.truncated == 1 ? "%s text was truncated to the model's length"
												   : "%s texts were truncated to the model's length",
					   format_count(tokens, sizeof(tokens), (long long) stats->infer.truncated));
}

static void
warn_unsupported(const metrics *validation, const label_set *labels)
{
	int32_t l, missing = 0;
	const char *first = NULL;

	for (l = 0; l < labels->n; l++)
		if (validation->per_tag[l].support == 0)
		{
			missing++;
			first = first != NULL ? first : labels->names[l];
		}
	if (missing > 0)
		report_warning(missing == 1 ? "%d tag has no row in the validation part and gets the global threshold "
									  "(it is \"%s\")"
									: "%d tags have no row in the validation part and get the global threshold (the "
									  "first is \"%s\")",
					   missing, first);
}

static mb_status
train(const finetune_request *request, const finetune_data *data, const model_source *base, const float *features,
	  const features_stats *feature_stats, const char *output, bool as_json, size_t max_tags, mb_error *err)
{
	size_t H = (size_t) base->model->config.hidden_size, L = (size_t) data->labels.n;
	fit_rows parts[N_PARTS];
	fit_options how = request->fit;
	fit_result fit;
	metrics validation, test;
	finetune_written written;
	progress bar;
	mb_status status;
	int p;

	for (p = 0; p < N_PARTS; p++)
		labels_gather(&parts[p], &data->rows, &data->labels, features, H, (row_part) p, false);
	how.progress = trial_progress;
	how.progress_arg = &bar;
	progress_start(&bar, "Fitting", "trials", 0, request->silent);
	status = fit_head(&fit, &parts[PART_TRAINING], &parts[PART_VALIDATION], H, L, &how, err);
	if (status == MB_OK)
	{
		json_t *card;

		progress_finish(&bar, (uint64_t) fit.n_trials);
		fit_measure(&validation, &parts[PART_VALIDATION], &fit, H, L);
		if (parts[PART_TEST].n > 0)
			fit_measure(&test, &parts[PART_TEST], &fit, H, L);
		warn_unsupported(&validation, &data->labels);
		card = finetune_card(request, data, base, finetune_head_training(feature_stats, &fit), &validation,
							 "Regularisation, calibration and thresholds were chosen on the validation part.",
							 parts[PART_TEST].n > 0 ? &test : NULL);
		if (as_json)
			json_print(card);
		else
		{
			report_trials(&fit);
			metrics_print(&validation, data->labels.names, "Validation part", max_tags);
			printf("\n  Regularisation, calibration and thresholds were chosen on these rows: on new rows expect a "
				   "little less.\n");
			if (parts[PART_TEST].n > 0)
				metrics_print(&test, data->labels.names, "Test part", max_tags);
			else
				printf("  --test=0.1 or --test-query keeps rows aside for an honest measure.\n");
		}
		status = finetune_write(&written, output, base->model, "tagger", &data->labels, &fit, card,
								&parts[PART_VALIDATION], err);
		if (status == MB_OK && !as_json)
			printf("\nWrote \"%s\" (sha256 %.16s..., logits within %.1e of the fitted head).\n", output, written.sha256,
				   written.worst_logit);
		json_decref(card);
		metrics_release(&validation);
		if (parts[PART_TEST].n > 0)
			metrics_release(&test);
		fit_result_release(&fit);
	}
	for (p = 0; p < N_PARTS; p++)
		fit_rows_release(&parts[p]);
	return status;
}

static int
finetune(const finetune_request *request, const connection_options *where, const char *model_path,
		 const char *model_name, const char *output, bool as_json, size_t max_tags)
{
	PGconn *connection = NULL;
	char *schema = NULL;
	model_source base;
	finetune_data data = {0};
	features_options how = {request->cache_path, request->n_threads, request->silent};
	features_stats stats;
	float *features = NULL;
	mb_error err = {0};
	mb_status status;
	int code = TOOL_OK;

	/* What can be known to fail is found before the database is asked for anything. */
	if (output_file_check(output, &err) != MB_OK)
		return report_error(&err);
	if (model_path != NULL && model_source_open_file(&base, model_path, &err) != MB_OK)
		return report_error(&err);
	code = connection_open(where, &connection);
	if (code == TOOL_OK)
		code = connection_handshake(connection, model_name != NULL, &schema);
	if (code != TOOL_OK)
	{
		connection_close(connection);
		if (model_path != NULL)
			model_source_close(&base);
		return code;
	}
	status = model_name != NULL ? model_source_open_database(&base, connection, schema, model_name, &err) : MB_OK;
	free(schema);
	if (status == MB_OK)
	{
		status = finetune_read(&data, connection, request, &err);
		/* Hours of computing need no open connection. */
		connection_close(connection);
		connection = NULL;
		if (status == MB_OK)
			status = model_source_image(&base, &err);
		if (status == MB_OK)
			status = features_compute(&base, &data.rows, &how, &features, &stats, &err);
		if (status == MB_OK)
		{
			report_features(&stats);
			status = train(request, &data, &base, features, &stats, output, as_json, max_tags, &err);
		}
		free(features);
		finetune_data_release(&data);
		model_source_close(&base);
	}
	connection_close(connection);
	return status == MB_OK ? TOOL_OK : report_error(&err);
}

/* How --freeze is said. */
static bool
parse_freeze(const char *text, int *freeze)
{
	char *end;
	long layers;

	if (text == NULL)
		*freeze = FULL_FREEZE_AUTO;
	else if (strcmp(text, "none") == 0 || strcmp(text, "0") == 0)
		*freeze = FULL_FREEZE_NOTHING;
	else if (strcmp(text, "embeddings") == 0)
		*freeze = FULL_FREEZE_EMBEDDINGS;
	else
	{
		layers = strtol(text, &end, 10);
		if (end == text || *end != '\0' || layers < 0 || layers > 1000)
			return false;
		*freeze = (int) layers;
	}
	return true;
}

static const full_options full_defaults = {.epochs = 4,
										   .batch = 32,
										   .windows = 4,
										   .shards = 2,
										   .head_rate = 10,
										   .layer_decay = 0.9,
										   .warmup = 0.06,
										   .weight_decay = 0.01,
										   .dropout = 0.1,
										   .teacher_weight = 0.5,
										   .validate_every = 0.5,
										   .patience = 4,
										   .checkpoint_every = 300};

static bool
is_same(double a, double b)
{
	return !(a < b) && !(a > b);
}

/* What --freeze all has no use for, by the option's name; NULL: nothing. */
static const char *
useless_with_frozen_encoder(const full_options *full, const char *precision)
{
	const full_options *usual = &full_defaults;

	return full->folder != NULL                      ? "run"
		   : full->opening == RUN_RESUME             ? "resume"
		   : full->opening == RUN_RESTART            ? "restart"
		   : !is_same(full->epochs, usual->epochs)   ? "epochs"
		   : full->batch != usual->batch             ? "batch"
		   : full->rate > 0                          ? "rate"
		   : !is_same(full->dropout, usual->dropout) ? "dropout"
		   : full->patience != usual->patience       ? "patience"
		   : full->pooling != NULL                   ? "pooling"
		   : full->length > 0                        ? "length"
		   : full->teacher_path != NULL              ? "teacher"
		   : full->keep_similarity > 0               ? "keep-similarity"
		   : full->asymmetric                        ? "loss"
		   : strcmp(precision, "as-base") != 0       ? "precision"
													 : NULL;
}

static int
run(int argc, char **argv)
{
	finetune_request request = {.validation = 0.1, .max_tags = 1000, .seed = 1};
	full_options full = full_defaults;
	connection_options where = {0};
	const char *model_path = NULL, *model_name = NULL, *freeze = NULL, *output = NULL, *imbalance = "auto";
	const char *loss = "bce", *start = "probe", *precision = "as-base";
	char *folder = NULL, *command_line, *resume_command;
	int64_t iterations = 300, threads = parallel_default_threads();
	bool quiet = false, as_json = false, all_tags = false, resume = false, restart = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("The model"),
		{OPTION_STRING, "model", 'm', "FILE", NULL, &model_path, 0, 0, "the model file to start from"},
		{OPTION_STRING, "from", 0, "FILE", NULL, &model_path, 0, 0, "the same by another name"},
		{OPTION_STRING, "from-database", 0, "NAME", NULL, &model_name, 0, 0, "or the installed model NAME"},
		{OPTION_STRING, "freeze", 0, "WHAT", NULL, &freeze, 0, 0,
		 "which part of the encoder stays as it is: all (only the head is trained, in\n"
		 "minutes), none or 0, embeddings, or the embeddings and the first K layers\n"
		 "(default: none with more than 10,000 training rows or a single layer, else half\nof the layers)"},
		{OPTION_STRING, "output", 'o', "FILE", NULL, &output, 0, 0, "the model file to write (required)"},
		{OPTION_STRING, "about", 0, "TEXT", NULL, &request.about, 0, 0,
		 "what the model's card is to say as well: where the rows are from, their terms"},
		OPTION_HELP_HEADING("The rows"),
		{OPTION_STRING, "query", 'q', "SQL", NULL, &request.query, 0, 0,
		 "a SELECT that gives a text and its tags (text[] or a JSON array) (required)"},
		{OPTION_STRING, "text", 0, "COLUMN", NULL, &request.columns.text, 0, 0,
		 "its text column (default: the first that no other option names)"},
		{OPTION_STRING, "tags", 0, "COLUMN", NULL, &request.columns.tags, 0, 0,
		 "its tags column (default: the second, not counting --key and --scope)"},
		{OPTION_STRING, "key", 0, "COLUMN", NULL, &request.columns.key, 0, 0,
		 "rows of one key stay in one part (default: the text).  Without it, two texts\nabout one film may be on both "
		 "sides, and the metrics flatter"},
		{OPTION_STRING, "split-key", 0, "COLUMN", NULL, &request.columns.key, 0, 0, "the same by its longer name"},
		{OPTION_STRING, "scope", 0, "COLUMN", NULL, &request.columns.scope, 0, 0,
		 "its column (text[] or a JSON array) of the tags that the row's source could have\n"
		 "given: a tag in it that the row lacks is absent, of a tag outside it nothing is\n"
		 "known in that row.  NULL: all tags (default: no such column)"},
		{OPTION_REAL, "validation", 0, "PART", NULL, &request.validation, 0, 0.9,
		 "share of keys that regularisation, the best step, calibration and thresholds\nare chosen on (default 0.1)"},
		{OPTION_STRING, "validation-query", 0, "SQL", NULL, &request.validation_query, 0, 0,
		 "rows for that from a query of their own instead"},
		{OPTION_REAL, "test", 0, "PART", NULL, &request.test, 0, 0.9,
		 "share of keys that nothing is chosen on, for an honest measure (default 0)"},
		{OPTION_STRING, "test-query", 0, "SQL", NULL, &request.test_query, 0, 0, "or a query for them"},
		{OPTION_INTEGER, "min-support", 0, "N", NULL, &request.min_support, 1, 1e9,
		 "tags with fewer training rows are left out, and listed (default 20; with fewer\nthan 1,000 training rows 2 % "
		 "of them, at least 3)"},
		{OPTION_INTEGER, "max-tags", 0, "N", NULL, &request.max_tags, 1, 100000,
		 "at most so many tags, the most frequent (default 1000)"},
		{OPTION_INTEGER, "seed", 0, "N", NULL, &request.seed, 0, 9e15,
		 "of the split, the order of rows and dropout (default 1)"},
		OPTION_HELP_HEADING("The head"),
		{OPTION_CHOICE, "imbalance", 0, "HOW", "none|pos-weight|auto", &imbalance, 0, 0,
		 "none: every row counts the same; pos-weight: positives of rare tags count more,\nup to tenfold; auto "
		 "(default): with --freeze=all both, and the better macro AP on\nthe validation part stays; else none"},
		{OPTION_REAL, "l2", 0, "X", NULL, &request.fit.l2, 0, 1e6,
		 "strength of regularisation (default: chosen from 1 ... 1e-4)"},
		{OPTION_INTEGER, "iterations", 0, "N", NULL, &iterations, 1, 100000, "at most, for each choice (default 300)"},
		{OPTION_STRING, "cache", 0, "FILE", NULL, &request.cache_path, 0, 0,
		 "keep the texts' vectors there: later runs with the same encoder take seconds"},
		{OPTION_INTEGER, "threads", 0, "N", NULL, &threads, 1, 64,
		 "threads to compute with (default: all CPUs); results do not depend on it"},
		OPTION_HELP_HEADING("Training, unless --freeze=all"),
		{OPTION_REAL, "epochs", 0, "N", NULL, &full.epochs, 0.01, 1000, "times that each row is seen (default 4)"},
		{OPTION_INTEGER, "batch", 0, "N", NULL, &full.batch, 1, 4096, "rows of a step (default 32)"},
		{OPTION_REAL, "rate", 0, "X", NULL, &full.rate, 1e-9, 1,
		 "peak learning rate of the last layer (default 1e-4; 5e-5 for a hidden size of 384\nand more)"},
		{OPTION_REAL, "head-rate", 0, "X", NULL, &full.head_rate, 0, 1e4,
		 "the head's is so many times that (default 10)"},
		{OPTION_REAL, "layer-decay", 0, "X", NULL, &full.layer_decay, 0.01, 1,
		 "each layer's is so many times that of the layer above it (default 0.9)"},
		{OPTION_REAL, "warmup", 0, "PART", NULL, &full.warmup, 0, 1,
		 "part of the run in which the rate rises; then it falls to 0 (default 0.06)"},
		{OPTION_REAL, "weight-decay", 0, "X", NULL, &full.weight_decay, 0, 1, "of matrices (default 0.01)"},
		{OPTION_REAL, "dropout", 0, "P", NULL, &full.dropout, 0, 0.9,
		 "of hidden states and the head's input (default 0.1)"},
		{OPTION_CHOICE, "loss", 0, "WHICH", "bce|asymmetric", &loss, 0, 0,
		 "binary cross entropy (default), or the asymmetric loss of Ridnik et al. 2021"},
		{OPTION_CHOICE, "start", 0, "WHERE", "probe|prior", &start, 0, 0,
		 "the head begins as a regression on the frozen vectors (default), or knows only how\nfrequent each tag is"},
		{OPTION_REAL, "keep-similarity", 0, "W", NULL, &full.keep_similarity, 0, 1e6,
		 "hold on to the base's embeddings: adds W times the squared distance between a\ntext's new and old vector of "
		 "length 1 to its loss (default 0)"},
		{OPTION_STRING, "teacher", 0, "FILE", NULL, &full.teacher_path, 0, 0,
		 "a tagger whose scores are targets too: what a larger model has learnt reaches a\n"
		 "smaller one, and tells of tags that are unknown in a row"},
		{OPTION_REAL, "teacher-weight", 0, "X", NULL, &full.teacher_weight, 0, 1,
		 "how much its scores count; the rows' tags count the rest (default 0.5)"},
		{OPTION_CHOICE, "pooling", 0, "HOW", "mean|cls|pooler", &full.pooling, 0, 0,
		 "how tokens become a vector (default: as the base).  pooler makes a model that\ntransformers loads as "
		 "BertForSequenceClassification"},
		{OPTION_INTEGER, "length", 0, "N", NULL, &full.length, 3, 1e6,
		 "tokens of a window, in training and ever after (default: as the base)"},
		{OPTION_INTEGER, "windows", 0, "N", NULL, &full.windows, 1, 1000,
		 "at most so many windows of a text in one step (default 4)"},
		{OPTION_REAL, "validate-every", 0, "N", NULL, &full.validate_every, 0.001, 1000, "epochs (default 0.5)"},
		{OPTION_INTEGER, "patience", 0, "N", NULL, &full.patience, 0, 1000,
		 "stop after so many validations without a better macro AP; the best is what is\n"
		 "kept (default 4; 0: never stop)"},
		{OPTION_CHOICE, "precision", 0, "WHICH", "as-base|fp16|fp32", &precision, 0, 0,
		 "of the weights that are written (default: as the base's)"},
		{OPTION_INTEGER, "shards", 0, "N", NULL, &full.shards, 1, 64,
		 "parts that a step is divided into, and the most threads it can use (default 2);\nresults depend on it"},
		OPTION_HELP_HEADING("The run, unless --freeze=all"),
		{OPTION_STRING, "run", 0, "FOLDER", NULL, &full.folder, 0, 0,
		 "its folder: rows, checkpoints, metrics, log (default: the output's name with\n.run)"},
		{OPTION_FLAG, "resume", 0, NULL, NULL, &resume, 0, 0,
		 "go on with the run in the folder, with the rows that it began with"},
		{OPTION_FLAG, "restart", 0, NULL, NULL, &restart, 0, 0, "begin anew where a run is"},
		{OPTION_REAL, "checkpoint-every", 0, "SECONDS", NULL, &full.checkpoint_every, 0, 1e6, "(default 300)"},
		OPTION_HELP_HEADING("Output"),
		{OPTION_FLAG, "json", 0, NULL, NULL, &as_json, 0, 0, "print the card as JSON instead of tables"},
		{OPTION_FLAG, "all-tags", 0, NULL, NULL, &all_tags, 0, 0, "tables with every tag, not only the first 50"},
		{OPTION_FLAG, "quiet", 0, NULL, NULL, &quiet, 0, 0, "no progress and no notes"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	int code = options_parse(&command_finetune, options, argc, argv, NULL);
	bool frozen = freeze != NULL && strcmp(freeze, "all") == 0;

	if (code >= 0)
		return code;
	if ((model_path == NULL) == (model_name == NULL))
		return report_failure(TOOL_USAGE, "Give --model=FILE, or --from-database=NAME.",
							  "finetune needs one model to start from");
	if (request.query == NULL)
		return report_failure(TOOL_USAGE, "Add --query=\"SELECT plot, tags FROM movies\".", "finetune needs a query");
	if (output == NULL)
		return report_failure(TOOL_USAGE, "Add -o FILE.", "finetune needs the name of the model file to write");
	if (request.validation_query == NULL && request.validation <= 0)
		return report_failure(TOOL_USAGE, "Give --validation a share above 0, or --validation-query.",
							  "finetune needs a validation part: thresholds are calibrated on it");
	if ((request.validation_query == NULL ? request.validation : 0) + (request.test_query == NULL ? request.test : 0) >
		0.95)
		return report_failure(TOOL_USAGE, "Make --validation and --test smaller.", "no rows would be left to train on");
	if (!frozen && !parse_freeze(freeze, &full.freeze))
		return report_failure(TOOL_USAGE, "Give all, none, embeddings, or a number of layers.",
							  "invalid value \"%s\" for --freeze", freeze);
	if (!card_about_is_text(request.about))
		return report_failure(TOOL_USAGE, "Write it in UTF-8.", "the text of --about is not valid UTF-8");
	if (resume && restart)
		return report_failure(TOOL_USAGE, "Leave one of them out.", "--resume and --restart contradict each other");
	full.opening = resume ? RUN_RESUME : restart ? RUN_RESTART : RUN_NEW;
	full.asymmetric = strcmp(loss, "asymmetric") == 0;
	full.start_from_prior = strcmp(start, "prior") == 0;
	full.precision = strcmp(precision, "fp16") == 0   ? PRECISION_FP16
					 : strcmp(precision, "fp32") == 0 ? PRECISION_FP32
													  : PRECISION_AS_BASE;
	if (frozen && useless_with_frozen_encoder(&full, precision) != NULL)
		return report_failure(TOOL_USAGE, "Leave it out, or freeze less.", "--freeze=all has no use for --%s",
							  useless_with_frozen_encoder(&full, precision));
	if (full.teacher_path != NULL && (full.asymmetric || strcmp(imbalance, "pos-weight") == 0))
		return report_failure(TOOL_USAGE, "Leave out --loss and --imbalance.",
							  "a teacher's scores are probabilities, which another loss or weights would distort");
	report_quiet(quiet);
	request.silent = quiet;
	request.n_threads = (int) threads;
	request.fit.n_threads = (int) threads;
	request.fit.max_iterations = (int) iterations;
	request.fit.interrupt = &tool_interrupt;
	request.fit.imbalance = strcmp(imbalance, "none") == 0         ? IMBALANCE_NONE
							: strcmp(imbalance, "pos-weight") == 0 ? IMBALANCE_POS_WEIGHT
																   : IMBALANCE_AUTO;
	if (frozen)
		return finetune(&request, &where, model_path, model_name, output, as_json, all_tags ? 0 : 50);
	command_line = run_command_line(argc, argv, NULL);
	resume_command = run_command_line(argc, argv, "--resume");
	full.command_line = command_line;
	full.resume_command = resume_command;
	if (full.folder == NULL)
	{
		string_buffer name = {0};

		string_printf(&name, "%s.run", output);
		full.folder = folder = name.data;
	}
	code = finetune_full(&request, &full, &where, model_path, model_name, output, as_json, all_tags ? 0 : 50);
	free(folder);
	free(command_line);
	free(resume_command);
	return code;
}

const command_spec command_finetune = {
	"finetune",
	"",
	0,
	0,
	"train tags on the rows of a query",
	"Trains a head for the tags of the rows, and with it the encoder as far as "
	"--freeze lets it.  With --freeze=all each\n"
	"text's vector is computed once and a logistic regression is fitted on them, in minutes; else that head is where\n"
	"training begins, which takes hours on large tables, writes checkpoints, and goes on after an interruption with\n"
	"--resume.  Rows are split by a hash of their key: on the validation part the best step and the strength of\n"
	"regularisation are chosen, scores are calibrated to be probabilities, and "
	"each tag gets the threshold of its best\n"
	"F1.  Rows whose text is NULL or empty, or whose tags are NULL, are counted "
	"and left out; an empty array says \"none\n"
	"of the tags\".  The same rows, options and machine always give the same bytes.",
	"  moviebert finetune --model base.safetensors -d mydb -o tags.safetensors --key=imdb_id --test=0.1 \\\n"
	"      --query \"SELECT plot, tags, imdb_id FROM movies\"\n"
	"  moviebert finetune --from-database=minilm -d mydb -o tags.safetensors --freeze=all --cache=vectors.cache \\\n"
	"      --query \"SELECT plot, genres FROM movies WHERE fold > 2\" \\\n"
	"      --validation-query \"SELECT plot, genres FROM movies WHERE fold = 1\"\n",
	run};
