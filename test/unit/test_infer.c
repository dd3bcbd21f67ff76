/*
 * test_infer.c - texts to embeddings and scores, against windows cut here by the definition in infer.h and computed one
 * by one.  Everything is compared bit by bit: grouping must not show.
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

#include "moviebert/infer.h"
#include "test/unit/seeded_model.h"

#define H 16
#define MAX_TOKENS 600

/* ---- memory that is counted and can be refused ------------------------------------------------------------------- */

typedef struct memory
{
	int held;      /* blocks */
	int allocated; /* in total */
	int refuse_at; /* which one is refused; 0: none */
} memory;

static void *
counted_allocate(void *arg, size_t size)
{
	memory *m = arg;
	void *pointer;

	if (++m->allocated == m->refuse_at)
		return NULL;
	pointer = malloc(size);
	assert_non_null(pointer);
	memset(pointer, 0xff, size);
	m->held++;
	return pointer;
}

static void
counted_release(void *arg, void *pointer)
{
	((memory *) arg)->held--;
	free(pointer);
}

static mb_scratch *
counted_scratch(memory *m)
{
	mb_allocator allocator = {counted_allocate, counted_release, m};

	memset(m, 0, sizeof(*m));
	return mb_scratch_create(&allocator);
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

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* A text of exactly n tokens: letters, and words of two tokens. */
static mb_text
make_text(size_t n, uint32_t seed)
{
	char *data = malloc(3 * n + 1);
	size_t at = 0;

	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
	{
		seed = seed * 1664525u + 1013904223u;
		data[at++] = (char) ('a' + (seed >> 24) % 26);
		/* Two letters in a row are a letter and a ## piece. */
		if (seed >> 16 & 1 && i + 1 < n)
		{
			data[at++] = (char) ('a' + (seed >> 8) % 26);
			i++;
		}
		data[at++] = ' ';
	}
	return (mb_text){data, at};
}

static void
free_texts(mb_text *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *) texts[i].data);
}

/* ---- by definition ----------------------------------------------------------------------------------------------- */

static void
encode_window(const mb_image *image, const int32_t *tokens, size_t n, float *pooled)
{
	int32_t ids[MAX_TOKENS + 2], length = (int32_t) n + 2;
	size_t size = mb_encoder_workspace_size(image, n + 2, n + 2);
	void *workspace = aligned_alloc(64, size);
	mb_error err;

	ids[0] = mb_tokenizer_cls_id(&image->tokenizer);
	memcpy(ids + 1, tokens, n * sizeof(int32_t));
	ids[n + 1] = mb_tokenizer_sep_id(&image->tokenizer);
	assert_int_equal(mb_encode(image, ids, &length, 1, pooled, NULL, workspace, size, NULL, &err), MB_OK);
	free(workspace);
}

static void
embed_by_definition(const mb_image *image, const mb_text *text, float *vector, mb_infer_stats *stats)
{
	const mb_pipeline *pipeline = &image->pipeline;
	size_t width = (size_t) pipeline->max_length - 2, n, n_windows = 0;
	int32_t tokens[MAX_TOKENS];
	float pooled[H];
	mb_error err;

	assert_int_equal(mb_tokenize(&image->tokenizer, text->data, text->size, tokens, MAX_TOKENS, &n, NULL, &err), MB_OK);
	assert_true(n <= MAX_TOKENS);
	stats->texts++;
	if (pipeline->long_text == MB_LONG_TRUNCATE && n > width)
	{
		n = width;
		stats->truncated++;
	}
	memset(vector, 0, H * sizeof(float));
	/* A window every window_stride tokens that does not reach the end; then the one that ends with the text. */
	for (size_t start = 0;; start += (size_t) pipeline->window_stride)
	{
		bool last = start + width >= n;

		if (last)
			start = n > width ? n - width : 0;
		encode_window(image, tokens + start, n < width ? n : width, pooled);
		for (size_t j = 0; j < H; j++)
			vector[j] = n_windows == 0 ? pooled[j] : vector[j] + pooled[j];
		n_windows++;
		stats->tokens += (n < width ? n : width) + 2;
		if (last)
			break;
	}
	stats->windows += n_windows;
	if (n_windows > 1)
		for (size_t j = 0; j < H; j++)
			vector[j] /= (float) n_windows;
	if (pipeline->normalize)
		mb_normalize(vector, H);
}

