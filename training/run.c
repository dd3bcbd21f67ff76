/*
 * run.c - the loop: step, watch, log, validate, save.
 *
 * The work of a step is divided by shards and added up in their order; threads only decide who computes which.
 */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "memory.h"
#include "parallel.h"
#include "progress.h"
#include "report.h"
#include "run_checkpoint.h"
#include "run_folder.h"
#include "run_schedule.h"
#include "run_status.h"
#include "run_watch.h"

#define MAX_ROLLBACKS 3
#define NO_SCORE (-1e300) /* JSON has no infinity */
#define LOGS_PER_RUN 500
#define VALIDATIONS_PER_RUN 20
#define MEASURE_SECONDS 2.0
#define MEASURE_STEPS 50

typedef struct run
{
	const net *net;
	const training_task *task;
	const training_options *options;
	const char *folder;
	char *checkpoint_path, *best_path;
	run_schedule schedule;
	run_state state;
	run_watch watch;
	run_metrics metrics;
	run_display display;
	real *parameters, *m, *v;
	shard_work *shards;
	real **gradients; /* [n_shards], those of the shards */
	mb_error *shard_errors;
	mb_status *shard_status;
	int phase;        /* being computed */
	double *rates;    /* [n_tensors] */
	double began;     /* monotonic time at which state.seconds was 0 */
	double step_took; /* seconds of the last one */
	double saved_at;  /* monotonic */
	net_loss sums;    /* since the last line of metrics */
	double norms, computing;
	uint64_t tokens, steps;
	double rate; /* of the last step */
	double last_norm;
} run;

/* ---- one step ---------------------------------------------------------------------------------------------------- */

static void
create_shards(run *r)
{
	int n = r->options->n_shards;
	int i;

	r->shards = allocate((size_t) n, sizeof(*r->shards));
	r->gradients = allocate((size_t) n, sizeof(*r->gradients));
	r->shard_errors = allocate((size_t) n, sizeof(*r->shard_errors));
	r->shard_status = allocate((size_t) n, sizeof(*r->shard_status));
	for (i = 0; i < n; i++)
	{
		r->gradients[i] = allocate(r->net->n_parameters, sizeof(real));
		r->shards[i] =
			(shard_work){.net = r->net,
						 .parameters = r->parameters,
						 .gradients = r->gradients[i],
						 .activations = net_activations_create(r->net, r->options->max_tokens, r->options->max_length),
						 .shard = i,
						 .n_shards = n};
	}
}

static void
destroy_shards(run *r)
{
	int i;

	for (i = 0; i < r->options->n_shards; i++)
	{
		free(r->gradients[i]);
		net_activations_destroy(r->shards[i].activations);
	}
	free(r->shards);
	free(r->gradients);
	free(r->shard_errors);
	free(r->shard_status);
}

static void
compute_shard(void *arg, size_t shard, int thread)
{
	run *r = arg;
	shard_work *work = &r->shards[shard];

	(void) thread;
	if (r->phase == 0)
		memset(work->gradients, 0, r->net->n_parameters * sizeof(real));
	r->shard_status[shard] = r->task->phase(r->task->arg, r->phase, work, &r->shard_errors[shard]);
}

/* Gradients of all shards, each in its own place. */
static mb_status
compute_step(run *r, uint64_t step, mb_error *err)
{
	const training_task *task = r->task;
	int n = r->options->n_shards;
	mb_status status = task->begin != NULL ? task->begin(task->arg, step, err) : MB_OK;
	int i;

	for (i = 0; i < n; i++)
	{
		r->shards[i].step = step;
		r->shards[i].loss = (net_loss){0, 0, 0};
		r->shards[i].tokens = 0;
	}
	for (r->phase = 0; r->phase < task->n_phases && status == MB_OK; r->phase++)
	{
		parallel_run((size_t) n, r->options->n_threads, compute_shard, r);
		for (i = 0; i < n && status == MB_OK; i++)
			if (r->shard_status[i] != MB_OK)
			{
				status = r->shard_status[i];
				if (err != NULL)
					*err = r->shard_errors[i];
			}
		if (status == MB_OK && task->between != NULL && r->phase + 1 < task->n_phases)
			status = task->between(task->arg, r->phase, r->shards, n, err);
	}
	return status;
}

