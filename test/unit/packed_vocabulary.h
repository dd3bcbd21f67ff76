/* packed_vocabulary.h - vocabularies for the tokenizer's tests. */
#ifndef MOVIEBERT_TEST_PACKED_VOCABULARY_H
#define MOVIEBERT_TEST_PACKED_VOCABULARY_H

#include "moviebert/tokenizer.h"

#define GOLDEN "test/golden/tokenizer/"

typedef struct packed
{
	void *blob; /* to be freed */
	size_t size;
	mb_tokenizer tokenizer;
} packed;

/* A whole file, NUL-terminated, to be freed.  All of these fail the test if they cannot. */
char *read_file(const char *path, size_t *size);

packed pack(const char *vocab, size_t size, const mb_tokenizer_options *options);

/* [PAD] [UNK] [CLS] [SEP] [MASK], then from 5 on: a b ab ##a ##b ##bc . e-acute ##e-acute U+4E2D; options as by
 * default. */
packed pack_tiny(void);

#endif
