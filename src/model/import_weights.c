/*
 * import_weights.c - a checkpoint's tensors, under the names and with the shapes that the model file gives them.
 *
 * Names are found with and without "bert.", and with LayerNorm's gamma and beta.  Every tensor is accounted for: it
 * goes into the model file, or it says nothing that is not said elsewhere (buffers, tied weights), or it is listed as
 * dropped with the reason, or the checkpoint is refused because of it.
 */
#include "import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SHARDS 1000
#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"

static const char convert_hint[] = "With transformers, AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER) "
								   "writes model.safetensors; use the class "
								   "that config.json names to keep a head.";

/* ---- gathering --------------------------------------------------------------------------------------------------- */

/* "bert.x" -> "x", "LayerNorm.gamma" -> "LayerNorm.weight", "LayerNorm.beta" -> "LayerNorm.bias"; malloc'ed. */
static char *
model_file_name(const char *name)
{
	static const struct
	{
		const char *old, *new;
	} endings[] = {{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}};
	size_t length;
	char *result;

	if (strncmp(name, "bert.", 5) == 0)
		name += 5;
	length = strlen(name);
	result = malloc(length + 2); /* "weight" is one longer than "gamma" */
	if (result == NULL)
		return NULL;
	memcpy(result, name, length + 1);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
	{
		size_t old = strlen(endings[i].old);

		if (length >= old && strcmp(name + length - old, endings[i].old) == 0)
			memcpy(result + length - old, endings[i].new, strlen(endings[i].new) + 1);
	}
	return result;
}

