/*
 * finetune_task.h - what one step of full fine-tuning computes: the training_task (run.h) of labels on texts.
 *
 *   v = mean over a text's windows of their pooled vectors       y = v / |v| if the model normalises, else v
 *   logits = W (s y) + b,  s = sqrt(H) if the model normalises, else 1
 *   loss = 1/rows sum over rows of ( sum over known labels of the label loss
 *                                    + keep_similarity * |v/|v| - v0/|v0||^2 )
 *
 * v is the vector that inference makes (infer.h), so that a trained model's scores are those of training.  s gives the
 * elements of a unit vector the size of LayerNorm's output, for which learning rates are made; W s is what is written.
 */
#ifndef MOVIEBERT_TOOL_FINETUNE_TASK_H
#define MOVIEBERT_TOOL_FINETUNE_TASK_H

#include "finetune_teacher.h"
#include "finetune_windows.h"
#include "labels.h"
#include "run.h"

typedef struct task_options
{
	uint64_t seed;
	size_t batch;        /* rows of a step */
	size_t most_windows; /* of a text in a step */
	int freeze;          /* as net_pass */
	int n_shards, n_threads;
	double dropout;
	double keep_similarity;
	bool asymmetric;
	const float *positive_weight; /* [L] or NULL; borrowed */
	const teacher *teacher;       /* NULL: none; borrowed.  Then neither of the two above */
	mb_pipeline pipeline;         /* pooling, normalize, max_length */
} task_options;

typedef struct finetune_task finetune_task;

/*
 * All that is given is borrowed.  Text i of the windows' store is row i.  original [rows->n, H]: the vectors that
 * keep_similarity holds on to, of length 1 (NULL without it).
 */
finetune_task *finetune_task_create(const net *network, const task_options *options, const tagged_rows *rows,
									const label_set *labels, const text_windows *windows, const float *original);
void finetune_task_destroy(finetune_task *task);

training_task finetune_task_of(finetune_task *task);

/* Tokens of one shard's pass at most: whole texts, in as many passes as it takes. */
size_t finetune_max_tokens(const text_windows *windows, size_t most_windows);

uint64_t finetune_epoch_tokens(const finetune_task *task); /* of training rows, at most */
double finetune_feature_scale(const mb_pipeline *pipeline, int32_t hidden_size);

/* vectors [n, H] of rows in the order given, as the net makes them: for validation, and to compare with the engine. */
mb_status finetune_vectors(finetune_task *task, const real *parameters, const size_t *rows, size_t n, float *vectors,
						   mb_error *err);

#endif
