/*
 * safetensors_header.c - the JSON header of a safetensors file.
 *
 * The header may have 100,000,000 bytes, and a general JSON library builds a tree of up to 80 times that.  The format
 * needs none: the header is an object of objects with three known members, and one object of strings.  So this is a
 * parser for just that; it does not recurse, and its memory is the header's size for the strings (a decoded string is
 * never longer than its text) and at most ten times that for the arrays.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moviebert/utf8.h"
#include "safetensors_file.h"

#define HEADER_AT 8    /* the header's first byte in the file */
#define SHOWN "%.100s" /* as much of a name as a message shows */

typedef struct parser
{
	mb_safetensors *file;
	const unsigned char *begin, *at, *end;
	const unsigned char *data;
	size_t data_bytes;
	char *next_string; /* where in file->strings the next string goes */
	size_t tensor_capacity, metadata_capacity;
	mb_error *err;
	mb_status status;
} parser;

/* ---- what is wrong --------------------------------------------------------------------------------------------------
 */

/* Not JSON, or not the JSON of this format, at this byte. */
static bool malformed(parser *p, const unsigned char *where, const char *format, ...) MB_PRINTF(3, 4);

static bool
malformed(parser *p, const unsigned char *where, const char *format, ...)
{
	char what[240];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	p->status = mb_fail(p->err, MB_CORRUPT, "the safetensors header is malformed");
	mb_detail(p->err, "Byte %zu of the file: %s.", (size_t) (where - p->begin) + HEADER_AT, what);
	return false;
}

static bool
bad_tensor(parser *p, mb_status status, const char *name, const char *what)
{
	p->status = mb_fail(p->err, status, "tensor \"" SHOWN "\" %s", name, what);
	return false;
}

static bool
out_of_memory(parser *p)
{
	p->status = mb_fail(p->err, MB_OUT_OF_MEMORY, "out of memory");
	return false;
}

/* ---- tokens ---------------------------------------------------------------------------------------------------------
 */

static void
skip_space(parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
		p->at++;
}

/* The next character that is not white space, or 0 at the end; stays there. */
static int
peek(parser *p)
{
	skip_space(p);
	return p->at < p->end ? *p->at : 0;
}

static bool
expect(parser *p, char wanted, const char *where)
{
	const char *shown = wanted == '"' ? "a double quote" : "a colon";

	skip_space(p);
	if (p->at == p->end)
		return malformed(p, p->at, "the header ends where there should be %s %s", shown, where);
	if (*p->at != (unsigned char) wanted)
		return malformed(p, p->at, "there should be %s %s", shown, where);
	p->at++;
	return true;
}

static int
hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits after "\u"; p->at is behind the u. */
static bool
read_hex4(parser *p, const unsigned char *escape, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++, p->at++)
	{
		int digit = p->at < p->end ? hex_value(*p->at) : -1;

		if (digit < 0)
			return malformed(p, escape, "\\u without four hexadecimal digits");
		*value = *value * 16 + (unsigned) digit;
	}
	return true;
}

static char *
put_utf8(char *out, unsigned code)
{
	unsigned char bytes[4];
	size_t n = 0;

	if (code < 0x80)
		bytes[n++] = (unsigned char) code;
	else if (code < 0x800)
	{
		bytes[n++] = (unsigned char) (0xc0 | code >> 6);
		bytes[n++] = (unsigned char) (0x80 | (code & 0x3f));
	}
	else if (code < 0x10000)
	{
		bytes[n++] = (unsigned char) (0xe0 | code >> 12);
		bytes[n++] = (unsigned char) (0x80 | (code >> 6 & 0x3f));
		bytes[n++] = (unsigned char) (0x80 | (code & 0x3f));
	}
	else
	{
		bytes[n++] = (unsigned char) (0xf0 | code >> 18);
		bytes[n++] = (unsigned char) (0x80 | (code >> 12 & 0x3f));
		bytes[n++] = (unsigned char) (0x80 | (code >> 6 & 0x3f));
		bytes[n++] = (unsigned char) (0x80 | (code & 0x3f));
	}
	memcpy(out, bytes, n);
	return out + n;
}

