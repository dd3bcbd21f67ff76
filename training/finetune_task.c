/*
 * finetune_task.c - batches of rows, shard by shard, forward and backward; and validation.
 *
 * A step's rows are dealt to the shards by their number of tokens.  A shard works them off in passes of bounded size,
 * so that memory does not depend on how long the texts of a batch happen to be.
 */
#include "finetune_task.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "card.h"
#include "memory.h"
#include "metrics.h"
#include "net/rng.h"
#include "parallel.h"

/* Passes with fewer tokens would leave the matrix products too little to do at once. */
#define LEAST_PASS_TOKENS 512

/* What one worker needs for a pass of up to max_tokens tokens; windows and rows have two tokens or more. */
typedef struct pass_buffers
{
	int32_t *ids;     /* [max_tokens] */
	int32_t *lengths; /* [max_windows] */
	size_t *owner;    /* [max_windows] row of the pass */
	size_t *chosen;   /* [most_windows] */
	size_t *shares;   /* [max_rows] windows of each row */
	size_t *rows;     /* [max_rows] */
	real *pooled;     /* [max_windows, H] */
	real *dpooled;    /* [max_windows, H] */
	real *vectors;    /* [max_rows, H] each, from here on */
	real *unit;
	real *norms; /* [max_rows] */
	real *x;     /* what the classifier sees */
	real *dx;
	real *dunit;
	real *logits; /* [max_rows, L] */
	real *dlogits;
	uint8_t *labels; /* [max_rows, L] */
	uint8_t *known;
	double *targets; /* [L] of one row, with a teacher */
	double *weights;
} pass_buffers;

/* Windows of a pass of texts. */
typedef struct text_pass
{
	size_t n_rows, n_windows, n_tokens;
} text_pass;

struct finetune_task
{
	const net *net;
	task_options options;
	const tagged_rows *rows;
	const label_set *labels;
	const text_windows *windows;
	const float *original;
	size_t H, L;
	size_t max_tokens, max_windows, max_rows;
	size_t *training; /* [n_training] rows */
	size_t n_training;
	size_t *validation; /* [n_validation] rows */
	size_t n_validation;
	fit_rows truth; /* of the validation part, without features */
	uint64_t epoch_tokens;
	size_t *order[2]; /* [n_training] of epochs 2k and 2k + 1 */
	uint64_t order_epoch[2];
	bool ordered[2];
	size_t **dealt; /* [n_shards] of [batch] rows */
	size_t *n_dealt;
	pass_buffers *shards;  /* [n_shards] */
	pass_buffers *threads; /* [n_threads], for validation */
	net_activations **activations;
};

/* ---- setting up -------------------------------------------------------------------------------------------------- */

size_t
finetune_max_tokens(const text_windows *windows, size_t most_windows)
{
	size_t longest = (windows->width + 2) * most_windows;

	return longest > LEAST_PASS_TOKENS ? longest : LEAST_PASS_TOKENS;
}

double
finetune_feature_scale(const mb_pipeline *pipeline, int32_t hidden_size)
{
	return pipeline->normalize ? sqrt((double) hidden_size) : 1.0;
}

static void
buffers_create(pass_buffers *b, const finetune_task *task)
{
	size_t W = task->max_windows, R = task->max_rows, H = task->H, L = task->L;

	b->ids = allocate(task->max_tokens, sizeof(int32_t));
	b->lengths = allocate(W, sizeof(int32_t));
	b->owner = allocate(W, sizeof(size_t));
	b->chosen = allocate(task->options.most_windows, sizeof(size_t));
	b->shares = allocate(R, sizeof(size_t));
	b->rows = allocate(R, sizeof(size_t));
	b->pooled = allocate(W * H, sizeof(real));
	b->dpooled = allocate(W * H, sizeof(real));
	b->vectors = allocate(R * H, sizeof(real));
	b->unit = allocate(R * H, sizeof(real));
	b->norms = allocate(R, sizeof(real));
	b->x = allocate(R * H, sizeof(real));
	b->dx = allocate(R * H, sizeof(real));
	b->dunit = allocate(R * H, sizeof(real));
	b->logits = allocate(R * L, sizeof(real));
	b->dlogits = allocate(R * L, sizeof(real));
	b->labels = allocate(R * L, 1);
	b->known = allocate(R * L, 1);
	b->targets = allocate(L, sizeof(double));
	b->weights = allocate(L, sizeof(double));
}

