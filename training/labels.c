/* labels.c - counting support, choosing labels, gathering matrices. */
#include "labels.h"

#include <stdlib.h>
#include <string.h>

typedef struct counted_tag
{
	int32_t tag;
	int64_t support;
	const char *name;
} counted_tag;

static int
by_support(const void *a, const void *b)
{
	const counted_tag *x = a, *y = b;

	if (x->support != y->support)
		return x->support > y->support ? -1 : 1;
	return strcmp(x->name, y->name);
}

static counted_tag *
count_tags(const tagged_rows *rows, bool training_only)
{
	counted_tag *counted = allocate(rows->tags.n, sizeof(counted_tag));
	size_t i;
	int32_t t;

	for (i = 0; i < rows->tags.n; i++)
	{
		counted[i].tag = (int32_t) i;
		counted[i].name = rows->tags.names[i];
	}
	for (i = 0; i < rows->n; i++)
	{
		const tagged_row *row = &rows->rows[i];

		if (training_only && row->part != PART_TRAINING)
			continue;
		for (t = 0; t < row->n_tags; t++)
			counted[rows->tag_ids[row->tags_at + (size_t) t]].support++;
	}
	return counted;
}

static void
set_init(label_set *set, size_t n_labels, size_t n_tags)
{
	memset(set, 0, sizeof(*set));
	set->names = allocate(n_labels, sizeof(char *));
	set->support = allocate(n_labels, sizeof(int64_t));
	set->known = allocate(n_labels, sizeof(int64_t));
	set->label_of_tag = allocate(n_tags, sizeof(int32_t));
	memset(set->label_of_tag, 0xff, n_tags * sizeof(int32_t));
	set->dropped = allocate(n_tags, sizeof(dropped_tag));
}

static void
drop(label_set *set, const counted_tag *tag)
{
	set->dropped[set->n_dropped].name = tag->name;
	set->dropped[set->n_dropped++].support = tag->support;
}

/* Which labels each scope has. */
static void
map_scopes(label_set *set, const tagged_rows *rows)
{
	int32_t *label_of_word;
	size_t s, w;
	int32_t l, i;

	if (rows->scope_texts.n == 0 || set->n == 0)
		return;
	set->scoped = allocate(rows->scope_texts.n * (size_t) set->n, 1);
	label_of_word = allocate(rows->scope_words.n, sizeof(int32_t));
	for (w = 0; w < rows->scope_words.n; w++)
		label_of_word[w] = -1;
	for (l = 0; l < set->n; l++)
	{
		int32_t word = dictionary_find(&rows->scope_words, set->names[l]);

		if (word >= 0)
			label_of_word[word] = l;
	}
	for (s = 0; s < rows->scope_texts.n; s++)
		for (i = 0; i < rows->scopes[s].n_names; i++)
		{
			int32_t label = label_of_word[rows->scope_names[rows->scopes[s].names_at + (size_t) i]];

			if (label >= 0)
				set->scoped[s * (size_t) set->n + (size_t) label] = 1;
		}
	free(label_of_word);
}

static void
count_known(label_set *set, const tagged_rows *rows)
{
	uint8_t *values = allocate((size_t) set->n, 1), *known = allocate((size_t) set->n, 1);
	int64_t all = 0;
	size_t i;
	int32_t l;

	for (i = 0; i < rows->n; i++)
	{
		if (rows->rows[i].part != PART_TRAINING)
			continue;
		all += rows->rows[i].scope == SCOPE_ALL;
		if (rows->rows[i].scope == SCOPE_ALL)
			continue;
		labels_of_row(values, known, rows, set, i);
		for (l = 0; l < set->n; l++)
			set->known[l] += known[l];
	}
	for (l = 0; l < set->n; l++)
		set->known[l] += all;
	free(values);
	free(known);
}

size_t
labels_unused_scope(const tagged_rows *rows, const char **first)
{
	size_t unused = 0, w;

	for (w = 0; w < rows->scope_words.n; w++)
		if (dictionary_find(&rows->tags, rows->scope_words.names[w]) < 0)
		{
			if (unused++ == 0 && first != NULL)
				*first = rows->scope_words.names[w];
		}
	return unused;
}