static double
mean_loss(const net_loss *loss)
{
	return loss->targets > 0 ? loss->sum / (double) loss->targets : 0;
}

static double
accuracy(const net_loss *loss)
{
	return loss->targets > 0 ? (double) loss->correct / (double) loss->targets : 0;
}

static void
set_rates(run *r, double rate)
{
	size_t i;

	for (i = 0; i < r->net->n_tensors; i++)
		r->rates[i] = rate * (r->options->rate_of_tensor != NULL ? r->options->rate_of_tensor[i] : 1);
	r->rate = rate;
}

/* Computes a step and takes it.  *loss: its own. */
static mb_status
take_step(run *r, double rate, net_loss *loss, uint64_t *tokens, mb_error *err)
{
	const training_options *o = r->options;
	mb_status status = compute_step(r, r->state.step, err);
	int i;

	*loss = (net_loss){0, 0, 0};
	*tokens = 0;
	if (status != MB_OK)
		return status;
	for (i = 0; i < o->n_shards; i++)
	{
		loss->sum += r->shards[i].loss.sum;
		loss->targets += r->shards[i].loss.targets;
		loss->correct += r->shards[i].loss.correct;
		*tokens += r->shards[i].tokens;
	}
	gradients_reduce(r->gradients, (size_t) o->n_shards, r->net->n_parameters, o->n_threads);
	set_rates(r, rate);
	r->last_norm = adamw_step(r->net, r->parameters, r->m, r->v, r->gradients[0], r->state.step + 1, r->rates,
							  &o->adamw, o->n_threads);
	return MB_OK;
}

/* ---- what is written down ---------------------------------------------------------------------------------------- */

static double
elapsed(const run *r)
{
	return monotonic_seconds() - r->began;
}

static mb_status
add_event(run *r, const char *name, const char *detail, mb_error *err)
{
	return run_metrics_add(&r->metrics,
						   json_pack("{s:s, s:I, s:s, s:s}", "type", "event", "step", (json_int_t) r->state.step,
									 "name", name, "detail", detail),
						   err);
}

/* The means since the last line, if there was a step. */
static mb_status
add_step_line(run *r, mb_error *err)
{
	double rate = r->computing > 0 ? (double) r->tokens / r->computing : 0;
	json_t *line;

	if (r->steps == 0)
		return MB_OK;
	line = json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "type", "step", "step",
					 (json_int_t) r->state.step, "tokens", (json_int_t) r->state.tokens, "seconds", r->state.seconds,
					 "loss", mean_loss(&r->sums), "accuracy", accuracy(&r->sums), "rate", r->rate, "grad_norm",
					 r->norms / (double) r->steps, "tokens_per_s", rate, "gflops",
					 1e-9 * rate * r->task->flops_per_token(r->task->arg));
	r->sums = (net_loss){0, 0, 0};
	r->norms = r->computing = 0;
	r->tokens = r->steps = 0;
	return run_metrics_add(&r->metrics, line, err);
}

static mb_status
save(run *r, mb_error *err)
{
	mb_status status = add_step_line(r, err);

	if (status == MB_OK)
		status = run_metrics_sync(&r->metrics, &r->state.metrics_bytes, err);
	if (status == MB_OK)
		status = run_checkpoint_write(r->checkpoint_path, r->parameters, r->m, r->v, r->net->n_parameters, &r->state,
									  r->options->identity, err);
	if (status == MB_OK)
		status = add_event(r, "saved", "", err);
	r->saved_at = monotonic_seconds();
	return status;
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

/* "loss 4.2312, recall_at_1 0.83": the numbers of a line of metrics. */
static void
note_validation(run *r, const json_t *metrics)
{
	string_buffer text = {0};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) (uintptr_t) metrics, key, value) if (json_is_real(value))
		string_printf(&text, "%s%s %.4f", text.size > 0 ? ", " : "", key, json_real_value(value));
	run_display_pause(&r->display);
	report_note("validation after step %llu: %s", (unsigned long long) r->state.step,
				text.data != NULL ? text.data : "nothing to tell");
	string_release(&text);
}

