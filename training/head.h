/*
 * head.h - the multi-label head: logistic regression for each tag on the same features, forward and backward.
 *
 *   N rows   H features   L tags      X [N,H]   Y [N,L]   W [L,H]   b [L]   Z = X W^T + b   [N,L]
 *
 *   loss = 1/N sum_{n,l} ( v_l y softplus(-z) + (1 - y) softplus(z) )  +  lambda/2 sum W^2
 *
 * The inner sum is over the pairs that are known (known [N,L], NULL: all).  v_l weighs the positive rows of tag l (1:
 * plain maximum likelihood).  The sum over tags, not their mean, so that adding a tag does not change another tag's
 * optimum.  The bias is not regularised.
 */
#ifndef MOVIEBERT_TOOL_HEAD_H
#define MOVIEBERT_TOOL_HEAD_H

#include <stddef.h>
#include <stdint.h>

/* logits [N,L] = X W^T + b */
void head_forward(float *logits, const float *weight, const float *bias, const float *features, size_t n_rows,
				  size_t n_features, size_t n_tags);

/*
 * Returns the loss of the rows (sum, not mean; without the lambda term), and turns logits into dlogits in place:
 * dz = (1 - y) sigmoid(z) - v y sigmoid(-z); 0 where not known.
 */
double head_loss(float *logits, const uint8_t *labels, const uint8_t *known, const float *positive_weight,
				 size_t n_rows, size_t n_tags);

/* dweight [L,H] = dlogits^T X, dbias [L] = column sums of dlogits */
void head_backward(float *dweight, float *dbias, const float *dlogits, const float *features, size_t n_rows,
				   size_t n_features, size_t n_tags);

/* The same objective, mean and lambda included, written plainly in double: the definition that the fast one is held to.
 */
double head_objective_reference(const double *weight, const double *bias, double *dweight, double *dbias,
								const float *features, const uint8_t *labels, const uint8_t *known,
								const double *positive_weight, double lambda, size_t n_rows, size_t n_features,
								size_t n_tags);

/* The objective over parts of rows in a fixed number of shards, with threads; parameters are W then b, in double. */
typedef struct head_problem head_problem;

head_problem *head_problem_create(const float *features, const uint8_t *labels, const uint8_t *known,
								  const float *positive_weight, double lambda, size_t n_rows, size_t n_features,
								  size_t n_tags, int n_threads);
double head_problem_evaluate(void *problem, const double *parameters, double *gradient);
void head_problem_destroy(head_problem *problem);

#endif