static void
buffers_release(pass_buffers *b)
{
	free(b->ids);
	free(b->lengths);
	free(b->owner);
	free(b->chosen);
	free(b->shares);
	free(b->rows);
	free(b->pooled);
	free(b->dpooled);
	free(b->vectors);
	free(b->unit);
	free(b->norms);
	free(b->x);
	free(b->dx);
	free(b->dunit);
	free(b->logits);
	free(b->dlogits);
	free(b->labels);
	free(b->known);
	free(b->targets);
	free(b->weights);
}

static size_t *
rows_of_part(const tagged_rows *rows, row_part part, size_t *n)
{
	size_t *list = allocate(rows->n, sizeof(size_t)), i;

	for (i = 0, *n = 0; i < rows->n; i++)
		if (rows->rows[i].part == part)
			list[(*n)++] = i;
	return list;
}

/* Tokens that a row has in a step. */
static size_t
row_tokens(const finetune_task *task, size_t row)
{
	size_t n = text_windows_count(task->windows, row);

	n = n < task->options.most_windows ? n : task->options.most_windows;
	return n * text_windows_length(task->windows, row, 0);
}

finetune_task *
finetune_task_create(const net *network, const task_options *options, const tagged_rows *rows, const label_set *labels,
					 const text_windows *windows, const float *original)
{
	finetune_task *task = allocate(1, sizeof(*task));
	size_t i;
	int s;

	task->net = network;
	task->options = *options;
	task->rows = rows;
	task->labels = labels;
	task->windows = windows;
	task->original = original;
	task->H = (size_t) network->options.config.hidden_size;
	task->L = (size_t) labels->n;
	task->max_tokens = finetune_max_tokens(windows, options->most_windows);
	task->max_windows = task->max_rows = task->max_tokens / 2;
	task->training = rows_of_part(rows, PART_TRAINING, &task->n_training);
	task->validation = rows_of_part(rows, PART_VALIDATION, &task->n_validation);
	labels_gather(&task->truth, rows, labels, NULL, 0, PART_VALIDATION, false);
	for (i = 0; i < task->n_training; i++)
		task->epoch_tokens += row_tokens(task, task->training[i]);
	for (s = 0; s < 2; s++)
		task->order[s] = allocate(task->n_training, sizeof(size_t));
	task->dealt = allocate((size_t) options->n_shards, sizeof(*task->dealt));
	task->n_dealt = allocate((size_t) options->n_shards, sizeof(*task->n_dealt));
	task->shards = allocate((size_t) options->n_shards, sizeof(*task->shards));
	for (s = 0; s < options->n_shards; s++)
	{
		task->dealt[s] = allocate(options->batch, sizeof(size_t));
		buffers_create(&task->shards[s], task);
	}
	task->threads = allocate((size_t) options->n_threads, sizeof(*task->threads));
	task->activations = allocate((size_t) options->n_threads, sizeof(*task->activations));
	for (s = 0; s < options->n_threads; s++)
	{
		buffers_create(&task->threads[s], task);
		task->activations[s] = net_activations_create(network, task->max_tokens, windows->width + 2);
	}
	return task;
}

void
finetune_task_destroy(finetune_task *task)
{
	int s;

	if (task == NULL)
		return;
	for (s = 0; s < task->options.n_shards; s++)
	{
		free(task->dealt[s]);
		buffers_release(&task->shards[s]);
	}
	for (s = 0; s < task->options.n_threads; s++)
	{
		buffers_release(&task->threads[s]);
		net_activations_destroy(task->activations[s]);
	}
	free(task->order[0]);
	free(task->order[1]);
	free(task->dealt);
	free(task->n_dealt);
	free(task->shards);
	free(task->threads);
	free(task->activations);
	free(task->training);
	free(task->validation);
	fit_rows_release(&task->truth);
	free(task);
}

uint64_t
finetune_epoch_tokens(const finetune_task *task)
{
	return task->epoch_tokens;
}

/* ---- which rows a step has --------------------------------------------------------------------------------------- */

