/*
 * json.h - reading JSON that nobody vouches for: jansson with every failure as an mb_error.
 *
 * `what` names the text in messages: "config.json", "metadata moviebert.pooling".
 */
#ifndef MOVIEBERT_MODEL_JSON_H
#define MOVIEBERT_MODEL_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "moviebert/status.h"

/*
 * Parses text[0..size) as one JSON object (duplicate keys and \u0000 refused); *object is the caller's, to json_decref.
 * In a text with an integer of more than 64 bits every integer becomes a double; mb_json_int takes those too.
 * Errors: MB_CORRUPT with what, line and column; MB_LIMIT over 16 MiB of text; MB_OUT_OF_MEMORY.
 */
mb_status mb_json_parse(json_t **object, const char *text, size_t size, const char *what, mb_error *err);

/* The same for a JSON list. */
mb_status mb_json_parse_list(json_t **list, const char *text, size_t size, const char *what, mb_error *err);

/*
 * Members of an object.  A missing or null member leaves *value as it was, so that the caller's default stands; a
 * member of another type, or out of range, is MB_CORRUPT naming what and key.
 */
mb_status mb_json_int(const json_t *object, const char *key, int64_t low, int64_t high, int32_t *value,
					  const char *what, mb_error *err);
mb_status mb_json_float(const json_t *object, const char *key, float *value, const char *what, mb_error *err);
mb_status mb_json_bool(const json_t *object, const char *key, bool *value, const char *what, mb_error *err);
mb_status mb_json_string(const json_t *object, const char *key, const char **value, const char *what, mb_error *err);

/*
 * A value's text, keys in order of insertion, malloc'ed; NULL when memory is short.  Numbers keep their value, and
 * where possible their digits: read and written again, 0.1 is 0.1.  The second is indented, for files that people read.
 */
char *mb_json_text(const json_t *value);
char *mb_json_file_text(const json_t *value);

#endif
