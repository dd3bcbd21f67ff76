/* test_export.c - folders for transformers and sentence-transformers, and their way back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "moviebert/model.h"
#include "test/unit/checkpoint_copy.h"
#include "test/unit/failing_disk.h"

static const char *const checkpoints[] = {
	"bert-model",    "bf16",           "cased",    "fp16",         "gamma-beta",     "masked-lm",
	"multi-label",   "pre-training",   "prefixed", "regression",   "sentence-cls",   "sentence-dense",
	"sentence-mean", "sentence-saved", "sharded",  "single-label", "tokenizer-json",
};

static void
must(mb_status status, const mb_error *err)
{
	if (status != MB_OK)
		fail_msg("%s|%s|%s", err->message, err->detail, err->hint);
}

/* Golden checkpoint -> folder/name. */
static void
import_golden(const char *checkpoint, const char *folder, const char *name)
{
	char from[100];
	mb_error err;

	snprintf(from, sizeof(from), "test/golden/checkpoints/%s", checkpoint);
	must(mb_import(from, in_folder(folder, name), NULL, &err), &err);
}

/* folder/name -> folder/exported -> folder/again. */
static void
there_and_back(const char *folder, const char *name, bool as_tagger)
{
	mb_model *model;
	mb_error err;
	mb_import_options options = {0};

	must(mb_model_open_file(&model, in_folder(folder, name), &err), &err);
	must(mb_export(model, in_folder(folder, "exported"), as_tagger, &err), &err);
	options.long_text = model->pipeline.long_text;
	must(mb_import(in_folder(folder, "exported"), in_folder(folder, "again"), &options, &err), &err);
	mb_model_close(model);
}

/* folder/base with a head of two tags -> folder/tagger. */
static void
add_head(const char *folder)
{
	static const mb_tag tags[] = {{"horror|gore", 0.123456789f, 17}, {"komödie", NAN, -1}};
	float weight[2 * 20], bias[2] = {-1.5f, 0.25f};
	const mb_head head = {.problem = MB_MULTI_LABEL,
						  .num_labels = 2,
						  .weight = weight,
						  .bias = bias,
						  .tags = tags,
						  .card_json = "{\"metrics\": {\"micro_f1\": 0.123456789012}, \"rows\": 100}"};
	mb_model *base;
	mb_error err;

	for (int i = 0; i < 40; i++)
		weight[i] = (float) i / 7.0f - 2.0f;
	must(mb_model_open_file(&base, in_folder(folder, "base"), &err), &err);
	must(mb_model_write_with_head(base, &head, in_folder(folder, "tagger"), &err), &err);
	mb_model_close(base);
}

/* JSON text of a member (a path of keys and indexes) of a file in folder/exported; "" where there is none. */
static const char *
exported_member(const char *folder, const char *file, const char *member)
{
	static char text[2000];
	char path[200], *key, *rest = path;
	json_t *top, *at;

	snprintf(path, sizeof(path), "exported/%s", file);
	top = json_load_file(in_folder(folder, path), 0, NULL);
	if (top == NULL)
		fail_msg("%s is not JSON", file);
	at = top;
	snprintf(path, sizeof(path), "%s", member);
	while ((key = strtok_r(rest, "/", &rest)) != NULL)
		at = json_is_array(at) ? json_array_get(at, (size_t) atoi(key)) : json_object_get(at, key);
	text[at != NULL ? json_dumpb(at, text, sizeof(text) - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : 0] = '\0';
	json_decref(top);
	return text;
}

static bool
exported_has(const char *folder, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "exported/%s", name);
	return access(in_folder(folder, path), F_OK) == 0;
}

/* ---- round trips ------------------------------------------------------------------------------------------------- */

static void
test_every_checkpoint_comes_back(void **state)
{
	(void) state;
	for (size_t i = 0; i < sizeof(checkpoints) / sizeof(checkpoints[0]); i++)
	{
		char *folder = new_folder();

		import_golden(checkpoints[i], folder, "model");
		there_and_back(folder, "model", false);
		if (!same_file(in_folder(folder, "model"), in_folder(folder, "again")))
			fail_msg("%s comes back as another model", checkpoints[i]);
		remove_folder(folder);
	}
}

