/*
 * pretrain.h - the parts of moviebert pretrain: the network and its vocabulary, the texts, the two objectives, the
 * plan.
 */
#ifndef MOVIEBERT_TOOL_PRETRAIN_H
#define MOVIEBERT_TOOL_PRETRAIN_H

#include <jansson.h>

#include "model_source.h"
#include "run.h"
#include "sequences.h"

typedef struct pretrain_request
{
	const char *query, *text_column, *key_column;
	const char *vocab_path; /* from scratch */
	const char *config;     /* "layers,hidden,heads[,intermediate]" */
	const char *from;       /* or the model file to go on from */
	const char *compare;    /* a vocab.txt that the run's page compares the vocabulary with, or NULL */
	bool cased, keep_accents;
	int64_t max_positions; /* 0: length */
	const char *output, *folder;
	const char *about; /* for the card, or NULL */
	bool spans; /* the objective; else masked language modelling */
	int64_t length;
	masking masking;
	int64_t span_min, batch_texts; /* spans */
	double temperature;
	int64_t batch_tokens, accumulate; /* masked language modelling */
	double epochs;                    /* used where neither steps nor a budget is given */
	double dropout, validation;
	training_options training;
	bool half; /* written as F16 */
	bool silent;
	const char *command_line;
} pretrain_request;

/* ---- the network ------------------------------------------------------------------------------------------------- */

typedef struct pretrain_model
{
	model_source base; /* base.model is NULL from scratch */
	const void *vocab_map;
	size_t vocab_size;
	char *vocab; /* vocab.txt, from scratch */
	mb_tokenizer_options tokenizer_options;
	void *packed_vocabulary;
	mb_tokenizer tokenizer;
	special_ids special;
	char vocab_sha256[SHA256_HEX];
	net net;
	real *parameters;
	bool fresh_head; /* the masked-LM head is not the base's */
} pretrain_model;

/* Reads what the request names and checks that it fits together; the parameters are those to start from. */
mb_status pretrain_model_open(pretrain_model *model, const pretrain_request *request, mb_error *err);
void pretrain_model_close(pretrain_model *model);

/* cls.predictions.bias = log of each token's frequency, where the head is fresh: the first loss is then the unigram
 * one. */
void pretrain_model_set_bias(pretrain_model *model, const uint64_t *counts);

/* Writes the model file; hex: its SHA-256.  card is borrowed. */
mb_status pretrain_model_write(const pretrain_model *model, const pretrain_request *request, const real *parameters,
							   const json_t *card, char hex[SHA256_HEX], mb_error *err);

/* ---- the texts --------------------------------------------------------------------------------------------------- */

typedef struct pretrain_texts
{
	token_store store;
	uint64_t *parts[N_PARTS]; /* numbers of each part's texts */
	uint64_t *counts;         /* [V] of tokens in the training part */
	double unigram_loss;      /* nats a token, without special ones */
	char sha256[SHA256_HEX];
} pretrain_texts;

mb_status pretrain_texts_open(pretrain_texts *texts, const char *path, const special_ids *special, mb_error *err);
void pretrain_texts_close(pretrain_texts *texts);

/* ---- the objectives ---------------------------------------------------------------------------------------------- */

/* Tokens of one pass of validation, of either: what its activations are made for. */
#define PRETRAIN_VALIDATION_TOKENS 1024

typedef struct mlm_task mlm_task;

mb_status mlm_create(mlm_task **mlm, const pretrain_request *request, const pretrain_model *model,
					 const pretrain_texts *texts, training_task *task, mb_error *err);
void mlm_destroy(mlm_task *mlm);
uint64_t mlm_steps_per_epoch(const mlm_task *mlm); /* at least 1 */
/* How many of them are kept aside, and how many of those a validation looks at; limit 0 asks only. */
size_t mlm_limit_validation(mlm_task *mlm, size_t limit);

typedef struct spans_task spans_task;

mb_status spans_create(spans_task **spans, const pretrain_request *request, const pretrain_model *model,
					   const pretrain_texts *texts, training_task *task, mb_error *err);
void spans_destroy(spans_task *spans);
uint64_t spans_steps_per_epoch(const spans_task *spans);
size_t spans_limit_validation(spans_task *spans, size_t limit);

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

typedef struct pretrain_plan
{
	double tokens_per_second, tokens_per_step; /* measured */
	double steps, seconds, tokens, epochs, flops;
	size_t bytes;
} pretrain_plan;

/* From the measurement and the request's steps or budget. */
void pretrain_plan_make(pretrain_plan *plan, const pretrain_request *request, const training_task *task, const net *n,
						const token_store *store, uint64_t steps_per_epoch);
void pretrain_plan_report(const pretrain_plan *plan, const pretrain_request *request, const training_task *task,
						  const pretrain_model *model, const pretrain_texts *texts);
json_t *pretrain_plan_json(const pretrain_plan *plan);

#endif
