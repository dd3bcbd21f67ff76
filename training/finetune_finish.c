/*
 * finetune_finish.c - the trained weights become a model file: the engine itself computes their vectors, so that
 * calibration, thresholds and metrics are those of what is written, and of what bert_tags will say.
 */
#include "finetune_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calibration.h"
#include "card.h"
#include "memory.h"

/* How far the engine's vectors may be from the network's that made them, with the same weights. */
#define ENGINE_TOLERANCE 1e-3

/* The largest difference between the engine's vectors and the network's, of validation rows. */
static mb_status
compare_engine(const full_run *run, const fit_rows *validation, double *worst, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, n = 0, i;
	size_t *rows = allocate(run->data.rows.n, sizeof(size_t));
	float *vectors;
	mb_status status;

	for (i = 0; i < run->data.rows.n && n < 256; i++)
		if (run->data.rows.rows[i].part == PART_VALIDATION)
			rows[n++] = i;
	vectors = allocate(n * H, sizeof(float));
	status = finetune_vectors(run->task, run->parameters, rows, n, vectors, err);
	*worst = 0;
	for (i = 0; i < n * H && status == MB_OK; i++)
	{
		double difference = fabs((double) vectors[i] - (double) validation->features[i]);

		if (!(difference <= *worst))
			*worst = isnan(difference) ? INFINITY : difference;
	}
	free(vectors);
	free(rows);
	return status;
}

static bool
write_half(const full_run *run)
{
	const mb_tensor *words = mb_model_tensor(run->base.model, "embeddings.word_embeddings.weight");

	return run->options->precision == PRECISION_FP16 ||
		   (run->options->precision == PRECISION_AS_BASE && words->dtype == MB_F16);
}

/* The trained encoder as a file in the run's folder, and as the engine sees it. */
static mb_status
open_trained(full_run *run, mb_error *err)
{
	char *path = run_folder_file(run->options->folder, TRAINED_ENCODER);
	mb_status status =
		finetune_write_encoder(path, &run->net, run->parameters, run->base.model, &run->pipeline, write_half(run), err);

	if (status == MB_OK)
		status = model_source_open_file(&run->encoder, path, err);
	if (status == MB_OK)
		status = model_source_image(&run->encoder, err);
	free(path);
	return status;
}

/* The classifier for vectors as the engine makes them, not yet calibrated. */
static void
take_head(const full_run *run, fit_result *fit)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n, i;
	const real *weight = finetune_classifier(&run->net, run->parameters, false);
	const real *bias = finetune_classifier(&run->net, run->parameters, true);
	double scale = finetune_feature_scale(&run->pipeline, (int32_t) H);

	fit_result_init(fit, H, L);
	for (i = 0; i < L * H; i++)
		fit->weight[i] = (float) (scale * (double) weight[i]);
	for (i = 0; i < L; i++)
		fit->bias[i] = (float) bias[i];
}

mb_status
full_finish(full_run *run, mb_error *err)
{
	size_t H = (size_t) run->base.model->config.hidden_size, L = (size_t) run->data.labels.n;
	const features_options how = {NULL, run->request->n_threads, run->request->silent};
	tagged_rows view;
	float *features = NULL, *scores;
	features_stats stats;
	fit_rows validation_rows, test_rows;
	fit_result fit;
	metrics validation, test;
	bool tested = run->n_part[PART_TEST] > 0;
	finetune_written written;
	double worst = 0;
	mb_status status = open_trained(run, err);

	if (status != MB_OK)
		return status;
	view = full_some_rows(run, 0);
	status = features_compute(&run->encoder, &view, &how, &features, &stats, err);
	if (status != MB_OK)
	{
		free(view.rows);
		return status;
	}
	labels_gather(&validation_rows, &view, &run->data.labels, features, H, PART_VALIDATION, false);
	labels_gather(&test_rows, &view, &run->data.labels, features, H, PART_TEST, false);
	status = compare_engine(run, &validation_rows, &worst, err);
	if (status == MB_OK && !write_half(run) && worst > ENGINE_TOLERANCE)
		status = mb_fail(err, MB_CORRUPT, "the written encoder's vectors differ from the trained ones by %g", worst);
	take_head(run, &fit);
	scores = allocate(validation_rows.n * L, sizeof(float));
	if (status == MB_OK)
	{
		json_t *card;

		fit_calibrate(&fit, &validation_rows, scores, H, L);
		fit_measure(&validation, &validation_rows, &fit, H, L);
		if (tested)
			fit_measure(&test, &test_rows, &fit, H, L);
		card = finetune_card(run->request, &run->data, &run->base, full_training_card(run, &fit), &validation,
							 "The best step, calibration and thresholds were chosen on the validation part.",
							 tested ? &test : NULL);
		if (run->as_json)
			json_print(card);
		else
		{
			full_print_summary(run, &validation, tested ? &test : NULL);
			metrics_print(&validation, run->data.labels.names, "Validation part", run->max_tags);
			printf(
				"\n  The best step, calibration and thresholds were chosen on these rows: on new rows expect a little "
				"less.\n");
			if (tested)
				metrics_print(&test, run->data.labels.names, "Test part", run->max_tags);
			else
				printf("  --test=0.1 or --test-query keeps rows aside for an honest measure.\n");
		}
		status = finetune_write(&written, run->output, run->encoder.model,
								run->pipeline.pooling == MB_POOL_POOLER && !run->pipeline.normalize ? "classifier"
																									: "tagger",
								&run->data.labels, &fit, card, &validation_rows, err);
		if (status == MB_OK)
			status = full_write_report(run, card, tested ? &test_rows : &validation_rows, &fit, &written, err);
		if (status == MB_OK && !run->as_json)
			printf("\nWrote \"%s\" (sha256 %.16s..., vectors within %.1e of the trained ones); "
				   "\"%s/report.html\" shows the run.\n",
				   run->output, written.sha256, worst, run->options->folder);
		json_decref(card);
		metrics_release(&validation);
		if (tested)
			metrics_release(&test);
	}
	fit_result_release(&fit);
	fit_rows_release(&validation_rows);
	fit_rows_release(&test_rows);
	free(scores);
	free(features);
	free(view.rows);
	return status;
}
