/* report_html_facts.c - what a run was and what came of it, in words and tables. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "report_html_parts.h"

#define MAX_ROWS 300
#define MAX_DEPTH 8

/* ---- members ----------------------------------------------------------------------------------------------------- */

json_t *
page_member(json_t *object, const char *path)
{
	const char *dot;

	for (; object != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1)
	{
		char *key = copy_bytes(path, (size_t) (dot - path));

		object = json_object_get(object, key);
		free(key);
	}
	object = json_object_get(object, path);
	return json_is_null(object) ? NULL : object;
}

/* The first of paths whose value `is` of the kind. */
static json_t *
first_member(json_t *object, const char *paths, bool (*is)(const json_t *))
{
	while (*paths != '\0')
	{
		size_t length = strcspn(paths, "|");
		char *path = copy_bytes(paths, length);
		json_t *value = page_member(object, path);

		free(path);
		if (value != NULL && is(value))
			return value;
		paths += length + (paths[length] == '|');
	}
	return NULL;
}

static bool
is_string(const json_t *value)
{
	return json_is_string(value);
}

static bool
is_number(const json_t *value)
{
	return json_is_number(value);
}

const char *
page_string(json_t *object, const char *paths)
{
	return json_string_value(first_member(object, paths, is_string));
}

double
page_number(json_t *object, const char *paths)
{
	const json_t *value = first_member(object, paths, is_number);

	return value != NULL ? json_number_value(value) : NAN;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct
{
	const char *key, *name;
} series_names[] = {
	{"loss", "Loss"},
	{"accuracy", "Accuracy"},
	{"rate", "Learning rate"},
	{"grad_norm", "Gradient norm"},
	{"tokens_per_s", "Tokens a second"},
	{"gflops", "GFLOP/s"},
	{"tokens", "Tokens"},
	{"seconds", "Seconds of computing"},
	{"bits_per_character", "Bits a character"},
	{"macro_ap", "Macro AP"},
	{"micro_ap", "Micro AP"},
	{"micro_f1", "Micro F1"},
	{"macro_f1", "Macro F1"},
	{"recall_at_1", "Recall at 1"},
	{"ece", "Calibration error"},
};

void
page_series_name(string_buffer *out, const char *key)
{
	size_t i;

	for (i = 0; i < sizeof(series_names) / sizeof(series_names[0]); i++)
		if (strcmp(series_names[i].key, key) == 0)
		{
			string_printf(out, "%s", series_names[i].name);
			return;
		}
	for (; *key != '\0'; key++)
		string_add(out, *key == '_' ? " " : key, 1);
}

/* ---- tables of members ------------------------------------------------------------------------------------------- */

void
page_value(string_buffer *out, const json_t *value)
{
	char number[HTML_NUMBER];
	size_t i;

	switch (json_typeof(value))
	{
		case JSON_STRING:
			html_text(out, json_string_value(value));
			break;
		case JSON_INTEGER:
			/* Not by way of a double, in which a seed could lose its last digits. */
			string_printf(out, "%s", format_count(number, sizeof(number), (long long) json_integer_value(value)));
			break;
		case JSON_REAL:
			string_printf(out, "%s", html_number(number, json_real_value(value)));
			break;
		case JSON_TRUE:
			string_printf(out, "yes");
			break;
		case JSON_FALSE:
			string_printf(out, "no");
			break;
		case JSON_NULL:
			string_printf(out, "\xe2\x80\x93");
			break;
		case JSON_ARRAY:
			for (i = 0; i < json_array_size(value) && i < 30; i++)
			{
				string_printf(out, "%s", i > 0 ? ", " : "");
				page_value(out, json_array_get(value, i));
			}
			if (json_array_size(value) > 30)
				string_printf(out, ", and %zu more", json_array_size(value) - 30);
			break;
		case JSON_OBJECT:
			string_printf(out, "%zu members", json_object_size(value));
			break;
	}
}

static bool
is_among(const char *key, const char *const *skip)
{
	for (; skip != NULL && *skip != NULL; skip++)
		if (strcmp(*skip, key) == 0)
			return true;
	return false;
}

/* A list of objects is no line of a table. */
static bool
is_table(const json_t *value)
{
	return json_is_array(value) &&
		   (json_is_object(json_array_get(value, 0)) || json_is_array(json_array_get(value, 0)));
}

/*
 * numbers: a table of measures, numbers at the right.  beside: another object of the same members, for a second column
 * of them; NULL: none.
 */
static void
add_rows(string_buffer *out, const json_t *object, bool numbers, json_t *beside, const char *before,
		 const char *const *skip, int depth, size_t *n)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) (uintptr_t) object, key, value)
	{
		string_buffer name = {0};

		if (is_among(key, skip) || is_table(value) || *n >= MAX_ROWS)
			continue;
		string_printf(&name, "%s%s%s", before, before[0] != '\0' ? " \xc2\xb7 " : "", key);
		if (json_is_object(value))
		{
			if (depth < MAX_DEPTH)
				add_rows(out, value, numbers, json_object_get(beside, key), name.data, skip, depth + 1, n);
			string_release(&name);
			continue;
		}
		string_printf(out, "<tr><th scope=\"row\">");
		html_words(out, name.data);
		string_printf(out, "</th><td%s>", json_is_number(value) && numbers ? " class=\"n\"" : "");
		page_value(out, value);
		if (beside != NULL)
		{
			json_t *other = json_object_get(beside, key);

			string_printf(out, "</td><td class=\"n\">");
			if (other != NULL)
				page_value(out, other);
		}
		string_printf(out, "</td></tr>\n");
		string_release(&name);
		(*n)++;
	}
}

