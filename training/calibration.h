/*
 * calibration.h - from logits to probabilities one can believe, and from probabilities to decisions.
 *
 * known has the layout of labels and says which of them are known; the others count for nothing.  NULL: all are.
 *
 * Platt scaling (Platt 1999) per tag: p = sigmoid(a z + c), a and c by maximum likelihood on the validation part with a
 * Gaussian prior at a = 1, c = 0, so that a tag with few validation rows stays as it was trained.
 */
#ifndef MOVIEBERT_TOOL_CALIBRATION_H
#define MOVIEBERT_TOOL_CALIBRATION_H

#include <stddef.h>
#include <stdint.h>

/* Weight of the prior in pseudo-rows: see platt_fit. */
#define PLATT_PRIOR 4.0
/* A tag's own threshold counts n+ / (n+ + THRESHOLD_PRIOR), the global one the rest. */
#define THRESHOLD_PRIOR 20.0

/*
 * Minimises sum_i BCE(a z_i + c, y_i) + prior/2 ((a - 1)^2 + c^2) by Newton's method; a stays positive, so that ranks
 * stay.  z[i * stride], y[i * stride].
 */
void platt_fit(const float *logits, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride, double prior,
			   double *a, double *c);

/*
 * The threshold, halfway between two scores, that maximises F1 = 2 hits / (support + predicted); the higher threshold
 * on a tie.  Without support: NAN, and *f1 = 0.  f1 may be NULL.
 */
double threshold_best_f1(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n, size_t stride,
						 double *f1);

/*
 * One threshold for all tags that maximises micro F1, and for each tag its own, shrunk to the global one with weight
 * n+ / (n+ + THRESHOLD_PRIOR).  thresholds [L] are kept within (0, 1).
 */
void thresholds_calibrate(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows,
						  size_t n_tags, float *thresholds, double *global);

double sigmoid(double z);

/* log(1 + exp(z)) without overflow */
double softplus(double z);

#endif
