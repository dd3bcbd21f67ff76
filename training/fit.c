/*
 * fit.c - the search.
 *
 * Features are standardised with the training part's mean and deviation, so that one lambda means the same for each;
 * the standardisation is folded back into the weights at the end:  w' = w / sd,  b' = b - sum(w mean / sd).
 */
#include "fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "head.h"
#include "lbfgs.h"
#include "memory.h"

const char *const fit_imbalance_names[] = {"none", "pos-weight", "auto"};

/* From strong to weak: each trial starts from the one before it. */
static const double l2_grid[] = {1, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4};
/*
 * A feature that deviates less than so many times what features do is constant but for rounding.  It says nothing, and
 * is not blown up to look as if: its weight would be so large that the next encoder's, or CPU's, rounding decides.
 */
#define CONSTANT_FEATURE 1e-4

#define GRID ((int) (sizeof(l2_grid) / sizeof(l2_grid[0])))

double
fit_log_prior(int64_t positives, int64_t rows)
{
	double p = ((double) positives + 1) / ((double) rows + 2);

	return log(p / (1 - p));
}

double
fit_positive_weight(int64_t positives, int64_t rows)
{
	double v = positives > 0 ? sqrt((double) (rows - positives) / (double) positives) : 1;

	return v < 1 ? 1 : v > FIT_MAX_POS_WEIGHT ? FIT_MAX_POS_WEIGHT : v;
}

static void
standardisation(const fit_rows *rows, size_t n_features, double *mean, double *deviation)
{
	double typical = 0;
	size_t i, h;

	memset(mean, 0, n_features * sizeof(double));
	memset(deviation, 0, n_features * sizeof(double));
	for (i = 0; i < rows->n; i++)
		for (h = 0; h < n_features; h++)
			mean[h] += (double) rows->features[i * n_features + h];
	for (h = 0; h < n_features; h++)
		mean[h] /= (double) rows->n;
	for (i = 0; i < rows->n; i++)
		for (h = 0; h < n_features; h++)
		{
			double d = (double) rows->features[i * n_features + h] - mean[h];

			deviation[h] += d * d;
		}
	for (h = 0; h < n_features; h++)
	{
		deviation[h] = sqrt(deviation[h] / (double) rows->n);
		typical += deviation[h] / (double) n_features;
	}
	for (h = 0; h < n_features; h++)
		if (!(deviation[h] > CONSTANT_FEATURE * typical))
			deviation[h] = 1;
}

static float *
standardise(const fit_rows *rows, size_t n_features, const double *mean, const double *deviation)
{
	float *out = allocate(rows->n * n_features, sizeof(float));
	size_t i, h;

	for (i = 0; i < rows->n; i++)
		for (h = 0; h < n_features; h++)
			out[i * n_features + h] = (float) (((double) rows->features[i * n_features + h] - mean[h]) / deviation[h]);
	return out;
}

/* Parameters in double -> validation scores [n,L]. */
static void
validation_scores(float *scores, const double *parameters, const float *features, size_t n_rows, size_t n_features,
				  size_t n_tags)
{
	size_t n_parameters = n_tags * (n_features + 1);
	float *single = allocate(n_parameters, sizeof(float));
	size_t i;

	for (i = 0; i < n_parameters; i++)
		single[i] = (float) parameters[i];
	head_forward(scores, single, single + n_tags * n_features, features, n_rows, n_features, n_tags);
	free(single);
}

/* What the search carries along. */
typedef struct search
{
	fit_result *result;
	const fit_rows *training;
	const fit_rows *validation;
	const fit_options *options;
	size_t n_features;
	size_t n_tags;
	float *x_training;   /* standardised */
	float *x_validation; /* standardised */
	float *scores;       /* [validation n, L] */
	double *best;        /* parameters of the chosen trial */
	int n_planned;
} search;

