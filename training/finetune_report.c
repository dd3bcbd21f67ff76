/* finetune_report.c - a run's plan, manifest, card, summary and page. */
#include "finetune_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "card.h"
#include "memory.h"
#include "report.h"
#include "report_data.h"
#include "report_html.h"

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

/* Everything that decides the weights: a run is gone on with only if all of it is the same. */
json_t *
full_options_json(const full_run *run)
{
	const full_options *o = run->options;
	char store[SHA256_HEX];

	sha256_hex(run->store.sha256, store);
	return json_pack(
		"{s:s, s:s, s:i, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:s, s:s, s:s, s:s,"
		" s:i, s:i, s:b, s:I, s:i, s:s*, s:f}",
		"base", run->base.sha256, "rows", store, "freeze", run->freeze, "epochs", o->epochs, "batch",
		(json_int_t) o->batch, "windows", (json_int_t) o->windows, "shards", (json_int_t) o->shards, "rate", run->rate,
		"head_rate", o->head_rate, "layer_decay", o->layer_decay, "warmup", o->warmup, "weight_decay", o->weight_decay,
		"dropout", o->dropout, "validate_every", o->validate_every, "patience", (json_int_t) o->patience,
		"keep_similarity", o->keep_similarity, "loss", o->asymmetric ? "asymmetric" : "bce", "imbalance",
		run->request->fit.imbalance == IMBALANCE_POS_WEIGHT ? "pos-weight" : "none", "start",
		o->start_from_prior ? "prior" : "probe", "pooling", mb_pooling_name(run->pipeline.pooling), "max_length",
		run->pipeline.max_length, "window_stride", run->pipeline.window_stride, "normalize",
		(int) run->pipeline.normalize, "seed", (json_int_t) run->request->seed, "tags", run->data.labels.n, "teacher",
		run->options->teacher_path != NULL ? run->teacher.sha256 : NULL, "teacher_weight",
		run->options->teacher_path != NULL ? run->teacher.weight : 0.0);
}

mb_status
full_write_manifest(const full_run *run, const char *server, mb_error *err)
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
	json_object_set_new(manifest, "rows",
						json_pack("{s:I, s:I, s:I, s:s, s:I}", "training", (json_int_t) run->n_part[PART_TRAINING],
								  "validation", (json_int_t) run->n_part[PART_VALIDATION], "test",
								  (json_int_t) run->n_part[PART_TEST], "sha256", digest, "tokens",
								  (json_int_t) run->store.tokens));
	json_object_set_new(manifest, "options", full_options_json(run));
	status = run_manifest_write(run->options->folder, manifest, err);
	json_decref(manifest);
	return status;
}

mb_status
full_check_manifest(const full_run *run, mb_error *err)
{
	json_t *manifest;
	mb_status status = run_manifest_read(run->options->folder, &manifest, err);

	if (status == MB_OK)
		status = run_manifest_check(run->options->folder, json_object_get(manifest, "options"), full_options_json(run),
									NULL, err);
	json_decref(manifest);
	return status;
}

mb_status
full_report_plan(full_run *run, mb_error *err)
{
	char rows[32], tokens[32], steps[32], bytes[32], freeze[80], finish[40];
	double per_second = 0, per_step = 0, seconds;
	double needed = (double) finetune_epoch_tokens(run->task) * run->options->epochs;
	mb_status status =
		training_measure(&run->net, run->parameters, &run->running, &run->how, &per_second, &per_step, err);

	if (status != MB_OK)
		return status;
	seconds = needed / fmax(per_second, 1);
	snprintf(finish, sizeof(finish), seconds < 120 ? "%.0f s" : "%.0f minutes",
			 seconds < 120 ? ceil(seconds) : seconds / 60);
	report_note("Plan: %s (%s training rows, %d layer%s), %g epochs of %s steps, %s tokens, %.3g FLOP, %s of memory;",
				describe_freeze(run->freeze, freeze, sizeof(freeze)),
				format_count(rows, sizeof(rows), (long long) run->n_part[PART_TRAINING]),
				run->base.model->config.num_hidden_layers, run->base.model->config.num_hidden_layers == 1 ? "" : "s",
				run->options->epochs, format_count(steps, sizeof(steps), (long long) run->steps_per_epoch),
				format_count(tokens, sizeof(tokens), (long long) needed),
				needed * run->running.flops_per_token(run->running.arg),
				format_bytes(bytes, sizeof(bytes),
							 (double) training_bytes(&run->net, &run->how) + (double) run->data.rows.texts_used +
								 (run->original != NULL
									  ? (double) run->data.rows.n * (double) run->base.model->config.hidden_size * 4
									  : 0)));
	report_note("  at the measured %.0f tokens/s it takes some %s, less if it stops early", per_second, finish);
	return MB_OK;
}

