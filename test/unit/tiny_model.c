/* tiny_model.c - a model file in memory, to be damaged by a test. */
#include "test/unit/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static const char config[] =
	"{\"architectures\": [\"BertForMaskedLM\"], \"model_type\": \"bert\", \"vocab_size\": 12, \"hidden_size\": 8, "
	"\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": 12, \"max_position_embeddings\": 16, "
	"\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12, \"hidden_act\": \"gelu\"}";
static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nghost\nlove\n##s\n.\n\xc3\xa9\n";
static const char tokenizer[] =
	"{\"do_lower_case\": true, \"strip_accents\": null, \"tokenize_chinese_chars\": true, \"split_special_tokens\": "
	"false, "
	"\"unk_token\": \"[UNK]\", \"cls_token\": \"[CLS]\", \"sep_token\": \"[SEP]\", \"pad_token\": \"[PAD]\", "
	"\"mask_token\": \"[MASK]\", \"additional_special_tokens\": [\"ghost\"]}";
static const char pooling[] =
	"{\"mode\": \"mean\", \"normalize\": true, \"max_length\": 16, \"long_text\": \"windows\", "
	"\"window_stride\": 7}";
static const char tags[] = "[{\"name\": \"horror\", \"threshold\": 0.25, \"support\": 12}, "
						   "{\"name\": \"film d'\xc3\xa9t\xc3\xa9\", \"threshold\": null, \"support\": null}, "
						   "{\"name\": \"love\"}]";

static const struct
{
	const char *name;
	mb_dtype dtype;
	int64_t rows, columns;
} tensors[] = {
	{"embeddings.word_embeddings.weight", MB_F16, 12, 8},
	{"embeddings.position_embeddings.weight", MB_F32, 16, 8},
	{"embeddings.token_type_embeddings.weight", MB_F32, 2, 8},
	{"embeddings.LayerNorm.weight", MB_F32, 8, 0},
	{"embeddings.LayerNorm.bias", MB_F32, 8, 0},
	{"encoder.layer.0.attention.self.query.weight", MB_F32, 8, 8},
	{"encoder.layer.0.attention.self.query.bias", MB_F32, 8, 0},
	{"encoder.layer.0.attention.self.key.weight", MB_BF16, 8, 8},
	{"encoder.layer.0.attention.self.key.bias", MB_F32, 8, 0},
	{"encoder.layer.0.attention.self.value.weight", MB_F32, 8, 8},
	{"encoder.layer.0.attention.self.value.bias", MB_F32, 8, 0},
	{"encoder.layer.0.attention.output.dense.weight", MB_F32, 8, 8},
	{"encoder.layer.0.attention.output.dense.bias", MB_F32, 8, 0},
	{"encoder.layer.0.attention.output.LayerNorm.weight", MB_F32, 8, 0},
	{"encoder.layer.0.attention.output.LayerNorm.bias", MB_F32, 8, 0},
	{"encoder.layer.0.intermediate.dense.weight", MB_F32, 12, 8},
	{"encoder.layer.0.intermediate.dense.bias", MB_F32, 12, 0},
	{"encoder.layer.0.output.dense.weight", MB_F32, 8, 12},
	{"encoder.layer.0.output.dense.bias", MB_F32, 8, 0},
	{"encoder.layer.0.output.LayerNorm.weight", MB_F32, 8, 0},
	{"encoder.layer.0.output.LayerNorm.bias", MB_F32, 8, 0},
	{"pooler.dense.weight", MB_F32, 8, 8},
	{"pooler.dense.bias", MB_F32, 8, 0},
	{"classifier.weight", MB_F32, 3, 8},
	{"classifier.bias", MB_F32, 3, 0},
	{"cls.predictions.bias", MB_F32, 12, 0},
	{"cls.predictions.transform.dense.weight", MB_F16, 8, 8},
	{"cls.predictions.transform.dense.bias", MB_F32, 8, 0},
	{"cls.predictions.transform.LayerNorm.weight", MB_F32, 8, 0},
	{"cls.predictions.transform.LayerNorm.bias", MB_F32, 8, 0},
};

