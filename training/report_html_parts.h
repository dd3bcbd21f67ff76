/* report_html_parts.h - the parts of a run's page, in the order in which they stand there; and what they share. */
#ifndef MOVIEBERT_TOOL_REPORT_HTML_PARTS_H
#define MOVIEBERT_TOOL_REPORT_HTML_PARTS_H

#include "report_html_run.h"
#include "report_html_text.h"

/* What a plot is drawn for: CSS pixels of a column on a telephone, of half the page and of the whole on a desk. */
#define PAGE_NARROW 343.0
#define PAGE_HALF 520.0
#define PAGE_FULL 1072.0

/* The title of the page, as plain text; the caller's to free. */
char *page_title(const run_record *run);

void page_style(string_buffer *out);
/* What was trained, from what, when, where, how long, how fast; and how the run stands. */
void page_headline(string_buffer *out, const run_record *run);
/* The curves over steps, and what happened on the way. */
void page_course(string_buffer *out, const run_record *run);
/* Each tag, reliability, and tags that stand together; nothing for a run without tags. */
void page_tags(string_buffer *out, const run_record *run);
void page_vocabulary(string_buffer *out, const run_record *run);
/* The final value of every curve, and what was measured at the end. */
void page_values(string_buffer *out, const run_record *run);
/* Command, query, and all else the manifest says. */
void page_facts(string_buffer *out, const run_record *run);

/* The events that the page tells, numbered from 1 in this order: not each checkpoint, and of "best" only the last. */
size_t page_events(const run_record *run, const run_event **events);

/* The value at "a.b.c", NULL where there is none or null. */
json_t *page_member(json_t *object, const char *path);
/* The first of these paths, separated by |, with a string; NULL: none. */
const char *page_string(json_t *object, const char *paths);
/* The same of a number; NAN: none. */
double page_number(json_t *object, const char *paths);

/* What a series is called on the page. */
void page_series_name(string_buffer *out, const char *key);

/* A table's rows, one for each number, string and truth value, "a · b" for what is in objects.  skip: keys, ended by
 * NULL. */
void page_rows(string_buffer *out, const json_t *object, const char *const *skip);
/* One value as text, escaped. */
void page_value(string_buffer *out, const json_t *value);

#endif
