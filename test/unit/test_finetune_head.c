/* test_finetune_head.c - the head's gradient against finite differences in double, the fast head against the plain one,
 * the optimiser, and a whole fit on rows made so that the answer is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/calibration.h"
#include "training/fit.h"
#include "training/head.h"
#include "training/lbfgs.h"
#include "training/metrics.h"

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state = 88172645463325252u;

static double
uniform(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (double) ((random_state * 2685821657736338717u) >> 11) / 9007199254740992.0;
}

static double
normal(void)
{
	return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

enum
{
	N = 37,
	H = 5,
	L = 3
};

typedef struct problem
{
	float x[N * H];
	uint8_t y[N * L];
	double v[L];
	double w[L * H], b[L];
} problem;

static void
make_problem(problem *p)
{
	int i;

	for (i = 0; i < N * H; i++)
		p->x[i] = (float) normal();
	for (i = 0; i < N * L; i++)
		p->y[i] = uniform() < 0.3;
	for (i = 0; i < L; i++)
	{
		p->v[i] = 1 + 2 * uniform();
		p->b[i] = normal();
	}
	for (i = 0; i < L * H; i++)
		p->w[i] = normal();
}

static void
gradient_is_the_derivative(void **state)
{
	problem p;
	double dw[L * H], db[L], ignored_w[L * H], ignored_b[L];
	const double step = 1e-5, lambda = 0.03;
	double worst = 0;
	int i;

	(void) state;
	make_problem(&p);
	head_objective_reference(p.w, p.b, dw, db, p.x, p.y, NULL, p.v, lambda, N, H, L);
	for (i = 0; i < L * H + L; i++)
	{
		double *at = i < L * H ? &p.w[i] : &p.b[i - L * H];
		double analytic = i < L * H ? dw[i] : db[i - L * H];
		double saved = *at, up, down, difference;

		*at = saved + step;
		up = head_objective_reference(p.w, p.b, ignored_w, ignored_b, p.x, p.y, NULL, p.v, lambda, N, H, L);
		*at = saved - step;
		down = head_objective_reference(p.w, p.b, ignored_w, ignored_b, p.x, p.y, NULL, p.v, lambda, N, H, L);
		*at = saved;
		difference = fabs((up - down) / (2 * step) - analytic);
		if (difference > worst)
			worst = difference;
	}
	print_message("largest difference from finite differences: %.2e\n", worst);
	assert_true(worst < 1e-8);
}

static void
fast_equals_plain(void **state)
{
	problem p;
	float v[L];
	double dw[L * H], db[L], parameters[L * H + L], gradient[L * H + L];
	head_problem *fast;
	double plain_loss, fast_loss;
	int i;

	(void) state;
	make_problem(&p);
	for (i = 0; i < L; i++)
	{
		v[i] = (float) p.v[i];
		p.v[i] = (double) v[i];
	}
	plain_loss = head_objective_reference(p.w, p.b, dw, db, p.x, p.y, NULL, p.v, 0.01, N, H, L);
	memcpy(parameters, p.w, sizeof(p.w));
	memcpy(parameters + L * H, p.b, sizeof(p.b));
	fast = head_problem_create(p.x, p.y, NULL, v, 0.01, N, H, L, 2);
	fast_loss = head_problem_evaluate(fast, parameters, gradient);
	head_problem_destroy(fast);
	print_message("loss %.9f plain, %.9f fast\n", plain_loss, fast_loss);
	assert_true(fabs(plain_loss - fast_loss) < 1e-5);
	for (i = 0; i < L * H; i++)
		assert_true(fabs(dw[i] - gradient[i]) < 1e-5);
	for (i = 0; i < L; i++)
		assert_true(fabs(db[i] - gradient[L * H + i]) < 1e-5);
}

/* Pairs that are not known: no loss, no gradient, whatever their labels are; plain, fast and by differences alike. */
static void
unknown_pairs_teach_nothing(void **state)
{
	problem p;
	uint8_t known[N * L], other[N * L];
	float v[L];
	double dw[L * H], db[L], other_dw[L * H], other_db[L], parameters[L * H + L], gradient[L * H + L];
	head_problem *fast;
	double loss, again, up, down;
	int i;

	(void) state;
	make_problem(&p);
	for (i = 0; i < L; i++)
	{
		v[i] = (float) p.v[i];
		p.v[i] = (double) v[i];
	}
	for (i = 0; i < N * L; i++)
	{
		known[i] = uniform() < 0.6;
		other[i] = known[i] ? p.y[i] : !p.y[i];
	}
	loss = head_objective_reference(p.w, p.b, dw, db, p.x, p.y, known, p.v, 0.01, N, H, L);
	again = head_objective_reference(p.w, p.b, other_dw, other_db, p.x, other, known, p.v, 0.01, N, H, L);
	assert_true(loss == again);
	assert_memory_equal(dw, other_dw, sizeof(dw));
	assert_memory_equal(db, other_db, sizeof(db));
	assert_true(loss < head_objective_reference(p.w, p.b, other_dw, other_db, p.x, p.y, NULL, p.v, 0.01, N, H, L));
	for (i = 0; i < L; i++)
	{
		double saved = p.b[i];

		p.b[i] = saved + 1e-5;
		up = head_objective_reference(p.w, p.b, other_dw, other_db, p.x, p.y, known, p.v, 0.01, N, H, L);
		p.b[i] = saved - 1e-5;
		down = head_objective_reference(p.w, p.b, other_dw, other_db, p.x, p.y, known, p.v, 0.01, N, H, L);
		p.b[i] = saved;
		assert_true(fabs((up - down) / 2e-5 - db[i]) < 1e-8);
	}
	memcpy(parameters, p.w, sizeof(p.w));
	memcpy(parameters + L * H, p.b, sizeof(p.b));
	fast = head_problem_create(p.x, other, known, v, 0.01, N, H, L, 2);
	again = head_problem_evaluate(fast, parameters, gradient);
	head_problem_destroy(fast);
	print_message("loss of the known pairs %.9f plain, %.9f fast\n", loss, again);
	assert_true(fabs(loss - again) < 1e-5);
	for (i = 0; i < L * H; i++)
		assert_true(fabs(dw[i] - gradient[i]) < 1e-5);
	for (i = 0; i < L; i++)
		assert_true(fabs(db[i] - gradient[L * H + i]) < 1e-5);
}

