/*
 * bench_training_ops.c - where the time of a training step goes, on one core.
 *
 *   bench_training_ops [LAYERS HIDDEN SEQUENCES TOKENS]
 *
 * A step is what pretraining does with one shard: forward, masked-LM loss at 15 % of the places, backward, AdamW; with
 * dropout, a vocabulary of 8192, heads of 32 and an intermediate size of 4 HIDDEN.  Matrix products and the kernels are
 * timed one by one, by standing between those who call them and OpenBLAS's cblas_sgemm and the set of kernels; what is
 * left over are copies, gathering and the clock itself.  Times are the thread's CPU time, and those of the fastest of
 * several steps, for the machine may have other things to do.  Prints a JSON object; shares are of the step, GFLOP/s of
 * products beside those of fused multiplications and additions in registers alone.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moviebert/encoder.h"
#include "peak.h"
#include "training/blas.h"
#include "training/net/kernels.h"
#include "training/net/net.h"
#include "training/net/rng.h"

#define STEPS 7
#define VOCABULARY 8192
#define HEAD_SIZE 32

/* ---- the clock --------------------------------------------------------------------------------------------------- */

enum
{
	PRODUCTS,
	ATTENTION_PRODUCTS,
	ACTIVATION,
	ACTIVATION_BACKWARD,
	SOFTMAX,
	SOFTMAX_BACKWARD,
	LAYER_NORM,
	LAYER_NORM_BACKWARD,
	CROSS_ENTROPY,
	BIAS_GRADIENTS,
	DROPOUT,
	ADAMW,
	PARTS
};

static const char *const names[PARTS] = {
	[PRODUCTS] = "linear_products",
	[ATTENTION_PRODUCTS] = "attention_products",
	[ACTIVATION] = "activation",
	[ACTIVATION_BACKWARD] = "activation_backward",
	[SOFTMAX] = "softmax",
	[SOFTMAX_BACKWARD] = "softmax_backward",
	[LAYER_NORM] = "layer_norm",
	[LAYER_NORM_BACKWARD] = "layer_norm_backward",
	[CROSS_ENTROPY] = "cross_entropy",
	[BIAS_GRADIENTS] = "bias_gradients",
	[DROPOUT] = "dropout",
	[ADAMW] = "adamw",
};

typedef struct measured
{
	double seconds[PARTS], step, flops[2]; /* of linear layers, of attention */
} measured;

static measured current;

#define TIMED(part, call)                                                                                              \
	do                                                                                                                 \
	{                                                                                                                  \
		double start = now();                                                                                          \
		call;                                                                                                          \
		current.seconds[part] += now() - start;                                                                        \
	} while (0)

static void
die(const char *message)
{
	fprintf(stderr, "bench_training_ops: %s\n", message);
	exit(1);
}

/* ---- in between -------------------------------------------------------------------------------------------------- */

typedef void (*sgemm_function)(CBLAS_ORDER order, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, blasint m,
							   blasint n, blasint k, float alpha, const float *a, blasint lda, const float *b,
							   blasint ldb, float beta, float *c, blasint ldc);

static sgemm_function real_sgemm;
static const net_kernels *set;

void
cblas_sgemm(CBLAS_ORDER order, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, blasint m, blasint n, blasint k,
			float alpha, const float *a, blasint lda, const float *b, blasint ldb, float beta, float *c, blasint ldc)
{
	int kind = n == HEAD_SIZE || k == HEAD_SIZE ? ATTENTION_PRODUCTS : PRODUCTS;

	TIMED(kind, real_sgemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc));
	current.flops[kind] += 2.0 * m * n * k;
}

static void
gelu(float *y, const float *x, size_t n)
{
	TIMED(ACTIVATION, set->activation[MB_GELU](y, x, n));
}

static void
gelu_backward(float *dx, const float *dy, const float *x, size_t n)
{
	TIMED(ACTIVATION_BACKWARD, set->activation_backward[MB_GELU](dx, dy, x, n));
}

static void
softmax(float *x, size_t rows, size_t n, float scale)
{
	TIMED(SOFTMAX, set->softmax(x, rows, n, scale));
}

static void
softmax_backward(float *dx, const float *y, size_t rows, size_t n, float scale)
{
	TIMED(SOFTMAX_BACKWARD, set->softmax_backward(dx, y, rows, n, scale));
}

