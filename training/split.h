/*
 * split.h - which part a row belongs to, decided by a hash of its key and nothing else.
 *
 * u(seed, key) = first 53 bits of SHA-256("seed:" key) / 2^53.  u < test: test part; u < test + validation: validation
 * part; else training.  All rows of a key are on one side, whatever their order or number, on every machine.
 */
#ifndef MOVIEBERT_TOOL_SPLIT_H
#define MOVIEBERT_TOOL_SPLIT_H

#include <stddef.h>
#include <stdint.h>

typedef enum row_part
{
	PART_TRAINING,
	PART_VALIDATION,
	PART_TEST
} row_part;

#define N_PARTS 3

extern const char *const part_names[N_PARTS];

/* The first eight bytes of the hash, big-endian. */
uint64_t split_hash(int64_t seed, const char *key, size_t size);

row_part split_part(uint64_t hash, double validation, double test);

#endif
