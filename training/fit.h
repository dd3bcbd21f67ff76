/*
 * fit.h - a head for given features and labels: regularisation and class weights chosen on the validation part, scores
 * calibrated, thresholds set.
 */
#ifndef MOVIEBERT_TOOL_FIT_H
#define MOVIEBERT_TOOL_FIT_H

#include <stddef.h>
#include <stdint.h>

#include "metrics.h"
#include "moviebert/status.h"

/* Rows of one part, gathered: X [n,H], Y [n,L], and which of Y is known (NULL: all). */
typedef struct fit_rows
{
	float *features;
	uint8_t *labels;
	uint8_t *known;
	size_t n;
} fit_rows;

typedef enum fit_imbalance
{
	IMBALANCE_NONE,       /* every row counts the same */
	IMBALANCE_POS_WEIGHT, /* positives of tag l count min(FIT_MAX_POS_WEIGHT, sqrt(n-/n+)) */
	IMBALANCE_AUTO        /* both, and the better validation macro AP stays */
} fit_imbalance;

#define FIT_MAX_POS_WEIGHT 10.0
#define FIT_MAX_TRIALS 32

extern const char *const fit_imbalance_names[];

typedef struct fit_options
{
	fit_imbalance imbalance;
	double l2; /* 0: chosen from a grid */
	int max_iterations;
	int n_threads;
	const mb_interrupt *interrupt;
	/* Trials go from strong regularisation to weak; 0: all, else stop after so many in a row without a better one. */
	int patience;
	void (*progress)(void *arg, int trials_done, int trials); /* may be NULL */
	void *progress_arg;
} fit_options;

typedef struct fit_trial
{
	fit_imbalance imbalance;
	double l2;
	int iterations;
	bool converged;
	double training_loss;
	double validation_macro_ap;
	double validation_log_loss; /* mean over known pairs, before calibration */
} fit_trial;

typedef struct fit_result
{
	float *weight;     /* [L,H] for features as they come from the encoder */
	float *bias;       /* [L] */
	float *thresholds; /* [L] */
	double global_threshold;
	double *platt_slope, *platt_intercept; /* [L], already folded into weight and bias */
	fit_trial trials[FIT_MAX_TRIALS];
	int n_trials;
	int chosen;
} fit_result;

mb_status fit_head(fit_result *result, const fit_rows *training, const fit_rows *validation, size_t n_features,
				   size_t n_tags, const fit_options *options, mb_error *err);
/* Whether the chosen strength is the grid's first or last, so that a better one may lie beyond; false with one trial.
 */
bool fit_chosen_at_end(const fit_result *result);

/*
 * Platt scaling and thresholds of a head on the validation part, folded into its weights: what fit_head ends with.
 * scores [validation->n, L] become the calibrated ones.
 */
void fit_calibrate(fit_result *result, const fit_rows *validation, float *scores, size_t n_features, size_t n_tags);

/* scores [rows->n, L] = sigmoid of the head, the caller's to free; and how good they are at its thresholds. */
float *fit_scores(const fit_rows *rows, const fit_result *fit, size_t n_features, size_t n_tags);
void fit_measure(metrics *m, const fit_rows *rows, const fit_result *fit, size_t n_features, size_t n_tags);

/* Room for a head's weights, thresholds and calibration; released by fit_result_release. */
void fit_result_init(fit_result *result, size_t n_features, size_t n_tags);
void fit_result_release(fit_result *result);

/* What a positive of a tag counts with IMBALANCE_POS_WEIGHT; positives of so many rows that are known. */
double fit_positive_weight(int64_t positives, int64_t rows);

/* log(p/(1-p)) with p = (n+ + 1) / (n + 2): the bias of a tag before anything is known of the text. */
double fit_log_prior(int64_t positives, int64_t rows);

#endif
