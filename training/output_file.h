/* output_file.h - a file that is there whole or not at all. */
#ifndef MOVIEBERT_TOOL_OUTPUT_FILE_H
#define MOVIEBERT_TOOL_OUTPUT_FILE_H

#include <stddef.h>

#include "moviebert/status.h"

/* Whether path could be written: asked before long work, not after it. */
mb_status output_file_check(const char *path, mb_error *err);

/* Writes path.tmp, syncs it to disk and renames it to path.  On an error path is as it was, and path.tmp is gone. */
mb_status output_file_write(const char *path, const void *data, size_t size, mb_error *err);

/* path is for messages. */
mb_status write_all(int fd, const void *bytes, size_t size, const char *path, mb_error *err);

/* Renames a file that is on disk to path, in one folder, and syncs that.  If it cannot be renamed, both are as they were. */
mb_status output_file_rename(const char *from, const char *path, mb_error *err);

#endif
