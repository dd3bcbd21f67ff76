/*
 * import_modules.c - modules.json and what it points to: how sentence-transformers makes one vector of a text.
 *
 * Both generations of its files are read: pooling_mode_mean_tokens and its like, and since version 5 pooling_mode;
 * module types are told by the last part of their Python name.  What the engine computes is Transformer, Pooling (mean
 * or [CLS]), after [CLS] a Dense with tanh (which is BERT's pooler), and Normalize.  All else is refused by its name.
 */
#include "import.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MODULES 32
#define OWN_PACKAGE "sentence_transformers."

/* modules.json is the one file whose top is a list. */
static mb_status
read_list(json_t **list, const char *folder, mb_error *err)
{
	char *text;
	size_t size;
	mb_status status = import_read_text(&text, &size, folder, "modules.json", NULL, err);

	*list = NULL;
	if (status != MB_OK || text == NULL)
		return status;
	status = mb_json_parse_list(list, text, size, "modules.json", err);
	free(text);
	if (status != MB_OK)
		return status;
	if (json_array_size(*list) == 0)
		return mb_fail(err, MB_CORRUPT, "modules.json is not a list of modules");
	if (json_array_size(*list) > MAX_MODULES)
		return mb_fail(err, MB_LIMIT, "modules.json has more than %d modules", MAX_MODULES);
	return MB_OK;
}

/* The kind ("Pooling") and the folder ("" is the checkpoint's own) of a module. */
static mb_status
read_module(const json_t *module, const char **kind, const char **path, mb_error *err)
{
	const char *type = NULL, *dot;
	mb_status status;

	*path = "";
	if (!json_is_object(module))
		return mb_fail(err, MB_CORRUPT, "modules.json is not a list of modules");
	status = mb_json_string(module, "type", &type, "modules.json", err);
	if (status == MB_OK)
		status = mb_json_string(module, "path", path, "modules.json", err);
	if (status != MB_OK)
		return status;
	if (type == NULL)
		return mb_fail(err, MB_CORRUPT, "a module in modules.json has no \"type\"");
	if (strncmp(type, OWN_PACKAGE, strlen(OWN_PACKAGE)) != 0)
	{
		mb_fail(err, MB_UNSUPPORTED, "module type \"%.100s\" is not supported", type);
		mb_detail(err, "It is code of the checkpoint's own, not a part of sentence-transformers.");
		return MB_UNSUPPORTED;
	}
	if (!import_name_is_safe(*path))
		return mb_fail(err, MB_CORRUPT, "modules.json names a path outside its folder: \"%.100s\"", *path);
	dot = strrchr(type, '.');
	*kind = dot + 1;
	return MB_OK;
}

static mb_status
refuse_module(const char *kind, mb_error *err)
{
	mb_fail(err, MB_UNSUPPORTED, "sentence-transformers module \"%.100s\" is not supported here", kind);
	mb_detail(err,
			  "moviebert computes a Transformer, Pooling (mean or cls), after cls a Dense with tanh, and Normalize, "
			  "in this order.");
	mb_hint(err, "To import the encoder alone, copy the Transformer's files into a folder without modules.json.");
	return MB_UNSUPPORTED;
}

/* The folder of a module, malloc'ed. */
static mb_status
module_folder(char **result, const char *folder, const char *path, mb_error *err)
{
	*result = path[0] == '\0' ? strdup(folder) : import_path(folder, path);
	return *result != NULL ? MB_OK : mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
}

/* ---- Transformer ------------------------------------------------------------------------------------------------- */

static mb_status
read_transformer(import_modules *modules, mb_error *err)
{
	static const char what[] = "sentence_bert_config.json";
	const char *task = "feature-extraction";
	json_t *object;
	mb_status status = import_read_json(&object, NULL, modules->transformer, what, NULL, err);

	if (status != MB_OK || object == NULL)
		return status;
	status = mb_json_int(object, "max_seq_length", 1, INT32_MAX, &modules->max_length, what, err);
	if (status == MB_OK)
		status = mb_json_bool(object, "do_lower_case", &modules->lowercase, what, err);
	if (status == MB_OK)
		status = mb_json_string(object, "transformer_task", &task, what, err);
	if (status == MB_OK && strcmp(task, "feature-extraction") != 0)
		status = mb_fail(err, MB_UNSUPPORTED, "sentence-transformers task \"%.100s\" is not supported", task);
	json_decref(object);
	return status;
}

/* ---- Pooling ----------------------------------------------------------------------------------------------------- */

