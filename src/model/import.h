/*
 * import.h - what the parts of mb_import share: reading a checkpoint folder that nobody vouches for.
 *
 * import.c puts the parts in order; each of the others reads one aspect of the folder.  Nothing is copied that is
 * large: weights stay in mappings of the checkpoint's own files until the model file is written from them.
 */
#ifndef MOVIEBERT_MODEL_IMPORT_H
#define MOVIEBERT_MODEL_IMPORT_H

#include "checkpoint.h"
#include "config.h"

/* ---- import_files.c: the folder's files ---------------------------------------------------------------------------
 */

/* folder/name, malloc'ed; NULL when memory is short. */
char *import_path(const char *folder, const char *name);

/* Whether the folder has a file or folder of this name. */
bool import_has(const char *folder, const char *name);

/*
 * A small file as NUL-terminated text, malloc'ed, without NUL bytes inside.  *text stays NULL where the file is absent
 * and `hint` is NULL; with a hint (a sentence saying what to do) that is an error.
 */
mb_status import_read_text(char **text, size_t *size, const char *folder, const char *name, const char *hint,
						   mb_error *err);

/* The same, parsed as a JSON object; the text is given too where it is asked for. */
mb_status import_read_json(json_t **object, char **text, const char *folder, const char *name, const char *hint,
						   mb_error *err);

/* A read-only mapping of a whole file. */
typedef struct import_mapping
{
	void *data;
	size_t size;
} import_mapping;

mb_status import_map(import_mapping *mapping, const char *folder, const char *name, const char *hint, mb_error *err);
void import_unmap(import_mapping *mapping);

/* Whether a name from a file stays inside its folder: relative, and no part of it "." or "..". */
bool import_name_is_safe(const char *name);

/* ---- import_modules.c: sentence-transformers' pipeline -------------------------------------------------------------
 */

typedef struct import_modules
{
	char *transformer; /* the folder with config.json, the weights and the tokenizer */
	char *pooler;      /* folder of a Dense with tanh after [CLS]: the pooler by another name; NULL: none */
	char *head;        /* folder of our own export's Dense with the tags' logits; NULL: none */
	mb_pooling pooling;
	bool present; /* there is a modules.json; without it only `transformer` is set */
	bool normalize;
	int32_t max_length; /* max_seq_length; 0: not said */
	bool lowercase;     /* do_lower_case of sentence_bert_config.json: before the tokenizer */
	json_t *prompts;    /* texts to put before a text, by name; NULL: none */
} import_modules;

mb_status import_modules_read(import_modules *modules, const char *folder, mb_error *err);
void import_modules_free(import_modules *modules);

/* ---- import_tokenizer.c ------------------------------------------------------------------------------------------ */

typedef struct import_tokenizer
{
	char *vocab;              /* the text of vocab.txt, added tokens at its end */
	json_t *options;          /* moviebert.tokenizer */
	int32_t model_max_length; /* 0: not said, or said to be without limit */
} import_tokenizer;

mb_status import_tokenizer_read(import_tokenizer *tokenizer, const char *folder, const mb_config *config,
								mb_error *err);
void import_tokenizer_free(import_tokenizer *tokenizer);

/* ---- import_vocab.c: ids of tokens ------------------------------------------------------------------------------- */

typedef struct import_vocab
{
	json_t *tokens; /* list of strings, by id */
	json_t *ids;    /* token -> id */
} import_vocab;

/* From vocab.txt, and from the WordPiece model of tokenizer.json (NULL: none); both must say the same. */
mb_status import_vocab_read(import_vocab *vocab, const char *folder, const json_t *wordpiece, mb_error *err);
void import_vocab_free(import_vocab *vocab);

/* An added token: it has this id already, or gets it as the next one. */
mb_status import_vocab_add(import_vocab *vocab, const char *token, json_int_t id, const char *what, mb_error *err);

/* The whole as the text of a vocab.txt, malloc'ed. */
mb_status import_vocab_text(char **text, const import_vocab *vocab, mb_error *err);

/* ---- import_head.c: labels and tags ------------------------------------------------------------------------------ */

typedef struct import_head
{
	json_t *head; /* moviebert.head; NULL: no head */
	json_t *tags; /* moviebert.tags; NULL: no head */
	json_t *card; /* the card of moviebert.json; NULL: none */
	mb_problem problem;
	int32_t num_labels;
	int32_t window_stride; /* of moviebert.json, for windows of max_length tokens; 0: not said */
	int32_t max_length;
} import_head;

/* From config.json of a BertForSequenceClassification, and from moviebert.json, which an export of ours has. */
mb_status import_head_read(import_head *head, const char *folder, const json_t *config, const import_modules *modules,
						   mb_error *err);
void import_head_free(import_head *head);

/* ---- import_weights.c -------------------------------------------------------------------------------------------- */

/* A tensor under its model-file name, which it owns. */
typedef struct import_tensor
{
	mb_tensor tensor;
	char *name;
	bool used;    /* goes into the model file */
	bool dropped; /* was decided about: it stays out */
} import_tensor;

typedef struct import_weights
{
	import_mapping *mappings; /* [n_files] */
	mb_safetensors **files;   /* [n_files] */
	size_t n_files;
	import_tensor *tensors; /* [n_tensors] */
	size_t n_tensors;
	json_t *dropped; /* name -> why, of tensors whose numbers are not in the model file */
} import_weights;

/* What decides which tensors there must be. */
typedef struct import_plan
{
	const mb_config *config;
	const mb_pipeline *pipeline;
	const import_modules *modules;
	const char *architecture;
	bool tied; /* tie_word_embeddings */
} import_plan;

mb_status import_weights_read(import_weights *weights, const import_plan *plan, mb_error *err);
void import_weights_free(import_weights *weights);

#endif
