/*
 * pretrain_mlm.c - masked language modelling (Devlin et al. 2018): packed sequences, fresh masks, loss at the masked
 * places.
 *
 * A step's sequences are read and masked by one thread before the shards divide them, so that the number of all
 * targets, by which each one's gradient is divided, is known to all.
 */
#include "pretrain.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "net/rng.h"
#include "parallel.h"

/* Of validation, the same in every run: otherwise runs of one split, by --seed, could not be compared. */
#define VALIDATION_SEED 1
#define VALIDATION_SHARE 0.15
#define VALIDATION_SEQUENCES 1000

/* Sequences with their targets: sequence i has ids [i * T ..], and n_targets[i] places and labels at [i * T ..]. */
typedef struct masked_sequences
{
	int32_t *ids, *places, *labels; /* [n * T] */
	size_t *n_targets;              /* [n] */
	size_t n, T;
} masked_sequences;

struct mlm_task
{
	const net *net;
	const special_ids *special;
	masking masking;
	uint64_t seed;
	double dropout;
	packing *packing;
	uint64_t epoch; /* whose order is there; UINT64_MAX: none */
	masked_sequences step;
	size_t targets; /* of the step */
	size_t pass;    /* sequences of one pass */
	masked_sequences validation;
	size_t validation_pass;
	int n_threads;
	double bits_per_nat; /* of a token, to bits per character; 0: unknown */
};

static void
sequences_create(masked_sequences *s, size_t n, size_t T)
{
	*s = (masked_sequences){.ids = allocate(n * T, sizeof(int32_t)),
							.places = allocate(n * T, sizeof(int32_t)),
							.labels = allocate(n * T, sizeof(int32_t)),
							.n_targets = allocate(n, sizeof(size_t)),
							.n = n,
							.T = T};
}

static void
sequences_release(masked_sequences *s)
{
	free(s->ids);
	free(s->places);
	free(s->labels);
	free(s->n_targets);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

static mb_status
begin_step(void *arg, uint64_t step, mb_error *err)
{
	mlm_task *mlm = arg;
	masked_sequences *s = &mlm->step;
	uint64_t per_epoch = packing_sequences(mlm->packing);
	size_t j;

	mlm->targets = 0;
	for (j = 0; j < s->n; j++)
	{
		uint64_t i = step * s->n + j;
		int32_t *ids = s->ids + j * s->T;
		mb_status status = MB_OK;

		if (i / per_epoch != mlm->epoch)
		{
			mlm->epoch = i / per_epoch;
			status = packing_epoch(mlm->packing, mlm->epoch, err);
		}
		if (status == MB_OK)
			status = packing_read(mlm->packing, i, ids, err);
		if (status != MB_OK)
			return status;
		s->n_targets[j] = mask_sequence(ids, s->T, &mlm->masking, mlm->special, mlm->seed, i, s->places + j * s->T,
										s->labels + j * s->T);
		mlm->targets += s->n_targets[j];
	}
	return MB_OK;
}

/* The targets of sequences first .. first + n as places in one batch; returns how many. */
static size_t
gather_targets(const masked_sequences *s, size_t first, size_t n, int32_t *places, int32_t *labels)
{
	size_t M = 0, i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < s->n_targets[first + i]; k++)
		{
			places[M] = (int32_t) (i * s->T) + s->places[(first + i) * s->T + k];
			labels[M++] = s->labels[(first + i) * s->T + k];
		}
	return M;
}

static void
add_loss(net_loss *sum, const net_loss *loss)
{
	sum->sum += loss->sum;
	sum->targets += loss->targets;
	sum->correct += loss->correct;
}

/* One pass over n sequences; gradients NULL: the loss alone. */
static void
pass(const mlm_task *mlm, const masked_sequences *s, size_t first, size_t n, const real *parameters, real *gradients,
	 net_activations *activations, const net_pass *how, double scale, net_loss *loss)
{
	int32_t *lengths = allocate(n, sizeof(*lengths));
	int32_t *places = allocate(n * s->T, sizeof(*places)), *labels = allocate(n * s->T, sizeof(*labels));
	net_batch batch = {s->ids + first * s->T, lengths, n, n * s->T};
	size_t M = gather_targets(s, first, n, places, labels), i;
	net_pass at_targets = *how;

	for (i = 0; i < n; i++)
		lengths[i] = (int32_t) s->T;
	at_targets.places = places;
	at_targets.n_places = M;
	(void) net_forward(mlm->net, parameters, activations, &batch, &at_targets);
	net_mlm_loss(mlm->net, parameters, gradients, activations, &batch, NULL, labels, M, scale, loss);
	if (gradients != NULL)
		net_backward(mlm->net, parameters, gradients, activations, &batch, &at_targets);
	free(lengths);
	free(places);
	free(labels);
}

