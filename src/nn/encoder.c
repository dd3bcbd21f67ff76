/*
 * encoder.c - the BERT encoder's forward pass: embeddings, layers, pooling, classifier.
 *
 * Post-norm layers as in the original: x = norm(x + attention(x)); x = norm(x + feed_forward(x)).  The feed-forward
 * half takes FFN_ROWS rows at a time, since its intermediate is the largest tensor and nobody needs the whole of it.
 *
 * Functions that return bool asked the interrupt and return false when told to stop.  They ask before each product of
 * at most LINEAR_ROWS rows and each head's attention, so that the answer to a cancel does not wait for a long layer.
 */
#include "moviebert/encoder.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "attention.h"
#include "gemm.h"

enum
{
	FFN_ROWS = 96,
	LINEAR_ROWS = 192 /* as mb_gemm blocks them, so that asking in between costs nothing */
};

/* ---- workspace --------------------------------------------------------------------------------------------------- */

/* Where each activation lives in the workspace. */
typedef struct workspace
{
	float *x;            /* [N,H] the stream of hidden states */
	float *delta;        /* [N,H] what a half layer adds to it */
	float *qkv;          /* [N,3H] */
	float *intermediate; /* [min(N,FFN_ROWS),I] */
	float *attention;    /* scratch of mb_attention */
} workspace;

/* Adds count floats, rounded up to 64 bytes, to *floats; false on overflow. */
static bool
add_floats(size_t *floats, size_t rows, size_t columns)
{
	size_t count;

	if (__builtin_mul_overflow(rows, columns, &count) || count > SIZE_MAX / sizeof(float) / 2 - 16 ||
		__builtin_add_overflow(*floats, (count + 15) & ~(size_t) 15, floats))
		return false;
	return *floats <= SIZE_MAX / sizeof(float) / 2;
}

/* Lays out the workspace on base (which may be NULL); returns its bytes, or 0 on overflow. */
static size_t
layout(workspace *w, float *base, const mb_image *image, size_t n_tokens, size_t max_length)
{
	size_t hidden = (size_t) image->config.hidden_size;
	size_t inner = (size_t) image->config.intermediate_size;
	size_t head_size = hidden / (size_t) image->config.num_attention_heads;
	size_t rows = n_tokens < FFN_ROWS ? n_tokens : FFN_ROWS;
	size_t floats = 0;
	size_t delta, qkv, intermediate, attention;

	/* Far above any model's max_position_embeddings, and low enough for the products in mb_attention_scratch. */
	if (max_length > (size_t) INT32_MAX / 64)
		return 0;
	if (!add_floats(&floats, n_tokens, hidden))
		return 0;
	delta = floats;
	if (!add_floats(&floats, n_tokens, hidden))
		return 0;
	qkv = floats;
	if (!add_floats(&floats, n_tokens, 3 * hidden))
		return 0;
	intermediate = floats;
	if (!add_floats(&floats, rows, inner))
		return 0;
	attention = floats;
	if (!add_floats(&floats, 1, mb_attention_scratch(max_length, head_size)))
		return 0;
	if (w != NULL)
	{
		w->x = base;
		w->delta = base + delta;
		w->qkv = base + qkv;
		w->intermediate = base + intermediate;
		w->attention = base + attention;
	}
	return floats * sizeof(float);
}

