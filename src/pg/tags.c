/*
 * tags.c - bert_tags and bert_tag_scores: scores, and which of them count.
 *
 *	   top_k		 threshold	   tags of bert_tags, best first
 *	   not given	 not given	   those that reach their own thresholds; of a single-label model the best one
 *	   given		 not given	   the k best, whatever their scores
 *	   not given	 given		   those that reach the threshold
 *	   given		 given		   the k best of those that reach the threshold
 *
 * bert_tag_scores takes the same options, and without any gives all tags.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_tags);
PG_FUNCTION_INFO_V1(bert_tag_scores);

/* Of a tag of a multi-label model for which none was calibrated, as in an imported classifier. */
#define DEFAULT_THRESHOLD 0.5f

typedef struct ScoredTag
{
	int			tag;
	float		score;
} ScoredTag;

void
BertSetTopK(BertTagOptions *options, int32 top_k)
{
	if (top_k < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("top_k must be at least 1, not %d", top_k),
				 errhint("Leave top_k out for as many tags as reach their thresholds.")));
	options->has_top_k = true;
	options->top_k = top_k;
}

/* Scores are of type real, and thresholds are compared as such: so a score that was shown can be given as a threshold. */
void
BertSetThreshold(BertTagOptions *options, double threshold)
{
	if (!(threshold >= 0.0 && threshold <= 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold must be between 0 and 1, not %g", threshold),
				 errhint("Leave threshold out for each tag's own.")));
	options->has_threshold = true;
	options->threshold = (float) threshold;
}

/* The two arguments at the end of both functions' lists, where NULL means "not given". */
static BertTagOptions
options_of_call(FunctionCallInfo fcinfo)
{
	BertTagOptions options = {0};
	int			at = PG_NARGS() - 2;

	if (!PG_ARGISNULL(at))
		BertSetTopK(&options, PG_GETARG_INT32(at));
	if (!PG_ARGISNULL(at + 1))
		BertSetThreshold(&options, PG_GETARG_FLOAT8(at + 1));
	return options;
}

/* The model's name, from the argument or else the setting; NULL for the database's default. */
static const char *
name_of_call(FunctionCallInfo fcinfo)
{
	if (PG_NARGS() > 3)
		return text_to_cstring(PG_GETARG_TEXT_PP(1));
	return bert_model_setting[0] != '\0' ? bert_model_setting : NULL;
}

/* "model "NAME" lacks something", or "the default model lacks something". */
static int
model_errmsg(const char *name, const char *what)
{
	return name != NULL ? errmsg("model \"%s\" %s", name, what) : errmsg("the default model %s", what);
}

/* Best first; equal scores in the order of the model's tags; NaN, of a broken model, last. */
static int
better_first(const void *a, const void *b)
{
	const ScoredTag *x = a;
	const ScoredTag *y = b;

	if (isnan(x->score) != isnan(y->score))
		return isnan(x->score) ? 1 : -1;
	if (x->score != y->score && !isnan(x->score))
		return x->score > y->score ? -1 : 1;
	return x->tag < y->tag ? -1 : 1;
}

/* An error if the model has no head.  name is as in name_of_call. */
static void
check_has_tags(const BertModel *model, const char *name)
{
	if (model->image.pipeline.problem != MB_NO_HEAD)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 model_errmsg(name, "has no tags"),
			 errhint("Train it on tagged rows with \"moviebert finetune\", or use a model with tags; bert_models lists them.")));
}

/*
 * All tags of the model, which has some, with the text's scores, best first; *n is how many.  constant: see constant.c.
 */
static ScoredTag *
score_text(const BertModel *model, text *t, bool constant, int *n)
{
	static BertMemo memo;
	const mb_image *image = &model->image;
	mb_text		input = BertTextInput(t);
	const float *scores = constant ? BertRecall(&memo, model, input) : NULL;
	ScoredTag  *scored;

	*n = image->pipeline.num_labels;
	if (scores == NULL)
	{
		float	   *computed = palloc(*n * sizeof(float));
		mb_error	err;
		mb_infer_stats stats = {0};
		mb_status	status = mb_scores(&model->image, BertScratch(), &input, 1, computed, &BertInferOptions, &stats, &err);

		if (status != MB_OK)
			BertInferFailed(status, &err, 1);
		BertCountCall(&stats);
		if (constant)
			BertRemember(&memo, model, input, *n, computed);
		scores = computed;
	}

	scored = palloc(*n * sizeof(ScoredTag));
	for (int i = 0; i < *n; i++)
	{
		scored[i].tag = i;
		scored[i].score = scores[i];
	}
	qsort(scored, *n, sizeof(ScoredTag), better_first);
	return scored;
}

