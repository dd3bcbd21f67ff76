/* lbfgs.c - two-loop recursion and a backtracking line search. */
#include "lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define MEMORY 10
#define ARMIJO 1e-4
#define MAX_BACKTRACKS 30

static double
dot(const double *a, const double *b, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static double
largest(const double *a, size_t n)
{
	double max = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (fabs(a[i]) > max)
			max = fabs(a[i]);
	return max;
}

typedef struct history
{
	double *s[MEMORY]; /* steps */
	double *y[MEMORY]; /* gradient changes */
	double rho[MEMORY];
	int count;
	int next;
} history;

/* direction = -H gradient */
static void
two_loops(const history *h, const double *gradient, double *direction, size_t n)
{
	double alpha[MEMORY];
	int k;
	size_t i;

	for (i = 0; i < n; i++)
		direction[i] = -gradient[i];
	for (k = 0; k < h->count; k++)
	{
		int j = (h->next - 1 - k + 2 * MEMORY) % MEMORY;

		alpha[j] = h->rho[j] * dot(h->s[j], direction, n);
		for (i = 0; i < n; i++)
			direction[i] -= alpha[j] * h->y[j][i];
	}
	if (h->count > 0)
	{
		int j = (h->next - 1 + MEMORY) % MEMORY;
		double scale = 1.0 / (h->rho[j] * dot(h->y[j], h->y[j], n));

		for (i = 0; i < n; i++)
			direction[i] *= scale;
	}
	for (k = h->count - 1; k >= 0; k--)
	{
		int j = (h->next - 1 - k + 2 * MEMORY) % MEMORY;
		double beta = h->rho[j] * dot(h->y[j], direction, n);

		for (i = 0; i < n; i++)
			direction[i] += (alpha[j] - beta) * h->s[j][i];
	}
}

mb_status
lbfgs_minimize(double *x, size_t n, lbfgs_function function, void *arg, const lbfgs_options *options,
			   lbfgs_result *result, mb_error *err)
{
	double *memory = allocate(n * (4 + 2 * MEMORY), sizeof(double));
	double *gradient = memory, *direction = memory + n, *next_x = memory + 2 * n, *next_gradient = memory + 3 * n;
	history h = {0};
	mb_status status = MB_OK;
	double loss;
	int small_steps = 0;
	int k;

	for (k = 0; k < MEMORY; k++)
	{
		h.s[k] = memory + (4 + 2 * (size_t) k) * n;
		h.y[k] = memory + (5 + 2 * (size_t) k) * n;
	}
	memset(result, 0, sizeof(*result));
	loss = function(arg, x, gradient);
	result->evaluations = 1;
	while (result->iterations < options->max_iterations)
	{
		double slope, step, next_loss = 0, curvature;
		int tries;
		size_t i;

		if (mb_interrupted(options->interrupt))
		{
			status = mb_fail(err, MB_CANCELLED, "interrupted");
			break;
		}
		if (largest(gradient, n) <= options->gradient_tolerance)
		{
			result->converged = true;
			break;
		}
		two_loops(&h, gradient, direction, n);
		slope = dot(direction, gradient, n);
		if (slope >= 0) /* rounding spoilt the history: begin again from steepest descent */
		{
			h.count = 0;
			two_loops(&h, gradient, direction, n);
			slope = dot(direction, gradient, n);
		}
		step = h.count == 0 ? 1.0 / fmax(1.0, sqrt(-slope)) : 1.0;
		for (tries = 0; tries < MAX_BACKTRACKS; tries++)
		{
			for (i = 0; i < n; i++)
				next_x[i] = x[i] + step * direction[i];
			next_loss = function(arg, next_x, next_gradient);
			result->evaluations++;
			if (isfinite(next_loss) && next_loss <= loss + ARMIJO * step * slope)
				break;
			step /= 2;
		}
		if (tries == MAX_BACKTRACKS) /* no lower point within single precision: this is the minimum we can reach */
		{
			result->converged = true;
			break;
		}
		for (i = 0; i < n; i++)
		{
			h.s[h.next][i] = next_x[i] - x[i];
			h.y[h.next][i] = next_gradient[i] - gradient[i];
		}
		curvature = dot(h.s[h.next], h.y[h.next], n);
		if (curvature > 1e-12 * dot(h.y[h.next], h.y[h.next], n))
		{
			h.rho[h.next] = 1.0 / curvature;
			h.next = (h.next + 1) % MEMORY;
			if (h.count < MEMORY)
				h.count++;
		}
		memcpy(x, next_x, n * sizeof(double));
		memcpy(gradient, next_gradient, n * sizeof(double));
		result->iterations++;
		small_steps = loss - next_loss < options->loss_tolerance * fabs(loss) ? small_steps + 1 : 0;
		loss = next_loss;
		if (small_steps >= 2)
		{
			result->converged = true;
			break;
		}
	}
	result->loss = loss;
	result->gradient_norm = largest(gradient, n);
	free(memory);
	return status;
}
