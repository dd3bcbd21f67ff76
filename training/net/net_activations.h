/*
 * net_activations.h - what a forward pass keeps for its backward: as little as can be had back cheaply.
 *
 * Kept of a layer: queries, keys and values; attention's probabilities and context; the sums before both LayerNorms;
 * and the activation function's argument.  Its value and the LayerNorms' are the larger part of what a textbook keeps;
 * the backward computes them again, to the same bits, a few rows or one layer at a time.
 */
#ifndef MOVIEBERT_NET_ACTIVATIONS_H
#define MOVIEBERT_NET_ACTIVATIONS_H

#include "net_layout.h"

enum
{
	NET_INNER_ROWS = 256,    /* of the feed-forward half at a time */
	NET_MLM_ROWS = 512,      /* of the masked-LM head at most, */
	NET_MLM_LOGITS = 8 << 20 /* and as many that they make no more logits than this */
};

typedef struct layer_activations
{
	real *qkv;           /* [N,3H] */
	real *probs;         /* attention_probs_size */
	real *context;       /* [N,H] */
	real *sum1, *sum2;   /* [N,H] before attention.output.LayerNorm, output.LayerNorm */
	real *mean1, *rstd1; /* [N] */
	real *mean2, *rstd2; /* [N] */
	real *inner;         /* [N,F] before the activation function */
} layer_activations;

struct net_activations
{
	size_t max_tokens, max_length;
	void *memory;                /* all of it */
	layer_activations *layers;   /* [layers] */
	real *sum0, *mean0, *rstd0;  /* [N,H] [N] before embeddings.LayerNorm */
	real *hidden;                /* [N,H] the last hidden states, until the backward */
	real *dhidden;               /* [N,H] their gradient, then that of each layer's input */
	real *y;                     /* [N,H] a LayerNorm's value */
	real *e;                     /* [N,H] scratch */
	real *wide;                  /* [N,3H] scratch; gradient of qkv */
	real *block, *dblock;        /* [NET_INNER_ROWS,F] value of the activation function, its gradient */
	real *square;                /* [max length ^ 2] attention_backward's scratch */
	real *head_mean, *head_rstd; /* [NET_MLM_ROWS] */
	real *logits;                /* [net_mlm_rows,V]; NULL without the head */
	size_t n_hidden;             /* rows of hidden and dhidden: N, or those that the last forward's pass named */
	bool embeddings_learn;       /* as the last forward's pass said */
};

/* Rows of the masked-LM head that are worked off at a time. */
size_t net_mlm_rows(const net *n);

#endif
