/*
 * test_net_gradients.c - each operation's backward, in double precision, against central differences of its forward.
 *
 * The loss of an operation is the sum of its outputs times random numbers; those numbers are the gradient that its
 * backward starts from.  A difference over a step h is off by h^2 times the third derivative and by the rounding of the
 * loss over h; with h = 1e-5 and numbers around 1 that is some 1e-10.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/net/ops.h"
#include "training/net/rng.h"

#define STEP 1e-5
#define TOLERANCE 1e-6 /* relative, of the size of the numbers or 1e-3 */

_Static_assert(sizeof(real) == sizeof(double), "this test belongs to the double build");

static uint64_t drawn;

static double
uniform(double low, double high)
{
	return low + (high - low) * rng_uniform(42, drawn++);
}

/* Exactly n numbers from malloc, so that valgrind and AddressSanitizer see a step beside them. */
static real *
zeros(size_t n)
{
	real *x = calloc(n > 0 ? n : 1, sizeof(real));

	assert_non_null(x);
	return x;
}

static real *
randoms(size_t n, double low, double high)
{
	real *x = zeros(n);

	for (size_t i = 0; i < n; i++)
		x[i] = uniform(low, high);
	return x;
}

static real *
copy(const real *x, size_t n)
{
	real *y = zeros(n);

	memcpy(y, x, n * sizeof(real));
	return y;
}

static double
dot(const real *a, const real *b, size_t n)
{
	double sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void
near_at(double got, double expected, double tolerance, int line)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("line %d: %.12g, expected %.12g, off by %.2g", line, got, expected, fabs(got - expected));
}

#define assert_near(got, expected, tolerance) near_at(got, expected, tolerance, __LINE__)

typedef double (*loss_function)(void *arg);

/* gradient [n] of loss by x [n] */
static void
check_gradient(const char *what, loss_function loss, void *arg, real *x, const real *gradient, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		double at = x[i], up, down, difference, size;

		x[i] = at + STEP;
		up = loss(arg);
		x[i] = at - STEP;
		down = loss(arg);
		x[i] = at;
		difference = (up - down) / (2.0 * STEP);
		size = fmax(fmax(fabs(difference), fabs(gradient[i])), 1e-3);
		if (!(fabs(difference - gradient[i]) <= TOLERANCE * size))
			fail_msg("%s [%zu of %zu]: the backward says %.12g, the difference %.12g, off by %.2g of its size", what, i,
					 n, gradient[i], difference, fabs(difference - gradient[i]) / size);
	}
}

/* What is added to keeps what was there. */
static void
take_away(real *x, double what, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] -= what;
}

static real *
filled(size_t n, double value)
{
	real *x = zeros(n);

	for (size_t i = 0; i < n; i++)
		x[i] = value;
	return x;
}

/* ---- linear ------------------------------------------------------------------------------------------------------ */

typedef struct linear_case
{
	size_t N, K, O;
	real *x, *W, *b, *y, *dy;
} linear_case;

static double
linear_loss(void *arg)
{
	linear_case *c = arg;

	linear_forward(c->y, c->x, c->W, c->b, c->N, c->K, c->O);
	return dot(c->y, c->dy, c->N * c->O);
}

static void
check_linear(size_t N, size_t K, size_t O, bool bias, bool add)
{
	linear_case c = {N,
					 K,
					 O,
					 randoms(N * K, -1, 1),
					 randoms(O * K, -1, 1),
					 bias ? randoms(O, -1, 1) : NULL,
					 zeros(N * O),
					 randoms(N * O, -1, 1)};
	real *dx = filled(N * K, 0.5), *dW = filled(O * K, 0.25), *db = filled(O, 0.125);

	linear_loss(&c);
	for (size_t i = 0; i < N; i++)
		for (size_t o = 0; o < O; o++)
		{
			double sum = bias ? c.b[o] : 0.0;

			for (size_t k = 0; k < K; k++)
				sum += c.x[i * K + k] * c.W[o * K + k];
			assert_near(c.y[i * O + o], sum, 1e-12);
		}
	linear_backward(dx, dW, bias ? db : NULL, c.dy, c.x, c.W, N, K, O, add);
	if (add)
		take_away(dx, 0.5, N * K);
	take_away(dW, 0.25, O * K);
	take_away(db, 0.125, O);
	check_gradient("linear dx", linear_loss, &c, c.x, dx, N * K);
	check_gradient("linear dW", linear_loss, &c, c.W, dW, O * K);
	if (bias)
		check_gradient("linear db", linear_loss, &c, c.b, db, O);
	linear_backward(NULL, NULL, NULL, c.dy, c.x, c.W, N, K, O, add);
	free(db);
	free(dW);
	free(dx);
	free(c.dy);
	free(c.y);
	free(c.b);
	free(c.W);
	free(c.x);
}

