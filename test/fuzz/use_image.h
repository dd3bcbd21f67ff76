/* use_image.h - all that a caller does with an open image, for the fuzz targets. */
#ifndef MOVIEBERT_FUZZ_USE_IMAGE_H
#define MOVIEBERT_FUZZ_USE_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "moviebert/encoder.h"

/* The bytes are read, or the sanitizer says so. */
static void
touch(const void *bytes, size_t size)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (unsigned char) (sum + ((const unsigned char *) bytes)[i]);
}

static void
use_image(const mb_image *image)
{
	static const char text[] = "A ghost loves [MASK] \xc3\xa9t\xc3\xa9s.";
	int32_t ids[34];
	size_t n, workspace_size;
	int32_t length;
	float *pooled, *logits;
	void *workspace = NULL;
	mb_error err;

	for (int32_t i = 0; i < image->pipeline.num_labels; i++)
	{
		size_t bytes;
		float threshold;
		const char *name = mb_image_tag(image, i, &bytes, &threshold);

		touch(name, bytes);
	}
	if (mb_tokenize(&image->tokenizer, text, strlen(text), ids + 1, 32, &n, NULL, &err) != MB_OK)
		return;
	n = n < 32 ? n : 32;
	if (n > (size_t) image->pipeline.max_length - 2)
		n = (size_t) image->pipeline.max_length - 2;
	ids[0] = mb_tokenizer_cls_id(&image->tokenizer);
	ids[n + 1] = mb_tokenizer_sep_id(&image->tokenizer);
	length = (int32_t) n + 2;
	workspace_size = mb_encoder_workspace_size(image, (size_t) length, (size_t) length);
	if (workspace_size == 0 || workspace_size > ((size_t) 64 << 20) ||
		posix_memalign(&workspace, 64, workspace_size) != 0)
		return;
	pooled = malloc((size_t) image->config.hidden_size * sizeof(float));
	logits = malloc(((size_t) image->pipeline.num_labels + 1) * sizeof(float));
	if (pooled != NULL && logits != NULL &&
		mb_encode(image, ids, &length, 1, pooled, NULL, workspace, workspace_size, NULL, &err) == MB_OK &&
		image->classifier.panels != NULL)
		mb_classify(image, pooled, 1, logits);
	free(logits);
	free(pooled);
	free(workspace);
}

#endif