/* Row number i of the run: epoch after epoch, each in an order of its own (Fisher and Yates). */
static size_t
nth_row(finetune_task *task, uint64_t i)
{
	uint64_t epoch = i / task->n_training;
	size_t *order = task->order[epoch & 1];

	if (!task->ordered[epoch & 1] || task->order_epoch[epoch & 1] != epoch)
	{
		uint64_t key = rng_key(task->options.seed, RNG_SHUFFLE, epoch, 0);
		size_t k;

		memcpy(order, task->training, task->n_training * sizeof(size_t));
		for (k = task->n_training - 1; k > 0; k--)
		{
			size_t j = (size_t) rng_below(key, k, k + 1), row = order[k];

			order[k] = order[j];
			order[j] = row;
		}
		task->order_epoch[epoch & 1] = epoch;
		task->ordered[epoch & 1] = true;
	}
	return order[i % task->n_training];
}

/* Deals the step's rows: the longest first, each to the shard that has the fewest tokens. */
static mb_status
begin_step(void *arg, uint64_t step, mb_error *err)
{
	finetune_task *task = arg;
	size_t batch = task->options.batch, i, j;
	int n_shards = task->options.n_shards, s;
	size_t *rows = allocate(batch, sizeof(size_t));
	size_t *loads = allocate((size_t) n_shards, sizeof(size_t));

	(void) err;
	for (i = 0; i < batch; i++)
	{
		size_t row = nth_row(task, step * batch + i), tokens = row_tokens(task, row);

		/* Insertion keeps rows of one length in their order. */
		for (j = i; j > 0 && row_tokens(task, rows[j - 1]) < tokens; j--)
			rows[j] = rows[j - 1];
		rows[j] = row;
	}
	memset(task->n_dealt, 0, (size_t) n_shards * sizeof(*task->n_dealt));
	for (i = 0; i < batch; i++)
	{
		int least = 0;

		for (s = 1; s < n_shards; s++)
			if (loads[s] < loads[least])
				least = s;
		task->dealt[least][task->n_dealt[least]++] = rows[i];
		loads[least] += row_tokens(task, rows[i]);
	}
	free(rows);
	free(loads);
	return MB_OK;
}

/* ---- a pass ------------------------------------------------------------------------------------------------------ */

/*
 * Takes texts from rows while they fit, and reads their windows, up to most_windows of each.
 */
static mb_status
gather_windows(const finetune_task *task, pass_buffers *b, const size_t *rows, size_t n, uint64_t key, text_pass *pass,
			   mb_error *err)
{
	const text_windows *windows = task->windows;
	size_t r, w;

	memset(pass, 0, sizeof(*pass));
	for (r = 0; r < n; r++)
	{
		size_t tokens = row_tokens(task, rows[r]), length = text_windows_length(windows, rows[r], 0);
		size_t count;

		if (pass->n_tokens + tokens > task->max_tokens)
			break;
		count = text_windows_choose(windows, rows[r], task->options.most_windows, rng_mix(key ^ rows[r]), b->chosen);
		for (w = 0; w < count; w++)
		{
			mb_status status = text_windows_read(windows, rows[r], b->chosen[w], b->ids + pass->n_tokens, err);

			if (status != MB_OK)
				return status;
			b->lengths[pass->n_windows] = (int32_t) length;
			b->owner[pass->n_windows++] = r;
			pass->n_tokens += length;
		}
		b->rows[r] = rows[r];
		b->shares[r] = count;
		pass->n_rows++;
	}
	return MB_OK;
}

/* vectors [n_rows,H]: the mean of each row's windows, summed in their order. */
static void
mean_windows(const finetune_task *task, pass_buffers *b, const text_pass *pass)
{
	size_t H = task->H, w, h;

	memset(b->vectors, 0, pass->n_rows * H * sizeof(real));
	for (w = 0; w < pass->n_windows; w++)
		for (h = 0; h < H; h++)
			b->vectors[b->owner[w] * H + h] += b->pooled[w * H + h];
	for (w = 0; w < pass->n_rows; w++)
		for (h = 0; h < H; h++)
			b->vectors[w * H + h] /= (real) b->shares[w];
}

/*
 * Binary cross entropy with targets between 0 and 1: sum of weight (softplus(z) - q z), and its gradient times scale,
 * weight (sigmoid(z) - q).
 */
