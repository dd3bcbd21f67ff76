/*
 * net_pass.c - forward and backward through embeddings and layers.
 *
 * Post-LayerNorm: x = norm(x + drop(attention(x))); x = norm(x + drop(feed_forward(x))).  The backward reads like the
 * forward from bottom to top; d is the gradient of what its line in the forward made.
 */
#include <assert.h>
#include <string.h>

#include "net_activations.h"
#include "rng.h"

/* What both directions need to know. */
typedef struct walk
{
	const net *n;
	const real *parameters;
	net_activations *a;
	const net_batch *batch;
	const net_pass *pass;
	net_layout at;
	size_t N, H, A, F;
	real eps;
} walk;

static walk
start(const net *n, const real *parameters, net_activations *a, const net_batch *batch, const net_pass *pass)
{
	const mb_config *c = &n->options.config;
	walk w = {n, parameters, a, batch, pass, net_layout_of(n), batch->N, 0, 0, 0, 0};

	assert(batch->N <= a->max_tokens);
	for (size_t b = 0; b < batch->B; b++)
		assert(batch->lengths[b] >= 1 && (size_t) batch->lengths[b] <= a->max_length);
	for (size_t i = 0; pass->places != NULL && i < pass->n_places; i++)
		assert((size_t) pass->places[i] < batch->N && (i == 0 || pass->places[i] > pass->places[i - 1]));
	w.H = (size_t) c->hidden_size;
	w.A = (size_t) c->num_attention_heads;
	w.F = (size_t) c->intermediate_size;
	w.eps = (real) c->layer_norm_eps;
	return w;
}

/* Whether the embeddings (-1) or a layer learn. */
static bool
learns(const walk *w, int layer)
{
	return layer >= w->pass->freeze;
}

/* Dropout in one of the places of a pass: what freezes does not drop. */
static void
drop(const walk *w, real *x, int layer, uint64_t place)
{
	if (learns(w, layer))
		dropout(x, w->N * w->H, w->pass->dropout, rng_at(w->pass->dropout_key, 2 * (uint64_t) (layer + 1) + place));
}

/* x [N,H] = the embeddings' value, from a->sum0 */
static void
embeddings_value(const walk *w, real *x)
{
	const real *p = w->parameters;

	layer_norm_forward(x, w->a->mean0, w->a->rstd0, w->a->sum0, NULL, p + w->at.norm_weight, p + w->at.norm_bias, w->N,
					   w->H, w->eps);
	drop(w, x, -1, 0);
}

/* x [N,H] = the value of a layer's second LayerNorm, from its sum */
static void
layer_value(const walk *w, real *x, size_t layer, const real *residual)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	layer_activations *l = &w->a->layers[layer];

	layer_norm_forward(x, l->mean2, l->rstd2, l->sum2, residual, w->parameters + at.norm2_weight,
					   w->parameters + at.norm2_bias, w->N, w->H, w->eps);
}

/* y [N,H] = the value of a layer's first LayerNorm, from its sum */
static void
attention_value(const walk *w, real *y, size_t layer, const real *residual)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	layer_activations *l = &w->a->layers[layer];

	layer_norm_forward(y, l->mean1, l->rstd1, l->sum1, residual, w->parameters + at.norm1_weight,
					   w->parameters + at.norm1_bias, w->N, w->H, w->eps);
}

static size_t
rows_of_block(const walk *w, size_t first)
{
	return w->N - first < NET_INNER_ROWS ? w->N - first : NET_INNER_ROWS;
}

/* Whether of this layer's value only the rows at the pass's places are wanted. */
static bool
is_partial(const walk *w, size_t layer)
{
	return w->pass->places != NULL && layer + 1 == (size_t) w->n->options.config.num_hidden_layers;
}

/* The walk through what a layer does with each row by itself. */
static walk
walk_rows(const walk *w, size_t layer)
{
	walk rows = *w;

	if (is_partial(w, layer))
		rows.N = w->pass->n_places;
	return rows;
}

