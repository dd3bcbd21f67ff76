/*
 * test_net.c - the network in single precision: it computes what the engine's inference computes, loads what a model
 * file holds, begins as it should, and gives the same bits for the same input.  test_net_gradients_whole.c checks its
 * gradients.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "moviebert/encoder.h"
#include "test/unit/seeded_model.h"
#include "test/unit/tiny_model.h"
#include "training/net/net.h"
#include "training/net/rng.h"

enum
{
	MAX_TOKENS = 700,
	MAX_LENGTH = 24
};

static real *
zeros(size_t n)
{
	real *x = calloc(n > 0 ? n : 1, sizeof(real));

	assert_non_null(x);
	return x;
}

/* Sequences of 1 to MAX_LENGTH tokens, N of them together. */
typedef struct text
{
	int32_t ids[MAX_TOKENS], lengths[MAX_TOKENS];
	net_batch batch;
} text;

static void
text_make(text *t, size_t N, int32_t vocab_size)
{
	t->batch = (net_batch){t->ids, t->lengths, 0, N};
	for (size_t i = 0; i < N; i++)
		t->ids[i] = (int32_t) rng_below(1, i, (uint64_t) vocab_size);
	for (size_t i = 0; i < N; t->batch.B++)
	{
		size_t length = 1 + (size_t) rng_below(2, t->batch.B, MAX_LENGTH);

		length = length < N - i ? length : N - i;
		t->lengths[t->batch.B] = (int32_t) length;
		i += length;
	}
}

static const net_pass everything_learns = {.freeze = -1};

/* ---- what the engine computes ------------------------------------------------------------------------------------ */

/* A seeded model, as an image for the engine and as parameters for the net. */
typedef struct both
{
	seeded_image seeded;
	net net;
	real *parameters;
} both;

static void
both_open(both *b, const mb_config *config, const mb_pipeline *pipeline)
{
	char path[] = "/tmp/moviebert-net.XXXXXX";
	int made = mkstemp(path);
	net_options options = {*config, false, pipeline->pooling == MB_POOL_POOLER, pipeline->num_labels};
	mb_model *model;
	size_t loaded;
	mb_error err;

	assert_true(made >= 0);
	close(made);
	seeded_image_open(&b->seeded, config, pipeline);
	seeded_model_write(path, config, pipeline);
	assert_int_equal(mb_model_open_file(&model, path, &err), MB_OK);
	unlink(path);
	assert_int_equal(net_create(&b->net, &options, &err), MB_OK);
	b->parameters = zeros(b->net.n_parameters);
	if (net_load(&b->net, b->parameters, model, &loaded, &err) != MB_OK)
		fail_msg("%s %s", err.message, err.detail);
	assert_int_equal(loaded, b->net.n_parameters);
	mb_model_close(model);
}

static void
both_close(both *b)
{
	seeded_image_close(&b->seeded);
	net_release(&b->net);
	free(b->parameters);
}

/* The largest difference, against the largest number. */
static void
assert_close(const char *what, const float *got, const float *expected, size_t n, double tolerance)
{
	double worst = 0.0, size = 0.0;

	for (size_t i = 0; i < n; i++)
	{
		size = fmax(size, fabs((double) expected[i]));
		worst = fmax(worst, fabs((double) got[i] - (double) expected[i]));
	}
	print_message("%s: %zu numbers up to %.3g, off by at most %.2g\n", what, n, size, worst);
	if (!(worst <= tolerance * size))
		fail_msg("%s: off by %.3g", what, worst);
}

