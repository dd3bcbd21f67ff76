/* tag_array.c - parsing one array value. */
#include "tag_array.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "memory.h"

static void
clear(tag_array *array)
{
	array->used = 0;
	array->n = 0;
	array->nulls = 0;
}

static void
add_byte(tag_array *array, char byte)
{
	if (array->used == array->capacity)
	{
		array->capacity = array->capacity == 0 ? 256 : array->capacity * 2;
		array->bytes = reallocate(array->bytes, array->capacity, 1);
	}
	array->bytes[array->used++] = byte;
}

static void
start_element(tag_array *array)
{
	if (array->n == array->starts_capacity)
	{
		array->starts_capacity = array->starts_capacity == 0 ? 16 : array->starts_capacity * 2;
		array->starts = reallocate(array->starts, array->starts_capacity, sizeof(size_t));
	}
	array->starts[array->n++] = array->used;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool
is_null_word(const char *text, size_t size)
{
	static const char word[] = "null";
	size_t i;

	if (size != 4)
		return false;
	for (i = 0; i < 4; i++)
		if ((text[i] | 0x20) != word[i])
			return false;
	return true;
}

static mb_status
malformed(mb_error *err, const char *why)
{
	mb_fail(err, MB_INVALID_ARGUMENT, "malformed array of tags");
	mb_detail(err, "%s", why);
	return MB_INVALID_ARGUMENT;
}

/* Steps over "[2:4]=" ; more than one pair of brackets is more than one dimension. */
static mb_status
skip_bounds(const char **p, const char *end, mb_error *err)
{
	const char *q = *p;
	int dimensions = 0;

	while (q < end && *q == '[')
	{
		while (q < end && *q != ']')
			q++;
		if (q == end)
			return malformed(err, "The bounds have no closing bracket.");
		q++;
		dimensions++;
	}
	if (dimensions > 1)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "array of tags has %d dimensions", dimensions);
		mb_hint(err, "Tags are a one-dimensional array, for example ARRAY['comedy', 'drama'].");
		return MB_INVALID_ARGUMENT;
	}
	if (dimensions == 1)
	{
		if (q == end || *q != '=')
			return malformed(err, "The bounds are not followed by an equals sign.");
		q++;
	}
	*p = q;
	return MB_OK;
}

mb_status
tag_array_parse(tag_array *array, const char *literal, size_t size, mb_error *err)
{
	const char *p = literal;
	const char *end = literal + size;
	mb_status status;

	clear(array);
	while (p < end && is_space(*p))
		p++;
	status = skip_bounds(&p, end, err);
	if (status != MB_OK)
		return status;
	if (p == end || *p != '{')
		return malformed(err, "It does not begin with a brace.");
	p++;
	while (p < end && is_space(*p))
		p++;
	if (p < end && *p == '}')
		p++;
	else
	{
		for (;;)
		{
			while (p < end && is_space(*p))
				p++;
			if (p == end)
				return malformed(err, "It ends in the middle.");
			if (*p == '{')
			{
				mb_fail(err, MB_INVALID_ARGUMENT, "array of tags has more than one dimension");
				mb_hint(err, "Tags are a one-dimensional array, for example ARRAY['comedy', 'drama'].");
				return MB_INVALID_ARGUMENT;
			}
			start_element(array);
			if (*p == '"')
			{
				p++;
				while (p < end && *p != '"')
				{
					if (*p == '\\' && ++p == end)
						break;
					add_byte(array, *p++);
				}
				if (p == end)
					return malformed(err, "A quoted element has no end.");
				p++;
				add_byte(array, '\0');
				while (p < end && is_space(*p))
					p++;
			}
			else
			{
				size_t start = array->starts[array->n - 1];
				size_t kept = start;
				bool escaped = false;

				/* White space at the end of an unquoted element does not count, unless escaped. */
				while (p < end && *p != ',' && *p != '}' && *p != '{' && *p != '"')
				{
					bool plain = *p != '\\';

					if (!plain)
					{
						escaped = true;
						if (++p == end)
							return malformed(err, "It ends with a backslash.");
					}
					add_byte(array, *p);
					if (!plain || !is_space(*p))
						kept = array->used;
					p++;
				}
				array->used = kept;
				if (p == end || *p == '{' || *p == '"')
					return malformed(err, "A brace or quote stands inside an element.");
				if (kept == start)
					return malformed(err, "An element is missing.");
				if (!escaped && is_null_word(array->bytes + start, kept - start))
				{
					array->used = start;
					array->n--;
					array->nulls++;
				}
				else
					add_byte(array, '\0');
			}
			if (p == end)
				return malformed(err, "It ends in the middle.");
			if (*p == '}')
			{
				p++;
				break;
			}
			if (*p != ',')
				return malformed(err, "Elements are not separated by a comma.");
			p++;
		}
	}
	while (p < end && is_space(*p))
		p++;
	if (p != end)
		return malformed(err, "Something follows the closing brace.");
	return MB_OK;
}

mb_status
tag_array_parse_json(tag_array *array, const char *json, size_t size, mb_error *err)
{
	json_error_t why;
	json_t *root;
	size_t i;

	clear(array);
	root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL || !json_is_array(root))
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "tags are not a JSON array");
		if (root == NULL)
			mb_detail(err, "JSON: %s.", why.text);
		else
			mb_detail(err, "The value is something else.");
		mb_hint(err, "Tags are a text[] or a JSON array of strings, for example [\"comedy\", \"drama\"].");
		json_decref(root);
		return MB_INVALID_ARGUMENT;
	}
	for (i = 0; i < json_array_size(root); i++)
	{
		json_t *element = json_array_get(root, i);
		const char *text;

		if (json_is_null(element))
		{
			array->nulls++;
			continue;
		}
		if (!json_is_string(element))
		{
			json_decref(root);
			mb_fail(err, MB_INVALID_ARGUMENT, "element %zu of the JSON array of tags is not a string", i + 1);
			return MB_INVALID_ARGUMENT;
		}
		start_element(array);
		for (text = json_string_value(element); *text != '\0'; text++)
			add_byte(array, *text);
		add_byte(array, '\0');
	}
	json_decref(root);
	return MB_OK;
}

void
tag_array_release(tag_array *array)
{
	free(array->bytes);
	free(array->starts);
	memset(array, 0, sizeof(*array));
}
