/*
 * net_heads.c - what stands on the last hidden states: the masked-LM head, pooling, the classifier; and what it all
 * costs.
 *
 * Between the forward and the backward of the layers most of the activations' scratch is free; the heads use it.
 */
#include <assert.h>
#include <string.h>

#include "net_activations.h"

/* ---- masked language modelling ----------------------------------------------------------------------------------- */

/* The head's work on up to net_mlm_rows places. */
typedef struct mlm_block
{
	real *x; /* [M,H] hidden states at the places */
	real *t; /* [M,H] transform.dense */
	real *f; /* [M,H] its activation */
	real *y; /* [M,H] transform.LayerNorm */
	real *d; /* [M,H] gradient of y, f, t, and x in turn */
} mlm_block;

/* The row of target i among the last hidden states. */
static size_t
place_of(const int32_t *places, size_t i)
{
	return places == NULL ? i : (size_t) places[i];
}

static void
mlm_backward(const net *n, const real *parameters, real *gradients, net_activations *a, const mlm_block *b,
			 const int32_t *places, size_t first, size_t M)
{
	net_layout at = net_layout_of(n);
	const real *p = parameters;
	real *g = gradients;
	size_t H = (size_t) n->options.config.hidden_size, V = (size_t) n->options.config.vocab_size;

	linear_backward(b->d, a->embeddings_learn ? g + at.word : NULL, g + at.decoder_bias, a->logits, b->y, p + at.word,
					M, H, V, false);
	layer_norm_backward(b->d, g + at.transform_norm_weight, g + at.transform_norm_bias, b->d, b->f, a->head_mean,
						a->head_rstd, p + at.transform_norm_weight, M, H);
	activation_backward(b->d, b->d, b->t, M * H, n->options.config.hidden_act);
	/* f has done its service: it takes the gradient of x. */
	linear_backward(b->f, g + at.transform_weight, g + at.transform_bias, b->d, b->x, p + at.transform_weight, M, H, H,
					false);
	for (size_t i = 0; i < M; i++)
		for (size_t j = 0; j < H; j++)
			a->dhidden[place_of(places, first + i) * H + j] += b->f[i * H + j];
}

void
net_mlm_loss(const net *n, const real *parameters, real *gradients, net_activations *a, const net_batch *batch,
			 const int32_t *places, const int32_t *labels, size_t M, double scale, net_loss *loss)
{
	net_layout at = net_layout_of(n);
	const real *p = parameters;
	size_t H = (size_t) n->options.config.hidden_size, V = (size_t) n->options.config.vocab_size;
	size_t rows = net_mlm_rows(n);

	assert(a->n_hidden <= batch->N && M <= a->n_hidden);
	*loss = (net_loss){0.0, M, 0};
	if (gradients != NULL)
		memset(a->dhidden, 0, a->n_hidden * H * sizeof(real));
	for (size_t first = 0; first < M; first += rows)
	{
		size_t m = M - first < rows ? M - first : rows;
		mlm_block b = {a->y, a->e, a->wide, a->wide + m * H, a->wide + 2 * m * H};
		size_t correct = 0;

		for (size_t i = 0; i < m; i++)
			memcpy(b.x + i * H, a->hidden + place_of(places, first + i) * H, H * sizeof(real));
		linear_forward(b.t, b.x, p + at.transform_weight, p + at.transform_bias, m, H, H);
		activation_forward(b.f, b.t, m * H, n->options.config.hidden_act);
		layer_norm_forward(b.y, a->head_mean, a->head_rstd, b.f, NULL, p + at.transform_norm_weight,
						   p + at.transform_norm_bias, m, H, (real) n->options.config.layer_norm_eps);
		linear_forward(a->logits, b.y, p + at.word, p + at.decoder_bias, m, H, V);
		loss->sum += cross_entropy(a->logits, labels + first, m, V, scale, gradients != NULL, &correct);
		loss->correct += correct;
		if (gradients != NULL)
			mlm_backward(n, parameters, gradients, a, &b, places, first, m);
	}
}

/* ---- one vector of a sequence ------------------------------------------------------------------------------------ */

