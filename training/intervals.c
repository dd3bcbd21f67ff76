/* intervals.c - a bootstrap over rows, as numbers, JSON and a table. */
#include "intervals.h"

#include <stdio.h>

#include "card.h"
#include "report.h"

#define LEVEL 0.95

static void
statistic(void *arg, const uint32_t *seed_weights, const uint32_t *weights, double *values)
{
	(void) seed_weights;
	weighted_compute(arg, weights, values);
}

mb_status
intervals_compute(metric_intervals *out, const float *scores, const uint8_t *labels, const uint8_t *known,
				  const float *thresholds, const uint64_t *keys, size_t n_rows, size_t n_tags,
				  const metrics_cutoffs *cutoffs, const interval_options *options, mb_error *err)
{
	weighted_rows *rows = weighted_prepare(scores, labels, known, thresholds, n_rows, n_tags, cutoffs, WEIGHTED_ALL);
	bootstrap_clusters clusters;
	bootstrap_plan plan = {.clusters = &clusters,
						   .n_seeds = 1,
						   .n_values = weighted_count(cutoffs),
						   .draws = options->draws,
						   .seed = options->seed,
						   .n_threads = options->n_threads,
						   .level = LEVEL,
						   .statistic = statistic,
						   .arg = rows,
						   .label = options->silent ? NULL : "bootstrap"};
	mb_status status;

	bootstrap_clusters_make(&clusters, keys, n_rows);
	out->cutoffs = *cutoffs;
	out->clusters = clusters.n;
	status = bootstrap_run(&plan, out->figures, err);
	bootstrap_clusters_release(&clusters);
	weighted_release(rows);
	return status;
}

json_t *
intervals_json(const metric_intervals *intervals, const interval_options *options)
{
	json_t *figures = json_object();
	char key[32];
	size_t f;

	for (f = 0; f < weighted_count(&intervals->cutoffs); f++)
	{
		const interval *one = &intervals->figures[f];

		weighted_key(key, sizeof(key), &intervals->cutoffs, f);
		json_object_set_new(figures, key,
							json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "estimate", json_rounded(one->estimate, 6),
									  "low", json_rounded(one->low, 6), "high", json_rounded(one->high, 6),
									  "percentile_low", json_rounded(one->percentile_low, 6), "percentile_high",
									  json_rounded(one->percentile_high, 6), "standard_error",
									  json_rounded(one->standard_error, 6)));
	}
	return json_pack("{s:s, s:f, s:I, s:I, s:s, s:s, s:I, s:o}", "method", "BCa", "level", LEVEL, "draws",
					 (json_int_t) options->draws, "seed", (json_int_t) options->seed, "clustered_by",
					 options->clustered_by != NULL ? "key" : "text", "key",
					 options->clustered_by != NULL ? options->clustered_by : "", "clusters",
					 (json_int_t) intervals->clusters, "figures", figures);
}

void
intervals_print(const metric_intervals *intervals, const interval_options *options)
{
	char title[32], draws[32], clusters[32];
	size_t f;

	printf("\nIntervals: bootstrap, %s draws of %s %s, at the tags' own thresholds\n\n",
		   format_count(draws, sizeof(draws), (long long) options->draws),
		   format_count(clusters, sizeof(clusters), (long long) intervals->clusters),
		   options->clustered_by != NULL ? "keys" : "different texts");
	printf("                         95 %% (BCa)        95 %% (percentile)   standard error\n");
	for (f = 0; f < weighted_count(&intervals->cutoffs); f++)
	{
		const interval *one = &intervals->figures[f];

		weighted_title(title, sizeof(title), &intervals->cutoffs, f);
		printf("  %-11s %8.4f   %.4f to %.4f   %.4f to %.4f   %14.4f\n", title, one->estimate, one->low, one->high,
			   one->percentile_low, one->percentile_high, one->standard_error);
	}
}
