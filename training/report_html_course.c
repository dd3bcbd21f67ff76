/* report_html_course.c - the course of a run: its curves over steps, and what happened on the way. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_html_parts.h"
#include "svg.h"

#define MAX_CURVES 6
/* From so many lines on, the mean of neighbours is drawn over the lines themselves. */
#define SMOOTH_FROM 80
#define TABLE_ROWS 30

typedef struct figure
{
	svg_plot plot;
	svg_curve curves[MAX_CURVES];
	const char *note;
	bool full; /* as wide as the page */
} figure;

/* ---- one figure -------------------------------------------------------------------------------------------------- */

static void
legend(string_buffer *out, const figure *f)
{
	size_t c;

	if (f->plot.n_curves < 2)
		return;
	string_printf(out, "<p class=\"legend\">");
	for (c = 0; c < f->plot.n_curves; c++)
	{
		const svg_curve *curve = &f->curves[c];

		string_printf(out,
					  "<span><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"%s c%d\" d=\"M1 5H25\"/>",
					  curve->style == SVG_FAINT ? "faint" : "line", curve->colour);
		if (curve->style == SVG_DOTS)
			string_printf(out, "<circle class=\"dot c%d\" cx=\"13\" cy=\"5\" r=\"3.5\"/>", curve->colour);
		string_printf(out, "</svg>");
		html_text(out, curve->name);
		string_printf(out, "</span>");
	}
	string_printf(out, "</p>\n");
}

static void
values_of_curve(string_buffer *out, const svg_curve *curve, bool with_name)
{
	size_t rows = curve->n < TABLE_ROWS ? curve->n : TABLE_ROWS, i;
	char step[HTML_NUMBER], value[HTML_NUMBER];

	for (i = 0; i < rows; i++)
	{
		size_t at = rows < 2 ? 0 : (size_t) llround((double) i * (double) (curve->n - 1) / (double) (rows - 1));

		string_printf(out, "<tr>");
		if (with_name)
		{
			string_printf(out, "<th scope=\"row\">");
			html_text(out, curve->name);
			string_printf(out, "</th>");
		}
		string_printf(out, "<td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", html_number(step, curve->x[at]),
					  html_number(value, curve->y[at]));
	}
}

/* The same for who cannot see the plot, or wants to know. */
static void
values_table(string_buffer *out, const figure *f)
{
	bool thinned = false;
	size_t c;

	for (c = 0; c < f->plot.n_curves; c++)
		thinned = thinned || f->curves[c].n > TABLE_ROWS;
	string_printf(
		out,
		"<details><summary>%s</summary><div class=\"scroll\"><table><thead><tr>%s"
		"<th scope=\"col\" class=\"n\">step</th><th scope=\"col\" class=\"n\">value</th></tr></thead><tbody>\n",
		thinned ? "Some of the numbers" : "The numbers", f->plot.n_curves > 1 ? "<th scope=\"col\">curve</th>" : "");
	for (c = 0; c < f->plot.n_curves; c++)
		if (f->curves[c].style != SVG_FAINT)
			values_of_curve(out, &f->curves[c], f->plot.n_curves > 1);
	string_printf(out, "</tbody></table></div></details>\n");
}

static void
draw_figure(string_buffer *out, figure *f, const char *name)
{
	char id[80], number[HTML_NUMBER];
	size_t beyond;

	f->plot.curves = f->curves;
	f->plot.x_name = "step";
	string_printf(out, "<figure%s><figcaption><h3>", f->full ? " class=\"full\"" : "");
	html_text(out, f->plot.title);
	string_printf(out, "</h3>");
	legend(out, f);
	if (f->note != NULL)
	{
		string_printf(out, "<p>");
		html_text(out, f->note);
		string_printf(out, "</p>");
	}
	string_printf(out, "</figcaption>\n");
	f->plot.id = id;
	snprintf(id, sizeof(id), "%.60s-narrow", name);
	svg_draw_curves(out, &f->plot, "narrow", PAGE_NARROW, f->full ? 250 : 190);
	snprintf(id, sizeof(id), "%.60s-wide", name);
	beyond = svg_draw_curves(out, &f->plot, "wide", f->full ? PAGE_FULL : PAGE_HALF, f->full ? 340 : 230);
	if (beyond > 0)
		string_printf(out, "<p class=\"note\">%s value%s beyond the plot&#39;s edges.</p>\n",
					  html_number(number, (double) beyond), beyond == 1 ? " lies" : "s lie");
	values_table(out, f);
	string_printf(out, "</figure>\n");
}