static void
assert_same(const float *got, const float *expected, size_t n, const char *what, size_t which)
{
	for (size_t j = 0; j < n; j++)
		if (memcmp(&got[j], &expected[j], sizeof(float)) != 0)
			fail_msg("%s %zu: [%zu] is %.9g, expected %.9g", what, which, j, got[j], expected[j]);
}

/* Embeds one by one and all at once, in batches of many sizes. */
static void
check_texts(const mb_image *image, const mb_text *texts, size_t n)
{
	static const size_t batches[] = {0, 1, 23, 24, 25, 40, 48, 99, 5000};
	float *expected = malloc(n * H * sizeof(float)), *got = malloc(n * H * sizeof(float));
	mb_infer_stats stats = {0}, sum = {0};
	mb_scratch *scratch = mb_scratch_create(NULL);
	mb_error err;

	for (size_t i = 0; i < n; i++)
	{
		embed_by_definition(image, &texts[i], expected + i * H, &stats);
		if (mb_embed(image, scratch, &texts[i], 1, got, NULL, &sum, &err) != MB_OK)
			fail_msg("%s", err.message);
		assert_same(got, expected + i * H, H, "alone, text", i);
		assert_memory_equal(&sum, &stats, sizeof(sum));
	}
	for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++)
	{
		mb_infer_options options = {.batch_tokens = batches[b]};

		memset(&sum, 0, sizeof(sum));
		memset(got, 0xff, n * H * sizeof(float));
		assert_int_equal(mb_embed(image, scratch, texts, n, got, &options, &sum, &err), MB_OK);
		for (size_t i = 0; i < n; i++)
			assert_same(got + i * H, expected + i * H, H, "in an array, text", i);
		assert_memory_equal(&sum, &stats, sizeof(sum));
	}
	mb_scratch_destroy(scratch);
	free(got);
	free(expected);
}

/* ---- embeddings -------------------------------------------------------------------------------------------------- */

static void
lengths_about_a_window(void **state)
{
	/* One window holds 22 tokens. */
	static const size_t lengths[] = {1, 2, 21, 22, 23, 0, 32, 33, 34, 43, 44, 45, 3, 100, 22, 5, 300};
	enum
	{
		N = sizeof(lengths) / sizeof(lengths[0])
	};
	static const int32_t strides[] = {11, 22, 1, 7};
	mb_text texts[N];

	(void) state;
	for (size_t i = 0; i < N; i++)
		texts[i] = make_text(lengths[i], (uint32_t) i);
	for (size_t s = 0; s < 4; s++)
		for (int kind = 0; kind < 4; kind++)
		{
			mb_config config = seeded_config();
			mb_pipeline pipeline = seeded_pipeline();
			seeded_image seeded;

			if (kind != (int) s && s > 0)
				continue;
			pipeline.window_stride = strides[s];
			pipeline.pooling = (mb_pooling) (kind % 3);
			pipeline.normalize = kind >= 2;
			pipeline.long_text = kind == 3 && s == 0 ? MB_LONG_TRUNCATE : MB_LONG_WINDOWS;
			seeded_image_open(&seeded, &config, &pipeline);
			check_texts(&seeded.image, texts, s == 2 ? N - 1 : N);
			seeded_image_close(&seeded);
		}
	free_texts(texts, N);
}

/* A shorter window than the model's positions allow. */
static void
short_windows(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[3] = {make_text(0, 1), make_text(1, 2), make_text(9, 3)};
	seeded_image seeded;

	(void) state;
	pipeline.max_length = 3;
	pipeline.window_stride = 1;
	seeded_image_open(&seeded, &config, &pipeline);
	check_texts(&seeded.image, texts, 3);
	seeded_image_close(&seeded);
	free_texts(texts, 3);
}