size_t
mb_encoder_workspace_size(const mb_image *image, size_t n_tokens, size_t max_length)
{
	return layout(NULL, NULL, image, n_tokens, max_length);
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

/* x[i] = norm(word[id] + type[0] + position[i]), in the reference's order of addition. */
static void
embeddings_forward(float *x, const mb_image *image, const int32_t *ids, size_t length)
{
	const mb_kernels *kernels = mb_kernels_get();
	size_t hidden = (size_t) image->config.hidden_size;

	for (size_t i = 0; i < length; i++)
	{
		const float *word = image->word_embeddings + (size_t) ids[i] * hidden;
		const float *position = image->position_embeddings + i * hidden;
		float *row = x + i * hidden;

		for (size_t j = 0; j < hidden; j++)
			row[j] = (word[j] + image->token_type_embeddings[j]) + position[j];
		kernels->layer_norm(row, NULL, image->embedding_norm_weight, image->embedding_norm_bias, hidden,
							image->config.layer_norm_eps);
	}
}

static void
activate(mb_activation activation, float *x, size_t n)
{
	const mb_kernels *kernels = mb_kernels_get();

	switch (activation)
	{
		case MB_GELU:
			kernels->gelu(x, n);
			break;
		case MB_GELU_TANH:
			kernels->gelu_tanh(x, n);
			break;
		case MB_RELU:
			kernels->relu(x, n);
			break;
		case MB_SILU:
			kernels->silu(x, n);
			break;
	}
}

/* mb_linear_forward, in pieces. */
static bool
linear_forward(float *y, size_t ldy, const float *x, size_t ldx, size_t n, const mb_linear *linear,
			   const mb_interrupt *interrupt)
{
	for (size_t i = 0; i < n; i += LINEAR_ROWS)
	{
		if (mb_interrupted(interrupt))
			return false;
		mb_linear_forward(y + i * ldy, ldy, x + i * ldx, ldx, n - i < LINEAR_ROWS ? n - i : LINEAR_ROWS, linear);
	}
	return true;
}

static bool
attention_half(const workspace *w, const mb_image *image, const mb_layer *layer, const int32_t *lengths,
			   size_t n_sequences, size_t n_tokens, const mb_interrupt *interrupt)
{
	const mb_kernels *kernels = mb_kernels_get();
	size_t hidden = (size_t) image->config.hidden_size;
	size_t heads = (size_t) image->config.num_attention_heads;
	float *context = w->delta;
	float *projected = w->qkv; /* the queries, keys and values are spent by then */

	if (!linear_forward(w->qkv, 3 * hidden, w->x, hidden, n_tokens, &layer->qkv, interrupt))
		return false;
	for (size_t s = 0, first = 0; s < n_sequences; s++)
	{
		if (!mb_attention(context + first * hidden, w->qkv + first * 3 * hidden, (size_t) lengths[s], heads,
						  hidden / heads, w->attention, interrupt))
			return false;
		first += (size_t) lengths[s];
	}
	if (!linear_forward(projected, hidden, context, hidden, n_tokens, &layer->attention_output, interrupt))
		return false;
	for (size_t i = 0; i < n_tokens; i++)
		kernels->layer_norm(w->x + i * hidden, projected + i * hidden, layer->attention_norm_weight,
							layer->attention_norm_bias, hidden, image->config.layer_norm_eps);
	return true;
}

static bool
feed_forward_half(const workspace *w, const mb_image *image, const mb_layer *layer, size_t n_tokens,
				  const mb_interrupt *interrupt)
{
	const mb_kernels *kernels = mb_kernels_get();
	size_t hidden = (size_t) image->config.hidden_size;
	size_t inner = (size_t) image->config.intermediate_size;

	for (size_t first = 0; first < n_tokens; first += FFN_ROWS)
	{
		size_t rows = n_tokens - first < FFN_ROWS ? n_tokens - first : FFN_ROWS;
		float *x = w->x + first * hidden;
		float *delta = w->delta + first * hidden;

		if (!linear_forward(w->intermediate, inner, x, hidden, rows, &layer->intermediate, interrupt))
			return false;
		activate(image->config.hidden_act, w->intermediate, rows * inner);
		if (!linear_forward(delta, hidden, w->intermediate, inner, rows, &layer->output, interrupt))
			return false;
		for (size_t i = 0; i < rows; i++)
			kernels->layer_norm(x + i * hidden, delta + i * hidden, layer->output_norm_weight, layer->output_norm_bias,
								hidden, image->config.layer_norm_eps);
	}
	return true;
}

/* pooled [H] of one sequence of hidden states [L,H]. */
static void
pool_forward(float *pooled, const mb_image *image, const float *x, size_t length)
{
	size_t hidden = (size_t) image->config.hidden_size;

	switch (image->pipeline.pooling)
	{
		case MB_POOL_MEAN:
			memset(pooled, 0, hidden * sizeof(float));
			for (size_t i = 0; i < length; i++)
				for (size_t j = 0; j < hidden; j++)
					pooled[j] += x[i * hidden + j];
			for (size_t j = 0; j < hidden; j++)
				pooled[j] /= (float) length;
			break;
		case MB_POOL_CLS:
			memcpy(pooled, x, hidden * sizeof(float));
			break;
		case MB_POOL_POOLER:
			mb_linear_forward(pooled, hidden, x, hidden, 1, &image->pooler);
			for (size_t j = 0; j < hidden; j++)
				pooled[j] = tanhf(pooled[j]);
			break;
	}
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Checks every id and length, and counts the tokens. */
static mb_status
check_input(const mb_image *image, const int32_t *ids, const int32_t *lengths, size_t n_sequences, size_t *n_tokens,
			size_t *max_length, mb_error *err)
{
	*n_tokens = *max_length = 0;
	for (size_t s = 0; s < n_sequences; s++)
	{
		if (lengths[s] < 1 || lengths[s] > image->config.max_position_embeddings)
			return mb_fail(err, MB_INVALID_ARGUMENT, "sequence length %d is out of range 1 to %d", lengths[s],
						   image->config.max_position_embeddings);
		*n_tokens += (size_t) lengths[s];
		if ((size_t) lengths[s] > *max_length)
			*max_length = (size_t) lengths[s];
	}
	for (size_t i = 0; i < *n_tokens; i++)
		if (ids[i] < 0 || ids[i] >= image->config.vocab_size)
			return mb_fail(err, MB_INVALID_ARGUMENT, "token id %d is out of range 0 to %d", ids[i],
						   image->config.vocab_size - 1);
	return MB_OK;
}

mb_status
mb_encode(const mb_image *image, const int32_t *ids, const int32_t *lengths, size_t n_sequences, float *pooled,
		  float *hidden, void *memory, size_t memory_size, const mb_interrupt *interrupt, mb_error *err)
{
	size_t width = (size_t) image->config.hidden_size;
	size_t n_tokens, max_length, needed;
	workspace w;
	mb_status status = check_input(image, ids, lengths, n_sequences, &n_tokens, &max_length, err);

	if (status != MB_OK)
		return status;
	if (n_sequences == 0)
		return MB_OK;
	needed = layout(&w, memory, image, n_tokens, max_length);
	if (needed == 0 || needed > memory_size)
		return mb_fail(err, MB_INVALID_ARGUMENT, "a workspace of %zu bytes is too small for %zu tokens", memory_size,
					   n_tokens);

	for (size_t s = 0, first = 0; s < n_sequences; s++)
	{
		embeddings_forward(w.x + first * width, image, ids + first, (size_t) lengths[s]);
		first += (size_t) lengths[s];
	}
	for (int32_t i = 0; i < image->config.num_hidden_layers; i++)
	{
		const mb_layer *layer = &image->layers[i];

		if (!attention_half(&w, image, layer, lengths, n_sequences, n_tokens, interrupt) ||
			!feed_forward_half(&w, image, layer, n_tokens, interrupt))
			return mb_fail(err, MB_CANCELLED, "the computation was cancelled");
	}
	for (size_t s = 0, first = 0; s < n_sequences; s++)
	{
		pool_forward(pooled + s * width, image, w.x + first * width, (size_t) lengths[s]);
		first += (size_t) lengths[s];
	}
	if (hidden != NULL)
		memcpy(hidden, w.x, n_tokens * width * sizeof(float));
	return MB_OK;
}

void
mb_classify(const mb_image *image, const float *pooled, size_t n, float *logits)
{
	mb_linear_forward(logits, (size_t) image->classifier.out, pooled, (size_t) image->config.hidden_size, n,
					  &image->classifier);
}

void
mb_normalize(float *v, size_t n)
{
	double squares = 0.0;
	double norm;

	for (size_t i = 0; i < n; i++)
		squares += (double) v[i] * (double) v[i];
	norm = sqrt(squares);
	if (norm < 1e-12)
		norm = 1e-12;
	for (size_t i = 0; i < n; i++)
		v[i] = (float) ((double) v[i] / norm);
}

/* Four sums side by side hide the adds' latency and fix the order at the same time. */
float
mb_cosine_similarity(const float *a, const float *b, size_t n)
{
	double dot[4] = {0}, aa[4] = {0}, bb[4] = {0};
	double norms;

	for (size_t i = 0; i < n; i++)
	{
		double x = (double) a[i], y = (double) b[i];

		dot[i & 3] += x * y;
		aa[i & 3] += x * x;
		bb[i & 3] += y * y;
	}
	norms = sqrt((aa[0] + aa[1]) + (aa[2] + aa[3])) * sqrt((bb[0] + bb[1]) + (bb[2] + bb[3]));
	if (!(norms > 0.0))
		return NAN;
	norms = ((dot[0] + dot[1]) + (dot[2] + dot[3])) / norms;
	return norms > 1.0 ? 1.0f : norms < -1.0 ? -1.0f : (float) norms;
}
