/* config.c - config.json and the pipeline's JSON -> structs, and the tensors they call for. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "names.h"

#define MAX_VOCABULARY (1 << 24)
#define MAX_HIDDEN (1 << 20)
#define MAX_LAYERS 4096
#define MAX_WIDTH (1 << 24)

/* Model types that people bring because they embed text too, and what keeps each from running as a BERT. */
static const struct
{
	const char *type;
	const char *difference;
} relatives[] = {
	{"albert", "ALBERT shares one layer's weights among all and has smaller embeddings."},
	{"camembert", "CamemBERT counts positions from 2 and has a SentencePiece tokenizer."},
	{"deberta", "DeBERTa attends by relative positions."},
	{"deberta-v2", "DeBERTa attends by relative positions and has a SentencePiece tokenizer."},
	{"distilbert", "DistilBERT names and arranges its layers differently and has no token types."},
	{"electra", "ELECTRA projects embeddings of another size to the hidden size."},
	{"modernbert", "ModernBERT has rotary positions, gated layers and a byte-level BPE tokenizer."},
	{"mpnet", "MPNet counts positions from 2 and attends by relative positions."},
	{"new", "This type has rotary positions and gated layers."},
	{"nomic_bert", "NomicBERT has rotary positions and gated layers."},
	{"roberta", "RoBERTa counts positions from 2 and has a byte-level BPE tokenizer."},
	{"xlm-roberta", "XLM-RoBERTa counts positions from 2 and has a SentencePiece tokenizer."},
};

static const char *const architectures[] = {"BertModel", "BertForMaskedLM", "BertForPreTraining",
											"BertForSequenceClassification"};

static const char *
first_architecture(const json_t *object)
{
	return json_string_value(json_array_get(json_object_get(object, "architectures"), 0));
}

const char *
mb_config_architecture(const json_t *object)
{
	const char *name = first_architecture(object);

	for (size_t i = 0; name != NULL && i < sizeof(architectures) / sizeof(architectures[0]); i++)
		if (strcmp(name, architectures[i]) == 0)
			return architectures[i];
	return architectures[0];
}

static mb_status
check_model_type(const json_t *object, const char *what, mb_error *err)
{
	const char *type = NULL;
	mb_status status = mb_json_string(object, "model_type", &type, what, err);

	if (status != MB_OK || type == NULL || strcmp(type, "bert") == 0)
		return status;
	mb_fail(err, MB_UNSUPPORTED, "model type \"%.100s\" is not supported", type);
	mb_detail(err, "moviebert runs models whose %s says \"bert\".", what);
	for (size_t i = 0; i < sizeof(relatives) / sizeof(relatives[0]); i++)
		if (strcmp(type, relatives[i].type) == 0)
			mb_detail(err, "%s", relatives[i].difference);
	mb_hint(err, "Choose a checkpoint whose config.json has \"model_type\": \"bert\", such as "
				 "sentence-transformers/all-MiniLM-L6-v2 or BAAI/bge-small-en-v1.5.");
	return MB_UNSUPPORTED;
}

/*
 * Heads that moviebert does not compute (token classification, question answering, ...) are refused, not dropped:
 * whoever brings such a checkpoint expects its answers.
 */
static mb_status
check_architecture(const json_t *object, const char *what, mb_error *err)
{
	const json_t *list = json_object_get(object, "architectures");
	const char *name = first_architecture(object);

	if (list == NULL || json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0))
		return MB_OK;
	if (name == NULL)
		return mb_fail(err, MB_CORRUPT, "member \"architectures\" of %s is not a list of strings", what);
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++)
		if (strcmp(name, architectures[i]) == 0)
			return MB_OK;
	mb_fail(err, MB_UNSUPPORTED, "architecture \"%.100s\" is not supported", name);
	mb_detail(err, "There are BertModel, BertForMaskedLM, BertForPreTraining and BertForSequenceClassification.");
	if (strncmp(name, "Bert", 4) == 0)
		mb_hint(err, "To use its encoder without its head, save it as one with transformers: "
					 "BertModel.from_pretrained(...).save_pretrained(...).");
	else
		mb_hint(err, "Choose a BERT checkpoint, such as sentence-transformers/all-MiniLM-L6-v2.");
	return MB_UNSUPPORTED;
}