static void
truncation_is_counted(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[4] = {make_text(22, 1), make_text(23, 2), make_text(0, 3), make_text(400, 4)};
	float vectors[4 * H], first[H];
	mb_text beginning = make_text(22, 5);
	mb_infer_options options = {.max_text_tokens = 5};
	mb_infer_stats stats = {0};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	(void) state;
	pipeline.long_text = MB_LONG_TRUNCATE;
	seeded_image_open(&seeded, &config, &pipeline);
	/* A limit on what is read whole does not concern what is cut. */
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 4, vectors, &options, &stats, &err), MB_OK);
	assert_int_equal(stats.texts, 4);
	assert_int_equal(stats.windows, 4);
	assert_int_equal(stats.truncated, 2);
	assert_int_equal(stats.tokens, 24 + 24 + 2 + 24);

	/* What stands behind the cut does not matter. */
	assert_int_equal(mb_embed(&seeded.image, scratch, &beginning, 1, first, NULL, NULL, &err), MB_OK);
	free_texts(&texts[3], 1);
	texts[3].data = malloc(2 * beginning.size + 60);
	texts[3].size = beginning.size + 60;
	memcpy((char *) texts[3].data, beginning.data, beginning.size);
	memset((char *) texts[3].data + beginning.size, '!', 60);
	assert_int_equal(mb_embed(&seeded.image, scratch, &texts[3], 1, vectors, NULL, NULL, &err), MB_OK);
	assert_same(vectors, first, H, "cut text", 3);
	free_texts(texts, 4);
	free_texts(&beginning, 1);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
}

static void
empty_texts(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	const mb_text texts[4] = {{"", 0}, {NULL, 0}, {" \t\n ", 4}, {"\xe3\x80\x80", 3}};
	float vectors[4 * H], expected[H];
	mb_infer_stats stats = {0};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	encode_window(&seeded.image, (const int32_t[1]){0}, 0, expected);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 4, vectors, NULL, &stats, &err), MB_OK);
	for (size_t i = 0; i < 4; i++)
		assert_same(vectors + i * H, expected, H, "empty text", i);
	assert_int_equal(stats.tokens, 8);
	/* No text at all. */
	assert_int_equal(mb_embed(&seeded.image, scratch, NULL, 0, NULL, NULL, &stats, &err), MB_OK);
	assert_int_equal(stats.texts, 4);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void
limits(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[5] = {make_text(3, 1), make_text(100, 2), make_text(22, 3), make_text(101, 4), make_text(500, 5)};
	float vectors[5 * H];
	mb_infer_options options = {.max_text_tokens = 100};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 3, vectors, &options, NULL, &err), MB_OK);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 5, vectors, &options, NULL, &err), MB_LIMIT);
	assert_int_equal(err.status, MB_LIMIT);
	assert_int_equal(err.text_index, 3);
	assert_string_equal(err.message, "text of 101 tokens is too long");
	assert_string_equal(err.detail, "The limit is 100 tokens.");
	assert_int_equal(mb_embed(&seeded.image, scratch, &texts[4], 1, vectors, &options, NULL, &err), MB_LIMIT);
	assert_int_equal(err.text_index, 0);
	assert_string_equal(err.message, "text of 500 tokens is too long");
	/* An error that nobody wants to read. */
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 5, vectors, &options, NULL, NULL), MB_LIMIT);
	options.max_text_tokens = 0;
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 5, vectors, &options, NULL, &err), MB_OK);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
	free_texts(texts, 5);
}