/* Keeps, in their order, the tags that the options ask for. */
static int
keep_by_options(ScoredTag *scored, int n, const BertTagOptions *options)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (!options->has_threshold || scored[i].score >= options->threshold)
			scored[kept++] = scored[i];
	return options->has_top_k ? Min(kept, options->top_k) : kept;
}

/* Keeps, in their order, the tags that reach their own thresholds. */
static int
keep_by_own_thresholds(const mb_image *image, ScoredTag *scored, int n)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		size_t		bytes;
		float		threshold;

		mb_image_tag(image, scored[i].tag, &bytes, &threshold);
		if (scored[i].score >= (isnan(threshold) ? DEFAULT_THRESHOLD : threshold))
			scored[kept++] = scored[i];
	}
	return kept;
}

static text *
tag_name(const mb_image *image, int tag)
{
	size_t		bytes;
	float		threshold;
	const char *name = mb_image_tag(image, tag, &bytes, &threshold);

	return BertTextOutput(name, bytes);
}

/* name as in name_of_call, constant as in score_text. */
static ArrayType *
tag_text(const BertModel *model, const char *name, text *t, bool constant, const BertTagOptions *options)
{
	const mb_image *image = &model->image;
	int			n;
	ScoredTag  *scored;
	Datum	   *names;
	ArrayType  *result;

	check_has_tags(model, name);
	if (image->pipeline.problem == MB_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 model_errmsg(name, "predicts numbers, not tags"),
				 errhint("Use bert_tag_scores.")));
	scored = score_text(model, t, constant, &n);
	if (options->has_top_k || options->has_threshold)
		n = keep_by_options(scored, n, options);
	else if (image->pipeline.problem == MB_SINGLE_LABEL)
		n = Min(n, 1);
	else
		n = keep_by_own_thresholds(image, scored, n);

	names = palloc(Max(n, 1) * sizeof(Datum));
	for (int i = 0; i < n; i++)
		names[i] = PointerGetDatum(tag_name(image, scored[i].tag));
	result = construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
	for (int i = 0; i < n; i++)
		pfree(DatumGetPointer(names[i]));
	pfree(names);
	pfree(scored);
	return result;
}

/* The tags of one text, as a new text[].  name as in name_of_call. */
ArrayType *
BertTags(const BertModel *model, const char *name, text *t, const BertTagOptions *options)
{
	return tag_text(model, name, t, false, options);
}

/*
 * bert_tags(text [, model], top_k, threshold) -> text[].  Not STRICT, because the options may be null; a null text or
 * model gives null.
 */
Datum
bert_tags(PG_FUNCTION_ARGS)
{
	bool		has_model = PG_NARGS() > 3;
	BertTagOptions options;
	const BertModel *model;

	if (PG_ARGISNULL(0) || (has_model && PG_ARGISNULL(1)))
		PG_RETURN_NULL();
	options = options_of_call(fcinfo);
	model = BertModelForCall(fcinfo, has_model ? 1 : -1);
	PG_RETURN_ARRAYTYPE_P(tag_text(model, name_of_call(fcinfo), PG_GETARG_TEXT_PP(0),
								   get_fn_expr_arg_stable(fcinfo->flinfo, 0), &options));
}

/* bert_tag_scores(text [, model], top_k, threshold) -> setof (tag, score); a null text or model gives no rows. */
Datum
bert_tag_scores(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		has_model = PG_NARGS() > 3;
	BertTagOptions options;
	const BertModel *model;
	const char *name;
	ScoredTag  *scored;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || (has_model && PG_ARGISNULL(1)))
		return (Datum) 0;
	options = options_of_call(fcinfo);
	model = BertModelForCall(fcinfo, has_model ? 1 : -1);
	name = name_of_call(fcinfo);
	check_has_tags(model, name);
	if (options.has_threshold && model->image.pipeline.problem == MB_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 model_errmsg(name, "predicts numbers, to which no threshold applies"),
				 errhint("Leave threshold out.")));
	scored = score_text(model, PG_GETARG_TEXT_PP(0), false, &n);
	n = keep_by_options(scored, n, &options);
	for (int i = 0; i < n; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false};

		values[0] = PointerGetDatum(tag_name(&model->image, scored[i].tag));
		values[1] = Float4GetDatum(scored[i].score);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}
