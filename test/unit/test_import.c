/* test_import.c - checkpoint folders in all their forms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "moviebert/model.h"
#include "test/unit/checkpoint_copy.h"

/* import_changed, opened; the test fails if it cannot be. */
static mb_model *
imported(const char *checkpoint, const edit *edits, const mb_import_options *options)
{
	char *folder = new_folder();
	mb_error err;
	mb_model *model;

	if (import_changed(checkpoint, edits, options, in_folder(folder, "model"), &err) != MB_OK)
		fail_msg("%s: %s|%s|%s", checkpoint, err.message, err.detail, err.hint);
	assert_int_equal(count_entries(folder), 1);
	if (mb_model_open_file(&model, in_folder(folder, "model"), &err) != MB_OK)
		fail_msg("%s: %s|%s|%s", checkpoint, err.message, err.detail, err.hint);
	remove_folder(folder);
	return model;
}

static void
assert_same_tensor(const mb_model *a, const mb_model *b, const char *name)
{
	const mb_tensor *left = mb_model_tensor(a, name), *right = mb_model_tensor(b, name);

	if (left == NULL || right == NULL)
		fail_msg("tensor \"%s\" is missing", name);
	assert_int_equal(left->bytes, right->bytes);
	assert_memory_equal(left->data, right->data, left->bytes);
}

static void
assert_same_tensors(const mb_model *a, const mb_model *b)
{
	assert_int_equal(mb_safetensors_count(a->tensors), mb_safetensors_count(b->tensors));
	for (size_t i = 0; i < mb_safetensors_count(a->tensors); i++)
		assert_same_tensor(a, b, mb_safetensors_at(a->tensors, i)->name);
}

/* A member of the card by a path of two keys, as JSON text in a static buffer; "" where there is none. */
static const char *
card_member(const mb_model *model, const char *first, const char *second)
{
	static char text[1000];
	json_t *card = json_loads(model->card_json, 0, NULL);
	const json_t *value = json_object_get(json_object_get(card, first), second);

	text[0] = '\0';
	if (value != NULL)
		text[json_dumpb(value, text, sizeof(text) - 1, JSON_ENCODE_ANY)] = '\0';
	json_decref(card);
	return text;
}

/* ---- the forms in which checkpoints are found -------------------------------------------------------------------- */

static void
test_forms_of_one_model(void **state)
{
	static const char *const forms[] = {"prefixed", "gamma-beta", "tokenizer-json", "sharded"};
	char *folder = new_folder();
	mb_error err;

	(void) state;
	assert_int_equal(import_changed("bert-model", NULL, NULL, in_folder(folder, "plain"), &err), MB_OK);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		if (import_changed(forms[i], NULL, NULL, in_folder(folder, "other"), &err) != MB_OK)
			fail_msg("%s: %s", forms[i], err.message);
		if (!same_file(in_folder(folder, "plain"), in_folder(folder, "other")))
			fail_msg("%s gives another model than bert-model", forms[i]);
	}
	remove_folder(folder);
}

static void
test_plain_model(void **state)
{
	mb_model *model = imported("bert-model", NULL, NULL);

	(void) state;
	assert_string_equal(model->kind, "encoder");
	assert_string_equal(model->architecture, "BertModel");
	assert_int_equal(model->config.hidden_size, 20);
	assert_int_equal(model->pipeline.pooling, MB_POOL_MEAN);
	assert_false(model->pipeline.normalize);
	assert_int_equal(model->pipeline.max_length, 40);
	assert_int_equal(model->pipeline.long_text, MB_LONG_WINDOWS);
	assert_int_equal(model->pipeline.window_stride, 29); /* 38 tokens, a quarter of them again in the next window */
	assert_true(model->tokenizer.lowercase);
	assert_true(model->tokenizer.strip_accents);
	assert_true(model->tokenizer.split_cjk);
	assert_false(model->tokenizer.split_special_tokens);
	assert_int_equal(model->tokenizer.n_additional_special_tokens, 0);
	assert_string_equal(model->card_json, "{}");
	mb_model_close(model);
}

