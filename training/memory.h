/*
 * memory.h - allocation in the tool.  A command-line program without memory has nothing better to do than to say so and
 * leave; the engine, which lives in servers too, never does this.
 */
#ifndef MOVIEBERT_TOOL_MEMORY_H
#define MOVIEBERT_TOOL_MEMORY_H

#include <stddef.h>

void *allocate(size_t count, size_t size); /* zeroed; overflow of count * size is "out of memory" too */
void *reallocate(void *pointer, size_t count, size_t size); /* contents kept, new bytes not zeroed */
char *copy_string(const char *text);
char *copy_bytes(const char *text, size_t size); /* with a NUL added */

/* Text that grows. */
typedef struct string_buffer
{
	char *data; /* NUL-terminated once anything was added, else NULL */
	size_t size;
	size_t capacity;
} string_buffer;

void string_add(string_buffer *buffer, const char *data, size_t size);
void string_printf(string_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void string_release(string_buffer *buffer);

#endif
