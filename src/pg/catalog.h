/* catalog.h - the extension's tables: finding them, reading them, changing them, and knowing when they changed. */
#ifndef MOVIEBERT_CATALOG_H
#define MOVIEBERT_CATALOG_H

#include "moviebert.h"

#include "access/genam.h"
#include "utils/acl.h"
#include "utils/relcache.h"

#include "moviebert/model.h"

/* Columns of the tables in sql/moviebert.sql that C code reads. */
#define Anum_bert_model_name		1
#define Anum_bert_model_sha256		2
#define Anum_bert_model_size		3
#define Anum_bert_model_shipped		5

#define Anum_bert_model_chunk_sha256	1
#define Anum_bert_model_chunk_seq		2
#define Anum_bert_model_chunk_data		3
#define Anum_bert_model_chunk_shipped	4

#define Anum_bert_default_model		2

typedef struct BertTables
{
	Oid			schema;
	Oid			model;			/* bert_model */
	Oid			chunk;			/* bert_model_chunk */
	Oid			choice;			/* bert_default */
} BertTables;

/* What using a model takes of its row. */
typedef struct BertModelRow
{
	char		name[BERT_MAX_NAME + 1];
	char		sha256[65];
	int64		size;
	int32		shipped;		/* which version of moviebert's own model it is; 0 for all others */
	uint64		generation;		/* BertGeneration() when it was read */
} BertModelRow;

extern void BertCatalogInit(void);

/* The tables of this database's extension.  An error if it has none. */
extern const BertTables *BertFindTables(void);

/*
 * Counts what may have changed the rows of bert_model or bert_default.  What was read in one generation is true until the next.
 * BertChangeGeneration is the last generation that a change began, as opposed to a loss of invalidation messages.
 */
extern uint64 BertGeneration(void);
extern uint64 BertChangeGeneration(void);

/* The row of a name, or of the default with name NULL.  False if there is none. */
extern bool BertReadModel(const char *name, BertModelRow *row);

/* Whether any name stands for this hash, and whether there is any chunk of it. */
extern bool BertHashHasName(const char *sha256);
extern bool BertHashHasChunks(const char *sha256);

/* Whether this chunk is there, and shipped. */
extern bool BertChunkIsShipped(const char *sha256, int32 seq);

/*
 * The tables, locked against being altered, with the columns that C code reads as the extension made them.  An error if
 * somebody has altered those.
 */
extern Relation BertOpenModels(void);
extern Relation BertOpenChunks(void);

/* The value of a column, which must not be null. */
extern Datum BertColumnValue(HeapTuple tuple, int column, Relation rel);

/* Locks all that reading chunks locks, until the transaction ends. */
extern void BertLockChunks(void);

/* Raises the error that the transaction's snapshot is too old to change this model. */
pg_noreturn extern void BertRaiseConcurrentChange(const char *name);

/* The chunks of a hash in order; the relation must be bert_model_chunk. */
extern SysScanDesc BertBeginChunks(Relation chunks, Relation *index, const char *sha256);

/*
 * An error unless the current user has these privileges on the tables.  The commands below would find out as well, but
 * only after work, and after a lock that others would wait for.
 */
extern void BertCheckPrivileges(AclMode model_mode, AclMode chunk_mode);

/* The same for choosing the default. */
extern void BertCheckDefaultPrivilege(void);

/* Keeps others from changing the catalogue until the transaction ends. */
extern void BertLockCatalog(void);

/*
 * As the current user, by SQL.  What the transaction's snapshot does not show, since another has changed it meanwhile,
 * is an error; only BertDeleteChunks leaves it to the caller to see whether any are left.
 */
extern void BertInsertChunks(const char *sha256, const char *data, size_t size, bool shipped);
extern void BertInsertModel(const char *name, const char *sha256, size_t size, const mb_model *model, int32 shipped);
extern void BertDeleteModel(const char *name);
extern void BertDeleteChunks(const char *sha256);

/* An empty name is no default.  as_owner: as the owner of the table, whoever the current user is. */
extern void BertUpdateDefault(const char *name, bool as_owner);

/*
 * As the owner of the table: marks the chunks of a hash as shipped if all names that stand for it are, and as not shipped
 * otherwise; and one chunk as not shipped.
 */
extern void BertMarkChunks(const char *sha256);
extern void BertKeepChunk(const char *sha256, int32 seq);

#endif
