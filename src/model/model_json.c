/* model_json.c - a model's structs as the JSON texts of its file: what config.c and model_metadata.c read back. */
#include "model_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

/* Of the names that config.c knows, those that transformers writes. */
static const char *const activation_names[] = {
	[MB_GELU] = "gelu", [MB_GELU_TANH] = "gelu_new", [MB_RELU] = "relu", [MB_SILU] = "silu"};

/* The double with the fewest digits that is this float: 1e-12, not 9.999999960041972e-13. */
static double
short_double(float value)
{
	char text[32];

	for (int digits = 1; digits < 9; digits++)
	{
		snprintf(text, sizeof(text), "%.*g", digits, (double) value);
		if (strtof(text, NULL) == value)
			return strtod(text, NULL);
	}
	return (double) value;
}

static char *
text_and_free(json_t *value)
{
	char *text = value != NULL ? mb_json_text(value) : NULL;

	json_decref(value);
	return text;
}

char *
model_json_config(const mb_config *config, const char *architecture, int32_t pad_id)
{
	return text_and_free(json_pack(
		"{s:[s], s:f, s:n, s:s, s:f, s:i, s:f, s:i, s:f, s:i, s:s, s:i, s:i, s:i, s:s, s:i, s:b, s:i}", "architectures",
		architecture, "attention_probs_dropout_prob", 0.1, "classifier_dropout", "hidden_act",
		activation_names[config->hidden_act], "hidden_dropout_prob", 0.1, "hidden_size", config->hidden_size,
		"initializer_range", 0.02, "intermediate_size", config->intermediate_size, "layer_norm_eps",
		short_double(config->layer_norm_eps), "max_position_embeddings", config->max_position_embeddings, "model_type",
		"bert", "num_attention_heads", config->num_attention_heads, "num_hidden_layers", config->num_hidden_layers,
		"pad_token_id", pad_id, "position_embedding_type", "absolute", "type_vocab_size", config->type_vocab_size,
		"use_cache", 1, "vocab_size", config->vocab_size));
}

char *
model_json_tokenizer(const mb_tokenizer_options *options)
{
	json_t *additional = json_array();
	json_t *object;

	for (size_t i = 0; i < options->n_additional_special_tokens; i++)
		if (json_array_append_new(additional, json_string(options->additional_special_tokens[i])) != 0)
		{
			json_decref(additional);
			return NULL;
		}
	object = json_pack("{s:b, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s, s:o}", "do_lower_case", options->lowercase,
					   "strip_accents", options->strip_accents, "tokenize_chinese_chars", options->split_cjk,
					   "split_special_tokens", options->split_special_tokens, "unk_token", options->unk_token,
					   "cls_token", options->cls_token, "sep_token", options->sep_token, "pad_token",
					   options->pad_token, "mask_token", options->mask_token, "additional_special_tokens", additional);
	if (object != NULL && options->max_chars_per_word != 100 && /* BertTokenizer's own is left unsaid, as imports do */
		json_object_set_new(object, "max_input_chars_per_word", json_integer(options->max_chars_per_word)) != 0)
	{
		json_decref(object);
		return NULL;
	}
	return text_and_free(object);
}

char *
model_json_pooling(const mb_pipeline *pipeline)
{
	return text_and_free(json_pack("{s:s, s:b, s:i, s:s, s:i}", "mode", mb_pooling_name(pipeline->pooling), "normalize",
								   pipeline->normalize, "max_length", pipeline->max_length, "long_text",
								   mb_long_text_name(pipeline->long_text), "window_stride", pipeline->window_stride));
}

char *
model_json_head(mb_problem problem, const char *kind)
{
	return text_and_free(json_pack("{s:s, s:s}", "problem", mb_problem_name(problem), "kind", kind));
}

/* Nine digits tell every float from its neighbours. */
char *
model_json_tags(const mb_tag *tags, int32_t n)
{
	json_t *list = json_array();
	bool ok = list != NULL;
	char *text = NULL;

	for (int32_t i = 0; i < n && ok; i++)
	{
		json_t *threshold = isnan(tags[i].threshold) ? json_null() : json_real((double) tags[i].threshold);
		json_t *support = tags[i].support < 0 ? json_null() : json_integer(tags[i].support);

		ok = json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", tags[i].name, "threshold", threshold,
												   "support", support)) == 0;
	}
	if (ok)
		text = json_dumps(list, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	json_decref(list);
	return text;
}
