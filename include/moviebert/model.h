/*
 * model.h - what a model is: a safetensors file whose __metadata__ holds everything beside the weights.
 *
 * The model file (format 1).  Tensors carry Hugging Face's names without the "bert." prefix and with
 * LayerNorm.weight/bias:
 *
 *   embeddings.{word,position,token_type}_embeddings.weight      [V,H] [P,H] [T,H]
 *   embeddings.LayerNorm.{weight,bias}                           [H]
 *   encoder.layer.N.attention.self.{query,key,value}.{weight,bias}   [H,H] [H]
 *   encoder.layer.N.attention.output.dense.{weight,bias}         [H,H] [H]
 *   encoder.layer.N.attention.output.LayerNorm.{weight,bias}     [H]
 *   encoder.layer.N.intermediate.dense.{weight,bias}             [I,H] [I]
 *   encoder.layer.N.output.dense.{weight,bias}                   [H,I] [H]
 *   encoder.layer.N.output.LayerNorm.{weight,bias}               [H]
 *   pooler.dense.{weight,bias}                                   [H,H] [H]   optional; required by pooling "pooler"
 *   classifier.{weight,bias}                                     [L,H] [L]   optional: the tag or classification head
 *   cls.predictions.*                                            optional: the masked-LM head, kept for training and export
 *
 * in F32, F16 or BF16, as they were imported.  __metadata__ (all values strings, those marked * JSON):
 *
 *   format                "pt"
 *   moviebert.format      "1"
 *   moviebert.config *    the checkpoint's config.json
 *   moviebert.vocab       the checkpoint's vocab.txt
 *   moviebert.tokenizer * {"do_lower_case","strip_accents","tokenize_chinese_chars","split_special_tokens",
 *                          "unk_token","cls_token","sep_token","pad_token","mask_token","additional_special_tokens":[],
 *                          "max_input_chars_per_word":int}   the last two optional
 *   moviebert.pooling *   {"mode":"mean"|"cls"|"pooler","normalize":bool,"max_length":int,
 *                          "long_text":"windows"|"truncate","window_stride":int}
 *   moviebert.head *      absent, or {"problem":"multi_label"|"single_label"|"regression",
 *                          "kind":"classifier"|"tagger"}   kind optional, "classifier" when absent
 *   moviebert.tags *      with a head: [{"name":str,"threshold":num|null,"support":int|null}, ...], L of them, in order
 *   moviebert.card *      optional object; free for people and tools: data, metrics, provenance
 *
 * A head's kind tells whose it is.  A classifier's came with its checkpoint, BertForSequenceClassification: it stands on the
 * pooler, without normalization.  A tagger's stands on whatever vector the pipeline makes (finetune makes these).
 *
 * A checkpoint saved as another BERT class (BertForTokenClassification, BertForQuestionAnswering, ...) is refused, not
 * taken as a bare encoder: its head would be lost without a word, and whoever brings it expects that head's answers.
 */
#ifndef MOVIEBERT_MODEL_H
#define MOVIEBERT_MODEL_H

#include <stdint.h>

#include "moviebert/safetensors.h"
#include "moviebert/status.h"
#include "moviebert/tokenizer.h"

/* A model file in a database is rows of this many bytes each, the last one shorter. */
#define MB_CHUNK_SIZE (1024 * 1024)

typedef enum mb_activation
{
	MB_GELU,      /* exact: x/2 (1 + erf(x/sqrt 2)) */
	MB_GELU_TANH, /* gelu_new, gelu_pytorch_tanh */
	MB_RELU,
	MB_SILU
} mb_activation;

/* The part of a BERT config.json that decides arithmetic. */
typedef struct mb_config
{
	int32_t       vocab_size;              /* V */
	int32_t       hidden_size;             /* H */
	int32_t       num_hidden_layers;       /* may be 0 */
	int32_t       num_attention_heads;     /* divides H */
	int32_t       intermediate_size;       /* I */
	int32_t       max_position_embeddings; /* P */
	int32_t       type_vocab_size;         /* T; row 0 is used */
	float         layer_norm_eps;
	mb_activation hidden_act;
} mb_config;

