/*
 * test_run.c - a training run apart from what it trains: checkpoints, folder, and the loop on a task whose losses are
 * known.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "training/memory.h"
#include "training/report.h"
#include "training/run.h"
#include "training/run_checkpoint.h"
#include "training/run_folder.h"

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char folder[64];

static int
make_folder(void **state)
{
	(void) state;
	snprintf(folder, sizeof(folder), "/tmp/moviebert-run-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char command[128];

	(void) state;
	run_folder_close();
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static const run_state some_state = {.step = 12,
									 .tokens = UINT64_C(1) << 40,
									 .seconds = 0.1,
									 .seed = 7,
									 .n_shards = 2,
									 .rate_scale = 0.25,
									 .rollbacks = 2,
									 .skipped = 3,
									 .plateau = PLATEAU_ON,
									 .best_score = -1e300,
									 .best_step = 5,
									 .without_better = 1,
									 .metrics_bytes = 345};

#define N 1000

static void
fill(real *values, real from)
{
	for (int i = 0; i < N; i++)
		values[i] = from + (real) i / 3;
}

static void
test_checkpoint(void **state)
{
	real w[N], m[N], v[N], w2[N], m2[N], v2[N];
	char *path = run_folder_file(folder, RUN_CHECKPOINT);
	run_state read = {0};
	mb_error err = {0};

	(void) state;
	fill(w, 1), fill(m, -5), fill(v, 100);
	w[3] = (real) NAN; /* kept as it is, bit by bit */
	assert_int_equal(run_checkpoint_write(path, w, m, v, N, &some_state, "a run", &err), MB_OK);
	assert_int_equal(run_checkpoint_read(path, w2, m2, v2, N, &read, "a run", &err), MB_OK);
	assert_memory_equal(w, w2, sizeof(w));
	assert_memory_equal(m, m2, sizeof(m));
	assert_memory_equal(v, v2, sizeof(v));
	assert_int_equal(read.step, some_state.step);
	assert_int_equal(read.tokens, some_state.tokens);
	assert_true(read.seconds == some_state.seconds);
	assert_int_equal(read.seed, 7);
	assert_int_equal(read.n_shards, 2);
	assert_true(read.rate_scale == 0.25 && read.rollbacks == 2 && read.skipped == 3);
	assert_int_equal(read.plateau, PLATEAU_ON);
	assert_true(read.best_score == -1e300 && read.best_step == 5 && read.without_better == 1);
	assert_int_equal(read.metrics_bytes, 345);
	/* Of the parameters alone, as "best" is. */
	assert_int_equal(run_checkpoint_write(path, w, NULL, NULL, N, &some_state, "a run", &err), MB_OK);
	memset(w2, 0, sizeof(w2));
	assert_int_equal(run_checkpoint_read(path, w2, NULL, NULL, N, &read, "a run", &err), MB_OK);
	assert_memory_equal(w, w2, sizeof(w));
	assert_int_equal(run_checkpoint_read(path, w2, m2, NULL, N, &read, "a run", &err), MB_INVALID_ARGUMENT);
	free(path);
}

