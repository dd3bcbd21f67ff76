/*
 * bootstrap.h - how far a figure would move with other rows, and with other seeds (Efron, Tibshirani 1993).
 *
 * A draw takes as many clusters of rows as there are, with replacement, all rows of a cluster together (one film's rows
 * stand or fall with it), and, with more than one seed, as many seeds as there are, with replacement, independently:
 * the two-level bootstrap.  Numbers come by counter (net/rng.h), so a draw is the same whatever thread makes it.
 *
 * Intervals: percentile, the quantiles of the draws by linear interpolation; and BCa (Efron 1987), which corrects their
 * bias and skewness.  With Phi the normal distribution, B draws t* and the estimate t:
 *
 *   z0 = Phi^-1((#{t* < t} + #{t* <= t}) / 2B)
 *   a  = sum_f sum_i u_fi^3 / n_f^3 / (6 (sum_f sum_i u_fi^2 / n_f^2)^1.5),  u_fi = (n_f - 1) (mean_f - t_f(-i))
 *   the quantiles at Phi(z0 + (z0 + z) / (1 - a (z0 + z))) for z = Phi^-1(.025) and Phi^-1(.975)
 *
 * f runs over what is resampled (clusters; seeds), t_f(-i) is the figure without part i of it, and the acceleration a
 * of several is that of scipy.stats.bootstrap.  Beyond BOOTSTRAP_MAX_GROUPS clusters are left out in so many groups,
 * which estimates the same a.
 */
#ifndef MOVIEBERT_TOOL_BOOTSTRAP_H
#define MOVIEBERT_TOOL_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "moviebert/status.h"

#define BOOTSTRAP_MAX_GROUPS 1000

/* Rows by cluster: cluster[i] < n for each row i, numbered by rising key, so that the order of rows does not matter. */
typedef struct bootstrap_clusters
{
	uint32_t *cluster; /* [n_rows] */
	size_t n_rows;
	size_t n;
} bootstrap_clusters;

void bootstrap_clusters_make(bootstrap_clusters *clusters, const uint64_t *keys, size_t n_rows);
void bootstrap_clusters_release(bootstrap_clusters *clusters);

/* values of rows that count weights[i] times each, over seeds that count seed_weights[s] times each. */
typedef void (*bootstrap_statistic)(void *arg, const uint32_t *seed_weights, const uint32_t *weights, double *values);

typedef struct bootstrap_plan
{
	const bootstrap_clusters *clusters;
	size_t n_seeds; /* 1: seeds are not resampled */
	size_t n_values;
	size_t draws;
	uint64_t seed;
	int n_threads;
	double level; /* 0.95 */
	bootstrap_statistic statistic;
	void *arg;
	const char *label; /* of the progress bar; NULL: none */
} bootstrap_plan;

typedef struct interval
{
	double estimate; /* on the rows as they are */
	double standard_error;
	double percentile_low, percentile_high;
	double low, high; /* BCa; the percentile interval where BCa is not defined, as when all draws are equal */
} interval;

/* intervals [n_values].  Error: MB_CANCELLED. */
mb_status bootstrap_run(const bootstrap_plan *plan, interval *intervals, mb_error *err);

/* One thing that is resampled: the figure without each of its n parts. */
typedef struct jackknife
{
	const double *without; /* [n] */
	size_t n;
} jackknife;

/* a of the head comment; 0 where the figure does not move. */
double bootstrap_acceleration(const jackknife *parts, size_t n_parts);

/* The intervals of sorted draws. */
void bootstrap_interval(interval *out, double estimate, double acceleration, const double *sorted, size_t n,
						double level);

/* By linear interpolation between sorted[0 .. n), n > 0. */
double quantile(const double *sorted, size_t n, double share);

double normal_cdf(double z);
double normal_quantile(double p); /* 0 < p < 1 */

#endif