void
page_rows(string_buffer *out, const json_t *object, const char *const *skip)
{
	size_t n = 0;

	add_rows(out, object, false, NULL, "", skip, 0, &n);
}

/* ---- headline ---------------------------------------------------------------------------------------------------- */

static const char *
file_name(const char *path)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	return slash != NULL ? slash + 1 : path;
}

static bool
has_tags(const run_record *run)
{
	return run_table_find(&run->validation, "macro_ap") != NULL;
}

static const char *
task_name(const run_record *run)
{
	const char *task = page_string(run->manifest, "task");

	return task != NULL ? task : has_tags(run) ? "fine-tuning for tags" : "training run";
}

char *
page_title(const run_record *run)
{
	const char *task = task_name(run), *model = file_name(page_string(run->final, "model"));
	string_buffer title = {0};

	if (model == NULL)
		model = file_name(page_string(run->manifest, "model|output"));
	if (model != NULL)
		string_printf(&title, "%s: %s", model, task);
	else
	{
		/* The first letter of a line is a capital one. */
		char first = task[0];

		if (first >= 'a' && first <= 'z')
			first = (char) (first - 'a' + 'A');
		string_printf(&title, "%c%s", first, task[0] != '\0' ? task + 1 : "");
	}
	return title.data;
}

static void
add_date(string_buffer *out, const char *started)
{
	static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
										 "July",    "August",   "September", "October", "November", "December"};
	int year, month, day, hour, minute;

	if (sscanf(started, "%4d-%2d-%2dT%2d:%2d", &year, &month, &day, &hour, &minute) == 5 && month >= 1 && month <= 12)
		string_printf(out, "%d %s %d at %d:%02d UTC", day, months[month - 1], year, hour, minute);
	else
		html_text(out, started);
}

static double
sum_of_rows(json_t *manifest)
{
	double rows = page_number(manifest, "rows.used|rows|data.rows.used|data.rows");
	double training = page_number(manifest, "rows.training|data.parts.training");
	double validation = page_number(manifest, "rows.validation|data.parts.validation");
	double test = page_number(manifest, "rows.test|data.parts.test");

	if (isfinite(rows) || !isfinite(training))
		return rows;
	return training + (isfinite(validation) ? validation : 0) + (isfinite(test) ? test : 0);
}

