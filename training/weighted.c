/* weighted.c - sorted columns, sparse decisions and sums per row, made once; walks with weights, made often. */
#include "weighted.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* A true pair: its row, and how many pairs have its score or a higher one. */
typedef struct true_pair
{
	uint32_t row;
	uint32_t end;
} true_pair;

/* Pairs in order of falling score. */
typedef struct sorted_pairs
{
	uint32_t *rows; /* [n] */
	size_t n;
	true_pair *truths; /* [n_true] */
	size_t n_true;
} sorted_pairs;

/* What a row adds to the figures at one cutoff. */
typedef struct row_at
{
	double precision, recall, ndcg;
} row_at;

typedef struct row_sums
{
	int64_t known, support, predicted, hits;
	double samples_f1;
	double squares;                  /* sum of (score - truth)^2 */
	double excess[METRICS_ECE_BINS]; /* sum of score - truth by bin */
	row_at at[METRICS_MAX_CUTOFFS];
	size_t decisions_at;
} row_sums;

struct weighted_rows
{
	size_t n_rows, n_tags, n_cutoffs;
	weighted_set wanted;
	bool all_known;
	row_sums *rows;        /* [n_rows + 1]; the last has decisions_at alone */
	uint32_t *decisions;   /* of each row: tag << 2 | true << 1 | predicted, where either is */
	sorted_pairs *columns; /* [n_tags] */
	sorted_pairs all;
};

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0.0;
}

static bool
wants(const weighted_rows *rows, size_t figure)
{
	return (rows->wanted >> figure & 1) != 0;
}

/* Pairs while they are sorted. */
typedef struct scored_pair
{
	float score;
	uint32_t row;
	uint32_t label;
} scored_pair;

