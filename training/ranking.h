/* ranking.h - scores with their labels in descending order, by radix sort: what AP and thresholds walk along. */
#ifndef MOVIEBERT_TOOL_RANKING_H
#define MOVIEBERT_TOOL_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ranking
{
	uint64_t *items; /* [n] sorted; see ranking_score and ranking_label */
	uint64_t *spare;
	size_t n; /* ranked: those that are known */
	size_t capacity;
} ranking;

/*
 * Ranks scores[i * stride] with labels[i * stride] for those i < n whose known[i * stride] is set (NULL: all), best
 * first.  Equal scores stand together (their order among themselves does not matter to anyone who treats ties as one
 * step).  Scores must not be NaN.
 */
void ranking_sort(ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n,
				  size_t stride);
void ranking_release(ranking *order);

float ranking_score(const ranking *order, size_t i);

static inline bool
ranking_label(const ranking *order, size_t i)
{
	return (order->items[i] & 1) != 0;
}

#endif
