/* predictions.c - predictions in memory, in their order, and whether two are about the same rows. */
#include "predictions.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

void
predictions_init(predictions *p, size_t n_rows, size_t n_tags, bool all_known)
{
	memset(p, 0, sizeof(*p));
	p->n_rows = n_rows;
	p->n_tags = n_tags;
	p->scores = allocate(n_rows * n_tags, sizeof(float));
	p->labels = allocate(n_rows * n_tags, 1);
	p->known = all_known ? NULL : allocate(n_rows * n_tags, 1);
	p->thresholds = allocate(n_tags, sizeof(float));
	p->keys = allocate(n_rows, sizeof(uint64_t));
	p->texts = allocate(n_rows, PREDICTIONS_TEXT_BYTES);
	p->lengths = allocate(n_rows, sizeof(uint32_t));
	p->tags = allocate(n_tags, sizeof(char *));
}

void
predictions_release(predictions *p)
{
	size_t l;

	for (l = 0; l < p->n_tags && p->tags != NULL; l++)
		free(p->tags[l]);
	free(p->tags);
	free(p->scores);
	free(p->labels);
	free(p->known);
	free(p->thresholds);
	free(p->keys);
	free(p->texts);
	free(p->lengths);
	free(p->key);
	free(p->query);
	memset(p, 0, sizeof(*p));
}

typedef struct named_tag
{
	const char *name;
	size_t at;
} named_tag;

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const named_tag *) a)->name, ((const named_tag *) b)->name);
}

/* Rows of a in the order of order, or columns, element by element. */
static void *
permuted(void *from, size_t n_rows, size_t n_columns, size_t size, const size_t *row_order, const size_t *column_order)
{
	char *to = allocate(n_rows * n_columns, size);
	size_t i, l;

	for (i = 0; i < n_rows; i++)
	{
		size_t row = row_order != NULL ? row_order[i] : i;

		for (l = 0; l < n_columns; l++)
			memcpy(to + (i * n_columns + l) * size,
				   (char *) from + (row * n_columns + (column_order != NULL ? column_order[l] : l)) * size, size);
	}
	free(from);
	return to;
}

static void
sort_tags(predictions *p)
{
	named_tag *named = allocate(p->n_tags, sizeof(named_tag));
	size_t *order = allocate(p->n_tags, sizeof(size_t));
	size_t l;

	for (l = 0; l < p->n_tags; l++)
		named[l] = (named_tag){p->tags[l], l};
	qsort(named, p->n_tags, sizeof(named_tag), by_name);
	for (l = 0; l < p->n_tags; l++)
		order[l] = named[l].at;
	p->tags = permuted(p->tags, 1, p->n_tags, sizeof(char *), NULL, order);
	p->thresholds = permuted(p->thresholds, 1, p->n_tags, sizeof(float), NULL, order);
	p->scores = permuted(p->scores, p->n_rows, p->n_tags, sizeof(float), NULL, order);
	p->labels = permuted(p->labels, p->n_rows, p->n_tags, 1, NULL, order);
	if (p->known != NULL)
		p->known = permuted(p->known, p->n_rows, p->n_tags, 1, NULL, order);
	free(named);
	free(order);
}

/* A row as qsort sees it. */
typedef struct sorted_row
{
	const predictions *p;
	size_t at;
} sorted_row;

/* By key and text: whether two rows are the same row. */
static int
compare_identity(const predictions *p, size_t i, const predictions *q, size_t j)
{
	if (p->keys[i] != q->keys[j])
		return p->keys[i] < q->keys[j] ? -1 : 1;
	return memcmp(p->texts[i], q->texts[j], PREDICTIONS_TEXT_BYTES);
}

static int
compare_truth(const predictions *p, size_t i, const predictions *q, size_t j)
{
	size_t L = p->n_tags;
	int order = memcmp(p->labels + i * L, q->labels + j * L, L);

	if (order == 0 && p->known != NULL && q->known != NULL)
		order = memcmp(p->known + i * L, q->known + j * L, L);
	return order;
}

