/* safetensors_write.c - writing a safetensors file, whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "files.h"
#include "moviebert/utf8.h"
#include "safetensors_file.h"

/* ---- what is to be written ------------------------------------------------------------------------------------------
 */

/* Large elements first, so that everything is aligned to its own size; then by name. */
static int
by_layout(const void *a, const void *b)
{
	const mb_tensor *left = *(const mb_tensor *const *) a, *right = *(const mb_tensor *const *) b;
	size_t left_size = mb_dtype_size(left->dtype), right_size = mb_dtype_size(right->dtype);

	if (left_size != right_size)
		return left_size > right_size ? -1 : 1;
	return strcmp(left->name, right->name);
}

static mb_status
check_tensor(const mb_tensor *tensor, mb_error *err)
{
	int64_t elements, bytes;

	if (!mb_utf8_is_valid(tensor->name))
		return mb_fail(err, MB_INVALID_ARGUMENT, "the name of tensor \"%.100s\" is not valid UTF-8", tensor->name);
	if (strcmp(tensor->name, "__metadata__") == 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "a tensor cannot be named \"__metadata__\"");
	if (tensor->n_dims < 0 || tensor->n_dims > MB_TENSOR_MAX_DIMS)
		return mb_fail(err, MB_INVALID_ARGUMENT, "tensor \"%.100s\" has %d dimensions", tensor->name, tensor->n_dims);
	if (!safetensors_elements(tensor->shape, tensor->n_dims, &elements) ||
		__builtin_mul_overflow(elements, (int64_t) mb_dtype_size(tensor->dtype), &bytes) ||
		(uint64_t) bytes != tensor->bytes)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the size of tensor \"%.100s\" is not that of its shape",
					   tensor->name);
	return MB_OK;
}

static json_t *
entry_of(const mb_tensor *tensor, size_t offset)
{
	json_t *entry = json_object();
	json_t *shape = json_array();
	bool ok = true;

	for (int32_t i = 0; i < tensor->n_dims; i++)
		ok = json_array_append_new(shape, json_integer(tensor->shape[i])) == 0 && ok;
	ok = json_object_set_new(entry, "dtype", json_string(mb_dtype_name(tensor->dtype))) == 0 && ok;
	ok = json_object_set_new(entry, "shape", shape) == 0 && ok;
	ok = json_object_set_new(entry, "data_offsets",
							 json_pack("[I, I]", (json_int_t) offset, (json_int_t) (offset + tensor->bytes))) == 0 &&
		 ok;
	if (!ok)
	{
		json_decref(entry);
		return NULL;
	}
	return entry;
}

/* The header's members for tensors that have been sorted. */
static mb_status
fill_header(json_t *header, const mb_tensor *const *tensors, size_t n_tensors, const mb_metadata *metadata,
			size_t n_metadata, mb_error *err)
{
	size_t offset = 0;

	if (n_metadata > 0)
	{
		json_t *strings = json_object();

		if (json_object_set_new(header, "__metadata__", strings) != 0)
			return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
		for (size_t i = 0; i < n_metadata; i++)
		{
			if (!mb_utf8_is_valid(metadata[i].key) || !mb_utf8_is_valid(metadata[i].value))
				return mb_fail(err, MB_INVALID_ARGUMENT, "metadata \"%.100s\" is not valid UTF-8", metadata[i].key);
			if (json_object_get(strings, metadata[i].key) != NULL)
				return mb_fail(err, MB_INVALID_ARGUMENT, "metadata \"%.100s\" is given twice", metadata[i].key);
			if (json_object_set_new(strings, metadata[i].key, json_string(metadata[i].value)) != 0)
				return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
		}
	}
	for (size_t i = 0; i < n_tensors; i++)
	{
		mb_status status = check_tensor(tensors[i], err);

		if (status != MB_OK)
			return status;
		if (json_object_get(header, tensors[i]->name) != NULL)
			return mb_fail(err, MB_INVALID_ARGUMENT, "tensor \"%.100s\" is given twice", tensors[i]->name);
		if (json_object_set_new(header, tensors[i]->name, entry_of(tensors[i], offset)) != 0)
			return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
		offset += tensors[i]->bytes;
	}
	return MB_OK;
}

