/*
 * gemm.c - cache blocking around the register tiles of kernels.h.
 *
 * A panel is cut into blocks of BLOCK_K rows, so that one block (32 KiB) stays in the first-level cache while every
 * tile of x passes over it.  Rows of x are taken BLOCK_ROWS at a time, so that they stay in the second-level cache
 * while all panels pass.  Blocking over k parks the running sums in y, which changes no bit of them.
 */
#include "gemm.h"

#include <string.h>

enum
{
	BLOCK_K = 256,
	BLOCK_ROWS = 192
};

void
mb_pack_panels(const float *w, size_t in, size_t out, size_t row_stride, size_t column_stride, float *panels)
{
	for (size_t first = 0; first < out; first += MB_PANEL)
	{
		size_t width = out - first < MB_PANEL ? out - first : MB_PANEL;

		for (size_t k = 0; k < in; k++)
		{
			const float *from = w + first * row_stride + k * column_stride;

			for (size_t j = 0; j < width; j++)
				panels[j] = from[j * row_stride];
			for (size_t j = width; j < MB_PANEL; j++)
				panels[j] = 0.0f;
			panels += MB_PANEL;
		}
	}
}

/* One panel whose outputs are fewer than 32: computed in a tile of its own, so that nothing is written beside y. */
static void
narrow_panel(const mb_kernels *kernels, size_t n, size_t in, size_t width, const float *x, size_t ldx,
			 const float *panel, const float *bias, float *y, size_t ldy)
{
	float c[MB_MAX_TILE_ROWS * MB_PANEL];
	float init[MB_PANEL] = {0};

	if (bias != NULL)
		memcpy(init, bias, width * sizeof(float));
	for (size_t i = 0; i < n; i += kernels->tile_rows)
	{
		size_t rows = n - i < kernels->tile_rows ? n - i : kernels->tile_rows;

		kernels->tile(rows, in, x + i * ldx, ldx, panel, i == 0, init, c, MB_PANEL);
		for (size_t r = 0; r < rows; r++)
			memcpy(y + (i + r) * ldy, c + r * MB_PANEL, width * sizeof(float));
	}
}

static void
gemm_rows(const mb_kernels *kernels, size_t n, size_t in, size_t out, const float *x, size_t ldx, const float *panels,
		  const float *bias, float *y, size_t ldy)
{
	static const float zero[MB_PANEL];

	for (size_t first = 0; first < out; first += MB_PANEL)
	{
		const float *panel = panels + first * in;

		if (out - first < MB_PANEL)
		{
			narrow_panel(kernels, n, in, out - first, x, ldx, panel, bias != NULL ? bias + first : NULL, y + first,
						 ldy);
			break;
		}
		/* At in = 0 the tile still has to lay down the bias. */
		for (size_t k = 0; k < in || k == 0; k += BLOCK_K)
		{
			size_t depth = in - k < BLOCK_K ? in - k : BLOCK_K;
			const float *init = k > 0 ? NULL : bias != NULL ? bias + first : zero;

			for (size_t i = 0; i < n; i += kernels->tile_rows)
			{
				size_t rows = n - i < kernels->tile_rows ? n - i : kernels->tile_rows;

				kernels->tile(rows, depth, x + i * ldx + k, ldx, panel + k * MB_PANEL, i == 0, init,
							  y + i * ldy + first, ldy);
			}
		}
	}
}

void
mb_gemm(size_t n, size_t in, size_t out, const float *x, size_t ldx, const float *panels, const float *bias, float *y,
		size_t ldy)
{
	const mb_kernels *kernels = mb_kernels_get();

	for (size_t i = 0; i < n; i += BLOCK_ROWS)
		gemm_rows(kernels, n - i < BLOCK_ROWS ? n - i : BLOCK_ROWS, in, out, x + i * ldx, ldx, panels, bias,
				  y + i * ldy, ldy);
}
