/*
 * adamw.c - AdamW and the sum of the shards' gradients, by blocks that do not depend on the number of threads.
 *
 * The loops are plain, and compiled for wider vectors too; without contraction each gives the same bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../parallel.h"
#include "net.h"

enum
{
	BLOCK = 1 << 16, /* elements; part of the result: the norm's sums are taken block by block */
	LANES = 16       /* sums side by side within a block */
};

/* A piece of one tensor. */
typedef struct block
{
	size_t first, size, tensor;
} block;

typedef struct step
{
	const net *n;
	real *parameters, *m, *v;
	const real *gradients;
	const double *rate;
	const adamw_options *options;
	const block *blocks;
	double *squares; /* [blocks] */
	double scale;    /* of the gradients, by clipping */
	double correction1, correction2;
} step;

/* ---- the loops --------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

INLINE double
sum_of_squares(const real *x, size_t n)
{
	double lanes[LANES] = {0.0}, sum = 0.0;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			lanes[j] += (double) x[i + j] * (double) x[i + j];
	for (; i < n; i++)
		lanes[i % LANES] += (double) x[i] * (double) x[i];
	for (size_t j = 0; j < LANES; j++)
		sum += lanes[j];
	return sum;
}

/* The constants of one tensor's step, the bias corrections within: w -= rate m / (sqrt(v) root + epsilon) + decay w */
typedef struct update
{
	real scale, beta1, rest1, beta2, rest2, rate, root, epsilon, decay;
} update;

/*
 * A moment whose gradients have been 0 for long would end as a subnormal number, which processors take a hundred times
 * as long over: from here on it is 0.
 */
#define LEAST ((real) 1e-37)

INLINE void
update_all(real *restrict w, real *restrict m, real *restrict v, const real *restrict g, size_t n, const update *with)
{
	update u = *with;

	for (size_t i = 0; i < n; i++)
	{
		real gradient = g[i] * u.scale;
		real m_new = u.beta1 * m[i] + u.rest1 * gradient;
		real v_new = u.beta2 * v[i] + u.rest2 * gradient * gradient;

		m[i] = m_new = m_new > LEAST || m_new < -LEAST ? m_new : 0;
		v[i] = v_new = v_new > LEAST ? v_new : 0;
#ifdef NET_DOUBLE
		w[i] -= u.rate * m_new / (sqrt(v_new) * u.root + u.epsilon) + u.decay * w[i];
#else
		w[i] -= u.rate * m_new / (sqrtf(v_new) * u.root + u.epsilon) + u.decay * w[i];
#endif
	}
}

INLINE void
add_all(real *restrict sum, const real *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += x[i];
}

typedef struct loops
{
	double (*sum_of_squares)(const real *x, size_t n);
	void (*update_all)(real *restrict w, real *restrict m, real *restrict v, const real *restrict g, size_t n,
					   const update *with);
	void (*add_all)(real *restrict sum, const real *restrict x, size_t n);
} loops;

#define LOOPS(SET, TARGET)                                                                                             \
	TARGET static double sum_of_squares_##SET(const real *x, size_t n)                                                 \
	{                                                                                                                  \
		return sum_of_squares(x, n);                                                                                   \
	}                                                                                                                  \
	TARGET static void update_all_##SET(real *restrict w, real *restrict m, real *restrict v, const real *restrict g,  \
										size_t n, const update *with)                                                  \
	{                                                                                                                  \
		update_all(w, m, v, g, n, with);                                                                               \
	}                                                                                                                  \
	TARGET static void add_all_##SET(real *restrict sum, const real *restrict x, size_t n)                             \
	{                                                                                                                  \
		add_all(sum, x, n);                                                                                            \
	}                                                                                                                  \
	static const loops loops_##SET = {sum_of_squares_##SET, update_all_##SET, add_all_##SET};

LOOPS(plain, )
#if defined(__x86_64__)
LOOPS(avx2, __attribute__((target("avx2"))))
#if defined(__clang__)
LOOPS(avx512, __attribute__((target("avx512f,avx512dq"))))
#else
LOOPS(avx512, __attribute__((target("avx512f,avx512dq,prefer-vector-width=512"))))
#endif
#endif

