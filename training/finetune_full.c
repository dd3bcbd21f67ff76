/*
 * finetune_full.c - full fine-tuning from the rows to the written model.
 *
 * Read (or take from the run's folder), tokenize, fit a head on the frozen vectors, train, and then let the engine itself
 * compute the trained encoder's vectors: calibration, thresholds and metrics are those of what is written, and so of what
 * bert_tags will say.
 */
#include "finetune_full.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "card.h"
#include "finetune_model.h"
#include "finetune_task.h"
#include "head.h"
#include "interrupt.h"
#include "memory.h"
#include "output_file.h"
#include "progress.h"
#include "report.h"
#include "report_data.h"
#include "report_html.h"
#include "rows_store.h"
#include "run.h"

#define ROWS_STORE "rows.store"
#define TOKENS_STORE "tokens.store"
#define VECTORS_CACHE "vectors.cache"
#define START_MODEL "start.safetensors"
#define TRAINED_ENCODER "encoder.safetensors"

/* The probe's path from strong to weak regularisation ends after so many steps for the worse. */
#define PROBE_PATIENCE 2

/* Training rows that the probe is fitted to at most: more would be hours of embedding for a start hardly better. */
#define PROBE_ROWS 50000

/* How far the engine's vectors may be from the network's that made them, with the same weights. */
#define ENGINE_TOLERANCE 1e-3

/* All that one run carries along. */
typedef struct full_run
{
	const finetune_request *request;
	const full_options *options;
	const char *output;
	bool as_json;
	size_t max_tags;
	model_source base;
	finetune_data data;
	model_source start; /* the base with the pipeline that is trained, where that differs */
	const model_source *from;
	mb_pipeline pipeline;
	bool fresh_pooler;
	token_store store;
	text_windows windows;
	float *original; /* [rows, H] frozen vectors of length 1, for --keep-similarity */
	fit_result probe;
	metrics probe_validation, probe_test;
	net net;
	real *parameters;
	int freeze;
	double rate;
	float *positive_weight;
	double *rates;
	finetune_task *task;
	training_task running;
	training_options how;
	char *identity;
	training_result trained;
	uint64_t steps_per_epoch;
	size_t n_part[N_PARTS];
	model_source encoder; /* trained */
} full_run;

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static void
count_parts(full_run *run)
{
	size_t i;

	for (i = 0; i < run->data.rows.n; i++)
		run->n_part[run->data.rows.rows[i].part]++;
}

/* The text a row stands for in the store of tokens is row number i itself. */
static mb_status
store_tokens(const full_run *run, const char *path, mb_error *err)
{
	const mb_tokenizer *tokenizer = &run->from->image.tokenizer;
	const tagged_rows *rows = &run->data.rows;
	token_writer *writer;
	int32_t *ids = NULL;
	size_t capacity = 0, i;
	progress bar;
	mb_status status = token_store_start(&writer, path, mb_tokenizer_vocab_size(tokenizer), err);

	if (status != MB_OK)
		return status;
	progress_start(&bar, "Tokenizing", "texts", rows->n, run->request->silent);
	for (i = 0; i < rows->n && status == MB_OK; i++)
	{
		mb_text text = tagged_rows_text(rows, i);
		size_t n = 0;

		if (text.size + 16 > capacity)
		{
			capacity = 2 * (text.size + 16);
			ids = reallocate(ids, capacity, sizeof(int32_t));
		}
		/* No bound on a text's tokens is promised; where the buffer proves too small, once more with the right one. */
		status = mb_tokenize(tokenizer, text.data, text.size, ids, capacity, &n, &tool_interrupt, err);
		if (status == MB_OK && n > capacity)
		{
			capacity = n;
			ids = reallocate(ids, capacity, sizeof(int32_t));
			status = mb_tokenize(tokenizer, text.data, text.size, ids, capacity, &n, &tool_interrupt, err);
		}
		if (status == MB_OK)
			status = token_store_add(writer, ids, n, text.data, text.size, err);
		else if (status != MB_CANCELLED && err->detail[0] == '\0')
			mb_detail(err, "It is text %zu of the rows used.", i + 1);
		if (status == MB_OK)
			token_store_mark(writer, rows->rows[i].part, &(text_size){0, 0, text.size});
		progress_update(&bar, i);
	}
	free(ids);
	if (status != MB_OK)
	{
		token_store_abandon(writer);
		return status;
	}
	progress_finish(&bar, rows->n);
	return token_store_finish(writer, err);
}

