/* finetune_teacher.c - the teacher's scores of the training rows, kept in 16 bits each. */
#include "finetune_teacher.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "memory.h"
#include "report.h"

mb_status
teacher_open(teacher *t, model_source *source, const char *path, const label_set *labels, double weight, mb_error *err)
{
	mb_status status = model_source_open_file(source, path, err);
	const mb_model *model = source->model;
	int32_t l, k;

	memset(t, 0, sizeof(*t));
	if (status != MB_OK)
		return status;
	if (model->pipeline.problem != MB_MULTI_LABEL)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the teacher \"%.250s\" does not give tags", path);
		mb_hint(err, "Train it with \"moviebert finetune\" first.");
		return MB_INVALID_ARGUMENT;
	}
	memcpy(t->sha256, source->sha256, sizeof(t->sha256));
	t->weight = weight;
	t->label_of = allocate((size_t) model->pipeline.num_labels, sizeof(int32_t));
	t->n = 0;
	for (k = 0; k < model->pipeline.num_labels; k++)
	{
		t->label_of[k] = -1;
		for (l = 0; l < labels->n; l++)
			if (strcmp(model->tags[k].name, labels->names[l]) == 0)
				t->label_of[k] = l;
		t->n += t->label_of[k] >= 0;
	}
	if (t->n > 0)
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT, "the teacher \"%.250s\" has none of the tags to be trained", path);
	mb_detail(err, "Its first tag is \"%.100s\", the rows' most frequent one \"%.100s\".", model->tags[0].name,
			  labels->names[0]);
	return MB_INVALID_ARGUMENT;
}

mb_status
teacher_score(teacher *t, model_source *source, const tagged_rows *rows, const features_options *options, mb_error *err)
{
	size_t K = (size_t) source->model->pipeline.num_labels, H = (size_t) source->model->config.hidden_size, i, n = 0;
	tagged_rows training = *rows;
	float *features = NULL, *logits;
	features_stats stats;
	int32_t k, own = 0;
	mb_status status = model_source_image(source, err);

	if (status != MB_OK)
		return status;
	training.rows = allocate(rows->n, sizeof(tagged_row));
	t->place_of_row = allocate(rows->n, sizeof(int32_t));
	for (i = 0; i < rows->n; i++)
	{
		t->place_of_row[i] = rows->rows[i].part == PART_TRAINING ? (int32_t) n : -1;
		if (rows->rows[i].part == PART_TRAINING)
			training.rows[n++] = rows->rows[i];
	}
	training.n = n;
	report_note("The teacher's scores of %zu training rows, %d of the tags:", n, t->n);
	status = features_compute(source, &training, options, &features, &stats, err);
	free(training.rows);
	if (status != MB_OK)
		return status;
	t->scores = allocate(n * (size_t) t->n, sizeof(uint16_t));
	logits = allocate(K, sizeof(float));
	for (i = 0; i < n; i++)
	{
		uint16_t *to = t->scores + i * (size_t) t->n;

		mb_classify(&source->image, features + i * H, 1, logits);
		for (k = 0; k < (int32_t) K; k++)
			if (t->label_of[k] >= 0)
				*to++ = (uint16_t) lround(65535 * sigmoid((double) logits[k]));
	}
	/* From now on the i-th of its tags that are labels. */
	for (k = 0; k < (int32_t) K; k++)
		if (t->label_of[k] >= 0)
			t->label_of[own++] = t->label_of[k];
	free(features);
	free(logits);
	return MB_OK;
}

void
teacher_release(teacher *t)
{
	free(t->label_of);
	free(t->place_of_row);
	free(t->scores);
	memset(t, 0, sizeof(*t));
}
