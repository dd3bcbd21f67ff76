/*
 * svg.h - plots as SVG: scales with ticks at round numbers, curves, bars, points and maps.
 *
 * A plot is drawn for the width it is seen at, in CSS pixels, so that its letters have the page's size: the page has
 * each plot twice, for a narrow and a wide screen.  Colours are classes of the page's style sheet
 * (report_html_style.c): c1 to c6.  All text given is plain UTF-8; escaping is done here.
 */
#ifndef MOVIEBERT_TOOL_SVG_H
#define MOVIEBERT_TOOL_SVG_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "report_html_text.h"

/* ---- scales ------------------------------------------------------------------------------------------------------ */

#define SVG_MAX_TICKS 24

typedef struct svg_scale
{
	double low, high; /* values; low < high; of a logarithm, 0 < low */
	double from, to;  /* where they are drawn */
	bool log;
} svg_scale;

double svg_place(const svg_scale *scale, double value);

/* Round numbers within the scale, `most` at most (2 <= most <= SVG_MAX_TICKS): ticks [SVG_MAX_TICKS]; their number. */
size_t svg_ticks(const svg_scale *scale, size_t most, double *ticks);

/* What a tick is called: the digits that set it apart from its neighbours, no more. */
const char *svg_tick_name(char buffer[HTML_NUMBER], const double *ticks, size_t n, size_t i, bool log);

/* Widens the scale to its nearest round numbers. */
void svg_scale_round(svg_scale *scale, size_t most);

/*
 * From the smallest to the largest value, unless the outermost hundredths reach far beyond the rest: a loss that once
 * jumped to 10^6 would leave nothing to see of all other steps.  NAN: there is no value that is finite.
 */
void svg_near_values(const double *values, size_t n, double *low, double *high);

/* ---- the document ------------------------------------------------------------------------------------------------ */

/* id is unique in the page; description may be NULL. */
void svg_begin(string_buffer *out, const char *id, const char *css_class, double width, double height,
			   const char *title, const char *description);
void svg_end(string_buffer *out);

/* anchor: "start", "middle", "end"; at most `most` columns of text, with the whole as its title where it is elided */
void svg_text(string_buffer *out, double x, double y, const char *css_class, const char *anchor, const char *text,
			  size_t most);

/* Columns of text that fit into width. */
size_t svg_columns(double width);

/* A number of pixels, to a tenth. */
void svg_number(string_buffer *out, double value);

/* ---- curves ------------------------------------------------------------------------------------------------------ */

typedef enum svg_curve_style
{
	SVG_LINE,
	SVG_FAINT, /* behind another line of the same colour */
	SVG_DOTS   /* a line with a dot at each value, where there is room */
} svg_curve_style;

typedef struct svg_curve
{
	const char *name;
	const double *x, *y; /* x ascending; what is not finite is a gap */
	size_t n;
	int colour; /* 1 to 6 */
	svg_curve_style style;
} svg_curve;

typedef struct svg_mark
{
	double x;
	size_t number; /* shown on it */
} svg_mark;

typedef struct svg_plot
{
	const char *id, *title, *description;
	const char *x_name;
	const svg_curve *curves;
	size_t n_curves;
	const svg_mark *marks; /* x ascending */
	size_t n_marks;
	const char *rule_name; /* NULL: no rule */
	double rule;           /* a horizontal line */
	bool log_x, log_y, from_zero;
} svg_plot;

/* Returns how many values lie beyond the plot's edges: single ones far from all others do not flatten it. */
size_t svg_draw_curves(string_buffer *out, const svg_plot *plot, const char *css_class, double width, double height);

/* ---- figures of tags --------------------------------------------------------------------------------------------- */

typedef struct svg_bar
{
	const char *name;
	double length, dot; /* 0 to 1; NAN: none */
	double count;
} svg_bar;

/* One row for each: the name, a bar for length, a dot, and the count at the right. */
void svg_draw_bars(string_buffer *out, const char *id, const char *title, const char *length_name, const char *dot_name,
				   const char *count_name, const svg_bar *bars, size_t n, const char *css_class, double width);

typedef struct svg_point
{
	const char *name;
	double x, y; /* x > 0; y 0 to 1 */
} svg_point;

/* x on a logarithmic scale */
void svg_draw_points(string_buffer *out, const char *id, const char *title, const char *x_name, const char *y_name,
					 const svg_point *points, size_t n, const char *css_class, double width, double height);

typedef struct svg_bin
{
	double from, to, mean, share; /* mean, share: NAN of an empty bin */
	double count;
} svg_bin;

/* Reliability: share against mean beside the diagonal, and below it how many there are, on a logarithmic scale. */
void svg_draw_reliability(string_buffer *out, const char *id, const char *title, const svg_bin *bins, size_t n,
						  const char *css_class, double width);

/* shares [n,n]: row, column; NAN: not shown.  The columns have the rows' numbers, and their names where there is room.
 */
void svg_draw_map(string_buffer *out, const char *id, const char *title, const char *const *names, const double *shares,
				  size_t n, const char *css_class, double width);

#endif
