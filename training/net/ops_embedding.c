/* ops_embedding.c - the two ends of the encoder: ids to vectors, and a sequence's vectors to one. */
#include "ops.h"

#include <string.h>

void
embedding_forward(real *x, const int32_t *ids, const int32_t *lengths, size_t B, const real *word, const real *position,
				  const real *type, size_t H)
{
	for (size_t s = 0; s < B; s++)
		for (size_t t = 0; t < (size_t) lengths[s]; t++, ids++, x += H)
		{
			const real *w = word + (size_t) *ids * H, *p = position + t * H;

			for (size_t j = 0; j < H; j++)
				x[j] = w[j] + p[j] + type[j];
		}
}

/* into [H] += from [H]; into may be NULL */
static void
add_row(real *into, const real *from, size_t H)
{
	for (size_t j = 0; into != NULL && j < H; j++)
		into[j] += from[j];
}

void
embedding_backward(real *dword, real *dposition, real *dtype, const real *dx, const int32_t *ids,
				   const int32_t *lengths, size_t B, size_t H)
{
	for (size_t s = 0; s < B; s++)
		for (size_t t = 0; t < (size_t) lengths[s]; t++, ids++, dx += H)
		{
			add_row(dword != NULL ? dword + (size_t) *ids * H : NULL, dx, H);
			add_row(dposition != NULL ? dposition + t * H : NULL, dx, H);
			add_row(dtype, dx, H);
		}
}

void
pool_forward(real *pooled, const real *hidden, const int32_t *lengths, size_t B, size_t H, mb_pooling mode)
{
	for (size_t s = 0; s < B; hidden += (size_t) lengths[s] * H, pooled += H, s++)
	{
		memcpy(pooled, hidden, H * sizeof(real));
		if (mode != MB_POOL_MEAN)
			continue;
		for (size_t t = 1; t < (size_t) lengths[s]; t++)
			add_row(pooled, hidden + t * H, H);
		for (size_t j = 0; j < H; j++)
			pooled[j] /= (real) lengths[s];
	}
}

void
pool_backward(real *dhidden, const real *dpooled, const int32_t *lengths, size_t B, size_t H, mb_pooling mode)
{
	for (size_t s = 0; s < B; s++, dpooled += H)
		for (size_t t = 0; t < (size_t) lengths[s]; t++, dhidden += H)
		{
			if (mode == MB_POOL_MEAN)
				for (size_t j = 0; j < H; j++)
					dhidden[j] = dpooled[j] / (real) lengths[s];
			else if (t == 0)
				memcpy(dhidden, dpooled, H * sizeof(real));
			else
				memset(dhidden, 0, H * sizeof(real));
		}
}