static mb_status
add_tensor(import_weights *weights, const mb_tensor *tensor, const char *name, mb_error *err)
{
	import_tensor *grown;
	char *copy = model_file_name(name);

	if (copy == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	if ((weights->n_tensors & (weights->n_tensors - 1)) == 0) /* full at powers of two */
	{
		grown = realloc(weights->tensors, (weights->n_tensors > 0 ? 2 * weights->n_tensors : 1) * sizeof(*grown));
		if (grown == NULL)
		{
			free(copy);
			return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
		}
		weights->tensors = grown;
	}
	weights->tensors[weights->n_tensors] = (import_tensor){.tensor = *tensor, .name = copy};
	weights->tensors[weights->n_tensors].tensor.name = copy;
	weights->n_tensors++;
	return MB_OK;
}

/* Maps and opens one more safetensors file. */
static mb_status
open_file(import_weights *weights, const char *folder, const char *name, const char *hint, mb_error *err)
{
	import_mapping *mappings = realloc(weights->mappings, (weights->n_files + 1) * sizeof(*mappings));
	mb_safetensors **files;
	char reason[sizeof(err->message)];
	mb_status status;

	if (mappings == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	weights->mappings = mappings;
	files = realloc(weights->files, (weights->n_files + 1) * sizeof(*files));
	if (files == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	weights->files = files;
	weights->files[weights->n_files] = NULL;
	status = import_map(&mappings[weights->n_files], folder, name, hint, err);
	if (status != MB_OK)
	{
		import_unmap(&mappings[weights->n_files]);
		return status;
	}
	weights->n_files++;
	status = mb_safetensors_open(&files[weights->n_files - 1], mappings[weights->n_files - 1].data,
								 mappings[weights->n_files - 1].size, err);
	if (status != MB_OK && err != NULL)
	{
		/* Say which file it is, keeping the detail. */
		memcpy(reason, err->message, sizeof(reason));
		snprintf(err->message, sizeof(err->message), "%.80s: %.200s", name, reason);
	}
	return status;
}

static mb_status
add_file(import_weights *weights, const char *folder, const char *name, mb_error *err)
{
	mb_status status = open_file(weights, folder, name, convert_hint, err);

	for (size_t i = 0; status == MB_OK && i < mb_safetensors_count(weights->files[weights->n_files - 1]); i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(weights->files[weights->n_files - 1], i);

		status = add_tensor(weights, tensor, tensor->name, err);
	}
	return status;
}

static mb_status
add_shard(import_weights *weights, const char *folder, const char *shard, const json_t *weight_map, size_t *n_found,
		  mb_error *err)
{
	mb_status status;

	status =
		open_file(weights, folder, shard, INDEX_FILE " names this file; bring the checkpoint with all its files.", err);
	for (size_t i = 0; status == MB_OK && i < mb_safetensors_count(weights->files[weights->n_files - 1]); i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(weights->files[weights->n_files - 1], i);
		const char *home = json_string_value(json_object_get(weight_map, tensor->name));

		if (home == NULL || strcmp(home, shard) != 0)
			return mb_fail(err, MB_CORRUPT, "%s does not say that tensor \"%.100s\" is in %.80s", INDEX_FILE,
						   tensor->name, shard);
		(*n_found)++;
		status = add_tensor(weights, tensor, tensor->name, err);
	}
	return status;
}

static mb_status
add_shards(import_weights *weights, const char *folder, mb_error *err)
{
	json_t *index, *shards = json_object(), *weight_map, *shard;
	const char *name, *file;
	size_t n_found = 0;
	mb_status status = import_read_json(&index, NULL, folder, INDEX_FILE, convert_hint, err);

	weight_map = json_object_get(index, "weight_map");
	if (status == MB_OK && shards == NULL)
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	if (status == MB_OK && json_object_size(weight_map) == 0)
		status = mb_fail(err, MB_CORRUPT, "%s has no \"weight_map\"", INDEX_FILE);
	if (status == MB_OK)
		json_object_foreach(weight_map, name, shard)
		{
			if (!json_is_string(shard))
			{
				status = mb_fail(err, MB_CORRUPT, "%s gives no file for tensor \"%.100s\"", INDEX_FILE, name);
				break;
			}
			file = json_string_value(shard);
			if (file[0] == '\0' || strchr(file, '/') != NULL || !import_name_is_safe(file))
			{
				status = mb_fail(err, MB_CORRUPT, "%s names a file outside its folder: \"%.100s\"", INDEX_FILE, file);
				break;
			}
			if (json_object_set_new(shards, file, json_true()) != 0)
			{
				status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
				break;
			}
		}
	if (status == MB_OK && json_object_size(shards) > MAX_SHARDS)
		status = mb_fail(err, MB_LIMIT, "%s names more than %d files", INDEX_FILE, MAX_SHARDS);
	if (status == MB_OK)
		json_object_foreach(shards, name, shard)
		{
			status = add_shard(weights, folder, name, weight_map, &n_found, err);
			if (status != MB_OK)
				break;
		}
	if (status == MB_OK && n_found != json_object_size(weight_map))
	{
		status = mb_fail(err, MB_CORRUPT, "tensors that %s names are not in their files", INDEX_FILE);
		mb_detail(err, "It names %zu; %zu are there.", json_object_size(weight_map), n_found);
	}
	json_decref(shards);
	json_decref(index);
	return status;
}

static mb_status
add_checkpoint(import_weights *weights, const char *folder, mb_error *err)
{
	if (import_has(folder, SINGLE_FILE))
		return add_file(weights, folder, SINGLE_FILE, err);
	if (import_has(folder, INDEX_FILE))
		return add_shards(weights, folder, err);
	if (import_has(folder, "adapter_model.safetensors") || import_has(folder, "adapter_config.json"))
	{
		mb_fail(err, MB_UNSUPPORTED, "\"%.200s\" is an adapter, not a whole model", folder);
		mb_hint(err, "Merge it into its base model with peft (merge_and_unload), and save that.");
		return MB_UNSUPPORTED;
	}
	mb_fail(err, MB_CORRUPT, "\"%.200s\" has no %s", folder, SINGLE_FILE);
	if (import_has(folder, "pytorch_model.bin") || import_has(folder, "pytorch_model.bin.index.json"))
		mb_detail(err, "Its weights are in pytorch_model.bin, a Python pickle, which moviebert does not run.");
	else if (import_has(folder, "tf_model.h5") || import_has(folder, "flax_model.msgpack"))
		mb_detail(err, "Its weights are TensorFlow's or Flax's.");
	mb_hint(err, "%s", convert_hint);
	return MB_CORRUPT;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const import_tensor *) a)->name, ((const import_tensor *) b)->name);
}

