/*
 * gemm.h - matrix products with a packed right-hand side.
 *
 * A weight matrix W [out,in] is stored in panels of MB_PANEL (32) outputs: panels[p][k][j] = W[32 p + j][k], zero
 * beyond `out`.  A tile of rows walks one panel from start to end, reading memory in order; the bias is where the sums
 * begin.
 */
#ifndef MOVIEBERT_NN_GEMM_H
#define MOVIEBERT_NN_GEMM_H

#include "kernels.h"
#include "moviebert/image.h"

static inline size_t
mb_panel_count(size_t out)
{
	return (out + MB_PANEL - 1) / MB_PANEL;
}

/* Floats that the panels of a [out,in] matrix take. */
static inline size_t
mb_panel_floats(size_t in, size_t out)
{
	return mb_panel_count(out) * MB_PANEL * in;
}

/* panels = W, where W[j][k] stands at w[j * row_stride + k * column_stride]. */
void mb_pack_panels(const float *w, size_t in, size_t out, size_t row_stride, size_t column_stride, float *panels);

/*
 * y[i][0..out) = bias + sum over k of x[i][k] W[.][k], for i < n; bias [out] or NULL for zero.  Each y is one sum in
 * ascending k, so that row i's result depends on row i alone.  x and y do not overlap.
 */
void mb_gemm(size_t n, size_t in, size_t out, const float *x, size_t ldx, const float *panels, const float *bias,
			 float *y, size_t ldy);

static inline void
mb_linear_forward(float *y, size_t ldy, const float *x, size_t ldx, size_t n, const mb_linear *linear)
{
	mb_gemm(n, (size_t) linear->in, (size_t) linear->out, x, ldx, linear->panels, linear->bias, y, ldy);
}

#endif
