/*
 * metrics.h - how good scores are, with scikit-learn's definitions (zero_division=0), so that numbers compare.
 *
 *   N rows   L tags   S [N,L] scores in [0,1]   Y [N,L] 0 or 1   predicted = S >= threshold of the tag
 *
 * micro F1     over all N*L decisions              macro F1   mean over all L tags (a tag without support counts 0)
 * samples F1   mean over all N rows (no true and no predicted tag counts 0)
 * AP           sum over distinct scores of (recall step) * precision, ties as one step
 * macro AP     mean over tags with support         micro AP   over all N*L pairs at once
 * P@k, R@k     mean over rows that have a tag: hits among the k best scores / k, / number of true tags; ties by tag
 * order ECE          15 equal bins of all N*L scores: sum of |mean score - share of true| * share of pairs in the bin
 *
 * known [N,L] says which pairs are known (NULL: all).  The others are as if they were not there: neither true nor
 * predicted nor ranked; a row without a known pair is no row.
 */
#ifndef MOVIEBERT_TOOL_METRICS_H
#define MOVIEBERT_TOOL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#define METRICS_ECE_BINS 15

typedef struct f1_summary
{
	double micro_precision, micro_recall, micro_f1;
	double macro_f1;
	double samples_f1;
} f1_summary;

typedef struct tag_metrics
{
	int64_t known;     /* rows of which is known whether they have it */
	int64_t support;   /* rows that have the tag */
	int64_t predicted; /* rows with score >= threshold */
	int64_t hits;      /* both */
	double precision, recall, f1;
	double average_precision; /* NAN without support */
	float threshold;
} tag_metrics;

typedef struct metrics
{
	int64_t rows;
	int64_t rows_with_tags;
	int64_t unknown; /* pairs */
	int32_t tags;
	int32_t tags_with_support;
	f1_summary calibrated; /* at the given thresholds */
	f1_summary half;       /* at 0.5 */
	double macro_ap, micro_ap;
	double precision_at_3, recall_at_3, precision_at_5, recall_at_5;
	double ece;
	tag_metrics *per_tag; /* [tags], owned */
} metrics;

void metrics_compute(metrics *m, const float *scores, const uint8_t *labels, const uint8_t *known,
					 const float *thresholds, size_t n_rows, size_t n_tags);
void metrics_release(metrics *m);

/* F1 figures alone. per_tag may be NULL. */
void metrics_f1(f1_summary *summary, tag_metrics *per_tag, const float *scores, const uint8_t *labels,
				const uint8_t *known, const float *thresholds, size_t n_rows, size_t n_tags);

/* AP of one column; NAN if no label is set. */
double metrics_average_precision(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n,
								 size_t stride);

/* Mean AP over tags with support (0 if there is none). */
double metrics_macro_ap(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags);

void metrics_at_k(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags,
				  size_t k, double *precision, double *recall);

double metrics_ece(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n);

#endif