static void
add_curve(figure *f, const run_series *series, const char *name, int colour, svg_curve_style style)
{
	if (series != NULL && series->n > 0 && f->plot.n_curves < MAX_CURVES)
		f->curves[f->plot.n_curves++] = (svg_curve){name, series->steps, series->values, series->n, colour, style};
}

/* ---- smoothing --------------------------------------------------------------------------------------------------- */

/* The mean of each value and its neighbours, a twentieth of all; what is not finite or far from all others is left out.
 */
static double *
neighbours_mean(const run_series *series)
{
	double *means = allocate(series->n, sizeof(double)), sum = 0, low, high;
	size_t half = series->n / 40, from = 0, to = 0, count = 0, i;

	svg_near_values(series->values, series->n, &low, &high);

	for (i = 0; i < series->n; i++)
	{
		/* At the ends the window is shorter on both sides, so that nothing leans; neither of its ends ever goes back.
		 */
		size_t reach = half;

		reach = i < reach ? i : reach;
		reach = series->n - 1 - i < reach ? series->n - 1 - i : reach;
		for (; to <= i + reach; to++)
			if (series->values[to] >= low && series->values[to] <= high)
			{
				sum += series->values[to];
				count++;
			}
		for (; from < i - reach; from++)
			if (series->values[from] >= low && series->values[from] <= high)
			{
				sum -= series->values[from];
				count--;
			}
		means[i] = count > 0 && isfinite(series->values[i]) ? sum / (double) count : NAN;
	}
	return means;
}

