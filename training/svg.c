/* svg.c - scales, ticks and text. */
#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the page's letters at 12 px; a little more than the mean, so that what fits by this number fits. */
#define COLUMN_WIDTH 6.8

/* ---- scales ------------------------------------------------------------------------------------------------------ */

double
svg_place(const svg_scale *s, double value)
{
	double share = s->log ? log(value / s->low) / log(s->high / s->low) : (value - s->low) / (s->high - s->low);

	return s->from + share * (s->to - s->from);
}

/* The smallest of 1, 2, 5 times a power of ten that divides span into at most n steps. */
static double
round_step(double span, double n)
{
	double raw = span / n, power = pow(10, floor(log10(raw)));

	/* A span that is a round number itself must not be refused for its last bit. */
	raw *= 1 - 1e-9;
	return raw <= power ? power : raw <= 2 * power ? 2 * power : raw <= 5 * power ? 5 * power : 10 * power;
}

static size_t
linear_ticks(const svg_scale *s, size_t most, double *ticks)
{
	double step = round_step(s->high - s->low, (double) (most - 1));
	double first = ceil(s->low / step - 1e-6), last = floor(s->high / step + 1e-6);
	size_t n = 0;

	for (; first + (double) n <= last && n < most; n++)
		ticks[n] = (first + (double) n) * step;
	return n;
}

/* Powers of ten, every stride-th of them; with 2 and 5 times them between.  The first `most` go into ticks. */
static size_t
powers_within(const svg_scale *s, double stride, bool between, size_t most, double *ticks)
{
	double exponent;
	size_t n = 0, i;

	for (exponent = floor(log10(s->low) + 1e-9); exponent <= log10(s->high) + 1e-9; exponent += stride)
		for (i = 0; i < (between ? 3 : 1); i++)
		{
			double tick = pow(10, exponent) * (i == 0 ? 1 : i == 1 ? 2 : 5);

			if (tick < s->low * (1 - 1e-9) || tick > s->high * (1 + 1e-9))
				continue;
			if (n < most)
				ticks[n] = tick;
			n++;
		}
	return n;
}

static size_t
log_ticks(const svg_scale *s, size_t most, double *ticks)
{
	double stride = 1;
	size_t n = powers_within(s, 1, true, most, ticks);

	while (n > most)
		n = powers_within(s, stride++, false, most, ticks);
	return n;
}

size_t
svg_ticks(const svg_scale *s, size_t most, double *ticks)
{
	size_t n;

	most = most < 2 ? 2 : most > SVG_MAX_TICKS ? SVG_MAX_TICKS : most;
	if (!s->log)
		return linear_ticks(s, most, ticks);
	n = log_ticks(s, most, ticks);
	/* Less than a decade may hold no such number. */
	return n >= 2 ? n : linear_ticks(s, most, ticks);
}

/* The next of 1, 2, 5, 10, 20, ... */
static double
next_step(double step)
{
	double power = pow(10, floor(log10(step) + 1e-9)), first = step / power;

	return first < 1.5 ? 2 * power : first < 3.5 ? 5 * power : 10 * power;
}

void
svg_scale_round(svg_scale *s, size_t most)
{
	double step, low, high;

	if (s->log)
		return;
	most = most < 3 ? 3 : most > SVG_MAX_TICKS ? SVG_MAX_TICKS : most;
	step = round_step(s->high - s->low, (double) (most - 1));
	for (;; step = next_step(step))
	{
		low = floor(s->low / step + 1e-6);
		high = ceil(s->high / step - 1e-6);
		if (high - low + 1 <= (double) most)
			break;
	}
	s->low = low * step;
	s->high = high * step;
}

/* 12 -> "12", 0.25 with 2 decimals -> "0.25" */
static const char *
plain(char *buffer, double value, int decimals)
{
	snprintf(buffer, HTML_NUMBER, "%.*f", decimals, value + 0.0);
	return buffer;
}