static mb_status
open_tokens(full_run *run, mb_error *err)
{
	char *path = run_folder_file(run->options->folder, TOKENS_STORE);
	mb_status status = run->options->opening == RUN_RESUME ? MB_OK : store_tokens(run, path, err);

	if (status == MB_OK)
		status = token_store_open(&run->store, path, err);
	if (status == MB_OK && run->store.texts != run->data.rows.n)
	{
		status = mb_fail(err, MB_CORRUPT, "\"%.250s\" is not of this run's rows", path);
		mb_hint(err, "Begin the run anew with --restart.");
	}
	free(path);
	if (status == MB_OK)
		text_windows_init(&run->windows, &run->store, &run->pipeline, &run->from->image.tokenizer);
	return status;
}

/* ---- the start ------------------------------------------------------------------------------------------------------- */

static mb_status
choose_network(full_run *run, mb_error *err)
{
	const full_options *o = run->options;
	int layers = run->base.model->config.num_hidden_layers;
	mb_status status;

	run->freeze = o->freeze;
	if (o->freeze == FULL_FREEZE_AUTO)
		run->freeze = run->n_part[PART_TRAINING] > FULL_ALL_LAYERS_ROWS ? FULL_FREEZE_NOTHING : layers / 2;
	if (run->freeze > layers)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the model has %d layers, so that %d cannot be frozen", layers, run->freeze);
		mb_hint(err, "Give --freeze at most %d, or all.", layers);
		return MB_INVALID_ARGUMENT;
	}
	run->rate = o->rate > 0 ? o->rate : run->base.model->config.hidden_size >= 384 ? 5e-5 : 1e-4;
	status = finetune_pipeline(&run->pipeline, run->base.model, o->pooling, o->length, err);
	if (status == MB_OK)
		status = finetune_network(&run->net, &run->parameters, run->base.model, &run->pipeline, run->data.labels.n,
								  (uint64_t) run->request->seed, &run->fresh_pooler, err);
	return status;
}

static bool
same_pipeline(const mb_pipeline *a, const mb_pipeline *b)
{
	return a->pooling == b->pooling && a->normalize == b->normalize && a->max_length == b->max_length &&
		   a->window_stride == b->window_stride;
}

/* The model whose vectors are where training starts: the base, or the base with another pipeline, in the run's folder. */
static mb_status
open_start(full_run *run, mb_error *err)
{
	char *path;
	mb_status status = MB_OK;

	run->from = &run->base;
	if (same_pipeline(&run->pipeline, &run->base.model->pipeline) && !run->fresh_pooler)
		return model_source_image(&run->base, err);
	path = run_folder_file(run->options->folder, START_MODEL);
	if (run->options->opening != RUN_RESUME)
		status = finetune_write_encoder(path, &run->net, run->parameters, run->base.model, &run->pipeline, false, err);
	if (status == MB_OK)
		status = model_source_open_file(&run->start, path, err);
	if (status == MB_OK)
	{
		run->from = &run->start;
		status = model_source_image(&run->start, err);
	}
	free(path);
	return status;
}

/* scores [n, L] of a head, the caller's to free */
static float *
head_scores(const fit_rows *rows, const fit_result *fit, size_t H, size_t L)
{
	float *scores = allocate(rows->n * L, sizeof(float));
	size_t i;

	head_forward(scores, fit->weight, fit->bias, rows->features, rows->n, H, L);
	for (i = 0; i < rows->n * L; i++)
		scores[i] = (float) sigmoid((double) scores[i]);
	return scores;
}

/*
 * The rows of all parts but the training part, and so many of that, evenly taken; sharing all but their list, which is the
 * caller's to free.
 */
static tagged_rows
some_rows(const full_run *run, size_t training)
{
	const tagged_rows *rows = &run->data.rows;
	size_t n = run->n_part[PART_TRAINING], seen = 0, i;
	tagged_rows view = *rows;

	view.rows = allocate(rows->n, sizeof(tagged_row));
	for (i = 0, view.n = 0; i < rows->n; i++)
	{
		bool taken = true;

		if (rows->rows[i].part == PART_TRAINING)
		{
			taken = training >= n || (seen + 1) * training / n > seen * training / n;
			seen++;
		}
		if (taken)
			view.rows[view.n++] = rows->rows[i];
	}
	return view;
}

