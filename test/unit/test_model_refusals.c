/* test_model_refusals.c - model files that are wrong, each in its own way, and memory that ends while one is opened. */
#include <errno.h>
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
#include "test/unit/tiny_model.h"

/* ---- hostile metadata -----------------------------------------------------------------------------------------------
 */

typedef struct hostile_metadata
{
	const char *key;       /* without "moviebert." */
	const char *from, *to; /* from NULL: the whole value; to NULL as well: removed */
	mb_status status;
	const char *expected; /* in "message|detail|hint" */
} hostile_metadata;

static const hostile_metadata metadata[] = {
	{"format", NULL, NULL, MB_CORRUPT, "a safetensors file, but not a moviebert model||Make one"},
	{"format", NULL, "2", MB_UNSUPPORTED, "model file format \"2\" is not supported"},
	{"format", NULL, "1.0", MB_UNSUPPORTED, "model file format \"1.0\" is not supported"},
	/* config: JSON */
	{"config", NULL, NULL, MB_CORRUPT, "the model file has no metadata \"moviebert.config\""},
	{"config", NULL, "", MB_CORRUPT, "metadata moviebert.config is not valid JSON"},
	{"config", NULL, "[]", MB_CORRUPT, "metadata moviebert.config is not a JSON object"},
	{"config", "{", "{{", MB_CORRUPT, "metadata moviebert.config is not valid JSON|Line 1, column 2:"},
	{"config", "\"vocab_size\"", "\"model_type\"", MB_CORRUPT, "duplicate object key"},
	{"config", "\"bert\"", "\"be\\u0000rt\"", MB_CORRUPT, "\\u0000 is not allowed"},
	{"config", "\"bert\"", "\"be\\ud800rt\"", MB_CORRUPT, "invalid Unicode"},
	/* config: kinds of models */
	{"config", "\"bert\"", "7", MB_CORRUPT, "member \"model_type\" of metadata moviebert.config is not a string"},
	{"config", "\"bert\"", "\"roberta\"", MB_UNSUPPORTED,
	 "model type \"roberta\" is not supported|RoBERTa counts positions from 2 and has a byte-level BPE "
	 "tokenizer.|Choose"},
	{"config", "\"bert\"", "\"xlm-roberta\"", MB_UNSUPPORTED,
	 "model type \"xlm-roberta\" is not supported|XLM-RoBERTa"},
	{"config", "\"bert\"", "\"distilbert\"", MB_UNSUPPORTED, "model type \"distilbert\" is not supported|DistilBERT"},
	{"config", "\"bert\"", "\"mpnet\"", MB_UNSUPPORTED, "model type \"mpnet\" is not supported|MPNet"},
	{"config", "\"bert\"", "\"albert\"", MB_UNSUPPORTED, "model type \"albert\" is not supported|ALBERT"},
	{"config", "\"bert\"", "\"electra\"", MB_UNSUPPORTED, "model type \"electra\" is not supported|ELECTRA"},
	{"config", "\"bert\"", "\"deberta-v2\"", MB_UNSUPPORTED, "model type \"deberta-v2\" is not supported|DeBERTa"},
	{"config", "\"bert\"", "\"modernbert\"", MB_UNSUPPORTED, "model type \"modernbert\" is not supported|ModernBERT"},
	{"config", "\"bert\"", "\"nomic_bert\"", MB_UNSUPPORTED, "model type \"nomic_bert\" is not supported|NomicBERT"},
	{"config", "\"bert\"", "\"gpt2\"", MB_UNSUPPORTED, "model type \"gpt2\" is not supported|moviebert runs models"},
	{"config", "[\"BertForMaskedLM\"]", "[\"RobertaModel\"]", MB_UNSUPPORTED,
	 "architecture \"RobertaModel\" is not supported|There are BertModel, BertForMaskedLM,"},
	{"config", "[\"BertForMaskedLM\"]", "[\"BertForTokenClassification\"]", MB_UNSUPPORTED,
	 "architecture \"BertForTokenClassification\" is not supported|There are BertModel, BertForMaskedLM, "
	 "BertForPreTraining and BertForSequenceClassification.|To use its encoder without its head"},
	{"config", "[\"BertForMaskedLM\"]", "[\"BertForQuestionAnswering\"]", MB_UNSUPPORTED,
	 "architecture \"BertForQuestionAnswering\" is not supported"},
	{"config", "[\"BertForMaskedLM\"]", "[12]", MB_CORRUPT,
	 "member \"architectures\" of metadata moviebert.config is not"},
	{"config", "[\"BertForMaskedLM\"]", "\"BertModel\"", MB_CORRUPT, "is not a list of strings"},
	{"config", "\"bert\"", "\"bert\", \"position_embedding_type\": \"relative_key\"", MB_UNSUPPORTED,
	 "position embeddings of type \"relative_key\" are not supported"},
	{"config", "\"bert\"", "\"bert\", \"is_decoder\": true", MB_UNSUPPORTED, "BERT decoders are not supported"},
	{"config", "\"bert\"", "\"bert\", \"add_cross_attention\": true", MB_UNSUPPORTED,
	 "cross-attention is not supported"},
	{"config", "\"bert\"", "\"bert\", \"pruned_heads\": {\"0\": [1]}", MB_UNSUPPORTED, "pruned attention heads"},
	{"config", "\"bert\"", "\"bert\", \"quantization_config\": {}", MB_UNSUPPORTED, "quantized checkpoints are not"},
	{"config", "\"bert\"", "\"bert\", \"embedding_size\": 4", MB_UNSUPPORTED, "Embedding size is 4, hidden size 8."},
	{"config", "\"gelu\"", "\"mish\"", MB_UNSUPPORTED, "activation \"mish\" is not supported|There are gelu, gelu_new"},
	/* config: sizes */
	{"config", "\"vocab_size\": 12, ", "", MB_CORRUPT, "metadata moviebert.config has no \"vocab_size\""},
	{"config", "\"hidden_size\": 8, ", "", MB_CORRUPT, "metadata moviebert.config has no \"hidden_size\""},
	{"config", "\"num_hidden_layers\": 1, ", "", MB_CORRUPT, "metadata moviebert.config has no \"num_hidden_layers\""},
	{"config", "\"num_attention_heads\": 2, ", "", MB_CORRUPT, "moviebert.config has no \"num_attention_heads\""},
	{"config", "\"intermediate_size\": 12, ", "", MB_CORRUPT, "moviebert.config has no \"intermediate_size\""},
	{"config", "\"max_position_embeddings\": 16, ", "", MB_CORRUPT, "has no \"max_position_embeddings\""},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": null", MB_CORRUPT, "moviebert.config has no \"hidden_size\""},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 8.5", MB_CORRUPT,
	 "\"hidden_size\" of metadata moviebert.config is not"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": \"8\"", MB_CORRUPT, "is not a whole number"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": true", MB_CORRUPT, "is not a whole number"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 0", MB_CORRUPT, "It is 0; it must be from 1 to 1048576."},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": -8", MB_CORRUPT, "It is -8; it must be from 1 to 1048576."},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 1048577", MB_CORRUPT, "It is 1048577; it must be from 1 to"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 4294967304", MB_CORRUPT, "It is 4294967304; it must be from 1"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 18446744073709551624", MB_CORRUPT,
	 "\"hidden_size\" of metadata"},
	{"config", "\"hidden_size\": 8", "\"hidden_size\": 1e999", MB_CORRUPT, "real number overflow"},
	{"config", "\"vocab_size\": 12", "\"vocab_size\": 16777217", MB_CORRUPT, "it must be from 1 to 16777216."},
	{"config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 4097", MB_CORRUPT, "it must be from 0 to 4096."},
	{"config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": -1", MB_CORRUPT, "it must be from 0 to 4096."},
	{"config", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3", MB_CORRUPT,
	 "is not divisible by its attention heads|It has hidden size 8 and 3 heads."},
	{"config", "\"num_attention_heads\": 2", "\"num_attention_heads\": 0", MB_CORRUPT, "\"num_attention_heads\" of"},
	{"config", "\"intermediate_size\": 12", "\"intermediate_size\": 16777217", MB_CORRUPT, "\"intermediate_size\" of"},
	{"config", "\"max_position_embeddings\": 16", "\"max_position_embeddings\": 2", MB_CORRUPT, "from 3 to 16777216"},
	{"config", "\"type_vocab_size\": 2", "\"type_vocab_size\": 0", MB_CORRUPT, "\"type_vocab_size\" of metadata"},
	{"config", "1e-12", "0", MB_CORRUPT, "\"layer_norm_eps\" of metadata moviebert.config is out of range|It is 0;"},
	{"config", "1e-12", "1e-60", MB_CORRUPT,
	 "\"layer_norm_eps\" of metadata moviebert.config is out of range|It is 0;"},
	{"config", "1e-12", "1e60", MB_CORRUPT, "It is 9.9999999999999995e+59, too large for single precision."},
	{"config", "1e-12", "\"1e-12\"", MB_CORRUPT, "\"layer_norm_eps\" of metadata moviebert.config is not a number"},
	/* vocabulary and tokenizer */
	{"vocab", NULL, NULL, MB_CORRUPT, "the model file has no metadata \"moviebert.vocab\""},
	{"vocab", NULL, "", MB_CORRUPT, "vocabulary is empty"},
	{"vocab", "[CLS]\n", "CLS\n", MB_CORRUPT, "token \"[CLS]\" is missing from the vocabulary"},
	{"vocab", "[MASK]\n", "mask\n", MB_CORRUPT, "token \"[MASK]\" is missing from the vocabulary"},
	{"vocab", "love\n", "a\n", MB_CORRUPT, "duplicate token \"a\" in vocabulary"},
	{"vocab", "love\n", "love\nx\ny\n", MB_CORRUPT,
	 "the vocabulary has more tokens than the embeddings have rows|It has 13 tokens; vocab_size is 12."},
	{"tokenizer", NULL, NULL, MB_CORRUPT, "the model file has no metadata \"moviebert.tokenizer\""},
	{"tokenizer", NULL, "true", MB_CORRUPT, "metadata moviebert.tokenizer is not valid JSON"},
	{"tokenizer", "\"do_lower_case\": true, ", "", MB_CORRUPT, "moviebert.tokenizer has no \"do_lower_case\""},
	{"tokenizer", "\"strip_accents\": null, ", "", MB_CORRUPT, "moviebert.tokenizer has no \"strip_accents\""},
	{"tokenizer", "\"tokenize_chinese_chars\": true, ", "", MB_CORRUPT, "has no \"tokenize_chinese_chars\""},
	{"tokenizer", "\"split_special_tokens\": false, ", "", MB_CORRUPT, "has no \"split_special_tokens\""},
	{"tokenizer", "\"do_lower_case\": true", "\"do_lower_case\": 1", MB_CORRUPT,
	 "\"do_lower_case\" of metadata moviebert"},
	{"tokenizer", "\"[UNK]\"", "null", MB_CORRUPT, "metadata moviebert.tokenizer has no \"unk_token\""},
	{"tokenizer", "\"[UNK]\"", "[]", MB_CORRUPT, "\"unk_token\" of metadata moviebert.tokenizer is not a string"},
	{"tokenizer", "\"[UNK]\"", "\"[unk]\"", MB_CORRUPT, "token \"[unk]\" is missing from the vocabulary"},
	{"tokenizer", "\"[SEP]\"", "\"\"", MB_CORRUPT, "token \"\" is missing from the vocabulary"},
	{"tokenizer", "[\"ghost\"]", "\"ghost\"", MB_CORRUPT,
	 "\"additional_special_tokens\" of metadata moviebert.tokenizer"},
	{"tokenizer", "[\"ghost\"]", "[\"ghost\", 7]", MB_CORRUPT, "element 1 of \"additional_special_tokens\""},
	{"tokenizer", "[\"ghost\"]", "[\"\"]", MB_CORRUPT, "element 0 of \"additional_special_tokens\""},
	{"tokenizer", "[\"ghost\"]", "[\"goast\"]", MB_CORRUPT, "special token \"goast\" is missing from the vocabulary"},
	{"tokenizer", "\"[UNK]\"", "\"[UNK]\", \"max_input_chars_per_word\": 0", MB_CORRUPT,
	 "\"max_input_chars_per_word\" of"},
	/* pooling */
	{"pooling", NULL, NULL, MB_CORRUPT, "the model file has no metadata \"moviebert.pooling\""},
	{"pooling", NULL, "null", MB_CORRUPT, "metadata moviebert.pooling is not valid JSON"},
	{"pooling", "\"mode\": \"mean\", ", "", MB_CORRUPT, "metadata moviebert.pooling has no \"mode\""},
	{"pooling", "\"mean\"", "\"max\"", MB_UNSUPPORTED,
	 "\"mode\" of metadata moviebert.pooling is \"max\", which is not supported|There are \"mean\", \"cls\" and "
	 "\"pooler\"."},
	{"pooling", "\"mean\"", "3", MB_CORRUPT, "member \"mode\" of metadata moviebert.pooling is not a string"},
	{"pooling", "\"normalize\": true, ", "", MB_CORRUPT, "metadata moviebert.pooling has no \"normalize\""},
	{"pooling", "\"normalize\": true", "\"normalize\": \"yes\"", MB_CORRUPT,
	 "\"normalize\" of metadata moviebert.pooling"},
	{"pooling", "\"max_length\": 16, ", "", MB_CORRUPT, "metadata moviebert.pooling has no \"max_length\""},
	{"pooling", "\"max_length\": 16", "\"max_length\": 17", MB_CORRUPT, "It is 17; it must be from 3 to 16."},
	{"pooling", "\"max_length\": 16", "\"max_length\": 2", MB_CORRUPT, "It is 2; it must be from 3 to 16."},
	{"pooling", "\"windows\"", "\"summary\"", MB_UNSUPPORTED,
	 "\"long_text\" of metadata moviebert.pooling is \"summary\""},
	{"pooling", ", \"window_stride\": 7", "", MB_CORRUPT, "metadata moviebert.pooling has no \"window_stride\""},
	{"pooling", "\"window_stride\": 7", "\"window_stride\": 0", MB_CORRUPT, "It is 0; it must be from 1 to 14."},
	{"pooling", "\"window_stride\": 7", "\"window_stride\": 15", MB_CORRUPT, "It is 15; it must be from 1 to 14."},
	/* head, tags, card */
	{"head", NULL, NULL, MB_CORRUPT, "there are tags, but no metadata moviebert.head"},
	{"head", NULL, "{}", MB_CORRUPT, "metadata moviebert.head has no \"problem\""},
	{"head", "\"multi_label\"", "\"ranking\"", MB_UNSUPPORTED, "\"problem\" of metadata moviebert.head is \"ranking\""},
	{"head", "\"tagger\"", "\"hat\"", MB_UNSUPPORTED, "\"kind\" of metadata moviebert.head is \"hat\""},
	{"head", "\"tagger\"", "1", MB_CORRUPT, "member \"kind\" of metadata moviebert.head is not a string"},
	{"head", ", \"kind\": \"tagger\"", "", MB_CORRUPT,
	 "a classifier's head needs pooling \"pooler\" without normalization|BertForSequenceClassification"},
	{"tags", NULL, NULL, MB_CORRUPT, "there is metadata moviebert.head, but no tag"},
	{"tags", NULL, "{}", MB_CORRUPT, "metadata moviebert.tags is not a JSON list"},
	{"tags", NULL, "[", MB_CORRUPT, "metadata moviebert.tags is not valid JSON"},
	{"tags", NULL, "[{\"name\": \"a\"}, {\"name\": \"b\"}]", MB_CORRUPT,
	 "tensor \"classifier.weight\" has the wrong shape|It is [3, 8]; the config calls for [2, 8]."},
	{"tags", "{\"name\": \"love\"}", "\"love\"", MB_CORRUPT, "tag 3 of metadata moviebert.tags is not an object"},
	{"tags", "{\"name\": \"love\"}", "{\"nom\": \"love\"}", MB_CORRUPT, "tag 3 of metadata moviebert.tags has no name"},
	{"tags", "\"love\"", "\"\"", MB_CORRUPT, "tag 3 of metadata moviebert.tags has an empty name"},
	{"tags", "\"love\"", "\"horror\"", MB_CORRUPT, "tag \"horror\" is there twice in metadata moviebert.tags"},
	{"tags", "0.25", "\"0.25\"", MB_CORRUPT, "tag 1 of metadata moviebert.tags has a threshold that is not a number"},
	{"tags", "0.25", "1e39", MB_CORRUPT, "tag 1 of metadata moviebert.tags has a threshold that is not a number"},
	{"tags", "0.25", "NaN", MB_CORRUPT, "invalid token near 'NaN'"},
	{"tags", ": 12", ": -1", MB_CORRUPT, "tag 1 of metadata moviebert.tags has a support that is not a count"},
	{"tags", ": 12", ": 1.5", MB_CORRUPT, "tag 1 of metadata moviebert.tags has a support that is not a count"},
	{"card", NULL, "[]", MB_CORRUPT, "metadata moviebert.card is not a JSON object"},
	{"card", NULL, "card", MB_CORRUPT, "metadata moviebert.card is not valid JSON"},
};

