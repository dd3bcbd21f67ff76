/*
 * bench_tokenizer.c - how fast text becomes ids, on one core.
 *
 *   bench_tokenizer MODEL
 *
 * Texts are the first 32 MB of lines of the data folder's corpus_movies.txt ($MOVIEBERT_DATA, else ../shared/data), or,
 * without it, those of demo/movies.sql over and over.  peer_tokenizer.py measures Hugging Face tokenizers on the same.
 * Prints a JSON object; speeds are per second of processor time, the best of seven runs, for the machine may have other
 * things to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "moviebert/model.h"

#define TEXT_BYTES 32000000
#define RUNS 7
#define ROOM 16384

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void
die(const char *message)
{
	fprintf(stderr, "bench_tokenizer: %s\n", message);
	exit(1);
}

/* Fills text with whole lines; returns their bytes. */
static size_t
read_texts(char *text, const char **source)
{
	const char *folder = getenv("MOVIEBERT_DATA");
	char command[4096];
	size_t size = 0;
	FILE *file;

	snprintf(command, sizeof(command), "zstd -dcq --long=27 '%s/corpus_movies.txt.zst' 2>/dev/null",
			 folder == NULL ? "../shared/data" : folder);
	*source = "corpus_movies.txt";
	file = popen(command, "r");
	if (file != NULL)
	{
		size = fread(text, 1, TEXT_BYTES, file);
		pclose(file);
	}
	if (size == 0)
	{
		*source = "demo/movies.sql";
		file = fopen("demo/movies.sql", "rb");
		if (file == NULL)
			die("cannot open demo/movies.sql");
		while (size < TEXT_BYTES)
		{
			size_t n = fread(text + size, 1, TEXT_BYTES - size, file);

			if (n == 0)
				rewind(file);
			size += n;
		}
		fclose(file);
	}
	while (size > 0 && text[size - 1] != '\n')
		size--;
	return size;
}

int
main(int argc, char **argv)
{
	static int32_t ids[ROOM];
	mb_model *model;
	mb_tokenizer tokenizer;
	mb_error err;
	void *blob;
	size_t blob_size, size, n_texts = 0, n_tokens = 0;
	char *text = malloc(TEXT_BYTES);
	const char *source;
	double packing, opening = 1e9, tokenizing = 1e9;

	if (argc != 2)
		die("one argument wanted: a model file");
	if (text == NULL)
		die("out of memory");
	if (mb_model_open_file(&model, argv[1], &err) != MB_OK)
		die(err.message);
	size = read_texts(text, &source);

	packing = now();
	if (mb_vocabulary_pack(model->vocab, strlen(model->vocab), &model->tokenizer, &blob, &blob_size, &err) != MB_OK)
		die(err.message);
	packing = now() - packing;
	for (int run = 0; run < RUNS; run++)
	{
		double start = now(), seconds;

		if (mb_tokenizer_open(&tokenizer, blob, blob_size, &err) != MB_OK)
			die(err.message);
		seconds = now() - start;
		opening = seconds < opening ? seconds : opening;

		n_texts = n_tokens = 0;
		start = now();
		for (const char *line = text, *end = text + size; line < end; n_texts++)
		{
			const char *newline = memchr(line, '\n', (size_t) (end - line));
			size_t n;

			if (mb_tokenize(&tokenizer, line, (size_t) (newline - line), ids, ROOM, &n, NULL, &err) != MB_OK)
				die(err.message);
			n_tokens += n;
			line = newline + 1;
		}
		seconds = now() - start;
		tokenizing = seconds < tokenizing ? seconds : tokenizing;
	}
	printf("{\"texts_from\":\"%s\",\"texts\":%zu,\"bytes\":%zu,\"tokens\":%zu,\"vocabulary\":%d,\"mb_per_s\":%.1f,"
		   "\"million_tokens_per_s\":%.2f,\"pack_ms\":%.2f,\"open_us\":%.1f}\n",
		   source, n_texts, size, n_tokens, mb_tokenizer_vocab_size(&tokenizer), 1e-6 * (double) size / tokenizing,
		   1e-6 * (double) n_tokens / tokenizing, 1e3 * packing, 1e6 * opening);
	free(blob);
	free(text);
	mb_model_close(model);
	return 0;
}