/* x [N,H]: the rows at the places move to its start. They ascend, so that none is overwritten before it is read. */
static void
gather(const walk *w, real *x)
{
	for (size_t i = 0; i < w->pass->n_places; i++)
		memmove(x + i * w->H, x + (size_t) w->pass->places[i] * w->H, w->H * sizeof(real));
}

/* The reverse: rows that are at no place become 0. */
static void
scatter(const walk *w, real *x)
{
	size_t left = w->pass->n_places;

	for (size_t row = w->N; row-- > 0;)
	{
		if (left > 0 && (size_t) w->pass->places[left - 1] == row)
			memmove(x + row * w->H, x + --left * w->H, w->H * sizeof(real));
		else
			memset(x + row * w->H, 0, w->H * sizeof(real));
	}
}

/* From the attention's context to the layer's value: x [N,H], in place, with y as scratch. */
static void
rows_forward(const walk *w, size_t layer, real *x, real *y)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	layer_activations *l = &w->a->layers[layer];
	const real *p = w->parameters;
	size_t N = w->N, H = w->H, F = w->F;

	linear_forward(l->sum1, l->context, p + at.projection_weight, p + at.projection_bias, N, H, H);
	drop(w, l->sum1, (int) layer, 0);
	attention_value(w, y, layer, x);

	for (size_t first = 0; first < N; first += NET_INNER_ROWS)
	{
		size_t rows = rows_of_block(w, first);
		real *inner = l->inner + first * F;

		linear_forward(inner, y + first * H, p + at.inner_weight, p + at.inner_bias, rows, H, F);
		activation_forward(w->a->block, inner, rows * F, w->n->options.config.hidden_act);
		linear_forward(l->sum2 + first * H, w->a->block, p + at.output_weight, p + at.output_bias, rows, F, H);
	}
	drop(w, l->sum2, (int) layer, 1);
	layer_value(w, x, layer, y);
}

/* x [N,H], in place, with y as scratch */
static void
layer_forward(const walk *w, size_t layer, real *x, real *y)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	layer_activations *l = &w->a->layers[layer];
	walk rows = walk_rows(w, layer);

	linear_forward(l->qkv, x, w->parameters + at.qkv_weight, w->parameters + at.qkv_bias, w->N, w->H, 3 * w->H);
	attention_forward(l->context, l->probs, l->qkv, w->batch->lengths, w->batch->B, w->A, w->H);
	if (is_partial(w, layer))
	{
		gather(w, l->context);
		gather(w, x);
	}
	rows_forward(&rows, layer, x, y);
}

