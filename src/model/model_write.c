/* model_write.c - a new model file: the weights of one that is open, with a trained head. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "model_file.h"
#include "moviebert/utf8.h"
#include "safetensors_file.h"

/* The metadata that belongs to a head; everything else is the base's. */
static const char *const head_keys[] = {"moviebert.head", "moviebert.tags", "moviebert.card"};
#define N_HEAD_KEYS (sizeof(head_keys) / sizeof(head_keys[0]))

static mb_status
check_head(const mb_head *head, int32_t hidden_size, mb_error *err)
{
	json_t *seen;
	mb_status status = MB_OK;

	if (head->problem == MB_NO_HEAD || head->num_labels <= 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "a head needs a problem and at least one tag");
	for (int64_t i = 0; i < (int64_t) head->num_labels * hidden_size; i++)
		if (!isfinite(head->weight[i]))
			return mb_fail(err, MB_INVALID_ARGUMENT, "the head has a weight that is not finite");
	seen = json_object();
	if (seen == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (int32_t i = 0; i < head->num_labels && status == MB_OK; i++)
	{
		const char *name = head->tags[i].name;

		if (name[0] == '\0')
			status = mb_fail(err, MB_INVALID_ARGUMENT, "a tag cannot have an empty name");
		else if (!mb_utf8_is_valid(name))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the name of tag \"%.100s\" is not valid UTF-8", name);
		else if (json_object_get(seen, name) != NULL)
			status = mb_fail(err, MB_INVALID_ARGUMENT, "tag \"%.100s\" is given twice", name);
		else if (!isfinite(head->bias[i]))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the head's bias of tag \"%.100s\" is not finite", name);
		else if (isinf(head->tags[i].threshold))
			status = mb_fail(err, MB_INVALID_ARGUMENT, "the threshold of tag \"%.100s\" is not finite", name);
		else if (json_object_set_new(seen, name, json_true()) != 0)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	json_decref(seen);
	return status;
}

/* Nine digits tell every float from its neighbours. */
static char *
tags_text(const mb_head *head)
{
	json_t *list = json_array();
	bool ok = list != NULL;
	char *text = NULL;

	for (int32_t i = 0; i < head->num_labels && ok; i++)
	{
		const mb_tag *tag = &head->tags[i];
		json_t *threshold = isnan(tag->threshold) ? json_null() : json_real((double) tag->threshold);
		json_t *support = tag->support < 0 ? json_null() : json_integer(tag->support);

		ok = json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", tag->name, "threshold", threshold,
												   "support", support)) == 0;
	}
	if (ok)
		text = json_dumps(list, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	json_decref(list);
	return text;
}

static bool
is_heads(const char *key)
{
	for (size_t i = 0; i < N_HEAD_KEYS; i++)
		if (strcmp(key, head_keys[i]) == 0)
			return true;
	return false;
}

static mb_status
write_with(const mb_model *base, const mb_head *head, const char *tags, const char *path, mb_error *err)
{
	const mb_safetensors *from = base->tensors;
	mb_tensor *tensors = calloc(from->n_tensors + 2, sizeof(*tensors));
	mb_metadata *metadata = calloc(from->n_metadata + N_HEAD_KEYS, sizeof(*metadata));
	size_t n_tensors = 0, n_metadata = 0;
	char head_text[64];
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
		snprintf(head_text, sizeof(head_text), "{\"problem\": \"%s\", \"kind\": \"tagger\"}",
				 mb_problem_name(head->problem));
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
	char *tags;

	if (status == MB_OK && head->card_json != NULL)
		status = mb_json_parse(&card, head->card_json, strlen(head->card_json), "the head's card", err);
	json_decref(card);
	if (status != MB_OK)
		return status;
	tags = tags_text(head);
	if (tags == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	status = write_with(base, head, tags, model_path, err);
	free(tags);
	return status;
}
