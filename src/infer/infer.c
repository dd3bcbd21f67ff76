/*
 * infer.c - texts -> windows -> encoder calls -> one vector a text.
 *
 * Windows are queued in the order of the texts, and an encoder call is made when the next window would not fit.  A
 * text's pooled vectors are added in the order of its windows, whichever call they came from.
 */
#include "moviebert/infer.h"

#include <math.h>
#include <string.h>

#include "scratch.h"

#define DEFAULT_BATCH_TOKENS 256

/* Which text a queued window belongs to. */
typedef struct window_owner
{
	size_t text;
	size_t n_windows; /* of that text */
	bool first;
	bool last;
} window_owner;

typedef struct batch
{
	const mb_image *image;
	mb_scratch *scratch;
	const mb_infer_options *options;
	float *embeddings; /* [n_texts,H] */
	mb_infer_stats *stats;
	mb_error *err;
	size_t capacity;    /* tokens */
	size_t n_tokens;    /* queued */
	size_t n_sequences; /* queued */
	size_t texts_done;
} batch;

static mb_status
out_of_memory(mb_error *err)
{
	return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
}

/* Computes what is queued and adds it to the texts' vectors. */
static mb_status
flush(batch *b)
{
	mb_scratch *scratch = b->scratch;
	size_t hidden = (size_t) b->image->config.hidden_size;
	const window_owner *owners = scratch->owners.data;
	const float *pooled;
	size_t needed;
	mb_status status;

	if (b->n_sequences == 0)
		return MB_OK;
	needed = mb_encoder_workspace_size(b->image, b->n_tokens, (size_t) b->image->pipeline.max_length);
	if (needed == 0 || !mb_buffer_reserve(scratch, &scratch->workspace, needed, 1) ||
		!mb_buffer_reserve(scratch, &scratch->pooled, b->n_sequences * hidden, sizeof(float)))
		return out_of_memory(b->err);
	status = mb_encode(b->image, scratch->ids.data, scratch->lengths.data, b->n_sequences, scratch->pooled.data, NULL,
					   scratch->workspace.data, scratch->workspace.size, b->options->interrupt, b->err);
	if (status != MB_OK)
		return status;

	pooled = scratch->pooled.data;
	for (size_t s = 0; s < b->n_sequences; s++, pooled += hidden)
	{
		float *vector = b->embeddings + owners[s].text * hidden;

		if (owners[s].first)
			memcpy(vector, pooled, hidden * sizeof(float));
		else
			for (size_t j = 0; j < hidden; j++)
				vector[j] += pooled[j];
		if (owners[s].last)
		{
			if (owners[s].n_windows > 1)
				for (size_t j = 0; j < hidden; j++)
					vector[j] /= (float) owners[s].n_windows;
			if (b->image->pipeline.normalize)
				mb_normalize(vector, hidden);
			b->texts_done++;
		}
	}
	b->stats->tokens += b->n_tokens;
	b->stats->windows += b->n_sequences;
	b->n_tokens = b->n_sequences = 0;
	if (b->options->progress != NULL)
		b->options->progress(b->options->progress_arg, b->texts_done);
	return MB_OK;
}

/* Queues [CLS] tokens [SEP]. */
static mb_status
queue_window(batch *b, const int32_t *tokens, size_t n, window_owner owner)
{
	int32_t *ids = b->scratch->ids.data;
	int32_t *lengths = b->scratch->lengths.data;
	window_owner *owners = b->scratch->owners.data;
	mb_status status = MB_OK;

	if (b->n_tokens + n + 2 > b->capacity)
		status = flush(b);
	if (status != MB_OK)
		return status;
	ids += b->n_tokens;
	ids[0] = mb_tokenizer_cls_id(&b->image->tokenizer);
	if (n > 0)
		memcpy(ids + 1, tokens, n * sizeof(int32_t));
	ids[n + 1] = mb_tokenizer_sep_id(&b->image->tokenizer);
	lengths[b->n_sequences] = (int32_t) (n + 2);
	owners[b->n_sequences] = owner;
	b->n_tokens += n + 2;
	b->n_sequences++;
	return MB_OK;
}

/* Cuts n tokens into windows and queues them. */
static mb_status
queue_text(batch *b, size_t text, const int32_t *tokens, size_t n)
{
	size_t width = (size_t) b->image->pipeline.max_length - 2;
	size_t stride = (size_t) b->image->pipeline.window_stride;
	size_t n_windows = n <= width ? 1 : 1 + (n - width + stride - 1) / stride;

	for (size_t i = 0; i < n_windows; i++)
	{
		window_owner owner = {text, n_windows, i == 0, i + 1 == n_windows};
		size_t start = owner.last && n > width ? n - width : i * stride;
		mb_status status = queue_window(b, tokens + start, n < width ? n : width, owner);

		if (status != MB_OK)
			return status;
	}
	return MB_OK;
}

/*
 * Tokenizes one text into scratch->tokens; *n is how many of its tokens are to be computed.  Few texts have as many
 * tokens as bytes, but no bound is promised: when the buffer proves too small, once more with the right one.
 */
