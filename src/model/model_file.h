/* model_file.h - what an opened model owns beside what mb_model shows. */
#ifndef MOVIEBERT_MODEL_MODEL_FILE_H
#define MOVIEBERT_MODEL_MODEL_FILE_H

#include <jansson.h>

#include "moviebert/model.h"

typedef struct model_file
{
	mb_model model; /* first: the public pointer is this struct's */
	mb_tag *tags;
	const char **additional_special_tokens;
	json_t *tokenizer_object; /* holds the strings of model.tokenizer */
	json_t *tags_list;        /* holds the names of tags */
	const void *map;          /* of mb_model_open_file, else NULL */
	size_t map_size;
} model_file;

/* Fills everything in `model` that comes from the metadata of model.tensors; checks nothing about tensors. */
mb_status model_read_metadata(model_file *file, mb_error *err);

/*
 * Writes a model file beside its place, opens it as any reader would, and only then renames it.  Messages name the place
 * that was asked for.
 */
mb_status model_file_write(const char *path, const mb_tensor *tensors, size_t n_tensors, const mb_metadata *metadata,
						   size_t n_metadata, mb_error *err);

#endif