static void
agree(const mb_config *config, const mb_pipeline *pipeline, size_t N)
{
	static text t;
	both b;
	size_t H = (size_t) config->hidden_size, L = (size_t) pipeline->num_labels, bytes;
	real *pooled = zeros(N * H), *logits = zeros(N * L);
	float *hidden = zeros(N * H), *expected = zeros(N * H), *expected_logits = zeros(N * L);
	net_activations *a;
	const real *got;
	void *workspace;
	mb_error err;

	text_make(&t, N, config->vocab_size);
	both_open(&b, config, pipeline);
	bytes = mb_encoder_workspace_size(&b.seeded.image, N, MAX_LENGTH);
	workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
	assert_non_null(workspace);
	assert_int_equal(
		mb_encode(&b.seeded.image, t.ids, t.lengths, t.batch.B, expected, hidden, workspace, bytes, NULL, &err), MB_OK);
	a = net_activations_create(&b.net, N, MAX_LENGTH);
	got = net_forward(&b.net, b.parameters, a, &t.batch, &everything_learns);
	assert_close("hidden states", got, hidden, N * H, 1e-5);
	net_pool(&b.net, b.parameters, a, &t.batch, pipeline->pooling, pooled);
	assert_close("pooled", pooled, expected, t.batch.B * H, 1e-5);
	if (L > 0)
	{
		net_classify(&b.net, b.parameters, pooled, t.batch.B, logits);
		mb_classify(&b.seeded.image, expected, t.batch.B, expected_logits);
		assert_close("logits", logits, expected_logits, t.batch.B * L, 1e-5);
	}
	net_activations_destroy(a);
	both_close(&b);
	free(pooled);
	free(logits);
	free(hidden);
	free(expected);
	free(expected_logits);
	free(workspace);
}

static void
forward_agrees_with_inference(void **state)
{
	(void) state;
	for (int act = MB_GELU; act <= MB_SILU; act++)
		for (int mode = MB_POOL_MEAN; mode <= MB_POOL_POOLER; mode++)
		{
			mb_config config = seeded_config();
			mb_pipeline pipeline = seeded_pipeline();

			config.hidden_act = (mb_activation) act;
			config.num_hidden_layers = 3;
			config.hidden_size = 60;
			config.num_attention_heads = 5;
			config.intermediate_size = 77;
			pipeline.pooling = (mb_pooling) mode;
			pipeline.problem = MB_MULTI_LABEL;
			pipeline.num_labels = 7;
			agree(&config, &pipeline, 301);
		}
}

static void
no_layers_agree_too(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();

	(void) state;
	config.num_hidden_layers = 0;
	agree(&config, &pipeline, 30);
}

/* ---- a network of its own ---------------------------------------------------------------------------------------- */

static const net_options small_options = {
	.config = {.vocab_size = 31,
			   .hidden_size = 12,
			   .num_hidden_layers = 3,
			   .num_attention_heads = 3,
			   .intermediate_size = 20,
			   .max_position_embeddings = MAX_LENGTH,
			   .type_vocab_size = 2,
			   .layer_norm_eps = 1e-12f,
			   .hidden_act = MB_GELU},
	.mlm_head = true,
	.pooler = true,
	.num_labels = 5,
};

typedef struct small
{
	net net;
	real *parameters, *gradients;
	net_activations *activations;
	text text;
	int32_t places[MAX_TOKENS], labels[MAX_TOKENS];
	size_t M;
} small;

/* Weights of 0.02 would make it nearly linear: they are taken ten times as large. */
static small *
small_new(size_t N)
{
	small *s = calloc(1, sizeof(*s));
	mb_error err;

	assert_non_null(s);
	assert_int_equal(net_create(&s->net, &small_options, &err), MB_OK);
	s->parameters = zeros(s->net.n_parameters);
	s->gradients = zeros(s->net.n_parameters);
	net_init(&s->net, s->parameters, 5, -1);
	for (size_t i = 0; i < s->net.n_parameters; i++)
		s->parameters[i] *= s->parameters[i] == 1.0f ? 1.0f : 10.0f;
	text_make(&s->text, N, small_options.config.vocab_size);
	for (size_t i = 0; i < N; i += 1 + i % 2)
	{
		s->places[s->M] = (int32_t) i;
		s->labels[s->M++] = (int32_t) rng_below(3, i, 31);
	}
	s->activations = net_activations_create(&s->net, N, MAX_LENGTH);
	return s;
}

