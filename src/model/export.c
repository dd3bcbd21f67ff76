/*
 * export.c - mb_export: a model file becomes a folder that transformers and sentence-transformers load unchanged.
 *
 * What is loaded must give our numbers, so nothing is written under a name that means something else elsewhere:
 *
 *   - a classifier's head stands on the pooler, as BertForSequenceClassification's does, and goes into
 * model.safetensors;
 *   - a tagger's head stands on the vector that the pipeline makes, for which transformers has no class; it goes into a
 *     folder of its own as a sentence-transformers Dense module, which modules.json lists only if as_tagger asks for
 * it;
 *   - pooling by BERT's pooler is, for sentence-transformers, pooling by cls and a Dense with tanh.
 */
#include "export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CHARS_PER_WORD 100 /* BertTokenizer's, which cannot be told another */

/* ---- config.json ------------------------------------------------------------------------------------------------- */

static const char *
problem_type_of(mb_problem problem)
{
	switch (problem)
	{
		case MB_MULTI_LABEL:
			return "multi_label_classification";
		case MB_SINGLE_LABEL:
			return "single_label_classification";
		default:
			return "regression";
	}
}

/* Whether config.json as it came has a classifier's tags for labels, and its problem: as import_head.c reads them. */
static bool
config_has_labels(const json_t *config, const mb_model *model)
{
	const json_t *labels = json_object_get(config, "id2label");
	const char *type = json_string_value(json_object_get(config, "problem_type"));
	size_t n = (size_t) model->pipeline.num_labels;

	if (type == NULL)
		type = problem_type_of(n == 1 ? MB_REGRESSION : MB_SINGLE_LABEL);
	if (strcmp(type, problem_type_of(model->pipeline.problem)) != 0)
		return false;
	if (json_object_size(labels) > 0 && json_object_size(labels) != n)
		return false;
	if (json_object_size(labels) == 0 && n != 2 && (size_t) json_integer_value(json_object_get(config, "num_labels")) != n)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		char key[24], name[32];
		const char *label = name;

		snprintf(key, sizeof(key), "%zu", i);
		snprintf(name, sizeof(name), "LABEL_%zu", i);
		if (json_object_size(labels) > 0)
			label = json_string_value(json_object_get(labels, key));
		if (label == NULL || strcmp(label, model->tags[i].name) != 0)
			return false;
	}
	return true;
}

static void
set_labels(json_t *config, const mb_model *model)
{
	json_t *names = json_object(), *ids = json_object();

	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
	{
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		json_object_set_new(names, key, json_string(model->tags[i].name));
		json_object_set_new(ids, model->tags[i].name, json_integer(i));
	}
	json_object_set_new(config, "id2label", names);
	json_object_set_new(config, "label2id", ids);
	json_object_set_new(config, "problem_type", json_string(problem_type_of(model->pipeline.problem)));
}

/*
 * The config as it came, unless the model is of another class or has other labels now, or the config does not say what
 * transformers must know.
 */
static void
write_config(export_folder *folder, const mb_model *model)
{
	static const char *const label_keys[] = {"id2label", "label2id", "num_labels", "problem_type"};
	bool classifier = strcmp(model->architecture, "BertForSequenceClassification") == 0;
	json_t *config = NULL;
	const char *saved_as;

	if (folder->status == MB_OK)
		folder->status = mb_json_parse(&config, model->config_json, strlen(model->config_json),
									   "metadata moviebert.config", folder->err);
	if (folder->status != MB_OK)
		return;
	saved_as = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	if (json_is_string(json_object_get(config, "model_type")) && saved_as != NULL &&
		strcmp(saved_as, model->architecture) == 0 && (!classifier || config_has_labels(config, model)))
	{
		export_text(folder, "config.json", model->config_json);
		json_decref(config);
		return;
	}
	if (!json_is_string(json_object_get(config, "model_type")))
		json_object_set_new(config, "model_type", json_string("bert"));
	json_object_set_new(config, "architectures", json_pack("[s]", model->architecture));
	for (size_t i = 0; i < sizeof(label_keys) / sizeof(label_keys[0]); i++)
		json_object_del(config, label_keys[i]);
	if (classifier)
		set_labels(config, model);
	export_json(folder, "config.json", config);
}

/* ---- tokenizer --------------------------------------------------------------------------------------------------- */

static json_t *
additional_json(const mb_tokenizer_options *options)
{
	json_t *list = json_array();

	for (size_t i = 0; i < options->n_additional_special_tokens; i++)
		json_array_append_new(list, json_string(options->additional_special_tokens[i]));
	return list;
}