static void
measure(metrics *m, const fit_rows *rows, const fit_result *fit, size_t H, size_t L)
{
	float *scores = head_scores(rows, fit, H, L);

	metrics_compute(m, scores, rows->labels, rows->known, fit->thresholds, rows->n, L, NULL);
	free(scores);
}

static void
probe_progress(void *arg, int done, int total)
{
	(void) total;
	progress_update(arg, (uint64_t) done);
}

/* The head on the frozen vectors: measured, and where the classifier starts. */
static mb_status
fit_probe(full_run *run, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n, i;
	char *cache = run->request->cache_path != NULL ? copy_string(run->request->cache_path)
												   : run_folder_file(run->options->folder, VECTORS_CACHE);
	const features_options how = {cache, run->request->n_threads, run->request->silent};
	fit_options fitting = run->request->fit;
	bool keep = run->options->keep_similarity > 0;
	tagged_rows view = some_rows(run, keep ? run->n_part[PART_TRAINING] : PROBE_ROWS);
	float *features = NULL;
	features_stats stats;
	fit_rows parts[N_PARTS];
	progress bar;
	int p;
	mb_status status = features_compute(run->from, &view, &how, &features, &stats, err);

	free(cache);
	if (status != MB_OK)
	{
		free(view.rows);
		return status;
	}
	for (p = 0; p < N_PARTS; p++)
		labels_gather(&parts[p], &view, &run->data.labels, features, H, (row_part) p, false);
	free(view.rows);
	if (keep)
	{
		run->original = features;
		for (i = 0; i < run->data.rows.n; i++)
			mb_normalize(features + i * H, H);
	}
	else
		free(features);
	/* Both ways of weighing take twice the time; a start need not be the best head. */
	if (fitting.imbalance == IMBALANCE_AUTO)
		fitting.imbalance = IMBALANCE_NONE;
	fitting.patience = PROBE_PATIENCE;
	fitting.progress = probe_progress;
	fitting.progress_arg = &bar;
	progress_start(&bar, "Fitting the linear probe", "trials", 0, run->request->silent);
	status = fit_head(&run->probe, &parts[PART_TRAINING], &parts[PART_VALIDATION], H, L, &fitting, err);
	if (status == MB_OK)
	{
		progress_finish(&bar, (uint64_t) run->probe.n_trials);
		measure(&run->probe_validation, &parts[PART_VALIDATION], &run->probe, H, L);
		if (parts[PART_TEST].n > 0)
			measure(&run->probe_test, &parts[PART_TEST], &run->probe, H, L);
		report_note("Linear probe on the frozen vectors: macro AP %.4f, micro F1 %.4f on the validation part",
					run->probe_validation.macro_ap, run->probe_validation.calibrated.micro_f1);
	}
	/* Positives weigh as in the head's own fit. */
	if (status == MB_OK && run->request->fit.imbalance == IMBALANCE_POS_WEIGHT)
	{
		run->positive_weight = allocate(L, sizeof(float));
		for (i = 0; i < L; i++)
			run->positive_weight[i] = 
				(float) fit_positive_weight(run->data.labels.support[i], run->data.labels.known[i]);
	}
	for (p = 0; p < N_PARTS; p++)
		fit_rows_release(&parts[p]);
	return status;
}

static void
start_classifier(full_run *run)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n, i;
	real *weight = finetune_classifier(&run->net, run->parameters, false);
	real *bias = finetune_classifier(&run->net, run->parameters, true);
	double scale = finetune_feature_scale(&run->pipeline, (int32_t) H);

	for (i = 0; i < L * H; i++)
		weight[i] = run->options->start_from_prior ? 0 : (real) ((double) run->probe.weight[i] / scale);
	for (i = 0; i < L; i++)
		bias[i] = run->options->start_from_prior ? (real) fit_log_prior(run->data.labels.support[i],
																		  run->data.labels.known[i])
												 : run->probe.bias[i];
}

/* ---- the run --------------------------------------------------------------------------------------------------------- */

static const char *
describe_freeze(int freeze, char *buffer, size_t size)
{
	if (freeze == FULL_FREEZE_NOTHING)
		return "nothing is frozen";
	if (freeze == FULL_FREEZE_EMBEDDINGS)
		return "the embeddings are frozen";
	snprintf(buffer, size, "the embeddings and the first %d layer%s are frozen", freeze, freeze == 1 ? "" : "s");
	return buffer;
}

