/* metrics.c - the definitions of metrics.h, in double. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "ranking.h"

const metrics_cutoffs metrics_default_cutoffs = {2, {3, 5}};

/* 0/0 is 0, as scikit-learn's zero_division=0. */
static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0.0;
}

static bool
is_known(const uint8_t *known, size_t at)
{
	return known == NULL || known[at] != 0;
}

void
metrics_f1(f1_summary *summary, tag_metrics *per_tag, const float *scores, const uint8_t *labels, const uint8_t *known,
		   const float *thresholds, size_t n_rows, size_t n_tags)
{
	int64_t *seen = allocate(n_tags * 4, sizeof(int64_t));
	int64_t *support = seen + n_tags;
	int64_t *predicted = support + n_tags;
	int64_t *hits = predicted + n_tags;
	double samples = 0, macro = 0;
	int64_t all_support = 0, all_predicted = 0, all_hits = 0, rows_seen = 0, tags_seen = 0;
	size_t i, l;

	for (i = 0; i < n_rows; i++)
	{
		int64_t row_seen = 0, row_support = 0, row_predicted = 0, row_hits = 0;

		for (l = 0; l < n_tags; l++)
		{
			size_t at = i * n_tags + l;
			bool truth, guess;

			if (!is_known(known, at))
				continue;
			truth = labels[at] != 0;
			guess = scores[at] >= thresholds[l];
			seen[l]++;
			support[l] += truth;
			predicted[l] += guess;
			hits[l] += truth && guess;
			row_seen++;
			row_support += truth;
			row_predicted += guess;
			row_hits += truth && guess;
		}
		rows_seen += row_seen > 0;
		samples += ratio(2.0 * (double) row_hits, (double) (row_support + row_predicted));
	}
	for (l = 0; l < n_tags; l++)
	{
		double f1 = ratio(2.0 * (double) hits[l], (double) (support[l] + predicted[l]));

		macro += f1;
		tags_seen += seen[l] > 0;
		all_support += support[l];
		all_predicted += predicted[l];
		all_hits += hits[l];
		if (per_tag != NULL)
		{
			per_tag[l].known = seen[l];
			per_tag[l].support = support[l];
			per_tag[l].predicted = predicted[l];
			per_tag[l].hits = hits[l];
			per_tag[l].precision = ratio((double) hits[l], (double) predicted[l]);
			per_tag[l].recall = ratio((double) hits[l], (double) support[l]);
			per_tag[l].f1 = f1;
			per_tag[l].threshold = thresholds[l];
		}
	}
	summary->micro_precision = ratio((double) all_hits, (double) all_predicted);
	summary->micro_recall = ratio((double) all_hits, (double) all_support);
	summary->micro_f1 = ratio(2.0 * (double) all_hits, (double) (all_support + all_predicted));
	summary->macro_f1 = ratio(macro, (double) tags_seen);
	summary->samples_f1 = ratio(samples, (double) rows_seen);
	free(seen);
}

static double
average_precision(ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n,
				  size_t stride)
{
	int64_t support = 0, hits = 0;
	double sum = 0;
	size_t i, j;

	ranking_sort(order, scores, labels, known, n, stride);
	for (i = 0; i < order->n; i++)
		support += ranking_label(order, i);
	if (support == 0)
		return NAN;
	for (i = 0; i < order->n; i = j)
	{
		float score = ranking_score(order, i);
		int64_t step = 0;

		for (j = i; j < order->n && ranking_score(order, j) == score; j++)
			step += ranking_label(order, j);
		hits += step;
		sum += (double) step * ((double) hits / (double) j);
	}
	return sum / (double) support;
}

double
metrics_average_precision(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride)
{
	ranking order = {0};
	double ap = average_precision(&order, scores, labels, known, n, stride);

	ranking_release(&order);
	return ap;
}

