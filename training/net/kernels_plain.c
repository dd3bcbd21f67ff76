/* kernels_plain.c - the definitions: each formula as it is written, in double precision. */
#include "kernels.h"

#include <math.h>

#include "rng.h"

#define PI 3.14159265358979323846

/* ---- activations ------------------------------------------------------------------------------------------------- */

static double
gelu(double x)
{
	return 0.5 * x * erfc(-x / sqrt(2.0));
}

/* (x Phi(x))' = Phi(x) + x phi(x) */
static double
gelu_slope(double x)
{
	return 0.5 * erfc(-x / sqrt(2.0)) + x * exp(-0.5 * x * x) / sqrt(2.0 * PI);
}

static double
logistic(double x)
{
	double e = exp(-fabs(x));

	return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

/* (1 + tanh u)/2 = logistic(2u) */
static double
gelu_tanh(double x)
{
	return x * logistic(2.0 * sqrt(2.0 / PI) * (x + 0.044715 * x * x * x));
}

static double
gelu_tanh_slope(double x)
{
	double u = 2.0 * sqrt(2.0 / PI) * (x + 0.044715 * x * x * x);
	double slope = 2.0 * sqrt(2.0 / PI) * (1.0 + 3.0 * 0.044715 * x * x);

	/* Where the curve is flat, without infinity times zero. */
	if (fabs(u) > 700.0)
		return u > 0.0 ? 1.0 : 0.0;
	return logistic(u) + x * logistic(u) * logistic(-u) * slope;
}

static double
relu(double x)
{
	return x <= 0.0 ? 0.0 : x;
}

static double
relu_slope(double x)
{
	return isnan(x) ? x : x > 0.0 ? 1.0 : 0.0;
}

static double
silu(double x)
{
	return x * logistic(x);
}

static double
silu_slope(double x)
{
	return logistic(x) * (1.0 + x * logistic(-x));
}

#define ELEMENTWISE(f)                                                                                                 \
	static void f##_forward(real *y, const real *x, size_t n)                                                          \
	{                                                                                                                  \
		for (size_t i = 0; i < n; i++)                                                                                 \
			y[i] = (real) f((double) x[i]);                                                                            \
	}                                                                                                                  \
                                                                                                                       \
	static void f##_backward(real *dx, const real *dy, const real *x, size_t n)                                        \
	{                                                                                                                  \
		for (size_t i = 0; i < n; i++)                                                                                 \
			dx[i] = (real) ((double) dy[i] * f##_slope((double) x[i]));                                                \
	}

ELEMENTWISE(gelu)
ELEMENTWISE(gelu_tanh)
ELEMENTWISE(relu)
ELEMENTWISE(silu)
#undef ELEMENTWISE

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static size_t
largest(const real *x, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

static void
softmax_row(real *x, size_t n, real scale)
{
	double top = (double) x[largest(x, n)], sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += exp((double) scale * ((double) x[i] - top));
	for (size_t i = 0; i < n; i++)
		x[i] = (real) (exp((double) scale * ((double) x[i] - top)) / sum);
}

static void
softmax_backward_row(real *dx, const real *y, size_t n, real scale)
{
	double sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += (double) dx[i] * (double) y[i];
	for (size_t i = 0; i < n; i++)
		dx[i] = (real) ((double) scale * (double) y[i] * ((double) dx[i] - sum));
}

static void
softmax(real *x, size_t rows, size_t n, real scale)
{
	for (size_t i = 0; i < rows; i++)
		softmax_row(x + i * n, n, scale);
}

static void
softmax_backward(real *dx, const real *y, size_t rows, size_t n, real scale)
{
	for (size_t i = 0; i < rows; i++)
		softmax_backward_row(dx + i * n, y + i * n, n, scale);
}

static double
cross_entropy(real *x, size_t n, size_t label, real scale, bool grad, bool *correct)
{
	size_t best = largest(x, n);
	double top = (double) x[best], target = (double) x[label], sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += exp((double) x[i] - top);
	*correct = best == label && isfinite(sum);
	if (grad)
		for (size_t i = 0; i < n; i++)
			x[i] = (real) ((double) scale * (exp((double) x[i] - top) / sum - (i == label ? 1.0 : 0.0)));
	return log(sum) + top - target;
}

static void
layer_norm_row(real *y, real *mean, real *rstd, real *x, const real *residual, const real *weight, const real *bias,
			   size_t n, real eps)
{
	double m = 0.0, variance = 0.0, r;

	for (size_t i = 0; residual != NULL && i < n; i++)
		x[i] += residual[i];
	for (size_t i = 0; i < n; i++)
		m += (double) x[i];
	m /= (double) n;
	for (size_t i = 0; i < n; i++)
		variance += ((double) x[i] - m) * ((double) x[i] - m);
	r = 1.0 / sqrt(variance / (double) n + (double) eps);
	for (size_t i = 0; i < n; i++)
		y[i] = (real) (((double) x[i] - m) * r * (double) weight[i] + (double) bias[i]);
	*mean = (real) m;
	*rstd = (real) r;
}

/* With n the normalised x, and g = dy weight: dx = rstd (g - mean(g) - n mean(g n)) */
static void
layer_norm_backward_row(real *dx, real *dweight, real *dbias, const real *dy, const real *x, real mean, real rstd,
						const real *weight, size_t n)
{
	double g = 0.0, gn = 0.0;

	for (size_t i = 0; i < n; i++)
	{
		double normal = ((double) x[i] - (double) mean) * (double) rstd;

		g += (double) dy[i] * (double) weight[i];
		gn += (double) dy[i] * (double) weight[i] * normal;
	}
	g /= (double) n;
	gn /= (double) n;
	for (size_t i = 0; i < n; i++)
	{
		double normal = ((double) x[i] - (double) mean) * (double) rstd;
		double d = (double) dy[i];

		if (dweight != NULL)
			dweight[i] += (real) (d * normal);
		if (dbias != NULL)
			dbias[i] += (real) d;
		dx[i] = (real) ((double) rstd * (d * (double) weight[i] - g - normal * gn));
	}
}

static void
layer_norm(real *y, real *mean, real *rstd, real *x, const real *residual, const real *weight, const real *bias,
		   size_t rows, size_t n, real eps)
{
	for (size_t i = 0; i < rows; i++)
	{
		const real *add = residual != NULL ? residual + i * n : NULL;

		layer_norm_row(y + i * n, mean + i, rstd + i, x + i * n, add, weight, bias, n, eps);
	}
}

static void
layer_norm_backward(real *dx, real *dweight, real *dbias, const real *dy, const real *x, const real *mean,
					const real *rstd, const real *weight, size_t rows, size_t n)
{
	for (size_t i = 0; i < rows; i++)
		layer_norm_backward_row(dx + i * n, dweight, dbias, dy + i * n, x + i * n, mean[i], rstd[i], weight, n);
}

/* ---- matrices ---------------------------------------------------------------------------------------------------- */

static void
add_columns(real *sum, const real *x, size_t rows, size_t n)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < n; i++)
			sum[i] += x[r * n + i];
}

static void
drop(real *x, size_t n, uint64_t key, uint64_t threshold, real factor)
{
	for (size_t i = 0; i < n; i++)
		x[i] = rng_at(key, i) >> 11 >= threshold ? x[i] * factor : (real) 0;
}

const net_kernels net_kernels_plain = {
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
