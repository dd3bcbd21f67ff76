/*
 * report_html.h - a run as one page: report.html, made of manifest.json and metrics.jsonl (run.h), with nothing to load
 * and no script, readable on a telephone and on a desk, by day and by night.
 *
 * Of the manifest the page knows these members, all of which may be absent; what else is there it shows as it is:
 *   "task"             "masked language modelling", ...: the page's title, with "model"
 *   "model"            the file that training writes
 *   "command"          the command line: a string, or a list of its words
 *   "query", "validation_query", "test_query"
 *   "rows", "tokens", "words"    numbers, or an object of counts (card.h: row_counts_json)
 *   "started"          "2026-11-25T01:23:45Z"
 *   "cpu", "blas_core", "threads", "seed", "shards", "versions"
 *   "config"           the encoder's, as config.json
 *   "parameters"       their number
 *   "unigram_entropy"  nats a token: the loss of whoever knows only how frequent tokens are; a line in the plot of the
 * loss "vocabulary"       report_data.h and of the final line of the metrics what report_data.h says.
 */
#ifndef MOVIEBERT_TOOL_REPORT_HTML_H
#define MOVIEBERT_TOOL_REPORT_HTML_H

#include "moviebert/status.h"

/*
 * Writes RUN_FOLDER/report.html, whole or not at all.  A run that goes on, or was cut off, has a page of what there is:
 * a last line without its end is left out.  Errors: MB_IO; MB_INVALID_ARGUMENT for a folder with neither file;
 * MB_CORRUPT with the file's name and line.
 */
mb_status report_html_write(const char *run_folder, mb_error *err);

/* The same to another file; NULL: RUN_FOLDER/report.html. */
mb_status report_html_write_to(const char *run_folder, const char *output, mb_error *err);

#endif