static mb_status
run_path(search *s, fit_imbalance imbalance, const int64_t *support, const int64_t *judged, mb_error *err)
{
	size_t L = s->n_tags, H = s->n_features;
	size_t n_parameters = L * (H + 1);
	double *parameters = allocate(n_parameters, sizeof(double));
	float *positive_weight = allocate(L, sizeof(float));
	int first = s->options->l2 > 0 ? GRID - 1 : 0, worse = 0;
	double path_best = -1;
	mb_status status = MB_OK;
	size_t l, i;
	int g;

	for (l = 0; l < L; l++)
	{
		double v = imbalance == IMBALANCE_POS_WEIGHT ? fit_positive_weight(support[l], judged[l]) : 1;

		positive_weight[l] = (float) v;
		parameters[L * H + l] = fit_log_prior(support[l], judged[l]) + log(v);
	}
	for (g = first; g < GRID && status == MB_OK; g++)
	{
		fit_trial *trial = &s->result->trials[s->result->n_trials];
		lbfgs_options how = {s->options->max_iterations, 1e-6, 1e-7, s->options->interrupt};
		lbfgs_result done;
		head_problem *problem;
		double log_loss = 0;
		size_t pairs = 0;

		trial->imbalance = imbalance;
		trial->l2 = s->options->l2 > 0 ? s->options->l2 : l2_grid[g];
		problem = head_problem_create(s->x_training, s->training->labels, s->training->known, positive_weight,
									  trial->l2, s->training->n, H, L, s->options->n_threads);
		status = lbfgs_minimize(parameters, n_parameters, head_problem_evaluate, problem, &how, &done, err);
		head_problem_destroy(problem);
		if (status != MB_OK)
			break;
		trial->iterations = done.iterations;
		trial->converged = done.converged;
		trial->training_loss = done.loss;
		validation_scores(s->scores, parameters, s->x_validation, s->validation->n, H, L);
		trial->validation_macro_ap =
			metrics_macro_ap(s->scores, s->validation->labels, s->validation->known, s->validation->n, L);
		for (i = 0; i < s->validation->n * L; i++)
		{
			double z = (double) s->scores[i] - log((double) positive_weight[i % L]);

			if (s->validation->known != NULL && s->validation->known[i] == 0)
				continue;
			pairs++;
			log_loss += softplus(z) - (s->validation->labels[i] != 0 ? z : 0);
		}
		trial->validation_log_loss = pairs > 0 ? log_loss / (double) pairs : 0;
		if (s->result->chosen < 0 ||
			trial->validation_macro_ap > s->result->trials[s->result->chosen].validation_macro_ap)
		{
			s->result->chosen = s->result->n_trials;
			memcpy(s->best, parameters, n_parameters * sizeof(double));
			/* Weighing the positives by v adds about log v to the logits; taken out again, Platt has little left to do.
			 */
			for (l = 0; l < L; l++)
				s->best[L * H + l] -= log((double) positive_weight[l]);
		}
		s->result->n_trials++;
		if (s->options->progress != NULL)
			s->options->progress(s->options->progress_arg, s->result->n_trials, s->n_planned);
		worse = trial->validation_macro_ap > path_best ? 0 : worse + 1;
		path_best = fmax(path_best, trial->validation_macro_ap);
		if (s->options->patience > 0 && worse >= s->options->patience)
			break;
	}
	free(parameters);
	free(positive_weight);
	return status;
}

/* Best parameters for standardised features -> weights for features as they are. */
static void
fold_standardisation(fit_result *result, const double *parameters, const double *mean, const double *deviation,
					 size_t n_features, size_t n_tags)
{
	size_t l, h;

	for (l = 0; l < n_tags; l++)
	{
		double b = parameters[n_tags * n_features + l];

		for (h = 0; h < n_features; h++)
		{
			double w = parameters[l * n_features + h] / deviation[h];

			result->weight[l * n_features + h] = (float) w;
			b -= w * mean[h];
		}
		result->bias[l] = (float) b;
	}
}

void
fit_calibrate(fit_result *result, const fit_rows *validation, float *scores, size_t n_features, size_t n_tags)
{
	size_t l, h, i;

	head_forward(scores, result->weight, result->bias, validation->features, validation->n, n_features, n_tags);
	for (l = 0; l < n_tags; l++)
	{
		double a, c;

		platt_fit(scores + l, validation->labels + l, validation->known != NULL ? validation->known + l : NULL,
				  validation->n, n_tags, PLATT_PRIOR, &a, &c);
		result->platt_slope[l] = a;
		result->platt_intercept[l] = c;
		for (h = 0; h < n_features; h++)
			result->weight[l * n_features + h] = (float) (a * (double) result->weight[l * n_features + h]);
		result->bias[l] = (float) (a * (double) result->bias[l] + c);
	}
	head_forward(scores, result->weight, result->bias, validation->features, validation->n, n_features, n_tags);
	for (i = 0; i < validation->n * n_tags; i++)
		scores[i] = (float) sigmoid((double) scores[i]);
	thresholds_calibrate(scores, validation->labels, validation->known, validation->n, n_tags, result->thresholds,
						 &result->global_threshold);
}