static void
loss_survives_large_logits(void **state)
{
	float logits[4] = {200.0f, -200.0f, 200.0f, -200.0f};
	const uint8_t labels[4] = {1, 0, 0, 1};
	const float v[1] = {1.0f};
	double loss;

	(void) state;
	loss = head_loss(logits, labels, NULL, v, 4, 1);
	assert_true(fabs(loss - 400) < 1e-3);
	assert_true(logits[0] == 0.0f && logits[1] == 0.0f);
	assert_true(logits[2] == 1.0f && logits[3] == -1.0f);
}

/* f = sum i (x_i - i)^2. */
static double
bowl(void *arg, const double *x, double *gradient)
{
	double f = 0;
	int i;

	(void) arg;
	for (i = 0; i < 8; i++)
	{
		f += (i + 1) * (x[i] - i) * (x[i] - i);
		gradient[i] = 2 * (i + 1) * (x[i] - i);
	}
	return f;
}

static bool
always(void *arg)
{
	(void) arg;
	return true;
}

static void
lbfgs_finds_the_minimum(void **state)
{
	lbfgs_options how = {100, 1e-10, 0, NULL};
	const mb_interrupt stop = {always, NULL};
	lbfgs_result done;
	double x[8] = {0};
	mb_error err;
	int i;

	(void) state;
	assert_int_equal(lbfgs_minimize(x, 8, bowl, NULL, &how, &done, &err), MB_OK);
	assert_true(done.converged);
	for (i = 0; i < 8; i++)
		assert_true(fabs(x[i] - i) < 1e-6);
	how.interrupt = &stop;
	x[0] = 5;
	assert_int_equal(lbfgs_minimize(x, 8, bowl, NULL, &how, &done, &err), MB_CANCELLED);
}

