/* model.c - opening a model file. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "model_file.h"

/* ---- tensors --------------------------------------------------------------------------------------------------------
 */

/* Checks a tensor that the config or the format knows, if it is there; marks it. */
static mb_status
meet_spec(const mb_model *model, const mb_tensor_spec *spec, bool *known, mb_error *err)
{
	const mb_tensor *tensor = mb_safetensors_find(model->tensors, spec->name);

	if (tensor == NULL)
		return spec->required ? mb_fail(err, MB_CORRUPT, "tensor \"%s\" is missing", spec->name) : MB_OK;
	known[tensor - mb_safetensors_at(model->tensors, 0)] = true;
	return mb_tensor_check(tensor, spec, err);
}

/* The masked-LM head, all of it optional: a tied decoder is not stored. */
static mb_status
meet_masked_lm_head(const mb_model *model, bool *known, mb_error *err)
{
	int64_t hidden = model->config.hidden_size, vocabulary = model->config.vocab_size;
	const mb_tensor_spec specs[] = {
		{"cls.predictions.bias", 1, {vocabulary}, false},
		{"cls.predictions.decoder.bias", 1, {vocabulary}, false},
		{"cls.predictions.decoder.weight", 2, {vocabulary, hidden}, false},
		{"cls.predictions.transform.LayerNorm.bias", 1, {hidden}, false},
		{"cls.predictions.transform.LayerNorm.weight", 1, {hidden}, false},
		{"cls.predictions.transform.dense.bias", 1, {hidden}, false},
		{"cls.predictions.transform.dense.weight", 2, {hidden, hidden}, false},
	};
	mb_status status = MB_OK;

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]) && status == MB_OK; i++)
		status = meet_spec(model, &specs[i], known, err);
	return status;
}

/* One of the optional pooler's two without the other. */
static mb_status
check_pooler(const mb_model *model, mb_error *err)
{
	bool has_weight = mb_model_tensor(model, "pooler.dense.weight") != NULL;
	bool has_bias = mb_model_tensor(model, "pooler.dense.bias") != NULL;

	if (has_weight != has_bias)
		return mb_fail(err, MB_CORRUPT, "tensor \"pooler.dense.%s\" is missing", has_weight ? "bias" : "weight");
	return MB_OK;
}

/* Every tensor that is called for is there, as it should be, and no other. */
static mb_status
check_tensors(const mb_model *model, mb_error *err)
{
	size_t n = mb_safetensors_count(model->tensors);
	bool *known = calloc(n + 1, sizeof(bool));
	mb_status status = MB_OK;
	mb_tensor_spec spec;

	if (known == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; status == MB_OK && mb_tensor_spec_at(&spec, &model->config, &model->pipeline, i); i++)
		status = meet_spec(model, &spec, known, err);
	if (status == MB_OK)
		status = check_pooler(model, err);
	if (status == MB_OK)
		status = meet_masked_lm_head(model, known, err);
	for (size_t i = 0; i < n && status == MB_OK; i++)
		if (!known[i])
		{
			const char *name = mb_safetensors_at(model->tensors, i)->name;

			status = mb_fail(err, MB_CORRUPT, "tensor \"%.100s\" does not belong to the model", name);
			if (strncmp(name, "classifier.", 11) == 0)
				mb_detail(err, "There is no metadata moviebert.head.");
			else
				mb_detail(err, "The config does not call for it.");
		}
	free(known);
	return status;
}

#define BLOCK 1024

/* A fixed number of them, so that compilers make vector code of it. */
static bool
all_finite(const float *values)
{
	uint32_t found = 0;

	for (size_t i = 0; i < BLOCK; i++)
	{
		uint32_t bits;

		memcpy(&bits, &values[i], sizeof(bits));
		found |= (bits & 0x7f800000) == 0x7f800000;
	}
	return found == 0;
}

/*
 * One NaN or infinity among the weights makes NaN of every vector, silently.  To look costs a read of the file, a small
 * part of the SHA-256 that everyone who opens a model computes too.
 */
