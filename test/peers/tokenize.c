/*
 * tokenize.c - a filter for comparisons: texts in, ids out.
 *
 *   tokenize VOCAB.TXT LOWERCASE STRIP_ACCENTS SPLIT_CJK SPLIT_SPECIAL_TOKENS     each 0 or 1
 *
 * Reads texts, each a uint32 of its bytes and then the bytes; writes for each a uint32 of its ids and then the ids.
 */
#include <stdio.h>
#include <stdlib.h>

#include "moviebert/tokenizer.h"

static void
die(const char *message)
{
	fprintf(stderr, "tokenize: %s\n", message);
	exit(1);
}

static void *
must(void *memory)
{
	if (memory == NULL)
		die("out of memory");
	return memory;
}

static char *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;

	if (file == NULL)
		die("cannot open the vocabulary");
	*size = 0;
	for (;;)
	{
		size_t n;

		data = must(realloc(data, *size + 65536));
		n = fread(data + *size, 1, 65536, file);
		*size += n;
		if (n == 0)
			break;
	}
	fclose(file);
	return data;
}

int
main(int argc, char **argv)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();
	mb_tokenizer tokenizer;
	mb_error err;
	size_t vocab_size, blob_size, text_room = 1, id_room = 1, n_ids;
	char *vocab, *text = must(malloc(text_room));
	int32_t *ids = must(malloc(id_room * sizeof(*ids)));
	void *blob;
	uint32_t n;

	if (argc != 6)
		die("five arguments wanted: VOCAB.TXT LOWERCASE STRIP_ACCENTS SPLIT_CJK SPLIT_SPECIAL_TOKENS");
	options.lowercase = atoi(argv[2]);
	options.strip_accents = atoi(argv[3]);
	options.split_cjk = atoi(argv[4]);
	options.split_special_tokens = atoi(argv[5]);
	vocab = read_file(argv[1], &vocab_size);
	if (mb_vocabulary_pack(vocab, vocab_size, &options, &blob, &blob_size, &err) != MB_OK ||
		mb_tokenizer_open(&tokenizer, blob, blob_size, &err) != MB_OK)
		die(err.message);
	while (fread(&n, sizeof(n), 1, stdin) == 1)
	{
		if (n > text_room)
		{
			text_room = n;
			text = must(realloc(text, text_room));
		}
		if (fread(text, 1, n, stdin) != n)
			die("the input is cut off");
		if (mb_tokenize(&tokenizer, text, n, ids, id_room, &n_ids, NULL, &err) != MB_OK)
			die(err.message);
		if (n_ids > id_room)
		{
			id_room = n_ids;
			ids = must(realloc(ids, id_room * sizeof(*ids)));
			if (mb_tokenize(&tokenizer, text, n, ids, id_room, &n_ids, NULL, &err) != MB_OK)
				die(err.message);
		}
		n = (uint32_t) n_ids;
		if (fwrite(&n, sizeof(n), 1, stdout) != 1 || fwrite(ids, sizeof(*ids), n_ids, stdout) != n_ids)
			die("cannot write");
	}
	free(ids);
	free(text);
	free(blob);
	free(vocab);
	return 0;
}