/* Rows whose tags follow a logistic law of known weights; tag 2 is pure chance, tag 3 never occurs. */
static void
make_rows(fit_rows *rows, size_t n, size_t h, size_t tags)
{
	size_t i, j;

	rows->n = n;
	rows->features = calloc(n * h, sizeof(float));
	rows->labels = calloc(n * tags, 1);
	rows->known = NULL;
	for (i = 0; i < n; i++)
	{
		for (j = 0; j < h; j++)
			rows->features[i * h + j] = (float) (0.05 * normal() + 0.02);
		rows->labels[i * tags] = uniform() < sigmoid(60 * ((double) rows->features[i * h] - 0.02) - 1);
		rows->labels[i * tags + 1] = uniform() < sigmoid(-80 * ((double) rows->features[i * h + 1] - 0.02) - 2);
		rows->labels[i * tags + 2] = uniform() < 0.2;
	}
}

static void
free_rows(fit_rows *rows)
{
	free(rows->features);
	free(rows->labels);
}

static void
fit_recovers_a_law(void **state)
{
	const size_t h = 6, tags = 4;
	fit_rows training, validation, fresh;
	fit_options how = {IMBALANCE_AUTO, 0, 300, 2, NULL, 0, NULL, NULL};
	fit_result fit, again;
	float *scores;
	metrics m;
	mb_error err;
	size_t i;

	(void) state;
	make_rows(&training, 5000, h, tags);
	make_rows(&validation, 1500, h, tags);
	make_rows(&fresh, 5000, h, tags);
	assert_int_equal(fit_head(&fit, &training, &validation, h, tags, &how, &err), MB_OK);
	print_message("weights %.1f (60) %.1f (-80), bias of chance %.2f (-1.39)\n", (double) fit.weight[0],
				  (double) fit.weight[h + 1], (double) fit.bias[2]);
	assert_true(fabs((double) fit.weight[0] - 60) < 8);
	assert_true(fabs((double) fit.weight[h + 1] + 80) < 10);
	scores = calloc(fresh.n * tags, sizeof(float));
	head_forward(scores, fit.weight, fit.bias, fresh.features, fresh.n, h, tags);
	for (i = 0; i < fresh.n * tags; i++)
		scores[i] = (float) sigmoid((double) scores[i]);
	metrics_compute(&m, scores, fresh.labels, NULL, fit.thresholds, fresh.n, tags, NULL);
	print_message("fresh rows: macro AP %.3f, ECE %.4f\n", m.macro_ap, m.ece);
	assert_true(m.per_tag[0].average_precision > 0.75);
	assert_true(m.ece < 0.02);
	/* a tag never seen stays improbable */
	for (i = 0; i < fresh.n; i++)
		assert_true(scores[i * tags + 3] < 0.02f);
	metrics_release(&m);

	/* the number of threads changes nothing */
	how.n_threads = 1;
	assert_int_equal(fit_head(&again, &training, &validation, h, tags, &how, &err), MB_OK);
	assert_memory_equal(fit.weight, again.weight, tags * h * sizeof(float));
	assert_memory_equal(fit.bias, again.bias, tags * sizeof(float));
	assert_memory_equal(fit.thresholds, again.thresholds, tags * sizeof(float));
	fit_result_release(&again);
	fit_result_release(&fit);
	free(scores);
	free_rows(&training);
	free_rows(&validation);
	free_rows(&fresh);
}