static void
which_text_is_wrong(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[6];
	float vectors[6 * H], expected[6 * H];
	mb_infer_stats stats = {0};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	for (size_t i = 0; i < 6; i++)
		texts[i] = make_text(4 + 9 * i, (uint32_t) i);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 6, expected, NULL, NULL, &err), MB_OK);
	for (size_t i = 0; i < 6; i++)
	{
		char *byte = (char *) texts[i].data + 2, good = *byte;

		*byte = (char) 0xff;
		assert_int_equal(mb_embed(&seeded.image, scratch, texts, 6, vectors, NULL, &stats, &err), MB_INVALID_UTF8);
		assert_int_equal(err.status, MB_INVALID_UTF8);
		assert_int_equal(err.text_index, i);
		*byte = good;
	}
	assert_int_equal(stats.texts, 0); /* only calls that succeed count texts */
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 6, vectors, NULL, NULL, &err), MB_OK);
	assert_same(vectors, expected, 6 * H, "after errors, texts from", 0);
	free_texts(texts, 6);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

static void
scores_of(mb_problem problem, int32_t labels)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[3] = {make_text(8, 1), make_text(0, 2), make_text(70, 3)};
	float scores[3 * 40], alone[40], vectors[3 * H], logits[3 * 40];
	mb_infer_options options = {.batch_tokens = 30};
	mb_infer_stats stats = {0};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	pipeline.problem = problem;
	pipeline.num_labels = labels;
	pipeline.normalize = problem == MB_MULTI_LABEL;
	pipeline.pooling = problem == MB_SINGLE_LABEL ? MB_POOL_POOLER : MB_POOL_MEAN;
	seeded_image_open(&seeded, &config, &pipeline);
	assert_int_equal(mb_scores(&seeded.image, scratch, texts, 3, scores, &options, &stats, &err), MB_OK);
	assert_int_equal(stats.texts, 3);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 3, vectors, &options, NULL, &err), MB_OK);
	mb_classify(&seeded.image, vectors, 3, logits);
	for (size_t t = 0; t < 3; t++)
	{
		const float *x = logits + t * (size_t) labels, *y = scores + t * (size_t) labels;
		double sum = 0;

		for (int32_t i = 0; i < labels; i++)
			sum += exp((double) x[i]);
		for (int32_t i = 0; i < labels; i++)
		{
			double expected = problem == MB_MULTI_LABEL    ? 1 / (1 + exp(-(double) x[i]))
							  : problem == MB_SINGLE_LABEL ? exp((double) x[i]) / sum
														   : (double) x[i];

			if (!(fabs(y[i] - expected) <= 1e-7 * fmax(1, fabs(expected))))
				fail_msg("problem %d, score [%zu,%d] is %.9g, expected %.9g", problem, t, i, y[i], expected);
		}
		assert_int_equal(mb_scores(&seeded.image, scratch, &texts[t], 1, alone, NULL, NULL, &err), MB_OK);
		assert_same(alone, y, (size_t) labels, "scores of text", t);
	}
	assert_int_equal(mb_scores(&seeded.image, scratch, NULL, 0, NULL, NULL, NULL, &err), MB_OK);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
	free_texts(texts, 3);
}

static void
scores(void **state)
{
	(void) state;
	scores_of(MB_MULTI_LABEL, 5);
	scores_of(MB_MULTI_LABEL, 40);
	scores_of(MB_SINGLE_LABEL, 3);
	scores_of(MB_REGRESSION, 1);
}

/* Logits so large that exp overflows. */
static void
extreme_logits(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	const float bias[3] = {2e4f, -2e4f, 2e4f};
	mb_text text = make_text(5, 1);
	mb_scratch *scratch = mb_scratch_create(NULL);
	float got[3];
	seeded_image seeded;
	mb_error err;

	(void) state;
	pipeline.problem = MB_MULTI_LABEL;
	pipeline.num_labels = 3;
	seeded_image_open(&seeded, &config, &pipeline);
	seeded.image.classifier.bias = bias;
	assert_int_equal(mb_scores(&seeded.image, scratch, &text, 1, got, NULL, NULL, &err), MB_OK);
	assert_true(got[0] == 1.0f && got[1] == 0.0f && got[2] == 1.0f);
	seeded.image.pipeline.problem = MB_SINGLE_LABEL;
	assert_int_equal(mb_scores(&seeded.image, scratch, &text, 1, got, NULL, NULL, &err), MB_OK);
	assert_true(fabs(got[0] + got[2] - 1) < 1e-6 && got[1] == 0.0f);
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
	free_texts(&text, 1);
}