static void
expect_refused(const char *name, const tiny_model *tiny, mb_status status, const char *expected)
{
	mb_model *model = (mb_model *) &model;
	char said[1200];
	mb_error err;
	mb_status got;
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);

	memset(&err, 'x', sizeof(err));
	got = mb_model_open(&model, bytes, size, &err);
	if (got == MB_OK)
		fail_msg("%s: the model was accepted", name);
	assert_null(model);
	snprintf(said, sizeof(said), "%s|%s|%s", err.message, err.detail, err.hint);
	if (got != status || err.status != status || strstr(said, expected) == NULL)
		fail_msg("%s: status %d, \"%s\"; expected status %d, \"%s\"", name, got, said, status, expected);
	free(bytes);
}

static void
hostile_metadata_is_refused(void **state)
{
	size_t n = sizeof(metadata) / sizeof(metadata[0]);

	(void) state;
	for (size_t i = 0; i < n; i++)
	{
		tiny_model *tiny = tiny_model_new();
		char key[64], name[400];

		snprintf(key, sizeof(key), "moviebert.%s", metadata[i].key);
		snprintf(name, sizeof(name), "%s: %s -> %s", key, metadata[i].from != NULL ? metadata[i].from : "(all)",
				 metadata[i].to != NULL ? metadata[i].to : "(nothing)");
		if (metadata[i].from == NULL)
			tiny_model_set(tiny, key, metadata[i].to);
		else
			tiny_model_replace(tiny, key, metadata[i].from, metadata[i].to);
		expect_refused(name, tiny, metadata[i].status, metadata[i].expected);
		tiny_model_free(tiny);
	}
	print_message("%zu models with hostile metadata\n", n);
}

