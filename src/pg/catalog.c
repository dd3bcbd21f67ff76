/*
 * catalog.c - the tables bert_model, bert_model_chunk and bert_default.
 *
 * Reading goes around SQL: with the snapshot that PostgreSQL reads its own catalogues with, so that a model is there as
 * soon as it is committed, and never by a name in search_path, which any user may set and which PostgreSQL 17 restricts
 * while it maintains an index.  It asks for no privilege: whoever may call a function may use a model.
 *
 * Writing goes through SQL, as the current user, so that privileges, constraints, triggers and publications hold.
 */
#include "catalog.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static BertTables tables;
static bool tables_known = false;

static uint64 generation = 1;
static uint64 change_generation = 1;

/* Counts all messages, of whatever table. */
static uint64 messages = 0;

static void
relcache_callback(Datum arg, Oid relid)
{
	messages++;
	if (relid == InvalidOid)
	{
		/* Messages were lost: anything may have changed. */
		generation++;
		tables_known = false;
	}
	else if (relid == tables.model || relid == tables.chunk || relid == tables.choice)
	{
		change_generation = ++generation;
		tables_known = false;
	}
}

void
BertCatalogInit(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

uint64
BertGeneration(void)
{
	return generation;
}

uint64
BertChangeGeneration(void)
{
	return change_generation;
}

/* A table of the extension.  One of that name that is not the extension's own does not count. */
static Oid
member_table(Oid extension, Oid schema, const char *name)
{
	Oid			relid = get_relname_relid(name, schema);

	if (!OidIsValid(relid) || getExtensionOfObject(RelationRelationId, relid) != extension)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("extension \"moviebert\" lacks its table \"%s\"", name),
				errhint("Drop the extension and create it again."));
	return relid;
}

static void
find_tables(BertTables *found)
{
	Oid			extension = InvalidOid;
	Oid			schema = InvalidOid;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("moviebert"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (!OidIsValid(extension))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("extension \"moviebert\" does not exist in this database"),
				errhint("Run CREATE EXTENSION moviebert; first."));

	found->schema = schema;
	found->model = member_table(extension, schema, "bert_model");
	found->chunk = member_table(extension, schema, "bert_model_chunk");
	found->choice = member_table(extension, schema, "bert_default");
}

const BertTables *
BertFindTables(void)
{
	BertTables	found;
	uint64		before;

	if (tables_known)
		return &tables;
	/* The callback cannot tell a message of what is being found from others: any message makes us look again. */
	do
	{
		before = messages;
		find_tables(&found);
	} while (before != messages);
	tables = found;
	tables_known = true;
	return &tables;
}

/* What C code knows of a column that it reads by number. */
typedef struct Column
{
	AttrNumber	number;
	const char *name;
	Oid			type;
} Column;

static const Column model_columns[] = {
	{Anum_bert_model_name, "name", TEXTOID},
	{Anum_bert_model_sha256, "sha256", TEXTOID},
	{Anum_bert_model_size, "size", INT8OID},
	{Anum_bert_model_shipped, "shipped", INT4OID}
};

static const Column chunk_columns[] = {
	{Anum_bert_model_chunk_sha256, "sha256", TEXTOID},
	{Anum_bert_model_chunk_seq, "seq", INT4OID},
	{Anum_bert_model_chunk_data, "data", BYTEAOID},
	{Anum_bert_model_chunk_shipped, "shipped", BOOLOID}
};

static const Column choice_columns[] = {
	{Anum_bert_default_model, "model", TEXTOID}
};

static bool
column_is_as_made(TupleDesc desc, const Column *column)
{
	Form_pg_attribute attribute;

	if (column->number > desc->natts)
		return false;
	attribute = TupleDescAttr(desc, column->number - 1);
	return !attribute->attisdropped && strcmp(NameStr(attribute->attname), column->name) == 0 &&
		attribute->atttypid == column->type && attribute->attnotnull &&
		(column->type != TEXTOID || attribute->attcollation == C_COLLATION_OID);
}

/* The owner of the extension may alter its tables.  Values of another type would be read as addresses. */
static Relation
open_table(Oid relid, const Column *columns, int n)
{
	Relation	rel = table_open(relid, AccessShareLock);

	for (int i = 0; i < n; i++)
		if (!column_is_as_made(RelationGetDescr(rel), &columns[i]))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" of extension \"moviebert\" has been altered", RelationGetRelationName(rel)),
					errdetail("Its column %d should be \"%s\" of type %s%s, not null.", columns[i].number,
							  columns[i].name, format_type_be(columns[i].type),
							  columns[i].type == TEXTOID ? " with collation \"C\"" : ""),
					errhint("Undo the change, or drop the extension and create it again."));
	return rel;
}

