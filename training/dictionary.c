/* dictionary.c - open addressing with FNV-1a. */
#include "dictionary.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static uint64_t
hash_of(const char *name)
{
	uint64_t hash = 14695981039346656037u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char) *name) * 1099511628211u;
	return hash;
}

static size_t
slot_of(const dictionary *words, const char *name, uint64_t hash)
{
	size_t slot = (size_t) hash & (words->n_slots - 1);

	while (words->slots[slot] >= 0)
	{
		int32_t i = words->slots[slot];

		if (words->hashes[i] == hash && strcmp(words->names[i], name) == 0)
			break;
		slot = (slot + 1) & (words->n_slots - 1);
	}
	return slot;
}

static void
grow(dictionary *words)
{
	size_t i;

	words->n_slots = words->n_slots == 0 ? 256 : words->n_slots * 2;
	words->slots = reallocate(words->slots, words->n_slots, sizeof(int32_t));
	memset(words->slots, 0xff, words->n_slots * sizeof(int32_t));
	for (i = 0; i < words->n; i++)
		words->slots[slot_of(words, words->names[i], words->hashes[i])] = (int32_t) i;
}

int32_t
dictionary_find(const dictionary *words, const char *name)
{
	if (words->n_slots == 0)
		return -1;
	return words->slots[slot_of(words, name, hash_of(name))];
}

int32_t
dictionary_add(dictionary *words, const char *name)
{
	uint64_t hash = hash_of(name);
	size_t slot;

	if (words->n * 2 >= words->n_slots)
		grow(words);
	slot = slot_of(words, name, hash);
	if (words->slots[slot] >= 0)
		return words->slots[slot];
	if (words->n == words->capacity)
	{
		words->capacity = words->capacity == 0 ? 128 : words->capacity * 2;
		words->names = reallocate(words->names, words->capacity, sizeof(char *));
		words->hashes = reallocate(words->hashes, words->capacity, sizeof(uint64_t));
	}
	words->names[words->n] = copy_string(name);
	words->hashes[words->n] = hash;
	words->slots[slot] = (int32_t) words->n;
	return (int32_t) words->n++;
}

void
dictionary_release(dictionary *words)
{
	size_t i;

	for (i = 0; i < words->n; i++)
		free(words->names[i]);
	free(words->names);
	free(words->hashes);
	free(words->slots);
	memset(words, 0, sizeof(*words));
}
