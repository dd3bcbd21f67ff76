/*
 * tokenize.c - bert_tokenize and bert_token_count: what a model reads of a text, [CLS] and [SEP] included, as the
 * reference tokenizer gives it.  Windows are cut later, and do not show here.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_tokenize);
PG_FUNCTION_INFO_V1(bert_token_count);

/*
 * The number of tokens in a text, without [CLS] and [SEP].  Up to capacity of them go to ids, which may be NULL with
 * capacity 0.
 */
static size_t
tokenize(const BertModel *model, mb_text input, int32_t *ids, size_t capacity)
{
	mb_error	err;
	size_t		n;
	mb_status	status = mb_tokenize(&model->image.tokenizer, input.data, input.size, ids, capacity, &n,
									 &BertInterrupt, &err);

	if (status != MB_OK)
		BertInferFailed(status, &err, 1);
	return n;
}

/* bert_token_count(text [, model]) -> integer */
Datum
bert_token_count(PG_FUNCTION_ARGS)
{
	const BertModel *model = BertModelForCall(fcinfo, PG_NARGS() > 1 ? 1 : -1);
	int32_t		none;
	size_t		n = tokenize(model, BertTextInput(PG_GETARG_TEXT_PP(0)), &none, 0) + 2;

	/* A text of 1 GB has as many tokens at the most as it has bytes, or few more. */
	if (n > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("integer out of range")));
	PG_RETURN_INT32((int32) n);
}

/* bert_tokenize(text [, model]) -> setof (position, token, id) */
Datum
bert_tokenize(PG_FUNCTION_ARGS)
{
	const BertModel *model = BertModelForCall(fcinfo, PG_NARGS() > 1 ? 1 : -1);
	const mb_tokenizer *tokenizer = &model->image.tokenizer;
	mb_text		input = BertTextInput(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext row_context;
	size_t		capacity = Min(input.size + 16, BERT_MAX_TEXT_TOKENS);
	size_t		n;
	int32_t    *ids;

	InitMaterializedSRF(fcinfo, 0);

	/* Few texts have as many tokens as bytes, but no bound is promised: then once more with the right size. */
	ids = palloc((capacity + 2) * sizeof(int32_t));
	n = tokenize(model, input, ids + 1, capacity);
	if (n > BERT_MAX_TEXT_TOKENS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text of %zu tokens is too long", n),
				 errdetail("The limit is %d tokens.", BERT_MAX_TEXT_TOKENS),
				 errhint("Cut the text into parts.")));
	if (n > capacity)
	{
		pfree(ids);
		ids = palloc((n + 2) * sizeof(int32_t));
		n = tokenize(model, input, ids + 1, n);
	}
	ids[0] = mb_tokenizer_cls_id(tokenizer);
	ids[n + 1] = mb_tokenizer_sep_id(tokenizer);

	row_context = AllocSetContextCreate(CurrentMemoryContext, "bert_tokenize row", ALLOCSET_SMALL_SIZES);
	for (size_t i = 0; i < n + 2; i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(row_context);
		size_t		bytes;
		const char *token = mb_tokenizer_token(tokenizer, ids[i], &bytes);
		Datum		values[3];
		bool		nulls[3] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum((int32) (i + 1));
		values[1] = PointerGetDatum(BertTextOutput(token, bytes));
		values[2] = Int32GetDatum(ids[i]);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	MemoryContextDelete(row_context);
	pfree(ids);
	return (Datum) 0;
}
