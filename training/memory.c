/* memory.c - allocation or a clear end. */
#include "memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static void
out_of_memory(size_t count, size_t size)
{
	report_failure(TOOL_FAILED, "Give the command fewer rows or tags, or the machine more memory.",
				   "out of memory (%zu items of %zu bytes)", count, size);
	exit(TOOL_FAILED);
}

void *
allocate(size_t count, size_t size)
{
	void *pointer = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);

	if (pointer == NULL)
		out_of_memory(count, size);
	return pointer;
}

void *
reallocate(void *pointer, size_t count, size_t size)
{
	void *grown;

	if (size != 0 && count > SIZE_MAX / size)
		out_of_memory(count, size);
	grown = realloc(pointer, count * size == 0 ? 1 : count * size);
	if (grown == NULL)
		out_of_memory(count, size);
	return grown;
}

char *
copy_bytes(const char *text, size_t size)
{
	char *copy = allocate(size + 1, 1);

	memcpy(copy, text, size);
	return copy;
}

char *
copy_string(const char *text)
{
	return copy_bytes(text, strlen(text));
}

static void
reserve(string_buffer *buffer, size_t more)
{
	size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity;

	if (more > SIZE_MAX / 4 || buffer->size > SIZE_MAX / 4)
		out_of_memory(buffer->size, more);
	while (capacity < buffer->size + more + 1)
		capacity *= 2;
	if (capacity != buffer->capacity)
	{
		buffer->data = reallocate(buffer->data, capacity, 1);
		buffer->capacity = capacity;
	}
}

void
string_add(string_buffer *buffer, const char *data, size_t size)
{
	reserve(buffer, size);
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void
string_printf(string_buffer *buffer, const char *format, ...)
{
	va_list args, again;
	int needed;

	va_start(args, format);
	va_copy(again, args);
	needed = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (needed > 0)
	{
		reserve(buffer, (size_t) needed);
		vsnprintf(buffer->data + buffer->size, (size_t) needed + 1, format, again);
		buffer->size += (size_t) needed;
	}
	va_end(again);
}

void
string_release(string_buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}
