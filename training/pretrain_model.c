/* pretrain_model.c - the network that pretraining starts from, and the model file that it ends in. */
#include "pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "report.h"

#define MLM_HEAD "cls.predictions.transform.dense.weight"

/* "4,256,4" or "4,256,4,1024" */
static mb_status
parse_config(const char *text, mb_config *config, mb_error *err)
{
	int layers, hidden, heads, intermediate, used = 0;
	int n = sscanf(text, "%d,%d,%d%n,%d%n", &layers, &hidden, &heads, &used, &intermediate, &used);
	mb_status status = MB_OK;

	if (n < 3 || text[used] != '\0')
		status = mb_fail(err, MB_INVALID_ARGUMENT, "invalid --config \"%.100s\"", text);
	else if (layers < 0 || layers > 96 || hidden < 1 || hidden > 8192 || heads < 1 || (n == 4 && intermediate < 1))
		status = mb_fail(err, MB_INVALID_ARGUMENT, "a number of --config \"%.100s\" is out of range", text);
	else if (hidden % heads != 0)
		status = mb_fail(err, MB_INVALID_ARGUMENT, "the hidden size %d is not a multiple of %d heads", hidden, heads);
	if (status != MB_OK)
	{
		mb_hint(err, "Give layers,hidden size,heads and, if it is not four times the hidden size, the intermediate "
					 "size: --config=4,256,4.");
		return status;
	}
	*config = (mb_config){.hidden_size = hidden,
						  .num_hidden_layers = layers,
						  .num_attention_heads = heads,
						  .intermediate_size = n == 4 ? intermediate : 4 * hidden,
						  .type_vocab_size = 2,
						  .layer_norm_eps = 1e-12f,
						  .hidden_act = MB_GELU};
	return MB_OK;
}

static mb_status
open_vocabulary(pretrain_model *model, mb_error *err)
{
	const char *vocab = model->base.model != NULL ? model->base.model->vocab : model->vocab;
	unsigned char digest[SHA256_BYTES];
	size_t size = 0;
	mb_status status =
		mb_vocabulary_pack(vocab, strlen(vocab), &model->tokenizer_options, &model->packed_vocabulary, &size, err);

	if (status == MB_OK)
		status = mb_tokenizer_open(&model->tokenizer, model->packed_vocabulary, size, err);
	if (status != MB_OK)
		return status;
	special_ids_create(&model->special, &model->tokenizer);
	sha256_of(vocab, strlen(vocab), digest);
	sha256_hex(digest, model->vocab_sha256);
	return MB_OK;
}

static mb_status
read_vocabulary(pretrain_model *model, const char *path, mb_error *err)
{
	const void *data;
	size_t size;
	mb_status status = map_file(path, &data, &size, err);

	if (status != MB_OK)
		return status;
	model->vocab = copy_bytes(data, size);
	munmap((void *) (uintptr_t) data, size);
	if (strlen(model->vocab) != size)
		return mb_fail(err, MB_CORRUPT, "\"%.250s\" is not a vocabulary: it has a zero byte", path);
	status = open_vocabulary(model, err);
	if (status == MB_CORRUPT || status == MB_LIMIT)
		mb_hint(err, "The vocabulary is \"%.250s\".", path);
	return status;
}

static mb_status
from_scratch(pretrain_model *model, const pretrain_request *request, net_options *options, mb_error *err)
{
	mb_status status = parse_config(request->config, &options->config, err);

	model->tokenizer_options = mb_tokenizer_options_default();
	model->tokenizer_options.lowercase = !request->cased;
	model->tokenizer_options.strip_accents = !request->cased && !request->keep_accents;
	if (status == MB_OK)
		status = read_vocabulary(model, request->vocab_path, err);
	if (status != MB_OK)
		return status;
	options->config.vocab_size = model->special.vocab_size;
	options->config.max_position_embeddings =
		(int32_t) (request->max_positions > 0 ? request->max_positions : request->length);
	options->mlm_head = !request->spans;
	model->fresh_head = options->mlm_head;
	return MB_OK;
}

static mb_status
from_base(pretrain_model *model, const pretrain_request *request, net_options *options, mb_error *err)
{
	const mb_model *base;
	mb_status status = model_source_open_file(&model->base, request->from, err);

	if (status != MB_OK)
		return status;
	base = model->base.model;
	model->tokenizer_options = base->tokenizer;
	status = open_vocabulary(model, err);
	options->config = base->config;
	options->pooler = mb_model_tensor(base, "pooler.dense.weight") != NULL;
	model->fresh_head = !request->spans && mb_model_tensor(base, MLM_HEAD) == NULL;
	options->mlm_head = !request->spans || mb_model_tensor(base, MLM_HEAD) != NULL;
	if (status != MB_OK)
		return status;
	if (model->fresh_head)
		report_note("\"%s\" has no masked-LM head: a fresh one is trained with it", request->from);
	if (base->pipeline.problem != MB_NO_HEAD)
		report_note("The head of \"%s\" is left out: it would not fit the new encoder", request->from);
	return MB_OK;
}

