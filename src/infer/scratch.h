/* scratch.h - the memory that inference reuses from call to call. */
#ifndef MOVIEBERT_INFER_SCRATCH_H
#define MOVIEBERT_INFER_SCRATCH_H

#include "moviebert/infer.h"

/* A buffer that only grows. */
typedef struct mb_buffer
{
	void *data; /* 64-byte aligned */
	void *block;
	size_t size;
} mb_buffer;

struct mb_scratch
{
	mb_allocator allocator;
	mb_buffer tokens;     /* int32_t: the ids of one text */
	mb_buffer ids;        /* int32_t [batch tokens]: sequences of the next encoder call */
	mb_buffer lengths;    /* int32_t [batch sequences] */
	mb_buffer owners;     /* window_owner [batch sequences] */
	mb_buffer pooled;     /* float [batch sequences,H] */
	mb_buffer workspace;  /* of mb_encode */
	mb_buffer embeddings; /* float [n_texts,H], for mb_scores */
};

/* Makes the buffer hold at least count * size bytes (its content is lost when it grows); false if memory is refused. */
bool mb_buffer_reserve(mb_scratch *scratch, mb_buffer *buffer, size_t count, size_t size);

#endif