static void
test_tagger_comes_back(void **state)
{
	static const char *const bases[] = {"bert-model", "sentence-mean", "sentence-cls", "sentence-dense", "masked-lm"};

	(void) state;
	for (size_t i = 0; i < 2 * sizeof(bases) / sizeof(bases[0]); i++)
	{
		char *folder = new_folder();

		import_golden(bases[i / 2], folder, "base");
		add_head(folder);
		there_and_back(folder, "tagger", i % 2 == 1);
		if (!same_file(in_folder(folder, "tagger"), in_folder(folder, "again")))
			fail_msg("a tagger on %s comes back as another model", bases[i / 2]);
		remove_folder(folder);
	}
}

/* The base's labels are gone with its head, so that nobody loads a BertForSequenceClassification with random weights.
 */
static void
test_tagger_on_a_classifier(void **state)
{
	char *folder = new_folder();
	mb_model *model;
	mb_error err;

	(void) state;
	import_golden("single-label", folder, "base");
	add_head(folder);
	there_and_back(folder, "tagger", false);
	assert_string_equal(exported_member(folder, "config.json", "architectures"), "[\"BertModel\"]");
	assert_string_equal(exported_member(folder, "config.json", "id2label"), "");
	assert_string_equal(exported_member(folder, "config.json", "problem_type"), "");
	must(mb_model_open_file(&model, in_folder(folder, "again"), &err), &err);
	assert_string_equal(model->kind, "tagger");
	assert_string_equal(model->tags[0].name, "horror|gore");
	assert_true(model->tags[0].threshold == 0.123456789f);
	assert_int_equal(model->tags[0].support, 17);
	assert_int_equal(model->pipeline.pooling, MB_POOL_POOLER);
	mb_model_close(model);
	remove_folder(folder);
}

static void
test_classifier_as_tagger(void **state)
{
	static const edit spoiled = {"exported/moviebert_head/model.safetensors", "linear.bias/!", ""};
	static const edit not_linear = {"exported/moviebert_head/config.json", "activation_function",
									"\"torch.nn.modules.activation.Tanh\""};
	char *folder = new_folder();
	mb_error err;

	(void) state;
	import_golden("multi-label", folder, "model");
	there_and_back(folder, "model", true);
	assert_true(same_file(in_folder(folder, "model"), in_folder(folder, "again")));
	assert_string_equal(exported_member(folder, "modules.json", "2/path"), "\"2_Dense\"");
	assert_string_equal(exported_member(folder, "modules.json", "3/path"), "\"moviebert_head\"");

	apply_edit(folder, &spoiled);
	assert_int_equal(mb_import(in_folder(folder, "exported"), in_folder(folder, "x"), NULL, &err), MB_CORRUPT);
	assert_true(error_says(&err, "the Dense module and tensor \"classifier.bias\" disagree"));
	apply_edit(folder, &not_linear);
	assert_int_equal(mb_import(in_folder(folder, "exported"), in_folder(folder, "x"), NULL, &err), MB_CORRUPT);
	assert_true(error_says(&err, "the Dense module with the tags has activation \"Tanh\""));
	remove_folder(folder);
}