/* Training's own curve, and its mean over it where there are many lines; *means is the caller's to free. */
static void
add_noisy_curve(figure *f, const run_series *series, const char *name, double **means)
{
	run_series smooth;

	*means = NULL;
	if (series == NULL || series->n < SMOOTH_FROM)
	{
		add_curve(f, series, name, 1, SVG_LINE);
		return;
	}
	*means = neighbours_mean(series);
	smooth = *series;
	smooth.values = *means;
	add_curve(f, series, "each line of the log", 1, SVG_FAINT);
	add_curve(f, &smooth, name, 1, SVG_LINE);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static const struct
{
	const char *name, *title;
} event_titles[] = {
	{"plateau", "The loss stands still where only the frequencies of tokens are known"},
	{"escaped", "The loss has left the plateau"},
	{"diverging", "The loss is diverging"},
	{"not_finite", "A loss or gradient is not finite"},
	{"rolled_back", "Went back to the last checkpoint"},
	{"resumed", "Resumed"},
	{"interrupted", "Interrupted"},
	{"best", "The best validation"},
	{"stopped_early", "Stopped early"},
};

size_t
page_events(const run_record *run, const run_event **events)
{
	size_t last_best = run->n_events, n = 0, i;

	for (i = 0; i < run->n_events; i++)
		if (strcmp(run->events[i].name, "best") == 0)
			last_best = i;
	for (i = 0; i < run->n_events; i++)
	{
		const char *name = run->events[i].name;

		if (strcmp(name, "saved") == 0 || (strcmp(name, "best") == 0 && i != last_best))
			continue;
		events[n++] = &run->events[i];
	}
	return n;
}

static void
list_events(string_buffer *out, const run_event *const *events, size_t n)
{
	char step[HTML_NUMBER];
	size_t i, k;

	if (n == 0)
		return;
	if (n > 12)
		string_printf(out, "<details><summary>%zu events</summary>\n", n);
	string_printf(out, "<ol class=\"events\">\n");
	for (i = 0; i < n; i++)
	{
		string_printf(out, "<li><b>%zu</b><span>Step %s: ", i + 1, html_number(step, events[i]->step));
		for (k = 0; k < sizeof(event_titles) / sizeof(event_titles[0]); k++)
			if (strcmp(event_titles[k].name, events[i]->name) == 0)
				break;
		if (k < sizeof(event_titles) / sizeof(event_titles[0]))
			html_text(out, event_titles[k].title);
		else
			html_words(out, events[i]->name);
		if (events[i]->detail[0] != '\0')
		{
			string_printf(out, "; ");
			html_text(out, events[i]->detail);
		}
		string_printf(out, ".</span></li>\n");
	}
	string_printf(out, "</ol>\n%s", n > 12 ? "</details>\n" : "");
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static int
compare_marks(const void *a, const void *b)
{
	const svg_mark *x = a, *y = b;

	if (x->x != y->x)
		return x->x < y->x ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static void
draw_loss(string_buffer *out, const run_record *run)
{
	const run_series *training = run_table_find(&run->steps, "loss");
	const run_series *validation = run_table_find(&run->validation, "loss");
	const run_event **events = allocate(run->n_events, sizeof(*events));
	size_t n_events = page_events(run, events), i;
	svg_mark *marks = allocate(n_events, sizeof(*marks));
	double unigram = page_number(run->manifest, "unigram_entropy|unigram_loss|data.unigram_entropy"), *means, first,
		   last;
	char name[96], number[HTML_NUMBER];
	figure f = {.plot = {.title = "Loss", .description = "Loss in training and validation over the steps of the run."},
				.full = true};

	for (i = 0; i < n_events; i++)
		marks[i] = (svg_mark){events[i]->step, i + 1};
	/* A run that was rolled back tells its events out of the order of steps. */
	qsort(marks, n_events, sizeof(*marks), compare_marks);
	f.plot.marks = marks;
	f.plot.n_marks = n_events;
	if (isfinite(unigram))
	{
		snprintf(name, sizeof(name), "%s nats: frequencies of tokens alone", html_number(number, unigram));
		f.plot.rule_name = name;
		f.plot.rule = unigram;
	}
	add_noisy_curve(&f, training, "training", &means);
	add_curve(&f, validation, "validation", 2, SVG_DOTS);
	draw_figure(out, &f, "loss");
	first = training != NULL && training->n > 0 ? training->steps[0] : NAN;
	last = training != NULL && training->n > 0 ? training->steps[training->n - 1] : NAN;
	if (first > 0 && last / first >= 30)
	{
		f.plot.title = "Loss, the beginning in detail";
		f.plot.description = "The same loss over the logarithm of steps.";
		f.note = "Steps on a logarithmic scale.";
		f.plot.n_marks = 0;
		f.plot.log_x = true;
		f.plot.rule_name = NULL;
		f.full = false;
		draw_figure(out, &f, "loss-beginning");
	}
	free(means);
	free(marks);
	free(events);
}

static bool
is_score(const run_series *series)
{
	double low = run_series_extreme(series, -1, NULL), high = run_series_extreme(series, 1, NULL);

	return low >= 0 && high <= 1 && strncmp(series->key, "bits_", 5) != 0;
}

/* Counts and the like, which say nothing over steps. */
static bool
is_constant(const run_series *series)
{
	return series->n > 1 && run_series_extreme(series, -1, NULL) == run_series_extreme(series, 1, NULL) &&
		   !is_score(series);
}

/* All scores between 0 and 1 in one plot, with the accuracy of training beside that of validation. */
static void
draw_scores(string_buffer *out, const run_record *run)
{
	static const int colours[MAX_CURVES] = {2, 3, 5, 6, 4, 1};
	string_buffer names[MAX_CURVES] = {{0}};
	figure f = {.plot = {.title = "Scores in validation",
						 .description = "What validation measured over the steps of the run."}};
	double *means = NULL;
	size_t n = 0, i;

	if (run_table_find(&run->validation, "accuracy") != NULL)
		add_noisy_curve(&f, run_table_find(&run->steps, "accuracy"), "Accuracy in training", &means);
	for (i = 0; i < run->validation.n; i++)
	{
		const run_series *series = &run->validation.series[i];

		if (strcmp(series->key, "loss") == 0 || !is_score(series) || f.plot.n_curves == MAX_CURVES)
			continue;
		page_series_name(&names[n], series->key);
		string_printf(&names[n], " in validation");
		add_curve(&f, series, names[n].data, colours[n], SVG_DOTS);
		n++;
		if (n == 1 && strcmp(series->key, "accuracy") == 0)
			f.plot.title = "Accuracy";
		else if (n > 1)
			f.plot.title = "Scores";
	}
	if (n > 0)
		draw_figure(out, &f, "scores");
	for (i = 0; i < MAX_CURVES; i++)
		string_release(&names[i]);
	free(means);
}

/* Every other number of validation in a plot of its own. */
static void
draw_other_validation(string_buffer *out, const run_record *run)
{
	size_t i;

	for (i = 0; i < run->validation.n; i++)
	{
		const run_series *series = &run->validation.series[i];
		string_buffer name = {0};
		figure f = {0};
		char id[80];

		if (strcmp(series->key, "loss") == 0 || is_score(series) || is_constant(series) ||
			!isfinite(run_series_last(series, NULL)))
			continue;
		page_series_name(&name, series->key);
		string_printf(&name, " in validation");
		f.plot.title = name.data;
		snprintf(id, sizeof(id), "validation-%zu", i);
		add_curve(&f, series, name.data, 2, SVG_DOTS);
		draw_figure(out, &f, id);
		string_release(&name);
	}
}

static void
draw_one(string_buffer *out, const run_record *run, const char *key, bool noisy, const char *note, bool from_zero)
{
	const run_series *series = run_table_find(&run->steps, key);
	string_buffer name = {0};
	double *means = NULL;
	figure f = {.note = note};

	if (!isfinite(run_series_last(series, NULL)))
		return;
	page_series_name(&name, key);
	f.plot.title = name.data;
	f.plot.from_zero = from_zero;
	if (noisy)
		add_noisy_curve(&f, series, "mean of neighbours", &means);
	else
		add_curve(&f, series, name.data, 1, SVG_LINE);
	/* Norms and rates that span decades are read as such. */
	if (!from_zero && run_series_extreme(series, -1, NULL) > 0 &&
		run_series_extreme(series, 1, NULL) / run_series_extreme(series, -1, NULL) > 50)
		f.plot.log_y = true;
	draw_figure(out, &f, key);
	free(means);
	string_release(&name);
}

void
page_course(string_buffer *out, const run_record *run)
{
	const run_event **events = allocate(run->n_events, sizeof(*events));
	size_t n_events = page_events(run, events);

	string_printf(out, "<section aria-labelledby=\"course\"><h2 id=\"course\">The course of the run</h2>\n");
	if (run->steps.n == 0 && run->validation.n == 0)
		string_printf(out, "<p class=\"soft\">No step has been logged yet.</p>\n");
	else
	{
		string_printf(out, "<div class=\"plots\">\n");
		draw_loss(out, run);
		draw_scores(out, run);
		draw_other_validation(out, run);
		draw_one(out, run, "rate", false, NULL, true);
		draw_one(out, run, "grad_norm", true, "Before clipping.", false);
		draw_one(out, run, "tokens_per_s", true, NULL, true);
		draw_one(out, run, "gflops", true, NULL, true);
		string_printf(out, "</div>\n");
	}
	list_events(out, events, n_events);
	string_printf(out, "</section>\n");
	free(events);
}
