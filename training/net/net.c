/* net.c - the parameters of a BERT: which tensors there are, where they lie, how they begin. */
#include "net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "net_layout.h"
#include "rng.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Embeddings 5, a layer 16, pooler 2, masked-LM head 5, classifier 2. */
enum
{
	EMBEDDING_TENSORS = 5,
	LAYER_TENSORS = 16,
	HEAD_TENSORS = 9
};

/* Appends a tensor; columns 0: a vector.  LayerNorm's weights and all biases are vectors: only matrices decay. */
static void
add(net *n, int layer, const char *name, int64_t rows, int64_t columns)
{
	net_tensor *t = &n->tensors[n->n_tensors++];

	if (layer >= 0 && layer < n->options.config.num_hidden_layers)
		snprintf(t->name, sizeof(t->name), "encoder.layer.%d.%s", layer, name);
	else
		snprintf(t->name, sizeof(t->name), "%s", name);
	t->n_dims = columns > 0 ? 2 : 1;
	t->shape[0] = rows;
	t->shape[1] = columns;
	t->offset = n->n_parameters;
	t->size = (size_t) rows * (size_t) (columns > 0 ? columns : 1);
	t->layer = layer;
	t->decay = columns > 0;
	n->n_parameters += t->size;
}

static void
add_layer(net *n, int layer)
{
	int64_t H = n->options.config.hidden_size, F = n->options.config.intermediate_size;

	/* Not in the order of the names: the three matrices are one [3H,H], the three biases one [3H]. */
	add(n, layer, "attention.self.query.weight", H, H);
	add(n, layer, "attention.self.key.weight", H, H);
	add(n, layer, "attention.self.value.weight", H, H);
	add(n, layer, "attention.self.query.bias", H, 0);
	add(n, layer, "attention.self.key.bias", H, 0);
	add(n, layer, "attention.self.value.bias", H, 0);
	add(n, layer, "attention.output.dense.weight", H, H);
	add(n, layer, "attention.output.dense.bias", H, 0);
	add(n, layer, "attention.output.LayerNorm.weight", H, 0);
	add(n, layer, "attention.output.LayerNorm.bias", H, 0);
	add(n, layer, "intermediate.dense.weight", F, H);
	add(n, layer, "intermediate.dense.bias", F, 0);
	add(n, layer, "output.dense.weight", H, F);
	add(n, layer, "output.dense.bias", H, 0);
	add(n, layer, "output.LayerNorm.weight", H, 0);
	add(n, layer, "output.LayerNorm.bias", H, 0);
}

static void
add_heads(net *n)
{
	const mb_config *c = &n->options.config;
	int64_t H = c->hidden_size;
	int layer = c->num_hidden_layers;

	if (n->options.pooler)
	{
		add(n, layer, "pooler.dense.weight", H, H);
		add(n, layer, "pooler.dense.bias", H, 0);
	}
	if (n->options.mlm_head)
	{
		add(n, layer, "cls.predictions.transform.dense.weight", H, H);
		add(n, layer, "cls.predictions.transform.dense.bias", H, 0);
		add(n, layer, "cls.predictions.transform.LayerNorm.weight", H, 0);
		add(n, layer, "cls.predictions.transform.LayerNorm.bias", H, 0);
		add(n, layer, "cls.predictions.bias", c->vocab_size, 0);
	}
	if (n->options.num_labels > 0)
	{
		add(n, layer, "classifier.weight", n->options.num_labels, H);
		add(n, layer, "classifier.bias", n->options.num_labels, 0);
	}
}

static mb_status
check_config(const mb_config *c, int32_t num_labels, mb_error *err)
{
	/* As src/model bounds a config.json; so no size overflows. */
	static const int32_t largest = 1 << 24;

	if (c->vocab_size < 1 || c->hidden_size < 1 || c->intermediate_size < 1 || c->max_position_embeddings < 1 ||
		c->type_vocab_size < 1 || c->num_hidden_layers < 0 || num_labels < 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "a model's sizes must be positive");
	if (c->vocab_size > largest || c->hidden_size > largest || c->intermediate_size > largest ||
		c->max_position_embeddings > largest || c->type_vocab_size > largest || c->num_hidden_layers > 1000 ||
		num_labels > largest)
		return mb_fail(err, MB_LIMIT, "a model's sizes are too large");
	if (c->num_attention_heads < 1 || c->hidden_size % c->num_attention_heads != 0)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the hidden size %d is not a multiple of the %d attention heads",
					   c->hidden_size, c->num_attention_heads);
	return MB_OK;
}

