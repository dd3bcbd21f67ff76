/*
 * pretrain_spans.c - contrastive training of the embedding: two spans of one text belong together, all others of the
 * step do not (Giorgi et al. 2020, arXiv:2006.03659).
 *
 * The loss of one text needs the vectors of all.  Phase 0 computes vectors alone; then the loss; phase 1 goes backward,
 * from the last pass, whose activations are still there, to the first, computing the others forward again (Gao et al.
 * 2021, arXiv:2101.06983): memory does not grow with the number of texts.
 */
#include "pretrain.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "net/rng.h"
#include "parallel.h"

#define VALIDATION_SEED 1
#define VALIDATION_TEXTS 1000

/* Pairs of spans: sequence 2 i is the first of pair i, sequence 2 i + 1 the second. */
typedef struct span_set
{
	int32_t *ids;     /* [2 n, T] each at its beginning */
	int32_t *lengths; /* [2 n] */
	real *pooled;     /* [2 n, H] all first spans, then all second ones */
	real *vectors;    /* the same, of length 1 */
	real *norms;      /* [2 n] */
	real *gradient;   /* [2 n, H] by pooled */
	real *scratch;    /* [2 n n] */
	size_t n;
} span_set;

struct spans_task
{
	const net *net;
	const token_store *store;
	const special_ids *special;
	size_t T, min_tokens, pass_tokens;
	uint64_t seed;
	double dropout, temperature;
	uint64_t *texts; /* long enough, in the order of `epoch` */
	uint64_t *sorted;
	uint64_t n_texts;
	uint64_t epoch;
	span_set step, validation;
	int n_threads;
	double mean_length; /* of a step's sequences, for the FLOPs of attention */
};

static void
set_create(span_set *set, size_t n, size_t T, size_t H)
{
	*set = (span_set){.ids = allocate(2 * n * T, sizeof(int32_t)),
					  .lengths = allocate(2 * n, sizeof(int32_t)),
					  .pooled = allocate(2 * n * H, sizeof(real)),
					  .vectors = allocate(2 * n * H, sizeof(real)),
					  .norms = allocate(2 * n, sizeof(real)),
					  .gradient = allocate(2 * n * H, sizeof(real)),
					  .scratch = allocate(2 * n * n, sizeof(real)),
					  .n = n};
}

static void
set_release(span_set *set)
{
	free(set->ids);
	free(set->lengths);
	free(set->pooled);
	free(set->vectors);
	free(set->norms);
	free(set->gradient);
	free(set->scratch);
}

static mb_status
read_pair(const spans_task *spans, span_set *set, size_t i, uint64_t text, uint64_t seed, uint64_t number,
		  mb_error *err)
{
	span_pair pair = {.a = set->ids + 2 * i * spans->T, .b = set->ids + (2 * i + 1) * spans->T};
	mb_status status = MB_OK;

	if (!span_pair_read(&pair, spans->store, text, spans->min_tokens, spans->T, spans->special, seed, number, &status,
						err))
		return status != MB_OK ? status : mb_fail(err, MB_CORRUPT, "a text of the store became shorter");
	set->lengths[2 * i] = (int32_t) pair.a_length;
	set->lengths[2 * i + 1] = (int32_t) pair.b_length;
	return MB_OK;
}

