/* ops_loss.c - what training makes small: cross entropy of one label, losses of many labels, and of pairs. */
#include "ops.h"

#include <math.h>

#include "kernels.h"

double
cross_entropy(real *logits, const int32_t *labels, size_t M, size_t V, double scale, bool grad, size_t *correct)
{
	const net_kernels *kernels = net_kernels_get();
	double sum = 0.0;
	size_t hits = 0;

	for (size_t i = 0; i < M; i++)
	{
		bool hit;

		sum += kernels->cross_entropy(logits + i * V, V, (size_t) labels[i], (real) scale, grad, &hit);
		hits += hit;
	}
	if (correct != NULL)
		*correct = hits;
	return sum;
}

/* ---- many labels ------------------------------------------------------------------------------------------------- */

/* log(1 + exp(x)) = -log(1 - p), where p = 1 / (1 + exp(-x)) */
static double
softplus(double x)
{
	return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double
logistic(double x)
{
	double e = exp(-fabs(x));

	return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

/* -log p, times the focusing weight (1 - p)^gamma_positive */
static double
positive_loss(double x, const label_loss *how, double *slope)
{
	double weight = how->asymmetric ? pow(logistic(-x), how->gamma_positive) : 1.0;

	*slope = -weight * logistic(-x);
	return weight * softplus(-x);
}

/*
 * -log(1 - p) in binary cross entropy.  The asymmetric loss takes p_m = max(p - clip, 0) for p, and a focusing weight
 * p_m^gamma_negative: a negative that scores below the clip costs nothing.
 */
static double
negative_loss(double x, const label_loss *how, double *slope)
{
	double p = logistic(x), shifted, weight;

	if (!how->asymmetric || how->clip <= 0.0)
	{
		weight = how->asymmetric ? pow(p, how->gamma_negative) : 1.0;
		*slope = weight * p;
		return weight * softplus(x);
	}
	shifted = p - how->clip;
	if (shifted <= 0.0)
	{
		*slope = 0.0;
		return 0.0;
	}
	weight = pow(shifted, how->gamma_negative);
	*slope = weight * p * logistic(-x) / (1.0 - shifted);
	return -weight * log1p(-shifted);
}

double
label_loss_backward(real *dlogits, const real *logits, const uint8_t *labels, const uint8_t *known, size_t B, size_t L,
					double scale, const label_loss *how)
{
	double sum = 0.0;

	for (size_t i = 0; i < B * L; i++)
	{
		double loss = 0.0, slope = 0.0, factor = 1.0;

		if (known == NULL || known[i] != 0)
		{
			if (labels[i] == 0)
				loss = negative_loss((double) logits[i], how, &slope);
			else
			{
				loss = positive_loss((double) logits[i], how, &slope);
				factor = how->positive_weight != NULL ? (double) how->positive_weight[i % L] : 1.0;
			}
		}
		sum += factor * loss;
		if (dlogits != NULL)
			dlogits[i] = (real) (scale * factor * slope);
	}
	return sum;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

/*
 * With S = a b^T / temperature, the loss is 1/(2B) times the cross entropies of S's rows and of its columns, whose
 * labels are the diagonal; dS adds up both, da = dS b / temperature, db = dS^T a / temperature.
 */
double
info_nce(real *da, real *db, const real *a, const real *b, size_t B, size_t H, double temperature, real *scratch,
		 size_t *correct)
{
	const net_kernels *kernels = net_kernels_get();
	real *rows = scratch, *columns = scratch + B * B;
	real heat = (real) (1.0 / temperature), share = (real) (0.5 / (double) B);
	double sum = 0.0;
	size_t hits = 0;

	if (B == 0)
		return 0.0;
	net_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int) B, (int) B, (int) H, heat, a, (int) H, b, (int) H, (real) 0,
			 rows, (int) B);
	for (size_t i = 0; i < B; i++)
		for (size_t j = 0; j < B; j++)
			columns[j * B + i] = rows[i * B + j];
	for (size_t i = 0; i < B; i++)
	{
		bool hit, back;

		sum += kernels->cross_entropy(rows + i * B, B, i, share, true, &hit);
		sum += kernels->cross_entropy(columns + i * B, B, i, share, true, &back);
		hits += hit;
	}
	for (size_t i = 0; i < B; i++)
		for (size_t j = 0; j < B; j++)
			rows[i * B + j] += columns[j * B + i];
	net_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) B, (int) H, (int) B, heat, rows, (int) B, b, (int) H,
			 (real) 0, da, (int) H);
	net_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int) B, (int) H, (int) B, heat, rows, (int) B, a, (int) H,
			 (real) 0, db, (int) H);
	if (correct != NULL)
		*correct = hits;
	return sum / (2.0 * (double) B);
}
