/*
 * model_tensors.h - parameters of a net as the tensors of a model file.
 */
#ifndef MOVIEBERT_TOOL_MODEL_TENSORS_H
#define MOVIEBERT_TOOL_MODEL_TENSORS_H

#include "net/net.h"

/* Parts of a net, to be chosen from. */
enum
{
	MODEL_ENCODER = 1, /* embeddings and layers */
	MODEL_POOLER = 2,
	MODEL_MLM_HEAD = 4,
	MODEL_CLASSIFIER = 8,
	MODEL_ALL = 15
};

typedef struct model_tensors
{
	mb_tensor *tensors; /* [n] names belong to the net; data to the parameters (MB_F32), or to halves */
	size_t n;
	uint16_t *halves;
} model_tensors;

/*
 * In MB_F32 or MB_F16, the latter rounded to nearest, ties to even.  parts: of those that the net has.  Errors:
 * MB_INVALID_ARGUMENT if a weight is not finite, or too large for MB_F16; then there is nothing to release.
 */
mb_status model_tensors_make(model_tensors *made, const net *n, const float *parameters, unsigned parts, mb_dtype dtype,
							 mb_error *err);
void model_tensors_release(model_tensors *made);

/* Infinite where x is 65520 or more (or not finite); a NaN stays one. */
uint16_t half_of_float(float x);

#endif
