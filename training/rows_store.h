/*
 * rows_store.h - the rows of a fine-tuning run in a file of its folder, so that it can be resumed without the database.
 *
 * Everything that tagged_rows holds: texts, tags, scopes, parts, and the account of rows.  Layout: "MBROWS01", the
 * sizes of the structures and how many there are of each, as u64; then the arrays, then the names, NUL after each; then
 * the SHA-256 of all before it.  Numbers are as this machine has them: a run goes on where it began.
 */
#ifndef MOVIEBERT_TOOL_ROWS_STORE_H
#define MOVIEBERT_TOOL_ROWS_STORE_H

#include "tagged_rows.h"

mb_status rows_store_write(const char *path, const tagged_rows *rows, const row_counts counts[N_PARTS], mb_error *err);

/* Errors: MB_IO; MB_CORRUPT if it is damaged, or written by another version. */
mb_status rows_store_read(const char *path, tagged_rows *rows, row_counts counts[N_PARTS], mb_error *err);

#endif