Relation
BertOpenModels(void)
{
	return open_table(BertFindTables()->model, model_columns, lengthof(model_columns));
}

Relation
BertOpenChunks(void)
{
	return open_table(BertFindTables()->chunk, chunk_columns, lengthof(chunk_columns));
}

/* The primary key.  RelationGetPrimaryKeyIndex would say it too, with other arguments in other versions. */
static Oid
primary_key_of(Relation rel)
{
	list_free(RelationGetIndexList(rel));
	return rel->rd_pkindex;
}

/* PostgreSQL 18 knows NOT NULL constraints that are not valid. */
Datum
BertColumnValue(HeapTuple tuple, int column, Relation rel)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);

	if (isnull)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("null in column %d of table \"%s\"", column, RelationGetRelationName(rel)));
	return value;
}

static void
copy_text(char *to, size_t size, HeapTuple tuple, int column, Relation rel)
{
	text_to_cstring_buffer(DatumGetTextPP(BertColumnValue(tuple, column, rel)), to, size);
}

/* Whether somebody has chosen a default: its name, empty for none.  *read_in: the generation that it was read in. */
static bool
read_choice(char *name, size_t size, uint64 *read_in)
{
	Relation	rel = open_table(BertFindTables()->choice, choice_columns, lengthof(choice_columns));
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	*read_in = generation;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		copy_text(name, size, tuple, Anum_bert_default_model, rel);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static void
copy_row(BertModelRow *row, HeapTuple tuple, Relation rel)
{
	copy_text(row->name, sizeof(row->name), tuple, Anum_bert_model_name, rel);
	copy_text(row->sha256, sizeof(row->sha256), tuple, Anum_bert_model_sha256, rel);
	row->size = DatumGetInt64(BertColumnValue(tuple, Anum_bert_model_size, rel));
	row->shipped = DatumGetInt32(BertColumnValue(tuple, Anum_bert_model_shipped, rel));
}

static bool
read_by_name(Relation rel, const char *name, BertModelRow *row)
{
	Oid			index = primary_key_of(rel);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_bert_model_name, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		copy_row(row, tuple, rel);
	systable_endscan(scan);
	return found;
}

/* Of the models that moviebert shipped, the latest. */
static bool
read_latest_shipped(Relation rel, BertModelRow *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	row->shipped = 0;
	ScanKeyInit(&key, Anum_bert_model_shipped, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(0));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (DatumGetInt32(BertColumnValue(tuple, Anum_bert_model_shipped, rel)) > row->shipped)
			copy_row(row, tuple, rel);
	systable_endscan(scan);
	return row->shipped > 0;
}

/*
 * The lock on a table lets us see all changes to it that were committed before: what comes after the first lock is of a
 * later generation.
 */
bool
BertReadModel(const char *name, BertModelRow *row)
{
	char		chosen[BERT_MAX_NAME + 1];
	uint64		read_in = 0;
	Relation	rel;
	bool		found;

	if (name == NULL && read_choice(chosen, sizeof(chosen), &read_in))
		name = chosen;
	rel = BertOpenModels();
	row->generation = read_in != 0 ? read_in : generation;
	found = name != NULL ? read_by_name(rel, name, row) : read_latest_shipped(rel, row);
	table_close(rel, AccessShareLock);
	return found;
}

/* Whether the table has a row with this hash, and closes it.  Without an index all rows are looked at. */
static bool
has_hash(Relation rel, Oid index, int column, const char *sha256)
{
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(sha256));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

bool
BertHashHasName(const char *sha256)
{
	return has_hash(BertOpenModels(), InvalidOid, Anum_bert_model_sha256, sha256);
}

bool
BertHashHasChunks(const char *sha256)
{
	Relation	chunks = BertOpenChunks();

	return has_hash(chunks, primary_key_of(chunks), Anum_bert_model_chunk_sha256, sha256);
}

bool
BertChunkIsShipped(const char *sha256, int32 seq)
{
	Relation	chunks = BertOpenChunks();
	Oid			index = primary_key_of(chunks);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		shipped;

	ScanKeyInit(&keys[0], Anum_bert_model_chunk_sha256, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(sha256));
	ScanKeyInit(&keys[1], Anum_bert_model_chunk_seq, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(seq));
	scan = systable_beginscan(chunks, index, OidIsValid(index), NULL, lengthof(keys), keys);
	tuple = systable_getnext(scan);
	shipped = HeapTupleIsValid(tuple) &&
		DatumGetBool(BertColumnValue(tuple, Anum_bert_model_chunk_shipped, chunks));
	systable_endscan(scan);
	table_close(chunks, AccessShareLock);
	return shipped;
}

SysScanDesc
BertBeginChunks(Relation chunks, Relation *index, const char *sha256)
{
	Oid			primary_key = primary_key_of(chunks);
	ScanKeyData key;

	if (!OidIsValid(primary_key))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("table \"%s\" has no primary key", RelationGetRelationName(chunks)),
				errhint("Add PRIMARY KEY (sha256, seq) to it again."));
	*index = index_open(primary_key, AccessShareLock);
	ScanKeyInit(&key, Anum_bert_model_chunk_sha256, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(sha256));
	return systable_beginscan_ordered(chunks, *index, NULL, 1, &key);
}

