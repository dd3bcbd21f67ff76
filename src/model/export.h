/*
 * export.h - what the parts of mb_export share: a folder being written, of which nothing stays if it fails.
 */
#ifndef MOVIEBERT_MODEL_EXPORT_H
#define MOVIEBERT_MODEL_EXPORT_H

#include "checkpoint.h"
#include "json.h"
#include "moviebert/model.h"

typedef struct export_folder
{
	const char *path;
	char **written; /* [n_written] files and folders, in the order in which they were made */
	size_t n_written;
	mb_error *err;
	mb_status status; /* the first failure; everything after it is a no-op */
} export_folder;

/* Makes the folder, which may exist if it is empty. */
void export_begin(export_folder *folder, const char *path, mb_error *err);

/* A folder, a text, a JSON value (which it frees) and a safetensors file below it; names are relative. */
void export_subfolder(export_folder *folder, const char *name);
void export_text(export_folder *folder, const char *name, const char *text);
void export_json(export_folder *folder, const char *name, json_t *value);
void export_tensors(export_folder *folder, const char *name, const mb_tensor *tensors, size_t n_tensors);

/* Frees; after a failure everything that was made is removed.  Returns the status. */
mb_status export_end(export_folder *folder);

/* The text of README.md, malloc'ed; NULL when memory is short. */
char *export_card(const mb_model *model, bool as_tagger);

#endif