static void
prepare(full_run *run)
{
	const full_options *o = run->options;
	task_options how = {.seed = (uint64_t) run->request->seed,
						.batch = (size_t) o->batch,
						.most_windows = (size_t) o->windows,
						.freeze = run->freeze,
						.n_shards = (int) o->shards,
						.n_threads = run->request->n_threads,
						.dropout = o->dropout,
						.keep_similarity = o->keep_similarity,
						.asymmetric = o->asymmetric,
						.positive_weight = run->positive_weight,
						.pipeline = run->pipeline};

	run->task = finetune_task_create(&run->net, &how, &run->data.rows, &run->data.labels, &run->windows, run->original);
	run->running = finetune_task_of(run->task);
	run->rates = allocate(run->net.n_tensors, sizeof(double));
	finetune_rates(run->rates, &run->net, run->freeze, o->layer_decay, o->head_rate);
	run->steps_per_epoch = (run->n_part[PART_TRAINING] + (size_t) o->batch - 1) / (size_t) o->batch;
	run->how = (training_options){
		.seed = (uint64_t) run->request->seed,
		.n_threads = run->request->n_threads,
		.n_shards = (int) o->shards,
		.steps = (uint64_t) ceil(o->epochs * (double) run->n_part[PART_TRAINING] / (double) o->batch),
		.warmup = o->warmup,
		.rate = run->rate,
		.rate_of_tensor = run->rates,
		.adamw = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = o->weight_decay, .clip = 1},
		.validate_every = (uint64_t) fmax(1, round(o->validate_every * (double) run->steps_per_epoch)),
		.checkpoint_every = o->checkpoint_every,
		.patience = (int) o->patience,
		.keep_best = true,
		.max_tokens = finetune_max_tokens(&run->windows, (size_t) o->windows),
		.max_length = run->windows.width + 2,
		.identity = run->identity,
		.resume_command = o->resume_command,
		.silent = run->request->silent};
}

/* Everything that decides the weights: a run is gone on with only if all of it is the same. */
static json_t *
options_json(const full_run *run)
{
	const full_options *o = run->options;
	char store[SHA256_HEX];

	sha256_hex(run->store.sha256, store);
	return json_pack("{s:s, s:s, s:i, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:s, s:s, s:s, s:s,"
					 " s:i, s:i, s:b, s:I, s:i}",
					 "base", run->base.sha256, "rows", store, "freeze", run->freeze, "epochs", o->epochs, "batch",
					 (json_int_t) o->batch, "windows", (json_int_t) o->windows, "shards", (json_int_t) o->shards, "rate",
					 run->rate, "head_rate", o->head_rate, "layer_decay", o->layer_decay, "warmup", o->warmup,
					 "weight_decay", o->weight_decay, "dropout", o->dropout, "validate_every", o->validate_every,
					 "patience", (json_int_t) o->patience, "keep_similarity", o->keep_similarity, "loss",
					 o->asymmetric ? "asymmetric" : "bce", "imbalance",
					 run->request->fit.imbalance == IMBALANCE_POS_WEIGHT ? "pos-weight" : "none", "start",
					 o->start_from_prior ? "prior" : "probe", "pooling", mb_pooling_name(run->pipeline.pooling),
					 "max_length", run->pipeline.max_length, "window_stride", run->pipeline.window_stride, "normalize",
					 (int) run->pipeline.normalize, "seed", (json_int_t) run->request->seed, "tags",
					 run->data.labels.n);
}

