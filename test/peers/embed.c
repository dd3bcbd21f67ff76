/*
 * embed.c - moviebert's numbers for a peer: embed MODEL reads texts (each a 32-bit length and its bytes) from stdin and
 * writes to stdout, for each text, its vector and, if the model has a head, its scores, as floats.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moviebert/infer.h"

static void
die(const mb_error *err)
{
	fprintf(stderr, "%s|%s|%s\n", err->message, err->detail, err->hint);
	exit(1);
}

/* The model's image, in a file that is gone when the process is. */
static void
open_image(mb_image *image, const char *model_path)
{
	FILE *file = tmpfile();
	mb_error err;
	mb_model *model;
	void *map;
	size_t size;

	if (mb_model_open_file(&model, model_path, &err) != MB_OK ||
		mb_image_write(model, fileno(file), NULL, &err) != MB_OK)
		die(&err);
	mb_model_close(model);
	size = (size_t) lseek(fileno(file), 0, SEEK_END);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fileno(file), 0);
	if (map == MAP_FAILED || mb_image_open(image, map, size, &err) != MB_OK)
		die(&err);
}

int
main(int argc, char **argv)
{
	mb_scratch *scratch = mb_scratch_create(NULL);
	mb_image image;
	mb_error err;
	uint32_t size;
	float *out;

	if (argc != 2)
		return 2;
	open_image(&image, argv[1]);
	out = calloc((size_t) image.config.hidden_size + (size_t) image.pipeline.num_labels + 1, sizeof(float));
	while (fread(&size, sizeof(size), 1, stdin) == 1)
	{
		char *bytes = malloc(size + 1);
		mb_text text = {bytes, size};
		size_t n_labels = (size_t) image.pipeline.num_labels;

		if (fread(bytes, 1, size, stdin) != size)
			return 2;
		if (mb_embed(&image, scratch, &text, 1, out, NULL, NULL, &err) != MB_OK)
			die(&err);
		fwrite(out, sizeof(float), (size_t) image.config.hidden_size, stdout);
		if (n_labels > 0)
		{
			if (mb_scores(&image, scratch, &text, 1, out, NULL, NULL, &err) != MB_OK)
				die(&err);
			fwrite(out, sizeof(float), n_labels, stdout);
		}
		free(bytes);
	}
	return 0;
}
