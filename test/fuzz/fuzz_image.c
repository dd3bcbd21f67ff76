/*
 * fuzz_image.c - opening an image.  Its size and checksum are made right first, so that what they protect is tested
 * too: each size and offset behind them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/model/image_layout.h"
#include "use_image.h"

#define PAGE 4096

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_header header;
	void *base = NULL;
	mb_image image;
	mb_error err;
	mb_status status;

	/* A block of exactly its size, so that a read outside it is seen. */
	if (posix_memalign(&base, PAGE, size + (size == 0)) != 0)
		return 0;
	memcpy(base, data, size);
	if (size >= sizeof(header))
	{
		memcpy(&header, base, sizeof(header));
		header.total_bytes = size;
		header.checksum = image_header_checksum(&header);
		memcpy(base, &header, sizeof(header));
	}
	status = mb_image_open(&image, base, size, &err);
	if (status == MB_OK)
	{
		touch(image.base, image.size);
		use_image(&image);
	}
	else if (err.status != status || err.message[0] == '\0')
		abort();
	mb_image_close(&image);
	free(base);
	return 0;
}
