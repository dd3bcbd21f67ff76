/*
 * model_bytes.c - the bytes of a model file in one piece.
 *
 * The engine opens a model file in memory.  One that lies in chunks, or in a file that somebody may be writing to, is
 * spooled into a temporary file of PostgreSQL's and mapped: a backend's own memory does not grow by the size of the
 * model, temp_file_limit and temp_tablespaces hold, and PostgreSQL removes what a crash leaves behind.
 */
#include "model_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "commands/tablespace.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

static pg_cryptohash_ctx *
hash_begin(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not start SHA-256: %s", pg_cryptohash_error(hash));
	return hash;
}

static void
hash_add(pg_cryptohash_ctx *hash, const char *data, size_t size)
{
	if (pg_cryptohash_update(hash, (const uint8 *) data, size) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}

static void
hash_end(pg_cryptohash_ctx *hash, char *hexadecimal)
{
	static const char digits[] = "0123456789abcdef";
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		hexadecimal[2 * i] = digits[digest[i] >> 4];
		hexadecimal[2 * i + 1] = digits[digest[i] & 15];
	}
	hexadecimal[2 * PG_SHA256_DIGEST_LENGTH] = '\0';
}

/* A temporary file that grows.  On error PostgreSQL closes and removes it, and frees the hash. */
typedef struct Spool
{
	File		file;
	size_t		size;
	pg_cryptohash_ctx *hash;
	bool		of_file;		/* of the server's, as opposed to chunks */
} Spool;

static void
spool_begin(Spool *spool, bool of_file)
{
	PrepareTempTablespaces();
	spool->file = OpenTemporaryFile(false);
	spool->size = 0;
	spool->hash = hash_begin();
	spool->of_file = of_file;
}

static void
spool_add(Spool *spool, const char *data, size_t size)
{
	int			written = FileWrite(spool->file, unconstify(char *, data), size, spool->size, WAIT_EVENT_BUFFILE_WRITE);

	if (written != (int) size)
	{
		if (written >= 0)
			errno = ENOSPC;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write to temporary file \"%s\": %m", FilePathName(spool->file)),
				spool->of_file ?
				errhint("Loading a file of the server's needs room for a copy of it where temporary files are kept.") :
				errhint("Reading a model from its chunks needs room for its file where temporary files are kept."));
	}
	hash_add(spool->hash, data, size);
	spool->size += size;
}

/* The mapping keeps the file's contents; the file itself can go. */
static void
spool_end(Spool *spool, BertBytes *bytes)
{
	void	   *mapping = NULL;

	hash_end(spool->hash, bytes->sha256);
	if (spool->size > 0)
	{
		mapping = mmap(NULL, spool->size, PROT_READ, MAP_SHARED, FileGetRawDesc(spool->file), 0);
		if (mapping == MAP_FAILED)
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not map temporary file \"%s\": %m", FilePathName(spool->file)));
	}
	FileClose(spool->file);
	bytes->data = mapping;
	bytes->size = spool->size;
	bytes->mapping = mapping;
}

void
BertBytesOf(BertBytes *bytes, const char *data, size_t size)
{
	pg_cryptohash_ctx *hash = hash_begin();

	hash_add(hash, data, size);
	hash_end(hash, bytes->sha256);
	bytes->data = data;
	bytes->size = size;
	bytes->mapping = NULL;
}

void
BertBytesFromFile(BertBytes *bytes, const char *path)
{
	char	   *piece = palloc(MB_CHUNK_SIZE);
	struct stat info;
	Spool		spool;
	int			fd;

	/* O_NONBLOCK, so that a pipe is refused below and not waited for. */
	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0)
	{
		bool		perhaps_clients = errno == ENOENT || errno == EACCES;

		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\" for reading: %m", path),
				perhaps_clients ?
				errhint("The path is one of the server's.  \"moviebert install\" sends a file of the client's.") : 0);
	}
	if (fstat(fd, &info) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path));
	if (!S_ISREG(info.st_mode))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a file", path),
				S_ISDIR(info.st_mode) ?
				errhint("For a Hugging Face folder, run \"moviebert import\" first.") : 0);
	spool_begin(&spool, true);
	for (;;)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		n = read(fd, piece, MB_CHUNK_SIZE);
		if (n < 0)
		{
			if (errno == EINTR)
				continue;
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not read file \"%s\": %m", path));
		}
		if (n == 0)
			break;
		spool_add(&spool, piece, n);
	}
	CloseTransientFile(fd);
	pfree(piece);
	spool_end(&spool, bytes);
}

/* name is NULL as long as no model stands for the chunks. */
pg_noreturn static void
incomplete(const char *name, const char *sha256, const char *detail)
{
	if (name == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the chunks with SHA-256 %.16s... are not a whole model file", sha256),
				errdetail_internal("%s", detail),
				errhint("Delete them from bert_model_chunk, and put the whole file there."));
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("model \"%s\" is damaged in the database", name),
			errdetail_internal("%s", detail),
			errhint("Bring back its rows in bert_model_chunk, or drop the model with bert_drop_model and install it again."));
}

void
BertRaiseNoChunks(const char *sha256, const char *name)
{
	incomplete(name, sha256, _("There are no chunks."));
}

bool
BertBytesFromChunks(BertBytes *bytes, const char *sha256, const char *name)
{
	Relation	chunks = BertOpenChunks();
	Relation	index;
	SysScanDesc scan = BertBeginChunks(chunks, &index, sha256);
	int32		expected = 0;
	bool		ended = false;
	HeapTuple	tuple;
	Spool		spool;

	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		int32		seq = DatumGetInt32(BertColumnValue(tuple, Anum_bert_model_chunk_seq, chunks));
		Datum		value;
		bytea	   *data;
		size_t		size;

		CHECK_FOR_INTERRUPTS();
		if (seq != expected)
			incomplete(name, sha256, psprintf(_("Chunk %d is missing."), expected));
		if (ended)
			incomplete(name, sha256, psprintf(_("Chunk %d is short, though it is not the last one."), expected - 1));
		value = BertColumnValue(tuple, Anum_bert_model_chunk_data, chunks);
		data = DatumGetByteaPP(value);
		size = VARSIZE_ANY_EXHDR(data);
		if (size > MB_CHUNK_SIZE)
			incomplete(name, sha256, psprintf(_("Chunk %d is longer than %d bytes."), seq, MB_CHUNK_SIZE));
		if (expected == 0)
			spool_begin(&spool, false);
		ended = size < MB_CHUNK_SIZE;
		spool_add(&spool, VARDATA_ANY(data), size);
		if ((Pointer) data != DatumGetPointer(value))
			pfree(data);
		expected++;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(chunks, AccessShareLock);
	if (expected == 0)
		return false;
	spool_end(&spool, bytes);
	if (strcmp(bytes->sha256, sha256) != 0)
	{
		char		actual[65];

		strlcpy(actual, bytes->sha256, sizeof(actual));
		BertBytesRelease(bytes);
		incomplete(name, sha256, psprintf(_("Their bytes have SHA-256 %.16s..., but should have %.16s..."), actual, sha256));
	}
	return true;
}

void
BertBytesRelease(BertBytes *bytes)
{
	if (bytes->mapping != NULL)
		munmap(bytes->mapping, bytes->size);
	bytes->mapping = NULL;
	bytes->data = NULL;
}