json_t *
full_training_card(const full_run *run, const fit_result *fit)
{
	json_t *card = full_options_json(run), *probe;
	char freeze[80];

	json_object_set_new(card, "frozen", json_string(describe_freeze(run->freeze, freeze, sizeof(freeze))));
	json_object_set_new(
		card, "head",
		json_string(run->options->start_from_prior
						? "multi-label, from the log prior, trained with the encoder"
						: "multi-label, from a logistic regression on the frozen vectors, trained with the "
						  "encoder"));
	json_object_set_new(
		card, "optimizer",
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
	if (run->options->start_from_prior)
		return card;
	probe = json_pack("{s:f, s:o}", "l2", run->probe.trials[run->probe.chosen].l2, "validation",
					  metrics_json(&run->probe_validation, run->data.labels.names, false));
	if (run->n_part[PART_TEST] > 0)
		json_object_set_new(probe, "test", metrics_json(&run->probe_test, run->data.labels.names, false));
	json_object_set_new(card, "linear_probe", probe);
	return card;
}

static void
print_summary_line(const char *what, const metrics *m)
{
	printf("  %-19s %8.4f  %8.4f  %8.4f  %8.4f  %6.4f\n", what, m->macro_ap, m->micro_ap, m->calibrated.micro_f1,
		   m->calibrated.macro_f1, m->ece);
}

void
full_print_summary(const full_run *run, const metrics *validation, const metrics *test)
{
	bool probe = !run->options->start_from_prior;

	printf("\n                      macro AP  micro AP  micro F1  macro F1     ECE\n");
	if (probe)
		print_summary_line("validation, probe", &run->probe_validation);
	print_summary_line("validation, trained", validation);
	if (test == NULL)
		return;
	if (probe)
		print_summary_line("test, probe", &run->probe_test);
	print_summary_line("test, trained", test);
}

/* The last line of the run's metrics, and its page: of the test part where there is one. */
mb_status
full_write_report(const full_run *run, const json_t *card, const fit_rows *rows, const fit_result *fit,
				  const finetune_written *written, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n;
	json_t *parts = json_object_get(card, "metrics");
	json_t *shown = json_object_get(parts, run->n_part[PART_TEST] > 0 ? "test" : "validation");
	float *scores = fit_scores(rows, fit, H, L);
	json_t *line =
		json_pack("{s:s, s:I, s:I, s:f, s:s, s:s, s:O, s:o, s:o}", "type", "final", "step",
				  (json_int_t) run->trained.steps, "tokens", (json_int_t) run->trained.tokens, "seconds",
				  run->trained.seconds, "model", run->output, "sha256", written->sha256, "metrics", shown,
				  "calibration", report_calibration_json(scores, rows->labels, rows->known, rows->n, L), "cooccurrence",
				  report_cooccurrence_json(rows->labels, rows->known, run->data.labels.names, rows->n, L, 0));
	mb_status status;

	json_object_update(line, parts);
	status = run_metrics_append(run->options->folder, line, err);
	free(scores);
	return status == MB_OK ? report_html_write(run->options->folder, err) : status;
}
