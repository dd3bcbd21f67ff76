/* net_activations.c - one allocation for all activations of a pass. */
#include "net_activations.h"

#include <stdlib.h>
#include <string.h>

#include "../memory.h"

enum
{
	ALIGNMENT = 64
};

/* The next `count` numbers of memory that begins at base; with base NULL only the bytes are counted. */
static real *
take(char *base, size_t *bytes, size_t count)
{
	size_t at = *bytes;

	*bytes += (count * sizeof(real) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	return base == NULL ? NULL : (real *) (void *) (base + at);
}

size_t
net_mlm_rows(const net *n)
{
	size_t rows = (size_t) NET_MLM_LOGITS / (size_t) n->options.config.vocab_size;

	return rows < 16 ? 16 : rows > NET_MLM_ROWS ? NET_MLM_ROWS : rows;
}

/* Lays a out on base, with a->layers there already; returns the bytes. */
static size_t
lay_out(net_activations *a, char *base, const net *n, size_t max_tokens, size_t max_length)
{
	const mb_config *c = &n->options.config;
	size_t N = max_tokens, H = (size_t) c->hidden_size, F = (size_t) c->intermediate_size;
	size_t inner_rows = N < NET_INNER_ROWS ? N : NET_INNER_ROWS;
	size_t mlm_rows = N < net_mlm_rows(n) ? N : net_mlm_rows(n);
	size_t bytes = 0;

	a->sum0 = take(base, &bytes, N * H);
	a->mean0 = take(base, &bytes, N);
	a->rstd0 = take(base, &bytes, N);
	for (int32_t i = 0; i < c->num_hidden_layers; i++)
	{
		layer_activations l;

		l.qkv = take(base, &bytes, N * 3 * H);
		l.probs = take(base, &bytes, (size_t) c->num_attention_heads * N * max_length);
		l.context = take(base, &bytes, N * H);
		l.sum1 = take(base, &bytes, N * H);
		l.mean1 = take(base, &bytes, N);
		l.rstd1 = take(base, &bytes, N);
		l.inner = take(base, &bytes, N * F);
		l.sum2 = take(base, &bytes, N * H);
		l.mean2 = take(base, &bytes, N);
		l.rstd2 = take(base, &bytes, N);
		if (base != NULL)
			a->layers[i] = l;
	}
	a->hidden = take(base, &bytes, N * H);
	a->dhidden = take(base, &bytes, N * H);
	a->y = take(base, &bytes, N * H);
	a->e = take(base, &bytes, N * H);
	a->wide = take(base, &bytes, N * 3 * H);
	a->block = take(base, &bytes, inner_rows * F);
	a->dblock = take(base, &bytes, inner_rows * F);
	a->square = take(base, &bytes, max_length * max_length);
	if (n->options.mlm_head)
	{
		a->head_mean = take(base, &bytes, mlm_rows);
		a->head_rstd = take(base, &bytes, mlm_rows);
		a->logits = take(base, &bytes, mlm_rows * (size_t) c->vocab_size);
	}
	return bytes;
}

size_t
net_activations_bytes(const net *n, size_t max_tokens, size_t max_length)
{
	net_activations counted = {0};

	return lay_out(&counted, NULL, n, max_tokens, max_length);
}

net_activations *
net_activations_create(const net *n, size_t max_tokens, size_t max_length)
{
	net_activations *a = allocate(1, sizeof(*a));
	size_t bytes = net_activations_bytes(n, max_tokens, max_length);
	uintptr_t start;

	a->max_tokens = max_tokens;
	a->max_length = max_length;
	a->layers = allocate((size_t) n->options.config.num_hidden_layers, sizeof(*a->layers));
	a->memory = allocate(bytes + ALIGNMENT, 1);
	start = ((uintptr_t) a->memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	lay_out(a, (char *) a->memory + (start - (uintptr_t) a->memory), n, max_tokens, max_length);
	return a;
}

void
net_activations_destroy(net_activations *a)
{
	if (a == NULL)
		return;
	free(a->layers);
	free(a->memory);
	free(a);
}

real *
net_dhidden(net_activations *a)
{
	return a->dhidden;
}