static void
test_half_precision(void **state)
{
	mb_model *fp32 = imported("bert-model", NULL, NULL), *fp16 = imported("fp16", NULL, NULL);
	mb_model *bf16 = imported("bf16", NULL, NULL);
	const mb_tensor *halves[2] = {mb_model_tensor(fp16, "pooler.dense.weight"),
								  mb_model_tensor(bf16, "pooler.dense.weight")};
	float whole[400], half[400];

	(void) state;
	assert_int_equal(halves[0]->dtype, MB_F16);
	assert_int_equal(halves[1]->dtype, MB_BF16);
	assert_int_equal(fp16->parameters, fp32->parameters);
	assert_true(mb_tensor_to_f32(mb_model_tensor(fp32, "pooler.dense.weight"), 0, 400, whole));
	for (int k = 0; k < 2; k++)
	{
		assert_true(mb_tensor_to_f32(halves[k], 0, 400, half));
		for (int i = 0; i < 400; i++)
			assert_true(fabsf(whole[i] - half[i]) <= fabsf(whole[i]) * (k == 0 ? 0x1p-11f : 0x1p-8f) + 1e-7f);
	}
	mb_model_close(fp32);
	mb_model_close(fp16);
	mb_model_close(bf16);
}

static void
test_masked_lm(void **state)
{
	static const edit pre_training_is_tied[] = {{"config.json", "tie_word_embeddings", "true"}, {NULL, NULL, NULL}};
	static const edit untied[] = {{"config.json", "tie_word_embeddings", "false"}, {NULL, NULL, NULL}};
	static const edit decoder_bias[] = {{"model.safetensors", "cls.predictions.bias", "> cls.predictions.decoder.bias"},
										{NULL, NULL, NULL}};
	mb_model *masked = imported("masked-lm", NULL, NULL),
			 *pretrained = imported("pre-training", pre_training_is_tied, NULL);
	mb_model *alias = imported("masked-lm", decoder_bias, NULL), *free_decoder = imported("pre-training", untied, NULL);

	(void) state;
	assert_string_equal(masked->kind, "masked-lm");
	assert_string_equal(masked->architecture, "BertForMaskedLM");
	assert_null(mb_model_tensor(masked, "cls.predictions.decoder.weight"));
	assert_null(mb_model_tensor(masked, "pooler.dense.weight"));
	assert_same_tensors(masked, alias);

	/* The same head, and the pooler; the next-sentence head is gone, and the card says so. */
	assert_string_equal(pretrained->kind, "masked-lm");
	assert_non_null(strstr(pretrained->config_json, "[\"BertForMaskedLM\"]"));
	assert_non_null(strstr(pretrained->config_json, "\"layer_norm_eps\": 1e-12"));
	assert_int_equal(mb_safetensors_count(pretrained->tensors), mb_safetensors_count(masked->tensors) + 2);
	assert_same_tensor(pretrained, masked, "cls.predictions.transform.LayerNorm.weight");
	assert_same_tensor(pretrained, masked, "cls.predictions.bias");
	assert_non_null(strstr(card_member(pretrained, "import", "dropped"), "\"cls.seq_relationship.weight\":"));

	assert_non_null(mb_model_tensor(free_decoder, "cls.predictions.decoder.weight"));
	mb_model_close(masked);
	mb_model_close(pretrained);
	mb_model_close(alias);
	mb_model_close(free_decoder);
}

static void
test_classification_heads(void **state)
{
	static const edit unnamed[] = {
		{"config.json", "id2label", NULL}, {"config.json", "num_labels", "3"}, {NULL, NULL, NULL}};
	static const edit untyped[] = {{"config.json", "problem_type", NULL}, {NULL, NULL, NULL}};
	mb_model *model = imported("single-label", NULL, NULL);

	(void) state;
	assert_string_equal(model->kind, "classifier");
	assert_string_equal(model->architecture, "BertForSequenceClassification");
	assert_int_equal(model->pipeline.pooling, MB_POOL_POOLER);
	assert_int_equal(model->pipeline.problem, MB_SINGLE_LABEL);
	assert_int_equal(model->pipeline.num_labels, 3);
	assert_string_equal(model->tags[1].name, "comedy");
	assert_true(isnan(model->tags[1].threshold));
	assert_int_equal(model->tags[1].support, -1);
	mb_model_close(model);

	model = imported("multi-label", NULL, NULL);
	assert_int_equal(model->pipeline.problem, MB_MULTI_LABEL);
	assert_string_equal(model->tags[3].name, "science fiction");
	mb_model_close(model);

	model = imported("regression", NULL, NULL);
	assert_int_equal(model->pipeline.problem, MB_REGRESSION);
	mb_model_close(model);

	/* What the reference makes of a config that does not say. */
	model = imported("single-label", unnamed, NULL);
	assert_string_equal(model->tags[2].name, "LABEL_2");
	mb_model_close(model);
	model = imported("multi-label", untyped, NULL);
	assert_int_equal(model->pipeline.problem, MB_SINGLE_LABEL);
	mb_model_close(model);
	model = imported("regression", untyped, NULL);
	assert_int_equal(model->pipeline.problem, MB_REGRESSION);
	mb_model_close(model);
}

