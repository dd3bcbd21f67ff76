/*
 * kernels_template.h - the body of a kernel set; included once by each kernels_*.c, which defines
 *
 * - SET, SET_NAME: the mb_kernels object, and its name
 * - TILE_ROWS, PASS: rows, and vectors of a row, that a register tile holds
 *
 * and includes one of vectors_*.h for the rest.
 */
#include "vector_math.h"

/* ---- matrix product ---------------------------------------------------------------------------------------------- */

/* How many rows of a panel ahead are fetched: two pages, where the CPU's own prefetching stops at each page's end. */
#define AHEAD ((size_t) 64)
#define CACHE_LINE ((size_t) 16) /* floats */

/* W * PASS columns of the panel at a time, with rows a constant after inlining: the accumulators live in registers. */
KERNEL void
tile_pass(const size_t rows, size_t k, const float *a, size_t lda, const float *panel, bool fetch, const float *init,
		  float *c, size_t ldc)
{
	VF acc[TILE_ROWS][PASS];

#pragma GCC unroll 16
	for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
		for (size_t v = 0; v < PASS; v++)
			acc[r][v] = init != NULL ? V_LOAD(init + v * W) : V_LOAD(c + r * ldc + v * W);
	for (size_t p = 0; p < k; p++)
	{
		VF b[PASS];

#pragma GCC unroll 16
		for (size_t v = 0; v < PASS; v++)
			b[v] = V_LOAD(panel + p * MB_PANEL + v * W);
		if (fetch)
			for (size_t j = 0; j < MB_PANEL; j += CACHE_LINE)
				__builtin_prefetch((const void *) ((uintptr_t) panel + ((p + AHEAD) * MB_PANEL + j) * sizeof(float)));
#pragma GCC unroll 16
		for (size_t r = 0; r < rows; r++)
		{
			VF x = V_SET1(a[r * lda + p]);

#pragma GCC unroll 16
			for (size_t v = 0; v < PASS; v++)
				acc[r][v] = V_FMA(x, b[v], acc[r][v]);
		}
	}
#pragma GCC unroll 16
	for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
		for (size_t v = 0; v < PASS; v++)
			V_STORE(c + r * ldc + v * W, acc[r][v]);
}

TARGET static void
tile(size_t rows, size_t k, const float *a, size_t lda, const float *panel, bool fetch, const float *init, float *c,
	 size_t ldc)
{
	for (size_t column = 0; column < MB_PANEL; column += W * PASS)
	{
		const float *from = init != NULL ? init + column : NULL;

#define TILE_CASE(n)                                                                                                   \
	case n:                                                                                                            \
		tile_pass(n, k, a, lda, panel + column, fetch && column == 0, from, c + column, ldc);                          \
		break
		switch (rows)
		{
			TILE_CASE(1);
#if TILE_ROWS > 1
			TILE_CASE(2);
#endif
#if TILE_ROWS > 3
			TILE_CASE(3);
			TILE_CASE(4);
			TILE_CASE(5);
			TILE_CASE(6);
#endif
#if TILE_ROWS > 6
			TILE_CASE(7);
			TILE_CASE(8);
			TILE_CASE(9);
			TILE_CASE(10);
			TILE_CASE(11);
			TILE_CASE(12);
#endif
			default:
				break;
		}
#undef TILE_CASE
	}
}

/* ---- elementwise functions --------------------------------------------------------------------------------------- */

