/*
 * run_watch.h - what the course of the loss says: not a number, diverging, stuck on the unigram plateau, off it again.
 *
 * The plateau: a masked-LM first learns how frequent each token is, then a little of what stands where and beside what,
 * and stays there - loss some 10 % below the unigram entropy, accuracy 0.12 to 0.16 - for hundreds of steps before
 * attention learns to look at the context.  A run that ends on it has learned nothing of use.
 */
#ifndef MOVIEBERT_TOOL_RUN_WATCH_H
#define MOVIEBERT_TOOL_RUN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define WATCH_WINDOW 128

typedef enum watch_verdict
{
	WATCH_FINE,
	WATCH_SKIPPED,    /* the gradient was not finite, and the step was not taken */
	WATCH_NOT_FINITE, /* so it was three times in a row */
	WATCH_DIVERGED    /* the loss stays far above where it was */
} watch_verdict;

/* Of the losses since the start or the last return to a checkpoint. */
typedef struct run_watch
{
	double losses[WATCH_WINDOW]; /* the last ones that were not outliers, as a ring */
	uint64_t n;                  /* how many there were */
	double smooth, lowest;       /* smoothed loss, and its lowest value */
	uint64_t seen;
	int outliers, not_finite; /* in a row */
} run_watch;

/*
 * Diverged is a loss that is more than 6 standard deviations above the mean of the last 128 steps, ten times in a row;
 * or whose smoothed value is above twice its lowest plus 1.
 */
watch_verdict run_watch_step(run_watch *watch, double loss, bool finite);

typedef enum plateau_state
{
	PLATEAU_UNKNOWN, /* too early to say, or never was on it */
	PLATEAU_ON,
	PLATEAU_ESCAPED
} plateau_state;

/*
 * done: share of the run; step: steps so far.  On it: accuracy < 0.20 and loss > 0.85 of the unigram loss, not before
 * 15 % and 1,000 steps.  Off it: loss < 0.80 of it or accuracy >= 0.22.
 */
plateau_state run_watch_plateau(plateau_state before, double done, uint64_t step, double loss, double accuracy,
								double unigram_loss);

#endif
