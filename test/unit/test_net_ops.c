/*
 * test_net_ops.c - training's operations in float, with every kernel set that this CPU can run, against definitions in
 * double precision.
 *
 * test_net_gradients.c shows in double precision that each backward belongs to its forward; here it is shown that
 * float, and the vectors, compute the same.
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

#include "float_numbers.h"
#include "moviebert/encoder.h"
#include "training/net/ops.h"
#include "training/net/rng.h"

static bool slow_machine;

/* Runs a test once for each set. */
static void
for_each_set(void (*test)(void))
{
	static const char *const names[] = {"avx512", "avx2", "portable"};
	size_t tested = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mb_kernel_select(names[i]))
		{
			numbers_restart(names[i]);
			test();
			tested++;
		}
	assert_true(tested > 0);
}

/* ---- dropout ----------------------------------------------------------------------------------------------------- */

static void
dropouts(void)
{
	static const double shares[] = {0.0, 1e-9, 0.1, 0.25, 0.5, 0.9, 0.999};
	size_t n = slow_machine ? 2000 : 200000;

	for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++)
	{
		double p = shares[s], error = 5.0 * sqrt(p * (1.0 - p) / (double) n);
		float *x = randoms(n, 0.5, 1.5), *y = copy_floats(x, n);
		size_t dropped = 0;

		dropout(y, n, p, 1234 + s);
		for (size_t i = 0; i < n; i++)
		{
			bool keep = rng_uniform(1234 + s, i) >= p;

			assert_true(y[i] == (keep ? x[i] * (float) (1.0 / (1.0 - p)) : 0.0f));
			dropped += !keep;
		}
		check((double) dropped / (double) n, p, error, "share dropped");
		for (size_t length = 0; length <= 40; length++)
		{
			float *z = copy_floats(x, length);

			dropout(z, length, p, 1234 + s);
			assert_true(same_bits(z, y, length));
			free(z);
		}
		/* One that draws p itself is kept, within vectors and behind. */
		for (size_t i = 0; i < 37; i++)
		{
			float *z = copy_floats(x, 37);

			dropout(z, 37, rng_uniform(1234 + s, i), 1234 + s);
			assert_true(z[i] > x[i]);
			free(z);
		}
		/* One that is kept stays what it is. */
		for (size_t i = 0; i < 20; i++)
			x[i] = NAN;
		dropout(x, 20, p, 1234 + s);
		for (size_t i = 0; i < 20; i++)
			assert_int_equal(isnan(x[i]) != 0, rng_uniform(1234 + s, i) >= p);
		free(y);
		free(x);
	}
}

/* ---- linear, attention ------------------------------------------------------------------------------------------- */

/* A sum of k products in float, in any order, is within k u of the sum of their sizes (Higham 2002, 3.5); u = 2^-24. */
static double
sum_error(size_t k, double size)
{
	return ((double) k + 2.0) * 0x1p-24 * size;
}

static void
check_linear(size_t N, size_t K, size_t O)
{
	float *x = randoms(N * K, -1, 1), *W = randoms(O * K, -1, 1), *b = randoms(O, -1, 1), *y = randoms(N * O, 9, 9);
	float *dy = randoms(N * O, -1, 1), *dx = randoms(N * K, 1, 1), *dW = randoms(O * K, 2, 2), *db = randoms(O, 3, 3);

	linear_forward(y, x, W, b, N, K, O);
	linear_backward(dx, dW, db, dy, x, W, N, K, O, true);
	for (size_t i = 0; i < N; i++)
		for (size_t o = 0; o < O; o++)
		{
			double sum = b[o];

			for (size_t k = 0; k < K; k++)
				sum += (double) x[i * K + k] * W[o * K + k];
			check(y[i * O + o], sum, sum_error(K, 1.0 + (double) K), "linear [%zu,%zu]", i, o);
		}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < K; k++)
		{
			double sum = 1.0;

			for (size_t o = 0; o < O; o++)
				sum += (double) dy[i * O + o] * W[o * K + k];
			check(dx[i * K + k], sum, sum_error(O, 1.0 + (double) O), "linear dx [%zu,%zu]", i, k);
		}
	for (size_t o = 0; o < O; o++)
	{
		double bias = 3.0;

		for (size_t i = 0; i < N; i++)
			bias += dy[i * O + o];
		check(db[o], bias, sum_error(N, 3.0 + (double) N), "linear db [%zu]", o);
		for (size_t k = 0; k < K; k++)
		{
			double sum = 2.0;

			for (size_t i = 0; i < N; i++)
				sum += (double) dy[i * O + o] * x[i * K + k];
			check(dW[o * K + k], sum, sum_error(N, 2.0 + (double) N), "linear dW [%zu,%zu]", o, k);
		}
	}
	free(db);
	free(dW);
	free(dx);
	free(dy);
	free(y);
	free(b);
	free(W);
	free(x);
}

