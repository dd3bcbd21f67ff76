/* safetensors.c - opening a safetensors file, and finding what is in it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "safetensors_file.h"

static const struct
{
	const char *name;
	size_t size;
} dtypes[] = {
	[MB_BOOL] = {"BOOL", 1},       [MB_U8] = {"U8", 1},   [MB_I8] = {"I8", 1},   [MB_F8_E5M2] = {"F8_E5M2", 1},
	[MB_F8_E4M3] = {"F8_E4M3", 1}, [MB_I16] = {"I16", 2}, [MB_U16] = {"U16", 2}, [MB_F16] = {"F16", 2},
	[MB_BF16] = {"BF16", 2},       [MB_I32] = {"I32", 4}, [MB_U32] = {"U32", 4}, [MB_F32] = {"F32", 4},
	[MB_F64] = {"F64", 8},         [MB_I64] = {"I64", 8}, [MB_U64] = {"U64", 8},
};

size_t
mb_dtype_size(mb_dtype dtype)
{
	return dtypes[dtype].size;
}

const char *
mb_dtype_name(mb_dtype dtype)
{
	return dtypes[dtype].name;
}

bool
safetensors_dtype_of(const char *name, mb_dtype *dtype)
{
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
		if (strcmp(name, dtypes[i].name) == 0)
		{
			*dtype = (mb_dtype) i;
			return true;
		}
	return false;
}

bool
safetensors_elements(const int64_t *shape, int32_t n_dims, int64_t *elements)
{
	*elements = 1;
	for (int32_t i = 0; i < n_dims; i++)
		if (shape[i] < 0 || __builtin_mul_overflow(*elements, shape[i], elements))
			return false;
	return true;
}

int64_t
mb_tensor_elements(const mb_tensor *tensor)
{
	return (int64_t) (tensor->bytes / mb_dtype_size(tensor->dtype));
}

/* ---- order ----------------------------------------------------------------------------------------------------------
 */

/* An empty tensor comes before the one that begins where it lies. */
static int
by_offset(const void *a, const void *b)
{
	const mb_tensor *left = a, *right = b;

	if (left->data != right->data)
		return (const char *) left->data < (const char *) right->data ? -1 : 1;
	if (left->bytes != right->bytes)
		return left->bytes < right->bytes ? -1 : 1;
	return strcmp(left->name, right->name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const mb_tensor *const *) a)->name, (*(const mb_tensor *const *) b)->name);
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const mb_metadata *) a)->key, ((const mb_metadata *) b)->key);
}

/* The tensors tile data[0..bytes). */
static mb_status
check_tiling(const mb_safetensors *file, const unsigned char *data, size_t bytes, mb_error *err)
{
	const unsigned char *reached = data;

	for (size_t i = 0; i < file->n_tensors; i++)
	{
		const mb_tensor *tensor = &file->tensors[i];
		const unsigned char *begin = tensor->data;

		if (begin < reached)
		{
			mb_fail(err, MB_CORRUPT, "tensor \"%.100s\" overlaps another", tensor->name);
			mb_detail(err, "It begins at byte %td of the data, but tensor \"%.100s\" ends at byte %td.", begin - data,
					  file->tensors[i - 1].name, reached - data);
			return MB_CORRUPT;
		}
		if (begin > reached)
		{
			mb_fail(err, MB_CORRUPT, "there is a hole before tensor \"%.100s\"", tensor->name);
			mb_detail(err, "Bytes %td to %td of the data belong to no tensor.", reached - data, begin - data - 1);
			return MB_CORRUPT;
		}
		reached = begin + tensor->bytes;
	}
	if (reached < data + bytes)
	{
		mb_fail(err, MB_CORRUPT, "there is data behind the last tensor");
		mb_detail(err, "The tensors end at byte %td of the data, which has %zu.", reached - data, bytes);
		return MB_CORRUPT;
	}
	return MB_OK;
}