static void
add_sentence(string_buffer *out, const run_record *run)
{
	double rows = sum_of_rows(run->manifest), parameters = page_number(run->manifest, "parameters");
	double threads = page_number(run->manifest, "threads|options.threads");
	const char *started = page_string(run->manifest, "started");
	const char *cpu = page_string(run->manifest, "machine.cpu|cpu"), *core;
	char number[HTML_NUMBER];
	size_t before = out->size;

	if (isfinite(parameters))
		string_printf(out, "An encoder of %s parameters", html_large(number, parameters));
	if (isfinite(rows))
		string_printf(out, "%s %s rows", out->size > before ? ", trained on" : "Trained on", html_number(number, rows));
	if (started != NULL)
	{
		string_printf(out, "%s", out->size > before ? ", begun on " : "Begun on ");
		add_date(out, started);
	}
	if (cpu != NULL)
	{
		string_printf(out, "%s", out->size > before ? ", on " : "On ");
		html_text(out, cpu);
		if (isfinite(threads))
			string_printf(out, " with %s thread%s", html_number(number, threads), threads == 1 ? "" : "s");
		core = page_string(run->manifest, "machine.blas_core|blas_core");
		if (core != NULL)
		{
			string_printf(out, " (OpenBLAS for ");
			html_text(out, core);
			string_printf(out, ")");
		}
	}
	if (out->size > before)
		string_add(out, ".", 1);
}

static void
add_state(string_buffer *out, const run_record *run)
{
	const char *last = run->n_events > 0 ? run->events[run->n_events - 1].name : "";
	char step[HTML_NUMBER];
	bool early = false;
	size_t i;

	for (i = 0; i < run->n_events; i++)
		early = early || strcmp(run->events[i].name, "stopped_early") == 0;
	html_number(step, run->last_step);
	string_printf(out, "<p class=\"state\">");
	if (run->final != NULL)
		string_printf(out, early ? "Finished, early: no better score for a while" : "Finished");
	else if (strcmp(last, "interrupted") == 0)
		string_printf(out, "Interrupted after step %s; it can be resumed", step);
	else
		string_printf(out, "Not finished: the last line is of step %s", step);
	string_printf(out, "</p>\n");
}

static void
key_figure(string_buffer *out, size_t *n, const char *name, const char *value, const char *more)
{
	(*n)++;
	string_printf(out, "<div><dt>%s</dt><dd>%s", name, value);
	if (more != NULL && more[0] != '\0')
		string_printf(out, "<small>%s</small>", more);
	string_printf(out, "</dd></div>\n");
}

/* What validation says last, and where it was best if that was earlier. */
static void
validation_figure(string_buffer *out, size_t *n, const run_record *run, const char *key, const char *name, int better)
{
	const run_series *series = run_table_find(&run->validation, key);
	double last_step = NAN, best_step = NAN, last = run_series_last(series, &last_step);
	double best = run_series_extreme(series, better, &best_step);
	char value[HTML_NUMBER], best_value[HTML_NUMBER], step[HTML_NUMBER];
	string_buffer more = {0};

	if (!isfinite(last))
		return;
	string_printf(&more, "in validation");
	if (best != last)
		string_printf(&more, "; best %s at step %s", html_number(best_value, best), html_number(step, best_step));
	key_figure(out, n, name, html_number(value, last), more.data);
	string_release(&more);
}

static void
final_figure(string_buffer *out, size_t *n, const run_record *run, const char *member, const char *name)
{
	static const char *const parts[] = {"test", "validation"};
	char path[96], value[HTML_NUMBER], more[96];
	size_t i;

	for (i = 0; i < 2; i++)
	{
		double number;

		snprintf(path, sizeof(path), "%s.%.60s", parts[i], member);
		number = page_number(run->final, path);
		if (!isfinite(number))
			continue;
		snprintf(more, sizeof(more), "on the %s part, at the end", parts[i]);
		key_figure(out, n, name, html_number(value, number), more);
		return;
	}
}

/* From the first to the last line; of one line, what it says. */
static double
mean_speed(const run_record *run)
{
	double tokens = run_series_last(run_table_find(&run->steps, "tokens"), NULL);
	double seconds = run_series_last(run_table_find(&run->steps, "seconds"), NULL);

	return seconds > 0 ? tokens / seconds : run_series_last(run_table_find(&run->steps, "tokens_per_s"), NULL);
}