static void
lock_indexes(Relation rel)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
		LockRelationOid(lfirst_oid(cell), AccessShareLock);
}

void
BertLockChunks(void)
{
	Relation	chunks = BertOpenChunks();
	Oid			toast = chunks->rd_rel->reltoastrelid;

	lock_indexes(chunks);
	if (OidIsValid(toast))
	{
		Relation	rel = table_open(toast, AccessShareLock);

		lock_indexes(rel);
		table_close(rel, NoLock);
	}
	table_close(chunks, NoLock);
}

static void
check_privilege(Oid relid, const char *name, AclMode mode)
{
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), mode);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, name);
}

void
BertCheckPrivileges(AclMode model_mode, AclMode chunk_mode)
{
	const BertTables *found = BertFindTables();

	check_privilege(found->model, "bert_model", model_mode);
	check_privilege(found->chunk, "bert_model_chunk", chunk_mode);
}

void
BertCheckDefaultPrivilege(void)
{
	check_privilege(BertFindTables()->choice, "bert_default", ACL_INSERT);
	check_privilege(BertFindTables()->choice, "bert_default", ACL_UPDATE);
}

void
BertLockCatalog(void)
{
	LockRelationOid(BertFindTables()->model, ShareRowExclusiveLock);
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

/* schema.table, quoted where it must be. */
static char *
quoted_table(const char *table)
{
	return quote_qualified_identifier(get_namespace_name(BertFindTables()->schema), table);
}

/* Returns the number of rows. */
static uint64
execute(const char *command, int nargs, Oid *types, Datum *values, const char *nulls)
{
	uint64		rows;
	int			result;

	SPI_connect();
	result = SPI_execute_with_args(command, nargs, types, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
	rows = SPI_processed;
	SPI_finish();
	return rows;
}

/* The same for a command whose text contains one %s, for the table. */
static uint64
run(const char *command, const char *table, int nargs, Oid *types, Datum *values, const char *nulls)
{
	return execute(psprintf(command, quoted_table(table)), nargs, types, values, nulls);
}

/* execute() as the owner of the table that the command changes, as PostgreSQL runs the commands of a foreign key. */
static uint64
execute_as_owner(Oid relid, const char *command, int nargs, Oid *types, Datum *values)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;
	Oid			user;
	int			context;
	uint64		rows;

	table_close(rel, AccessShareLock);
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	rows = execute(command, nargs, types, values, NULL);
	SetUserIdAndSecContext(user, context);
	return rows;
}

void
BertRaiseConcurrentChange(const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to concurrent change of model \"%s\"", name),
			errhint("The transaction might succeed if retried."));
}

void
BertInsertChunks(const char *sha256, const char *data, size_t size, bool shipped)
{
	Oid			types[] = {TEXTOID, INT4OID, BYTEAOID, BOOLOID};
	bytea	   *piece = palloc(VARHDRSZ + MB_CHUNK_SIZE);
	Datum		values[lengthof(types)];
	SPIPlanPtr	plan;

	values[0] = CStringGetTextDatum(sha256);
	values[2] = PointerGetDatum(piece);
	values[3] = BoolGetDatum(shipped);
	SPI_connect();
	plan = SPI_prepare(psprintf("INSERT INTO %s (sha256, seq, data, shipped) VALUES ($1, $2, $3, $4)",
								quoted_table("bert_model_chunk")), lengthof(types), types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	for (size_t at = 0; at < size; at += MB_CHUNK_SIZE)
	{
		size_t		n = Min(size - at, MB_CHUNK_SIZE);
		int			result;

		CHECK_FOR_INTERRUPTS();
		SET_VARSIZE(piece, VARHDRSZ + n);
		memcpy(VARDATA(piece), data + at, n);
		values[1] = Int32GetDatum((int32) (at / MB_CHUNK_SIZE));
		result = SPI_execute_plan(plan, values, NULL, false, 0);
		if (result != SPI_OK_INSERT)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	}
	SPI_finish();
	pfree(piece);
}

static Datum
text_datum(const char *utf8)
{
	return CStringGetTextDatum(BertServerText(utf8));
}

static Datum
tags_datum(const mb_model *model)
{
	int			n = model->pipeline.num_labels;
	Datum	   *names = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		names[i] = text_datum(model->tags[i].name);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
thresholds_datum(const mb_model *model)
{
	int			n = model->pipeline.num_labels;
	int			lower_bound = 1;
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		nulls[i] = isnan(model->tags[i].threshold);
		values[i] = Float4GetDatum(model->tags[i].threshold);
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower_bound, FLOAT4OID, sizeof(float4), true,
											  TYPALIGN_INT));
}

