/*
 * run.h - one training run: its folder, its loop, its checkpoints.  pretrain and finetune differ in the task alone.
 *
 * The folder of a run:
 *   manifest.json     what was asked: command line, query, rows and their hash, seed, shards, versions, CPU, BLAS core
 *   tokens.store      the texts (token_store.h); finetune adds rows.store
 *   metrics.jsonl     one JSON object a line, see below; rewound to the checkpoint's step on resume
 *   checkpoint        safetensors: parameters, m, v, and the state as metadata; replaced atomically
 *   best              finetune: the parameters with the best validation macro AP so far
 *   log.txt           what was said on stderr
 *   report.html       report_html.h
 *
 * metrics.jsonl, by "type":
 *   {"type":"step","step":n,"tokens":n,"seconds":s,"loss":x,"accuracy":x,"rate":x,"grad_norm":x,"tokens_per_s":x,"gflops":x}
 *       means since the line before; seconds: computing, over all sittings
 *   {"type":"validation","step":n,"loss":x,"accuracy":x, ...}   pretrain adds
 *       "bits_per_character"; spans "recall_at_1","among"; finetune "macro_ap","micro_ap","micro_f1"
 *   {"type":"event","step":n,"name":"plateau|escaped|diverging|not_finite|rolled_back|saved|resumed|interrupted|best|stopped_early",
 *       "detail":"..."}
 *       after rolled_back the steps go on from the checkpoint's, so that numbers come a second time
 *   {"type":"final", ...}   once, at the end: finetune: the metrics of card.h with per_tag
 *
 * Work of a step is divided into a fixed number of shards, whatever the number of threads, each with gradients of its
 * own, summed in order: so 1 and 2 threads, and a run that was killed and resumed, give the same bits.
 */
#ifndef MOVIEBERT_TOOL_RUN_H
#define MOVIEBERT_TOOL_RUN_H

#include <jansson.h>

#include "net/net.h"
#include "moviebert/status.h"

/* One worker's view of a step. */
typedef struct shard_work
{
	const net *net;
	const real *parameters;
	real *gradients; /* zeroed at the start of a step; to be added to */
	net_activations *activations;
	uint64_t step; /* 0, 1, ... */
	int shard, n_shards;
	net_loss loss; /* to be filled: sums */
	uint64_t tokens;
} shard_work;

typedef struct training_task
{
	const char *name; /* "masked language modelling", ... */
	void *arg;
	/*
	 * A step is n_phases phases; all shards finish one before `between` (one thread; may be NULL) and the next.
	 * Contrastive training computes embeddings in phase 0, their loss in between, and goes backward in phase 1.
	 */
	int n_phases;
	mb_status (*phase)(void *arg, int phase, shard_work *work, mb_error *err);
	mb_status (*between)(void *arg, int phase, shard_work *shards, int n_shards, mb_error *err);
	/* Called before each step in one thread (a new epoch's order, ...); may be NULL. */
	mb_status (*begin)(void *arg, uint64_t step, mb_error *err);
	/* Validation: fills an object for metrics.jsonl; *score (larger is better) is what `best` goes by. */
	mb_status (*validate)(void *arg, const net *net, const real *parameters, json_t *metrics, double *score,
						  mb_error *err);
	double (*flops_per_token)(void *arg);
	bool watch_plateau;  /* MLM: the unigram plateau means something */
	double unigram_loss; /* nats: of a model that knows how frequent tokens are and nothing else; for the watch */
} training_task;

typedef struct training_options
{
	uint64_t seed;
	int n_threads, n_shards;
	uint64_t steps;               /* 0: by budget */
	double budget;                /* seconds of computing; 0: by steps */
	double warmup;                /* share of the run */
	double rate;                  /* peak */
	const double *rate_of_tensor; /* [n_tensors] factors (layer-wise decay, freezing); NULL: 1 */
	adamw_options adamw;
	uint64_t validate_every, log_every; /* steps; 0: a choice by the run's length */
	double checkpoint_every;            /* seconds */
	int patience;                       /* validations without a better score before stopping; 0: never */
	bool keep_best;                     /* end with the best validated parameters instead of the last */
	size_t max_tokens, max_length;      /* of one shard's pass, for net_activations */
	bool stop_on_plateau;               /* MB_LIMIT when it is recognised, after saving */
	const char *identity; /* what a checkpoint must be of to be resumed: sizes, rows' hash, seed, objective, ... */
	const char *resume_command; /* for whoever interrupts */
	bool silent;
} training_options;

typedef struct training_result
{
	uint64_t steps, tokens;
	double seconds;
	double best_score;
	uint64_t best_step;
	bool stopped_early, interrupted;
} training_result;

/*
 * Runs the forward and backward passes of the first steps for some two seconds, or 50 steps if that is less, and throws
 * their results away: how many tokens a second this machine makes of this task.  Calls begin, phase and between as a
 * run would.
 */
mb_status training_measure(const net *n, const real *parameters, const training_task *task,
						   const training_options *options, double *tokens_per_second, double *tokens_per_step,
						   mb_error *err);

/* Bytes that training_run holds: parameters, moments, every shard's gradients and activations. */
size_t training_bytes(const net *n, const training_options *options);

/*
 * Trains from parameters in place.  folder: the run's; resume: go on from its checkpoint (MB_INVALID_ARGUMENT if that
 * is of another run; without a checkpoint it begins).  SIGINT saves and returns MB_CANCELLED after saying how to
 * resume.  The rate rises linearly over warmup, then falls linearly to 0 at the end of steps or budget.
 *
 * A run by steps gives the same bits however often it is resumed, unless it diverges: where it goes back to is a
 * matter of when the last checkpoint was saved, and the watch begins anew with each sitting.  One by budget depends on
 * the clock: its elapsed seconds, with validation and saving, are kept in the checkpoint, and what a kill took away is
 * not counted.  Errors: MB_LIMIT after three returns to a checkpoint, or by stop_on_plateau.
 */
mb_status training_run(const net *n, real *parameters, const char *folder, bool resume, const training_task *task,
					   const training_options *options, training_result *result, mb_error *err);

#endif