static void
small_free(small *s)
{
	net_activations_destroy(s->activations);
	net_release(&s->net);
	free(s->parameters);
	free(s->gradients);
	free(s);
}

/* Zeroes the gradients and makes them anew; returns the loss. */
static double
small_step(small *s, const net_pass *pass)
{
	net_loss loss;

	memset(s->gradients, 0, s->net.n_parameters * sizeof(real));
	net_forward(&s->net, s->parameters, s->activations, &s->text.batch, pass);
	net_mlm_loss(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, s->places, s->labels, s->M,
				 1.0 / (double) s->M, &loss);
	net_backward(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, pass);
	return loss.sum;
}

static bool
same_bits(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n * sizeof(real)) == 0;
}

static void
freezing_changes_no_other_gradient(void **state)
{
	small *s = small_new(120);
	real *full = zeros(s->net.n_parameters);
	double loss = small_step(s, &everything_learns);

	(void) state;
	memcpy(full, s->gradients, s->net.n_parameters * sizeof(real));
	for (int freeze = 0; freeze <= 3; freeze++)
	{
		const net_pass pass = {.freeze = freeze};
		real *none;

		assert_true(small_step(s, &pass) == loss);
		for (size_t i = 0; i < s->net.n_tensors; i++)
		{
			const net_tensor *t = &s->net.tensors[i];

			none = zeros(t->size);
			if (!same_bits(s->gradients + t->offset, t->layer < freeze ? none : full + t->offset, t->size))
				fail_msg("freeze %d: the gradient of %s is not as expected", freeze, t->name);
			free(none);
		}
	}
	free(full);
	small_free(s);
}

/* The same bits again, from activations that hold another pass's numbers, and from fresh ones. */
static void
a_pass_repeats_to_the_bit(void **state)
{
	small *s = small_new(300), *other = small_new(300);
	const net_pass pass = {.dropout = 0.1, .dropout_key = 77, .freeze = -1};
	const net_pass next = {.dropout = 0.1, .dropout_key = 78, .freeze = -1};
	real *first = zeros(s->net.n_parameters);
	double loss = small_step(s, &pass);

	(void) state;
	memcpy(first, s->gradients, s->net.n_parameters * sizeof(real));
	assert_true(small_step(s, &next) != loss);
	assert_false(same_bits(first, s->gradients, s->net.n_parameters));
	assert_true(small_step(s, &pass) == loss);
	assert_true(same_bits(first, s->gradients, s->net.n_parameters));
	assert_true(small_step(other, &pass) == loss);
	assert_true(same_bits(first, other->gradients, s->net.n_parameters));
	free(first);
	small_free(s);
	small_free(other);
}

/* What is frozen has no dropout: with all layers frozen a pass is as without. */
static void
frozen_layers_do_not_drop(void **state)
{
	small *s = small_new(100);
	const net_pass plain = {.freeze = 3}, dropping = {.dropout = 0.5, .dropout_key = 3, .freeze = 3},
				   one = {.dropout = 0.5, .dropout_key = 3, .freeze = 2};
	double loss = small_step(s, &plain);

	(void) state;
	assert_true(small_step(s, &dropping) == loss);
	assert_true(small_step(s, &one) != loss);
	small_free(s);
}

