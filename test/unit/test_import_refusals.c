/* test_import_refusals.c - checkpoint folders that must be refused, each with its message, leaving nothing behind. */
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
#include "test/unit/checkpoint_copy.h"
#include "test/unit/failing_disk.h"

/* ---- folders that are refused ------------------------------------------------------------------------------------ */

typedef struct refusal
{
	const char *checkpoint;
	mb_status status;
	const char *expected; /* in "message|detail|hint" */
	edit edits[MAX_EDITS];
	mb_import_options options;
} refusal;

#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define TOKENS "tokenizer_config.json"
#define ADDED_TOKEN(flags) "[{\"id\": 0, \"content\": \"[PAD]\", " flags "}]"

static const refusal refusals[] = {
	/* files */
	{"bert-model", MB_CORRUPT, "has no config.json||A checkpoint's folder has", {{"config.json", NULL, NULL}}, {0}},
	{"bert-model", MB_CORRUPT, "config.json is not valid JSON|Line 1, column", {{"config.json", NULL, "{"}}, {0}},
	{"bert-model", MB_CORRUPT, "config.json is not a JSON object", {{"config.json", NULL, "[]"}}, {0}},
	{"bert-model", MB_CORRUPT, "config.json is not valid JSON|Line 1, column 0", {{"config.json", NULL, ""}}, {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "vocab.txt\" is not a file",
	 {{"vocab.txt", NULL, NULL}, {"2_Normalize", NULL, "> vocab.txt"}},
	 {0}},
	{"bert-model", MB_CORRUPT, "has no model.safetensors||With transformers", {{WEIGHTS, NULL, NULL}}, {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "has no model.safetensors|Its weights are in pytorch_model.bin",
	 {{WEIGHTS, NULL, "> pytorch_model.bin"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "has no model.safetensors|Its weights are TensorFlow's",
	 {{WEIGHTS, NULL, "> tf_model.h5"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the id of token \"ghost\" in tokenizer.json is not a whole number",
	 {{"tokenizer.json", "model/vocab/ghost", "1.5"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "is an adapter, not a whole model||Merge it",
	 {{WEIGHTS, NULL, "> adapter_model.safetensors"}},
	 {0}},
	{"bert-model", MB_CORRUPT, "model.safetensors is empty", {{WEIGHTS, NULL, ""}}, {0}},
	{"bert-model", MB_CORRUPT, "model.safetensors: ", {{WEIGHTS, NULL, "not a safetensors file at all"}}, {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "model.safetensors is a Git LFS pointer, not the file itself||Install git-lfs",
	 {{WEIGHTS, NULL, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tokenizer.json is a Git LFS pointer",
	 {{"tokenizer.json", NULL, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"}},
	 {0}},
	/* config: its own tests are test_model.c's */
	{"bert-model",
	 MB_UNSUPPORTED,
	 "model type \"roberta\" is not supported|RoBERTa",
	 {{"config.json", "model_type", "\"roberta\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "architecture \"BertForTokenClassification\" is not supported",
	 {{"config.json", "architectures", "[\"BertForTokenClassification\"]"}},
	 {0}},
	/* tensors */
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"encoder.layer.0.output.dense.bias\"|config.json says that it is a BertModel",
	 {{WEIGHTS, "encoder.layer.0.output.dense.bias", "> embeddings.position_ids"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "tensor \"encoder.layer.0.output.dense.bias\" is of type I32",
	 {{WEIGHTS, "encoder.layer.0.output.dense.bias/dtype", "\"I32\""}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tensor \"encoder.layer.0.output.dense.weight\" has the wrong shape|It is [28, 20]; the config calls for [20, 28].",
	 {{WEIGHTS, "encoder.layer.0.output.dense.weight/shape", "[28, 20]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tensor \"embeddings.word_embeddings.weight\" has the wrong shape|It is [123, 20]; the config calls for [124, 20].",
	 {{"config.json", "vocab_size", "124"}},
	 {0}},
	{"gamma-beta",
	 MB_CORRUPT,
	 "tensor \"embeddings.LayerNorm.bias\" has the wrong shape|It is [20, 1]; the config calls for [20].",
	 {{WEIGHTS, "embeddings.LayerNorm.beta/shape", "[20, 1]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has tensor \"encoder.layer.0.output.LayerNorm.bias\" twice|Names are the same",
	 {{WEIGHTS, "encoder.layer.0.output.dense.bias", "> bert.encoder.layer.0.output.LayerNorm.beta"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "tensor \"encoder.layer.1.attention.output.LayerNorm.bias\" has no place in a BertModel|config.json says that "
	 "there are 1 layers",
	 {{"config.json", "num_hidden_layers", "1"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"encoder.layer.1.attention",
	 {{"config.json", "num_hidden_layers", "2"}},
	 {0}},
	{"single-label",
	 MB_UNSUPPORTED,
	 "tensor \"classifier.bias\" has no place in a BertModel||moviebert leaves out nothing",
	 {{"config.json", "architectures", "[\"BertModel\"]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"classifier.weight\"|config.json says that it is a BertForSequenceClassification",
	 {{"config.json", "architectures", "[\"BertForSequenceClassification\"]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has only one of the pooler's two tensors",
	 {{WEIGHTS, "pooler.dense.bias", "> embeddings.position_ids"}},
	 {0}},
	{"masked-lm",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"pooler.dense.weight\"|config.json says|Choose another pooling",
	 {{NULL, NULL, NULL}},
	 {.pooling = "pooler"}},
	{"bert-model",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"cls.predictions.transform.dense.weight\"",
	 {{"config.json", "architectures", "[\"BertForMaskedLM\"]"}},
	 {0}},
	{"masked-lm",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"cls.predictions.bias\"",
	 {{WEIGHTS, "cls.predictions.bias", "> embeddings.position_ids"}},
	 {0}},
	{"masked-lm",
	 MB_CORRUPT,
	 "the checkpoint has no tensor \"cls.predictions.decoder.weight\"",
	 {{"config.json", "tie_word_embeddings", "false"}},
	 {0}},
	{"pre-training",
	 MB_CORRUPT,
	 "the masked-LM head's decoder is not the word embeddings||If the checkpoint was trained",
	 {{WEIGHTS, "cls.predictions.decoder.weight/!", ""}},
	 {0}},
	{"pre-training",
	 MB_CORRUPT,
	 "the masked-LM head has two biases that differ",
	 {{WEIGHTS, "cls.predictions.decoder.bias/!", ""}},
	 {0}},
	/* shards */
	{"sharded",
	 MB_CORRUPT,
	 "names a file outside its folder: \"../model.safetensors\"",
	 {{INDEX, "weight_map/pooler.dense.bias", "\"../model.safetensors\""}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "names a file outside its folder: \"/etc/passwd\"",
	 {{INDEX, "weight_map/pooler.dense.bias", "\"/etc/passwd\""}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "names a file outside its folder: \"..\"",
	 {{INDEX, "weight_map/pooler.dense.bias", "\"..\""}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "names a file outside its folder: \"\"",
	 {{INDEX, "weight_map/pooler.dense.bias", "\"\""}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "has no model-00002-of-00002.safetensors||model.safetensors.index.json names this file",
	 {{"model-00002-of-00002.safetensors", NULL, NULL}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "does not say that tensor \"pooler.dense.bias\" is in model-0000",
	 {{INDEX, "weight_map/pooler.dense.bias", NULL}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "tensors that model.safetensors.index.json names are not in their files|It names 24; 23 are there.",
	 {{INDEX, "weight_map/classifier.bias", "\"model-00002-of-00002.safetensors\""}},
	 {0}},
	{"sharded",
	 MB_CORRUPT,
	 "gives no file for tensor \"pooler.dense.bias\"",
	 {{INDEX, "weight_map/pooler.dense.bias", "1"}},
	 {0}},
	{"sharded", MB_CORRUPT, "has no \"weight_map\"", {{INDEX, "weight_map", NULL}}, {0}},
	/* vocabulary */
	{"bert-model",
	 MB_CORRUPT,
	 "has no vocab.txt||Bring the checkpoint's vocab.txt or tokenizer.json.",
	 {{"vocab.txt", NULL, NULL}, {"tokenizer.json", NULL, NULL}},
	 {0}},
	{"bert-model", MB_CORRUPT, "vocab.txt is empty", {{"vocab.txt", NULL, ""}, {"tokenizer.json", NULL, NULL}}, {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "vocab.txt has the token \"[UNK]\" twice|It has the ids 1 and 2.",
	 {{"vocab.txt", NULL, "[PAD]\n[UNK]\n[UNK] \n"}, {"tokenizer.json", NULL, NULL}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "a token of vocab.txt is not valid UTF-8|It is the one with id 1.",
	 {{"vocab.txt", NULL, "[PAD]\n\xff\n"}, {"tokenizer.json", NULL, NULL}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the vocabulary lacks the special token \"[SEP]\"|It is the sep_token.",
	 {{"vocab.txt", NULL, "[PAD]\n[UNK]\n[CLS]\n[MASK]\n"}, {"tokenizer.json", NULL, NULL}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "vocab.txt and tokenizer.json disagree|The one has 2 tokens, the other 123.",
	 {{"vocab.txt", NULL, "[PAD]\n[UNK]\n"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "vocab.txt and tokenizer.json disagree|Token \"spectre\" of tokenizer.json is \"ghost\" in vocab.txt.|Remove",
	 {{"tokenizer.json", "model/vocab/ghost", "> spectre"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the vocabulary has more tokens than the model|The vocabulary has 123 tokens, vocab_size of config.json is 122.",
	 {{"config.json", "vocab_size", "122"}},
	 {0}},
	{"tokenizer-json",
	 MB_CORRUPT,
	 "the ids in the vocabulary of tokenizer.json are not 0, 1, 2, ... without a gap|Token \"ghost\"",
	 {{"tokenizer.json", "model/vocab/ghost", "123"}},
	 {0}},
	{"tokenizer-json",
	 MB_CORRUPT,
	 "are not 0, 1, 2, ... without a gap",
	 {{"tokenizer.json", "model/vocab/ghost", "-1"}},
	 {0}},
	{"tokenizer-json",
	 MB_CORRUPT,
	 "are not 0, 1, 2, ... without a gap",
	 {{"tokenizer.json", "model/vocab/ghost", "7"}},
	 {0}},
	{"tokenizer-json",
	 MB_UNSUPPORTED,
	 "cannot be a line of vocab.txt: it has white space",
	 {{"tokenizer.json", "model/vocab/ghost", "> gh\nost"}},
	 {0}},
	{"tokenizer-json",
	 MB_UNSUPPORTED,
	 "cannot be a line of vocab.txt: it has white space",
	 {{"tokenizer.json", "model/vocab/ghost", "> ghost\xe3\x80\x80"}},
	 {0}},
	{"tokenizer-json",
	 MB_CORRUPT,
	 "the vocabulary of tokenizer.json is empty",
	 {{"tokenizer.json", "model/vocab", "{}"}},
	 {0}},
	/* tokenizer */
	{"bert-model",
	 MB_UNSUPPORTED,
	 "tokenizer class \"XLMRobertaTokenizerFast\" is not supported|moviebert has BERT's WordPiece tokenizer.",
	 {{TOKENS, "tokenizer_class", "\"XLMRobertaTokenizerFast\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "tokenizer class \"BertJapaneseTokenizer\" is not supported",
	 {{TOKENS, "tokenizer_class", "\"BertJapaneseTokenizer\""}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tokenizer class \"PreTrainedTokenizerFast\" needs a tokenizer.json",
	 {{TOKENS, "tokenizer_class", "\"PreTrainedTokenizerFast\""}, {"tokenizer.json", NULL, NULL}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "member \"do_lower_case\" of tokenizer_config.json is not true or false",
	 {{TOKENS, "do_lower_case", "1"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer without basic tokenization is not supported",
	 {{TOKENS, "do_basic_tokenize", "false"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a WordPiece prefix \"@\" is not supported",
	 {{"tokenizer.json", "model/continuing_subword_prefix", "\"@\""}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "member \"cls_token\" of tokenizer_config.json is not a token",
	 {{TOKENS, "cls_token", "{}"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tokenizer_config.json and tokenizer.json disagree on lower-casing|Where tokenizer_config.json says nothing|Set "
	 "\"do_lower_case\"",
	 {{TOKENS, "do_lower_case", "false"}},
	 {0}},
	{"cased", MB_CORRUPT, "disagree on lower-casing", {{TOKENS, "do_lower_case", NULL}}, {0}},
	{"bert-model", MB_CORRUPT, "disagree on stripping accents||", {{TOKENS, "strip_accents", "false"}}, {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "disagree on splitting Chinese characters||",
	 {{"tokenizer.json", "normalizer/handle_chinese_chars", "false"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer with model \"Unigram\" is not supported|BERT's is \"WordPiece\".",
	 {{"tokenizer.json", "model/type", "\"Unigram\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer with normalizer \"NFKC\" is not supported|BERT's is \"BertNormalizer\".",
	 {{"tokenizer.json", "normalizer", "{\"type\": \"NFKC\"}"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer.json without normalizer is not supported",
	 {{"tokenizer.json", "normalizer", "null"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer that does not clean text",
	 {{"tokenizer.json", "normalizer/clean_text", "false"}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer with pre_tokenizer \"ByteLevel\"",
	 {{"tokenizer.json", "pre_tokenizer/type", "\"ByteLevel\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "the post_processor of tokenizer.json is not supported|BERT's puts \"[CLS]\" before a text and \"[SEP]\" after "
	 "it.",
	 {{"tokenizer.json", "post_processor/single/0/SpecialToken/id", "\"[MASK]\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "a tokenizer with post_processor \"RobertaProcessing\"",
	 {{"tokenizer.json", "post_processor/type", "\"RobertaProcessing\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "words of up to 200 characters are not supported",
	 {{"tokenizer.json", "model/max_input_chars_per_word", "200"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the unknown token is \"[PAD]\" in tokenizer.json and \"[UNK]\" elsewhere",
	 {{"tokenizer.json", "model/unk_token", "\"[PAD]\""}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "added token \"[PAD]\" is not supported|It is not special;",
	 {{"tokenizer.json", "added_tokens", ADDED_TOKEN("\"special\": false")}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "added token \"[PAD]\" is not supported|It is matched after normalisation;",
	 {{"tokenizer.json", "added_tokens", ADDED_TOKEN("\"special\": true, \"normalized\": true")}},
	 {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "added token \"[PAD]\" is not supported|It is matched as a whole word only;",
	 {{"tokenizer.json", "added_tokens", ADDED_TOKEN("\"special\": true, \"single_word\": true")}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tokenizer.json gives token \"[PAD]\" an id that is not its own|It says 7; the vocabulary says 0.",
	 {{"tokenizer.json", "added_tokens", "[{\"id\": 7, \"content\": \"[PAD]\", \"special\": true}]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "tokenizer_config.json gives token \"<x>\" an id that is not its own|It says -1; the next free id is 123.",
	 {{TOKENS, "added_tokens_decoder", "{\"many\": {\"content\": \"<x>\", \"special\": true}}"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "an added token of tokenizer.json has no content",
	 {{"tokenizer.json", "added_tokens", "[{\"id\": 0}]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the vocabulary lacks the additional special token \"<x>\"",
	 {{TOKENS, "additional_special_tokens", "[\"<x>\"]"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "the vocabulary has more tokens than the model|The vocabulary has 124",
	 {{"tokenizer.json", "added_tokens", "[{\"id\": 123, \"content\": \"<x>\", \"special\": true}]"}},
	 {0}},
	/* modules */
	{"sentence-mean", MB_CORRUPT, "modules.json is not valid JSON", {{"modules.json", NULL, "[{]"}}, {0}},
	{"sentence-mean", MB_CORRUPT, "modules.json is not a JSON list", {{"modules.json", NULL, "{}"}}, {0}},
	{"sentence-mean", MB_CORRUPT, "modules.json is not a list of modules", {{"modules.json", NULL, "[1]"}}, {0}},
	{"sentence-mean", MB_CORRUPT, "modules.json is not a list of modules", {{"modules.json", NULL, "[]"}}, {0}},
	{"sentence-mean", MB_CORRUPT, "a module in modules.json has no \"type\"", {{"modules.json", "1/type", NULL}}, {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "module type \"custom_st.Transformer\" is not supported|It is code of the checkpoint's own",
	 {{"modules.json", "0/type", "\"custom_st.Transformer\""}},
	 {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "modules.json names a path outside its folder: \"../1_Pooling\"",
	 {{"modules.json", "1/path", "\"../1_Pooling\""}},
	 {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "modules.json names a path outside its folder: \"/tmp\"",
	 {{"modules.json", "1/path", "\"/tmp\""}},
	 {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "modules.json names a path outside its folder: \"a/./b\"",
	 {{"modules.json", "1/path", "\"a/./b\""}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "sentence-transformers module \"WordEmbeddings\" is not supported",
	 {{"modules.json", "0/type", "\"sentence_transformers.models.WordEmbeddings\""}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "sentence-transformers module \"LayerNorm\" is not supported here|moviebert computes|To import the encoder alone",
	 {{"modules.json", "2/type", "\"sentence_transformers.models.LayerNorm\""}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "sentence-transformers module \"Normalize\" is not supported",
	 {{"modules.json", "1", NULL}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "modules.json has no Pooling module",
	 {{"modules.json", "2", NULL}, {"modules.json", "1", NULL}},
	 {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "1_Pooling\" has no config.json||modules.json names this folder as the Pooling module",
	 {{"1_Pooling/config.json", NULL, NULL}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "pooling mode \"max\" is not supported|moviebert pools by mean or cls.",
	 {{"1_Pooling/config.json", NULL, "{\"pooling_mode_max_tokens\": true}"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "pooling mode \"weightedmean\"",
	 {{"1_Pooling/config.json", NULL, "{\"pooling_mode\": \"weightedmean\"}"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "pooling mode \"lasttoken\"",
	 {{"1_Pooling/config.json", NULL, "{\"pooling_mode_lasttoken\": true}"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "a pooling of 2 modes side by side is not supported",
	 {{"1_Pooling/config.json", "pooling_mode_cls_token", "true"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "a pooling of 2 modes side by side",
	 {{"1_Pooling/config.json", NULL, "{\"pooling_mode\": [\"cls\", \"mean\"]}"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "sentence-transformers task \"fill-mask\" is not supported",
	 {{"sentence_bert_config.json", "transformer_task", "\"fill-mask\""}},
	 {0}},
	{"sentence-mean",
	 MB_CORRUPT,
	 "member \"max_seq_length\" of sentence_bert_config.json is out of range",
	 {{"sentence_bert_config.json", "max_seq_length", "0"}},
	 {0}},
	{"sentence-mean",
	 MB_UNSUPPORTED,
	 "a checkpoint with a default prompt is not supported|sentence-transformers would put \"query: \" before every "
	 "text.|Set \"default_prompt_name\"",
	 {{"config_sentence_transformers.json", NULL,
	   "{\"prompts\": {\"q\": \"query: \"}, \"default_prompt_name\": \"q\"}"}},
	 {0}},
	{"sentence-dense",
	 MB_UNSUPPORTED,
	 "a Dense module with activation \"ReLU\" is not supported",
	 {{"2_Dense/config.json", "activation_function", "\"torch.nn.modules.activation.ReLU\""}},
	 {0}},
	{"sentence-dense",
	 MB_UNSUPPORTED,
	 "a Dense module with activation \"Identity\"",
	 {{"2_Dense/config.json", "activation_function", "\"torch.nn.modules.linear.Identity\""}},
	 {0}},
	{"sentence-dense",
	 MB_UNSUPPORTED,
	 "sentence-transformers module \"Dense\" is not supported",
	 {{"1_Pooling/config.json", NULL, "{}"}},
	 {0}},
	{"sentence-dense",
	 MB_UNSUPPORTED,
	 "a Dense module of this form is not supported",
	 {{"2_Dense/config.json", "bias", "false"}},
	 {0}},
	{"sentence-dense",
	 MB_CORRUPT,
	 "the Dense module has no tensor \"linear.bias\"",
	 {{"2_Dense/model.safetensors", "linear.bias", "> bias"}},
	 {0}},
	{"sentence-dense",
	 MB_CORRUPT,
	 "2_Dense\" has no model.safetensors||sentence-transformers writes it",
	 {{"2_Dense/model.safetensors", NULL, NULL}},
	 {0}},
	{"sentence-dense",
	 MB_CORRUPT,
	 "tensor \"pooler.dense.weight\" has the wrong shape",
	 {{"2_Dense/model.safetensors", "linear.weight/shape", "[10, 40]"}},
	 {0}},
	/* heads */
	{"single-label",
	 MB_CORRUPT,
	 "id2label of config.json has no label 1|Its keys must be \"0\" to \"2\"",
	 {{"config.json", "id2label/1", "> one"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "id2label of config.json has no label 1",
	 {{"config.json", "id2label/1", "\"\""}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "id2label of config.json is not an object with labels",
	 {{"config.json", "id2label", "[]"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "id2label and num_labels of config.json disagree|The one has 3 labels, the other says 4.",
	 {{"config.json", "num_labels", "4"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "tensor \"classifier.weight\" has the wrong shape|; the config calls for [2, 20].",
	 {{"config.json", "id2label", NULL}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "id2label of config.json has the label \"drama\" twice",
	 {{"config.json", "id2label/1", "\"drama\""}},
	 {0}},
	{"single-label",
	 MB_UNSUPPORTED,
	 "problem_type \"ranking\" is not supported",
	 {{"config.json", "problem_type", "\"ranking\""}},
	 {0}},
	{"single-label",
	 MB_INVALID_ARGUMENT,
	 "a classification head cannot be used with another pooling than its own|BertForSequenceClassification works on "
	 "the pooler's output; you want to pool otherwise.",
	 {{NULL, NULL, NULL}},
	 {.pooling = "mean"}},
	{"single-label",
	 MB_INVALID_ARGUMENT,
	 "a classification head cannot be used with another pooling|BertForSequenceClassification works on the pooler's "
	 "output; modules.json pools otherwise.",
	 {{"modules.json", NULL,
	   "[{\"type\": \"sentence_transformers.models.Transformer\"}, {\"type\": "
	   "\"sentence_transformers.models.Pooling\"}]"}},
	 {0}},
	/* options */
	{"bert-model",
	 MB_INVALID_ARGUMENT,
	 "pooling \"max\" is none of mean, cls and pooler",
	 {{NULL, NULL, NULL}},
	 {.pooling = "max"}},
	{"bert-model",
	 MB_INVALID_ARGUMENT,
	 "the model has no windows of 41 tokens|It has 40 positions.",
	 {{NULL, NULL, NULL}},
	 {.max_length = 41}},
	{"bert-model", MB_INVALID_ARGUMENT, "windows of 2 tokens are too short", {{NULL, NULL, NULL}}, {.max_length = 2}},
	{"bert-model", MB_CORRUPT, "the card is not valid JSON", {{NULL, NULL, NULL}}, {.card_json = "{"}},
	{"sentence-dense",
	 MB_INVALID_ARGUMENT,
	 "this checkpoint cannot be pooled by \"mean\"|Its Dense module was trained on pooling by \"pooler\".",
	 {{NULL, NULL, NULL}},
	 {.pooling = "mean"}},
	/* moviebert.json */
	{"bert-model", MB_CORRUPT, "moviebert.json is not a JSON object", {{"moviebert.json", NULL, "[]"}}, {0}},
	{"bert-model",
	 MB_UNSUPPORTED,
	 "moviebert.json is of format 2, which is not known here",
	 {{"moviebert.json", NULL, "{\"format\": 2}"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "member \"card\" of moviebert.json is not an object",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"card\": 1}"}},
	 {0}},
	{"bert-model",
	 MB_CORRUPT,
	 "moviebert.json has tags, but the folder moviebert_head is not there||Bring the export with all its folders",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"tags\": [{\"name\": \"a\"}]}"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "the tags of moviebert.json are not the labels of config.json||If the labels were changed",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"tags\": [{\"name\": \"a\"}]}"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "tag 0 of moviebert.json has no name",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"tags\": [1]}"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "the threshold of tag \"a\" in moviebert.json is not a number",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"tags\": [{\"name\": \"a\", \"threshold\": \"high\"}]}"}},
	 {0}},
	{"single-label",
	 MB_CORRUPT,
	 "the support of tag \"a\" in moviebert.json is not a whole number",
	 {{"moviebert.json", NULL, "{\"format\": 1, \"tags\": [{\"name\": \"a\", \"support\": 1.5}]}"}},
	 {0}},
};

static void
test_refusals(void **state)
{
	size_t n = sizeof(refusals) / sizeof(refusals[0]), failed = 0;

	(void) state;
	for (size_t i = 0; i < n; i++)
	{
		const refusal *r = &refusals[i];
		char *folder = new_folder();
		mb_error err;
		mb_status status = import_changed(r->checkpoint, r->edits, &r->options, in_folder(folder, "model"), &err);

		if (status != r->status || status != err.status || !error_says(&err, r->expected) || count_entries(folder) != 0)
		{
			print_error("case %zu (%s): status %d, \"%s|%s|%s\", %zu files\n   instead of status %d, \"%s\"\n", i,
						r->checkpoint, status, err.message, err.detail, err.hint, count_entries(folder), r->status,
						r->expected);
			failed++;
		}
		remove_folder(folder);
	}
	print_message("%zu folders refused\n", n - failed);
	assert_int_equal(failed, 0);
}

/* No folder, a file instead of a folder, and large files: nothing of them is read. */
static void
test_unreadable(void **state)
{
	char *folder = new_folder();
	char path[600];
	mb_error err;
	FILE *out;

	(void) state;
	snprintf(path, sizeof(path), "%s/big", folder);
	assert_int_equal(mb_import(in_folder(folder, "absent"), in_folder(folder, "m"), NULL, &err), MB_IO);
	assert_true(error_says(&err, "could not open folder|The system says: No such file or directory."));
	assert_int_equal(mb_import("Makefile", in_folder(folder, "m"), NULL, &err), MB_INVALID_ARGUMENT);
	assert_true(error_says(&err, "\"Makefile\" is not a folder||Give the folder"));
	assert_int_equal(mb_import("test/golden/checkpoints/bert-model", in_folder(folder, "absent/m"), NULL, &err), MB_IO);
	assert_true(error_says(&err, "could not write|The system says: No such file or directory."));

	copy_checkpoint("bert-model", path);
	out = fopen(in_folder(path, "vocab.txt"), "ab");
	assert_int_equal(ftruncate(fileno(out), 16 * 1024 * 1024 + 1), 0);
	fclose(out);
	assert_int_equal(mb_import(path, in_folder(folder, "m"), NULL, &err), MB_LIMIT);
	assert_true(error_says(&err, "vocab.txt is too large|It has 16777217 bytes; at most 16777216 are read."));
	out = fopen(in_folder(path, "vocab.txt"), "ab");
	assert_int_equal(ftruncate(fileno(out), 10000), 0);
	fclose(out);
	assert_int_equal(mb_import(path, in_folder(folder, "m"), NULL, &err), MB_CORRUPT);
	assert_true(error_says(&err, "vocab.txt is not a text file: it has a NUL byte"));

	/* Nobody writes to this pipe. */
	assert_int_equal(remove(in_folder(path, "vocab.txt")), 0);
	assert_int_equal(mkfifo(in_folder(path, "vocab.txt"), 0666), 0);
	assert_int_equal(mb_import(path, in_folder(folder, "m"), NULL, &err), MB_CORRUPT);
	assert_true(error_says(&err, "vocab.txt\" is not a file"));
	assert_int_equal(count_entries(folder), 1);
	remove_folder(folder);
}

static void
test_full_disk(void **state)
{
	static const size_t rooms[] = {0, 8, 5000, 30000};
	char *folder = new_folder();
	mb_error err;

	(void) state;
	write_whole(in_folder(folder, "model"), "what was there", 14);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
	{
		size_t size;
		char *kept;
		mb_status status;

		disk_fills_after(rooms[i]);
		status = mb_import("test/golden/checkpoints/bert-model", in_folder(folder, "model"), NULL, &err);
		disk_works();
		assert_int_equal(status, MB_IO);
		assert_true(error_says(&err, "could not write|The system says: No space left on device."));
		kept = read_whole(in_folder(folder, "model"), &size);
		assert_string_equal(kept, "what was there");
		free(kept);
		assert_int_equal(count_entries(folder), 1);
	}
	remove_folder(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
