/* model_write.c - a new model file: of its parts, or of one that is open and a trained head. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "files.h"
#include "model_file.h"
#include "model_json.h"
#include "moviebert/utf8.h"
#include "safetensors_file.h"

/* ---- tags ----------------------------------------------------------------------------------------------------------- */

static mb_status
check_tags(const mb_tag *tags, int32_t n, mb_error *err)
{
	json_t *seen = json_object();
	mb_status status = seen != NULL ? MB_OK : mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");

	for (int32_t i = 0; i < n && status == MB_OK; i++)
	{
		const char *name = tags[i].name;

		if (name[0] == '\0')
			status = mb_fail(err, MB_INVALID_ARGUMENT, "a tag cannot have an empty name");
		else if (!mb_utf8_is_valid(name))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the name of tag \"%.100s\" is not valid UTF-8", name);
		else if (json_object_get(seen, name) != NULL)
			status = mb_fail(err, MB_INVALID_ARGUMENT, "tag \"%.100s\" is given twice", name);
		else if (isinf(tags[i].threshold))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the threshold of tag \"%.100s\" is not finite", name);
		else if (json_object_set_new(seen, name, json_true()) != 0)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	json_decref(seen);
	return status;
}

static mb_status
check_head(const mb_head *head, int32_t hidden_size, mb_error *err)
{
	mb_status status;

	if (head->problem == MB_NO_HEAD || head->num_labels <= 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "a head needs a problem and at least one tag");
	for (int64_t i = 0; i < (int64_t) head->num_labels * hidden_size; i++)
		if (!isfinite(head->weight[i]))
			return mb_fail(err, MB_INVALID_ARGUMENT, "the head has a weight that is not finite");
	status = check_tags(head->tags, head->num_labels, err);
	for (int32_t i = 0; i < head->num_labels && status == MB_OK; i++)
		if (!isfinite(head->bias[i]))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the head's bias of tag \"%.100s\" is not finite",
							 head->tags[i].name);
	return status;
}

/* ---- a head on a model ---------------------------------------------------------------------------------------------- */

/* The metadata that belongs to a head; everything else is the base's. */
static const char *const head_keys[] = {"moviebert.head", "moviebert.tags", "moviebert.card"};
#define N_HEAD_KEYS (sizeof(head_keys) / sizeof(head_keys[0]))

static bool
is_heads(const char *key)
{
	for (size_t i = 0; i < N_HEAD_KEYS; i++)
		if (strcmp(key, head_keys[i]) == 0)
			return true;
	return false;
}

static mb_status
write_with(const mb_model *base, const mb_head *head, const char *head_text, const char *tags, const char *path,
		   mb_error *err)
{
	const mb_safetensors *from = base->tensors;
	mb_tensor *tensors = calloc(from->n_tensors + 2, sizeof(*tensors));
	mb_metadata *metadata = calloc(from->n_metadata + N_HEAD_KEYS, sizeof(*metadata));
	size_t n_tensors = 0, n_metadata = 0;
	size_t labels = (size_t) head->num_labels, hidden = (size_t) base->config.hidden_size;
	mb_status status;

	if (tensors != NULL && metadata != NULL)
	{
		for (size_t i = 0; i < from->n_tensors; i++)
			if (strncmp(from->tensors[i].name, "classifier.", 11) != 0)
				tensors[n_tensors++] = from->tensors[i];
		tensors[n_tensors++] = (mb_tensor){.name = "classifier.weight",
										   .dtype = MB_F32,
										   .n_dims = 2,
										   .shape = {head->num_labels, base->config.hidden_size},
										   .data = head->weight,
										   .bytes = labels * hidden * sizeof(float)};
		tensors[n_tensors++] = (mb_tensor){.name = "classifier.bias",
										   .dtype = MB_F32,
										   .n_dims = 1,
										   .shape = {head->num_labels},
										   .data = head->bias,
										   .bytes = labels * sizeof(float)};
		for (size_t i = 0; i < from->n_metadata; i++)
			if (!is_heads(from->metadata[i].key))
				metadata[n_metadata++] = from->metadata[i];
		metadata[n_metadata++] = (mb_metadata){"moviebert.head", head_text};
		metadata[n_metadata++] = (mb_metadata){"moviebert.tags", tags};
		metadata[n_metadata++] = (mb_metadata){"moviebert.card", head->card_json != NULL ? head->card_json : "{}"};
		status = mb_safetensors_write(path, tensors, n_tensors, metadata, n_metadata, err);
	}
	else
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	free(metadata);
	free(tensors);
	return status;
}

