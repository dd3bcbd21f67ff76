/* significance.c - sign flips, and p values of many tests at once. */
#include "significance.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "net/rng.h"

double
sign_flip_smallest(size_t n)
{
	return n == 0 ? 1 : ldexp(2, -(int) n);
}

/* Sums that are equal but for rounding count as equal: the observed one is among all of them. */
static bool
as_far(double sum, double observed)
{
	return fabs(sum) >= fabs(observed) - 1e-9 * fabs(observed);
}

double
sign_flip_test(const double *differences, size_t n, uint64_t seed)
{
	double observed = 0;
	uint64_t count = 0, signs, d;
	size_t i;

	for (i = 0; i < n; i++)
		observed += differences[i];
	if (n <= SIGN_FLIP_EXACT_MAX)
	{
		uint64_t all = UINT64_C(1) << n;

		for (signs = 0; signs < all; signs++)
		{
			double sum = 0;

			for (i = 0; i < n; i++)
				sum += (signs >> i & 1) != 0 ? -differences[i] : differences[i];
			count += as_far(sum, observed);
		}
		return (double) count / (double) all;
	}
	for (d = 0; d < SIGN_FLIP_DRAWS; d++)
	{
		uint64_t key = rng_key(seed, RNG_BOOTSTRAP, d, 2);
		double sum = 0;

		for (i = 0; i < n; i++)
			sum += (rng_at(key, i / 64) >> i % 64 & 1) != 0 ? -differences[i] : differences[i];
		count += as_far(sum, observed);
	}
	return (double) (count + 1) / (SIGN_FLIP_DRAWS + 1.0);
}

typedef struct numbered_p
{
	double p;
	size_t at;
} numbered_p;

static int
by_p(const void *a, const void *b)
{
	const numbered_p *x = a, *y = b;

	if (x->p != y->p)
		return x->p < y->p ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static numbered_p *
sorted_p(const double *p, size_t n)
{
	numbered_p *sorted = allocate(n, sizeof(numbered_p));
	size_t i;

	for (i = 0; i < n; i++)
		sorted[i] = (numbered_p){p[i], i};
	qsort(sorted, n, sizeof(numbered_p), by_p);
	return sorted;
}

void
holm_adjust(double *p, size_t n)
{
	numbered_p *sorted = sorted_p(p, n);
	double highest = 0;
	size_t i;

	for (i = 0; i < n; i++)
	{
		highest = fmax(highest, fmin(1, (double) (n - i) * sorted[i].p));
		p[sorted[i].at] = highest;
	}
	free(sorted);
}

void
benjamini_hochberg_adjust(double *p, size_t n)
{
	numbered_p *sorted = sorted_p(p, n);
	double lowest = 1;
	size_t i;

	for (i = n; i-- > 0;)
	{
		lowest = fmin(lowest, (double) n / (double) (i + 1) * sorted[i].p);
		p[sorted[i].at] = lowest;
	}
	free(sorted);
}