static void
write_tokenizer(export_folder *folder, const mb_model *model)
{
	const mb_tokenizer_options *options = &model->tokenizer;

	export_text(folder, "vocab.txt", model->vocab);
	export_json(folder, "tokenizer_config.json",
				json_pack("{s:s, s:b, s:b, s:b, s:b, s:i, s:s, s:s, s:s, s:s, s:s, s:o}", "tokenizer_class",
						  "BertTokenizer", "do_lower_case", options->lowercase, "strip_accents", options->strip_accents,
						  "tokenize_chinese_chars", options->split_cjk, "split_special_tokens",
						  options->split_special_tokens, "model_max_length", model->pipeline.max_length, "unk_token",
						  options->unk_token, "cls_token", options->cls_token, "sep_token", options->sep_token,
						  "pad_token", options->pad_token, "mask_token", options->mask_token,
						  "additional_special_tokens", additional_json(options)));
	export_json(folder, "special_tokens_map.json",
				json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "unk_token", options->unk_token, "cls_token",
						  options->cls_token, "sep_token", options->sep_token, "pad_token", options->pad_token,
						  "mask_token", options->mask_token, "additional_special_tokens", additional_json(options)));
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static bool
begins_with(const char *name, const char *beginning)
{
	return strncmp(name, beginning, strlen(beginning)) == 0;
}

/* BertModel's own file has plain names; a class with a head calls its BertModel "bert". */
static void
write_weights(export_folder *folder, const mb_model *model)
{
	bool prefixed = strcmp(model->architecture, "BertModel") != 0;
	bool tagger = strcmp(model->kind, "tagger") == 0;
	size_t count = mb_safetensors_count(model->tensors), n = 0;
	mb_tensor *tensors = malloc((count + 1) * sizeof(*tensors));
	char(*names)[128] = malloc((count + 1) * sizeof(*names));

	if ((tensors == NULL || names == NULL) && folder->status == MB_OK)
		folder->status = mb_fail(folder->err, MB_OUT_OF_MEMORY, "out of memory");
	for (size_t i = 0; i < count && folder->status == MB_OK; i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(model->tensors, i);
		bool of_head = begins_with(tensor->name, "classifier.") || begins_with(tensor->name, "cls.");

		if (tagger && begins_with(tensor->name, "classifier."))
			continue;
		snprintf(names[n], sizeof(names[n]), "%s%s", prefixed && !of_head ? "bert." : "", tensor->name);
		tensors[n] = *tensor;
		tensors[n].name = names[n];
		n++;
	}
	export_tensors(folder, "model.safetensors", tensors, n);
	free(names);
	free(tensors);
}

/* A Dense module of sentence-transformers from two of the model's tensors. */
static void
write_dense(export_folder *folder, const mb_model *model, const char *name, const char *prefix, int32_t out,
			const char *activation)
{
	char path[96];
	mb_tensor tensors[2];
	static const char *const parts[] = {"weight", "bias"};
	static const char *const names[] = {"linear.weight", "linear.bias"};

	for (int i = 0; i < 2; i++)
	{
		const mb_tensor *tensor;

		snprintf(path, sizeof(path), "%s.%s", prefix, parts[i]);
		tensor = mb_model_tensor(model, path);
		if (tensor == NULL)
		{
			if (folder->status == MB_OK)
				folder->status = mb_fail(folder->err, MB_CORRUPT, "tensor \"%s\" is missing", path);
			return;
		}
		tensors[i] = *tensor;
		tensors[i].name = names[i];
	}
	export_subfolder(folder, name);
	snprintf(path, sizeof(path), "%s/config.json", name);
	export_json(folder, path,
				json_pack("{s:i, s:i, s:b, s:s}", "in_features", model->config.hidden_size, "out_features", out, "bias",
						  1, "activation_function", activation));
	snprintf(path, sizeof(path), "%s/model.safetensors", name);
	export_tensors(folder, path, tensors, 2);
}

/* ---- sentence-transformers --------------------------------------------------------------------------------------- */

static void
add_module(json_t *modules, const char *path, const char *type)
{
	char name[16], full[64];
	int i = (int) json_array_size(modules);

	snprintf(name, sizeof(name), "%d", i);
	snprintf(full, sizeof(full), "sentence_transformers.models.%s", type);
	json_array_append_new(modules,
						  json_pack("{s:i, s:s, s:s, s:s}", "idx", i, "name", name, "path", path, "type", full));
}

