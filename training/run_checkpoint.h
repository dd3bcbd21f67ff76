/*
 * run_checkpoint.h - all that a run needs to go on: parameters, AdamW's moments, and where it was.
 *
 * A safetensors file of three tensors, with the state as JSON in its metadata and a SHA-256 over the numbers; written
 * beside its place, synced and renamed, so that there is always one whole checkpoint.
 */
#ifndef MOVIEBERT_TOOL_RUN_CHECKPOINT_H
#define MOVIEBERT_TOOL_RUN_CHECKPOINT_H

#include "moviebert/status.h"
#include "net/real.h"
#include "run_watch.h"

typedef struct run_state
{
	uint64_t step, tokens; /* done */
	double seconds;
	uint64_t seed;
	int n_shards;
	double rate_scale; /* halved by each return to a checkpoint */
	int rollbacks;
	uint64_t skipped; /* steps whose gradient was not finite */
	plateau_state plateau;
	double best_score;
	uint64_t best_step;
	int without_better;    /* validations since */
	int64_t metrics_bytes; /* length of metrics.jsonl then */
} run_state;

/* parameters, m, v [n]; m and v may be NULL (of "best").  identity: what run it is of. */
mb_status run_checkpoint_write(const char *path, const real *parameters, const real *m, const real *v, size_t n,
							   const run_state *state, const char *identity, mb_error *err);

/*
 * Fills the arrays (those not NULL) and state.  MB_CORRUPT if it is damaged, MB_INVALID_ARGUMENT if it is of a run of
 * another identity or size.
 */
mb_status run_checkpoint_read(const char *path, real *parameters, real *m, real *v, size_t n, run_state *state,
							  const char *identity, mb_error *err);

#endif
