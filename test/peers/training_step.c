/*
 * training_step.c - moviebert's steps of masked language modelling for a peer.
 *
 * training_step MODEL BATCH OUT SHARDS STEPS: BATCH is 32-bit integers: B, N, M, then lengths [B], ids [N], places [M],
 * labels [M].  The batch is divided into SHARDS, each with a thread.  Writes to OUT, as a safetensors file, the
 * gradients of the first step and the weights after two; and to stdout a line of JSON with the losses, the norms, the
 * seconds of each step, and the largest resident size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "training/blas.h"
#include "training/model_tensors.h"
#include "training/parallel.h"

#define MAX_SHARDS 16

typedef struct shard
{
	const net *net;
	const real *parameters;
	real *gradients;
	net_activations *activations;
	net_batch batch;
	int32_t *places, *labels;
	size_t M;
	double scale;
	net_loss loss;
} shard;

static void
die(const mb_error *err)
{
	fprintf(stderr, "%s|%s|%s\n", err->message, err->detail, err->hint);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Not getrusage's: that one remembers the process before exec. */
static long
peak_kilobytes(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kilobytes = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kilobytes;
}

static int32_t *
read_integers(FILE *file, size_t n)
{
	int32_t *x = malloc(n * sizeof(int32_t));

	if (fread(x, sizeof(int32_t), n, file) != n)
		exit(2);
	return x;
}

/* Sequences in order, each shard about as many tokens. */
static void
divide(shard *shards, size_t n_shards, const net_batch *all, int32_t *places, int32_t *labels, size_t M)
{
	size_t b = 0, first = 0, target = 0;

	for (size_t s = 0; s < n_shards; s++)
	{
		size_t start = first, end = all->N * (s + 1) / n_shards;

		shards[s].batch = (net_batch){all->ids + first, all->lengths + b, 0, 0};
		while (b < all->B && first < end)
		{
			first += (size_t) all->lengths[b++];
			shards[s].batch.B++;
		}
		shards[s].batch.N = first - start;
		shards[s].places = places + target;
		shards[s].labels = labels + target;
		for (; target < M && (size_t) places[target] < first; target++, shards[s].M++)
			places[target] -= (int32_t) start;
		shards[s].scale = 1.0 / (double) M;
	}
}

static void
work(void *arg, size_t job, int thread)
{
	shard *s = &((shard *) arg)[job];
	const net_pass pass = {.freeze = -1, .places = s->places, .n_places = s->M};

	(void) thread;
	memset(s->gradients, 0, s->net->n_parameters * sizeof(real));
	net_forward(s->net, s->parameters, s->activations, &s->batch, &pass);
	net_mlm_loss(s->net, s->parameters, s->gradients, s->activations, &s->batch, NULL, s->labels, s->M, s->scale,
				 &s->loss);
	net_backward(s->net, s->parameters, s->gradients, s->activations, &s->batch, &pass);
}

/* Adds "gradient." or "after." and the tensors of x to out. */
static void
put(mb_tensor *out, const char *what, const net *n, const real *x)
{
	model_tensors made;
	mb_error err;

	if (model_tensors_make(&made, n, x, MODEL_ALL, MB_F32, &err) != MB_OK)
		die(&err);
	for (size_t i = 0; i < made.n; i++)
	{
		char *name = malloc(128);
		void *data = malloc(made.tensors[i].bytes);

		snprintf(name, 128, "%s.%s", what, made.tensors[i].name);
		memcpy(data, made.tensors[i].data, made.tensors[i].bytes);
		out[i] = made.tensors[i];
		out[i].name = name;
		out[i].data = data;
	}
	model_tensors_release(&made);
}

int
main(int argc, char **argv)
{
	mb_model *model;
	mb_error err;
	net n;
	net_options options;
	shard shards[MAX_SHARDS] = {0};
	real *gradients[MAX_SHARDS], *parameters, *m, *v;
	adamw_options adamw = {0.9, 0.98, 1e-6, 0.01, 1.0};
	double *rate;
	mb_tensor *out;
	FILE *file;
	int32_t *head, *lengths, *ids, *places, *labels;
	net_batch all;
	size_t M, n_shards, steps, loaded;

	blas_prepare(argv);
	if (argc != 6 || (file = fopen(argv[2], "rb")) == NULL)
		return 2;
	n_shards = strtoul(argv[4], NULL, 10);
	steps = strtoul(argv[5], NULL, 10);
	if (mb_model_open_file(&model, argv[1], &err) != MB_OK)
		die(&err);
	options = (net_options){model->config, true, false, 0};
	if (net_create(&n, &options, &err) != MB_OK)
		die(&err);
	parameters = calloc(n.n_parameters, sizeof(real));
	m = calloc(n.n_parameters, sizeof(real));
	v = calloc(n.n_parameters, sizeof(real));
	rate = calloc(n.n_tensors, sizeof(double));
	out = calloc(2 * n.n_tensors, sizeof(mb_tensor));
	if (net_load(&n, parameters, model, &loaded, &err) != MB_OK)
		die(&err);
	if (loaded != n.n_parameters)
		return 3;
	mb_model_close(model);

	head = read_integers(file, 3);
	lengths = read_integers(file, (size_t) head[0]);
	ids = read_integers(file, (size_t) head[1]);
	M = (size_t) head[2];
	places = read_integers(file, M);
	labels = read_integers(file, M);
	all = (net_batch){ids, lengths, (size_t) head[0], (size_t) head[1]};
	divide(shards, n_shards, &all, places, labels, M);
	for (size_t s = 0; s < n_shards; s++)
	{
		shards[s].net = &n;
		shards[s].parameters = parameters;
		shards[s].gradients = gradients[s] = calloc(n.n_parameters, sizeof(real));
		shards[s].activations =
			net_activations_create(&n, shards[s].batch.N, (size_t) options.config.max_position_embeddings);
	}
	for (size_t i = 0; i < n.n_tensors; i++)
		rate[i] = 1e-3;

	printf("{\"parameters\": %zu, \"flops_per_token\": %.0f, \"steps\": [", n.n_parameters,
		   net_flops_per_token(&n, all.N / all.B, (double) M / (double) all.N, -1));
	for (size_t t = 0; t < steps; t++)
	{
		double start = now(), sum = 0.0, norm, seconds;

		parallel_run(n_shards, (int) n_shards, work, shards);
		gradients_reduce(gradients, n_shards, n.n_parameters, (int) n_shards);
		seconds = now() - start;
		if (t == 0)
			put(out, "gradient", &n, gradients[0]);
		start = now();
		norm = adamw_step(&n, parameters, m, v, gradients[0], t + 1, rate, &adamw, (int) n_shards);
		seconds += now() - start;
		if (t == 1)
			put(out + n.n_tensors, "after", &n, parameters);
		for (size_t s = 0; s < n_shards; s++)
			sum += shards[s].loss.sum;
		printf("%s{\"loss\": %.17g, \"norm\": %.17g, \"seconds\": %.6f}", t == 0 ? "" : ", ", sum / (double) M, norm,
			   seconds);
	}
	printf("], \"kilobytes\": %ld}\n", peak_kilobytes());
	if (mb_safetensors_write(argv[3], out, 2 * n.n_tensors, NULL, 0, &err) != MB_OK)
		die(&err);
	return 0;
}
