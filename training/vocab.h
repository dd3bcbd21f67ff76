/* vocab.h - moviebert vocab in three steps: count words (vocab_words.c), train, report (vocab_report.c). */
#ifndef MOVIEBERT_TOOL_VOCAB_H
#define MOVIEBERT_TOOL_VOCAB_H

#include <libpq-fe.h>

#include "vocabulary_use.h"
#include "word_counts.h"
#include "wordpiece_trainer.h"

typedef struct vocab_request
{
	const char *query;
	const char *text_column; /* NULL: the first */
	const char *output;
	const char *compare;        /* a vocab.txt, or NULL */
	mb_tokenizer_options split; /* how texts become words */
	wordpiece_options training;
	size_t max_words;
	size_t max_listed; /* tokens of each side that --compare lists, characters dropped that are shown */
	bool as_json, silent;
} vocab_request;

/* What became of the rows and of their words. */
typedef struct vocab_words
{
	word_counts counts; /* sorted */
	int64_t rows_read, rows_used, null_text, empty_text;
	uint64_t too_long; /* words of over MAX_WORD_CHARACTERS characters: not learned from */
} vocab_words;

/* Reads the query's rows.  Errors: those of query_rows_read; a text that is not UTF-8; no row with words. */
mb_status vocab_words_read(vocab_words *words, PGconn *connection, const vocab_request *request, mb_error *err);
void vocab_words_release(vocab_words *words);

typedef struct vocab_result
{
	vocab_words words;
	wordpiece_vocabulary vocabulary;
	vocabulary_use use;
	vocabulary_use other; /* of request->compare */
} vocab_result;

/* On stdout, as tables or as JSON. */
void vocab_report(const vocab_request *request, const vocab_result *result);

#endif
