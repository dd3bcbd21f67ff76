/* seeded_model.c - model files with weights made from names. */
#include "test/unit/seeded_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/model/config.h"

#define MAX_TENSORS 128

static const char *const words[] = {"the", "film", "ghost", "house", "robot", "love", "murder", "night"};

mb_config
seeded_config(void)
{
	mb_config config = {
		.vocab_size = 90,
		.hidden_size = 16,
		.num_hidden_layers = 1,
		.num_attention_heads = 2,
		.intermediate_size = 20,
		.max_position_embeddings = 24,
		.type_vocab_size = 2,
		.layer_norm_eps = 1e-12f,
		.hidden_act = MB_GELU,
	};

	return config;
}

mb_pipeline
seeded_pipeline(void)
{
	mb_pipeline pipeline = {
		.pooling = MB_POOL_MEAN,
		.max_length = 24,
		.long_text = MB_LONG_WINDOWS,
		.window_stride = 11,
	};

	return pipeline;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* The finaliser of MurmurHash3 over a seed and a counter. */
static uint32_t
mix(uint32_t seed, uint32_t i)
{
	uint32_t h = seed + i * UINT32_C(0x9E3779B9);

	h = (h ^ h >> 16) * UINT32_C(0x85EBCA6B);
	h = (h ^ h >> 13) * UINT32_C(0xC2B2AE35);
	return h ^ h >> 16;
}

/* FNV-1a. */
static uint32_t
seed_of(const char *name)
{
	uint32_t h = UINT32_C(2166136261);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char) *name) * UINT32_C(16777619);
	return h;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