static char *
copy_of(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	return copy;
}

tiny_model *
tiny_model_new(void)
{
	tiny_model *tiny = calloc(1, sizeof(*tiny));

	assert_non_null(tiny);
	tiny_model_set(tiny, "format", "pt");
	tiny_model_set(tiny, "moviebert.format", "1");
	tiny_model_set(tiny, "moviebert.config", config);
	tiny_model_set(tiny, "moviebert.vocab", vocab);
	tiny_model_set(tiny, "moviebert.tokenizer", tokenizer);
	tiny_model_set(tiny, "moviebert.pooling", pooling);
	tiny_model_set(tiny, "moviebert.head", "{\"problem\": \"multi_label\", \"kind\": \"tagger\"}");
	tiny_model_set(tiny, "moviebert.tags", tags);
	tiny_model_set(tiny, "moviebert.card", "{\"note\": \"for tests\"}");
	for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
		tiny_model_put(tiny, tensors[i].name, tensors[i].dtype, tensors[i].rows, tensors[i].columns);
	return tiny;
}

static void
free_tensor(mb_tensor *tensor)
{
	free((void *) (uintptr_t) tensor->name);
	free((void *) (uintptr_t) tensor->data);
}

static void
free_metadata(mb_metadata *entry)
{
	free((void *) (uintptr_t) entry->key);
	free((void *) (uintptr_t) entry->value);
}

void
tiny_model_free(tiny_model *tiny)
{
	for (size_t i = 0; i < tiny->n_tensors; i++)
		free_tensor(&tiny->tensors[i]);
	for (size_t i = 0; i < tiny->n_metadata; i++)
		free_metadata(&tiny->metadata[i]);
	free(tiny);
}

const char *
tiny_model_get(const tiny_model *tiny, const char *key)
{
	for (size_t i = 0; i < tiny->n_metadata; i++)
		if (strcmp(tiny->metadata[i].key, key) == 0)
			return tiny->metadata[i].value;
	fail_msg("the tiny model has no metadata %s", key);
	return NULL;
}

void
tiny_model_set(tiny_model *tiny, const char *key, const char *value)
{
	size_t i = 0;
	mb_metadata entry = {value != NULL ? copy_of(key) : NULL, value != NULL ? copy_of(value) : NULL};

	while (i < tiny->n_metadata && strcmp(tiny->metadata[i].key, key) != 0)
		i++;
	if (i == tiny->n_metadata)
	{
		assert_true(value != NULL && i < TINY_METADATA);
		tiny->n_metadata++;
	}
	else
		free_metadata(&tiny->metadata[i]);
	if (value != NULL)
		tiny->metadata[i] = entry;
	else
		tiny->metadata[i] = tiny->metadata[--tiny->n_metadata];
}

void
tiny_model_replace(tiny_model *tiny, const char *key, const char *from, const char *to)
{
	const char *value = tiny_model_get(tiny, key);
	const char *place = strstr(value, from);
	char *text;

	if (place == NULL)
		fail_msg("metadata %s has no %s", key, from);
	text = malloc(strlen(value) + strlen(to) + 1);
	assert_non_null(text);
	sprintf(text, "%.*s%s%s", (int) (place - value), value, to, place + strlen(from));
	tiny_model_set(tiny, key, text);
	free(text);
}

mb_tensor *
tiny_model_tensor(tiny_model *tiny, const char *name)
{
	for (size_t i = 0; i < tiny->n_tensors; i++)
		if (strcmp(tiny->tensors[i].name, name) == 0)
			return &tiny->tensors[i];
	return NULL;
}

void
tiny_model_drop(tiny_model *tiny, const char *name)
{
	mb_tensor *tensor = tiny_model_tensor(tiny, name);

	if (tensor == NULL)
		fail_msg("the tiny model has no tensor %s", name);
	free_tensor(tensor);
	*tensor = tiny->tensors[--tiny->n_tensors];
}

