/* pretrain_texts.c - the stored texts of a run: their parts, and how frequent each token is. */
#include "pretrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define PIECE 65536

static mb_status
count_tokens(pretrain_texts *texts, const special_ids *special, mb_error *err)
{
	const token_store *store = &texts->store;
	int32_t *ids = allocate(PIECE, sizeof(*ids));
	mb_status status = MB_OK;
	uint64_t i;

	for (i = 0; i < store->part_texts[PART_TRAINING] && status == MB_OK; i++)
	{
		uint64_t text = texts->parts[PART_TRAINING][i], length = token_store_length(store, text), first;

		for (first = 0; first < length && status == MB_OK; first += PIECE)
		{
			size_t n = length - first < PIECE ? (size_t) (length - first) : PIECE, k;

			status = token_store_read(store, text, first, n, ids, err);
			for (k = 0; k < n && status == MB_OK; k++)
				if (ids[k] < 0 || ids[k] >= special->vocab_size)
					status = mb_fail(err, MB_CORRUPT, "a stored token is not of this vocabulary");
				else
					texts->counts[ids[k]]++;
		}
	}
	free(ids);
	return status;
}

/* Entropy of the frequencies, special tokens left out, for they are never to be predicted. */
static double
entropy(const uint64_t *counts, const special_ids *special)
{
	double total = 0, sum = 0;
	int32_t id;

	for (id = 0; id < special->vocab_size; id++)
		if (!special->special[id])
			total += (double) counts[id];
	for (id = 0; id < special->vocab_size; id++)
		if (!special->special[id] && counts[id] > 0)
			sum -= (double) counts[id] / total * log((double) counts[id] / total);
	return sum;
}

mb_status
pretrain_texts_open(pretrain_texts *texts, const char *path, const special_ids *special, mb_error *err)
{
	mb_status status;

	memset(texts, 0, sizeof(*texts));
	texts->store.fd = -1;
	status = token_store_open(&texts->store, path, err);
	if (status != MB_OK)
		return status;
	sha256_hex(texts->store.sha256, texts->sha256);
	texts->parts[PART_TRAINING] = token_store_part(&texts->store, PART_TRAINING);
	texts->parts[PART_VALIDATION] = token_store_part(&texts->store, PART_VALIDATION);
	texts->counts = allocate((size_t) special->vocab_size, sizeof(*texts->counts));
	status = count_tokens(texts, special, err);
	texts->unigram_loss = entropy(texts->counts, special);
	if (status != MB_OK)
		pretrain_texts_close(texts);
	return status;
}

void
pretrain_texts_close(pretrain_texts *texts)
{
	int p;

	for (p = 0; p < N_PARTS; p++)
		free(texts->parts[p]);
	free(texts->counts);
	if (texts->store.ends != NULL)
		token_store_close(&texts->store);
	memset(texts, 0, sizeof(*texts));
}