/* The last n % W elements go through a padded copy, so that they meet the very same instructions. */
#define ELEMENTWISE(name)                                                                                              \
	TARGET static void name(float *x, size_t n)                                                                        \
	{                                                                                                                  \
		size_t i = 0;                                                                                                  \
                                                                                                                       \
		for (; i + W <= n; i += W)                                                                                     \
			V_STORE(x + i, vector_##name(V_LOAD(x + i)));                                                              \
		if (i < n)                                                                                                     \
		{                                                                                                              \
			float rest[W] = {0};                                                                                       \
                                                                                                                       \
			memcpy(rest, x + i, (n - i) * sizeof(float));                                                              \
			V_STORE(rest, vector_##name(V_LOAD(rest)));                                                                \
			memcpy(x + i, rest, (n - i) * sizeof(float));                                                              \
		}                                                                                                              \
	}

ELEMENTWISE(gelu)
ELEMENTWISE(gelu_tanh)
ELEMENTWISE(silu)
ELEMENTWISE(relu)
#undef ELEMENTWISE

/* ---- rows -------------------------------------------------------------------------------------------------------- */

KERNEL float
lane_sum(VF v)
{
	float lanes[W];
	float sum = 0.0f;

	V_STORE(lanes, v);
	for (size_t i = 0; i < W; i++)
		sum += lanes[i];
	return sum;
}

TARGET static void
softmax(float *x, size_t n, float scale)
{
	VF highest = V_SET1(x[0]);
	VF sum = V_SET1(0.0f);
	float lanes[W];
	float top, total, share;
	size_t i = 0;

	for (; i + W <= n; i += W)
		highest = V_MAX(highest, V_LOAD(x + i));
	V_STORE(lanes, highest);
	top = lanes[0];
	for (size_t j = 1; j < W; j++)
		top = lanes[j] > top ? lanes[j] : top;
	for (size_t j = i; j < n; j++)
		top = x[j] > top ? x[j] : top;
	for (i = 0; i + W <= n; i += W)
	{
		VF y = vector_exp(V_MUL(V_SUB(V_LOAD(x + i), V_SET1(top)), V_SET1(scale)));

		V_STORE(x + i, y);
		sum = V_ADD(sum, y);
	}
	total = lane_sum(sum);
	if (i < n)
	{
		float rest[W] = {0};

		memcpy(rest, x + i, (n - i) * sizeof(float));
		V_STORE(rest, vector_exp(V_MUL(V_SUB(V_LOAD(rest), V_SET1(top)), V_SET1(scale))));
		memcpy(x + i, rest, (n - i) * sizeof(float));
		for (size_t j = i; j < n; j++)
			total += x[j];
	}
	share = 1.0f / total;
	for (i = 0; i + W <= n; i += W)
		V_STORE(x + i, V_MUL(V_LOAD(x + i), V_SET1(share)));
	for (; i < n; i++)
		x[i] *= share;
}

TARGET static void
layer_norm(float *x, const float *add, const float *weight, const float *bias, size_t n, float eps)
{
	VF sum = V_SET1(0.0f);
	VF squares = V_SET1(0.0f);
	float mean, variance, scale;
	size_t i;

	if (add != NULL)
	{
		for (i = 0; i + W <= n; i += W)
			V_STORE(x + i, V_ADD(V_LOAD(x + i), V_LOAD(add + i)));
		for (; i < n; i++)
			x[i] += add[i];
	}
	for (i = 0; i + W <= n; i += W)
		sum = V_ADD(sum, V_LOAD(x + i));
	mean = lane_sum(sum);
	for (; i < n; i++)
		mean += x[i];
	mean /= (float) n;

	for (i = 0; i + W <= n; i += W)
	{
		VF d = V_SUB(V_LOAD(x + i), V_SET1(mean));

		squares = V_FMA(d, d, squares);
	}
	variance = lane_sum(squares);
	for (; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean);
	variance /= (float) n;
	scale = 1.0f / sqrtf(variance + eps);

	for (i = 0; i + W <= n; i += W)
	{
		VF d = V_MUL(V_SUB(V_LOAD(x + i), V_SET1(mean)), V_SET1(scale));

		V_STORE(x + i, V_FMA(d, V_LOAD(weight + i), V_LOAD(bias + i)));
	}
	for (; i < n; i++)
		x[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

const mb_kernels SET = {SET_NAME, supported, TILE_ROWS, tile, gelu, gelu_tanh, silu, relu, softmax, layer_norm};
