/* dictionary.h - strings to numbers 0, 1, 2, ... in order of first sight: the tags of a query. */
#ifndef MOVIEBERT_TOOL_DICTIONARY_H
#define MOVIEBERT_TOOL_DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

typedef struct dictionary
{
	char **names;     /* [n] */
	uint64_t *hashes; /* [n] */
	int32_t *slots;   /* [n_slots], -1: free; open addressing */
	size_t n;
	size_t capacity;
	size_t n_slots;
} dictionary;

int32_t dictionary_add(dictionary *words, const char *name);        /* its number, old or new */
int32_t dictionary_find(const dictionary *words, const char *name); /* or -1 */
void dictionary_release(dictionary *words);

#endif
