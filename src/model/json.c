/* json.c - reading JSON that nobody vouches for. */
#include "json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * jansson spends up to 80 bytes on one of text ("[{},{},..."), so a text's size has to be bounded before its memory is.
 * The largest honest one is a tokenizer.json with a large vocabulary, some 5 MB.
 */
#define MAX_TEXT ((size_t) 16 * 1024 * 1024)

/*
 * jansson reports most allocations that fail as bad JSON, and nobody may be told that a good file is bad.  So while it
 * parses, its allocator notes a failure.  The functions are jansson's for the whole process: parse on one thread.
 */
static json_malloc_t outer_malloc;
static bool memory_was_short;

static void *
noting_malloc(size_t size)
{
	void *memory = outer_malloc(size);

	if (memory == NULL)
		memory_was_short = true;
	return memory;
}

static json_t *
load(const char *text, size_t size, size_t flags, json_error_t *failure)
{
	json_free_t outer_free;
	json_t *value;

	json_get_alloc_funcs(&outer_malloc, &outer_free);
	json_set_alloc_funcs(noting_malloc, outer_free);
	memory_was_short = false;
	value = json_loadb(text, size, JSON_REJECT_DUPLICATES | flags, failure);
	json_set_alloc_funcs(outer_malloc, outer_free);
	return value;
}

static mb_status
parse(json_t **result, json_type type, const char *text, size_t size, const char *what, mb_error *err)
{
	json_error_t failure;
	json_t *value;

	*result = NULL;
	if (size > MAX_TEXT)
	{
		mb_fail(err, MB_LIMIT, "%s is too large", what);
		mb_detail(err, "It has %zu bytes; at most %zu are read.", size, MAX_TEXT);
		return MB_LIMIT;
	}
	value = load(text, size, 0, &failure);
	/* tokenizer_config.json says "model_max_length": 1000000000000000019884624838656 where it means "no limit". */
	if (value == NULL && !memory_was_short && json_error_code(&failure) == json_error_numeric_overflow)
		value = load(text, size, JSON_DECODE_INT_AS_REAL, &failure);
	if (value == NULL && memory_was_short)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	if (value == NULL)
	{
		mb_fail(err, MB_CORRUPT, "%s is not valid JSON", what);
		mb_detail(err, "Line %d, column %d: %s.", failure.line, failure.column, failure.text);
		return MB_CORRUPT;
	}
	if (json_typeof(value) != type)
	{
		json_decref(value);
		return mb_fail(err, MB_CORRUPT, "%s is not a JSON %s", what, type == JSON_OBJECT ? "object" : "list");
	}
	*result = value;
	return MB_OK;
}

mb_status
mb_json_parse(json_t **object, const char *text, size_t size, const char *what, mb_error *err)
{
	return parse(object, JSON_OBJECT, text, size, what, err);
}

mb_status
mb_json_parse_list(json_t **list, const char *text, size_t size, const char *what, mb_error *err)
{
	return parse(list, JSON_ARRAY, text, size, what, err);
}

/* A member that is there and not null, else NULL. */
static const json_t *
member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

static mb_status
wrong_type(const char *what, const char *key, const char *type, mb_error *err)
{
	return mb_fail(err, MB_CORRUPT, "member \"%s\" of %s is not %s", key, what, type);
}

mb_status
mb_json_int(const json_t *object, const char *key, int64_t low, int64_t high, int32_t *value, const char *what,
			mb_error *err)
{
	const json_t *found = member(object, key);
	double real;

	if (found == NULL)
		return MB_OK;
	if (!json_is_number(found))
		return wrong_type(what, key, "a whole number", err);
	real = json_number_value(found);
	if (real != floor(real)) /* 512.0 is as good as 512 */
		return wrong_type(what, key, "a whole number", err);
	if (json_is_integer(found) ? json_integer_value(found) < low || json_integer_value(found) > high
							   : real < (double) low || real > (double) high)
	{
		mb_fail(err, MB_CORRUPT, "member \"%s\" of %s is out of range", key, what);
		mb_detail(err, "It is %.17g; it must be from %" PRId64 " to %" PRId64 ".", real, low, high);
		return MB_CORRUPT;
	}
	*value = json_is_integer(found) ? (int32_t) json_integer_value(found) : (int32_t) real;
	return MB_OK;
}

mb_status
mb_json_float(const json_t *object, const char *key, float *value, const char *what, mb_error *err)
{
	const json_t *found = member(object, key);
	double number;

	if (found == NULL)
		return MB_OK;
	if (!json_is_number(found))
		return wrong_type(what, key, "a number", err);
	number = json_number_value(found);
	if (fabs(number) > (double) FLT_MAX)
	{
		mb_fail(err, MB_CORRUPT, "member \"%s\" of %s is out of range", key, what);
		mb_detail(err, "It is %.17g, too large for single precision.", number);
		return MB_CORRUPT;
	}
	*value = (float) number;
	return MB_OK;
}

mb_status
mb_json_bool(const json_t *object, const char *key, bool *value, const char *what, mb_error *err)
{
	const json_t *found = member(object, key);

	if (found == NULL)
		return MB_OK;
	if (!json_is_boolean(found))
		return wrong_type(what, key, "true or false", err);
	*value = json_is_true(found);
	return MB_OK;
}

mb_status
mb_json_string(const json_t *object, const char *key, const char **value, const char *what, mb_error *err)
{
	const json_t *found = member(object, key);

	if (found == NULL)
		return MB_OK;
	if (!json_is_string(found))
		return wrong_type(what, key, "a string", err);
	*value = json_string_value(found);
	return MB_OK;
}

/* 15 digits are enough for whoever wrote 0.1; only what they do not give back needs 17. */
static char *
text_of(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_REAL_PRECISION(15));
	json_t *back = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	if (back != NULL && !json_equal(back, value))
	{
		free(text);
		text = json_dumps(value, flags);
	}
	json_decref(back);
	return text;
}

char *
mb_json_text(const json_t *value)
{
	return text_of(value, JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
}

char *
mb_json_file_text(const json_t *value)
{
	return text_of(value, JSON_PRESERVE_ORDER | JSON_ENCODE_ANY | JSON_INDENT(2));
}