void
labels_select(label_set *set, const tagged_rows *rows, int64_t min_support, int32_t max_tags)
{
	counted_tag *counted = count_tags(rows, true);
	size_t i;

	qsort(counted, rows->tags.n, sizeof(counted_tag), by_support);
	set_init(set, rows->tags.n, rows->tags.n);
	for (i = 0; i < rows->tags.n; i++)
	{
		if (counted[i].support < min_support || set->n >= max_tags)
		{
			drop(set, &counted[i]);
			continue;
		}
		set->names[set->n] = counted[i].name;
		set->support[set->n] = counted[i].support;
		set->label_of_tag[counted[i].tag] = set->n++;
	}
	map_scopes(set, rows);
	count_known(set, rows);
	free(counted);
}

void
labels_of_model(label_set *set, const tagged_rows *rows, const char *const *names, int32_t n)
{
	counted_tag *counted = count_tags(rows, false);
	size_t i;
	int32_t l;

	set_init(set, (size_t) n, rows->tags.n);
	set->n = n;
	for (l = 0; l < n; l++)
	{
		int32_t tag = dictionary_find(&rows->tags, names[l]);

		set->names[l] = names[l];
		if (tag < 0)
			continue;
		set->label_of_tag[tag] = l;
		set->support[l] = counted[tag].support;
	}
	qsort(counted, rows->tags.n, sizeof(counted_tag), by_support);
	for (i = 0; i < rows->tags.n; i++)
		if (set->label_of_tag[counted[i].tag] < 0)
			drop(set, &counted[i]);
	map_scopes(set, rows);
	free(counted);
}

void
labels_of_row(uint8_t *values, uint8_t *known, const tagged_rows *rows, const label_set *set, size_t row)
{
	const tagged_row *of = &rows->rows[row];
	size_t n = (size_t) set->n;
	int32_t t;

	memset(values, 0, n);
	if (known != NULL && (of->scope == SCOPE_ALL || set->scoped == NULL))
		memset(known, 1, n);
	else if (known != NULL)
		memcpy(known, set->scoped + (size_t) of->scope * n, n);
	for (t = 0; t < of->n_tags; t++)
	{
		int32_t label = set->label_of_tag[rows->tag_ids[of->tags_at + (size_t) t]];

		if (label < 0)
			continue;
		values[label] = 1;
		if (known != NULL)
			known[label] = 1;
	}
}

void
labels_gather(fit_rows *out, const tagged_rows *rows, const label_set *set, const float *features, size_t n_features,
			  row_part part, bool all)
{
	size_t n_labels = (size_t) set->n;
	size_t i, n = 0;

	for (i = 0; i < rows->n; i++)
		n += all || rows->rows[i].part == part;
	out->n = n;
	out->features = features != NULL ? allocate(n * n_features, sizeof(float)) : NULL;
	out->labels = allocate(n * n_labels, 1);
	out->known = set->scoped != NULL ? allocate(n * n_labels, 1) : NULL;
	for (i = 0, n = 0; i < rows->n; i++)
	{
		if (!all && rows->rows[i].part != part)
			continue;
		if (features != NULL)
			memcpy(out->features + n * n_features, features + i * n_features, n_features * sizeof(float));
		labels_of_row(out->labels + n * n_labels, out->known != NULL ? out->known + n * n_labels : NULL, rows, set, i);
		n++;
	}
}

void
labels_list_dropped(string_buffer *list, const label_set *set)
{
	size_t i, shown = set->n_dropped < 12 ? set->n_dropped : 12;

	for (i = 0; i < shown; i++)
		string_printf(list, "%s%s (%lld)", i > 0 ? ", " : "", set->dropped[i].name,
					  (long long) set->dropped[i].support);
	if (shown < set->n_dropped)
		string_printf(list, ", ...");
}

void
fit_rows_release(fit_rows *rows)
{
	free(rows->features);
	free(rows->labels);
	free(rows->known);
	memset(rows, 0, sizeof(*rows));
}

void
labels_release(label_set *set)
{
	free(set->names);
	free(set->support);
	free(set->known);
	free(set->scoped);
	free(set->label_of_tag);
	free(set->dropped);
	memset(set, 0, sizeof(*set));
}
