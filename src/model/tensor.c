/* tensor.c - weights of any stored type -> fp32, exactly. */
#include <stdint.h>
#include <string.h>

#include "moviebert/safetensors.h"

/* IEEE 754 binary16 -> the bits of the equal binary32: every half, subnormal or not, is a normal single. */
static uint32_t
bits_of_half(uint16_t half)
{
	uint32_t sign = (uint32_t) (half & 0x8000) << 16;
	uint32_t exponent = half >> 10 & 0x1f;
	uint32_t fraction = half & 0x3ff;

	if (exponent == 0x1f) /* infinity, or NaN with its payload */
		return sign | 0x7f800000 | fraction << 13;
	if (exponent == 0)
	{
		if (fraction == 0)
			return sign;
		exponent = 1;
		while ((fraction & 0x400) == 0) /* subnormal: shift the leading one to where it is implied */
		{
			fraction <<= 1;
			exponent--;
		}
		fraction &= 0x3ff;
	}
	return sign | (exponent + 127 - 15) << 23 | fraction << 13;
}

bool
mb_tensor_to_f32(const mb_tensor *tensor, size_t first, size_t n, float *out)
{
	size_t size = mb_dtype_size(tensor->dtype);
	const unsigned char *from;

	if (tensor->dtype != MB_F32 && tensor->dtype != MB_F16 && tensor->dtype != MB_BF16)
		return false;
	if (n == 0)
		return true;
	if (first > tensor->bytes / size || n > tensor->bytes / size - first)
		return false;
	from = (const unsigned char *) tensor->data + first * size;
	if (tensor->dtype == MB_F32)
	{
		memcpy(out, from, n * sizeof(float));
		return true;
	}
	for (size_t i = 0; i < n; i++)
	{
		uint16_t stored;
		uint32_t bits;

		memcpy(&stored, from + 2 * i, sizeof(stored));
		bits = tensor->dtype == MB_F16 ? bits_of_half(stored) : (uint32_t) stored << 16; /* bfloat16: the upper half */
		memcpy(&out[i], &bits, sizeof(bits));
	}
	return true;
}