/* More targets than the head takes at a time: losses and gradients are those of two halves together. */
static void
many_targets_are_worked_off_in_blocks(void **state)
{
	small *s = small_new(MAX_TOKENS);
	real *whole = zeros(s->net.n_parameters), *dhidden = zeros(MAX_TOKENS * 12);
	net_loss loss, part;
	double sum = 0.0;
	size_t correct = 0;

	(void) state;
	s->M = MAX_TOKENS;
	for (size_t i = 0; i < s->M; i++)
	{
		s->places[i] = (int32_t) i;
		s->labels[i] = (int32_t) rng_below(4, i, 31);
	}
	net_forward(&s->net, s->parameters, s->activations, &s->text.batch, &everything_learns);
	net_mlm_loss(&s->net, s->parameters, whole, s->activations, &s->text.batch, s->places, s->labels, s->M, 0.01,
				 &loss);
	memcpy(dhidden, net_dhidden(s->activations), MAX_TOKENS * 12 * sizeof(real));
	net_mlm_loss(&s->net, s->parameters, NULL, s->activations, &s->text.batch, s->places, s->labels, s->M, 0.01, &part);
	assert_true(part.sum == loss.sum && part.correct == loss.correct);
	for (size_t first = 0; first < s->M; first += 70)
	{
		net_mlm_loss(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, s->places + first,
					 s->labels + first, 70, 0.01, &part);
		sum += part.sum;
		correct += part.correct;
		assert_close("dhidden", net_dhidden(s->activations) + first * 12, dhidden + first * 12, 70 * 12, 1e-6);
	}
	assert_true(fabs(sum - loss.sum) < 1e-5 * loss.sum);
	assert_int_equal(loss.targets, MAX_TOKENS);
	assert_int_equal(correct, loss.correct);
	assert_close("gradients", s->gradients, whole, s->net.n_parameters, 1e-5);
	free(whole);
	free(dhidden);
	small_free(s);
}

/* The last layer's rows that no loss looks at can be left out: the loss and every gradient stay. */
static void
rows_that_are_not_asked_for_change_nothing(void **state)
{
	small *s = small_new(120);
	real *full = zeros(s->net.n_parameters);

	(void) state;
	for (int freeze = -1; freeze <= 3; freeze++)
	{
		const net_pass whole = {.freeze = freeze};
		const net_pass part = {.freeze = freeze, .places = s->places, .n_places = s->M};
		double loss = small_step(s, &whole);
		net_loss partial;

		memcpy(full, s->gradients, s->net.n_parameters * sizeof(real));
		memset(s->gradients, 0, s->net.n_parameters * sizeof(real));
		net_forward(&s->net, s->parameters, s->activations, &s->text.batch, &part);
		net_mlm_loss(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, NULL, s->labels, s->M,
					 1.0 / (double) s->M, &partial);
		net_backward(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, &part);
		assert_true(fabs(partial.sum - loss) < 1e-6 * loss);
		assert_close("gradients", s->gradients, full, s->net.n_parameters, 1e-5);
	}
	free(full);
	small_free(s);
}

static void
no_target_no_gradient(void **state)
{
	small *s = small_new(10);
	const net_pass none = {.freeze = -1, .places = s->places, .n_places = 0};
	net_loss loss;

	(void) state;
	net_forward(&s->net, s->parameters, s->activations, &s->text.batch, &everything_learns);
	net_mlm_loss(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, NULL, NULL, 0, 1.0, &loss);
	net_backward(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, &everything_learns);
	assert_true(loss.sum == 0.0 && loss.targets == 0 && loss.correct == 0);
	/* Nor with the last layer's other rows, which are all of them, left out. */
	net_forward(&s->net, s->parameters, s->activations, &s->text.batch, &none);
	net_mlm_loss(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, NULL, NULL, 0, 1.0, &loss);
	net_backward(&s->net, s->parameters, s->gradients, s->activations, &s->text.batch, &none);
	for (size_t i = 0; i < s->net.n_parameters; i++)
		assert_true(s->gradients[i] == 0.0f);
	small_free(s);
}

/* ---- the table, and how weights begin ---------------------------------------------------------------------------- */

static void
tensors_tile_the_parameters(void **state)
{
	net n;
	mb_error err;
	size_t at = 0;

	(void) state;
	assert_int_equal(net_create(&n, &small_options, &err), MB_OK);
	for (size_t i = 0; i < n.n_tensors; i++)
	{
		const net_tensor *t = &n.tensors[i];

		assert_int_equal(t->offset, at);
		assert_int_equal(t->size, t->shape[0] * (t->n_dims == 2 ? t->shape[1] : 1));
		assert_int_equal(t->decay, t->n_dims == 2);
		assert_ptr_equal(net_find(&n, t->name), t);
		at += t->size;
	}
	assert_int_equal(at, n.n_parameters);
	assert_int_equal(n.n_tensors, 5 + 3 * 16 + 2 + 5 + 2);
	assert_int_equal(net_find(&n, "encoder.layer.2.output.dense.weight")->layer, 2);
	assert_int_equal(net_find(&n, "embeddings.LayerNorm.bias")->layer, -1);
	assert_int_equal(net_find(&n, "cls.predictions.bias")->layer, 3);
	assert_null(net_find(&n, "encoder.layer.3.output.dense.weight"));
	net_release(&n);
}