static void
oversized_metadata_is_refused(void **state)
{
	static const char *const keys[] = {"config", "tokenizer", "pooling", "head", "tags", "card"};
	size_t n = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 1 : sizeof(keys) / sizeof(keys[0]);
	size_t large = (size_t) 16 * 1024 * 1024 + 1;
	char *text = malloc(large + 1);

	(void) state;
	memset(text, ' ', large);
	text[large] = '\0';
	for (size_t i = 0; i < n; i++)
	{
		tiny_model *tiny = tiny_model_new();
		char key[64], expected[128];

		snprintf(key, sizeof(key), "moviebert.%s", keys[i]);
		snprintf(expected, sizeof(expected), "metadata %s is too large|It has 16777217 bytes; at most 16777216", key);
		tiny_model_set(tiny, key, text);
		expect_refused(key, tiny, MB_LIMIT, expected);
		tiny_model_free(tiny);
	}
	free(text);
}

/* jansson descends 2,048 levels, so that nobody's stack overflows. */
static void
deep_nesting_is_refused(void **state)
{
	char text[5010] = "{\"a\":";
	tiny_model *tiny = tiny_model_new();

	(void) state;
	memset(text + 5, '[', 5000);
	tiny_model_set(tiny, "moviebert.card", text);
	expect_refused("deep nesting", tiny, MB_CORRUPT, "metadata moviebert.card is not valid JSON|Line 1, column 2");
	expect_refused("deep nesting", tiny, MB_CORRUPT, "maximum parsing depth reached");
	tiny_model_free(tiny);
}