static double
row_cross_entropy(float *x, size_t n, size_t label, float scale, bool grad, bool *correct)
{
	double loss;

	TIMED(CROSS_ENTROPY, loss = set->cross_entropy(x, n, label, scale, grad, correct));
	return loss;
}

static void
layer_norm(float *y, float *mean, float *rstd, float *x, const float *residual, const float *weight, const float *bias,
		   size_t rows, size_t n, float eps)
{
	TIMED(LAYER_NORM, set->layer_norm(y, mean, rstd, x, residual, weight, bias, rows, n, eps));
}

static void
norm_backward(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *mean,
			  const float *rstd, const float *weight, size_t rows, size_t n)
{
	TIMED(LAYER_NORM_BACKWARD, set->layer_norm_backward(dx, dweight, dbias, dy, x, mean, rstd, weight, rows, n));
}

static void
add_columns(float *sum, const float *x, size_t rows, size_t n)
{
	TIMED(BIAS_GRADIENTS, set->add_columns(sum, x, rows, n));
}

static void
drop(float *x, size_t n, uint64_t key, uint64_t threshold, float factor)
{
	TIMED(DROPOUT, set->dropout(x, n, key, threshold, factor));
}

/* In place of kernels_dispatch.c's, which the linker then leaves out. */
const net_kernels *
net_kernels_get(void)
{
	static const net_kernels timed = {.activation = {[MB_GELU] = gelu},
									  .activation_backward = {[MB_GELU] = gelu_backward},
									  .softmax = softmax,
									  .softmax_backward = softmax_backward,
									  .cross_entropy = row_cross_entropy,
									  .layer_norm = layer_norm,
									  .layer_norm_backward = norm_backward,
									  .add_columns = add_columns,
									  .dropout = drop};

	return &timed;
}

static void
choose_set(const char *name)
{
	set = &net_kernels_portable;
#if defined(__x86_64__)
	if (strcmp(name, "avx512") == 0)
		set = &net_kernels_avx512;
	else if (strcmp(name, "avx2") == 0)
		set = &net_kernels_avx2;
#endif
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

typedef struct bench
{
	net n;
	net_activations *activations;
	net_batch batch;
	int32_t *places, *labels;
	size_t M;
	float *parameters, *gradients, *m, *v;
	double *rate;
} bench;

static void *
take(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
		die("out of memory");
	return p;
}

static void
prepare(bench *b, int32_t layers, int32_t hidden, size_t sequences, size_t tokens)
{
	net_options options = {.config = {.vocab_size = VOCABULARY,
									  .hidden_size = hidden,
									  .num_hidden_layers = layers,
									  .num_attention_heads = hidden / HEAD_SIZE,
									  .intermediate_size = 4 * hidden,
									  .max_position_embeddings = (int32_t) tokens,
									  .type_vocab_size = 2,
									  .layer_norm_eps = 1e-12f,
									  .hidden_act = MB_GELU},
						   .mlm_head = true};
	int32_t *ids = take(sequences * tokens, sizeof(*ids)), *lengths = take(sequences, sizeof(*lengths));
	mb_error err;

	if (net_create(&b->n, &options, &err) != MB_OK)
		die(err.message);
	b->activations = net_activations_create(&b->n, sequences * tokens, tokens);
	b->batch = (net_batch){ids, lengths, sequences, sequences * tokens};
	b->places = take(b->batch.N, sizeof(*b->places));
	b->labels = take(b->batch.N, sizeof(*b->labels));
	for (size_t s = 0; s < sequences; s++)
		lengths[s] = (int32_t) tokens;
	for (size_t i = 0; i < b->batch.N; i++)
	{
		ids[i] = (int32_t) rng_below(1, i, VOCABULARY);
		if (rng_uniform(2, i) < 0.15)
		{
			b->places[b->M] = (int32_t) i;
			b->labels[b->M++] = (int32_t) rng_below(3, i, VOCABULARY);
		}
	}
	b->parameters = take(b->n.n_parameters, sizeof(float));
	b->gradients = take(b->n.n_parameters, sizeof(float));
	b->m = take(b->n.n_parameters, sizeof(float));
	b->v = take(b->n.n_parameters, sizeof(float));
	b->rate = take(b->n.n_tensors, sizeof(double));
	for (size_t i = 0; i < b->n.n_tensors; i++)
		b->rate[i] = 1e-4;
	net_init(&b->n, b->parameters, 1, 0);
}

static double
step(bench *b, uint64_t t)
{
	const adamw_options adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6, .weight_decay = 0.01, .clip = 1.0};
	net_pass pass = {.dropout = 0.1, .dropout_key = t, .freeze = -1, .places = b->places, .n_places = b->M};
	net_loss loss;
	double start = now();

	memset(&current, 0, sizeof(current));
	memset(b->gradients, 0, b->n.n_parameters * sizeof(float));
	net_forward(&b->n, b->parameters, b->activations, &b->batch, &pass);
	net_mlm_loss(&b->n, b->parameters, b->gradients, b->activations, &b->batch, NULL, b->labels, b->M,
				 1.0 / (double) b->M, &loss);
	net_backward(&b->n, b->parameters, b->gradients, b->activations, &b->batch, &pass);
	TIMED(ADAMW, adamw_step(&b->n, b->parameters, b->m, b->v, b->gradients, t, b->rate, &adamw, 1));
	current.step = now() - start;
	return loss.sum / (double) b->M;
}

