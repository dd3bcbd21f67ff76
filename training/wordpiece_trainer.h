/*
 * wordpiece_trainer.h - a WordPiece vocabulary from counted words, as Hugging Face's WordPieceTrainer makes one.
 *
 * The tokens are, in this order: the special tokens; the alphabet (the characters seen, at most limit_alphabet of them,
 * the most frequent, by code point); "##c" for each of them that continues a word; and what merging gives.  Merging is
 * byte-pair encoding with counts: each word is a row of such pieces, and again and again the most frequent pair of
 * neighbours becomes one piece, whose token is the left one and the right one without "##".
 *
 * Where the reference leaves the order to chance (hash order numbers the "##c", and numbers decide ties), this trainer
 * goes through the words as sorted.  So the same words give the same bytes, on any machine.
 */
#ifndef MOVIEBERT_TOOL_WORDPIECE_TRAINER_H
#define MOVIEBERT_TOOL_WORDPIECE_TRAINER_H

#include "dictionary.h"
#include "moviebert/status.h"
#include "word_counts.h"

typedef struct wordpiece_options
{
	size_t size;            /* tokens wanted */
	uint64_t min_frequency; /* a pair seen less often is not merged */
	size_t limit_alphabet;
	const char *const *special_tokens; /* [n_special] */
	size_t n_special;
	void (*progress)(void *arg, size_t n_tokens); /* may be NULL */
	void *progress_arg;
	const mb_interrupt *interrupt;
} wordpiece_options;

typedef struct dropped_character
{
	int32_t codepoint;
	uint64_t count;
} dropped_character;

typedef struct wordpiece_vocabulary
{
	dictionary tokens;                          /* numbered as in vocab.txt */
	size_t n_special, n_alphabet, n_continuing; /* the first three kinds; what is left was merged */
	dropped_character *dropped;                 /* [n_dropped] beyond limit_alphabet, the most frequent first */
	size_t n_dropped;
	uint64_t last_count; /* of the last pair merged; 0: none was */
} wordpiece_vocabulary;

/*
 * words must be sorted and hold words of valid UTF-8.  There may be fewer tokens than options->size, if no pair is
 * left that is frequent enough.  Errors: MB_LIMIT (special tokens and alphabet alone are more than options->size),
 * MB_CANCELLED.
 */
mb_status wordpiece_train(wordpiece_vocabulary *vocabulary, const word_counts *words, const wordpiece_options *options,
						  mb_error *err);
void wordpiece_vocabulary_release(wordpiece_vocabulary *vocabulary);

#endif