/* One more than 2^20 is refused before anything is made of them. */
static void
too_many_tags_are_refused(void **state)
{
	size_t n = (1 << 20) + 1;
	char *text = malloc(3 * n + 2), *at = text;
	tiny_model *tiny = tiny_model_new();

	(void) state;
	*at++ = '[';
	for (size_t i = 0; i < n; i++)
	{
		*at++ = '7';
		*at++ = ',';
	}
	at[-1] = ']';
	*at = '\0';
	tiny_model_set(tiny, "moviebert.tags", text);
	expect_refused("too many tags", tiny, MB_LIMIT, "the model has too many tags|It has 1048577; at most 1048576");
	tiny_model_free(tiny);
	free(text);
}

/* ---- hostile tensors ------------------------------------------------------------------------------------------------
 */

static const struct
{
	const char *tensor;
	mb_dtype dtype;
	int64_t rows, columns; /* rows 0: no tensor */
	mb_status status;
	const char *expected;
} tensors[] = {
	{"embeddings.word_embeddings.weight", MB_F32, 0, 0, MB_CORRUPT, "\"embeddings.word_embeddings.weight\" is missing"},
	{"embeddings.position_embeddings.weight", MB_F32, 0, 0, MB_CORRUPT,
	 "\"embeddings.position_embeddings.weight\" is m"},
	{"embeddings.LayerNorm.bias", MB_F32, 0, 0, MB_CORRUPT, "tensor \"embeddings.LayerNorm.bias\" is missing"},
	{"encoder.layer.0.attention.self.key.bias", MB_F32, 0, 0, MB_CORRUPT,
	 "tensor \"encoder.layer.0.attention.self.key.b"},
	{"encoder.layer.0.output.LayerNorm.weight", MB_F32, 0, 0, MB_CORRUPT,
	 "\"encoder.layer.0.output.LayerNorm.weight\""},
	{"pooler.dense.weight", MB_F32, 0, 0, MB_CORRUPT, "tensor \"pooler.dense.weight\" is missing"},
	{"pooler.dense.bias", MB_F32, 0, 0, MB_CORRUPT, "tensor \"pooler.dense.bias\" is missing"},
	{"classifier.weight", MB_F32, 0, 0, MB_CORRUPT, "tensor \"classifier.weight\" is missing"},
	{"classifier.bias", MB_F32, 0, 0, MB_CORRUPT, "tensor \"classifier.bias\" is missing"},
	{"embeddings.word_embeddings.weight", MB_F32, 11, 8, MB_CORRUPT, "It is [11, 8]; the config calls for [12, 8]."},
	{"embeddings.word_embeddings.weight", MB_F32, 8, 12, MB_CORRUPT, "It is [8, 12]; the config calls for [12, 8]."},
	{"embeddings.word_embeddings.weight", MB_F32, 96, 0, MB_CORRUPT, "It is [96]; the config calls for [12, 8]."},
	{"embeddings.position_embeddings.weight", MB_F32, 15, 8, MB_CORRUPT,
	 "It is [15, 8]; the config calls for [16, 8]."},
	{"embeddings.token_type_embeddings.weight", MB_F32, 1, 8, MB_CORRUPT, "It is [1, 8]; the config calls for [2, 8]."},
	{"embeddings.LayerNorm.weight", MB_F32, 8, 1, MB_CORRUPT, "It is [8, 1]; the config calls for [8]."},
	{"encoder.layer.0.attention.self.query.weight", MB_F32, 8, 7, MB_CORRUPT,
	 "It is [8, 7]; the config calls for [8, 8]"},
	{"encoder.layer.0.intermediate.dense.weight", MB_F32, 8, 12, MB_CORRUPT,
	 "It is [8, 12]; the config calls for [12, 8"},
	{"encoder.layer.0.output.dense.weight", MB_F32, 12, 8, MB_CORRUPT, "It is [12, 8]; the config calls for [8, 12]."},
	{"encoder.layer.0.output.dense.bias", MB_F32, 12, 0, MB_CORRUPT, "It is [12]; the config calls for [8]."},
	{"pooler.dense.weight", MB_F32, 8, 9, MB_CORRUPT, "It is [8, 9]; the config calls for [8, 8]."},
	{"classifier.bias", MB_F32, 4, 0, MB_CORRUPT, "It is [4]; the config calls for [3]."},
	{"cls.predictions.bias", MB_F32, 11, 0, MB_CORRUPT, "It is [11]; the config calls for [12]."},
	{"cls.predictions.transform.dense.weight", MB_F32, 8, 4, MB_CORRUPT, "It is [8, 4]; the config calls for [8, 8]."},
	{"cls.predictions.decoder.weight", MB_F32, 8, 12, MB_CORRUPT,
	 "tensor \"cls.predictions.decoder.weight\" has the wrong"},
	{"embeddings.word_embeddings.weight", MB_I8, 12, 8, MB_UNSUPPORTED,
	 "tensor \"embeddings.word_embeddings.weight\" is of type I8|Weights may be F32, F16 or BF16."},
	{"encoder.layer.0.output.dense.weight", MB_F64, 8, 12, MB_UNSUPPORTED, "output.dense.weight\" is of type F64"},
	{"encoder.layer.0.output.dense.weight", MB_F8_E4M3, 8, 12, MB_UNSUPPORTED,
	 "output.dense.weight\" is of type F8_E4M3"},
	{"classifier.weight", MB_I64, 3, 8, MB_UNSUPPORTED, "tensor \"classifier.weight\" is of type I64"},
	{"cls.predictions.bias", MB_U8, 12, 0, MB_UNSUPPORTED, "tensor \"cls.predictions.bias\" is of type U8"},
	{"embeddings.position_ids", MB_I64, 1, 16, MB_CORRUPT,
	 "tensor \"embeddings.position_ids\" does not belong to the model"},
	{"encoder.layer.1.output.dense.bias", MB_F32, 8, 0, MB_CORRUPT,
	 "tensor \"encoder.layer.1.output.dense.bias\" does not"},
	{"bert.embeddings.LayerNorm.bias", MB_F32, 8, 0, MB_CORRUPT,
	 "tensor \"bert.embeddings.LayerNorm.bias\" does not belong"},
	{"cls.seq_relationship.bias", MB_F32, 2, 0, MB_CORRUPT, "tensor \"cls.seq_relationship.bias\" does not belong"},
};