static void
linears(void **unused)
{
	(void) unused;
	check_linear(1, 1, 1, true, false);
	check_linear(7, 5, 3, true, false);
	check_linear(3, 9, 17, true, true);
	check_linear(5, 4, 6, false, false);
	check_linear(0, 4, 6, true, false);
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

typedef struct activation_case
{
	size_t n;
	mb_activation f;
	bool is_tanh;
	real *x, *y, *dy;
} activation_case;

static double
activation_loss(void *arg)
{
	activation_case *c = arg;

	if (c->is_tanh)
		tanh_forward(c->y, c->x, c->n);
	else
		activation_forward(c->y, c->x, c->n, c->f);
	return dot(c->y, c->dy, c->n);
}

static void
activations(void **unused)
{
	static const char *const names[] = {"gelu", "gelu_tanh", "relu", "silu", "tanh"};

	(void) unused;
	for (int f = 0; f < 5; f++)
	{
		activation_case c = {61, (mb_activation) f, f == 4, randoms(61, -6, 6), zeros(61), randoms(61, -1, 1)};
		real *dx = zeros(61), *same = copy(c.dy, 61);

		c.x[0] = 1e-3;
		c.x[1] = -1e-3;
		activation_loss(&c);
		if (c.is_tanh)
			tanh_backward(dx, c.dy, c.y, 61);
		else
		{
			activation_backward(dx, c.dy, c.x, 61, c.f);
			activation_backward(same, same, c.x, 61, c.f);
			assert_memory_equal(same, dx, 61 * sizeof(real));
		}
		check_gradient(names[f], activation_loss, &c, c.x, dx, 61);
		free(same);
		free(dx);
		free(c.dy);
		free(c.y);
		free(c.x);
	}
}

typedef struct dropout_case
{
	size_t n;
	double p;
	uint64_t key;
	real *x, *dy;
} dropout_case;

static double
dropout_loss(void *arg)
{
	dropout_case *c = arg;
	real *y = copy(c->x, c->n);
	double loss;

	dropout(y, c->n, c->p, c->key);
	loss = dot(y, c->dy, c->n);
	free(y);
	return loss;
}

static void
dropouts(void **unused)
{
	static const double shares[] = {0.0, 0.1, 0.5, 0.9};

	(void) unused;
	for (size_t i = 0; i < 4; i++)
	{
		dropout_case c = {203, shares[i], 77 + i, randoms(203, 0.5, 1), randoms(203, -1, 1)};
		real *y = copy(c.x, c.n), *dx = copy(c.dy, c.n);

		dropout(y, c.n, c.p, c.key);
		for (size_t j = 0; j < c.n; j++)
			assert_near(y[j], rng_uniform(c.key, j) >= c.p ? c.x[j] / (1.0 - c.p) : 0.0, 1e-12);
		dropout(dx, c.n, c.p, c.key);
		check_gradient("dropout", dropout_loss, &c, c.x, dx, c.n);
		free(dx);
		free(y);
		free(c.dy);
		free(c.x);
	}
}

/* ---- LayerNorm, normalization ------------------------------------------------------------------------------------ */

typedef struct norm_case
{
	size_t N, H;
	real *x, *residual, *weight, *bias, *y, *mean, *rstd, *sum, *dy;
} norm_case;

static double
norm_loss(void *arg)
{
	norm_case *c = arg;

	memcpy(c->sum, c->x, c->N * c->H * sizeof(real));
	layer_norm_forward(c->y, c->mean, c->rstd, c->sum, c->residual, c->weight, c->bias, c->N, c->H, 1e-5);
	return dot(c->y, c->dy, c->N * c->H);
}

static void
check_norm(size_t N, size_t H, bool residual)
{
	norm_case c = {N,
				   H,
				   randoms(N * H, -2, 3),
				   residual ? randoms(N * H, -1, 1) : NULL,
				   randoms(H, -1, 2),
				   randoms(H, -1, 1),
				   zeros(N * H),
				   zeros(N),
				   zeros(N),
				   zeros(N * H),
				   randoms(N * H, -1, 1)};
	real *dx = zeros(N * H), *same = copy(c.dy, N * H), *dweight = filled(H, 0.5), *dbias = filled(H, 0.25);

	norm_loss(&c);
	layer_norm_backward(dx, dweight, dbias, c.dy, c.sum, c.mean, c.rstd, c.weight, N, H);
	layer_norm_backward(same, NULL, NULL, same, c.sum, c.mean, c.rstd, c.weight, N, H);
	assert_memory_equal(same, dx, N * H * sizeof(real));
	take_away(dweight, 0.5, H);
	take_away(dbias, 0.25, H);
	check_gradient("layer norm dx", norm_loss, &c, c.x, dx, N * H);
	if (residual)
		check_gradient("layer norm dresidual", norm_loss, &c, c.residual, dx, N * H);
	check_gradient("layer norm dweight", norm_loss, &c, c.weight, dweight, H);
	check_gradient("layer norm dbias", norm_loss, &c, c.bias, dbias, H);
	free(dbias);
	free(dweight);
	free(same);
	free(dx);
	free(c.dy);
	free(c.sum);
	free(c.rstd);
	free(c.mean);
	free(c.y);
	free(c.bias);
	free(c.weight);
	free(c.residual);
	free(c.x);
}

static void
norms(void **unused)
{
	(void) unused;
	check_norm(1, 2, false);
	check_norm(3, 17, false);
	check_norm(5, 33, true);
}

typedef struct rows_case
{
	size_t B, H;
	real *x, *y, *norm, *dy;
} rows_case;

static double
normalize_loss(void *arg)
{
	rows_case *c = arg;

	normalize_forward(c->y, c->norm, c->x, c->B, c->H);
	return dot(c->y, c->dy, c->B * c->H);
}

static void
normalizes(void **unused)
{
	rows_case c = {5, 19, randoms(95, -1, 1), zeros(95), zeros(5), randoms(95, -1, 1)};
	real *dx = zeros(95);

	(void) unused;
	normalize_loss(&c);
	for (size_t i = 0; i < c.B; i++)
		assert_near(dot(c.y + i * c.H, c.y + i * c.H, c.H), 1.0, 1e-12);
	normalize_backward(dx, c.dy, c.y, c.norm, c.B, c.H);
	check_gradient("normalize", normalize_loss, &c, c.x, dx, 95);

	/* Where nothing is to be divided by, y = v 1e12. */
	memset(c.x, 0, c.H * sizeof(real));
	normalize_loss(&c);
	normalize_backward(dx, c.dy, c.y, c.norm, 1, c.H);
	for (size_t j = 0; j < c.H; j++)
	{
		assert_true(c.y[j] == 0.0);
		assert_near(dx[j] * 1e-12, c.dy[j], 1e-12);
	}
	free(dx);
	free(c.dy);
	free(c.norm);
	free(c.y);
	free(c.x);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

typedef struct attention_case
{
	const int32_t *lengths;
	size_t B, A, H, N;
	real *qkv, *context, *probs, *dcontext;
} attention_case;

static double
attention_loss(void *arg)
{
	attention_case *c = arg;

	attention_forward(c->context, c->probs, c->qkv, c->lengths, c->B, c->A, c->H);
	return dot(c->context, c->dcontext, c->N * c->H);
}

static void
attentions(void **unused)
{
	static const int32_t lengths[] = {3, 1, 7, 5};
	static const struct
	{
		size_t A, H;
	} shapes[] = {{1, 5}, {3, 6}, {2, 14}};

	(void) unused;
	for (size_t s = 0; s < 3; s++)
	{
		size_t A = shapes[s].A, H = shapes[s].H, N = 16, size = attention_probs_size(lengths, 4, A);
		attention_case c = {
			lengths, 4, A, H, N, randoms(N * 3 * H, -2, 2), zeros(N * H), zeros(size), randoms(N * H, -1, 1)};
		real *dqkv = zeros(N * 3 * H), *scratch = zeros(49);

		assert_int_equal(size, A * (9 + 1 + 49 + 25));
		attention_loss(&c);
		attention_backward(dqkv, c.dcontext, c.probs, c.qkv, lengths, 4, A, H, scratch);
		check_gradient("attention dqkv", attention_loss, &c, c.qkv, dqkv, N * 3 * H);
		free(scratch);
		free(dqkv);
		free(c.dcontext);
		free(c.probs);
		free(c.context);
		free(c.qkv);
	}
}

/* ---- embeddings, pooling ----------------------------------------------------------------------------------------- */

typedef struct embedding_case
{
	const int32_t *ids, *lengths;
	size_t B, H, N;
	real *word, *position, *type, *x, *dx;
} embedding_case;

static double
embedding_loss(void *arg)
{
	embedding_case *c = arg;

	embedding_forward(c->x, c->ids, c->lengths, c->B, c->word, c->position, c->type, c->H);
	return dot(c->x, c->dx, c->N * c->H);
}

static void
embeddings(void **unused)
{
	static const int32_t ids[] = {2, 4, 4, 3, 2, 3, 2, 0, 4, 3}, lengths[] = {4, 2, 4};
	size_t H = 7;
	embedding_case c = {ids,
						lengths,
						3,
						H,
						10,
						randoms(6 * H, -1, 1),
						randoms(5 * H, -1, 1),
						randoms(H, -1, 1),
						zeros(10 * H),
						randoms(10 * H, -1, 1)};
	real *dword = filled(6 * H, 0.5), *dposition = filled(5 * H, 0.5), *dtype = filled(H, 0.5);

	(void) unused;
	embedding_loss(&c);
	embedding_backward(dword, dposition, dtype, c.dx, ids, lengths, 3, H);
	embedding_backward(NULL, NULL, NULL, c.dx, ids, lengths, 3, H);
	take_away(dword, 0.5, 6 * H);
	take_away(dposition, 0.5, 5 * H);
	take_away(dtype, 0.5, H);
	check_gradient("embedding dword", embedding_loss, &c, c.word, dword, 6 * H);
	check_gradient("embedding dposition", embedding_loss, &c, c.position, dposition, 5 * H);
	check_gradient("embedding dtype", embedding_loss, &c, c.type, dtype, H);
	free(dtype);
	free(dposition);
	free(dword);
	free(c.dx);
	free(c.x);
	free(c.type);
	free(c.position);
	free(c.word);
}

typedef struct pool_case
{
	const int32_t *lengths;
	size_t B, H, N;
	mb_pooling mode;
	real *hidden, *pooled, *dpooled;
} pool_case;

static double
pool_loss(void *arg)
{
	pool_case *c = arg;

	pool_forward(c->pooled, c->hidden, c->lengths, c->B, c->H, c->mode);
	return dot(c->pooled, c->dpooled, c->B * c->H);
}

static void
pools(void **unused)
{
	static const int32_t lengths[] = {4, 1, 6};
	static const mb_pooling modes[] = {MB_POOL_MEAN, MB_POOL_CLS};

	(void) unused;
	for (size_t m = 0; m < 2; m++)
	{
		pool_case c = {lengths, 3, 9, 11, modes[m], randoms(99, -1, 1), zeros(27), randoms(27, -1, 1)};
		real *dhidden = filled(99, 3.0);

		pool_backward(dhidden, c.dpooled, lengths, 3, 9, c.mode);
		check_gradient(mb_pooling_name(c.mode), pool_loss, &c, c.hidden, dhidden, 99);
		free(dhidden);
		free(c.dpooled);
		free(c.pooled);
		free(c.hidden);
	}
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

typedef struct entropy_case
{
	size_t M, V;
	double scale;
	const int32_t *labels;
	real *logits;
} entropy_case;

static double
entropy_loss(void *arg)
{
	entropy_case *c = arg;
	real *logits = copy(c->logits, c->M * c->V);
	double loss = c->scale * cross_entropy(logits, c->labels, c->M, c->V, 1.0, false, NULL);

	free(logits);
	return loss;
}

static void
cross_entropies(void **unused)
{
	static const int32_t labels[] = {0, 12, 5, 3};
	entropy_case c = {4, 13, 0.37, labels, randoms(52, -3, 3)};
	real *d = copy(c.logits, 52);
	size_t correct;
	double loss, sum = 0.0;

	(void) unused;
	c.logits[5 + 2 * 13] = d[5 + 2 * 13] = 4.0; /* one of them is right */
	c.logits[3 * 13] = d[3 * 13] = 5.0;         /* one is not */
	for (size_t i = 0; i < 4; i++)
	{
		double total = 0.0;

		for (size_t j = 0; j < 13; j++)
			total += exp(d[i * 13 + j]);
		sum += log(total) - d[i * 13 + (size_t) labels[i]];
	}
	loss = cross_entropy(d, labels, 4, 13, c.scale, true, &correct);
	assert_near(loss, sum, 1e-12);
	assert_in_range(correct, 1, 3);
	check_gradient("cross entropy", entropy_loss, &c, c.logits, d, 52);
	free(d);
	free(c.logits);
}

typedef struct label_case
{
	size_t B, L;
	double scale;
	const uint8_t *labels, *known;
	label_loss how;
	real *logits;
	double *weights; /* the asymmetric loss's focusing weights, which count as constants */
} label_case;

static double
sigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

/* The weights at these logits, and the loss that they weigh: as in the paper, not as in the code. */
static double
focus(const label_case *c, size_t i)
{
	double p = sigmoid(c->logits[i]);

	if (!c->how.asymmetric)
		return 1.0;
	if (c->labels[i] != 0)
		return pow(1.0 - p, c->how.gamma_positive);
	return pow(fmax(p - c->how.clip, 0.0), c->how.gamma_negative);
}

static double
weighted_loss(void *arg)
{
	label_case *c = arg;
	double sum = 0.0;

	for (size_t i = 0; i < c->B * c->L; i++)
	{
		double p = sigmoid(c->logits[i]), clip = c->how.asymmetric ? c->how.clip : 0.0;

		if (c->known != NULL && c->known[i] == 0)
			continue;
		if (c->labels[i] != 0)
			sum += c->weights[i] * -log(p) * (c->how.positive_weight != NULL ? c->how.positive_weight[i % c->L] : 1.0);
		else
			sum += c->weights[i] * -log(1.0 - fmax(p - clip, 0.0));
	}
	return c->scale * sum;
}

static void
label_losses(void **unused)
{
	static const float positive_weight[] = {1.0f, 2.5f, 0.75f};
	static const label_loss kinds[] = {{false, 0, 0, 0, NULL},    {false, 0, 0, 0, positive_weight},
									   {true, 4, 1, 0.05, NULL},  {true, 2, 0, 0.2, positive_weight},
									   {true, 3, 0.5, 0.0, NULL}, {true, 0, 0, 0.05, NULL}};
	uint8_t labels[15], known[15];

	(void) unused;
	for (size_t i = 0; i < 15; i++)
	{
		labels[i] = i % 2 == 0;
		known[i] = i % 3 != 1;
	}
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (int masked = 0; masked < 2; masked++)
		{
			label_case c = {5, 3, 0.21, labels, masked ? known : NULL, kinds[k], randoms(15, -4, 4), zeros(15)};
			real *d = filled(15, 9.0);
			double loss;

			for (size_t i = 0; i < 15; i++)
				c.weights[i] = focus(&c, i);
			loss = label_loss_backward(d, c.logits, labels, c.known, 5, 3, c.scale, &c.how);
			assert_near(c.scale * loss, weighted_loss(&c), 1e-12);
			assert_near(label_loss_backward(NULL, c.logits, labels, c.known, 5, 3, 1.0, &c.how), loss, 0.0);
			check_gradient(c.how.asymmetric ? "asymmetric loss" : "binary cross entropy", weighted_loss, &c, c.logits,
						   d, 15);
			for (size_t i = 0; masked && i < 15; i++)
				if (known[i] == 0)
					assert_true(d[i] == 0.0);
			free(d);
			free(c.weights);
			free(c.logits);
		}
}

typedef struct pairs_case
{
	size_t B, H;
	double temperature;
	real *a, *b, *da, *db, *scratch;
} pairs_case;

static double
pairs_loss(void *arg)
{
	pairs_case *c = arg;

	return info_nce(c->da, c->db, c->a, c->b, c->B, c->H, c->temperature, c->scratch, NULL);
}

static void
pairs(void **unused)
{
	static const struct
	{
		size_t B, H;
		double temperature;
	} shapes[] = {{1, 3, 0.5}, {6, 11, 0.07}, {5, 4, 1.0}};

	(void) unused;
	for (size_t s = 0; s < 3; s++)
	{
		size_t B = shapes[s].B, H = shapes[s].H, n = B * H, correct, nearest = 0;
		pairs_case c = {B, H, shapes[s].temperature, zeros(n), zeros(n), zeros(n), zeros(n), zeros(2 * B * B)};
		real *v = randoms(n, -1, 1), *w = randoms(n, -1, 1), *norm = zeros(B), *da, *db;
		double loss, rows = 0.0, columns = 0.0;

		for (size_t i = 0; i < n; i++)
			w[i] = 0.7 * v[i] + 0.5 * w[i];
		normalize_forward(c.a, norm, v, B, H);
		normalize_forward(c.b, norm, w, B, H);
		for (size_t i = 0; i < B; i++)
		{
			double own = dot(c.a + i * H, c.b + i * H, H), row = 0.0, column = 0.0;
			bool is_nearest = true;

			for (size_t j = 0; j < B; j++)
			{
				row += exp(dot(c.a + i * H, c.b + j * H, H) / c.temperature);
				column += exp(dot(c.a + j * H, c.b + i * H, H) / c.temperature);
				is_nearest = is_nearest && dot(c.a + i * H, c.b + j * H, H) <= own;
			}
			rows += log(row) - own / c.temperature;
			columns += log(column) - own / c.temperature;
			nearest += is_nearest;
		}
		loss = info_nce(c.da, c.db, c.a, c.b, B, H, c.temperature, c.scratch, &correct);
		assert_near(loss, 0.5 * (rows + columns) / (double) B, 1e-12);
		assert_int_equal(correct, nearest);
		da = copy(c.da, n);
		db = copy(c.db, n);
		check_gradient("InfoNCE da", pairs_loss, &c, c.a, da, n);
		check_gradient("InfoNCE db", pairs_loss, &c, c.b, db, n);
		free(db);
		free(da);
		free(norm);
		free(w);
		free(v);
		free(c.scratch);
		free(c.db);
		free(c.da);
		free(c.b);
		free(c.a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linears),      cmocka_unit_test(activations), cmocka_unit_test(dropouts),
		cmocka_unit_test(norms),        cmocka_unit_test(normalizes),  cmocka_unit_test(attentions),
		cmocka_unit_test(embeddings),   cmocka_unit_test(pools),       cmocka_unit_test(cross_entropies),
		cmocka_unit_test(label_losses), cmocka_unit_test(pairs),
	};

	return cmocka_run_group_tests_name("net gradients", tests, NULL, NULL);
}