static import_tensor *
find(const import_weights *weights, const char *name)
{
	size_t low = 0, high = weights->n_tensors;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, weights->tensors[middle].name);

		if (order == 0)
			return &weights->tensors[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static mb_status
sort(import_weights *weights, mb_error *err)
{
	if (weights->n_tensors > 0)
		qsort(weights->tensors, weights->n_tensors, sizeof(*weights->tensors), by_name);
	for (size_t i = 1; i < weights->n_tensors; i++)
		if (by_name(&weights->tensors[i - 1], &weights->tensors[i]) == 0)
		{
			mb_fail(err, MB_CORRUPT, "the checkpoint has tensor \"%.100s\" twice", weights->tensors[i].name);
			mb_detail(err, "Names are the same with and without \"bert.\", and gamma and beta are weight and bias.");
			return MB_CORRUPT;
		}
	return MB_OK;
}

static bool
same_numbers(const mb_tensor *a, const mb_tensor *b)
{
	return a->dtype == b->dtype && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* Takes a tensor into the model file if it is as the spec says. */
static mb_status
take(import_tensor *found, const mb_tensor_spec *spec, mb_error *err)
{
	mb_status status = mb_tensor_check(&found->tensor, spec, err);

	if (status != MB_OK)
		return status;
	found->used = true;
	return MB_OK;
}

static mb_status
missing(const char *name, const char *architecture, mb_error *err)
{
	mb_fail(err, MB_CORRUPT, "the checkpoint has no tensor \"%.100s\"", name);
	mb_detail(err, "config.json says that it is a %s.", architecture);
	return MB_CORRUPT;
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

/* Notes that a tensor's numbers are left out. */
static mb_status
drop(import_weights *weights, import_tensor *tensor, const char *why, mb_error *err)
{
	tensor->dropped = true;
	if (json_object_set_new(weights->dropped, tensor->name, json_string(why)) != 0)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	return MB_OK;
}

/* A Dense module's two tensors, under the names that they have in the model file instead of the checkpoint's own. */
static mb_status
add_dense(import_weights *weights, const char *folder, const char *weight_name, const char *bias_name, bool must_agree,
		  mb_error *err)
{
	const char *const names[2] = {weight_name, bias_name};
	const char *const dense_names[2] = {"linear.weight", "linear.bias"};
	mb_status status = open_file(weights, folder, SINGLE_FILE,
								 "sentence-transformers writes it for a Dense module: "
								 "SentenceTransformer(FOLDER).save(NEW_FOLDER).",
								 err);

	for (int i = 0; i < 2 && status == MB_OK; i++)
	{
		const mb_tensor *tensor = mb_safetensors_find(weights->files[weights->n_files - 1], dense_names[i]);
		import_tensor *own = find(weights, names[i]);

		if (tensor == NULL)
			return mb_fail(err, MB_CORRUPT, "the Dense module has no tensor \"%s\"", dense_names[i]);
		if (own == NULL)
		{
			status = add_tensor(weights, tensor, names[i], err);
			if (status == MB_OK)
				status = sort(weights, err);
			continue;
		}
		if (!same_numbers(&own->tensor, tensor))
		{
			if (must_agree)
				return mb_fail(err, MB_CORRUPT, "the Dense module and tensor \"%s\" disagree", names[i]);
			status = drop(weights, own, "the Dense module takes the pooler's place", err);
			own->dropped = false;
		}
		own->tensor = *tensor;
		own->tensor.name = own->name;
	}
	return status;
}

static mb_status
take_encoder(import_weights *weights, const import_plan *plan, mb_error *err)
{
	mb_tensor_spec spec;
	mb_status status = MB_OK;

	for (size_t i = 0; status == MB_OK && mb_tensor_spec_at(&spec, plan->config, plan->pipeline, i); i++)
	{
		import_tensor *found = find(weights, spec.name);

		if (found != NULL)
			status = take(found, &spec, err);
		else if (spec.required)
		{
			status = missing(spec.name, plan->architecture, err);
			if (strncmp(spec.name, "pooler.", 7) == 0)
				mb_hint(err, "Choose another pooling (mean, cls), or bring a checkpoint with a pooler.");
		}
	}
	if (status == MB_OK &&
		(find(weights, "pooler.dense.weight") == NULL) != (find(weights, "pooler.dense.bias") == NULL))
		status = mb_fail(err, MB_CORRUPT, "the checkpoint has only one of the pooler's two tensors");
	return status;
}

/* The decoder is the word embeddings turned round, where the config does not say otherwise; its bias has two names. */
static mb_status
take_decoder(import_weights *weights, const import_plan *plan, mb_error *err)
{
	mb_tensor_spec weight = {.name = "cls.predictions.decoder.weight",
							 .n_dims = 2,
							 .shape = {plan->config->vocab_size, plan->config->hidden_size}};
	mb_tensor_spec bias = {.name = "cls.predictions.bias", .n_dims = 1, .shape = {plan->config->vocab_size}};
	import_tensor *decoder = find(weights, weight.name), *own_bias = find(weights, bias.name);
	import_tensor *decoder_bias = find(weights, "cls.predictions.decoder.bias");
	const import_tensor *embeddings = find(weights, "embeddings.word_embeddings.weight");
	mb_status status;

	if (own_bias == NULL && decoder_bias == NULL)
		return missing(bias.name, plan->architecture, err);
	if (own_bias != NULL && decoder_bias != NULL)
	{
		if (!same_numbers(&own_bias->tensor, &decoder_bias->tensor))
			return mb_fail(err, MB_CORRUPT, "the masked-LM head has two biases that differ");
		decoder_bias->dropped = true;
	}
	else if (own_bias == NULL)
	{
		memcpy(decoder_bias->name, bias.name, strlen(bias.name) + 1); /* the shorter of the two */
		own_bias = decoder_bias;
	}
	status = take(own_bias, &bias, err);
	if (status != MB_OK || decoder == NULL)
		return status == MB_OK && !plan->tied ? missing(weight.name, plan->architecture, err) : status;
	if (!plan->tied)
		return take(decoder, &weight, err);
	if (!same_numbers(&decoder->tensor, &embeddings->tensor))
	{
		mb_fail(err, MB_CORRUPT,
				"the masked-LM head's decoder is not the word embeddings, to which config.json ties it");
		mb_hint(
			err,
			"If the checkpoint was trained with a decoder of its own, set \"tie_word_embeddings\" in config.json to "
			"false.");
		return MB_CORRUPT;
	}
	decoder->dropped = true;
	return MB_OK;
}

static mb_status
take_masked_lm_head(import_weights *weights, const import_plan *plan, mb_error *err)
{
	static const struct
	{
		const char *name;
		int32_t n_dims;
	} parts[] = {{"cls.predictions.transform.dense.weight", 2},
				 {"cls.predictions.transform.dense.bias", 1},
				 {"cls.predictions.transform.LayerNorm.weight", 1},
				 {"cls.predictions.transform.LayerNorm.bias", 1}};
	bool wanted =
		strcmp(plan->architecture, "BertForMaskedLM") == 0 || strcmp(plan->architecture, "BertForPreTraining") == 0;
	mb_status status = MB_OK;

	for (size_t i = 0; i < weights->n_tensors && !wanted; i++)
		wanted = strncmp(weights->tensors[i].name, "cls.predictions.", 16) == 0;
	if (!wanted)
		return MB_OK;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == MB_OK; i++)
	{
		mb_tensor_spec spec = {.n_dims = parts[i].n_dims,
							   .shape = {plan->config->hidden_size, plan->config->hidden_size}};
		import_tensor *found = find(weights, parts[i].name);

		snprintf(spec.name, sizeof(spec.name), "%s", parts[i].name);
		status = found != NULL ? take(found, &spec, err) : missing(spec.name, plan->architecture, err);
	}
	return status == MB_OK ? take_decoder(weights, plan, err) : status;
}

/* What is left must be something that may be left out. */
static mb_status
account_for_the_rest(import_weights *weights, const import_plan *plan, mb_error *err)
{
	mb_status status = MB_OK;

	for (size_t i = 0; i < weights->n_tensors && status == MB_OK; i++)
	{
		import_tensor *tensor = &weights->tensors[i];

		if (tensor->used || tensor->dropped || strcmp(tensor->name, "embeddings.position_ids") == 0 ||
			strcmp(tensor->name, "embeddings.token_type_ids") == 0) /* buffers: 0, 1, 2, ... and zeros */
			continue;
		if (strncmp(tensor->name, "cls.seq_relationship.", 21) == 0)
		{
			status = drop(weights, tensor, "the next-sentence head is used for pretraining only", err);
			continue;
		}
		status =
			mb_fail(err, MB_UNSUPPORTED, "tensor \"%.100s\" has no place in a %s", tensor->name, plan->architecture);
		if (strncmp(tensor->name, "encoder.layer.", 14) == 0)
			mb_detail(err, "config.json says that there are %d layers.", plan->config->num_hidden_layers);
		mb_hint(
			err,
			"moviebert leaves out nothing that it does not know.  If the architecture in config.json is right, save "
			"the checkpoint with transformers' class of that name.");
	}
	return status;
}

mb_status
import_weights_read(import_weights *weights, const import_plan *plan, mb_error *err)
{
	mb_status status;

	memset(weights, 0, sizeof(*weights));
	weights->dropped = json_object();
	if (weights->dropped == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	status = add_checkpoint(weights, plan->modules->transformer, err);
	if (status == MB_OK)
		status = sort(weights, err);
	if (status == MB_OK && plan->modules->pooler != NULL)
		status = add_dense(weights, plan->modules->pooler, "pooler.dense.weight", "pooler.dense.bias", false, err);
	if (status == MB_OK && plan->modules->head != NULL)
		status = add_dense(weights, plan->modules->head, "classifier.weight", "classifier.bias", true, err);
	if (status == MB_OK)
		status = take_encoder(weights, plan, err);
	if (status == MB_OK)
		status = take_masked_lm_head(weights, plan, err);
	if (status == MB_OK)
		status = account_for_the_rest(weights, plan, err);
	if (status != MB_OK)
		import_weights_free(weights);
	return status;
}

void
import_weights_free(import_weights *weights)
{
	for (size_t i = 0; i < weights->n_files; i++)
	{
		mb_safetensors_close(weights->files[i]);
		import_unmap(&weights->mappings[i]);
	}
	for (size_t i = 0; i < weights->n_tensors; i++)
		free(weights->tensors[i].name);
	free(weights->files);
	free(weights->mappings);
	free(weights->tensors);
	json_decref(weights->dropped);
	memset(weights, 0, sizeof(*weights));
}