/* The same bits again, wherever the numbers stand: runs that are taken up again, and workers, rely on it. */
static void
check_repeats(size_t N, size_t K, size_t O)
{
	float *x = randoms(N * K, -1, 1), *W = randoms(O * K, -1, 1), *dy = randoms(N * O, -1, 1);
	float *first[4] = {randoms(N * O, 9, 9), randoms(N * K, 9, 9), randoms(O * K, 0, 0), randoms(O, 0, 0)};

	linear_forward(first[0], x, W, NULL, N, K, O);
	linear_backward(first[1], first[2], first[3], dy, x, W, N, K, O, false);
	for (size_t shift = 1; shift < 16; shift += 2)
	{
		float *from = randoms(N * K + O * K + N * O + shift, 0, 0),
			  *to = randoms(N * O + N * K + O * K + O + shift, 0, 0);
		float *moved_x = from + shift, *moved_W = moved_x + N * K, *moved_dy = moved_W + O * K;
		float *again[4] = {to + shift, to + shift + N * O, to + shift + N * O + N * K,
						   to + shift + N * O + N * K + O * K};

		memcpy(moved_x, x, N * K * sizeof(float));
		memcpy(moved_W, W, O * K * sizeof(float));
		memcpy(moved_dy, dy, N * O * sizeof(float));
		linear_forward(again[0], moved_x, moved_W, NULL, N, K, O);
		linear_backward(again[1], again[2], again[3], moved_dy, moved_x, moved_W, N, K, O, false);
		assert_true(same_bits(again[0], first[0], N * O) && same_bits(again[1], first[1], N * K));
		assert_true(same_bits(again[2], first[2], O * K) && same_bits(again[3], first[3], O));
		free(to);
		free(from);
	}
	for (size_t i = 0; i < 4; i++)
		free(first[i]);
	free(dy);
	free(W);
	free(x);
}

static void
linears(void)
{
	for (int i = 0; i < (slow_machine ? 4 : 30); i++)
	{
		size_t N = random_size(1, 40), K = random_size(1, 70), O = random_size(1, 50);

		check_linear(N, K, O);
		if (i % 4 == 0)
			check_repeats(N, K, O);
	}
}

