/*
 * ops.h - the operations of BERT, each with its backward: free functions, outputs first, sizes last, no hidden state.
 *
 *   N  tokens = sum of lengths   B  sequences   H  hidden size   A  heads   V  vocabulary   L  labels   M  targets
 *   K, O  inputs and outputs of a linear layer (not I, which is complex.h's)
 *
 * Sequences lie one behind another without padding; lengths [B].  In a backward, dx stands for the gradient of the loss
 * by x.  Gradients of parameters are added to (NULL: not wanted); gradients of activations are overwritten, unless it
 * says otherwise.  All matrices are row-major.  Nothing here allocates; every sum is taken in one fixed order, so that
 * the same input gives the same bits.  Names and definitions as in Devlin et al. 2018 (arXiv:1810.04805).
 */
#ifndef MOVIEBERT_NET_OPS_H
#define MOVIEBERT_NET_OPS_H

#include <stdbool.h>

#include "moviebert/model.h"
#include "real.h"

/* y [N,O] = x [N,K] W [O,K]^T + b [O]; b may be NULL */
void linear_forward(real *y, const real *x, const real *W, const real *b, size_t N, size_t K, size_t O);
/* dx [N,K] may be NULL; with add_dx it is added to */
void linear_backward(real *dx, real *dW, real *db, const real *dy, const real *x, const real *W, size_t N, size_t K,
					 size_t O, bool add_dx);

/* y = f(x), n elements; y is not x, which backward needs.  GELU is the exact one unless the config says otherwise. */
void activation_forward(real *y, const real *x, size_t n, mb_activation f);
void activation_backward(real *dx, const real *dy, const real *x, size_t n, mb_activation f); /* dx may be dy */

/*
 * Post-norm: x [N,H] += residual (NULL: nothing), y = (x - mean) rstd * weight + bias, with biased variance,
 * rstd = 1/sqrt(variance + eps).  x (the sum), mean [N] and rstd [N] are kept for backward.
 */
void layer_norm_forward(real *y, real *mean, real *rstd, real *x, const real *residual, const real *weight,
						const real *bias, size_t N, size_t H, real eps);
/* dx is the gradient of both x and residual; it may be dy */
void layer_norm_backward(real *dx, real *dweight, real *dbias, const real *dy, const real *x, const real *mean,
						 const real *rstd, const real *weight, size_t N, size_t H);

/* Elements of probs for these lengths: A * sum of length^2. */
size_t attention_probs_size(const int32_t *lengths, size_t B, size_t A);
/*
 * context [N,H] = softmax(Q K^T / sqrt(H/A)) V within each sequence; qkv [N,3H] holds rows of query, key, value.
 * probs (attention_probs_size) are kept for backward: sequence by sequence, head by head, [length,length].
 */
void attention_forward(real *context, real *probs, const real *qkv, const int32_t *lengths, size_t B, size_t A,
					   size_t H);
/* scratch: max length^2 elements */
void attention_backward(real *dqkv, const real *dcontext, const real *probs, const real *qkv, const int32_t *lengths,
						size_t B, size_t A, size_t H, real *scratch);

/* x [N,H] = word[id] + position[place in its sequence] + type (row 0); before the LayerNorm */
void embedding_forward(real *x, const int32_t *ids, const int32_t *lengths, size_t B, const real *word,
					   const real *position, const real *type, size_t H);
void embedding_backward(real *dword, real *dposition, real *dtype, const real *dx, const int32_t *ids,
						const int32_t *lengths, size_t B, size_t H);

/*
 * Inverted dropout in place: x = keep ? x / (1 - p) : 0, where element i is kept if rng_uniform(key, i) >= p.  Its
 * backward is the same call on the gradient.  p = 0 does nothing.
 */
void dropout(real *x, size_t n, double p, uint64_t key);

/* pooled [B,H]: MB_POOL_MEAN over all tokens, MB_POOL_CLS the first; MB_POOL_POOLER is net.h's (CLS, linear, tanh) */
void pool_forward(real *pooled, const real *hidden, const int32_t *lengths, size_t B, size_t H, mb_pooling mode);
void pool_backward(real *dhidden, const real *dpooled, const int32_t *lengths, size_t B, size_t H, mb_pooling mode);

void tanh_forward(real *y, const real *x, size_t n);
void tanh_backward(real *dx, const real *dy, const real *y, size_t n);

/* y = v / max(|v|, 1e-12) row by row; norm [B] is kept */
void normalize_forward(real *y, real *norm, const real *v, size_t B, size_t H);
void normalize_backward(real *dv, const real *dy, const real *y, const real *norm, size_t B, size_t H);

/*
 * Softmax cross entropy: returns the sum over M rows of -log softmax(logits)[label], in nats; logits [M,V] become
 * scale * (softmax - one hot), the gradient of scale * that sum.  *correct (may be NULL) counts the rows whose largest
 * logit is the label's.  With grad false logits are left undefined.
 */
double cross_entropy(real *logits, const int32_t *labels, size_t M, size_t V, double scale, bool grad,
					 size_t *correct);

/* Multi-label losses: the sum over the B*L pairs that are known (NULL: all).  labels, known [B,L] are 0 or 1. */
typedef struct label_loss
{
	bool asymmetric; /* Ridnik et al. 2021 (arXiv:2009.14119); else binary cross entropy */
	double gamma_negative, gamma_positive, clip; /* 4, 1, 0.05 there; the focusing weight has no gradient of its own */
	const float *positive_weight;                /* [L] factor of a positive's loss; NULL: 1 */
} label_loss;

/* dlogits [B,L] = gradient of scale * the sum; NULL: not wanted */
double label_loss_backward(real *dlogits, const real *logits, const uint8_t *labels, const uint8_t *known, size_t B,
						   size_t L, double scale, const label_loss *how);

/*
 * Contrastive loss with in-batch negatives (InfoNCE, van den Oord et al. 2018; symmetric as in CLIP): a, b [B,H] of
 * length 1, row i of a belongs to row i of b.  Returns the mean of both directions' cross entropies of a b^T /
 * temperature; da, db are overwritten with its gradient.  *correct (may be NULL) counts rows of a whose nearest b is
 * theirs.  scratch: 2 * B * B elements.
 */
double info_nce(real *da, real *db, const real *a, const real *b, size_t B, size_t H, double temperature,
				real *scratch, size_t *correct);

#endif
