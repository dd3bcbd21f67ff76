/* finetune_windows.c - from a stored text's tokens to [CLS] window [SEP]. */
#include "finetune_windows.h"

#include "net/rng.h"

void
text_windows_init(text_windows *w, const token_store *store, const mb_pipeline *pipeline, const mb_tokenizer *tokenizer)
{
	w->store = store;
	w->cls = mb_tokenizer_cls_id(tokenizer);
	w->sep = mb_tokenizer_sep_id(tokenizer);
	w->vocab_size = mb_tokenizer_vocab_size(tokenizer);
	w->width = (size_t) pipeline->max_length - 2;
	w->stride = (size_t) pipeline->window_stride;
	w->truncate = pipeline->long_text == MB_LONG_TRUNCATE;
}

size_t
text_windows_count(const text_windows *w, uint64_t text)
{
	size_t n = (size_t) token_store_length(w->store, text);

	return n <= w->width || w->truncate ? 1 : 1 + (n - w->width + w->stride - 1) / w->stride;
}

size_t
text_windows_length(const text_windows *w, uint64_t text, size_t i)
{
	size_t n = (size_t) token_store_length(w->store, text);

	(void) i; /* of a text with several, each is full */
	return (n < w->width ? n : w->width) + 2;
}

mb_status
text_windows_read(const text_windows *w, uint64_t text, size_t i, int32_t *ids, mb_error *err)
{
	size_t tokens = (size_t) token_store_length(w->store, text);
	size_t n = text_windows_length(w, text, i) - 2, k;
	bool last = i + 1 == text_windows_count(w, text);
	size_t first = last && tokens > w->width && !w->truncate ? tokens - w->width : i * w->stride;
	mb_status status = token_store_read(w->store, text, first, n, ids + 1, err);

	if (status != MB_OK)
		return status;
	for (k = 1; k <= n; k++)
		if (ids[k] < 0 || ids[k] >= w->vocab_size)
			return mb_fail(err, MB_CORRUPT, "the stored texts have a token that the model's vocabulary does not have");
	ids[0] = w->cls;
	ids[n + 1] = w->sep;
	return MB_OK;
}

size_t
text_windows_choose(const text_windows *w, uint64_t text, size_t most, uint64_t key, size_t *chosen)
{
	size_t n = text_windows_count(w, text), j;

	if (n <= most)
	{
		for (j = 0; j < n; j++)
			chosen[j] = j;
		return n;
	}
	/* The j-th of `most` parts is n j / most .. n (j + 1) / most; none is empty. */
	for (j = 0; j < most; j++)
	{
		size_t first = n * j / most, size = n * (j + 1) / most - first;

		chosen[j] = first + (size_t) rng_below(key, j, size);
	}
	return most;
}