static mb_status
compute_shard(void *arg, int phase, shard_work *work, mb_error *err)
{
	mlm_task *mlm = arg;
	const masked_sequences *s = &mlm->step;
	size_t first = s->n * (size_t) work->shard / (size_t) work->n_shards;
	size_t end = s->n * ((size_t) work->shard + 1) / (size_t) work->n_shards;

	(void) phase;
	(void) err;
	work->tokens = (end - first) * s->T;
	if (mlm->targets == 0)
		return MB_OK;
	while (first < end)
	{
		size_t n = end - first < mlm->pass ? end - first : mlm->pass;
		net_pass how = {
			.dropout = mlm->dropout, .dropout_key = rng_key(mlm->seed, RNG_DROPOUT, work->step, first), .freeze = -1};
		net_loss loss;

		pass(mlm, s, first, n, work->parameters, work->gradients, work->activations, &how, 1.0 / (double) mlm->targets,
			 &loss);
		add_loss(&work->loss, &loss);
		first += n;
	}
	return MB_OK;
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

typedef struct validation_work
{
	const mlm_task *mlm;
	const real *parameters;
	net_activations **activations; /* [n_threads] */
	net_loss *losses;              /* [passes] */
} validation_work;

static void
validate_pass(void *arg, size_t job, int thread)
{
	validation_work *work = arg;
	const mlm_task *mlm = work->mlm;
	size_t first = job * mlm->validation_pass;
	size_t n = mlm->validation.n - first < mlm->validation_pass ? mlm->validation.n - first : mlm->validation_pass;
	const net_pass how = {.freeze = -1};

	pass(mlm, &mlm->validation, first, n, work->parameters, NULL, work->activations[thread], &how, 1,
		 &work->losses[job]);
}

static mb_status
validate(void *arg, const net *n, const real *parameters, json_t *metrics, double *score, mb_error *err)
{
	mlm_task *mlm = arg;
	size_t T = mlm->validation.T, passes, i;
	validation_work work = {.mlm = mlm, .parameters = parameters};
	net_loss sum = {0, 0, 0};
	double loss;
	int t;

	(void) err;
	if (mlm->validation.n == 0)
		return MB_OK;
	passes = (mlm->validation.n + mlm->validation_pass - 1) / mlm->validation_pass;
	work.activations = allocate((size_t) mlm->n_threads, sizeof(net_activations *));
	work.losses = allocate(passes, sizeof(net_loss));
	for (t = 0; t < mlm->n_threads; t++)
		work.activations[t] = net_activations_create(n, mlm->validation_pass * T, T);
	parallel_run(passes, mlm->n_threads, validate_pass, &work);
	for (i = 0; i < passes; i++)
		add_loss(&sum, &work.losses[i]);
	for (t = 0; t < mlm->n_threads; t++)
		net_activations_destroy(work.activations[t]);
	free(work.activations);
	free(work.losses);
	loss = sum.targets > 0 ? sum.sum / (double) sum.targets : 0;
	json_object_set_new(metrics, "loss", json_real(loss));
	json_object_set_new(metrics, "accuracy",
						json_real(sum.targets > 0 ? (double) sum.correct / (double) sum.targets : 0));
	if (mlm->bits_per_nat > 0)
		json_object_set_new(metrics, "bits_per_character", json_real(loss * mlm->bits_per_nat));
	*score = -loss;
	return MB_OK;
}

/* The same sequences and masks each time. */
static mb_status
prepare_validation(mlm_task *mlm, const pretrain_texts *texts, size_t T, mb_error *err)
{
	const token_store *store = &texts->store;
	const text_size *size = &store->part_sizes[PART_VALIDATION];
	const masking how = {VALIDATION_SHARE, false};
	packing *packed;
	masked_sequences *s = &mlm->validation;
	mb_status status = packing_create(&packed, store, texts->parts[PART_VALIDATION], store->part_texts[PART_VALIDATION],
									  T, mlm->special, VALIDATION_SEED, err);
	uint64_t available;
	size_t i;

	if (status == MB_INVALID_ARGUMENT)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the validation part is too small to fill one sequence of %zu tokens", T);
		mb_detail(err, "It has %" PRIu64 " of the texts.", store->part_texts[PART_VALIDATION]);
		mb_hint(err, "Give --validation a larger share, or 0 to go without.");
	}
	if (status != MB_OK)
		return status;
	available = packing_sequences(packed);
	sequences_create(s, available < VALIDATION_SEQUENCES ? (size_t) available : VALIDATION_SEQUENCES, T);
	status = packing_epoch(packed, 0, err);
	for (i = 0; i < s->n && status == MB_OK; i++)
	{
		status = packing_read(packed, i, s->ids + i * T, err);
		if (status == MB_OK)
			s->n_targets[i] = mask_sequence(s->ids + i * T, T, &how, mlm->special, VALIDATION_SEED, i,
											s->places + i * T, s->labels + i * T);
	}
	packing_destroy(packed);
	if (size->characters > 0)
		mlm->bits_per_nat = (double) store->part_tokens[PART_VALIDATION] / (double) size->characters / log(2.0);
	return status;
}

