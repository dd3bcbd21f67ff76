/* predictions_file.c - predictions to and from their safetensors file; nothing of a file is trusted. */
#include "predictions.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "model_source.h"
#include "moviebert/safetensors.h"

#define METADATA_KEY "moviebert.predictions"
#define FORMAT_VERSION 1

static mb_tensor
tensor(const char *name, mb_dtype dtype, size_t rows, size_t columns, const void *data)
{
	mb_tensor t = {.name = name, .dtype = dtype, .n_dims = columns > 0 ? 2 : 1, .data = data};

	t.shape[0] = (int64_t) rows;
	t.shape[1] = (int64_t) columns;
	t.bytes = rows * (columns > 0 ? columns : 1) * mb_dtype_size(dtype);
	return t;
}

mb_status
predictions_write(const predictions *p, const char *path, mb_error *err)
{
	mb_tensor tensors[7] = {tensor("scores", MB_F32, p->n_rows, p->n_tags, p->scores),
							tensor("labels", MB_U8, p->n_rows, p->n_tags, p->labels),
							tensor("thresholds", MB_F32, p->n_tags, 0, p->thresholds),
							tensor("keys", MB_U64, p->n_rows, 0, p->keys),
							tensor("texts", MB_U8, p->n_rows, PREDICTIONS_TEXT_BYTES, p->texts),
							tensor("lengths", MB_U32, p->n_rows, 0, p->lengths)};
	size_t n_tensors = 6, l;
	json_t *tags = json_array(), *root;
	mb_metadata metadata = {METADATA_KEY, NULL};
	mb_status status;
	char *text;

	if (p->known != NULL)
		tensors[n_tensors++] = tensor("known", MB_U8, p->n_rows, p->n_tags, p->known);
	for (l = 0; l < p->n_tags; l++)
		json_array_append_new(tags, json_string(p->tags[l]));
	root = json_pack("{s:i, s:s, s:o, s:s?, s:s?, s:o}", "version", FORMAT_VERSION, "model_sha256", p->model_sha256,
					 "seed", p->has_seed ? json_integer(p->seed) : json_null(), "key", p->key, "query", p->query,
					 "tags", tags);
	if (root == NULL)
		return mb_fail(err, MB_INVALID_ARGUMENT, "predictions for \"%.200s\" have names that are not valid UTF-8",
					   path);
	text = json_dumps(root, JSON_COMPACT);
	metadata.value = text;
	status = mb_safetensors_write(path, tensors, n_tensors, &metadata, 1, err);
	free(text);
	json_decref(root);
	return status;
}

/* A file that is read. */
typedef struct reader
{
	const char *path;
	mb_safetensors *file;
	mb_error *err;
} reader;

static mb_status
corrupt(const reader *r, const char *detail, const char *what)
{
	mb_fail(r->err, MB_CORRUPT, "\"%.200s\" is not a file of predictions", r->path);
	mb_detail(r->err, detail, what);
	return MB_CORRUPT;
}

/* The data of a tensor, of this kind exactly; columns 0: one dimension. */
static mb_status
find(const reader *r, const char *name, mb_dtype dtype, size_t rows, size_t columns, const void **data)
{
	const mb_tensor *t = mb_safetensors_find(r->file, name);

	if (t == NULL)
		return corrupt(r, "It has no tensor \"%s\".", name);
	if (t->dtype != dtype || t->n_dims != (columns > 0 ? 2 : 1) || t->shape[0] != (int64_t) rows ||
		(columns > 0 && t->shape[1] != (int64_t) columns))
		return corrupt(r, "Tensor \"%s\" has another type or shape than the others call for.", name);
	*data = t->data;
	return MB_OK;
}

static mb_status
read_flags(const reader *r, const char *name, uint8_t *out, size_t rows, size_t columns)
{
	const void *data;
	mb_status status = find(r, name, MB_U8, rows, columns, &data);
	size_t i;

	if (status != MB_OK)
		return status;
	memcpy(out, data, rows * columns);
	for (i = 0; i < rows * columns; i++)
		if (out[i] > 1)
			return corrupt(r, "Tensor \"%s\" has a value other than 0 and 1.", name);
	return MB_OK;
}

static mb_status
read_numbers(const reader *r, const char *name, float *out, size_t rows, size_t columns, bool share)
{
	const void *data;
	mb_status status = find(r, name, MB_F32, rows, columns, &data);
	size_t n = rows * (columns > 0 ? columns : 1), i;

	if (status != MB_OK)
		return status;
	memcpy(out, data, n * sizeof(float));
	for (i = 0; i < n; i++)
		if (!isfinite(out[i]) || (share && (out[i] < 0 || out[i] > 1)))
			return corrupt(r,
						   share ? "Tensor \"%s\" has a value outside 0 to 1."
								 : "Tensor \"%s\" has a value that is not finite.",
						   name);
	return MB_OK;
}

