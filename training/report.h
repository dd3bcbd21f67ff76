/*
 * report.h - what the tool says on stderr, and with which code it leaves.
 *
 * Errors have PostgreSQL's shape: "moviebert: error: message", then DETAIL and HINT lines.
 */
#ifndef MOVIEBERT_TOOL_REPORT_H
#define MOVIEBERT_TOOL_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "moviebert/status.h"

enum
{
	TOOL_OK = 0,
	TOOL_FAILED = 1,       /* the work could not be done: data, file, server said no */
	TOOL_USAGE = 2,        /* unknown command or option, missing or wrong value */
	TOOL_CONNECTION = 3,   /* no connection, no extension there, or another version of it */
	TOOL_INTERRUPTED = 130 /* Ctrl-C; nothing half-done is left */
};

/* Prints the error and returns the exit code its status calls for. */
int report_error(const mb_error *err);

/* "moviebert: error: ..." with an optional hint (NULL: none); returns code. */
int report_failure(int code, const char *hint, const char *format, ...) MB_PRINTF(3, 4);

/* "moviebert: warning: ..." */
void report_warning(const char *format, ...) MB_PRINTF(1, 2);

/* A line about the work itself, to stderr so that stdout stays for results; silent after report_quiet(true). */
void report_note(const char *format, ...) MB_PRINTF(1, 2);
void report_quiet(bool quiet);

/* From now on all of it is also written to this file, notes even when they are silent (NULL: no longer). */
void report_copy_to(FILE *file);
void report_log(const char *format, ...) MB_PRINTF(1, 2); /* only there */

/* 12345678 -> "12,345,678"; buffer of at least 32 bytes, returned. */
const char *format_count(char *buffer, size_t size, long long count);
/* A line of an account of rows, "        12  left out: ...", unless there are none. */
void report_count(long long count, const char *what);
/* 90868376 -> "86.7 MB" (1024-based, as PostgreSQL's pg_size_pretty) */
const char *format_bytes(char *buffer, size_t size, double bytes);

#endif
