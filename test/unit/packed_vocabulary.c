/* packed_vocabulary.c - vocabularies for the tokenizer's tests. */
#include "test/unit/packed_vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY_VOCAB                                                                                                     \
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nab\n##a\n##b\n##bc\n.\n\xc3\xa9\n##\xc3\xa9\n\xe4\xb8\xad\n"

char *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data;

	if (file == NULL)
		fail_msg("cannot open %s", path);
	fseek(file, 0, SEEK_END);
	*size = (size_t) ftell(file);
	rewind(file);
	data = malloc(*size + 1);
	assert_int_equal(fread(data, 1, *size, file), *size);
	data[*size] = '\0';
	fclose(file);
	return data;
}

packed
pack(const char *vocab, size_t size, const mb_tokenizer_options *options)
{
	packed p = {0};
	mb_error err = {0};

	if (mb_vocabulary_pack(vocab, size, options, &p.blob, &p.size, &err) != MB_OK ||
		mb_tokenizer_open(&p.tokenizer, p.blob, p.size, &err) != MB_OK)
		fail_msg("%s: %s", err.message, err.detail);
	return p;
}

packed
pack_tiny(void)
{
	mb_tokenizer_options options = mb_tokenizer_options_default();

	return pack(TINY_VOCAB, strlen(TINY_VOCAB), &options);
}