/* One head of one sequence as its definition, from a row of qkv and of the context's gradient on. */
static void
check_head(const float *qkv, const float *context, const float *probs, const float *dcontext, const float *dqkv,
		   size_t T, size_t H, size_t d)
{
	double scale = 1.0 / sqrt((double) d);
	double *p = doubles(T * T), *ds = doubles(T * T);

#define AT(matrix, t, part, c) matrix[(t) *3 * H + (part) *H + (c)]
	for (size_t i = 0; i < T; i++)
	{
		float *scores = randoms(T, 0, 0);
		double sum = 0.0;

		for (size_t j = 0; j < T; j++)
		{
			double s = 0.0;

			for (size_t c = 0; c < d; c++)
				s += (double) AT(qkv, i, 0, c) * AT(qkv, j, 1, c);
			p[i * T + j] = s * scale;
		}
		for (size_t j = 0; j < T; j++)
			sum += p[i * T + j] = exp(p[i * T + j]);
		for (size_t j = 0; j < T; j++)
		{
			p[i * T + j] /= sum;
			check(probs[i * T + j], p[i * T + j], 1e-5 * p[i * T + j] + 1e-9, "probability [%zu,%zu]", i, j);
		}
		for (size_t c = 0; c < d; c++)
		{
			double expected = 0.0;

			for (size_t j = 0; j < T; j++)
				expected += p[i * T + j] * AT(qkv, j, 2, c);
			check(context[i * H + c], expected, 1e-5, "context [%zu,%zu]", i, c);
		}
		sum = 0.0;
		for (size_t j = 0; j < T; j++)
		{
			for (size_t c = 0; c < d; c++)
				ds[i * T + j] += (double) dcontext[i * H + c] * AT(qkv, j, 2, c);
			sum += ds[i * T + j] * p[i * T + j];
		}
		for (size_t j = 0; j < T; j++)
			ds[i * T + j] = scale * p[i * T + j] * (ds[i * T + j] - sum);
		free(scores);
	}
	for (size_t t = 0; t < T; t++)
		for (size_t c = 0; c < d; c++)
		{
			double dq = 0.0, dk = 0.0, dv = 0.0;

			for (size_t j = 0; j < T; j++)
			{
				dq += ds[t * T + j] * AT(qkv, j, 1, c);
				dk += ds[j * T + t] * AT(qkv, j, 0, c);
				dv += p[j * T + t] * dcontext[j * H + c];
			}
			check(AT(dqkv, t, 0, c), dq, 2e-5, "dq [%zu,%zu]", t, c);
			check(AT(dqkv, t, 1, c), dk, 2e-5, "dk [%zu,%zu]", t, c);
			check(AT(dqkv, t, 2, c), dv, 2e-5, "dv [%zu,%zu]", t, c);
		}
#undef AT
	free(ds);
	free(p);
}

static void
attentions(void)
{
	static const int32_t lengths[] = {17, 1, 33, 2, 40};
	static const struct
	{
		size_t A, d;
	} shapes[] = {{1, 5}, {3, 8}, {2, 33}};

	for (size_t s = 0; s < 3; s++)
	{
		size_t A = shapes[s].A, d = shapes[s].d, H = A * d, N = 93, size = attention_probs_size(lengths, 5, A);
		float *qkv = randoms(N * 3 * H, -1.5, 1.5), *dcontext = randoms(N * H, -1, 1), *scratch = randoms(1600, 0, 0);
		float *context = randoms(N * H, 9, 9), *probs = randoms(size, 9, 9), *dqkv = randoms(N * 3 * H, 9, 9);
		size_t row = 0, at = 0;

		attention_forward(context, probs, qkv, lengths, 5, A, H);
		attention_backward(dqkv, dcontext, probs, qkv, lengths, 5, A, H, scratch);
		for (size_t i = 0; i < 5; i++)
		{
			size_t T = (size_t) lengths[i];

			for (size_t h = 0; h < A; h++, at += T * T)
				check_head(qkv + row * 3 * H + h * d, context + row * H + h * d, probs + at, dcontext + row * H + h * d,
						   dqkv + row * 3 * H + h * d, T, H, d);
			row += T;
		}
		assert_int_equal(row, N);
		assert_int_equal(at, size);

		/* One number that is none in a key spoils its own sequence and no other. */
		qkv[20 * 3 * H + H] = NAN;
		attention_forward(context, probs, qkv, lengths, 5, A, H);
		assert_true(isnan(context[18 * H]) && isnan(context[50 * H]));
		for (size_t i = 0; i < 18 * H; i++)
			assert_true(isfinite(context[i]));
		for (size_t i = 51 * H; i < N * H; i++)
			assert_true(isfinite(context[i]));
		free(dqkv);
		free(probs);
		free(context);
		free(scratch);
		free(dcontext);
		free(qkv);
	}
}

