/*
 * token_store.h - the texts of a query as token ids in a file: what training reads, epoch after epoch.
 *
 * A query's rows are streamed once, tokenized and appended; from then on no connection is needed, a run resumes on the very
 * same texts whatever the table holds by then, and memory holds nine bytes per text (its end and its part), never a text.
 *
 * Layout, little-endian: "MBTOKENS", u32 1, u32 flags (1: ids are 16 bits, else 32), u64 texts, u64 tokens, for each part
 * (split.h) u64 words, u64 characters, u64 bytes of its texts (0: not counted), SHA-256 [32] of what the query gave (see
 * token_store_add), then all ids, text by text, without [CLS] and [SEP], padded with zeros to 8 bytes, then the end of
 * each text, u64 [texts], then its part, u8 [texts].
 */
#ifndef MOVIEBERT_TOOL_TOKEN_STORE_H
#define MOVIEBERT_TOOL_TOKEN_STORE_H

#include "moviebert/status.h"
#include "sha256.h"
#include "split.h"

/* How much text that is: of one text, of a part, of all. */
typedef struct text_size
{
	uint64_t words;      /* between white space */
	uint64_t characters; /* code points */
	uint64_t bytes;      /* of UTF-8 */
} text_size;

typedef struct token_store
{
	uint64_t texts, tokens, words, characters, bytes;
	uint64_t part_texts[N_PARTS], part_tokens[N_PARTS];
	text_size part_sizes[N_PARTS];
	unsigned char sha256[SHA256_BYTES]; /* of the rows */
	uint64_t *ends;                     /* [texts] */
	uint8_t *parts;                     /* [texts] row_part */
	int fd;
	bool narrow;
} token_store;

typedef struct token_writer token_writer;

/* Writes path.tmp; path appears with token_store_finish.  vocab_size decides the width of ids. */
mb_status token_store_start(token_writer **writer, const char *path, int32_t vocab_size, mb_error *err);
/*
 * Adds a text, to the training part and without a size unless token_store_mark says otherwise.  row: the bytes that this
 * row adds to the hash (its text, its key, ...), after their number as a u64.
 */
mb_status token_store_add(token_writer *writer, const int32_t *ids, size_t n, const void *row, size_t row_size,
						  mb_error *err);
/* Of the text that was added last. */
void token_store_mark(token_writer *writer, row_part part, const text_size *size);
mb_status token_store_finish(token_writer *writer, mb_error *err); /* frees writer, whatever happens */
void token_store_abandon(token_writer *writer);                    /* removes path.tmp; NULL is fine */

/* Checks the header, the ends and the parts.  Errors: MB_IO; MB_CORRUPT (*store then needs no closing). */
mb_status token_store_open(token_store *store, const char *path, mb_error *err);
void token_store_close(token_store *store);

/* The numbers of a part's texts, ascending, part_texts[part] of them; the caller's to free. */
uint64_t *token_store_part(const token_store *store, row_part part);

static inline uint64_t
token_store_begin(const token_store *store, uint64_t text)
{
	return text == 0 ? 0 : store->ends[text - 1];
}

static inline uint64_t
token_store_length(const token_store *store, uint64_t text)
{
	return store->ends[text] - token_store_begin(store, text);
}

/*
 * ids [n]: tokens first .. first + n of text, as they are in the file: whether they are in a vocabulary's range is the
 * caller's to ask.  Thread-safe (pread).  Errors: MB_IO; MB_INVALID_ARGUMENT (the text has not so many).
 */
mb_status token_store_read(const token_store *store, uint64_t text, uint64_t first, size_t n, int32_t *ids,
						   mb_error *err);

#endif
