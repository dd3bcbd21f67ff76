/*
 * bench_training.c - tokens a second and memory of whole training steps, as moviebert pretrain and finetune take them.
 *
 *   bench_training [CASE ...]    measures these cases, or all, one process each, and prints a JSON object
 *   bench_training --steps CASE  prints what the case is, then takes a step for each line of stdin and prints how it
 *                                went; at the end of stdin, the memory it took (peer_training.py asks so in turns)
 *   bench_training --peak        what all cores can do at once, GFLOP/s
 *
 * The steps are those of training_run: reading and masking from a token store, the shards, the sum of their gradients,
 * clipping, AdamW, the display, the lines of metrics; with the commands' defaults.  Texts are random ids, as frequent as
 * words are, of 20 to 128 tokens with [CLS] and [SEP].  Tokens and FLOPs are those of the texts (net_flops_per_token);
 * what the backward computes again is not counted.
 */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moviebert/encoder.h"
#include "peak.h"
#include "training/blas.h"
#include "training/finetune_task.h"
#include "training/interrupt.h"
#include "training/net/rng.h"
#include "training/parallel.h"
#include "training/pretrain.h"
#include "training/run_folder.h"

#define LENGTH 128      /* tokens of a sequence, of a text at most */
#define SHORTEST 20     /* of a text */
#define LENGTHS 109     /* from SHORTEST to LENGTH; a prime: text i has SHORTEST + (37 i mod LENGTHS) tokens */
#define TEXTS (24 * LENGTHS)
#define LABELS 21
#define FIRST_WORD 5 /* the ids before it are special */
#define WARM_UP 2
#define STEPS 7

typedef struct bench_case
{
	const char *name;
	bool tags; /* fine-tuning */
	int32_t layers, hidden, heads, vocabulary;
} bench_case;

static const bench_case cases[] = {
	{"pretrain_4x256", false, 4, 256, 4, 8192},
	{"pretrain_6x384", false, 6, 384, 12, 30522},
	{"finetune_4x256", true, 4, 256, 4, 8192},
	{"finetune_6x384", true, 6, 384, 12, 30522},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void
die(const char *message)
{
	fprintf(stderr, "bench_training: %s\n", message);
	exit(1);
}

static void
check(mb_status status, const mb_error *err)
{
	if (status != MB_OK)
		die(err->message);
}

/* ---- the clock --------------------------------------------------------------------------------------------------- */

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static long
peak_kilobytes(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[200];
	long kilobytes = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kilobytes;
}

typedef struct core_peak
{
	pthread_barrier_t *together;
	double gflops;
} core_peak;

static void *
measure_core(void *arg)
{
	core_peak *core = arg;

	pthread_barrier_wait(core->together);
	core->gflops = measure_peak(&sets[0]);
	return NULL;
}

/* With the widest instructions that the CPU has, on all cores at the same time. */
static double
peak_of_cores(int n)
{
	core_peak cores[64];
	pthread_t threads[64];
	pthread_barrier_t together;
	double sum = 0.0;

	pthread_barrier_init(&together, NULL, (unsigned) n);
	for (int i = 0; i < n; i++)
	{
		cores[i].together = &together;
		if (pthread_create(&threads[i], NULL, measure_core, &cores[i]) != 0)
			die("could not start a thread");
	}
	for (int i = 0; i < n; i++)
	{
		pthread_join(threads[i], NULL);
		sum += cores[i].gflops;
	}
	pthread_barrier_destroy(&together);
	return sum;
}

/* ---- standing between the loop and its task ---------------------------------------------------------------------- */

typedef struct session
{
	training_task inner;
	bool by_request; /* a step for each line of stdin; else `left` steps */
	int left;
	bool running; /* a step */
	double wall, cpu;
	atomic_ullong tokens;
	double flops_per_token;
	double took[STEPS]; /* without by_request: of the last steps */
	double used[STEPS];
	double rates[STEPS];
} session;

static void
end_step(session *s)
{
	double wall = seconds_of(CLOCK_MONOTONIC) - s->wall, cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - s->cpu;
	double tokens = (double) s->tokens;

	s->running = false;
	if (s->by_request)
	{
		printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"tokens\":%.0f,\"flops\":%.6e}\n", wall, cpu, tokens,
			   tokens * s->flops_per_token);
		fflush(stdout);
	}
	else if (s->left < STEPS)
	{
		s->took[s->left] = wall;
		s->used[s->left] = tokens / cpu;
		s->rates[s->left] = tokens / wall;
	}
}