static mb_status
read_tensors(const reader *r, predictions *p)
{
	const void *data;
	mb_status status = read_numbers(r, "scores", p->scores, p->n_rows, p->n_tags, true);

	if (status == MB_OK)
		status = read_flags(r, "labels", p->labels, p->n_rows, p->n_tags);
	if (status == MB_OK && p->known != NULL)
		status = read_flags(r, "known", p->known, p->n_rows, p->n_tags);
	if (status == MB_OK)
		status = read_numbers(r, "thresholds", p->thresholds, p->n_tags, 0, false);
	if (status == MB_OK)
		status = find(r, "keys", MB_U64, p->n_rows, 0, &data);
	if (status == MB_OK)
		memcpy(p->keys, data, p->n_rows * sizeof(uint64_t));
	if (status == MB_OK)
		status = find(r, "texts", MB_U8, p->n_rows, PREDICTIONS_TEXT_BYTES, &data);
	if (status == MB_OK)
		memcpy(p->texts, data, p->n_rows * PREDICTIONS_TEXT_BYTES);
	if (status == MB_OK)
		status = find(r, "lengths", MB_U32, p->n_rows, 0, &data);
	if (status == MB_OK)
		memcpy(p->lengths, data, p->n_rows * sizeof(uint32_t));
	return status;
}

/* NULL for null, for what is absent, and for what is no string. */
static char *
copied_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? copy_string(text) : NULL;
}

/* The strings and the seed, after predictions_init. */
static mb_status
read_names(const reader *r, const json_t *about, predictions *p)
{
	const json_t *tags = json_object_get(about, "tags"), *seed = json_object_get(about, "seed");
	const char *digest = json_string_value(json_object_get(about, "model_sha256"));
	size_t l;

	for (l = 0; l < p->n_tags; l++)
	{
		const char *name = json_string_value(json_array_get(tags, l));

		if (name == NULL)
			return corrupt(r, "%s", "A tag's name is not a string.");
		p->tags[l] = copy_string(name);
	}
	if (seed != NULL && !json_is_null(seed) && !json_is_integer(seed))
		return corrupt(r, "%s", "Its seed is not a whole number.");
	p->has_seed = json_is_integer(seed);
	p->seed = json_integer_value(seed);
	if (digest != NULL && strlen(digest) < SHA256_HEX)
		memcpy(p->model_sha256, digest, strlen(digest) + 1);
	p->key = copied_string(about, "key");
	p->query = copied_string(about, "query");
	return MB_OK;
}

static mb_status
read_about(const reader *r, const json_t *about, predictions *p)
{
	const mb_tensor *scores = mb_safetensors_find(r->file, "scores");
	mb_status status;
	size_t l;

	if (scores == NULL)
		return corrupt(r, "It has no tensor \"%s\".", "scores");
	if (!json_is_array(json_object_get(about, "tags")) || scores->n_dims != 2 || scores->shape[0] < 1 ||
		scores->shape[1] < 1 || scores->shape[1] != (int64_t) json_array_size(json_object_get(about, "tags")))
		return corrupt(r, "%s", "Its scores are not a table of at least one row, with a column for each of its tags.");
	if (scores->shape[0] > PREDICTIONS_MAX_ROWS)
		return mb_fail(r->err, MB_LIMIT, "\"%.200s\" has more than %d rows", r->path, PREDICTIONS_MAX_ROWS);
	predictions_init(p, (size_t) scores->shape[0], (size_t) scores->shape[1],
					 mb_safetensors_find(r->file, "known") == NULL);
	status = read_names(r, about, p);
	if (status == MB_OK)
		status = read_tensors(r, p);
	if (status != MB_OK)
		return status;
	predictions_sort(p);
	for (l = 1; l < p->n_tags; l++)
		if (strcmp(p->tags[l - 1], p->tags[l]) == 0)
			return corrupt(r, "It has tag \"%.100s\" twice.", p->tags[l]);
	return MB_OK;
}

mb_status
predictions_read(predictions *p, const char *path, mb_error *err)
{
	reader r = {path, NULL, err};
	const void *data;
	const char *text;
	size_t size;
	json_t *about = NULL;
	mb_status status;

	memset(p, 0, sizeof(*p));
	status = map_file(path, &data, &size, err);
	if (status != MB_OK)
		return status;
	status = mb_safetensors_open(&r.file, data, size, err);
	if (status == MB_OK)
	{
		text = mb_safetensors_metadata(r.file, METADATA_KEY);
		about = text != NULL ? json_loads(text, 0, NULL) : NULL;
		if (!json_is_object(about))
			status = corrupt(&r, "Its metadata has no JSON object \"%s\".", METADATA_KEY);
		else if (json_integer_value(json_object_get(about, "version")) != FORMAT_VERSION)
		{
			status =
				mb_fail(err, MB_UNSUPPORTED, "\"%.200s\" has predictions in another version of their format", path);
			mb_hint(err, "Write it again with this moviebert evaluate.");
		}
		else
			status = read_about(&r, about, p);
		json_decref(about);
		mb_safetensors_close(r.file);
	}
	munmap((void *) data, size);
	if (status != MB_OK)
		predictions_release(p);
	return status;
}