/* Small halves, singles or bfloats; for other types, small numbers whatever they mean. */
static void
fill(unsigned char *data, const mb_tensor *tensor, uint32_t seed)
{
	size_t size = mb_dtype_size(tensor->dtype);

	for (size_t i = 0; i < tensor->bytes / size; i++)
	{
		uint32_t bits;
		float value;

		seed = seed * 1664525u + 1013904223u;
		value = (float) (int32_t) (seed >> 8 & 0xffff) / 65536.0f - 0.5f;
		memcpy(&bits, &value, sizeof(bits));
		if (tensor->dtype == MB_BF16)
			bits >>= 16;
		else if (tensor->dtype == MB_F16) /* 0.25 to 0.5, either sign */
			bits = (seed >> 16 & 0x83ff) | 0x3400;
		else if (tensor->dtype != MB_F32)
			bits = seed >> 28;
		memset(data + i * size, 0, size);
		memcpy(data + i * size, &bits, size < 4 ? size : 4);
	}
}

void
tiny_model_put(tiny_model *tiny, const char *name, mb_dtype dtype, int64_t rows, int64_t columns)
{
	mb_tensor tensor = {.dtype = dtype, .n_dims = columns != 0 ? 2 : 1, .shape = {rows, columns}};
	unsigned char *data;

	tensor.bytes = (size_t) (rows * (columns != 0 ? columns : 1)) * mb_dtype_size(dtype);
	data = malloc(tensor.bytes + 1);
	assert_non_null(data);
	fill(data, &tensor, (uint32_t) strlen(name) * 977u + (uint32_t) rows);
	tensor.name = copy_of(name);
	tensor.data = data;
	if (tiny_model_tensor(tiny, name) != NULL)
		tiny_model_drop(tiny, name);
	assert_true(tiny->n_tensors < TINY_TENSORS);
	tiny->tensors[tiny->n_tensors++] = tensor;
}

void
tiny_model_behead(tiny_model *tiny)
{
	tiny_model_set(tiny, "moviebert.head", NULL);
	tiny_model_set(tiny, "moviebert.tags", NULL);
	tiny_model_drop(tiny, "classifier.weight");
	tiny_model_drop(tiny, "classifier.bias");
}

void *
tiny_model_bytes(const tiny_model *tiny, size_t *size)
{
	json_t *header = json_object(), *strings = json_object();
	size_t offset = 0, header_bytes;
	unsigned char *bytes;
	char *text;

	for (size_t i = 0; i < tiny->n_metadata; i++)
		json_object_set_new(strings, tiny->metadata[i].key, json_string_nocheck(tiny->metadata[i].value));
	json_object_set_new(header, "__metadata__", strings);
	for (size_t i = 0; i < tiny->n_tensors; i++)
	{
		const mb_tensor *t = &tiny->tensors[i];
		json_t *shape = json_array();

		for (int32_t d = 0; d < t->n_dims; d++)
			json_array_append_new(shape, json_integer(t->shape[d]));
		json_object_set_new(header, t->name,
							json_pack("{s:s, s:o, s:[I, I]}", "dtype", mb_dtype_name(t->dtype), "shape", shape,
									  "data_offsets", (json_int_t) offset, (json_int_t) (offset + t->bytes)));
		offset += t->bytes;
	}
	text = json_dumps(header, JSON_COMPACT);
	json_decref(header);
	assert_non_null(text);
	header_bytes = strlen(text);
	*size = 8 + header_bytes + offset;
	bytes = malloc(*size);
	assert_non_null(bytes);
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char) (header_bytes >> 8 * i);
	memcpy(bytes + 8, text, header_bytes);
	free(text);
	offset = 8 + header_bytes;
	for (size_t i = 0; i < tiny->n_tensors; i++)
	{
		memcpy(bytes + offset, tiny->tensors[i].data, tiny->tensors[i].bytes);
		offset += tiny->tensors[i].bytes;
	}
	return bytes;
}
