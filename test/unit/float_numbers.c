/* float_numbers.c - see float_numbers.h. */
#include "float_numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/net/rng.h"

const char *set_name = "";

static uint64_t drawn;

void
numbers_restart(const char *name)
{
	set_name = name;
	drawn = 0;
}

double
uniform(double low, double high)
{
	return low + (high - low) * rng_uniform(42, drawn++);
}

size_t
random_size(size_t low, size_t high)
{
	return low + (size_t) rng_below(43, drawn++, high - low + 1);
}

float *
randoms(size_t n, double low, double high)
{
	float *x = malloc(n > 0 ? n * sizeof(float) : 1);

	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = (float) uniform(low, high);
	return x;
}

float *
copy_floats(const float *x, size_t n)
{
	float *y = malloc(n > 0 ? n * sizeof(float) : 1);

	assert_non_null(y);
	memcpy(y, x, n * sizeof(float));
	return y;
}

double *
doubles(size_t n)
{
	double *x = calloc(n > 0 ? n : 1, sizeof(double));

	assert_non_null(x);
	return x;
}

bool
same_bits(const float *a, const float *b, size_t n)
{
	return memcmp(a, b, n * sizeof(float)) == 0;
}

void
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