static void
print_step(const measured *best, const bench *b, double peak, double first_loss, double last_loss)
{
	double rest = best->step;
	double products = best->seconds[PRODUCTS] + best->seconds[ATTENTION_PRODUCTS];
	double rate = (best->flops[PRODUCTS] + best->flops[ATTENTION_PRODUCTS]) / products * 1e-9;

	printf("\"ms\":%.1f,\"tokens_per_s\":%.0f,\"loss_first\":%.4f,\"loss_last\":%.4f,\"products_share\":%.4f,"
		   "\"peak_gflops\":%.1f,\"products_gflops\":%.1f,\"products_share_of_peak\":%.2f,"
		   "\"linear_gflops\":%.1f,\"attention_gflops\":%.1f",
		   best->step * 1e3, (double) b->batch.N / best->step, first_loss, last_loss, products / best->step, peak, rate,
		   rate / peak, best->flops[PRODUCTS] / best->seconds[PRODUCTS] * 1e-9,
		   best->flops[ATTENTION_PRODUCTS] / best->seconds[ATTENTION_PRODUCTS] * 1e-9);
	printf(",\"shares\":{");
	for (size_t i = 0; i < PARTS; i++)
	{
		printf("\"%s\":%.4f,", names[i], best->seconds[i] / best->step);
		rest -= best->seconds[i];
	}
	printf("\"rest\":%.4f}", rest / best->step);
}

int
main(int argc, char **argv)
{
	bench b = {0};
	int shape[4] = {4, 256, 16, 128};

	blas_prepare(argv);
	*(void **) &real_sgemm = dlsym(RTLD_NEXT, "cblas_sgemm");
	if (real_sgemm == NULL)
		die("OpenBLAS has no cblas_sgemm");
	if (argc != 1 && argc != 5)
		die("no arguments wanted, or four: LAYERS HIDDEN SEQUENCES TOKENS");
	for (int i = 1; i < argc; i++)
		shape[i - 1] = atoi(argv[i]);
	if (shape[0] < 0 || shape[1] < HEAD_SIZE || shape[1] % HEAD_SIZE != 0 || shape[2] < 1 || shape[3] < 1)
		die("numbers are to be positive, HIDDEN a multiple of 32");
	prepare(&b, shape[0], shape[1], (size_t) shape[2], (size_t) shape[3]);
	printf("{\"layers\":%d,\"hidden_size\":%d,\"sequences\":%d,\"tokens\":%d,\"blas_kernels\":\"%s\",\"chosen\":\"%s\"",
		   shape[0], shape[1], shape[2], shape[3], blas_core_name(), mb_kernel_name());
	for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++)
		if (mb_kernel_select(sets[s].name))
		{
			measured best = {.step = 1e9};
			double peak = measure_peak(&sets[0]), first = 0.0, last = 0.0;

			choose_set(sets[s].name);
			memset(b.m, 0, b.n.n_parameters * sizeof(float));
			memset(b.v, 0, b.n.n_parameters * sizeof(float));
			net_init(&b.n, b.parameters, 1, 0);
			for (uint64_t t = 1; t <= STEPS; t++)
			{
				last = step(&b, t);
				if (t == 1)
					first = last;
				if (current.step < best.step)
					best = current;
			}
			printf(",\"%s\":{", sets[s].name);
			print_step(&best, &b, peak, first, last);
			printf("}");
			fflush(stdout);
		}
	printf("}\n");
	return 0;
}