static int
by_falling_score(const void *a, const void *b)
{
	const scored_pair *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* items [n] is scratch. */
static void
sort_pairs(sorted_pairs *pairs, scored_pair *items, size_t n)
{
	size_t i, end = n;

	qsort(items, n, sizeof(scored_pair), by_falling_score);
	for (i = 0; i < n; i++)
		pairs->n_true += items[i].label;
	pairs->n = n;
	pairs->rows = allocate(n, sizeof(uint32_t));
	pairs->truths = allocate(pairs->n_true, sizeof(true_pair));
	for (i = n; i-- > 0;)
	{
		pairs->rows[i] = items[i].row;
		if (i + 1 < n && items[i + 1].score != items[i].score)
			end = i + 1;
		/* From the last to the first, as the loop goes. */
		if (items[i].label)
			pairs->truths[--pairs->n_true] = (true_pair){items[i].row, (uint32_t) end};
	}
	for (i = 0; i < n; i++)
		pairs->n_true += items[i].label;
}

static void
prepare_columns(weighted_rows *rows, const float *scores, const uint8_t *labels, const uint8_t *known)
{
	bool all = wants(rows, WEIGHTED_MICRO_AP);
	size_t L = rows->n_tags, i, l, n;
	scored_pair *items = allocate(rows->n_rows * (all ? L : 1), sizeof(scored_pair));

	for (l = 0; l < L; l++)
	{
		for (i = 0, n = 0; i < rows->n_rows; i++)
			if (known == NULL || known[i * L + l])
				items[n++] = (scored_pair){scores[i * L + l], (uint32_t) i, labels[i * L + l] != 0};
		sort_pairs(&rows->columns[l], items, n);
	}
	if (all)
	{
		for (i = 0, n = 0; i < rows->n_rows * L; i++)
			if (known == NULL || known[i])
				items[n++] = (scored_pair){scores[i], (uint32_t) (i / L), labels[i] != 0};
		sort_pairs(&rows->all, items, n);
	}
	free(items);
}

static void
prepare_row(weighted_rows *rows, size_t i, const float *scores, const uint8_t *labels, const uint8_t *known,
			const float *thresholds, const metrics_cutoffs *cutoffs, size_t *best, bool *taken)
{
	row_sums *row = &rows->rows[i];
	size_t n_decisions = row->decisions_at, l, c, rank;

	for (l = 0; l < rows->n_tags; l++)
	{
		uint32_t truth = labels[l] != 0, guess = scores[l] >= thresholds[l];
		double error = (double) scores[l] - truth;

		if (known != NULL && !known[l])
			continue;
		row->known++;
		row->support += truth;
		row->predicted += guess;
		row->hits += truth & guess;
		row->squares += error * error;
		row->excess[metrics_ece_bin(scores[l])] += error;
		if (truth | guess)
			rows->decisions[n_decisions++] = (uint32_t) l << 2 | truth << 1 | guess;
	}
	rows->rows[i + 1].decisions_at = n_decisions;
	row->samples_f1 = ratio(2.0 * (double) row->hits, (double) (row->support + row->predicted));
	for (c = 0; c < cutoffs->n && row->support > 0; c++)
	{
		size_t k = cutoffs->k[c];
		size_t n = metrics_best_tags(best, taken, scores, known, rows->n_tags, k < rows->n_tags ? k : rows->n_tags);
		double hits = 0;

		for (rank = 0; rank < n; rank++)
			hits += labels[best[rank]] != 0;
		row->at[c] =
			(row_at){hits / (double) k, hits / (double) row->support, metrics_ndcg(best, n, labels, row->support, k)};
	}
}

weighted_rows *
weighted_prepare(const float *scores, const uint8_t *labels, const uint8_t *known, const float *thresholds,
				 size_t n_rows, size_t n_tags, const metrics_cutoffs *cutoffs, weighted_set wanted)
{
	weighted_rows *rows = allocate(1, sizeof(weighted_rows));
	size_t *best = allocate(n_tags, sizeof(size_t));
	bool *taken = allocate(n_tags, sizeof(bool));
	size_t n_decisions = 0, i;

	*rows = (weighted_rows){.n_rows = n_rows, .n_tags = n_tags, .n_cutoffs = cutoffs->n, .wanted = wanted};
	rows->all_known = known == NULL;
	rows->rows = allocate(n_rows + 1, sizeof(row_sums));
	rows->columns = allocate(n_tags, sizeof(sorted_pairs));
	for (i = 0; i < n_rows * n_tags; i++)
		n_decisions += labels[i] || scores[i] >= thresholds[i % n_tags];
	rows->decisions = allocate(n_decisions, sizeof(uint32_t));
	for (i = 0; i < n_rows; i++)
		prepare_row(rows, i, scores + i * n_tags, labels + i * n_tags, known != NULL ? known + i * n_tags : NULL,
					thresholds, cutoffs, best, taken);
	if (wants(rows, WEIGHTED_MACRO_AP) || wants(rows, WEIGHTED_MICRO_AP) ||
		(known != NULL && wants(rows, WEIGHTED_MACRO_F1)))
		prepare_columns(rows, scores, labels, known);
	free(best);
	free(taken);
	return rows;
}

static void
release_pairs(sorted_pairs *pairs)
{
	free(pairs->rows);
	free(pairs->truths);
}

void
weighted_release(weighted_rows *rows)
{
	size_t l;

	if (rows == NULL)
		return;
	for (l = 0; l < rows->n_tags; l++)
		release_pairs(&rows->columns[l]);
	free(rows->columns);
	release_pairs(&rows->all);
	free(rows->decisions);
	free(rows->rows);
	free(rows);
}

/*
 * NAN without a true pair.  ranked [n + 1] is scratch: the weight of the pairs up to each place, which nothing but the
 * true pairs asks for, so that one loop adds, without a branch, and another, much shorter, divides.
 */
static double
weighted_ap(const sorted_pairs *pairs, const uint32_t *weights, uint32_t *ranked)
{
	size_t used = pairs->n_true > 0 ? pairs->truths[pairs->n_true - 1].end : 0;
	uint32_t total = 0;
	uint64_t hits = 0;
	double sum = 0;
	size_t i, j;

	for (i = 0; i < used; i++)
		ranked[i + 1] = total += weights[pairs->rows[i]];
	for (i = 0; i < pairs->n_true; i = j)
	{
		uint32_t end = pairs->truths[i].end;
		uint64_t step = 0;

		for (j = i; j < pairs->n_true && pairs->truths[j].end == end; j++)
			step += weights[pairs->truths[j].row];
		hits += step;
		if (step > 0)
			sum += (double) step * ((double) hits / (double) ranked[end]);
	}
	return hits > 0 ? sum / (double) hits : NAN;
}

static double
weighted_macro_ap(const weighted_rows *rows, const uint32_t *weights, uint32_t *ranked)
{
	double sum = 0;
	size_t counted = 0, l;

	for (l = 0; l < rows->n_tags; l++)
	{
		double ap = weighted_ap(&rows->columns[l], weights, ranked);

		if (isnan(ap))
			continue;
		sum += ap;
		counted++;
	}
	return ratio(sum, (double) counted);
}

/* Whether anything is known of the tag in the rows that count. */
static bool
tag_is_seen(const weighted_rows *rows, size_t l, const uint32_t *weights)
{
	const sorted_pairs *column = &rows->columns[l];
	size_t i;

	for (i = 0; i < column->n; i++)
		if (weights[column->rows[i]] > 0)
			return true;
	return false;
}

static double
weighted_macro_f1(const weighted_rows *rows, const uint32_t *weights)
{
	/* F1 of a tag is 2 hits / (support + predicted) */
	uint64_t *both = allocate(rows->n_tags * 2, sizeof(uint64_t)), *either = both + rows->n_tags;
	double sum = 0;
	size_t seen = 0, any = 0, i, l, d;

	for (i = 0; i < rows->n_rows; i++)
	{
		uint64_t weight = weights[i];

		if (weight == 0)
			continue;
		any++;
		for (d = rows->rows[i].decisions_at; d < rows->rows[i + 1].decisions_at; d++)
		{
			uint32_t decision = rows->decisions[d];
			uint32_t truth = decision >> 1 & 1, guess = decision & 1;

			both[decision >> 2] += weight & -(uint64_t) (truth & guess);
			either[decision >> 2] += weight * (truth + guess);
		}
	}
	for (l = 0; l < rows->n_tags; l++)
	{
		sum += ratio(2.0 * (double) both[l], (double) either[l]);
		seen += rows->all_known ? any > 0 : tag_is_seen(rows, l, weights);
	}
	free(both);
	return ratio(sum, (double) seen);
}

/* The figures that are sums over rows. */
static void
weighted_sums(const weighted_rows *rows, const uint32_t *weights, double *values)
{
	double excess[METRICS_ECE_BINS] = {0}, error = 0, squares = 0, samples = 0;
	row_at at[METRICS_MAX_CUTOFFS] = {{0, 0, 0}};
	uint64_t known = 0, either = 0, hits = 0, rows_known = 0, rows_with_tags = 0;
	size_t i, c;
	int b;

	for (i = 0; i < rows->n_rows; i++)
	{
		const row_sums *row = &rows->rows[i];
		uint64_t weight = weights[i];
		double w = (double) weight;

		if (weight == 0 || row->known == 0)
			continue;
		known += weight * (uint64_t) row->known;
		either += weight * (uint64_t) (row->support + row->predicted);
		hits += weight * (uint64_t) row->hits;
		rows_known += weight;
		samples += w * row->samples_f1;
		squares += w * row->squares;
		for (b = 0; b < METRICS_ECE_BINS; b++)
			excess[b] += w * row->excess[b];
		if (row->support == 0)
			continue;
		rows_with_tags += weight;
		for (c = 0; c < rows->n_cutoffs; c++)
		{
			at[c].precision += w * row->at[c].precision;
			at[c].recall += w * row->at[c].recall;
			at[c].ndcg += w * row->at[c].ndcg;
		}
	}
	for (b = 0; b < METRICS_ECE_BINS; b++)
		error += fabs(excess[b]);
	values[WEIGHTED_MICRO_F1] = ratio(2.0 * (double) hits, (double) either);
	values[WEIGHTED_SAMPLES_F1] = ratio(samples, (double) rows_known);
	values[WEIGHTED_ECE] = ratio(error, (double) known);
	values[WEIGHTED_BRIER] = ratio(squares, (double) known);
	for (c = 0; c < rows->n_cutoffs; c++)
	{
		double *here = values + WEIGHTED_AT + 3 * c;

		here[0] = ratio(at[c].precision, (double) rows_with_tags);
		here[1] = ratio(at[c].recall, (double) rows_with_tags);
		here[2] = ratio(at[c].ndcg, (double) rows_with_tags);
	}
}

void
weighted_compute(const weighted_rows *rows, const uint32_t *weights, double *values)
{
	size_t n = WEIGHTED_AT + 3 * rows->n_cutoffs, i;
	uint32_t *ranked =
		reallocate(NULL, (rows->all.n > rows->n_rows ? rows->all.n : rows->n_rows) + 1, sizeof(uint32_t));

	memset(values, 0, n * sizeof(double));
	weighted_sums(rows, weights, values);
	if (wants(rows, WEIGHTED_MACRO_F1))
		values[WEIGHTED_MACRO_F1] = weighted_macro_f1(rows, weights);
	if (wants(rows, WEIGHTED_MACRO_AP))
		values[WEIGHTED_MACRO_AP] = weighted_macro_ap(rows, weights, ranked);
	if (wants(rows, WEIGHTED_MICRO_AP))
	{
		double ap = weighted_ap(&rows->all, weights, ranked);

		values[WEIGHTED_MICRO_AP] = isnan(ap) ? 0 : ap;
	}
	for (i = 0; i < n; i++)
		if (!wants(rows, i))
			values[i] = 0;
	free(ranked);
}

size_t
weighted_count(const metrics_cutoffs *cutoffs)
{
	return WEIGHTED_AT + 3 * cutoffs->n;
}

static const struct
{
	const char *key, *title;
} figures[WEIGHTED_AT] = {{"micro_f1", "micro F1"}, {"macro_f1", "macro F1"}, {"samples_f1", "samples F1"},
						  {"macro_ap", "macro AP"}, {"micro_ap", "micro AP"}, {"ece", "ECE"},
						  {"brier", "Brier"}};

void
weighted_key(char *key, size_t size, const metrics_cutoffs *cutoffs, size_t figure)
{
	static const char *const at[] = {"precision", "recall", "ndcg"};

	if (figure < WEIGHTED_AT)
		snprintf(key, size, "%s", figures[figure].key);
	else
		snprintf(key, size, "%s_at_%zu", at[(figure - WEIGHTED_AT) % 3], cutoffs->k[(figure - WEIGHTED_AT) / 3]);
}

void
weighted_title(char *title, size_t size, const metrics_cutoffs *cutoffs, size_t figure)
{
	static const char *const at[] = {"P", "R", "nDCG"};

	if (figure < WEIGHTED_AT)
		snprintf(title, size, "%s", figures[figure].title);
	else
		snprintf(title, size, "%s@%zu", at[(figure - WEIGHTED_AT) % 3], cutoffs->k[(figure - WEIGHTED_AT) / 3]);
}

double
weighted_from_metrics(const metrics *m, size_t figure)
{
	const metrics_at *at = &m->at[figure < WEIGHTED_AT ? 0 : (figure - WEIGHTED_AT) / 3];
	const double values[] = {m->calibrated.micro_f1,
							 m->calibrated.macro_f1,
							 m->calibrated.samples_f1,
							 m->macro_ap,
							 m->micro_ap,
							 m->ece,
							 m->brier};

	if (figure < WEIGHTED_AT)
		return values[figure];
	return (figure - WEIGHTED_AT) % 3 == 0 ? at->precision : (figure - WEIGHTED_AT) % 3 == 1 ? at->recall : at->ndcg;
}

bool
weighted_less_is_better(size_t figure)
{
	return figure == WEIGHTED_ECE || figure == WEIGHTED_BRIER;
}