static mb_status
keep_if_best(run *r, double score, bool *better, mb_error *err)
{
	*better = score > r->state.best_score;
	if (!*better)
	{
		r->state.without_better++;
		return MB_OK;
	}
	r->state.best_score = score;
	r->state.best_step = r->state.step;
	r->state.without_better = 0;
	if (!r->options->keep_best)
		return MB_OK;
	return run_checkpoint_write(r->best_path, r->parameters, NULL, NULL, r->net->n_parameters, &r->state,
								r->options->identity, err);
}

static mb_status
validate(run *r, mb_error *err)
{
	json_t *line = json_pack("{s:s, s:I}", "type", "validation", "step", (json_int_t) r->state.step);
	json_t *metrics = json_object();
	double score = NO_SCORE;
	bool better = false;
	mb_status status = r->task->validate(r->task->arg, r->net, r->parameters, metrics, &score, err);

	if (status == MB_OK)
	{
		note_validation(r, metrics);
		json_object_update(line, metrics);
		status = add_step_line(r, err);
	}
	json_decref(metrics);
	if (status != MB_OK)
	{
		json_decref(line);
		return status;
	}
	status = run_metrics_add(&r->metrics, line, err);
	if (status == MB_OK && isfinite(score))
		status = keep_if_best(r, score, &better, err);
	if (status == MB_OK && better && r->options->keep_best)
		status = add_event(r, "best", "", err);
	return status;
}

/* ---- when things go wrong ---------------------------------------------------------------------------------------- */

static mb_status
roll_back(run *r, watch_verdict verdict, double loss, mb_error *err)
{
	const char *what = verdict == WATCH_NOT_FINITE ? "not_finite" : "diverging";
	char detail[160];
	uint64_t from = r->state.step;
	double seconds = elapsed(r), scale = r->state.rate_scale / 2;
	int rollbacks = r->state.rollbacks + 1;
	uint64_t skipped = r->state.skipped, best_step = r->state.best_step;
	double best_score = r->state.best_score;
	mb_status status;

	if (verdict == WATCH_NOT_FINITE)
		snprintf(detail, sizeof(detail), "the gradient was not finite in three steps in a row");
	else
		snprintf(detail, sizeof(detail), "the loss rose to %.3g, far above where it was", loss);
	run_display_pause(&r->display);
	report_warning("step %llu: %s", (unsigned long long) from, detail);
	status = add_step_line(r, err);
	if (status == MB_OK)
		status = add_event(r, what, detail, err);
	if (status != MB_OK)
		return status;
	if (rollbacks > MAX_ROLLBACKS)
	{
		mb_fail(err, MB_LIMIT, "training diverges, even at 1/%d of the rate", 1 << MAX_ROLLBACKS);
		mb_detail(err, "At step %llu %s.", (unsigned long long) from, detail);
		mb_hint(err, "Begin anew with a lower --rate (this run had %g), a longer --warmup or more tokens a step.",
				r->options->rate);
		return MB_LIMIT;
	}
	status = run_checkpoint_read(r->checkpoint_path, r->parameters, r->m, r->v, r->net->n_parameters, &r->state,
								 r->options->identity, err);
	if (status != MB_OK)
		return status;
	r->state.rate_scale = scale;
	r->state.rollbacks = rollbacks;
	r->state.skipped = skipped;
	/* The file of the best parameters stays where it is. */
	r->state.best_score = best_score;
	r->state.best_step = best_step;
	r->state.seconds = seconds; /* time that is gone is gone */
	memset(&r->watch, 0, sizeof(r->watch));
	snprintf(detail, sizeof(detail), "from step %llu to step %llu, at %g of the rate", (unsigned long long) from,
			 (unsigned long long) r->state.step, scale);
	report_warning("going back %s", detail);
	status = add_event(r, "rolled_back", detail, err);
	/* Saved at once: a run that is killed now must not try the old rate again. */
	return status == MB_OK ? save(r, err) : status;
}

