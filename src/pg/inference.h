/*
 * inference.h - what the SQL functions that read texts share: the way of a text into the engine and of its answers out.
 */
#ifndef MOVIEBERT_PG_INFERENCE_H
#define MOVIEBERT_PG_INFERENCE_H

#include "moviebert.h"

#include "utils/array.h"

/*
 * A text of more tokens than this is an error.  The limit bounds what one call may take: 16 MB of token ids, and some
 * minutes.  English prose of 10 MB has about 2.5 million tokens.
 */
#define BERT_MAX_TEXT_TOKENS (4 * 1024 * 1024)

/* text_input.c */
extern const mb_infer_options BertInferOptions;
extern mb_text BertTextInput(text *t);
extern text *BertTextOutput(const char *utf8, size_t bytes);
pg_noreturn extern void BertInferFailed(mb_status status, mb_error *err, size_t n_texts);

/*
 * The last answer of a function to a constant: a static variable, all zeros at first.  A caller remembers only texts
 * that get_fn_expr_arg_stable says are constant.
 */
typedef struct BertMemo
{
	char		sha256[65];
	Size		text_bytes;
	char	   *text;
	float	   *values;
} BertMemo;

/* constant.c */
extern const float *BertRecall(const BertMemo *memo, const BertModel *model, mb_text input);
extern void BertRemember(BertMemo *memo, const BertModel *model, mb_text input, int n, const float *values);

/* session_stats.c: adds what a call that succeeded has computed. */
extern void BertCountCall(const mb_infer_stats *call);

/* vector.c */
extern ArrayType *BertNewVector(int n, float **elements);
extern ArrayType *BertNewVectors(int rows, int n, float **elements);

/* embed.c */
extern ArrayType *BertEmbed(const BertModel *model, text *t);

/* Which tags of all that a model scores: NULLs of the SQL call are "not given". */
typedef struct BertTagOptions
{
	bool		has_top_k;
	int32		top_k;
	bool		has_threshold;
	float		threshold;
} BertTagOptions;

/* tags.c */
extern void BertSetTopK(BertTagOptions *options, int32 top_k);
extern void BertSetThreshold(BertTagOptions *options, double threshold);
extern ArrayType *BertTags(const BertModel *model, const char *name, text *t, const BertTagOptions *options);

#endif