mb_status
pretrain_model_open(pretrain_model *model, const pretrain_request *request, mb_error *err)
{
	net_options options = {0};
	size_t loaded;
	mb_status status;

	memset(model, 0, sizeof(*model));
	status =
		request->from != NULL ? from_base(model, request, &options, err) : from_scratch(model, request, &options, err);
	if (status == MB_OK && request->length > options.config.max_position_embeddings)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "sequences of %lld tokens do not fit a model of %d positions",
						 (long long) request->length, options.config.max_position_embeddings);
		mb_hint(err, request->from != NULL ? "Give a smaller --length." : "Give --max-positions of at least --length.");
	}
	if (status == MB_OK)
		status = net_create(&model->net, &options, err);
	if (status == MB_OK)
	{
		model->parameters = allocate(model->net.n_parameters, sizeof(real));
		net_init(&model->net, model->parameters, request->training.seed, model->special.pad);
		if (model->base.model != NULL)
			status = net_load(&model->net, model->parameters, model->base.model, &loaded, err);
	}
	if (status != MB_OK)
		pretrain_model_close(model);
	return status;
}

void
pretrain_model_close(pretrain_model *model)
{
	if (model->base.data != NULL)
		model_source_close(&model->base);
	if (model->net.tensors != NULL)
		net_release(&model->net);
	if (model->special.special != NULL)
		special_ids_release(&model->special);
	free(model->parameters);
	free(model->packed_vocabulary);
	free(model->vocab);
	memset(model, 0, sizeof(*model));
}

void
pretrain_model_set_bias(pretrain_model *model, const uint64_t *counts)
{
	const net_tensor *bias = net_find(&model->net, "cls.predictions.bias");
	int32_t V = model->special.vocab_size, id;
	double total = 0;

	if (!model->fresh_head || bias == NULL)
		return;
	/* One is added to each count: a token that was not seen is rare, not impossible. */
	for (id = 0; id < V; id++)
		total += model->special.special[id] ? 1 : (double) counts[id] + 1;
	for (id = 0; id < V; id++)
		model->parameters[bias->offset + (size_t) id] =
			(real) log((model->special.special[id] ? 1 : (double) counts[id] + 1) / total);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static mb_pipeline
pipeline_of(const pretrain_model *model, const pretrain_request *request)
{
	mb_pipeline pipeline = {.pooling = MB_POOL_MEAN,
							.max_length = (int32_t) request->length,
							.long_text = MB_LONG_WINDOWS,
							.window_stride = (int32_t) (request->length - 2 - (request->length - 2) / 4)};

	if (model->base.model != NULL)
	{
		pipeline = model->base.model->pipeline;
		pipeline.problem = MB_NO_HEAD;
		pipeline.num_labels = 0;
	}
	if (request->spans)
	{
		pipeline.pooling = MB_POOL_MEAN;
		pipeline.normalize = true;
	}
	return pipeline;
}

mb_status
pretrain_model_write(const pretrain_model *model, const pretrain_request *request, const real *parameters,
					 const json_t *card, char hex[SHA256_HEX], mb_error *err)
{
	const net *n = &model->net;
	mb_tensor *tensors = allocate(n->n_tensors, sizeof(*tensors));
	char *text = json_dumps(card, JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
	mb_model_parts parts = {.config = n->options.config,
							.vocab = model->base.model != NULL ? model->base.model->vocab : model->vocab,
							.tokenizer = model->tokenizer_options,
							.pipeline = pipeline_of(model, request),
							.card_json = text,
							.tensors = tensors,
							.n_tensors = n->n_tensors,
							.half = request->half};
	model_source written;
	mb_status status;
	size_t i;

	for (i = 0; i < n->n_tensors; i++)
	{
		const net_tensor *t = &n->tensors[i];

		tensors[i] = (mb_tensor){.name = t->name,
								 .dtype = MB_F32,
								 .n_dims = t->n_dims,
								 .shape = {t->shape[0], t->shape[1]},
								 .data = parameters + t->offset,
								 .bytes = t->size * sizeof(real)};
	}
	status = text == NULL ? mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while writing the card")
						  : mb_model_write(&parts, request->output, err);
	free(text);
	free(tensors);
	if (status == MB_OK)
		status = model_source_open_file(&written, request->output, err);
	if (status == MB_OK)
	{
		memcpy(hex, written.sha256, SHA256_HEX);
		model_source_close(&written);
	}
	return status;
}
