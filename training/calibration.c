/* calibration.c - Platt scaling and thresholds. */
#include "calibration.h"

#include <math.h>
#include <stdlib.h>

#include "ranking.h"

#define NEWTON_STEPS 50
#define SMALLEST_SLOPE 0.05

double
sigmoid(double z)
{
	if (z >= 0)
		return 1.0 / (1.0 + exp(-z));
	z = exp(z);
	return z / (1.0 + z);
}

double
softplus(double z)
{
	return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static double
platt_loss(const float *logits, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride, double prior,
		   double a, double c)
{
	double loss = 0.5 * prior * ((a - 1) * (a - 1) + c * c);
	size_t i;

	for (i = 0; i < n; i++)
	{
		double z = a * (double) logits[i * stride] + c;

		if (known != NULL && known[i * stride] == 0)
			continue;
		loss += softplus(z) - (labels[i * stride] != 0 ? z : 0.0);
	}
	return loss;
}

void
platt_fit(const float *logits, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride, double prior,
		  double *slope, double *intercept)
{
	double a = 1, c = 0;
	double loss = platt_loss(logits, labels, known, n, stride, prior, a, c);
	int step;

	for (step = 0; step < NEWTON_STEPS; step++)
	{
		double ga = prior * (a - 1), gc = prior * c;
		double haa = prior, hac = 0, hcc = prior;
		double determinant, da, dc, scale;
		size_t i;

		for (i = 0; i < n; i++)
		{
			double z = (double) logits[i * stride];
			double p = sigmoid(a * z + c);
			double g = p - (labels[i * stride] != 0 ? 1.0 : 0.0);
			double h = p * (1 - p);

			if (known != NULL && known[i * stride] == 0)
				continue;
			ga += g * z;
			gc += g;
			haa += h * z * z;
			hac += h * z;
			hcc += h;
		}
		if (fabs(ga) + fabs(gc) < 1e-8 * (1 + (double) n))
			break;
		determinant = haa * hcc - hac * hac;
		da = (hcc * ga - hac * gc) / determinant;
		dc = (haa * gc - hac * ga) / determinant;
		for (scale = 1; scale > 1e-6; scale /= 2)
		{
			double next_a = a - scale * da, next_c = c - scale * dc;
			double next;

			if (next_a < SMALLEST_SLOPE)
				continue;
			next = platt_loss(logits, labels, known, n, stride, prior, next_a, next_c);
			if (next < loss)
			{
				a = next_a;
				c = next_c;
				loss = next;
				break;
			}
		}
		if (scale <= 1e-6)
			break;
	}
	*slope = a;
	*intercept = c;
}

static double
best_f1(ranking *order, const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride,
		double *f1)
{
	int64_t support = 0, hits = 0;
	double best = -1, threshold = NAN;
	size_t i, j;

	ranking_sort(order, scores, labels, known, n, stride);
	n = order->n;
	for (i = 0; i < n; i++)
		support += ranking_label(order, i);
	if (support == 0)
	{
		if (f1 != NULL)
			*f1 = 0;
		return NAN;
	}
	for (i = 0; i < n; i = j)
	{
		float score = ranking_score(order, i);
		double value;

		for (j = i; j < n && ranking_score(order, j) == score; j++)
			hits += ranking_label(order, j);
		value = 2.0 * (double) hits / (double) (support + (int64_t) j);
		if (value > best)
		{
			best = value;
			threshold = j < n ? 0.5 * ((double) score + (double) ranking_score(order, j)) : (double) score;
		}
	}
	if (f1 != NULL)
		*f1 = best;
	return threshold;
}

double
threshold_best_f1(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride, double *f1)
{
	ranking order = {0};
	double threshold = best_f1(&order, scores, labels, known, n, stride, f1);

	ranking_release(&order);
	return threshold;
}

void
thresholds_calibrate(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags,
					 float *thresholds, double *global)
{
	ranking order = {0};
	double shared = best_f1(&order, scores, labels, known, n_rows * n_tags, 1, NULL);
	size_t i, l;

	if (isnan(shared))
		shared = 0.5;
	for (l = 0; l < n_tags; l++)
	{
		const uint8_t *known_l = known != NULL ? known + l : NULL;
		double own = best_f1(&order, scores + l, labels + l, known_l, n_rows, n_tags, NULL);
		double support = 0, weight, mixed;

		for (i = 0; i < n_rows; i++)
			support += labels[i * n_tags + l] != 0 && (known_l == NULL || known_l[i * n_tags] != 0);
		weight = support / (support + THRESHOLD_PRIOR);
		mixed = isnan(own) ? shared : weight * own + (1 - weight) * shared;
		mixed = mixed < 1e-6 ? 1e-6 : mixed > 1 - 1e-6 ? 1 - 1e-6 : mixed;
		thresholds[l] = (float) mixed;
	}
	*global = shared;
	ranking_release(&order);
}