void
net_pool(const net *n, const real *parameters, net_activations *a, const net_batch *batch, mb_pooling mode,
		 real *pooled)
{
	net_layout at = net_layout_of(n);
	size_t H = (size_t) n->options.config.hidden_size, B = batch->B;

	assert(a->n_hidden == batch->N);
	if (mode != MB_POOL_POOLER)
	{
		pool_forward(pooled, a->hidden, batch->lengths, B, H, mode);
		return;
	}
	pool_forward(a->y, a->hidden, batch->lengths, B, H, MB_POOL_CLS);
	linear_forward(a->e, a->y, parameters + at.pooler_weight, parameters + at.pooler_bias, B, H, H);
	tanh_forward(pooled, a->e, B * H);
}

void
net_pool_backward(const net *n, const real *parameters, real *gradients, net_activations *a, const net_batch *batch,
				  mb_pooling mode, const real *dpooled)
{
	net_layout at = net_layout_of(n);
	size_t H = (size_t) n->options.config.hidden_size, B = batch->B;
	real *value = a->wide, *dcls = a->e;

	if (mode != MB_POOL_POOLER)
	{
		pool_backward(a->dhidden, dpooled, batch->lengths, B, H, mode);
		return;
	}
	net_pool(n, parameters, a, batch, mode, value); /* leaves [CLS] in a->y */
	tanh_backward(value, dpooled, value, B * H);
	linear_backward(dcls, gradients + at.pooler_weight, gradients + at.pooler_bias, value, a->y,
					parameters + at.pooler_weight, B, H, H, false);
	pool_backward(a->dhidden, dcls, batch->lengths, B, H, MB_POOL_CLS);
}

void
net_classify(const net *n, const real *parameters, const real *pooled, size_t B, real *logits)
{
	net_layout at = net_layout_of(n);

	linear_forward(logits, pooled, parameters + at.classifier_weight, parameters + at.classifier_bias, B,
				   (size_t) n->options.config.hidden_size, (size_t) n->options.num_labels);
}

void
net_classify_backward(const net *n, const real *parameters, real *gradients, const real *pooled, const real *dlogits,
					  size_t B, real *dpooled)
{
	net_layout at = net_layout_of(n);

	linear_backward(dpooled, gradients + at.classifier_weight, gradients + at.classifier_bias, dlogits, pooled,
					parameters + at.classifier_weight, B, (size_t) n->options.config.hidden_size,
					(size_t) n->options.num_labels, false);
}

/* ---- what it costs ----------------------------------------------------------------------------------------------- */

/*
 * Matrix products only: a product of x [N,K] and W [O,K] is 2 N K O, its backward as much for dW and as much for dx. Of
 * a layer, per token: 2 (4 H^2 + 2 H F) of linear layers, 4 T H of attention.  Below the last layer that learns there
 * is no backward, and that layer's qkv has no dx.
 */
double
net_flops_per_token(const net *n, size_t T, double mlm_share, int freeze)
{
	const mb_config *c = &n->options.config;
	double H = c->hidden_size, F = c->intermediate_size, V = c->vocab_size, L = n->options.num_labels;
	double qkv = 6.0 * H * H, rows = 2.0 * (H * H + 2.0 * H * F), attention = 4.0 * (double) T * H;
	double flops = 0.0;

	for (int layer = 0; layer < c->num_hidden_layers; layer++)
	{
		bool partial = n->options.mlm_head && mlm_share > 0 && layer + 1 == c->num_hidden_layers;
		double forward = qkv + attention + (partial ? mlm_share : 1.0) * rows;

		flops += forward;
		if (layer >= freeze)
			flops += 2.0 * forward;
		if (layer == freeze)
			flops -= qkv;
	}
	if (n->options.mlm_head)
		flops += mlm_share * (3.0 * 2.0 * H * H + (freeze < 0 ? 3.0 : 2.0) * 2.0 * H * V);
	if (n->options.pooler)
		flops += 3.0 * 2.0 * H * H / (double) T;
	flops += 3.0 * 2.0 * H * L / (double) T;
	return flops;
}
