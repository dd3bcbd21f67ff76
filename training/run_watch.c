/* run_watch.c - the rules of run_watch.h. */
#include "run_watch.h"

#include <math.h>

#define OUTLIER_DEVIATIONS 6.0
#define OUTLIERS_IN_A_ROW 10
#define NOT_FINITE_IN_A_ROW 3
#define SMOOTHING 0.9

static bool
is_outlier(const run_watch *watch, double loss)
{
	double mean = 0, variance = 0, deviation;
	int i;

	if (watch->n < WATCH_WINDOW)
		return false;
	for (i = 0; i < WATCH_WINDOW; i++)
		mean += watch->losses[i];
	mean /= WATCH_WINDOW;
	for (i = 0; i < WATCH_WINDOW; i++)
		variance += (watch->losses[i] - mean) * (watch->losses[i] - mean);
	/* Losses that hardly differ make no outlier of the first that does. */
	deviation = fmax(sqrt(variance / WATCH_WINDOW), 0.01 * fabs(mean) + 1e-3);
	return loss > mean + OUTLIER_DEVIATIONS * deviation;
}

watch_verdict
run_watch_step(run_watch *watch, double loss, bool finite)
{
	if (!finite || !isfinite(loss))
		return ++watch->not_finite >= NOT_FINITE_IN_A_ROW ? WATCH_NOT_FINITE : WATCH_SKIPPED;
	watch->not_finite = 0;
	watch->smooth = watch->seen == 0 ? loss : SMOOTHING * watch->smooth + (1 - SMOOTHING) * loss;
	if (watch->seen++ == 0 || watch->smooth < watch->lowest)
		watch->lowest = watch->smooth;
	if (is_outlier(watch, loss))
		watch->outliers++;
	else
	{
		watch->outliers = 0;
		watch->losses[watch->n++ % WATCH_WINDOW] = loss;
	}
	if (watch->outliers >= OUTLIERS_IN_A_ROW || watch->smooth > 2 * watch->lowest + 1)
		return WATCH_DIVERGED;
	return WATCH_FINE;
}

plateau_state
run_watch_plateau(plateau_state before, double done, uint64_t step, double loss, double accuracy, double unigram_loss)
{
	bool on = accuracy < 0.20 && loss > 0.85 * unigram_loss;
	bool off = loss < 0.80 * unigram_loss || accuracy >= 0.22;

	if (before == PLATEAU_ON)
		return off ? PLATEAU_ESCAPED : PLATEAU_ON;
	if (before == PLATEAU_UNKNOWN && on && done >= 0.15 && step >= 1000)
		return PLATEAU_ON;
	return before;
}