/* The file's first part: the header's size, the header, spaces up to a multiple of 8. */
static mb_status
make_header(unsigned char **bytes, size_t *size, const mb_tensor *const *tensors, size_t n_tensors,
			const mb_metadata *metadata, size_t n_metadata, mb_error *err)
{
	json_t *header = json_object();
	mb_status status = MB_OK;
	size_t length, padded;

	*bytes = NULL;
	if (header == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	status = fill_header(header, tensors, n_tensors, metadata, n_metadata, err);
	length = status == MB_OK ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0;
	padded = (length + 7) & ~(size_t) 7;
	if (status == MB_OK && padded > MB_SAFETENSORS_MAX_HEADER)
	{
		status = mb_fail(err, MB_LIMIT, "the safetensors header would be too large");
		mb_detail(err, "It would have %zu bytes; the format allows %u.", padded, MB_SAFETENSORS_MAX_HEADER);
	}
	if (status == MB_OK)
	{
		*bytes = malloc(8 + padded);
		if (*bytes == NULL || length == 0)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	if (status == MB_OK)
	{
		for (int i = 0; i < 8; i++)
			(*bytes)[i] = (unsigned char) ((uint64_t) padded >> 8 * i);
		memset(*bytes + 8, ' ', padded);
		json_dumpb(header, (char *) *bytes + 8, length, JSON_COMPACT);
		*size = 8 + padded;
	}
	json_decref(header);
	return status;
}

/* ---- the file -------------------------------------------------------------------------------------------------------
 */

static mb_status
write_pieces(int fd, const char *path, const unsigned char *header, size_t header_bytes,
			 const mb_tensor *const *tensors, size_t n_tensors, mb_error *err)
{
	mb_status status = file_write_all(fd, header, header_bytes, path, err);

	for (size_t i = 0; i < n_tensors && status == MB_OK; i++)
		status = file_write_all(fd, tensors[i]->data, tensors[i]->bytes, path, err);
	if (status == MB_OK && fsync(fd) != 0)
		status = mb_fail_system(err, errno, "could not fsync \"%.250s\"", path);
	return status;
}

static mb_status
write_file(const char *path, const unsigned char *header, size_t header_bytes, const mb_tensor *const *tensors,
		   size_t n_tensors, mb_error *err)
{
	size_t length = strlen(path);
	char *temporary = malloc(length + sizeof(".tmp"));
	mb_status status;
	int fd;

	if (temporary == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	memcpy(temporary, path, length);
	memcpy(temporary + length, ".tmp", sizeof(".tmp"));
	/* One that a killed run left behind goes; O_EXCL keeps us from writing through somebody's link. */
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		status = mb_fail_system(err, errno, "could not create \"%.250s\"", path);
	else
	{
		status = write_pieces(fd, path, header, header_bytes, tensors, n_tensors, err);
		if (close(fd) != 0 && status == MB_OK)
			status = mb_fail_system(err, errno, "could not write \"%.250s\"", path);
		if (status == MB_OK)
			status = file_rename(temporary, path, err);
		if (status != MB_OK)
			unlink(temporary);
	}
	free(temporary);
	return status;
}

mb_status
mb_safetensors_write(const char *path, const mb_tensor *tensors, size_t n_tensors, const mb_metadata *metadata,
					 size_t n_metadata, mb_error *err)
{
	const mb_tensor **sorted = malloc((n_tensors + 1) * sizeof(*sorted));
	unsigned char *header;
	size_t header_bytes = 0;
	mb_status status;

	if (sorted == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; i < n_tensors; i++)
		sorted[i] = &tensors[i];
	qsort(sorted, n_tensors, sizeof(*sorted), by_layout);
	status = make_header(&header, &header_bytes, sorted, n_tensors, metadata, n_metadata, err);
	if (status == MB_OK)
		status = write_file(path, header, header_bytes, sorted, n_tensors, err);
	free(header);
	free(sorted);
	return status;
}
