/* finetune_model.h - the network between two model files: the base that it starts from and the one that it becomes. */
#ifndef MOVIEBERT_TOOL_FINETUNE_MODEL_H
#define MOVIEBERT_TOOL_FINETUNE_MODEL_H

#include "fit.h"
#include "labels.h"
#include "model_source.h"
#include "net/net.h"

/* The base's pipeline with what the command line changes; errors for what does not fit the base. */
mb_status finetune_pipeline(mb_pipeline *pipeline, const mb_model *base, const char *pooling, int64_t length,
							mb_error *err);

/* The base's weights, and a classifier of n_labels rows that is 0.  *fresh_pooler: the base had none. */
mb_status finetune_network(net *n, real **parameters, const mb_model *base, const mb_pipeline *pipeline,
						   int32_t n_labels, uint64_t seed, bool *fresh_pooler, mb_error *err);

/* The classifier's place in parameters. */
real *finetune_classifier(const net *n, real *parameters, bool bias);

/* Writes the network's encoder, without the classifier, as a model file like the base with this pipeline. */
mb_status finetune_write_encoder(const char *path, const net *n, const real *parameters, const mb_model *base,
								 const mb_pipeline *pipeline, bool half, mb_error *err);

/*
 * Factors of the learning rate: decay^(layers above) for each layer, 0 for what is frozen, head for the classifier.
 * rates [n_tensors].
 */
void finetune_rates(double *rates, const net *n, int freeze, double decay, double head);

#endif