static void
test_sentence_transformers(void **state)
{
	mb_model *mean = imported("sentence-mean", NULL, NULL), *saved = imported("sentence-saved", NULL, NULL);
	mb_model *cls = imported("sentence-cls", NULL, NULL), *plain = imported("bert-model", NULL, NULL);
	mb_model *dense = imported("sentence-dense", NULL, NULL);

	(void) state;
	assert_int_equal(mean->pipeline.pooling, MB_POOL_MEAN);
	assert_true(mean->pipeline.normalize);
	assert_int_equal(mean->pipeline.max_length, 32); /* not 16, which tokenizer.json says */
	assert_int_equal(mean->config.num_hidden_layers, 2);

	/* What sentence-transformers 6 makes of the same folder. */
	assert_same_tensors(mean, saved);
	assert_string_equal(mean->vocab, saved->vocab);
	assert_string_equal(mean->pooling_json, saved->pooling_json);

	assert_int_equal(cls->pipeline.pooling, MB_POOL_CLS);
	assert_false(cls->pipeline.normalize);
	assert_same_tensors(cls, plain);

	/* A Dense with tanh after [CLS] is the pooler; the checkpoint's own one is noted as dropped. */
	assert_int_equal(dense->pipeline.pooling, MB_POOL_POOLER);
	assert_true(dense->pipeline.normalize);
	assert_non_null(strstr(card_member(dense, "import", "dropped"), "\"pooler.dense.weight\":"));
	mb_model_close(mean);
	mb_model_close(saved);
	mb_model_close(cls);
	mb_model_close(plain);
	mb_model_close(dense);
}

static void
test_modules_of_version_5(void **state)
{
	static const edit listed[] = {{"1_Pooling/config.json", NULL, "{\"pooling_mode\": [\"cls\"]}"}, {NULL, NULL, NULL}};
	static const edit by_default[] = {{"1_Pooling/config.json", NULL, "{}"}, {NULL, NULL, NULL}};
	static const edit lower[] = {{"sentence_bert_config.json", "do_lower_case", "true"},
								 {"tokenizer_config.json", "do_lower_case", "false"},
								 {"tokenizer.json", NULL, NULL},
								 {NULL, NULL, NULL}};
	static const edit prompts[] = {{"config_sentence_transformers.json", "prompts", "{\"query\": \"query: \"}"},
								   {"config_sentence_transformers.json", "default_prompt_name", "null"},
								   {NULL, NULL, NULL}};
	mb_model *model = imported("sentence-mean", listed, NULL);

	(void) state;
	assert_int_equal(model->pipeline.pooling, MB_POOL_CLS);
	mb_model_close(model);
	model = imported("sentence-mean", by_default, NULL);
	assert_int_equal(model->pipeline.pooling, MB_POOL_MEAN);
	mb_model_close(model);
	model = imported("sentence-mean", lower, NULL);
	assert_true(model->tokenizer.lowercase);
	assert_false(model->tokenizer.strip_accents);
	mb_model_close(model);
	model = imported("sentence-mean", prompts, NULL);
	assert_string_equal(card_member(model, "import", "prompts"), "{\"query\": \"query: \"}");
	mb_model_close(model);
}

