/* test_model_write.c - model files written of their parts, as who trains from scratch writes them. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "moviebert/model.h"
#include "test/unit/checkpoint_copy.h"
#include "test/unit/failing_disk.h"
#include "test/unit/tiny_model.h"

static const mb_tag tags[3] = {{"noir", 0.300000042f, 17}, {"film d'\xc3\xa9t\xc3\xa9", NAN, -1}, {"love", 0.5f, 0}};

typedef struct writing
{
	char *folder, path[120];
	tiny_model *tiny; /* gives the tensors */
	mb_model_parts parts;
} writing;

static int
set_up(void **state)
{
	writing *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->folder = new_folder();
	snprintf(w->path, sizeof(w->path), "%s", in_folder(w->folder, "model"));
	w->tiny = tiny_model_new();
	w->parts = (mb_model_parts){
		.config = {12, 8, 1, 2, 12, 16, 2, 1e-12f, MB_GELU},
		.vocab = "[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\na\nghost\nlove\n##s\n.\n",
		.tokenizer = mb_tokenizer_options_default(),
		.pipeline = {MB_POOL_MEAN, true, 16, MB_LONG_WINDOWS, 11, MB_MULTI_LABEL, 3},
		.kind = "tagger",
		.tags = tags,
		.card_json = "{\"seed\": 1}",
		.tensors = w->tiny->tensors,
		.n_tensors = w->tiny->n_tensors,
	};
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	writing *w = *state;

	disk_works();
	tiny_model_free(w->tiny);
	remove_folder(w->folder);
	free(w);
	return 0;
}

static mb_model *
write_and_open(writing *w)
{
	mb_model *model;
	mb_error err;

	if (mb_model_write(&w->parts, w->path, &err) != MB_OK || mb_model_open_file(&model, w->path, &err) != MB_OK)
		fail_msg("%s|%s|%s", err.message, err.detail, err.hint);
	return model;
}

static void
behead(writing *w)
{
	tiny_model_behead(w->tiny);
	w->parts.n_tensors = w->tiny->n_tensors;
	w->parts.pipeline.problem = MB_NO_HEAD;
	w->parts.pipeline.num_labels = 0;
}

