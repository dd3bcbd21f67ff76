/* labels.h - which tags become labels, and the matrices that a head is fitted to. */
#ifndef MOVIEBERT_TOOL_LABELS_H
#define MOVIEBERT_TOOL_LABELS_H

#include "fit.h"
#include "memory.h"
#include "tagged_rows.h"

typedef struct dropped_tag
{
	const char *name;
	int64_t support; /* in the training part */
} dropped_tag;

typedef struct label_set
{
	int32_t n;             /* L */
	const char **names;    /* [n] borrowed from the rows' dictionary or from a model */
	int64_t *support;      /* [n] rows of the training part */
	int64_t *known;        /* [n] rows of the training part of which is known whether they have it */
	uint8_t *scoped;       /* [scopes, n] 1: the label is in the scope; NULL without scopes */
	int32_t *label_of_tag; /* [tags in the dictionary] -1: not a label */
	dropped_tag *dropped;  /* [n_dropped] by falling support */
	size_t n_dropped;
} label_set;

/* Tags with at least min_support training rows, the max_tags most frequent, by falling support and then name. */
void labels_select(label_set *set, const tagged_rows *rows, int64_t min_support, int32_t max_tags);

/* A model's labels, in its order; tags of the rows that the model does not know are in dropped, counted over all rows.
 */
void labels_of_model(label_set *set, const tagged_rows *rows, const char *const *names, int32_t n);

/*
 * Labels of one row: values [n] are set to 0 or 1, known [n] (may be NULL) to whether the row's source could have given
 * the label or did.
 */
void labels_of_row(uint8_t *values, uint8_t *known, const tagged_rows *rows, const label_set *set, size_t row);

/* The rows of one part, with features (may be NULL) and labels copied together; known where scopes are.  all: every
 * part. */
void labels_gather(fit_rows *out, const tagged_rows *rows, const label_set *set, const float *features,
				   size_t n_features, row_part part, bool all);

/* Tags that scopes name and that no row has: *first (may be NULL) is one of them. */
size_t labels_unused_scope(const tagged_rows *rows, const char **first);

/* "noir (12), western (9), ...": the most frequent of the dropped tags. */
void labels_list_dropped(string_buffer *list, const label_set *set);

void fit_rows_release(fit_rows *rows);
void labels_release(label_set *set);

#endif
