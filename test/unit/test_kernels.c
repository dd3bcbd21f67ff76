/*
 * test_kernels.c - every kernel set that this CPU can run against plain definitions in double precision.
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

#include "moviebert/encoder.h"
#include "src/nn/attention.h"
#include "src/nn/gemm.h"
#include "src/nn/kernels.h"

#define CANARY 12345.5f
#define PI 3.14159265358979323846

static const char *const set_names[] = {"avx512", "avx2", "portable"};

static bool slow_machine;
static uint64_t state;

static uint32_t
random_bits(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) (state >> 32);
}

/* Uniform in [-1, 1). */
static float
random_float(void)
{
	return (float) ((double) random_bits() / 2147483648.0 - 1.0);
}

static size_t
random_size(size_t low, size_t high)
{
	return low + random_bits() % (high - low + 1);
}

/* Exactly n floats from malloc, so that valgrind and AddressSanitizer see a step beside them. */
static float *
random_floats(size_t n, float scale)
{
	float *x = malloc(n > 0 ? n * sizeof(float) : 1);

	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = scale * random_float();
	return x;
}

static float *
filled(size_t n, float value)
{
	float *x = random_floats(n, 0.0f);

	for (size_t i = 0; i < n; i++)
		x[i] = value;
	return x;
}

/* Equal as bits: a NaN is equal to itself, 0 is not -0. */
static bool
same_bits(const float *a, const float *b, size_t n)
{
	return memcmp(a, b, n * sizeof(float)) == 0;
}

static void
assert_close(double got, double expected, double tolerance, const char *format, ...)
{
	char what[200];
	va_list args;

	if (fabs(got - expected) <= tolerance)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fail_msg("%s: %s is %.9g, expected %.9g, off by %.3g of %.3g allowed", mb_kernel_name(), what, got, expected,
			 fabs(got - expected), tolerance);
}

/* Runs a test once for each set. */
static void
for_each_set(void (*test)(const mb_kernels *kernels))
{
	size_t tested = 0;

	for (size_t i = 0; i < sizeof(set_names) / sizeof(set_names[0]); i++)
		if (mb_kernel_select(set_names[i]))
		{
			state = 1;
			assert_string_equal(mb_kernel_name(), set_names[i]);
			test(mb_kernels_get());
			tested++;
		}
	assert_true(tested > 0);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static void
best_set_first(void **unused)
{
	/* Nothing was selected yet. */
	const char *chosen = mb_kernel_name();
	const char *best = NULL;

	(void) unused;
	for (size_t i = 0; i < sizeof(set_names) / sizeof(set_names[0]); i++)
	{
		bool can = mb_kernel_select(set_names[i]);

		print_message("%s: %s\n", set_names[i], can ? "tested" : "not supported here");
		if (can && best == NULL)
			best = set_names[i];
	}
	assert_string_equal(chosen, best);
	assert_true(mb_kernel_select("portable"));
	assert_false(mb_kernel_select("sse9"));
	assert_false(mb_kernel_select(""));
	assert_string_equal(mb_kernel_name(), "portable");
}

/* ---- matrix product ---------------------------------------------------------------------------------------------- */

/*
 * Each element of y against its sum in double.  The bound of a sum of k products in fp32 is k u times the sum of the
 * products' sizes, with u = 2^-24 (Higham, Accuracy and Stability, 3.5); rounding errors mostly cancel.
 */
static void
check_product(const char *what, size_t n, size_t in, size_t out, const float *x, size_t ldx, const float *w,
			  const float *bias, const float *y, size_t ldy)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < out; j++)
		{
			double sum = bias != NULL ? bias[j] : 0.0;
			double size = fabs(sum);

			for (size_t k = 0; k < in; k++)
			{
				sum += (double) x[i * ldx + k] * w[j * in + k];
				size += fabs((double) x[i * ldx + k] * w[j * in + k]);
			}
			assert_close(y[i * ldy + j], sum, ((double) in + 2) * 0x1p-24 * size, "%s [%zu,%zu] of %zu x %zu x %zu",
						 what, i, j, n, in, out);
		}
}

