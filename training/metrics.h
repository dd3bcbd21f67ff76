/*
 * metrics.h - how good scores are, with scikit-learn's definitions (zero_division=0), so that numbers compare.
 *
 *   N rows   L tags   S [N,L] scores in [0,1]   Y [N,L] 0 or 1   K [N,L] known (NULL: all)   predicted = S >= threshold
 *
 * A pair that is not known enters nothing: it is not ranked, not counted as true or false, and not in any mean.  With K
 * NULL every pair is known.  "Tags" and "rows" below are those with a known pair.
 *
 * micro F1     over all decisions                  macro F1   mean over tags (a tag without support counts 0)
 * samples F1   mean over rows (no true and no predicted tag counts 0)
 * AP           sum over distinct scores of (recall step) * precision, ties as one step
 * macro AP     mean over tags with support         micro AP   over all pairs at once
 * P@k, R@k     mean over rows that have a tag: hits among the k best scores / k, / number of true tags; ties by tag
 *              order
 * nDCG@k       mean over the same rows: sum over hits of 1 / log2(rank + 1), by that of the best ranking, ranks from 1
 *              (Jarvelin, Kekalainen 2002)
 *
 * learned      (TL) tags predicted correctly at least once
 * tag recall   (TR) mean recall over tags with support; both at the thresholds, and with the k best of each row as its
 *              predictions
 *
 * ECE          15 equal bins of scores: sum of |mean score - share of true| * share of pairs in the bin
 * Brier        mean of (score - truth)^2
 */
#ifndef MOVIEBERT_TOOL_METRICS_H
#define MOVIEBERT_TOOL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_ECE_BINS 15
#define METRICS_MAX_CUTOFFS 8

typedef struct f1_summary
{
	double micro_precision, micro_recall, micro_f1;
	double macro_f1;
	double samples_f1;
} f1_summary;

typedef struct tag_metrics
{
	int64_t known;     /* rows in which the tag is known to be there or not */
	int64_t support;   /* rows that have the tag */
	int64_t predicted; /* rows with score >= threshold */
	int64_t hits;      /* both */
	double precision, recall, f1;
	double average_precision; /* NAN without support */
	double brier, ece;        /* 0 where nothing is known */
	float threshold;
} tag_metrics;

/* The k of P@k, R@k, nDCG@k, TL@k and TR@k. */
typedef struct metrics_cutoffs
{
	size_t n;
	size_t k[METRICS_MAX_CUTOFFS];
} metrics_cutoffs;

extern const metrics_cutoffs metrics_default_cutoffs; /* 3, 5 */

typedef struct metrics_at
{
	size_t k;
	double precision, recall, ndcg;
	int32_t tags_learned;
	double tag_recall;
} metrics_at;

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
	int32_t tags_learned; /* at the given thresholds */
	double tag_recall;
	size_t n_at;
	metrics_at at[METRICS_MAX_CUTOFFS];
	double ece, brier;
	tag_metrics *per_tag; /* [tags], owned */
} metrics;

/* cutoffs NULL: metrics_default_cutoffs. */
void metrics_compute(metrics *m, const float *scores, const uint8_t *labels, const uint8_t *known,
					 const float *thresholds, size_t n_rows, size_t n_tags, const metrics_cutoffs *cutoffs);
void metrics_release(metrics *m);

/* F1 figures alone. per_tag may be NULL. */
void metrics_f1(f1_summary *summary, tag_metrics *per_tag, const float *scores, const uint8_t *labels,
				const uint8_t *known, const float *thresholds, size_t n_rows, size_t n_tags);

/* AP of one column; NAN if no label is set. */
double metrics_average_precision(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n,
								 size_t stride);

/* Mean AP over tags with support (0 if there is none). */
double metrics_macro_ap(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags);

/* at->k is given, the rest is computed. */
void metrics_at_k(metrics_at *at, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows,
				  size_t n_tags);

/* One column, or with stride 1 and n = N * L all pairs. */
double metrics_ece(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride);
double metrics_brier(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride);

/* The bin of a score. */
int metrics_ece_bin(float score);

/*
 * One row's k best tags, as places in best[0 .. min(k, known tags)), and their number.  taken [n_tags] is scratch.
 */
size_t metrics_best_tags(size_t *best, bool *taken, const float *scores, const uint8_t *known, size_t n_tags, size_t k);

/* nDCG of a row's best tags: binary gains; support is the number of its true tags, which must not be 0. */
double metrics_ndcg(const size_t *best, size_t n_best, const uint8_t *labels, int64_t support, size_t k);

#endif
