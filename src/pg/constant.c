/*
 * constant.c - texts that are constant within a query are computed once.
 *
 * In
 *
 *	   ORDER BY bert_similarity(embedding, bert_embed('words to search for'))
 *
 * bert_embed is STABLE, so that the planner does not fold it and the executor calls it for every row, with the same
 * constant.  The functions remember their last answer to a constant; since an answer depends on the text and the
 * model's contents alone, a remembered one is never stale.  And the planner is told that only the first row costs much:
 * with the whole cost for each row it would compile a search of a few hundred rows with LLVM, which takes longer.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_constant_support);

/* Longer constants are not worth keeping. */
#define MAX_TEXT 8192

/* What a call with a remembered text takes, in cpu_operator_cost: comparing the text, copying the answer. */
#define RECALL_COST 100

/* The values remembered for this text, or NULL. */
const float *
BertRecall(const BertMemo *memo, const BertModel *model, mb_text input)
{
	if (memo->values != NULL && memo->text_bytes == input.size &&
		memcmp(memo->text, input.data, input.size) == 0 && strcmp(memo->sha256, model->sha256) == 0)
		return memo->values;
	return NULL;
}

void
BertRemember(BertMemo *memo, const BertModel *model, mb_text input, int n, const float *values)
{
	float	   *copy;

	if (input.size > MAX_TEXT)
		return;
	if (memo->text == NULL)
		memo->text = MemoryContextAlloc(TopMemoryContext, MAX_TEXT);
	copy = MemoryContextAlloc(TopMemoryContext, n * sizeof(float));
	memcpy(copy, values, n * sizeof(float));
	memcpy(memo->text, input.data, input.size);
	memo->text_bytes = input.size;
	strlcpy(memo->sha256, model->sha256, sizeof(memo->sha256));
	if (memo->values != NULL)
		pfree(memo->values);
	memo->values = copy;
}

static bool
is_constant(Node *argument)
{
	return IsA(argument, Const) || (IsA(argument, Param) && ((Param *) argument)->paramkind == PARAM_EXTERN);
}

/* The planner's support function of those that remember: the declared COST once if all arguments are constant. */
Datum
bert_constant_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	SupportRequestCost *cost = (SupportRequestCost *) request;
	HeapTuple	function;
	ListCell   *cell;

	if (!IsA(request, SupportRequestCost) || cost->node == NULL || !IsA(cost->node, FuncExpr))
		PG_RETURN_POINTER(NULL);
	foreach(cell, ((FuncExpr *) cost->node)->args)
		if (!is_constant(lfirst(cell)))
			PG_RETURN_POINTER(NULL);
	function = SearchSysCache1(PROCOID, ObjectIdGetDatum(cost->funcid));
	if (!HeapTupleIsValid(function))
		PG_RETURN_POINTER(NULL);
	cost->startup = ((Form_pg_proc) GETSTRUCT(function))->procost * cpu_operator_cost;
	cost->per_tuple = RECALL_COST * cpu_operator_cost;
	ReleaseSysCache(function);
	PG_RETURN_POINTER(cost);
}
