/* bootstrap.c - clusters, draws, jackknife, and the two kinds of intervals. */
#include "bootstrap.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "memory.h"
#include "net/rng.h"
#include "parallel.h"
#include "progress.h"

typedef struct keyed_row
{
	uint64_t key;
	size_t row;
} keyed_row;

static int
by_key(const void *a, const void *b)
{
	const keyed_row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

void
bootstrap_clusters_make(bootstrap_clusters *clusters, const uint64_t *keys, size_t n_rows)
{
	keyed_row *rows = allocate(n_rows, sizeof(keyed_row));
	size_t i;

	for (i = 0; i < n_rows; i++)
		rows[i] = (keyed_row){keys[i], i};
	qsort(rows, n_rows, sizeof(keyed_row), by_key);
	*clusters = (bootstrap_clusters){allocate(n_rows, sizeof(uint32_t)), n_rows, 0};
	for (i = 0; i < n_rows; i++)
	{
		clusters->n += i == 0 || rows[i].key != rows[i - 1].key;
		clusters->cluster[rows[i].row] = (uint32_t) (clusters->n - 1);
	}
	free(rows);
}

void
bootstrap_clusters_release(bootstrap_clusters *clusters)
{
	free(clusters->cluster);
	memset(clusters, 0, sizeof(*clusters));
}

double
normal_cdf(double z)
{
	return 0.5 * erfc(-z / sqrt(2));
}

/* By bisection and then Newton's steps on erfc, which is exact: called a few times an interval. */
double
normal_quantile(double p)
{
	double low = -40, high = 40, z;
	int i;

	for (i = 0; i < 40; i++)
	{
		z = (low + high) / 2;
		if (normal_cdf(z) < p)
			low = z;
		else
			high = z;
	}
	z = (low + high) / 2;
	for (i = 0; i < 3; i++)
	{
		double density = exp(-z * z / 2) * 0.39894228040143268; /* 1 / sqrt(2 pi) */

		if (density > 0)
			z -= (normal_cdf(z) - p) / density;
	}
	return z;
}

double
quantile(const double *sorted, size_t n, double share)
{
	double at = share * (double) (n - 1);
	size_t below = (size_t) at;

	if (at <= 0 || n == 1)
		return sorted[0];
	if (below >= n - 1)
		return sorted[n - 1];
	return sorted[below] + (at - (double) below) * (sorted[below + 1] - sorted[below]);
}

double
bootstrap_acceleration(const jackknife *parts, size_t n_parts)
{
	double cubes = 0, squares = 0;
	size_t f, i;

	for (f = 0; f < n_parts; f++)
	{
		double n = (double) parts[f].n, mean = 0;

		for (i = 0; i < parts[f].n; i++)
			mean += parts[f].without[i] / n;
		for (i = 0; i < parts[f].n; i++)
		{
			double u = (n - 1) * (mean - parts[f].without[i]) / n;

			squares += u * u;
			cubes += u * u * u;
		}
	}
	return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

/* The share of draws below t, those equal counted half; equal but for rounding, so that the order of sums does not
 * show. */
static double
share_below(const double *sorted, size_t n, double t)
{
	double rounding = 1e-12 * fmax(1, fabs(t));
	size_t below = 0, up_to;

	while (below < n && sorted[below] < t - rounding)
		below++;
	for (up_to = below; up_to < n && sorted[up_to] <= t + rounding; up_to++)
		;
	return ((double) below + (double) up_to) / (2.0 * (double) n);
}

void
bootstrap_interval(interval *out, double estimate, double acceleration, const double *sorted, size_t n, double level)
{
	double tail = (1 - level) / 2, z = normal_quantile(1 - tail), share = share_below(sorted, n, estimate);
	double mean = 0, squares = 0, z0;
	size_t i;

	for (i = 0; i < n; i++)
		mean += sorted[i] / (double) n;
	for (i = 0; i < n; i++)
		squares += (sorted[i] - mean) * (sorted[i] - mean);
	out->estimate = estimate;
	out->standard_error = n > 1 ? sqrt(squares / (double) (n - 1)) : 0;
	out->low = out->percentile_low = quantile(sorted, n, tail);
	out->high = out->percentile_high = quantile(sorted, n, 1 - tail);
	if (share <= 0 || share >= 1)
		return;
	z0 = normal_quantile(share);
	/* Beyond these the correction has left its range: the interval would turn over. */
	if (1 - acceleration * (z0 - z) <= 0 || 1 - acceleration * (z0 + z) <= 0)
		return;
	out->low = quantile(sorted, n, normal_cdf(z0 + (z0 - z) / (1 - acceleration * (z0 - z))));
	out->high = quantile(sorted, n, normal_cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z))));
}

/* What the threads share.  Jobs: draws, then a cluster group left out each, then a seed left out each. */
typedef struct bootstrap_work
{
	const bootstrap_plan *plan;
	size_t n_groups;
	double *values; /* [jobs, n_values] */
	atomic_size_t done;
	progress bar;
} bootstrap_work;