/* Between two calls of this lies all that a step takes. */
static mb_status
begin(void *arg, uint64_t step, mb_error *err)
{
	session *s = arg;
	char line[16];

	if (s->running)
		end_step(s);
	if (s->by_request ? fgets(line, sizeof(line), stdin) == NULL : s->left-- == 0)
		return mb_fail(err, MB_CANCELLED, "enough");
	s->running = true;
	s->tokens = 0;
	s->wall = seconds_of(CLOCK_MONOTONIC);
	s->cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	return s->inner.begin(s->inner.arg, step, err);
}

static mb_status
compute(void *arg, int phase, shard_work *work, mb_error *err)
{
	session *s = arg;
	mb_status status = s->inner.phase(s->inner.arg, phase, work, err);

	atomic_fetch_add(&s->tokens, work->tokens);
	return status;
}

static mb_status
validate(void *arg, const net *n, const real *parameters, json_t *metrics, double *score, mb_error *err)
{
	(void) arg, (void) n, (void) parameters, (void) metrics, (void) score, (void) err;
	return MB_OK;
}

static double
flops_per_token(void *arg)
{
	return ((session *) arg)->flops_per_token;
}

/* ---- what is trained --------------------------------------------------------------------------------------------- */

typedef struct bench
{
	const bench_case *what;
	char folder[64];
	uint8_t *marks; /* special; then continues, all 0 */
	pretrain_model model;
	pretrain_texts texts;
	pretrain_request request;
	mlm_task *mlm;
	tagged_rows rows;
	label_set labels;
	text_windows windows;
	finetune_task *finetune;
	training_options options;
} bench;

static size_t
text_length(size_t i)
{
	return SHORTEST + 37 * i % LENGTHS;
}

/* Frequencies fall as 1/rank. */
static int32_t
random_word(uint64_t text, uint64_t i, int32_t vocabulary)
{
	return FIRST_WORD + (int32_t) (pow(vocabulary - FIRST_WORD, rng_uniform(text, i)) - 1.0);
}

static void
write_texts(bench *b, const char *path)
{
	token_writer *writer;
	int32_t ids[LENGTH];
	mb_error err;

	check(token_store_start(&writer, path, b->what->vocabulary, &err), &err);
	for (size_t i = 0; i < TEXTS; i++)
	{
		size_t n = text_length(i) - 2;

		for (size_t j = 0; j < n; j++)
			ids[j] = random_word(i, j, b->what->vocabulary);
		check(token_store_add(writer, ids, n, &i, sizeof(i), &err), &err);
	}
	check(token_store_finish(writer, &err), &err);
}

static void
create_network(bench *b)
{
	const bench_case *c = b->what;
	net_options options = {.config = {.vocab_size = c->vocabulary,
									  .hidden_size = c->hidden,
									  .num_hidden_layers = c->layers,
									  .num_attention_heads = c->heads,
									  .intermediate_size = 4 * c->hidden,
									  .max_position_embeddings = LENGTH,
									  .type_vocab_size = 2,
									  .layer_norm_eps = 1e-12f,
									  .hidden_act = MB_GELU},
						   .mlm_head = !c->tags,
						   .num_labels = c->tags ? LABELS : 0};
	mb_error err;

	check(net_create(&b->model.net, &options, &err), &err);
	b->model.parameters = calloc(b->model.net.n_parameters, sizeof(real));
	b->marks = calloc(2 * (size_t) c->vocabulary, 1);
	if (b->model.parameters == NULL || b->marks == NULL)
		die("out of memory");
	net_init(&b->model.net, b->model.parameters, 1, 0);
	memset(b->marks, 1, FIRST_WORD);
	b->model.special = (special_ids){2, 3, 4, 0, c->vocabulary, b->marks, b->marks + c->vocabulary};
}

