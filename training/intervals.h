/* intervals.h - the headline metrics of one table of scores with their bootstrap intervals. */
#ifndef MOVIEBERT_TOOL_INTERVALS_H
#define MOVIEBERT_TOOL_INTERVALS_H

#include <jansson.h>

#include "bootstrap.h"
#include "weighted.h"

typedef struct interval_options
{
	size_t draws;
	uint64_t seed;
	int n_threads;
	bool silent;
	const char *clustered_by; /* the key's column; NULL: the text */
} interval_options;

typedef struct metric_intervals
{
	metrics_cutoffs cutoffs;
	interval figures[WEIGHTED_MAX]; /* [weighted_count(cutoffs)] */
	size_t clusters;
} metric_intervals;

/* keys [n_rows]: rows with equal ones are drawn together. */
mb_status intervals_compute(metric_intervals *out, const float *scores, const uint8_t *labels, const uint8_t *known,
							const float *thresholds, const uint64_t *keys, size_t n_rows, size_t n_tags,
							const metrics_cutoffs *cutoffs, const interval_options *options, mb_error *err);

json_t *intervals_json(const metric_intervals *intervals, const interval_options *options);
void intervals_print(const metric_intervals *intervals, const interval_options *options);

#endif
