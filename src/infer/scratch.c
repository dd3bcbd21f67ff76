/* scratch.c - buffers that grow and are reused, on the host's allocator. */
#include "scratch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *
malloc_allocate(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static void
malloc_release(void *arg, void *pointer)
{
	(void) arg;
	free(pointer);
}

mb_scratch *
mb_scratch_create(const mb_allocator *allocator)
{
	static const mb_allocator from_malloc = {malloc_allocate, malloc_release, NULL};
	mb_scratch *scratch;

	if (allocator == NULL)
		allocator = &from_malloc;
	scratch = allocator->allocate(allocator->arg, sizeof(*scratch));
	if (scratch == NULL)
		return NULL;
	memset(scratch, 0, sizeof(*scratch));
	scratch->allocator = *allocator;
	return scratch;
}

#define EACH_BUFFER(scratch)                                                                                           \
	{                                                                                                                  \
		&(scratch)->tokens, &(scratch)->ids, &(scratch)->lengths, &(scratch)->owners, &(scratch)->pooled,              \
			&(scratch)->workspace, &(scratch)->embeddings                                                              \
	}

void
mb_scratch_destroy(mb_scratch *scratch)
{
	if (scratch != NULL)
	{
		mb_buffer *all[] = EACH_BUFFER(scratch);
		mb_allocator allocator = scratch->allocator;

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (all[i]->block != NULL)
				allocator.release(allocator.arg, all[i]->block);
		allocator.release(allocator.arg, scratch);
	}
}

size_t
mb_scratch_bytes(const mb_scratch *scratch)
{
	const mb_buffer *all[] = EACH_BUFFER(scratch);
	size_t bytes = sizeof(*scratch);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		bytes += all[i]->size;
	return bytes;
}

bool
mb_buffer_reserve(mb_scratch *scratch, mb_buffer *buffer, size_t count, size_t size)
{
	const mb_allocator *allocator = &scratch->allocator;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 64)
		return false;
	if (bytes <= buffer->size && buffer->block != NULL)
		return true;
	if (buffer->block != NULL)
		allocator->release(allocator->arg, buffer->block);
	memset(buffer, 0, sizeof(*buffer));
	buffer->block = allocator->allocate(allocator->arg, bytes + 64);
	if (buffer->block == NULL)
		return false;
	buffer->data = (void *) (((uintptr_t) buffer->block + 63) & ~(uintptr_t) 63);
	buffer->size = bytes;
	return true;
}
