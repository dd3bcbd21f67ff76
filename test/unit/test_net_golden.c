/*
 * test_net_golden.c - two steps of training against PyTorch's (test/golden/training): the losses, every gradient, the
 * norm, and every weight afterwards.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "training/net/net.h"

enum
{
	MAX_NUMBERS = 64
};

/* A golden file, and the net that it is about. */
typedef struct golden
{
	char *bytes;
	mb_safetensors *file;
	json_t *step; /* what __metadata__ says */
	net net;
	real *parameters, *gradients, *m, *v;
	double *rate;
	adamw_options adamw;
	net_activations *activations;
	int32_t ids[MAX_NUMBERS], lengths[MAX_NUMBERS];
	net_batch batch;
} golden;

static void *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(1 << 20);

	if (file == NULL)
		fail_msg("cannot open %s", path);
	assert_non_null(bytes);
	*size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static size_t
integers(const golden *g, const char *name, int32_t *out)
{
	const json_t *array = json_object_get(g->step, name);
	size_t n = json_array_size(array);

	assert_true(n > 0 && n <= MAX_NUMBERS);
	for (size_t i = 0; i < n; i++)
		out[i] = (int32_t) json_integer_value(json_array_get(array, i));
	return n;
}

static double
number(const golden *g, const char *name)
{
	return json_number_value(json_object_get(g->step, name));
}

/* The tensor WHAT.NAME, the caller's to free. */
static float *
tensor_of(const golden *g, const char *what, const net_tensor *t)
{
	char name[128];
	const mb_tensor *tensor;
	float *x = malloc(t->size * sizeof(float));

	snprintf(name, sizeof(name), "%s.%s", what, t->name);
	tensor = mb_safetensors_find(g->file, name);
	if (tensor == NULL)
		fail_msg("no tensor %s", name);
	assert_non_null(x);
	assert_int_equal(mb_tensor_elements(tensor), t->size);
	assert_true(mb_tensor_to_f32(tensor, 0, t->size, x));
	return x;
}

static void
golden_open(golden *g, const char *path, bool mlm_head, int32_t num_labels)
{
	int32_t sizes[MAX_NUMBERS];
	net_options options;
	size_t size, n;
	mb_error err;

	g->bytes = read_file(path, &size);
	if (mb_safetensors_open(&g->file, g->bytes, size, &err) != MB_OK)
		fail_msg("%s: %s", path, err.message);
	g->step = json_loads(mb_safetensors_metadata(g->file, "step"), 0, NULL);
	assert_non_null(g->step);
	assert_int_equal(integers(g, "sizes", sizes), 7);
	options = (net_options){{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], 1e-12f, MB_GELU},
							mlm_head,
							false,
							num_labels};
	assert_int_equal(net_create(&g->net, &options, &err), MB_OK);
	n = g->net.n_parameters;
	g->parameters = calloc(4 * n, sizeof(real));
	g->rate = calloc(g->net.n_tensors, sizeof(double));
	assert_true(g->parameters != NULL && g->rate != NULL);
	g->gradients = g->parameters + n;
	g->m = g->gradients + n;
	g->v = g->m + n;
	for (size_t i = 0; i < g->net.n_tensors; i++)
	{
		float *before = tensor_of(g, "before", &g->net.tensors[i]);

		memcpy(g->parameters + g->net.tensors[i].offset, before, g->net.tensors[i].size * sizeof(float));
		free(before);
		g->rate[i] = number(g, strncmp(g->net.tensors[i].name, "classifier", 10) == 0 ? "head_rate" : "rate");
	}
	/* before, gradient and after of each: the file holds no tensor that the net has not. */
	assert_int_equal(mb_safetensors_count(g->file), 3 * g->net.n_tensors);
	g->adamw = (adamw_options){0.9, 0.98, 1e-6, number(g, "weight_decay"), number(g, "clip")};
	g->batch = (net_batch){g->ids, g->lengths, integers(g, "lengths", g->lengths), integers(g, "ids", g->ids)};
	g->activations = net_activations_create(&g->net, g->batch.N, (size_t) sizes[5]);
}

static void
golden_close(golden *g)
{
	net_activations_destroy(g->activations);
	net_release(&g->net);
	mb_safetensors_close(g->file);
	json_decref(g->step);
	free(g->bytes);
	free(g->parameters);
	free(g->rate);
}

static double
norm_of(const real *x, size_t n)
{
	double sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += (double) x[i] * (double) x[i];
	return sqrt(sum);
}

/*
 * Cosine and length.  Softmax does not feel a key's bias, whose gradient is therefore 0: there nothing but rounding is
 * compared, with 0.
 */
