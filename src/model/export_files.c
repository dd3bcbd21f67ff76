/* export_files.c - writing a folder, whole or not at all. */
#include "export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static void
out_of_memory(export_folder *folder)
{
	folder->status = mb_fail(folder->err, MB_OUT_OF_MEMORY, "out of memory");
}

/* Notes a path that is about to be made, so that a failure removes it; NULL on failure. */
static const char *
note(export_folder *folder, const char *name)
{
	char **grown;
	char *path;
	size_t length = strlen(folder->path), name_length = strlen(name);

	if (folder->status != MB_OK)
		return NULL;
	grown = realloc(folder->written, (folder->n_written + 1) * sizeof(*grown));
	if (grown != NULL)
		folder->written = grown;
	path = malloc(length + name_length + 2);
	if (grown == NULL || path == NULL)
	{
		free(path);
		out_of_memory(folder);
		return NULL;
	}
	memcpy(path, folder->path, length);
	path[length] = '/';
	memcpy(path + length + 1, name, name_length + 1);
	if (name_length == 0)
		path[length] = '\0'; /* the folder itself */
	folder->written[folder->n_written++] = path;
	return path;
}

static bool
is_empty(export_folder *folder)
{
	DIR *entries = opendir(folder->path);
	const struct dirent *entry;
	bool empty = true;

	if (entries == NULL)
	{
		folder->status = mb_fail_system(folder->err, errno, "could not open folder \"%.250s\"", folder->path);
		return false;
	}
	while (empty && (entry = readdir(entries)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(entries);
	if (!empty)
	{
		folder->status = mb_fail(folder->err, MB_INVALID_ARGUMENT, "folder \"%.250s\" is not empty", folder->path);
		mb_hint(folder->err, "Name a folder that does not exist yet.");
	}
	return empty;
}

void
export_begin(export_folder *folder, const char *path, mb_error *err)
{
	*folder = (export_folder){.path = path, .err = err};
	if (mkdir(path, 0777) == 0)
	{
		note(folder, "");
		return;
	}
	if (errno == EEXIST)
	{
		is_empty(folder);
		return;
	}
	folder->status = mb_fail_system(folder->err, errno, "could not create folder \"%.250s\"", path);
}

void
export_subfolder(export_folder *folder, const char *name)
{
	const char *path = note(folder, name);

	if (path != NULL && mkdir(path, 0777) != 0)
		folder->status = mb_fail_system(folder->err, errno, "could not create folder \"%.250s\"", path);
}

void
export_text(export_folder *folder, const char *name, const char *text)
{
	const char *path;
	int fd;

	if (text == NULL && folder->status == MB_OK)
		out_of_memory(folder);
	path = note(folder, name);
	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
	{
		folder->status = mb_fail_system(folder->err, errno, "could not create \"%.250s\"", path);
		return;
	}
	folder->status = file_write_all(fd, text, strlen(text), path, folder->err);
	if (close(fd) != 0 && folder->status == MB_OK)
		folder->status = mb_fail_system(folder->err, errno, "could not write \"%.250s\"", path);
}

void
export_json(export_folder *folder, const char *name, json_t *value)
{
	char *text = value != NULL && folder->status == MB_OK ? mb_json_file_text(value) : NULL;
	size_t length = text != NULL ? strlen(text) : 0;
	char *line = text != NULL ? realloc(text, length + 2) : NULL;

	if (line != NULL)
		memcpy(line + length, "\n", 2);
	else
		free(text);
	export_text(folder, name, line);
	free(line);
	json_decref(value);
}

void
export_tensors(export_folder *folder, const char *name, const mb_tensor *tensors, size_t n_tensors)
{
	static const mb_metadata metadata[] = {{"format", "pt"}}; /* transformers asks for it */
	const char *path = note(folder, name);

	if (path != NULL)
		folder->status = mb_safetensors_write(path, tensors, n_tensors, metadata, 1, folder->err);
}

mb_status
export_end(export_folder *folder)
{
	for (size_t i = folder->n_written; i > 0; i--)
	{
		if (folder->status != MB_OK)
			remove(folder->written[i - 1]); /* one that was not made after all is no matter */
		free(folder->written[i - 1]);
	}
	free(folder->written);
	return folder->status;
}
