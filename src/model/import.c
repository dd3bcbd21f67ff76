/*
 * import.c - mb_import: a checkpoint folder becomes a model file.
 *
 * Every part of the folder is read and checked first; then the model file is written beside its destination, opened as
 * any reader would open it, and only then renamed.  So what is at model_path is a whole, valid model or untouched.
 */
#include "import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model_file.h"
#include "model_json.h"
#include "names.h"


/* What has been read of a folder. */
typedef struct importing
{
	const char *folder;
	const mb_import_options *options;
	mb_error *err;
	import_modules modules;
	json_t *config_json;
	char *config_text;
	mb_config config;
	const char *architecture;
	import_head head;
	import_tokenizer tokenizer;
	mb_pipeline pipeline;
	import_weights weights;
	json_t *card;
} importing;

/* ---- config.json ------------------------------------------------------------------------------------------------- */

static mb_status
check_folder(const char *folder, mb_error *err)
{
	struct stat about;

	if (stat(folder, &about) == 0)
	{
		if (S_ISDIR(about.st_mode))
			return MB_OK;
		mb_fail(err, MB_INVALID_ARGUMENT, "\"%.200s\" is not a folder", folder);
		mb_hint(err, "Give the folder that has the checkpoint's config.json and model.safetensors.");
		return MB_INVALID_ARGUMENT;
	}
	return mb_fail_system(err, errno, "could not open folder \"%.200s\"", folder);
}

/*
 * The pretraining checkpoint is imported without its next-sentence head, which makes it a BertForMaskedLM.  Otherwise
 * the config goes into the model file as it is written.
 */
static mb_status
read_config(importing *import)
{
	static const char hint[] =
		"A checkpoint's folder has config.json, model.safetensors and vocab.txt or tokenizer.json; "
		"bring all its files.";
	mb_status status = import_read_json(&import->config_json, &import->config_text, import->modules.transformer,
										"config.json", hint, import->err);

	if (status == MB_OK)
		status = mb_config_read(&import->config, import->config_json, "config.json", import->err);
	if (status != MB_OK)
		return status;
	import->architecture = mb_config_architecture(import->config_json);
	if (strcmp(import->architecture, "BertForPreTraining") == 0)
	{
		free(import->config_text);
		json_object_set_new(import->config_json, "architectures", json_pack("[s]", "BertForMaskedLM"));
		import->config_text = mb_json_text(import->config_json);
		if (import->config_text == NULL)
			return mb_fail(import->err, MB_OUT_OF_MEMORY, "out of memory");
	}
	return MB_OK;
}

/* ---- the pipeline ------------------------------------------------------------------------------------------------ */

static mb_status
choose_pooling(importing *import)
{
	const import_modules *modules = &import->modules;
	bool classifier = strcmp(import->architecture, "BertForSequenceClassification") == 0;
	mb_pooling said = modules->present ? modules->pooling : classifier ? MB_POOL_POOLER : MB_POOL_MEAN;
	const char *wanted = import->options->pooling;
	mb_pooling pooling = said;

	if (wanted != NULL)
	{
		int i = 0;

		while (i < N_POOLINGS && strcmp(wanted, pooling_names[i]) != 0)
			i++;
		if (i == N_POOLINGS)
			return mb_fail(import->err, MB_INVALID_ARGUMENT, "pooling \"%.60s\" is none of mean, cls and pooler",
						   wanted);
		pooling = (mb_pooling) i;
	}
	if (pooling != said && (modules->pooler != NULL || (import->head.num_labels > 0 && !classifier)))
	{
		mb_fail(import->err, MB_INVALID_ARGUMENT, "this checkpoint cannot be pooled by \"%s\"", wanted);
		mb_detail(import->err, "%s on pooling by \"%s\".",
				  modules->pooler != NULL ? "Its Dense module was trained" : "Its tags were trained",
				  mb_pooling_name(said));
		mb_hint(import->err, "Leave the pooling to the checkpoint.");
		return MB_INVALID_ARGUMENT;
	}
	if (classifier && (pooling != MB_POOL_POOLER || modules->normalize))
	{
		mb_fail(import->err, MB_INVALID_ARGUMENT,
				"a classification head cannot be used with another pooling than its own");
		mb_detail(import->err, "BertForSequenceClassification works on the pooler's output; %s otherwise.",
				  pooling == said ? "modules.json pools" : "you want to pool");
		mb_hint(import->err, "To use the encoder without the head, save it with transformers: "
							 "BertModel.from_pretrained(...).save_pretrained(...).");
		return MB_INVALID_ARGUMENT;
	}
	import->pipeline.pooling = pooling;
	import->pipeline.normalize = modules->normalize;
	return MB_OK;
}

/* Windows overlap by a quarter, unless an export of ours said otherwise for windows of this length. */
static mb_status
choose_length(importing *import)
{
	int32_t most = import->config.max_position_embeddings;
	int32_t length = import->options->max_length, content;

	if (length > most)
	{
		mb_fail(import->err, MB_INVALID_ARGUMENT, "the model has no windows of %d tokens", length);
		mb_detail(import->err, "It has %d positions.", most);
		return MB_INVALID_ARGUMENT;
	}
	if (length == 0)
		length = import->modules.max_length;
	if (length == 0)
		length = import->tokenizer.model_max_length;
	if (length == 0 || length > most)
		length = most;
	if (length < 3)
	{
		mb_fail(import->err, MB_INVALID_ARGUMENT, "windows of %d tokens are too short", length);
		mb_detail(import->err, "The shortest one holds a token between the two special ones: 3.");
		return MB_INVALID_ARGUMENT;
	}
	content = length - 2;
	import->pipeline.max_length = length;
	import->pipeline.long_text = import->options->long_text;
	import->pipeline.window_stride = content - content / 4;
	if (import->head.window_stride > 0 && import->head.window_stride <= content && import->head.max_length == length)
		import->pipeline.window_stride = import->head.window_stride;
	return MB_OK;
}