/* What a BERT config can say and the encoder does not compute. */
static mb_status
check_variants(const json_t *object, const char *what, mb_error *err)
{
	const char *positions = "absolute";
	bool decoder = false, cross_attention = false;
	mb_status status = mb_json_string(object, "position_embedding_type", &positions, what, err);

	if (status == MB_OK)
		status = mb_json_bool(object, "is_decoder", &decoder, what, err);
	if (status == MB_OK)
		status = mb_json_bool(object, "add_cross_attention", &cross_attention, what, err);
	if (status != MB_OK)
		return status;
	if (strcmp(positions, "absolute") != 0)
		return mb_fail(err, MB_UNSUPPORTED, "position embeddings of type \"%.100s\" are not supported", positions);
	if (decoder)
		return mb_fail(err, MB_UNSUPPORTED, "BERT decoders are not supported");
	if (cross_attention)
		return mb_fail(err, MB_UNSUPPORTED, "BERT with cross-attention is not supported");
	if (json_object_size(json_object_get(object, "pruned_heads")) > 0)
		return mb_fail(err, MB_UNSUPPORTED, "BERT with pruned attention heads is not supported");
	if (json_is_object(json_object_get(object, "quantization_config")))
	{
		mb_fail(err, MB_UNSUPPORTED, "quantized checkpoints are not supported");
		mb_hint(err, "Bring the checkpoint that it was made from, in F32, F16 or BF16.");
		return MB_UNSUPPORTED;
	}
	return MB_OK;
}

static mb_status
read_size(const json_t *object, const char *key, int64_t low, int64_t high, int32_t *value, const char *what,
		  mb_error *err)
{
	if (json_object_get(object, key) == NULL || json_is_null(json_object_get(object, key)))
		return mb_fail(err, MB_CORRUPT, "%s has no \"%s\"", what, key);
	return mb_json_int(object, key, low, high, value, what, err);
}

static mb_status
read_sizes(mb_config *config, const json_t *object, const char *what, mb_error *err)
{
	int32_t embedding_size;
	const struct
	{
		const char *key;
		int64_t low, high;
		int32_t *value;
	} sizes[] = {
		{"vocab_size", 1, MAX_VOCABULARY, &config->vocab_size},
		{"hidden_size", 1, MAX_HIDDEN, &config->hidden_size},
		{"num_hidden_layers", 0, MAX_LAYERS, &config->num_hidden_layers},
		{"num_attention_heads", 1, MAX_HIDDEN, &config->num_attention_heads},
		{"intermediate_size", 1, MAX_WIDTH, &config->intermediate_size},
		{"max_position_embeddings", 3, MAX_WIDTH, &config->max_position_embeddings}, /* [CLS], a token, [SEP] */
	};
	mb_status status = MB_OK;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && status == MB_OK; i++)
		status = read_size(object, sizes[i].key, sizes[i].low, sizes[i].high, sizes[i].value, what, err);
	if (status == MB_OK)
		status = mb_json_int(object, "type_vocab_size", 1, MAX_WIDTH, &config->type_vocab_size, what, err);
	if (status != MB_OK)
		return status;
	if (config->hidden_size % config->num_attention_heads != 0)
	{
		mb_fail(err, MB_CORRUPT, "the hidden size of %s is not divisible by its attention heads", what);
		mb_detail(err, "It has hidden size %d and %d heads.", config->hidden_size, config->num_attention_heads);
		return MB_CORRUPT;
	}
	embedding_size = config->hidden_size;
	status = mb_json_int(object, "embedding_size", 1, MAX_WIDTH, &embedding_size, what, err);
	if (status == MB_OK && embedding_size != config->hidden_size)
	{
		mb_fail(err, MB_UNSUPPORTED, "embeddings of another size than the hidden size are not supported");
		mb_detail(err, "Embedding size is %d, hidden size %d.", embedding_size, config->hidden_size);
		return MB_UNSUPPORTED;
	}
	return status;
}

static mb_status
read_activation(mb_config *config, const json_t *object, const char *what, mb_error *err)
{
	static const struct
	{
		const char *name;
		mb_activation activation;
	} known[] = {
		{"gelu", MB_GELU},
		{"gelu_python", MB_GELU},
		{"gelu_new", MB_GELU_TANH},
		{"gelu_fast", MB_GELU_TANH},
		{"gelu_pytorch_tanh", MB_GELU_TANH},
		{"gelu_python_tanh", MB_GELU_TANH},
		{"relu", MB_RELU},
		{"silu", MB_SILU},
		{"swish", MB_SILU},
	};
	const char *name = "gelu";
	mb_status status = mb_json_string(object, "hidden_act", &name, what, err);

	if (status != MB_OK)
		return status;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0)
		{
			config->hidden_act = known[i].activation;
			return MB_OK;
		}
	mb_fail(err, MB_UNSUPPORTED, "activation \"%.100s\" is not supported", name);
	mb_detail(err, "There are gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu and swish.");
	return MB_UNSUPPORTED;
}

