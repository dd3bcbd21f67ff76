/* test_model.c - opening model files, and putting a head on one; test_model_refusals.c has the hostile ones. */
#include <errno.h>
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

#include "moviebert/model.h"
#include "test/unit/failing_disk.h"
#include "test/unit/tiny_model.h"

/* ---- good models ----------------------------------------------------------------------------------------------------
 */

static mb_model *
open_bytes(const void *bytes, size_t size)
{
	mb_model *model;
	mb_error err;

	if (mb_model_open(&model, bytes, size, &err) != MB_OK)
		fail_msg("%s|%s|%s", err.message, err.detail, err.hint);
	return model;
}

static void
a_model_is_read(void **state)
{
	tiny_model *tiny = tiny_model_new();
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	mb_model *model = open_bytes(bytes, size);
	int64_t parameters = 0;

	(void) state;
	assert_int_equal(model->config.vocab_size, 12);
	assert_int_equal(model->config.hidden_size, 8);
	assert_int_equal(model->config.num_hidden_layers, 1);
	assert_int_equal(model->config.num_attention_heads, 2);
	assert_int_equal(model->config.intermediate_size, 12);
	assert_int_equal(model->config.max_position_embeddings, 16);
	assert_int_equal(model->config.type_vocab_size, 2);
	assert_true(model->config.layer_norm_eps == 1e-12f);
	assert_int_equal(model->config.hidden_act, MB_GELU);
	assert_int_equal(model->pipeline.pooling, MB_POOL_MEAN);
	assert_true(model->pipeline.normalize);
	assert_int_equal(model->pipeline.max_length, 16);
	assert_int_equal(model->pipeline.long_text, MB_LONG_WINDOWS);
	assert_int_equal(model->pipeline.window_stride, 7);
	assert_int_equal(model->pipeline.problem, MB_MULTI_LABEL);
	assert_int_equal(model->pipeline.num_labels, 3);
	assert_true(model->tokenizer.lowercase);
	assert_true(model->tokenizer.strip_accents); /* null: as lowercase */
	assert_true(model->tokenizer.split_cjk);
	assert_false(model->tokenizer.split_special_tokens);
	assert_int_equal(model->tokenizer.max_chars_per_word, 100);
	assert_string_equal(model->tokenizer.mask_token, "[MASK]");
	assert_int_equal(model->tokenizer.n_additional_special_tokens, 1);
	assert_string_equal(model->tokenizer.additional_special_tokens[0], "ghost");
	assert_string_equal(model->tags[0].name, "horror");
	assert_true(model->tags[0].threshold == 0.25f);
	assert_int_equal(model->tags[0].support, 12);
	assert_string_equal(model->tags[1].name, "film d'\xc3\xa9t\xc3\xa9");
	assert_true(isnan(model->tags[1].threshold) && isnan(model->tags[2].threshold));
	assert_int_equal(model->tags[1].support, -1);
	assert_int_equal(model->tags[2].support, -1);
	assert_string_equal(model->vocab, tiny_model_get(tiny, "moviebert.vocab"));
	assert_string_equal(model->config_json, tiny_model_get(tiny, "moviebert.config"));
	assert_string_equal(model->pooling_json, tiny_model_get(tiny, "moviebert.pooling"));
	assert_string_equal(model->tags_json, tiny_model_get(tiny, "moviebert.tags"));
	assert_string_equal(model->card_json, tiny_model_get(tiny, "moviebert.card"));
	for (size_t i = 0; i < tiny->n_tensors; i++)
		parameters += mb_tensor_elements(&tiny->tensors[i]);
	assert_int_equal(model->parameters, parameters);
	assert_int_equal(mb_model_tensor(model, "classifier.weight")->shape[0], 3);
	assert_null(mb_model_tensor(model, "classifier.wait"));
	mb_model_close(model);
	mb_model_close(NULL);
	free(bytes);
	tiny_model_free(tiny);
}

typedef void (*change)(tiny_model *tiny);

static void
expect_kind(const char *kind, const char *architecture, change make)
{
	tiny_model *tiny = tiny_model_new();
	mb_model *model;
	size_t size;
	void *bytes;

	make(tiny);
	bytes = tiny_model_bytes(tiny, &size);
	model = open_bytes(bytes, size);
	assert_string_equal(model->kind, kind);
	assert_string_equal(model->architecture, architecture);
	assert_int_equal(model->pipeline.num_labels == 0, strcmp(kind, "encoder") == 0 || strcmp(kind, "masked-lm") == 0);
	mb_model_close(model);
	free(bytes);
	tiny_model_free(tiny);
}