static void
tiles(const mb_kernels *kernels)
{
	static const size_t depths[] = {0, 1, 2, 3, 7, 16, 31, 64, 257};

	assert_in_range(kernels->tile_rows, 1, MB_MAX_TILE_ROWS);
	for (size_t rows = 1; rows <= kernels->tile_rows; rows++)
		for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++)
		{
			size_t k = depths[d], lda = k + random_size(0, 3), ldc = MB_PANEL + random_size(0, 3);
			float *a = random_floats((rows - 1) * lda + k, 1.0f);
			float *w = random_floats(MB_PANEL * k, 1.0f);
			float *panel = random_floats(mb_panel_floats(k, MB_PANEL), 0.0f);
			float *init = random_floats(MB_PANEL, 1.0f);
			float *c = filled((rows - 1) * ldc + MB_PANEL, CANARY);
			float *alone = random_floats(MB_PANEL, 1.0f);

			mb_pack_panels(w, k, MB_PANEL, k, 1, panel);
			kernels->tile(rows, k, a, lda, panel, rows % 2 == 0, init, c, ldc);
			check_product("tile", rows, k, MB_PANEL, a, lda, w, init, c, ldc);
			for (size_t r = 0; r < rows; r++)
			{
				kernels->tile(1, k, a + r * lda, lda, panel, rows % 2 == 0, init, alone, MB_PANEL);
				assert_true(same_bits(alone, c + r * ldc, MB_PANEL));
				for (size_t j = MB_PANEL; r + 1 < rows && j < ldc; j++)
					assert_true(c[r * ldc + j] == CANARY);
			}
			/* In two parts, the second going on from the first: the same bits. */
			for (size_t r = 0; r < rows; r++)
			{
				kernels->tile(1, k / 2, a + r * lda, lda, panel, rows % 2 == 0, init, alone, MB_PANEL);
				kernels->tile(1, k - k / 2, a + r * lda + k / 2, lda, panel + k / 2 * MB_PANEL, false, NULL, alone,
							  MB_PANEL);
				assert_true(same_bits(alone, c + r * ldc, MB_PANEL));
			}
			free(alone);
			free(c);
			free(init);
			free(panel);
			free(w);
			free(a);
		}
}

static void
one_product(size_t n, size_t in, size_t out, bool with_bias)
{
	size_t ldx = in + random_size(0, 5), ldy = out + random_size(0, 5);
	float *x = random_floats((n - 1) * ldx + in, 1.0f);
	float *w = random_floats(out * in, 1.0f);
	float *panels = random_floats(mb_panel_floats(in, out), 1.0f);
	float *bias = with_bias ? random_floats(out, 1.0f) : NULL;
	float *y = filled((n - 1) * ldy + out, CANARY);
	float *alone = random_floats(out, 0.0f);

	mb_pack_panels(w, in, out, in, 1, panels);
	mb_gemm(n, in, out, x, ldx, panels, bias, y, ldy);
	check_product("product", n, in, out, x, ldx, w, bias, y, ldy);
	for (size_t i = 0; i < n; i++)
	{
		mb_gemm(1, in, out, x + i * ldx, ldx, panels, bias, alone, out);
		assert_true(same_bits(alone, y + i * ldy, out));
		for (size_t j = out; i + 1 < n && j < ldy; j++)
			assert_true(y[i * ldy + j] == CANARY);
	}
	free(alone);
	free(y);
	free(bias);
	free(panels);
	free(w);
	free(x);
}

static void
products(const mb_kernels *kernels)
{
	int shapes = slow_machine ? 12 : 120;

	(void) kernels;
	one_product(1, 1, 1, true);
	one_product(1, 1, 1, false);
	one_product(5, 257, 33, true);   /* one past a block of k, one past a panel */
	one_product(193, 40, 64, true);  /* one past a block of rows */
	one_product(13, 512, 96, false); /* whole blocks of k */
	for (int i = 0; i < shapes; i++)
		one_product(random_size(1, 60), random_size(1, i % 4 == 0 ? 600 : 80), random_size(1, 100), i % 2 == 0);
}

