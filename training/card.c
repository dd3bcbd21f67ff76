/* card.c - metrics and counts as JSON and as tables. */
#include "card.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "report.h"

json_t *
json_rounded(double value, int digits)
{
	double scale = pow(10, digits);

	if (!isfinite(value))
		return json_null();
	return json_real(round(value * scale) / scale);
}

bool
card_about_is_text(const char *about)
{
	json_t *text = about != NULL ? json_string(about) : json_null();
	bool valid = text != NULL;

	json_decref(text);
	return valid;
}

json_t *
row_counts_json(const row_counts *counts)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "read", (json_int_t) counts->read, "used",
					 (json_int_t) counts->used, "null_text", (json_int_t) counts->null_text, "empty_text",
					 (json_int_t) counts->empty_text, "null_tags", (json_int_t) counts->null_tags, "no_tags",
					 (json_int_t) counts->no_tags, "null_key", (json_int_t) counts->null_key, "null_tag_elements",
					 (json_int_t) counts->null_elements, "repeated_tags", (json_int_t) counts->repeated_tags, "scoped",
					 (json_int_t) counts->scoped);
}

static json_t *
f1_json(const f1_summary *f1)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "micro_precision", json_rounded(f1->micro_precision, 4),
					 "micro_recall", json_rounded(f1->micro_recall, 4), "micro_f1", json_rounded(f1->micro_f1, 4),
					 "macro_f1", json_rounded(f1->macro_f1, 4), "samples_f1", json_rounded(f1->samples_f1, 4));
}

/* "precision_at_3" and its like. */
static void
add_at(json_t *root, const metrics_at *at)
{
	const struct
	{
		const char *name;
		json_t *value;
	} figures[] = {{"precision", json_rounded(at->precision, 4)},
				   {"recall", json_rounded(at->recall, 4)},
				   {"ndcg", json_rounded(at->ndcg, 4)},
				   {"tags_learned", json_integer(at->tags_learned)},
				   {"tag_recall", json_rounded(at->tag_recall, 4)}};
	char key[64];
	size_t i;

	for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
	{
		snprintf(key, sizeof(key), "%s_at_%zu", figures[i].name, at->k);
		json_object_set_new(root, key, figures[i].value);
	}
}

json_t *
metrics_json(const metrics *m, const char *const *names, bool per_tag)
{
	json_t *root =
		json_pack("{s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:i, s:o}", "rows", (json_int_t) m->rows, "rows_with_tags",
				  (json_int_t) m->rows_with_tags, "tags", m->tags, "tags_with_support", m->tags_with_support,
				  "at_calibrated_thresholds", f1_json(&m->calibrated), "at_half", f1_json(&m->half), "macro_ap",
				  json_rounded(m->macro_ap, 4), "micro_ap", json_rounded(m->micro_ap, 4), "tags_learned",
				  m->tags_learned, "tag_recall", json_rounded(m->tag_recall, 4));
	json_t *list;
	int32_t l;
	size_t i;

	for (i = 0; i < m->n_at; i++)
		add_at(root, &m->at[i]);
	json_object_set_new(root, "ece", json_rounded(m->ece, 4));
	json_object_set_new(root, "brier", json_rounded(m->brier, 4));
	if (m->unknown > 0)
		json_object_set_new(root, "unknown_pairs", json_integer(m->unknown));
	if (!per_tag)
		return root;
	list = json_array();
	for (l = 0; l < m->tags; l++)
	{
		const tag_metrics *t = &m->per_tag[l];
		json_t *one =
			json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tag", names[l], "support",
					  (json_int_t) t->support, "predicted", (json_int_t) t->predicted, "precision",
					  json_rounded(t->precision, 4), "recall", json_rounded(t->recall, 4), "f1", json_rounded(t->f1, 4),
					  "ap", json_rounded(t->average_precision, 4), "brier", json_rounded(t->brier, 4), "ece",
					  json_rounded(t->ece, 4), "threshold", json_rounded((double) t->threshold, 4));

		/* Only where rows differ in what is known of them. */
		if (m->unknown > 0)
			json_object_set_new(one, "known", json_integer(t->known));
		json_array_append_new(list, one);
	}
	json_object_set_new(root, "per_tag", list);
	return root;
}

