/* model_tensors.c - parameters as tensors, in single or half precision. */
#include "model_tensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

uint16_t
half_of_float(float x)
{
	uint32_t bits, sign, magnitude, half, rest, middle;
	int exponent;

	memcpy(&bits, &x, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	magnitude = bits & 0x7FFFFFFF;
	if (magnitude > 0x7F800000)
		return (uint16_t) (sign | 0x7E00); /* NaN */
	if (magnitude >= 0x47800000)
		return (uint16_t) (sign | 0x7C00); /* 2^16 and more */
	exponent = (int) (magnitude >> 23) - 127;
	if (exponent < -25)
		return (uint16_t) sign; /* below half of the least subnormal, 2^-24 */
	if (exponent < -14)
	{
		/* Subnormal: the mantissa with its leading bit, in units of 2^-24. */
		int shift = -1 - exponent; /* 14 .. 24 */
		uint32_t mantissa = (magnitude & 0x7FFFFF) | 0x800000;

		half = mantissa >> shift;
		rest = mantissa & ((UINT32_C(1) << shift) - 1);
		middle = UINT32_C(1) << (shift - 1);
	}
	else
	{
		half = (magnitude - (UINT32_C(112) << 23)) >> 13;
		rest = magnitude & 0x1FFF;
		middle = 0x1000;
	}
	/* A carry goes into the exponent, as it should: up to infinity. */
	if (rest > middle || (rest == middle && (half & 1) != 0))
		half++;
	return (uint16_t) (sign | half);
}

static unsigned
part_of(const net *n, const net_tensor *t)
{
	if (t->layer < n->options.config.num_hidden_layers)
		return MODEL_ENCODER;
	if (strncmp(t->name, "pooler.", 7) == 0)
		return MODEL_POOLER;
	if (strncmp(t->name, "cls.", 4) == 0)
		return MODEL_MLM_HEAD;
	return MODEL_CLASSIFIER;
}

/* Every weight is finite, and so is its half if that is wanted; the halves go to out (NULL: not wanted). */
static mb_status
convert(const net_tensor *t, const float *x, uint16_t *out, mb_error *err)
{
	for (size_t i = 0; i < t->size; i++)
	{
		if (!isfinite(x[i]))
			return mb_fail(err, MB_INVALID_ARGUMENT, "a weight of tensor \"%s\" is not finite", t->name);
		if (out == NULL)
			continue;
		out[i] = half_of_float(x[i]);
		if ((out[i] & 0x7C00) == 0x7C00)
		{
			mb_fail(err, MB_INVALID_ARGUMENT, "a weight of tensor \"%s\" is too large for half precision", t->name);
			mb_detail(err, "It is %g; the largest half is 65504.", (double) x[i]);
			return MB_INVALID_ARGUMENT;
		}
	}
	return MB_OK;
}

mb_status
model_tensors_make(model_tensors *made, const net *n, const float *parameters, unsigned parts, mb_dtype dtype,
				   mb_error *err)
{
	size_t used = 0;
	mb_status status = MB_OK;

	if (dtype != MB_F32 && dtype != MB_F16)
		return mb_fail(err, MB_INVALID_ARGUMENT, "weights are written as F32 or F16, not as %s", mb_dtype_name(dtype));
	made->n = 0;
	made->tensors = allocate(n->n_tensors, sizeof(*made->tensors));
	made->halves = dtype == MB_F16 ? allocate(n->n_parameters, sizeof(*made->halves)) : NULL;
	for (size_t i = 0; i < n->n_tensors && status == MB_OK; i++)
	{
		const net_tensor *t = &n->tensors[i];
		mb_tensor *out = &made->tensors[made->n];

		if ((part_of(n, t) & parts) == 0)
			continue;
		status = convert(t, parameters + t->offset, dtype == MB_F16 ? made->halves + used : NULL, err);
		*out =
			(mb_tensor){.name = t->name, .dtype = dtype, .n_dims = t->n_dims, .bytes = t->size * mb_dtype_size(dtype)};
		out->shape[0] = t->shape[0];
		out->shape[1] = t->shape[1];
		if (dtype == MB_F16)
			out->data = made->halves + used;
		else
			out->data = parameters + t->offset;
		used += t->size;
		made->n++;
	}
	if (status != MB_OK)
		model_tensors_release(made);
	return status;
}

void
model_tensors_release(model_tensors *made)
{
	free(made->tensors);
	free(made->halves);
	memset(made, 0, sizeof(*made));
}
