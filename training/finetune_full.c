/*
 * finetune_full.c - full fine-tuning from the rows to the written model: read (or take from the run's folder),
 * tokenize, fit a head on the frozen vectors, train, and finish with the engine's own vectors.
 */
#include "finetune_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"
#include "output_file.h"
#include "report.h"
#include "rows_store.h"

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
						.teacher = o->teacher_path != NULL ? &run->teacher : NULL,
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

static mb_status
train(full_run *run, const char *server, mb_error *err)
{
	bool resume = run->options->opening == RUN_RESUME;
	mb_status status;
	json_t *identity;

	full_count_parts(run);
	status = full_choose_network(run, err);
	if (status == MB_OK && run->options->teacher_path != NULL)
		status = teacher_open(&run->teacher, &run->teacher_source, run->options->teacher_path, &run->data.labels,
							  run->options->teacher_weight, err);
	if (status == MB_OK)
		status = full_open_start(run, err);
	if (status == MB_OK)
		status = full_open_tokens(run, err);
	if (status != MB_OK)
		return status;
	identity = full_options_json(run);
	run->identity = json_dumps(identity, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(identity);
	status = resume ? full_check_manifest(run, err) : full_write_manifest(run, server, err);
	if (status == MB_OK)
		status = full_use_frozen_vectors(run, err);
	if (status == MB_OK && run->options->teacher_path != NULL)
		status = full_ask_teacher(run, err);
	if (status != MB_OK)
		return status;
	full_weigh_positives(run);
	full_start_classifier(run);
	prepare(run);
	if (!resume || !run_folder_has(run->options->folder, RUN_CHECKPOINT))
		status = full_report_plan(run, err);
	if (status == MB_OK && mb_model_tensor(run->base.model, "cls.predictions.transform.dense.weight") != NULL)
		report_note("The base's masked-LM head is left out: it does not fit an encoder that has been trained on");
	if (status == MB_OK)
		status = training_run(&run->net, run->parameters, run->options->folder, resume, &run->running, &run->how,
							  &run->trained, err);
	if (status == MB_OK && run->trained.best_step == 0)
		report_warning("no step was better on the validation part than the start, which is what is written: more rows, "
					   "another --rate or fewer frozen layers may help");
	return status == MB_OK ? full_finish(run, err) : status;
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
	teacher_release(&run->teacher);
	if (run->teacher_source.model != NULL)
		model_source_close(&run->teacher_source);
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
	const char *version = NULL;
	int code = TOOL_OK;

	server[0] = '\0';
	*status = MB_OK;
	if (!kept || model_name != NULL)
	{
		code = connection_open(where, &connection);
		if (code == TOOL_OK)
			code = connection_handshake(connection, model_name != NULL, &schema);
		if (code == TOOL_OK)
			version = PQparameterStatus(connection, "server_version");
		if (code == TOOL_OK)
			snprintf(server, 32, "%.31s", version != NULL ? version : "unknown");
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
