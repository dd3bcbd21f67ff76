/*
 * models.c - SQL functions that manage models.
 *
 * They run as the caller, who needs the privileges of changing the tables by hand: INSERT on bert_model and
 * bert_model_chunk to install, DELETE on both to drop, INSERT and UPDATE on bert_default to choose the default.  Whatever
 * goes wrong is an error, so that the transaction leaves nothing half done.
 */
#include "moviebert.h"

#include <unistd.h>

#include "access/table.h"
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "catalog.h"
#include "image_cache.h"
#include "model_bytes.h"

PG_FUNCTION_INFO_V1(bert_version);
PG_FUNCTION_INFO_V1(bert_load_model_contents);
PG_FUNCTION_INFO_V1(bert_load_model_path);
PG_FUNCTION_INFO_V1(bert_register_model);
PG_FUNCTION_INFO_V1(bert_load_shipped_model);
PG_FUNCTION_INFO_V1(bert_drop_model);
PG_FUNCTION_INFO_V1(bert_get_default_model);
PG_FUNCTION_INFO_V1(bert_set_default_model);
PG_FUNCTION_INFO_V1(bert_model_changed);
PG_FUNCTION_INFO_V1(bert_model_fixed);
PG_FUNCTION_INFO_V1(bert_model_arrives);
PG_FUNCTION_INFO_V1(bert_chunk_arrives);

/* The library's: the tool compares it with its own. */
Datum
bert_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MOVIEBERT_VERSION));
}

/* ---- Arguments ------------------------------------------------------------------------------------------------- */

static void
refuse_null(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", what));
}

static char *
name_argument(FunctionCallInfo fcinfo)
{
	char	   *name;

	refuse_null(fcinfo, 0, "the name of a model");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("the name of a model must not be empty"),
				errhint("Give it one of 1 to %d bytes.", BERT_MAX_NAME));
	if (strlen(name) > BERT_MAX_NAME)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("the name of a model must not be longer than %d bytes", BERT_MAX_NAME),
				errdetail("This one has %zu.", strlen(name)),
				errhint("Give it a shorter one."));
	return name;
}

/* The name of a model that exists, and its row. */
static char *
existing_name_argument(FunctionCallInfo fcinfo, BertModelRow *row)
{
	char	   *name = name_argument(fcinfo);

	if (!BertReadModel(name, row))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("model \"%s\" does not exist", name),
				errhint("The view bert_models lists those that do."));
	return name;
}

static char *
sha256_argument(FunctionCallInfo fcinfo)
{
	char	   *sha256;

	refuse_null(fcinfo, 1, "the SHA-256 of a model file");
	sha256 = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not a SHA-256", sha256),
				errdetail("A SHA-256 is written as 64 of the digits 0-9 and a-f."));
	return sha256;
}

/* ---- Installing ------------------------------------------------------------------------------------------------ */

/* True if the name stands for these contents already.  That it stands for others is an error. */
static bool
already_installed(const char *name, const char *sha256)
{
	BertModelRow row;

	if (!BertReadModel(name, &row))
		return false;
	if (strcmp(row.sha256, sha256) != 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("model \"%s\" already exists with other contents", name),
				errdetail("The name stands for SHA-256 %.16s..., and these contents have %.16s...", row.sha256, sha256),
				errhint("Give the new version a name of its own: a name never changes its weights."));
	ereport(NOTICE,
			errmsg("model \"%s\" with these contents already exists, skipping", name));
	return true;
}

/* Chunks that are there already, left by a name that was deleted by hand, must be these very bytes. */
static void
store_chunks(const BertBytes *bytes, bool shipped)
{
	BertBytes	stored;

	if (BertBytesFromChunks(&stored, bytes->sha256, NULL))
		BertBytesRelease(&stored);
	else
		BertInsertChunks(bytes->sha256, bytes->data, bytes->size, shipped);
}

/* The catalogue is locked.  stored: the chunks are there; shipped: the row's. */
static void
install(const char *name, const BertBytes *bytes, bool stored, int32 shipped)
{
	mb_model   *volatile model = NULL;

	PG_TRY();
	{
		mb_model   *opened = NULL;
		mb_error	err = {0};
		mb_status	status = mb_model_open(&opened, bytes->data, bytes->size, &err);

		if (status != MB_OK)
			BertRaiseInput(status, &err);
		model = opened;
		if (!stored)
			store_chunks(bytes, shipped > 0);
		BertInsertModel(name, bytes->sha256, bytes->size, opened, shipped);
		BertMarkChunks(bytes->sha256);
	}
	PG_FINALLY();
	{
		mb_model_close(model);
	}
	PG_END_TRY();
}

/* Frees the bytes, whatever happens: a mapping outlives the transaction. */
static Datum
load(const char *name, BertBytes *bytes, int32 shipped)
{
	PG_TRY();
	{
		BertLockCatalog();
		if (!already_installed(name, bytes->sha256))
			install(name, bytes, false, shipped);
	}
	PG_FINALLY();
	{
		BertBytesRelease(bytes);
	}
	PG_END_TRY();
	return CStringGetTextDatum(bytes->sha256);
}