void
BertInsertModel(const char *name, const char *sha256, size_t size, const mb_model *model, int32 shipped)
{
	const char *problem = mb_problem_name(model->pipeline.problem);
	Oid			types[] = {TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, INT8OID, INT4OID, INT4OID, TEXTOID, BOOLOID,
	TEXTOID, INT4OID, TEXTOID, TEXTARRAYOID, FLOAT4ARRAYOID, JSONBOID, INT4OID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types)];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(sha256);
	values[2] = Int64GetDatum((int64) size);
	values[3] = text_datum(model->kind);
	values[4] = text_datum(model->architecture);
	values[5] = Int64GetDatum(model->parameters);
	values[6] = Int32GetDatum(model->config.hidden_size);
	values[7] = Int32GetDatum(model->pipeline.max_length);
	values[8] = CStringGetTextDatum(mb_pooling_name(model->pipeline.pooling));
	values[9] = BoolGetDatum(model->pipeline.normalize);
	values[10] = CStringGetTextDatum(mb_long_text_name(model->pipeline.long_text));
	values[11] = Int32GetDatum(model->pipeline.window_stride);
	if (problem != NULL)
	{
		values[12] = CStringGetTextDatum(problem);
		values[13] = tags_datum(model);
		values[14] = thresholds_datum(model);
	}
	else
		nulls[12] = nulls[13] = nulls[14] = 'n';
	if (model->card_json != NULL)
		values[15] = DirectFunctionCall1(jsonb_in, CStringGetDatum(BertServerText(model->card_json)));
	else
		nulls[15] = 'n';
	values[16] = Int32GetDatum(shipped);

	run("INSERT INTO %s (name, sha256, size, kind, architecture, parameters, dimensions, max_length, pooling, normalize,"
		" long_text, window_stride, problem, tags, thresholds, card, shipped)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
		"bert_model", lengthof(types), types, values, nulls);
}

void
BertDeleteModel(const char *name)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};

	if (run("DELETE FROM %s WHERE name OPERATOR(pg_catalog.=) $1", "bert_model", 1, types, values, NULL) == 1)
		return;
	/*
	 * The row is there, and nobody else can change it: the transaction's snapshot is older, or something of the user's
	 * kept it away.
	 */
	if (IsolationUsesXactSnapshot())
		BertRaiseConcurrentChange(name);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("the row of model \"%s\" was not deleted", name),
			errdetail("A trigger or a row security policy of table \"%s\" has prevented it.", "bert_model"));
}

void
BertDeleteChunks(const char *sha256)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(sha256)};

	run("DELETE FROM %s WHERE sha256 OPERATOR(pg_catalog.=) $1", "bert_model_chunk", 1, types, values, NULL);
}

void
BertUpdateDefault(const char *name, bool as_owner)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};
	char	   *command = psprintf("INSERT INTO %s (model) VALUES ($1)"
								   " ON CONFLICT (one) DO UPDATE SET model = excluded.model",
								   quoted_table("bert_default"));
	uint64		rows;

	if (as_owner)
		rows = execute_as_owner(BertFindTables()->choice, command, 1, types, values);
	else
		rows = execute(command, 1, types, values, NULL);
	if (rows != 1)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the default model was not changed"),
				errdetail("A trigger or a row security policy of table \"%s\" has prevented it.", "bert_default"));
}

void
BertMarkChunks(const char *sha256)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(sha256)};

	execute_as_owner(BertFindTables()->chunk,
					 psprintf("UPDATE %s AS c SET shipped = names.shipped"
							  " FROM (SELECT pg_catalog.bool_and(m.shipped OPERATOR(pg_catalog.>) 0) AS shipped"
							  " FROM %s AS m WHERE m.sha256 OPERATOR(pg_catalog.=) $1) AS names"
							  " WHERE c.sha256 OPERATOR(pg_catalog.=) $1"
							  " AND c.shipped OPERATOR(pg_catalog.<>) names.shipped",
							  quoted_table("bert_model_chunk"), quoted_table("bert_model")),
					 1, types, values);
}

void
BertKeepChunk(const char *sha256, int32 seq)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(sha256), Int32GetDatum(seq)};

	execute_as_owner(BertFindTables()->chunk,
					 psprintf("UPDATE %s SET shipped = false"
							  " WHERE sha256 OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
							  quoted_table("bert_model_chunk")),
					 2, types, values);
}
