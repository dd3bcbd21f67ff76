/* safetensors_file.h - an opened safetensors file: what its header said, decoded. */
#ifndef MOVIEBERT_MODEL_SAFETENSORS_FILE_H
#define MOVIEBERT_MODEL_SAFETENSORS_FILE_H

#include "moviebert/safetensors.h"

struct mb_safetensors
{
	mb_tensor *tensors;        /* in order of offset */
	const mb_tensor **by_name; /* the same, in order of name */
	size_t n_tensors;
	mb_metadata *metadata; /* in order of key */
	size_t n_metadata;
	char *strings; /* all names, keys and values, each NUL-terminated */
};

/*
 * Parses the JSON header text[0..size) of a file whose data has data_bytes at `data`: fills tensors (in the order of
 * the text, each with its extent, which lies in the data and fits its shape), metadata (in the order of the text) and
 * strings.  On failure the caller frees what is there.
 */
mb_status safetensors_read_header(mb_safetensors *file, const unsigned char *text, size_t size,
								  const unsigned char *data, size_t data_bytes, mb_error *err);

/* The dtype of a name as the format spells it; false if it is not one of ours. */
bool safetensors_dtype_of(const char *name, mb_dtype *dtype);

/* Elements of a shape; false if they do not fit in an int64_t. */
bool safetensors_elements(const int64_t *shape, int32_t n_dims, int64_t *elements);

#endif