static mb_status
check_finite(const mb_tensor *tensor, mb_error *err)
{
	float values[BLOCK] = {0};
	size_t n = (size_t) mb_tensor_elements(tensor);

	for (size_t first = 0; first < n; first += BLOCK)
	{
		size_t count = n - first < BLOCK ? n - first : BLOCK;

		mb_tensor_to_f32(tensor, first, count, values);
		if (all_finite(values))
			continue;
		for (size_t i = 0; i < count; i++)
			if (!isfinite(values[i]))
			{
				mb_fail(err, MB_CORRUPT, "tensor \"%.100s\" has a weight that is not finite", tensor->name);
				mb_detail(err, "Element %zu is %g.", first + i, (double) values[i]);
				return MB_CORRUPT;
			}
	}
	return MB_OK;
}

static mb_status
check_weights(mb_model *model, mb_error *err)
{
	mb_status status = MB_OK;

	for (size_t i = 0; i < mb_safetensors_count(model->tensors) && status == MB_OK; i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(model->tensors, i);

		model->parameters += mb_tensor_elements(tensor);
		status = check_finite(tensor, err);
	}
	return status;
}

/* What the file holds, whatever class its checkpoint was once saved as. */
static void
name_contents(mb_model *model)
{
	bool masked_lm = mb_model_tensor(model, "cls.predictions.transform.dense.weight") != NULL;

	if (model->kind == NULL)
		model->kind = masked_lm ? "masked-lm" : "encoder";
	if (strcmp(model->kind, "classifier") == 0)
		model->architecture = "BertForSequenceClassification";
	else
		model->architecture = masked_lm ? "BertForMaskedLM" : "BertModel";
}

/* ---- the model ------------------------------------------------------------------------------------------------------
 */

mb_status
mb_model_open(mb_model **result, const void *data, size_t size, mb_error *err)
{
	model_file *file = calloc(1, sizeof(*file));
	mb_status status;

	*result = NULL;
	if (file == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	status = mb_safetensors_open(&file->model.tensors, data, size, err);
	if (status == MB_OK)
		status = model_read_metadata(file, err);
	if (status == MB_OK)
		status = check_tensors(&file->model, err);
	if (status == MB_OK)
		status = check_weights(&file->model, err);
	if (status != MB_OK)
	{
		mb_model_close(&file->model);
		return status;
	}
	name_contents(&file->model);
	*result = &file->model;
	return MB_OK;
}

void
mb_model_close(mb_model *model)
{
	model_file *file = (model_file *) model;

	if (model == NULL)
		return;
	mb_safetensors_close(model->tensors);
	json_decref(file->tokenizer_object);
	json_decref(file->tags_list);
	free(file->additional_special_tokens);
	free(file->tags);
	if (file->map != NULL)
		munmap((void *) (uintptr_t) file->map, file->map_size);
	free(file);
}

const mb_tensor *
mb_model_tensor(const mb_model *model, const char *name)
{
	return mb_safetensors_find(model->tensors, name);
}

static mb_status
map_descriptor(int fd, const char *path, const void **map, size_t *size, mb_error *err)
{
	struct stat info;
	void *mapped;

	if (fstat(fd, &info) != 0)
		return mb_fail_system(err, errno, "could not read \"%.250s\"", path);
	if (!S_ISREG(info.st_mode))
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "\"%.250s\" is not a file", path);
		if (S_ISDIR(info.st_mode))
			mb_hint(err, "Make a model file of a checkpoint's folder with \"moviebert import\".");
		return MB_INVALID_ARGUMENT;
	}
	if (info.st_size == 0)
		return mb_fail(err, MB_CORRUPT, "file \"%.250s\" is empty", path);
	mapped = mmap(NULL, (size_t) info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapped == MAP_FAILED)
		return mb_fail_system(err, errno, "could not map \"%.250s\"", path);
	*map = mapped;
	*size = (size_t) info.st_size;
	return MB_OK;
}

mb_status
mb_model_open_file(mb_model **model, const char *path, mb_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait for the writer of a pipe */
	const void *map = NULL;
	size_t size = 0;
	mb_status status;

	*model = NULL;
	if (fd < 0)
		return mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	status = map_descriptor(fd, path, &map, &size, err);
	close(fd);
	if (status != MB_OK)
		return status;
	status = mb_model_open(model, map, size, err);
	if (status == MB_OK)
	{
		((model_file *) *model)->map = map;
		((model_file *) *model)->map_size = size;
	}
	else
		munmap((void *) (uintptr_t) map, size);
	return status;
}
