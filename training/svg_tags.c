/* svg_tags.c - bars, points, reliability and the map of tags that stand together. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"

#define BAR_ROW 21.0

static void
attribute(string_buffer *out, const char *name, double value)
{
	string_printf(out, " %s=\"", name);
	svg_number(out, value);
	string_add(out, "\"", 1);
}

static void
rectangle(string_buffer *out, const char *css_class, double x, double y, double width, double height)
{
	string_printf(out, "<rect class=\"%s\"", css_class);
	attribute(out, "x", x);
	attribute(out, "y", y);
	attribute(out, "width", width);
	attribute(out, "height", height);
}

static void
circle(string_buffer *out, const char *css_class, double x, double y, double radius)
{
	string_printf(out, "<circle class=\"%s\"", css_class);
	attribute(out, "cx", x);
	attribute(out, "cy", y);
	attribute(out, "r", radius);
}

static void
segment(string_buffer *out, const char *css_class, double x1, double y1, double x2, double y2)
{
	string_printf(out, "<line class=\"%s\"", css_class);
	attribute(out, "x1", x1);
	attribute(out, "y1", y1);
	attribute(out, "x2", x2);
	attribute(out, "y2", y2);
	string_printf(out, "/>\n");
}

static double
within(double share)
{
	return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* ---- bars -------------------------------------------------------------------------------------------------------- */

void
svg_draw_bars(string_buffer *out, const char *id, const char *title, const char *length_name, const char *dot_name,
			  const char *count_name, const svg_bar *bars, size_t n, const char *css_class, double width)
{
	static const double quarters[] = {0, 0.25, 0.5, 0.75, 1};
	static const char *const quarter_names[] = {"0", ".25", ".5", ".75", "1"};
	char number[HTML_NUMBER], length[HTML_NUMBER], dot[HTML_NUMBER];
	double height = 24 + BAR_ROW * (double) n + 4;
	size_t widest = 4, count_columns = html_width(count_name), i;
	double left, right;

	for (i = 0; i < n; i++)
	{
		size_t name = html_width(bars[i].name), count = html_width(html_number(number, bars[i].count));

		widest = name > widest ? name : widest;
		count_columns = count > count_columns ? count : count_columns;
	}
	left = fmin((double) widest * 6.8 + 8, width * 0.38);
	right = width - (double) count_columns * 6.8 - 12;
	svg_begin(out, id, css_class, width, height, title, NULL);
	for (i = 0; i < 5; i++)
	{
		double x = left + quarters[i] * (right - left);

		segment(out, i == 0 ? "axis" : "grid", x, 18, x, height - 4);
		svg_text(out, x, 12, NULL, "middle", quarter_names[i], SIZE_MAX);
	}
	svg_text(out, width, 12, "axis-name", "end", count_name, SIZE_MAX);
	for (i = 0; i < n; i++)
	{
		double y = 24 + BAR_ROW * (double) i;

		string_printf(out, "<g><title>");
		html_text(out, bars[i].name);
		string_printf(out, ": %s %s, %s %s, %s %s</title>", length_name, html_number(length, bars[i].length), dot_name,
					  html_number(dot, bars[i].dot), count_name, html_number(number, bars[i].count));
		svg_text(out, left - 7, y + 13, "name", "end", bars[i].name, svg_columns(left - 8));
		if (isfinite(bars[i].length))
		{
			rectangle(out, "bar c1", left, y + 3, within(bars[i].length) * (right - left), BAR_ROW - 7);
			string_printf(out, "/>\n");
		}
		if (isfinite(bars[i].dot))
		{
			circle(out, "dot c2", left + within(bars[i].dot) * (right - left), y + (BAR_ROW - 1) / 2, 4);
			string_printf(out, "/>\n");
		}
		svg_text(out, width, y + 13, NULL, "end", number, SIZE_MAX);
		string_printf(out, "</g>\n");
	}
	svg_end(out);
}

/* ---- points ------------------------------------------------------------------------------------------------------ */