static void
drop_masked_lm_head(tiny_model *tiny)
{
	tiny_model_drop(tiny, "cls.predictions.bias");
	tiny_model_drop(tiny, "cls.predictions.transform.dense.weight");
	tiny_model_drop(tiny, "cls.predictions.transform.dense.bias");
	tiny_model_drop(tiny, "cls.predictions.transform.LayerNorm.weight");
	tiny_model_drop(tiny, "cls.predictions.transform.LayerNorm.bias");
}

static void
make_encoder(tiny_model *tiny)
{
	tiny_model_behead(tiny);
	drop_masked_lm_head(tiny);
	tiny_model_set(tiny, "moviebert.card", NULL);
	tiny_model_drop(tiny, "pooler.dense.weight");
	tiny_model_drop(tiny, "pooler.dense.bias");
}

static void
make_untied_masked_lm(tiny_model *tiny)
{
	tiny_model_behead(tiny);
	tiny_model_put(tiny, "cls.predictions.decoder.weight", MB_F32, 12, 8);
	tiny_model_put(tiny, "cls.predictions.decoder.bias", MB_F32, 12, 0);
}

static void
make_classifier(tiny_model *tiny)
{
	drop_masked_lm_head(tiny);
	tiny_model_set(tiny, "moviebert.head", "{\"problem\": \"single_label\"}");
	tiny_model_replace(tiny, "moviebert.pooling", "\"mean\", \"normalize\": true", "\"pooler\", \"normalize\": false");
	tiny_model_replace(tiny, "moviebert.config", "BertForMaskedLM", "BertForSequenceClassification");
}

static void
make_tagger(tiny_model *tiny)
{
	drop_masked_lm_head(tiny);
	tiny_model_replace(tiny, "moviebert.config", "BertForMaskedLM", "BertForSequenceClassification");
}

static void
leave(tiny_model *tiny)
{
	(void) tiny;
}

static void
make_no_layers(tiny_model *tiny)
{
	make_encoder(tiny);
	for (size_t i = tiny->n_tensors; i-- > 0;)
		if (strncmp(tiny->tensors[i].name, "encoder.", 8) == 0)
			tiny_model_drop(tiny, tiny->tensors[i].name);
	tiny_model_replace(tiny, "moviebert.config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0");
}

/* As Google's first config.json files are, which name neither type nor architecture; and 8.0 for 8. */
static void
make_old(tiny_model *tiny)
{
	make_encoder(tiny);
	tiny_model_replace(tiny, "moviebert.config", "\"architectures\": [\"BertForMaskedLM\"], \"model_type\": \"bert\", ",
					   "");
	tiny_model_replace(tiny, "moviebert.config", "\"hidden_size\": 8", "\"hidden_size\": 8.0");
	tiny_model_replace(tiny, "moviebert.config", "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12, ", "");
	tiny_model_replace(tiny, "moviebert.config", "\"gelu\"", "null");
}

static void
kinds_follow_from_the_file(void **state)
{
	(void) state;
	expect_kind("tagger", "BertForMaskedLM", leave);
	expect_kind("tagger", "BertModel", make_tagger);
	expect_kind("classifier", "BertForSequenceClassification", make_classifier);
	expect_kind("masked-lm", "BertForMaskedLM", tiny_model_behead);
	expect_kind("masked-lm", "BertForMaskedLM", make_untied_masked_lm);
	expect_kind("encoder", "BertModel", make_encoder);
	expect_kind("encoder", "BertModel", make_no_layers);
	expect_kind("encoder", "BertModel", make_old);
}

/* ---- files ----------------------------------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/moviebert-test-XXXXXX";
static char path[64], tagged[64], temporary[70];

static int
make_folder(void **state)
{
	(void) state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/base", folder);
	snprintf(tagged, sizeof(tagged), "%s/tagged", folder);
	snprintf(temporary, sizeof(temporary), "%s.tmp", tagged);
	return 0;
}

static int
remove_folder(void **state)
{
	(void) state;
	unlink(path);
	unlink(tagged);
	return rmdir(folder); /* fails if anything was left behind */
}