mb_status
mb_config_read(mb_config *config, const json_t *object, const char *what, mb_error *err)
{
	mb_status status;

	memset(config, 0, sizeof(*config));
	config->type_vocab_size = 2; /* BertConfig's defaults */
	config->layer_norm_eps = 1e-12f;
	status = check_model_type(object, what, err);
	if (status == MB_OK)
		status = check_architecture(object, what, err);
	if (status == MB_OK)
		status = check_variants(object, what, err);
	if (status == MB_OK)
		status = read_sizes(config, object, what, err);
	if (status == MB_OK)
		status = mb_json_float(object, "layer_norm_eps", &config->layer_norm_eps, what, err);
	if (status == MB_OK && !(config->layer_norm_eps > 0.0f && config->layer_norm_eps < 1.0f))
	{
		mb_fail(err, MB_CORRUPT, "member \"layer_norm_eps\" of %s is out of range", what);
		mb_detail(err, "It is %g; it must be above 0 and below 1.", (double) config->layer_norm_eps);
		status = MB_CORRUPT;
	}
	if (status == MB_OK)
		status = read_activation(config, object, what, err);
	return status;
}

/* The value of a member that must be one of the names; *value becomes its place among them. */
static mb_status
read_choice(const json_t *object, const char *key, const char *const *names, int n_names, int *value, const char *what,
			mb_error *err)
{
	const char *name = NULL;
	mb_status status = mb_json_string(object, key, &name, what, err);

	if (status != MB_OK)
		return status;
	if (name == NULL)
		return mb_fail(err, MB_CORRUPT, "%s has no \"%s\"", what, key);
	for (int i = 0; i < n_names; i++)
		if (strcmp(name, names[i]) == 0)
		{
			*value = i;
			return MB_OK;
		}
	mb_fail(err, MB_UNSUPPORTED, "\"%s\" of %s is \"%.100s\", which is not supported", key, what, name);
	if (n_names == 2)
		mb_detail(err, "There are \"%s\" and \"%s\".", names[0], names[1]);
	else
		mb_detail(err, "There are \"%s\", \"%s\" and \"%s\".", names[0], names[1], names[2]);
	return MB_UNSUPPORTED;
}

mb_status
mb_pipeline_read(mb_pipeline *pipeline, const json_t *pooling, const json_t *head, int32_t num_labels,
				 const mb_config *config, mb_error *err)
{
	static const char what[] = "metadata moviebert.pooling";
	int mode = 0, long_text = 0, problem = 0;
	mb_status status;

	memset(pipeline, 0, sizeof(*pipeline));
	status = read_choice(pooling, "mode", pooling_names, N_POOLINGS, &mode, what, err);
	if (status == MB_OK && json_object_get(pooling, "normalize") == NULL)
		status = mb_fail(err, MB_CORRUPT, "%s has no \"normalize\"", what);
	if (status == MB_OK)
		status = mb_json_bool(pooling, "normalize", &pipeline->normalize, what, err);
	if (status == MB_OK)
		status = read_size(pooling, "max_length", 3, config->max_position_embeddings, &pipeline->max_length, what, err);
	if (status == MB_OK)
		status = read_choice(pooling, "long_text", long_text_names, N_LONG_TEXTS, &long_text, what, err);
	if (status == MB_OK)
		status = read_size(pooling, "window_stride", 1, pipeline->max_length - 2, &pipeline->window_stride, what, err);
	if (status != MB_OK)
		return status;
	pipeline->pooling = (mb_pooling) mode;
	pipeline->long_text = (mb_long_text) long_text;
	if (head == NULL)
	{
		if (num_labels > 0)
			return mb_fail(err, MB_CORRUPT, "there are tags, but no metadata moviebert.head");
		return MB_OK;
	}
	status = read_choice(head, "problem", problem_names, N_PROBLEMS, &problem, "metadata moviebert.head", err);
	if (status != MB_OK)
		return status;
	if (num_labels <= 0)
		return mb_fail(err, MB_CORRUPT, "there is metadata moviebert.head, but no tag");
	pipeline->problem = (mb_problem) (problem + MB_MULTI_LABEL);
	pipeline->num_labels = num_labels;
	return MB_OK;
}

/* A tensor of a group; its sizes by letter: H, I, V, P, T, L, and 0 for a vector's second. */
typedef struct spec_line
{
	const char *name;
	char rows, columns;
} spec_line;

static const spec_line embedding_lines[] = {
	{"word_embeddings.weight", 'V', 'H'},
	{"position_embeddings.weight", 'P', 'H'},
	{"token_type_embeddings.weight", 'T', 'H'},
	{"LayerNorm.weight", 'H', 0},
	{"LayerNorm.bias", 'H', 0},
};

