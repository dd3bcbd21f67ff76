/*
 * trigger.c - bert_tags_trigger: keeps a column true to the text of others.
 *
 *	   CREATE TRIGGER ... BEFORE INSERT OR UPDATE ON ... FOR EACH ROW
 *		   EXECUTE FUNCTION bert_tags_trigger(target, source [, ...] [, 'model=NAME'] [, 'top_k=N'] [, 'threshold=X']);
 *
 * The type of the target says what is wanted: text[] takes tags; real[], and any type with an assignment cast from
 * real[], as pgvector's vector has, the embedding; likewise domains over them.  The text is the sources that are not
 * null, with a newline between; where all are null the target becomes null.
 *
 * INSERT always computes.  UPDATE computes when a source has another value than before; and where the text is the same
 * but the target, though null, is asked for: the statement sets it or a source, or took its value away.  So
 * "UPDATE ... SET target = NULL" computes anew, "SET target = value" keeps a value given by hand, and an UPDATE that is
 * about other columns never needs the model.  An UPDATE that moves a row to another partition is an INSERT there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_tags_trigger);

/* What the trigger's arguments say, for the table it fires on. */
typedef struct TriggerPlan
{
	const TriggerData *data;
	TupleDesc	columns;
	AttrNumber	target;
	Oid			target_type;	/* domains looked through */
	int32		target_typmod;
	bool		wants_tags;
	Oid			cast;			/* from real[] to target_type; InvalidOid: none needed */
	int			n_sources;
	AttrNumber *sources;
	const char *model;			/* NULL: the session's default */
	bool		has_options;
	BertTagOptions options;
} TriggerPlan;

#define USAGE_HINT \
	"Write EXECUTE FUNCTION bert_tags_trigger('target', 'source') in CREATE TRIGGER ... BEFORE INSERT OR UPDATE ... FOR EACH ROW."

static void
check_called_as_row_trigger(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bert_tags_trigger can only be called as a trigger"),
				 errhint(USAGE_HINT)));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_FOR_ROW(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bert_tags_trigger must be fired for each row"),
				 errhint(USAGE_HINT)));
	if (!TRIGGER_FIRED_BEFORE(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bert_tags_trigger must be fired before the event"),
				 errhint(USAGE_HINT)));
	if (!TRIGGER_FIRED_BY_INSERT(event) && !TRIGGER_FIRED_BY_UPDATE(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bert_tags_trigger must be fired by INSERT or UPDATE"),
				 errhint(USAGE_HINT)));
}

/* The column's number, or 0 if the table has none of this name that a user may write. */
static AttrNumber
find_column(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
			return column->attnum;
	}
	return 0;
}

static AttrNumber
get_column(const TriggerPlan *plan, const char *name)
{
	AttrNumber	column = find_column(plan->columns, name);

	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						name, RelationGetRelationName(plan->data->tg_relation)),
				 errhint("Column names in a trigger's arguments are taken as they are written, upper case and lower case included.")));
	return column;
}

static void
set_target(TriggerPlan *plan, const char *name)
{
	Form_pg_attribute column;

	plan->target = get_column(plan, name);
	column = TupleDescAttr(plan->columns, plan->target - 1);
	if (column->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" is a generated column", name),
				 errdetail("A trigger cannot fill it."),
				 errhint("Use a plain column, or GENERATED ALWAYS AS (bert_embed(text, 'model')) STORED without a trigger.")));
	plan->target_typmod = column->atttypmod;
	plan->target_type = getBaseTypeAndTypmod(column->atttypid, &plan->target_typmod);
	plan->wants_tags = plan->target_type == TEXTARRAYOID;
	plan->cast = InvalidOid;
	if (!plan->wants_tags && plan->target_type != FLOAT4ARRAYOID &&
		find_coercion_pathway(plan->target_type, FLOAT4ARRAYOID, COERCION_ASSIGNMENT, &plan->cast) != COERCION_PATH_FUNC)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s", name, format_type_be(column->atttypid)),
				 errhint("Tags need a column of type text[], embeddings one of type real[] or pgvector's vector.")));
}

