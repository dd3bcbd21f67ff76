/* output_file.c - write, sync, rename. */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

/* The caller's to free. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return copy_string(".");
	return slash == path ? copy_string("/") : copy_bytes(path, (size_t) (slash - path));
}

mb_status
output_file_check(const char *path, mb_error *err)
{
	char *folder = folder_of(path);
	struct stat found;
	mb_status status = MB_OK;

	if (stat(path, &found) == 0 && S_ISDIR(found.st_mode))
		status = mb_fail_system(err, EISDIR, "could not write \"%.250s\"", path);
	else if (access(folder, W_OK | X_OK) != 0)
		status = mb_fail_system(err, errno, "could not write into folder \"%.250s\"", folder);
	free(folder);
	return status;
}

mb_status
write_all(int fd, const void *bytes, size_t size, const char *path, mb_error *err)
{
	const char *data = bytes;

	while (size > 0)
	{
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return mb_fail_system(err, n == 0 ? ENOSPC : errno, "could not write \"%.250s\"", path);
		data += n;
		size -= (size_t) n;
	}
	return MB_OK;
}

/* A rename is on disk once its folder is. */
static mb_status
sync_folder(const char *path, mb_error *err)
{
	char *folder = folder_of(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mb_status status = MB_OK;

	if (fd < 0)
		status = mb_fail_system(err, errno, "could not open folder \"%.250s\"", folder);
	else if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system that has no fsync for folders */
		status = mb_fail_system(err, errno, "could not sync folder \"%.250s\"", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return status;
}

mb_status
output_file_rename(const char *from, const char *path, mb_error *err)
{
	if (rename(from, path) != 0)
		return mb_fail_system(err, errno, "could not create \"%.250s\"", path);
	return sync_folder(path, err);
}

mb_status
output_file_write(const char *path, const void *data, size_t size, mb_error *err)
{
	string_buffer temporary = {0};
	mb_status status;
	int fd;

	string_printf(&temporary, "%s.tmp", path);
	/* One that a killed run left behind goes; O_EXCL keeps us from writing through somebody's link. */
	unlink(temporary.data);
	fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		status = mb_fail_system(err, errno, "could not create \"%.250s\"", path);
	else
	{
		status = write_all(fd, data, size, path, err);
		if (status == MB_OK && fsync(fd) != 0)
			status = mb_fail_system(err, errno, "could not sync \"%.250s\"", path);
		if (close(fd) != 0 && status == MB_OK)
			status = mb_fail_system(err, errno, "could not write \"%.250s\"", path);
		if (status == MB_OK)
			status = output_file_rename(temporary.data, path, err);
		if (status != MB_OK)
			unlink(temporary.data);
	}
	string_release(&temporary);
	return status;
}