const real *
net_forward(const net *n, const real *parameters, net_activations *a, const net_batch *batch, const net_pass *pass)
{
	walk w = start(n, parameters, a, batch, pass);

	a->embeddings_learn = learns(&w, -1);
	embedding_forward(a->sum0, batch->ids, batch->lengths, batch->B, parameters + w.at.word, parameters + w.at.position,
					  parameters + w.at.type, w.H);
	embeddings_value(&w, a->hidden);
	for (size_t layer = 0; layer < (size_t) n->options.config.num_hidden_layers; layer++)
		layer_forward(&w, layer, a->hidden, a->y);
	a->n_hidden = batch->N;
	if (pass->places != NULL)
	{
		a->n_hidden = pass->n_places;
		if (n->options.config.num_hidden_layers == 0)
			gather(&w, a->hidden);
	}
	return a->hidden;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* d [N,H], gradient of the layer's value; becomes that of its input past the attention; dcontext [N,H] the context's. */
static void
rows_backward(const walk *w, real *gradients, size_t layer, real *d, real *dcontext)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	net_activations *a = w->a;
	layer_activations *l = &a->layers[layer];
	const real *p = w->parameters;
	real *g = gradients;
	size_t N = w->N, H = w->H, F = w->F;
	real *y = a->y, *e = a->e;

	/* The feed-forward half: d by its sum, e by its input. */
	layer_norm_backward(d, g + at.norm2_weight, g + at.norm2_bias, d, l->sum2, l->mean2, l->rstd2, p + at.norm2_weight,
						N, H);
	memcpy(e, d, N * H * sizeof(real));
	drop(w, d, (int) layer, 1);
	attention_value(w, y, layer, NULL);
	for (size_t first = 0; first < N; first += NET_INNER_ROWS)
	{
		size_t rows = rows_of_block(w, first);
		const real *inner = l->inner + first * F;

		activation_forward(a->block, inner, rows * F, w->n->options.config.hidden_act);
		linear_backward(a->dblock, g + at.output_weight, g + at.output_bias, d + first * H, a->block,
						p + at.output_weight, rows, F, H, false);
		activation_backward(a->dblock, a->dblock, inner, rows * F, w->n->options.config.hidden_act);
		linear_backward(e + first * H, g + at.inner_weight, g + at.inner_bias, a->dblock, y + first * H,
						p + at.inner_weight, rows, H, F, true);
	}

	/* The attention half: e by its sum, d by its input. */
	layer_norm_backward(e, g + at.norm1_weight, g + at.norm1_bias, e, l->sum1, l->mean1, l->rstd1, p + at.norm1_weight,
						N, H);
	memcpy(d, e, N * H * sizeof(real));
	drop(w, e, (int) layer, 0);
	linear_backward(dcontext, g + at.projection_weight, g + at.projection_bias, e, l->context, p + at.projection_weight,
					N, H, H, false);
}

/* d [N,H], gradient of the layer's value; becomes that of its input, which is wanted unless nothing below learns. */
static void
layer_backward(const walk *w, real *gradients, size_t layer, real *d, bool dx_wanted)
{
	net_layer_layout at = net_layer_layout_of(w->n, layer);
	net_activations *a = w->a;
	layer_activations *l = &a->layers[layer];
	walk rows = walk_rows(w, layer);
	real *x = a->y;
	real *dcontext = a->hidden; /* nobody asks for the last hidden states any more */

	rows_backward(&rows, gradients, layer, d, dcontext);
	if (is_partial(w, layer))
	{
		scatter(w, d);
		scatter(w, dcontext);
	}
	attention_backward(a->wide, dcontext, l->probs, l->qkv, w->batch->lengths, w->batch->B, w->A, w->H, a->square);
	if (layer > 0)
		layer_value(w, x, layer - 1, NULL);
	else
		embeddings_value(w, x);
	linear_backward(dx_wanted ? d : NULL, gradients + at.qkv_weight, gradients + at.qkv_bias, a->wide, x,
					w->parameters + at.qkv_weight, w->N, w->H, 3 * w->H, true);
}

void
net_backward(const net *n, const real *parameters, real *gradients, net_activations *a, const net_batch *batch,
			 const net_pass *pass)
{
	walk w = start(n, parameters, a, batch, pass);
	real *d = a->dhidden;

	if (pass->places != NULL && n->options.config.num_hidden_layers == 0)
		scatter(&w, d);
	for (int layer = n->options.config.num_hidden_layers - 1; layer >= 0 && learns(&w, layer); layer--)
		layer_backward(&w, gradients, (size_t) layer, d, learns(&w, layer - 1));
	if (!learns(&w, -1))
		return;
	drop(&w, d, -1, 0);
	layer_norm_backward(d, gradients + w.at.norm_weight, gradients + w.at.norm_bias, d, a->sum0, a->mean0, a->rstd0,
						parameters + w.at.norm_weight, w.N, w.H);
	embedding_backward(gradients + w.at.word, gradients + w.at.position, gradients + w.at.type, d, batch->ids,
					   batch->lengths, batch->B, w.H);
}