/* Sorts both indexes; equal neighbours are duplicates. */
static mb_status
sort_names(mb_safetensors *file, mb_error *err)
{
	file->by_name = malloc((file->n_tensors + 1) * sizeof(*file->by_name));
	if (file->by_name == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; i < file->n_tensors; i++)
		file->by_name[i] = &file->tensors[i];
	qsort(file->by_name, file->n_tensors, sizeof(*file->by_name), by_name);
	for (size_t i = 1; i < file->n_tensors; i++)
		if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) == 0)
			return mb_fail(err, MB_CORRUPT, "tensor \"%.100s\" is there twice", file->by_name[i]->name);
	if (file->n_metadata == 0)
		return MB_OK;
	qsort(file->metadata, file->n_metadata, sizeof(*file->metadata), by_key);
	for (size_t i = 1; i < file->n_metadata; i++)
		if (strcmp(file->metadata[i - 1].key, file->metadata[i].key) == 0)
			return mb_fail(err, MB_CORRUPT, "__metadata__ has \"%.100s\" twice", file->metadata[i].key);
	return MB_OK;
}

/* ---- the file -------------------------------------------------------------------------------------------------------
 */

static mb_status
header_size(const unsigned char *bytes, size_t size, uint64_t *header, mb_error *err)
{
	if (size < 8)
	{
		mb_fail(err, MB_CORRUPT, "the file is too short to be a safetensors file");
		mb_detail(err, "It has %zu bytes; the size of the header alone takes 8.", size);
		return MB_CORRUPT;
	}
	*header = 0;
	for (int i = 7; i >= 0; i--)
		*header = *header << 8 | bytes[i];
	if (*header > MB_SAFETENSORS_MAX_HEADER)
	{
		mb_fail(err, MB_CORRUPT, "the file is not a safetensors file");
		mb_detail(err, "Its first 8 bytes call for a header of %" PRIu64 " bytes; the format allows %u.", *header,
				  MB_SAFETENSORS_MAX_HEADER);
		return MB_CORRUPT;
	}
	if (*header > size - 8)
	{
		mb_fail(err, MB_CORRUPT, "the safetensors file ends within its header");
		mb_detail(err, "It has %zu bytes; the header ends at byte %" PRIu64 ".", size, *header + 8);
		return MB_CORRUPT;
	}
	return MB_OK;
}

mb_status
mb_safetensors_open(mb_safetensors **result, const void *data, size_t size, mb_error *err)
{
	const unsigned char *bytes = data;
	const unsigned char *tensor_data;
	size_t tensor_bytes;
	mb_safetensors *file;
	mb_status status;
	uint64_t header;

	*result = NULL;
	status = header_size(bytes, size, &header, err);
	if (status != MB_OK)
		return status;
	file = calloc(1, sizeof(*file));
	if (file == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	tensor_data = bytes + 8 + header;
	tensor_bytes = size - 8 - header;
	status = safetensors_read_header(file, bytes + 8, header, tensor_data, tensor_bytes, err);
	if (status == MB_OK)
	{
		if (file->n_tensors > 0)
			qsort(file->tensors, file->n_tensors, sizeof(*file->tensors), by_offset);
		status = sort_names(file, err);
	}
	if (status == MB_OK)
		status = check_tiling(file, tensor_data, tensor_bytes, err);
	if (status != MB_OK)
	{
		mb_safetensors_close(file);
		return status;
	}
	*result = file;
	return MB_OK;
}

void
mb_safetensors_close(mb_safetensors *file)
{
	if (file == NULL)
		return;
	free(file->tensors);
	free(file->by_name);
	free(file->metadata);
	free(file->strings);
	free(file);
}

size_t
mb_safetensors_count(const mb_safetensors *file)
{
	return file->n_tensors;
}

const mb_tensor *
mb_safetensors_at(const mb_safetensors *file, size_t i)
{
	return &file->tensors[i];
}

const mb_tensor *
mb_safetensors_find(const mb_safetensors *file, const char *name)
{
	mb_tensor wanted = {.name = name};
	const mb_tensor *key = &wanted;
	const mb_tensor *const *found = bsearch(&key, file->by_name, file->n_tensors, sizeof(*file->by_name), by_name);

	return found != NULL ? *found : NULL;
}

const char *
mb_safetensors_metadata(const mb_safetensors *file, const char *key)
{
	mb_metadata wanted = {key, NULL};
	const mb_metadata *found;

	if (file->n_metadata == 0)
		return NULL;
	found = bsearch(&wanted, file->metadata, file->n_metadata, sizeof(*file->metadata), by_key);
	return found != NULL ? found->value : NULL;
}
