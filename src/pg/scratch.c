/* scratch.c - this backend's memory for inference, in a memory context of its own so that it shows among the others. */
#include "moviebert.h"

#include "utils/memutils.h"

#include "image_cache.h"

/*
 * What a transaction may leave behind for the next.  An idle backend is not to hold more than 10 MB for us; windows of
 * 512 tokens in a model 384 wide take 5 MB.  Those of a BERT base take twice as much; to fault some thousand pages in
 * anew is little beside what one of its calls computes.
 */
#define SCRATCH_KEPT_BYTES ((size_t) 6 * 1024 * 1024)

static MemoryContext scratch_context = NULL;
static mb_scratch *scratch = NULL;

static void *
scratch_allocate(void *arg, size_t size)
{
	if (size > MaxAllocHugeSize)
		return NULL;
	return MemoryContextAllocExtended(scratch_context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
scratch_release(void *arg, void *pointer)
{
	if (pointer != NULL)
		pfree(pointer);
}

mb_scratch *
BertScratch(void)
{
	static const mb_allocator allocator = {scratch_allocate, scratch_release, NULL};

	if (scratch_context == NULL)
		scratch_context = AllocSetContextCreate(TopMemoryContext, "moviebert scratch", ALLOCSET_SMALL_SIZES);
	if (scratch == NULL)
	{
		scratch = mb_scratch_create(&allocator);
		if (scratch == NULL)
			ereport(ERROR,
					errcode(ERRCODE_OUT_OF_MEMORY),
					errmsg("out of memory"),
					errdetail("Failed while creating memory context \"%s\".", scratch_context->name));
	}
	return scratch;
}

/* One huge text should not hold its memory for the rest of the session. */
void
BertScratchTrim(void)
{
	if (scratch != NULL && mb_scratch_bytes(scratch) > SCRATCH_KEPT_BYTES)
	{
		mb_scratch_destroy(scratch);
		scratch = NULL;
	}
}
