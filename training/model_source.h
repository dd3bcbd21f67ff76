/*
 * model_source.h - a model to work with, from a file or out of a database, and its image for computing.
 */
#ifndef MOVIEBERT_TOOL_MODEL_SOURCE_H
#define MOVIEBERT_TOOL_MODEL_SOURCE_H

#include <libpq-fe.h>

#include "moviebert/image.h"
#include "moviebert/model.h"
#include "sha256.h"

typedef struct model_source
{
	mb_model *model;
	const void *data; /* the model file, mapped */
	size_t size;
	char sha256[SHA256_HEX];
	mb_image image; /* after model_source_image */
	void *image_data;
	size_t image_size;
} model_source;

mb_status model_source_open_file(model_source *source, const char *path, mb_error *err);

/* Reads the chunks of a model by name into an unlinked temporary file ($TMPDIR or /tmp) and checks their SHA-256. */
mb_status model_source_open_database(model_source *source, PGconn *connection, const char *schema, const char *name,
									 mb_error *err);

/* Packs the model for this CPU, into an unlinked temporary file. */
mb_status model_source_image(model_source *source, mb_error *err);

void model_source_close(model_source *source);

/* Maps a whole file read-only; an empty file is MB_CORRUPT. */
mb_status map_file(const char *path, const void **data, size_t *size, mb_error *err);

#endif