/* In the order in which sentence-transformers puts them side by side. */
static const struct
{
	const char *flag; /* of versions before 5 */
	const char *mode;
} pooling_modes[] = {
	{"pooling_mode_cls_token", "cls"},
	{"pooling_mode_max_tokens", "max"},
	{"pooling_mode_mean_tokens", "mean"},
	{"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
	{"pooling_mode_weightedmean_tokens", "weightedmean"},
	{"pooling_mode_lasttoken", "lasttoken"},
};

/* The only mode; *n says how many there are. */
static mb_status
read_pooling_mode(const json_t *object, const char **mode, size_t *n, const char *what, mb_error *err)
{
	const json_t *said = json_object_get(object, "pooling_mode");

	*n = 0;
	*mode = "mean";
	if (json_is_array(said))
	{
		*n = json_array_size(said);
		said = json_array_get(said, 0);
	}
	if (said != NULL && !json_is_null(said))
	{
		if (!json_is_string(said))
			return mb_fail(err, MB_CORRUPT, "member \"pooling_mode\" of %s is not a string", what);
		*mode = json_string_value(said);
		*n = *n > 0 ? *n : 1;
		return MB_OK;
	}
	for (size_t i = 0; i < sizeof(pooling_modes) / sizeof(pooling_modes[0]); i++)
	{
		bool on = false;
		mb_status status = mb_json_bool(object, pooling_modes[i].flag, &on, what, err);

		if (status != MB_OK)
			return status;
		if (on && (*n)++ == 0)
			*mode = pooling_modes[i].mode;
	}
	if (*n == 0)
		*n = 1; /* sentence-transformers' default */
	return MB_OK;
}

static mb_status
read_pooling(import_modules *modules, const char *folder, mb_error *err)
{
	static const char what[] = "config.json of the Pooling module";
	const char *mode;
	size_t n;
	json_t *object;
	mb_status status =
		import_read_json(&object, NULL, folder, "config.json",
						 "modules.json names this folder as the Pooling module; bring it with its files.", err);

	if (status != MB_OK)
		return status;
	status = read_pooling_mode(object, &mode, &n, what, err);
	if (status == MB_OK && n > 1)
	{
		status = mb_fail(err, MB_UNSUPPORTED, "a pooling of %zu modes side by side is not supported", n);
		mb_detail(err, "moviebert pools by mean or cls.");
	}
	else if (status == MB_OK && strcmp(mode, "mean") == 0)
		modules->pooling = MB_POOL_MEAN;
	else if (status == MB_OK && strcmp(mode, "cls") == 0)
		modules->pooling = MB_POOL_CLS;
	else if (status == MB_OK)
	{
		status = mb_fail(err, MB_UNSUPPORTED, "pooling mode \"%.100s\" is not supported", mode);
		mb_detail(err, "moviebert pools by mean or cls.");
	}
	json_decref(object);
	return status;
}

/* ---- Dense ------------------------------------------------------------------------------------------------------- */

/* The last part of the activation's Python name. */
static mb_status
read_dense(char *activation, size_t size, const char *folder, mb_error *err)
{
	static const char what[] = "config.json of the Dense module";
	const char *name = "Tanh", *input = "sentence_embedding", *output = NULL, *dot;
	bool bias = true, residual = false;
	json_t *object;
	mb_status status =
		import_read_json(&object, NULL, folder, "config.json",
						 "modules.json names this folder as a Dense module; bring it with its files.", err);

	if (status != MB_OK)
		return status;
	status = mb_json_string(object, "activation_function", &name, what, err);
	if (status == MB_OK)
		status = mb_json_bool(object, "bias", &bias, what, err);
	if (status == MB_OK)
		status = mb_json_bool(object, "use_residual", &residual, what, err);
	if (status == MB_OK)
		status = mb_json_string(object, "module_input_name", &input, what, err);
	output = input;
	if (status == MB_OK)
		status = mb_json_string(object, "module_output_name", &output, what, err);
	if (status == MB_OK &&
		(residual || !bias || strcmp(input, "sentence_embedding") != 0 || strcmp(output, input) != 0))
	{
		status = mb_fail(err, MB_UNSUPPORTED, "a Dense module of this form is not supported");
		mb_detail(err, "moviebert computes a Dense with bias, without residual, on the sentence's embedding.");
	}
	if (status == MB_OK)
	{
		size_t length;

		dot = strrchr(name, '.');
		name = dot != NULL ? dot + 1 : name;
		length = strlen(name) < size ? strlen(name) : size - 1;
		memcpy(activation, name, length);
		activation[length] = '\0';
	}
	json_decref(object);
	return status;
}

/* A Dense is the pooler after [CLS], or our own head at the end. */
static mb_status
add_dense(import_modules *modules, const char *folder, const char *path, bool *is_head, mb_error *err)
{
	char activation[64], *where;
	mb_status status = module_folder(&where, folder, path, err);

	if (status != MB_OK)
		return status;
	*is_head = strcmp(path, CHECKPOINT_HEAD_FOLDER) == 0 && import_has(folder, CHECKPOINT_OWN_FILE);
	status = read_dense(activation, sizeof(activation), where, err);
	if (status == MB_OK && !*is_head)
	{
		if (strcmp(activation, "Tanh") != 0)
		{
			status = mb_fail(err, MB_UNSUPPORTED, "a Dense module with activation \"%s\" is not supported", activation);
			mb_detail(err, "Only a Dense with tanh after pooling by cls is, which is BERT's pooler.");
		}
		else if (modules->pooling != MB_POOL_CLS || modules->normalize || modules->pooler != NULL)
			status = refuse_module("Dense", err);
		else
		{
			modules->pooling = MB_POOL_POOLER;
			modules->pooler = where;
			return MB_OK;
		}
	}
	else if (status == MB_OK && strcmp(activation, "Identity") != 0)
		status = mb_fail(err, MB_CORRUPT, "the Dense module with the tags has activation \"%s\"", activation);
	free(where);
	return status;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static mb_status
add_module(import_modules *modules, const char *folder, size_t i, const json_t *module, bool *ended, mb_error *err)
{
	const char *kind = NULL, *path;
	mb_status status = read_module(module, &kind, &path, err);

	if (status != MB_OK)
		return status;
	if (i == 0)
	{
		if (strcmp(kind, "Transformer") != 0)
			return refuse_module(kind, err);
		status = module_folder(&modules->transformer, folder, path, err);
		return status == MB_OK ? read_transformer(modules, err) : status;
	}
	if (i == 1 && strcmp(kind, "Pooling") == 0)
	{
		char *where;

		status = module_folder(&where, folder, path, err);
		if (status == MB_OK)
			status = read_pooling(modules, where, err);
		free(where);
		return status;
	}
	if (i > 1 && !*ended && strcmp(kind, "Normalize") == 0)
	{
		modules->normalize = true;
		return MB_OK;
	}
	if (i > 1 && !*ended && strcmp(kind, "Dense") == 0)
		return add_dense(modules, folder, path, ended, err);
	return refuse_module(kind, err);
}

/*
 * Prompts ("query: ") are for the user to put before a text, with moviebert as with the reference; but a default prompt
 * the reference puts there by itself, and then its numbers would not be ours.
 */
static mb_status
read_prompts(import_modules *modules, const char *folder, mb_error *err)
{
	static const char what[] = "config_sentence_transformers.json";
	const char *by_default = NULL, *text;
	json_t *object;
	json_t *prompts;
	mb_status status = import_read_json(&object, NULL, folder, what, NULL, err);

	if (status != MB_OK || object == NULL)
		return status;
	status = mb_json_string(object, "default_prompt_name", &by_default, what, err);
	prompts = json_object_get(object, "prompts");
	text = by_default != NULL ? json_string_value(json_object_get(prompts, by_default)) : NULL;
	if (status == MB_OK && text != NULL && text[0] != '\0')
	{
		status = mb_fail(err, MB_UNSUPPORTED, "a checkpoint with a default prompt is not supported");
		mb_detail(err, "sentence-transformers would put \"%.200s\" before every text.", text);
		mb_hint(err, "Set \"default_prompt_name\" in %s to null, and put the prompt before your texts yourself.", what);
	}
	if (status == MB_OK && json_object_size(prompts) > 0)
	{
		const char *name;
		json_t *prompt;
		bool any = false;

		json_object_foreach(prompts, name, prompt) any = any || json_string_length(prompt) > 0;
		if (any)
			modules->prompts = json_incref(prompts);
	}
	json_decref(object);
	return status;
}

mb_status
import_modules_read(import_modules *modules, const char *folder, mb_error *err)
{
	json_t *list;
	bool ended = false;
	mb_status status = read_list(&list, folder, err);

	memset(modules, 0, sizeof(*modules));
	if (status == MB_OK && list == NULL)
		status = module_folder(&modules->transformer, folder, "", err);
	else if (status == MB_OK)
	{
		modules->present = true;
		for (size_t i = 0; i < json_array_size(list) && status == MB_OK; i++)
			status = add_module(modules, folder, i, json_array_get(list, i), &ended, err);
		if (status == MB_OK && json_array_size(list) < 2)
			status = mb_fail(err, MB_UNSUPPORTED, "modules.json has no Pooling module");
		if (status == MB_OK)
			status = read_prompts(modules, folder, err);
	}
	if (status == MB_OK && import_has(folder, CHECKPOINT_OWN_FILE) && import_has(folder, CHECKPOINT_HEAD_FOLDER))
		status = module_folder(&modules->head, folder, CHECKPOINT_HEAD_FOLDER, err);
	json_decref(list);
	if (status != MB_OK)
		import_modules_free(modules);
	return status;
}

void
import_modules_free(import_modules *modules)
{
	free(modules->transformer);
	free(modules->pooler);
	free(modules->head);
	json_decref(modules->prompts);
	memset(modules, 0, sizeof(*modules));
}
