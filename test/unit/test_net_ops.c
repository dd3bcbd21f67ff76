/*
 * test_net_ops.c - training's operations in float, with every kernel set that this CPU can run, against definitions in
 * double precision.
 *
 * test_net_gradients.c shows in double precision that each backward belongs to its forward; here it is shown that float,
 * and the vectors, compute the same.  valgrind and some virtual machines hide instruction sets; what they hide is not
 * tested there.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "moviebert/encoder.h"
#include "training/net/kernels.h"
#include "training/net/ops.h"
#include "training/net/rng.h"

#define PI 3.14159265358979323846
#define EPS 1e-5f

static const char *const set_names[] = {"avx512", "avx2", "portable"};

static bool slow_machine;
static uint64_t drawn;
static const char *set_name; /* under test */

static double
uniform(double low, double high)
{
	return low + (high - low) * rng_uniform(42, drawn++);
}

/* Exactly n floats from malloc, so that valgrind and AddressSanitizer see a step beside them. */
static float *
randoms(size_t n, double low, double high)
{
	float *x = malloc(n > 0 ? n * sizeof(float) : 1);

	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = (float) uniform(low, high);
	return x;
}

static float *
copy(const float *x, size_t n)
{
	float *y = malloc(n > 0 ? n * sizeof(float) : 1);

	assert_non_null(y);
	memcpy(y, x, n * sizeof(float));
	return y;
}

static double *
doubles(size_t n)
{
	double *x = calloc(n > 0 ? n : 1, sizeof(double));

	assert_non_null(x);
	return x;
}

/* Equal as bits: a NaN is equal to itself, 0 is not -0. */
static bool
same_bits(const float *a, const float *b, size_t n)
{
	return memcmp(a, b, n * sizeof(float)) == 0;
}

static void
check(double got, double expected, double tolerance, const char *format, ...)
{
	char what[200];
	va_list args;

	if (fabs(got - expected) <= tolerance)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fail_msg("%s: %s is %.9g, expected %.9g, off by %.3g of %.3g allowed", set_name, what, got, expected,
			 fabs(got - expected), tolerance);
}

/* Runs a test once for each set, the plain one included where it asks for kernels itself. */
static void
for_each_set(void (*test)(const net_kernels *kernels), bool plain)
{
	size_t tested = 0;

	for (size_t i = 0; i < sizeof(set_names) / sizeof(set_names[0]); i++)
		if (mb_kernel_select(set_names[i]))
		{
			drawn = 0;
			set_name = set_names[i];
			test(net_kernels_get());
			tested++;
		}
	assert_true(tested > 0);
	if (plain)
	{
		drawn = 0;
		set_name = "plain";
		test(&net_kernels_plain);
	}
}