static void
no_head(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text text = make_text(5, 1);
	mb_scratch *scratch = mb_scratch_create(NULL);
	float got[1];
	seeded_image seeded;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	assert_int_equal(mb_scores(&seeded.image, scratch, &text, 1, got, NULL, NULL, &err), MB_INVALID_ARGUMENT);
	assert_string_equal(err.message, "the model has no tags");
	assert_true(err.hint[0] != '\0');
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
	free_texts(&text, 1);
}

/* ---- interruptions ----------------------------------------------------------------------------------------------- */

static void
image_with_head(seeded_image *seeded)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();

	pipeline.problem = MB_MULTI_LABEL;
	pipeline.num_labels = 5;
	pipeline.normalize = true;
	seeded_image_open(seeded, &config, &pipeline);
}

/* Cancelled at every question that is asked (on a slow machine at every fifth), the same scratch goes on to give the
 * same answers. */
static void
cancel_everywhere(void **state)
{
	mb_text texts[4] = {make_text(7, 1), make_text(60, 2), make_text(0, 3), make_text(25, 4)};
	float expected[4 * 5], got[4 * 5];
	countdown c = {0, 0};
	mb_interrupt interrupt = {count, &c};
	mb_infer_options options = {.batch_tokens = 40, .interrupt = &interrupt};
	memory m;
	mb_scratch *scratch = counted_scratch(&m);
	seeded_image seeded;
	int step = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 5 : 1;
	int questions;
	mb_error err;

	(void) state;
	image_with_head(&seeded);
	assert_int_equal(mb_scores(&seeded.image, scratch, texts, 4, expected, &options, NULL, &err), MB_OK);
	questions = c.asked;
	assert_true(questions > 20);
	for (int k = 1; k <= questions; k += step)
	{
		c = (countdown){0, k};
		memset(&err, 0, sizeof(err));
		assert_int_equal(mb_scores(&seeded.image, scratch, texts, 4, got, &options, NULL, &err), MB_CANCELLED);
		assert_int_equal(err.status, MB_CANCELLED);
		assert_int_equal(c.asked, k);
		c = (countdown){0, 0};
		assert_int_equal(mb_scores(&seeded.image, scratch, texts, 4, got, &options, NULL, &err), MB_OK);
		assert_same(got, expected, 20, "after cancel", (size_t) k);
	}
	mb_scratch_destroy(scratch);
	assert_int_equal(m.held, 0);
	seeded_image_close(&seeded);
	free_texts(texts, 4);
}

/* Each allocation refused in turn: an error, no leak, and the scratch still serves. */
static void
memory_refused_everywhere(void **state)
{
	mb_text texts[3] = {make_text(7, 1), make_text(60, 2), make_text(25, 3)};
	float expected[3 * 5], got[3 * 5];
	mb_allocator allocator;
	memory m;
	mb_scratch *scratch = counted_scratch(&m);
	seeded_image seeded;
	int allocations;
	mb_error err;

	(void) state;
	image_with_head(&seeded);
	assert_int_equal(mb_scores(&seeded.image, scratch, texts, 3, expected, NULL, NULL, &err), MB_OK);
	allocations = m.allocated;
	assert_true(allocations >= 8);
	mb_scratch_destroy(scratch);
	assert_int_equal(m.held, 0);

	m = (memory){.refuse_at = 1};
	allocator = (mb_allocator){counted_allocate, counted_release, &m};
	assert_null(mb_scratch_create(&allocator));
	for (int k = 2; k <= allocations; k++)
	{
		scratch = counted_scratch(&m);
		m.refuse_at = k;
		memset(&err, 0, sizeof(err));
		assert_int_equal(mb_scores(&seeded.image, scratch, texts, 3, got, NULL, NULL, &err), MB_OUT_OF_MEMORY);
		assert_int_equal(err.status, MB_OUT_OF_MEMORY);
		assert_int_equal(mb_scores(&seeded.image, scratch, texts, 3, got, NULL, NULL, &err), MB_OK);
		assert_same(got, expected, 15, "after a refusal", (size_t) k);
		mb_scratch_destroy(scratch);
		assert_int_equal(m.held, 0);
	}
	seeded_image_close(&seeded);
	free_texts(texts, 3);
}

