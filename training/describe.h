/* describe.h - a model told in a few lines, or as JSON. */
#ifndef MOVIEBERT_TOOL_DESCRIBE_H
#define MOVIEBERT_TOOL_DESCRIBE_H

#include <jansson.h>

#include "model_source.h"

/* On stdout; at most max_tags tags (0: all). */
void describe_model(const model_source *source, size_t max_tags);
json_t *describe_model_json(const model_source *source);

/* The lines of a card that a reader looks for first: the query, the rows, the metrics; NULL is fine. */
void describe_card(const json_t *card);

#endif