/* The engine's choice is training's, too: no two names stand for one set. */
static void
each_set_is_its_own(void **unused)
{
	const net_kernels *seen[3] = {NULL};
	size_t n = 0;

	(void) unused;
	for (size_t i = 0; i < 3; i++)
	{
		bool can = mb_kernel_select(set_names[i]);

		print_message("%s: %s\n", set_names[i], can ? "tested" : "not supported here");
		if (can)
			seen[n++] = net_kernels_get();
		for (size_t j = 0; can && j + 1 < n; j++)
			assert_ptr_not_equal(seen[j], seen[n - 1]);
	}
	assert_ptr_equal(seen[n - 1], &net_kernels_portable);
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

static double
logistic(double x)
{
	return x < -700.0 ? 0.0 : 1.0 / (1.0 + exp(-x));
}

static double
gelu(double x)
{
	return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double
gelu_slope(double x)
{
	return 0.5 * erfc(-x / sqrt(2.0)) + x * exp(-0.5 * x * x) / sqrt(2.0 * PI);
}

static double
gelu_tanh(double x)
{
	return x * logistic(2.0 * sqrt(2.0 / PI) * (x + 0.044715 * x * x * x));
}

static double
gelu_tanh_slope(double x)
{
	double t = tanh(sqrt(2.0 / PI) * (x + 0.044715 * x * x * x));

	/* 1 - t^2 is 0 there, and its factor may be infinite. */
	if (fabs(x) > 20.0)
		return x > 0.0 ? 1.0 : 0.0;
	return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * sqrt(2.0 / PI) * (1.0 + 3.0 * 0.044715 * x * x);
}

static double
relu(double x)
{
	return x > 0.0 ? x : 0.0;
}

static double
relu_slope(double x)
{
	return x > 0.0 ? 1.0 : 0.0;
}

static double
silu(double x)
{
	return x * logistic(x);
}

static double
silu_slope(double x)
{
	return logistic(x) + x * logistic(x) * (1.0 - logistic(x));
}

static const struct
{
	const char *name;
	double (*value)(double x), (*slope)(double x);
	double allowed, slope_allowed; /* errors: of the value, times max(1, |x|); of the slope */
} functions[NET_ACTIVATIONS] = {
	[MB_GELU] = {"gelu", gelu, gelu_slope, 1.5e-7, 1.5e-7},
	[MB_GELU_TANH] = {"gelu_tanh", gelu_tanh, gelu_tanh_slope, 1.5e-7, 2.5e-7},
	[MB_RELU] = {"relu", relu, relu_slope, 0.0, 0.0},
	[MB_SILU] = {"silu", silu, silu_slope, 1.5e-7, 2e-7},
};

/* Both signs of every exponent, denormals included, with random mantissas; many numbers of usual size; the ends; zero. */
static float *
every_exponent(size_t *n)
{
	const float ends[] = {0.0f,     -0.0f,        FLT_MAX,       -FLT_MAX, FLT_MIN,
						  -FLT_MIN, FLT_TRUE_MIN, -FLT_TRUE_MIN, 9.8f,     -9.8f};
	size_t each = slow_machine ? 2 : 50, usual = slow_machine ? 500 : 200000, i = 0;
	float *x;

	*n = 2 * 255 * each + usual + sizeof(ends) / sizeof(ends[0]);
	x = malloc(*n * sizeof(float));
	assert_non_null(x);
	for (uint32_t sign = 0; sign < 2; sign++)
		for (uint32_t exponent = 0; exponent < 255; exponent++)
			for (size_t j = 0; j < each; j++)
			{
				uint32_t bits = sign << 31 | exponent << 23 | (uint32_t) rng_at(7, i) >> 9;

				memcpy(&x[i++], &bits, sizeof(bits));
			}
	for (size_t j = 0; j < usual; j++)
		x[i++] = (float) uniform(-15.0, 15.0);
	memcpy(x + i, ends, sizeof(ends));
	return x;
}

static void
activations(const net_kernels *kernels)
{
	size_t n;
	float *x = every_exponent(&n), *y = copy(x, n), *one = randoms(n, 1.0, 1.0), *dx = copy(x, n);

	for (size_t f = 0; f < NET_ACTIVATIONS; f++)
	{
		double worst = 0.0, at = 0.0;

		kernels->activation[f](y, x, n);
		kernels->activation_backward[f](dx, one, x, n);
		for (size_t i = 0; i < n; i++)
		{
			double slope = functions[f].slope(x[i]);

			check(y[i], functions[f].value(x[i]), functions[f].allowed * fmax(1.0, fabs(x[i])), "%s(%.9g)",
				  functions[f].name, x[i]);
			check(dx[i], slope, functions[f].slope_allowed, "slope of %s at %.9g", functions[f].name, x[i]);
			if (fabs(dx[i] - slope) > worst)
			{
				worst = fabs(dx[i] - slope);
				at = x[i];
			}
		}
		print_message("%s: slope of %s off by at most %.2g, at %.6g\n", set_name, functions[f].name, worst, at);

		/* The same number at every place of every short length, in place, and times dy. */
		for (size_t length = 0; length <= 40; length++)
		{
			float *z = copy(x + 100, length), *dz = randoms(length, 1.0, 1.0);

			kernels->activation[f](z, z, length);
			assert_true(same_bits(z, y + 100, length));
			kernels->activation_backward[f](dz, dz, x + 100, length);
			assert_true(same_bits(dz, dx + 100, length));
			for (size_t i = 0; i < length; i++)
				dz[i] = -3.0f;
			kernels->activation_backward[f](dz, dz, x + 100, length);
			for (size_t i = 0; i < length; i++)
				check(dz[i], -3.0 * dx[100 + i], 1e-6, "%s's backward of -3", functions[f].name);
			free(dz);
			free(z);
		}
		/* What is not a number is not hidden, neither in x nor in dy. */
		for (size_t length = 1; length <= 33; length++)
		{
			float *z = randoms(length, -9.0, 9.0), *dz = randoms(length, -1.0, 1.0), *out = copy(z, length);

			z[length - 1] = NAN;
			kernels->activation[f](out, z, length);
			assert_true(isnan(out[length - 1]));
			kernels->activation_backward[f](out, dz, z, length);
			assert_true(isnan(out[length - 1]));
			z[length - 1] = length % 2 == 0 ? 3.0f : -3.0f;
			dz[length - 1] = NAN;
			kernels->activation_backward[f](out, dz, z, length);
			assert_true(isnan(out[length - 1]));
			for (size_t i = 0; i + 1 < length; i++)
				assert_true(isfinite(out[i]));
			free(out);
			free(dz);
			free(z);
		}
	}
	free(dx);
	free(one);
	free(y);
	free(x);
}

/* ---- softmax, cross entropy -------------------------------------------------------------------------------------- */

/* y = softmax(scale x); returns log of the sum that it divides by, times the largest */
static double
define_softmax(double *y, const float *x, size_t n, double scale)
{
	double top = -INFINITY, sum = 0.0;

	for (size_t i = 0; i < n; i++)
		top = fmax(top, x[i]);
	for (size_t i = 0; i < n; i++)
		sum += y[i] = exp(scale * (x[i] - top));
	for (size_t i = 0; i < n; i++)
		y[i] /= sum;
	return log(sum) + scale * top;
}

/* Rounding an exponent costs a relative error of its size; below -80 the vectors say 0. */
static double
softmax_error(double share)
{
	return share * (1e-6 + 2e-7 * fmin(-log(share + 1e-40), 100.0)) + 2e-35;
}

static void
softmaxes(const net_kernels *kernels)
{
	for (size_t n = 1; n <= 600; n += n < 70 ? 1 : 53)
		for (int kind = 0; kind < 4; kind++)
		{
			float scale = kind == 1 ? 0.17677669f : 1.0f;
			float *x = randoms(n, -5.0, 5.0), *y, *dx = randoms(n, -2.0, 2.0), *before;
			double *share = doubles(n), sum = 0.0, total = 0.0;

			if (kind == 2)
				x[n - 1] = 300.0f; /* alone at the top, in what vectors leave over */
			for (size_t i = 0; kind == 3 && i < n; i++)
				x[i] = i % 2 == 0 ? FLT_MAX : -FLT_MAX;
			y = copy(x, n);
			before = copy(dx, n);
			define_softmax(share, x, n, scale);
			kernels->softmax(y, 1, n, scale);
			for (size_t i = 0; i < n; i++)
			{
				check(y[i], share[i], softmax_error(share[i]), "softmax [%zu] of %zu", i, n);
				total += y[i];
				sum += (double) y[i] * dx[i];
			}
			check(total, 1.0, 2e-6, "sum of softmax of %zu", n);
			kernels->softmax_backward(dx, y, 1, n, scale);
			for (size_t i = 0; i < n; i++)
				check(dx[i], scale * y[i] * (before[i] - sum), 2e-6 * y[i] + 1e-40, "softmax's backward [%zu] of %zu", i,
					  n);
			free(share);
			free(before);
			free(dx);
			free(y);
			free(x);
		}
	for (size_t n = 1; n <= 40; n++)
		for (size_t at = 0; at < n; at++)
			for (int kind = 0; kind < 2; kind++)
			{
				float *x = randoms(n, -1.0, 1.0), *dx = randoms(n, -1.0, 1.0), *y = copy(x, n);

				x[at] = kind == 0 ? NAN : INFINITY;
				kernels->softmax(x, 1, n, 1.0f);
				for (size_t i = 0; i < n; i++)
					assert_true(isnan(x[i]));
				dx[at] = kind == 0 ? NAN : INFINITY;
				kernels->softmax_backward(dx, y, 1, n, 1.0f);
				for (size_t i = 0; i < n; i++)
					assert_false(isfinite(dx[i]));
				free(y);
				free(dx);
				free(x);
			}
}

static void
check_entropy(const net_kernels *kernels, const float *x, size_t n, size_t label, bool wanted)
{
	const float scale = 0.37f;
	float *d = copy(x, n), *left = copy(x, n);
	double *share = doubles(n);
	double loss = define_softmax(share, x, n, 1.0) - x[label];
	bool correct = !wanted;

	check(kernels->cross_entropy(d, n, label, scale, true, &correct), loss, 3e-7 * fmax(1.0, loss),
		  "cross entropy of %zu of %zu", label, n);
	assert_int_equal(correct, wanted);
	for (size_t i = 0; i < n; i++)
		check(d[i], scale * (share[i] - (i == label ? 1.0 : 0.0)),
			  scale * (softmax_error(share[i]) + (i == label ? 1e-7 : 0.0)), "cross entropy's gradient [%zu] of %zu", i,
			  n);
	check(kernels->cross_entropy(left, n, label, scale, false, &correct), loss, 3e-7 * fmax(1.0, loss),
		  "cross entropy alone");
	assert_int_equal(correct, wanted);
	free(share);
	free(left);
	free(d);
}

static void
cross_entropies(const net_kernels *kernels)
{
	static const size_t sizes[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257, 1000, 8192, 8191};
	bool correct;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]) - (slow_machine ? 2 : 0); s++)
	{
		size_t n = sizes[s];

		for (int draw = 0; draw < 6; draw++)
		{
			float *x = randoms(n, -8.0, 8.0);
			size_t label = draw == 0 ? 0 : draw == 1 ? n - 1 : rng_below(5, drawn++, n);

			x[label] = -3.0f;
			x[(label + 1) % n] = 9.0f;
			check_entropy(kernels, x, n, label, n == 1);
			x[label] = 9.5f;
			check_entropy(kernels, x, n, label, true);
			/* Of equal ones the first counts. */
			x[(label + 1) % n] = 9.5f;
			check_entropy(kernels, x, n, label, n == 1 || label + 1 < n);
			x[label] = 60.0f; /* as sure as can be */
			check_entropy(kernels, x, n, label, true);
			for (size_t i = 0; i < n; i++)
				x[i] = 100.0f;
			check_entropy(kernels, x, n, label, label == 0);
			for (int kind = 0; kind < 2; kind++)
			{
				size_t at = rng_below(6, drawn++, n);
				float *d = copy(x, n);

				d[at] = kind == 0 ? NAN : INFINITY;
				assert_false(isfinite(kernels->cross_entropy(d, n, label, 1.0f, true, &correct)));
				assert_false(correct);
				for (size_t i = 0; i < n; i++)
					assert_true(isnan(d[i]));
				free(d);
			}
			free(x);
		}
	}
}

