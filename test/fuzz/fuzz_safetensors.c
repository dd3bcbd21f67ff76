/* fuzz_safetensors.c - the reader of safetensors files, and all that a caller may do with one that opened. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "moviebert/safetensors.h"
#include "header_mutator.h"

/* Whatever a message quotes, it is there and on one line. */
static void
check_error(const mb_error *err, mb_status status)
{
	if (err->status != status || err->message[0] == '\0')
		abort();
	for (const char *c = err->message; *c != '\0'; c++)
		if ((unsigned char) *c < 0x20)
			abort();
}

static void
use(const mb_safetensors *file, const uint8_t *data, size_t size)
{
	size_t total = 0;
	float values[64];

	for (size_t i = 0; i < mb_safetensors_count(file); i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(file, i);
		size_t n = (size_t) mb_tensor_elements(tensor);
		const uint8_t *begin = tensor->data;

		if (mb_safetensors_find(file, tensor->name) != tensor || begin < data || tensor->bytes > size ||
			begin > data + size - tensor->bytes || mb_dtype_name(tensor->dtype) == NULL)
			abort();
		total += tensor->bytes;
		for (size_t first = 0; first < n; first += 64)
			if (!mb_tensor_to_f32(tensor, first, n - first < 64 ? n - first : 64, values))
				break;
		mb_safetensors_metadata(file, tensor->name);
	}
	mb_safetensors_metadata(file, "format");
	if (total > size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mb_safetensors *file;
	mb_error err;
	mb_status status = mb_safetensors_open(&file, data, size, &err);

	if (status == MB_OK)
		use(file, data, size);
	else
		check_error(&err, status);
	mb_safetensors_close(file);
	return 0;
}