static const loops *
best_loops(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
		return &loops_avx512;
	if (__builtin_cpu_supports("avx2"))
		return &loops_avx2;
#endif
	return &loops_plain;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

/* The blocks of the tensors that learn, the caller's to free. */
static block *
divide(const net *n, const double *rate, size_t *n_blocks)
{
	block *blocks = allocate(n->n_parameters / BLOCK + n->n_tensors, sizeof(*blocks));

	*n_blocks = 0;
	for (size_t t = 0; t < n->n_tensors; t++)
		if (rate[t] != 0.0)
			for (size_t first = 0; first < n->tensors[t].size; first += BLOCK)
			{
				size_t left = n->tensors[t].size - first;

				blocks[(*n_blocks)++] = (block){n->tensors[t].offset + first, left < BLOCK ? left : BLOCK, t};
			}
	return blocks;
}

static void
square_block(void *arg, size_t job, int thread)
{
	step *s = arg;

	(void) thread;
	s->squares[job] = best_loops()->sum_of_squares(s->gradients + s->blocks[job].first, s->blocks[job].size);
}

static void
update_block(void *arg, size_t job, int thread)
{
	step *s = arg;
	block b = s->blocks[job];
	const adamw_options *o = s->options;
	double rate = s->rate[b.tensor];
	update u = {
		.scale = (real) s->scale,
		.beta1 = (real) o->beta1,
		.rest1 = (real) (1.0 - o->beta1),
		.beta2 = (real) o->beta2,
		.rest2 = (real) (1.0 - o->beta2),
		.rate = (real) (rate / s->correction1),
		.root = (real) (1.0 / sqrt(s->correction2)),
		.epsilon = (real) o->epsilon,
		.decay = s->n->tensors[b.tensor].decay ? (real) (rate * o->weight_decay) : 0,
	};

	(void) thread;
	best_loops()->update_all(s->parameters + b.first, s->m + b.first, s->v + b.first, s->gradients + b.first, b.size,
							 &u);
}

double
adamw_step(const net *n, real *parameters, real *m, real *v, const real *gradients, uint64_t t, const double *rate,
		   const adamw_options *options, int n_threads)
{
	step s = {n, parameters, m, v, gradients, rate, options, NULL, NULL, 1.0, 0.0, 0.0};
	size_t n_blocks;
	block *blocks = divide(n, rate, &n_blocks);
	double norm = 0.0;

	s.blocks = blocks;
	s.squares = allocate(n_blocks, sizeof(*s.squares));
	parallel_run(n_blocks, n_threads, square_block, &s);
	for (size_t i = 0; i < n_blocks; i++)
		norm += s.squares[i];
	norm = sqrt(norm);
	if (isfinite(norm))
	{
		if (options->clip > 0.0 && norm > options->clip)
			s.scale = options->clip / norm;
		s.correction1 = 1.0 - pow(options->beta1, (double) t);
		s.correction2 = 1.0 - pow(options->beta2, (double) t);
		parallel_run(n_blocks, n_threads, update_block, &s);
	}
	free(blocks);
	free(s.squares);
	return norm;
}

/* ---- shards ------------------------------------------------------------------------------------------------------ */

typedef struct reduction
{
	real *const *gradients;
	size_t n_shards, n;
} reduction;

static void
reduce_block(void *arg, size_t job, int thread)
{
	const reduction *r = arg;
	size_t first = job * BLOCK, size = r->n - first < BLOCK ? r->n - first : BLOCK;

	(void) thread;
	for (size_t i = 1; i < r->n_shards; i++)
		best_loops()->add_all(r->gradients[0] + first, r->gradients[i] + first, size);
}

void
gradients_reduce(real *const *gradients, size_t n_shards, size_t n, int n_threads)
{
	reduction r = {gradients, n_shards, n};

	if (n_shards > 1)
		parallel_run((n + BLOCK - 1) / BLOCK, n_threads, reduce_block, &r);
}