static void
share_axis(string_buffer *out, const svg_scale *x, const svg_scale *y)
{
	double ticks[SVG_MAX_TICKS];
	char name[HTML_NUMBER];
	size_t n = svg_ticks(y, 6, ticks), i;

	for (i = 0; i < n; i++)
	{
		double at = svg_place(y, ticks[i]);

		segment(out, i == 0 ? "axis" : "grid", x->from, at, x->to, at);
		svg_text(out, x->from - 6, at + 4, NULL, "end", svg_tick_name(name, ticks, n, i, false), SIZE_MAX);
	}
}

static void
bottom_axis(string_buffer *out, const svg_scale *x, double y, const char *axis_name)
{
	double ticks[SVG_MAX_TICKS], end = -INFINITY;
	char name[HTML_NUMBER];
	size_t n = svg_ticks(x, (size_t) ((x->to - x->from) / 50), ticks), i;

	for (i = 0; i < n; i++)
	{
		double at = svg_place(x, ticks[i]), half;

		svg_tick_name(name, ticks, n, i, x->log);
		half = 3.4 * (double) html_width(name);
		segment(out, "axis", at, y, at, y + 4);
		if (at - half < end + 6)
			continue;
		svg_text(out, at, y + 17, NULL, "middle", name, SIZE_MAX);
		end = at + half;
	}
	svg_text(out, (x->from + x->to) / 2, y + 32, "axis-name", "middle", axis_name, SIZE_MAX);
}

void
svg_draw_points(string_buffer *out, const char *id, const char *title, const char *x_name, const char *y_name,
				const svg_point *points, size_t n, const char *css_class, double width, double height)
{
	svg_scale x = {.low = INFINITY, .high = 0, .from = 34, .to = width - 12, .log = true};
	svg_scale y = {.low = 0, .high = 1, .from = height - 36, .to = 8};
	char number[HTML_NUMBER], value[HTML_NUMBER];
	size_t i;

	for (i = 0; i < n; i++)
		if (points[i].x > 0 && isfinite(points[i].y))
		{
			x.low = fmin(x.low, points[i].x);
			x.high = fmax(x.high, points[i].x);
		}
	if (x.high == 0)
		x.low = x.high = 1;
	x.low /= 1.15;
	x.high *= 1.15;
	svg_begin(out, id, css_class, width, height, title, NULL);
	share_axis(out, &x, &y);
	bottom_axis(out, &x, y.from, x_name);
	for (i = 0; i < n; i++)
	{
		if (!(points[i].x > 0) || !isfinite(points[i].y))
			continue;
		circle(out, "point c1", svg_place(&x, points[i].x), svg_place(&y, within(points[i].y)), 4);
		string_printf(out, "><title>");
		html_text(out, points[i].name);
		string_printf(out, ": %s %s, %s %s</title></circle>\n", x_name, html_number(number, points[i].x), y_name,
					  html_number(value, points[i].y));
	}
	svg_end(out);
}

/* ---- reliability ------------------------------------------------------------------------------------------------- */

static void
reliability_counts(string_buffer *out, const svg_bin *bins, size_t n, const svg_scale *x, double top, double bottom)
{
	double most = 1;
	size_t i;

	for (i = 0; i < n; i++)
		most = fmax(most, bins[i].count);
	for (i = 0; i < n; i++)
	{
		double height = bins[i].count > 0 ? (bottom - top) * log1p(bins[i].count) / log1p(most) : 0;
		double from = svg_place(x, bins[i].from), to = svg_place(x, bins[i].to);
		char count[HTML_NUMBER];

		if (height <= 0)
			continue;
		rectangle(out, "bar c4", from + 1, bottom - height, fmax(to - from - 2, 1), height);
		string_printf(out, "><title>%s pairs</title></rect>\n", html_number(count, bins[i].count));
	}
	segment(out, "axis", x->from, bottom, x->to, bottom);
}