/* As command_pretrain.c does without options. */
static training_task
create_pretraining(bench *b)
{
	training_task task;
	mb_error err;

	b->options.adamw = (adamw_options){0.9, 0.98, 1e-6, 0.01, 1};
	b->options.rate = 1e-3;
	b->options.max_tokens = 1024;
	b->request = (pretrain_request){
		.length = LENGTH, .masking = {.share = 0.2}, .batch_tokens = 8192, .accumulate = 1, .training = b->options};
	check(mlm_create(&b->mlm, &b->request, &b->model, &b->texts, &task, &err), &err);
	return task;
}

/* As command_finetune.c does without options, all layers learning. */
static training_task
create_finetuning(bench *b)
{
	task_options how = {.seed = 1,
						.batch = 32,
						.most_windows = 4,
						.freeze = -1,
						.n_shards = b->options.n_shards,
						.n_threads = b->options.n_threads,
						.dropout = 0.1,
						.pipeline = {.pooling = MB_POOL_MEAN, .max_length = LENGTH}};
	char name[16];

	for (int i = 0; i < LABELS; i++)
	{
		snprintf(name, sizeof(name), "tag %d", i);
		dictionary_add(&b->rows.tags, name);
	}
	for (size_t i = 0; i < TEXTS; i++)
	{
		int32_t tags[2] = {(int32_t) (i % LABELS), (int32_t) ((i + 1 + i / LABELS % (LABELS - 1)) % LABELS)};

		tagged_rows_add(&b->rows, name, strlen(name), tags, 2, SCOPE_ALL, i + 1 < TEXTS ? PART_TRAINING : PART_VALIDATION,
						i);
	}
	labels_select(&b->labels, &b->rows, 1, LABELS);
	b->windows = (text_windows){&b->texts.store, 2, 3, b->what->vocabulary, LENGTH - 2, LENGTH / 2, false};
	b->finetune = finetune_task_create(&b->model.net, &how, &b->rows, &b->labels, &b->windows, NULL);
	b->options.adamw = (adamw_options){0.9, 0.999, 1e-8, 0.01, 1};
	b->options.rate = 1e-4;
	b->options.max_tokens = finetune_max_tokens(&b->windows, how.most_windows);
	return finetune_task_of(b->finetune);
}

static training_task
open_bench(bench *b, const bench_case *what)
{
	mb_error err;
	char *path;

	*b = (bench){.what = what};
	snprintf(b->folder, sizeof(b->folder), "/var/tmp/bench-training.XXXXXX");
	if (mkdtemp(b->folder) == NULL)
		die("could not make a folder in /var/tmp");
	create_network(b);
	path = run_folder_file(b->folder, "tokens.store");
	write_texts(b, path);
	check(pretrain_texts_open(&b->texts, path, &b->model.special, &err), &err);
	free(path);
	b->options = (training_options){.seed = 1,
									.n_threads = parallel_default_threads(),
									.n_shards = parallel_default_threads() < 2 ? 2 : parallel_default_threads(),
									.steps = 1000000,
									.warmup = 0.04,
									.validate_every = UINT64_MAX,
									.checkpoint_every = 1e9,
									.max_length = LENGTH,
									.identity = "a benchmark",
									.silent = true};
	return what->tags ? create_finetuning(b) : create_pretraining(b);
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void) status, (void) type, (void) where;
	return remove(path);
}

