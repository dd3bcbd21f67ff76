/* import_files.c - reading the files of a checkpoint folder. */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest honest file read as text is the vocabulary of a model for a hundred languages, some 5 MB. */
#define MAX_TEXT ((size_t) 16 * 1024 * 1024)

char *
import_path(const char *folder, const char *name)
{
	size_t folder_length = strlen(folder), name_length = strlen(name);
	char *path = malloc(folder_length + name_length + 2);

	if (path == NULL)
		return NULL;
	memcpy(path, folder, folder_length);
	path[folder_length] = '/';
	memcpy(path + folder_length + 1, name, name_length + 1);
	return path;
}

bool
import_has(const char *folder, const char *name)
{
	char *path = import_path(folder, name);
	bool has = path != NULL && access(path, F_OK) == 0;

	free(path);
	return has;
}

bool
import_name_is_safe(const char *name)
{
	if (name[0] == '/')
		return false;
	while (*name != '\0')
	{
		size_t length = strcspn(name, "/");

		if (length == 0 || (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		name += length;
		if (*name == '/' && *++name == '\0')
			return false;
	}
	return true;
}

/* Opens folder/name; *fd is -1 where it is absent and there is no hint. */
static mb_status
open_file(int *fd, size_t *size, const char *folder, const char *name, const char *hint, mb_error *err)
{
	char *path = import_path(folder, name);
	mb_status status = MB_OK;
	struct stat about;

	*fd = -1;
	if (path == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	/* O_NONBLOCK: a pipe of that name must not keep us waiting for somebody to write to it. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 && errno == ENOENT)
	{
		if (hint != NULL)
		{
			status = mb_fail(err, MB_CORRUPT, "\"%.200s\" has no %.80s", folder, name);
			mb_hint(err, "%s", hint);
		}
	}
	else if (*fd < 0)
		status = mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	else if (fstat(*fd, &about) != 0)
		status = mb_fail_system(err, errno, "could not read \"%.250s\"", path);
	else if (!S_ISREG(about.st_mode))
		status = mb_fail(err, MB_CORRUPT, "\"%.250s\" is not a file", path);
	else
		*size = (size_t) about.st_size;
	if (status != MB_OK && *fd >= 0)
	{
		close(*fd);
		*fd = -1;
	}
	free(path);
	return status;
}

/* What a clone without Git LFS leaves where a large file should be. */
static mb_status
check_not_lfs_pointer(const char *data, size_t size, const char *name, mb_error *err)
{
	static const char beginning[] = "version https://git-lfs.github.com/spec/";

	if (size < sizeof(beginning) - 1 || memcmp(data, beginning, sizeof(beginning) - 1) != 0)
		return MB_OK;
	mb_fail(err, MB_CORRUPT, "%.200s is a Git LFS pointer, not the file itself", name);
	mb_hint(err, "Install git-lfs and run \"git lfs pull\" in the checkpoint's folder.");
	return MB_CORRUPT;
}

/* Fills text[0..size) from fd; a file that has become shorter is an error, too. */
static mb_status
read_all(int fd, char *text, size_t size, const char *name, mb_error *err)
{
	size_t done = 0;

	while (done < size)
	{
		ssize_t n = read(fd, text + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mb_fail_system(err, errno, "could not read \"%.250s\"", name);
		if (n == 0)
			return mb_fail(err, MB_IO, "%s became shorter while it was read", name);
		done += (size_t) n;
	}
	return MB_OK;
}

mb_status
import_read_text(char **text, size_t *size, const char *folder, const char *name, const char *hint, mb_error *err)
{
	mb_status status;
	int fd;

	*text = NULL;
	*size = 0;
	status = open_file(&fd, size, folder, name, hint, err);
	if (status != MB_OK || fd < 0)
		return status;
	if (*size > MAX_TEXT)
	{
		status = mb_fail(err, MB_LIMIT, "%s is too large", name);
		mb_detail(err, "It has %zu bytes; at most %zu are read.", *size, MAX_TEXT);
	}
	else if ((*text = malloc(*size + 1)) == NULL)
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	else
		status = read_all(fd, *text, *size, name, err);
	close(fd);
	if (status == MB_OK && memchr(*text, '\0', *size) != NULL)
		status = mb_fail(err, MB_CORRUPT, "%s is not a text file: it has a NUL byte", name);
	if (status == MB_OK)
		status = check_not_lfs_pointer(*text, *size, name, err);
	if (status != MB_OK)
	{
		free(*text);
		*text = NULL;
		return status;
	}
	(*text)[*size] = '\0';
	return MB_OK;
}

mb_status
import_read_json(json_t **object, char **text, const char *folder, const char *name, const char *hint, mb_error *err)
{
	char *read;
	size_t size;
	mb_status status = import_read_text(&read, &size, folder, name, hint, err);

	*object = NULL;
	if (text != NULL)
		*text = NULL;
	if (status != MB_OK || read == NULL)
		return status;
	status = mb_json_parse(object, read, size, name, err);
	if (text != NULL && status == MB_OK)
		*text = read;
	else
		free(read);
	return status;
}

mb_status
import_map(import_mapping *mapping, const char *folder, const char *name, const char *hint, mb_error *err)
{
	mb_status status;
	int fd;

	mapping->data = NULL;
	mapping->size = 0;
	status = open_file(&fd, &mapping->size, folder, name, hint, err);
	if (status != MB_OK || fd < 0)
		return status;
	if (mapping->size == 0)
		status = mb_fail(err, MB_CORRUPT, "%.200s is empty", name);
	else
	{
		void *data = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (data == MAP_FAILED)
			status = mb_fail_system(err, errno, "could not map \"%.250s\"", name);
		else
			mapping->data = data;
	}
	close(fd);
	if (status == MB_OK)
		status = check_not_lfs_pointer(mapping->data, mapping->size, name, err);
	return status;
}

void
import_unmap(import_mapping *mapping)
{
	if (mapping->data != NULL)
		munmap(mapping->data, mapping->size);
	mapping->data = NULL;
}
