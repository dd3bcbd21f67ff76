/*
 * infer.h - texts -> embeddings or tag scores: tokenizer, windows, batches and encoder put together.
 *
 * A text of up to max_length - 2 tokens is one window.  A longer one is, by the model's pipeline, either truncated
 * (counted) or read whole: windows of max_length - 2 tokens start every window_stride tokens, the last moved back so
 * that it ends with the text and is full like the others; the text's vector is the mean of the windows' pooled vectors,
 * normalised last if the model normalises.  Windows of all texts share encoder calls of up to batch_tokens tokens;
 * results do not depend on how they are grouped (see encoder.h).
 */
#ifndef MOVIEBERT_INFER_H
#define MOVIEBERT_INFER_H

#include "moviebert/encoder.h"

typedef struct mb_text
{
	const char *data; /* UTF-8, not NUL-terminated */
	size_t      size; /* bytes */
} mb_text;

/* Memory comes from the host: allocate returns 64-byte-agnostic memory or NULL, never longjmps. */
typedef struct mb_allocator
{
	void *(*allocate)(void *arg, size_t size);
	void (*release)(void *arg, void *pointer);
	void *arg;
} mb_allocator;

typedef struct mb_infer_options
{
	size_t              max_text_tokens; /* a text of more tokens is MB_LIMIT (windows) ; 0: no limit */
	size_t              batch_tokens;    /* tokens per encoder call, at least one window; 0: 256 */
	const mb_interrupt *interrupt;       /* may be NULL */
	/* Called after each encoder call with the number of texts finished so far; may be NULL.  For progress bars. */
	void (*progress)(void *arg, size_t texts_done);
	void *progress_arg;
} mb_infer_options;

typedef struct mb_infer_stats
{
	uint64_t texts;
	uint64_t tokens;    /* computed, [CLS] and [SEP] included */
	uint64_t windows;
	uint64_t truncated; /* texts cut because the model's pipeline says so */
} mb_infer_stats;

/* Grow-only memory reused from call to call; one per thread.  Needs no image, serves any. */
typedef struct mb_scratch mb_scratch;

mb_scratch *mb_scratch_create(const mb_allocator *allocator); /* NULL allocator: malloc/free.  NULL on failure */
void        mb_scratch_destroy(mb_scratch *scratch);          /* NULL is fine */
size_t      mb_scratch_bytes(const mb_scratch *scratch);      /* held now */

/*
 * embeddings [n_texts, H]: pooled, and normalised if the model normalises.  An empty text is the two tokens
 * [CLS] [SEP], as in the reference.  stats (may be NULL) is added to.  On error nothing in embeddings is to be used, and
 * err->text_index says which text.
 */
mb_status mb_embed(const mb_image *image, mb_scratch *scratch, const mb_text *texts, size_t n_texts, float *embeddings,
                   const mb_infer_options *options, mb_infer_stats *stats, mb_error *err);

/* scores [n_texts, L]: the head on the embedding, through sigmoid, softmax or nothing as the problem says. */
mb_status mb_scores(const mb_image *image, mb_scratch *scratch, const mb_text *texts, size_t n_texts, float *scores,
                    const mb_infer_options *options, mb_infer_stats *stats, mb_error *err);

#endif
