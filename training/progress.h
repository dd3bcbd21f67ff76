/*
 * progress.h - a progress bar with the time left on a terminal, plain lines now and then anywhere else.
 */
#ifndef MOVIEBERT_TOOL_PROGRESS_H
#define MOVIEBERT_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress
{
	const char *label;
	const char *unit; /* "rows", "MB", ... */
	uint64_t total;   /* 0: unknown */
	double started;   /* seconds, monotonic */
	double drawn;     /* when last drawn */
	int tenths;       /* last tenth printed as a plain line */
	bool terminal;
	bool silent;
} progress;

void progress_start(progress *bar, const char *label, const char *unit, uint64_t total, bool silent);
void progress_update(progress *bar, uint64_t done); /* cheap: draws at most ten times a second */
void progress_finish(progress *bar, uint64_t done);

double monotonic_seconds(void);

/* 3725 -> "1:02:05", 65 -> "1:05"; buffer of at least 24 bytes, returned. */
const char *format_duration(char *buffer, size_t size, double seconds);

#endif
