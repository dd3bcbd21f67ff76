/*
 * image_write.c - writing an image from a model file, a few panels at a time.
 *
 * Memory stays small (one panel of the widest matrix, and a buffer), whatever the model's size.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_layout.h"
#include "moviebert/image.h"

#define BUFFER_BYTES ((size_t) 256 * 1024)

typedef struct writer
{
	const mb_model *model;
	int fd;
	size_t at;     /* file offset of the buffer's end */
	size_t filled; /* bytes in the buffer */
	unsigned char *buffer;
	size_t widest; /* inputs of the widest matrix, at least MB_PANEL */
	float *rows;   /* [widest] one row, as fp32 */
	float *panel;  /* [widest,MB_PANEL] one panel */
	const mb_interrupt *interrupt;
	mb_error *err;
	mb_status status; /* the first failure; everything after it is a no-op */
} writer;

static void
flush(writer *w)
{
	size_t done = 0;

	if (w->status == MB_OK && mb_interrupted(w->interrupt))
		w->status = mb_fail(w->err, MB_CANCELLED, "writing the model image was cancelled");
	while (w->status == MB_OK && done < w->filled)
	{
		ssize_t n = write(w->fd, w->buffer + done, w->filled - done);

		if (n > 0)
			done += (size_t) n;
		else if (n == 0 || errno != EINTR)
			w->status = mb_fail_system(w->err, n == 0 ? ENOSPC : errno, "could not write the model image");
		else if (mb_interrupted(w->interrupt))
			w->status = mb_fail(w->err, MB_CANCELLED, "writing the model image was cancelled");
	}
	w->filled = 0;
}

static void
put(writer *w, const void *data, size_t bytes)
{
	const unsigned char *from = data;

	while (bytes > 0 && w->status == MB_OK)
	{
		size_t room = BUFFER_BYTES - w->filled;
		size_t n = bytes < room ? bytes : room;

		memcpy(w->buffer + w->filled, from, n);
		w->filled += n;
		w->at += n;
		from += n;
		bytes -= n;
		if (w->filled == BUFFER_BYTES)
			flush(w);
	}
}

/* Each part begins on a multiple of 64 bytes. */
static void
pad(writer *w)
{
	static const unsigned char zero[64];

	put(w, zero, (64 - w->at % 64) % 64);
}

static const mb_tensor *
tensor(writer *w, const char *prefix, const char *name)
{
	char full[128];
	const mb_tensor *found;

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	found = mb_model_tensor(w->model, full);
	if (found == NULL && w->status == MB_OK)
		w->status = mb_fail(w->err, MB_CORRUPT, "tensor \"%s\" is missing", full);
	return found;
}

static void
put_plain(writer *w, const char *prefix, const char *name)
{
	const mb_tensor *from = tensor(w, prefix, name);
	size_t n = from != NULL ? (size_t) mb_tensor_elements(from) : 0;

	for (size_t i = 0; i < n && w->status == MB_OK; i += w->widest)
	{
		size_t count = n - i < w->widest ? n - i : w->widest;

		mb_tensor_to_f32(from, i, count, w->rows);
		put(w, w->rows, count * sizeof(float));
	}
	pad(w);
}

/* Panels of n_parts matrices [out_each,in] stacked by rows: query, key and value become one [3H,H]. */
static void
put_panels(writer *w, const mb_tensor *const *parts, size_t n_parts, size_t in, size_t out_each)
{
	size_t out = n_parts * out_each;

	for (size_t first = 0; first < out && w->status == MB_OK; first += MB_PANEL)
	{
		size_t width = out - first < MB_PANEL ? out - first : MB_PANEL;

		memset(w->panel, 0, MB_PANEL * in * sizeof(float));
		for (size_t j = 0; j < width; j++)
		{
			size_t row = first + j;

			mb_tensor_to_f32(parts[row / out_each], row % out_each * in, in, w->rows);
			for (size_t k = 0; k < in; k++)
				w->panel[k * MB_PANEL + j] = w->rows[k];
		}
		put(w, w->panel, MB_PANEL * in * sizeof(float));
	}
	pad(w);
}

static void
put_linear(writer *w, const char *prefix, const char *name, int32_t in, int32_t out)
{
	char weight[128], bias[128];
	const mb_tensor *part;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	part = tensor(w, prefix, weight);
	if (part != NULL)
		put_panels(w, &part, 1, (size_t) in, (size_t) out);
	put_plain(w, prefix, bias);
}

static void
put_qkv(writer *w, const char *prefix, int32_t hidden)
{
	static const char *const names[3] = {"attention.self.query", "attention.self.key", "attention.self.value"};
	const mb_tensor *weights[3];
	char name[64];

	for (int i = 0; i < 3; i++)
	{
		snprintf(name, sizeof(name), "%s.weight", names[i]);
		weights[i] = tensor(w, prefix, name);
		if (weights[i] == NULL)
			return;
	}
	put_panels(w, weights, 3, (size_t) hidden, (size_t) hidden);
	for (int i = 0; i < 3; i++)
	{
		const mb_tensor *bias;

		snprintf(name, sizeof(name), "%s.bias", names[i]);
		bias = tensor(w, prefix, name);
		if (bias == NULL)
			return;
		mb_tensor_to_f32(bias, 0, (size_t) hidden, w->rows);
		put(w, w->rows, (size_t) hidden * sizeof(float));
	}
	pad(w);
}

static size_t
tag_section_bytes(const mb_model *model)
{
	size_t bytes = (size_t) model->pipeline.num_labels * sizeof(image_tag);

	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
		bytes += strlen(model->tags[i].name);
	return bytes;
}

