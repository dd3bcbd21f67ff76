/* model_metadata.c - the metadata of a model file -> config, tokenizer, pipeline, tags. */
#include "model_file.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define FORMAT_VERSION "1"
#define MAX_TAGS (1 << 20)

static mb_status
required(const mb_model *model, const char *key, const char **value, mb_error *err)
{
	*value = mb_safetensors_metadata(model->tensors, key);
	if (*value == NULL)
		return mb_fail(err, MB_CORRUPT, "the model file has no metadata \"%s\"", key);
	return MB_OK;
}

static mb_status
check_format(const mb_model *model, mb_error *err)
{
	const char *format = mb_safetensors_metadata(model->tensors, "moviebert.format");

	if (format == NULL)
	{
		mb_fail(err, MB_CORRUPT, "the file is a safetensors file, but not a moviebert model");
		mb_hint(err, "Make one of its checkpoint's folder with \"moviebert import\".");
		return MB_CORRUPT;
	}
	if (strcmp(format, FORMAT_VERSION) != 0)
	{
		mb_fail(err, MB_UNSUPPORTED, "model file format \"%.40s\" is not supported", format);
		mb_detail(err, "This version of moviebert reads format " FORMAT_VERSION ".");
		mb_hint(err, "Update moviebert, or import the checkpoint again with this version.");
		return MB_UNSUPPORTED;
	}
	return MB_OK;
}

static mb_status
read_config(mb_model *model, mb_error *err)
{
	static const char what[] = "metadata moviebert.config";
	mb_status status = required(model, "moviebert.config", &model->config_json, err);
	json_t *object = NULL;

	if (status == MB_OK)
		status = mb_json_parse(&object, model->config_json, strlen(model->config_json), what, err);
	if (status == MB_OK)
		status = mb_config_read(&model->config, object, what, err);
	json_decref(object);
	return status;
}

/* ---- tokenizer ------------------------------------------------------------------------------------------------------
 */

static const char tokenizer_what[] = "metadata moviebert.tokenizer";

static mb_status
read_flag(const json_t *object, const char *key, bool *value, mb_error *err)
{
	if (json_object_get(object, key) == NULL)
		return mb_fail(err, MB_CORRUPT, "%s has no \"%s\"", tokenizer_what, key);
	return mb_json_bool(object, key, value, tokenizer_what, err);
}

static mb_status
read_role(const json_t *object, const char *key, const char **token, mb_error *err)
{
	mb_status status;

	*token = NULL;
	status = mb_json_string(object, key, token, tokenizer_what, err);
	if (status == MB_OK && *token == NULL)
		status = mb_fail(err, MB_CORRUPT, "%s has no \"%s\"", tokenizer_what, key);
	return status;
}

static mb_status
read_additional(model_file *file, const json_t *list, mb_error *err)
{
	size_t n = json_array_size(list);

	if (list == NULL || json_is_null(list))
		return MB_OK;
	if (!json_is_array(list))
		return mb_fail(err, MB_CORRUPT, "member \"additional_special_tokens\" of %s is not a list", tokenizer_what);
	file->additional_special_tokens = calloc(n + 1, sizeof(char *));
	if (file->additional_special_tokens == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++)
	{
		const char *token = json_string_value(json_array_get(list, i));

		if (token == NULL || token[0] == '\0')
			return mb_fail(err, MB_CORRUPT, "element %zu of \"additional_special_tokens\" of %s is not a token", i,
						   tokenizer_what);
		file->additional_special_tokens[i] = token;
	}
	file->model.tokenizer.additional_special_tokens = file->additional_special_tokens;
	file->model.tokenizer.n_additional_special_tokens = n;
	return MB_OK;
}