static void
add_figures(string_buffer *out, const run_record *run)
{
	double tokens = run_series_last(run_table_find(&run->steps, "tokens"), NULL);
	double seconds = run_series_last(run_table_find(&run->steps, "seconds"), NULL);
	double speed = mean_speed(run), gflops = speed * run_series_last(run_table_find(&run->steps, "gflops"), NULL) /
											 run_series_last(run_table_find(&run->steps, "tokens_per_s"), NULL);
	char a[HTML_NUMBER], b[HTML_NUMBER + 16];
	string_buffer figures = {0};
	size_t n = 0;

	final_figure(&figures, &n, run, "macro_ap", "Macro AP");
	final_figure(&figures, &n, run, "at_calibrated_thresholds.micro_f1", "Micro F1");
	final_figure(&figures, &n, run, "ece", "Calibration error");
	if (n == 0)
		validation_figure(&figures, &n, run, "macro_ap", "Macro AP", 1);
	validation_figure(&figures, &n, run, "loss", "Loss", -1);
	validation_figure(&figures, &n, run, "accuracy", "Accuracy", 1);
	validation_figure(&figures, &n, run, "bits_per_character", "Bits a character", -1);
	validation_figure(&figures, &n, run, "recall_at_1", "Recall at 1", 1);
	key_figure(&figures, &n, "Steps", html_number(a, run->last_step), NULL);
	if (isfinite(tokens))
		key_figure(&figures, &n, "Tokens seen", html_large(a, tokens), NULL);
	if (isfinite(seconds))
		key_figure(&figures, &n, "Computing", html_duration(a, seconds), NULL);
	if (isfinite(speed))
	{
		b[0] = '\0';
		if (isfinite(gflops))
			snprintf(b, sizeof(b), "%.3g GFLOP/s", gflops < 1000 ? gflops : round(gflops));
		key_figure(&figures, &n, "Tokens a second", html_number(a, speed < 100 ? speed : round(speed)), b);
	}
	string_printf(out, "<dl class=\"figures in%d\">\n%s</dl>\n",
				  n % 5 == 0                 ? 5
				  : n % 4 == 0 || n % 3 != 0 ? 4
											 : 3,
				  figures.data);
	string_release(&figures);
}

void
page_headline(string_buffer *out, const run_record *run)
{
	char *title = page_title(run);

	string_printf(out, "<header><p class=\"kind\">A training run of moviebert</p><h1>");
	html_text(out, title);
	string_printf(out, "</h1>\n<p class=\"soft\">");
	add_sentence(out, run);
	string_printf(out, "</p>\n");
	add_state(out, run);
	add_figures(out, run);
	string_printf(out, "</header>\n");
	free(title);
}

/* ---- final values ------------------------------------------------------------------------------------------------ */

static void
value_cell(string_buffer *out, double value, double step)
{
	char number[HTML_NUMBER];

	string_printf(out, "<td class=\"n\">%s", html_number(number, value));
	string_printf(out, "<small>step %s</small></td>", html_number(number, step));
}

static void
series_rows(string_buffer *out, const run_table *table, const char *part)
{
	size_t i;

	for (i = 0; i < table->n; i++)
	{
		const run_series *series = &table->series[i];
		string_buffer name = {0};
		double step = NAN, value = run_series_last(series, &step);

		if (!isfinite(value))
			continue;
		page_series_name(&name, series->key);
		string_printf(out, "<tr><th scope=\"row\">");
		html_text(out, name.data);
		string_printf(out, "<small>%s</small></th>", part);
		value_cell(out, value, step);
		value = run_series_extreme(series, -1, &step);
		value_cell(out, value, step);
		value = run_series_extreme(series, 1, &step);
		value_cell(out, value, step);
		string_printf(out, "</tr>\n");
		string_release(&name);
	}
}

static void
measured_table(string_buffer *out, json_t *final)
{
	static const char *const parts[] = {"type",    "validation",  "test",         "metrics",
										"per_tag", "calibration", "cooccurrence", NULL};
	static const char *const lists[] = {"per_tag", "calibration", "cooccurrence", NULL};
	json_t *validation = json_object_get(final, "validation"), *test = json_object_get(final, "test");
	json_t *first = json_is_object(test) ? test : validation;
	size_t n = 0;

	if (json_is_object(first))
	{
		string_printf(out,
					  "<h3 class=\"label\">Measured at the end</h3>\n<div class=\"scroll\"><table><thead><tr><th "
					  "scope=\"col\">number</th><th scope=\"col\" class=\"n\">%s</th>%s</tr></thead><tbody>\n",
					  first == test ? "test part" : "validation part",
					  first == test && json_is_object(validation) ? "<th scope=\"col\" class=\"n\">validation part</th>"
																  : "");
		add_rows(out, first, true, first == test && json_is_object(validation) ? validation : NULL, "", lists, 0, &n);
		string_printf(out, "</tbody></table></div>\n");
	}
	string_printf(out, "<h3 class=\"label\">The last line of the metrics</h3>\n<table class=\"facts\"><tbody>\n");
	page_rows(out, final, json_is_object(first) ? parts : lists);
	string_printf(out, "</tbody></table>\n");
}