Datum
bert_load_model_contents(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	BertBytes	bytes;
	bytea	   *contents;

	PreventCommandIfReadOnly("bert_load_model()");
	refuse_null(fcinfo, 1, "the contents of a model file");
	BertCheckPrivileges(ACL_INSERT, ACL_INSERT);
	contents = PG_GETARG_BYTEA_PP(1);
	BertBytesOf(&bytes, VARDATA_ANY(contents), VARSIZE_ANY_EXHDR(contents));
	PG_RETURN_DATUM(load(name, &bytes, 0));
}

/* A relative path is relative to the data directory, as COPY takes it. */
Datum
bert_load_model_path(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	BertBytes	bytes;
	char	   *path;

	PreventCommandIfReadOnly("bert_load_model()");
	refuse_null(fcinfo, 1, "the path of a model file");
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to load a model from a file of the server"),
				errdetail("Only roles with privileges of the \"%s\" role may do so.", "pg_read_server_files"),
				errhint("Anyone may send the contents of a file of the client's: as bytea, or by \"moviebert install\"."));
	BertCheckPrivileges(ACL_INSERT, ACL_INSERT);
	path = text_to_cstring(PG_GETARG_TEXT_PP(1));
	canonicalize_path(path);
	BertBytesFromFile(&bytes, path);
	PG_RETURN_DATUM(load(name, &bytes, 0));
}

/* For who has put the chunks into bert_model_chunk: the tool, by COPY. */
Datum
bert_register_model(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	char	   *sha256 = sha256_argument(fcinfo);
	BertBytes	bytes;

	PreventCommandIfReadOnly("bert_register_model()");
	BertCheckPrivileges(ACL_INSERT, ACL_INSERT);
	BertLockCatalog();
	if (!already_installed(name, sha256))
	{
		if (!BertBytesFromChunks(&bytes, sha256, NULL))
			BertRaiseNoChunks(sha256, NULL);
		PG_TRY();
		{
			install(name, &bytes, true, 0);
		}
		PG_FINALLY();
		{
			BertBytesRelease(&bytes);
		}
		PG_END_TRY();
	}
	PG_RETURN_DATUM(CStringGetTextDatum(sha256));
}

/* ---- The model that ships -------------------------------------------------------------------------------------- */

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)
#define SHIPPED_MODEL_NAME "moviebert-" STRING(SHIPPED_MODEL_VERSION)

/*
 * The file lies with the extension's other files.  One that somebody left out of a package is a warning, since all but
 * this model works without it, and a dump must be restored there too; one that is not what its name says is an error.
 * CREATE EXTENSION calls this last.
 */
Datum
bert_load_shipped_model(PG_FUNCTION_ARGS)
{
	char		share[MAXPGPATH];
	char	   *path;
	BertBytes	bytes;

	PreventCommandIfReadOnly("bert_load_shipped_model()");
	BertCheckPrivileges(ACL_INSERT, ACL_INSERT);
	get_share_path(my_exec_path, share);
	path = psprintf("%s/extension/moviebert.safetensors", share);
	if (access(path, F_OK) != 0 && errno == ENOENT)
	{
		ereport(WARNING,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("the model that moviebert ships is not there"),
				errdetail("There is no file \"%s\".", path),
				errhint("Install it and SELECT bert_load_shipped_model(), or bring a model with \"moviebert install\"."));
		PG_RETURN_NULL();
	}
	BertBytesFromFile(&bytes, path);
	if (strcmp(bytes.sha256, SHIPPED_MODEL_SHA256) != 0)
	{
		char		sha256[65];

		strlcpy(sha256, bytes.sha256, sizeof(sha256));
		BertBytesRelease(&bytes);
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" is not the model that this version of moviebert ships", path),
				errdetail("Its bytes have SHA-256 %.16s..., but should have %.16s...", sha256,
						  SHIPPED_MODEL_SHA256[0] != '\0' ? SHIPPED_MODEL_SHA256 : "none"),
				errhint("Install moviebert again with all its files."));
	}
	load(SHIPPED_MODEL_NAME, &bytes, SHIPPED_MODEL_VERSION);
	PG_RETURN_TEXT_P(cstring_to_text(SHIPPED_MODEL_NAME));
}

/* ---- Dropping, and the default --------------------------------------------------------------------------------- */

/* A default that is dropped leaves none: another model of that name is not what was chosen, nor is the one that ships. */
Datum
bert_drop_model(PG_FUNCTION_ARGS)
{
	BertModelRow row;
	BertModelRow chosen;
	char	   *name;

	PreventCommandIfReadOnly("bert_drop_model()");
	BertCheckPrivileges(ACL_DELETE, ACL_DELETE);
	BertLockCatalog();
	name = existing_name_argument(fcinfo, &row);
	if (BertReadModel(NULL, &chosen) && strcmp(chosen.name, name) == 0)
		BertUpdateDefault("", true);
	BertDeleteModel(name);
	if (!BertHashHasName(row.sha256))
	{
		BertDeleteChunks(row.sha256);
		if (BertHashHasChunks(row.sha256))
			BertRaiseConcurrentChange(name);
		BertRemoveImageAtCommit(row.sha256);
	}
	else
		BertMarkChunks(row.sha256);
	PG_RETURN_VOID();
}

