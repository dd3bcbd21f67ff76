/*
 * test_encoder.c - the encoder against what transformers computes in float64 (test/golden/encoder), and what it
 * promises beside numbers: the same bits in any company, no memory but the workspace, an answer to every interrupt.
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

#include "moviebert/encoder.h"
#include "test/unit/seeded_model.h"

static const char *const set_names[] = {"avx512", "avx2", "portable"};

/* ---- golden cases ------------------------------------------------------------------------------------------------ */

typedef struct golden
{
	const json_t *json;
	const char *name;
	seeded_image seeded;
	int32_t *ids;
	int32_t *lengths;
	size_t n_tokens, n_sequences;
} golden;

static json_t *cases;

static int
read_cases(void **state)
{
	json_error_t error;

	(void) state;
	cases = json_load_file("test/golden/encoder/cases.json", 0, &error);
	if (cases == NULL)
		print_error("test/golden/encoder/cases.json: %s\n", error.text);
	return cases == NULL;
}

static int
drop_cases(void **state)
{
	(void) state;
	json_decref(cases);
	return 0;
}

static int32_t
number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	return (int32_t) json_integer_value(value);
}

/* Which of the names a member is; 0 for a null member. */
static int
choice(const json_t *object, const char *key, const char *const *names, int n)
{
	const char *name = json_string_value(json_object_get(object, key));

	for (int i = 0; i < n; i++)
		if (name != NULL && strcmp(name, names[i]) == 0)
			return i;
	assert_null(name);
	return 0;
}

static int32_t *
integers(const json_t *array, size_t *n)
{
	int32_t *out;

	*n = json_array_size(array);
	out = malloc(*n * sizeof(int32_t));
	assert_non_null(out);
	for (size_t i = 0; i < *n; i++)
		out[i] = (int32_t) json_integer_value(json_array_get(array, i));
	return out;
}

static void
golden_open(golden *g, const json_t *json)
{
	static const char *const activations[] = {"gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh"};
	static const char *const modes[] = {"mean", "cls", "pooler"};
	static const char *const problems[] = {"", "multi_label", "single_label", "regression"};
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	int activation = choice(json, "act", activations, 5);

	g->json = json;
	g->name = json_string_value(json_object_get(json, "name"));
	config.vocab_size = number(json, "V");
	config.hidden_size = number(json, "H");
	config.num_hidden_layers = number(json, "L");
	config.num_attention_heads = number(json, "heads");
	config.intermediate_size = number(json, "I");
	config.max_position_embeddings = number(json, "P");
	config.layer_norm_eps = (float) json_number_value(json_object_get(json, "eps"));
	config.hidden_act = activation == 4 ? MB_GELU_TANH : (mb_activation) activation;
	pipeline.pooling = (mb_pooling) choice(json, "pooling", modes, 3);
	pipeline.normalize = json_is_true(json_object_get(json, "normalize"));
	pipeline.max_length = config.max_position_embeddings;
	pipeline.window_stride = 1;
	pipeline.problem = (mb_problem) choice(json, "problem", problems, 4);
	pipeline.num_labels = number(json, "labels");
	seeded_image_open(&g->seeded, &config, &pipeline);
	g->ids = integers(json_object_get(json, "ids"), &g->n_tokens);
	g->lengths = integers(json_object_get(json, "lengths"), &g->n_sequences);
}

static void
golden_close(golden *g)
{
	seeded_image_close(&g->seeded);
	free(g->ids);
	free(g->lengths);
}

/*
 * Each case, with each kernel set that this CPU can run, or with the best only; on a slow machine the long case is
 * always left to the best.
 */
