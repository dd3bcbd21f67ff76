/* finetune_model.c - reading the base into the network, writing the network as a model. */
#include "finetune_model.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

mb_status
finetune_pipeline(mb_pipeline *pipeline, const mb_model *base, const char *pooling, int64_t length, mb_error *err)
{
	*pipeline = base->pipeline;
	pipeline->problem = MB_NO_HEAD;
	pipeline->num_labels = 0;
	if (pooling != NULL)
	{
		pipeline->pooling = strcmp(pooling, "mean") == 0  ? MB_POOL_MEAN
							: strcmp(pooling, "cls") == 0 ? MB_POOL_CLS
														  : MB_POOL_POOLER;
		/* What BertForSequenceClassification computes has no normalization. */
		if (pipeline->pooling == MB_POOL_POOLER)
			pipeline->normalize = false;
	}
	if (length == 0)
		return MB_OK;
	if (length > base->config.max_position_embeddings)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "windows of %lld tokens do not fit a model of %d positions",
				(long long) length, base->config.max_position_embeddings);
		mb_hint(err, "Give --length of at most %d.", base->config.max_position_embeddings);
		return MB_INVALID_ARGUMENT;
	}
	if (length != pipeline->max_length)
	{
		pipeline->max_length = (int32_t) length;
		pipeline->window_stride = length > 3 ? (int32_t) ((length - 2) * 3 / 4) : 1;
	}
	return MB_OK;
}

mb_status
finetune_network(net *n, real **parameters, const mb_model *base, const mb_pipeline *pipeline, int32_t n_labels,
				 uint64_t seed, bool *fresh_pooler, mb_error *err)
{
	net_options options = {.config = base->config, .pooler = pipeline->pooling == MB_POOL_POOLER};
	net encoder = {0};
	real *weights;
	size_t loaded, i;
	mb_status status = net_create(&encoder, &options, err);

	*parameters = NULL;
	*fresh_pooler = options.pooler && mb_model_tensor(base, "pooler.dense.weight") == NULL;
	if (status != MB_OK)
		return status;
	/* Without a classifier, so that the base's own, which has other tags, is not taken for it. */
	weights = allocate(encoder.n_parameters, sizeof(real));
	net_init(&encoder, weights, seed, -1);
	status = net_load(&encoder, weights, base, &loaded, err);
	options.num_labels = n_labels;
	if (status == MB_OK)
		status = net_create(n, &options, err);
	if (status == MB_OK)
	{
		*parameters = allocate(n->n_parameters, sizeof(real));
		for (i = 0; i < encoder.n_tensors; i++)
			memcpy(*parameters + net_find(n, encoder.tensors[i].name)->offset, weights + encoder.tensors[i].offset,
				   encoder.tensors[i].size * sizeof(real));
	}
	free(weights);
	net_release(&encoder);
	return status;
}

real *
finetune_classifier(const net *n, real *parameters, bool bias)
{
	return parameters + net_find(n, bias ? "classifier.bias" : "classifier.weight")->offset;
}

static bool
is_classifier(const net_tensor *tensor)
{
	return strncmp(tensor->name, "classifier.", 11) == 0;
}

/* transformers loads weights in the precision that config.json names, which is to be that of the file. */
static char *
config_of_precision(const mb_model *base, bool half)
{
	static const char *const keys[] = {"torch_dtype", "dtype"};
	json_t *config = json_loads(base->config_json, 0, NULL);
	char *text;
	size_t i;

	for (i = 0; i < 2; i++)
		if (json_object_get(config, keys[i]) != NULL)
			json_object_set_new(config, keys[i], json_string(half ? "float16" : "float32"));
	text = json_dumps(config, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
	json_decref(config);
	return text;
}

mb_status
finetune_write_encoder(const char *path, const net *n, const real *parameters, const mb_model *base,
					   const mb_pipeline *pipeline, bool half, mb_error *err)
{
	mb_model_parts parts = mb_model_parts_of(base);
	mb_tensor *tensors = allocate(n->n_tensors, sizeof(mb_tensor));
	char *config = config_of_precision(base, half);
	mb_status status;
	size_t i;

	if (config != NULL)
		parts.config_json = config;
	parts.pipeline = *pipeline;
	parts.tags = NULL;
	parts.card_json = NULL;
	parts.half = half;
	parts.tensors = tensors;
	for (i = 0; i < n->n_tensors; i++)
		if (!is_classifier(&n->tensors[i]))
			tensors[parts.n_tensors++] = (mb_tensor){.name = n->tensors[i].name,
													 .dtype = MB_F32,
													 .n_dims = n->tensors[i].n_dims,
													 .shape = {n->tensors[i].shape[0], n->tensors[i].shape[1]},
													 .data = parameters + n->tensors[i].offset,
													 .bytes = n->tensors[i].size * sizeof(float)};
	status = mb_model_write(&parts, path, err);
	free(config);
	free(tensors);
	return status;
}

void
finetune_rates(double *rates, const net *n, int freeze, double decay, double head)
{
	int layers = n->options.config.num_hidden_layers;
	size_t i;

	for (i = 0; i < n->n_tensors; i++)
	{
		const net_tensor *t = &n->tensors[i];

		if (is_classifier(t))
			rates[i] = head;
		else if (t->layer >= layers)
			rates[i] = 1;
		else
			rates[i] = t->layer < freeze ? 0 : pow(decay, (double) (layers - 1 - t->layer));
	}
}
