/* attention.h - multi-head self-attention over one sequence (Vaswani et al. 2017, arXiv:1706.03762, section 3.2). */
#ifndef MOVIEBERT_NN_ATTENTION_H
#define MOVIEBERT_NN_ATTENTION_H

#include <stddef.h>

#include "moviebert/status.h"

/* Floats of scratch that mb_attention needs for sequences of up to max_length tokens. */
size_t mb_attention_scratch(size_t max_length, size_t head_size);

/*
 * context [L,H] = softmax(Q K^T / sqrt(d)) V, head by head.
 *
 *   qkv      [L,3H]  rows of query, key and value, each H = num_heads * head_size
 *   context  [L,H]   row stride H; does not overlap qkv
 *   scratch  mb_attention_scratch(L, d) floats
 *
 * Asks the interrupt before each head; false when told to stop.
 */
bool mb_attention(float *context, const float *qkv, size_t length, size_t num_heads, size_t head_size, float *scratch,
				  const mb_interrupt *interrupt);

#endif
