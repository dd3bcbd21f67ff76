/*
 * checkpoint_copy.h - copies of the golden checkpoints with something changed, for the tests of import and export.
 */
#ifndef MOVIEBERT_TEST_CHECKPOINT_COPY_H
#define MOVIEBERT_TEST_CHECKPOINT_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "moviebert/model.h"

/*
 * One change.  In a file of JSON, or in the header of a safetensors file, `member` is a path of keys and indexes
 * ("normalizer/lowercase"), and `value` the JSON that it becomes; "> NAME" renames it instead; NULL removes it. Without
 * a member the change is to the file: `value` is its new text, "> NAME" renames it, NULL removes it.  In a safetensors
 * file the member "NAME/!" is the first byte of tensor NAME, which is changed.
 */
typedef struct edit
{
	const char *file, *member, *value;
} edit;

/* A new folder under $TMPDIR; remove_folder takes it away with all that is in it, and frees the name. */
char *new_folder(void);
void remove_folder(char *path);

/* folder/name, in a buffer that is valid for a few calls. */
const char *in_folder(const char *folder, const char *name);

/* Copies test/golden/checkpoints/NAME to a new folder `to`. */
void copy_checkpoint(const char *name, const char *to);
void apply_edit(const char *folder, const edit *change);

/* A whole file, malloc'ed and NUL-terminated; the test fails if there is none. */
char *read_whole(const char *path, size_t *size);
void write_whole(const char *path, const void *data, size_t size);

bool same_file(const char *a, const char *b);

/*
 * A golden checkpoint with changes, imported to model_path; edits end with one without a file, or after MAX_EDITS.
 * err is cleared first.
 */
#define MAX_EDITS 4
mb_status import_changed(const char *checkpoint, const edit *edits, const mb_import_options *options,
						 const char *model_path, mb_error *err);

/* Whether an error's message, detail and hint each have in them what "message|detail|hint" expects. */
bool error_says(const mb_error *err, const char *expected);

/* Number of entries of a folder, "." and ".." apart. */
size_t count_entries(const char *folder);

#endif