static void
weights_begin_as_documented(void **state)
{
	net n, body;
	net_options options = {small_options.config, false, false, 0};
	real *x, *y;
	mb_error err;
	double sum = 0.0, squares = 0.0, largest = 0.0;
	const net_tensor *word;

	(void) state;
	options.config.vocab_size = 3000;
	assert_int_equal(net_create(&body, &options, &err), MB_OK);
	options.mlm_head = options.pooler = true;
	options.num_labels = 9;
	assert_int_equal(net_create(&n, &options, &err), MB_OK);
	x = zeros(n.n_parameters);
	y = zeros(body.n_parameters);
	net_init(&n, x, 1, 2);
	net_init(&body, y, 1, 2);
	assert_true(same_bits(x, y, body.n_parameters)); /* heads come last, and change no other stream */
	word = net_find(&n, "embeddings.word_embeddings.weight");
	for (size_t i = 0; i < word->size; i++)
	{
		sum += x[i];
		squares += (double) x[i] * x[i];
		largest = fmax(largest, fabs((double) x[i]));
	}
	for (size_t i = 24; i < 36; i++)
		assert_true(x[i] == 0.0f);
	sum /= (double) word->size;
	squares = sqrt(squares / (double) word->size);
	print_message("mean %.2g, deviation %.4g, largest %.4g\n", sum, squares, largest);
	assert_true(fabs(sum) < 0.0004);
	assert_true(fabs(squares - 0.02 * 0.87963) < 0.0004); /* sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) */
	assert_true(largest <= 0.04 && largest > 0.0399);
	for (size_t i = 0; i < n.n_tensors; i++)
		if (n.tensors[i].n_dims == 1)
			for (size_t j = 0; j < n.tensors[i].size; j++)
				assert_true(x[n.tensors[i].offset + j] ==
							(strstr(n.tensors[i].name, "LayerNorm.weight") ? 1.0f : 0.0f));
	net_init(&body, y, 2, 2);
	assert_false(same_bits(x, y, 12));
	net_release(&n);
	net_release(&body);
	free(x);
	free(y);
}

static void
impossible_sizes_are_refused(void **state)
{
	net n;
	net_options options = small_options;
	mb_error err;

	(void) state;
	options.config.num_attention_heads = 5;
	assert_int_equal(net_create(&n, &options, &err), MB_INVALID_ARGUMENT);
	assert_string_equal(err.message, "the hidden size 12 is not a multiple of the 5 attention heads");
	options = small_options;
	options.config.vocab_size = 0;
	assert_int_equal(net_create(&n, &options, &err), MB_INVALID_ARGUMENT);
	options = small_options;
	options.config.hidden_size = 1 << 30;
	assert_int_equal(net_create(&n, &options, &err), MB_LIMIT);
	net_release(&n);
}

/* ---- from a model file ------------------------------------------------------------------------------------------- */

/* net_load of the tiny model into a net of these options, with 7 in all parameters before. */
static mb_status
load_tiny(tiny_model *tiny, const net_options *options, real **parameters, net *n, size_t *loaded, mb_error *err)
{
	size_t size;
	void *file = tiny_model_bytes(tiny, &size);
	mb_model *model;
	mb_status status;

	if (mb_model_open(&model, file, size, err) != MB_OK)
		fail_msg("%s %s", err->message, err->detail);
	assert_int_equal(net_create(n, options, err), MB_OK);
	*parameters = zeros(n->n_parameters);
	for (size_t i = 0; i < n->n_parameters; i++)
		(*parameters)[i] = 7.0f;
	status = net_load(n, *parameters, model, loaded, err);
	mb_model_close(model);
	free(file);
	return status;
}

