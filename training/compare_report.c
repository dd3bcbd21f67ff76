/* compare_report.c - tables of a comparison, and the same as JSON; the verdict last. */
#include "compare_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "card.h"
#include "report.h"
#include "significance.h"

#define SENTENCE_SIZE 320

static void
print_sides(const compare_report *report)
{
	size_t s;

	printf("\n  %-10s %-40s %s\n", report->by_seed ? "seed" : "pair", "A", "B");
	for (s = 0; s < report->a->n; s++)
	{
		long long number = report->by_seed ? (long long) report->a->files[s].seed : (long long) s + 1;

		printf("  %-10lld %-40s %s\n", number, report->a->paths[s], report->b->paths[s]);
	}
	if (!report->by_seed)
		printf("  (paired by order of name: not every file has a seed of its own that the other side has too)\n");
}

static void
print_figures(const compare_report *report)
{
	const comparison *c = report->comparison;
	char title[32], number[32], clusters[32], draws[32];
	size_t f;

	printf("\n%s rows, ", format_count(number, sizeof(number), (long long) c->n_rows));
	printf("%s keys, %zu tags, %zu paired %s; ", format_count(clusters, sizeof(clusters), (long long) c->n_clusters),
		   c->n_tags, c->n_pairs, c->n_pairs == 1 ? "seed" : "seeds");
	printf("two-level bootstrap of %s draws; B - A in points (hundredths)\n\n",
		   format_count(draws, sizeof(draws), (long long) report->options->draws));
	printf("                     A         B     B - A   95 %% (BCa)              p   p (Holm)\n");
	for (f = 0; f < c->n_figures; f++)
	{
		const compared_figure *figure = &c->figures[f];
		char range[32];

		weighted_title(title, sizeof(title), &report->options->cutoffs, f);
		snprintf(range, sizeof(range), "%.2f to %.2f", 100 * figure->delta.low, 100 * figure->delta.high);
		printf("  %-11s %8.4f  %8.4f  %+8.2f   %-17s  %6.4f", title, figure->a, figure->b, 100 * figure->delta.estimate,
			   range, figure->p);
		if (isnan(figure->p_holm))
			printf("%s\n", weighted_less_is_better(f) ? "             less is better" : "");
		else
			printf("  %9.4f\n", figure->p_holm);
	}
	printf("\n  p: sign-flip test over the %zu seeds, which cannot be below 2/2^%zu = %.2g;\n"
		   "  Holm's, of the three primary figures together, not below %.2g.\n",
		   c->n_pairs, c->n_pairs, sign_flip_smallest(c->n_pairs), fmin(1, 3 * sign_flip_smallest(c->n_pairs)));
}

static void
print_tags(const compare_report *report)
{
	const comparison *c = report->comparison;
	size_t l;

	printf("\n  %-28s %8s %7s %7s %8s %8s %7s %7s\n", "tag", "support", "AP of A", "of B", "B - A", "F1 B - A", "p",
		   "q (BH)");
	for (l = 0; l < c->n_tags && (report->max_tags == 0 || l < report->max_tags); l++)
	{
		const compared_tag *tag = &c->tags[l];

		printf("  %-28s %8lld ", tag->name, (long long) tag->support);
		if (tag->support == 0)
			printf("%7s %7s %8s %+8.2f %7s %7s\n", "-", "-", "-", 100 * (tag->f1_b - tag->f1_a), "-", "-");
		else
			printf("%7.3f %7.3f %+8.2f %+8.2f %7.4f %7.4f\n", tag->ap_a, tag->ap_b, 100 * (tag->ap_b - tag->ap_a),
				   100 * (tag->f1_b - tag->f1_a), tag->p, tag->q);
	}
	if (report->max_tags > 0 && c->n_tags > report->max_tags)
		printf("  ... and %zu more tags (--all-tags shows them)\n", c->n_tags - report->max_tags);
}

static void
print_lengths(const compare_report *report)
{
	const comparison *c = report->comparison;
	size_t q;

	if (c->n_lengths == 0)
		return;
	printf("\n  %-24s %8s  micro F1 of A      B  B - A  macro AP of A      B  B - A\n", "characters of the text",
		   "rows");
	for (q = 0; q < c->n_lengths; q++)
	{
		const compared_length *g = &c->lengths[q];
		char range[32];

		snprintf(range, sizeof(range), "%lu to %lu", (unsigned long) g->shortest, (unsigned long) g->longest);
		printf("  %-24s %8zu  %13.4f %.4f %+6.2f  %13.4f %.4f %+6.2f\n", range, g->rows, g->micro_f1_a, g->micro_f1_b,
			   100 * (g->micro_f1_b - g->micro_f1_a), g->macro_ap_a, g->macro_ap_b,
			   100 * (g->macro_ap_b - g->macro_ap_a));
	}
}

