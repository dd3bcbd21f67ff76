/*
 * run_schedule.h - how far a run is, and its learning rate there.
 *
 * A run is as long as its steps or its budget says; a step covers the part from begin to end of it, both in [0, 1]. The
 * rate rises linearly over the first `warmup` of the run and falls linearly to 0 at its end.
 */
#ifndef MOVIEBERT_TOOL_RUN_SCHEDULE_H
#define MOVIEBERT_TOOL_RUN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct run_schedule
{
	uint64_t steps; /* 0: by budget */
	double budget;  /* seconds */
	double warmup;  /* share */
} run_schedule;

/* The part of the run that step (0, 1, ...) covers, where seconds have gone by and a step takes step_seconds. */
void run_schedule_part(const run_schedule *schedule, uint64_t step, double seconds, double step_seconds, double *begin,
					   double *end);

/* Factor of the peak rate: its end counts while it rises and its begin while it falls, so that no step's is 0. */
double run_schedule_rate(const run_schedule *schedule, double begin, double end);

/* Whether step or more would be past the end. */
bool run_schedule_over(const run_schedule *schedule, uint64_t step, double seconds);

/* Whether one of n equal marks of the run lies in (begin, end]: for what happens n times in a run. */
bool run_schedule_passes(double begin, double end, int n);

#endif