size_t
mlm_limit_validation(mlm_task *mlm, size_t limit)
{
	if (limit > 0 && limit < mlm->validation.n)
		mlm->validation.n = limit;
	return mlm->validation.n;
}

/* ---- the task ---------------------------------------------------------------------------------------------------- */

static double
flops_per_token(void *arg)
{
	const mlm_task *mlm = arg;

	return net_flops_per_token(mlm->net, mlm->step.T, mlm->masking.share, -1);
}

uint64_t
mlm_steps_per_epoch(const mlm_task *mlm)
{
	return (packing_sequences(mlm->packing) + mlm->step.n - 1) / mlm->step.n;
}

mb_status
mlm_create(mlm_task **result, const pretrain_request *request, const pretrain_model *model, const pretrain_texts *texts,
		   training_task *task, mb_error *err)
{
	mlm_task *mlm = allocate(1, sizeof(*mlm));
	size_t T = (size_t) request->length;
	size_t n = (size_t) (request->batch_tokens * request->accumulate) / T;
	mb_status status;

	*result = mlm;
	mlm->net = &model->net;
	mlm->special = &model->special;
	mlm->masking = request->masking;
	mlm->seed = request->training.seed;
	mlm->dropout = request->dropout;
	mlm->epoch = UINT64_MAX;
	mlm->n_threads = request->training.n_threads;
	mlm->pass = request->training.max_tokens / T;
	mlm->validation_pass = T < PRETRAIN_VALIDATION_TOKENS ? PRETRAIN_VALIDATION_TOKENS / T : 1;
	sequences_create(&mlm->step, n > 0 ? n : 1, T);
	status = packing_create(&mlm->packing, &texts->store, texts->parts[PART_TRAINING],
							texts->store.part_texts[PART_TRAINING], T, &model->special, mlm->seed, err);
	if (status == MB_INVALID_ARGUMENT)
		mb_hint(err, "Give the query more texts, or --length a smaller number.");
	if (status == MB_OK && request->validation > 0)
		status = prepare_validation(mlm, texts, T, err);
	*task = (training_task){.name = "masked language modelling",
							.arg = mlm,
							.n_phases = 1,
							.phase = compute_shard,
							.begin = begin_step,
							.validate = validate,
							.flops_per_token = flops_per_token,
							.watch_plateau = model->base.model == NULL,
							.unigram_loss = texts->unigram_loss};
	if (status != MB_OK)
	{
		mlm_destroy(mlm);
		*result = NULL;
	}
	return status;
}

void
mlm_destroy(mlm_task *mlm)
{
	if (mlm == NULL)
		return;
	packing_destroy(mlm->packing);
	sequences_release(&mlm->step);
	sequences_release(&mlm->validation);
	free(mlm);
}
