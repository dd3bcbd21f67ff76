/*
 * test_net_gradients_whole.c - the whole network's backward, in double precision, against central differences of its
 * loss: both heads, each pooling, each activation function, dropout, freezing; every tensor, element by element.
 *
 * As in test_net_gradients.c, a difference over h = 1e-5 is good to some 1e-9 of the loss's size.
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

#include "training/net/net.h"
#include "training/net/rng.h"

#define STEP 1e-5
#define TOLERANCE 1e-6 /* relative, of the size of the numbers or 1e-3 */

_Static_assert(sizeof(real) == sizeof(double), "this test belongs to the double build");

enum
{
	MAX_TOKENS = 300,
	MAX_LENGTH = 9,
	LABELS = 3
};

/* Odd sizes, so that no two can be taken for each other. */
static const net_options options = {
	.config = {.vocab_size = 23,
			   .hidden_size = 6,
			   .num_hidden_layers = 2,
			   .num_attention_heads = 2,
			   .intermediate_size = 7,
			   .max_position_embeddings = MAX_LENGTH,
			   .type_vocab_size = 2,
			   .layer_norm_eps = 1e-5f,
			   .hidden_act = MB_GELU},
	.mlm_head = true,
	.pooler = true,
	.num_labels = LABELS,
};

/* A network, a batch, and which loss is taken of them. */
typedef struct trial
{
	net net;
	real *parameters, *gradients;
	net_activations *activations;
	int32_t ids[MAX_TOKENS];
	int32_t lengths[MAX_TOKENS];
	net_batch batch;
	net_pass pass;
	bool mlm; /* else the pooled vector's labels */
	double scale;
	mb_pooling mode;
	int32_t places[MAX_TOKENS], labels[MAX_TOKENS];
	size_t M;
	uint8_t tags[MAX_TOKENS * LABELS], known[MAX_TOKENS * LABELS];
} trial;

static uint64_t drawn;

static double
uniform(double low, double high)
{
	return low + (high - low) * rng_uniform(7, drawn++);
}

static real *
zeros(size_t n)
{
	real *x = calloc(n, sizeof(real));

	assert_non_null(x);
	return x;
}

/* A batch of n_sequences of 1 to MAX_LENGTH tokens, every third a target. */
static trial *
trial_new(mb_activation act, size_t n_sequences)
{
	trial *t = calloc(1, sizeof(*t));
	net_options how = options;
	mb_error err;

	assert_non_null(t);
	how.config.hidden_act = act;
	assert_int_equal(net_create(&t->net, &how, &err), MB_OK);
	t->parameters = zeros(t->net.n_parameters);
	t->gradients = zeros(t->net.n_parameters);
	for (size_t i = 0; i < t->net.n_tensors; i++)
	{
		const net_tensor *tensor = &t->net.tensors[i];
		bool norm = strstr(tensor->name, "LayerNorm.weight") != NULL;

		for (size_t j = 0; j < tensor->size; j++)
			t->parameters[tensor->offset + j] = norm ? uniform(0.6, 1.4) : uniform(-0.6, 0.6);
	}
	for (size_t b = 0; b < n_sequences; b++)
	{
		t->lengths[b] = (int32_t) (1 + rng_below(11, b, MAX_LENGTH));
		t->batch.N += (size_t) t->lengths[b];
	}
	assert_true(t->batch.N <= MAX_TOKENS);
	for (size_t i = 0; i < t->batch.N; i++)
	{
		t->ids[i] = (int32_t) rng_below(12, i, 23);
		if (i % 3 == 1)
		{
			t->places[t->M] = (int32_t) i;
			t->labels[t->M++] = (int32_t) rng_below(13, i, 23);
		}
	}
	for (size_t i = 0; i < n_sequences * LABELS; i++)
	{
		t->tags[i] = rng_below(14, i, 2) == 1;
		t->known[i] = rng_below(15, i, 4) > 0;
	}
	t->batch.ids = t->ids;
	t->batch.lengths = t->lengths;
	t->batch.B = n_sequences;
	t->pass.freeze = -1;
	t->scale = 0.37;
	t->activations = net_activations_create(&t->net, t->batch.N, MAX_LENGTH);
	return t;
}

static void
trial_free(trial *t)
{
	net_activations_destroy(t->activations);
	net_release(&t->net);
	free(t->parameters);
	free(t->gradients);
	free(t);
}

/* The loss; with gradients, those too. */
static double
loss_of(trial *t, real *gradients)
{
	const label_loss how = {0};
	real pooled[MAX_TOKENS * 6], dpooled[MAX_TOKENS * 6], logits[MAX_TOKENS * LABELS], dlogits[MAX_TOKENS * LABELS];
	double scale = t->scale, loss;

	net_forward(&t->net, t->parameters, t->activations, &t->batch, &t->pass);
	if (t->mlm)
	{
		net_loss how_it_went;

		net_mlm_loss(&t->net, t->parameters, gradients, t->activations, &t->batch,
					 t->pass.places != NULL ? NULL : t->places, t->labels, t->M, scale, &how_it_went);
		assert_int_equal(how_it_went.targets, t->M);
		loss = scale * how_it_went.sum;
	}
	else
	{
		net_pool(&t->net, t->parameters, t->activations, &t->batch, t->mode, pooled);
		net_classify(&t->net, t->parameters, pooled, t->batch.B, logits);
		loss = scale * label_loss_backward(dlogits, logits, t->tags, t->known, t->batch.B, LABELS, scale, &how);
		if (gradients != NULL)
		{
			net_classify_backward(&t->net, t->parameters, gradients, pooled, dlogits, t->batch.B, dpooled);
			net_pool_backward(&t->net, t->parameters, gradients, t->activations, &t->batch, t->mode, dpooled);
		}
	}
	if (gradients != NULL)
		net_backward(&t->net, t->parameters, gradients, t->activations, &t->batch, &t->pass);
	return loss;
}

