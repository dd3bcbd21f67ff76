/* run_status.h - how a run looks while it goes: a line that redraws itself on a terminal, plain lines elsewhere. */
#ifndef MOVIEBERT_TOOL_RUN_STATUS_H
#define MOVIEBERT_TOOL_RUN_STATUS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct run_status
{
	uint64_t step, steps; /* steps 0: by budget */
	double done;          /* share of the run */
	double loss, accuracy;
	double tokens_per_s, gflops;
	double seconds_left;
} run_status;

typedef struct run_display
{
	bool terminal, silent;
	bool open; /* a line without its newline is on the terminal */
	double drawn, logged;
} run_display;

void run_display_start(run_display *display, bool silent);
void run_display_update(run_display *display, const run_status *status); /* cheap */
/* Ends the line, so that something else can be said. */
void run_display_pause(run_display *display);

#endif
