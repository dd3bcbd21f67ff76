/* finetune_start.c - from rows to a network with a head: what the frozen vectors tell, or how frequent each tag is. */
#include "finetune_run.h"

#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "memory.h"
#include "progress.h"
#include "report.h"

/* The probe's path from strong to weak regularisation ends after so many steps for the worse. */
#define PROBE_PATIENCE 2

/* Training rows that the probe is fitted to at most: more would be hours of embedding for a start hardly better. */
#define PROBE_ROWS 50000

void
full_count_parts(full_run *run)
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

mb_status
full_open_tokens(full_run *run, mb_error *err)
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

/*
 * The rows of all parts but the training part, and so many of that, evenly taken; sharing all but their list, which is
 * the caller's to free.
 */
tagged_rows
full_some_rows(const full_run *run, size_t training)
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

mb_status
full_choose_network(full_run *run, mb_error *err)
{
	const full_options *o = run->options;
	int layers = run->base.model->config.num_hidden_layers;
	mb_status status;

	run->freeze = o->freeze;
	if (o->freeze == FULL_FREEZE_AUTO)
		run->freeze =
			run->n_part[PART_TRAINING] > FULL_ALL_LAYERS_ROWS || layers < 2 ? FULL_FREEZE_NOTHING : layers / 2;
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

/* The model whose vectors are where training starts: the base, or the base with another pipeline, in the run's folder.
 */
mb_status
full_open_start(full_run *run, mb_error *err)
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

static void
probe_progress(void *arg, int done, int total)
{
	(void) total;
	progress_update(arg, (uint64_t) done);
}

/* The head on these vectors [n in view][H]: measured, and where the classifier starts. */
static mb_status
fit_probe(full_run *run, const tagged_rows *view, const float *features, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n;
	fit_options fitting = run->request->fit;
	fit_rows parts[N_PARTS];
	progress bar;
	int p;
	mb_status status;

	for (p = 0; p < N_PARTS; p++)
		labels_gather(&parts[p], view, &run->data.labels, features, H, (row_part) p, false);
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
		fit_measure(&run->probe_validation, &parts[PART_VALIDATION], &run->probe, H, L);
		if (parts[PART_TEST].n > 0)
			fit_measure(&run->probe_test, &parts[PART_TEST], &run->probe, H, L);
		report_note("Linear probe on the frozen vectors: macro AP %.4f, micro F1 %.4f on the validation part",
					run->probe_validation.macro_ap, run->probe_validation.calibrated.micro_f1);
	}
	for (p = 0; p < N_PARTS; p++)
		fit_rows_release(&parts[p]);
	return status;
}

/*
 * What the frozen vectors are wanted for, before anything moves: the probe, and the embeddings to hold on to.  Where
 * neither is, no text is embedded, which for a large table saves many minutes.
 */
mb_status
full_use_frozen_vectors(full_run *run, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, i;
	bool keep = run->options->keep_similarity > 0, probe = !run->options->start_from_prior;
	features_options how = {NULL, run->request->n_threads, run->request->silent};
	features_stats stats;
	tagged_rows view;
	float *features = NULL;
	char *cache;
	mb_status status;

	if (!keep && !probe)
		return MB_OK;
	cache = run->request->cache_path != NULL ? copy_string(run->request->cache_path)
											 : run_folder_file(run->options->folder, VECTORS_CACHE);
	how.cache_path = cache;
	view = full_some_rows(run, keep ? run->n_part[PART_TRAINING] : PROBE_ROWS);
	status = features_compute(run->from, &view, &how, &features, &stats, err);
	free(cache);
	if (status == MB_OK && probe)
		status = fit_probe(run, &view, features, err);
	free(view.rows);
	if (status == MB_OK && keep)
	{
		run->original = features;
		for (i = 0; i < run->data.rows.n; i++)
			mb_normalize(features + i * H, H);
	}
	else
		free(features);
	return status;
}

/* Positives weigh as in the head's own fit. */
void
full_weigh_positives(full_run *run)
{
	size_t L = (size_t) run->data.labels.n, i;

	if (run->request->fit.imbalance != IMBALANCE_POS_WEIGHT)
		return;
	run->positive_weight = allocate(L, sizeof(float));
	for (i = 0; i < L; i++)
		run->positive_weight[i] = (float) fit_positive_weight(run->data.labels.support[i], run->data.labels.known[i]);
}

mb_status
full_ask_teacher(full_run *run, mb_error *err)
{
	char *cache = run_folder_file(run->options->folder, TEACHER_CACHE);
	const features_options how = {cache, run->request->n_threads, run->request->silent};
	mb_status status = teacher_score(&run->teacher, &run->teacher_source, &run->data.rows, &how, err);

	free(cache);
	return status;
}

void
full_start_classifier(full_run *run)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n, i;
	real *weight = finetune_classifier(&run->net, run->parameters, false);
	real *bias = finetune_classifier(&run->net, run->parameters, true);
	double scale = finetune_feature_scale(&run->pipeline, (int32_t) H);

	for (i = 0; i < L * H; i++)
		weight[i] = run->options->start_from_prior ? 0 : (real) ((double) run->probe.weight[i] / scale);
	for (i = 0; i < L; i++)
		bias[i] = run->options->start_from_prior
					  ? (real) fit_log_prior(run->data.labels.support[i], run->data.labels.known[i])
					  : run->probe.bias[i];
}
