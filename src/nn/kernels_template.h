/*
 * kernels_template.h - the body of a kernel set; included once by each kernels_*.c, which defines
 *
 * - SET, SET_NAME, TARGET: the mb_kernels object, its name, and the attribute that names the instruction set
 * - W, VF: lanes of a vector, and its type
 * - TILE_ROWS, PASS: rows, and vectors of a row, that a register tile holds
 * - V_LOAD, V_STORE (any alignment), V_SET1, V_ADD, V_SUB, V_MUL, V_DIV, V_ABS; V_FMA(a, b, c) = a * b + c
 * - V_MAX(x, bound): the larger one; a NaN x stays
 * - V_ROUND(x): the nearest integer, as float, |x| < 2^22
 * - V_EXP2I(n): 2^n of an integral float, |n| <= 126
 * - V_IF_POSITIVE(x, a, b): x > 0 ? a : b, lane by lane
 */
#define KERNEL TARGET static inline __attribute__((always_inline))

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

/*
 * exp(x) for x <= 87: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its Taylor series to r^7 (remainder below 6e-9).
 * ln 2 is split so that the product of n and its high part is exact.  Below -80 the result is 0: nothing beside the 1
 * that every user of this function adds it to, and never a denormal, which is slow to compute with.
 */
KERNEL VF
vector_exp(VF x)
{
	VF below = V_SUB(V_SET1(-80.0f), x);
	VF n, r, y;

	x = V_MAX(x, V_SET1(-80.0f));
	n = V_ROUND(V_MUL(x, V_SET1(1.44269504088896340736f)));
	r = V_FMA(n, V_SET1(-0.693359375f), x);
	r = V_FMA(n, V_SET1(2.12194440054690583e-4f), r);
	y = V_SET1(1.0f / 5040.0f);
	y = V_FMA(y, r, V_SET1(1.0f / 720.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 120.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 24.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 6.0f));
	y = V_FMA(y, r, V_SET1(0.5f));
	y = V_FMA(y, r, V_SET1(1.0f));
	y = V_FMA(y, r, V_SET1(1.0f));
	y = V_MUL(y, V_EXP2I(n));
	return V_IF_POSITIVE(below, V_SET1(0.0f), y);
}

/*
 * gelu(x) = x Phi(x), with Phi(-|x|) = erfc(z)/2 and z = |x|/sqrt 2.  erfc(z) exp(z^2) = t P(t), t = 1/(1 + z/3 *
 * 0.99): P is our own weighted least-squares fit of degree 9 over 0 <= z <= 9, relative error 2.3e-9 before rounding.
 * Negative x thus keeps a relative accuracy of 2e-5 down to -11.5, and positive x is x minus a small term.
 */
KERNEL VF
vector_gelu(VF x)
{
	static const float p[10] = {0.18613580786962836f,  0.18717819438129069f, 0.16673131678354794f, 0.20610512951445403f,
								-0.04661878693899769f, 0.49052924468104553f, -0.546174026239328f,  0.6161543691742369f,
								-0.31853839732509953f, 0.05849714812563942f};
	VF size = V_ABS(x);
	VF z = V_MUL(size, V_SET1(0.70710678118654752f));
	VF t = V_DIV(V_SET1(1.0f), V_FMA(z, V_SET1(0.33f), V_SET1(1.0f)));
	VF y = V_SET1(p[9]);
	VF tail;

#pragma GCC unroll 9
	for (int i = 8; i >= 0; i--)
		y = V_FMA(y, t, V_SET1(p[i]));
	y = V_MUL(V_MUL(y, t), vector_exp(V_SUB(V_SET1(0.0f), V_MUL(z, z))));
	tail = V_MUL(V_MUL(V_SET1(0.5f), size), y);
	return V_IF_POSITIVE(x, V_SUB(x, tail), V_SUB(V_SET1(0.0f), tail));
}

/* x / (1 + exp(-x)), which at -85 is 1e-35, and taken as that from there on: exp would overflow. */
KERNEL VF
vector_silu(VF x)
{
	x = V_MAX(x, V_SET1(-85.0f));
	return V_DIV(x, V_ADD(V_SET1(1.0f), vector_exp(V_SUB(V_SET1(0.0f), x))));
}

/*
 * (1 + tanh u)/2 = 1/(1 + exp(-2u)), so the tanh form of GELU is x times a logistic.  At -9.8 it is -1e-35, and taken
 * as that from there on.
 */
KERNEL VF
vector_gelu_tanh(VF x)
{
	VF cube, minus_twice_u;

	x = V_MAX(x, V_SET1(-9.8f));
	cube = V_MUL(V_MUL(x, x), x);
	minus_twice_u = V_MUL(V_SET1(-1.59576912160573071f), V_FMA(cube, V_SET1(0.044715f), x));
	return V_DIV(x, V_ADD(V_SET1(1.0f), vector_exp(minus_twice_u)));
}

KERNEL VF
vector_relu(VF x)
{
	return V_MAX(x, V_SET1(0.0f));
}

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
