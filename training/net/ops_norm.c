/* ops_norm.c - LayerNorm of a token, and L2 normalization of a vector. */
#include "ops.h"

#include <math.h>

#include "kernels.h"

#define SHORTEST 1e-12 /* a vector is not divided by less, as in src/nn */

void
layer_norm_forward(real *y, real *mean, real *rstd, real *x, const real *residual, const real *weight, const real *bias,
				   size_t N, size_t H, real eps)
{
	net_kernels_get()->layer_norm(y, mean, rstd, x, residual, weight, bias, N, H, eps);
}

void
layer_norm_backward(real *dx, real *dweight, real *dbias, const real *dy, const real *x, const real *mean,
					const real *rstd, const real *weight, size_t N, size_t H)
{
	net_kernels_get()->layer_norm_backward(dx, dweight, dbias, dy, x, mean, rstd, weight, N, H);
}

/* Written so that a norm that is not a number divides, too. */
static double
divisor(double norm)
{
	return norm <= SHORTEST ? SHORTEST : norm;
}

void
normalize_forward(real *y, real *norm, const real *v, size_t B, size_t H)
{
	for (size_t i = 0; i < B; i++)
	{
		double squares = 0.0;

		for (size_t j = 0; j < H; j++)
			squares += (double) v[i * H + j] * (double) v[i * H + j];
		norm[i] = (real) sqrt(squares);
		for (size_t j = 0; j < H; j++)
			y[i * H + j] = (real) ((double) v[i * H + j] / divisor(sqrt(squares)));
	}
}

/* dv = (dy - y (y . dy)) / |v|; below the shortest norm y is v times a constant. */
void
normalize_backward(real *dv, const real *dy, const real *y, const real *norm, size_t B, size_t H)
{
	for (size_t i = 0; i < B; i++)
	{
		double along = 0.0;

		if (!((double) norm[i] <= SHORTEST))
			for (size_t j = 0; j < H; j++)
				along += (double) y[i * H + j] * (double) dy[i * H + j];
		for (size_t j = 0; j < H; j++)
			dv[i * H + j] =
				(real) (((double) dy[i * H + j] - (double) y[i * H + j] * along) / divisor((double) norm[i]));
	}
}
