/*
 * attention.c - each head as two packed matrix products with a softmax between them.
 *
 * K^T and V are packed into the weights' panel layout, so that the same register tiles serve; the scores exist for
 * ROWS queries at a time only.
 */
#include "attention.h"

#include <math.h>

#include "gemm.h"

enum
{
	ROWS = 48 /* a multiple of every tile; 48 x 512 scores are 96 KiB */
};

size_t
mb_attention_scratch(size_t max_length, size_t head_size)
{
	size_t padded = mb_panel_count(max_length) * MB_PANEL;

	return mb_panel_floats(head_size, max_length) + mb_panel_floats(max_length, head_size) + ROWS * padded;
}

bool
mb_attention(float *context, const float *qkv, size_t length, size_t num_heads, size_t head_size, float *scratch,
			 const mb_interrupt *interrupt)
{
	const mb_kernels *kernels = mb_kernels_get();
	size_t hidden = num_heads * head_size;
	size_t stride = 3 * hidden;
	float scale = 1.0f / sqrtf((float) head_size);
	float *keys = scratch;                                       /* panels of K: [d -> L] */
	float *values = keys + mb_panel_floats(head_size, length);   /* panels of V^T: [L -> d] */
	float *scores = values + mb_panel_floats(length, head_size); /* [ROWS,L] */

	for (size_t head = 0; head < num_heads; head++)
	{
		const float *q = qkv + head * head_size;
		const float *k = q + hidden;
		const float *v = k + hidden;

		if (mb_interrupted(interrupt))
			return false;
		mb_pack_panels(k, head_size, length, stride, 1, keys);
		mb_pack_panels(v, length, head_size, 1, stride, values);
		for (size_t first = 0; first < length; first += ROWS)
		{
			size_t rows = length - first < ROWS ? length - first : ROWS;

			mb_gemm(rows, head_size, length, q + first * stride, stride, keys, NULL, scores, length);
			for (size_t r = 0; r < rows; r++)
				kernels->softmax(scores + r * length, length, scale);
			mb_gemm(rows, length, head_size, scores, length, values, NULL, context + first * hidden + head * head_size,
					hidden);
		}
	}
	return true;
}