static net_options
tiny_options(void)
{
	return (net_options){
		.config = {12, 8, 1, 2, 12, 16, 2, 1e-12f, MB_GELU}, .mlm_head = true, .pooler = true, .num_labels = 3};
}

static void
every_tensor_is_loaded(void **state)
{
	tiny_model *tiny = tiny_model_new();
	net_options options = tiny_options();
	net n;
	real *parameters;
	size_t loaded;
	mb_error err;

	(void) state;
	assert_int_equal(load_tiny(tiny, &options, &parameters, &n, &loaded, &err), MB_OK);
	assert_int_equal(loaded, n.n_parameters);
	for (size_t i = 0; i < n.n_tensors; i++)
	{
		mb_tensor *tensor = tiny_model_tensor(tiny, n.tensors[i].name);
		float *expected = zeros(n.tensors[i].size);

		assert_true(mb_tensor_to_f32(tensor, 0, n.tensors[i].size, expected));
		assert_true(same_bits(parameters + n.tensors[i].offset, expected, n.tensors[i].size));
		free(expected);
	}
	net_release(&n);
	free(parameters);
	tiny_model_free(tiny);
}

static void
a_missing_head_keeps_its_beginning(void **state)
{
	tiny_model *tiny = tiny_model_new();
	net_options options = tiny_options();
	net n;
	real *parameters;
	size_t loaded;
	mb_error err;
	const net_tensor *bias;

	(void) state;
	tiny_model_drop(tiny, "cls.predictions.transform.dense.weight");
	tiny_model_drop(tiny, "cls.predictions.transform.dense.bias");
	tiny_model_drop(tiny, "cls.predictions.transform.LayerNorm.weight");
	tiny_model_drop(tiny, "cls.predictions.transform.LayerNorm.bias");
	tiny_model_drop(tiny, "cls.predictions.bias");
	assert_int_equal(load_tiny(tiny, &options, &parameters, &n, &loaded, &err), MB_OK);
	assert_int_equal(loaded, n.n_parameters - 64 - 3 * 8 - 12);
	bias = net_find(&n, "cls.predictions.bias");
	for (size_t i = 0; i < bias->size; i++)
		assert_true(parameters[bias->offset + i] == 7.0f);
	net_release(&n);
	free(parameters);
	tiny_model_free(tiny);
}

/* The decoder's bias by its other name, and its weights where they are the word embeddings. */
static void
a_tied_decoder_is_taken(void **state)
{
	tiny_model *tiny = tiny_model_new();
	net_options options = tiny_options();
	net n;
	real *parameters;
	float bias[12];
	size_t loaded;
	mb_error err;
	mb_tensor *word = tiny_model_tensor(tiny, "embeddings.word_embeddings.weight"), *decoder;

	(void) state;
	tiny_model_drop(tiny, "cls.predictions.bias");
	tiny_model_put(tiny, "cls.predictions.decoder.bias", MB_F32, 12, 0);
	tiny_model_put(tiny, "cls.predictions.decoder.weight", word->dtype, 12, 8);
	decoder = tiny_model_tensor(tiny, "cls.predictions.decoder.weight");
	memcpy((void *) (uintptr_t) decoder->data, word->data, word->bytes);
	assert_int_equal(load_tiny(tiny, &options, &parameters, &n, &loaded, &err), MB_OK);
	assert_int_equal(loaded, n.n_parameters);
	assert_true(mb_tensor_to_f32(tiny_model_tensor(tiny, "cls.predictions.decoder.bias"), 0, 12, bias));
	assert_true(same_bits(parameters + net_find(&n, "cls.predictions.bias")->offset, bias, 12));
	net_release(&n);
	free(parameters);
	tiny_model_free(tiny);
}

