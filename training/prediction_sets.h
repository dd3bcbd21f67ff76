/* prediction_sets.h - the files of predictions of two ways of training, one for each seed, and how they pair. */
#ifndef MOVIEBERT_TOOL_PREDICTION_SETS_H
#define MOVIEBERT_TOOL_PREDICTION_SETS_H

#include "predictions.h"

typedef struct prediction_set
{
	char **paths;       /* [n] */
	predictions *files; /* [n] after prediction_set_read */
	size_t n;
} prediction_set;

void prediction_set_add(prediction_set *set, const char *path);

/* A file; or a folder, of which every *.pred is taken, in order of name. */
mb_status prediction_set_add_operand(prediction_set *set, const char *path, mb_error *err);

/* Reads all files.  Errors: predictions_read's; two that hold the same scores, which are one run and not two. */
mb_status prediction_set_read(prediction_set *set, mb_error *err);

/*
 * Brings both into one order: by seed, if each has one seed for every file and both have the same; else by order of
 * name. *by_seed says which.  Then checks that all are about the same rows.  Error: sets of different size, with what
 * is missing.
 */
mb_status prediction_sets_pair(prediction_set *a, prediction_set *b, bool *by_seed, mb_error *err);

void prediction_set_release(prediction_set *set);

#endif