/* ---- LayerNorm --------------------------------------------------------------------------------------------------- */

static void
check_layer_norm(const net_kernels *kernels, size_t n, double center, double spread, bool residual, double tolerance)
{
	float *x = randoms(n, center - spread, center + spread), *add = randoms(n, -1.0, 1.0), *sum = copy(x, n);
	float *weight = randoms(n, -2.0, 2.0), *bias = randoms(n, -1.0, 1.0), *dy = randoms(n, -1.0, 1.0);
	float *y = copy(x, n), *dx = copy(dy, n), *dweight = randoms(n, 0.5, 0.5), *dbias = randoms(n, 0.25, 0.25);
	float mean, rstd;
	double m = 0.0, variance = 0.0, r, g = 0.0, gn = 0.0;

	kernels->layer_norm(y, &mean, &rstd, sum, residual ? add : NULL, weight, bias, 1, n, EPS);
	for (size_t i = 0; i < n; i++)
	{
		assert_true(sum[i] == (residual ? x[i] + add[i] : x[i]));
		m += (double) sum[i] / (double) n;
	}
	for (size_t i = 0; i < n; i++)
		variance += (sum[i] - m) * (sum[i] - m) / (double) n;
	r = 1.0 / sqrt(variance + (double) EPS);
	check(mean, m, 3e-7 * (fabs(center) + spread), "mean of %zu", n);
	check(rstd, r, tolerance * r, "rstd of %zu", n);
	for (size_t i = 0; i < n; i++)
	{
		double normal = (sum[i] - m) * r;

		check(y[i], normal * weight[i] + bias[i], tolerance, "layer norm [%zu] of %zu", i, n);
		g += dy[i] * weight[i] / (double) n;
		gn += dy[i] * weight[i] * normal / (double) n;
	}
	kernels->layer_norm_backward(dx, dweight, dbias, dx, sum, &mean, &rstd, weight, 1, n);
	for (size_t i = 0; i < n; i++)
	{
		double normal = (sum[i] - m) * r;

		check(dx[i], r * (dy[i] * weight[i] - g - normal * gn), 4 * tolerance * r, "layer norm dx [%zu] of %zu", i, n);
		check(dweight[i], 0.5 + dy[i] * normal, tolerance, "layer norm dweight [%zu] of %zu", i, n);
		check(dbias[i], 0.25 + dy[i], 1e-7 * 2, "layer norm dbias [%zu] of %zu", i, n);
	}
	memcpy(dx, dy, n * sizeof(float));
	kernels->layer_norm_backward(dx, NULL, NULL, dx, sum, &mean, &rstd, weight, 1, n);
	for (size_t i = 0; i < n; i++)
		check(dx[i], r * (dy[i] * weight[i] - g - (sum[i] - m) * r * gn), 4 * tolerance * r,
			  "layer norm dx alone [%zu] of %zu", i, n);

	/* One number that is none makes all of its row so. */
	memcpy(sum, x, n * sizeof(float));
	sum[n - 1] = NAN;
	kernels->layer_norm(y, &mean, &rstd, sum, NULL, weight, bias, 1, n, EPS);
	kernels->layer_norm_backward(dx, dweight, dbias, dy, sum, &mean, &rstd, weight, 1, n);
	assert_true(isnan(mean) && isnan(rstd));
	for (size_t i = 0; i < n; i++)
		assert_true(isnan(y[i]) && isnan(dx[i]) && isnan(dweight[i]) && isfinite(dbias[i]));
	free(dbias);
	free(dweight);
	free(dx);
	free(y);
	free(dy);
	free(bias);
	free(weight);
	free(sum);
	free(add);
	free(x);
}

