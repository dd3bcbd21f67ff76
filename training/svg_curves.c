/* svg_curves.c - values over steps: axes, curves thinned to what the width can show, marks of events. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"

#define ROW 14.0 /* of marks */
#define MARK_RADIUS 6.5
#define BOTTOM 36.0
#define LETTER 12.0
#define MAX_DOTS 60
/* A line of so few points is hardly one. */
#define FEW_POINTS 3
/* What is further off the others than so many times their span is far; among few values nothing is. */
#define FAR 2.5
#define FEW 20

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

static bool
is_shown(const svg_plot *plot, double x, double y)
{
	return isfinite(x) && isfinite(y) && (!plot->log_x || x > 0) && (!plot->log_y || y > 0);
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

void
svg_near_values(const double *values, size_t n, double *low, double *high)
{
	double *sorted = allocate(n, sizeof(double)), first, last;
	size_t finite = 0, i;

	for (i = 0; i < n; i++)
		if (isfinite(values[i]))
			sorted[finite++] = values[i];
	qsort(sorted, finite, sizeof(double), compare_doubles);
	*low = finite > 0 ? sorted[0] : NAN;
	*high = finite > 0 ? sorted[finite - 1] : NAN;
	if (finite >= FEW)
	{
		first = sorted[finite / 100];
		last = sorted[finite - 1 - finite / 100];
		if (last > first && *high - last > FAR * (last - first))
			*high = last + 0.1 * (last - first);
		if (last > first && first - *low > FAR * (last - first))
			*low = first - 0.1 * (last - first);
	}
	free(sorted);
}

static bool
find_scales(const svg_plot *plot, svg_scale *x, svg_scale *y)
{
	double *values;
	size_t n = 0, c, i;

	for (c = 0; c < plot->n_curves; c++)
		n += plot->curves[c].n;
	values = allocate(n, sizeof(double));
	n = 0;
	*x = (svg_scale){.low = INFINITY, .high = -INFINITY, .log = plot->log_x};
	*y = (svg_scale){.log = plot->log_y};
	for (c = 0; c < plot->n_curves; c++)
		for (i = 0; i < plot->curves[c].n; i++)
			if (is_shown(plot, plot->curves[c].x[i], plot->curves[c].y[i]))
			{
				values[n++] = plot->curves[c].y[i];
				x->low = fmin(x->low, plot->curves[c].x[i]);
				x->high = fmax(x->high, plot->curves[c].x[i]);
			}
	if (plot->log_y)
	{
		y->low = INFINITY;
		y->high = -INFINITY;
		for (i = 0; i < n; i++)
		{
			y->low = fmin(y->low, values[i]);
			y->high = fmax(y->high, values[i]);
		}
	}
	else
		svg_near_values(values, n, &y->low, &y->high);
	free(values);
	if (n == 0)
		return false;
	if (plot->rule_name != NULL && (!plot->log_y || plot->rule > 0))
	{
		y->low = fmin(y->low, plot->rule);
		y->high = fmax(y->high, plot->rule);
	}
	if (plot->from_zero && !plot->log_y)
	{
		y->low = fmin(y->low, 0);
		y->high = fmax(y->high, 0);
	}
	if (!plot->log_x)
		x->low = fmin(x->low, 0);
	return true;
}

/* A scale has a width, and one that doubles can tell apart. */
static void
open_scale(svg_scale *s)
{
	double middle = fmax(fabs(s->low), fabs(s->high));

	if (s->high - s->low > 1e-9 * middle)
		return;
	if (s->log)
	{
		s->low /= 2;
		s->high *= 2;
	}
	else
	{
		s->low -= middle > 0 ? 0.1 * middle : 0.5;
		s->high += middle > 0 ? 0.1 * middle : 0.5;
	}
}

/* ---- axes -------------------------------------------------------------------------------------------------------- */

static void
rule_line(string_buffer *out, double x1, double y1, double x2, double y2, const char *css_class)
{
	string_printf(out, "<path class=\"%s\" d=\"M", css_class);
	svg_number(out, x1);
	string_add(out, " ", 1);
	svg_number(out, y1);
	if (y1 == y2)
	{
		string_add(out, "H", 1);
		svg_number(out, x2);
	}
	else
	{
		string_add(out, "V", 1);
		svg_number(out, y2);
	}
	string_printf(out, "\"/>\n");
}

static void
draw_y_axis(string_buffer *out, const svg_scale *x, const svg_scale *y, const double *ticks, size_t n)
{
	char name[HTML_NUMBER];
	size_t i;

	for (i = 0; i < n; i++)
	{
		double at = svg_place(y, ticks[i]);

		rule_line(out, x->from, at, x->to, at, "grid");
		svg_text(out, x->from - 6, at + 4, NULL, "end", svg_tick_name(name, ticks, n, i, y->log), SIZE_MAX);
	}
}

/* There is no step 0.5. */
static size_t
whole_ticks(double *ticks, size_t n)
{
	size_t kept = 0, i;

	for (i = 0; i < n; i++)
		if (fabs(ticks[i] - rint(ticks[i])) < 1e-6)
			ticks[kept++] = rint(ticks[i]);
	return kept;
}

static void
draw_x_axis(string_buffer *out, const svg_scale *x, const svg_scale *y, const char *axis_name, double width)
{
	double ticks[SVG_MAX_TICKS], end = -INFINITY;
	char name[HTML_NUMBER];
	size_t n = svg_ticks(x, (size_t) fmax(2, (x->to - x->from) / 60), ticks), i;

	n = whole_ticks(ticks, n);
	rule_line(out, x->from, y->from, x->to, y->from, "axis");
	for (i = 0; i < n; i++)
	{
		double at = svg_place(x, ticks[i]), half, middle;

		svg_tick_name(name, ticks, n, i, x->log);
		half = (double) html_width(name) * 3.4;
		rule_line(out, at, y->from, at, y->from + 4, "axis");
		/* The last one does not reach beyond the plot. */
		middle = fmin(at, width - half);
		if (middle - half < end + 6)
			continue;
		svg_text(out, middle, y->from + 17, NULL, "middle", name, SIZE_MAX);
		end = middle + half;
	}
	svg_text(out, (x->from + x->to) / 2, y->from + 32, "axis-name", "middle", axis_name, SIZE_MAX);
}

/* ---- curves ------------------------------------------------------------------------------------------------------ */

typedef struct pen
{
	string_buffer *out;
	double x, y; /* where it is, in tenths */
	bool down;
} pen;

/* Relative and in tenths of a pixel: a third of the bytes that absolute numbers take. */
static void
pen_to(pen *p, double x, double y)
{
	x = round(x * 10);
	y = round(y * 10);
	if (p->down)
		string_printf(p->out, "l%.7g %.7g", (x - p->x) / 10 + 0.0, (y - p->y) / 10 + 0.0);
	else
		string_printf(p->out, "M%.7g %.7gh0", x / 10, y / 10);
	p->x = x;
	p->y = y;
	p->down = true;
}

/* Of the values in one column of pixels the lowest and the highest, in their order. */
typedef struct column
{
	double number; /* NAN: none yet */
	double low_x, low_y, high_x, high_y;
} column;

static void
column_flush(column *c, pen *p)
{
	bool low_first = c->low_x <= c->high_x;

	if (isnan(c->number))
		return;
	pen_to(p, low_first ? c->low_x : c->high_x, low_first ? c->low_y : c->high_y);
	if (c->low_x != c->high_x)
		pen_to(p, low_first ? c->high_x : c->low_x, low_first ? c->high_y : c->low_y);
	c->number = NAN;
}

static double
clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

/* y's place, at most a little beyond the plot, where it is clipped */
static double
place_y(const svg_scale *y, double value)
{
	return clamp(svg_place(y, value), y->to - 40, y->from + 40);
}

static void
draw_path(string_buffer *out, const svg_plot *plot, const svg_curve *curve, const svg_scale *x, const svg_scale *y)
{
	static const char *const classes[] = {"line", "faint", "line"};
	pen p = {.out = out};
	column c = {.number = NAN};
	size_t i;

	string_printf(out, "<path class=\"%s c%d\" d=\"", classes[curve->style], curve->colour);
	for (i = 0; i < curve->n; i++)
	{
		double at, top, number;

		if (!is_shown(plot, curve->x[i], curve->y[i]))
		{
			column_flush(&c, &p);
			p.down = false;
			continue;
		}
		at = svg_place(x, curve->x[i]);
		top = place_y(y, curve->y[i]);
		number = floor(at / 2);
		if (number != c.number)
		{
			column_flush(&c, &p);
			c = (column){number, at, top, at, top};
		}
		else if (top < c.low_y)
		{
			c.low_x = at;
			c.low_y = top;
		}
		else if (top > c.high_y)
		{
			c.high_x = at;
			c.high_y = top;
		}
	}
	column_flush(&c, &p);
	string_printf(out, "\"/>\n");
}

/* By more than the last bits of a number. */
static bool
is_beyond(const svg_scale *s, double value)
{
	double little = 1e-9 * (s->high - s->low);

	return value < s->low - little || value > s->high + little;
}

static void
draw_dots(string_buffer *out, const svg_plot *plot, const svg_curve *curve, const svg_scale *x, const svg_scale *y)
{
	char step[HTML_NUMBER], value[HTML_NUMBER];
	double last = -INFINITY;
	size_t i;

	for (i = 0; i < curve->n; i++)
	{
		double at;

		if (!is_shown(plot, curve->x[i], curve->y[i]) || is_beyond(y, curve->y[i]))
			continue;
		at = svg_place(x, curve->x[i]);
		if (at - last < (x->to - x->from) / MAX_DOTS)
			continue;
		string_printf(out, "<circle class=\"dot c%d\" cx=\"", curve->colour);
		svg_number(out, at);
		string_printf(out, "\" cy=\"");
		svg_number(out, svg_place(y, curve->y[i]));
		string_printf(out, "\" r=\"3\"><title>%s: %s</title></circle>\n", html_number(step, curve->x[i]),
					  html_number(value, curve->y[i]));
		last = at;
	}
}

static size_t
count_beyond(const svg_plot *plot, const svg_scale *y)
{
	size_t beyond = 0, c, i;

	for (c = 0; c < plot->n_curves; c++)
		for (i = 0; i < plot->curves[c].n; i++)
			if (is_shown(plot, plot->curves[c].x[i], plot->curves[c].y[i]))
				beyond += is_beyond(y, plot->curves[c].y[i]);
	return beyond;
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */

static void
mark_name(char name[48], const svg_mark *marks, size_t n)
{
	size_t first = marks[0].number, last = marks[0].number, i;

	for (i = 1; i < n; i++)
	{
		first = marks[i].number < first ? marks[i].number : first;
		last = marks[i].number > last ? marks[i].number : last;
	}
	if (n == 1)
		snprintf(name, 48, "%zu", first);
	else
		snprintf(name, 48, "%zu\xe2\x80\x93%zu", first, last);
}

/* Marks that would touch share one: "2-4". */
static void
draw_marks(string_buffer *out, const svg_plot *plot, const svg_scale *x, const svg_scale *y, double top)
{
	size_t i = 0;
	double end = -INFINITY;

	while (i < plot->n_marks)
	{
		double first = svg_place(x, plot->marks[i].x), last = first, middle, half;
		size_t next = i + 1;
		char name[48];

		while (next < plot->n_marks && svg_place(x, plot->marks[next].x) < last + 2 * MARK_RADIUS + 16)
			last = svg_place(x, plot->marks[next++].x);
		mark_name(name, plot->marks + i, next - i);
		half = fmax(MARK_RADIUS, 3.2 * (double) html_width(name) + 3);
		middle = clamp((first + last) / 2, x->from + half, x->to - half);
		middle = fmax(middle, end + half + 2);
		end = middle + half;
		for (; i < next; i++)
		{
			double at = svg_place(x, plot->marks[i].x);

			rule_line(out, at, top + 2 * MARK_RADIUS, at, y->from, "event");
		}
		string_printf(out, "<rect class=\"badge\" x=\"");
		svg_number(out, middle - half);
		string_printf(out, "\" y=\"");
		svg_number(out, top);
		string_printf(out, "\" width=\"");
		svg_number(out, 2 * half);
		string_printf(out, "\" height=\"13\" rx=\"6.5\"/>\n");
		svg_text(out, middle, top + 10, "badge-text", "middle", name, SIZE_MAX);
	}
}

/* Marks outside of the x axis have no place. */
static svg_mark *
marks_within(const svg_plot *plot, const svg_scale *x, size_t *n)
{
	svg_mark *kept = allocate(plot->n_marks, sizeof(svg_mark));
	size_t i;

	*n = 0;
	for (i = 0; i < plot->n_marks; i++)
		if (plot->marks[i].x >= x->low && plot->marks[i].x <= x->high)
			kept[(*n)++] = plot->marks[i];
	return kept;
}

/* ---- the plot ---------------------------------------------------------------------------------------------------- */

static double
widest_name(const double *ticks, size_t n, bool log_scale)
{
	char name[HTML_NUMBER];
	size_t widest = 0, i;

	for (i = 0; i < n; i++)
	{
		size_t width = html_width(svg_tick_name(name, ticks, n, i, log_scale));

		widest = width > widest ? width : widest;
	}
	return (double) widest * 6.8;
}

size_t
svg_draw_curves(string_buffer *out, const svg_plot *plot, const char *css_class, double width, double height)
{
	svg_scale x, y;
	svg_plot shown = *plot;
	svg_mark *marks;
	double ticks[SVG_MAX_TICKS], top;
	size_t most_y, n_y, c, beyond;

	svg_begin(out, plot->id, css_class, width, height, plot->title, plot->description);
	if (!find_scales(plot, &x, &y))
	{
		svg_text(out, width / 2, height / 2, "axis-name", "middle", "No values yet.", SIZE_MAX);
		svg_end(out);
		return 0;
	}
	open_scale(&x);
	open_scale(&y);
	marks = marks_within(plot, &x, &shown.n_marks);
	shown.marks = marks;
	top = shown.n_marks > 0 ? 2 * MARK_RADIUS + 6 : 8;
	most_y = (size_t) fmax(3, (height - BOTTOM - top) / 30);
	svg_scale_round(&y, most_y);
	n_y = svg_ticks(&y, most_y, ticks);
	y.from = height - BOTTOM;
	y.to = top;
	x.from = widest_name(ticks, n_y, y.log) + 8;
	x.to = width - 10;
	draw_y_axis(out, &x, &y, ticks, n_y);
	draw_x_axis(out, &x, &y, plot->x_name, width);
	if (plot->rule_name != NULL)
		rule_line(out, x.from, svg_place(&y, plot->rule), x.to, svg_place(&y, plot->rule), "rule");
	string_printf(out, "<clipPath id=\"%s-c\"><rect x=\"", plot->id);
	svg_number(out, x.from - 3);
	string_printf(out, "\" y=\"");
	svg_number(out, y.to - 3);
	string_printf(out, "\" width=\"");
	svg_number(out, x.to - x.from + 6);
	string_printf(out, "\" height=\"");
	svg_number(out, y.from - y.to + 6);
	string_printf(out, "\"/></clipPath>\n<g clip-path=\"url(#%s-c)\">\n", plot->id);
	for (c = 0; c < plot->n_curves; c++)
		draw_path(out, plot, &plot->curves[c], &x, &y);
	string_printf(out, "</g>\n");
	for (c = 0; c < plot->n_curves; c++)
		if (plot->curves[c].style == SVG_DOTS || plot->curves[c].n <= FEW_POINTS)
			draw_dots(out, plot, &plot->curves[c], &x, &y);
	draw_marks(out, &shown, &x, &y, 1);
	if (plot->rule_name != NULL)
	{
		double at = svg_place(&y, plot->rule);

		svg_text(out, x.to - 2, at - 5 > y.to + LETTER ? at - 5 : at + 14, "halo", "end", plot->rule_name,
				 svg_columns(x.to - x.from));
	}
	svg_end(out);
	beyond = count_beyond(plot, &y);
	free(marks);
	return beyond;
}