mb_status
net_create(net *n, const net_options *options, mb_error *err)
{
	const mb_config *c = &options->config;
	mb_status status = check_config(c, options->num_labels, err);

	memset(n, 0, sizeof(*n));
	if (status != MB_OK)
		return status;
	n->options = *options;
	n->tensors =
		allocate(EMBEDDING_TENSORS + LAYER_TENSORS * (size_t) c->num_hidden_layers + HEAD_TENSORS, sizeof(*n->tensors));
	add(n, -1, "embeddings.word_embeddings.weight", c->vocab_size, c->hidden_size);
	add(n, -1, "embeddings.position_embeddings.weight", c->max_position_embeddings, c->hidden_size);
	add(n, -1, "embeddings.token_type_embeddings.weight", c->type_vocab_size, c->hidden_size);
	add(n, -1, "embeddings.LayerNorm.weight", c->hidden_size, 0);
	add(n, -1, "embeddings.LayerNorm.bias", c->hidden_size, 0);
	for (int i = 0; i < c->num_hidden_layers; i++)
		add_layer(n, i);
	add_heads(n);
	return MB_OK;
}

void
net_release(net *n)
{
	free(n->tensors);
	memset(n, 0, sizeof(*n));
}

const net_tensor *
net_find(const net *n, const char *name)
{
	for (size_t i = 0; i < n->n_tensors; i++)
		if (strcmp(n->tensors[i].name, name) == 0)
			return &n->tensors[i];
	return NULL;
}

/* ---- where they lie ---------------------------------------------------------------------------------------------- */

/* The next `size` elements of a walk over the parameters. */
static size_t
take(size_t *at, size_t size)
{
	size_t here = *at;

	*at += size;
	return here;
}

net_layout
net_layout_of(const net *n)
{
	const mb_config *c = &n->options.config;
	size_t V = (size_t) c->vocab_size, H = (size_t) c->hidden_size, F = (size_t) c->intermediate_size;
	size_t L = (size_t) n->options.num_labels;
	net_layout l = {0};
	size_t at = 0;

	l.word = take(&at, V * H);
	l.position = take(&at, (size_t) c->max_position_embeddings * H);
	l.type = take(&at, (size_t) c->type_vocab_size * H);
	l.norm_weight = take(&at, H);
	l.norm_bias = take(&at, H);
	l.layers = at;
	l.layer_size = 4 * H * H + 2 * H * F + 9 * H + F;
	at += l.layer_size * (size_t) c->num_hidden_layers;
	if (n->options.pooler)
	{
		l.pooler_weight = take(&at, H * H);
		l.pooler_bias = take(&at, H);
	}
	if (n->options.mlm_head)
	{
		l.transform_weight = take(&at, H * H);
		l.transform_bias = take(&at, H);
		l.transform_norm_weight = take(&at, H);
		l.transform_norm_bias = take(&at, H);
		l.decoder_bias = take(&at, V);
	}
	if (L > 0)
	{
		l.classifier_weight = take(&at, L * H);
		l.classifier_bias = take(&at, L);
	}
	return l;
}

net_layer_layout
net_layer_layout_of(const net *n, size_t layer)
{
	size_t H = (size_t) n->options.config.hidden_size, F = (size_t) n->options.config.intermediate_size;
	net_layout all = net_layout_of(n);
	size_t at = all.layers + layer * all.layer_size;
	net_layer_layout l;

	l.qkv_weight = take(&at, 3 * H * H);
	l.qkv_bias = take(&at, 3 * H);
	l.projection_weight = take(&at, H * H);
	l.projection_bias = take(&at, H);
	l.norm1_weight = take(&at, H);
	l.norm1_bias = take(&at, H);
	l.inner_weight = take(&at, F * H);
	l.inner_bias = take(&at, F);
	l.output_weight = take(&at, H * F);
	l.output_bias = take(&at, H);
	l.norm2_weight = take(&at, H);
	l.norm2_bias = take(&at, H);
	return l;
}

/* ---- how they begin ---------------------------------------------------------------------------------------------- */

static uint64_t
hash_name(const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char) *name) * UINT64_C(1099511628211);
	return h;
}

/* A standard normal number cut at two deviations: number i of its stream.  Box and Muller; what lies outside is
 * redrawn. */