/* ---- scratch and progress ---------------------------------------------------------------------------------------- */

static void
scratch_is_reused(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[3] = {make_text(90, 1), make_text(3, 2), make_text(30, 3)};
	float vectors[3 * H], wide_vectors[3 * 64], again[3 * H];
	memory m;
	mb_scratch *scratch = counted_scratch(&m);
	seeded_image seeded, wide;
	size_t bytes;
	int allocated;
	mb_error err;

	(void) state;
	mb_scratch_destroy(NULL);
	seeded_image_open(&seeded, &config, &pipeline);
	config.hidden_size = 64;
	seeded_image_open(&wide, &config, &pipeline);

	bytes = mb_scratch_bytes(scratch);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 3, vectors, NULL, NULL, &err), MB_OK);
	assert_true(mb_scratch_bytes(scratch) > bytes);
	bytes = mb_scratch_bytes(scratch);
	allocated = m.allocated;
	/* The same again, and less: nothing is allocated. */
	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(mb_embed(&seeded.image, scratch, texts + i, (size_t) (3 - i), again, NULL, NULL, &err), MB_OK);
		assert_same(again, vectors + i * H, (size_t) (3 - i) * H, "again, from text", (size_t) i);
	}
	assert_int_equal(m.allocated, allocated);
	assert_int_equal(mb_scratch_bytes(scratch), bytes);
	/* Another model, and back. */
	assert_int_equal(mb_embed(&wide.image, scratch, texts, 3, wide_vectors, NULL, NULL, &err), MB_OK);
	assert_true(mb_scratch_bytes(scratch) > bytes);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 3, again, NULL, NULL, &err), MB_OK);
	assert_same(again, vectors, 3 * H, "after another model, texts from", 0);
	mb_scratch_destroy(scratch);
	assert_int_equal(m.held, 0);
	seeded_image_close(&wide);
	seeded_image_close(&seeded);
	free_texts(texts, 3);
}

typedef struct progress
{
	size_t calls, last;
} progress;

static void
note(void *arg, size_t texts_done)
{
	progress *p = arg;

	assert_true(texts_done >= p->last);
	p->last = texts_done;
	p->calls++;
}

static void
progress_is_told(void **state)
{
	mb_config config = seeded_config();
	mb_pipeline pipeline = seeded_pipeline();
	mb_text texts[4] = {make_text(10, 1), make_text(90, 2), make_text(10, 3), make_text(10, 4)};
	float vectors[4 * H];
	progress p = {0, 0};
	mb_infer_options options = {.batch_tokens = 24, .progress = note, .progress_arg = &p};
	mb_scratch *scratch = mb_scratch_create(NULL);
	seeded_image seeded;
	mb_error err;

	(void) state;
	seeded_image_open(&seeded, &config, &pipeline);
	assert_int_equal(mb_embed(&seeded.image, scratch, texts, 4, vectors, &options, NULL, &err), MB_OK);
	assert_int_equal(p.last, 4);
	assert_int_equal(p.calls, 1 + 8 + 1); /* 8 windows of 24 alone; the two last texts together */
	mb_scratch_destroy(scratch);
	seeded_image_close(&seeded);
	free_texts(texts, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_about_a_window),
		cmocka_unit_test(short_windows),
		cmocka_unit_test(truncation_is_counted),
		cmocka_unit_test(empty_texts),
		cmocka_unit_test(limits),
		cmocka_unit_test(which_text_is_wrong),
		cmocka_unit_test(scores),
		cmocka_unit_test(extreme_logits),
		cmocka_unit_test(no_head),
		cmocka_unit_test(cancel_everywhere),
		cmocka_unit_test(memory_refused_everywhere),
		cmocka_unit_test(scratch_is_reused),
		cmocka_unit_test(progress_is_told),
	};

	return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