static mb_status
read_tokenizer(model_file *file, mb_error *err)
{
	mb_tokenizer_options *options = &file->model.tokenizer;
	const json_t *object;
	const char *text;
	mb_status status = required(&file->model, "moviebert.tokenizer", &text, err);

	if (status == MB_OK)
		status = mb_json_parse(&file->tokenizer_object, text, strlen(text), tokenizer_what, err);
	if (status != MB_OK)
		return status;
	object = file->tokenizer_object;
	options->max_chars_per_word = 100; /* BertTokenizer's own */
	status = read_flag(object, "do_lower_case", &options->lowercase, err);
	options->strip_accents = options->lowercase; /* what null means */
	if (status == MB_OK)
		status = read_flag(object, "strip_accents", &options->strip_accents, err);
	if (status == MB_OK)
		status = read_flag(object, "tokenize_chinese_chars", &options->split_cjk, err);
	if (status == MB_OK)
		status = read_flag(object, "split_special_tokens", &options->split_special_tokens, err);
	if (status == MB_OK)
		status = mb_json_int(object, "max_input_chars_per_word", 1, 1 << 20, &options->max_chars_per_word,
							 tokenizer_what, err);
	if (status == MB_OK)
		status = read_role(object, "unk_token", &options->unk_token, err);
	if (status == MB_OK)
		status = read_role(object, "cls_token", &options->cls_token, err);
	if (status == MB_OK)
		status = read_role(object, "sep_token", &options->sep_token, err);
	if (status == MB_OK)
		status = read_role(object, "pad_token", &options->pad_token, err);
	if (status == MB_OK)
		status = read_role(object, "mask_token", &options->mask_token, err);
	if (status == MB_OK)
		status = read_additional(file, json_object_get(object, "additional_special_tokens"), err);
	return status;
}

/* Packing is the vocabulary's whole check: UTF-8, duplicates, the role tokens. */
static mb_status
check_vocabulary(mb_model *model, mb_error *err)
{
	mb_tokenizer tokenizer;
	size_t size;
	void *blob;
	mb_status status = required(model, "moviebert.vocab", &model->vocab, err);

	if (status == MB_OK)
		status = mb_vocabulary_pack(model->vocab, strlen(model->vocab), &model->tokenizer, &blob, &size, err);
	if (status != MB_OK)
		return status;
	status = mb_tokenizer_open(&tokenizer, blob, size, err);
	if (status == MB_OK && mb_tokenizer_vocab_size(&tokenizer) > model->config.vocab_size)
	{
		status = mb_fail(err, MB_CORRUPT, "the vocabulary has more tokens than the embeddings have rows");
		mb_detail(err, "It has %d tokens; vocab_size is %d.", mb_tokenizer_vocab_size(&tokenizer),
				  model->config.vocab_size);
	}
	free(blob);
	return status;
}

/* ---- tags -----------------------------------------------------------------------------------------------------------
 */

static mb_status
bad_tag(size_t i, const char *what, mb_error *err)
{
	return mb_fail(err, MB_CORRUPT, "tag %zu of metadata moviebert.tags %s", i + 1, what);
}

static mb_status
read_tag(mb_tag *tag, const json_t *entry, size_t i, mb_error *err)
{
	const json_t *threshold = json_object_get(entry, "threshold");
	const json_t *support = json_object_get(entry, "support");

	if (!json_is_object(entry))
		return bad_tag(i, "is not an object", err);
	tag->name = json_string_value(json_object_get(entry, "name"));
	tag->threshold = NAN;
	tag->support = -1;
	if (tag->name == NULL)
		return bad_tag(i, "has no name", err);
	if (tag->name[0] == '\0')
		return bad_tag(i, "has an empty name", err);
	if (threshold != NULL && !json_is_null(threshold))
	{
		if (!json_is_number(threshold) || fabs(json_number_value(threshold)) > (double) FLT_MAX)
			return bad_tag(i, "has a threshold that is not a number", err);
		tag->threshold = (float) json_number_value(threshold);
	}
	if (support != NULL && !json_is_null(support))
	{
		if (!json_is_integer(support) || json_integer_value(support) < 0)
			return bad_tag(i, "has a support that is not a count", err);
		tag->support = json_integer_value(support);
	}
	return MB_OK;
}

static mb_status
check_names_differ(const json_t *list, mb_error *err)
{
	json_t *seen = json_object();
	mb_status status = seen != NULL ? MB_OK : mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");

	for (size_t i = 0; i < json_array_size(list) && status == MB_OK; i++)
	{
		const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));

		if (json_object_get(seen, name) != NULL)
			status = mb_fail(err, MB_CORRUPT, "tag \"%.100s\" is there twice in metadata moviebert.tags", name);
		else if (json_object_set_new(seen, name, json_true()) != 0)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	json_decref(seen);
	return status;
}