static const spec_line layer_lines[] = {
	{"attention.self.query.weight", 'H', 'H'},
	{"attention.self.query.bias", 'H', 0},
	{"attention.self.key.weight", 'H', 'H'},
	{"attention.self.key.bias", 'H', 0},
	{"attention.self.value.weight", 'H', 'H'},
	{"attention.self.value.bias", 'H', 0},
	{"attention.output.dense.weight", 'H', 'H'},
	{"attention.output.dense.bias", 'H', 0},
	{"attention.output.LayerNorm.weight", 'H', 0},
	{"attention.output.LayerNorm.bias", 'H', 0},
	{"intermediate.dense.weight", 'I', 'H'},
	{"intermediate.dense.bias", 'I', 0},
	{"output.dense.weight", 'H', 'I'},
	{"output.dense.bias", 'H', 0},
	{"output.LayerNorm.weight", 'H', 0},
	{"output.LayerNorm.bias", 'H', 0},
};

static const spec_line pooler_lines[] = {{"weight", 'H', 'H'}, {"bias", 'H', 0}};
static const spec_line classifier_lines[] = {{"weight", 'L', 'H'}, {"bias", 'L', 0}};

#define LINES(lines) (sizeof(lines) / sizeof((lines)[0]))

static int64_t
size_of_letter(char letter, const mb_config *config, const mb_pipeline *pipeline)
{
	switch (letter)
	{
		case 'V':
			return config->vocab_size;
		case 'P':
			return config->max_position_embeddings;
		case 'T':
			return config->type_vocab_size;
		case 'I':
			return config->intermediate_size;
		case 'L':
			return pipeline->num_labels;
		default:
			return config->hidden_size;
	}
}

static void
fill_spec(mb_tensor_spec *spec, const char *prefix, const spec_line *line, bool required, const mb_config *config,
		  const mb_pipeline *pipeline)
{
	snprintf(spec->name, sizeof(spec->name), "%s%s", prefix, line->name);
	spec->n_dims = line->columns != 0 ? 2 : 1;
	spec->shape[0] = size_of_letter(line->rows, config, pipeline);
	spec->shape[1] = line->columns != 0 ? size_of_letter(line->columns, config, pipeline) : 0;
	spec->required = required;
}

bool
mb_tensor_spec_at(mb_tensor_spec *spec, const mb_config *config, const mb_pipeline *pipeline, size_t i)
{
	size_t in_layers = LINES(layer_lines) * (size_t) config->num_hidden_layers;

	if (i < LINES(embedding_lines))
	{
		fill_spec(spec, "embeddings.", &embedding_lines[i], true, config, pipeline);
		return true;
	}
	i -= LINES(embedding_lines);
	if (i < in_layers)
	{
		char prefix[48];

		snprintf(prefix, sizeof(prefix), "encoder.layer.%zu.", i / LINES(layer_lines));
		fill_spec(spec, prefix, &layer_lines[i % LINES(layer_lines)], true, config, pipeline);
		return true;
	}
	i -= in_layers;
	if (i < LINES(pooler_lines))
	{
		fill_spec(spec, "pooler.dense.", &pooler_lines[i], pipeline->pooling == MB_POOL_POOLER, config, pipeline);
		return true;
	}
	i -= LINES(pooler_lines);
	if (i < LINES(classifier_lines) && pipeline->num_labels > 0)
	{
		fill_spec(spec, "classifier.", &classifier_lines[i], true, config, pipeline);
		return true;
	}
	return false;
}

/* Writes "[384, 1536]". */
static void
print_shape(char *out, size_t size, const int64_t *shape, int32_t n_dims)
{
	size_t used = 0;

	out[0] = '\0';
	for (int32_t i = 0; i < n_dims && used < size; i++)
		used += (size_t) snprintf(out + used, size - used, "%s%" PRId64, i == 0 ? "[" : ", ", shape[i]);
	if (used < size)
		snprintf(out + used, size - used, n_dims == 0 ? "[]" : "]");
}

mb_status
mb_tensor_check(const mb_tensor *tensor, const mb_tensor_spec *spec, mb_error *err)
{
	char is[200], should_be[64];

	if (tensor->dtype != MB_F32 && tensor->dtype != MB_F16 && tensor->dtype != MB_BF16)
	{
		mb_fail(err, MB_UNSUPPORTED, "tensor \"%s\" is of type %s", spec->name, mb_dtype_name(tensor->dtype));
		mb_detail(err, "Weights may be F32, F16 or BF16.");
		return MB_UNSUPPORTED;
	}
	if (tensor->n_dims == spec->n_dims &&
		memcmp(tensor->shape, spec->shape, (size_t) spec->n_dims * sizeof(spec->shape[0])) == 0)
		return MB_OK;
	print_shape(is, sizeof(is), tensor->shape, tensor->n_dims);
	print_shape(should_be, sizeof(should_be), spec->shape, spec->n_dims);
	mb_fail(err, MB_CORRUPT, "tensor \"%s\" has the wrong shape", spec->name);
	mb_detail(err, "It is %s; the config calls for %s.", is, should_be);
	return MB_CORRUPT;
}