double
metrics_macro_ap(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags)
{
	ranking order = {0};
	double sum = 0;
	size_t counted = 0, l;

	for (l = 0; l < n_tags; l++)
	{
		double ap = average_precision(&order, scores + l, labels + l, known != NULL ? known + l : NULL, n_rows, n_tags);

		if (isnan(ap))
			continue;
		sum += ap;
		counted++;
	}
	ranking_release(&order);
	return ratio(sum, (double) counted);
}

size_t
metrics_best_tags(size_t *best, bool *taken, const float *scores, const uint8_t *known, size_t n_tags, size_t k)
{
	size_t n = 0, l;

	memset(taken, 0, n_tags * sizeof(bool));
	while (n < k)
	{
		size_t first = n_tags;

		for (l = 0; l < n_tags; l++)
			if (!taken[l] && is_known(known, l) && (first == n_tags || scores[l] > scores[first]))
				first = l;
		if (first == n_tags)
			break;
		taken[first] = true;
		best[n++] = first;
	}
	return n;
}

double
metrics_ndcg(const size_t *best, size_t n_best, const uint8_t *labels, int64_t support, size_t k)
{
	double gain = 0, most = 0;
	size_t rank;

	for (rank = 0; rank < n_best; rank++)
		if (labels[best[rank]])
			gain += 1 / log2((double) rank + 2);
	for (rank = 0; rank < k && rank < (size_t) support; rank++)
		most += 1 / log2((double) rank + 2);
	return gain / most;
}

void
metrics_at_k(metrics_at *at, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows,
			 size_t n_tags)
{
	int64_t *support = allocate(n_tags * 2, sizeof(int64_t)), *hits = support + n_tags;
	size_t *best = allocate(n_tags, sizeof(size_t));
	bool *taken = allocate(n_tags, sizeof(bool));
	size_t k = at->k;
	int64_t rows = 0, tags = 0;
	size_t i, l;

	*at = (metrics_at){.k = k};
	for (i = 0; i < n_rows; i++)
	{
		const uint8_t *y = labels + i * n_tags;
		const uint8_t *row_known = known != NULL ? known + i * n_tags : NULL;
		int64_t row_support = 0, row_hits = 0;
		size_t n_best, rank;

		for (l = 0; l < n_tags; l++)
		{
			bool truth = y[l] != 0 && is_known(row_known, l);

			support[l] += truth;
			row_support += truth;
		}
		if (row_support == 0)
			continue;
		n_best = metrics_best_tags(best, taken, scores + i * n_tags, row_known, n_tags, k < n_tags ? k : n_tags);
		for (rank = 0; rank < n_best; rank++)
		{
			hits[best[rank]] += y[best[rank]] != 0;
			row_hits += y[best[rank]] != 0;
		}
		at->precision += (double) row_hits / (double) k;
		at->recall += (double) row_hits / (double) row_support;
		at->ndcg += metrics_ndcg(best, n_best, y, row_support, k);
		rows++;
	}
	for (l = 0; l < n_tags; l++)
	{
		at->tags_learned += hits[l] > 0;
		at->tag_recall += ratio((double) hits[l], (double) support[l]);
		tags += support[l] > 0;
	}
	at->precision = ratio(at->precision, (double) rows);
	at->recall = ratio(at->recall, (double) rows);
	at->ndcg = ratio(at->ndcg, (double) rows);
	at->tag_recall = ratio(at->tag_recall, (double) tags);
	free(support);
	free(best);
	free(taken);
}

int
metrics_ece_bin(float score)
{
	int b = (int) (score * METRICS_ECE_BINS);

	return b < 0 ? 0 : b >= METRICS_ECE_BINS ? METRICS_ECE_BINS - 1 : b;
}