static void
test_tokenizers(void **state)
{
	static const edit no_config[] = {{"tokenizer_config.json", NULL, NULL}, {NULL, NULL, NULL}};
	static const edit accents[] = {{"tokenizer_config.json", "strip_accents", "false"},
								   {"tokenizer.json", "normalizer/strip_accents", "false"},
								   {NULL, NULL, NULL}};
	static const edit generic[] = {{"tokenizer_config.json", "tokenizer_class", "\"PreTrainedTokenizerFast\""},
								   {"tokenizer_config.json", "do_lower_case", "true"},
								   {NULL, NULL, NULL}};
	static const edit added[] = {
		{"tokenizer.json", NULL, NULL},
		{"config.json", "vocab_size", "123"},
		{"vocab.txt", NULL, "[PAD]\n[UNK]\n[CLS]\r\n[SEP]  \n[MASK]\nhouse"},
		{"tokenizer_config.json", "added_tokens_decoder",
		 "{\"0\": {\"content\": \"[PAD]\", \"special\": true}, \"6\": {\"content\": \"<a>\", \"special\": true}, "
		 "\"7\": {\"content\": \"<b>\", \"special\": true, \"lstrip\": true}}"}};
	static const edit older[] = {{"tokenizer.json", NULL, NULL},
								 {"vocab.txt", NULL, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]"},
								 {"added_tokens.json", NULL, "{\"<a>\": 5}"},
								 {"special_tokens_map.json", "additional_special_tokens", "[{\"content\": \"<a>\"}]"}};
	static const edit roles[] = {
		{"tokenizer.json", NULL, NULL},
		{"vocab.txt", NULL, "<pad>\n<unk>\n<s>\n</s>\n<mask>\n"},
		{"tokenizer_config.json", NULL, "{\"unk_token\": {\"content\": \"<unk>\"}, \"pad_token\": \"<pad>\"}"},
		{"special_tokens_map.json", NULL,
		 "{\"cls_token\": \"<s>\", \"sep_token\": \"</s>\", \"mask_token\": {\"content\": \"<mask>\"}}"}};
	mb_model *model = imported("cased", NULL, NULL);

	(void) state;
	assert_false(model->tokenizer.lowercase);
	assert_false(model->tokenizer.strip_accents);
	assert_int_equal(model->tokenizer.n_additional_special_tokens, 1);
	assert_string_equal(model->tokenizer.additional_special_tokens[0], "[FILM]");
	assert_int_equal(model->pipeline.max_length, 40); /* model_max_length is 1e30 */
	mb_model_close(model);

	model = imported("bert-model", no_config, NULL);
	assert_true(model->tokenizer.lowercase);
	mb_model_close(model);
	model = imported("bert-model", accents, NULL);
	assert_true(model->tokenizer.lowercase);
	assert_false(model->tokenizer.strip_accents);
	mb_model_close(model);
	model = imported("cased", generic, NULL); /* tokenizer.json alone counts */
	assert_false(model->tokenizer.lowercase);
	mb_model_close(model);

	model = imported("bert-model", added, NULL);
	assert_string_equal(model->vocab, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhouse\n<a>\n<b>\n");
	mb_model_close(model);
	model = imported("bert-model", older, NULL);
	assert_string_equal(model->vocab, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<a>\n");
	assert_string_equal(model->tokenizer.additional_special_tokens[0], "<a>");
	mb_model_close(model);
	model = imported("bert-model", roles, NULL);
	assert_string_equal(model->tokenizer.unk_token, "<unk>");
	assert_string_equal(model->tokenizer.cls_token, "<s>");
	assert_string_equal(model->tokenizer.mask_token, "<mask>");
	mb_model_close(model);
}

static void
test_options(void **state)
{
	const mb_import_options options = {.card_json = "{\"note\": {\"by\": \"a test\"}}",
									   .long_text = MB_LONG_TRUNCATE,
									   .max_length = 16,
									   .pooling = "cls"};
	const mb_import_options short_windows = {.max_length = 3};
	mb_model *model = imported("sentence-mean", NULL, &options);

	(void) state;
	assert_int_equal(model->pipeline.pooling, MB_POOL_CLS);
	assert_true(model->pipeline.normalize);
	assert_int_equal(model->pipeline.long_text, MB_LONG_TRUNCATE);
	assert_int_equal(model->pipeline.max_length, 16);
	assert_int_equal(model->pipeline.window_stride, 11);
	assert_string_equal(card_member(model, "note", "by"), "\"a test\"");
	mb_model_close(model);
	model = imported("bert-model", NULL, &short_windows);
	assert_int_equal(model->pipeline.window_stride, 1);
	mb_model_close(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_of_one_model),
		cmocka_unit_test(test_plain_model),
		cmocka_unit_test(test_half_precision),
		cmocka_unit_test(test_masked_lm),
		cmocka_unit_test(test_classification_heads),
		cmocka_unit_test(test_sentence_transformers),
		cmocka_unit_test(test_modules_of_version_5),
		cmocka_unit_test(test_tokenizers),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
