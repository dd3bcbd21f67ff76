/*
 * parallel.h - a fixed list of jobs done by a few threads.
 *
 * Which thread does which job is left to chance, so jobs must write to places of their own; whoever adds them up does
 * so in the order of their numbers.  Then results do not depend on the number of threads.
 */
#ifndef MOVIEBERT_TOOL_PARALLEL_H
#define MOVIEBERT_TOOL_PARALLEL_H

#include <stddef.h>

typedef void (*parallel_job)(void *arg, size_t job, int thread);

void parallel_run(size_t n_jobs, int n_threads, parallel_job job, void *arg);

int parallel_default_threads(void); /* CPUs this process may use */

#endif
