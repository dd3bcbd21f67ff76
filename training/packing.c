/* packing.c - texts end to end, cut into sequences of one length. */
#include "sequences.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "net/rng.h"

#define NO_EPOCH UINT64_MAX

/* One epoch's order. */
typedef struct epoch_order
{
	uint64_t epoch;   /* or NO_EPOCH */
	uint64_t *texts;  /* [n] */
	uint64_t *begins; /* [n] where texts[i] begins in the stream */
	uint64_t *pieces; /* [sequences] which piece of the stream is at each place */
} epoch_order;

struct packing
{
	const token_store *store;
	const special_ids *special;
	size_t T;
	uint64_t seed;
	uint64_t *texts; /* [n] those that have tokens */
	uint64_t n;
	uint64_t sequences;
	epoch_order orders[2]; /* of an even and an odd epoch */
};

static size_t
piece_size(const packing *p)
{
	return p->T - 2;
}

mb_status
packing_create(packing **result, const token_store *store, const uint64_t *part, uint64_t n, size_t T,
			   const special_ids *special, uint64_t seed, mb_error *err)
{
	uint64_t stream = 0, i;
	packing *p;

	*result = NULL;
	if (T < 3)
		return mb_fail(err, MB_INVALID_ARGUMENT, "sequences of %zu tokens have no room for a text", T);
	p = allocate(1, sizeof(*p));
	p->store = store;
	p->special = special;
	p->T = T;
	p->seed = seed;
	p->texts = allocate(n, sizeof(*p->texts));
	for (i = 0; i < n; i++)
		if (token_store_length(store, part[i]) > 0)
		{
			p->texts[p->n++] = part[i];
			stream += token_store_length(store, part[i]) + 1;
		}
	p->sequences = stream / piece_size(p);
	for (i = 0; i < 2; i++)
	{
		epoch_order *order = &p->orders[i];

		order->epoch = NO_EPOCH;
		order->texts = allocate(p->n, sizeof(*order->texts));
		order->begins = allocate(p->n, sizeof(*order->begins));
		order->pieces = allocate(p->sequences, sizeof(*order->pieces));
	}
	if (p->sequences == 0)
	{
		packing_destroy(p);
		mb_fail(err, MB_INVALID_ARGUMENT, "the texts are too few to fill one sequence of %zu tokens", T);
		mb_detail(err, "%" PRIu64 " texts have %" PRIu64 " tokens with their separators.", n, stream);
		mb_hint(err, "Give more rows, or shorter sequences.");
		return MB_INVALID_ARGUMENT;
	}
	*result = p;
	return MB_OK;
}

void
packing_destroy(packing *p)
{
	int i;

	if (p == NULL)
		return;
	for (i = 0; i < 2; i++)
	{
		free(p->orders[i].texts);
		free(p->orders[i].begins);
		free(p->orders[i].pieces);
	}
	free(p->texts);
	free(p);
}

uint64_t
packing_sequences(const packing *p)
{
	return p->sequences;
}

/* Fisher-Yates */
static void
shuffle(uint64_t *items, uint64_t n, uint64_t key)
{
	uint64_t i;

	for (i = n; i > 1; i--)
	{
		uint64_t j = rng_below(key, i, i);
		uint64_t item = items[i - 1];

		items[i - 1] = items[j];
		items[j] = item;
	}
}

mb_status
packing_epoch(packing *p, uint64_t epoch, mb_error *err)
{
	epoch_order *order = &p->orders[epoch & 1];
	uint64_t begin = 0, i;

	if (epoch == NO_EPOCH)
		return mb_fail(err, MB_INVALID_ARGUMENT, "there is no epoch %" PRIu64, epoch);
	if (order->epoch == epoch)
		return MB_OK;
	memcpy(order->texts, p->texts, p->n * sizeof(*order->texts));
	shuffle(order->texts, p->n, rng_key(p->seed, RNG_SHUFFLE, epoch, 0));
	for (i = 0; i < p->n; i++)
	{
		order->begins[i] = begin;
		begin += token_store_length(p->store, order->texts[i]) + 1;
	}
	for (i = 0; i < p->sequences; i++)
		order->pieces[i] = i;
	shuffle(order->pieces, p->sequences, rng_key(p->seed, RNG_SHUFFLE, epoch, 1));
	order->epoch = epoch;
	return MB_OK;
}

/* The text that holds place `at` of the stream: the last that begins at it or before. */
static uint64_t
text_at(const epoch_order *order, uint64_t n, uint64_t at)
{
	uint64_t low = 0, high = n;

	while (high - low > 1)
	{
		uint64_t middle = low + (high - low) / 2;

		if (order->begins[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static mb_status
check_ids(const int32_t *ids, size_t n, const special_ids *special, uint64_t text, mb_error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= special->vocab_size)
		{
			mb_fail(err, MB_CORRUPT, "stored text %" PRIu64 " has a token that the vocabulary lacks", text);
			mb_detail(err, "Its id is %" PRId32 "; the vocabulary has %" PRId32 " tokens.", ids[i], special->vocab_size);
			return MB_CORRUPT;
		}
	return MB_OK;
}

mb_status
packing_read(const packing *p, uint64_t i, int32_t *ids, mb_error *err)
{
	uint64_t epoch = i / p->sequences;
	const epoch_order *order = &p->orders[epoch & 1];
	size_t left = piece_size(p);
	uint64_t at, place;

	if (order->epoch != epoch)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the order of epoch %" PRIu64 " was not made", epoch);
	at = order->pieces[i % p->sequences] * piece_size(p);
	*ids++ = p->special->cls;
	for (place = text_at(order, p->n, at); left > 0; place++)
	{
		uint64_t text = order->texts[place];
		uint64_t first = at - order->begins[place];
		uint64_t rest = token_store_length(p->store, text) - first; /* 0: only its [SEP] */
		size_t n = rest < left ? (size_t) rest : left;
		mb_status status = token_store_read(p->store, text, first, n, ids, err);

		if (status == MB_OK)
			status = check_ids(ids, n, p->special, text, err);
		if (status != MB_OK)
			return status;
		ids += n;
		at += n;
		left -= n;
		if (left > 0)
		{
			*ids++ = p->special->sep;
			at++;
			left--;
		}
	}
	*ids = p->special->sep;
	return MB_OK;
}