static mb_status
write_manifest(const full_run *run, const char *server, mb_error *err)
{
	json_t *manifest = run_manifest_start(run->options->command_line, server);
	char digest[SHA256_HEX];
	mb_status status;

	sha256_hex(run->store.sha256, digest);
	json_object_set_new(manifest, "task", json_string("fine-tuning"));
	json_object_set_new(manifest, "model", json_string(run->output));
	json_object_set_new(manifest, "query", json_string(run->request->query));
	if (run->request->validation_query != NULL)
		json_object_set_new(manifest, "validation_query", json_string(run->request->validation_query));
	if (run->request->test_query != NULL)
		json_object_set_new(manifest, "test_query", json_string(run->request->test_query));
	json_object_set_new(manifest, "config", json_loads(run->base.model->config_json, 0, NULL));
	json_object_set_new(manifest, "parameters", json_integer((json_int_t) run->net.n_parameters));
	json_object_set_new(manifest, "seed", json_integer((json_int_t) run->request->seed));
	json_object_set_new(manifest, "shards", json_integer((json_int_t) run->options->shards));
	json_object_set_new(manifest, "threads", json_integer(run->request->n_threads));
	json_object_set_new(manifest, "rows", json_pack("{s:I, s:I, s:I, s:s, s:I}", "training",
													(json_int_t) run->n_part[PART_TRAINING], "validation",
													(json_int_t) run->n_part[PART_VALIDATION], "test",
													(json_int_t) run->n_part[PART_TEST], "sha256", digest, "tokens",
													(json_int_t) run->store.tokens));
	json_object_set_new(manifest, "options", options_json(run));
	status = run_manifest_write(run->options->folder, manifest, err);
	json_decref(manifest);
	return status;
}

static mb_status
report_plan(full_run *run, mb_error *err)
{
	char rows[32], tokens[32], steps[32], bytes[32], freeze[80], finish[40];
	double per_second = 0, per_step = 0, seconds;
	double needed = (double) finetune_epoch_tokens(run->task) * run->options->epochs;
	mb_status status =
		training_measure(&run->net, run->parameters, &run->running, &run->how, &per_second, &per_step, err);

	if (status != MB_OK)
		return status;
	seconds = needed / fmax(per_second, 1);
	snprintf(finish, sizeof(finish), seconds < 120 ? "%.0f seconds" : "%.0f minutes",
			 seconds < 120 ? seconds : seconds / 60);
	report_note("Plan: %s (%s training rows, %d layers), %g epochs of %s steps, %s tokens, %.3g FLOP, %s of memory;",
				describe_freeze(run->freeze, freeze, sizeof(freeze)),
				format_count(rows, sizeof(rows), (long long) run->n_part[PART_TRAINING]),
				run->base.model->config.num_hidden_layers, run->options->epochs,
				format_count(steps, sizeof(steps), (long long) run->steps_per_epoch),
				format_count(tokens, sizeof(tokens), (long long) needed),
				needed * run->running.flops_per_token(run->running.arg),
				format_bytes(bytes, sizeof(bytes),
							 (double) training_bytes(&run->net, &run->how) + (double) run->data.rows.texts_used +
								 (run->original != NULL ? (double) run->data.rows.n *
															  (double) run->base.model->config.hidden_size * 4
														: 0)));
	report_note("  at the measured %.0f tokens/s it takes some %s, less if it stops early", per_second, finish);
	return MB_OK;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

/* The largest difference between the engine's vectors and the network's, of validation rows. */
static mb_status
compare_engine(const full_run *run, const fit_rows *validation, double *worst, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, n = 0, i;
	size_t *rows = allocate(run->data.rows.n, sizeof(size_t));
	float *vectors;
	mb_status status;

	for (i = 0; i < run->data.rows.n && n < 256; i++)
		if (run->data.rows.rows[i].part == PART_VALIDATION)
			rows[n++] = i;
	vectors = allocate(n * H, sizeof(float));
	status = finetune_vectors(run->task, run->parameters, rows, n, vectors, err);
	*worst = 0;
	for (i = 0; i < n * H && status == MB_OK; i++)
	{
		double difference = fabs((double) vectors[i] - (double) validation->features[i]);

		if (!(difference <= *worst))
			*worst = isnan(difference) ? INFINITY : difference;
	}
	free(vectors);
	free(rows);
	return status;
}

static bool
write_half(const full_run *run)
{
	const mb_tensor *words = mb_model_tensor(run->base.model, "embeddings.word_embeddings.weight");

	return run->options->precision == PRECISION_FP16 ||
		   (run->options->precision == PRECISION_AS_BASE && words->dtype == MB_F16);
}

/* The trained encoder as a file in the run's folder, and as the engine sees it. */
static mb_status
open_trained(full_run *run, mb_error *err)
{
	char *path = run_folder_file(run->options->folder, TRAINED_ENCODER);
	mb_status status = finetune_write_encoder(path, &run->net, run->parameters, run->base.model, &run->pipeline,
											  write_half(run), err);

	if (status == MB_OK)
		status = model_source_open_file(&run->encoder, path, err);
	if (status == MB_OK)
		status = model_source_image(&run->encoder, err);
	free(path);
	return status;
}

/* The classifier for vectors as the engine makes them, not yet calibrated. */
static void
take_head(const full_run *run, fit_result *fit)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n, i;
	const real *weight = finetune_classifier(&run->net, run->parameters, false);
	const real *bias = finetune_classifier(&run->net, run->parameters, true);
	double scale = finetune_feature_scale(&run->pipeline, (int32_t) H);

	fit_result_init(fit, H, L);
	for (i = 0; i < L * H; i++)
		fit->weight[i] = (float) (scale * (double) weight[i]);
	for (i = 0; i < L; i++)
		fit->bias[i] = (float) bias[i];
}

