/*
 * finetune_full.h - moviebert finetune beyond --freeze all: the encoder learns too.
 *
 * A head is fitted on the frozen vectors first (the linear probe) and trained on together with the layers that are not
 * frozen: first the head, then all, distorts less of what the encoder knows (Kumar et al. 2022, arXiv:2202.10054).
 */
#ifndef MOVIEBERT_TOOL_FINETUNE_FULL_H
#define MOVIEBERT_TOOL_FINETUNE_FULL_H

#include "connection.h"
#include "finetune.h"
#include "run_folder.h"

/* By default all layers learn from more rows than this, half of them from fewer. */
#define FULL_ALL_LAYERS_ROWS 10000

#define FULL_FREEZE_AUTO (-2)
#define FULL_FREEZE_NOTHING (-1)
#define FULL_FREEZE_EMBEDDINGS 0

typedef enum full_precision
{
	PRECISION_AS_BASE,
	PRECISION_FP16,
	PRECISION_FP32
} full_precision;

typedef struct full_options
{
	int freeze; /* FULL_FREEZE_..., or the first layers that stay as they are, with the embeddings */
	double epochs;
	int64_t batch, windows, shards;
	double rate; /* 0: by the model's size */
	double head_rate, layer_decay, warmup, weight_decay, dropout;
	double validate_every; /* epochs */
	int64_t patience;
	double checkpoint_every; /* seconds */
	double keep_similarity;
	bool asymmetric;
	bool start_from_prior;    /* instead of the linear probe */
	const char *teacher_path; /* NULL: none */
	double teacher_weight;
	const char *pooling; /* NULL: the base's */
	int64_t length;      /* 0: the base's */
	full_precision precision;
	const char *folder;
	run_opening opening;
	const char *command_line, *resume_command;
} full_options;

/* Does it all; returns an exit code, after saying what went wrong. */
int finetune_full(const finetune_request *request, const full_options *options, const connection_options *where,
				  const char *model_path, const char *model_name, const char *output, bool as_json, size_t max_tags);

#endif