static void
hostile_tensors_are_refused(void **state)
{
	size_t n = sizeof(tensors) / sizeof(tensors[0]);

	(void) state;
	for (size_t i = 0; i < n; i++)
	{
		tiny_model *tiny = tiny_model_new();

		if (tensors[i].rows == 0)
			tiny_model_drop(tiny, tensors[i].tensor);
		else
			tiny_model_put(tiny, tensors[i].tensor, tensors[i].dtype, tensors[i].rows, tensors[i].columns);
		expect_refused(tensors[i].tensor, tiny, tensors[i].status, tensors[i].expected);
		tiny_model_free(tiny);
	}
	print_message("%zu models with hostile tensors\n", n);
}

static void
tensors_and_metadata_that_disagree_are_refused(void **state)
{
	tiny_model *tiny = tiny_model_new();

	(void) state;
	tiny_model_set(tiny, "moviebert.head", NULL);
	tiny_model_set(tiny, "moviebert.tags", NULL);
	expect_refused("weights of a head that is not described", tiny, MB_CORRUPT,
				   "does not belong to the model|There is no metadata moviebert.head.");
	tiny_model_free(tiny);

	tiny = tiny_model_new();
	tiny_model_replace(tiny, "moviebert.pooling", "\"mean\"", "\"pooler\"");
	tiny_model_drop(tiny, "pooler.dense.weight");
	tiny_model_drop(tiny, "pooler.dense.bias");
	expect_refused("pooling by a pooler that is not there", tiny, MB_CORRUPT,
				   "tensor \"pooler.dense.weight\" is missing");
	tiny_model_free(tiny);

	tiny = tiny_model_new();
	tiny_model_replace(tiny, "moviebert.config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 4096");
	expect_refused("layers that are not there", tiny, MB_CORRUPT,
				   "tensor \"encoder.layer.1.attention.self.query.weight\" is missing");
	tiny_model_free(tiny);

	/* The largest sizes that a config may say are no trouble to compute with. */
	tiny = tiny_model_new();
	tiny_model_replace(tiny, "moviebert.config", "\"hidden_size\": 8", "\"hidden_size\": 1048576");
	tiny_model_replace(tiny, "moviebert.config", "\"vocab_size\": 12", "\"vocab_size\": 16777216");
	tiny_model_replace(tiny, "moviebert.config", "\"intermediate_size\": 12", "\"intermediate_size\": 16777216");
	tiny_model_replace(tiny, "moviebert.config", "\"max_position_embeddings\": 16",
					   "\"max_position_embeddings\": 16777216");
	expect_refused("sizes at their limits", tiny, MB_CORRUPT,
				   "It is [12, 8]; the config calls for [16777216, 1048576].");
	tiny_model_free(tiny);
}