static json_t *
training_card(const full_run *run, const fit_result *fit)
{
	json_t *card = options_json(run), *probe;
	char freeze[80];

	json_object_set_new(card, "frozen", json_string(describe_freeze(run->freeze, freeze, sizeof(freeze))));
	json_object_set_new(card, "head",
						json_string(run->options->start_from_prior
										? "multi-label, from the log prior, trained with the encoder"
										: "multi-label, from a logistic regression on the frozen vectors, trained with the "
										  "encoder"));
	json_object_set_new(card, "optimizer",
						json_string("AdamW with bias correction (0.9, 0.999), clipped at norm 1, linear warm-up and decay"));
	json_object_set_new(card, "steps", json_integer((json_int_t) run->trained.steps));
	json_object_set_new(card, "tokens", json_integer((json_int_t) run->trained.tokens));
	json_object_set_new(card, "best_step", json_integer((json_int_t) run->trained.best_step));
	json_object_set_new(card, "stopped_early", json_boolean(run->trained.stopped_early));
	json_object_set_new(card, "calibration",
						json_string("Platt scaling per tag on the validation part, folded into the head"));
	json_object_set_new(
		card, "thresholds",
		json_string("best F1 per tag on the validation part, shrunk to the best global one by n/(n+20)"));
	json_object_set_new(card, "global_threshold", json_rounded(fit->global_threshold, 6));
	probe = json_pack("{s:f, s:o}", "l2", run->probe.trials[run->probe.chosen].l2, "validation",
					  metrics_json(&run->probe_validation, run->data.labels.names, false));
	if (run->n_part[PART_TEST] > 0)
		json_object_set_new(probe, "test", metrics_json(&run->probe_test, run->data.labels.names, false));
	json_object_set_new(card, "linear_probe", probe);
	return card;
}

static void
print_summary(const full_run *run, const metrics *validation, const metrics *test)
{
	printf("\n                      macro AP  micro AP  micro F1  macro F1     ECE\n");
	printf("  validation, probe   %8.4f  %8.4f  %8.4f  %8.4f  %6.4f\n", run->probe_validation.macro_ap,
		   run->probe_validation.micro_ap, run->probe_validation.calibrated.micro_f1,
		   run->probe_validation.calibrated.macro_f1, run->probe_validation.ece);
	printf("  validation, trained %8.4f  %8.4f  %8.4f  %8.4f  %6.4f\n", validation->macro_ap, validation->micro_ap,
		   validation->calibrated.micro_f1, validation->calibrated.macro_f1, validation->ece);
	if (test == NULL)
		return;
	printf("  test, probe         %8.4f  %8.4f  %8.4f  %8.4f  %6.4f\n", run->probe_test.macro_ap,
		   run->probe_test.micro_ap, run->probe_test.calibrated.micro_f1, run->probe_test.calibrated.macro_f1,
		   run->probe_test.ece);
	printf("  test, trained       %8.4f  %8.4f  %8.4f  %8.4f  %6.4f\n", test->macro_ap, test->micro_ap,
		   test->calibrated.micro_f1, test->calibrated.macro_f1, test->ece);
}