typedef enum mb_pooling
{
	MB_POOL_MEAN,  /* mean over all tokens, [CLS] and [SEP] included */
	MB_POOL_CLS,   /* last hidden state of [CLS] */
	MB_POOL_POOLER /* tanh(pooler.dense([CLS])) */
} mb_pooling;

typedef enum mb_long_text
{
	MB_LONG_WINDOWS, /* read whole: overlapping windows, mean of their pooled vectors */
	MB_LONG_TRUNCATE /* keep the first max_length - 2 tokens, as sentence-transformers does; counted in the statistics */
} mb_long_text;

typedef enum mb_problem
{
	MB_NO_HEAD,
	MB_MULTI_LABEL,  /* score = sigmoid(logit) */
	MB_SINGLE_LABEL, /* score = softmax(logits) */
	MB_REGRESSION    /* score = logit */
} mb_problem;

/* How text becomes one vector. */
typedef struct mb_pipeline
{
	mb_pooling   pooling;
	bool         normalize;     /* L2, last */
	int32_t      max_length;    /* tokens of one window, [CLS] and [SEP] included; 3 <= max_length <= P */
	mb_long_text long_text;
	int32_t      window_stride; /* tokens between window starts, 1 .. max_length - 2 */
	mb_problem   problem;
	int32_t      num_labels;    /* L; 0 with MB_NO_HEAD */
} mb_pipeline;

/* As model files, the tool and SQL spell them; that of MB_NO_HEAD is NULL. */
const char *mb_pooling_name(mb_pooling pooling);
const char *mb_long_text_name(mb_long_text long_text);
const char *mb_problem_name(mb_problem problem);

typedef struct mb_tag
{
	const char *name;
	float       threshold; /* NAN: none calibrated */
	int64_t     support;   /* training rows with the tag; -1 unknown */
} mb_tag;

/* An opened model file.  Read-only to everyone but src/model; strings and arrays are owned by the model. */
typedef struct mb_model
{
	mb_config            config;
	mb_pipeline          pipeline;
	mb_tokenizer_options tokenizer;
	const char          *vocab; /* vocab.txt text, NUL-terminated */
	const mb_tag        *tags;  /* [num_labels] */
	/* What the file holds, whatever its checkpoint was saved as: "BertModel", "BertForMaskedLM" (also a tagger's, when the
	 * masked-LM head is there) or "BertForSequenceClassification" (a classifier). */
	const char          *architecture;
	const char          *kind;        /* "encoder", "masked-lm", "classifier" (imported head) or "tagger" (our head) */
	const char          *config_json; /* the metadata values as stored; NULL where absent */
	const char          *pooling_json;
	const char          *tags_json;
	const char          *card_json;
	int64_t              parameters; /* number of weights in all tensors */
	mb_safetensors      *tensors;
} mb_model;

/*
 * Opens a model file in memory; `data` is borrowed and must outlive *model.  Everything that later steps rely on is
 * checked here: each tensor the config calls for is present with the right shape and a float dtype, there is no other,
 * every weight is finite, the vocabulary has V tokens or fewer, the tags are L, and so on.  Reads the whole file once.
 *
 * Errors: MB_CORRUPT, MB_LIMIT, MB_UNSUPPORTED (another format version, architecture or dtype), MB_OUT_OF_MEMORY.
 */
mb_status mb_model_open(mb_model **model, const void *data, size_t size, mb_error *err);
void      mb_model_close(mb_model *model); /* NULL is fine */

/* As mb_model_open, over a private read-only mapping of a file.  Also MB_IO; MB_INVALID_ARGUMENT if it is not a file. */
mb_status mb_model_open_file(mb_model **model, const char *path, mb_error *err);

