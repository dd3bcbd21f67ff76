/* report_html_run.h - a run's files, read for its page. */
#ifndef MOVIEBERT_TOOL_REPORT_HTML_RUN_H
#define MOVIEBERT_TOOL_REPORT_HTML_RUN_H

#include <jansson.h>

#include "moviebert/status.h"

/* One number over the run: NAN where a line has null. */
typedef struct run_series
{
	char *key; /* as in metrics.jsonl */
	double *steps, *values;
	size_t n, capacity;
} run_series;

typedef struct run_table
{
	run_series *series;
	size_t n;
} run_table;

typedef struct run_event
{
	double step;
	char *name, *detail;
} run_event;

typedef struct run_record
{
	json_t *manifest;            /* an object, empty where there is no file */
	run_table steps, validation; /* of the lines of these types: every member that is a number or null */
	run_event *events;
	size_t n_events;
	json_t *final; /* NULL: none */
	double last_step;
} run_record;

/* Errors: those of report_html_write. */
mb_status run_record_read(run_record *run, const char *folder, mb_error *err);
void run_record_release(run_record *run);

/* NULL: none */
const run_series *run_table_find(const run_table *table, const char *key);

/* The last value that is a number; NAN: none.  step may be NULL. */
double run_series_last(const run_series *series, double *step);

/* The largest (sign 1) or smallest (sign -1) value; NAN: none. */
double run_series_extreme(const run_series *series, int sign, double *step);

#endif