static const char *
config_member(const mb_model *model, const char *key)
{
	static char text[200];
	json_t *config = json_loads(model->config_json, 0, NULL);
	json_t *value = json_object_get(config, key);
	size_t n = value != NULL ? json_dumpb(value, text, sizeof(text) - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : 0;

	text[n] = '\0';
	json_decref(config);
	return text;
}

static void
what_was_given_is_read(void **state)
{
	writing *w = *state;
	static const char *const additional[] = {"ghost"};
	mb_model *model;

	w->parts.tokenizer.lowercase = false;
	w->parts.tokenizer.strip_accents = true;
	w->parts.tokenizer.max_chars_per_word = 50;
	w->parts.tokenizer.additional_special_tokens = additional;
	w->parts.tokenizer.n_additional_special_tokens = 1;
	model = write_and_open(w);
	assert_memory_equal(&model->config, &w->parts.config, sizeof(mb_config));
	assert_int_equal(model->pipeline.pooling, MB_POOL_MEAN);
	assert_true(model->pipeline.normalize);
	assert_int_equal(model->pipeline.max_length, 16);
	assert_int_equal(model->pipeline.window_stride, 11);
	assert_int_equal(model->pipeline.problem, MB_MULTI_LABEL);
	assert_false(model->tokenizer.lowercase);
	assert_true(model->tokenizer.strip_accents);
	assert_int_equal(model->tokenizer.max_chars_per_word, 50);
	assert_int_equal(model->tokenizer.n_additional_special_tokens, 1);
	assert_string_equal(model->tokenizer.additional_special_tokens[0], "ghost");
	assert_string_equal(model->vocab, w->parts.vocab);
	assert_string_equal(model->card_json, w->parts.card_json);
	assert_string_equal(model->kind, "tagger");
	for (int l = 0; l < 3; l++)
	{
		assert_string_equal(model->tags[l].name, tags[l].name);
		assert_true(isnan(tags[l].threshold) ? isnan(model->tags[l].threshold)
											 : model->tags[l].threshold == tags[l].threshold);
		assert_int_equal(model->tags[l].support, tags[l].support);
	}
	for (size_t i = 0; i < w->tiny->n_tensors; i++)
	{
		const mb_tensor *tensor = mb_model_tensor(model, w->tiny->tensors[i].name);

		assert_non_null(tensor);
		assert_int_equal(tensor->dtype, w->tiny->tensors[i].dtype);
		assert_memory_equal(tensor->data, w->tiny->tensors[i].data, tensor->bytes);
	}
	mb_model_close(model);
}

/* As BertConfig.to_dict() has them; the padding token is row 1 here. */
static void
the_config_is_what_transformers_writes(void **state)
{
	static const struct
	{
		const char *key, *value;
	} members[] = {
		{"architectures", "[\"BertForMaskedLM\"]"},
		{"attention_probs_dropout_prob", "0.1"},
		{"classifier_dropout", "null"},
		{"hidden_act", "\"gelu\""},
		{"hidden_dropout_prob", "0.1"},
		{"hidden_size", "8"},
		{"initializer_range", "0.02"},
		{"intermediate_size", "12"},
		{"layer_norm_eps", "1e-12"},
		{"max_position_embeddings", "16"},
		{"model_type", "\"bert\""},
		{"num_attention_heads", "2"},
		{"num_hidden_layers", "1"},
		{"pad_token_id", "1"},
		{"position_embedding_type", "\"absolute\""},
		{"type_vocab_size", "2"},
		{"use_cache", "true"},
		{"vocab_size", "12"},
	};
	writing *w = *state;
	mb_model *model;

	behead(w);
	model = write_and_open(w);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		assert_string_equal(config_member(model, members[i].key), members[i].value);
	assert_string_equal(model->kind, "masked-lm");
	assert_string_equal(model->architecture, "BertForMaskedLM");
	mb_model_close(model);
}

static void
its_class_follows_from_the_tensors(void **state)
{
	writing *w = *state;
	mb_model *model;

	w->parts.kind = "classifier";
	w->parts.pipeline.pooling = MB_POOL_POOLER;
	w->parts.pipeline.normalize = false;
	model = write_and_open(w);
	assert_string_equal(config_member(model, "architectures"), "[\"BertForSequenceClassification\"]");
	assert_string_equal(model->kind, "classifier");
	mb_model_close(model);
	behead(w);
	while (w->parts.n_tensors > 0 && strncmp(w->parts.tensors[w->parts.n_tensors - 1].name, "cls.", 4) == 0)
		w->parts.n_tensors--;
	w->parts.config.layer_norm_eps = 1.2345678e-7f;
	w->parts.config.hidden_act = MB_GELU_TANH;
	model = write_and_open(w);
	assert_string_equal(config_member(model, "architectures"), "[\"BertModel\"]");
	assert_true(model->config.layer_norm_eps == 1.2345678e-7f);
	assert_int_equal(model->config.hidden_act, MB_GELU_TANH);
	mb_model_close(model);
}

/* What mb_model_parts_of gives, with the same tensors, makes the same file. */
static void
parts_of_a_model_make_it_again(void **state)
{
	writing *w = *state;
	mb_model *model = write_and_open(w);
	mb_model_parts again = mb_model_parts_of(model);
	mb_error err;

	again.tensors = w->parts.tensors;
	again.n_tensors = w->parts.n_tensors;
	assert_int_equal(mb_model_write(&again, in_folder(w->folder, "again"), &err), MB_OK);
	mb_model_close(model);
	assert_true(same_file(in_folder(w->folder, "model"), in_folder(w->folder, "again")));
}

static float
single(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static float
of_half(uint16_t half)
{
	const mb_tensor tensor = {.dtype = MB_F16, .n_dims = 1, .shape = {1}, .data = &half, .bytes = 2};
	float value;

	assert_true(mb_tensor_to_f32(&tensor, 0, 1, &value));
	return value;
}

/* Each half stays itself; between two of them the middle goes to the even one, and its neighbours to theirs. */
static void
halves_are_the_nearest(void **state)
{
	(void) state;
	for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000)
		for (uint32_t half = 0; half < 0x7c00; half++)
		{
			float value = of_half((uint16_t) (sign | half));
			float next = half == 0x7bff ? (sign ? -65536.0f : 65536.0f) : of_half((uint16_t) (sign | (half + 1)));
			float middle = (float) (((double) value + (double) next) / 2);
			float in[3] = {value, nextafterf(middle, value), middle};
			uint16_t out[3];

			assert_true(mb_f32_to_f16(in, half == 0x7bff ? 2 : 3, out));
			assert_int_equal(out[0], sign | half);
			assert_int_equal(out[1], sign | half);
			if (half == 0x7bff)
			{
				assert_false(mb_f32_to_f16(&middle, 1, out));
				continue;
			}
			assert_int_equal(out[2], sign | (half + (half & 1)));
			in[0] = nextafterf(middle, next);
			assert_true(mb_f32_to_f16(in, 1, out));
			assert_int_equal(out[0], sign | (half + 1));
		}
	for (uint32_t bits = 0x7f800000; bits <= 0x7fc00001; bits += 0x400001)
	{
		const float value = single(bits);
		uint16_t out;

		assert_false(mb_f32_to_f16(&value, 1, &out));
	}
}

static void
half_the_size(void **state)
{
	writing *w = *state;
	mb_model *model;

	w->parts.half = true;
	model = write_and_open(w);
	for (size_t i = 0; i < w->tiny->n_tensors; i++)
	{
		const mb_tensor *given = &w->tiny->tensors[i];
		const mb_tensor *tensor = mb_model_tensor(model, given->name);
		float before[128], after[128];
		size_t n = (size_t) mb_tensor_elements(given);

		assert_int_equal(tensor->dtype, given->dtype == MB_BF16 ? MB_BF16 : MB_F16);
		assert_true(mb_tensor_to_f32(given, 0, n, before));
		assert_true(mb_tensor_to_f32(tensor, 0, n, after));
		for (size_t e = 0; e < n; e++)
			if (fabsf(before[e] - after[e]) > fabsf(before[e]) / 2048 + 3e-8f)
				fail_msg("%s: %g became %g", given->name, (double) before[e], (double) after[e]);
	}
	mb_model_close(model);
}

/* ---- refusals; what was there stays ------------------------------------------------------------------------------ */

static const char older[] = "the older file";

static void
put_older(const writing *w)
{
	FILE *file = fopen(w->path, "w");

	assert_non_null(file);
	fputs(older, file);
	fclose(file);
}

static void
assert_older_is_all(const writing *w)
{
	char found[64] = "";
	FILE *file = fopen(w->path, "r");

	assert_non_null(file);
	assert_non_null(fgets(found, sizeof(found), file));
	fclose(file);
	assert_string_equal(found, older);
	assert_int_equal(access(in_folder(w->folder, "model.new"), F_OK), -1);
	assert_int_equal(access(in_folder(w->folder, "model.new.tmp"), F_OK), -1);
}

typedef void (*spoil)(writing *w);

static void
no_padding(writing *w)
{
	w->parts.vocab = "[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
}

static void
too_many_tokens(writing *w)
{
	w->parts.vocab = "[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\n";
}

static void
tag_twice(writing *w)
{
	static const mb_tag twice[3] = {{"a", NAN, -1}, {"b", NAN, -1}, {"a", NAN, -1}};

	w->parts.tags = twice;
}

static void
tensor_missing(writing *w)
{
	tiny_model_drop(w->tiny, "embeddings.LayerNorm.bias");
	w->parts.n_tensors = w->tiny->n_tensors;
}

static void
no_tensor_of_ours(writing *w)
{
	w->parts.pipeline.problem = MB_NO_HEAD;
	w->parts.pipeline.num_labels = 0;
}

static void
other_width(writing *w)
{
	w->parts.config.intermediate_size = 16;
}

static void
long_windows(writing *w)
{
	w->parts.pipeline.max_length = 17;
}

static void
no_number(writing *w)
{
	((float *) (uintptr_t) tiny_model_tensor(w->tiny, "classifier.bias")->data)[1] = NAN;
}

static void
large_for_half(writing *w)
{
	((float *) (uintptr_t) tiny_model_tensor(w->tiny, "classifier.bias")->data)[1] = 65520.0f;
	w->parts.half = true;
}

static void
no_json_card(writing *w)
{
	w->parts.card_json = "{";
}

static void
parts_that_do_not_fit_are_refused(void **state)
{
	static const struct
	{
		spoil spoil;
		mb_status status;
		const char *expected;
	} cases[] = {
		{no_padding, MB_CORRUPT, "the padding token \"[PAD]\" is missing from the vocabulary"},
		{too_many_tokens, MB_CORRUPT, "the vocabulary has more tokens than the embeddings have rows"},
		{tag_twice, MB_INVALID_ARGUMENT, "tag \"a\" is given twice"},
		{tensor_missing, MB_CORRUPT, "tensor \"embeddings.LayerNorm.bias\" is missing"},
		{no_tensor_of_ours, MB_CORRUPT, "tensor \"classifier.bias\" does not belong to the model"},
		{other_width, MB_CORRUPT, "tensor \"encoder.layer.0.intermediate.dense.weight\" has the wrong shape"},
		{long_windows, MB_CORRUPT, "member \"max_length\" of metadata moviebert.pooling is out of range"},
		{no_number, MB_CORRUPT, "tensor \"classifier.bias\" has a weight that is not finite"},
		{large_for_half, MB_INVALID_ARGUMENT,
		 "tensor \"classifier.bias\" has a weight that half precision cannot hold"},
		{no_json_card, MB_CORRUPT, "metadata moviebert.card is not valid JSON"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		void *own;
		writing *w;
		mb_error err;

		set_up(&own);
		w = own;
		put_older(w);
		cases[i].spoil(w);
		if (mb_model_write(&w->parts, w->path, &err) != cases[i].status ||
			strncmp(err.message, cases[i].expected, strlen(cases[i].expected)) != 0)
			fail_msg("\"%s\", expected \"%s\"", err.message, cases[i].expected);
		assert_older_is_all(w);
		assert_int_equal(mb_model_write(&w->parts, w->path, NULL), cases[i].status);
		tear_down(&own);
	}
}

static void
a_full_disk_keeps_the_older(void **state)
{
	writing *w = *state;
	char expected[200];
	size_t size;
	mb_error err;

	mb_model_close(write_and_open(w));
	free(read_whole(w->path, &size));
	put_older(w);
	snprintf(expected, sizeof(expected), "could not write \"%s\"", w->path);
	for (size_t room = 0; room < size; room += 999)
	{
		mb_status status;

		disk_fills_after(room);
		status = mb_model_write(&w->parts, w->path, &err);
		disk_works();
		assert_int_equal(status, MB_IO);
		assert_int_equal(err.os_errno, ENOSPC);
		assert_string_equal(err.message, expected);
		assert_string_equal(err.detail, "The system says: No space left on device.");
		assert_older_is_all(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_given_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_config_is_what_transformers_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_class_follows_from_the_tensors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(parts_of_a_model_make_it_again, set_up, tear_down),
		cmocka_unit_test(halves_are_the_nearest),
		cmocka_unit_test_setup_teardown(half_the_size, set_up, tear_down),
		cmocka_unit_test(parts_that_do_not_fit_are_refused),
		cmocka_unit_test_setup_teardown(a_full_disk_keeps_the_older, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
