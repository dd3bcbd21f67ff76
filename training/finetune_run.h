/* finetune_run.h - one run of full fine-tuning: what it carries along, and its stages, each in a file of its own. */
#ifndef MOVIEBERT_TOOL_FINETUNE_RUN_H
#define MOVIEBERT_TOOL_FINETUNE_RUN_H

#include "finetune_full.h"
#include "finetune_model.h"
#include "finetune_task.h"
#include "run.h"

#define ROWS_STORE "rows.store"
#define TOKENS_STORE "tokens.store"
#define VECTORS_CACHE "vectors.cache"
#define TEACHER_CACHE "teacher.cache"
#define START_MODEL "start.safetensors"
#define TRAINED_ENCODER "encoder.safetensors"

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
	float *original;  /* [rows, H] frozen vectors of length 1, for --keep-similarity */
	fit_result probe; /* empty, like its metrics, where training starts from the prior */
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
	model_source teacher_source;
	teacher teacher;
	model_source encoder; /* trained */
} full_run;

/* ---- finetune_start.c: where training begins --------------------------------------------------------------------- */

void full_count_parts(full_run *run);

/* What is frozen, the rate, the pipeline, and the network with the base's weights. */
mb_status full_choose_network(full_run *run, mb_error *err);

/* The model whose vectors are where training starts: the base, or the base with another pipeline, in the run's folder.
 */
mb_status full_open_start(full_run *run, mb_error *err);

/* The rows' tokens, in the run's folder; text i of the store is row i. */
mb_status full_open_tokens(full_run *run, mb_error *err);

/* Before training: the linear probe unless --start is the prior, and the embeddings that --keep-similarity holds on to.
 */
mb_status full_use_frozen_vectors(full_run *run, mb_error *err);
void full_weigh_positives(full_run *run);
void full_start_classifier(full_run *run);

mb_status full_ask_teacher(full_run *run, mb_error *err);

/*
 * The rows of all parts but the training part, and so many of that, evenly taken; sharing all but their list, which is
 * the caller's to free.
 */
tagged_rows full_some_rows(const full_run *run, size_t training);

/* ---- finetune_finish.c: what is made of the trained weights ------------------------------------------------------ */

mb_status full_finish(full_run *run, mb_error *err);

/* ---- finetune_report.c: what is said of it ----------------------------------------------------------------------- */

/* Everything that decides the weights: a run is gone on with only if all of it is the same. */
json_t *full_options_json(const full_run *run);
mb_status full_write_manifest(const full_run *run, const char *server, mb_error *err);
mb_status full_check_manifest(const full_run *run, mb_error *err); /* of a run that is resumed: it is this one */
mb_status full_report_plan(full_run *run, mb_error *err);
json_t *full_training_card(const full_run *run, const fit_result *fit);
void full_print_summary(const full_run *run, const metrics *validation, const metrics *test);

/* The last line of the run's metrics, and its page: of the test part where there is one. */
mb_status full_write_report(const full_run *run, const json_t *card, const fit_rows *rows, const fit_result *fit,
							const finetune_written *written, mb_error *err);

#endif