/* A tensor by its model-file name, or NULL. */
const mb_tensor *mb_model_tensor(const mb_model *model, const char *name);

typedef struct mb_import_options
{
	const char  *card_json;  /* merged into the card; NULL: none */
	mb_long_text long_text;
	int32_t      max_length; /* 0: what the checkpoint says (sentence_bert_config.json, else tokenizer_config.json's
	                          * model_max_length, else P) */
	const char  *pooling;    /* NULL: what the checkpoint says (1_Pooling; BertForSequenceClassification: pooler; else mean) */
} mb_import_options;

/*
 * Reads a Hugging Face or sentence-transformers folder (config.json; model.safetensors, sharded or not; vocab.txt or
 * tokenizer.json; tokenizer_config.json; modules.json) and writes a model file, whole or not at all.  Architectures
 * other than BERT are MB_UNSUPPORTED by name.  doc/checkpoints.md says what is read, and what is refused.
 */
mb_status mb_import(const char *folder, const char *model_path, const mb_import_options *options, mb_error *err);

/*
 * Writes a folder that transformers (AutoModel, AutoTokenizer, and the architecture's own class) and
 * sentence-transformers load unchanged.  A tagger's head is written as a sentence-transformers Dense module, which is
 * part of the pipeline only with as_tagger: then encode() gives logits, of a classifier's head as well.  Refuses a
 * folder that exists and is not empty; on failure nothing stays.
 */
mb_status mb_export(const mb_model *model, const char *folder, bool as_tagger, mb_error *err);

/*
 * Everything that a model file is made of, for who trains one: from scratch, or from mb_model_parts_of a base.  Tensors
 * have their model-file names, the head's among them ("classifier.weight", "classifier.bias").
 */
typedef struct mb_model_parts
{
	/* config.json's text; NULL: one is made of `config`, as transformers writes it for the class that the tensors make. */
	const char          *config_json;
	mb_config            config;    /* with config_json not looked at */
	const char          *vocab;     /* vocab.txt text */
	mb_tokenizer_options tokenizer;
	mb_pipeline          pipeline;  /* problem and num_labels say what head there is */
	const char          *kind;      /* a head's: "classifier" or "tagger"; not looked at without one */
	const mb_tag        *tags;      /* [pipeline.num_labels] */
	const char          *card_json; /* NULL: none */
	const mb_tensor     *tensors;
	size_t               n_tensors;
	bool half; /* F32 tensors are written as F16, each weight the nearest; one out of its range is refused */
} mb_model_parts;

/* All of a model but its tensors; they are borrowed, and good while it is open. */
mb_model_parts mb_model_parts_of(const mb_model *model);

/*
 * Writes a model file, whole or not at all: what is at model_path is the old file or one that mb_model_open accepts.
 * The same parts always give the same bytes.  Errors: those of mb_model_open for parts that do not fit each other (a
 * tensor missing, or of another shape than the config's, ...); MB_INVALID_ARGUMENT, MB_IO, MB_OUT_OF_MEMORY.
 */
mb_status mb_model_write(const mb_model_parts *parts, const char *model_path, mb_error *err);

/* A trained head to put on a model: what finetune --freeze all produces. */
typedef struct mb_head
{
	mb_problem    problem;
	int32_t       num_labels;
	const float  *weight;    /* [L,H] */
	const float  *bias;      /* [L] */
	const mb_tag *tags;      /* [L] */
	const char   *card_json; /* the new card, whole; NULL: an empty one */
} mb_head;

/*
 * Writes a new model file: the base's tensors untouched, with this head in place of any it had, of kind "tagger".  As
 * mb_safetensors_write does, whole or not at all.  Errors: MB_INVALID_ARGUMENT (a weight or threshold that is not finite,
 * a tag's name empty or given twice), MB_IO, ...
 */
mb_status mb_model_write_with_head(const mb_model *base, const mb_head *head, const char *model_path, mb_error *err);

#endif
