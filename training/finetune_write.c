/*
 * finetune_write.c - the new model becomes a file: written beside its place, read back, and only then renamed.
 *
 * A training may have taken hours, and the file that it replaces may be the only good one: whatever fails before the
 * rename leaves that one as it was.  Reading back takes no room on a disk.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "finetune.h"
#include "head.h"
#include "memory.h"
#include "output_file.h"

/* How far the file's logits may be from those that were fitted: rounding of two orders of summation. */
#define LOGIT_TOLERANCE 1e-3

#define CHECKED_ROWS 256

/* A head that the base's checkpoint class has: all of the model anew. */
static mb_status
write_classifier(const char *path, const mb_model *base, const char *kind, const mb_head *head, mb_error *err)
{
	size_t n = mb_safetensors_count(base->tensors), labels = (size_t) head->num_labels, i;
	size_t hidden = (size_t) base->config.hidden_size;
	mb_tensor *tensors = allocate(n + 2, sizeof(mb_tensor));
	mb_model_parts parts = mb_model_parts_of(base);
	mb_status status;

	for (i = 0; i < n; i++)
		if (strncmp(mb_safetensors_at(base->tensors, i)->name, "classifier.", 11) != 0)
			tensors[parts.n_tensors++] = *mb_safetensors_at(base->tensors, i);
	tensors[parts.n_tensors++] = (mb_tensor){.name = "classifier.weight",
											 .dtype = MB_F32,
											 .n_dims = 2,
											 .shape = {head->num_labels, base->config.hidden_size},
											 .data = head->weight,
											 .bytes = labels * hidden * sizeof(float)};
	tensors[parts.n_tensors++] = (mb_tensor){.name = "classifier.bias",
											 .dtype = MB_F32,
											 .n_dims = 1,
											 .shape = {head->num_labels},
											 .data = head->bias,
											 .bytes = labels * sizeof(float)};
	parts.tensors = tensors;
	parts.kind = kind;
	parts.tags = head->tags;
	parts.card_json = head->card_json;
	parts.pipeline.problem = head->problem;
	parts.pipeline.num_labels = head->num_labels;
	status = mb_model_write(&parts, path, err);
	free(tensors);
	return status;
}

static mb_status
write_model(const char *path, const mb_model *base, const char *kind, const label_set *labels, const fit_result *fit,
			const json_t *card, mb_error *err)
{
	mb_tag *tags = allocate((size_t) labels->n, sizeof(mb_tag));
	char *text = json_dumps(card, JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
	mb_head head = {MB_MULTI_LABEL, labels->n, fit->weight, fit->bias, tags, text};
	mb_status status;
	int32_t l;

	for (l = 0; l < labels->n; l++)
	{
		tags[l].name = labels->names[l];
		tags[l].threshold = fit->thresholds[l];
		tags[l].support = labels->support[l];
	}
	status = text == NULL                  ? mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while writing the card")
			 : strcmp(kind, "tagger") == 0 ? mb_model_write_with_head(base, &head, path, err)
										   : write_classifier(path, base, kind, &head, err);
	free(text);
	free(tags);
	return status;
}

static float *
tensor_values(const mb_model *model, const char *name)
{
	const mb_tensor *tensor = mb_model_tensor(model, name);
	size_t n = (size_t) mb_tensor_elements(tensor);
	float *values = allocate(n, sizeof(float));

	(void) mb_tensor_to_f32(tensor, 0, n, values);
	return values;
}

/* The worst difference between the written head's logits, summed plainly in double, and the fitted one's. */
static double
worst_logit(const mb_model *written, const fit_rows *rows, const fit_result *fit, size_t n_features, size_t n_tags)
{
	size_t n = rows->n < CHECKED_ROWS ? rows->n : CHECKED_ROWS;
	float *fitted = allocate(n * n_tags, sizeof(float));
	float *weight = tensor_values(written, "classifier.weight");
	float *bias = tensor_values(written, "classifier.bias");
	double worst = 0;
	size_t i, l, h;

	head_forward(fitted, fit->weight, fit->bias, rows->features, n, n_features, n_tags);
	for (i = 0; i < n; i++)
		for (l = 0; l < n_tags; l++)
		{
			double logit = (double) bias[l], expected = (double) fitted[i * n_tags + l], difference;

			for (h = 0; h < n_features; h++)
				logit += (double) weight[l * n_features + h] * (double) rows->features[i * n_features + h];
			difference = fabs(logit - expected) / (1 + fabs(expected));
			/* fmax would pass over one that is not a number. */
			if (!(difference <= worst))
				worst = isnan(difference) ? INFINITY : difference;
		}
	free(fitted);
	free(weight);
	free(bias);
	return worst;
}

/* What the file says must be what was fitted. */
static mb_status
verify(finetune_written *result, const char *path, const fit_rows *rows, const fit_result *fit, size_t n_tags,
	   mb_error *err)
{
	model_source written;
	mb_status status = model_source_open_file(&written, path, err);
	size_t l;

	if (status != MB_OK)
		return status;
	memcpy(result->sha256, written.sha256, sizeof(result->sha256));
	result->worst_logit = worst_logit(written.model, rows, fit, (size_t) written.model->config.hidden_size, n_tags);
	if (result->worst_logit > LOGIT_TOLERANCE)
		status = mb_fail(err, MB_CORRUPT, "the written model's scores differ from the fitted ones by %g",
						 result->worst_logit);
	for (l = 0; l < n_tags && status == MB_OK; l++)
		if (written.model->tags[l].threshold != fit->thresholds[l])
			status = mb_fail(err, MB_CORRUPT, "the written model's threshold of tag \"%.100s\" is not the fitted one",
							 written.model->tags[l].name);
	model_source_close(&written);
	return status;
}

/* The file beside its place is our affair: the error is about the one that was asked for. */
static void
name_file(const char *path, mb_error *err)
{
	mb_error system = *err;

	mb_fail(err, MB_IO, "could not write \"%.250s\"", path);
	mb_detail(err, "%s", system.detail);
}

mb_status
finetune_write(finetune_written *result, const char *path, const mb_model *base, const char *kind,
			   const label_set *labels, const fit_result *fit, const json_t *card, const fit_rows *check, mb_error *err)
{
	string_buffer beside = {0};
	mb_status status;

	string_printf(&beside, "%s.new", path);
	status = write_model(beside.data, base, kind, labels, fit, card, err);
	if (status == MB_IO)
		name_file(path, err);
	if (status == MB_OK)
	{
		status = verify(result, beside.data, check, fit, (size_t) labels->n, err);
		if (status == MB_OK)
			status = output_file_rename(beside.data, path, err);
		if (status != MB_OK)
			unlink(beside.data);
	}
	string_release(&beside);
	return status;
}