mb_status
mb_model_write_with_head(const mb_model *base, const mb_head *head, const char *model_path, mb_error *err)
{
	mb_status status = check_head(head, base->config.hidden_size, err);
	json_t *card = NULL;
	char *head_text, *tags;

	if (status == MB_OK && head->card_json != NULL)
		status = mb_json_parse(&card, head->card_json, strlen(head->card_json), "the head's card", err);
	json_decref(card);
	if (status != MB_OK)
		return status;
	head_text = model_json_head(head->problem, "tagger");
	tags = model_json_tags(head->tags, head->num_labels);
	if (head_text != NULL && tags != NULL)
		status = write_with(base, head, head_text, tags, model_path, err);
	else
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	free(head_text);
	free(tags);
	return status;
}

/* ---- whole or not at all -------------------------------------------------------------------------------------------- */

/* The file beside its place is our affair: the error is about the one that was asked for. */
static void
name_file(const char *path, mb_error *err)
{
	mb_error system = *err;

	mb_fail(err, MB_IO, "could not write \"%.250s\"", path);
	mb_detail(err, "%s", system.detail);
	err->os_errno = system.os_errno;
}

mb_status
model_file_write(const char *path, const mb_tensor *tensors, size_t n_tensors, const mb_metadata *metadata,
				 size_t n_metadata, mb_error *err)
{
	static const char ending[] = ".new";
	size_t length = strlen(path);
	char *beside = malloc(length + sizeof(ending));
	mb_model *model;
	mb_status status;

	if (beside == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	memcpy(beside, path, length);
	memcpy(beside + length, ending, sizeof(ending));
	status = mb_safetensors_write(beside, tensors, n_tensors, metadata, n_metadata, err);
	if (status == MB_IO && err != NULL)
		name_file(path, err);
	if (status == MB_OK)
	{
		status = mb_model_open_file(&model, beside, err);
		mb_model_close(model);
		if (status == MB_OK)
			status = file_rename(beside, path, err);
		if (status != MB_OK)
			unlink(beside);
	}
	free(beside);
	return status;
}

/* ---- a model of its parts ------------------------------------------------------------------------------------------- */

/* The class that transformers loads the tensors with. */
static const char *
architecture_of(const mb_model_parts *parts)
{
	if (parts->pipeline.problem != MB_NO_HEAD && strcmp(parts->kind, "classifier") == 0)
		return "BertForSequenceClassification";
	for (size_t i = 0; i < parts->n_tensors; i++)
		if (strncmp(parts->tensors[i].name, "cls.predictions.", 16) == 0)
			return "BertForMaskedLM";
	return "BertModel";
}

/* The padding token's row, which transformers must know; finding it checks the whole vocabulary. */
static mb_status
find_padding(const mb_model_parts *parts, int32_t *id, mb_error *err)
{
	mb_tokenizer tokenizer;
	void *blob;
	size_t size;
	mb_status status = mb_vocabulary_pack(parts->vocab, strlen(parts->vocab), &parts->tokenizer, &blob, &size, err);

	if (status != MB_OK)
		return status;
	status = mb_tokenizer_open(&tokenizer, blob, size, err);
	if (status == MB_OK)
		*id = mb_tokenizer_pad_id(&tokenizer);
	free(blob);
	return status;
}

/* Copies of the F32 tensors in half precision, one after another in *halves, which is the caller's to free. */
static mb_status
make_half(mb_tensor *tensors, size_t n, uint16_t **halves, mb_error *err)
{
	size_t total = 0;
	uint16_t *to;

	for (size_t i = 0; i < n; i++)
		if (tensors[i].dtype == MB_F32)
			total += tensors[i].bytes / sizeof(float);
	*halves = to = malloc((total + 1) * sizeof(uint16_t));
	if (to == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++)
	{
		size_t elements = tensors[i].bytes / sizeof(float);

		if (tensors[i].dtype != MB_F32)
			continue;
		if (!mb_f32_to_f16(tensors[i].data, elements, to))
			return mb_fail(err, MB_INVALID_ARGUMENT, "tensor \"%.100s\" has a weight that half precision cannot hold",
						   tensors[i].name);
		tensors[i].dtype = MB_F16;
		tensors[i].data = to;
		tensors[i].bytes = elements * sizeof(uint16_t);
		to += elements;
	}
	return MB_OK;
}

mb_model_parts
mb_model_parts_of(const mb_model *model)
{
	return (mb_model_parts){.config_json = model->config_json,
							.config = model->config,
							.vocab = model->vocab,
							.tokenizer = model->tokenizer,
							.pipeline = model->pipeline,
							.kind = model->kind,
							.tags = model->tags,
							.card_json = model->card_json};
}

static mb_status
write_parts(const mb_model_parts *parts, const mb_tensor *tensors, int32_t pad_id, const char *path, mb_error *err)
{
	bool has_head = parts->pipeline.problem != MB_NO_HEAD;
	/* Those that are NULL are not written; the others in import.c's order. */
	char *made[] = {
		parts->config_json == NULL ? model_json_config(&parts->config, architecture_of(parts), pad_id) : NULL,
		model_json_pooling(&parts->pipeline),
		model_json_tokenizer(&parts->tokenizer),
		has_head ? model_json_head(parts->pipeline.problem, parts->kind) : NULL,
		has_head ? model_json_tags(parts->tags, parts->pipeline.num_labels) : NULL,
	};
	const mb_metadata all[] = {
		{"format", "pt"},
		{"moviebert.config", parts->config_json != NULL ? parts->config_json : made[0]},
		{"moviebert.format", "1"},
		{"moviebert.pooling", made[1]},
		{"moviebert.tokenizer", made[2]},
		{"moviebert.vocab", parts->vocab},
		{"moviebert.head", made[3]},
		{"moviebert.tags", made[4]},
		{"moviebert.card", parts->card_json},
	};
	mb_metadata metadata[sizeof(all) / sizeof(all[0])];
	size_t n = 0;
	mb_status status;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value != NULL)
			metadata[n++] = all[i];
	if (all[1].value == NULL || made[1] == NULL || made[2] == NULL || (has_head && (made[3] == NULL || made[4] == NULL)))
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	else
		status = model_file_write(path, tensors, parts->n_tensors, metadata, n, err);
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		free(made[i]);
	return status;
}

mb_status
mb_model_write(const mb_model_parts *parts, const char *model_path, mb_error *err)
{
	mb_tensor *tensors;
	uint16_t *halves = NULL;
	int32_t pad_id = 0;
	mb_status status = find_padding(parts, &pad_id, err);

	if (status == MB_OK && parts->pipeline.problem != MB_NO_HEAD)
		status = check_tags(parts->tags, parts->pipeline.num_labels, err);
	if (status != MB_OK)
		return status;
	tensors = malloc((parts->n_tensors + 1) * sizeof(*tensors));
	if (tensors == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	memcpy(tensors, parts->tensors, parts->n_tensors * sizeof(*tensors));
	if (parts->half)
		status = make_half(tensors, parts->n_tensors, &halves, err);
	if (status == MB_OK)
		status = write_parts(parts, tensors, pad_id, model_path, err);
	free(halves);
	free(tensors);
	return status;
}
