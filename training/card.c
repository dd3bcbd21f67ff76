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

json_t *
metrics_json(const metrics *m, const char *const *names, bool per_tag)
{
	json_t *root =
		json_pack("{s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t) m->rows,
				  "rows_with_tags", (json_int_t) m->rows_with_tags, "tags", m->tags, "tags_with_support",
				  m->tags_with_support, "at_calibrated_thresholds", f1_json(&m->calibrated), "at_half",
				  f1_json(&m->half), "macro_ap", json_rounded(m->macro_ap, 4), "micro_ap", json_rounded(m->micro_ap, 4),
				  "precision_at_3", json_rounded(m->precision_at_3, 4), "recall_at_3", json_rounded(m->recall_at_3, 4),
				  "precision_at_5", json_rounded(m->precision_at_5, 4), "recall_at_5", json_rounded(m->recall_at_5, 4),
				  "ece", json_rounded(m->ece, 4));
	json_t *list;
	int32_t l;

	if (m->unknown > 0)
		json_object_set_new(root, "unknown_pairs", json_integer(m->unknown));
	if (!per_tag)
		return root;
	list = json_array();
	for (l = 0; l < m->tags; l++)
	{
		const tag_metrics *t = &m->per_tag[l];
		json_t *one = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "tag", names[l], "support",
								(json_int_t) t->support, "predicted", (json_int_t) t->predicted, "precision",
								json_rounded(t->precision, 4), "recall", json_rounded(t->recall, 4), "f1",
								json_rounded(t->f1, 4), "ap", json_rounded(t->average_precision, 4), "threshold",
								json_rounded((double) t->threshold, 4));

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
	printf("  macro AP %.4f   micro AP %.4f   P@3 %.4f   R@3 %.4f   P@5 %.4f   R@5 %.4f   ECE %.4f\n\n", m->macro_ap,
		   m->micro_ap, m->precision_at_3, m->recall_at_3, m->precision_at_5, m->recall_at_5, m->ece);
	printf("  %-28s %8s %9s %9s %7s %7s %7s %10s\n", "tag", "support", "predicted", "precision", "recall", "F1", "AP",
		   "threshold");
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
		printf(" %10.3f\n", (double) t->threshold);
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