static void
test_head_and_its_description_belong_together(void **state)
{
	static const struct
	{
		edit change;
		const char *message;
	} cases[] = {
		{{"exported/moviebert.json", "head/problem", "\"guess\""},
		 "does not say what the head in moviebert_head is for"},
		{{"exported/moviebert.json", "head", "null"}, "does not say what the head in moviebert_head is for"},
		{{"exported/moviebert.json", "tags", "[]"}, "moviebert.json has a head, but no tags"},
		{{"exported/moviebert.json", "tags/1", NULL}, "tensor \"classifier.weight\" has the wrong shape"},
		{{"exported/moviebert_head/model.safetensors", NULL, NULL}, "has no model.safetensors"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char *folder = new_folder();
		mb_error err;

		import_golden("sentence-mean", folder, "base");
		add_head(folder);
		there_and_back(folder, "tagger", true);
		apply_edit(folder, &cases[i].change);
		assert_int_equal(mb_import(in_folder(folder, "exported"), in_folder(folder, "x"), NULL, &err), MB_CORRUPT);
		if (!error_says(&err, cases[i].message))
			fail_msg("\"%s\" instead of \"%s\"", err.message, cases[i].message);
		remove_folder(folder);
	}
}

/* ---- what is in the folder --------------------------------------------------------------------------------------- */

static void
test_files(void **state)
{
	char *folder = new_folder();
	char *text;
	size_t size;

	(void) state;
	import_golden("sentence-mean", folder, "base");
	add_head(folder);
	there_and_back(folder, "tagger", false);
	assert_true(same_file(in_folder(folder, "exported/vocab.txt"), "test/golden/checkpoints/sentence-mean/vocab.txt"));
	assert_true(
		same_file(in_folder(folder, "exported/config.json"), "test/golden/checkpoints/sentence-mean/config.json"));
	assert_string_equal(exported_member(folder, "sentence_bert_config.json", "max_seq_length"), "32");
	assert_string_equal(exported_member(folder, "tokenizer_config.json", "model_max_length"), "32");
	assert_string_equal(exported_member(folder, "tokenizer_config.json", "do_lower_case"), "true");
	assert_string_equal(exported_member(folder, "1_Pooling/config.json", "pooling_mode_mean_tokens"), "true");
	assert_string_equal(exported_member(folder, "modules.json", "2/type"),
						"\"sentence_transformers.models.Normalize\"");
	assert_string_equal(exported_member(folder, "modules.json", "3"), "");
	assert_true(exported_has(folder, "2_Normalize/config.json"));
	assert_true(exported_has(folder, "moviebert_head/model.safetensors"));
	assert_string_equal(exported_member(folder, "moviebert_head/config.json", "out_features"), "2");

	/* The head is not where transformers would look for another one. */
	text = read_whole(in_folder(folder, "exported/model.safetensors"), &size);
	assert_null(strstr(text + 8, "classifier"));
	free(text);
	text = read_whole(in_folder(folder, "exported/README.md"), &size);
	assert_non_null(strstr(text, "| horror\\|gore | 0.1235 | 17 |\n| komödie |  | |\n"));
	assert_non_null(strstr(text, "one every 23 tokens"));
	free(text);
	remove_folder(folder);
}

static void
test_names_of_tensors(void **state)
{
	static const struct
	{
		const char *checkpoint, *there, *not_there;
	} cases[] = {
		{"bert-model", "\"embeddings.word_embeddings.weight\"", "\"bert."},
		{"masked-lm", "\"bert.embeddings.word_embeddings.weight\"", "\"bert.cls."},
		{"masked-lm", "\"cls.predictions.bias\"", "\"cls.predictions.decoder.weight\""},
		{"single-label", "\"bert.pooler.dense.weight\"", "\"bert.classifier."},
		{"single-label", "\"classifier.weight\"", "\"pooler.dense.weight\""},
		{"single-label", "\"__metadata__\":{\"format\":\"pt\"}", "moviebert"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char *folder = new_folder();
		char *header;
		size_t size;

		import_golden(cases[i].checkpoint, folder, "model");
		there_and_back(folder, "model", false);
		header = read_whole(in_folder(folder, "exported/model.safetensors"), &size);
		header[8 + (unsigned char) header[0] + 256 * (unsigned char) header[1]] = '\0';
		assert_non_null(strstr(header + 8, cases[i].there));
		assert_null(strstr(header + 8, cases[i].not_there));
		free(header);
		remove_folder(folder);
	}
}

/* What only moviebert.json knows, and what it must not override. */
static void
test_own_file(void **state)
{
	static const edit stride = {"exported/moviebert.json", "pooling/window_stride", "7"};
	static const edit shorter = {"exported/sentence_bert_config.json", "max_seq_length", "20"};
	char *folder = new_folder();
	mb_model *model;
	mb_error err;

	(void) state;
	import_golden("sentence-mean", folder, "model");
	there_and_back(folder, "model", false);
	apply_edit(folder, &stride);
	must(mb_import(in_folder(folder, "exported"), in_folder(folder, "x"), NULL, &err), &err);
	must(mb_model_open_file(&model, in_folder(folder, "x"), &err), &err);
	assert_int_equal(model->pipeline.window_stride, 7);
	mb_model_close(model);
	apply_edit(folder, &shorter);
	must(mb_import(in_folder(folder, "exported"), in_folder(folder, "x"), NULL, &err), &err);
	must(mb_model_open_file(&model, in_folder(folder, "x"), &err), &err);
	assert_int_equal(model->pipeline.max_length, 20);
	assert_int_equal(model->pipeline.window_stride, 14);
	mb_model_close(model);
	remove_folder(folder);
}

static void
test_prompts(void **state)
{
	char *folder = new_folder();
	mb_error err;
	static const edit change = {"checkpoint/config_sentence_transformers.json", "prompts", "{\"query\": \"query: \"}"};

	(void) state;
	copy_checkpoint("sentence-mean", in_folder(folder, "checkpoint"));
	apply_edit(folder, &change);
	must(mb_import(in_folder(folder, "checkpoint"), in_folder(folder, "model"), NULL, &err), &err);
	there_and_back(folder, "model", false);
	assert_string_equal(exported_member(folder, "config_sentence_transformers.json", "prompts"),
						"{\"query\": \"query: \"}");
	assert_true(same_file(in_folder(folder, "model"), in_folder(folder, "again")));
	remove_folder(folder);
}

/* Google's first configs do not say what they are of; transformers must know. */
static void
test_old_config(void **state)
{
	static const edit type = {"checkpoint/config.json", "model_type", NULL};
	static const edit architectures = {"checkpoint/config.json", "architectures", NULL};
	char *folder = new_folder();
	mb_error err;

	(void) state;
	copy_checkpoint("bert-model", in_folder(folder, "checkpoint"));
	apply_edit(folder, &type);
	apply_edit(folder, &architectures);
	must(mb_import(in_folder(folder, "checkpoint"), in_folder(folder, "model"), NULL, &err), &err);
	there_and_back(folder, "model", false);
	assert_string_equal(exported_member(folder, "config.json", "model_type"), "\"bert\"");
	assert_string_equal(exported_member(folder, "config.json", "architectures"), "[\"BertModel\"]");
	assert_string_equal(exported_member(folder, "config.json", "layer_norm_eps"), "1e-12");
	remove_folder(folder);
}

/* ---- trained models ---------------------------------------------------------------------------------------------- */

#define MAX_TENSORS 64

/* folder/base with three other tags on its pooler, as finetune writes a classifier -> folder/classifier. */
static void
train_classifier(const char *folder)
{
	static const mb_tag tags[] = {{"horror", 0.25f, 31}, {"film d'\xc3\xa9t\xc3\xa9", 0.5f, 12}, {"love", NAN, -1}};
	float weight[3 * 20], bias[3] = {-1.5f, 0.25f, 0.0f};
	mb_tensor tensors[MAX_TENSORS];
	mb_model_parts parts;
	mb_model *base;
	mb_error err;

	for (int i = 0; i < 60; i++)
		weight[i] = (float) i / 7.0f - 2.0f;
	must(mb_model_open_file(&base, in_folder(folder, "base"), &err), &err);
	assert_int_equal(base->config.hidden_size, 20);
	parts = mb_model_parts_of(base);
	parts.tensors = tensors;
	for (size_t i = 0; i < mb_safetensors_count(base->tensors) && parts.n_tensors < MAX_TENSORS - 2; i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(base->tensors, i);

		if (strncmp(tensor->name, "classifier.", 11) != 0 && strncmp(tensor->name, "cls.", 4) != 0)
			tensors[parts.n_tensors++] = *tensor;
	}
	tensors[parts.n_tensors++] = (mb_tensor){"classifier.weight", MB_F32, 2, {3, 20}, weight, sizeof(weight)};
	tensors[parts.n_tensors++] = (mb_tensor){"classifier.bias", MB_F32, 1, {3}, bias, sizeof(bias)};
	parts.kind = "classifier";
	parts.pipeline.pooling = MB_POOL_POOLER;
	parts.pipeline.normalize = false;
	parts.pipeline.problem = MB_MULTI_LABEL;
	parts.pipeline.num_labels = 3;
	parts.tags = tags;
	must(mb_model_write(&parts, in_folder(folder, "classifier"), &err), &err);
	mb_model_close(base);
}

/* Whatever the base was saved as, and whatever labels it had. */
static void
test_trained_classifier(void **state)
{
	static const char *const bases[] = {"bert-model", "single-label", "multi-label", "regression", "prefixed"};

	(void) state;
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
	{
		char *folder = new_folder();
		mb_model *model;
		mb_error err;

		import_golden(bases[i], folder, "base");
		train_classifier(folder);
		there_and_back(folder, "classifier", false);
		assert_string_equal(exported_member(folder, "config.json", "architectures"),
							"[\"BertForSequenceClassification\"]");
		assert_string_equal(exported_member(folder, "config.json", "problem_type"), "\"multi_label_classification\"");
		assert_string_equal(exported_member(folder, "config.json", "id2label"),
							"{\"0\": \"horror\", \"1\": \"film d'\xc3\xa9t\xc3\xa9\", \"2\": \"love\"}");
		assert_string_equal(exported_member(folder, "config.json", "label2id"),
							"{\"horror\": 0, \"film d'\xc3\xa9t\xc3\xa9\": 1, \"love\": 2}");
		assert_string_equal(exported_member(folder, "config.json", "num_labels"), "");
		must(mb_model_open_file(&model, in_folder(folder, "again"), &err), &err);
		assert_string_equal(model->kind, "classifier");
		assert_int_equal(model->pipeline.problem, MB_MULTI_LABEL);
		assert_string_equal(model->tags[1].name, "film d'\xc3\xa9t\xc3\xa9");
		assert_true(model->tags[0].threshold == 0.25f);
		assert_int_equal(model->tags[0].support, 31);
		mb_model_close(model);
		remove_folder(folder);
	}
}

/* A masked-LM head trained on an encoder: BertForMaskedLM now, though its config says BertModel. */
static void
test_trained_masked_lm(void **state)
{
	float bias[123] = {0}, weight[20 * 20] = {0}, ones[20], zeros[20] = {0};
	mb_tensor tensors[MAX_TENSORS];
	char *folder = new_folder();
	mb_model_parts parts;
	mb_model *base;
	mb_error err;
	size_t n = 0;
	int64_t vocabulary;

	(void) state;
	for (int i = 0; i < 20; i++)
		ones[i] = 1.0f;
	import_golden("sentence-mean", folder, "base");
	must(mb_model_open_file(&base, in_folder(folder, "base"), &err), &err);
	vocabulary = base->config.vocab_size;
	assert_true(vocabulary <= 123 && base->config.hidden_size == 20);
	for (; n < mb_safetensors_count(base->tensors); n++)
		tensors[n] = *mb_safetensors_at(base->tensors, n);
	tensors[n++] = (mb_tensor){"cls.predictions.bias", MB_F32, 1, {vocabulary}, bias, (size_t) vocabulary * 4};
	tensors[n++] = (mb_tensor){"cls.predictions.transform.dense.weight", MB_F32, 2, {20, 20}, weight, sizeof(weight)};
	tensors[n++] = (mb_tensor){"cls.predictions.transform.dense.bias", MB_F32, 1, {20}, zeros, sizeof(zeros)};
	tensors[n++] = (mb_tensor){"cls.predictions.transform.LayerNorm.weight", MB_F32, 1, {20}, ones, sizeof(ones)};
	tensors[n++] = (mb_tensor){"cls.predictions.transform.LayerNorm.bias", MB_F32, 1, {20}, zeros, sizeof(zeros)};
	parts = mb_model_parts_of(base);
	parts.tensors = tensors;
	parts.n_tensors = n;
	must(mb_model_write(&parts, in_folder(folder, "trained"), &err), &err);
	mb_model_close(base);
	there_and_back(folder, "trained", false);
	assert_string_equal(exported_member(folder, "config.json", "architectures"), "[\"BertForMaskedLM\"]");
	remove_folder(folder);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void
test_refusals(void **state)
{
	char *folder = new_folder();
	mb_model *model;
	mb_error err;

	(void) state;
	import_golden("bert-model", folder, "model");
	must(mb_model_open_file(&model, in_folder(folder, "model"), &err), &err);
	assert_int_equal(mb_export(model, folder, false, &err), MB_INVALID_ARGUMENT);
	assert_true(error_says(&err, "is not empty||Name a folder that does not exist yet."));
	assert_int_equal(mb_export(model, in_folder(folder, "model"), false, &err), MB_IO);
	assert_true(error_says(&err, "could not open folder"));
	assert_int_equal(mb_export(model, in_folder(folder, "a/b"), false, &err), MB_IO);
	assert_true(error_says(&err, "could not create folder"));
	assert_int_equal(mb_export(model, in_folder(folder, "out"), true, &err), MB_INVALID_ARGUMENT);
	assert_true(error_says(&err, "the model has no tags to be exported as a tagger||Leave out --as-tagger"));
	model->tokenizer.max_chars_per_word = 200;
	assert_int_equal(mb_export(model, in_folder(folder, "out"), false, &err), MB_UNSUPPORTED);
	assert_true(error_says(&err, "a model with words of up to 200 characters cannot be exported"));
	mb_model_close(model);
	assert_int_equal(count_entries(folder), 1);
	remove_folder(folder);
}

/* At whichever byte the disk is full, nothing stays; a folder that was there stays, empty. */
static void
test_full_disk(void **state)
{
	char *folder = new_folder();
	mb_model *model;
	mb_error err;
	bool exists = false;

	(void) state;
	import_golden("sentence-dense", folder, "base");
	add_head(folder);
	must(mb_model_open_file(&model, in_folder(folder, "tagger"), &err), &err);
	for (size_t room = 0; room < 36000; room += 977, exists = !exists)
	{
		mb_status status;

		if (exists)
			assert_int_equal(mkdir(in_folder(folder, "out"), 0777), 0);
		disk_fills_after(room);
		status = mb_export(model, in_folder(folder, "out"), true, &err);
		disk_works();
		if (status != MB_IO || !error_says(&err, "could not write") ||
			strcmp(err.detail, "The system says: No space left on device.") != 0)
			fail_msg("room for %zu bytes: status %d, %s|%s", room, status, err.message, err.detail);
		assert_int_equal(count_entries(folder), exists ? 3 : 2);
		if (exists)
			assert_int_equal(rmdir(in_folder(folder, "out")), 0);
	}
	mb_model_close(model);
	remove_folder(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_checkpoint_comes_back),
		cmocka_unit_test(test_tagger_comes_back),
		cmocka_unit_test(test_tagger_on_a_classifier),
		cmocka_unit_test(test_classifier_as_tagger),
		cmocka_unit_test(test_head_and_its_description_belong_together),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_names_of_tensors),
		cmocka_unit_test(test_own_file),
		cmocka_unit_test(test_prompts),
		cmocka_unit_test(test_old_config),
		cmocka_unit_test(test_trained_classifier),
		cmocka_unit_test(test_trained_masked_lm),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