/* A NaN would make NaN of every vector, without a word. */
static void
weights_that_are_not_finite_are_refused(void **state)
{
	static const struct
	{
		const char *tensor;
		size_t element;
		uint32_t bits;
		const char *expected;
	} cases[] = {
		{"embeddings.position_embeddings.weight", 0, 0x7fc00000, "Element 0 is nan."},
		{"embeddings.position_embeddings.weight", 127, 0x7f800000, "Element 127 is inf."},
		{"encoder.layer.0.output.dense.weight", 95, 0xff800000, "Element 95 is -inf."},
		{"embeddings.word_embeddings.weight", 50, 0x7c00, "Element 50 is inf."},
		{"embeddings.word_embeddings.weight", 95, 0x7c01, "Element 95 is nan."},
		{"encoder.layer.0.attention.self.key.weight", 63, 0xff80, "Element 63 is -inf."},
		{"classifier.bias", 2, 0x7f800001, "Element 2 is nan."},
		{"cls.predictions.bias", 11, 0xffffffff, "Element 11 is -nan."},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		tiny_model *tiny = tiny_model_new();
		mb_tensor *tensor = tiny_model_tensor(tiny, cases[i].tensor);
		size_t size = mb_dtype_size(tensor->dtype);
		char expected[200];

		memcpy((unsigned char *) (uintptr_t) tensor->data + cases[i].element * size, &cases[i].bits, size);
		snprintf(expected, sizeof(expected), "tensor \"%s\" has a weight that is not finite|%s", cases[i].tensor,
				 cases[i].expected);
		expect_refused(cases[i].tensor, tiny, MB_CORRUPT, expected);
		tiny_model_free(tiny);
	}
}