/* Where half of the rows know nothing of a tag, and lie about it, the fit is that of the other half. */
static void
fit_looks_at_known_pairs(void **state)
{
	const size_t h = 6, tags = 4;
	fit_rows training, validation;
	fit_options how = {IMBALANCE_NONE, 1e-3, 300, 1, NULL, 0, NULL, NULL};
	fit_result honest, lied;
	mb_error err;
	size_t i;

	(void) state;
	make_rows(&training, 3000, h, tags);
	make_rows(&validation, 1500, h, tags);
	training.known = malloc(training.n * tags);
	validation.known = malloc(validation.n * tags);
	memset(training.known, 1, training.n * tags);
	memset(validation.known, 1, validation.n * tags);
	for (i = 0; i < training.n; i++)
		training.known[i * tags] = i % 2 == 0;
	for (i = 0; i < validation.n; i++)
		validation.known[i * tags] = i % 3 == 0;
	assert_int_equal(fit_head(&honest, &training, &validation, h, tags, &how, &err), MB_OK);
	for (i = 0; i < training.n; i++)
		if (!training.known[i * tags])
			training.labels[i * tags] = !training.labels[i * tags];
	for (i = 0; i < validation.n; i++)
		if (!validation.known[i * tags])
			validation.labels[i * tags] = !validation.labels[i * tags];
	assert_int_equal(fit_head(&lied, &training, &validation, h, tags, &how, &err), MB_OK);
	print_message("weight %.3f, with lies in unknown places %.3f\n", (double) honest.weight[0],
				  (double) lied.weight[0]);
	assert_memory_equal(honest.weight, lied.weight, tags * h * sizeof(float));
	assert_memory_equal(honest.bias, lied.bias, tags * sizeof(float));
	assert_memory_equal(honest.thresholds, lied.thresholds, tags * sizeof(float));
	assert_true(honest.trials[0].validation_log_loss == lied.trials[0].validation_log_loss);
	fit_result_release(&honest);
	fit_result_release(&lied);
	free(training.known);
	free(validation.known);
	free_rows(&training);
	free_rows(&validation);
}

/* all-MiniLM-L6-v2 has one: an element of its vectors that is the same for all texts, but for rounding. */
static void
constant_feature_says_nothing(void **state)
{
	const size_t h = 6, tags = 4;
	fit_rows training, validation;
	fit_options how = {IMBALANCE_NONE, 0, 300, 1, NULL, 0, NULL, NULL};
	fit_result fit;
	mb_error err;
	size_t i, l;

	(void) state;
	make_rows(&training, 3000, h, tags);
	make_rows(&validation, 1500, h, tags);
	for (i = 0; i < training.n; i++)
		training.features[i * h + 5] = 0.05f + (float) (i % 3) * 4e-9f;
	for (i = 0; i < validation.n; i++)
		validation.features[i * h + 5] = 0.05f;
	assert_int_equal(fit_head(&fit, &training, &validation, h, tags, &how, &err), MB_OK);
	for (l = 0; l < tags; l++)
	{
		print_message("tag %zu: weight of the constant feature %.3g\n", l, (double) fit.weight[l * h + 5]);
		assert_true(fabs((double) fit.weight[l * h + 5]) < 1e-3);
	}
	print_message("weight of a feature that says something %.1f\n", (double) fit.weight[0]);
	assert_true((double) fit.weight[0] > 20);
	fit_result_release(&fit);
	free_rows(&training);
	free_rows(&validation);
}

static void
log_prior(void **state)
{
	(void) state;
	assert_true(fabs(fit_log_prior(49, 98)) < 1e-12);
	assert_true(isfinite(fit_log_prior(0, 10)) && fit_log_prior(0, 10) < 0);
	assert_true(isfinite(fit_log_prior(10, 10)) && fit_log_prior(10, 10) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gradient_is_the_derivative),   cmocka_unit_test(fast_equals_plain),
		cmocka_unit_test(unknown_pairs_teach_nothing),  cmocka_unit_test(loss_survives_large_logits),
		cmocka_unit_test(lbfgs_finds_the_minimum),      cmocka_unit_test(fit_recovers_a_law),
		cmocka_unit_test(fit_looks_at_known_pairs),     cmocka_unit_test(log_prior),
		cmocka_unit_test(constant_feature_says_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
