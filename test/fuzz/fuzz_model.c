/*
 * fuzz_model.c - opening a model file; what opens has its tensors read and, unless that would be large, its image
 * written and opened, and one text run through it.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moviebert/model.h"
#include "../../src/model/image_layout.h"
#include "header_mutator.h"
#include "use_image.h"

#define LARGE ((size_t) 4 << 20)

static void
read_tensors(const mb_model *model)
{
	float values[256];

	for (size_t i = 0; i < mb_safetensors_count(model->tensors); i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(model->tensors, i);
		size_t n = (size_t) mb_tensor_elements(tensor);

		for (size_t first = 0; first < n; first += 256)
		{
			size_t count = n - first < 256 ? n - first : 256;

			if (!mb_tensor_to_f32(tensor, first, count, values))
				abort();
			for (size_t k = 0; k < count; k++)
				if (!(values[k] - values[k] == 0.0f))
					abort();
		}
	}
}

static void
write_and_use_image(const mb_model *model)
{
	image_layout at;
	mb_error err;
	mb_image image;
	void *map;
	int fd;

	if (!image_layout_of(&at, &model->config, &model->pipeline, model->pipeline.pooling == MB_POOL_POOLER,
						 2 * strlen(model->vocab), 0) ||
		at.total > LARGE || (size_t) model->config.intermediate_size > LARGE / 128)
		return;
	fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || mb_image_write(model, fd, NULL, &err) != MB_OK)
		abort();
	at.total = (size_t) lseek(fd, 0, SEEK_END);
	map = mmap(NULL, at.total, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED || mb_image_open(&image, map, at.total, &err) != MB_OK)
		abort();
	if (memcmp(&image.config, &model->config, sizeof(mb_config)) != 0)
		abort();
	use_image(&image);
	mb_image_close(&image);
	munmap(map, at.total);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mb_model *model;
	mb_error err;
	mb_status status = mb_model_open(&model, data, size, &err);

	if (status == MB_OK)
	{
		read_tensors(model);
		write_and_use_image(model);
	}
	else if (err.status != status || err.message[0] == '\0')
		abort();
	mb_model_close(model);
	return 0;
}
