/* image.c - opening an image in place. */
#include "moviebert/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image_layout.h"

static mb_status
damaged(mb_error *err, const char *detail)
{
	mb_fail(err, MB_CORRUPT, "the model image is damaged");
	mb_detail(err, "%s", detail);
	mb_hint(err, "An image is a cache of the model's rows and can be deleted; it is written again when needed.");
	return MB_CORRUPT;
}

/* The same limits that mb_model_open puts on a config, so that the layout's arithmetic is safe. */
static bool
sane(const mb_config *config, const mb_pipeline *pipeline)
{
	return config->vocab_size > 0 && config->hidden_size > 0 && config->hidden_size <= (1 << 20) &&
		   config->num_hidden_layers >= 0 && config->num_hidden_layers <= 4096 && config->num_attention_heads > 0 &&
		   config->hidden_size % config->num_attention_heads == 0 && config->intermediate_size > 0 &&
		   config->intermediate_size <= (1 << 24) && config->max_position_embeddings > 0 &&
		   config->max_position_embeddings <= (1 << 24) && config->type_vocab_size > 0 &&
		   config->layer_norm_eps > 0.0f && config->layer_norm_eps < 1.0f && (unsigned) config->hidden_act <= MB_SILU &&
		   (unsigned) pipeline->pooling <= MB_POOL_POOLER && pipeline->max_length >= 3 &&
		   pipeline->max_length <= config->max_position_embeddings &&
		   (unsigned) pipeline->long_text <= MB_LONG_TRUNCATE && pipeline->window_stride >= 1 &&
		   pipeline->window_stride <= pipeline->max_length - 2 && (unsigned) pipeline->problem <= MB_REGRESSION &&
		   pipeline->num_labels >= 0 && (pipeline->problem == MB_NO_HEAD) == (pipeline->num_labels == 0);
}

static void
read_header(mb_image *image, const image_header *header)
{
	mb_config *config = &image->config;
	mb_pipeline *pipeline = &image->pipeline;

	config->vocab_size = header->config[0];
	config->hidden_size = header->config[1];
	config->num_hidden_layers = header->config[2];
	config->num_attention_heads = header->config[3];
	config->intermediate_size = header->config[4];
	config->max_position_embeddings = header->config[5];
	config->type_vocab_size = header->config[6];
	config->hidden_act = (mb_activation) header->config[7];
	config->layer_norm_eps = header->layer_norm_eps;
	pipeline->pooling = (mb_pooling) header->pipeline[0];
	pipeline->normalize = header->pipeline[1] != 0;
	pipeline->max_length = header->pipeline[2];
	pipeline->long_text = (mb_long_text) header->pipeline[3];
	pipeline->window_stride = header->pipeline[4];
	pipeline->problem = (mb_problem) header->pipeline[5];
	pipeline->num_labels = header->pipeline[6];
}

static const float *
floats_at(const mb_image *image, size_t offset)
{
	return (const float *) (const void *) ((const char *) image->base + offset);
}

static mb_linear
linear_from(const mb_image *image, linear_at at, size_t shift, int32_t in, int32_t out)
{
	mb_linear linear = {floats_at(image, at.panels + shift), floats_at(image, at.bias + shift), in, out};

	return linear;
}

static void
set_pointers(mb_image *image, const image_layout *at, bool has_pooler)
{
	int32_t hidden = image->config.hidden_size;
	int32_t inner = image->config.intermediate_size;

	image->position_embeddings = floats_at(image, at->position_embeddings);
	image->token_type_embeddings = floats_at(image, at->token_type_embeddings);
	image->embedding_norm_weight = floats_at(image, at->embedding_norm_weight);
	image->embedding_norm_bias = floats_at(image, at->embedding_norm_bias);
	for (int32_t i = 0; i < image->config.num_hidden_layers; i++)
	{
		mb_layer *layer = &image->layers[i];
		size_t shift = (size_t) i * at->layer_bytes;

		layer->qkv = linear_from(image, at->qkv, shift, hidden, 3 * hidden);
		layer->attention_output = linear_from(image, at->attention_output, shift, hidden, hidden);
		layer->attention_norm_weight = floats_at(image, at->attention_norm_weight + shift);
		layer->attention_norm_bias = floats_at(image, at->attention_norm_bias + shift);
		layer->intermediate = linear_from(image, at->intermediate, shift, hidden, inner);
		layer->output = linear_from(image, at->output, shift, inner, hidden);
		layer->output_norm_weight = floats_at(image, at->output_norm_weight + shift);
		layer->output_norm_bias = floats_at(image, at->output_norm_bias + shift);
	}
	if (has_pooler)
		image->pooler = linear_from(image, at->pooler, 0, hidden, hidden);
	if (image->pipeline.num_labels > 0)
		image->classifier = linear_from(image, at->classifier, 0, hidden, image->pipeline.num_labels);
	image->word_embeddings = floats_at(image, at->word_embeddings);
}

