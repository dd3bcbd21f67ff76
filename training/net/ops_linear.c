/* ops_linear.c - the linear layer: three matrix products, which are nearly all of training's arithmetic. */
#include "ops.h"

#include <string.h>

#include "kernels.h"

void
linear_forward(real *y, const real *x, const real *W, const real *b, size_t N, size_t K, size_t O)
{
	if (N == 0)
		return;
	for (size_t i = 0; b != NULL && i < N; i++)
		memcpy(y + i * O, b, O * sizeof(real));
	net_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int) N, (int) O, (int) K, (real) 1, x, (int) K, W, (int) K,
			 b != NULL ? (real) 1 : (real) 0, y, (int) O);
}

void
linear_backward(real *dx, real *dW, real *db, const real *dy, const real *x, const real *W, size_t N, size_t K,
				size_t O, bool add_dx)
{
	if (N == 0)
		return;
	if (dx != NULL)
		net_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) N, (int) K, (int) O, (real) 1, dy, (int) O, W,
				 (int) K, add_dx ? (real) 1 : (real) 0, dx, (int) K);
	if (dW != NULL)
		net_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int) O, (int) K, (int) N, (real) 1, dy, (int) O, x, (int) K,
				 (real) 1, dW, (int) K);
	if (db != NULL)
		net_kernels_get()->add_columns(db, dy, N, O);
}