static void
write_file(const char *to, const void *bytes, size_t size)
{
	FILE *out = fopen(to, "wb");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

static mb_model *
open_file(const char *from)
{
	mb_model *model;
	mb_error err;

	if (mb_model_open_file(&model, from, &err) != MB_OK)
		fail_msg("%s|%s|%s", err.message, err.detail, err.hint);
	return model;
}

static void
files_are_opened_or_refused(void **state)
{
	tiny_model *tiny = tiny_model_new();
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	mb_model *model;
	mb_error err;

	(void) state;
	write_file(path, bytes, size);
	model = open_file(path);
	assert_string_equal(model->tags[2].name, "love");
	mb_model_close(model);
	write_file(path, bytes, size - 1);
	assert_int_equal(mb_model_open_file(&model, path, &err), MB_CORRUPT);
	assert_null(model);
	write_file(path, bytes, 0);
	assert_int_equal(mb_model_open_file(&model, path, &err), MB_CORRUPT);
	assert_non_null(strstr(err.message, "is empty"));
	assert_int_equal(mb_model_open_file(&model, folder, &err), MB_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "is not a file"));
	assert_non_null(strstr(err.hint, "moviebert import"));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(mb_model_open_file(&model, path, &err), MB_INVALID_ARGUMENT); /* and does not wait for a writer */
	unlink(path);
	assert_int_equal(mb_model_open_file(&model, path, &err), MB_IO);
	assert_int_equal(err.os_errno, ENOENT);
	assert_string_equal(err.detail, "The system says: No such file or directory.");
	free(bytes);
	tiny_model_free(tiny);
}

static float head_weight[2 * 8], head_bias[2] = {-1.5f, 2.25f};
/* A name to be escaped, and a threshold that takes nine digits. */
static const mb_tag head_tags[2] = {{"film \"noir\" \xe2\x80\x93 \\\n", 0.300000042f, 17}, {"love", NAN, -1}};

static mb_head
some_head(void)
{
	mb_head head = {MB_MULTI_LABEL, 2, head_weight, head_bias, head_tags, "{\"trained\": true}"};

	for (int i = 0; i < 16; i++)
		head_weight[i] = (float) i / 3.0f - 2.0f;
	return head;
}

/* Old heads go, of any kind; nothing else changes by a byte. */
static void
a_head_is_put_on_a_model(void **state)
{
	static const change bases[] = {leave, make_encoder, tiny_model_behead, make_classifier};
	mb_head head = some_head();

	(void) state;
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
	{
		tiny_model *tiny = tiny_model_new();
		mb_model *base, *model;
		char key[] = "comment";
		mb_error err;
		size_t size;
		void *bytes;

		bases[i](tiny);
		tiny_model_set(tiny, key, "kept");
		bytes = tiny_model_bytes(tiny, &size);
		base = open_bytes(bytes, size);
		if (mb_model_write_with_head(base, &head, tagged, &err) != MB_OK)
			fail_msg("%s|%s", err.message, err.detail);
		assert_int_equal(access(temporary, F_OK), -1);
		model = open_file(tagged);
		assert_string_equal(model->kind, "tagger");
		assert_int_equal(model->pipeline.pooling, base->pipeline.pooling);
		assert_int_equal(model->pipeline.problem, MB_MULTI_LABEL);
		assert_int_equal(model->pipeline.num_labels, 2);
		for (int l = 0; l < 2; l++)
		{
			assert_string_equal(model->tags[l].name, head_tags[l].name);
			assert_memory_equal(&model->tags[l].threshold, &head_tags[l].threshold, sizeof(float));
			assert_int_equal(model->tags[l].support, head_tags[l].support);
		}
		assert_string_equal(model->card_json, head.card_json);
		assert_string_equal(model->config_json, base->config_json);
		assert_string_equal(mb_safetensors_metadata(model->tensors, key), "kept");
		assert_memory_equal(mb_model_tensor(model, "classifier.weight")->data, head_weight, sizeof(head_weight));
		assert_memory_equal(mb_model_tensor(model, "classifier.bias")->data, head_bias, sizeof(head_bias));
		for (size_t t = 0; t < tiny->n_tensors; t++)
		{
			const mb_tensor *kept = mb_model_tensor(model, tiny->tensors[t].name);

			if (strncmp(tiny->tensors[t].name, "classifier.", 11) == 0)
				continue;
			assert_non_null(kept);
			assert_int_equal(kept->dtype, tiny->tensors[t].dtype);
			assert_int_equal(kept->bytes, tiny->tensors[t].bytes);
			assert_memory_equal(kept->data, tiny->tensors[t].data, kept->bytes);
		}
		mb_model_close(model);
		mb_model_close(base);
		free(bytes);
		tiny_model_free(tiny);
	}
	unlink(tagged);
}