void
page_values(string_buffer *out, const run_record *run)
{
	if (run->steps.n + run->validation.n == 0 && run->final == NULL)
		return;
	string_printf(out, "<section aria-labelledby=\"values\"><h2 id=\"values\">Final values</h2>\n");
	if (run->steps.n + run->validation.n > 0)
	{
		string_printf(out, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">number</th><th scope=\"col\" "
						   "class=\"n\">last</th><th scope=\"col\" class=\"n\">lowest</th><th scope=\"col\" "
						   "class=\"n\">highest</th></tr></thead><tbody>\n");
		series_rows(out, &run->validation, "in validation");
		series_rows(out, &run->steps, "in training");
		string_printf(out, "</tbody></table></div>\n");
	}
	if (run->final != NULL)
		measured_table(out, run->final);
	string_printf(out, "</section>\n");
}

/* ---- how it was made --------------------------------------------------------------------------------------------- */

static void
quoted(string_buffer *out, const char *title, const char *text)
{
	if (text == NULL)
		return;
	string_printf(out, "<h3 class=\"label\">%s</h3>\n<pre>", title);
	html_text(out, text);
	string_printf(out, "</pre>\n");
}

/* Its words in quotation marks where a shell would take them apart. */
static char *
command_text(const json_t *command)
{
	string_buffer line = {0};
	size_t i;

	for (i = 0; i < json_array_size(command); i++)
	{
		const char *word = json_string_value(json_array_get(command, i)), *c;

		if (word == NULL)
			continue;
		string_printf(&line, "%s", line.size > 0 ? " " : "");
		if (word[0] != '\0' && word[strcspn(word, " \t\n'\"\\$`*?&|;<>()[]{}#~!")] == '\0')
		{
			string_printf(&line, "%s", word);
			continue;
		}
		string_add(&line, "'", 1);
		for (c = word; *c != '\0'; c++)
			string_printf(&line, *c == '\'' ? "'\\''" : "%c", *c);
		string_add(&line, "'", 1);
	}
	return line.data;
}

static void
facts_table(string_buffer *out, const char *title, const json_t *object, const char *const *skip, bool closed)
{
	if (json_object_size(object) == 0)
		return;
	if (closed)
		string_printf(out, "<details><summary>%s</summary>\n", title);
	else
		string_printf(out, "<h3 class=\"label\">%s</h3>\n", title);
	string_printf(out, "<table class=\"facts\"><tbody>\n");
	page_rows(out, object, skip);
	string_printf(out, "</tbody></table>\n%s", closed ? "</details>\n" : "");
}

void
page_facts(string_buffer *out, const run_record *run)
{
	static const char *const told[] = {"command",    "query",  "validation_query", "test_query",
									   "vocabulary", "format", "vocab_path",       "card",
									   "base",       NULL};
	json_t *manifest = run->manifest, *card = page_member(manifest, "card"), *base = page_member(manifest, "base");
	const json_t *command = json_object_get(manifest, "command");
	char *words = command_text(command);

	string_printf(out, "<section aria-labelledby=\"facts\"><h2 id=\"facts\">How it was made</h2>\n");
	quoted(out, "Command", json_is_string(command) ? json_string_value(command) : words);
	quoted(out, "Query", page_string(manifest, "query|data.query"));
	quoted(out, "Query of the validation part", page_string(manifest, "validation_query|data.validation_query"));
	quoted(out, "Query of the test part", page_string(manifest, "test_query|data.test_query"));
	facts_table(out, "The run", manifest, told, false);
	facts_table(out, "The model it began with", base, NULL, true);
	facts_table(out, "The card", json_is_object(card) ? card : page_member(run->final, "card"), NULL, true);
	string_printf(out, "</section>\n");
	free(words);
}
