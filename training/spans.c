/* spans.c - two pieces of one text. */
#include "sequences.h"

#include <inttypes.h>

#include "net/rng.h"

enum
{
	DRAW_A_LENGTH,
	DRAW_B_LENGTH,
	DRAW_A_GAP,
	DRAW_B_GAP
};

static mb_status
read_span(int32_t *ids, size_t *length, const token_store *store, uint64_t text, uint64_t first, size_t n,
		  const special_ids *special, mb_error *err)
{
	mb_status status = token_store_read(store, text, first, n, ids + 1, err);
	size_t i;

	if (status != MB_OK)
		return status;
	for (i = 1; i <= n; i++)
		if (ids[i] < 0 || ids[i] >= special->vocab_size)
			return mb_fail(err, MB_CORRUPT, "stored text %" PRIu64 " has a token that the vocabulary lacks", text);
	ids[0] = special->cls;
	ids[n + 1] = special->sep;
	*length = n + 2;
	return MB_OK;
}

/*
 * Of the tokens, `spare` are in neither span: some before the first, some between, the rest after.  Two different
 * numbers of 0 .. spare + 1 are a uniform choice of that, as two separators among the spare tokens; which of the two was
 * drawn first decides which span comes first.
 */
bool
span_pair_read(span_pair *pair, const token_store *store, uint64_t text, size_t min_tokens, size_t max_length,
			   const special_ids *special, uint64_t seed, uint64_t number, mb_status *status, mb_error *err)
{
	uint64_t key = rng_key(seed, RNG_SPAN, number, text);
	uint64_t tokens = token_store_length(store, text);
	uint64_t longest = max_length - 2, range, a_length, b_length, spare, a_gap, b_gap;

	*status = MB_OK;
	if (min_tokens == 0 || max_length < min_tokens + 2)
	{
		*status = mb_fail(err, MB_INVALID_ARGUMENT, "spans of %zu tokens do not fit into sequences of %zu", min_tokens,
						  max_length);
		return false;
	}
	if (tokens / 2 < min_tokens)
		return false;
	if (longest > tokens / 2)
		longest = tokens / 2;
	range = longest - min_tokens + 1;
	a_length = min_tokens + rng_below(key, DRAW_A_LENGTH, range);
	b_length = min_tokens + rng_below(key, DRAW_B_LENGTH, range);
	spare = tokens - a_length - b_length;
	a_gap = rng_below(key, DRAW_A_GAP, spare + 2);
	b_gap = rng_below(key, DRAW_B_GAP, spare + 1);
	b_gap += b_gap >= a_gap;
	/* Behind the first span, and one separator less. */
	if (a_gap < b_gap)
		b_gap += a_length - 1;
	else
		a_gap += b_length - 1;
	*status = read_span(pair->a, &pair->a_length, store, text, a_gap, (size_t) a_length, special, err);
	if (*status == MB_OK)
		*status = read_span(pair->b, &pair->b_length, store, text, b_gap, (size_t) b_length, special, err);
	return *status == MB_OK;
}