static int
by_row(const void *a, const void *b)
{
	const sorted_row *x = a, *y = b;
	int order = compare_identity(x->p, x->at, y->p, y->at);

	if (order == 0)
		order = compare_truth(x->p, x->at, y->p, y->at);
	return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

static void
sort_rows(predictions *p)
{
	sorted_row *rows = allocate(p->n_rows, sizeof(sorted_row));
	size_t *order = allocate(p->n_rows, sizeof(size_t));
	size_t i;

	for (i = 0; i < p->n_rows; i++)
		rows[i] = (sorted_row){p, i};
	qsort(rows, p->n_rows, sizeof(sorted_row), by_row);
	for (i = 0; i < p->n_rows; i++)
		order[i] = rows[i].at;
	p->scores = permuted(p->scores, p->n_rows, p->n_tags, sizeof(float), order, NULL);
	p->labels = permuted(p->labels, p->n_rows, p->n_tags, 1, order, NULL);
	if (p->known != NULL)
		p->known = permuted(p->known, p->n_rows, p->n_tags, 1, order, NULL);
	p->keys = permuted(p->keys, p->n_rows, 1, sizeof(uint64_t), order, NULL);
	p->texts = permuted(p->texts, p->n_rows, 1, PREDICTIONS_TEXT_BYTES, order, NULL);
	p->lengths = permuted(p->lengths, p->n_rows, 1, sizeof(uint32_t), order, NULL);
	free(rows);
	free(order);
}

void
predictions_sort(predictions *p)
{
	/* What is not known is neither true nor false: one value for it, so that files of the same truth are the same. */
	if (p->known != NULL)
	{
		size_t i;
		bool all = true;

		for (i = 0; i < p->n_rows * p->n_tags; i++)
		{
			all = all && p->known[i];
			p->labels[i] = p->labels[i] && p->known[i];
		}
		if (all)
		{
			free(p->known);
			p->known = NULL;
		}
	}
	sort_tags(p);
	sort_rows(p);
}

/* "x, y, z, ..." of the tags of a that b lacks; NULL if there is none. */
static char *
tags_missing(const predictions *a, const predictions *b)
{
	string_buffer list = {0};
	size_t l, other = 0, n = 0;

	for (l = 0; l < a->n_tags; l++)
	{
		while (other < b->n_tags && strcmp(b->tags[other], a->tags[l]) < 0)
			other++;
		if (other < b->n_tags && strcmp(b->tags[other], a->tags[l]) == 0)
			continue;
		if (++n <= 5)
			string_printf(&list, "%s%.60s", n > 1 ? ", " : "", a->tags[l]);
	}
	if (n > 5)
		string_printf(&list, " and %zu more", n - 5);
	return list.data;
}

static mb_status
match_tags(const predictions *a, const predictions *b, const char *name_a, const char *name_b, mb_error *err)
{
	char *only_a = tags_missing(a, b), *only_b = tags_missing(b, a);
	mb_status status = MB_OK;

	if (only_a != NULL || only_b != NULL)
	{
		string_buffer detail = {0};

		status =
			mb_fail(err, MB_INVALID_ARGUMENT, "\"%.120s\" and \"%.120s\" do not have the same tags", name_a, name_b);
		if (only_a != NULL)
			string_printf(&detail, "Only the first has %s.", only_a);
		if (only_b != NULL)
			string_printf(&detail, "%sOnly the second has %s.", only_a != NULL ? "  " : "", only_b);
		mb_detail(err, "%s", detail.data);
		mb_hint(
			err,
			"Models that are compared are trained for the same tags; with --validation-query the seed does not move "
			"which tags have enough rows.");
		string_release(&detail);
	}
	free(only_a);
	free(only_b);
	return status;
}

static mb_status
match_rows(const predictions *a, const predictions *b, const char *name_a, const char *name_b, mb_error *err)
{
	size_t i = 0, j = 0, only_a = 0, only_b = 0, same_texts = 0;

	while (i < a->n_rows || j < b->n_rows)
	{
		int order = i == a->n_rows ? 1 : j == b->n_rows ? -1 : compare_identity(a, i, b, j);

		only_a += order < 0;
		only_b += order > 0;
		i += order <= 0;
		j += order >= 0;
	}
	if (only_a == 0 && only_b == 0)
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT, "\"%.120s\" and \"%.120s\" are not about the same rows", name_a, name_b);
	mb_detail(err, "Of %zu rows of the first, the second lacks %zu; of %zu rows of the second, the first lacks %zu.",
			  a->n_rows, only_a, b->n_rows, only_b);
	/* No row in common, but the texts of some are: then it is the keys that differ. */
	for (i = 0; only_a == a->n_rows && i < a->n_rows && i < 100; i++)
		for (j = 0; j < b->n_rows; j++)
			if (memcmp(a->texts[i], b->texts[j], PREDICTIONS_TEXT_BYTES) == 0)
			{
				same_texts++;
				break;
			}
	mb_hint(err, same_texts > 0 ? "The texts are the same: evaluate both with the same --key."
								: "Evaluate both on the rows of one query.");
	return MB_INVALID_ARGUMENT;
}

static mb_status
match_labels(const predictions *a, const predictions *b, const char *name_a, const char *name_b, mb_error *err)
{
	size_t L = a->n_tags, differ = 0, first = 0, i;
	size_t known_differ = 0;

	for (i = 0; i < a->n_rows * L; i++)
	{
		bool known_a = a->known == NULL || a->known[i], known_b = b->known == NULL || b->known[i];

		known_differ += known_a != known_b;
		if (a->labels[i] == b->labels[i] && known_a == known_b)
			continue;
		if (differ++ == 0)
			first = i;
	}
	if (differ == 0)
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT, "the true tags of \"%.120s\" and \"%.120s\" are not the same", name_a, name_b);
	mb_detail(
		err,
		"%zu of %zu pairs of row and tag differ (%zu in whether they are known), the first of them in tag \"%.60s\".",
		differ, a->n_rows * L, known_differ, a->tags[first % L]);
	mb_hint(err, "Evaluate both on the same state of the table.");
	return MB_INVALID_ARGUMENT;
}

mb_status
predictions_match(const predictions *a, const predictions *b, const char *name_a, const char *name_b, mb_error *err)
{
	mb_status status = match_tags(a, b, name_a, name_b, err);

	if (status == MB_OK)
		status = match_rows(a, b, name_a, name_b, err);
	if (status == MB_OK)
		status = match_labels(a, b, name_a, name_b, err);
	return status;
}