/* ---- LayerNorm, normalization, pairs ----------------------------------------------------------------------------- */

/* Rows do not know of each other, but for the parameters' gradients, which add up. */
static void
rows_of_norms(void)
{
	const size_t N = 5, H = 37;
	float *x = randoms(N * H, -2, 2), *add = randoms(N * H, -1, 1), *dy = randoms(N * H, -1, 1);
	float *y = randoms(N * H, 9, 9), *weight = randoms(H, -1, 1), *bias = randoms(H, -1, 1);
	float *mean = randoms(N, 9, 9), *rstd = randoms(N, 9, 9);
	float *dweight = randoms(H, 0, 0), *dbias = randoms(H, 0, 0), *dx = randoms(N * H, 9, 9);
	float *sum = copy_floats(x, N * H);
	float *one_dweight = randoms(H, 0, 0), *one_dbias = randoms(H, 0, 0), *one = randoms(H, 9, 9), one_mean, one_rstd;

	layer_norm_forward(y, mean, rstd, sum, add, weight, bias, N, H, 1e-5f);
	layer_norm_backward(dx, dweight, dbias, dy, sum, mean, rstd, weight, N, H);
	for (size_t i = 0; i < N; i++)
	{
		layer_norm_forward(one, &one_mean, &one_rstd, x + i * H, add + i * H, weight, bias, 1, H, 1e-5f);
		assert_true(same_bits(x + i * H, sum + i * H, H));
		assert_true(same_bits(one, y + i * H, H));
		assert_true(same_bits(&one_mean, mean + i, 1) && same_bits(&one_rstd, rstd + i, 1));
		layer_norm_backward(one, one_dweight, one_dbias, dy + i * H, x + i * H, mean + i, rstd + i, weight, 1, H);
		assert_true(same_bits(one, dx + i * H, H));
	}
	assert_true(same_bits(one_dweight, dweight, H) && same_bits(one_dbias, dbias, H));
	free(one);
	free(one_dbias);
	free(one_dweight);
	free(sum);
	free(dx);
	free(dbias);
	free(dweight);
	free(rstd);
	free(mean);
	free(bias);
	free(weight);
	free(y);
	free(dy);
	free(add);
	free(x);
}

static void
normalizes(void)
{
	float v[6] = {3, 0, -4, NAN, 1, 2}, y[6], norm[2], dy[6] = {1, 1, 1, 1, 1, 1}, dv[6];

	normalize_forward(y, norm, v, 2, 3);
	check(norm[0], 5.0, 0.0, "length");
	check(y[0], 0.6, 1e-7, "first");
	check(y[2], -0.8, 1e-7, "third");
	normalize_backward(dv, dy, y, norm, 2, 3);
	/* (1 - y (0.6 - 0.8)) / 5 */
	check(dv[0], (1.0 + 0.6 * 0.2) / 5.0, 1e-7, "first's gradient");
	check(dv[1], 0.2, 1e-7, "second's gradient");
	for (size_t i = 3; i < 6; i++)
		assert_true(isnan(y[i]) && isnan(dv[i]));
}