void
svg_draw_reliability(string_buffer *out, const char *id, const char *title, const svg_bin *bins, size_t n,
					 const char *css_class, double width)
{
	double side = width - 34 - 12, strip = 44;
	svg_scale x = {.low = 0, .high = 1, .from = 34, .to = width - 12};
	svg_scale y = {.low = 0, .high = 1, .from = 8 + side * 0.8, .to = 8};
	char mean[HTML_NUMBER], share[HTML_NUMBER], count[HTML_NUMBER];
	bool first = true;
	size_t i;

	svg_begin(out, id, css_class, width, y.from + 14 + strip + 36, title, NULL);
	share_axis(out, &x, &y);
	segment(out, "rule", x.from, y.from, x.to, y.to);
	reliability_counts(out, bins, n, &x, y.from + 14, y.from + 14 + strip);
	bottom_axis(out, &x, y.from + 14 + strip, "score");
	string_printf(out, "<path class=\"line c1\" d=\"");
	for (i = 0; i < n; i++)
	{
		if (!isfinite(bins[i].mean) || !isfinite(bins[i].share))
			continue;
		string_printf(out, "%s", first ? "M" : "L");
		svg_number(out, svg_place(&x, within(bins[i].mean)));
		string_add(out, " ", 1);
		svg_number(out, svg_place(&y, within(bins[i].share)));
		first = false;
	}
	string_printf(out, "%s\"/>\n", first ? "M0 0" : "");
	for (i = 0; i < n; i++)
	{
		if (!isfinite(bins[i].mean) || !isfinite(bins[i].share))
			continue;
		circle(out, "dot c1", svg_place(&x, within(bins[i].mean)), svg_place(&y, within(bins[i].share)), 4);
		string_printf(out, "><title>mean score %s, true %s, of %s pairs</title></circle>\n",
					  html_number(mean, bins[i].mean), html_number(share, bins[i].share),
					  html_number(count, bins[i].count));
	}
	svg_end(out);
}

/* ---- map --------------------------------------------------------------------------------------------------------- */

static void
map_cell(string_buffer *out, double share, double x, double y, double width, double height)
{
	char percent[16];

	rectangle(out, "cell", x + 0.5, y + 0.5, width - 1, height - 1);
	string_printf(out, " fill-opacity=\"%.2g\"/>\n", 0.04 + 0.96 * within(share));
	if (width < 26)
		return;
	snprintf(percent, sizeof(percent), "%.0f", 100 * within(share));
	svg_text(out, x + width / 2, y + height / 2 + 4, share > 0.55 ? "cell-dark" : "cell-text", "middle", percent,
			 SIZE_MAX);
}

void
svg_draw_map(string_buffer *out, const char *id, const char *title, const char *const *names, const double *shares,
			 size_t n, const char *css_class, double width)
{
	size_t widest = 4, i, j;
	double left, top, cell, row;
	bool with_names = width > 600;

	for (i = 0; i < n; i++)
	{
		size_t columns = html_width(names[i]);

		widest = columns > widest ? columns : widest;
	}
	left = fmin((double) (widest + 3) * 6.8 + 8, with_names ? 220 : width * 0.36);
	top = with_names ? fmin((double) widest * 5.2 + 14, 110) : 18;
	/* Names over columns lean to the right: the last one needs room there. */
	cell = fmin((width - left - (with_names ? top * 0.8 : 2)) / (double) n, 52);
	row = with_names ? fmin(cell, 26) : fmax(cell, 15);
	svg_begin(out, id, css_class, width, top + row * (double) n + 4, title, NULL);
	for (i = 0; i < n; i++)
	{
		double y = top + row * (double) i, x = left + cell * ((double) i + 0.5);
		char number[24];

		snprintf(number, sizeof(number), "%zu", i + 1);
		svg_text(out, left - (with_names ? 7 : 24), y + row / 2 + 4, "name", "end", names[i],
				 svg_columns(left - (with_names ? 8 : 25)));
		if (with_names)
		{
			string_printf(out, "<g transform=\"translate(");
			svg_number(out, x);
			string_add(out, " ", 1);
			svg_number(out, top - 6);
			string_printf(out, ") rotate(-50)\">");
			svg_text(out, 0, 4, "name", "start", names[i], svg_columns(top / 0.77 - 4));
			string_printf(out, "</g>\n");
		}
		else
		{
			svg_text(out, left - 5, y + row / 2 + 4, NULL, "end", number, SIZE_MAX);
			if (cell >= 17 || i % 2 == 0)
				svg_text(out, x, top - 5, NULL, "middle", number, SIZE_MAX);
		}
		for (j = 0; j < n; j++)
			if (isfinite(shares[i * n + j]))
				map_cell(out, shares[i * n + j], left + cell * (double) j, y, cell, row);
	}
	svg_end(out);
}
