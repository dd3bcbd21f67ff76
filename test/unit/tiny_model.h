/*
 * tiny_model.h - a model file in memory, small and whole, to be damaged by a test in one place.
 *
 * V 12, H 8, one layer, 2 heads, I 12, P 16, T 2, three tags; F32, F16 and BF16 tensors; the masked-LM head.
 */
#ifndef MOVIEBERT_TEST_TINY_MODEL_H
#define MOVIEBERT_TEST_TINY_MODEL_H

#include "moviebert/safetensors.h"

#define TINY_TENSORS 48
#define TINY_METADATA 16

typedef struct tiny_model
{
	mb_tensor tensors[TINY_TENSORS]; /* names and data are the model's own */
	size_t n_tensors;
	mb_metadata metadata[TINY_METADATA];
	size_t n_metadata;
} tiny_model;

tiny_model *tiny_model_new(void);
void tiny_model_free(tiny_model *tiny);

const char *tiny_model_get(const tiny_model *tiny, const char *key);
void tiny_model_set(tiny_model *tiny, const char *key, const char *value); /* NULL removes */
/* The first `from` in a value becomes `to`; fails the test if there is none. */
void tiny_model_replace(tiny_model *tiny, const char *key, const char *from, const char *to);

mb_tensor *tiny_model_tensor(tiny_model *tiny, const char *name);
void tiny_model_drop(tiny_model *tiny, const char *name);
/* A tensor of small random weights; columns 0: a vector.  In place of one of that name, if there is one. */
void tiny_model_put(tiny_model *tiny, const char *name, mb_dtype dtype, int64_t rows, int64_t columns);
/* Removes all that makes a head. */
void tiny_model_behead(tiny_model *tiny);

/* The file, malloc'ed in exactly its size. */
void *tiny_model_bytes(const tiny_model *tiny, size_t *size);

#endif
