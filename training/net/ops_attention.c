/* ops_attention.c - self-attention: for each sequence and head two matrix products with a softmax between them. */
#include "ops.h"

#include <math.h>

#include "kernels.h"

size_t
attention_probs_size(const int32_t *lengths, size_t B, size_t A)
{
	size_t size = 0;

	for (size_t s = 0; s < B; s++)
		size += A * (size_t) lengths[s] * (size_t) lengths[s];
	return size;
}

/* c [m,n] = op(a) op(b), each with its stride */
static void
product(CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, size_t m, size_t n, size_t k, const real *a, size_t lda,
		const real *b, size_t ldb, real *c, size_t ldc)
{
	net_gemm(CblasRowMajor, trans_a, trans_b, (int) m, (int) n, (int) k, (real) 1, a, (int) lda, b, (int) ldb, (real) 0,
			 c, (int) ldc);
}

void
attention_forward(real *context, real *probs, const real *qkv, const int32_t *lengths, size_t B, size_t A, size_t H)
{
	const net_kernels *kernels = net_kernels_get();
	size_t d = H / A;
	real scale = (real) (1.0 / sqrt((double) d));

	for (size_t s = 0; s < B; s++)
	{
		size_t T = (size_t) lengths[s];

		for (size_t h = 0; h < A; h++, probs += T * T)
		{
			const real *q = qkv + h * d, *k = q + H, *v = k + H;

			product(CblasNoTrans, CblasTrans, T, T, d, q, 3 * H, k, 3 * H, probs, T);
			kernels->softmax(probs, T, T, scale);
			product(CblasNoTrans, CblasNoTrans, T, d, T, probs, T, v, 3 * H, context + h * d, H);
		}
		qkv += T * 3 * H;
		context += T * H;
	}
}

/*
 * With P the probabilities and S = Q K^T the scores: dV = P^T dC, dP = dC V^T, dS = softmax's backward of dP,
 * dQ = dS K, dK = dS^T Q.
 */
void
attention_backward(real *dqkv, const real *dcontext, const real *probs, const real *qkv, const int32_t *lengths,
				   size_t B, size_t A, size_t H, real *scratch)
{
	const net_kernels *kernels = net_kernels_get();
	size_t d = H / A;
	real scale = (real) (1.0 / sqrt((double) d));

	for (size_t s = 0; s < B; s++)
	{
		size_t T = (size_t) lengths[s];

		for (size_t h = 0; h < A; h++, probs += T * T)
		{
			const real *q = qkv + h * d, *k = q + H, *v = k + H, *dc = dcontext + h * d;
			real *dq = dqkv + h * d, *dk = dq + H, *dv = dk + H;

			product(CblasTrans, CblasNoTrans, T, d, T, probs, T, dc, H, dv, 3 * H);
			product(CblasNoTrans, CblasTrans, T, T, d, dc, H, v, 3 * H, scratch, T);
			kernels->softmax_backward(scratch, probs, T, T, scale);
			product(CblasNoTrans, CblasNoTrans, T, d, T, scratch, T, k, 3 * H, dq, 3 * H);
			product(CblasTrans, CblasNoTrans, T, d, T, scratch, T, q, 3 * H, dk, 3 * H);
		}
		qkv += T * 3 * H;
		dqkv += T * 3 * H;
		dcontext += T * H;
	}
}
