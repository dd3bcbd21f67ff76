/*
 * significance.h - what of a difference may be chance.
 */
#ifndef MOVIEBERT_TOOL_SIGNIFICANCE_H
#define MOVIEBERT_TOOL_SIGNIFICANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGN_FLIP_EXACT_MAX 20
#define SIGN_FLIP_DRAWS 1000000

/*
 * Two-sided sign-flip test (Fisher's randomisation test for pairs): if the sign of each paired difference is a coin's,
 * how often is the mean as far from 0 as this one?  All 2^n signs for n <= SIGN_FLIP_EXACT_MAX, so p is a multiple of
 * 2 / 2^n; else (1 + count) / (1 + SIGN_FLIP_DRAWS) of so many draws from seed.  n = 0 gives 1.
 */
double sign_flip_test(const double *differences, size_t n, uint64_t seed);

/* The smallest p that n pairs can give: 2 / 2^n. */
double sign_flip_smallest(size_t n);

/* Replaces p [n] by adjusted ones: of the chance of any false finding (Holm 1979) ... */
void holm_adjust(double *p, size_t n);
/* ... of the share of findings that are false (Benjamini, Hochberg 1995). */
void benjamini_hochberg_adjust(double *p, size_t n);

#endif
