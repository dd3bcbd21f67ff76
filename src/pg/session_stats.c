/*
 * session_stats.c - bert_session_stats: what this session has computed, and how many texts were cut on the way.
 *
 * A model whose pipeline says to truncate reads the beginning of a long text and gives an answer like any other; here it
 * shows.  The counters are this backend's: workers of a parallel query keep their own, which end with them.  A call that
 * fails is not counted, one that a transaction takes back is: it was computed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_session_stats);
PG_FUNCTION_INFO_V1(bert_session_stats_reset);

static uint64 calls = 0;
static mb_infer_stats total;

void
BertCountCall(const mb_infer_stats *call)
{
	calls++;
	total.texts += call->texts;
	total.tokens += call->tokens;
	total.windows += call->windows;
	total.truncated += call->truncated;
}

/* bert_session_stats() -> (calls, texts, tokens, windows, truncated) */
Datum
bert_session_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	columns;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) calls);
	values[1] = Int64GetDatum((int64) total.texts);
	values[2] = Int64GetDatum((int64) total.tokens);
	values[3] = Int64GetDatum((int64) total.windows);
	values[4] = Int64GetDatum((int64) total.truncated);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

Datum
bert_session_stats_reset(PG_FUNCTION_ARGS)
{
	calls = 0;
	memset(&total, 0, sizeof(total));
	PG_RETURN_VOID();
}
