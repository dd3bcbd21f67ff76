/*
 * weighted.h - the headline metrics of rows that count any number of times: what a bootstrap asks thousands of times.
 *
 * weighted_compute with weights w says what metrics_compute says of a table in which row i stands w[i] times.  Sorting
 * is done once: a draw walks the sorted columns and adds weights, so that it costs one pass over the pairs.
 */
#ifndef MOVIEBERT_TOOL_WEIGHTED_H
#define MOVIEBERT_TOOL_WEIGHTED_H

#include "metrics.h"

/* Places in the values of a draw.  For cutoff c the three figures follow at WEIGHTED_AT + 3 c. */
enum
{
	WEIGHTED_MICRO_F1,
	WEIGHTED_MACRO_F1,
	WEIGHTED_SAMPLES_F1,
	WEIGHTED_MACRO_AP,
	WEIGHTED_MICRO_AP,
	WEIGHTED_ECE,
	WEIGHTED_BRIER,
	WEIGHTED_AT, /* precision, recall, nDCG */
	WEIGHTED_MAX = WEIGHTED_AT + 3 * METRICS_MAX_CUTOFFS
};

/* Figures to compute, a bit each. */
typedef uint32_t weighted_set;
#define WEIGHTED_ALL UINT32_MAX

typedef struct weighted_rows weighted_rows;

/* At most 2^32 - 1 pairs, and so much weight of them in a draw.  The arrays are not needed afterwards. */
weighted_rows *weighted_prepare(const float *scores, const uint8_t *labels, const uint8_t *known,
								const float *thresholds, size_t n_rows, size_t n_tags, const metrics_cutoffs *cutoffs,
								weighted_set wanted);
void weighted_release(weighted_rows *rows); /* NULL is fine */

/* values [weighted_count]; those that are not wanted become 0.  Safe to call from several threads. */
void weighted_compute(const weighted_rows *rows, const uint32_t *weights, double *values);

size_t weighted_count(const metrics_cutoffs *cutoffs);

/* "micro_f1", "ndcg_at_3"; "micro F1", "nDCG@3" */
void weighted_key(char *key, size_t size, const metrics_cutoffs *cutoffs, size_t figure);
void weighted_title(char *title, size_t size, const metrics_cutoffs *cutoffs, size_t figure);

/* Where m has the figure's value. */
double weighted_from_metrics(const metrics *m, size_t figure);

/* ECE and Brier. */
bool weighted_less_is_better(size_t figure);

#endif