static void
layer_norms(const net_kernels *kernels)
{
	for (size_t n = 1; n <= 1100; n += n < 70 ? 1 : 97)
	{
		check_layer_norm(kernels, n, 0.0, 3.0, false, 1e-5);
		check_layer_norm(kernels, n, 0.5, 2.0, true, 1e-5);
		/* A mean far larger than the deviation: the variance must not be a difference of squares. */
		if (n > 4)
			check_layer_norm(kernels, n, 4096.0, 8.0, false, 1e-3);
	}
}

/* ---- matrices, dropout ------------------------------------------------------------------------------------------- */

static void
column_sums(const net_kernels *kernels)
{
	for (size_t rows = 0; rows <= 35; rows++)
		for (size_t n = 1; n <= 70; n += slow_machine ? 11 : 3)
		{
			float *x = randoms(rows * n, -1.0, 1.0), *sum = randoms(n, -1.0, 1.0), *before = copy(sum, n);

			kernels->add_columns(sum, x, rows, n);
			for (size_t i = 0; i < n; i++)
			{
				double expected = before[i], size = fabs(before[i]);

				for (size_t r = 0; r < rows; r++)
				{
					expected += x[r * n + i];
					size += fabs(x[r * n + i]);
				}
				check(sum[i], expected, 0x1p-24 * 14 * size, "column %zu of [%zu,%zu]", i, rows, n);
			}
			if (rows > 0)
			{
				x[(rows - 1) * n] = NAN;
				kernels->add_columns(sum, x, rows, n);
				for (size_t i = 0; i < n; i++)
					assert_int_equal(isnan(sum[i]) != 0, i == 0);
			}
			free(before);
			free(sum);
			free(x);
		}
}