static void
test_checkpoint_refusals(void **state)
{
	real w[N], m[N], v[N], w2[N];
	char *path = run_folder_file(folder, RUN_CHECKPOINT);
	run_state read;
	mb_error err = {0};
	struct stat info;
	unsigned char byte;
	off_t at;
	int fd, refused = 0;

	(void) state;
	assert_int_equal(run_checkpoint_read(path, w2, m, v, N, &read, "a run", &err), MB_IO);
	fill(w, 1), fill(m, 2), fill(v, 3);
	assert_int_equal(run_checkpoint_write(path, w, m, v, N, &some_state, "a run", &err), MB_OK);
	assert_int_equal(run_checkpoint_read(path, w2, m, v, N, &read, "another", &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "is of another run"));
	assert_int_equal(run_checkpoint_read(path, w2, m, v, N - 1, &read, "a run", &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "another size"));
	/* One bit anywhere: refused, or of no consequence for what is read (spaces of the header). */
	assert_int_equal(stat(path, &info), 0);
	for (at = 0; at < info.st_size; at += 97)
	{
		fd = open(path, O_RDWR);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		memset(w2, 0, sizeof(w2));
		if (run_checkpoint_read(path, w2, m, v, N, &read, "a run", &err) == MB_OK)
		{
			assert_memory_equal(w, w2, sizeof(w));
			assert_int_equal(read.step, some_state.step);
		}
		else
			refused++;
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		close(fd);
	}
	printf("%d of %d damaged bytes were noticed\n", refused, (int) (info.st_size / 97 + 1));
	assert_true(refused >= (int) (3 * N * sizeof(real) / 97));
	/* Cut off. */
	for (at = info.st_size - 1; at > 0; at /= 2)
	{
		assert_int_equal(truncate(path, at), 0);
		assert_int_not_equal(run_checkpoint_read(path, w2, m, v, N, &read, "a run", &err), MB_OK);
	}
	free(path);
}

static void
check_line(const char *expected, const char *more, int argc, ...)
{
	char *argv[8];
	char *line;
	va_list args;
	int i;

	va_start(args, argc);
	for (i = 0; i < argc; i++)
		argv[i] = va_arg(args, char *);
	va_end(args);
	line = run_command_line(argc, argv, more);
	assert_string_equal(line, expected);
	free(line);
}

static void
test_command_line(void **state)
{
	(void) state;
	check_line("moviebert pretrain -q 'SELECT plot FROM \"m\"'", NULL, 3, "pretrain", "-q", "SELECT plot FROM \"m\"");
	check_line("moviebert pretrain 'it'\\''s' ''", NULL, 3, "pretrain", "it's", "");
	check_line("moviebert pretrain --seed=1 --resume", "--resume", 4, "pretrain", "--resume", "--seed=1", "--restart");
	check_line("moviebert pretrain -d 'host=h password=*** user=u'", NULL, 3, "pretrain", "-d",
			   "host=h password=secret user=u");
	check_line("moviebert pretrain -d 'password=*** user=u'", NULL, 3, "pretrain", "-d", "password='se cret' user=u");
	check_line("moviebert pretrain -d 'password = *** user=u'", NULL, 3, "pretrain", "-d", "password = 'a\\'b' user=u");
	check_line("moviebert pretrain -d 'password=***'", NULL, 3, "pretrain", "-d", "password=secret");
	check_line("moviebert pretrain -d 'postgres://u:***@h/db?x=1'", NULL, 3, "pretrain", "-d",
			   "postgres://u:secret@h/db?x=1");
	check_line("moviebert pretrain -d postgres://u@h:5432/db", NULL, 3, "pretrain", "-d", "postgres://u@h:5432/db");
}

static int64_t
size_of(const char *name)
{
	char *path = run_folder_file(folder, name);
	struct stat info = {0};

	(void) stat(path, &info);
	free(path);
	return info.st_size;
}

static void
test_metrics(void **state)
{
	run_metrics metrics = {0};
	mb_error err = {0};
	int64_t kept;

	(void) state;
	assert_int_equal(run_metrics_open(&metrics, folder, 0, &err), MB_OK);
	assert_int_equal(
		run_metrics_add(&metrics, json_pack("{s:s, s:i, s:f}", "type", "step", "step", 1, "loss", 2.5), &err), MB_OK);
	assert_int_equal(run_metrics_sync(&metrics, &kept, &err), MB_OK);
	assert_int_equal(kept, (int64_t) strlen("{\"type\":\"step\",\"step\":1,\"loss\":2.5}\n"));
	assert_int_equal(run_metrics_add(&metrics, json_pack("{s:i}", "lost", 1), &err), MB_OK);
	run_metrics_close(&metrics);
	assert_true(size_of(RUN_METRICS) > kept);
	assert_int_equal(run_metrics_open(&metrics, folder, kept, &err), MB_OK);
	run_metrics_close(&metrics);
	assert_int_equal(size_of(RUN_METRICS), kept);
	assert_int_equal(run_metrics_open(&metrics, folder, kept + 1, &err), MB_CORRUPT);
	/* A number that JSON cannot hold is an error, not half a line. */
	assert_int_not_equal(run_metrics_append(folder, json_pack("{s:f}", "loss", NAN), &err), MB_OK);
	assert_int_equal(size_of(RUN_METRICS), kept);
}