static mb_status
read_tags(model_file *file, int32_t *n_tags, mb_error *err)
{
	mb_model *model = &file->model;
	mb_status status;
	size_t n;

	*n_tags = 0;
	model->tags_json = mb_safetensors_metadata(model->tensors, "moviebert.tags");
	if (model->tags_json == NULL)
		return MB_OK;
	status = mb_json_parse_list(&file->tags_list, model->tags_json, strlen(model->tags_json), "metadata moviebert.tags",
								err);
	if (status != MB_OK)
		return status;
	n = json_array_size(file->tags_list);
	if (n > MAX_TAGS)
	{
		mb_fail(err, MB_LIMIT, "the model has too many tags");
		mb_detail(err, "It has %zu; at most %d are supported.", n, MAX_TAGS);
		return MB_LIMIT;
	}
	file->tags = calloc(n + 1, sizeof(mb_tag));
	if (file->tags == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	model->tags = file->tags;
	for (size_t i = 0; i < n && status == MB_OK; i++)
		status = read_tag(&file->tags[i], json_array_get(file->tags_list, i), i, err);
	if (status == MB_OK)
		status = check_names_differ(file->tags_list, err);
	*n_tags = (int32_t) n;
	return status;
}

/* ---- pipeline -------------------------------------------------------------------------------------------------------
 */

/* Whose head it is decides how it may be exported: see doc/model-file.md. */
static mb_status
read_head_kind(mb_model *model, const json_t *head, mb_error *err)
{
	static const char what[] = "metadata moviebert.head";
	const char *kind = "classifier";
	mb_status status = mb_json_string(head, "kind", &kind, what, err);

	if (status != MB_OK)
		return status;
	if (strcmp(kind, "tagger") == 0)
	{
		model->kind = "tagger";
		return MB_OK;
	}
	if (strcmp(kind, "classifier") != 0)
	{
		mb_fail(err, MB_UNSUPPORTED, "\"kind\" of %s is \"%.100s\", which is not supported", what, kind);
		mb_detail(err, "There are \"classifier\" and \"tagger\".");
		return MB_UNSUPPORTED;
	}
	model->kind = "classifier";
	if (model->pipeline.pooling != MB_POOL_POOLER || model->pipeline.normalize)
	{
		mb_fail(err, MB_CORRUPT, "a classifier's head needs pooling \"pooler\" without normalization");
		mb_detail(err, "BertForSequenceClassification computes its logits from the pooler's output.");
		return MB_CORRUPT;
	}
	return MB_OK;
}

static mb_status
read_pipeline(model_file *file, mb_error *err)
{
	static const char head_what[] = "metadata moviebert.head";
	mb_model *model = &file->model;
	const char *head_json = mb_safetensors_metadata(model->tensors, "moviebert.head");
	json_t *pooling = NULL, *head = NULL;
	int32_t n_tags = 0;
	mb_status status = read_tags(file, &n_tags, err);

	if (status == MB_OK)
		status = required(model, "moviebert.pooling", &model->pooling_json, err);
	if (status == MB_OK)
		status = mb_json_parse(&pooling, model->pooling_json, strlen(model->pooling_json), "metadata moviebert.pooling",
							   err);
	if (status == MB_OK && head_json != NULL)
		status = mb_json_parse(&head, head_json, strlen(head_json), head_what, err);
	if (status == MB_OK)
		status = mb_pipeline_read(&model->pipeline, pooling, head, n_tags, &model->config, err);
	if (status == MB_OK && head != NULL)
		status = read_head_kind(model, head, err);
	json_decref(head);
	json_decref(pooling);
	return status;
}

static mb_status
check_card(mb_model *model, mb_error *err)
{
	json_t *card = NULL;
	mb_status status = MB_OK;

	model->card_json = mb_safetensors_metadata(model->tensors, "moviebert.card");
	if (model->card_json != NULL)
		status = mb_json_parse(&card, model->card_json, strlen(model->card_json), "metadata moviebert.card", err);
	json_decref(card);
	return status;
}

mb_status
model_read_metadata(model_file *file, mb_error *err)
{
	mb_status status = check_format(&file->model, err);

	if (status == MB_OK)
		status = read_config(&file->model, err);
	if (status == MB_OK)
		status = read_tokenizer(file, err);
	if (status == MB_OK)
		status = check_vocabulary(&file->model, err);
	if (status == MB_OK)
		status = read_pipeline(file, err);
	if (status == MB_OK)
		status = check_card(&file->model, err);
	return status;
}