static double
cosine(const float *a, const float *b, size_t n)
{
	double sum = 0.0;

	for (size_t i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

static void
pairs(void)
{
	const size_t B = 19, H = 37;
	const double temperature = 0.05;
	float *v = randoms(B * H, -1, 1), *w = randoms(B * H, -1, 1), *a = randoms(B * H, 9, 9), *b = randoms(B * H, 9, 9);
	float *da = randoms(B * H, 9, 9), *db = randoms(B * H, 9, 9), *norm = randoms(B, 9, 9);
	float *scratch = randoms(2 * B * B, 9, 9);
	double *ds = doubles(B * B), loss = 0.0;
	size_t correct, nearest = 0;

	for (size_t i = 0; i < B * H; i++)
		w[i] = v[i] + 4.0f * w[i];
	normalize_forward(a, norm, v, B, H);
	normalize_forward(b, norm, w, B, H);
	for (size_t i = 0; i < B; i++)
	{
		double row = 0.0, column = 0.0, own = cosine(a + i * H, b + i * H, H) / temperature;
		bool is_nearest = true;

		for (size_t j = 0; j < B; j++)
		{
			row += exp(cosine(a + i * H, b + j * H, H) / temperature);
			column += exp(cosine(a + j * H, b + i * H, H) / temperature);
			is_nearest = is_nearest && cosine(a + i * H, b + j * H, H) / temperature <= own;
		}
		nearest += is_nearest;
		loss += 0.5 / (double) B * (log(row) + log(column) - 2.0 * own);
		for (size_t j = 0; j < B; j++)
		{
			double there = exp(cosine(a + i * H, b + j * H, H) / temperature) / row;
			double back = exp(cosine(a + j * H, b + i * H, H) / temperature) / column;

			ds[i * B + j] += 0.5 / (double) B * (there - (i == j));
			ds[j * B + i] += 0.5 / (double) B * (back - (i == j));
		}
	}
	check(info_nce(da, db, a, b, B, H, temperature, scratch, &correct), loss, 1e-5 * loss, "InfoNCE");
	assert_int_equal(correct, nearest);
	assert_in_range(correct, 1, B - 1);
	for (size_t i = 0; i < B; i++)
		for (size_t c = 0; c < H; c++)
		{
			double by_a = 0.0, by_b = 0.0;

			for (size_t j = 0; j < B; j++)
			{
				by_a += ds[i * B + j] * b[j * H + c] / temperature;
				by_b += ds[j * B + i] * a[j * H + c] / temperature;
			}
			check(da[i * H + c], by_a, 1e-5, "InfoNCE da [%zu,%zu]", i, c);
			check(db[i * H + c], by_b, 1e-5, "InfoNCE db [%zu,%zu]", i, c);
		}
	a[3 * H + 1] = NAN;
	assert_true(isnan(info_nce(da, db, a, b, B, H, temperature, scratch, &correct)));
	assert_true(isnan(da[0]) && isnan(db[0]));
	free(ds);
	free(scratch);
	free(norm);
	free(db);
	free(da);
	free(b);
	free(a);
	free(w);
	free(v);
}

/* ---- embeddings, pooling ----------------------------------------------------------------------------------------- */

static void
embeddings(void)
{
	static const int32_t ids[] = {2, 4, 1, 2, 2}, lengths[] = {3, 2};
	const size_t H = 5;
	float *word = randoms(5 * H, -1, 1), *position = randoms(3 * H, -1, 1), *type = randoms(2 * H, -1, 1);
	float *x = randoms(5 * H, 9, 9), *dx = randoms(5 * H, -1, 1), *pooled = randoms(2 * H, 9, 9);
	float *dword = randoms(5 * H, 0, 0), *dposition = randoms(3 * H, 0, 0), *dtype = randoms(H, 0, 0);

	embedding_forward(x, ids, lengths, 2, word, position, type, H);
	embedding_backward(dword, dposition, dtype, dx, ids, lengths, 2, H);
	pool_forward(pooled, x, lengths, 2, H, MB_POOL_MEAN);
	for (size_t j = 0; j < H; j++)
	{
		check(x[j], (double) word[2 * H + j] + position[j] + type[j], 3e-7, "embedding of the first");
		check(x[4 * H + j], (double) word[2 * H + j] + position[H + j] + type[j], 3e-7, "embedding of the last");
		check(dword[2 * H + j], (double) dx[j] + dx[3 * H + j] + dx[4 * H + j], 3e-7, "gradient of a word");
		assert_true(dword[3 * H + j] == 0.0f);
		check(dposition[H + j], (double) dx[H + j] + dx[4 * H + j], 3e-7, "gradient of a position");
		check(dtype[j], (double) dx[j] + dx[H + j] + dx[2 * H + j] + dx[3 * H + j] + dx[4 * H + j], 6e-7,
			  "gradient of the type");
		check(pooled[j], ((double) x[j] + x[H + j] + x[2 * H + j]) / 3.0, 3e-7, "mean of three");
		check(pooled[H + j], ((double) x[3 * H + j] + x[4 * H + j]) / 2.0, 3e-7, "mean of two");
	}
	pool_forward(pooled, x, lengths, 2, H, MB_POOL_CLS);
	assert_true(same_bits(pooled, x, H) && same_bits(pooled + H, x + 3 * H, H));
	x[2 * H] = NAN;
	pool_forward(pooled, x, lengths, 2, H, MB_POOL_MEAN);
	assert_true(isnan(pooled[0]) && isfinite(pooled[1]) && isfinite(pooled[H]));
	free(dtype);
	free(dposition);
	free(dword);
	free(pooled);
	free(dx);
	free(x);
	free(type);
	free(position);
	free(word);
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/* A logit that is none makes the loss so, unless its label is not known. */
static void
label_losses(void)
{
	static const label_loss kinds[] = {{false, 0, 0, 0, NULL}, {true, 4, 1, 0.05, NULL}};
	const float logits[4] = {0.0f, NAN, 100.0f, -100.0f};
	const uint8_t labels[4] = {1, 0, 1, 0}, wrong[4] = {0, 1, 0, 1}, known[4] = {1, 0, 1, 1};

	for (size_t k = 0; k < 2; k++)
	{
		float d[4];

		assert_true(isnan(label_loss_backward(d, logits, labels, NULL, 2, 2, 1.0, &kinds[k])));
		assert_true(isnan(d[1]) && isfinite(d[0]));
		assert_true(isnan(label_loss_backward(d, logits, wrong, NULL, 2, 2, 1.0, &kinds[k])));
		assert_true(isnan(d[1]) && isfinite(d[0]));
		check(label_loss_backward(d, logits, labels, known, 2, 2, 1.0, &kinds[k]),
			  kinds[k].asymmetric ? 0.5 * log(2.0) : log(2.0), 1e-12, "loss");
		assert_true(d[1] == 0.0f);
	}
	/* However wrong, the loss is finite: 100 each, 100 times the focusing weight of 1, and -log of the clip. */
	{
		float d[4];

		check(label_loss_backward(d, logits, wrong, known, 2, 2, 1.0, &kinds[0]), log(2.0) + 200.0, 1e-9, "loss");
		check(d[2], 1.0, 1e-7, "slope of a wrong positive");
		check(d[3], -1.0, 1e-7, "slope of a wrong negative");
		check(label_loss_backward(d, logits, wrong, known, 2, 2, 1.0, &kinds[1]),
			  -pow(0.45, 4.0) * log(0.55) - pow(0.95, 4.0) * log(0.05) + 100.0, 1e-9, "asymmetric loss");
	}
}

#define EACH_SET(name)                                                                                                 \
	static void name##_of_each_set(void **unused)                                                                      \
	{                                                                                                                  \
		(void) unused;                                                                                                 \
		for_each_set(name);                                                                                            \
	}

EACH_SET(dropouts)
EACH_SET(linears)
EACH_SET(attentions)
EACH_SET(rows_of_norms)
EACH_SET(normalizes)
EACH_SET(pairs)
EACH_SET(embeddings)
EACH_SET(label_losses)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dropouts_of_each_set),   cmocka_unit_test(linears_of_each_set),
		cmocka_unit_test(attentions_of_each_set), cmocka_unit_test(rows_of_norms_of_each_set),
		cmocka_unit_test(normalizes_of_each_set), cmocka_unit_test(pairs_of_each_set),
		cmocka_unit_test(embeddings_of_each_set), cmocka_unit_test(label_losses_of_each_set),
	};

	slow_machine = getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
	return cmocka_run_group_tests_name("net operations", tests, NULL, NULL);
}