static void
put_tags(writer *w)
{
	const mb_model *model = w->model;
	size_t name_at = (size_t) model->pipeline.num_labels * sizeof(image_tag);

	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
	{
		size_t bytes = strlen(model->tags[i].name);
		image_tag tag = {(uint32_t) name_at, (uint32_t) bytes, model->tags[i].threshold, 0};

		put(w, &tag, sizeof(tag));
		name_at += bytes;
	}
	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
		put(w, model->tags[i].name, strlen(model->tags[i].name));
	pad(w);
}

static void
put_header(writer *w, const image_layout *at, bool has_pooler, size_t vocabulary_bytes, size_t tag_bytes)
{
	const mb_config *c = &w->model->config;
	const mb_pipeline *p = &w->model->pipeline;
	unsigned char bytes[IMAGE_HEADER_BYTES] = {0};
	image_header header;

	memset(&header, 0, sizeof(header));
	memcpy(header.magic, IMAGE_MAGIC, sizeof(header.magic));
	memcpy(header.layout, MB_IMAGE_LAYOUT, sizeof(MB_IMAGE_LAYOUT));
	header.byte_order = 0x01020304;
	header.has_pooler = has_pooler;
	header.total_bytes = at->total;
	header.vocabulary_bytes = vocabulary_bytes;
	header.tag_bytes = tag_bytes;
	header.config[0] = c->vocab_size;
	header.config[1] = c->hidden_size;
	header.config[2] = c->num_hidden_layers;
	header.config[3] = c->num_attention_heads;
	header.config[4] = c->intermediate_size;
	header.config[5] = c->max_position_embeddings;
	header.config[6] = c->type_vocab_size;
	header.config[7] = (int32_t) c->hidden_act;
	header.layer_norm_eps = c->layer_norm_eps;
	header.pipeline[0] = (int32_t) p->pooling;
	header.pipeline[1] = p->normalize;
	header.pipeline[2] = p->max_length;
	header.pipeline[3] = (int32_t) p->long_text;
	header.pipeline[4] = p->window_stride;
	header.pipeline[5] = (int32_t) p->problem;
	header.pipeline[6] = p->num_labels;
	header.checksum = image_header_checksum(&header);
	memcpy(bytes, &header, sizeof(header));
	put(w, bytes, sizeof(bytes));
}

static void
put_weights(writer *w, bool has_pooler)
{
	const mb_config *config = &w->model->config;
	int32_t hidden = config->hidden_size;

	put_plain(w, "", "embeddings.position_embeddings.weight");
	put_plain(w, "", "embeddings.token_type_embeddings.weight");
	put_plain(w, "", "embeddings.LayerNorm.weight");
	put_plain(w, "", "embeddings.LayerNorm.bias");
	for (int32_t i = 0; i < config->num_hidden_layers && w->status == MB_OK; i++)
	{
		char prefix[48];

		snprintf(prefix, sizeof(prefix), "encoder.layer.%d.", i);
		put_qkv(w, prefix, hidden);
		put_linear(w, prefix, "attention.output.dense", hidden, hidden);
		put_plain(w, prefix, "attention.output.LayerNorm.weight");
		put_plain(w, prefix, "attention.output.LayerNorm.bias");
		put_linear(w, prefix, "intermediate.dense", hidden, config->intermediate_size);
		put_linear(w, prefix, "output.dense", config->intermediate_size, hidden);
		put_plain(w, prefix, "output.LayerNorm.weight");
		put_plain(w, prefix, "output.LayerNorm.bias");
	}
	if (has_pooler)
		put_linear(w, "", "pooler.dense", hidden, hidden);
	if (w->model->pipeline.num_labels > 0)
		put_linear(w, "", "classifier", hidden, w->model->pipeline.num_labels);
	put_plain(w, "", "embeddings.word_embeddings.weight");
}

mb_status
mb_image_write(const mb_model *model, int fd, const mb_interrupt *interrupt, mb_error *err)
{
	bool has_pooler = model->pipeline.pooling == MB_POOL_POOLER; /* one that nothing uses stays out */
	const mb_config *config = &model->config;
	size_t tag_bytes = tag_section_bytes(model);
	size_t vocabulary_bytes;
	void *vocabulary;
	image_layout at;
	writer w = {.model = model, .fd = fd, .interrupt = interrupt, .err = err};

	w.status =
		mb_vocabulary_pack(model->vocab, strlen(model->vocab), &model->tokenizer, &vocabulary, &vocabulary_bytes, err);
	if (w.status != MB_OK)
		return w.status;
	w.widest =
		(size_t) (config->intermediate_size > config->hidden_size ? config->intermediate_size : config->hidden_size);
	if (w.widest < MB_PANEL)
		w.widest = MB_PANEL;
	w.buffer = malloc(BUFFER_BYTES);
	w.rows = malloc(w.widest * sizeof(float));
	w.panel = malloc(w.widest * MB_PANEL * sizeof(float));
	if (w.buffer == NULL || w.rows == NULL || w.panel == NULL)
		w.status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	else if (tag_bytes > UINT32_MAX ||
			 !image_layout_of(&at, config, &model->pipeline, has_pooler, vocabulary_bytes, tag_bytes))
		w.status = mb_fail(err, MB_LIMIT, "the model is too large for an image");
	else
	{
		put_header(&w, &at, has_pooler, vocabulary_bytes, tag_bytes);
		put(&w, vocabulary, vocabulary_bytes);
		pad(&w);
		put_tags(&w);
		put_weights(&w, has_pooler);
		flush(&w);
		if (w.status == MB_OK && w.at != at.total)
			w.status = mb_fail(err, MB_CORRUPT, "the model's tensors do not fill its image");
	}
	free(w.panel);
	free(w.rows);
	free(w.buffer);
	free(vocabulary);
	return w.status;
}
