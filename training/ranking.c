/* ranking.c - least-significant-digit radix sort on the bits of the scores. */
#include "ranking.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Bits whose unsigned order is the scores' descending order. */
static uint32_t
descending_bits(float score)
{
	uint32_t bits;

	score += 0.0f; /* -0 becomes 0, so that the two tie */
	memcpy(&bits, &score, sizeof(bits));
	bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
	return ~bits;
}

float
ranking_score(const ranking *order, size_t i)
{
	uint32_t bits = ~(uint32_t) (order->items[i] >> 1);
	float score;

	bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
	memcpy(&score, &bits, sizeof(score));
	return score;
}

void
ranking_sort(ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride)
{
	size_t i;
	int shift;

	if (n > order->capacity)
	{
		order->capacity = n;
		order->items = reallocate(order->items, n, sizeof(uint64_t));
		order->spare = reallocate(order->spare, n, sizeof(uint64_t));
	}
	order->n = 0;
	for (i = 0; i < n; i++)
		if (known == NULL || known[i * stride] != 0)
			order->items[order->n++] = (uint64_t) descending_bits(scores[i * stride]) << 1 | (labels[i * stride] != 0);
	n = order->n;
	for (shift = 1; shift < 33; shift += 8)
	{
		size_t counts[257] = {0};
		uint64_t *swap;
		int digit;

		for (i = 0; i < n; i++)
			counts[(order->items[i] >> shift & 255) + 1]++;
		for (digit = 0; digit < 256; digit++)
			counts[digit + 1] += counts[digit];
		for (i = 0; i < n; i++)
			order->spare[counts[order->items[i] >> shift & 255]++] = order->items[i];
		swap = order->items;
		order->items = order->spare;
		order->spare = swap;
	}
}

void
ranking_release(ranking *order)
{
	free(order->items);
	free(order->spare);
	memset(order, 0, sizeof(*order));
}
