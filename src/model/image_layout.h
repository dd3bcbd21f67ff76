/*
 * image_layout.h - where everything stands in an image file; shared by its writer and its reader.
 *
 *   header        image_header, IMAGE_HEADER_BYTES
 *   vocabulary    the blob of mb_vocabulary_pack
 *   tags          L times image_tag, then the names' bytes
 *   weights       fp32; position and token type embeddings, norms, layers, pooler, classifier, word embeddings
 *
 * Each part begins on a multiple of 64 bytes.  No offset is stored: all follow from the config and three sizes, so the
 * reader computes what the writer computed and has only to compare the total with the file's size.
 */
#ifndef MOVIEBERT_MODEL_IMAGE_LAYOUT_H
#define MOVIEBERT_MODEL_IMAGE_LAYOUT_H

#include <stdint.h>

#include "moviebert/image.h"

#define IMAGE_MAGIC "mb-image"
#define IMAGE_HEADER_BYTES 256

typedef struct image_header
{
	char magic[8];
	char layout[16];     /* MB_IMAGE_LAYOUT */
	uint32_t byte_order; /* 0x01020304 as this machine writes it */
	uint32_t has_pooler;
	uint64_t total_bytes;
	uint64_t vocabulary_bytes;
	uint64_t tag_bytes;
	int32_t config[8]; /* vocab_size .. type_vocab_size, hidden_act: mb_config in its order */
	float layer_norm_eps;
	int32_t pipeline[7]; /* mb_pipeline in its order */
	uint64_t checksum;   /* FNV-1a of the header with this field zero */
} image_header;

typedef struct image_tag
{
	uint32_t name_at; /* from the start of the tag section */
	uint32_t name_bytes;
	float threshold;
	uint32_t reserved;
} image_tag;

/* Byte offsets of a linear layer's two parts. */
typedef struct linear_at
{
	size_t panels;
	size_t bias;
} linear_at;

/* Byte offsets of everything; those of layer N are the first layer's plus N * layer_bytes. */
typedef struct image_layout
{
	size_t vocabulary, tags;
	size_t position_embeddings, token_type_embeddings, embedding_norm_weight, embedding_norm_bias;
	linear_at qkv, attention_output, intermediate, output;
	size_t attention_norm_weight, attention_norm_bias, output_norm_weight, output_norm_bias;
	size_t layer_bytes;
	linear_at pooler, classifier;
	size_t word_embeddings;
	size_t total;
} image_layout;

/* False if the sizes overflow.  The config and pipeline must have been checked to be positive. */
bool image_layout_of(image_layout *at, const mb_config *config, const mb_pipeline *pipeline, bool has_pooler,
					 size_t vocabulary_bytes, size_t tag_bytes);

/* The header's FNV-1a 64 checksum, its own field taken as zero. */
uint64_t image_header_checksum(const image_header *header);

#endif