/* "\u" and its digits, with the second half of a surrogate pair; p->at is behind the u. */
static bool
read_unicode_escape(parser *p, const unsigned char *escape, char **out)
{
	unsigned code, low;

	if (!read_hex4(p, escape, &code))
		return false;
	if (code == 0)
		return malformed(p, escape, "\\u0000 in a string");
	if (code >= 0xdc00 && code <= 0xdfff)
		return malformed(p, escape, "the second half of a surrogate pair without the first");
	if (code >= 0xd800 && code <= 0xdbff)
	{
		if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
			return malformed(p, escape, "the first half of a surrogate pair without the second");
		p->at += 2;
		if (!read_hex4(p, escape, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return malformed(p, escape, "the first half of a surrogate pair without the second");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	*out = put_utf8(*out, code);
	return true;
}

static bool
read_escape(parser *p, char **out)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const unsigned char *escape = p->at++;
	const char *letter;

	if (p->at == p->end)
		return malformed(p, escape, "the header ends within a string");
	if (*p->at == 'u')
	{
		p->at++;
		return read_unicode_escape(p, escape, out);
	}
	letter = *p->at != 0 ? strchr(letters, *p->at) : NULL;
	if (letter == NULL)
		return malformed(p, escape, "an unknown escape in a string");
	*(*out)++ = values[letter - letters];
	p->at++;
	return true;
}

/* A string, decoded and NUL-terminated, into file->strings. */
static bool
read_string(parser *p, const char **string, const char *where)
{
	char *out = p->next_string;

	if (!expect(p, '"', where))
		return false;
	for (;;)
	{
		mb_codepoint c;
		size_t length;

		if (p->at == p->end)
			return malformed(p, p->at, "the header ends within a string");
		if (*p->at == '"')
			break;
		if (*p->at == '\\')
		{
			if (!read_escape(p, &out))
				return false;
			continue;
		}
		if (*p->at < 0x20)
			return malformed(p, p->at, "a control character (0x%02x) in a string", *p->at);
		length = mb_utf8_decode(p->at, (size_t) (p->end - p->at), &c);
		if (length == 0)
			return malformed(p, p->at, "a string is not valid UTF-8");
		memcpy(out, p->at, length);
		out += length;
		p->at += length;
	}
	p->at++;
	*out++ = '\0';
	*string = p->next_string;
	p->next_string = out;
	return true;
}

/* A whole number from 0 to INT64_MAX, written as digits; `what` it is of which tensor, for messages. */
static bool
read_count(parser *p, int64_t *count, const char *name, const char *what)
{
	const unsigned char *first;
	int64_t value = 0;

	skip_space(p);
	first = p->at;
	if (p->at < p->end && *p->at == '-')
		return malformed(p, first, "%s of tensor \"" SHOWN "\" is negative", what, name);
	for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
		if (__builtin_mul_overflow(value, (int64_t) 10, &value) ||
			__builtin_add_overflow(value, (int64_t) (*p->at - '0'), &value))
			return malformed(p, first, "%s of tensor \"" SHOWN "\" is larger than 2^63 - 1", what, name);
	if (p->at == first)
		return malformed(p, first, "%s of tensor \"" SHOWN "\" is not a number", what, name);
	if (p->at < p->end && (*p->at == '.' || *p->at == 'e' || *p->at == 'E'))
		return malformed(p, first, "%s of tensor \"" SHOWN "\" is not a whole number", what, name);
	if (*first == '0' && p->at - first > 1)
		return malformed(p, first, "%s of tensor \"" SHOWN "\" begins with 0", what, name);
	*count = value;
	return true;
}

/* Behind an element of an object or array: true if another follows; *ok tells whether that or the end was there. */
static bool
another(parser *p, char close, const char *of, bool *ok)
{
	int next = peek(p);

	*ok = true;
	if (next == ',')
	{
		p->at++;
		return true;
	}
	if (next == close)
	{
		p->at++;
		return false;
	}
	if (p->at == p->end)
		*ok = malformed(p, p->at, "the header ends within %s", of);
	else
		*ok = malformed(p, p->at, "there should be \",\" or \"%c\" in %s", close, of);
	return false;
}

/* ---- the format -----------------------------------------------------------------------------------------------------
 */

static bool
read_dtype(parser *p, mb_tensor *tensor)
{
	const char *name;

	if (peek(p) != '"')
		return malformed(p, p->at, "the dtype of tensor \"" SHOWN "\" is not a string", tensor->name);
	if (!read_string(p, &name, "before a dtype"))
		return false;
	if (safetensors_dtype_of(name, &tensor->dtype))
		return true;
	p->status = mb_fail(p->err, MB_UNSUPPORTED, "tensor \"" SHOWN "\" has an unknown dtype", tensor->name);
	mb_detail(p->err, "It is \"%.60s\".", name);
	return false;
}

static bool
read_shape(parser *p, mb_tensor *tensor)
{
	bool ok = true;

	tensor->n_dims = 0;
	if (peek(p) != '[')
		return malformed(p, p->at, "the shape of tensor \"" SHOWN "\" is not a list", tensor->name);
	p->at++;
	if (peek(p) == ']')
	{
		p->at++;
		return true;
	}
	do
	{
		if (tensor->n_dims == MB_TENSOR_MAX_DIMS)
		{
			bad_tensor(p, MB_LIMIT, tensor->name, "has too many dimensions");
			mb_detail(p->err, "At most %d are supported.", MB_TENSOR_MAX_DIMS);
			return false;
		}
		if (!read_count(p, &tensor->shape[tensor->n_dims], tensor->name, "a dimension"))
			return false;
		tensor->n_dims++;
	} while (another(p, ']', "a shape", &ok));
	return ok;
}

static bool
read_offsets(parser *p, const char *name, int64_t offsets[2])
{
	bool ok = true;
	int n = 0;

	if (peek(p) != '[')
		return malformed(p, p->at, "the data_offsets of tensor \"" SHOWN "\" are not a list", name);
	p->at++;
	if (peek(p) == ']')
		return malformed(p, p->at, "the data_offsets of tensor \"" SHOWN "\" are not two", name);
	do
	{
		if (n == 2)
			return malformed(p, p->at, "the data_offsets of tensor \"" SHOWN "\" are not two", name);
		if (!read_count(p, &offsets[n++], name, "an offset"))
			return false;
	} while (another(p, ']', "data_offsets", &ok));
	if (ok && n != 2)
		return malformed(p, p->at - 1, "the data_offsets of tensor \"" SHOWN "\" are not two", name);
	return ok;
}

/* The extent lies in the data and is what the shape needs. */
static bool
check_extent(parser *p, mb_tensor *tensor, const int64_t offsets[2])
{
	int64_t elements, bytes;

	if (offsets[0] > offsets[1])
	{
		bad_tensor(p, MB_CORRUPT, tensor->name, "ends before it begins");
		mb_detail(p->err, "Its data_offsets are %" PRId64 " and %" PRId64 ".", offsets[0], offsets[1]);
		return false;
	}
	if ((uint64_t) offsets[1] > p->data_bytes)
	{
		bad_tensor(p, MB_CORRUPT, tensor->name, "reaches beyond the end of the file");
		mb_detail(p->err, "It ends at byte %" PRId64 " of the data, which has %zu.", offsets[1], p->data_bytes);
		return false;
	}
	if (!safetensors_elements(tensor->shape, tensor->n_dims, &elements) ||
		__builtin_mul_overflow(elements, (int64_t) mb_dtype_size(tensor->dtype), &bytes))
		return bad_tensor(p, MB_CORRUPT, tensor->name, "has a shape whose size overflows");
	if (bytes != offsets[1] - offsets[0])
	{
		bad_tensor(p, MB_CORRUPT, tensor->name, "has another size than its shape and dtype say");
		mb_detail(p->err, "It has %" PRId64 " bytes; they call for %" PRId64 ".", offsets[1] - offsets[0], bytes);
		return false;
	}
	tensor->data = p->data + offsets[0];
	tensor->bytes = (size_t) bytes;
	return true;
}

static bool
read_tensor(parser *p, mb_tensor *tensor)
{
	static const char *const members[] = {"dtype", "shape", "data_offsets"};
	bool seen[3] = {false, false, false};
	int64_t offsets[2] = {0, 0};
	bool ok = true;

	if (peek(p) != '{')
		return malformed(p, p->at, "the entry of tensor \"" SHOWN "\" is not an object", tensor->name);
	p->at++;
	if (peek(p) == '}')
		p->at++;
	else
		do
		{
			char *mark = p->next_string;
			const unsigned char *where;
			const char *key;
			int which = 0;

			skip_space(p);
			where = p->at;
			if (!read_string(p, &key, "before a member's name"))
				return false;
			while (which < 3 && strcmp(key, members[which]) != 0)
				which++;
			if (which == 3)
				return malformed(p, where, "tensor \"" SHOWN "\" has a member \"%.60s\" that the format does not know",
								 tensor->name, key);
			if (seen[which])
				return malformed(p, where, "tensor \"" SHOWN "\" has \"%s\" twice", tensor->name, members[which]);
			seen[which] = true;
			if (!expect(p, ':', "after a member's name"))
				return false;
			if (which == 0   ? !read_dtype(p, tensor)
				: which == 1 ? !read_shape(p, tensor)
							 : !read_offsets(p, tensor->name, offsets))
				return false;
			p->next_string = mark; /* the member's name and a dtype are not needed any more */
		} while (another(p, '}', "a tensor's entry", &ok));
	if (!ok)
		return false;
	for (int i = 0; i < 3; i++)
		if (!seen[i])
		{
			bad_tensor(p, MB_CORRUPT, tensor->name, "is not described in full");
			mb_detail(p->err, "Its entry has no \"%s\".", members[i]);
			return false;
		}
	return check_extent(p, tensor, offsets);
}

static bool
read_metadata(parser *p)
{
	bool ok = true;

	if (peek(p) != '{')
		return malformed(p, p->at, "__metadata__ is not an object");
	p->at++;
	if (peek(p) == '}')
	{
		p->at++;
		return true;
	}
	do
	{
		mb_metadata entry;

		if (!read_string(p, &entry.key, "before a key of __metadata__") ||
			!expect(p, ':', "after a key of __metadata__"))
			return false;
		if (peek(p) != '"')
			return malformed(p, p->at, "the value of \"" SHOWN "\" in __metadata__ is not a string", entry.key);
		if (!read_string(p, &entry.value, "before a value of __metadata__"))
			return false;
		if (p->file->n_metadata == p->metadata_capacity)
		{
			size_t capacity = p->metadata_capacity * 2 + 16;
			mb_metadata *grown = realloc(p->file->metadata, capacity * sizeof(*grown));

			if (grown == NULL)
				return out_of_memory(p);
			p->file->metadata = grown;
			p->metadata_capacity = capacity;
		}
		p->file->metadata[p->file->n_metadata++] = entry;
	} while (another(p, '}', "__metadata__", &ok));
	return ok;
}

static bool
read_entry(parser *p, bool *metadata_seen)
{
	mb_safetensors *file = p->file;
	mb_tensor tensor = {0};
	const unsigned char *where;

	skip_space(p);
	where = p->at;
	if (!read_string(p, &tensor.name, "before a tensor's name") || !expect(p, ':', "after a tensor's name"))
		return false;
	if (strcmp(tensor.name, "__metadata__") == 0)
	{
		if (*metadata_seen)
			return malformed(p, where, "__metadata__ is there twice");
		*metadata_seen = true;
		return read_metadata(p);
	}
	if (!read_tensor(p, &tensor))
		return false;
	if (file->n_tensors == p->tensor_capacity)
	{
		size_t capacity = p->tensor_capacity * 2 + 16;
		mb_tensor *grown = realloc(file->tensors, capacity * sizeof(*grown));

		if (grown == NULL)
			return out_of_memory(p);
		file->tensors = grown;
		p->tensor_capacity = capacity;
	}
	file->tensors[file->n_tensors++] = tensor;
	return true;
}

mb_status
safetensors_read_header(mb_safetensors *file, const unsigned char *text, size_t size, const unsigned char *data,
						size_t data_bytes, mb_error *err)
{
	parser p = {.file = file,
				.begin = text,
				.at = text,
				.end = text + size,
				.data = data,
				.data_bytes = data_bytes,
				.err = err,
				.status = MB_OK};
	bool metadata_seen = false, ok = true;

	file->strings = malloc(size + 1);
	if (file->strings == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	p.next_string = file->strings;
	if (size == 0 || *p.at != '{') /* the format wants it here, without white space before it */
	{
		malformed(&p, p.at, "there should be \"{\" at the header's start");
		return p.status;
	}
	p.at++;
	if (peek(&p) == '}')
		p.at++;
	else
		do
			if (!read_entry(&p, &metadata_seen))
				return p.status;
		while (another(&p, '}', "the header", &ok));
	if (!ok)
		return p.status;
	skip_space(&p);
	if (p.at < p.end)
		malformed(&p, p.at, "there is something behind the header's end");
	return p.status;
}
