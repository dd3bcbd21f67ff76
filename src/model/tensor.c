/* tensor.c - weights of any stored type -> fp32, exactly; fp32 -> fp16, to the nearest. */
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

/* fraction without its lowest `shift` bits, rounded to nearest, ties to even. */
static uint32_t
round_off(uint32_t fraction, uint32_t shift)
{
	uint32_t kept = fraction >> shift;
	uint32_t rest = fraction - (kept << shift), middle = (uint32_t) 1 << (shift - 1);

	return rest > middle || (rest == middle && (kept & 1) != 0) ? kept + 1 : kept;
}

/* The inverse of bits_of_half for numbers; a carry out of the fraction goes into the exponent, where it belongs. */
static uint16_t
half_of_bits(uint32_t bits)
{
	uint32_t sign = bits >> 16 & 0x8000;
	uint32_t exponent = bits >> 23 & 0xff;
	uint32_t fraction = bits & 0x7fffff;
	uint32_t half;

	if (exponent < 127 - 25) /* less than half of the smallest subnormal */
		half = 0;
	else if (exponent < 127 - 14)
		half = round_off(fraction | 0x800000, 126 - exponent);
	else
		half = round_off((exponent - 127 + 15) << 23 | fraction, 13);
	return (uint16_t) (sign | half);
}

bool
mb_f32_to_f16(const float *in, size_t n, uint16_t *out)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t bits;

		memcpy(&bits, &in[i], sizeof(bits));
		/* From 65,520 on the nearest would be 65,536, which is not there. */
		if ((bits & 0x7fffffff) >= 0x477ff000)
			return false;
		out[i] = half_of_bits(bits);
	}
	return true;
}
