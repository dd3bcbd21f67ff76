/*
 * kernels.h - the inner loops of the encoder, written once and compiled for each instruction set.
 *
 * Every set obeys the same definition: one output element is one accumulator, summed over k in ascending order,
 * whatever tile it falls into.  So a row's numbers never depend on how many rows stand beside it.  Between sets the
 * numbers differ by rounding only (the portable set may lack a fused multiply-add).
 */
#ifndef MOVIEBERT_NN_KERNELS_H
#define MOVIEBERT_NN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "moviebert/image.h"

/* No set's tile has more rows than this. */
#define MB_MAX_TILE_ROWS 12

typedef struct mb_kernels
{
	const char *name;
	bool (*supported)(void);
	size_t tile_rows;

	/*
	 * c[r][0..32) = init + sum over p of a[r][p] * panel[p][0..32), for r < rows <= tile_rows.  init is the same 32
	 * values for each row (a bias), or NULL to go on from what c holds.  fetch: the panel is met for the first time, so
	 * bring it near while computing (what follows it, too: blocks are walked in order).
	 */
	void (*tile)(size_t rows, size_t k, const float *a, size_t lda, const float *panel, bool fetch, const float *init,
				 float *c, size_t ldc);

	/* In place, n elements; a NaN stays one.  Errors for finite x: */
	void (*gelu)(float *x, size_t n);      /* x Phi(x): below 1.2e-7 max(1, |x|) and 3e-7 |x| */
	void (*gelu_tanh)(float *x, size_t n); /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): below 1.3e-7 |x| */
	void (*silu)(float *x, size_t n);      /* x / (1 + exp(-x)): below 1.3e-7 |x| */
	void (*relu)(float *x, size_t n);      /* max(0, x): none */

	/*
	 * x[i] = exp(scale (x[i] - max x)) / sum of the same, n >= 1, scale > 0; 0 where the exponent is below -80.  All
	 * NaN when any x is NaN or the largest is infinite.
	 */
	void (*softmax)(float *x, size_t n, float scale);

	/* x = (x - mean) / sqrt(variance + eps) * weight + bias, after x += add (NULL: nothing); biased variance. */
	void (*layer_norm)(float *x, const float *add, const float *weight, const float *bias, size_t n, float eps);
} mb_kernels;

extern const mb_kernels mb_kernels_portable;
#if defined(__x86_64__)
extern const mb_kernels mb_kernels_avx2;
extern const mb_kernels mb_kernels_avx512;
#endif

/* The set in use: the best this CPU can run, until mb_kernel_select says otherwise. */
const mb_kernels *mb_kernels_get(void);

#endif
