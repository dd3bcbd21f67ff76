/* compare.c - differences, intervals and tests of paired predictions. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "significance.h"

const char *const compare_outcome_names[] = {"no difference shown", "better", "worse"};

static const size_t primary[] = {WEIGHTED_MICRO_F1, WEIGHTED_MACRO_F1, WEIGHTED_MACRO_AP};

#define N_PRIMARY (sizeof(primary) / sizeof(primary[0]))

/* Both sides, ready for weights. */
typedef struct prepared_pairs
{
	size_t n, n_figures;
	weighted_rows **a, **b; /* [n] */
} prepared_pairs;

static weighted_rows **
prepare(const predictions *p, size_t n, const metrics_cutoffs *cutoffs)
{
	weighted_rows **rows = allocate(n, sizeof(weighted_rows *));
	size_t s;

	for (s = 0; s < n; s++)
		rows[s] = weighted_prepare(p[s].scores, p[s].labels, p[s].known, p[s].thresholds, p[s].n_rows, p[s].n_tags,
								   cutoffs, WEIGHTED_ALL);
	return rows;
}

static void
release(weighted_rows **rows, size_t n)
{
	size_t s;

	for (s = 0; s < n; s++)
		weighted_release(rows[s]);
	free(rows);
}

/* Mean over seeds of B - A. */
static void
delta_statistic(void *arg, const uint32_t *seed_weights, const uint32_t *weights, double *values)
{
	const prepared_pairs *pairs = arg;
	double a[WEIGHTED_MAX], b[WEIGHTED_MAX], total = 0;
	size_t s, f;

	for (f = 0; f < pairs->n_figures; f++)
		values[f] = 0;
	for (s = 0; s < pairs->n; s++)
	{
		if (seed_weights[s] == 0)
			continue;
		weighted_compute(pairs->a[s], weights, a);
		weighted_compute(pairs->b[s], weights, b);
		for (f = 0; f < pairs->n_figures; f++)
			values[f] += seed_weights[s] * (b[f] - a[f]);
		total += seed_weights[s];
	}
	for (f = 0; f < pairs->n_figures; f++)
		values[f] /= total;
}

static void
test_figures(comparison *c, const prepared_pairs *pairs, uint64_t seed)
{
	uint32_t *ones = allocate(c->n_rows, sizeof(uint32_t));
	double a[WEIGHTED_MAX], b[WEIGHTED_MAX], adjusted[N_PRIMARY];
	size_t s, f, i;

	for (i = 0; i < c->n_rows; i++)
		ones[i] = 1;
	for (s = 0; s < pairs->n; s++)
	{
		weighted_compute(pairs->a[s], ones, a);
		weighted_compute(pairs->b[s], ones, b);
		for (f = 0; f < c->n_figures; f++)
		{
			c->figures[f].a += a[f] / (double) pairs->n;
			c->figures[f].b += b[f] / (double) pairs->n;
			c->figures[f].deltas[s] = b[f] - a[f];
		}
	}
	for (f = 0; f < c->n_figures; f++)
	{
		c->figures[f].p = sign_flip_test(c->figures[f].deltas, pairs->n, seed);
		c->figures[f].p_holm = NAN;
	}
	for (i = 0; i < N_PRIMARY; i++)
		adjusted[i] = c->figures[primary[i]].p;
	holm_adjust(adjusted, N_PRIMARY);
	for (i = 0; i < N_PRIMARY; i++)
		c->figures[primary[i]].p_holm = adjusted[i];
	free(ones);
}

