/*
 * kernels.h - the inner loops of training beside the matrix products, for each instruction set.
 *
 * A set is a table of functions.  The plain one computes each formula as it is written, in double precision with the C
 * library's functions: it is the definition that the tests hold the others against, and the double build's only one.
 * All sums of a set are taken in one fixed order; between sets the numbers differ by rounding.  What is not a number
 * stays so.
 */
#ifndef MOVIEBERT_NET_KERNELS_H
#define MOVIEBERT_NET_KERNELS_H

#include <stdbool.h>

#include "real.h"

#define NET_ACTIVATIONS 4 /* MB_GELU, MB_GELU_TANH, MB_RELU, MB_SILU */

typedef struct net_kernels
{
	/* y = f(x); y may be x */
	void (*activation[NET_ACTIVATIONS])(real *y, const real *x, size_t n);
	/* dx = dy f'(x); dx may be dy */
	void (*activation_backward[NET_ACTIVATIONS])(real *dx, const real *dy, const real *x, size_t n);

	/* x [rows,n] = softmax(scale x), row by row.  A row is all NaN when any x is NaN or its largest is infinite. */
	void (*softmax)(real *x, size_t rows, size_t n, real scale);
	/* dx [rows,n] = scale y (dx - sum of dx y), row by row, where y is the softmax */
	void (*softmax_backward)(real *dx, const real *y, size_t rows, size_t n, real scale);
	/*
	 * One row: returns -log softmax(x)[label], and x = scale (softmax(x) - one hot) with grad, else undefined.
	 * *correct: the label's is the first of the largest.
	 */
	double (*cross_entropy)(real *x, size_t n, size_t label, real scale, bool grad, bool *correct);

	/* As in ops.h: rows are N, n is H */
	void (*layer_norm)(real *y, real *mean, real *rstd, real *x, const real *residual, const real *weight,
					   const real *bias, size_t rows, size_t n, real eps);
	void (*layer_norm_backward)(real *dx, real *dweight, real *dbias, const real *dy, const real *x, const real *mean,
								const real *rstd, const real *weight, size_t rows, size_t n);

	/* sum [n] += each column's sum of x [rows,n], row after row */
	void (*add_columns)(real *sum, const real *x, size_t rows, size_t n);

	/* Element i is multiplied where rng_at(key, i) >> 11 is at least the threshold, else it is 0. */
	void (*dropout)(real *x, size_t n, uint64_t key, uint64_t threshold, real factor);
} net_kernels;

extern const net_kernels net_kernels_plain;
#ifndef NET_DOUBLE
extern const net_kernels net_kernels_portable;
#if defined(__x86_64__)
extern const net_kernels net_kernels_avx2;
extern const net_kernels net_kernels_avx512;
#endif
#endif

/* The set in use: that of the engine's kernels (mb_kernel_select); in the double build, the plain one. */
const net_kernels *net_kernels_get(void);

#endif
