/*
 * embed.c - bert_embed: texts to vectors.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_embed);
PG_FUNCTION_INFO_V1(bert_embed_array);

/* Computes the vectors of n texts into embeddings [n,H]. */
static void
compute(const BertModel *model, const mb_text *texts, size_t n, float *embeddings)
{
	mb_error	err;
	mb_infer_stats stats = {0};
	mb_status	status = mb_embed(&model->image, BertScratch(), texts, n, embeddings, &BertInferOptions, &stats, &err);

	if (status != MB_OK)
		BertInferFailed(status, &err, n);
	BertCountCall(&stats);
}

/* The vector of one text, as a new real[]. */
ArrayType *
BertEmbed(const BertModel *model, text *t)
{
	mb_text		input = BertTextInput(t);
	float	   *elements;
	ArrayType  *result = BertNewVector(model->image.config.hidden_size, &elements);

	compute(model, &input, 1, elements);
	return result;
}

/* bert_embed(text [, model]) -> real[] */
Datum
bert_embed(PG_FUNCTION_ARGS)
{
	static BertMemo memo;
	const BertModel *model = BertModelForCall(fcinfo, PG_NARGS() > 1 ? 1 : -1);
	int			n = model->image.config.hidden_size;
	mb_text		input = BertTextInput(PG_GETARG_TEXT_PP(0));
	bool		constant = get_fn_expr_arg_stable(fcinfo->flinfo, 0);
	const float *remembered = constant ? BertRecall(&memo, model, input) : NULL;
	float	   *elements;
	ArrayType  *result = BertNewVector(n, &elements);

	if (remembered != NULL)
	{
		memcpy(elements, remembered, n * sizeof(float));
		PG_RETURN_ARRAYTYPE_P(result);
	}
	compute(model, &input, 1, elements);
	if (constant)
		BertRemember(&memo, model, input, n, elements);
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * bert_embed(texts [, model]) -> real[][]: one row a text, in their order.  A rectangular array has no room for a row
 * that is null, so that a null text is an error.
 */
Datum
bert_embed_array(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	const BertModel *model;
	int			n_texts;
	Datum	   *values;
	bool	   *nulls;
	mb_text    *texts;
	float	   *elements;
	ArrayType  *result;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of texts must have one dimension, not %d", ARR_NDIM(array)),
				 errhint("Make it one with ARRAY(SELECT unnest(...)).")));
	model = BertModelForCall(fcinfo, PG_NARGS() > 1 ? 1 : -1);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n_texts);
	if (n_texts == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(FLOAT4OID));
	texts = palloc_extended(n_texts * sizeof(mb_text), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n_texts; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("array of texts must not contain nulls"),
					 errdetail("Element %d is null.", i + 1),
					 errhint("Leave it out with array_remove(), or put another text in its place with array_replace().")));
		texts[i] = BertTextInput(DatumGetTextPP(values[i]));
	}
	result = BertNewVectors(n_texts, model->image.config.hidden_size, &elements);
	compute(model, texts, n_texts, elements);
	PG_RETURN_ARRAYTYPE_P(result);
}