static int
by_support(const void *a, const void *b)
{
	const compared_tag *x = a, *y = b;

	if (x->support != y->support)
		return x->support > y->support ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
compare_tag(compared_tag *tag, const tag_metrics *in_a, const tag_metrics *in_b, size_t n, size_t L, size_t l,
			double *deltas, uint64_t seed)
{
	size_t s;

	tag->support = in_a[l].support;
	for (s = 0; s < n; s++)
	{
		const tag_metrics *x = &in_a[s * L + l], *y = &in_b[s * L + l];

		tag->ap_a += x->average_precision / (double) n;
		tag->ap_b += y->average_precision / (double) n;
		tag->f1_a += x->f1 / (double) n;
		tag->f1_b += y->f1 / (double) n;
		deltas[s] = y->average_precision - x->average_precision;
	}
	tag->p = tag->support > 0 ? sign_flip_test(deltas, n, seed) : NAN;
	tag->q = NAN;
}

/* Per-tag F1 and AP of each of n predictions, [n, L]. */
static tag_metrics *
measure_tags(const predictions *p, size_t n)
{
	size_t L = p->n_tags, s, l;
	tag_metrics *of = allocate(n * L, sizeof(tag_metrics));

	for (s = 0; s < n; s++)
	{
		f1_summary ignored;

		metrics_f1(&ignored, of + s * L, p[s].scores, p[s].labels, p[s].known, p[s].thresholds, p[s].n_rows, L);
		for (l = 0; l < L; l++)
			of[s * L + l].average_precision = metrics_average_precision(
				p[s].scores + l, p[s].labels + l, p[s].known != NULL ? p[s].known + l : NULL, p[s].n_rows, L);
	}
	return of;
}

static void
compare_tags(comparison *c, const predictions *a, const predictions *b, uint64_t seed)
{
	tag_metrics *in_a = measure_tags(a, c->n_pairs), *in_b = measure_tags(b, c->n_pairs);
	double *deltas = allocate(c->n_pairs, sizeof(double)), *p = allocate(c->n_tags, sizeof(double));
	size_t l, tested = 0;

	c->tags = allocate(c->n_tags, sizeof(compared_tag));
	for (l = 0; l < c->n_tags; l++)
	{
		c->tags[l].name = a->tags[l];
		compare_tag(&c->tags[l], in_a, in_b, c->n_pairs, c->n_tags, l, deltas, seed);
	}
	qsort(c->tags, c->n_tags, sizeof(compared_tag), by_support);
	/* Those with support come first now. */
	for (l = 0; l < c->n_tags && c->tags[l].support > 0; l++)
		p[tested++] = c->tags[l].p;
	benjamini_hochberg_adjust(p, tested);
	for (l = 0; l < tested; l++)
		c->tags[l].q = p[l];
	free(in_a);
	free(in_b);
	free(deltas);
	free(p);
}

static int
compare_lengths_of_rows(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

/* One group of rows, those that weights says. */
static void
compare_group(compared_length *group, const prepared_pairs *pairs, const uint32_t *weights)
{
	double a[WEIGHTED_MAX], b[WEIGHTED_MAX], n = (double) pairs->n;
	size_t s;

	for (s = 0; s < pairs->n; s++)
	{
		weighted_compute(pairs->a[s], weights, a);
		weighted_compute(pairs->b[s], weights, b);
		group->micro_f1_a += a[WEIGHTED_MICRO_F1] / n;
		group->micro_f1_b += b[WEIGHTED_MICRO_F1] / n;
		group->macro_ap_a += a[WEIGHTED_MACRO_AP] / n;
		group->macro_ap_b += b[WEIGHTED_MACRO_AP] / n;
	}
}

/* Quartiles of the texts' lengths; texts of one length stay together. */
static void
compare_lengths(comparison *c, const predictions *any, const prepared_pairs *pairs)
{
	uint32_t *sorted = allocate(c->n_rows, sizeof(uint32_t)), *weights = allocate(c->n_rows, sizeof(uint32_t));
	size_t first = 0, q, i;

	memcpy(sorted, any->lengths, c->n_rows * sizeof(uint32_t));
	qsort(sorted, c->n_rows, sizeof(uint32_t), compare_lengths_of_rows);
	for (q = 1; q <= COMPARE_LENGTHS && sorted[c->n_rows - 1] > 0; q++)
	{
		size_t end = c->n_rows * q / COMPARE_LENGTHS;
		compared_length *group = &c->lengths[c->n_lengths];

		while (end > 0 && end < c->n_rows && sorted[end] == sorted[end - 1])
			end++;
		if (end <= first)
			continue;
		group->shortest = sorted[first];
		group->longest = sorted[end - 1];
		group->rows = end - first;
		for (i = 0; i < c->n_rows; i++)
			weights[i] = any->lengths[i] >= group->shortest && any->lengths[i] <= group->longest;
		compare_group(group, pairs, weights);
		c->n_lengths++;
		first = end;
	}
	free(sorted);
	free(weights);
}

mb_status
compare_run(comparison *out, const predictions *a, const predictions *b, size_t n, const compare_options *options,
			mb_error *err)
{
	prepared_pairs pairs = {n, weighted_count(&options->cutoffs), prepare(a, n, &options->cutoffs),
							prepare(b, n, &options->cutoffs)};
	bootstrap_clusters clusters;
	bootstrap_plan plan = {.clusters = &clusters,
						   .n_seeds = n,
						   .n_values = pairs.n_figures,
						   .draws = options->draws,
						   .seed = options->seed,
						   .n_threads = options->n_threads,
						   .level = 0.95,
						   .statistic = delta_statistic,
						   .arg = &pairs,
						   .label = options->silent ? NULL : "bootstrap"};
	interval intervals[WEIGHTED_MAX];
	mb_status status;
	size_t f;

	memset(out, 0, sizeof(*out));
	bootstrap_clusters_make(&clusters, a->keys, a->n_rows);
	out->n_pairs = n;
	out->n_rows = a->n_rows;
	out->n_tags = a->n_tags;
	out->n_clusters = clusters.n;
	out->n_figures = pairs.n_figures;
	for (f = 0; f < out->n_figures; f++)
		out->figures[f].deltas = allocate(n, sizeof(double));
	status = bootstrap_run(&plan, intervals, err);
	if (status == MB_OK)
	{
		for (f = 0; f < out->n_figures; f++)
			out->figures[f].delta = intervals[f];
		test_figures(out, &pairs, options->seed);
		compare_tags(out, a, b, options->seed);
		compare_lengths(out, a, &pairs);
	}
	bootstrap_clusters_release(&clusters);
	release(pairs.a, n);
	release(pairs.b, n);
	return status;
}

void
compare_release(comparison *c)
{
	size_t f;

	for (f = 0; f < c->n_figures; f++)
		free(c->figures[f].deltas);
	free(c->tags);
	memset(c, 0, sizeof(*c));
}

compare_outcome
compare_verdict(const comparison *c, size_t figure, const char *title, char *sentence, size_t size)
{
	const compared_figure *f = &c->figures[figure];
	double delta = 100 * f->delta.estimate, low = 100 * f->delta.low, high = 100 * f->delta.high;
	bool more = delta > 0;
	compare_outcome outcome = COMPARE_NOT_SHOWN;

	if (f->p <= COMPARE_ALPHA && (more ? low > 0 : high < 0))
		outcome = more != weighted_less_is_better(figure) ? COMPARE_BETTER : COMPARE_WORSE;
	if (outcome == COMPARE_NOT_SHOWN)
		snprintf(sentence, size,
				 "No difference between A and B is shown: B - A is %+.1f points of %s (95 %% interval %.1f to %.1f, "
				 "p = %.2g, %zu seeds).",
				 delta, title, low, high, f->p, c->n_pairs);
	else
		snprintf(sentence, size,
				 "B is %s than A by %.1f points of %s (95 %% interval %.1f to %.1f, p = %.2g, %zu seeds).",
				 compare_outcome_names[outcome], fabs(delta), title, more ? low : -high, more ? high : -low, f->p,
				 c->n_pairs);
	return outcome;
}