static void
add_source(TriggerPlan *plan, const char *name)
{
	AttrNumber	number = get_column(plan, name);
	Form_pg_attribute column = TupleDescAttr(plan->columns, number - 1);

	if (getBaseType(column->atttypid) != BPCHAROID && !IsBinaryCoercible(column->atttypid, TEXTOID))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, not of a text type",
						name, format_type_be(column->atttypid)),
				 errhint("Texts are read from columns of type text, varchar or char.")));
	if (column->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" is a generated column", name),
				 errdetail("Generated columns have no value yet when a BEFORE trigger is fired."),
				 errhint("Name the columns that it is generated from.")));
	plan->sources[plan->n_sources++] = number;
}

/* The rest of argument if it begins with key and "=", else NULL. */
static const char *
option_value(const char *argument, const char *key)
{
	size_t		n = strlen(key);

	return strncmp(argument, key, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static void
set_option(TriggerPlan *plan, const char *argument)
{
	const char *value;

	if ((value = option_value(argument, "model")) != NULL)
	{
		if (*value == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("trigger option \"model\" has no value"),
					 errhint("Leave it out for the default model.")));
		plan->model = value;
		return;
	}
	if ((value = option_value(argument, "top_k")) != NULL)
		BertSetTopK(&plan->options, pg_strtoint32(value));
	else if ((value = option_value(argument, "threshold")) != NULL)
		BertSetThreshold(&plan->options, DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(value))));
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized trigger option \"%s\"", argument),
				 errhint("There are \"model=NAME\", \"top_k=N\" and \"threshold=X\".")));
	plan->has_options = true;
}

/* Reads the trigger's arguments.  One with an "=" is an option, unless it is the whole name of a column. */
static void
read_arguments(TriggerPlan *plan, const TriggerData *data)
{
	Trigger    *trigger = data->tg_trigger;

	memset(plan, 0, sizeof(*plan));
	plan->data = data;
	plan->columns = RelationGetDescr(data->tg_relation);
	if (trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bert_tags_trigger needs the column to fill and a column to read"),
				 errdetail("It has %d of its arguments.", trigger->tgnargs),
				 errhint(USAGE_HINT)));
	set_target(plan, trigger->tgargs[0]);
	plan->sources = palloc(trigger->tgnargs * sizeof(AttrNumber));
	for (int i = 1; i < trigger->tgnargs; i++)
	{
		const char *argument = trigger->tgargs[i];

		if (strchr(argument, '=') != NULL && find_column(plan->columns, argument) == 0)
			set_option(plan, argument);
		else
			add_source(plan, argument);
	}
	if (plan->n_sources == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bert_tags_trigger needs a column to read"),
				 errhint(USAGE_HINT)));
	if (plan->has_options && !plan->wants_tags)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("top_k and threshold are about tags, and column \"%s\" takes an embedding", trigger->tgargs[0])));
}

static bool
is_null(const TriggerPlan *plan, HeapTuple row, AttrNumber column)
{
	bool		null;

	(void) heap_getattr(row, column, plan->columns, &null);
	return null;
}

/*
 * Whether two values of a text type are the same bytes.  A value that lies out of line and was not touched is the same
 * pointer in both rows, and need not be fetched.
 */
static bool
same_text(Datum a, Datum b)
{
	struct varlena *x = (struct varlena *) DatumGetPointer(a);
	struct varlena *y = (struct varlena *) DatumGetPointer(b);

	if (VARATT_IS_EXTERNAL_ONDISK(x) && VARATT_IS_EXTERNAL_ONDISK(y) && memcmp(x, y, VARSIZE_EXTERNAL(x)) == 0)
		return true;
	return datum_image_eq(a, b, false, -1);
}

/* Whether a source differs between the old row and the new one. */
static bool
text_changed(const TriggerPlan *plan)
{
	for (int i = 0; i < plan->n_sources; i++)
	{
		AttrNumber	column = plan->sources[i];
		bool		old_null;
		bool		new_null;
		Datum		old_value = heap_getattr(plan->data->tg_trigtuple, column, plan->columns, &old_null);
		Datum		new_value = heap_getattr(plan->data->tg_newtuple, column, plan->columns, &new_null);

		if (old_null != new_null)
			return true;
		if (!old_null && !same_text(old_value, new_value))
			return true;
	}
	return false;
}