/* Packing reads a transposed matrix by its strides and fills with zero. */
static void
packing(void **unused)
{
	float w[3][5], panels[2 * 5 * MB_PANEL], transposed[2 * 5 * MB_PANEL], from[5][3];

	(void) unused;
	for (size_t j = 0; j < 3; j++)
		for (size_t k = 0; k < 5; k++)
			from[k][j] = w[j][k] = (float) (10 * j + k);
	assert_int_equal(mb_panel_floats(5, 3), 5 * MB_PANEL);
	assert_int_equal(mb_panel_floats(5, 33), 2 * 5 * MB_PANEL);
	mb_pack_panels(&w[0][0], 5, 3, 5, 1, panels);
	mb_pack_panels(&from[0][0], 5, 3, 1, 3, transposed);
	assert_memory_equal(panels, transposed, 5 * MB_PANEL * sizeof(float));
	for (size_t k = 0; k < 5; k++)
		for (size_t j = 0; j < MB_PANEL; j++)
			assert_true(panels[k * MB_PANEL + j] == (j < 3 ? w[j][k] : 0.0f));
}

/* ---- elementwise functions --------------------------------------------------------------------------------------- */

static double
gelu(double x)
{
	return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double
gelu_tanh(double x)
{
	double u = 2.0 * sqrt(2.0 / PI) * (x + 0.044715 * x * x * x);

	return u < -700.0 ? 0.0 : x / (1.0 + exp(-u));
}

static double
silu(double x)
{
	return x < -700.0 ? 0.0 : x / (1.0 + exp(-x));
}

static double
relu(double x)
{
	return x > 0.0 ? x : 0.0;
}

/* Both signs of every exponent, denormals included, with random mantissas; the ends of the range; zero. */
static float *
every_exponent(size_t each, size_t *n)
{
	float *x;
	size_t i = 0;

	*n = 2 * 255 * each + 8;
	x = random_floats(*n, 0.0f);
	for (uint32_t sign = 0; sign < 2; sign++)
		for (uint32_t exponent = 0; exponent < 255; exponent++)
			for (size_t j = 0; j < each; j++)
			{
				uint32_t bits = sign << 31 | exponent << 23 | random_bits() >> 9;

				memcpy(&x[i++], &bits, sizeof(bits));
			}
	x[i++] = 0.0f;
	x[i++] = -0.0f;
	x[i++] = FLT_MAX;
	x[i++] = -FLT_MAX;
	x[i++] = FLT_MIN;
	x[i++] = -FLT_MIN;
	x[i++] = FLT_TRUE_MIN;
	x[i++] = -FLT_TRUE_MIN;
	assert_int_equal(i, *n);
	return x;
}

/* What kernels.h states: two bounds, of which a result keeps both. */
typedef struct bounds
{
	double relative; /* to |x| */
	double absolute; /* to max(1, |x|) */
} bounds;

static void
check_values(const char *name, const float *y, const float *x, size_t n, double (*definition)(double), bounds allowed)
{
	for (size_t i = 0; i < n; i++)
	{
		double size = fabs(x[i]);
		double bound = fmin(allowed.relative * size, allowed.absolute * fmax(1.0, size));

		/* Below 2^-126 floats are spaced evenly. */
		assert_close(y[i], definition(x[i]), fmax(bound, allowed.relative > 0 ? FLT_TRUE_MIN : 0), "%s(%.9g)", name,
					 x[i]);
	}
}

static void
check_function(const char *name, void (*function)(float *, size_t), double (*definition)(double), bounds allowed)
{
	size_t n;
	float *x = every_exponent(slow_machine ? 20 : 1000, &n);
	float *y = random_floats(n, 0.0f);
	float nan = NAN;

	memcpy(y, x, n * sizeof(float));
	function(y, n);
	check_values(name, y, x, n, definition, allowed);

	/* The common range, finely. */
	for (size_t i = 0; i < n; i++)
		x[i] = y[i] = 16.0f * random_float();
	function(y, n);
	check_values(name, y, x, n, definition, allowed);

	/* The same number at every place of every short length, and nothing written behind. */
	for (size_t length = 0; length <= 40; length++)
	{
		float *z = random_floats(length, 0.0f);

		memcpy(z, x, length * sizeof(float));
		function(z, length);
		assert_true(same_bits(z, y, length));
		free(z);
	}
	function(&nan, 1);
	assert_true(isnan(nan));
	free(y);
	free(x);
}

static void
elementwise(const mb_kernels *kernels)
{
	check_function("gelu", kernels->gelu, gelu, (bounds){3e-7, 1.2e-7});
	check_function("gelu_tanh", kernels->gelu_tanh, gelu_tanh, (bounds){1.3e-7, 1.3e-7});
	check_function("silu", kernels->silu, silu, (bounds){1.3e-7, 1.3e-7});
	check_function("relu", kernels->relu, relu, (bounds){0.0, 0.0});
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void
check_softmax(const mb_kernels *kernels, const float *x, size_t n, float scale)
{
	float *y = random_floats(n, 0.0f);
	double top = -INFINITY, sum = 0.0, got = 0.0;

	memcpy(y, x, n * sizeof(float));
	kernels->softmax(y, n, scale);
	for (size_t i = 0; i < n; i++)
		top = fmax(top, x[i]);
	for (size_t i = 0; i < n; i++)
		sum += exp(scale * (x[i] - top));
	for (size_t i = 0; i < n; i++)
	{
		double exponent = scale * (x[i] - top);
		double share = exp(exponent) / sum;

		/* Rounding the exponent costs a relative error of its size; below -80 the result is 0. */
		assert_close(y[i], share, share * (1e-6 + 2e-7 * fmin(-exponent, 100.0)) + 2e-35, "softmax [%zu] of %zu", i, n);
		if (exponent < -80.1)
			assert_true(y[i] == 0.0f);
		got += y[i];
	}
	assert_close(got, 1.0, 2e-6, "sum of softmax of %zu", n);
	free(y);
}

static void
softmaxes(const mb_kernels *kernels)
{
	for (size_t n = 1; n <= 600; n += n < 70 ? 1 : 53)
	{
		float *x = random_floats(n, 5.0f);

		check_softmax(kernels, x, n, 1.0f);
		check_softmax(kernels, x, n, 0.17677669f);
		x[n - 1] = 300.0f; /* alone at the top, in the part beside the vectors */
		check_softmax(kernels, x, n, 1.0f);
		x[n - 1] = -INFINITY;
		if (n > 1)
			check_softmax(kernels, x, n, 1.0f);
		for (size_t i = 0; i < n; i++)
			x[i] = i % 2 == 0 ? FLT_MAX : -FLT_MAX;
		check_softmax(kernels, x, n, 1.0f);
		for (size_t i = 0; i < n; i++)
			x[i] = -7.25f;
		check_softmax(kernels, x, n, 0.5f);
		for (size_t i = 0; i < n; i++)
			x[i] = 130.0f * random_float();
		check_softmax(kernels, x, n, 1.0f);
		free(x);
	}
	/* What is not a number is not hidden. */
	for (size_t n = 1; n <= 40; n++)
		for (size_t at = 0; at < n; at++)
			for (int kind = 0; kind < 2; kind++)
			{
				float *x = random_floats(n, 1.0f);

				x[at] = kind == 0 ? NAN : INFINITY;
				kernels->softmax(x, n, 1.0f);
				for (size_t i = 0; i < n; i++)
					assert_true(isnan(x[i]));
				free(x);
			}
}

static void
check_layer_norm(const mb_kernels *kernels, const float *x, const float *add, size_t n, float eps, double tolerance)
{
	float *y = random_floats(n, 0.0f), *weight = random_floats(n, 2.0f), *bias = random_floats(n, 1.0f);
	double mean = 0.0, variance = 0.0;

	memcpy(y, x, n * sizeof(float));
	kernels->layer_norm(y, add, weight, bias, n, eps);
	/* The sum with `add` is rounded to fp32, as in the reference. */
	for (size_t i = 0; i < n; i++)
		mean += (double) (add != NULL ? x[i] + add[i] : x[i]) / (double) n;
	for (size_t i = 0; i < n; i++)
	{
		double d = (double) (add != NULL ? x[i] + add[i] : x[i]) - mean;

		variance += d * d / (double) n;
	}
	for (size_t i = 0; i < n; i++)
	{
		double d = (double) (add != NULL ? x[i] + add[i] : x[i]) - mean;

		assert_close(y[i], d / sqrt(variance + eps) * weight[i] + bias[i], tolerance, "layer norm [%zu] of %zu", i, n);
	}
	free(bias);
	free(weight);
	free(y);
}

static void
layer_norms(const mb_kernels *kernels)
{
	for (size_t n = 1; n <= 1100; n += n < 70 ? 1 : 97)
	{
		float *x = random_floats(n, 3.0f), *add = random_floats(n, 1.0f);

		check_layer_norm(kernels, x, NULL, n, 1e-12f, 5e-6);
		check_layer_norm(kernels, x, add, n, 1e-12f, 5e-6);
		check_layer_norm(kernels, x, add, n, 1e-5f, 5e-6);
		/* A mean far larger than the deviation: the variance must not be a difference of squares. */
		for (size_t i = 0; i < n; i++)
			x[i] = 4096.0f + 8.0f * random_float();
		check_layer_norm(kernels, x, NULL, n, 1e-5f, 1e-3);
		/* No variance at all: the bias, without a division by zero. */
		for (size_t i = 0; i < n; i++)
			x[i] = 2.0f;
		check_layer_norm(kernels, x, NULL, n, 1e-12f, 1e-6);
		free(add);
		free(x);
	}
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

static void
check_attention(size_t length, size_t heads, size_t d)
{
	size_t hidden = heads * d;
	float *qkv = random_floats(length * 3 * hidden, 2.0f);
	float *context = random_floats(length * hidden, 0.0f);
	float *scratch = random_floats(mb_attention_scratch(length, d), 0.0f);
	double *share = malloc(length * sizeof(double));

	assert_true(mb_attention(context, qkv, length, heads, d, scratch, NULL));
	for (size_t h = 0; h < heads; h++)
		for (size_t i = 0; i < length; i++)
		{
			const float *q = qkv + i * 3 * hidden + h * d;
			double top = -INFINITY, sum = 0.0;

			for (size_t j = 0; j < length; j++)
			{
				const float *k = qkv + j * 3 * hidden + hidden + h * d;

				share[j] = 0.0;
				for (size_t c = 0; c < d; c++)
					share[j] += (double) q[c] * k[c];
				share[j] /= sqrt((double) d);
				top = fmax(top, share[j]);
			}
			for (size_t j = 0; j < length; j++)
				sum += share[j] = exp(share[j] - top);
			for (size_t c = 0; c < d; c++)
			{
				double expected = 0.0;

				for (size_t j = 0; j < length; j++)
					expected += share[j] / sum * qkv[j * 3 * hidden + 2 * hidden + h * d + c];
				assert_close(context[i * hidden + h * d + c], expected, 1e-5,
							 "context [%zu,%zu] of %zu, %zu heads of %zu", i, h * d + c, length, heads, d);
			}
		}
	free(share);
	free(scratch);
	free(context);
	free(qkv);
}

static void
attentions(const mb_kernels *kernels)
{
	static const size_t lengths[] = {1, 2, 3, 31, 32, 33, 48, 49, 97, 300};
	static const size_t sizes[] = {1, 5, 8, 20, 32, 33, 64};

	(void) kernels;
	for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]) - (slow_machine ? 1 : 0); l++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			if (lengths[l] <= 49 || s % 2 == 0)
				check_attention(lengths[l], 1 + (l + s) % 3, sizes[s]);
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static void
cosines(void **unused)
{
	const float zero[5] = {0}, a[5] = {1, -2, 3, -4, 5}, b[5] = {2, -4, 6, -8, 10}, c[5] = {-1, 2, -3, 4, -5};
	const float tiny[2] = {1e-30f, 0}, huge[2] = {3e38f, 0}, odd[2] = {INFINITY, 1}, none[2] = {NAN, 1};

	(void) unused;
	assert_true(mb_cosine_similarity(a, a, 5) == 1.0f);
	assert_true(mb_cosine_similarity(a, b, 5) == 1.0f);
	assert_true(mb_cosine_similarity(a, c, 5) == -1.0f);
	assert_true(mb_cosine_similarity(tiny, huge, 2) == 1.0f);
	assert_true(isnan(mb_cosine_similarity(a, zero, 5)));
	assert_true(isnan(mb_cosine_similarity(zero, zero, 5)));
	assert_true(isnan(mb_cosine_similarity(a, a, 0)));
	assert_true(isnan(mb_cosine_similarity(odd, tiny, 2)));
	assert_true(isnan(mb_cosine_similarity(none, tiny, 2)));
	for (size_t n = 1; n < 400; n += 7)
	{
		float *x = random_floats(n, 1.0f), *y = random_floats(n, 1.0f);
		double xy = 0, xx = 0, yy = 0;

		for (size_t i = 0; i < n; i++)
		{
			xy += (double) x[i] * y[i];
			xx += (double) x[i] * x[i];
			yy += (double) y[i] * y[i];
		}
		assert_close(mb_cosine_similarity(x, y, n), xy / sqrt(xx * yy), 1e-7, "cosine of %zu", n);
		assert_true(mb_cosine_similarity(x, y, n) == mb_cosine_similarity(y, x, n));
		free(y);
		free(x);
	}
}

static void
normalizes(void **unused)
{
	float v[3] = {3, 0, -4}, zero[3] = {0}, tiny[2] = {3e-20f, 4e-20f}, huge[2] = {3e38f, -3e38f};

	(void) unused;
	mb_normalize(v, 3);
	assert_close(v[0], 0.6, 1e-7, "first");
	assert_close(v[2], -0.8, 1e-7, "last");
	mb_normalize(zero, 3);
	assert_true(zero[0] == 0.0f && zero[1] == 0.0f && zero[2] == 0.0f);
	/* |v| below 1e-12 is taken as 1e-12. */
	mb_normalize(tiny, 2);
	assert_close(tiny[0], 3e-8, 1e-14, "first of a vanishing vector");
	mb_normalize(huge, 2);
	assert_close(huge[1], -sqrt(0.5), 1e-7, "last of a huge vector");
}

#define EACH_SET(name)                                                                                                 \
	static void name##_of_each_set(void **unused)                                                                      \
	{                                                                                                                  \
		(void) unused;                                                                                                 \
		for_each_set(name);                                                                                            \
	}

EACH_SET(tiles)
EACH_SET(products)
EACH_SET(elementwise)
EACH_SET(softmaxes)
EACH_SET(layer_norms)
EACH_SET(attentions)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_set_first),
		cmocka_unit_test(packing),
		cmocka_unit_test(tiles_of_each_set),
		cmocka_unit_test(products_of_each_set),
		cmocka_unit_test(elementwise_of_each_set),
		cmocka_unit_test(softmaxes_of_each_set),
		cmocka_unit_test(layer_norms_of_each_set),
		cmocka_unit_test(attentions_of_each_set),
		cmocka_unit_test(cosines),
		cmocka_unit_test(normalizes),
	};

	slow_machine = getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
	return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