Datum
bert_get_default_model(PG_FUNCTION_ARGS)
{
	BertModelRow row;

	if (!BertReadModel(NULL, &row))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(row.name));
}

Datum
bert_set_default_model(PG_FUNCTION_ARGS)
{
	BertModelRow row;
	const char *name = "";

	PreventCommandIfReadOnly("bert_default_model()");
	BertCheckDefaultPrivilege();
	BertLockCatalog();
	if (!PG_ARGISNULL(0))
		name = existing_name_argument(fcinfo, &row);
	BertUpdateDefault(name, false);
	PG_RETURN_VOID();
}

/* ---- Triggers -------------------------------------------------------------------------------------------------- */

static void
check_called_as_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" was not called by trigger manager", name));
}

/*
 * Rows of a user's table send no invalidation messages, so this sends one for the table itself.  It reaches every
 * backend when the transaction commits, also on standbys.
 */
Datum
bert_model_changed(PG_FUNCTION_ARGS)
{
	check_called_as_trigger(fcinfo, "bert_model_changed");
	CacheInvalidateRelcacheByRelid(RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation));
	return PointerGetDatum(NULL);
}

/* For a change that the trigger's WHEN condition has found. */
Datum
bert_model_fixed(PG_FUNCTION_ARGS)
{
	check_called_as_trigger(fcinfo, "bert_model_fixed");
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("name, sha256 and size of a model cannot be changed"),
			errdetail("A name never changes its weights."),
			errhint("Give the weights another name with bert_register_model, "
					"and drop this one with bert_drop_model when nothing uses it any more."));
	return PointerGetDatum(NULL);
}

/* The row to be inserted, in a BEFORE trigger of the extension's own table: what is in one of another cannot be known. */
static HeapTuple
arriving_row(FunctionCallInfo fcinfo, const char *name, Oid relid)
{
	TriggerData *data;

	check_called_as_trigger(fcinfo, name);
	data = (TriggerData *) fcinfo->context;
	if (RelationGetRelid(data->tg_relation) != relid || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BY_INSERT(data->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" is for the extension's own table", name));
	return data->tg_trigtuple;
}

/*
 * A dump has the models of its database but for the one that ships, which CREATE EXTENSION has put here.  Where the dump
 * has a model of that name, since somebody had dropped ours and used its name, the dump's is right: its columns and
 * indexes were computed with that.  A publisher's row of the very model that is here is nothing new.
 *
 * The latest model that is marked as shipped is the default until one is chosen, and a dump leaves it out.  So a row that
 * is marked and not of our own model takes the privilege of choosing the default.
 */
Datum
bert_model_arrives(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple = arriving_row(fcinfo, "bert_model_arrives", BertFindTables()->model);
	Relation	rel = BertOpenModels();
	char	   *name = TextDatumGetCString(BertColumnValue(tuple, Anum_bert_model_name, rel));
	char	   *sha256 = TextDatumGetCString(BertColumnValue(tuple, Anum_bert_model_sha256, rel));
	bool		shipped = DatumGetInt32(BertColumnValue(tuple, Anum_bert_model_shipped, rel)) > 0;
	BertModelRow row;

	table_close(rel, AccessShareLock);
	if (shipped && (strcmp(name, SHIPPED_MODEL_NAME) != 0 || strcmp(sha256, SHIPPED_MODEL_SHA256) != 0))
		BertCheckDefaultPrivilege();
	if (!BertReadModel(name, &row) || row.shipped == 0)
		return PointerGetDatum(tuple);
	if (shipped)
		return PointerGetDatum(strcmp(sha256, row.sha256) == 0 ? NULL : tuple);
	BertDeleteModel(name);
	if (strcmp(sha256, row.sha256) != 0 && !BertHashHasName(row.sha256))
	{
		BertDeleteChunks(row.sha256);
		BertRemoveImageAtCommit(row.sha256);
	}
	return PointerGetDatum(tuple);
}

/*
 * A chunk of that hash and number has these bytes, or it is damaged; the one that is here was whole when it came.  It is no
 * longer only the extension's: the next dump has to have it.
 */
Datum
bert_chunk_arrives(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple = arriving_row(fcinfo, "bert_chunk_arrives", BertFindTables()->chunk);
	Relation	rel = BertOpenChunks();
	char	   *sha256 = TextDatumGetCString(BertColumnValue(tuple, Anum_bert_model_chunk_sha256, rel));
	int32		seq = DatumGetInt32(BertColumnValue(tuple, Anum_bert_model_chunk_seq, rel));
	bool		shipped = DatumGetBool(BertColumnValue(tuple, Anum_bert_model_chunk_shipped, rel));

	table_close(rel, AccessShareLock);
	if (!BertChunkIsShipped(sha256, seq))
		return PointerGetDatum(tuple);
	if (!shipped)
		BertKeepChunk(sha256, seq);
	return PointerGetDatum(NULL);
}