static const tag_metrics *sort_base;

static int
by_support(const void *a, const void *b)
{
	int32_t i = *(const int32_t *) a, j = *(const int32_t *) b;

	if (sort_base[i].support != sort_base[j].support)
		return sort_base[i].support > sort_base[j].support ? -1 : 1;
	return i < j ? -1 : 1;
}

void
metrics_print(const metrics *m, const char *const *names, const char *title, size_t max_tags)
{
	int32_t *order = allocate((size_t) m->tags, sizeof(int32_t));
	char number[32];
	int32_t l;
	size_t k;

	printf("\n%s: %s rows", title, format_count(number, sizeof(number), m->rows));
	printf(", %s with tags, %d tags (%d with support)\n\n", format_count(number, sizeof(number), m->rows_with_tags),
		   m->tags, m->tags_with_support);
	if (m->unknown > 0)
		printf("  %s pairs of row and tag are unknown and count for nothing.\n\n",
			   format_count(number, sizeof(number), m->unknown));
	printf("                   micro F1  macro F1  samples F1   micro P  micro R\n");
	printf("  own thresholds   %8.4f  %8.4f  %10.4f  %8.4f %8.4f\n", m->calibrated.micro_f1, m->calibrated.macro_f1,
		   m->calibrated.samples_f1, m->calibrated.micro_precision, m->calibrated.micro_recall);
	printf("  at 0.5           %8.4f  %8.4f  %10.4f  %8.4f %8.4f\n\n", m->half.micro_f1, m->half.macro_f1,
		   m->half.samples_f1, m->half.micro_precision, m->half.micro_recall);
	printf("  macro AP %.4f   micro AP %.4f   ECE %.4f   Brier %.4f\n", m->macro_ap, m->micro_ap, m->ece, m->brier);
	printf("  tags learned %d of %d, mean recall of a tag %.4f\n\n", m->tags_learned, m->tags_with_support,
		   m->tag_recall);
	if (m->n_at > 0)
		printf("  best k    precision   recall     nDCG  tags learned  mean recall of a tag\n");
	for (k = 0; k < m->n_at; k++)
		printf("  %6zu  %11.4f %8.4f %8.4f  %12d  %20.4f\n", m->at[k].k, m->at[k].precision, m->at[k].recall,
			   m->at[k].ndcg, m->at[k].tags_learned, m->at[k].tag_recall);
	printf("\n  %-28s %8s %9s %9s %7s %7s %7s %7s %7s %10s\n", "tag", "support", "predicted", "precision", "recall",
		   "F1", "AP", "Brier", "ECE", "threshold");
	for (l = 0; l < m->tags; l++)
		order[l] = l;
	sort_base = m->per_tag;
	qsort(order, (size_t) m->tags, sizeof(int32_t), by_support);
	for (l = 0; l < m->tags && (max_tags == 0 || (size_t) l < max_tags); l++)
	{
		const tag_metrics *t = &m->per_tag[order[l]];

		printf("  %-28s %8lld %9lld %9.3f %7.3f %7.3f ", names[order[l]], (long long) t->support,
			   (long long) t->predicted, t->precision, t->recall, t->f1);
		if (isnan(t->average_precision))
			printf("%7s", "-");
		else
			printf("%7.3f", t->average_precision);
		printf(" %7.4f %7.4f %10.3f\n", t->brier, t->ece, (double) t->threshold);
	}
	if (max_tags > 0 && (size_t) m->tags > max_tags)
		printf("  ... and %zu more tags (--all-tags shows them)\n", (size_t) m->tags - max_tags);
	free(order);
}

void
json_print(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	putchar('\n');
}

json_t *
card_of_base(const mb_model *base)
{
	json_t *card = base->card_json != NULL ? json_loads(base->card_json, 0, NULL) : NULL;
	json_t *part;
	const char *name;

	if (card == NULL)
		return json_null();
	json_object_del(json_object_get(card, "training"), "trials");
	json_object_del(json_object_get(json_object_get(card, "data"), "tags"), "left_out_first");
	json_object_foreach(json_object_get(card, "metrics"), name, part) json_object_del(part, "per_tag");
	return card;
}
