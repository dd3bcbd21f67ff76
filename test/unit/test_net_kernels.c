/*
 * test_net_kernels.c - training's kernels, with every set that this CPU can run, against definitions in double
 * precision.
 *
 * valgrind and some virtual machines hide instruction sets; what they hide is not tested there.
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

#include "float_numbers.h"
#include "moviebert/encoder.h"
#include "training/net/kernels.h"
#include "training/net/rng.h"

#define PI 3.14159265358979323846
#define EPS 1e-5f

static const char *const set_names[] = {"avx512", "avx2", "portable"};

static bool slow_machine;

/* Runs a test once for each set, the plain one included. */
static void
for_each_set(void (*test)(const net_kernels *kernels))
{
	for (size_t i = 0; i < sizeof(set_names) / sizeof(set_names[0]); i++)
		if (mb_kernel_select(set_names[i]))
		{
			numbers_restart(set_names[i]);
			test(net_kernels_get());
		}
	numbers_restart("plain");
	test(&net_kernels_plain);
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

/* Both signs of every exponent, denormals included, with random mantissas; many of usual size; the ends; zero. */
static float *
every_exponent(size_t *n)
{
	const float ends[] = {0.0f, -0.0f, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_MIN, FLT_TRUE_MIN, -FLT_TRUE_MIN, 9.8f, -9.8f};
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
	float *x = every_exponent(&n), *y = copy_floats(x, n), *one = randoms(n, 1.0, 1.0), *dx = copy_floats(x, n);

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
			float *z = copy_floats(x + 100, length), *dz = randoms(length, 1.0, 1.0);

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
			float *z = randoms(length, -9.0, 9.0), *dz = randoms(length, -1.0, 1.0), *out = copy_floats(z, length);

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
			y = copy_floats(x, n);
			before = copy_floats(dx, n);
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
				check(dx[i], scale * y[i] * (before[i] - sum), 2e-6 * y[i] + 1e-40, "softmax's backward [%zu] of %zu",
					  i, n);
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
				float *x = randoms(n, -1.0, 1.0), *dx = randoms(n, -1.0, 1.0), *y = copy_floats(x, n);

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
	float *d = copy_floats(x, n), *left = copy_floats(x, n);
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
			size_t label = draw == 0 ? 0 : draw == 1 ? n - 1 : random_size(0, n - 1);

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
				size_t at = random_size(0, n - 1);
				float *d = copy_floats(x, n);

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
	float *x = randoms(n, center - spread, center + spread), *add = randoms(n, -1.0, 1.0), *sum = copy_floats(x, n);
	float *weight = randoms(n, -2.0, 2.0), *bias = randoms(n, -1.0, 1.0), *dy = randoms(n, -1.0, 1.0);
	float *y = copy_floats(x, n), *dx = copy_floats(dy, n);
	float *dweight = randoms(n, 0.5, 0.5), *dbias = randoms(n, 0.25, 0.25);
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

/* ---- matrices ---------------------------------------------------------------------------------------------------- */

static void
column_sums(const net_kernels *kernels)
{
	for (size_t rows = 0; rows <= 35; rows++)
		for (size_t n = 1; n <= 70; n += slow_machine ? 11 : 3)
		{
			float *x = randoms(rows * n, -1.0, 1.0), *sum = randoms(n, -1.0, 1.0), *before = copy_floats(sum, n);

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

#define EACH_SET(name)                                                                                                 \
	static void name##_of_each_set(void **unused)                                                                      \
	{                                                                                                                  \
		(void) unused;                                                                                                 \
		for_each_set(name);                                                                                            \
	}

EACH_SET(activations)
EACH_SET(softmaxes)
EACH_SET(cross_entropies)
EACH_SET(layer_norms)
EACH_SET(column_sums)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_set_is_its_own),     cmocka_unit_test(activations_of_each_set),
		cmocka_unit_test(softmaxes_of_each_set),   cmocka_unit_test(cross_entropies_of_each_set),
		cmocka_unit_test(layer_norms_of_each_set), cmocka_unit_test(column_sums_of_each_set),
	};

	slow_machine = getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
	return cmocka_run_group_tests_name("net kernels", tests, NULL, NULL);
}