/* The prompts that the checkpoint came with, which the import put into the card. */
static json_t *
prompts_of(const mb_model *model)
{
	json_t *card = model->card_json != NULL ? json_loads(model->card_json, 0, NULL) : NULL;
	json_t *prompts = json_incref(json_object_get(json_object_get(card, "import"), "prompts"));

	json_decref(card);
	return json_is_object(prompts) ? prompts : json_object();
}

static void
write_modules(export_folder *folder, const mb_model *model, bool as_tagger)
{
	const mb_pipeline *pipeline = &model->pipeline;
	json_t *modules = json_array();
	char path[32];

	add_module(modules, "", "Transformer");
	export_json(folder, "sentence_bert_config.json",
				json_pack("{s:i, s:b}", "max_seq_length", pipeline->max_length, "do_lower_case", 0));
	add_module(modules, "1_Pooling", "Pooling");
	export_subfolder(folder, "1_Pooling");
	export_json(folder, "1_Pooling/config.json",
				json_pack("{s:i, s:b, s:b, s:b, s:b}", "word_embedding_dimension", model->config.hidden_size,
						  "pooling_mode_cls_token", pipeline->pooling != MB_POOL_MEAN, "pooling_mode_mean_tokens",
						  pipeline->pooling == MB_POOL_MEAN, "pooling_mode_max_tokens", 0,
						  "pooling_mode_mean_sqrt_len_tokens", 0));
	if (pipeline->pooling == MB_POOL_POOLER)
	{
		add_module(modules, "2_Dense", "Dense");
		write_dense(folder, model, "2_Dense", "pooler.dense", model->config.hidden_size,
					"torch.nn.modules.activation.Tanh");
	}
	if (pipeline->normalize)
	{
		snprintf(path, sizeof(path), "%zu_Normalize", json_array_size(modules));
		add_module(modules, path, "Normalize");
		export_subfolder(folder, path);
		snprintf(path, sizeof(path), "%zu_Normalize/config.json", json_array_size(modules) - 1);
		export_json(folder, path, json_object()); /* so that git keeps the folder, which older versions want */
	}
	if (as_tagger)
		add_module(modules, CHECKPOINT_HEAD_FOLDER, "Dense");
	if (as_tagger || strcmp(model->kind, "tagger") == 0)
		write_dense(folder, model, CHECKPOINT_HEAD_FOLDER, "classifier", pipeline->num_labels,
					"torch.nn.modules.linear.Identity");
	export_json(folder, "modules.json", modules);
	export_json(folder, "config_sentence_transformers.json",
				json_pack("{s:s, s:o, s:n, s:s}", "model_type", "SentenceTransformer", "prompts", prompts_of(model),
						  "default_prompt_name", "similarity_fn_name", "cosine"));
}

/* ---- moviebert.json ---------------------------------------------------------------------------------------------- */

/* A JSON text of the model file; null where there is none. */
static json_t *
value_of(const char *text)
{
	json_t *value = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return value != NULL ? value : json_null();
}

static void
write_own_file(export_folder *folder, const mb_model *model)
{
	json_t *own = json_pack("{s:i, s:o, s:o, s:o, s:o}", "format", 1, "pooling", value_of(model->pooling_json), "head",
							value_of(mb_safetensors_metadata(model->tensors, "moviebert.head")), "tags",
							value_of(model->tags_json), "card", value_of(model->card_json));

	export_json(folder, CHECKPOINT_OWN_FILE, own);
}

mb_status
mb_export(const mb_model *model, const char *path, bool as_tagger, mb_error *err)
{
	export_folder folder;
	char *card;

	if (as_tagger && model->pipeline.num_labels == 0)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the model has no tags to be exported as a tagger");
		mb_hint(err, "Leave out --as-tagger, or train tags first.");
		return MB_INVALID_ARGUMENT;
	}
	if (model->tokenizer.max_chars_per_word != MAX_CHARS_PER_WORD)
	{
		mb_fail(err, MB_UNSUPPORTED, "a model with words of up to %d characters cannot be exported",
				model->tokenizer.max_chars_per_word);
		mb_detail(err, "transformers' BertTokenizer takes words of up to %d.", MAX_CHARS_PER_WORD);
		return MB_UNSUPPORTED;
	}
	export_begin(&folder, path, err);
	write_config(&folder, model);
	write_tokenizer(&folder, model);
	write_modules(&folder, model, as_tagger);
	write_own_file(&folder, model);
	card = folder.status == MB_OK ? export_card(model, as_tagger) : NULL;
	export_text(&folder, "README.md", card);
	free(card);
	write_weights(&folder, model);
	return export_end(&folder);
}
