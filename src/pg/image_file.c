/*
 * image_file.c - the files of model images, in the directory "moviebert" of the data directory.
 *
 * SHA256.LAYOUT			an image: complete, and never changed
 * pgsql_tmp.SHA256.LAYOUT	one being written; the prefix keeps it out of base backups
 * lock						held, by flock(2), by the one backend that writes
 *
 * An image appears under its name by rename, after fsync, so that whoever finds it can use it.  The lock makes others
 * wait instead of writing the same again.  It is not one of PostgreSQL's because those do not exclude the members of a
 * parallel query from each other; and the kernel releases it when its holder dies, by whatever means.  Then the
 * temporary file stays, and goes when the next one takes the lock.
 *
 * All databases of the server share the directory, so that no one of them can tell which images are still of use.
 * Whoever maps an image therefore sets the time of its file, once a day, and whoever writes one removes those that
 * nobody has mapped for 30 days, and those of other layouts, which other versions have left.  That of a model that was
 * dropped with its database, or by hand, or by logical replication, goes that way.  So does one that a session mapped
 * and has used ever since; the session keeps its mapping, and the next one writes the file anew.  Any file in the
 * directory can be deleted at any time.
 */
#include "moviebert.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "image_cache.h"
#include "model_bytes.h"

#define IMAGE_DIRECTORY "moviebert"
#define LOCK_PATH IMAGE_DIRECTORY "/lock"
#define LOCK_POLL_MS 20
#define IMAGE_SUFFIX "." MB_IMAGE_LAYOUT
#define TOUCH_AFTER_SECONDS SECS_PER_DAY
#define REMOVE_AFTER_SECONDS (30 * SECS_PER_DAY)

static void
image_path(char *path, const char *prefix, const char *sha256)
{
	snprintf(path, MAXPGPATH, IMAGE_DIRECTORY "/%s%s" IMAGE_SUFFIX, prefix, sha256);
}

/* ---- Mapping --------------------------------------------------------------------------------------------------- */

/*
 * Maps and opens an image's file.  MB_CORRUPT if it is not there (then found is false) or not an image; other failures
 * are raised.
 */
static mb_status
map_file(const char *path, mb_image *image, bool *found, mb_error *err)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat info;
	void	   *base;
	mb_status	status;

	*found = fd >= 0;
	if (fd < 0)
	{
		if (errno == ENOENT)
			return mb_fail(err, MB_CORRUPT, "the model image is missing");
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\": %m", path));
	}
	if (fstat(fd, &info) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path));
	if (!S_ISREG(info.st_mode))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a file", path),
				errhint("The directory \"%s\" of the data directory is moviebert's own; remove what others have put there.",
						IMAGE_DIRECTORY));
	if (info.st_size == 0)
	{
		CloseTransientFile(fd);
		return mb_fail(err, MB_CORRUPT, "the model image is empty");
	}
	/* Not populated: measured, faults that map 16 pages or a large folio each cost less than having all pages mapped. */
	base = mmap(NULL, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not map file \"%s\": %m", path));
	/* Where it fails, in a read-only directory, say, the image may be removed too early, and comes back. */
	if (time(NULL) - info.st_mtime > TOUCH_AFTER_SECONDS)
		(void) futimens(fd, NULL);
	CloseTransientFile(fd);
	status = mb_image_open(image, base, info.st_size, err);
	if (status != MB_OK)
		munmap(base, info.st_size);
	return status;
}

void
BertUnmapImage(mb_image *image)
{
	void	   *base = unconstify(void *, image->base);

	mb_image_close(image);
	munmap(base, image->size);
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static int
take_lock(void)
{
	int			fd;

	if (MakePGDirectory(IMAGE_DIRECTORY) != 0 && errno != EEXIST)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create directory \"%s\": %m", IMAGE_DIRECTORY));
	fd = OpenTransientFile(LOCK_PATH, O_RDWR | O_CREAT | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\": %m", LOCK_PATH));
	while (flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not lock file \"%s\": %m", LOCK_PATH));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return fd;
}

/* Whether nobody needs the image of this name any more.  What is not named like an image is none. */
static bool
is_out_of_use(const char *name, const char *path)
{
	struct stat info;

	if (strspn(name, "0123456789abcdef") != 64 || name[64] != '.')
		return false;
	if (strcmp(name + 64, IMAGE_SUFFIX) != 0)
		return true;
	return stat(path, &info) == 0 && time(NULL) - info.st_mtime > REMOVE_AFTER_SECONDS;
}

