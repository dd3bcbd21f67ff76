/*
 * features.h - the frozen encoder's vectors of many texts, computed once: with threads, a progress bar, and a cache
 * file.
 *
 * The cache maps a text's hash to its vector and belongs to one encoder: weights, vocabulary, pooling and the CPU's
 * kernels are in its fingerprint.  Layout, little-endian: "MBFEAT01", fingerprint [32], u32 H, u32 0, u64 n, n hashes
 * of 16 bytes, n vectors of H floats.
 */
#ifndef MOVIEBERT_TOOL_FEATURES_H
#define MOVIEBERT_TOOL_FEATURES_H

#include "model_source.h"
#include "moviebert/infer.h"
#include "tagged_rows.h"

typedef struct features_options
{
	const char *cache_path; /* NULL: none */
	int n_threads;
	bool silent;
} features_options;

typedef struct features_stats
{
	mb_infer_stats infer;
	size_t distinct; /* texts */
	size_t cached;   /* of these, found in the cache */
	double seconds;  /* computing */
} features_stats;

/*
 * features [rows->n, H], the caller's to free.  The image of source must be open.  What was computed before an
 * interrupt is kept in the cache.
 */
mb_status features_compute(const model_source *source, const tagged_rows *rows, const features_options *options,
						   float **features, features_stats *stats, mb_error *err);

/* SHA-256 over everything that decides an embedding. */
void features_fingerprint(const mb_model *model, unsigned char digest[SHA256_BYTES]);

#endif
