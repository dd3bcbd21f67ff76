/* finetune.h - the parts of moviebert finetune that do not read a command line. */
#ifndef MOVIEBERT_TOOL_FINETUNE_H
#define MOVIEBERT_TOOL_FINETUNE_H

#include <jansson.h>

#include "features.h"
#include "fit.h"
#include "labels.h"
#include "metrics.h"
#include "model_source.h"
#include "tagged_rows.h"

/* Fewer rows than these teach and prove nothing. */
#define FINETUNE_MIN_TRAINING 20
#define FINETUNE_MIN_VALIDATION 5

/* Training rows a tag needs by default; with fewer than 1,000 of them 2 %, at least 3. */
#define FINETUNE_MIN_SUPPORT 20

typedef struct finetune_request
{
	const char *query;
	const char *validation_query; /* NULL: a part of query, by hash */
	const char *test_query;       /* NULL: a part of query if test > 0 */
	query_columns columns;
	double validation;
	double test;
	int64_t seed;
	int64_t min_support; /* 0: FINETUNE_MIN_SUPPORT, less where rows are few */
	int64_t max_tags;
	const char *cache_path;
	const char *about; /* for the card, or NULL */
	int n_threads;
	bool silent;
	fit_options fit;
} finetune_request;

/* All that finetune knows about its rows. */
typedef struct finetune_data
{
	tagged_rows rows;
	row_counts counts[N_PARTS]; /* by query: the main query's under PART_TRAINING */
	int64_t shared_keys;        /* keys in more than one part */
	int64_t shared_texts;
	int64_t min_support; /* as it was decided */
	label_set labels;
} finetune_data;

/* Runs the queries, splits, and chooses the labels. */
mb_status finetune_read(finetune_data *data, PGconn *connection, const finetune_request *request, mb_error *err);

/* The latter for rows that were read before. */
mb_status finetune_choose(finetune_data *data, const finetune_request *request, mb_error *err);
void finetune_data_release(finetune_data *data);

/* The new model's card; training, which it takes, is how the head came about.  test may be NULL. */
json_t *finetune_card(const finetune_request *request, const finetune_data *data, const model_source *base,
					  json_t *training, const metrics *validation, const char *validation_note, const metrics *test);

/* That of a head on a frozen encoder. */
json_t *finetune_head_training(const features_stats *features, const fit_result *fit);

typedef struct finetune_written
{
	char sha256[SHA256_HEX];
	double worst_logit; /* difference from the fitted head, on the rows that were checked */
} finetune_written;

/*
 * Writes the base with its new head, of this kind ("tagger", "classifier"), to path, after reading it back and
 * comparing what it says of the rows of check with what was fitted.  On any error until then path is as it was.
 */
mb_status finetune_write(finetune_written *result, const char *path, const mb_model *base, const char *kind,
						 const label_set *labels, const fit_result *fit, const json_t *card, const fit_rows *check,
						 mb_error *err);

#endif