static mb_status
tokenize_text(batch *b, const mb_text *text, size_t *n)
{
	const mb_pipeline *pipeline = &b->image->pipeline;
	size_t width = (size_t) pipeline->max_length - 2;
	size_t limit = b->options->max_text_tokens;
	mb_buffer *tokens = &b->scratch->tokens;
	size_t wanted = pipeline->long_text == MB_LONG_TRUNCATE ? width : text->size + 16;
	mb_status status;

	if (pipeline->long_text == MB_LONG_WINDOWS && limit > 0 && wanted > limit)
		wanted = limit;
	for (;;)
	{
		if (!mb_buffer_reserve(b->scratch, tokens, wanted, sizeof(int32_t)))
			return out_of_memory(b->err);
		status = mb_tokenize(&b->image->tokenizer, text->data, text->size, tokens->data, wanted, n,
							 b->options->interrupt, b->err);
		if (status != MB_OK)
			return status;
		if (pipeline->long_text == MB_LONG_TRUNCATE)
		{
			if (*n > width)
			{
				*n = width;
				b->stats->truncated++;
			}
			return MB_OK;
		}
		if (limit > 0 && *n > limit)
		{
			mb_fail(b->err, MB_LIMIT, "text of %zu tokens is too long", *n);
			mb_detail(b->err, "The limit is %zu tokens.", limit);
			return MB_LIMIT;
		}
		if (*n <= wanted)
			return MB_OK;
		wanted = *n;
	}
}

mb_status
mb_embed(const mb_image *image, mb_scratch *scratch, const mb_text *texts, size_t n_texts, float *embeddings,
		 const mb_infer_options *options, mb_infer_stats *stats, mb_error *err)
{
	static const mb_infer_options no_options = {0};
	mb_infer_stats ignored = {0};
	batch b = {.image = image, .scratch = scratch, .embeddings = embeddings, .err = err};
	mb_status status = MB_OK;

	b.options = options != NULL ? options : &no_options;
	b.stats = stats != NULL ? stats : &ignored;
	b.capacity = b.options->batch_tokens > 0 ? b.options->batch_tokens : DEFAULT_BATCH_TOKENS;
	if (b.capacity < (size_t) image->pipeline.max_length)
		b.capacity = (size_t) image->pipeline.max_length;
	/* A sequence has two tokens or more. */
	if (!mb_buffer_reserve(scratch, &scratch->ids, b.capacity, sizeof(int32_t)) ||
		!mb_buffer_reserve(scratch, &scratch->lengths, b.capacity / 2 + 1, sizeof(int32_t)) ||
		!mb_buffer_reserve(scratch, &scratch->owners, b.capacity / 2 + 1, sizeof(window_owner)))
		return out_of_memory(err);

	for (size_t t = 0; t < n_texts && status == MB_OK; t++)
	{
		size_t n;

		status = tokenize_text(&b, &texts[t], &n);
		if (status == MB_OK)
			status = queue_text(&b, t, scratch->tokens.data, n);
		if (status != MB_OK && err != NULL)
			err->text_index = t;
	}
	if (status == MB_OK)
		status = flush(&b);
	if (status == MB_OK)
		b.stats->texts += n_texts;
	return status;
}

/* Logits [L] become scores, in place. */
static void
scores_from_logits(mb_problem problem, float *x, size_t n)
{
	double highest = -INFINITY;
	double sum = 0.0;

	switch (problem)
	{
		case MB_MULTI_LABEL:
			for (size_t i = 0; i < n; i++)
				x[i] = (float) (1.0 / (1.0 + exp(-(double) x[i])));
			break;
		case MB_SINGLE_LABEL:
			for (size_t i = 0; i < n; i++)
				highest = (double) x[i] > highest ? (double) x[i] : highest;
			for (size_t i = 0; i < n; i++)
				sum += exp((double) x[i] - highest);
			for (size_t i = 0; i < n; i++)
				x[i] = (float) (exp((double) x[i] - highest) / sum);
			break;
		case MB_REGRESSION:
		case MB_NO_HEAD:
			break;
	}
}

mb_status
mb_scores(const mb_image *image, mb_scratch *scratch, const mb_text *texts, size_t n_texts, float *scores,
		  const mb_infer_options *options, mb_infer_stats *stats, mb_error *err)
{
	size_t hidden = (size_t) image->config.hidden_size;
	size_t labels = (size_t) image->pipeline.num_labels;
	mb_status status;

	if (image->pipeline.problem == MB_NO_HEAD)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the model has no tags");
		mb_hint(err, "Train a head on rows of your own with \"moviebert finetune\".");
		return MB_INVALID_ARGUMENT;
	}
	if (!mb_buffer_reserve(scratch, &scratch->embeddings, n_texts * hidden, sizeof(float)))
		return out_of_memory(err);
	status = mb_embed(image, scratch, texts, n_texts, scratch->embeddings.data, options, stats, err);
	if (status != MB_OK)
		return status;
	mb_classify(image, scratch->embeddings.data, n_texts, scores);
	for (size_t i = 0; i < n_texts; i++)
		scores_from_logits(image->pipeline.problem, scores + i * labels, labels);
	return MB_OK;
}
