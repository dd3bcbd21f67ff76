/*
 * safetensors.h - reader and writer of the safetensors format, written for hostile files.
 *
 * Format (https://github.com/huggingface/safetensors): u64 little-endian header size N <= 100,000,000, N bytes of JSON
 * beginning with "{", then the tensor data.  Sorted by offset, the tensors must tile the data exactly: no hole, no
 * overlap, nothing left over; the extent of each must equal product(shape) * size of its dtype.
 */
#ifndef MOVIEBERT_SAFETENSORS_H
#define MOVIEBERT_SAFETENSORS_H

#include <stdint.h>

#include "moviebert/status.h"

#define MB_SAFETENSORS_MAX_HEADER 100000000u
#define MB_TENSOR_MAX_DIMS 8

typedef enum mb_dtype
{
	MB_BOOL,
	MB_U8,
	MB_I8,
	MB_F8_E5M2,
	MB_F8_E4M3,
	MB_I16,
	MB_U16,
	MB_F16,
	MB_BF16,
	MB_I32,
	MB_U32,
	MB_F32,
	MB_F64,
	MB_I64,
	MB_U64
} mb_dtype;

size_t      mb_dtype_size(mb_dtype dtype); /* bytes per element */
const char *mb_dtype_name(mb_dtype dtype); /* as the format spells it: "F32" */

/* One tensor.  name and data belong to whoever made the struct; data may be unaligned. */
typedef struct mb_tensor
{
	const char *name;
	mb_dtype    dtype;
	int32_t     n_dims; /* 0 for a scalar */
	int64_t     shape[MB_TENSOR_MAX_DIMS];
	const void *data;
	size_t      bytes;
} mb_tensor;

int64_t mb_tensor_elements(const mb_tensor *tensor);

/* out[0..n) = elements first..first+n of an F32, F16 or BF16 tensor, converted exactly; false for any other dtype. */
bool mb_tensor_to_f32(const mb_tensor *tensor, size_t first, size_t n, float *out);

/* Half-precision numbers nearest to in[0..n), ties to even; false if one is out of F16's range, or not a number. */
bool mb_f32_to_f16(const float *in, size_t n, uint16_t *out);

typedef struct mb_safetensors mb_safetensors; /* opaque */

/*
 * Parses and checks the whole header of `data`, which is borrowed and must outlive *file.  Never reads outside
 * data[0..size), and allocates nothing that the header size has not paid for.  Every way a file can be wrong is its own
 * MB_CORRUPT (or MB_LIMIT, MB_UNSUPPORTED) message.
 */
mb_status mb_safetensors_open(mb_safetensors **file, const void *data, size_t size, mb_error *err);
void      mb_safetensors_close(mb_safetensors *file); /* NULL is fine */

size_t           mb_safetensors_count(const mb_safetensors *file);
const mb_tensor *mb_safetensors_at(const mb_safetensors *file, size_t i); /* in order of offset */
const mb_tensor *mb_safetensors_find(const mb_safetensors *file, const char *name);

/* Value of a key of __metadata__ (NUL-terminated, owned by file), or NULL. */
const char *mb_safetensors_metadata(const mb_safetensors *file, const char *key);

/* A key and a value of __metadata__, both NUL-terminated UTF-8. */
typedef struct mb_metadata
{
	const char *key;
	const char *value;
} mb_metadata;

/*
 * Writes a file: `path`.tmp, fsync, rename, so that `path` is whole or untouched.  Tensors are laid out by dtype size
 * descending, then name; the header is padded with spaces to 8 bytes.  The same input always gives the same bytes.
 */
mb_status mb_safetensors_write(const char *path, const mb_tensor *tensors, size_t n_tensors,
                               const mb_metadata *metadata, size_t n_metadata, mb_error *err);

#endif