float *
fit_scores(const fit_rows *rows, const fit_result *fit, size_t n_features, size_t n_tags)
{
	float *scores = allocate(rows->n * n_tags, sizeof(float));
	size_t i;

	head_forward(scores, fit->weight, fit->bias, rows->features, rows->n, n_features, n_tags);
	for (i = 0; i < rows->n * n_tags; i++)
		scores[i] = (float) sigmoid((double) scores[i]);
	return scores;
}

void
fit_measure(metrics *m, const fit_rows *rows, const fit_result *fit, size_t n_features, size_t n_tags)
{
	float *scores = fit_scores(rows, fit, n_features, n_tags);

	metrics_compute(m, scores, rows->labels, rows->known, fit->thresholds, rows->n, n_tags, NULL);
	free(scores);
}

void
fit_result_init(fit_result *result, size_t n_features, size_t n_tags)
{
	memset(result, 0, sizeof(*result));
	result->weight = allocate(n_tags * n_features, sizeof(float));
	result->bias = allocate(n_tags, sizeof(float));
	result->thresholds = allocate(n_tags, sizeof(float));
	result->platt_slope = allocate(n_tags, sizeof(double));
	result->platt_intercept = allocate(n_tags, sizeof(double));
	result->chosen = -1;
}

mb_status
fit_head(fit_result *result, const fit_rows *training, const fit_rows *validation, size_t n_features, size_t n_tags,
		 const fit_options *options, mb_error *err)
{
	double *mean = allocate(n_features * 2, sizeof(double));
	double *deviation = mean + n_features;
	int64_t *support = allocate(n_tags * 2, sizeof(int64_t));
	int64_t *judged = support + n_tags; /* training rows of which is known whether they have the tag */
	search s = {0};
	mb_status status = MB_OK;
	size_t i, l;

	fit_result_init(result, n_features, n_tags);
	for (i = 0; i < training->n; i++)
		for (l = 0; l < n_tags; l++)
		{
			bool is_known = training->known == NULL || training->known[i * n_tags + l] != 0;

			judged[l] += is_known;
			support[l] += is_known && training->labels[i * n_tags + l] != 0;
		}
	standardisation(training, n_features, mean, deviation);
	s.result = result;
	s.training = training;
	s.validation = validation;
	s.options = options;
	s.n_features = n_features;
	s.n_tags = n_tags;
	s.x_training = standardise(training, n_features, mean, deviation);
	s.x_validation = standardise(validation, n_features, mean, deviation);
	s.scores = allocate(validation->n * n_tags, sizeof(float));
	s.best = allocate(n_tags * (n_features + 1), sizeof(double));
	s.n_planned = (options->imbalance == IMBALANCE_AUTO ? 2 : 1) * (options->l2 > 0 ? 1 : GRID);
	if (options->imbalance != IMBALANCE_POS_WEIGHT)
		status = run_path(&s, IMBALANCE_NONE, support, judged, err);
	if (status == MB_OK && options->imbalance != IMBALANCE_NONE)
		status = run_path(&s, IMBALANCE_POS_WEIGHT, support, judged, err);
	if (status == MB_OK)
	{
		fold_standardisation(result, s.best, mean, deviation, n_features, n_tags);
		fit_calibrate(result, validation, s.scores, n_features, n_tags);
	}
	else
		fit_result_release(result);
	free(s.x_training);
	free(s.x_validation);
	free(s.scores);
	free(s.best);
	free(support);
	free(mean);
	return status;
}

bool
fit_chosen_at_end(const fit_result *result)
{
	double l2 = result->trials[result->chosen].l2;

	return result->n_trials >= GRID && (l2 == l2_grid[0] || l2 == l2_grid[GRID - 1]);
}

void
fit_result_release(fit_result *result)
{
	free(result->weight);
	free(result->bias);
	free(result->thresholds);
	free(result->platt_slope);
	free(result->platt_intercept);
	memset(result, 0, sizeof(*result));
}