/* ---- the card ---------------------------------------------------------------------------------------------------- */

/* What an export had, what the import left out, and what the caller adds. */
static mb_status
make_card(importing *import)
{
	json_t *more = NULL;
	mb_status status = MB_OK;

	import->card = import->head.card != NULL ? json_incref(import->head.card) : json_object();
	if (import->options->card_json != NULL)
		status = mb_json_parse(&more, import->options->card_json, strlen(import->options->card_json), "the card",
							   import->err);
	if (status != MB_OK)
		return status;
	if (json_object_size(import->weights.dropped) > 0 || import->modules.prompts != NULL)
	{
		json_t *notes = json_object();

		if (json_object_size(import->weights.dropped) > 0)
			json_object_set(notes, "dropped", import->weights.dropped);
		if (import->modules.prompts != NULL)
			json_object_set(notes, "prompts", import->modules.prompts);
		json_object_set_new(import->card, "import", notes);
	}
	if (more != NULL)
		json_object_update(import->card, more);
	json_decref(more);
	return MB_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* In this order, which is also model_write.c's, so that an export of either comes back as the same bytes. */
enum
{
	POOLING = 3,
	TOKENIZER,
	VOCAB,
	HEAD,
	TAGS,
	CARD,
	N_METADATA
};

static mb_status
write_model(const importing *import, const char *path)
{
	mb_metadata metadata[N_METADATA] = {{"format", "pt"},
										{"moviebert.config", import->config_text},
										{"moviebert.format", "1"},
										{"moviebert.pooling", NULL},
										{"moviebert.tokenizer", NULL},
										{"moviebert.vocab", import->tokenizer.vocab},
										{"moviebert.head", NULL},
										{"moviebert.tags", NULL},
										{"moviebert.card", NULL}};
	json_t *values[N_METADATA] = {[TOKENIZER] = import->tokenizer.options,
								  [HEAD] = import->head.head,
								  [TAGS] = import->head.tags,
								  [CARD] = import->card};
	char *texts[N_METADATA] = {[POOLING] = model_json_pooling(&import->pipeline)};
	mb_tensor *tensors = malloc((import->weights.n_tensors + 1) * sizeof(*tensors));
	size_t n_metadata = 0, n_tensors = 0;
	bool short_of_memory = tensors == NULL || texts[POOLING] == NULL;
	mb_status status;

	for (size_t i = 0; i < N_METADATA; i++)
	{
		if (values[i] != NULL)
		{
			texts[i] = mb_json_text(values[i]);
			short_of_memory = short_of_memory || texts[i] == NULL;
		}
		if (texts[i] != NULL)
			metadata[i].value = texts[i];
		if (metadata[i].value != NULL)
			metadata[n_metadata++] = metadata[i];
	}
	for (size_t i = 0; i < import->weights.n_tensors && tensors != NULL; i++)
		if (import->weights.tensors[i].used)
			tensors[n_tensors++] = import->weights.tensors[i].tensor;
	if (short_of_memory)
		status = mb_fail(import->err, MB_OUT_OF_MEMORY, "out of memory");
	else
		status = model_file_write(path, tensors, n_tensors, metadata, n_metadata, import->err);
	for (size_t i = 0; i < N_METADATA; i++)
		free(texts[i]);
	free(tensors);
	return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static mb_status
read_folder(importing *import)
{
	import_plan plan = {&import->config, &import->pipeline, &import->modules, NULL, true};
	mb_status status = check_folder(import->folder, import->err);

	if (status == MB_OK)
		status = import_modules_read(&import->modules, import->folder, import->err);
	if (status == MB_OK)
		status = read_config(import);
	if (status == MB_OK)
		status = import_head_read(&import->head, import->folder, import->config_json, &import->modules, import->err);
	if (status == MB_OK)
		status = import_tokenizer_read(&import->tokenizer, import->modules.transformer, &import->config, import->err);
	if (status == MB_OK && import->modules.lowercase)
		json_object_set_new(import->tokenizer.options, "do_lower_case", json_true());
	if (status == MB_OK)
		status = choose_pooling(import);
	if (status == MB_OK)
		status = choose_length(import);
	if (status == MB_OK)
		status = mb_json_bool(import->config_json, "tie_word_embeddings", &plan.tied, "config.json", import->err);
	if (status != MB_OK)
		return status;
	import->pipeline.problem = import->head.problem;
	import->pipeline.num_labels = import->head.num_labels;
	plan.architecture = import->architecture;
	status = import_weights_read(&import->weights, &plan, import->err);
	return status == MB_OK ? make_card(import) : status;
}

mb_status
mb_import(const char *folder, const char *model_path, const mb_import_options *options, mb_error *err)
{
	static const mb_import_options defaults = {0};
	importing import = {.folder = folder, .options = options != NULL ? options : &defaults, .err = err};
	mb_status status = read_folder(&import);

	if (status == MB_OK)
		status = write_model(&import, model_path);
	import_weights_free(&import.weights);
	import_tokenizer_free(&import.tokenizer);
	import_head_free(&import.head);
	import_modules_free(&import.modules);
	json_decref(import.config_json);
	free(import.config_text);
	json_decref(import.card);
	return status;
}
