/*
 * image.h - a model packed for computing: one read-only mapping that all processes share.
 *
 * The image holds what inference touches and nothing else: fp32 weights in the kernels' panel layout, the packed
 * vocabulary, the pipeline, tag names and thresholds.  It is position-independent, little-endian, 64-byte aligned, and
 * a cache: it can be deleted at any time and written again from the model file.  Weights that inference does not use
 * (the masked-LM head) stay out.
 */
#ifndef MOVIEBERT_IMAGE_H
#define MOVIEBERT_IMAGE_H

#include "moviebert/model.h"

/* Part of an image's file name: changes whenever the layout does, so that an old image is never mistaken for a new one. */
#define MB_IMAGE_LAYOUT "fp32-1"

/* Outputs per weight panel: part of the layout, and the same for all CPUs, so that an image serves every one of them. */
#define MB_PANEL 32

/*
 * Writes the image to fd (empty, at offset 0) with plain write(2) in bounded pieces, so that a full disk is an MB_IO
 * with ENOSPC and never a signal.  Does not fsync or close.
 */
mb_status mb_image_write(const mb_model *model, int fd, const mb_interrupt *interrupt, mb_error *err);

/* Where a linear layer y = x W^T + b lives in the image: W in panels (see src/nn/gemm.h), b plain. */
typedef struct mb_linear
{
	const float *panels;
	const float *bias; /* [out] */
	int32_t      in;
	int32_t      out;
} mb_linear;

typedef struct mb_layer
{
	mb_linear    qkv;          /* H -> 3H: query, key, value side by side */
	mb_linear    attention_output; /* H -> H */
	const float *attention_norm_weight, *attention_norm_bias; /* [H] */
	mb_linear    intermediate; /* H -> I */
	mb_linear    output;       /* I -> H */
	const float *output_norm_weight, *output_norm_bias; /* [H] */
} mb_layer;

/* An opened image: pointers into the mapping, plus the small array of layers, which mb_image_close frees. */
typedef struct mb_image
{
	mb_config    config;
	mb_pipeline  pipeline;
	mb_tokenizer tokenizer;
	const float *word_embeddings;       /* [V,H] */
	const float *position_embeddings;   /* [P,H] */
	const float *token_type_embeddings; /* [T,H] */
	const float *embedding_norm_weight, *embedding_norm_bias; /* [H] */
	mb_layer    *layers;     /* [num_hidden_layers] */
	mb_linear    pooler;     /* panels NULL when absent */
	mb_linear    classifier; /* panels NULL when absent; H -> L */
	const void  *base;
	size_t       size;
} mb_image;

/*
 * Opens an image in place; base is page-aligned, and borrowed.  Checks magic, layout, sizes and every offset, so that a
 * damaged or truncated file is MB_CORRUPT and never a wild read.  malloc's only the layer array.
 */
mb_status mb_image_open(mb_image *image, const void *base, size_t size, mb_error *err);
void      mb_image_close(mb_image *image); /* frees the layer array; does not unmap */

/* Tag i's name (not NUL-terminated; points into the image) and its calibrated threshold (NAN: none). */
const char *mb_image_tag(const mb_image *image, int32_t i, size_t *bytes, float *threshold);

#endif