static const char *
log_tick_name(char *buffer, double value)
{
	double power = floor(log10(value) + 1e-9), mantissa = value / pow(10, power);
	char digits[HTML_NUMBER];

	snprintf(digits, sizeof(digits), "%.3g", mantissa);
	if (power >= -3 && power < 0)
		snprintf(buffer, HTML_NUMBER, "%.*f", (int) -power + (int) (strlen(digits) > 2 ? strlen(digits) - 2 : 0),
				 value);
	else if (power >= 0 && power < 3)
		snprintf(buffer, HTML_NUMBER, "%.6g", value);
	else if (power >= 3 && power < 12)
	{
		static const char units[] = "kMG";
		int unit = (int) power / 3 - 1;

		snprintf(buffer, HTML_NUMBER, "%.6g%c", value / pow(1000, unit + 1), units[unit]);
	}
	else
		html_power(buffer, strcmp(digits, "1") == 0 ? "" : digits, (int) power);
	return buffer;
}

const char *
svg_tick_name(char buffer[HTML_NUMBER], const double *ticks, size_t n, size_t i, bool log)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	double step = n > 1 ? fabs(ticks[1] - ticks[0]) : fabs(ticks[0]), largest = 0;
	int unit = 0, decimals;
	size_t k;

	if (ticks[i] == 0)
		return plain(buffer, 0, 0);
	if (log)
		return log_tick_name(buffer, ticks[i]);
	for (k = 0; k < n; k++)
		largest = fmax(largest, fabs(ticks[k]));
	if (step > 0 && (largest < 1e-3 * (1 - 1e-9) || largest >= 1e15))
	{
		/* One power of ten for all of them. */
		int exponent = (int) floor(log10(largest) + 1e-9);
		char mantissa[HTML_NUMBER];

		decimals = exponent - (int) floor(log10(step) + 1e-9);
		return html_power(buffer, plain(mantissa, ticks[i] / pow(10, exponent), decimals < 0 ? 0 : decimals), exponent);
	}
	while (largest >= 10000 * (unit == 0 ? 1 : 0.1) && unit < 4)
	{
		largest /= 1000;
		step /= 1000;
		unit++;
	}
	decimals = step > 0 ? -(int) floor(log10(step) + 1e-9) : 0;
	plain(buffer, ticks[i] / pow(1000, unit), decimals < 0 ? 0 : decimals > 12 ? 12 : decimals);
	strcat(buffer, units[unit]);
	return buffer;
}

/* ---- the document ------------------------------------------------------------------------------------------------ */

void
svg_number(string_buffer *out, double value)
{
	string_printf(out, "%.7g", round(value * 10) / 10 + 0.0);
}

void
svg_begin(string_buffer *out, const char *id, const char *css_class, double width, double height, const char *title,
		  const char *description)
{
	string_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot %s\" viewBox=\"0 0 ", css_class);
	svg_number(out, width);
	string_add(out, " ", 1);
	svg_number(out, height);
	string_printf(out, "\" role=\"img\" aria-labelledby=\"%s-t%s%s%s\"><title id=\"%s-t\">", id,
				  description != NULL ? " " : "", description != NULL ? id : "", description != NULL ? "-d" : "", id);
	html_text(out, title);
	string_printf(out, "</title>");
	if (description != NULL)
	{
		string_printf(out, "<desc id=\"%s-d\">", id);
		html_text(out, description);
		string_printf(out, "</desc>");
	}
	string_add(out, "\n", 1);
}

void
svg_end(string_buffer *out)
{
	string_printf(out, "</svg>\n");
}

size_t
svg_columns(double width)
{
	return width < COLUMN_WIDTH ? 1 : (size_t) (width / COLUMN_WIDTH);
}

void
svg_text(string_buffer *out, double x, double y, const char *css_class, const char *anchor, const char *text,
		 size_t most)
{
	string_printf(out, "<text x=\"");
	svg_number(out, x);
	string_printf(out, "\" y=\"");
	svg_number(out, y);
	string_add(out, "\"", 1);
	if (css_class != NULL)
		string_printf(out, " class=\"%s\"", css_class);
	if (strcmp(anchor, "start") != 0)
		string_printf(out, " text-anchor=\"%s\"", anchor);
	string_add(out, ">", 1);
	if (html_width(text) > most)
	{
		string_printf(out, "<title>");
		html_text(out, text);
		string_printf(out, "</title>");
	}
	html_elided(out, text, most);
	string_printf(out, "</text>\n");
}
