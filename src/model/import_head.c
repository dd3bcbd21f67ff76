/* import_head.c - the labels of a classification head, and what moviebert.json keeps of a model that was exported. */
#include "import.h"

#include <stdio.h>
#include <string.h>

#include "names.h"

/* ---- labels of config.json --------------------------------------------------------------------------------------- */

static json_t *
tag_json(const char *name)
{
	return json_pack("{s:s, s:n, s:n}", "name", name, "threshold", "support");
}

/* id2label, whose keys are "0", "1", ...; without it num_labels labels LABEL_0, LABEL_1, ..., and without both there
 * are two. */
static mb_status
read_labels(import_head *head, const json_t *config, mb_error *err)
{
	const json_t *labels = json_object_get(config, "id2label");
	size_t n = json_object_size(labels);
	int32_t stated = 0;
	json_t *seen;
	mb_status status = mb_json_int(config, "num_labels", 1, 1 << 20, &stated, "config.json", err);

	if (status != MB_OK)
		return status;
	if (labels != NULL && !json_is_null(labels) && n == 0)
		return mb_fail(err, MB_CORRUPT, "id2label of config.json is not an object with labels");
	if (n > 0 && stated > 0 && n != (size_t) stated)
	{
		mb_fail(err, MB_CORRUPT, "id2label and num_labels of config.json disagree");
		mb_detail(err, "The one has %zu labels, the other says %d.", n, stated);
		return MB_CORRUPT;
	}
	if (n > 1 << 20)
		return mb_fail(err, MB_LIMIT, "config.json has more than %d labels", 1 << 20);
	head->num_labels = n > 0 ? (int32_t) n : stated > 0 ? stated : 2;
	head->tags = json_array();
	seen = json_object();
	for (int32_t i = 0; i < head->num_labels && status == MB_OK; i++)
	{
		char key[16], name[32];
		const char *label = name;

		snprintf(key, sizeof(key), "%d", i);
		snprintf(name, sizeof(name), "LABEL_%d", i);
		if (n > 0)
			label = json_string_value(json_object_get(labels, key));
		if (label == NULL || label[0] == '\0')
		{
			status = mb_fail(err, MB_CORRUPT, "id2label of config.json has no label %d", i);
			mb_detail(err, "Its keys must be \"0\" to \"%d\", its values not empty.", head->num_labels - 1);
		}
		else if (json_object_get(seen, label) != NULL)
			status = mb_fail(err, MB_CORRUPT, "id2label of config.json has the label \"%.100s\" twice", label);
		else if (json_object_set_new(seen, label, json_true()) != 0 ||
				 json_array_append_new(head->tags, tag_json(label)) != 0)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	json_decref(seen);
	return status;
}

/* Without a problem_type the reference takes one label for a regression, and more for a choice of one. */
static mb_status
read_problem(import_head *head, const json_t *config, mb_error *err)
{
	const char *type = NULL;
	mb_status status = mb_json_string(config, "problem_type", &type, "config.json", err);

	if (status != MB_OK)
		return status;
	if (type == NULL)
		head->problem = head->num_labels == 1 ? MB_REGRESSION : MB_SINGLE_LABEL;
	else if (strcmp(type, "single_label_classification") == 0)
		head->problem = MB_SINGLE_LABEL;
	else if (strcmp(type, "multi_label_classification") == 0)
		head->problem = MB_MULTI_LABEL;
	else if (strcmp(type, "regression") == 0)
		head->problem = MB_REGRESSION;
	else
	{
		mb_fail(err, MB_UNSUPPORTED, "problem_type \"%.100s\" is not supported", type);
		mb_detail(err, "There are single_label_classification, multi_label_classification and regression.");
		return MB_UNSUPPORTED;
	}
	return MB_OK;
}

static json_t *
head_json(mb_problem problem, const char *kind)
{
	return json_pack("{s:s, s:s}", "problem", mb_problem_name(problem), "kind", kind);
}

/* ---- moviebert.json ---------------------------------------------------------------------------------------------- */

static mb_status
read_own_file(json_t **own, import_head *head, const char *folder, mb_error *err)
{
	static const char what[] = CHECKPOINT_OWN_FILE;
	int32_t format = 0;
	const json_t *pooling, *card;
	mb_status status = import_read_json(own, NULL, folder, what, NULL, err);

	if (status != MB_OK || *own == NULL)
		return status;
	pooling = json_object_get(*own, "pooling");
	card = json_object_get(*own, "card");
	status = mb_json_int(*own, "format", 1, INT32_MAX, &format, what, err);
	if (status == MB_OK && format != 1)
	{
		status = mb_fail(err, MB_UNSUPPORTED, "%s is of format %d, which is not known here", what, format);
		mb_hint(err, "It was written by another version of moviebert; import it with that.");
	}
	if (status == MB_OK)
		status = mb_json_int(pooling, "max_length", 3, INT32_MAX, &head->max_length, what, err);
	if (status == MB_OK)
		status = mb_json_int(pooling, "window_stride", 1, INT32_MAX, &head->window_stride, what, err);
	if (status == MB_OK && card != NULL && !json_is_null(card) && !json_is_object(card))
		status = mb_fail(err, MB_CORRUPT, "member \"card\" of %s is not an object", what);
	if (status == MB_OK && json_is_object(card))
		head->card = json_deep_copy(card);
	return status;
}

/* The tags with their thresholds, rebuilt from what a tag may have. */
static mb_status
read_own_tags(json_t **tags, const json_t *own, mb_error *err)
{
	const json_t *list = json_object_get(own, "tags");
	const json_t *entry;
	size_t i;

	*tags = json_array();
	json_array_foreach(list, i, entry)
	{
		const json_t *name = json_object_get(entry, "name");
		json_t *threshold = json_object_get(entry, "threshold"), *support = json_object_get(entry, "support");
		json_t *tag;

		if (json_string_length(name) == 0)
			return mb_fail(err, MB_CORRUPT, "tag %zu of %s has no name", i, CHECKPOINT_OWN_FILE);
		if (threshold != NULL && !json_is_null(threshold) && !json_is_number(threshold))
			return mb_fail(err, MB_CORRUPT, "the threshold of tag \"%.100s\" in %s is not a number",
						   json_string_value(name), CHECKPOINT_OWN_FILE);
		if (support != NULL && !json_is_null(support) && !json_is_integer(support))
			return mb_fail(err, MB_CORRUPT, "the support of tag \"%.100s\" in %s is not a whole number",
						   json_string_value(name), CHECKPOINT_OWN_FILE);
		tag = tag_json(json_string_value(name));
		if (threshold != NULL)
			json_object_set(tag, "threshold", threshold);
		if (support != NULL)
			json_object_set(tag, "support", support);
		if (json_array_append_new(*tags, tag) != 0)
			return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	return MB_OK;
}

/* A classifier's labels are config.json's; their thresholds come from moviebert.json where it has the same labels. */
static mb_status
merge_thresholds(import_head *head, const json_t *own, mb_error *err)
{
	json_t *tags;
	mb_status status = read_own_tags(&tags, own, err);
	bool same = status == MB_OK && json_array_size(tags) == json_array_size(head->tags);

	for (size_t i = 0; same && i < json_array_size(tags); i++)
		same = json_equal(json_object_get(json_array_get(tags, i), "name"),
						  json_object_get(json_array_get(head->tags, i), "name"));
	if (same)
	{
		json_decref(head->tags);
		head->tags = tags;
		return MB_OK;
	}
	json_decref(tags);
	if (status == MB_OK)
	{
		status = mb_fail(err, MB_CORRUPT, "the tags of %s are not the labels of config.json", CHECKPOINT_OWN_FILE);
		mb_hint(err, "If the labels were changed after the export, remove %s: it belongs to the old ones.",
				CHECKPOINT_OWN_FILE);
	}
	return status;
}

/* The head of a tagger, which has a folder of its own. */
static mb_status
read_tagger(import_head *head, const json_t *own, mb_error *err)
{
	const char *problem = NULL;
	mb_status status =
		mb_json_string(json_object_get(own, "head"), "problem", &problem, "\"head\" of " CHECKPOINT_OWN_FILE, err);

	if (status != MB_OK)
		return status;
	for (int i = 0; problem != NULL && i < N_PROBLEMS; i++)
		if (strcmp(problem, problem_names[i]) == 0)
			head->problem = (mb_problem) (i + MB_MULTI_LABEL);
	if (head->problem == MB_NO_HEAD)
	{
		mb_fail(err, MB_CORRUPT, "%s does not say what the head in %s is for", CHECKPOINT_OWN_FILE,
				CHECKPOINT_HEAD_FOLDER);
		mb_detail(err, "\"problem\" of its \"head\" must be multi_label, single_label or regression.");
		return MB_CORRUPT;
	}
	status = read_own_tags(&head->tags, own, err);
	head->num_labels = (int32_t) json_array_size(head->tags);
	if (status == MB_OK && head->num_labels == 0)
		status = mb_fail(err, MB_CORRUPT, "%s has a head, but no tags", CHECKPOINT_OWN_FILE);
	return status;
}

mb_status
import_head_read(import_head *head, const char *folder, const json_t *config, const import_modules *modules,
				 mb_error *err)
{
	bool classifier = strcmp(mb_config_architecture(config), "BertForSequenceClassification") == 0;
	json_t *own;
	mb_status status;

	memset(head, 0, sizeof(*head));
	status = read_own_file(&own, head, folder, err);
	if (status == MB_OK && classifier)
	{
		status = read_labels(head, config, err);
		if (status == MB_OK)
			status = read_problem(head, config, err);
		if (status == MB_OK && json_array_size(json_object_get(own, "tags")) > 0)
			status = merge_thresholds(head, own, err);
	}
	else if (status == MB_OK && modules->head != NULL)
		status = read_tagger(head, own, err);
	else if (status == MB_OK && json_array_size(json_object_get(own, "tags")) > 0)
	{
		status = mb_fail(err, MB_CORRUPT, "%s has tags, but the folder %s is not there", CHECKPOINT_OWN_FILE,
						 CHECKPOINT_HEAD_FOLDER);
		mb_hint(err, "Bring the export with all its folders, or remove %s to import the encoder alone.",
				CHECKPOINT_OWN_FILE);
	}
	if (status == MB_OK && head->num_labels > 0)
		head->head = head_json(head->problem, classifier ? "classifier" : "tagger");
	json_decref(own);
	if (status != MB_OK)
		import_head_free(head);
	return status;
}

void
import_head_free(import_head *head)
{
	json_decref(head->head);
	json_decref(head->tags);
	json_decref(head->card);
	memset(head, 0, sizeof(*head));
}
