/*
 * tokenizer.h - bytes of UTF-8 text -> WordPiece ids, equal to Hugging Face `tokenizers` for BERT.
 *
 * Order of work (BertNormalizer, BertPreTokenizer, WordPiece): literal special tokens; clean; CJK spacing; NFD and Mn
 * stripping; lower-casing; split on white space and punctuation; greedy longest match with the "##" prefix; a word of
 * more than max_chars_per_word characters, or with an unmatched rest, is one [UNK].
 *
 * A vocabulary is packed once into a position-independent blob (token bytes, a ready-made hash table, the options)
 * that lives in a model image; opening it allocates nothing and copies nothing.  Tokenizing allocates nothing either.
 */
#ifndef MOVIEBERT_TOKENIZER_H
#define MOVIEBERT_TOKENIZER_H

#include <stdint.h>

#include "moviebert/status.h"

typedef struct mb_tokenizer_options
{
	bool    lowercase;            /* do_lower_case */
	bool    strip_accents;        /* resolved: null in the checkpoint means "as lowercase" */
	bool    split_cjk;            /* tokenize_chinese_chars */
	bool    split_special_tokens; /* true: "[SEP]" written in a text is plain text; false: it is the special token, as
	                               * the reference does by default */
	int32_t max_chars_per_word;   /* max_input_chars_per_word, 1 to 1,000; 100 in the reference */
	/* The role tokens, NUL-terminated, each present in the vocabulary: */
	const char *unk_token, *cls_token, *sep_token, *pad_token, *mask_token;
	/* Further tokens matched literally before normalisation (additional_special_tokens); may be NULL when 0. */
	const char *const *additional_special_tokens;
	size_t             n_additional_special_tokens;
} mb_tokenizer_options;

/* BERT's own: lower-casing, accents stripped, CJK split, 100 characters, [UNK] [CLS] [SEP] [PAD] [MASK]. */
mb_tokenizer_options mb_tokenizer_options_default(void);

/*
 * Packs a vocabulary in the format of vocab.txt: one token a line, id = line number from 0, trailing white space of a
 * line ignored, last newline optional.  Lines left empty keep their ids and match nothing.
 *
 * *blob is malloc'ed and the caller's to free; NULL on error.  Errors: MB_CORRUPT (not UTF-8, duplicate token, role or
 * additional special token missing, empty vocabulary), MB_LIMIT (over 2^24 tokens or a token over 1,000 bytes),
 * MB_INVALID_ARGUMENT (max_chars_per_word out of range, a token of the options NULL), MB_OUT_OF_MEMORY.
 */
mb_status mb_vocabulary_pack(const char *vocab, size_t vocab_bytes, const mb_tokenizer_options *options, void **blob,
                             size_t *blob_size, mb_error *err);

/* The bytes of a line of vocab.txt that are its token: all but the white space (Unicode's White_Space) at its end. */
size_t mb_vocabulary_token_bytes(const char *line, size_t bytes);

/* A view of a packed vocabulary; the blob must outlive it.  Fields are private to src/text. */
typedef struct mb_tokenizer
{
	const unsigned char *blob;
	size_t               size;
} mb_tokenizer;

/*
 * Opens a blob (8-byte aligned) in place.  Every offset in it is checked, so that a damaged image is MB_CORRUPT and
 * never a wild read.
 */
mb_status mb_tokenizer_open(mb_tokenizer *tokenizer, const void *blob, size_t size, mb_error *err);

/*
 * Writes the ids of text, without [CLS] and [SEP], to ids[0..capacity).  *n_ids becomes the number of ids the whole
 * text has, even when that is more than capacity (then only the first `capacity` are written), so that nobody
 * truncates without knowing.  Errors: MB_INVALID_UTF8 with the byte offset, MB_CANCELLED; *n_ids is then 0.
 */
mb_status mb_tokenize(const mb_tokenizer *tokenizer, const char *text, size_t text_bytes, int32_t *ids, size_t capacity,
                      size_t *n_ids, const mb_interrupt *interrupt, mb_error *err);

/*
 * One word of a text: `bytes` bytes of UTF-8, normalised, valid during the call only.  too_long: it has more than
 * max_chars_per_word characters, so a tokenizer takes it for [UNK]; what word holds then is not the word.
 */
typedef void (*mb_word_callback)(void *arg, const char *word, size_t bytes, bool too_long);

/*
 * Calls on_word for each word of text, in order: what mb_tokenize, with the same options, looks up in its vocabulary.
 * Special tokens written in the text are plain text here; of the options only lowercase, strip_accents, split_cjk and
 * max_chars_per_word matter.  Errors: MB_INVALID_ARGUMENT, MB_INVALID_UTF8 with the byte offset (words before it have
 * been reported), MB_CANCELLED.
 */
mb_status mb_split_words(const mb_tokenizer_options *options, const char *text, size_t text_bytes,
                         mb_word_callback on_word, void *arg, const mb_interrupt *interrupt, mb_error *err);

/* The token of an id as in vocab.txt (not NUL-terminated; points into the blob), or NULL if id is out of range. */
const char *mb_tokenizer_token(const mb_tokenizer *tokenizer, int32_t id, size_t *bytes);

/* The id of a token as in vocab.txt, or -1. */
int32_t mb_tokenizer_id(const mb_tokenizer *tokenizer, const char *token, size_t bytes);

int32_t mb_tokenizer_vocab_size(const mb_tokenizer *tokenizer);
int32_t mb_tokenizer_unk_id(const mb_tokenizer *tokenizer);
int32_t mb_tokenizer_cls_id(const mb_tokenizer *tokenizer);
int32_t mb_tokenizer_sep_id(const mb_tokenizer *tokenizer);
int32_t mb_tokenizer_pad_id(const mb_tokenizer *tokenizer);
int32_t mb_tokenizer_mask_id(const mb_tokenizer *tokenizer);

/* Whether id is a role token or one of the additional special tokens. */
bool mb_tokenizer_is_special(const mb_tokenizer *tokenizer, int32_t id);

#endif
