/* model_bytes.h - the bytes of a model file in one piece, wherever they come from, with their SHA-256. */
#ifndef MOVIEBERT_MODEL_BYTES_H
#define MOVIEBERT_MODEL_BYTES_H

#include "catalog.h"

typedef struct BertBytes
{
	const char *data;
	size_t		size;
	char		sha256[65];
	void	   *mapping;		/* to be unmapped, or NULL */
} BertBytes;

/* Borrowed, not copied. */
extern void BertBytesOf(BertBytes *bytes, const char *data, size_t size);

/* From a file of the server, which may change under our hands. */
extern void BertBytesFromFile(BertBytes *bytes, const char *path);

/*
 * From the chunks of a hash, complete and of that hash.  False if there are none.  The model's name is for messages;
 * NULL if it has none yet.
 */
extern bool BertBytesFromChunks(BertBytes *bytes, const char *sha256, const char *name);
pg_noreturn extern void BertRaiseNoChunks(const char *sha256, const char *name);

extern void BertBytesRelease(BertBytes *bytes);

#endif
