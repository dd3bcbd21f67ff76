/* report_data.c - reliability, tags that stand together, and two vocabularies beside each other, as JSON. */
#include "report_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "memory.h"
#include "moviebert/utf8.h"

json_t *
report_calibration_json(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows, size_t n_tags)
{
	double sums[METRICS_ECE_BINS] = {0}, truths[METRICS_ECE_BINS] = {0};
	size_t counts[METRICS_ECE_BINS] = {0};
	double squares = 0, error = 0;
	size_t pairs = 0, i;
	json_t *bins = json_array();
	int b;

	for (i = 0; i < n_rows * n_tags; i++)
	{
		double truth = labels[i] != 0, score = (double) scores[i];

		if (known != NULL && known[i] == 0)
			continue;
		b = metrics_ece_bin(scores[i]);
		sums[b] += score;
		truths[b] += truth;
		counts[b]++;
		squares += (score - truth) * (score - truth);
		pairs++;
	}
	for (b = 0; b < METRICS_ECE_BINS; b++)
	{
		double n = counts[b] > 0 ? (double) counts[b] : NAN;

		error += fabs(sums[b] - truths[b]);
		json_array_append_new(
			bins, json_pack("{so, so, sI, so, so}", "from", json_rounded((double) b / METRICS_ECE_BINS, 4), "to",
							json_rounded((double) (b + 1) / METRICS_ECE_BINS, 4), "count", (json_int_t) counts[b],
							"mean_score", json_rounded(sums[b] / n, 4), "share", json_rounded(truths[b] / n, 4)));
	}
	return json_pack("{sI, so, so, so}", "pairs", (json_int_t) pairs, "ece",
					 json_rounded(pairs > 0 ? error / (double) pairs : NAN, 4), "brier",
					 json_rounded(pairs > 0 ? squares / (double) pairs : NAN, 4), "bins", bins);
}

typedef struct frequent_tag
{
	size_t tag;
	size_t support;
} frequent_tag;

static int
compare_support(const void *a, const void *b)
{
	const frequent_tag *x = a, *y = b;

	if (x->support != y->support)
		return x->support > y->support ? -1 : 1;
	return x->tag < y->tag ? -1 : 1;
}

static bool
has_tag(const uint8_t *labels, const uint8_t *known, size_t at)
{
	return labels[at] != 0 && (known == NULL || known[at] != 0);
}

json_t *
report_cooccurrence_json(const uint8_t *labels, const uint8_t *known, const char *const *names, size_t n_rows,
						 size_t n_tags, size_t max_tags)
{
	frequent_tag *tags = allocate(n_tags, sizeof(*tags));
	json_t *list = json_array(), *support = json_array(), *together = json_array();
	size_t *counts;
	size_t row, i, j, n = 0;

	for (i = 0; i < n_tags; i++)
		tags[i].tag = i;
	for (row = 0; row < n_rows; row++)
		for (i = 0; i < n_tags; i++)
			tags[i].support += has_tag(labels, known, row * n_tags + i);
	qsort(tags, n_tags, sizeof(*tags), compare_support);
	if (max_tags == 0)
		max_tags = REPORT_MAP_TAGS;
	while (n < n_tags && n < max_tags && tags[n].support > 0)
		n++;
	counts = allocate(n * n, sizeof(*counts));
	for (row = 0; row < n_rows; row++)
	{
		const size_t first = row * n_tags;

		for (i = 0; i < n; i++)
			if (has_tag(labels, known, first + tags[i].tag))
				for (j = 0; j < n; j++)
					counts[i * n + j] += has_tag(labels, known, first + tags[j].tag);
	}
	for (i = 0; i < n; i++)
	{
		json_t *line = json_array();

		for (j = 0; j < n; j++)
			json_array_append_new(line, json_integer((json_int_t) counts[i * n + j]));
		json_array_append_new(list, json_string(names[tags[i].tag]));
		json_array_append_new(support, json_integer((json_int_t) tags[i].support));
		json_array_append_new(together, line);
	}
	free(counts);
	free(tags);
	return json_pack("{sI, so, so, so}", "rows", (json_int_t) n_rows, "tags", list, "support", support, "together",
					 together);
}

/* Neither "##ing", a single character, nor "[MASK]". */
static bool
is_word(const char *token, size_t bytes)
{
	mb_codepoint c;

	return mb_utf8_decode((const unsigned char *) token, bytes, &c) != bytes && memcmp(token, "##", 2) != 0 &&
		   !(token[0] == '[' && token[bytes - 1] == ']');
}

static json_t *
difference_json(const vocabulary_use *a, const vocabulary_use *b, size_t max_listed, json_int_t *total)
{
	json_t *list = json_array();
	size_t n, i;
	int32_t *ids = vocabulary_difference(a, b, &n);

	for (i = 0; i < n && json_array_size(list) < max_listed; i++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&a->tokenizer, ids[i], &bytes);

		if (!is_word(token, bytes))
			continue;
		json_array_append_new(list,
							  json_pack("{ss%, sI}", "token", token, bytes, "uses", (json_int_t) a->uses[ids[i]]));
	}
	*total = (json_int_t) n;
	free(ids);
	return list;
}

static json_t *
tokens_per_word_json(const vocabulary_use *use)
{
	return json_rounded(use->words > 0 ? (double) use->tokens / (double) use->words : NAN, 4);
}

json_t *
report_vocabulary_json(const vocabulary_use *own, const vocabulary_use *other, const char *other_name,
					   size_t max_listed)
{
	json_int_t n_added, n_missing;
	json_t *added = difference_json(own, other, max_listed, &n_added);
	json_t *missing = difference_json(other, own, max_listed, &n_missing);

	return json_pack("{ss, sI, sI, sI, so, so, so, so}", "other", other_name, "tokens", (json_int_t) own->n_tokens,
					 "added_tokens", n_added, "missing_tokens", n_missing, "tokens_per_word", tokens_per_word_json(own),
					 "other_tokens_per_word", tokens_per_word_json(other), "added", added, "missing", missing);
}