static mb_status
watch_plateau(run *r, double done, double loss, double right, mb_error *err)
{
	plateau_state before = r->state.plateau;
	char detail[200];
	mb_status status;

	r->state.plateau = run_watch_plateau(before, done, r->state.step, loss, right, r->task->unigram_loss);
	if (r->state.plateau == before)
		return MB_OK;
	run_display_pause(&r->display);
	if (r->state.plateau == PLATEAU_ESCAPED)
	{
		snprintf(detail, sizeof(detail), "loss %.3f, accuracy %.3f", loss, right);
		report_note("step %llu: off the unigram plateau (%s)", (unsigned long long) r->state.step, detail);
		return add_event(r, "escaped", detail, err);
	}
	snprintf(detail, sizeof(detail),
			 "loss %.3f is near that of token frequencies alone (%.3f), accuracy %.3f: context is hardly used yet", loss,
			 r->task->unigram_loss, right);
	report_warning("step %llu: on the unigram plateau: %s", (unsigned long long) r->state.step, detail);
	report_note("  It takes 800 to 2,000 steps to leave it.  If it does not: more steps or a longer --budget, another "
				"--rate, fewer tokens a step, a smaller --config.");
	status = add_event(r, "plateau", detail, err);
	if (status == MB_OK && r->options->stop_on_plateau)
	{
		status = save(r, err);
		if (status == MB_OK)
		{
			status = mb_fail(err, MB_LIMIT, "training stays on the unigram plateau");
			mb_detail(err, "After step %llu %s.", (unsigned long long) r->state.step, detail);
			mb_hint(err, "Leave out --stop-on-plateau and add --resume to go on, or begin anew with another --rate.");
		}
	}
	return status;
}