void
compare_print(const compare_report *report)
{
	char title[32], sentence[SENTENCE_SIZE];

	print_sides(report);
	print_figures(report);
	print_tags(report);
	print_lengths(report);
	if (report->comparison->n_pairs < COMPARE_MIN_SEEDS)
		return;
	weighted_title(title, sizeof(title), &report->options->cutoffs, report->figure);
	compare_verdict(report->comparison, report->figure, title, sentence, sizeof(sentence));
	printf("\n%s\n", sentence);
}

static json_t *
side_json(const prediction_set *set)
{
	json_t *list = json_array();
	size_t s;

	for (s = 0; s < set->n; s++)
	{
		const predictions *p = &set->files[s];

		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "file", set->paths[s], "model_sha256", p->model_sha256,
											  "seed", p->has_seed ? json_integer(p->seed) : json_null()));
	}
	return list;
}

static json_t *
figure_json(const compared_figure *figure, size_t n)
{
	json_t *deltas = json_array();
	size_t s;

	for (s = 0; s < n; s++)
		json_array_append_new(deltas, json_rounded(figure->deltas[s], 6));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "a", json_rounded(figure->a, 6), "b",
					 json_rounded(figure->b, 6), "delta", json_rounded(figure->delta.estimate, 6), "low",
					 json_rounded(figure->delta.low, 6), "high", json_rounded(figure->delta.high, 6), "percentile_low",
					 json_rounded(figure->delta.percentile_low, 6), "percentile_high",
					 json_rounded(figure->delta.percentile_high, 6), "standard_error",
					 json_rounded(figure->delta.standard_error, 6), "p", json_rounded(figure->p, 8), "p_holm",
					 json_rounded(figure->p_holm, 8), "deltas", deltas);
}

static json_t *
tags_json(const comparison *c)
{
	json_t *list = json_array();
	size_t l;

	for (l = 0; l < c->n_tags; l++)
	{
		const compared_tag *tag = &c->tags[l];

		json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "tag", tag->name, "support",
											  (json_int_t) tag->support, "ap_a", json_rounded(tag->ap_a, 6), "ap_b",
											  json_rounded(tag->ap_b, 6), "f1_a", json_rounded(tag->f1_a, 6), "f1_b",
											  json_rounded(tag->f1_b, 6), "p", json_rounded(tag->p, 8), "q",
											  json_rounded(tag->q, 8)));
	}
	return list;
}

static json_t *
lengths_json(const comparison *c)
{
	json_t *list = json_array();
	size_t q;

	for (q = 0; q < c->n_lengths; q++)
	{
		const compared_length *g = &c->lengths[q];

		json_array_append_new(
			list, json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "shortest", (json_int_t) g->shortest, "longest",
							(json_int_t) g->longest, "rows", (json_int_t) g->rows, "micro_f1_a",
							json_rounded(g->micro_f1_a, 6), "micro_f1_b", json_rounded(g->micro_f1_b, 6), "macro_ap_a",
							json_rounded(g->macro_ap_a, 6), "macro_ap_b", json_rounded(g->macro_ap_b, 6)));
	}
	return list;
}

static json_t *
verdict_json(const compare_report *report)
{
	char title[32], key[32], sentence[SENTENCE_SIZE];
	compare_outcome outcome;

	if (report->comparison->n_pairs < COMPARE_MIN_SEEDS)
		return json_null();
	weighted_title(title, sizeof(title), &report->options->cutoffs, report->figure);
	weighted_key(key, sizeof(key), &report->options->cutoffs, report->figure);
	outcome = compare_verdict(report->comparison, report->figure, title, sentence, sizeof(sentence));
	return json_pack("{s:s, s:s, s:s}", "metric", key, "b_is", compare_outcome_names[outcome], "sentence", sentence);
}

json_t *
compare_json(const compare_report *report)
{
	const comparison *c = report->comparison;
	json_t *figures = json_object();
	char key[32];
	size_t f;

	for (f = 0; f < c->n_figures; f++)
	{
		weighted_key(key, sizeof(key), &report->options->cutoffs, f);
		json_object_set_new(figures, key, figure_json(&c->figures[f], c->n_pairs));
	}
	return json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:{s:s, s:I, s:I, s:f}, s:f, s:o, s:o, s:o, s:o}", "a",
					 side_json(report->a), "b", side_json(report->b), "paired_by", report->by_seed ? "seed" : "name",
					 "pairs", (json_int_t) c->n_pairs, "rows", (json_int_t) c->n_rows, "clusters",
					 (json_int_t) c->n_clusters, "tags", (json_int_t) c->n_tags, "bootstrap", "method", "BCa", "draws",
					 (json_int_t) report->options->draws, "seed", (json_int_t) report->options->seed, "level", 0.95,
					 "smallest_p", sign_flip_smallest(c->n_pairs), "metrics", figures, "per_tag", tags_json(c),
					 "by_length", lengths_json(c), "verdict", verdict_json(report));
}