static void
a_head_is_written_the_same_each_time(void **state)
{
	tiny_model *tiny = tiny_model_new();
	mb_head head = some_head();
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	mb_model *base = open_bytes(bytes, size), *first, *second;
	mb_error err;
	struct stat info;
	char *once, *twice;
	FILE *in;

	(void) state;
	assert_int_equal(mb_model_write_with_head(base, &head, path, &err), MB_OK);
	first = open_file(path);
	assert_int_equal(mb_model_write_with_head(first, &head, tagged, &err), MB_OK); /* the head again, on the result */
	second = open_file(tagged);
	assert_int_equal(stat(path, &info), 0);
	once = malloc((size_t) info.st_size);
	twice = malloc((size_t) info.st_size + 1);
	in = fopen(path, "rb");
	assert_int_equal(fread(once, 1, (size_t) info.st_size, in), info.st_size);
	fclose(in);
	in = fopen(tagged, "rb");
	assert_int_equal(fread(twice, 1, (size_t) info.st_size + 1, in), info.st_size);
	fclose(in);
	assert_memory_equal(once, twice, (size_t) info.st_size);
	free(once);
	free(twice);
	/* Over the very file that is open: the mapping keeps what it had. */
	assert_int_equal(mb_model_write_with_head(second, &head, tagged, &err), MB_OK);
	mb_model_close(second);
	mb_model_close(first);
	mb_model_close(base);
	free(bytes);
	tiny_model_free(tiny);
	unlink(path);
	unlink(tagged);
}

static void
wrong_heads_are_refused(void **state)
{
	tiny_model *tiny = tiny_model_new();
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	mb_model *base = open_bytes(bytes, size);
	float bad_weight[16] = {0}, bad_bias[2] = {0, INFINITY};
	const mb_tag twice[2] = {{"a", NAN, -1}, {"a", NAN, -1}}, nameless[2] = {{"a", NAN, -1}, {"", NAN, -1}};
	const mb_tag no_utf8[2] = {{"a", NAN, -1}, {"\xff", NAN, -1}},
				 no_number[2] = {{"a", -INFINITY, -1}, {"b", NAN, -1}};
	struct
	{
		mb_head head;
		mb_status status;
		const char *expected;
	} cases[9];
	mb_error err;

	(void) state;
	bad_weight[15] = NAN;
	for (int i = 0; i < 9; i++)
	{
		cases[i].head = some_head();
		cases[i].status = MB_INVALID_ARGUMENT;
	}
	cases[0].head.problem = MB_NO_HEAD, cases[0].expected = "a head needs a problem and at least one tag";
	cases[1].head.num_labels = 0, cases[1].expected = "a head needs a problem and at least one tag";
	cases[2].head.weight = bad_weight, cases[2].expected = "the head has a weight that is not finite";
	cases[3].head.bias = bad_bias, cases[3].expected = "the head's bias of tag \"love\" is not finite";
	cases[4].head.tags = twice, cases[4].expected = "tag \"a\" is given twice";
	cases[5].head.tags = nameless, cases[5].expected = "a tag cannot have an empty name";
	cases[6].head.tags = no_utf8, cases[6].expected = "the name of tag \"?\" is not valid UTF-8";
	cases[7].head.tags = no_number, cases[7].expected = "the threshold of tag \"a\" is not finite";
	cases[8].head.card_json = "[]", cases[8].status = MB_CORRUPT,
	cases[8].expected = "the head's card is not a JSON object";
	for (int i = 0; i < 9; i++)
	{
		if (mb_model_write_with_head(base, &cases[i].head, tagged, &err) != cases[i].status ||
			strcmp(err.message, cases[i].expected) != 0)
			fail_msg("\"%s\", expected \"%s\"", err.message, cases[i].expected);
		assert_int_equal(access(tagged, F_OK), -1);
	}
	mb_model_close(base);
	free(bytes);
	tiny_model_free(tiny);
}

static void
a_head_on_a_full_disk_leaves_nothing_behind(void **state)
{
	tiny_model *tiny = tiny_model_new();
	mb_head head = some_head();
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	mb_model *base = open_bytes(bytes, size);
	mb_error err;

	(void) state;
	for (size_t room = 0; room < size; room += 1001)
	{
		mb_status status;

		disk_fills_after(room);
		status = mb_model_write_with_head(base, &head, tagged, &err);
		disk_works();
		assert_int_equal(status, MB_IO);
		assert_int_equal(err.os_errno, ENOSPC);
		assert_int_equal(access(tagged, F_OK), -1);
		assert_int_equal(access(temporary, F_OK), -1);
	}
	mb_model_close(base);
	free(bytes);
	tiny_model_free(tiny);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_is_read),
		cmocka_unit_test(kinds_follow_from_the_file),
		cmocka_unit_test(files_are_opened_or_refused),
		cmocka_unit_test(a_head_is_put_on_a_model),
		cmocka_unit_test(a_head_is_written_the_same_each_time),
		cmocka_unit_test(wrong_heads_are_refused),
		cmocka_unit_test(a_head_on_a_full_disk_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