double
metrics_ece(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride)
{
	double excess[METRICS_ECE_BINS] = {0}; /* sum of score - truth */
	double error = 0;
	size_t pairs = 0, i;
	int b;

	for (i = 0; i < n * stride; i += stride)
	{
		if (!is_known(known, i))
			continue;
		excess[metrics_ece_bin(scores[i])] += (double) scores[i] - (labels[i] != 0);
		pairs++;
	}
	for (b = 0; b < METRICS_ECE_BINS; b++)
		error += fabs(excess[b]);
	return ratio(error, (double) pairs);
}

double
metrics_brier(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride)
{
	double sum = 0;
	size_t pairs = 0, i;

	for (i = 0; i < n * stride; i += stride)
	{
		double error = (double) scores[i] - (labels[i] != 0);

		if (!is_known(known, i))
			continue;
		sum += error * error;
		pairs++;
	}
	return ratio(sum, (double) pairs);
}

static void
compute_per_tag(metrics *m, ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known,
				size_t n_rows, size_t n_tags)
{
	double sum_ap = 0, sum_recall = 0;
	size_t l;

	for (l = 0; l < n_tags; l++)
	{
		const uint8_t *column = known != NULL ? known + l : NULL;
		tag_metrics *t = &m->per_tag[l];

		t->average_precision = average_precision(order, scores + l, labels + l, column, n_rows, n_tags);
		t->brier = metrics_brier(scores + l, labels + l, column, n_rows, n_tags);
		t->ece = metrics_ece(scores + l, labels + l, column, n_rows, n_tags);
		m->unknown += m->rows - t->known;
		m->tags_learned += t->hits > 0;
		if (t->support == 0)
			continue;
		m->tags_with_support++;
		sum_ap += t->average_precision;
		sum_recall += t->recall;
	}
	m->macro_ap = ratio(sum_ap, m->tags_with_support);
	m->tag_recall = ratio(sum_recall, m->tags_with_support);
}

static int64_t
count_rows_with_tags(const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags)
{
	int64_t rows = 0;
	size_t i, l;

	for (i = 0; i < n_rows; i++)
	{
		for (l = 0; l < n_tags; l++)
			if (labels[i * n_tags + l] && is_known(known, i * n_tags + l))
				break;
		rows += l < n_tags;
	}
	return rows;
}

void
metrics_compute(metrics *m, const float *scores, const uint8_t *labels, const uint8_t *known, const float *thresholds,
				size_t n_rows, size_t n_tags, const metrics_cutoffs *cutoffs)
{
	float *half = allocate(n_tags, sizeof(float));
	ranking order = {0};
	size_t i;

	memset(m, 0, sizeof(*m));
	m->rows = (int64_t) n_rows;
	m->tags = (int32_t) n_tags;
	m->per_tag = allocate(n_tags, sizeof(tag_metrics));
	m->rows_with_tags = count_rows_with_tags(labels, known, n_rows, n_tags);
	for (i = 0; i < n_tags; i++)
		half[i] = 0.5f;
	metrics_f1(&m->half, NULL, scores, labels, known, half, n_rows, n_tags);
	metrics_f1(&m->calibrated, m->per_tag, scores, labels, known, thresholds, n_rows, n_tags);
	compute_per_tag(m, &order, scores, labels, known, n_rows, n_tags);
	m->micro_ap = average_precision(&order, scores, labels, known, n_rows * n_tags, 1);
	if (isnan(m->micro_ap))
		m->micro_ap = 0;
	if (cutoffs == NULL)
		cutoffs = &metrics_default_cutoffs;
	m->n_at = cutoffs->n;
	for (i = 0; i < cutoffs->n; i++)
	{
		m->at[i].k = cutoffs->k[i];
		metrics_at_k(&m->at[i], scores, labels, known, n_rows, n_tags);
	}
	m->ece = metrics_ece(scores, labels, known, n_rows * n_tags, 1);
	m->brier = metrics_brier(scores, labels, known, n_rows * n_tags, 1);
	ranking_release(&order);
	free(half);
}

void
metrics_release(metrics *m)
{
	free(m->per_tag);
	memset(m, 0, sizeof(*m));
}
