/*
 * compare.h - whether models B are better than models A: paired by seed, on the same rows.
 *
 * What is compared is two ways of training, not two files: each was run with several seeds, and a difference counts
 * that holds over seeds and over rows.  Its interval is that of the two-level bootstrap (bootstrap.h); its p is that of
 * the sign-flip test over the paired seeds (significance.h), which no number of rows can make small: n seeds give no p
 * below 2/2^n.  So fewer than COMPARE_MIN_SEEDS get no verdict.
 *
 * The verdict is about one figure, chosen before looking.  It is "better" or "worse" if p <= 0.05 and the interval
 * leaves out 0.  Who claims something of all three primary figures (micro F1, macro F1, macro AP) reads Holm's p.
 */
#ifndef MOVIEBERT_TOOL_COMPARE_H
#define MOVIEBERT_TOOL_COMPARE_H

#include "bootstrap.h"
#include "predictions.h"
#include "weighted.h"

#define COMPARE_MIN_SEEDS 6
#define COMPARE_ALPHA 0.05
#define COMPARE_LENGTHS 4

typedef struct compare_options
{
	size_t draws;
	uint64_t seed;
	int n_threads;
	bool silent;
	metrics_cutoffs cutoffs;
} compare_options;

/* Means over seeds; delta is B - A. */
typedef struct compared_figure
{
	double a, b;
	interval delta;
	double *deltas; /* [n_pairs] */
	double p;
	double p_holm; /* over the primary figures; NAN for the others */
} compared_figure;

typedef struct compared_tag
{
	const char *name;
	int64_t support;
	double ap_a, ap_b, f1_a, f1_b; /* means over seeds; AP NAN without support */
	double p;                      /* sign flip, of AP; NAN without support */
	double q;                      /* Benjamini-Hochberg, over the tags with support */
} compared_tag;

/* Rows whose text has shortest to longest characters. */
typedef struct compared_length
{
	uint32_t shortest, longest;
	size_t rows;
	double micro_f1_a, micro_f1_b, macro_ap_a, macro_ap_b;
} compared_length;

typedef struct comparison
{
	size_t n_pairs, n_rows, n_tags, n_clusters;
	size_t n_figures;
	compared_figure figures[WEIGHTED_MAX];
	compared_tag *tags; /* [n_tags], by falling support */
	size_t n_lengths;   /* 0 where texts have no length; less than COMPARE_LENGTHS where many are equally long */
	compared_length lengths[COMPARE_LENGTHS];
} comparison;

/* a [n], b [n]: paired, about the same rows (predictions_match), and outliving *out.  Error: MB_CANCELLED. */
mb_status compare_run(comparison *out, const predictions *a, const predictions *b, size_t n,
					  const compare_options *options, mb_error *err);
void compare_release(comparison *c);

typedef enum compare_outcome
{
	COMPARE_NOT_SHOWN,
	COMPARE_BETTER,
	COMPARE_WORSE
} compare_outcome;

extern const char *const compare_outcome_names[];

/* What holds of B, and the sentence that says so. */
compare_outcome compare_verdict(const comparison *c, size_t figure, const char *title, char *sentence, size_t size);

#endif