/* Every tag's name lies inside the tag section. */
static bool
tags_fit(const image_tag *tags, size_t n, size_t tag_bytes)
{
	if (n > tag_bytes / sizeof(image_tag))
		return false;
	for (size_t i = 0; i < n; i++)
		if (tags[i].name_at > tag_bytes || tags[i].name_bytes > tag_bytes - tags[i].name_at)
			return false;
	return true;
}

mb_status
mb_image_open(mb_image *image, const void *base, size_t size, mb_error *err)
{
	image_header header;
	image_layout at;
	mb_status status;

	memset(image, 0, sizeof(*image));
	if (size < IMAGE_HEADER_BYTES)
		return damaged(err, "The file is shorter than an image's header.");
	memcpy(&header, base, sizeof(header));
	if (memcmp(header.magic, IMAGE_MAGIC, sizeof(header.magic)) != 0)
		return damaged(err, "The file does not begin as an image does.");
	if (strncmp(header.layout, MB_IMAGE_LAYOUT, sizeof(header.layout)) != 0 || header.byte_order != 0x01020304)
		return damaged(err, "The image is of another layout or byte order.");
	if (header.checksum != image_header_checksum(&header))
		return damaged(err, "The header's checksum does not match.");
	if (header.total_bytes != size || header.vocabulary_bytes > size || header.tag_bytes > size)
		return damaged(err, "The file's size is not the one that its header states.");

	image->base = base;
	image->size = size;
	read_header(image, &header);
	if (!sane(&image->config, &image->pipeline) ||
		(image->pipeline.pooling == MB_POOL_POOLER && header.has_pooler == 0) ||
		!image_layout_of(&at, &image->config, &image->pipeline, header.has_pooler != 0, header.vocabulary_bytes,
						 header.tag_bytes) ||
		at.total != size)
		return damaged(err, "The header's sizes do not add up to the file's.");
	if (!tags_fit((const image_tag *) (const void *) ((const char *) base + at.tags),
				  (size_t) image->pipeline.num_labels, header.tag_bytes))
		return damaged(err, "The names of the tags reach beyond their section.");
	status = mb_tokenizer_open(&image->tokenizer, (const char *) base + at.vocabulary, header.vocabulary_bytes, err);
	if (status != MB_OK)
		return status;
	if (mb_tokenizer_vocab_size(&image->tokenizer) > image->config.vocab_size)
		return damaged(err, "The vocabulary has more tokens than the embeddings have rows.");

	image->layers = calloc((size_t) image->config.num_hidden_layers + 1, sizeof(mb_layer));
	if (image->layers == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	set_pointers(image, &at, header.has_pooler != 0);
	return MB_OK;
}

void
mb_image_close(mb_image *image)
{
	free(image->layers);
	image->layers = NULL;
}

const char *
mb_image_tag(const mb_image *image, int32_t i, size_t *bytes, float *threshold)
{
	const image_header *header = image->base;
	const char *section;
	image_tag tag;

	/* The tag section follows the vocabulary, both padded to 64 bytes. */
	section = (const char *) image->base + IMAGE_HEADER_BYTES + ((header->vocabulary_bytes + 63) & ~UINT64_C(63));
	memcpy(&tag, section + (size_t) i * sizeof(tag), sizeof(tag));
	*bytes = tag.name_bytes;
	if (threshold != NULL)
		*threshold = tag.threshold;
	return section + tag.name_at;
}
