/* image_layout.c - computes where everything stands in an image. */
#include "image_layout.h"

#include <string.h>

typedef struct cursor
{
	size_t at;
	bool ok;
} cursor;

/* The place of `bytes` bytes, rounded up to 64. */
static size_t
take_bytes(cursor *c, size_t bytes)
{
	size_t place = c->at;
	size_t padded;

	if (__builtin_add_overflow(bytes, (size_t) 63, &padded) ||
		__builtin_add_overflow(c->at, padded & ~(size_t) 63, &c->at) || c->at > SIZE_MAX / 4)
	{
		c->ok = false;
		c->at = 0;
	}
	return place;
}

static size_t
take_floats(cursor *c, size_t rows, size_t columns)
{
	size_t bytes;

	if (__builtin_mul_overflow(rows, columns, &bytes) || __builtin_mul_overflow(bytes, sizeof(float), &bytes))
	{
		c->ok = false;
		bytes = 0;
	}
	return take_bytes(c, bytes);
}

static linear_at
take_linear(cursor *c, size_t in, size_t out)
{
	linear_at at;

	at.panels = take_floats(c, (out + MB_PANEL - 1) / MB_PANEL * MB_PANEL, in);
	at.bias = take_floats(c, 1, out);
	return at;
}

bool
image_layout_of(image_layout *at, const mb_config *config, const mb_pipeline *pipeline, bool has_pooler,
				size_t vocabulary_bytes, size_t tag_bytes)
{
	size_t hidden = (size_t) config->hidden_size;
	size_t inner = (size_t) config->intermediate_size;
	cursor c = {IMAGE_HEADER_BYTES, true};
	size_t first_layer, layers_end;

	memset(at, 0, sizeof(*at));
	at->vocabulary = take_bytes(&c, vocabulary_bytes);
	at->tags = take_bytes(&c, tag_bytes);
	at->position_embeddings = take_floats(&c, (size_t) config->max_position_embeddings, hidden);
	at->token_type_embeddings = take_floats(&c, (size_t) config->type_vocab_size, hidden);
	at->embedding_norm_weight = take_floats(&c, 1, hidden);
	at->embedding_norm_bias = take_floats(&c, 1, hidden);

	first_layer = c.at;
	at->qkv = take_linear(&c, hidden, 3 * hidden);
	at->attention_output = take_linear(&c, hidden, hidden);
	at->attention_norm_weight = take_floats(&c, 1, hidden);
	at->attention_norm_bias = take_floats(&c, 1, hidden);
	at->intermediate = take_linear(&c, hidden, inner);
	at->output = take_linear(&c, inner, hidden);
	at->output_norm_weight = take_floats(&c, 1, hidden);
	at->output_norm_bias = take_floats(&c, 1, hidden);
	at->layer_bytes = c.at - first_layer;
	if (__builtin_mul_overflow(at->layer_bytes, (size_t) config->num_hidden_layers, &layers_end) ||
		__builtin_add_overflow(layers_end, first_layer, &c.at))
		return false;

	if (has_pooler)
		at->pooler = take_linear(&c, hidden, hidden);
	if (pipeline->num_labels > 0)
		at->classifier = take_linear(&c, hidden, (size_t) pipeline->num_labels);
	at->word_embeddings = take_floats(&c, (size_t) config->vocab_size, hidden);
	at->total = c.at;
	return c.ok;
}

uint64_t
image_header_checksum(const image_header *header)
{
	image_header copy = *header;
	const unsigned char *byte = (const unsigned char *) &copy;
	uint64_t hash = UINT64_C(14695981039346656037);

	copy.checksum = 0;
	for (size_t i = 0; i < sizeof(copy); i++)
		hash = (hash ^ byte[i]) * UINT64_C(1099511628211);
	return hash;
}
