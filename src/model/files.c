/* files.c - writing, renaming, and the folder's sync. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

mb_status
file_write_all(int fd, const void *data, size_t size, const char *path, mb_error *err)
{
	const unsigned char *from = data;

	while (size > 0)
	{
		/* Linux takes at most 2 GiB at once; a piece that an interrupt cuts short goes on. */
		ssize_t n = write(fd, from, size < ((size_t) 1 << 30) ? size : (size_t) 1 << 30);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mb_fail_system(err, n == 0 ? ENOSPC : errno, "could not write \"%.250s\"", path);
		from += n;
		size -= (size_t) n;
	}
	return MB_OK;
}

static mb_status
sync_folder_of(const char *path, mb_error *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
	mb_status status = MB_OK;
	int fd;

	if (folder == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		status = mb_fail_system(err, errno, "could not open folder \"%.250s\"", folder);
	else if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system that has no fsync for folders */
		status = mb_fail_system(err, errno, "could not fsync folder \"%.250s\"", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return status;
}

mb_status
file_rename(const char *from, const char *path, mb_error *err)
{
	if (rename(from, path) != 0)
		return mb_fail_system(err, errno, "could not create \"%.250s\"", path);
	return sync_folder_of(path, err);
}
