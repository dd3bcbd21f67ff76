/*
 * sequences.h - from stored texts to what a training step sees: packed, masked, or cut into pairs of spans.
 *
 * All of it is a function of (seed, epoch, number): a run that resumes sees what it would have seen.
 */
#ifndef MOVIEBERT_TOOL_SEQUENCES_H
#define MOVIEBERT_TOOL_SEQUENCES_H

#include "moviebert/tokenizer.h"
#include "token_store.h"

typedef struct special_ids
{
	int32_t cls, sep, mask, pad;
	int32_t vocab_size;
	const uint8_t *special; /* [vocab_size] 1: never a target, never a random replacement ([PAD], [UNK], [CLS], ...) */
	const uint8_t *continues; /* [vocab_size] 1: "##", goes on with the word before it */
} special_ids;

/*
 * Of a vocabulary: special are the role tokens, the additional special tokens, and lines without a token.
 * special_ids_release frees the two arrays.
 */
void special_ids_create(special_ids *ids, const mb_tokenizer *tokenizer);
void special_ids_release(special_ids *ids);

/*
 * Texts of one part (training or validation) packed into sequences of T tokens without padding:
 *   [CLS] text [SEP] text [SEP] ... [SEP]    with texts in the epoch's random order, cut at the sequence's end and
 * continued in the next; the number of sequences is the same in each epoch (the last, incomplete one is left out), and they
 * come in an order that is random too, so that neighbours in a batch are not pieces of one text.
 *
 * Precisely: the epoch's texts, each with a [SEP] behind it, are one stream; a sequence is [CLS], T - 2 tokens of the
 * stream, [SEP].  So each token is seen once per epoch but for the rest that is shorter than T - 2, and where a text
 * ends just before a sequence's last place, two [SEP] stand together.  Texts without tokens are skipped.
 */
typedef struct packing packing;

/*
 * part [n]: numbers of texts in store; it and store are borrowed.  Errors: MB_INVALID_ARGUMENT (T below 3, or the texts
 * do not fill one sequence).
 */
mb_status packing_create(packing **p, const token_store *store, const uint64_t *part, uint64_t n, size_t T,
						 const special_ids *special, uint64_t seed, mb_error *err);
void packing_destroy(packing *p);
uint64_t packing_sequences(const packing *p); /* per epoch */
/*
 * Sequence number i = epoch * packing_sequences + place; ids [T].  Safe from several threads once packing_epoch(p, epoch)
 * was called.  The orders of two epochs, an even and an odd one, are kept: one may be read while the next is made, and a
 * step may reach from one into the next.  Errors: those of token_store_read; MB_CORRUPT (an id beyond the vocabulary);
 * MB_INVALID_ARGUMENT (the epoch was not asked for).
 */
mb_status packing_epoch(packing *p, uint64_t epoch, mb_error *err);
mb_status packing_read(const packing *p, uint64_t i, int32_t *ids, mb_error *err);

typedef struct masking
{
	double share;    /* of T, rounded: exactly so many targets a sequence (fewer if fewer tokens qualify) */
	bool whole_words; /* a word's pieces go together; a word that would exceed the number is passed over */
} masking;

/*
 * Chooses the targets of a sequence of T ids; 80 % become [MASK], 10 % a random token, 10 % stay.  places [..] ascending and
 * labels [..] have room for T.  Returns their number.
 */
size_t mask_sequence(int32_t *ids, size_t T, const masking *how, const special_ids *special, uint64_t seed,
					 uint64_t number, int32_t *places, int32_t *labels);

/*
 * Two spans of one text, a positive pair of contrastive learning.  Both have [CLS] and [SEP]; each span is min_tokens to
 * max_length - 2 tokens long, and no longer than half the text, so that the two never overlap.  Which of them comes first in
 * the text is random, their lengths and places are uniform.  False if the text has fewer than 2 * min_tokens tokens, or on an
 * error: *status tells.
 */
typedef struct span_pair
{
	int32_t *a, *b; /* room for max_length each */
	size_t a_length, b_length;
} span_pair;

bool span_pair_read(span_pair *pair, const token_store *store, uint64_t text, size_t min_tokens, size_t max_length,
					const special_ids *special, uint64_t seed, uint64_t number, mb_status *status, mb_error *err);

#endif