static float *
make_weights(const mb_tensor_spec *spec, size_t n)
{
	uint32_t seed = seed_of(spec->name);
	float scale = (float) (1.5 / sqrt((double) spec->shape[1])), offset = 0.0f;
	float *x = malloc(n * sizeof(float));

	assert_non_null(x);
	if (ends_with(spec->name, "LayerNorm.weight"))
		scale = 0.25f, offset = 1.0f;
	else if (ends_with(spec->name, "bias"))
		scale = 0.25f;
	else if (strstr(spec->name, "embeddings") != NULL)
		scale = 0.5f;
	for (size_t i = 0; i < n; i++)
		x[i] = ((float) (mix(seed, (uint32_t) i) >> 8) * 0x1p-23f - 1.0f) * scale + offset;
	return x;
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static void append(char *text, size_t size, const char *format, ...) MB_PRINTF(3, 4);

static void
append(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	assert_true(vsnprintf(text + used, size - used, format, args) < (int) (size - used));
	va_end(args);
}

static void
vocabulary_text(char *text, size_t size)
{
	append(text, size, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n,\n!\n");
	for (char c = 'a'; c <= 'z'; c++)
		append(text, size, "%c\n", c);
	for (char c = 'a'; c <= 'z'; c++)
		append(text, size, "##%c\n", c);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		append(text, size, "%s\n", words[i]);
}

static void
config_text(char *text, size_t size, const mb_config *c)
{
	static const char *const activations[] = {"gelu", "gelu_new", "relu", "silu"};

	append(text, size,
		   "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"vocab_size\":%d,\"hidden_size\":%d,"
		   "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"intermediate_size\":%d,"
		   "\"max_position_embeddings\":%d,\"type_vocab_size\":%d,\"layer_norm_eps\":%.9g,\"hidden_act\":\"%s\"}",
		   c->vocab_size, c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->intermediate_size,
		   c->max_position_embeddings, c->type_vocab_size, (double) c->layer_norm_eps, activations[c->hidden_act]);
}

static void
pooling_text(char *text, size_t size, const mb_pipeline *p)
{
	static const char *const modes[] = {"mean", "cls", "pooler"};

	append(text, size, "{\"mode\":\"%s\",\"normalize\":%s,\"max_length\":%d,\"long_text\":\"%s\",\"window_stride\":%d}",
		   modes[p->pooling], p->normalize ? "true" : "false", p->max_length,
		   p->long_text == MB_LONG_WINDOWS ? "windows" : "truncate", p->window_stride);
}

/* A head on anything but the bare pooler is one of our own. */
static void
head_text(char *text, size_t size, const mb_pipeline *p)
{
	static const char *const problems[] = {NULL, "multi_label", "single_label", "regression"};
	bool classifier = p->pooling == MB_POOL_POOLER && !p->normalize;

	append(text, size, "{\"problem\":\"%s\",\"kind\":\"%s\"}", problems[p->problem],
		   classifier ? "classifier" : "tagger");
}

static void
tags_text(char *text, size_t size, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		append(text, size, "%s{\"name\":\"tag %d\",\"threshold\":0.5,\"support\":null}", i == 0 ? "[" : ",", i);
	append(text, size, "]");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

void
seeded_model_write(const char *path, const mb_config *config, const mb_pipeline *pipeline)
{
	static mb_tensor_spec specs[MAX_TENSORS];
	static char vocabulary[1024], config_json[1024], pooling_json[256], head_json[64], tags_json[16384];
	mb_tensor tensors[MAX_TENSORS];
	mb_metadata metadata[8];
	size_t n_tensors = 0, n_metadata = 0;
	mb_tensor_spec spec;
	mb_error err;

	for (size_t i = 0; mb_tensor_spec_at(&spec, config, pipeline, i); i++)
		if (spec.required)
		{
			mb_tensor *tensor = &tensors[n_tensors];
			size_t elements;

			assert_true(n_tensors < MAX_TENSORS);
			specs[n_tensors] = spec;
			memset(tensor, 0, sizeof(*tensor));
			tensor->name = specs[n_tensors].name;
			tensor->dtype = MB_F32;
			tensor->n_dims = spec.n_dims;
			memcpy(tensor->shape, spec.shape, sizeof(spec.shape));
			elements = (size_t) (spec.shape[0] * (spec.n_dims > 1 ? spec.shape[1] : 1));
			tensor->bytes = elements * sizeof(float);
			tensor->data = make_weights(&spec, elements);
			n_tensors++;
		}

	vocabulary[0] = config_json[0] = pooling_json[0] = head_json[0] = tags_json[0] = '\0';
	vocabulary_text(vocabulary, sizeof(vocabulary));
	config_text(config_json, sizeof(config_json), config);
	pooling_text(pooling_json, sizeof(pooling_json), pipeline);
	metadata[n_metadata++] = (mb_metadata){"format", "pt"};
	metadata[n_metadata++] = (mb_metadata){"moviebert.format", "1"};
	metadata[n_metadata++] = (mb_metadata){"moviebert.config", config_json};
	metadata[n_metadata++] = (mb_metadata){"moviebert.vocab", vocabulary};
	metadata[n_metadata++] = (mb_metadata){
		"moviebert.tokenizer",
		"{\"do_lower_case\":true,\"strip_accents\":true,\"tokenize_chinese_chars\":true,\"split_special_tokens\":false,"
		"\"unk_token\":\"[UNK]\",\"cls_token\":\"[CLS]\",\"sep_token\":\"[SEP]\",\"pad_token\":\"[PAD]\","
		"\"mask_token\":\"[MASK]\",\"additional_special_tokens\":[]}"};
	metadata[n_metadata++] = (mb_metadata){"moviebert.pooling", pooling_json};
	if (pipeline->problem != MB_NO_HEAD)
	{
		head_text(head_json, sizeof(head_json), pipeline);
		tags_text(tags_json, sizeof(tags_json), pipeline->num_labels);
		metadata[n_metadata++] = (mb_metadata){"moviebert.head", head_json};
		metadata[n_metadata++] = (mb_metadata){"moviebert.tags", tags_json};
	}
	if (mb_safetensors_write(path, tensors, n_tensors, metadata, n_metadata, &err) != MB_OK)
		fail_msg("%s: %s %s", path, err.message, err.detail);
	for (size_t i = 0; i < n_tensors; i++)
		free((void *) tensors[i].data);
}

void
seeded_image_open(seeded_image *seeded, const mb_config *config, const mb_pipeline *pipeline)
{
	char path[] = "/tmp/moviebert-seeded.XXXXXX";
	int made = mkstemp(path);
	FILE *file = tmpfile();
	mb_model *model;
	mb_error err;
	off_t size;

	assert_true(made >= 0 && file != NULL);
	close(made);
	seeded_model_write(path, config, pipeline);
	if (mb_model_open_file(&model, path, &err) != MB_OK)
		fail_msg("%s %s", err.message, err.detail);
	unlink(path);
	if (mb_image_write(model, fileno(file), NULL, &err) != MB_OK)
		fail_msg("%s %s", err.message, err.detail);
	mb_model_close(model);

	size = lseek(fileno(file), 0, SEEK_END);
	seeded->base = mmap(NULL, (size_t) size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	assert_true(seeded->base != MAP_FAILED);
	fclose(file);
	if (mb_image_open(&seeded->image, seeded->base, (size_t) size, &err) != MB_OK)
		fail_msg("%s %s", err.message, err.detail);
}

void
seeded_image_close(seeded_image *seeded)
{
	mb_image_close(&seeded->image);
	munmap(seeded->base, seeded->image.size);
}