static void
test_folder(void **state)
{
	mb_error err = {0};
	json_t *manifest = json_pack("{s:i}", "format", 1), *read = NULL;

	(void) state;
	assert_int_equal(run_folder_open(folder, RUN_RESUME, &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "no run to resume"));
	assert_int_equal(run_folder_open(folder, RUN_NEW, &err), MB_OK);
	report_log("said");
	assert_int_equal(run_manifest_write(folder, manifest, &err), MB_OK);
	assert_int_equal(run_manifest_read(folder, &read, &err), MB_OK);
	assert_true(json_equal(manifest, read));
	/* flock is of the open file: a second opening is another one, as another process's would be. */
	assert_int_equal(run_folder_open(folder, RUN_RESUME, &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "another process"));
	run_folder_close();
	assert_int_equal(size_of(RUN_LOG), 5);
	assert_int_equal(run_folder_open(folder, RUN_NEW, &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "holds a run"));
	assert_int_equal(run_folder_open(folder, RUN_RESUME, &err), MB_OK);
	run_folder_close();
	assert_int_equal(run_folder_open(folder, RUN_RESTART, &err), MB_OK);
	assert_false(run_folder_has(folder, RUN_MANIFEST));
	assert_int_equal(size_of(RUN_LOG), 0);
	json_decref(manifest);
	json_decref(read);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* "Training" whose gradient pulls every parameter to 1, and whose losses and scores follow a list. */
typedef struct toy
{
	const double *losses; /* [n_losses], the last one again and again; NAN makes gradients that are not finite */
	int n_losses;
	const double *scores;
	int heals; /* no loss is NAN after so many validations; 0: never */
	int n_validations, n_steps;
} toy;

static mb_status
toy_phase(void *arg, int phase, shard_work *work, mb_error *err)
{
	toy *t = arg;
	size_t n = work->net->n_parameters, i;
	double loss = t->losses[work->step < (uint64_t) t->n_losses ? (int) work->step : t->n_losses - 1];

	(void) phase;
	(void) err;
	if (isnan(loss) && t->heals > 0 && t->n_validations >= t->heals)
		loss = 1;
	for (i = (size_t) work->shard; i < n; i += (size_t) work->n_shards)
		work->gradients[i] += isnan(loss) ? (real) NAN : (work->parameters[i] - 1) / (real) n;
	work->loss = (net_loss){loss, 1, 0};
	work->tokens = 10;
	if (work->shard == 0)
		t->n_steps++;
	return MB_OK;
}

static mb_status
toy_validate(void *arg, const net *n, const real *parameters, json_t *metrics, double *score, mb_error *err)
{
	toy *t = arg;

	(void) n;
	(void) parameters;
	(void) err;
	*score = t->scores != NULL ? t->scores[t->n_validations] : 0;
	json_object_set_new(metrics, "score", json_real(*score));
	t->n_validations++;
	return MB_OK;
}

static double
toy_flops(void *arg)
{
	(void) arg;
	return 1;
}

typedef struct toy_run
{
	net net;
	real *parameters;
	training_task task;
	training_options options;
	training_result result;
	mb_error err;
} toy_run;

static void
toy_start(toy_run *r, toy *t, uint64_t steps)
{
	const net_options sizes = {.config = {.vocab_size = 7,
										  .hidden_size = 4,
										  .num_hidden_layers = 1,
										  .num_attention_heads = 2,
										  .intermediate_size = 8,
										  .max_position_embeddings = 8,
										  .type_vocab_size = 2,
										  .layer_norm_eps = 1e-12f,
										  .hidden_act = MB_GELU}};

	memset(r, 0, sizeof(*r));
	assert_int_equal(net_create(&r->net, &sizes, &r->err), MB_OK);
	r->parameters = allocate(r->net.n_parameters, sizeof(real));
	net_init(&r->net, r->parameters, 1, 0);
	r->task = (training_task){.name = "toy",
							  .arg = t,
							  .n_phases = 1,
							  .phase = toy_phase,
							  .validate = toy_validate,
							  .flops_per_token = toy_flops};
	r->options = (training_options){.seed = 1,
									.n_threads = 2,
									.n_shards = 3,
									.steps = steps,
									.warmup = 0.1,
									.rate = 0.01,
									.adamw = {0.9, 0.98, 1e-6, 0, 1},
									.checkpoint_every = 1e9,
									.max_tokens = 8,
									.max_length = 8,
									.identity = "toy",
									.silent = true};
	report_quiet(true);
}

static mb_status
toy_go(toy_run *r, bool resume)
{
	return training_run(&r->net, r->parameters, folder, resume, &r->task, &r->options, &r->result, &r->err);
}

static void
toy_end(toy_run *r)
{
	free(r->parameters);
	net_release(&r->net);
}

/* How often metrics.jsonl has an event of this name, or with name NULL, lines of this type. */
static int
count_lines(const char *type, const char *name)
{
	char *path = run_folder_file(folder, RUN_METRICS);
	FILE *file = fopen(path, "r");
	char line[1000];
	int n = 0;

	free(path);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
	{
		json_t *object = json_loads(line, 0, NULL);

		assert_non_null(object);
		if (strcmp(json_string_value(json_object_get(object, "type")), type) == 0 &&
			(name == NULL || strcmp(json_string_value(json_object_get(object, "name")), name) == 0))
			n++;
		json_decref(object);
	}
	if (file != NULL)
		fclose(file);
	return n;
}

static void
test_loop(void **state)
{
	const double losses[] = {1};
	toy t = {.losses = losses, .n_losses = 1};
	toy_run r;
	real first;

	(void) state;
	toy_start(&r, &t, 100);
	first = r.parameters[0];
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_int_equal(t.n_steps, 100);
	assert_int_equal(t.n_validations, 21);
	assert_int_equal(r.result.steps, 100);
	assert_int_equal(r.result.tokens, 100 * 3 * 10);
	assert_true(fabs((double) r.parameters[0] - 1) < fabs((double) first - 1));
	assert_int_equal(count_lines("step", NULL), 100);
	assert_int_equal(count_lines("validation", NULL), 21);
	/* A run that is complete has nothing more to do. */
	t.n_steps = 0;
	assert_int_equal(toy_go(&r, true), MB_OK);
	assert_int_equal(t.n_steps, 0);
	/* Nor does the checkpoint of one run serve another. */
	r.options.identity = "another";
	assert_int_equal(toy_go(&r, true), MB_INVALID_ARGUMENT);
	r.options.identity = "toy";
	r.options.n_shards = 2;
	assert_int_equal(toy_go(&r, true), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(r.err.message, "other shards or another seed"));
	toy_end(&r);
}

/* Left and resumed three times, each with another number of threads: the same as in one go. */
static void
test_loop_in_parts(void **state)
{
	const double losses[] = {1};
	/* Never better than the first: patience ends a sitting where the test wants it. */
	double falling[22];
	toy t = {.losses = losses, .n_losses = 1};
	toy_run whole, parts;
	int i;

	(void) state;
	for (i = 0; i < 22; i++)
		falling[i] = -i;
	toy_start(&whole, &t, 60);
	assert_int_equal(toy_go(&whole, false), MB_OK);
	toy_start(&parts, &t, 60);
	for (i = 0; i < 3; i++)
	{
		t.scores = falling;
		t.n_validations = 0;
		parts.options.patience = 3 * (i + 1);
		parts.options.n_threads = 1 + i;
		assert_int_equal(toy_go(&parts, i > 0), MB_OK);
		assert_true(parts.result.stopped_early);
		assert_int_equal(parts.result.steps, 9 * (i + 1));
		/* Nothing but the checkpoint may count. */
		net_init(&parts.net, parts.parameters, 100, 0);
	}
	t.scores = NULL;
	parts.options.patience = 0;
	assert_int_equal(toy_go(&parts, true), MB_OK);
	assert_int_equal(parts.result.steps, 60);
	assert_memory_equal(whole.parameters, parts.parameters, whole.net.n_parameters * sizeof(real));
	toy_end(&whole);
	toy_end(&parts);
}

static void
test_best(void **state)
{
	const double losses[] = {1};
	const double scores[] = {0.1, 0.2, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
	toy t = {.losses = losses, .n_losses = 1, .scores = scores};
	toy_run r, shorter; /* the second only to hold parameters */

	(void) state;
	toy_start(&r, &t, 100);
	r.options.validate_every = 10;
	r.options.patience = 3;
	r.options.keep_best = true;
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_true(r.result.stopped_early);
	assert_int_equal(r.result.steps, 50);
	assert_int_equal(r.result.best_step, 20);
	assert_true(r.result.best_score == 0.5);
	assert_int_equal(count_lines("event", "best"), 3);
	assert_int_equal(count_lines("event", "stopped_early"), 1);
	/* What it ends with are the parameters after step 20. */
	toy_start(&shorter, &t, 100);
	{
		char *path = run_folder_file(folder, RUN_BEST);
		run_state best;

		assert_int_equal(
			run_checkpoint_read(path, shorter.parameters, NULL, NULL, r.net.n_parameters, &best, "toy", &r.err), MB_OK);
		assert_int_equal(best.step, 20);
		free(path);
	}
	assert_memory_equal(r.parameters, shorter.parameters, r.net.n_parameters * sizeof(real));
	toy_end(&r);
	toy_end(&shorter);
}

/* The last validation, at the end, is the one that patience waited for: a run that ended, also when it is resumed. */
static void
test_end_without_better(void **state)
{
	const double losses[] = {1};
	const double scores[] = {5, 4, 3, 2, 1, 0};
	toy t = {.losses = losses, .n_losses = 1, .scores = scores};
	toy_run r;

	(void) state;
	toy_start(&r, &t, 20);
	r.options.validate_every = 5;
	r.options.patience = 4;
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_int_equal(r.result.steps, 20);
	assert_false(r.result.stopped_early);
	assert_int_equal(toy_go(&r, true), MB_OK);
	assert_int_equal(r.result.steps, 20);
	assert_false(r.result.stopped_early);
	assert_int_equal(count_lines("event", "stopped_early"), 0);
	toy_end(&r);
}

static void
test_skipped_step(void **state)
{
	const double losses[] = {1, 1, NAN, 1, NAN, NAN, 1};
	toy t = {.losses = losses, .n_losses = 7};
	toy_run r;
	size_t i;

	(void) state;
	toy_start(&r, &t, 30);
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_int_equal(count_lines("event", "not_finite"), 3);
	assert_int_equal(count_lines("event", "rolled_back"), 0);
	for (i = 0; i < r.net.n_parameters; i++)
		assert_true(isfinite(r.parameters[i]));
	toy_end(&r);
}

static void
test_rollback(void **state)
{
	const double losses[] = {1, 1, 1, 1, NAN};
	const double rising[] = {1, 2, 4, 8, 16, 32, 64};
	toy t = {.losses = losses, .n_losses = 5};
	toy_run r;

	(void) state;
	toy_start(&r, &t, 30);
	assert_int_equal(toy_go(&r, false), MB_LIMIT);
	printf("%s\n", r.err.message);
	assert_non_null(strstr(r.err.message, "training diverges, even at 1/8 of the rate"));
	assert_int_equal(count_lines("event", "rolled_back"), 3);
	assert_int_equal(t.n_steps, 4 * (4 + 3));
	toy_end(&r);
	t = (toy){.losses = rising, .n_losses = 7};
	toy_start(&r, &t, 30);
	assert_int_equal(toy_go(&r, false), MB_LIMIT);
	assert_int_equal(count_lines("event", "rolled_back"), 3);
	assert_int_equal(count_lines("event", "diverging"), 4);
	toy_end(&r);
}

/* Saved after each step, and yet it goes back to where the loss was still right. */
static void
test_rollback_to_before(void **state)
{
	double losses[WATCH_WINDOW + 3];
	toy t = {.losses = losses, .n_losses = WATCH_WINDOW + 3};
	toy_run r;
	char *path = run_folder_file(folder, RUN_METRICS), *metrics, expected[32];
	FILE *file;
	long size;
	int i;

	(void) state;
	for (i = 0; i < WATCH_WINDOW + 2; i++)
		losses[i] = 1;
	losses[i] = 2;
	toy_start(&r, &t, 200);
	r.options.checkpoint_every = 0;
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_int_equal(count_lines("event", "rolled_back"), 1);
	size = (long) size_of(RUN_METRICS);
	metrics = allocate((size_t) size + 1, 1);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(metrics, 1, (size_t) size, file), size);
	fclose(file);
	snprintf(expected, sizeof(expected), " to step %d,", WATCH_WINDOW + 2);
	printf("%.60s\n", strstr(metrics, "\"from step "));
	assert_non_null(strstr(metrics, expected));
	free(metrics);
	free(path);
	toy_end(&r);
}

/* What was best before it went back stays the best: it is not trained again, since the rate is another. */
static void
test_best_before_rollback(void **state)
{
	const double losses[] = {1, 1, 1, 1, NAN};
	const double scores[] = {0.1, 0.5, 0.6, 0.2, 0.3, 0.4, 0.55, 0.5, 0.5};
	toy t = {.losses = losses, .n_losses = 5, .scores = scores, .heals = 4};
	toy_run r, best;
	run_state at;
	char *path = run_folder_file(folder, RUN_BEST);

	(void) state;
	toy_start(&r, &t, 12);
	r.options.validate_every = 2;
	r.options.keep_best = true;
	assert_int_equal(toy_go(&r, false), MB_OK);
	assert_int_equal(count_lines("event", "rolled_back"), 1);
	assert_int_equal(r.result.steps, 12);
	printf("best score %g of step %llu\n", r.result.best_score, (unsigned long long) r.result.best_step);
	assert_true(r.result.best_score == 0.6);
	assert_int_equal(r.result.best_step, 4);
	toy_start(&best, &t, 12);
	assert_int_equal(run_checkpoint_read(path, best.parameters, NULL, NULL, r.net.n_parameters, &at, "toy", &r.err),
					 MB_OK);
	assert_int_equal(at.step, 4);
	assert_true(at.best_score == 0.6);
	assert_memory_equal(r.parameters, best.parameters, r.net.n_parameters * sizeof(real));
	free(path);
	toy_end(&r);
	toy_end(&best);
}

static void
test_plateau_stops(void **state)
{
	const double losses[] = {6.5};
	toy t = {.losses = losses, .n_losses = 1};
	toy_run r;

	(void) state;
	toy_start(&r, &t, 1500);
	r.task.watch_plateau = true;
	r.task.unigram_loss = 6.5;
	r.options.stop_on_plateau = true;
	assert_int_equal(toy_go(&r, false), MB_LIMIT);
	assert_non_null(strstr(r.err.message, "unigram plateau"));
	assert_int_equal(count_lines("event", "plateau"), 1);
	assert_int_equal(t.n_steps, 1002);
	/* Without the option it goes on, and says so once. */
	r.options.stop_on_plateau = false;
	assert_int_equal(toy_go(&r, true), MB_OK);
	assert_int_equal(t.n_steps, 1500);
	assert_int_equal(count_lines("event", "plateau"), 1);
	toy_end(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_checkpoint, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_checkpoint_refusals, make_folder, remove_folder),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test_setup_teardown(test_metrics, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_folder, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_loop, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_loop_in_parts, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_best, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_skipped_step, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_end_without_better, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_rollback, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_rollback_to_before, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_best_before_rollback, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_plateau_stops, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
