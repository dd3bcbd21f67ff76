/* head.c - forward, loss, backward; the matrix products are BLAS's. */
#include "head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "calibration.h"
#include "memory.h"
#include "parallel.h"

/* Shards are what threads share out; their number is fixed by the rows alone, so results are too. */
#define SHARD_ROWS 2048
#define MAX_SHARDS 16

void
head_forward(float *logits, const float *weight, const float *bias, const float *features, size_t n_rows,
			 size_t n_features, size_t n_tags)
{
	size_t i;

	for (i = 0; i < n_rows; i++)
		memcpy(logits + i * n_tags, bias, n_tags * sizeof(float));
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) n_rows, (blasint) n_tags, (blasint) n_features, 1.0f,
				features, (blasint) n_features, weight, (blasint) n_features, 1.0f, logits, (blasint) n_tags);
}

double
head_loss(float *logits, const uint8_t *labels, const uint8_t *known, const float *positive_weight, size_t n_rows,
		  size_t n_tags)
{
	double loss = 0;
	size_t i, l;

	for (i = 0; i < n_rows; i++)
		for (l = 0; l < n_tags; l++)
		{
			float *z = &logits[i * n_tags + l];
			float e = expf(-fabsf(*z));                    /* in (0, 1] */
			float small = e / (1.0f + e);                  /* sigmoid(-|z|) */
			float soft = log1pf(e);                        /* softplus(-|z|) */
			float p_down = *z >= 0 ? small : 1.0f - small; /* sigmoid(-z) */
			float v = positive_weight[l];

			if (known != NULL && known[i * n_tags + l] == 0)
				*z = 0;
			else if (labels[i * n_tags + l] != 0)
			{
				loss += (double) (v * (*z >= 0 ? soft : soft - *z));
				*z = -v * p_down;
			}
			else
			{
				loss += (double) (*z >= 0 ? soft + *z : soft);
				*z = *z >= 0 ? 1.0f - small : small;
			}
		}
	return loss;
}

void
head_backward(float *dweight, float *dbias, const float *dlogits, const float *features, size_t n_rows,
			  size_t n_features, size_t n_tags)
{
	size_t i, l;

	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint) n_tags, (blasint) n_features, (blasint) n_rows, 1.0f,
				dlogits, (blasint) n_tags, features, (blasint) n_features, 0.0f, dweight, (blasint) n_features);
	memset(dbias, 0, n_tags * sizeof(float));
	for (i = 0; i < n_rows; i++)
		for (l = 0; l < n_tags; l++)
			dbias[l] += dlogits[i * n_tags + l];
}

double
head_objective_reference(const double *weight, const double *bias, double *dweight, double *dbias,
						 const float *features, const uint8_t *labels, const uint8_t *known,
						 const double *positive_weight, double lambda, size_t n_rows, size_t n_features, size_t n_tags)
{
	double loss = 0, norm = 0;
	size_t i, l, h;

	for (h = 0; h < n_tags * n_features; h++)
	{
		norm += weight[h] * weight[h];
		dweight[h] = lambda * weight[h];
	}
	memset(dbias, 0, n_tags * sizeof(double));
	for (i = 0; i < n_rows; i++)
		for (l = 0; l < n_tags; l++)
		{
			double z = bias[l], y = labels[i * n_tags + l] != 0, dz;

			if (known != NULL && known[i * n_tags + l] == 0)
				continue;
			for (h = 0; h < n_features; h++)
				z += (double) features[i * n_features + h] * weight[l * n_features + h];
			loss += positive_weight[l] * y * softplus(-z) + (1 - y) * softplus(z);
			dz = ((1 - y) * sigmoid(z) - positive_weight[l] * y * sigmoid(-z)) / (double) n_rows;
			for (h = 0; h < n_features; h++)
				dweight[l * n_features + h] += dz * (double) features[i * n_features + h];
			dbias[l] += dz;
		}
	return loss / (double) n_rows + 0.5 * lambda * norm;
}

