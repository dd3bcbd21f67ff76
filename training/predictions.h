/*
 * predictions.h - what a model said of rows, and what is true: evaluate writes it, compare reads it.
 *
 * The file is a safetensors file (moviebert/safetensors.h), so that any reader of that format opens it, and any program
 * that can write one may have its predictions compared:
 *
 *   scores      F32 [N,L]   in [0,1]
 *   labels      U8  [N,L]   0 or 1
 *   known       U8  [N,L]   0 or 1; absent: all pairs are known
 *   thresholds  F32 [L]
 *   keys        U64 [N]     what rows belong together by: the first eight bytes, big-endian, of SHA-256("0:" key)
 *   texts       U8  [N,16]  the first bytes of the text's SHA-256
 *   lengths     U32 [N]     characters of the text
 *
 * and, in the metadata, "moviebert.predictions", a JSON object:
 *
 *   version       1
 *   tags          [L] names, all different
 *   model_sha256  of the model file, or ""
 *   seed          of the training run, from the model's card; or null
 *   key           the name of the key's column; null: rows belong together by their text
 *   query         free
 *
 * In memory, and in files written here, rows stand in order of key, text and labels, and tags in order of name: so two
 * files about the same rows agree place by place, whatever order the server gave them in, and equal contents are equal
 * bytes.
 */
#ifndef MOVIEBERT_TOOL_PREDICTIONS_H
#define MOVIEBERT_TOOL_PREDICTIONS_H

#include <stdint.h>

#include "metrics.h"
#include "moviebert/status.h"
#include "sha256.h"

#define PREDICTIONS_TEXT_BYTES 16
#define PREDICTIONS_MAX_ROWS (1 << 29)

typedef struct predictions
{
	size_t n_rows, n_tags;
	float *scores;                                  /* [n_rows, n_tags] */
	uint8_t *labels;                                /* [n_rows, n_tags] */
	uint8_t *known;                                 /* [n_rows, n_tags] or NULL */
	float *thresholds;                              /* [n_tags] */
	uint64_t *keys;                                 /* [n_rows] */
	unsigned char (*texts)[PREDICTIONS_TEXT_BYTES]; /* [n_rows] */
	uint32_t *lengths;                              /* [n_rows] */
	char **tags;                                    /* [n_tags] */
	char model_sha256[SHA256_HEX];
	bool has_seed;
	int64_t seed;
	char *key;   /* NULL: the text */
	char *query; /* may be NULL */
} predictions;

/* Room for n_rows and n_tags, zeroed; names and strings are the caller's to fill with allocated ones. */
void predictions_init(predictions *p, size_t n_rows, size_t n_tags, bool all_known);
void predictions_release(predictions *p);

/* Brings rows and tags into their order. */
void predictions_sort(predictions *p);

/* Whole or not at all, after predictions_sort. */
mb_status predictions_write(const predictions *p, const char *path, mb_error *err);

/*
 * Reads, checks and sorts.  Errors: everything safetensors.h says; a tensor that is absent or of another kind; a value
 * out of range.
 */
mb_status predictions_read(predictions *p, const char *path, mb_error *err);

/*
 * Whether both are about the same rows, labels and tags; else MB_INVALID_ARGUMENT, with what differs.  Names are for
 * messages.
 */
mb_status predictions_match(const predictions *a, const predictions *b, const char *name_a, const char *name_b,
							mb_error *err);

#endif