static mb_status
stop_for_interrupt(run *r, mb_error *err)
{
	mb_status status;

	run_display_pause(&r->display);
	/* Before saving, which says how much of the metrics is kept. */
	status = add_event(r, "interrupted", "", err);
	if (status == MB_OK)
		status = save(r, err);
	if (status != MB_OK)
		return status;
	report_note("Saved after step %llu in \"%s\".", (unsigned long long) r->state.step, r->folder);
	if (r->options->resume_command != NULL)
		report_note("To go on: %s", r->options->resume_command);
	return mb_fail(err, MB_CANCELLED, "interrupted");
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void
show(run *r, double done, double loss, double right)
{
	double rate = r->computing > 0 ? (double) r->tokens / r->computing : 0;
	double seconds = r->state.seconds;
	run_status status = {.step = r->state.step,
						 .steps = r->schedule.steps,
						 .done = done,
						 .loss = loss,
						 .accuracy = right,
						 .tokens_per_s = rate,
						 .gflops = 1e-9 * rate * r->task->flops_per_token(r->task->arg),
						 .seconds_left = r->schedule.steps == 0 ? r->schedule.budget - seconds
										 : done > 0             ? seconds * (1 - done) / done
																: 0};

	run_display_update(&r->display, &status);
}

static bool
is_due(uint64_t every, uint64_t step, double begin, double end, int per_run)
{
	return every > 0 ? step % every == 0 : run_schedule_passes(begin, end, per_run);
}

/* One turn; *over: early stopping says so. */
static mb_status
turn(run *r, bool *over, mb_error *err)
{
	const training_options *o = r->options;
	double begin, end, started = monotonic_seconds();
	double loss, right;
	net_loss step_loss;
	uint64_t tokens;
	watch_verdict verdict;
	mb_status status;

	run_schedule_part(&r->schedule, r->state.step, elapsed(r), r->step_took, &begin, &end);
	status = take_step(r, o->rate * r->state.rate_scale * run_schedule_rate(&r->schedule, begin, end), &step_loss,
					   &tokens, err);
	if (status != MB_OK)
		return status;
	r->step_took = monotonic_seconds() - started;
	r->state.step++;
	r->state.tokens += tokens;
	r->state.seconds = elapsed(r);
	run_schedule_part(&r->schedule, r->state.step, r->state.seconds, 0, &end, &(double){0});
	verdict = run_watch_step(&r->watch, mean_loss(&step_loss), isfinite(r->last_norm));
	if (verdict == WATCH_NOT_FINITE || verdict == WATCH_DIVERGED)
		return roll_back(r, verdict, mean_loss(&step_loss), err);
	if (verdict == WATCH_SKIPPED)
	{
		r->state.skipped++;
		run_display_pause(&r->display);
		report_warning("step %llu was left out: its gradient is not finite", (unsigned long long) r->state.step);
		return add_event(r, "not_finite", "the step was left out", err);
	}
	r->sums.sum += step_loss.sum;
	r->sums.targets += step_loss.targets;
	r->sums.correct += step_loss.correct;
	r->norms += r->last_norm;
	r->computing += r->step_took;
	r->tokens += tokens;
	r->steps++;
	loss = mean_loss(&r->sums);
	right = accuracy(&r->sums);
	show(r, end, loss, right);
	if (is_due(o->log_every, r->state.step, begin, end, LOGS_PER_RUN))
	{
		status = add_step_line(r, err);
		if (status == MB_OK && r->task->watch_plateau)
			status = watch_plateau(r, end, loss, right, err);
	}
	if (status == MB_OK && is_due(o->validate_every, r->state.step, begin, end, VALIDATIONS_PER_RUN) &&
		!run_schedule_over(&r->schedule, r->state.step, elapsed(r)))
	{
		status = validate(r, err);
		*over = o->patience > 0 && r->state.without_better >= o->patience;
	}
	/* Not where the loss is far off: a run that diverges is to go back to before that. */
	if (status == MB_OK && !*over && r->watch.outliers == 0 &&
		monotonic_seconds() - r->saved_at >= o->checkpoint_every)
		status = save(r, err);
	return status;
}

static mb_status
finish(run *r, bool stopped_early, training_result *result, mb_error *err)
{
	mb_status status =
		stopped_early ? add_event(r, "stopped_early", "no better score for a while", err) : validate(r, err);

	run_display_pause(&r->display);
	if (status == MB_OK)
		status = save(r, err);
	if (status == MB_OK && r->options->keep_best && r->state.best_score > NO_SCORE)
	{
		run_state ignored;

		status = run_checkpoint_read(r->best_path, r->parameters, NULL, NULL, r->net->n_parameters, &ignored,
									 r->options->identity, err);
	}
	if (status == MB_OK)
		*result = (training_result){.steps = r->state.step,
									.tokens = r->state.tokens,
									.seconds = r->state.seconds,
									.best_score = r->state.best_score,
									.best_step = r->state.best_step,
									.stopped_early = stopped_early};
	return status;
}

/* From the folder's checkpoint if there is one and that is wanted, else from the start, which is saved as well. */
static mb_status
begin(run *r, bool resume, mb_error *err)
{
	const training_options *o = r->options;
	mb_status status = MB_OK;

	r->state = (run_state){.seed = o->seed, .n_shards = o->n_shards, .rate_scale = 1, .best_score = NO_SCORE};
	resume = resume && run_folder_has(r->folder, RUN_CHECKPOINT);
	if (resume)
	{
		status = run_checkpoint_read(r->checkpoint_path, r->parameters, r->m, r->v, r->net->n_parameters, &r->state,
									 o->identity, err);
		if (status == MB_OK && (r->state.seed != o->seed || r->state.n_shards != o->n_shards))
		{
			status =
				mb_fail(err, MB_INVALID_ARGUMENT, "the run in \"%.200s\" has other shards or another seed", r->folder);
			mb_detail(err, "It has seed %llu and %d shards, not seed %llu and %d shards.",
					  (unsigned long long) r->state.seed, r->state.n_shards, (unsigned long long) o->seed, o->n_shards);
			mb_hint(err, "Give --seed and --shards as the run was started.");
		}
	}
	if (status == MB_OK)
		status = run_metrics_open(&r->metrics, r->folder, r->state.metrics_bytes, err);
	r->began = monotonic_seconds() - r->state.seconds;
	r->saved_at = monotonic_seconds();
	if (status != MB_OK)
		return status;
	if (resume)
	{
		report_note("Going on after step %llu.", (unsigned long long) r->state.step);
		return add_event(r, "resumed", "", err);
	}
	status = validate(r, err);
	/* Time begins with the first step. */
	r->began = monotonic_seconds();
	return status == MB_OK ? save(r, err) : status;
}

mb_status
training_run(const net *n, real *parameters, const char *folder, bool resume, const training_task *task,
			 const training_options *options, training_result *result, mb_error *err)
{
	run r = {.net = n,
			 .task = task,
			 .options = options,
			 .folder = folder,
			 .checkpoint_path = run_folder_file(folder, RUN_CHECKPOINT),
			 .best_path = run_folder_file(folder, RUN_BEST),
			 .schedule = {options->steps, options->budget, options->warmup},
			 .parameters = parameters,
			 .m = allocate(n->n_parameters, sizeof(real)),
			 .v = allocate(n->n_parameters, sizeof(real)),
			 .rates = allocate(n->n_tensors, sizeof(double))};
	bool over = false;
	mb_status status;

	create_shards(&r);
	run_display_start(&r.display, options->silent);
	status = begin(&r, resume, err);
	/* One that stopped early before does not go on; one that came to its end did not stop early. */
	over = options->patience > 0 && r.state.without_better >= options->patience &&
		   !run_schedule_over(&r.schedule, r.state.step, r.state.seconds);
	while (status == MB_OK && !over && !run_schedule_over(&r.schedule, r.state.step, elapsed(&r)))
	{
		if (interrupt_requested())
			status = stop_for_interrupt(&r, err);
		else
			status = turn(&r, &over, err);
	}
	if (status == MB_OK)
		status = finish(&r, over, result, err);
	else if (status == MB_CANCELLED)
		result->interrupted = true;
	run_display_pause(&r.display);
	run_metrics_close(&r.metrics);
	destroy_shards(&r);
	free(r.m);
	free(r.v);
	free(r.rates);
	free(r.checkpoint_path);
	free(r.best_path);
	return status;
}

/* ---- before it --------------------------------------------------------------------------------------------------- */

mb_status
training_measure(const net *n, const real *parameters, const training_task *task, const training_options *options,
				 double *tokens_per_second, double *tokens_per_step, mb_error *err)
{
	run r = {.net = n, .task = task, .options = options, .parameters = (real *) (uintptr_t) parameters};
	double took = 0;
	uint64_t tokens = 0, step = 0;
	mb_status status = MB_OK;

	create_shards(&r);
	/* The first step, which touches all memory for the first time, is not counted unless it takes all the time. */
	do
	{
		double started = monotonic_seconds();
		int i;

		status = compute_step(&r, step, err);
		if (step == 1)
			tokens = 0, took = 0;
		for (i = 0; i < options->n_shards; i++)
			tokens += r.shards[i].tokens;
		took += monotonic_seconds() - started;
		*tokens_per_step = (double) tokens / (double) (step == 0 ? 1 : step);
		step++;
	} while (status == MB_OK && took < MEASURE_SECONDS && step < MEASURE_STEPS && !interrupt_requested());
	*tokens_per_second = took > 0 ? (double) tokens / took : 0;
	destroy_shards(&r);
	return status;
}

size_t
training_bytes(const net *n, const training_options *options)
{
	size_t shards = (size_t) options->n_shards;

	return n->n_parameters * sizeof(real) * (3 + shards) +
		   shards * net_activations_bytes(n, options->max_tokens, options->max_length);
}