/* What backends that died left behind, and images out of use.  Under the lock nobody is writing. */
static void
remove_stale_files(void)
{
	DIR		   *directory = AllocateDir(IMAGE_DIRECTORY);
	struct dirent *entry;

	while ((entry = ReadDirExtended(directory, IMAGE_DIRECTORY, LOG)) != NULL)
	{
		char		path[MAXPGPATH];

		snprintf(path, sizeof(path), IMAGE_DIRECTORY "/%s", entry->d_name);
		if (strncmp(entry->d_name, PG_TEMP_FILE_PREFIX, strlen(PG_TEMP_FILE_PREFIX)) != 0 &&
			!is_out_of_use(entry->d_name, path))
			continue;
		if (unlink(path) != 0 && errno != ENOENT)
			ereport(LOG,
					errcode_for_file_access(),
					errmsg("could not remove file \"%s\": %m", path));
	}
	FreeDir(directory);
}

/* The temporary file, written and on disk.  Raises nothing, so that what the caller opened is the caller's to close. */
static mb_status
write_temporary(const mb_model *model, int fd, mb_error *err)
{
	mb_status	status = mb_image_write(model, fd, &BertInterrupt, err);

	if (status == MB_OK && pg_fsync(fd) != 0)
	{
		status = mb_fail(err, MB_IO, "could not write the model image");
		err->os_errno = errno;
	}
	if (status == MB_IO)
		mb_hint(err, "Make room on the disk of the directory \"%s\" in the data directory.", IMAGE_DIRECTORY);
	return status;
}

static void
write_image(const BertModelRow *row, const BertBytes *bytes)
{
	char		path[MAXPGPATH];
	char		temporary[MAXPGPATH];
	mb_model   *model;
	mb_error	err = {0};
	mb_status	status;
	int			fd;

	image_path(path, "", row->sha256);
	image_path(temporary, PG_TEMP_FILE_PREFIX ".", row->sha256);
	fd = OpenTransientFile(temporary, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create file \"%s\": %m", temporary));
	status = mb_model_open(&model, bytes->data, bytes->size, &err);
	if (status == MB_OK)
	{
		status = write_temporary(model, fd, &err);
		mb_model_close(model);
	}
	CloseTransientFile(fd);
	if (status != MB_OK)
	{
		(void) unlink(temporary);
		BertRaise(status, &err);
	}
	PG_TRY();
	{
		durable_rename(temporary, path, ERROR);
	}
	PG_CATCH();
	{
		(void) unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* False if there are no rows. */
static bool
write_image_of_rows(const BertModelRow *row)
{
	TimestampTz start = GetCurrentTimestamp();
	BertBytes	bytes;

	if (!BertBytesFromChunks(&bytes, row->sha256, row->name))
		return false;
	PG_TRY();
	{
		write_image(row, &bytes);
	}
	PG_FINALLY();
	{
		BertBytesRelease(&bytes);
	}
	PG_END_TRY();
	ereport(LOG,
			errmsg("wrote the image of model \"%s\" in %ld ms", row->name,
				   TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())));
	return true;
}

bool
BertMapImage(const BertModelRow *row, mb_image *image)
{
	char		path[MAXPGPATH];
	mb_error	err;
	mb_status	status;
	bool		found;

	image_path(path, "", row->sha256);
	status = map_file(path, image, &found, &err);
	if (status == MB_CORRUPT)
	{
		int			lock;

		/*
		 * The locks on the chunks come first: PostgreSQL, which finds deadlocks, does not know of ours, so that nobody
		 * may wait for one of its locks while holding it.
		 */
		BertLockChunks();
		lock = take_lock();

		/* Whom we waited for may have written it. */
		status = map_file(path, image, &found, &err);
		if (status == MB_CORRUPT)
		{
			if (found)
				ereport(LOG,
						errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("image \"%s\" of model \"%s\" is damaged and will be written anew", path, row->name),
						errdetail_internal("%s", err.detail));
			remove_stale_files();
			if (!write_image_of_rows(row))
			{
				CloseTransientFile(lock);
				return false;
			}
			status = map_file(path, image, &found, &err);
		}
		CloseTransientFile(lock);
	}
	if (status != MB_OK)
		BertRaise(status, &err);
	return true;
}

void
BertRemoveImage(const char *sha256)
{
	char		path[MAXPGPATH];

	image_path(path, "", sha256);
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(WARNING,
				errcode_for_file_access(),
				errmsg("could not remove file \"%s\": %m", path));
}