static void
for_each_case(void (*test)(golden *g), bool every_set)
{
	bool slow_machine = getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
	size_t i;
	json_t *json;

	assert_true(json_array_size(cases) >= 14);
	json_array_foreach(cases, i, json)
	{
		golden g;

		golden_open(&g, json);
		for (size_t s = 0; s < sizeof(set_names) / sizeof(set_names[0]); s++)
			if (mb_kernel_select(set_names[s]))
			{
				test(&g);
				if (!every_set || (slow_machine && g.n_tokens > 100))
					break;
			}
		golden_close(&g);
	}
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static double worst;

/* A row against the reference's: 1e-5 for each number, 0.999999 for the cosine. */
static void
check_row(const golden *g, const char *what, size_t row, const float *got, const json_t *expected, size_t n)
{
	double dot = 0, xx = 0, yy = 0;

	assert_int_equal(json_array_size(expected), n);
	for (size_t j = 0; j < n; j++)
	{
		double y = json_number_value(json_array_get(expected, j));

		if (!(fabs(got[j] - y) <= 1e-5))
			fail_msg("%s, %s: %s [%zu,%zu] is %.9g, expected %.9g", g->name, mb_kernel_name(), what, row, j, got[j], y);
		worst = fmax(worst, fabs(got[j] - y));
		dot += got[j] * y;
		xx += (double) got[j] * got[j];
		yy += y * y;
	}
	if (!(dot >= 0.999999 * sqrt(xx * yy)))
		fail_msg("%s, %s: %s [%zu] has cosine %.9g", g->name, mb_kernel_name(), what, row, dot / sqrt(xx * yy));
}

/* A workspace of exactly the size asked for, so that valgrind and AddressSanitizer see a step beside it. */
static void *
workspace_for(const mb_image *image, size_t n_tokens, size_t max_length, size_t *size)
{
	void *memory;

	*size = mb_encoder_workspace_size(image, n_tokens, max_length);
	assert_true(*size > 0);
	assert_int_equal(*size % 64, 0);
	memory = aligned_alloc(64, *size);
	assert_non_null(memory);
	memset(memory, 0xff, *size); /* NaNs: what is read before it is written shows */
	return memory;
}

static void
encode(const mb_image *image, const int32_t *ids, const int32_t *lengths, size_t n_sequences, float *pooled,
	   float *hidden)
{
	size_t n_tokens = 0, size, longest = 0;
	void *workspace;
	mb_error err;

	for (size_t s = 0; s < n_sequences; s++)
	{
		n_tokens += (size_t) lengths[s];
		longest = (size_t) lengths[s] > longest ? (size_t) lengths[s] : longest;
	}
	workspace = workspace_for(image, n_tokens, longest, &size);
	if (mb_encode(image, ids, lengths, n_sequences, pooled, hidden, workspace, size, NULL, &err) != MB_OK)
		fail_msg("%s", err.message);
	free(workspace);
}

static float *
floats(size_t n)
{
	float *x = malloc(n * sizeof(float));

	assert_non_null(x);
	return x;
}

/* The rows that make.py stores of each sequence. */
static size_t
stored_rows(int32_t length, size_t rows[3])
{
	if (length <= 3)
	{
		for (size_t i = 0; i < (size_t) length; i++)
			rows[i] = i;
		return (size_t) length;
	}
	rows[0] = 0;
	rows[1] = (size_t) length / 2;
	rows[2] = (size_t) length - 1;
	return 3;
}

static void
numbers_of_case(golden *g)
{
	const mb_image *image = &g->seeded.image;
	size_t width = (size_t) image->config.hidden_size, labels = (size_t) image->pipeline.num_labels;
	float *pooled = floats(g->n_sequences * width), *hidden = floats(g->n_tokens * width);

	/* The same image with fewer layers gives the output of each layer. */
	for (int32_t layers = 0; layers <= image->config.num_hidden_layers; layers++)
	{
		const json_t *expected = json_array_get(json_object_get(g->json, "layers"), (size_t) layers);
		mb_image shallow = *image;
		size_t first = 0, row = 0;

		shallow.config.num_hidden_layers = layers;
		encode(&shallow, g->ids, g->lengths, g->n_sequences, pooled, hidden);
		for (size_t s = 0; s < g->n_sequences; s++)
		{
			size_t rows[3], n = stored_rows(g->lengths[s], rows);

			for (size_t i = 0; i < n; i++, row++)
				check_row(g, "hidden", first + rows[i], hidden + (first + rows[i]) * width,
						  json_array_get(expected, row), width);
			first += (size_t) g->lengths[s];
		}
		assert_int_equal(json_array_size(expected), row);
	}
	for (size_t s = 0; s < g->n_sequences; s++)
	{
		float *vector = pooled + s * width;

		if (image->pipeline.normalize)
			mb_normalize(vector, width);
		check_row(g, "pooled", s, vector, json_array_get(json_object_get(g->json, "pooled"), s), width);
	}
	if (labels > 0)
	{
		float *logits = floats(g->n_sequences * labels);

		mb_classify(image, pooled, g->n_sequences, logits);
		for (size_t s = 0; s < g->n_sequences; s++)
			check_row(g, "logits", s, logits + s * labels, json_array_get(json_object_get(g->json, "logits"), s),
					  labels);
		free(logits);
	}
	free(hidden);
	free(pooled);
}

static void
numbers(void **state)
{
	(void) state;
	for_each_case(numbers_of_case, true);
	print_message("largest difference from the reference: %.2g\n", worst);
}

/* ---- company ----------------------------------------------------------------------------------------------------- */

static void
alone_of_case(golden *g)
{
	const mb_image *image = &g->seeded.image;
	size_t width = (size_t) image->config.hidden_size, first = 0, longest = 0, size;
	float *pooled = floats(g->n_sequences * width), *hidden = floats(g->n_tokens * width);
	float *one = floats(width), *rows = floats(g->n_tokens * width);
	void *workspace;
	mb_error err;

	encode(image, g->ids, g->lengths, g->n_sequences, pooled, hidden);
	for (size_t s = 0; s < g->n_sequences; s++)
	{
		size_t length = (size_t) g->lengths[s];

		encode(image, g->ids + first, g->lengths + s, 1, one, rows);
		assert_memory_equal(one, pooled + s * width, width * sizeof(float));
		assert_memory_equal(rows, hidden + first * width, length * width * sizeof(float));
		/* The other sequences of its kind, and without hidden states. */
		encode(image, g->ids + first, g->lengths + s, g->n_sequences - s, rows, NULL);
		assert_memory_equal(one, rows, width * sizeof(float));
		first += length;
		longest = length > longest ? length : longest;
	}
	/* A workspace that serves longer and more sequences changes nothing either. */
	workspace = workspace_for(image, 2 * g->n_tokens, longest + 100, &size);
	assert_int_equal(mb_encode(image, g->ids, g->lengths, g->n_sequences, rows, NULL, workspace, size, NULL, &err),
					 MB_OK);
	assert_memory_equal(rows, pooled, g->n_sequences * width * sizeof(float));
	free(workspace);
	free(rows);
	free(one);
	free(hidden);
	free(pooled);
}

static void
same_bits_in_any_company(void **state)
{
	(void) state;
	for_each_case(alone_of_case, true);
}

/* ---- interrupts -------------------------------------------------------------------------------------------------- */

typedef struct countdown
{
	int asked;
	int stop_at; /* 0: never */
} countdown;

static bool
count(void *arg)
{
	countdown *c = arg;

	return ++c->asked == c->stop_at;
}

static void
cancel_of_case(golden *g)
{
	const mb_image *image = &g->seeded.image;
	size_t width = (size_t) image->config.hidden_size, size;
	float *pooled = floats(g->n_sequences * width), *expected = floats(g->n_sequences * width);
	void *workspace = workspace_for(image, g->n_tokens, (size_t) image->config.max_position_embeddings, &size);
	countdown c = {0, 0};
	mb_interrupt interrupt = {count, &c};
	mb_interrupt empty = {NULL, NULL};
	int questions;
	mb_error err;

	assert_int_equal(
		mb_encode(image, g->ids, g->lengths, g->n_sequences, expected, NULL, workspace, size, &interrupt, &err), MB_OK);
	questions = c.asked;
	/* Four products a layer, and each head of each sequence. */
	assert_true(questions >=
				image->config.num_hidden_layers * (4 + image->config.num_attention_heads * (int32_t) g->n_sequences));
	for (int k = 1; k <= questions; k++)
	{
		c = (countdown){0, k};
		memset(&err, 0, sizeof(err));
		assert_int_equal(
			mb_encode(image, g->ids, g->lengths, g->n_sequences, pooled, NULL, workspace, size, &interrupt, &err),
			MB_CANCELLED);
		assert_int_equal(err.status, MB_CANCELLED);
		assert_string_equal(err.message, "the computation was cancelled");
		assert_int_equal(c.asked, k); /* nobody asks again after a yes */
		if (g->n_tokens > 100 && k + 6 < questions)
			k += 5; /* the long case, not at every point */
	}
	assert_int_equal(mb_encode(image, g->ids, g->lengths, g->n_sequences, pooled, NULL, workspace, size, &empty, NULL),
					 MB_OK);
	assert_memory_equal(pooled, expected, g->n_sequences * width * sizeof(float));
	free(workspace);
	free(expected);
	free(pooled);
}

static void
cancel_everywhere(void **state)
{
	(void) state;
	for_each_case(cancel_of_case, false);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void
refusals(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	int32_t ids[60] = {2, 30, 31, 3}, lengths[4] = {4, 1, 1, 1};
	float pooled[4 * 16], hidden[60 * 16];
	seeded_image seeded;
	size_t size;
	void *workspace;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	workspace = workspace_for(&seeded.image, 60, 24, &size);
#define ENCODE(n, bytes) mb_encode(&seeded.image, ids, lengths, n, pooled, hidden, workspace, bytes, NULL, &err)
#define REFUSED(n, bytes, text)                                                                                        \
	do                                                                                                                 \
	{                                                                                                                  \
		assert_int_equal(ENCODE(n, bytes), MB_INVALID_ARGUMENT);                                                       \
		assert_string_equal(err.message, text);                                                                        \
	} while (0)

	assert_int_equal(ENCODE(0, 0), MB_OK); /* nothing to do, and nothing needed for it */
	assert_int_equal(ENCODE(1, size), MB_OK);
	lengths[0] = 24;
	assert_int_equal(ENCODE(1, size), MB_OK);
	lengths[0] = 25;
	REFUSED(1, size, "sequence length 25 is out of range 1 to 24");
	lengths[0] = 0;
	REFUSED(1, size, "sequence length 0 is out of range 1 to 24");
	lengths[0] = -1;
	REFUSED(1, size, "sequence length -1 is out of range 1 to 24");
	lengths[0] = INT32_MAX;
	REFUSED(1, size, "sequence length 2147483647 is out of range 1 to 24");
	lengths[0] = 4;
	lengths[3] = 0;
	REFUSED(4, size, "sequence length 0 is out of range 1 to 24");
	lengths[3] = 1;
	ids[6] = 90;
	REFUSED(4, size, "token id 90 is out of range 0 to 89");
	ids[6] = -1;
	REFUSED(4, size, "token id -1 is out of range 0 to 89");
	ids[6] = INT32_MIN;
	REFUSED(4, size, "token id -2147483648 is out of range 0 to 89");
	ids[6] = 89;
	assert_int_equal(ENCODE(4, size), MB_OK);

	/* One byte too few is refused. */
	size = mb_encoder_workspace_size(&seeded.image, 7, 4);
	assert_int_equal(ENCODE(4, size), MB_OK);
	assert_int_equal(ENCODE(4, size - 1), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "too small for 7 tokens"));
	assert_int_equal(mb_encode(&seeded.image, ids, lengths, 4, pooled, NULL, workspace, 0, NULL, NULL),
					 MB_INVALID_ARGUMENT);
	free(workspace);
	seeded_image_close(&seeded);
#undef REFUSED
#undef ENCODE
}

static void
workspace_sizes(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	size_t last = 0;
	seeded_image seeded;
	mb_image wide;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	for (size_t n = 1; n < 1000; n++)
	{
		size_t size = mb_encoder_workspace_size(&seeded.image, n, 24);

		assert_true(size >= last && size % 64 == 0);
		/* x, delta, query, key, value; the intermediate and attention do not grow with n */
		assert_true(size <= (n * 5 * 16 + 96 * 20 + 24 * 1024) * sizeof(float));
		last = size;
	}
	/* Sizes that no memory has, and those that wrap around. */
	assert_int_equal(mb_encoder_workspace_size(&seeded.image, SIZE_MAX, 24), 0);
	assert_int_equal(mb_encoder_workspace_size(&seeded.image, SIZE_MAX / 16, 24), 0);
	assert_int_equal(mb_encoder_workspace_size(&seeded.image, SIZE_MAX / (16 * sizeof(float)), 24), 0);
	assert_int_equal(mb_encoder_workspace_size(&seeded.image, 10, SIZE_MAX), 0);
	wide = seeded.image;
	wide.config.hidden_size = 1 << 20;
	wide.config.intermediate_size = 1 << 24;
	wide.config.num_attention_heads = 1;
	for (size_t n = 1; n != 0; n <<= 1)
	{
		size_t size = mb_encoder_workspace_size(&wide, n, 512);

		assert_true(size == 0 || size / ((size_t) 5 << 22) >= n);
	}
	seeded_image_close(&seeded);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),  cmocka_unit_test(same_bits_in_any_company), cmocka_unit_test(cancel_everywhere),
		cmocka_unit_test(refusals), cmocka_unit_test(workspace_sizes),
	};

	return cmocka_run_group_tests_name("encoder", tests, read_cases, drop_cases);
}
