/*
 * finetune_windows.h - stored texts as the windows that inference reads (infer.h): the same tokens, from the same
 * places.
 *
 * A text of up to width tokens is one window.  A longer one is cut, or read whole in windows that start every stride
 * tokens, the last moved back so that it ends with the text.
 */
#ifndef MOVIEBERT_TOOL_FINETUNE_WINDOWS_H
#define MOVIEBERT_TOOL_FINETUNE_WINDOWS_H

#include "moviebert/model.h"
#include "token_store.h"

typedef struct text_windows
{
	const token_store *store;
	int32_t cls, sep, vocab_size;
	size_t width;  /* max_length - 2 */
	size_t stride; /* tokens */
	bool truncate;
} text_windows;

void text_windows_init(text_windows *w, const token_store *store, const mb_pipeline *pipeline,
					   const mb_tokenizer *tokenizer);

/* Windows of a text, at least one. */
size_t text_windows_count(const text_windows *w, uint64_t text);

/* Tokens of window i, [CLS] and [SEP] included. */
size_t text_windows_length(const text_windows *w, uint64_t text, size_t i);

/* ids [text_windows_length].  Errors: MB_IO, MB_CORRUPT. */
mb_status text_windows_read(const text_windows *w, uint64_t text, size_t i, int32_t *ids, mb_error *err);

/*
 * Which windows of a text a training step looks at: all where there are at most `most`, else one drawn from each of
 * `most` equal parts of them, ascending.  chosen [most]; returns their number.
 */
size_t text_windows_choose(const text_windows *w, uint64_t text, size_t most, uint64_t key, size_t *chosen);

#endif