static void
a_decoder_of_its_own_is_refused(void **state)
{
	tiny_model *tiny = tiny_model_new();
	net_options options = tiny_options();
	net n;
	real *parameters;
	size_t loaded;
	mb_error err;

	(void) state;
	tiny_model_put(tiny, "cls.predictions.decoder.weight", MB_F32, 12, 8);
	assert_int_equal(load_tiny(tiny, &options, &parameters, &n, &loaded, &err), MB_UNSUPPORTED);
	assert_string_equal(err.message, "the masked-LM head's decoder is not the word embeddings");
	net_release(&n);
	free(parameters);
	options.mlm_head = false; /* then nobody asks */
	assert_int_equal(load_tiny(tiny, &options, &parameters, &n, &loaded, &err), MB_OK);
	net_release(&n);
	free(parameters);
	tiny_model_free(tiny);
}

static void
refused(const net_options *options, const char *message)
{
	tiny_model *tiny = tiny_model_new();
	net n;
	real *parameters;
	size_t loaded;
	mb_error err;

	assert_int_equal(load_tiny(tiny, options, &parameters, &n, &loaded, &err), MB_INVALID_ARGUMENT);
	assert_string_equal(err.message, message);
	net_release(&n);
	free(parameters);
	tiny_model_free(tiny);
}

static void
another_model_is_refused(void **state)
{
	net_options options = tiny_options();

	(void) state;
	options.config.num_hidden_layers = 2;
	refused(&options, "the model has 1 layers instead of 2");
	options = tiny_options();
	options.config.num_attention_heads = 4;
	refused(&options, "the model has 2 attention heads instead of 4");
	options = tiny_options();
	options.config.hidden_act = MB_RELU;
	refused(&options, "the model has another activation function than is to be trained");
	options = tiny_options();
	options.config.intermediate_size = 13;
	refused(&options,
			"tensor \"encoder.layer.0.intermediate.dense.weight\" of the model does not have the shape that is "
			"to be trained");
}

/* ---- what it costs ----------------------------------------------------------------------------------------------- */

static void
flops_are_those_of_the_products(void **state)
{
	net n;
	net_options options = {{100, 8, 2, 2, 32, 64, 2, 1e-12f, MB_GELU}, true, false, 0};
	mb_error err;
	double qkv = 6 * 64, rows = 2 * (64 + 2 * 8 * 32), attention = 4 * 10 * 8, head = 0.15 * 2 * (64 + 800);
	double first = qkv + rows + attention, last = qkv + 0.15 * rows + attention;

	(void) state;
	assert_int_equal(net_create(&n, &options, &err), MB_OK);
	assert_float_equal(net_flops_per_token(&n, 10, 0.15, -1), 3 * (first + last + head), 1e-6);
	assert_float_equal(net_flops_per_token(&n, 10, 0, -1), 3 * 2 * first, 1e-6);
	/* The second layer alone: its qkv has no dx, the decoder no dW. */
	assert_float_equal(net_flops_per_token(&n, 10, 0.15, 1), first + 3 * last - qkv + 3 * head - 0.15 * 2 * 800, 1e-6);
	net_release(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_agrees_with_inference),
		cmocka_unit_test(no_layers_agree_too),
		cmocka_unit_test(freezing_changes_no_other_gradient),
		cmocka_unit_test(a_pass_repeats_to_the_bit),
		cmocka_unit_test(frozen_layers_do_not_drop),
		cmocka_unit_test(many_targets_are_worked_off_in_blocks),
		cmocka_unit_test(rows_that_are_not_asked_for_change_nothing),
		cmocka_unit_test(no_target_no_gradient),
		cmocka_unit_test(tensors_tile_the_parameters),
		cmocka_unit_test(weights_begin_as_documented),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(every_tensor_is_loaded),
		cmocka_unit_test(a_missing_head_keeps_its_beginning),
		cmocka_unit_test(a_tied_decoder_is_taken),
		cmocka_unit_test(a_decoder_of_its_own_is_refused),
		cmocka_unit_test(another_model_is_refused),
		cmocka_unit_test(flops_are_those_of_the_products),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