static void
dropouts(const net_kernels *unused)
{
	static const double shares[] = {0.0, 1e-9, 0.1, 0.25, 0.5, 0.9, 0.999};
	size_t n = slow_machine ? 2000 : 200000;

	(void) unused;
	for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++)
	{
		double p = shares[s], error = 5.0 * sqrt(p * (1.0 - p) / (double) n);
		float *x = randoms(n, 0.5, 1.5), *y = copy(x, n);
		size_t dropped = 0;

		dropout(y, n, p, 1234 + s);
		for (size_t i = 0; i < n; i++)
		{
			bool keep = rng_uniform(1234 + s, i) >= p;

			assert_true(y[i] == (keep ? x[i] * (float) (1.0 / (1.0 - p)) : 0.0f));
			dropped += !keep;
		}
		check((double) dropped / (double) n, p, error, "share dropped");
		for (size_t length = 0; length <= 40; length++)
		{
			float *z = copy(x, length);

			dropout(z, length, p, 1234 + s);
			assert_true(same_bits(z, y, length));
			free(z);
		}
		/* One that is kept stays what it is. */
		for (size_t i = 0; i < 20; i++)
			x[i] = NAN;
		dropout(x, 20, p, 1234 + s);
		for (size_t i = 0; i < 20; i++)
			assert_int_equal(isnan(x[i]) != 0, rng_uniform(1234 + s, i) >= p);
		free(y);
		free(x);
	}
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

