/* masking.c - which tokens of a sequence are to be guessed, and what stands in their place. */
#include "sequences.h"

#include <math.h>
#include <string.h>

#include "net/rng.h"

/* The draws of a sequence: three streams, so that none depends on how often another was asked. */
enum
{
	DRAW_WORD,
	DRAW_KIND,
	DRAW_TOKEN,
	N_DRAWS
};

/* The place after the word that begins at place. */
static size_t
word_end(const int32_t *ids, size_t T, size_t place, const masking *how, const special_ids *special)
{
	size_t end = place + 1;

	while (how->whole_words && end < T && special->continues[ids[end]] && !special->special[ids[end]])
		end++;
	return end;
}

/* starts [T]: where words begin; with the first piece of a cut word in another sequence, what is here is a word. */
static size_t
find_words(int32_t *starts, const int32_t *ids, size_t T, const masking *how, const special_ids *special)
{
	size_t n = 0, place;

	for (place = 0; place < T;)
		if (special->special[ids[place]])
			place++;
		else
		{
			starts[n++] = (int32_t) place;
			place = word_end(ids, T, place, how, special);
		}
	return n;
}

/*
 * Sets chosen [T] to 1 for `wanted` tokens: words in random order, each that still fits (as in BERT's own
 * create_pretraining_data).  The order is that of Fisher and Yates, made as far as it is needed.
 */
static void
choose(int32_t *chosen, int32_t *starts, size_t n_words, size_t wanted, const int32_t *ids, size_t T,
	   const masking *how, const special_ids *special, uint64_t key)
{
	size_t n = 0, i;

	memset(chosen, 0, T * sizeof(*chosen));
	for (i = 0; i < n_words && n < wanted; i++)
	{
		size_t j = i + (size_t) rng_below(key, i, n_words - i);
		size_t place = (size_t) starts[j];
		size_t end = word_end(ids, T, place, how, special);

		starts[j] = starts[i];
		if (end - place > wanted - n)
			continue;
		n += end - place;
		while (place < end)
			chosen[place++] = 1;
	}
}

/* Any token that is not special, all alike; there is one, because a target is. */
static int32_t
random_token(const special_ids *special, uint64_t key, size_t place)
{
	uint64_t draw = (uint64_t) place << 32;
	int32_t id;

	do
		id = (int32_t) rng_below(key, draw++, (uint64_t) special->vocab_size);
	while (special->special[id]);
	return id;
}

size_t
mask_sequence(int32_t *ids, size_t T, const masking *how, const special_ids *special, uint64_t seed, uint64_t number,
			  int32_t *places, int32_t *labels)
{
	size_t wanted = (size_t) lround(how->share * (double) T);
	uint64_t keys[N_DRAWS];
	size_t n = 0, place;
	uint64_t draw;

	for (draw = 0; draw < N_DRAWS; draw++)
		keys[draw] = rng_key(seed, RNG_MASK, number, draw);
	/* Until the last loop, places holds the words and labels what is chosen: both have room for T. */
	choose(labels, places, find_words(places, ids, T, how, special), wanted, ids, T, how, special, keys[DRAW_WORD]);
	for (place = 0; place < T; place++)
	{
		double kind;

		if (!labels[place])
			continue;
		kind = rng_uniform(keys[DRAW_KIND], place);
		places[n] = (int32_t) place;
		labels[n++] = ids[place];
		if (kind < 0.8)
			ids[place] = special->mask;
		else if (kind < 0.9)
			ids[place] = random_token(special, keys[DRAW_TOKEN], place);
	}
	return n;
}
