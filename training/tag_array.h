/*
 * tag_array.h - the tags of one row: PostgreSQL's array output, or a JSON array, into a list of strings.
 *
 * PostgreSQL's array output (manual, "Array Input and Output Syntax"): {a,"b c",NULL}, elements in double quotes where
 * needed, with backslash before a quote or backslash; an optional prefix like [2:4]= tells other lower bounds.
 */
#ifndef MOVIEBERT_TOOL_TAG_ARRAY_H
#define MOVIEBERT_TOOL_TAG_ARRAY_H

#include "moviebert/status.h"

/* Reused from row to row; zero-initialised at first. */
typedef struct tag_array
{
	char *bytes; /* the strings, each NUL-terminated */
	size_t used;
	size_t capacity;
	size_t *starts; /* [n] offsets into bytes */
	size_t n;
	size_t starts_capacity;
	size_t nulls; /* NULL elements, which are not in the list */
} tag_array;

/* Replaces the contents.  Errors: MB_INVALID_ARGUMENT (malformed, or an array of more than one dimension). */
mb_status tag_array_parse(tag_array *array, const char *literal, size_t size, mb_error *err);
mb_status tag_array_parse_json(tag_array *array, const char *json, size_t size, mb_error *err);

static inline const char *
tag_array_at(const tag_array *array, size_t i)
{
	return array->bytes + array->starts[i];
}

void tag_array_release(tag_array *array);

#endif
