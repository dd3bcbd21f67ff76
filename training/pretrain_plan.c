/* pretrain_plan.c - what a run will be: told before it begins. */
#include "pretrain.h"

#include <stdio.h>
#include <time.h>

#include "blas.h"
#include "progress.h"
#include "report.h"

/* Runs of fewer steps seldom leave the unigram plateau. */
#define PLATEAU_STEPS 1500

#define BYTES_PER_TEXT 33

void
pretrain_plan_make(pretrain_plan *plan, const pretrain_request *request, const training_task *task, const net *n,
				   const token_store *store, uint64_t steps_per_epoch)
{
	const training_options *o = &request->training;

	plan->steps = o->steps > 0 ? (double) o->steps : o->budget * plan->tokens_per_second / plan->tokens_per_step;
	plan->tokens = plan->steps * plan->tokens_per_step;
	plan->seconds = o->steps > 0 ? plan->tokens / plan->tokens_per_second : o->budget;
	plan->epochs = plan->steps / (double) steps_per_epoch;
	plan->flops = plan->tokens * task->flops_per_token(task->arg);
	/* Validation has activations of its own, for each thread; a text its end, its part, its number and its place. */
	plan->bytes = training_bytes(n, o) +
				  (size_t) o->n_threads * net_activations_bytes(n, PRETRAIN_VALIDATION_TOKENS, o->max_length) +
				  (size_t) store->texts * BYTES_PER_TEXT;
}

static const char *
format_finish(char *buffer, size_t size, double seconds)
{
	time_t finish = time(NULL) + (time_t) seconds;
	struct tm local;

	localtime_r(&finish, &local);
	strftime(buffer, size, seconds < 43200 ? "%H:%M" : "%Y-%m-%d %H:%M", &local);
	return buffer;
}

void
pretrain_plan_report(const pretrain_plan *plan, const pretrain_request *request, const training_task *task,
					 const pretrain_model *model, const pretrain_texts *texts)
{
	const mb_config *c = &model->net.options.config;
	const training_options *o = &request->training;
	const token_store *store = &texts->store;
	char a[32], b[32], d[32], duration[24], finish[24];

	report_note("Plan: %s, %s", task->name, model->base.model != NULL ? "from a model" : "from scratch");
	report_note("  network   %d layer%s of %d, %d heads, intermediate %d, %d positions, vocabulary %s: %s parameters",
				c->num_hidden_layers, c->num_hidden_layers == 1 ? "" : "s", c->hidden_size, c->num_attention_heads,
				c->intermediate_size, c->max_position_embeddings, format_count(a, sizeof(a), c->vocab_size),
				format_count(b, sizeof(b), (long long) model->net.n_parameters));
	report_note("  texts     %s to train on, %s tokens; %s to validate on",
				format_count(a, sizeof(a), (long long) store->part_texts[PART_TRAINING]),
				format_count(b, sizeof(b), (long long) store->part_tokens[PART_TRAINING]),
				format_count(d, sizeof(d), (long long) store->part_texts[PART_VALIDATION]));
	report_note("  a step    %s tokens in %d shards on %d threads",
				format_count(a, sizeof(a), (long long) plan->tokens_per_step), o->n_shards, o->n_threads);
	report_note("  measured  %s tokens/s, %.0f GFLOP/s with OpenBLAS's %s kernels",
				format_count(a, sizeof(a), (long long) plan->tokens_per_second),
				1e-9 * plan->tokens_per_second * task->flops_per_token(task->arg), blas_core_name());
	report_note("  run       %s%s steps, %s tokens, %.2f epochs, %.2g FLOPs", o->steps > 0 ? "" : "about ",
				format_count(a, sizeof(a), (long long) plan->steps),
				format_count(b, sizeof(b), (long long) plan->tokens), plan->epochs, plan->flops);
	report_note("  takes     %s%s, until %s, and %s of memory", o->steps > 0 ? "about " : "",
				format_duration(duration, sizeof(duration), plan->seconds),
				format_finish(finish, sizeof(finish), plan->seconds), format_bytes(b, sizeof(b), (double) plan->bytes));
	if (task->watch_plateau)
		report_note("  loss      %.3f with token frequencies alone", task->unigram_loss);
	if (task->watch_plateau && plan->steps < PLATEAU_STEPS)
		report_warning("%s steps may not be enough to learn more than how frequent each token is (the unigram plateau, "
					   "800 to 2,000 steps)",
					   format_count(a, sizeof(a), (long long) plan->steps));
}

json_t *
pretrain_plan_json(const pretrain_plan *plan)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "tokens_per_second", plan->tokens_per_second,
					 "tokens_per_step", plan->tokens_per_step, "steps", plan->steps, "seconds", plan->seconds, "tokens",
					 plan->tokens, "epochs", plan->epochs, "flops", plan->flops, "bytes", (json_int_t) plan->bytes);
}
