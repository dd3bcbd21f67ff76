/* metrics.c - the definitions of metrics.h, in double. */
#include "metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "ranking.h"

/* 0/0 is 0, as scikit-learn's zero_division=0. */
static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0.0;
}

/* The mask of one tag's column. */
static const uint8_t *
column(const uint8_t *known, size_t l)
{
	return known != NULL ? known + l : NULL;
}

void
metrics_f1(f1_summary *summary, tag_metrics *per_tag, const float *scores, const uint8_t *labels, const uint8_t *known,
		   const float *thresholds, size_t n_rows, size_t n_tags)
{
	int64_t *support = allocate(n_tags * 4, sizeof(int64_t));
	int64_t *predicted = support + n_tags;
	int64_t *hits = predicted + n_tags;
	int64_t *judged = hits + n_tags;
	double samples = 0, macro = 0;
	int64_t judged_rows = 0;
	int64_t all_support = 0, all_predicted = 0, all_hits = 0;
	size_t i, l;

	for (i = 0; i < n_rows; i++)
	{
		int64_t row_support = 0, row_predicted = 0, row_hits = 0;
		bool any = n_tags == 0;

		for (l = 0; l < n_tags; l++)
		{
			bool truth = labels[i * n_tags + l] != 0;
			bool guess = scores[i * n_tags + l] >= thresholds[l];

			if (known != NULL && known[i * n_tags + l] == 0)
				continue;
			any = true;
			judged[l]++;
			support[l] += truth;
			predicted[l] += guess;
			hits[l] += truth && guess;
			row_support += truth;
			row_predicted += guess;
			row_hits += truth && guess;
		}
		judged_rows += any;
		samples += ratio(2.0 * (double) row_hits, (double) (row_support + row_predicted));
	}
	for (l = 0; l < n_tags; l++)
	{
		double f1 = ratio(2.0 * (double) hits[l], (double) (support[l] + predicted[l]));

		macro += f1;
		all_support += support[l];
		all_predicted += predicted[l];
		all_hits += hits[l];
		if (per_tag != NULL)
		{
			per_tag[l].known = judged[l];
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
	summary->macro_f1 = ratio(macro, (double) n_tags);
	summary->samples_f1 = ratio(samples, (double) judged_rows);
	free(support);
}

static double
average_precision(ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n,
				  size_t stride)
{
	int64_t support = 0, hits = 0;
	double sum = 0;
	size_t i, j;

	ranking_sort(order, scores, labels, known, n, stride);
	n = order->n;
	for (i = 0; i < n; i++)
		support += ranking_label(order, i);
	if (support == 0)
		return NAN;
	for (i = 0; i < n; i = j)
	{
		float score = ranking_score(order, i);
		int64_t step = 0;

		for (j = i; j < n && ranking_score(order, j) == score; j++)
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
		double ap = average_precision(&order, scores + l, labels + l, column(known, l), n_rows, n_tags);

		if (isnan(ap))
			continue;
		sum += ap;
		counted++;
	}
	ranking_release(&order);
	return ratio(sum, (double) counted);
}

void
metrics_at_k(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags, size_t k,
			 double *precision, double *recall)
{
	bool *taken = allocate(n_tags, sizeof(bool));
	double sum_precision = 0, sum_recall = 0;
	int64_t rows = 0;
	size_t i;

	for (i = 0; i < n_rows; i++)
	{
		const float *s = scores + i * n_tags;
		const uint8_t *y = labels + i * n_tags;
		const uint8_t *judged = known != NULL ? known + i * n_tags : NULL;
		int64_t support = 0, hits = 0;
		size_t l, rank;

		for (l = 0; l < n_tags; l++)
			support += y[l] != 0 && (judged == NULL || judged[l] != 0);
		if (support == 0)
			continue;
		for (l = 0; l < n_tags; l++)
			taken[l] = judged != NULL && judged[l] == 0;
		for (rank = 0; rank < k && rank < n_tags; rank++)
		{
			size_t best = n_tags;

			for (l = 0; l < n_tags; l++)
				if (!taken[l] && (best == n_tags || s[l] > s[best]))
					best = l;
			if (best == n_tags)
				break;
			taken[best] = true;
			hits += y[best] != 0;
		}
		sum_precision += (double) hits / (double) k;
		sum_recall += (double) hits / (double) support;
		rows++;
	}
	free(taken);
	*precision = ratio(sum_precision, (double) rows);
	*recall = ratio(sum_recall, (double) rows);
}

double
metrics_ece(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n)
{
	double sums[METRICS_ECE_BINS] = {0};
	double truths[METRICS_ECE_BINS] = {0};
	double error = 0;
	size_t i, judged = 0;
	int b;

	for (i = 0; i < n; i++)
	{
		if (known != NULL && known[i] == 0)
			continue;
		judged++;
		b = (int) (scores[i] * METRICS_ECE_BINS);
		b = b < 0 ? 0 : b >= METRICS_ECE_BINS ? METRICS_ECE_BINS - 1 : b;
		sums[b] += (double) scores[i];
		truths[b] += labels[i] != 0;
	}
	for (b = 0; b < METRICS_ECE_BINS; b++)
		error += fabs(sums[b] - truths[b]);
	return ratio(error, (double) judged);
}

void
metrics_compute(metrics *m, const float *scores, const uint8_t *labels, const uint8_t *known, const float *thresholds,
				size_t n_rows, size_t n_tags)
{
	float *half = allocate(n_tags, sizeof(float));
	ranking order = {0};
	double sum_ap = 0;
	size_t i, l;

	memset(m, 0, sizeof(*m));
	m->rows = (int64_t) n_rows;
	m->tags = (int32_t) n_tags;
	m->per_tag = allocate(n_tags, sizeof(tag_metrics));
	for (l = 0; l < n_tags; l++)
		half[l] = 0.5f;
	metrics_f1(&m->half, NULL, scores, labels, known, half, n_rows, n_tags);
	metrics_f1(&m->calibrated, m->per_tag, scores, labels, known, thresholds, n_rows, n_tags);
	for (l = 0; l < n_tags; l++)
	{
		double ap = average_precision(&order, scores + l, labels + l, column(known, l), n_rows, n_tags);

		m->per_tag[l].average_precision = ap;
		if (!isnan(ap))
		{
			sum_ap += ap;
			m->tags_with_support++;
		}
	}
	for (i = 0; known != NULL && i < n_rows * n_tags; i++)
		m->unknown += known[i] == 0;
	m->macro_ap = ratio(sum_ap, (double) m->tags_with_support);
	m->micro_ap = average_precision(&order, scores, labels, known, n_rows * n_tags, 1);
	if (isnan(m->micro_ap))
		m->micro_ap = 0;
	metrics_at_k(scores, labels, known, n_rows, n_tags, 3, &m->precision_at_3, &m->recall_at_3);
	metrics_at_k(scores, labels, known, n_rows, n_tags, 5, &m->precision_at_5, &m->recall_at_5);
	m->ece = metrics_ece(scores, labels, known, n_rows * n_tags);
	for (i = 0; i < n_rows; i++)
	{
		bool any = false;

		for (l = 0; l < n_tags && !any; l++)
			any = labels[i * n_tags + l] != 0 && (known == NULL || known[i * n_tags + l] != 0);
		m->rows_with_tags += any;
	}
	ranking_release(&order);
	free(half);
}

void
metrics_release(metrics *m)
{
	free(m->per_tag);
	memset(m, 0, sizeof(*m));
}
