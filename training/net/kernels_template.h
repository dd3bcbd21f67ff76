/*
 * kernels_template.h - the body of a set of training's kernels; included once by each kernels_*.c, which includes one
 * of the engine's vectors_*.h, and defines
 *
 * - SET: the net_kernels object
 * - V_SUM, V_LARGEST: of a vector's lanes, in a fixed order; V_LARGEST may lose a NaN
 *
 * Functions, formulas and names are those of kernels_plain.c.  What a row leaves over beside whole vectors is computed
 * number by number where that is a few additions, else as a vector that is filled up.
 */
#include "../../src/nn/vector_math.h"

#include "rng.h"

#define NOTHING V_SET1(0.0f)
#define V_NEGATE(x) V_SUB(NOTHING, x)
#define V_MIN(x, bound) V_NEGATE(V_MAX(V_NEGATE(x), V_SET1(-(bound)))) /* a NaN x stays */

/* The n < W numbers at x, filled up. */
KERNEL VF
load_rest(const float *x, size_t n, float filling)
{
	float rest[W];

	for (size_t i = 0; i < W; i++)
		rest[i] = i < n ? x[i] : filling;
	return V_LOAD(rest);
}

KERNEL void
store_rest(float *x, VF v, size_t n)
{
	float rest[W];

	V_STORE(rest, v);
	memcpy(x, rest, n * sizeof(float));
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

/*
 * (x Phi(x))' = Phi(x) + x phi(x).  With s = z/(2 + z), z = |x|/sqrt 2: Phi(-|x|) = exp(-z^2) P(s), where P is our own
 * fit, off by at most 5e-9 before rounding.  The engine's fit keeps the relative accuracy that x Phi(x) of a negative x
 * needs; of this one the rounding errors vanish with s, so that the whole is off by less than 1.5e-7.
 */
KERNEL VF
slope_gelu(VF x, VF dy)
{
	static const float p[7] = {0.5f,
							   -1.1283786186564158f,
							   0.8716002429732046f,
							   -0.13715457443461654f,
							   -0.1563798028945514f,
							   0.003261455494669703f,
							   0.0514107902023499f};
	VF size = V_ABS(x);
	VF z = V_MUL(size, V_SET1(0.70710678118654752f));
	VF s = V_DIV(z, V_ADD(z, V_SET1(2.0f)));
	VF bell = vector_exp(V_MUL(V_MUL(size, V_SET1(-0.5f)), size));
	VF tail = V_SET1(p[6]);

#pragma GCC unroll 6
	for (int i = 5; i >= 0; i--)
		tail = V_FMA(tail, s, V_SET1(p[i]));
	tail = V_MUL(tail, bell);
	return V_MUL(
		dy, V_FMA(V_MUL(x, V_SET1(0.39894228040143268f)), bell, V_IF_POSITIVE(x, V_SUB(V_SET1(1.0f), tail), tail)));
}

/*
 * With p = 1/(1 + e), e = exp(-u) and slope = u': (x p)' = p + x p (1 - p) slope, and 1 - p = e p.  In the other order
 * the product would overflow where e is large.
 */
KERNEL VF
slope_logistic(VF x, VF u, VF slope)
{
	VF e = vector_exp(V_NEGATE(u));
	VF p = V_DIV(V_SET1(1.0f), V_ADD(V_SET1(1.0f), e));

	return V_FMA(V_MUL(V_MUL(x, slope), V_MUL(e, p)), p, p);
}

/* Beyond the bounds the slope is 0 or 1 but for 1e-34. */
KERNEL VF
slope_gelu_tanh(VF x, VF dy)
{
	VF square, u, slope;

	x = V_MIN(V_MAX(x, V_SET1(-9.8f)), 9.8f);
	square = V_MUL(x, x);
	u = V_MUL(V_MUL(V_SET1(1.59576912160573071f), x), V_FMA(square, V_SET1(0.044715f), V_SET1(1.0f)));
	slope = V_MUL(V_SET1(1.59576912160573071f), V_FMA(square, V_SET1(0.134145f), V_SET1(1.0f)));
	return V_MUL(dy, slope_logistic(x, u, slope));
}

KERNEL VF
slope_silu(VF x, VF dy)
{
	x = V_MIN(V_MAX(x, V_SET1(-85.0f)), 85.0f);
	return V_MUL(dy, slope_logistic(x, x, V_SET1(1.0f)));
}

/* Of a NaN x, and of a dy that is not finite, the product beside is NaN; else 0. */
KERNEL VF
slope_relu(VF x, VF dy)
{
	return V_IF_POSITIVE(x, dy, V_MUL(vector_relu(x), dy));
}

#define ELEMENTWISE(f)                                                                                                 \
	TARGET static void f##_forward(float *y, const float *x, size_t n)                                                 \
	{                                                                                                                  \
		size_t i = 0;                                                                                                  \
                                                                                                                       \
		for (; i + W <= n; i += W)                                                                                     \
			V_STORE(y + i, vector_##f(V_LOAD(x + i)));                                                                 \
		if (i < n)                                                                                                     \
			store_rest(y + i, vector_##f(load_rest(x + i, n - i, 0.0f)), n - i);                                       \
	}                                                                                                                  \
                                                                                                                       \
	TARGET static void f##_backward(float *dx, const float *dy, const float *x, size_t n)                              \
	{                                                                                                                  \
		size_t i = 0;                                                                                                  \
                                                                                                                       \
		for (; i + W <= n; i += W)                                                                                     \
			V_STORE(dx + i, slope_##f(V_LOAD(x + i), V_LOAD(dy + i)));                                                 \
		if (i < n)                                                                                                     \
			store_rest(dx + i, slope_##f(load_rest(x + i, n - i, 0.0f), load_rest(dy + i, n - i, 0.0f)), n - i);       \
	}

ELEMENTWISE(gelu)
ELEMENTWISE(gelu_tanh)
ELEMENTWISE(relu)
ELEMENTWISE(silu)
#undef ELEMENTWISE

/* ---- softmax ----------------------------------------------------------------------------------------------------- */

/* -infinity of none.  A NaN may be lost here; it is met again in the sum. */
KERNEL float
largest(const float *x, size_t n)
{
	VF a = V_SET1(-INFINITY), b = a;
	size_t i = 0;

	for (; i + 2 * W <= n; i += 2 * W)
	{
		a = V_MAX(a, V_LOAD(x + i));
		b = V_MAX(b, V_LOAD(x + i + W));
	}
	if (i + W <= n)
	{
		a = V_MAX(a, V_LOAD(x + i));
		i += W;
	}
	if (i < n)
		b = V_MAX(b, load_rest(x + i, n - i, -INFINITY));
	return V_LARGEST(V_MAX(a, b));
}

/* x = exp(scale (x - top)); returns the sum */
KERNEL float
exponentials(float *x, size_t n, float top, float scale)
{
	VF a = NOTHING, b = NOTHING;
	size_t i = 0;

#define EXPONENTIAL(v) vector_exp(V_MUL(V_SUB(v, V_SET1(top)), V_SET1(scale)))
	for (; i + 2 * W <= n; i += 2 * W)
	{
		VF y = EXPONENTIAL(V_LOAD(x + i)), z = EXPONENTIAL(V_LOAD(x + i + W));

		V_STORE(x + i, y);
		V_STORE(x + i + W, z);
		a = V_ADD(a, y);
		b = V_ADD(b, z);
	}
	if (i + W <= n)
	{
		VF y = EXPONENTIAL(V_LOAD(x + i));

		V_STORE(x + i, y);
		a = V_ADD(a, y);
		i += W;
	}
	if (i < n)
	{
		/* What is filled up counts as 0, but where all is NaN. */
		VF y = EXPONENTIAL(load_rest(x + i, n - i, -INFINITY));

		store_rest(x + i, y, n - i);
		b = V_ADD(b, y);
	}
#undef EXPONENTIAL
	return V_SUM(V_ADD(a, b));
}

KERNEL void
multiply(float *x, size_t n, float factor)
{
	size_t i = 0;

	for (; i + W <= n; i += W)
		V_STORE(x + i, V_MUL(V_LOAD(x + i), V_SET1(factor)));
	for (; i < n; i++)
		x[i] *= factor;
}

KERNEL void
softmax_row(float *x, size_t n, float scale)
{
	multiply(x, n, 1.0f / exponentials(x, n, largest(x, n), scale));
}

KERNEL void
softmax_backward_row(float *dx, const float *y, size_t n, float scale)
{
	VF sums = NOTHING;
	float sum;
	size_t i = 0;

	for (; i + W <= n; i += W)
		sums = V_FMA(V_LOAD(dx + i), V_LOAD(y + i), sums);
	if (i < n)
		sums = V_FMA(load_rest(dx + i, n - i, 0.0f), load_rest(y + i, n - i, 0.0f), sums);
	sum = V_SUM(sums);
	for (i = 0; i + W <= n; i += W)
		V_STORE(dx + i, V_MUL(V_MUL(V_LOAD(y + i), V_SET1(scale)), V_SUB(V_LOAD(dx + i), V_SET1(sum))));
	for (; i < n; i++)
		dx[i] = y[i] * scale * (dx[i] - sum);
}

TARGET static void
softmax(float *x, size_t rows, size_t n, float scale)
{
	for (size_t i = 0; i < rows; i++)
		softmax_row(x + i * n, n, scale);
}

TARGET static void
softmax_backward(float *dx, const float *y, size_t rows, size_t n, float scale)
{
	for (size_t i = 0; i < rows; i++)
		softmax_backward_row(dx + i * n, y + i * n, n, scale);
}

TARGET static double
cross_entropy(float *x, size_t n, size_t label, float scale, bool grad, bool *correct)
{
	float target = x[label], before = largest(x, label), behind = largest(x + label, n - label);
	float top = before > behind ? before : behind;
	float sum = exponentials(x, n, top, 1.0f);

	*correct = target > before && target == behind && isfinite(sum);
	if (grad)
	{
		multiply(x, n, scale / sum);
		x[label] -= scale;
	}
	return log((double) sum) + ((double) top - (double) target);
}

/* ---- LayerNorm --------------------------------------------------------------------------------------------------- */

KERNEL void
layer_norm_row(float *y, float *mean, float *rstd, float *x, const float *residual, const float *weight,
			   const float *bias, size_t n, float eps)
{
	VF sums = NOTHING;
	float m, r, rest = 0.0f;
	size_t i = 0;

	for (; i + W <= n; i += W)
	{
		VF v = V_LOAD(x + i);

		if (residual != NULL)
		{
			v = V_ADD(v, V_LOAD(residual + i));
			V_STORE(x + i, v);
		}
		sums = V_ADD(sums, v);
	}
	for (; i < n; i++)
	{
		if (residual != NULL)
			x[i] += residual[i];
		rest += x[i];
	}
	m = (V_SUM(sums) + rest) / (float) n;

	sums = NOTHING;
	rest = 0.0f;
	for (i = 0; i + W <= n; i += W)
	{
		VF d = V_SUB(V_LOAD(x + i), V_SET1(m));

		sums = V_FMA(d, d, sums);
	}
	for (; i < n; i++)
		rest += (x[i] - m) * (x[i] - m);
	r = 1.0f / sqrtf((V_SUM(sums) + rest) / (float) n + eps);

	for (i = 0; i + W <= n; i += W)
	{
		VF d = V_MUL(V_SUB(V_LOAD(x + i), V_SET1(m)), V_SET1(r));

		V_STORE(y + i, V_FMA(d, V_LOAD(weight + i), V_LOAD(bias + i)));
	}
	for (; i < n; i++)
		y[i] = (x[i] - m) * r * weight[i] + bias[i];
	*mean = m;
	*rstd = r;
}

KERNEL void
layer_norm_backward_row(float *dx, float *dweight, float *dbias, const float *dy, const float *x, float mean,
						float rstd, const float *weight, size_t n)
{
	VF g = NOTHING, gn = NOTHING;
	float mean_g, mean_gn, rest_g = 0.0f, rest_gn = 0.0f;
	size_t i = 0;

#define NORMAL(at) V_MUL(V_SUB(V_LOAD(x + (at)), V_SET1(mean)), V_SET1(rstd))
	for (; i + W <= n; i += W)
	{
		VF each = V_MUL(V_LOAD(dy + i), V_LOAD(weight + i));

		g = V_ADD(g, each);
		gn = V_FMA(each, NORMAL(i), gn);
	}
	for (; i < n; i++)
	{
		rest_g += dy[i] * weight[i];
		rest_gn += dy[i] * weight[i] * ((x[i] - mean) * rstd);
	}
	mean_g = (V_SUM(g) + rest_g) / (float) n;
	mean_gn = (V_SUM(gn) + rest_gn) / (float) n;

	for (i = 0; i + W <= n; i += W)
	{
		VF d = V_LOAD(dy + i), normal = NORMAL(i);
		VF each = V_SUB(V_MUL(d, V_LOAD(weight + i)), V_SET1(mean_g));

		if (dweight != NULL)
			V_STORE(dweight + i, V_FMA(d, normal, V_LOAD(dweight + i)));
		if (dbias != NULL)
			V_STORE(dbias + i, V_ADD(d, V_LOAD(dbias + i)));
		V_STORE(dx + i, V_MUL(V_SET1(rstd), V_SUB(each, V_MUL(normal, V_SET1(mean_gn)))));
	}
#undef NORMAL
	for (; i < n; i++)
	{
		float d = dy[i], normal = (x[i] - mean) * rstd;

		if (dweight != NULL)
			dweight[i] += d * normal;
		if (dbias != NULL)
			dbias[i] += d;
		dx[i] = rstd * (d * weight[i] - mean_g - normal * mean_gn);
	}
}

TARGET static void
layer_norm(float *y, float *mean, float *rstd, float *x, const float *residual, const float *weight, const float *bias,
		   size_t rows, size_t n, float eps)
{
	for (size_t i = 0; i < rows; i++)
	{
		const float *add = residual != NULL ? residual + i * n : NULL;

		layer_norm_row(y + i * n, mean + i, rstd + i, x + i * n, add, weight, bias, n, eps);
	}
}

TARGET static void
layer_norm_backward(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *mean,
					const float *rstd, const float *weight, size_t rows, size_t n)
{
	for (size_t i = 0; i < rows; i++)
		layer_norm_backward_row(dx + i * n, dweight, dbias, dy + i * n, x + i * n, mean[i], rstd[i], weight, n);
}

/* ---- matrices ---------------------------------------------------------------------------------------------------- */

/* Eight rows at a time, in pairs: so the sums are read and written once for eight rows. */
TARGET static void
add_columns(float *sum, const float *x, size_t rows, size_t n)
{
	size_t r = 0;

	for (; r + 8 <= rows; r += 8, x += 8 * n)
	{
		size_t i = 0;

#define PAIR(load, add, a) add(load(x + (a) *n + i), load(x + ((a) + 1) * n + i))
		for (; i + W <= n; i += W)
		{
			VF low = V_ADD(PAIR(V_LOAD, V_ADD, 0), PAIR(V_LOAD, V_ADD, 2));
			VF high = V_ADD(PAIR(V_LOAD, V_ADD, 4), PAIR(V_LOAD, V_ADD, 6));

			V_STORE(sum + i, V_ADD(V_LOAD(sum + i), V_ADD(low, high)));
		}
#undef PAIR
#define PAIR(a) (x[(a) *n + i] + x[((a) + 1) * n + i])
		for (; i < n; i++)
			sum[i] += (PAIR(0) + PAIR(2)) + (PAIR(4) + PAIR(6));
#undef PAIR
	}
	for (; r < rows; r++, x += n)
	{
		size_t i = 0;

		for (; i + W <= n; i += W)
			V_STORE(sum + i, V_ADD(V_LOAD(sum + i), V_LOAD(x + i)));
		for (; i < n; i++)
			sum[i] += x[i];
	}
}

/* ---- dropout ----------------------------------------------------------------------------------------------------- */

#define HALF (W / 2)

/* A vector's worth of 64-bit words, and as many 32-bit words and numbers: the compilers' vectors, for any set. */
typedef uint64_t words __attribute__((vector_size(HALF * sizeof(uint64_t))));
typedef int64_t signed_words __attribute__((vector_size(HALF * sizeof(int64_t))));
typedef int32_t half_words __attribute__((vector_size(HALF * sizeof(int32_t))));
typedef float half_floats __attribute__((vector_size(HALF * sizeof(float))));

/* rng_mix of each */
KERNEL words
mix(words z)
{
	z += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

TARGET static void
drop(float *x, size_t n, uint64_t key, uint64_t threshold, float factor)
{
	words number;
	size_t i = 0;

	for (size_t j = 0; j < HALF; j++)
		number[j] = j;
	for (; i + HALF <= n; i += HALF, number += HALF)
	{
		signed_words draw = (signed_words) (mix(mix(number) ^ key) >> 11);
		half_words keep = __builtin_convertvector(draw >= (int64_t) threshold, half_words);
		half_floats v;

		memcpy(&v, x + i, sizeof(v));
		v = (half_floats) ((half_words) (v * factor) & keep);
		memcpy(x + i, &v, sizeof(v));
	}
	for (; i < n; i++)
		x[i] = rng_at(key, i) >> 11 >= threshold ? x[i] * factor : 0.0f;
}

const net_kernels SET = {
	.activation = {gelu_forward, gelu_tanh_forward, relu_forward, silu_forward},
	.activation_backward = {gelu_backward, gelu_tanh_backward, relu_backward, silu_backward},
	.softmax = softmax,
	.softmax_backward = softmax_backward,
	.cross_entropy = cross_entropy,
	.layer_norm = layer_norm,
	.layer_norm_backward = layer_norm_backward,
	.add_columns = add_columns,
	.dropout = drop,
};
