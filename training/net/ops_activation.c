/* ops_activation.c - functions of one number: the feed-forward's activation, the pooler's tanh, dropout. */
#include "ops.h"

#include <math.h>

#include "kernels.h"
#include "rng.h"

_Static_assert(MB_GELU == 0 && MB_GELU_TANH == 1 && MB_RELU == 2 && MB_SILU == 3, "the kernels' tables go by these");

void
activation_forward(real *y, const real *x, size_t n, mb_activation f)
{
	net_kernels_get()->activation[f](y, x, n);
}

void
activation_backward(real *dx, const real *dy, const real *x, size_t n, mb_activation f)
{
	net_kernels_get()->activation_backward[f](dx, dy, x, n);
}

void
tanh_forward(real *y, const real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = (real) tanh((double) x[i]);
}

void
tanh_backward(real *dx, const real *dy, const real *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] = dy[i] * ((real) 1 - y[i] * y[i]);
}

/* rng_uniform(key, i) >= p, in integers: its 53 bits are at least p 2^53. */
void
dropout(real *x, size_t n, double p, uint64_t key)
{
	if (p > 0.0)
		net_kernels_get()->dropout(x, n, key, (uint64_t) ceil(p * 0x1p53), (real) (1.0 / (1.0 - p)));
}