static void
draw(const bootstrap_plan *plan, size_t number, uint32_t *seed_weights, uint32_t *cluster_weights)
{
	uint64_t key = rng_key(plan->seed, RNG_BOOTSTRAP, number, 0);
	uint64_t seed_key = rng_key(plan->seed, RNG_BOOTSTRAP, number, 1);
	size_t i;

	memset(cluster_weights, 0, plan->clusters->n * sizeof(uint32_t));
	for (i = 0; i < plan->clusters->n; i++)
		cluster_weights[rng_below(key, i, plan->clusters->n)]++;
	if (plan->n_seeds == 1)
		return;
	memset(seed_weights, 0, plan->n_seeds * sizeof(uint32_t));
	for (i = 0; i < plan->n_seeds; i++)
		seed_weights[rng_below(seed_key, i, plan->n_seeds)]++;
}

static void
bootstrap_job(void *arg, size_t job, int thread)
{
	bootstrap_work *work = arg;
	const bootstrap_plan *plan = work->plan;
	const bootstrap_clusters *clusters = plan->clusters;
	uint32_t *weights, *cluster_weights, *seed_weights;
	size_t i;

	if (interrupt_requested())
		return;
	weights = allocate(clusters->n_rows, sizeof(uint32_t));
	cluster_weights = allocate(clusters->n, sizeof(uint32_t));
	seed_weights = allocate(plan->n_seeds, sizeof(uint32_t));
	for (i = 0; i < clusters->n; i++)
		cluster_weights[i] = 1;
	for (i = 0; i < plan->n_seeds; i++)
		seed_weights[i] = 1;
	if (job < plan->draws)
		draw(plan, job, seed_weights, cluster_weights);
	else if (job < plan->draws + work->n_groups)
		for (i = job - plan->draws; i < clusters->n; i += work->n_groups)
			cluster_weights[i] = 0;
	else
		seed_weights[job - plan->draws - work->n_groups] = 0;
	for (i = 0; i < clusters->n_rows; i++)
		weights[i] = cluster_weights[clusters->cluster[i]];
	plan->statistic(plan->arg, seed_weights, weights, work->values + job * plan->n_values);
	free(weights);
	free(cluster_weights);
	free(seed_weights);
	atomic_fetch_add(&work->done, 1);
	if (thread == 0 && plan->label != NULL)
		progress_update(&work->bar, atomic_load(&work->done));
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* One figure's column of the jobs' values. */
static void
gather(double *out, const bootstrap_work *work, size_t value, size_t first, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = work->values[(first + i) * work->plan->n_values + value];
}

static void
finish_value(interval *out, const bootstrap_work *work, size_t value, double estimate)
{
	const bootstrap_plan *plan = work->plan;
	double *draws = allocate(plan->draws, sizeof(double));
	double *without_cluster = allocate(work->n_groups, sizeof(double));
	double *without_seed = allocate(plan->n_seeds, sizeof(double));
	const jackknife parts[] = {{without_cluster, work->n_groups}, {without_seed, plan->n_seeds}};

	gather(draws, work, value, 0, plan->draws);
	gather(without_cluster, work, value, plan->draws, work->n_groups);
	if (plan->n_seeds > 1)
		gather(without_seed, work, value, plan->draws + work->n_groups, plan->n_seeds);
	qsort(draws, plan->draws, sizeof(double), compare_doubles);
	bootstrap_interval(out, estimate, bootstrap_acceleration(parts, plan->n_seeds > 1 ? 2 : 1), draws, plan->draws,
					   plan->level);
	free(draws);
	free(without_cluster);
	free(without_seed);
}

mb_status
bootstrap_run(const bootstrap_plan *plan, interval *intervals, mb_error *err)
{
	const bootstrap_clusters *clusters = plan->clusters;
	bootstrap_work work = {.plan = plan};
	uint32_t *ones = allocate(clusters->n_rows > plan->n_seeds ? clusters->n_rows : plan->n_seeds, sizeof(uint32_t));
	double *estimates = allocate(plan->n_values, sizeof(double));
	size_t n_jobs, i;

	work.n_groups = clusters->n < BOOTSTRAP_MAX_GROUPS ? clusters->n : BOOTSTRAP_MAX_GROUPS;
	n_jobs = plan->draws + work.n_groups + (plan->n_seeds > 1 ? plan->n_seeds : 0);
	work.values = allocate(n_jobs * plan->n_values, sizeof(double));
	for (i = 0; i < clusters->n_rows || i < plan->n_seeds; i++)
		ones[i] = 1;
	plan->statistic(plan->arg, ones, ones, estimates);
	if (plan->label != NULL)
		progress_start(&work.bar, plan->label, "draws", n_jobs, false);
	parallel_run(n_jobs, plan->n_threads, bootstrap_job, &work);
	if (plan->label != NULL)
		progress_finish(&work.bar, atomic_load(&work.done));
	for (i = 0; i < plan->n_values && !interrupt_requested(); i++)
		finish_value(&intervals[i], &work, i, estimates[i]);
	free(work.values);
	free(estimates);
	free(ones);
	return interrupt_requested() ? mb_fail(err, MB_CANCELLED, "interrupted") : MB_OK;
}
