/*
 * config.h - config.json and the model file's other JSON values <-> the engine's structs.
 *
 * The same functions serve a checkpoint folder being imported and a model file being opened, so that both refuse the
 * same things with the same words.
 */
#ifndef MOVIEBERT_MODEL_CONFIG_H
#define MOVIEBERT_MODEL_CONFIG_H

#include "json.h"
#include "moviebert/model.h"

/*
 * A BERT config.json.  Another model_type or architecture is MB_UNSUPPORTED by its name with a hint; so are relative
 * positions, decoders with cross-attention, and embeddings that are not of the hidden size.  A config without
 * model_type and architectures is taken for BERT, as Google's first ones are written.  Sizes are bounded as
 * src/model/image.c's sane() demands.
 */
mb_status mb_config_read(mb_config *config, const json_t *object, const char *what, mb_error *err);

/*
 * The class that the checkpoint was saved as: "BertModel" (also where it does not say), "BertForMaskedLM",
 * "BertForPreTraining" or "BertForSequenceClassification".  For an object that mb_config_read has accepted.
 */
const char *mb_config_architecture(const json_t *object);

/*
 * moviebert.pooling and moviebert.head (NULL: absent); num_labels is what moviebert.tags counts.  All members that
 * doc/model-file.md names must be there.
 */
mb_status mb_pipeline_read(mb_pipeline *pipeline, const json_t *pooling, const json_t *head, int32_t num_labels,
						   const mb_config *config, mb_error *err);

/*
 * The tensors that a config and a head call for, one after another: i from 0 until false.  The masked-LM head's are not
 * among them.  `required` is false for the pooler of a model that pools otherwise.
 */
typedef struct mb_tensor_spec
{
	char name[96]; /* as in the model file */
	int32_t n_dims;
	int64_t shape[2];
	bool required;
} mb_tensor_spec;

bool mb_tensor_spec_at(mb_tensor_spec *spec, const mb_config *config, const mb_pipeline *pipeline, size_t i);

/* Whether a tensor is of a type that weights may have, and of the spec's shape. */
mb_status mb_tensor_check(const mb_tensor *tensor, const mb_tensor_spec *spec, mb_error *err);

#endif