static void
check_gradient(const golden *g, const net_tensor *t)
{
	float *expected = tensor_of(g, "gradient", t);
	const real *got = g->gradients + t->offset;
	double dot = 0.0, a = norm_of(got, t->size), b = norm_of(expected, t->size), cosine;

	for (size_t i = 0; i < t->size; i++)
		dot += (double) got[i] * (double) expected[i];
	cosine = dot / (a * b);
	if (strstr(t->name, "key.bias") != NULL)
	{
		if (!(a < 1e-6 && b < 1e-6))
			fail_msg("%s: a gradient of norm %g, in PyTorch %g", t->name, a, b);
	}
	else if (!(cosine >= 0.99999 && fabs(a - b) <= 1e-4 * b))
		fail_msg("%s: cosine %.8f, norm %.8g instead of %.8g", t->name, cosine, a, b);
	free(expected);
}

/*
 * Weights have moved by up to two rates.  AdamW divides a gradient by its own size: where that is all rounding (a key's
 * bias), it decides the step's sign; epsilon keeps the step small there.
 */
static void
check_weights(const golden *g, const net_tensor *t)
{
	float *expected = tensor_of(g, "after", t);
	double worst = 0.0, rate = g->rate[t - g->net.tensors];

	for (size_t i = 0; i < t->size; i++)
		worst = fmax(worst, fabs((double) expected[i] - (double) g->parameters[t->offset + i]));
	if (!(worst <= (strstr(t->name, "key.bias") != NULL ? 0.5 : 2e-3) * rate))
		fail_msg("%s: off by %.3g of the rate after two steps", t->name, worst / rate);
	free(expected);
}

/* The mean loss, its gradients in g->gradients. */
typedef double (*loss_function)(golden *g);

static void
two_steps(golden *g, loss_function loss_of)
{
	const net_pass pass = {.freeze = -1};

	for (uint64_t t = 0; t < 2; t++)
	{
		double loss, norm, expected = json_number_value(json_array_get(json_object_get(g->step, "losses"), t));
		double expected_norm = json_number_value(json_array_get(json_object_get(g->step, "norms"), t));

		memset(g->gradients, 0, g->net.n_parameters * sizeof(real));
		net_forward(&g->net, g->parameters, g->activations, &g->batch, &pass);
		loss = loss_of(g);
		net_backward(&g->net, g->parameters, g->gradients, g->activations, &g->batch, &pass);
		if (t == 0)
			for (size_t i = 0; i < g->net.n_tensors; i++)
				check_gradient(g, &g->net.tensors[i]);
		norm = adamw_step(&g->net, g->parameters, g->m, g->v, g->gradients, t + 1, g->rate, &g->adamw, 2);
		print_message("loss %.9g, in PyTorch %.9g; norm %.9g, in PyTorch %.9g\n", loss, expected, norm, expected_norm);
		assert_true(fabs(loss - expected) <= 1e-5 * expected);
		assert_true(fabs(norm - expected_norm) <= 1e-5 * expected_norm);
		assert_true(norm > g->adamw.clip); /* so that clipping is tested, too */
	}
	for (size_t i = 0; i < g->net.n_tensors; i++)
		check_weights(g, &g->net.tensors[i]);
}

static double
mlm_loss(golden *g)
{
	int32_t places[MAX_NUMBERS], labels[MAX_NUMBERS];
	size_t M = integers(g, "places", places);
	net_loss loss;

	assert_int_equal(integers(g, "labels", labels), M);
	net_mlm_loss(&g->net, g->parameters, g->gradients, g->activations, &g->batch, places, labels, M, 1.0 / (double) M,
				 &loss);
	return loss.sum / (double) M;
}

static double
tags_loss(golden *g)
{
	const label_loss how = {0};
	int32_t numbers[MAX_NUMBERS];
	uint8_t tags[MAX_NUMBERS];
	real pooled[MAX_NUMBERS], dpooled[MAX_NUMBERS], logits[MAX_NUMBERS], dlogits[MAX_NUMBERS];
	size_t n = integers(g, "tags", numbers), B = g->batch.B;
	double loss;

	for (size_t i = 0; i < n; i++)
		tags[i] = (uint8_t) numbers[i];
	net_pool(&g->net, g->parameters, g->activations, &g->batch, MB_POOL_MEAN, pooled);
	net_classify(&g->net, g->parameters, pooled, B, logits);
	loss = label_loss_backward(dlogits, logits, tags, NULL, B, n / B, 1.0 / (double) n, &how);
	net_classify_backward(&g->net, g->parameters, g->gradients, pooled, dlogits, B, dpooled);
	net_pool_backward(&g->net, g->parameters, g->gradients, g->activations, &g->batch, MB_POOL_MEAN, dpooled);
	return loss / (double) n;
}

static void
masked_language_model(void **state)
{
	golden g;

	(void) state;
	golden_open(&g, "test/golden/training/mlm.safetensors", true, 0);
	two_steps(&g, mlm_loss);
	golden_close(&g);
}

static void
tagger(void **state)
{
	golden g;

	(void) state;
	golden_open(&g, "test/golden/training/tags.safetensors", false, 3);
	two_steps(&g, tags_loss);
	golden_close(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masked_language_model),
		cmocka_unit_test(tagger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
