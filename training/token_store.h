/*
 * token_store.h - the texts of a query as token ids in a file: what training reads, epoch after epoch.
 *
 * A query's rows are streamed once, tokenized and appended; from then on no connection is needed, a run resumes on the very
 * same texts whatever the table holds by then, and memory holds one number per text (its end), never a text.
 *
 * Layout, little-endian: "MBTOKENS", u32 1, u32 flags (1: ids are 16 bits, else 32), u64 texts, u64 tokens, u64 words (0: not
 * counted), u64 bytes of text, SHA-256 [32] of what the query gave (see token_store_finish), then all ids, text by text,
 * without [CLS] and [SEP], padded to 8 bytes, then the end of each text, u64 [texts].
 */
#ifndef MOVIEBERT_TOOL_TOKEN_STORE_H
#define MOVIEBERT_TOOL_TOKEN_STORE_H

#include "moviebert/status.h"
#include "sha256.h"

typedef struct token_store
{
	uint64_t texts, tokens, words, bytes;
	unsigned char sha256[SHA256_BYTES]; /* of the rows */
	uint64_t *ends;                     /* [texts] */
	int fd;
	bool narrow;
} token_store;

typedef struct token_writer token_writer;

/* Writes path.tmp; path appears with token_store_finish.  vocab_size decides the width of ids. */
mb_status token_store_start(token_writer **writer, const char *path, int32_t vocab_size, mb_error *err);
/* row: the bytes that this row adds to the hash (its text, its key, ...) */
mb_status token_store_add(token_writer *writer, const int32_t *ids, size_t n, const void *row, size_t row_size,
						  mb_error *err);
mb_status token_store_finish(token_writer *writer, mb_error *err); /* frees writer, whatever happens */
void token_store_abandon(token_writer *writer);                    /* removes path.tmp; NULL is fine */

/* Checks the header and the ends. */
mb_status token_store_open(token_store *store, const char *path, mb_error *err);
void token_store_close(token_store *store);

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

/* ids [n]: tokens first .. first + n of text.  Thread-safe (pread).  Errors: MB_IO. */
mb_status token_store_read(const token_store *store, uint64_t text, uint64_t first, size_t n, int32_t *ids,
						   mb_error *err);

#endif