static void
damage_in_a_real_file_is_survived(void **state)
{
	tiny_model *tiny = tiny_model_new();
	int rounds = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 300 : 5000, accepted = 0;
	uint64_t random = 7;
	size_t size;
	unsigned char *bytes = tiny_model_bytes(tiny, &size);
	unsigned char *damaged = malloc(size);

	(void) state;
	for (int round = 0; round < rounds; round++)
	{
		mb_model *model;
		mb_error err;

		memcpy(damaged, bytes, size);
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		damaged[8 + (random >> 33) % 4500] = (unsigned char) (random >> 20); /* the header's first 4,500 bytes */
		if (mb_model_open(&model, damaged, size, &err) == MB_OK)
			accepted++;
		else
			assert_true(err.message[0] != '\0');
		mb_model_close(model);
	}
	print_message("%d damaged models, %d still valid\n", rounds, accepted);
	free(damaged);
	free(bytes);
	tiny_model_free(tiny);
}

/* ---- short memory ---------------------------------------------------------------------------------------------------
 */

static long allocations_left;

static void *
failing_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Wherever jansson's memory ends, a good file is not called bad, and nothing leaks. */
static void
short_memory_is_not_called_corrupt(void **state)
{
	tiny_model *tiny = tiny_model_new();
	json_malloc_t usual_malloc;
	json_free_t usual_free;
	mb_model *model;
	mb_error err;
	size_t size;
	void *bytes = tiny_model_bytes(tiny, &size);
	long room;

	(void) state;
	json_get_alloc_funcs(&usual_malloc, &usual_free);
	json_set_alloc_funcs(failing_malloc, usual_free);
	for (room = 0;; room++)
	{
		mb_status status;

		allocations_left = room;
		status = mb_model_open(&model, bytes, size, &err);
		if (status == MB_OK)
			break;
		if (status != MB_OUT_OF_MEMORY)
			fail_msg("%ld allocations: status %d, %s|%s", room, status, err.message, err.detail);
		assert_null(model);
	}
	json_set_alloc_funcs(usual_malloc, usual_free);
	mb_model_close(model);
	print_message("%ld allocations\n", room);
	assert_true(room > 50);
	free(bytes);
	tiny_model_free(tiny);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_metadata_is_refused),
		cmocka_unit_test(oversized_metadata_is_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(too_many_tags_are_refused),
		cmocka_unit_test(hostile_tensors_are_refused),
		cmocka_unit_test(tensors_and_metadata_that_disagree_are_refused),
		cmocka_unit_test(weights_that_are_not_finite_are_refused),
		cmocka_unit_test(damage_in_a_real_file_is_survived),
		cmocka_unit_test(short_memory_is_not_called_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