static void
close_bench(bench *b)
{
	finetune_task_destroy(b->finetune);
	mlm_destroy(b->mlm);
	if (b->what->tags)
	{
		labels_release(&b->labels);
		tagged_rows_release(&b->rows);
	}
	pretrain_texts_close(&b->texts);
	net_release(&b->model.net);
	free(b->model.parameters);
	free(b->marks);
	nftw(b->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Of a text's token, over all texts: long ones have more of them, and more to attend to. */
static double
mean_flops(const bench *b, const training_task *task)
{
	double flops = 0.0, tokens = 0.0;

	if (!b->what->tags)
		return task->flops_per_token(task->arg);
	for (size_t i = 0; i < LENGTHS; i++)
	{
		double n = (double) text_length(i);

		flops += n * net_flops_per_token(&b->model.net, text_length(i), 0, -1);
		tokens += n;
	}
	return flops / tokens;
}

static void
print_case(const bench *b, double flops)
{
	const bench_case *c = b->what;

	printf("\"layers\":%d,\"hidden_size\":%d,\"heads\":%d,\"vocabulary\":%d,\"parameters\":%zu,\"threads\":%d,"
		   "\"flops_per_token\":%.0f",
		   c->layers, c->hidden, c->heads, c->vocabulary, b->model.net.n_parameters, b->options.n_threads, flops);
	if (c->tags)
		printf(",\"rows_per_step\":32,\"labels\":%d,\"shortest\":%d,\"longest\":%d", LABELS, SHORTEST, LENGTH);
	else
		printf(",\"tokens_per_step\":%lld,\"length\":%d,\"masked\":%.2f", (long long) b->request.batch_tokens, LENGTH,
			   b->request.masking.share);
}

/* ---- a case ------------------------------------------------------------------------------------------------------ */

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(double *x)
{
	qsort(x, STEPS, sizeof(*x), compare_doubles);
	return x[STEPS / 2];
}

static void
run_case(const bench_case *what, bool by_request)
{
	bench b;
	session s = {.by_request = by_request, .left = WARM_UP + STEPS};
	training_task task;
	training_result result;
	mb_error err;
	double peak = by_request ? 0.0 : peak_of_cores(parallel_default_threads());
	mb_status status;

	s.inner = open_bench(&b, what);
	s.flops_per_token = mean_flops(&b, &s.inner);
	if (by_request)
	{
		printf("{");
		print_case(&b, s.flops_per_token);
		printf("}\n");
		fflush(stdout);
	}
	task = s.inner;
	task.arg = &s;
	task.phase = compute;
	task.begin = begin;
	task.validate = validate;
	task.flops_per_token = flops_per_token;
	task.watch_plateau = false;
	status = training_run(&b.model.net, b.model.parameters, b.folder, false, &task, &b.options, &result, &err);
	if (status != MB_CANCELLED)
		check(status, &err);
	if (by_request)
		printf("{\"peak_kb\":%ld}\n", peak_kilobytes());
	else
	{
		double rate = median(s.rates), by_cpu = median(s.used), gflops = 1e-9 * rate * s.flops_per_token;

		print_case(&b, s.flops_per_token);
		printf(",\"ms\":%.1f,\"tokens_per_s\":%.0f,\"gflops\":%.1f,\"peak_gflops\":%.1f,\"share_of_peak\":%.3f,"
			   "\"share_of_peak_by_cpu_time\":%.3f,\"peak_mb\":%.0f",
			   1e3 * median(s.took), rate, gflops, peak, gflops / peak,
			   1e-9 * by_cpu * s.flops_per_token * b.options.n_threads / peak, (double) peak_kilobytes() / 1024.0);
	}
	fflush(stdout);
	close_bench(&b);
}

static const bench_case *
find_case(const char *name)
{
	for (size_t i = 0; i < N_CASES; i++)
		if (strcmp(cases[i].name, name) == 0)
			return &cases[i];
	die("no such case");
	return NULL;
}

/* In a process of its own, whose peak of memory is the case's. */
static void
measure_case(const bench_case *what)
{
	int status;
	pid_t child;

	printf(",\"%s\":{", what->name);
	fflush(stdout);
	child = fork();
	if (child == 0)
	{
		run_case(what, false);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		die("a case went wrong");
	printf("}");
}

int
main(int argc, char **argv)
{
	blas_prepare(argv);
	/* So that a run that is broken off still removes its folder. */
	interrupt_install();
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--peak") == 0)
	{
		printf("%.1f\n", peak_of_cores(parallel_default_threads()));
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--steps") == 0)
	{
		run_case(find_case(argv[2]), true);
		return 0;
	}
	printf("{\"blas_kernels\":\"%s\",\"kernels\":\"%s\"", blas_core_name(), mb_kernel_name());
	for (size_t i = 0; i < (argc > 1 ? (size_t) argc - 1 : N_CASES); i++)
		measure_case(argc > 1 ? find_case(argv[i + 1]) : &cases[i]);
	printf("}\n");
	return 0;
}
