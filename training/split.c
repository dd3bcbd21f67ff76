/* split.c - the hash split. */
#include "split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sha256.h"

const char *const part_names[N_PARTS] = {"training", "validation", "test"};

uint64_t
split_hash(int64_t seed, const char *key, size_t size)
{
	unsigned char digest[SHA256_BYTES];
	char prefix[32];
	sha256 *hash = sha256_start();
	uint64_t value = 0;
	int i;

	snprintf(prefix, sizeof(prefix), "%" PRId64 ":", seed);
	sha256_add(hash, prefix, strlen(prefix));
	sha256_add(hash, key, size);
	sha256_finish(hash, digest);
	for (i = 0; i < 8; i++)
		value = value << 8 | digest[i];
	return value;
}

row_part
split_part(uint64_t hash, double validation, double test)
{
	double u = (double) (hash >> 11) / 9007199254740992.0;

	if (u < test)
		return PART_TEST;
	return u < test + validation ? PART_VALIDATION : PART_TRAINING;
}