/* Every stride-th element of what learns; the rest has kept its gradient of one. */
static void
check(trial *t, size_t stride)
{
	size_t checked = 0, moved = 0;
	double worst = 0.0;

	for (size_t i = 0; i < t->net.n_parameters; i++)
		t->gradients[i] = 1.0;
	loss_of(t, t->gradients);
	for (size_t k = 0; k < t->net.n_tensors; k++)
	{
		const net_tensor *tensor = &t->net.tensors[k];

		for (size_t j = 0; j < tensor->size; j++)
		{
			size_t i = tensor->offset + j;
			double at = t->parameters[i], got = t->gradients[i] - 1.0, difference, size;

			if (tensor->layer < t->pass.freeze)
			{
				if (got != 0.0)
					fail_msg("%s [%zu] is frozen, but its gradient was touched", tensor->name, j);
				continue;
			}
			if (j % stride != 0 && j + 1 != tensor->size)
				continue;
			t->parameters[i] = at + STEP;
			difference = loss_of(t, NULL);
			t->parameters[i] = at - STEP;
			difference = (difference - loss_of(t, NULL)) / (2.0 * STEP);
			t->parameters[i] = at;
			size = fmax(fmax(fabs(difference), fabs(got)), 1e-3);
			worst = fmax(worst, fabs(difference - got) / size);
			if (!(fabs(difference - got) <= TOLERANCE * size))
				fail_msg("%s [%zu]: the backward says %.12g, the difference %.12g, off by %.2g of its size",
						 tensor->name, j, got, difference, fabs(difference - got) / size);
			checked++;
			moved += fabs(difference) > 1e-3;
		}
	}
	print_message("%zu elements, %zu of them with a gradient above 0.001; worst relative error %.1e\n", checked, moved,
				  worst);
	assert_true(moved > 0);
}

static size_t
stride(void)
{
	return getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 13 : 1;
}

static void
masked_language_model(void **state)
{
	(void) state;
	for (int act = MB_GELU; act <= MB_SILU; act++)
	{
		trial *t = trial_new((mb_activation) act, 4);

		t->mlm = true;
		check(t, stride());
		trial_free(t);
	}
}

static void
tags_by_each_pooling(void **state)
{
	(void) state;
	for (int mode = MB_POOL_MEAN; mode <= MB_POOL_POOLER; mode++)
	{
		trial *t = trial_new(MB_GELU, 4);

		t->mode = (mb_pooling) mode;
		check(t, stride());
		trial_free(t);
	}
}

/* With the last layer's other rows left out; with dropout; and with that layer the first to learn. */
static void
masked_language_model_at_its_targets(void **state)
{
	(void) state;
	for (int freeze = -1; freeze <= 1; freeze++)
	{
		trial *t = trial_new(MB_GELU, 4);

		t->mlm = true;
		t->pass = (net_pass){
			.dropout = 0.3, .dropout_key = 21, .freeze = freeze, .places = t->places, .n_places = t->M};
		check(t, stride());
		trial_free(t);
	}
}

/* The mask of one key is a constant factor; each place has another. */
static void
with_dropout(void **state)
{
	(void) state;
	for (int mlm = 0; mlm < 2; mlm++)
	{
		trial *t = trial_new(MB_GELU, 4);

		t->mlm = mlm == 1;
		t->pass.dropout = 0.3;
		t->pass.dropout_key = 99;
		check(t, stride());
		trial_free(t);
	}
}

/* Frozen parts keep their gradients, the word embeddings below a decoder tied to them, too; the rest is exact. */
static void
frozen(void **state)
{
	(void) state;
	for (int freeze = 0; freeze <= 2; freeze++)
		for (int mlm = 0; mlm < 2; mlm++)
		{
			trial *t = trial_new(MB_GELU, 4);

			t->mlm = mlm == 1;
			t->pass.freeze = freeze;
			t->pass.dropout = 0.2;
			check(t, stride());
			trial_free(t);
		}
}

/* More rows than the feed-forward half takes at a time. */
static void
many_rows(void **state)
{
	trial *t = trial_new(MB_GELU, 58);

	(void) state;
	assert_true(t->batch.N > 256);
	t->mlm = true;
	t->scale = 1.0 / (double) t->M; /* a large sum would have large rounding */
	check(t, 5 * stride());
	trial_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masked_language_model),
		cmocka_unit_test(masked_language_model_at_its_targets),
		cmocka_unit_test(tags_by_each_pooling),
		cmocka_unit_test(with_dropout),
		cmocka_unit_test(frozen),
		cmocka_unit_test(many_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