/* A sum of k products in float, in any order, is within k u of the sum of their sizes (Higham 2002, 3.5); u = 2^-24. */
static double
sum_error(size_t k, double size)
{
	return ((double) k + 2.0) * 0x1p-24 * size;
}

static void
check_linear(size_t N, size_t K, size_t O)
{
	float *x = randoms(N * K, -1, 1), *W = randoms(O * K, -1, 1), *b = randoms(O, -1, 1), *y = randoms(N * O, 9, 9);
	float *dy = randoms(N * O, -1, 1), *dx = randoms(N * K, 1, 1), *dW = randoms(O * K, 2, 2), *db = randoms(O, 3, 3);

	linear_forward(y, x, W, b, N, K, O);
	linear_backward(dx, dW, db, dy, x, W, N, K, O, true);
	for (size_t i = 0; i < N; i++)
		for (size_t o = 0; o < O; o++)
		{
			double sum = b[o];

			for (size_t k = 0; k < K; k++)
				sum += (double) x[i * K + k] * W[o * K + k];
			check(y[i * O + o], sum, sum_error(K, 1.0 + (double) K), "linear [%zu,%zu]", i, o);
		}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < K; k++)
		{
			double sum = 1.0;

			for (size_t o = 0; o < O; o++)
				sum += (double) dy[i * O + o] * W[o * K + k];
			check(dx[i * K + k], sum, sum_error(O, 1.0 + (double) O), "linear dx [%zu,%zu]", i, k);
		}
	for (size_t o = 0; o < O; o++)
	{
		double bias = 3.0;

		for (size_t i = 0; i < N; i++)
			bias += dy[i * O + o];
		check(db[o], bias, sum_error(N, 3.0 + (double) N), "linear db [%zu]", o);
		for (size_t k = 0; k < K; k++)
		{
			double sum = 2.0;

			for (size_t i = 0; i < N; i++)
				sum += (double) dy[i * O + o] * x[i * K + k];
			check(dW[o * K + k], sum, sum_error(N, 2.0 + (double) N), "linear dW [%zu,%zu]", o, k);
		}
	}
	free(db);
	free(dW);
	free(dx);
	free(dy);
	free(y);
	free(b);
	free(W);
	free(x);
}

static void
linears(const net_kernels *unused)
{
	(void) unused;
	for (int i = 0; i < (slow_machine ? 4 : 30); i++)
	{
		size_t N = 1 + rng_below(8, drawn++, 40), K = 1 + rng_below(8, drawn++, 70), O = 1 + rng_below(8, drawn++, 50);

		check_linear(N, K, O);
	}
}

