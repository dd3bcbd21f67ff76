/*
 * net_layout.h - where the parameters lie, as offsets from the start of parameters, gradients or moments alike.
 *
 *   V vocabulary   H hidden size   F intermediate size (not I, which is complex.h's)   L labels
 */
#ifndef MOVIEBERT_NET_LAYOUT_H
#define MOVIEBERT_NET_LAYOUT_H

#include "net.h"

typedef struct net_layout
{
	size_t word, position, type;               /* [V,H] [P,H] [T,H] */
	size_t norm_weight, norm_bias;             /* [H] */
	size_t layers, layer_size;                 /* the first layer, and elements of each */
	size_t pooler_weight, pooler_bias;         /* [H,H] [H]; these and what follows are 0 without their head */
	size_t transform_weight, transform_bias;   /* [H,H] [H] */
	size_t transform_norm_weight;              /* [H] */
	size_t transform_norm_bias;                /* [H] */
	size_t decoder_bias;                       /* [V] */
	size_t classifier_weight, classifier_bias; /* [L,H] [L] */
} net_layout;

typedef struct net_layer_layout
{
	size_t qkv_weight, qkv_bias;               /* [3H,H] [3H] */
	size_t projection_weight, projection_bias; /* [H,H] [H] attention.output.dense */
	size_t norm1_weight, norm1_bias;           /* [H] attention.output.LayerNorm */
	size_t inner_weight, inner_bias;           /* [F,H] [F] intermediate.dense */
	size_t output_weight, output_bias;         /* [H,F] [H] */
	size_t norm2_weight, norm2_bias;           /* [H] output.LayerNorm */
} net_layer_layout;

net_layout net_layout_of(const net *n);
net_layer_layout net_layer_layout_of(const net *n, size_t layer);

#endif
