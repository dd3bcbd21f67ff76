/*
 * lbfgs.h - limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5) for smooth convex
 * functions.
 */
#ifndef MOVIEBERT_TOOL_LBFGS_H
#define MOVIEBERT_TOOL_LBFGS_H

#include <stddef.h>

#include "moviebert/status.h"

/* Returns f(x) and fills gradient[n]. */
typedef double (*lbfgs_function)(void *arg, const double *x, double *gradient);

typedef struct lbfgs_options
{
	int max_iterations;
	double gradient_tolerance; /* stops when max |g| is below */
	double loss_tolerance;     /* stops when f falls by less than this part of itself, twice running */
	const mb_interrupt *interrupt;
} lbfgs_options;

typedef struct lbfgs_result
{
	int iterations;
	int evaluations;
	double loss;
	double gradient_norm; /* max |g| */
	bool converged;
} lbfgs_result;

/* Minimises from x, in place.  Errors: MB_CANCELLED. */
mb_status lbfgs_minimize(double *x, size_t n, lbfgs_function function, void *arg, const lbfgs_options *options,
						 lbfgs_result *result, mb_error *err);

#endif