typedef struct shard
{
	size_t first;
	size_t n;
	float *logits;   /* [n,L] */
	float *gradient; /* [L,H] then [L] */
	double loss;
} shard;

struct head_problem
{
	const float *features;
	const uint8_t *labels;
	const uint8_t *known;
	const float *positive_weight;
	double lambda;
	size_t n_rows;
	size_t n_features;
	size_t n_tags;
	int n_threads;
	float *parameters; /* [L,H] then [L] */
	shard shards[MAX_SHARDS];
	size_t n_shards;
};

head_problem *
head_problem_create(const float *features, const uint8_t *labels, const uint8_t *known, const float *positive_weight,
					double lambda, size_t n_rows, size_t n_features, size_t n_tags, int n_threads)
{
	head_problem *p = allocate(1, sizeof(*p));
	size_t n_parameters = n_tags * (n_features + 1);
	size_t s;

	p->features = features;
	p->labels = labels;
	p->known = known;
	p->positive_weight = positive_weight;
	p->lambda = lambda;
	p->n_rows = n_rows;
	p->n_features = n_features;
	p->n_tags = n_tags;
	p->n_threads = n_threads;
	p->parameters = allocate(n_parameters, sizeof(float));
	p->n_shards = (n_rows + SHARD_ROWS - 1) / SHARD_ROWS;
	if (p->n_shards > MAX_SHARDS)
		p->n_shards = MAX_SHARDS;
	for (s = 0; s < p->n_shards; s++)
	{
		shard *part = &p->shards[s];

		part->first = n_rows * s / p->n_shards;
		part->n = n_rows * (s + 1) / p->n_shards - part->first;
		part->logits = allocate(part->n * n_tags, sizeof(float));
		part->gradient = allocate(n_parameters, sizeof(float));
	}
	return p;
}

static void
evaluate_shard(void *arg, size_t job, int thread)
{
	head_problem *p = arg;
	shard *part = &p->shards[job];
	const float *features = p->features + part->first * p->n_features;
	size_t n_weights = p->n_tags * p->n_features;

	(void) thread;
	head_forward(part->logits, p->parameters, p->parameters + n_weights, features, part->n, p->n_features, p->n_tags);
	part->loss =
		head_loss(part->logits, p->labels + part->first * p->n_tags,
				  p->known != NULL ? p->known + part->first * p->n_tags : NULL, p->positive_weight, part->n, p->n_tags);
	head_backward(part->gradient, part->gradient + n_weights, part->logits, features, part->n, p->n_features,
				  p->n_tags);
}

double
head_problem_evaluate(void *problem, const double *parameters, double *gradient)
{
	head_problem *p = problem;
	size_t n_weights = p->n_tags * p->n_features;
	size_t n_parameters = n_weights + p->n_tags;
	double loss = 0, norm = 0;
	size_t s, i;

	for (i = 0; i < n_parameters; i++)
		p->parameters[i] = (float) parameters[i];
	parallel_run(p->n_shards, p->n_threads, evaluate_shard, p);
	memset(gradient, 0, n_parameters * sizeof(double));
	for (s = 0; s < p->n_shards; s++)
	{
		loss += p->shards[s].loss;
		for (i = 0; i < n_parameters; i++)
			gradient[i] += (double) p->shards[s].gradient[i];
	}
	for (i = 0; i < n_parameters; i++)
		gradient[i] /= (double) p->n_rows;
	for (i = 0; i < n_weights; i++)
	{
		norm += parameters[i] * parameters[i];
		gradient[i] += p->lambda * parameters[i];
	}
	return loss / (double) p->n_rows + 0.5 * p->lambda * norm;
}

void
head_problem_destroy(head_problem *problem)
{
	size_t s;

	if (problem == NULL)
		return;
	for (s = 0; s < problem->n_shards; s++)
	{
		free(problem->shards[s].logits);
		free(problem->shards[s].gradient);
	}
	free(problem->parameters);
	free(problem);
}