static bool
statement_sets(const TriggerPlan *plan, AttrNumber column)
{
	return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, plan->data->tg_updatedcols);
}

/* Whether an UPDATE that leaves the text alone asks for a value where there is none; see the head of this file. */
static bool
target_asked_for(const TriggerPlan *plan)
{
	if (!is_null(plan, plan->data->tg_newtuple, plan->target))
		return false;
	if (statement_sets(plan, plan->target) || !is_null(plan, plan->data->tg_trigtuple, plan->target))
		return true;
	for (int i = 0; i < plan->n_sources; i++)
		if (statement_sets(plan, plan->sources[i]))
			return true;
	return false;
}

/* The row's text, or NULL if all sources are null. */
static text *
source_text(const TriggerPlan *plan, HeapTuple row)
{
	text	   *first = NULL;
	StringInfoData joined;

	joined.data = NULL;
	for (int i = 0; i < plan->n_sources; i++)
	{
		bool		null;
		Datum		value = heap_getattr(row, plan->sources[i], plan->columns, &null);
		text	   *t;

		if (null)
			continue;
		t = DatumGetTextPP(value);
		if (first == NULL)
		{
			first = t;
			continue;
		}
		if (joined.data == NULL)
		{
			initStringInfo(&joined);
			appendBinaryStringInfo(&joined, VARDATA_ANY(first), VARSIZE_ANY_EXHDR(first));
		}
		appendStringInfoChar(&joined, '\n');
		appendBinaryStringInfo(&joined, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
	}
	return joined.data == NULL ? first : cstring_to_text_with_len(joined.data, joined.len);
}

/* The embedding as the target's own type, through its cast, which checks the number of dimensions in the typmod. */
static Datum
cast_embedding(const TriggerPlan *plan, ArrayType *embedding)
{
	Datum		value = PointerGetDatum(embedding);
	Datum		typmod = Int32GetDatum(plan->target_typmod);

	if (!OidIsValid(plan->cast))
		return value;
	switch (get_func_nargs(plan->cast))
	{
		case 1:
			return OidFunctionCall1(plan->cast, value);
		case 2:
			return OidFunctionCall2(plan->cast, value, typmod);
		default:
			return OidFunctionCall3(plan->cast, value, typmod, BoolGetDatum(false));
	}
}

/* The new row with the target filled. */
static HeapTuple
fill(const TriggerPlan *plan, HeapTuple row)
{
	Oid			column_type = TupleDescAttr(plan->columns, plan->target - 1)->atttypid;
	text	   *t = source_text(plan, row);
	int			target = plan->target;
	bool		null = t == NULL;
	Datum		value = (Datum) 0;

	if (!null)
	{
		const BertModel *model = BertModelByName(plan->model);

		if (plan->wants_tags)
			value = PointerGetDatum(BertTags(model, plan->model, t, &plan->options));
		else
			value = cast_embedding(plan, BertEmbed(model, t));
	}
	if (column_type != plan->target_type)
		domain_check(value, null, column_type, NULL, NULL);
	return heap_modify_tuple_by_cols(row, plan->columns, 1, &target, &value, &null);
}

/* Says in which trigger an error of the model or of a cast happened. */
static void
add_context(void *arg)
{
	const TriggerData *data = arg;

	errcontext("trigger \"%s\" on table \"%s\"", data->tg_trigger->tgname, RelationGetRelationName(data->tg_relation));
}

Datum
bert_tags_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data;
	TriggerPlan plan;
	HeapTuple	row;
	ErrorContextCallback context;

	check_called_as_row_trigger(fcinfo);
	data = (TriggerData *) fcinfo->context;
	context.callback = add_context;
	context.arg = data;
	context.previous = error_context_stack;
	error_context_stack = &context;

	read_arguments(&plan, data);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		row = fill(&plan, data->tg_trigtuple);
	else if (text_changed(&plan) || target_asked_for(&plan))
		row = fill(&plan, data->tg_newtuple);
	else
		row = data->tg_newtuple;

	error_context_stack = context.previous;
	return PointerGetDatum(row);
}
