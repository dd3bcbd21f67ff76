/*
 * embed_kernels.c - a filter for comparisons: texts in, vectors out.
 *
 *   embed_kernels MODEL embeddings|logits [KERNELS [BATCH_TOKENS]]
 *
 * Reads texts, each a uint32 of its bytes and then the bytes; writes a row of floats for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "moviebert/infer.h"

static void
die(const char *message)
{
	fprintf(stderr, "embed_kernels: %s\n", message);
	exit(1);
}

static void *
must(void *memory)
{
	if (memory == NULL)
		die("out of memory");
	return memory;
}

static void
open_image(mb_image *image, const char *path)
{
	FILE *file = tmpfile();
	mb_model *model;
	mb_error err;
	void *base;
	long size;

	if (file == NULL)
		die("cannot make a temporary file");
	if (mb_model_open_file(&model, path, &err) != MB_OK || mb_image_write(model, fileno(file), NULL, &err) != MB_OK)
		die(err.message);
	mb_model_close(model);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	base = mmap(NULL, (size_t) size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	if (base == MAP_FAILED)
		die("cannot map the image");
	if (mb_image_open(image, base, (size_t) size, &err) != MB_OK)
		die(err.message);
	fclose(file);
}

static mb_text *
read_texts(size_t *n)
{
	mb_text *texts = NULL;
	uint32_t bytes;

	for (*n = 0; fread(&bytes, sizeof(bytes), 1, stdin) == 1; (*n)++)
	{
		char *data = must(malloc((size_t) bytes + 1));

		texts = must(realloc(texts, (*n + 1) * sizeof(*texts)));
		if (fread(data, 1, bytes, stdin) != bytes)
			die("the input is cut off");
		texts[*n] = (mb_text){data, bytes};
	}
	return texts;
}

int
main(int argc, char **argv)
{
	mb_infer_options options = {0};
	mb_image image;
	mb_error err;
	mb_text *texts;
	size_t n, width;
	float *rows, *logits;

	if (argc < 3 || argc > 5)
		die("two to four arguments wanted: MODEL embeddings|logits [KERNELS [BATCH_TOKENS]]");
	if (argc > 3 && !mb_kernel_select(argv[3]))
		die("this CPU cannot run these kernels");
	if (argc > 4)
		options.batch_tokens = strtoul(argv[4], NULL, 10);
	open_image(&image, argv[1]);
	texts = read_texts(&n);
	width = (size_t) image.config.hidden_size;
	rows = must(malloc(n * width * sizeof(float) + 1));
	if (mb_embed(&image, must(mb_scratch_create(NULL)), texts, n, rows, &options, NULL, &err) != MB_OK)
		die(err.message);
	if (strcmp(argv[2], "logits") == 0)
	{
		if (image.pipeline.num_labels == 0)
			die("the model has no head");
		width = (size_t) image.pipeline.num_labels;
		logits = must(malloc(n * width * sizeof(float) + 1));
		mb_classify(&image, rows, n, logits);
		rows = logits;
	}
	return fwrite(rows, sizeof(float) * width, n, stdout) == n ? 0 : 1;
}
