/*
 * make_seeds.c - writes the seeds in test/fuzz/corpus for the safetensors, model and image targets.  From the root:
 *
 *   cc -std=c17 -D_POSIX_C_SOURCE=200809L -I. -Iinclude test/fuzz/make_seeds.c test/unit/tiny_model.c \
 *      build/libmoviebert.a -lcmocka -ljansson -lutf8proc -lm -o build/make_seeds && build/make_seeds
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moviebert/image.h"
#include "test/unit/tiny_model.h"

static FILE *
create(const char *target, const char *name)
{
	char path[200];
	FILE *out;

	snprintf(path, sizeof(path), "test/fuzz/corpus/fuzz_%s", target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "test/fuzz/corpus/fuzz_%s/%s", target, name);
	out = fopen(path, "wb");
	if (out == NULL)
	{
		perror(path);
		exit(1);
	}
	return out;
}

static void
safetensors(const char *name, const char *header, size_t data_bytes)
{
	FILE *out = create("safetensors", name);
	uint64_t size = strlen(header);

	for (int i = 0; i < 8; i++)
		fputc((int) (size >> 8 * i & 0xff), out);
	fputs(header, out);
	for (size_t i = 0; i < data_bytes; i++)
		fputc((int) i, out);
	fclose(out);
}

/* The model, and its image. */
static void
model(const char *name, tiny_model *tiny)
{
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	FILE *out = create("model", name);
	mb_model *opened;
	mb_error err;

	fwrite(bytes, 1, size, out);
	fclose(out);
	out = create("image", name);
	if (mb_model_open(&opened, bytes, size, &err) != MB_OK || mb_image_write(opened, fileno(out), NULL, &err) != MB_OK)
	{
		fprintf(stderr, "%s: %s\n", name, err.message);
		exit(1);
	}
	fclose(out);
	mb_model_close(opened);
	free(bytes);
	tiny_model_free(tiny);
}

int
main(void)
{
	tiny_model *tiny;

	safetensors("empty", "{}      ", 0);
	safetensors("scalar", "{\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1);
	safetensors("two",
				"{\"__metadata__\":{\"format\":\"pt\",\"n\\u00e9\":\"\\ud83c\\udfac\\n\"},"
				"\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
				"\"b\":{\"dtype\":\"F16\",\"shape\":[0,3],\"data_offsets\":[16,16]},"
				"\"c\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[16,22]}}",
				22);
	safetensors("overlap",
				"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
				"\"b\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
				8);
	safetensors("overflow", "{\"a\":{\"dtype\":\"I64\",\"shape\":[4294967296,4294967296,16],\"data_offsets\":[0,0]}}",
				0);

	model("tagger", tiny_model_new());

	tiny = tiny_model_new();
	tiny_model_behead(tiny);
	model("masked-lm", tiny);

	tiny = tiny_model_new();
	tiny_model_set(tiny, "moviebert.head", "{\"problem\": \"single_label\"}");
	tiny_model_replace(tiny, "moviebert.pooling", "\"mean\", \"normalize\": true", "\"pooler\", \"normalize\": false");
	tiny_model_replace(tiny, "moviebert.pooling", "windows", "truncate");
	model("classifier", tiny);

	tiny = tiny_model_new();
	tiny_model_replace(tiny, "moviebert.config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0");
	for (size_t i = tiny->n_tensors; i-- > 0;)
		if (strncmp(tiny->tensors[i].name, "encoder.", 8) == 0)
			tiny_model_drop(tiny, tiny->tensors[i].name);
	model("no-layers", tiny);
	return 0;
}
