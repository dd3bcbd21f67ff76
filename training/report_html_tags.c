/* report_html_tags.c - a tagger's page: each tag, how far its scores can be believed, and which tags stand together. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_html_parts.h"
#include "svg.h"

/* More bars than these nobody reads; the table has all. */
#define MAX_BARS 40
/* Fewer points show nothing that the bars do not. */
#define MIN_POINTS 12
#define MAX_TAG_ROWS 1000

typedef struct tag_row
{
	const char *name;
	double support, precision, recall, f1, ap, threshold;
} tag_row;

static double
member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Where the metrics with a table of tags stand: those of the test part before those of the validation part. */
static json_t *
tagged_metrics(json_t *final, const char **part)
{
	static const char *const places[] = {"test", "metrics", "validation"};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		json_t *metrics = json_object_get(final, places[i]);

		*part = strcmp(places[i], "metrics") == 0 ? NULL : places[i];
		if (json_array_size(json_object_get(metrics, "per_tag")) > 0)
			return metrics;
	}
	*part = NULL;
	return json_array_size(json_object_get(final, "per_tag")) > 0 ? final : NULL;
}

static int
by_support(const void *a, const void *b)
{
	const tag_row *x = a, *y = b;

	if (x->support != y->support)
		return x->support > y->support ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* NAN last */
static int
by_ap(const void *a, const void *b)
{
	double x = ((const tag_row *) a)->ap, y = ((const tag_row *) b)->ap;

	if (isnan(x) || isnan(y))
		return isnan(x) != isnan(y) ? (isnan(x) ? 1 : -1) : by_support(a, b);
	return x != y ? (x > y ? -1 : 1) : by_support(a, b);
}

static tag_row *
read_tags(const json_t *list, size_t *n)
{
	tag_row *tags = allocate(json_array_size(list), sizeof(*tags));
	size_t i;

	*n = 0;
	for (i = 0; i < json_array_size(list); i++)
	{
		const json_t *one = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(one, "tag"));
		double support = member(one, "support");

		if (name != NULL)
			tags[(*n)++] = (tag_row){name,
									 isfinite(support) ? support : 0,
									 member(one, "precision"),
									 member(one, "recall"),
									 member(one, "f1"),
									 member(one, "ap"),
									 member(one, "threshold")};
	}
	qsort(tags, *n, sizeof(*tags), by_support);
	return tags;
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static void
bars_figure(string_buffer *out, const tag_row *tags, size_t n)
{
	size_t shown = n < MAX_BARS ? n : MAX_BARS, i;
	tag_row *rows = allocate(shown, sizeof(*rows));
	svg_bar *bars = allocate(shown, sizeof(*bars));

	memcpy(rows, tags, shown * sizeof(*rows));
	qsort(rows, shown, sizeof(*rows), by_ap);
	for (i = 0; i < shown; i++)
		bars[i] = (svg_bar){rows[i].name, rows[i].ap, rows[i].f1, rows[i].support};
	string_printf(out,
				  "<figure class=\"tall\"><figcaption><h3>Each tag</h3><p class=\"legend\"><span><svg "
				  "viewBox=\"0 0 26 10\" aria-hidden=\"true\"><rect class=\"bar c1\" y=\"0\" width=\"26\" "
				  "height=\"10\"/></svg>average precision</span><span><svg viewBox=\"0 0 26 10\" "
				  "aria-hidden=\"true\"><circle class=\"dot c2\" cx=\"13\" cy=\"5\" r=\"4\"/></svg>F1 at the tag&#39;s "
				  "threshold</span></p><p>At the right, rows that have the tag.");
	if (shown < n)
		string_printf(out, " Shown are the %zu most frequent of %zu tags; the table below has all.", shown, n);
	string_printf(out, "</p></figcaption>\n");
	svg_draw_bars(out, "tags-narrow", "Average precision and F1 of each tag", "average precision", "F1", "rows", bars,
				  shown, "narrow", PAGE_NARROW);
	svg_draw_bars(out, "tags-wide", "Average precision and F1 of each tag", "average precision", "F1", "rows", bars,
				  shown, "wide", PAGE_HALF);
	string_printf(out, "</figure>\n");
	free(rows);
	free(bars);
}

static void
points_figure(string_buffer *out, const tag_row *tags, size_t n)
{
	svg_point *points = allocate(n, sizeof(*points));
	size_t i;

	for (i = 0; i < n; i++)
		points[i] = (svg_point){tags[i].name, tags[i].support, tags[i].ap};
	string_printf(out,
				  "<figure><figcaption><h3>Average precision by frequency</h3><p>One dot for each of %zu "
				  "tags; the scale of rows is logarithmic.</p></figcaption>\n",
				  n);
	svg_draw_points(out, "support-narrow", "Average precision over the number of rows with the tag",
					"rows with the tag", "average precision", points, n, "narrow", PAGE_NARROW, 220);
	svg_draw_points(out, "support-wide", "Average precision over the number of rows with the tag", "rows with the tag",
					"average precision", points, n, "wide", PAGE_HALF, 280);
	string_printf(out, "</figure>\n");
	free(points);
}

static void
number_cell(string_buffer *out, double value)
{
	if (isfinite(value))
		string_printf(out, "<td class=\"n\">%.3f</td>", value);
	else
		string_printf(out, "<td class=\"n\">\xe2\x80\x93</td>");
}

static void
tags_table(string_buffer *out, const tag_row *tags, size_t n)
{
	char number[HTML_NUMBER];
	size_t i;

	string_printf(out,
				  "<details><summary>All %zu tags as a table</summary><div class=\"scroll\"><table><thead><tr><th "
				  "scope=\"col\">tag</th><th scope=\"col\" class=\"n\">rows</th><th scope=\"col\" class=\"n\">AP</th>"
				  "<th scope=\"col\" class=\"n\">F1</th><th scope=\"col\" class=\"n\">precision</th><th scope=\"col\" "
				  "class=\"n\">recall</th><th scope=\"col\" class=\"n\">threshold</th></tr></thead><tbody>\n",
				  n);
	for (i = 0; i < n && i < MAX_TAG_ROWS; i++)
	{
		string_printf(out, "<tr><th scope=\"row\"><bdi>");
		html_text(out, tags[i].name);
		string_printf(out, "</bdi></th><td class=\"n\">%s</td>", html_number(number, tags[i].support));
		number_cell(out, tags[i].ap);
		number_cell(out, tags[i].f1);
		number_cell(out, tags[i].precision);
		number_cell(out, tags[i].recall);
		number_cell(out, tags[i].threshold);
		string_printf(out, "</tr>\n");
	}
	string_printf(out, "</tbody></table></div>%s</details>\n",
				  n > MAX_TAG_ROWS ? "<p class=\"note\">The rarest are left out.</p>" : "");
}

static json_t *
beside(json_t *final, json_t *metrics, const char *key)
{
	json_t *value = json_object_get(metrics, key);

	return json_is_object(value) ? value : json_object_get(final, key);
}

static void
reliability_figure(string_buffer *out, const json_t *calibration)
{
	const json_t *list = json_object_get(calibration, "bins");
	size_t n = json_array_size(list), i;
	svg_bin *bins;
	char number[HTML_NUMBER];

	if (n == 0)
		return;
	bins = allocate(n, sizeof(*bins));
	for (i = 0; i < n; i++)
	{
		const json_t *bin = json_array_get(list, i);
		double from = member(bin, "from"), to = member(bin, "to"), count = member(bin, "count");

		bins[i] = (svg_bin){isfinite(from) ? from : (double) i / (double) n,
							isfinite(to) ? to : (double) (i + 1) / (double) n, member(bin, "mean_score"),
							member(bin, "share"), isfinite(count) ? count : 0};
	}
	string_printf(out,
				  "<figure><figcaption><h3>Reliability</h3><p>How often a tag with this score is true; on the dashed "
				  "line, as often as the score says. Below, how many pairs of row and tag there are, on a logarithmic "
				  "scale.");
	if (isfinite(member(calibration, "ece")))
		string_printf(out, " Expected calibration error %s", html_number(number, member(calibration, "ece")));
	if (isfinite(member(calibration, "brier")))
		string_printf(out, ", Brier score %s", html_number(number, member(calibration, "brier")));
	string_printf(out, "%s</p></figcaption>\n", isfinite(member(calibration, "ece")) ? "." : "");
	svg_draw_reliability(out, "reliability-narrow", "Share of true tags over the score", bins, n, "narrow",
						 PAGE_NARROW);
	svg_draw_reliability(out, "reliability-wide", "Share of true tags over the score", bins, n, "wide", PAGE_HALF);
	string_printf(out,
				  "<details><summary>The numbers</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\" "
				  "class=\"n\">mean score</th><th scope=\"col\" class=\"n\">true</th><th scope=\"col\" "
				  "class=\"n\">pairs</th></tr></thead><tbody>\n");
	for (i = 0; i < n; i++)
	{
		string_printf(out, "<tr>");
		number_cell(out, bins[i].mean);
		number_cell(out, bins[i].share);
		string_printf(out, "<td class=\"n\">%s</td></tr>\n", html_number(number, bins[i].count));
	}
	string_printf(out, "</tbody></table></div></details></figure>\n");
	free(bins);
}

/* The table beside the map: for each tag the three that stand with it most often. */
static void
together_table(string_buffer *out, const char *const *names, const double *shares, size_t n)
{
	size_t i, j, k;

	string_printf(out,
				  "<details><summary>The closest of each, as a table</summary><div class=\"scroll\"><table><thead><tr>"
				  "<th scope=\"col\">of the rows with</th><th scope=\"col\">so many have also</th></tr></thead>"
				  "<tbody>\n");
	for (i = 0; i < n; i++)
	{
		double below = INFINITY;
		size_t last = n;

		string_printf(out, "<tr><th scope=\"row\"><bdi>");
		html_text(out, names[i]);
		string_printf(out, "</bdi></th><td>");
		for (k = 0; k < 3; k++)
		{
			size_t best = n;

			for (j = 0; j < n; j++)
			{
				double share = shares[i * n + j];

				if (j == i || !(share > 0) || share > below || (share == below && j <= last))
					continue;
				if (best == n || share > shares[i * n + best])
					best = j;
			}
			if (best == n)
				break;
			below = shares[i * n + best];
			last = best;
			string_printf(out, "%s<bdi>", k > 0 ? ", " : "");
			html_text(out, names[best]);
			string_printf(out, "</bdi> %.0f %%", 100 * below);
		}
		string_printf(out, "</td></tr>\n");
	}
	string_printf(out, "</tbody></table></div></details>\n");
}

static void
map_figure(string_buffer *out, const json_t *map)
{
	const json_t *list = json_object_get(map, "tags"), *together = json_object_get(map, "together");
	size_t n = json_array_size(list), i, j;
	const char **names;
	double *shares;

	if (n < 2 || json_array_size(together) != n)
		return;
	names = allocate(n, sizeof(*names));
	shares = allocate(n * n, sizeof(*shares));
	for (i = 0; i < n; i++)
	{
		const json_t *row = json_array_get(together, i);
		double support = json_number_value(json_array_get(row, i));

		names[i] = json_string_value(json_array_get(list, i));
		if (names[i] == NULL)
			names[i] = "";
		for (j = 0; j < n; j++)
		{
			double both = json_number_value(json_array_get(row, j));

			shares[i * n + j] = i != j && support > 0 && both > 0 ? both / support : NAN;
		}
	}
	string_printf(
		out, "<figure class=\"full\"><figcaption><h3>Tags that stand together</h3><p>Of the rows that have the tag "
			 "at the left, the share that also has the tag above, in percent; the most frequent tag first."
			 "</p></figcaption>\n");
	svg_draw_map(out, "map-narrow", "Which tags stand together", names, shares, n, "narrow", PAGE_NARROW);
	svg_draw_map(out, "map-wide", "Which tags stand together", names, shares, n, "wide", PAGE_FULL);
	together_table(out, names, shares, n);
	string_printf(out, "</figure>\n");
	free(names);
	free(shares);
}

void
page_tags(string_buffer *out, const run_record *run)
{
	const char *part;
	json_t *metrics = tagged_metrics(run->final, &part);
	json_t *calibration = beside(run->final, metrics, "calibration");
	json_t *map = beside(run->final, metrics, "cooccurrence");
	tag_row *tags;
	size_t n;

	if (metrics == NULL && calibration == NULL && map == NULL)
		return;
	string_printf(out, "<section aria-labelledby=\"tags\"><h2 id=\"tags\">Tags</h2>\n");
	if (part != NULL)
		string_printf(out, "<p class=\"soft\">Measured on the %s part.</p>\n", part);
	string_printf(out, "<div class=\"plots\">\n");
	tags = read_tags(json_object_get(metrics, "per_tag"), &n);
	if (n > 0)
		bars_figure(out, tags, n);
	if (n >= MIN_POINTS)
		points_figure(out, tags, n);
	reliability_figure(out, calibration);
	map_figure(out, map);
	string_printf(out, "</div>\n");
	if (n > 0)
		tags_table(out, tags, n);
	string_printf(out, "</section>\n");
	free(tags);
}

/* ---- vocabulary -------------------------------------------------------------------------------------------------- */

static void
words_list(string_buffer *out, const json_t *list)
{
	char number[HTML_NUMBER];
	size_t i;

	string_printf(out, "<ul class=\"words\">\n");
	for (i = 0; i < json_array_size(list); i++)
	{
		const json_t *one = json_array_get(list, i);
		const char *word =
			json_is_string(one) ? json_string_value(one) : json_string_value(json_object_get(one, "token"));
		double uses = member(one, "uses");

		if (word == NULL)
			continue;
		string_printf(out, "<li><bdi>");
		html_text(out, word);
		string_printf(out, "</bdi>");
		if (uses > 0)
			string_printf(out, "<small>%s</small>", html_number(number, uses));
		string_printf(out, "</li>\n");
	}
	string_printf(out, "</ul>\n");
}

void
page_vocabulary(string_buffer *out, const run_record *run)
{
	json_t *vocabulary = json_object_get(run->manifest, "vocabulary");
	const json_t *added = json_object_get(vocabulary, "added"), *missing = json_object_get(vocabulary, "missing");
	const char *other = page_string(vocabulary, "other");
	double own = member(vocabulary, "tokens_per_word"), others = member(vocabulary, "other_tokens_per_word");
	char a[HTML_NUMBER], b[HTML_NUMBER];

	if (json_array_size(added) + json_array_size(missing) == 0)
		return;
	string_printf(out, "<section aria-labelledby=\"words\"><h2 id=\"words\">Words of its own</h2>\n<p class=\"soft\">");
	string_printf(out, "The vocabulary of this run beside ");
	html_text(out, other != NULL ? other : "another");
	string_printf(out, ".");
	if (isfinite(own) && isfinite(others))
		string_printf(out, " A word of these texts takes %s tokens; with the other vocabulary %s.", html_number(a, own),
					  html_number(b, others));
	string_printf(out, " The numbers tell how often a word is needed.</p>\n");
	if (json_array_size(added) > 0)
	{
		string_printf(out, "<h3 class=\"label\">Words your texts added</h3>\n");
		words_list(out, added);
	}
	if (json_array_size(missing) > 0)
	{
		string_printf(out, "<details><summary>Words that only the other vocabulary has</summary>\n");
		words_list(out, missing);
		string_printf(out, "</details>\n");
	}
	string_printf(out, "</section>\n");
}