/* One head of one sequence as its definition, from a row of qkv and of the context's gradient on. */
static void
check_head(const float *qkv, const float *context, const float *probs, const float *dcontext, const float *dqkv,
		   size_t T, size_t H, size_t d)
{
	double scale = 1.0 / sqrt((double) d);
	double *p = doubles(T * T), *ds = doubles(T * T);

#define AT(matrix, t, part, c) matrix[(t) *3 * H + (part) *H + (c)]
	for (size_t i = 0; i < T; i++)
	{
		float *scores = randoms(T, 0, 0);
		double sum = 0.0;

		for (size_t j = 0; j < T; j++)
		{
			double s = 0.0;

			for (size_t c = 0; c < d; c++)
				s += (double) AT(qkv, i, 0, c) * AT(qkv, j, 1, c);
			p[i * T + j] = s * scale;
		}
		for (size_t j = 0; j < T; j++)
			sum += p[i * T + j] = exp(p[i * T + j]);
		for (size_t j = 0; j < T; j++)
		{
			p[i * T + j] /= sum;
			check(probs[i * T + j], p[i * T + j], 1e-5 * p[i * T + j] + 1e-9, "probability [%zu,%zu]", i, j);
		}
		for (size_t c = 0; c < d; c++)
		{
			double expected = 0.0;

			for (size_t j = 0; j < T; j++)
				expected += p[i * T + j] * AT(qkv, j, 2, c);
			check(context[i * H + c], expected, 1e-5, "context [%zu,%zu]", i, c);
		}
		sum = 0.0;
		for (size_t j = 0; j < T; j++)
		{
			for (size_t c = 0; c < d; c++)
				ds[i * T + j] += (double) dcontext[i * H + c] * AT(qkv, j, 2, c);
			sum += ds[i * T + j] * p[i * T + j];
		}
		for (size_t j = 0; j < T; j++)
			ds[i * T + j] = scale * p[i * T + j] * (ds[i * T + j] - sum);
		free(scores);
	}
	for (size_t t = 0; t < T; t++)
		for (size_t c = 0; c < d; c++)
		{
			double dq = 0.0, dk = 0.0, dv = 0.0;

			for (size_t j = 0; j < T; j++)
			{
				dq += ds[t * T + j] * AT(qkv, j, 1, c);
				dk += ds[j * T + t] * AT(qkv, j, 0, c);
				dv += p[j * T + t] * dcontext[j * H + c];
			}
			check(AT(dqkv, t, 0, c), dq, 2e-5, "dq [%zu,%zu]", t, c);
			check(AT(dqkv, t, 1, c), dk, 2e-5, "dk [%zu,%zu]", t, c);
			check(AT(dqkv, t, 2, c), dv, 2e-5, "dv [%zu,%zu]", t, c);
		}
#undef AT
	free(ds);
	free(p);
}

static void
attentions(const net_kernels *unused)
{
	static const int32_t lengths[] = {17, 1, 33, 2, 40};
	static const struct
	{
		size_t A, d;
	} shapes[] = {{1, 5}, {3, 8}, {2, 33}};

	(void) unused;
	for (size_t s = 0; s < 3; s++)
	{
		size_t A = shapes[s].A, d = shapes[s].d, H = A * d, N = 93, size = attention_probs_size(lengths, 5, A);
		float *qkv = randoms(N * 3 * H, -1.5, 1.5), *dcontext = randoms(N * H, -1, 1), *scratch = randoms(1600, 0, 0);
		float *context = randoms(N * H, 9, 9), *probs = randoms(size, 9, 9), *dqkv = randoms(N * 3 * H, 9, 9);
		size_t row = 0, at = 0;

		attention_forward(context, probs, qkv, lengths, 5, A, H);
		attention_backward(dqkv, dcontext, probs, qkv, lengths, 5, A, H, scratch);
		for (size_t i = 0; i < 5; i++)
		{
			size_t T = (size_t) lengths[i];

			for (size_t h = 0; h < A; h++, at += T * T)
				check_head(qkv + row * 3 * H + h * d, context + row * H + h * d, probs + at, dcontext + row * H + h * d,
						   dqkv + row * 3 * H + h * d, T, H, d);
			row += T;
		}
		assert_int_equal(row, N);
		assert_int_equal(at, size);

		/* One number that is none in a key spoils its own sequence and no other. */
		qkv[20 * 3 * H + H] = NAN;
		attention_forward(context, probs, qkv, lengths, 5, A, H);
		assert_true(isnan(context[18 * H]) && isnan(context[50 * H]));
		for (size_t i = 0; i < 18 * H; i++)
			assert_true(isfinite(context[i]));
		for (size_t i = 51 * H; i < N * H; i++)
			assert_true(isfinite(context[i]));
		free(dqkv);
		free(probs);
		free(context);
		free(scratch);
		free(dcontext);
		free(qkv);
	}
}