/* The last line of the run's metrics, and its page: of the test part where there is one. */
static mb_status
write_report(const full_run *run, const json_t *card, const fit_rows *rows, const fit_result *fit,
			 const finetune_written *written, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n;
	json_t *parts = json_object_get(card, "metrics");
	json_t *shown = json_object_get(parts, run->n_part[PART_TEST] > 0 ? "test" : "validation");
	float *scores = head_scores(rows, fit, H, L);
	json_t *line = json_pack("{s:s, s:I, s:I, s:f, s:s, s:s, s:O, s:o, s:o}", "type", "final", "step",
							 (json_int_t) run->trained.steps, "tokens", (json_int_t) run->trained.tokens, "seconds",
							 run->trained.seconds, "model", run->output, "sha256", written->sha256, "metrics", shown,
							 "calibration", report_calibration_json(scores, rows->labels, rows->known, rows->n, L),
							 "cooccurrence",
							 report_cooccurrence_json(rows->labels, rows->known, run->data.labels.names, rows->n, L, 0));
	mb_status status;

	json_object_update(line, parts);
	status = run_metrics_append(run->options->folder, line, err);
	free(scores);
	return status == MB_OK ? report_html_write(run->options->folder, err) : status;
}

static mb_status
finish(full_run *run, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n;
	const features_options how = {NULL, run->request->n_threads, run->request->silent};
	tagged_rows view;
	float *features = NULL, *scores;
	features_stats stats;
	fit_rows validation_rows, test_rows;
	fit_result fit;
	metrics validation, test;
	bool tested = run->n_part[PART_TEST] > 0;
	finetune_written written;
	double worst = 0;
	mb_status status = open_trained(run, err);

	if (status != MB_OK)
		return status;
	view = some_rows(run, 0);
	status = features_compute(&run->encoder, &view, &how, &features, &stats, err);
	if (status != MB_OK)
	{
		free(view.rows);
		return status;
	}
	labels_gather(&validation_rows, &view, &run->data.labels, features, H, PART_VALIDATION, false);
	labels_gather(&test_rows, &view, &run->data.labels, features, H, PART_TEST, false);
	status = compare_engine(run, &validation_rows, &worst, err);
	if (status == MB_OK && !write_half(run) && worst > ENGINE_TOLERANCE)
		status = mb_fail(err, MB_CORRUPT, "the written encoder's vectors differ from the trained ones by %g", worst);
	take_head(run, &fit);
	scores = allocate(validation_rows.n * L, sizeof(float));
	if (status == MB_OK)
	{
		json_t *card;

		fit_calibrate(&fit, &validation_rows, scores, H, L);
		measure(&validation, &validation_rows, &fit, H, L);
		if (tested)
			measure(&test, &test_rows, &fit, H, L);
		card = finetune_card(run->request, &run->data, &run->base, training_card(run, &fit), &validation,
							 "The best step, calibration and thresholds were chosen on the validation part.",
							 tested ? &test : NULL);
		if (run->as_json)
			json_print(card);
		else
		{
			print_summary(run, &validation, tested ? &test : NULL);
			metrics_print(&validation, run->data.labels.names, "Validation part", run->max_tags);
			printf("\n  The best step, calibration and thresholds were chosen on these rows: on new rows expect a little "
				   "less.\n");
			if (tested)
				metrics_print(&test, run->data.labels.names, "Test part", run->max_tags);
			else
				printf("  --test=0.1 or --test-query keeps rows aside for an honest measure.\n");
		}
		status = finetune_write(&written, run->output, run->encoder.model,
								run->pipeline.pooling == MB_POOL_POOLER && !run->pipeline.normalize ? "classifier"
																								   : "tagger",
								&run->data.labels, &fit, card, &validation_rows, err);
		if (status == MB_OK)
			status = write_report(run, card, tested ? &test_rows : &validation_rows, &fit, &written, err);
		if (status == MB_OK && !run->as_json)
			printf("\nWrote \"%s\" (sha256 %.16s..., vectors within %.1e of the trained ones); "
				   "\"%s/report.html\" shows the run.\n",
				   run->output, written.sha256, worst, run->options->folder);
		json_decref(card);
		metrics_release(&validation);
		if (tested)
			metrics_release(&test);
	}
	fit_result_release(&fit);
	fit_rows_release(&validation_rows);
	fit_rows_release(&test_rows);
	free(scores);
	free(features);
	free(view.rows);
	return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

static mb_status
train(full_run *run, const char *server, mb_error *err)
{
	bool resume = run->options->opening == RUN_RESUME;
	mb_status status;
	json_t *identity;

	count_parts(run);
	status = choose_network(run, err);
	if (status == MB_OK)
		status = open_start(run, err);
	if (status == MB_OK)
		status = open_tokens(run, err);
	if (status != MB_OK)
		return status;
	identity = options_json(run);
	run->identity = json_dumps(identity, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(identity);
	if (!run_folder_has(run->options->folder, RUN_MANIFEST))
		status = write_manifest(run, server, err);
	if (status == MB_OK)
		status = fit_probe(run, err);
	if (status != MB_OK)
		return status;
	start_classifier(run);
	prepare(run);
	if (!resume || !run_folder_has(run->options->folder, RUN_CHECKPOINT))
		status = report_plan(run, err);
	if (status == MB_OK && mb_model_tensor(run->base.model, "cls.predictions.transform.dense.weight") != NULL)
		report_note("The base's masked-LM head is left out: it does not fit an encoder that has been trained on");
	if (status == MB_OK)
		status = training_run(&run->net, run->parameters, run->options->folder, resume, &run->running, &run->how,
							  &run->trained, err);
	if (status == MB_OK && run->trained.best_step == 0)
		report_warning("no step was better on the validation part than the start, which is what is written: more rows, "
					   "another --rate or fewer frozen layers may help");
	return status == MB_OK ? finish(run, err) : status;
}

static void
release(full_run *run)
{
	finetune_task_destroy(run->task);
	token_store_close(&run->store);
	free(run->identity);
	free(run->original);
	free(run->positive_weight);
	free(run->rates);
	free(run->parameters);
	net_release(&run->net);
	fit_result_release(&run->probe);
	metrics_release(&run->probe_validation);
	metrics_release(&run->probe_test);
	if (run->encoder.model != NULL)
		model_source_close(&run->encoder);
	if (run->start.model != NULL)
		model_source_close(&run->start);
	if (run->base.model != NULL)
		model_source_close(&run->base);
	finetune_data_release(&run->data);
}

/* Rows from the database, kept in the folder; or those that are kept there. */
static int
read_rows(full_run *run, const connection_options *where, const char *model_name, char server[32], mb_status *status,
		  mb_error *err)
{
	char *path = run_folder_file(run->options->folder, ROWS_STORE);
	bool kept = run->options->opening == RUN_RESUME;
	PGconn *connection = NULL;
	char *schema = NULL;
	int code = TOOL_OK;

	server[0] = '\0';
	*status = MB_OK;
	if (!kept || model_name != NULL)
	{
		code = connection_open(where, &connection);
		if (code == TOOL_OK)
			code = connection_handshake(connection, model_name != NULL, &schema);
		if (code == TOOL_OK)
			snprintf(server, 32, "%.31s", PQparameterStatus(connection, "server_version"));
	}
	if (code == TOOL_OK && model_name != NULL)
		*status = model_source_open_database(&run->base, connection, schema, model_name, err);
	if (code == TOOL_OK && *status == MB_OK && kept)
	{
		*status = rows_store_read(path, &run->data.rows, run->data.counts, err);
		if (*status == MB_OK)
			*status = finetune_choose(&run->data, run->request, err);
	}
	else if (code == TOOL_OK && *status == MB_OK)
	{
		*status = finetune_read(&run->data, connection, run->request, err);
		if (*status == MB_OK)
			*status = rows_store_write(path, &run->data.rows, run->data.counts, err);
	}
	free(schema);
	free(path);
	/* Hours of computing need no open connection. */
	connection_close(connection);
	return code;
}

int
finetune_full(const finetune_request *request, const full_options *options, const connection_options *where,
			  const char *model_path, const char *model_name, const char *output, bool as_json, size_t max_tags)
{
	full_run run = {.request = request, .options = options, .output = output, .as_json = as_json, .max_tags = max_tags};
	mb_error err = {0};
	char server[32];
	int code = TOOL_OK;
	/* What can be known to fail is found before the database is asked for anything. */
	mb_status status = output_file_check(output, &err);

	run.store.fd = -1;
	if (status == MB_OK && model_path != NULL)
		status = model_source_open_file(&run.base, model_path, &err);
	if (status == MB_OK)
		status = run_folder_open(options->folder, options->opening, &err);
	if (status != MB_OK)
	{
		code = report_error(&err);
		release(&run);
		return code;
	}
	code = read_rows(&run, where, model_name, server, &status, &err);
	if (code == TOOL_OK && status == MB_OK)
		status = train(&run, server[0] != '\0' ? server : NULL, &err);
	if (code == TOOL_OK && status != MB_OK)
		code = report_error(&err);
	release(&run);
	run_folder_close();
	return code;
}