static double
cut_normal(uint64_t key, uint64_t i)
{
	static const double two_pi = 6.283185307179586476925286766559;
	double z = 0.0;

	/* 1 in 22 lies outside; 16 in a row never do, and then 0 is as good as any. */
	for (uint64_t attempt = 0; attempt < 16; attempt++)
	{
		double u = 1.0 - rng_uniform(key, 32 * i + 2 * attempt); /* (0, 1] */
		double angle = two_pi * rng_uniform(key, 32 * i + 2 * attempt + 1);

		z = sqrt(-2.0 * log(u)) * cos(angle);
		if (fabs(z) <= 2.0)
			return z;
	}
	return 0.0;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

void
net_init(const net *n, real *parameters, uint64_t seed, int32_t pad_id)
{
	for (size_t i = 0; i < n->n_tensors; i++)
	{
		const net_tensor *t = &n->tensors[i];
		uint64_t key = rng_key(seed, RNG_INIT, hash_name(t->name), 0);
		real *x = parameters + t->offset;

		if (t->n_dims == 2)
			for (size_t j = 0; j < t->size; j++)
				x[j] = (real) (0.02 * cut_normal(key, j));
		else
			for (size_t j = 0; j < t->size; j++)
				x[j] = ends_with(t->name, "LayerNorm.weight") ? 1 : 0;
	}
	if (pad_id >= 0 && pad_id < n->options.config.vocab_size)
		memset(parameters + (size_t) pad_id * (size_t) n->options.config.hidden_size, 0,
			   (size_t) n->options.config.hidden_size * sizeof(real));
}

/* ---- from a model file ------------------------------------------------------------------------------------------- */

/* x [n] = elements first .. first + n */
static bool
read_elements(const mb_tensor *tensor, size_t first, size_t n, real *x)
{
	float buffer[1024];

	for (size_t i = 0; i < n; i += 1024)
	{
		size_t m = n - i < 1024 ? n - i : 1024;

		if (!mb_tensor_to_f32(tensor, first + i, m, buffer))
			return false;
		for (size_t j = 0; j < m; j++)
			x[i + j] = (real) buffer[j];
	}
	return true;
}

static mb_status
load_tensor(const net_tensor *t, real *x, const mb_tensor *tensor, mb_error *err)
{
	bool same = tensor->n_dims == t->n_dims && tensor->shape[0] == t->shape[0] &&
				(t->n_dims == 1 || tensor->shape[1] == t->shape[1]);

	if (!same)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "tensor \"%s\" of the model does not have the shape that is to be trained",
				t->name);
		if (t->n_dims == 2 && tensor->n_dims == 2)
			mb_detail(err, "It is %lld by %lld instead of %lld by %lld.", (long long) tensor->shape[0],
					  (long long) tensor->shape[1], (long long) t->shape[0], (long long) t->shape[1]);
		return MB_INVALID_ARGUMENT;
	}
	if (!read_elements(tensor, 0, t->size, x))
		return mb_fail(err, MB_UNSUPPORTED, "tensor \"%s\" has type %s, which cannot be trained", t->name,
					   mb_dtype_name(tensor->dtype));
	return MB_OK;
}

/* A decoder of its own would be lost: the net's is the word embeddings. */
static mb_status
check_tied_decoder(const net *n, const real *word, const mb_model *model, mb_error *err)
{
	const mb_tensor *decoder = mb_model_tensor(model, "cls.predictions.decoder.weight");
	const net_tensor *t = &n->tensors[0];
	size_t H = (size_t) t->shape[1];
	real *row;
	mb_status status = MB_OK;

	if (decoder == NULL)
		return MB_OK;
	if (decoder->n_dims != 2 || decoder->shape[0] != t->shape[0] || decoder->shape[1] != t->shape[1])
		return mb_fail(err, MB_INVALID_ARGUMENT, "the masked-LM head's decoder is not of the word embeddings' shape");
	row = allocate(H, sizeof(*row));
	for (size_t i = 0; i < (size_t) t->shape[0] && status == MB_OK; i++)
		if (!read_elements(decoder, i * H, H, row) || memcmp(row, word + i * H, H * sizeof(*row)) != 0)
		{
			status = mb_fail(err, MB_UNSUPPORTED, "the masked-LM head's decoder is not the word embeddings");
			mb_detail(err, "Training ties the two, as BERT does; this model was trained without.");
		}
	free(row);
	return status;
}

static mb_status
check_same_arithmetic(const mb_config *a, const mb_config *b, mb_error *err)
{
	if (a->num_hidden_layers != b->num_hidden_layers)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the model has %d layers instead of %d", b->num_hidden_layers,
					   a->num_hidden_layers);
	if (a->num_attention_heads != b->num_attention_heads)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the model has %d attention heads instead of %d",
					   b->num_attention_heads, a->num_attention_heads);
	if (a->hidden_act != b->hidden_act)
		return mb_fail(err, MB_INVALID_ARGUMENT, "the model has another activation function than is to be trained");
	return MB_OK;
}

mb_status
net_load(const net *n, real *parameters, const mb_model *model, size_t *loaded, mb_error *err)
{
	mb_status status = check_same_arithmetic(&n->options.config, &model->config, err);

	*loaded = 0;
	for (size_t i = 0; i < n->n_tensors && status == MB_OK; i++)
	{
		const net_tensor *t = &n->tensors[i];
		const mb_tensor *tensor = mb_model_tensor(model, t->name);

		if (tensor == NULL && strcmp(t->name, "cls.predictions.bias") == 0)
			tensor = mb_model_tensor(model, "cls.predictions.decoder.bias");
		if (tensor == NULL && t->layer < n->options.config.num_hidden_layers)
			return mb_fail(err, MB_INVALID_ARGUMENT, "the model has no tensor \"%s\"", t->name);
		if (tensor == NULL)
			continue;
		status = load_tensor(t, parameters + t->offset, tensor, err);
		*loaded += t->size;
	}
	if (status == MB_OK && n->options.mlm_head)
		status = check_tied_decoder(n, parameters, model, err);
	return status;
}