static void
normalizes(const net_kernels *unused)
{
	float v[6] = {3, 0, -4, NAN, 1, 2}, y[6], norm[2], dy[6] = {1, 1, 1, 1, 1, 1}, dv[6];

	(void) unused;
	normalize_forward(y, norm, v, 2, 3);
	check(norm[0], 5.0, 0.0, "length");
	check(y[0], 0.6, 1e-7, "first");
	check(y[2], -0.8, 1e-7, "third");
	normalize_backward(dv, dy, y, norm, 2, 3);
	/* (1 - y (0.6 - 0.8)) / 5 */
	check(dv[0], (1.0 + 0.6 * 0.2) / 5.0, 1e-7, "first's gradient");
	check(dv[1], 0.2, 1e-7, "second's gradient");
	for (size_t i = 3; i < 6; i++)
		assert_true(isnan(y[i]) && isnan(dv[i]));
}

/* A logit that is none makes the loss so, unless its label is not known. */
static void
label_losses(const net_kernels *unused)
{
	static const label_loss kinds[] = {{false, 0, 0, 0, NULL}, {true, 4, 1, 0.05, NULL}};
	const float logits[4] = {0.0f, NAN, 100.0f, -100.0f};
	const uint8_t labels[4] = {1, 0, 1, 0}, wrong[4] = {0, 1, 0, 1}, known[4] = {1, 0, 1, 1};

	(void) unused;
	for (size_t k = 0; k < 2; k++)
	{
		float d[4];

		assert_true(isnan(label_loss_backward(d, logits, labels, NULL, 2, 2, 1.0, &kinds[k])));
		assert_true(isnan(d[1]) && isfinite(d[0]));
		assert_true(isnan(label_loss_backward(d, logits, wrong, NULL, 2, 2, 1.0, &kinds[k])));
		assert_true(isnan(d[1]) && isfinite(d[0]));
		check(label_loss_backward(d, logits, labels, known, 2, 2, 1.0, &kinds[k]),
			  kinds[k].asymmetric ? 0.5 * log(2.0) : log(2.0), 1e-12, "loss");
		assert_true(d[1] == 0.0f);
	}
	/* However wrong, the loss is finite: 100 each, 100 times the focusing weight of 1, and -log of the clip. */
	{
		float d[4];

		check(label_loss_backward(d, logits, wrong, known, 2, 2, 1.0, &kinds[0]), log(2.0) + 200.0, 1e-9, "loss");
		check(d[2], 1.0, 1e-7, "slope of a wrong positive");
		check(d[3], -1.0, 1e-7, "slope of a wrong negative");
		check(label_loss_backward(d, logits, wrong, known, 2, 2, 1.0, &kinds[1]),
			  -pow(0.45, 4.0) * log(0.55) - pow(0.95, 4.0) * log(0.05) + 100.0, 1e-9, "asymmetric loss");
	}
}

#define EACH_SET(name, plain)                                                                                          \
	static void name##_of_each_set(void **unused)                                                                      \
	{                                                                                                                  \
		(void) unused;                                                                                                 \
		for_each_set(name, plain);                                                                                     \
	}

EACH_SET(activations, true)
EACH_SET(softmaxes, true)
EACH_SET(cross_entropies, true)
EACH_SET(layer_norms, true)
EACH_SET(column_sums, true)
EACH_SET(dropouts, false)
EACH_SET(linears, false)
EACH_SET(attentions, false)
EACH_SET(normalizes, false)
EACH_SET(label_losses, false)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_set_is_its_own),      cmocka_unit_test(activations_of_each_set),
		cmocka_unit_test(softmaxes_of_each_set),    cmocka_unit_test(cross_entropies_of_each_set),
		cmocka_unit_test(layer_norms_of_each_set),  cmocka_unit_test(column_sums_of_each_set),
		cmocka_unit_test(dropouts_of_each_set),     cmocka_unit_test(linears_of_each_set),
		cmocka_unit_test(attentions_of_each_set),   cmocka_unit_test(normalizes_of_each_set),
		cmocka_unit_test(label_losses_of_each_set),
	};

	slow_machine = getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
	return cmocka_run_group_tests_name("net operations", tests, NULL, NULL);
}
