/* files.h - what writing a file whole or not at all takes. */
#ifndef MOVIEBERT_MODEL_FILES_H
#define MOVIEBERT_MODEL_FILES_H

#include "moviebert/status.h"

/* path is for messages. */
mb_status file_write_all(int fd, const void *data, size_t size, const char *path, mb_error *err);

/* Renames a file to path, in one folder, and syncs that: a rename is on disk once its folder is. */
mb_status file_rename(const char *from, const char *path, mb_error *err);

#endif
