/* report_html_run.c - manifest.json and metrics.jsonl, with every way to be wrong named by file and line. */
#include "report_html_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static char *
path_in(const char *folder, const char *name)
{
	string_buffer path = {0};
	size_t length = strlen(folder);

	string_printf(&path, "%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name);
	return path.data;
}

/* MB_OK with *file NULL: there is none. */
static mb_status
open_if_there(FILE **file, const char *path, mb_error *err)
{
	*file = fopen(path, "re");
	if (*file == NULL && errno != ENOENT)
		return mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	return MB_OK;
}

static mb_status
read_manifest(run_record *run, const char *path, bool *there, mb_error *err)
{
	json_error_t where;
	FILE *file;
	mb_status status = open_if_there(&file, path, err);

	*there = file != NULL;
	if (status != MB_OK || file == NULL)
		return status;
	run->manifest = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	if (run->manifest == NULL)
	{
		status = mb_fail(err, MB_CORRUPT, "\"%.200s\" is not JSON", path);
		mb_detail(err, "Line %d, column %d: %s.", where.line, where.column, where.text);
	}
	else if (!json_is_object(run->manifest))
		status = mb_fail(err, MB_CORRUPT, "\"%.200s\" is not a JSON object", path);
	fclose(file);
	return status;
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

static size_t
place_of(const run_table *table, const char *key)
{
	size_t i = 0;

	while (i < table->n && strcmp(table->series[i].key, key) != 0)
		i++;
	return i;
}

const run_series *
run_table_find(const run_table *table, const char *key)
{
	size_t i = place_of(table, key);

	return i < table->n ? &table->series[i] : NULL;
}

static void
series_add(run_series *series, double step, double value)
{
	/* A run that was resumed may say a step again: what it says last is true. */
	while (series->n > 0 && series->steps[series->n - 1] >= step)
		series->n--;
	if (series->n == series->capacity)
	{
		series->capacity = series->capacity == 0 ? 64 : 2 * series->capacity;
		series->steps = reallocate(series->steps, series->capacity, sizeof(double));
		series->values = reallocate(series->values, series->capacity, sizeof(double));
	}
	series->steps[series->n] = step;
	series->values[series->n++] = value;
}

static void
table_add(run_table *table, json_t *line, double step)
{
	const char *key;
	json_t *value;

	json_object_foreach(line, key, value)
	{
		size_t i = place_of(table, key);

		if (strcmp(key, "step") == 0 || !(json_is_number(value) || json_is_null(value)))
			continue;
		if (i == table->n)
		{
			table->series = reallocate(table->series, table->n + 1, sizeof(run_series));
			table->series[table->n++] = (run_series){.key = copy_string(key)};
		}
		series_add(&table->series[i], step, json_is_number(value) ? json_number_value(value) : NAN);
	}
}

double
run_series_last(const run_series *series, double *step)
{
	size_t i = series != NULL ? series->n : 0;

	while (i > 0 && !isfinite(series->values[i - 1]))
		i--;
	if (step != NULL)
		*step = i > 0 ? series->steps[i - 1] : NAN;
	return i > 0 ? series->values[i - 1] : NAN;
}

double
run_series_extreme(const run_series *series, int sign, double *step)
{
	double best = NAN;
	size_t i;

	for (i = 0; series != NULL && i < series->n; i++)
		if (isfinite(series->values[i]) && (isnan(best) || sign * series->values[i] > sign * best))
		{
			best = series->values[i];
			if (step != NULL)
				*step = series->steps[i];
		}
	return best;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void
event_add(run_record *run, const json_t *line, double step)
{
	const char *name = json_string_value(json_object_get(line, "name"));
	const char *detail = json_string_value(json_object_get(line, "detail"));

	run->events = reallocate(run->events, run->n_events + 1, sizeof(run_event));
	run->events[run->n_events++] =
		(run_event){step, copy_string(name != NULL ? name : "event"), copy_string(detail != NULL ? detail : "")};
}

static mb_status
line_add(run_record *run, json_t *line, const char *path, size_t number, mb_error *err)
{
	const char *type = json_string_value(json_object_get(line, "type"));
	const json_t *at = json_object_get(line, "step");
	double step = json_number_value(at);

	if (type == NULL)
		return mb_fail(err, MB_CORRUPT, "line %zu of \"%.200s\" has no \"type\"", number, path);
	if (strcmp(type, "final") == 0)
	{
		json_decref(run->final);
		run->final = json_incref(line);
		return MB_OK;
	}
	if (!json_is_number(at) || step < 0)
		return mb_fail(err, MB_CORRUPT, "line %zu of \"%.200s\" has no \"step\"", number, path);
	if (strcmp(type, "step") == 0)
		table_add(&run->steps, line, step);
	else if (strcmp(type, "validation") == 0)
		table_add(&run->validation, line, step);
	else if (strcmp(type, "event") == 0)
		event_add(run, line, step);
	run->last_step = fmax(run->last_step, step);
	return MB_OK;
}

static mb_status
read_metrics(run_record *run, const char *path, bool *there, mb_error *err)
{
	char *text = NULL;
	size_t capacity = 0, number = 0;
	ssize_t size;
	FILE *file;
	mb_status status = open_if_there(&file, path, err);

	*there = file != NULL;
	if (status != MB_OK || file == NULL)
		return status;
	while (status == MB_OK && (size = getline(&text, &capacity, file)) >= 0)
	{
		json_error_t where;
		json_t *line;

		number++;
		if (strspn(text, " \t\r\n") == (size_t) size)
			continue;
		line = json_loadb(text, (size_t) size, JSON_REJECT_DUPLICATES, &where);
		if (json_is_object(line))
			status = line_add(run, line, path, number, err);
		else if (text[size - 1] == '\n') /* else the end of a run that was killed, or is writing */
		{
			status = mb_fail(err, MB_CORRUPT, "line %zu of \"%.200s\" is not a JSON object", number, path);
			if (line == NULL)
				mb_detail(err, "Column %d: %s.", where.column, where.text);
		}
		json_decref(line);
	}
	if (status == MB_OK && ferror(file))
		status = mb_fail_system(err, errno, "could not read \"%.250s\"", path);
	free(text);
	fclose(file);
	return status;
}

mb_status
run_record_read(run_record *run, const char *folder, mb_error *err)
{
	char *manifest = path_in(folder, "manifest.json"), *metrics = path_in(folder, "metrics.jsonl");
	bool has_manifest = false, has_metrics = false;
	mb_status status;

	memset(run, 0, sizeof(*run));
	status = read_manifest(run, manifest, &has_manifest, err);
	if (status == MB_OK)
		status = read_metrics(run, metrics, &has_metrics, err);
	if (status == MB_OK && !has_manifest && !has_metrics)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "\"%.250s\" is not the folder of a training run", folder);
		mb_detail(err, "It holds neither manifest.json nor metrics.jsonl.");
	}
	if (status == MB_OK && run->manifest == NULL)
		run->manifest = json_object();
	free(manifest);
	free(metrics);
	if (status != MB_OK)
		run_record_release(run);
	return status;
}

static void
table_release(run_table *table)
{
	size_t i;

	for (i = 0; i < table->n; i++)
	{
		free(table->series[i].key);
		free(table->series[i].steps);
		free(table->series[i].values);
	}
	free(table->series);
}

void
run_record_release(run_record *run)
{
	size_t i;

	table_release(&run->steps);
	table_release(&run->validation);
	for (i = 0; i < run->n_events; i++)
	{
		free(run->events[i].name);
		free(run->events[i].detail);
	}
	free(run->events);
	json_decref(run->manifest);
	json_decref(run->final);
	memset(run, 0, sizeof(*run));
}