static void
teacher_loss(const finetune_task *task, pass_buffers *b, const text_pass *pass, double scale, net_loss *loss)
{
	const teacher *t = task->options.teacher;
	size_t L = task->L, r, l;
	int32_t i;

	for (r = 0; r < pass->n_rows; r++)
	{
		for (l = 0; l < L; l++)
		{
			b->targets[l] = b->labels[r * L + l];
			b->weights[l] = b->known[r * L + l];
		}
		for (i = 0; i < t->n; i++)
		{
			double score = teacher_target(t, b->rows[r], i);
			bool known = b->known[r * L + (size_t) t->label_of[i]] != 0;

			l = (size_t) t->label_of[i];
			b->targets[l] = known ? (1 - t->weight) * b->targets[l] + t->weight * score : score;
			b->weights[l] = known ? 1 : t->weight;
			loss->targets += !known; /* the known ones are counted with their labels */
		}
		for (l = 0; l < L; l++)
		{
			double z = (double) b->logits[r * L + l];

			loss->sum += b->weights[l] * (softplus(z) - b->targets[l] * z);
			b->dlogits[r * L + l] = (real) (scale * b->weights[l] * (sigmoid(z) - b->targets[l]));
		}
	}
}

/* The classifier's part: loss, and the gradient by y in dx. */
static void
classify_pass(const finetune_task *task, pass_buffers *b, const text_pass *pass, shard_work *work, uint64_t dropout_key)
{
	const label_loss how = {.asymmetric = task->options.asymmetric,
							.gamma_negative = 4,
							.gamma_positive = 1,
							.clip = 0.05,
							.positive_weight = task->options.positive_weight};
	size_t n = pass->n_rows * task->H, L = task->L, r, i;
	const real *y = task->options.pipeline.normalize ? b->unit : b->vectors;
	real scale = (real) finetune_feature_scale(&task->options.pipeline, (int32_t) task->H);
	double row_share = 1.0 / (double) task->options.batch;

	for (i = 0; i < n; i++)
		b->x[i] = scale * y[i];
	dropout(b->x, n, task->options.dropout, dropout_key);
	net_classify(work->net, work->parameters, b->x, pass->n_rows, b->logits);
	for (r = 0; r < pass->n_rows; r++)
		labels_of_row(b->labels + r * L, b->known + r * L, task->rows, task->labels, b->rows[r]);
	if (task->options.teacher != NULL)
		teacher_loss(task, b, pass, row_share, &work->loss);
	else
		work->loss.sum +=
			label_loss_backward(b->dlogits, b->logits, b->labels, b->known, pass->n_rows, L, row_share, &how);
	for (i = 0; i < pass->n_rows * L; i++)
		if (b->known[i] != 0)
		{
			work->loss.targets++;
			work->loss.correct += (b->logits[i] >= 0) == (b->labels[i] != 0);
		}
	net_classify_backward(work->net, work->parameters, work->gradients, b->x, b->dlogits, pass->n_rows, b->dx);
	dropout(b->dx, n, task->options.dropout, dropout_key);
	for (i = 0; i < n; i++)
		b->dx[i] *= scale;
}

/* Adds the gradient of keep_similarity * mean |unit - original|^2 by unit to dunit. */
static void
pull_back(const finetune_task *task, const pass_buffers *b, const text_pass *pass, real *dunit)
{
	double factor = 2 * task->options.keep_similarity / (double) task->options.batch;
	size_t H = task->H, r, h;

	for (r = 0; r < pass->n_rows; r++)
	{
		const float *original = task->original + b->rows[r] * H;

		for (h = 0; h < H; h++)
			dunit[r * H + h] += (real) (factor * ((double) b->unit[r * H + h] - (double) original[h]));
	}
}

/* From the gradient by y (in dx) to that by each window's pooled vector. */
static void
spread_to_windows(const finetune_task *task, pass_buffers *b, const text_pass *pass)
{
	size_t H = task->H, n = pass->n_rows * H, w, h, i;
	real *dvectors = b->dx;

	if (task->options.pipeline.normalize)
	{
		if (task->options.keep_similarity > 0)
			pull_back(task, b, pass, b->dx);
		normalize_backward(b->dunit, b->dx, b->unit, b->norms, pass->n_rows, H);
		dvectors = b->dunit;
	}
	else if (task->options.keep_similarity > 0)
	{
		memset(b->dunit, 0, n * sizeof(real));
		pull_back(task, b, pass, b->dunit);
		normalize_backward(b->x, b->dunit, b->unit, b->norms, pass->n_rows, H);
		for (i = 0; i < n; i++)
			b->dx[i] += b->x[i];
	}
	for (w = 0; w < pass->n_windows; w++)
		for (h = 0; h < H; h++)
			b->dpooled[w * H + h] = dvectors[b->owner[w] * H + h] / (real) b->shares[b->owner[w]];
}

