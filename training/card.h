/* card.h - what a model's card says: where it came from, and how good it is.  Nothing in it depends on the clock. */
#ifndef MOVIEBERT_TOOL_CARD_H
#define MOVIEBERT_TOOL_CARD_H

#include <jansson.h>

#include "metrics.h"
#include "moviebert/model.h"
#include "tagged_rows.h"

/* A number rounded to digits after the point, so that cards are readable; null for NAN. */
json_t *json_rounded(double value, int digits);

/* --about=TEXT can be put into a card: it is NULL or UTF-8. */
bool card_about_is_text(const char *about);

json_t *row_counts_json(const row_counts *counts);

/* per_tag: with the table of tags. names [m->tags]. */
json_t *metrics_json(const metrics *m, const char *const *names, bool per_tag);

/*
 * The card of the model that another was made of, or null: with its own base's, so that a model tells all the rows that
 * went into it; without what only fills pages there, the figures of each tag and the trials.
 */
json_t *card_of_base(const mb_model *base);

/* The summary, and one line per tag (at most max_tags lines by falling support; 0: all). */
void metrics_print(const metrics *m, const char *const *names, const char *title, size_t max_tags);

/* Two-space indented JSON on stdout. */
void json_print(const json_t *value);

#endif