/* Where the vector of a sequence stands. */
static size_t
vector_row(const span_set *set, size_t sequence)
{
	return (sequence % 2 == 0 ? 0 : set->n) + sequence / 2;
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

/* Sequences first .. first + B of a set, laid end to end. */
typedef struct span_pass
{
	int32_t *ids;
	net_batch batch;
	real *pooled; /* [B,H] */
	size_t first;
} span_pass;

static void
pass_create(span_pass *pass, const spans_task *spans, const span_set *set, size_t first, size_t end)
{
	size_t B = end - first, N = 0, at = 0, i;

	for (i = 0; i < B; i++)
		N += (size_t) set->lengths[first + i];
	pass->ids = allocate(N, sizeof(int32_t));
	for (i = 0; i < B; i++)
	{
		size_t length = (size_t) set->lengths[first + i];

		memcpy(pass->ids + at, set->ids + (first + i) * spans->T, length * sizeof(int32_t));
		at += length;
	}
	pass->batch = (net_batch){pass->ids, set->lengths + first, B, N};
	pass->pooled = allocate(B * (size_t) spans->net->options.config.hidden_size, sizeof(real));
	pass->first = first;
}

static void
pass_release(span_pass *pass)
{
	free(pass->ids);
	free(pass->pooled);
}

static void
pass_vectors(span_pass *pass, const spans_task *spans, span_set *set, const real *parameters,
			 net_activations *activations, const net_pass *how)
{
	size_t H = (size_t) spans->net->options.config.hidden_size, i;

	(void) net_forward(spans->net, parameters, activations, &pass->batch, how);
	net_pool(spans->net, parameters, activations, &pass->batch, MB_POOL_MEAN, pass->pooled);
	for (i = 0; i < pass->batch.B; i++)
		memcpy(set->pooled + vector_row(set, pass->first + i) * H, pass->pooled + i * H, H * sizeof(real));
}

static void
pass_backward(span_pass *pass, const spans_task *spans, const span_set *set, const real *parameters, real *gradients,
			  net_activations *activations, const net_pass *how)
{
	size_t H = (size_t) spans->net->options.config.hidden_size, i;

	for (i = 0; i < pass->batch.B; i++)
		memcpy(pass->pooled + i * H, set->gradient + vector_row(set, pass->first + i) * H, H * sizeof(real));
	net_pool_backward(spans->net, parameters, gradients, activations, &pass->batch, MB_POOL_MEAN, pass->pooled);
	net_backward(spans->net, parameters, gradients, activations, &pass->batch, how);
}

/* The set's loss; with gradient, also set->gradient. */
static double
set_loss(span_set *set, size_t H, double temperature, size_t *correct)
{
	size_t half = set->n * H;
	real *da = allocate(2 * half, sizeof(real));
	double loss;

	normalize_forward(set->vectors, set->norms, set->pooled, 2 * set->n, H);
	loss = info_nce(da, da + half, set->vectors, set->vectors + half, set->n, H, temperature, set->scratch, correct);
	normalize_backward(set->gradient, da, set->vectors, set->norms, 2 * set->n, H);
	free(da);
	return loss;
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

/* The epoch's order of texts: Fisher and Yates, from the sorted one. */
static void
shuffle(spans_task *spans, uint64_t epoch)
{
	uint64_t key = rng_key(spans->seed, RNG_SHUFFLE, epoch, 1), i;

	memcpy(spans->texts, spans->sorted, spans->n_texts * sizeof(uint64_t));
	for (i = spans->n_texts - 1; i > 0; i--)
	{
		uint64_t j = rng_below(key, i, i + 1), text = spans->texts[i];

		spans->texts[i] = spans->texts[j];
		spans->texts[j] = text;
	}
	spans->epoch = epoch;
}

/* Whole steps: two spans of one text in different pairs of a step would be a wrong negative. */
uint64_t
spans_steps_per_epoch(const spans_task *spans)
{
	return spans->n_texts / spans->step.n;
}

static mb_status
begin_step(void *arg, uint64_t step, mb_error *err)
{
	spans_task *spans = arg;
	uint64_t per_epoch = spans_steps_per_epoch(spans), epoch = step / per_epoch, at = step % per_epoch * spans->step.n;
	double tokens = 0;
	size_t i;

	if (epoch != spans->epoch)
		shuffle(spans, epoch);
	for (i = 0; i < spans->step.n; i++)
	{
		mb_status status =
			read_pair(spans, &spans->step, i, spans->texts[at + i], spans->seed, step * spans->step.n + i, err);

		if (status != MB_OK)
			return status;
		tokens += spans->step.lengths[2 * i] + spans->step.lengths[2 * i + 1];
	}
	spans->mean_length = tokens / (double) (2 * spans->step.n);
	return MB_OK;
}

/* Where each pass over sequences first .. end begins; returns their number.  starts: room for end - first. */
static size_t
divide(const spans_task *spans, const span_set *set, size_t first, size_t end, size_t *starts)
{
	size_t n = 0, tokens = 0, i;

	for (i = first; i < end; i++)
	{
		if (n == 0 || tokens + (size_t) set->lengths[i] > spans->pass_tokens)
		{
			starts[n++] = i;
			tokens = 0;
		}
		tokens += (size_t) set->lengths[i];
	}
	return n;
}

static mb_status
compute_shard(void *arg, int phase, shard_work *work, mb_error *err)
{
	spans_task *spans = arg;
	span_set *set = &spans->step;
	size_t shards = (size_t) work->n_shards, first = 2 * (set->n * (size_t) work->shard / shards);
	size_t end = 2 * (set->n * ((size_t) work->shard + 1) / shards);
	size_t *starts = allocate(end - first + 1, sizeof(*starts));
	size_t n = divide(spans, set, first, end, starts), i;

	(void) err;
	starts[n] = end;
	for (i = 0; i < n; i++)
	{
		size_t at = phase == 0 ? i : n - 1 - i;
		net_pass how = {.dropout = spans->dropout,
						.dropout_key = rng_key(spans->seed, RNG_DROPOUT, work->step, starts[at]),
						.freeze = -1};
		span_pass pass;

		pass_create(&pass, spans, set, starts[at], starts[at + 1]);
		if (phase == 0)
		{
			pass_vectors(&pass, spans, set, work->parameters, work->activations, &how);
			work->tokens += pass.batch.N;
		}
		else
		{
			if (i > 0)
				(void) net_forward(spans->net, work->parameters, work->activations, &pass.batch, &how);
			pass_backward(&pass, spans, set, work->parameters, work->gradients, work->activations, &how);
		}
		pass_release(&pass);
	}
	free(starts);
	return MB_OK;
}

static mb_status
compute_loss(void *arg, int phase, shard_work *shards, int n_shards, mb_error *err)
{
	spans_task *spans = arg;
	size_t correct = 0;
	double loss = set_loss(&spans->step, (size_t) spans->net->options.config.hidden_size, spans->temperature, &correct);

	(void) phase;
	(void) n_shards;
	(void) err;
	shards[0].loss = (net_loss){loss * (double) spans->step.n, spans->step.n, correct};
	return MB_OK;
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

typedef struct validation_work
{
	spans_task *spans;
	const real *parameters;
	net_activations **activations; /* [n_threads] */
	size_t per_job;                /* sequences */
} validation_work;

static void
validate_pass(void *arg, size_t job, int thread)
{
	validation_work *work = arg;
	spans_task *spans = work->spans;
	span_set *set = &spans->validation;
	size_t first = job * work->per_job, end = first + work->per_job < 2 * set->n ? first + work->per_job : 2 * set->n;
	const net_pass how = {.freeze = -1};
	span_pass pass;

	pass_create(&pass, spans, set, first, end);
	pass_vectors(&pass, spans, set, work->parameters, work->activations[thread], &how);
	pass_release(&pass);
}

static mb_status
validate(void *arg, const net *n, const real *parameters, json_t *metrics, double *score, mb_error *err)
{
	spans_task *spans = arg;
	span_set *set = &spans->validation;
	size_t per_job = spans->T < PRETRAIN_VALIDATION_TOKENS ? PRETRAIN_VALIDATION_TOKENS / spans->T : 1, correct = 0;
	validation_work work = {.spans = spans, .parameters = parameters, .per_job = per_job};
	double loss;
	int t;

	(void) err;
	if (set->n == 0)
		return MB_OK;
	work.activations = allocate((size_t) spans->n_threads, sizeof(net_activations *));
	for (t = 0; t < spans->n_threads; t++)
		work.activations[t] = net_activations_create(n, per_job * spans->T, spans->T);
	parallel_run((2 * set->n + per_job - 1) / per_job, spans->n_threads, validate_pass, &work);
	for (t = 0; t < spans->n_threads; t++)
		net_activations_destroy(work.activations[t]);
	free(work.activations);
	loss = set_loss(set, (size_t) n->options.config.hidden_size, spans->temperature, &correct);
	json_object_set_new(metrics, "loss", json_real(loss));
	json_object_set_new(metrics, "recall_at_1", json_real((double) correct / (double) set->n));
	json_object_set_new(metrics, "among", json_integer((json_int_t) set->n));
	*score = (double) correct / (double) set->n;
	return MB_OK;
}

static mb_status
prepare_validation(spans_task *spans, const pretrain_texts *texts, mb_error *err)
{
	const token_store *store = &texts->store;
	uint64_t n = store->part_texts[PART_VALIDATION], long_enough = 0, i;
	size_t limit = VALIDATION_TEXTS, used = 0;
	mb_status status = MB_OK;

	for (i = 0; i < n; i++)
		long_enough += token_store_length(store, texts->parts[PART_VALIDATION][i]) >= 2 * spans->min_tokens;
	if (long_enough < 2)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "too few texts in the validation part");
		mb_detail(err, "Of %llu, %llu have twice %zu tokens for two spans.", (unsigned long long) n,
				  (unsigned long long) long_enough, spans->min_tokens);
		mb_hint(err, "Give --validation a larger share, or 0 to go without, or a smaller --span-min.");
		return status;
	}
	if (long_enough < limit)
		limit = (size_t) long_enough;
	set_create(&spans->validation, limit, spans->T, (size_t) spans->net->options.config.hidden_size);
	for (i = 0; i < n && used < limit && status == MB_OK; i++)
	{
		uint64_t text = texts->parts[PART_VALIDATION][i];

		if (token_store_length(store, text) >= 2 * spans->min_tokens)
		{
			status = read_pair(spans, &spans->validation, used, text, VALIDATION_SEED, used, err);
			used++;
		}
	}
	return status;
}

size_t
spans_limit_validation(spans_task *spans, size_t limit)
{
	if (limit > 1 && limit < spans->validation.n)
		spans->validation.n = limit;
	return spans->validation.n;
}

/* ---- the task ---------------------------------------------------------------------------------------------------- */

static double
flops_per_token(void *arg)
{
	const spans_task *spans = arg;

	return net_flops_per_token(spans->net, (size_t) (spans->mean_length + 0.5), 0, -1);
}

/* The texts that are long enough for two spans. */
static void
choose_texts(spans_task *spans, const pretrain_texts *texts)
{
	uint64_t n = spans->store->part_texts[PART_TRAINING], i;

	spans->sorted = allocate(n, sizeof(uint64_t));
	spans->texts = allocate(n, sizeof(uint64_t));
	for (i = 0; i < n; i++)
		if (token_store_length(spans->store, texts->parts[PART_TRAINING][i]) >= 2 * spans->min_tokens)
			spans->sorted[spans->n_texts++] = texts->parts[PART_TRAINING][i];
}

mb_status
spans_create(spans_task **result, const pretrain_request *request, const pretrain_model *model,
			 const pretrain_texts *texts, training_task *task, mb_error *err)
{
	spans_task *spans = allocate(1, sizeof(*spans));
	size_t H = (size_t) model->net.options.config.hidden_size;
	mb_status status = MB_OK;

	*result = spans;
	spans->net = &model->net;
	spans->store = &texts->store;
	spans->special = &model->special;
	spans->T = (size_t) request->length;
	spans->min_tokens = (size_t) request->span_min;
	spans->pass_tokens = request->training.max_tokens;
	spans->seed = request->training.seed;
	spans->dropout = request->dropout;
	spans->temperature = request->temperature;
	spans->epoch = UINT64_MAX;
	spans->n_threads = request->training.n_threads;
	choose_texts(spans, texts);
	if (spans->n_texts < (uint64_t) request->batch_texts)
	{
		status =
			mb_fail(err, MB_INVALID_ARGUMENT, "too few texts for a step of %lld", (long long) request->batch_texts);
		mb_detail(err, "Of %llu, %llu have twice %zu tokens for two spans.",
				  (unsigned long long) texts->store.part_texts[PART_TRAINING], (unsigned long long) spans->n_texts,
				  spans->min_tokens);
		mb_hint(err, "Give a smaller --batch-texts or a smaller --span-min.");
	}
	if (status == MB_OK)
	{
		set_create(&spans->step, (size_t) request->batch_texts, spans->T, H);
		if (request->validation > 0)
			status = prepare_validation(spans, texts, err);
	}
	*task = (training_task){.name = "contrastive training on spans",
							.arg = spans,
							.n_phases = 2,
							.phase = compute_shard,
							.between = compute_loss,
							.begin = begin_step,
							.validate = validate,
							.flops_per_token = flops_per_token};
	if (status != MB_OK)
	{
		spans_destroy(spans);
		*result = NULL;
	}
	return status;
}

void
spans_destroy(spans_task *spans)
{
	if (spans == NULL)
		return;
	set_release(&spans->step);
	set_release(&spans->validation);
	free(spans->texts);
	free(spans->sorted);
	free(spans);
}