static mb_status
train_shard(void *arg, int phase, shard_work *work, mb_error *err)
{
	finetune_task *task = arg;
	pass_buffers *b = &task->shards[work->shard];
	const size_t *rows = task->dealt[work->shard];
	size_t n = task->n_dealt[work->shard], done = 0;
	uint64_t windows_key = rng_key(task->options.seed, RNG_SPAN, work->step, 0);
	uint64_t dropout_key = rng_key(task->options.seed, RNG_DROPOUT, work->step, (uint64_t) work->shard);

	(void) phase;
	while (done < n)
	{
		text_pass pass;
		net_batch batch;
		net_pass how = {.dropout = task->options.dropout,
						.dropout_key = rng_mix(dropout_key ^ (2 * done)),
						.freeze = task->options.freeze};
		mb_status status = gather_windows(task, b, rows + done, n - done, windows_key, &pass, err);

		if (status != MB_OK)
			return status;
		batch = (net_batch){b->ids, b->lengths, pass.n_windows, pass.n_tokens};
		net_forward(work->net, work->parameters, work->activations, &batch, &how);
		net_pool(work->net, work->parameters, work->activations, &batch, task->options.pipeline.pooling, b->pooled);
		mean_windows(task, b, &pass);
		normalize_forward(b->unit, b->norms, b->vectors, pass.n_rows, task->H);
		classify_pass(task, b, &pass, work, rng_mix(dropout_key ^ (2 * done + 1)));
		spread_to_windows(task, b, &pass);
		net_pool_backward(work->net, work->parameters, work->gradients, work->activations, &batch,
						  task->options.pipeline.pooling, b->dpooled);
		net_backward(work->net, work->parameters, work->gradients, work->activations, &batch, &how);
		work->tokens += pass.n_tokens;
		done += pass.n_rows;
	}
	return MB_OK;
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

/* One window to compute. */
typedef struct window_place
{
	size_t at; /* which of the rows */
	size_t window;
} window_place;

typedef struct vector_job
{
	finetune_task *task;
	const real *parameters;
	const size_t *rows;
	const window_place *windows; /* [n_windows] */
	const size_t *blocks;        /* [n_blocks + 1] where each begins */
	real *pooled;                /* [n_windows, H] */
	pthread_mutex_t lock;
	mb_status status;
	mb_error err;
} vector_job;

static void
vectors_of_block(void *arg, size_t block, int thread)
{
	vector_job *job = arg;
	finetune_task *task = job->task;
	pass_buffers *b = &task->threads[thread];
	const net_pass how = {.freeze = -1};
	size_t first = job->blocks[block], n = job->blocks[block + 1] - first, tokens = 0, w;
	mb_status status = MB_OK;
	mb_error err = {0};
	net_batch batch;

	for (w = 0; w < n && status == MB_OK; w++)
	{
		const window_place *place = &job->windows[first + w];
		size_t row = job->rows[place->at], length = text_windows_length(task->windows, row, place->window);

		status = text_windows_read(task->windows, row, place->window, b->ids + tokens, &err);
		b->lengths[w] = (int32_t) length;
		tokens += length;
	}
	if (status != MB_OK)
	{
		pthread_mutex_lock(&job->lock);
		job->status = status;
		job->err = err;
		pthread_mutex_unlock(&job->lock);
		return;
	}
	batch = (net_batch){b->ids, b->lengths, n, tokens};
	net_forward(task->net, job->parameters, task->activations[thread], &batch, &how);
	net_pool(task->net, job->parameters, task->activations[thread], &batch, task->options.pipeline.pooling,
			 job->pooled + first * task->H);
}

/* Blocks are filled in order, whatever the number of threads: a product's rounding may depend on how many rows it has.
 */
static size_t
plan_blocks(const finetune_task *task, const size_t *rows, const window_place *places, size_t n, size_t *blocks)
{
	size_t n_blocks = 0, tokens = 0, w;

	for (w = 0; w < n; w++)
	{
		size_t length = text_windows_length(task->windows, rows[places[w].at], places[w].window);

		if (w == 0 || tokens + length > task->max_tokens)
		{
			blocks[n_blocks++] = w;
			tokens = 0;
		}
		tokens += length;
	}
	blocks[n_blocks] = n;
	return n_blocks;
}

mb_status
finetune_vectors(finetune_task *task, const real *parameters, const size_t *rows, size_t n, float *vectors,
				 mb_error *err)
{
	size_t H = task->H, n_windows = 0, n_blocks, i, w, h;
	window_place *places;
	size_t *blocks;
	vector_job job = {.task = task, .parameters = parameters, .rows = rows, .status = MB_OK};

	for (i = 0; i < n; i++)
		n_windows += text_windows_count(task->windows, rows[i]);
	places = allocate(n_windows, sizeof(*places));
	blocks = allocate(n_windows + 1, sizeof(*blocks));
	for (i = 0, w = 0; i < n; i++)
	{
		size_t count = text_windows_count(task->windows, rows[i]), k;

		for (k = 0; k < count; k++)
			places[w++] = (window_place){i, k};
	}
	n_blocks = plan_blocks(task, rows, places, n_windows, blocks);
	job.windows = places;
	job.blocks = blocks;
	job.pooled = allocate(n_windows * H, sizeof(real));
	pthread_mutex_init(&job.lock, NULL);
	parallel_run(n_blocks, task->options.n_threads, vectors_of_block, &job);
	pthread_mutex_destroy(&job.lock);
	if (job.status == MB_OK)
		for (i = 0, w = 0; i < n; i++)
		{
			size_t count = text_windows_count(task->windows, rows[i]), k;
			float *v = vectors + i * H;
			double squares = 0;

			for (h = 0; h < H; h++)
			{
				real sum = 0;

				for (k = 0; k < count; k++)
					sum += job.pooled[(w + k) * H + h];
				v[h] = (float) (sum / (real) count);
				squares += (double) v[h] * (double) v[h];
			}
			w += count;
			for (h = 0; task->options.pipeline.normalize && h < H; h++)
				v[h] = (float) ((double) v[h] / fmax(sqrt(squares), 1e-12));
		}
	else
		*err = job.err;
	free(job.pooled);
	free(blocks);
	free(places);
	return job.status;
}

static mb_status
validate(void *arg, const net *network, const real *parameters, json_t *out, double *score, mb_error *err)
{
	finetune_task *task = arg;
	size_t H = task->H, L = task->L, n = task->n_validation, i, pairs = 0;
	float *vectors = allocate(n * H, sizeof(float));
	real *x = allocate(n * H, sizeof(real)), *logits = allocate(n * L, sizeof(real));
	float *scores = allocate(n * L, sizeof(float));
	const uint8_t *labels = task->truth.labels, *known = task->truth.known;
	double scale = finetune_feature_scale(&task->options.pipeline, (int32_t) H), loss = 0, micro_f1, micro_ap;
	mb_status status = finetune_vectors(task, parameters, task->validation, n, vectors, err);

	if (status == MB_OK)
	{
		for (i = 0; i < n * H; i++)
			x[i] = (real) (scale * (double) vectors[i]);
		net_classify(network, parameters, x, n, logits);
		for (i = 0; i < n * L; i++)
		{
			double z = (double) logits[i];

			scores[i] = (float) sigmoid(z);
			if (known != NULL && known[i] == 0)
				continue;
			pairs++;
			loss += softplus(z) - (labels[i] != 0 ? z : 0);
		}
		*score = metrics_macro_ap(scores, labels, known, n, L);
		micro_ap = metrics_average_precision(scores, labels, known, n * L, 1);
		(void) threshold_best_f1(scores, labels, known, n * L, 1, &micro_f1);
		json_object_set_new(out, "loss", json_rounded(loss / (double) (pairs > 0 ? pairs : 1), 6));
		json_object_set_new(out, "macro_ap", json_rounded(*score, 5));
		json_object_set_new(out, "micro_ap", json_rounded(isnan(micro_ap) ? 0 : micro_ap, 5));
		json_object_set_new(out, "micro_f1", json_rounded(micro_f1, 5));
	}
	free(vectors);
	free(x);
	free(logits);
	free(scores);
	return status;
}

static double
flops_per_token(void *arg)
{
	const finetune_task *task = arg;
	double rows = (double) (task->n_training > 0 ? task->n_training : 1);
	double length = (double) task->epoch_tokens / rows;

	length = fmin(length, (double) (task->windows->width + 2));
	return net_flops_per_token(task->net, (size_t) fmax(length, 2), 0, task->options.freeze);
}

training_task
finetune_task_of(finetune_task *task)
{
	return (training_task){.name = "fine-tuning",
						   .arg = task,
						   .n_phases = 1,
						   .phase = train_shard,
						   .begin = begin_step,
						   .validate = validate,
						   .flops_per_token = flops_per_token};
}
