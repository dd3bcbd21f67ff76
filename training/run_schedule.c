/* run_schedule.c - a line up and a line down. */
#include "run_schedule.h"

#include <math.h>

static double
clamp(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

void
run_schedule_part(const run_schedule *schedule, uint64_t step, double seconds, double step_seconds, double *begin,
				  double *end)
{
	if (schedule->steps > 0)
	{
		*begin = clamp((double) step / (double) schedule->steps);
		*end = clamp((double) (step + 1) / (double) schedule->steps);
	}
	else
	{
		*begin = clamp(seconds / schedule->budget);
		*end = clamp((seconds + step_seconds) / schedule->budget);
	}
}

double
run_schedule_rate(const run_schedule *schedule, double begin, double end)
{
	double warmup = schedule->warmup;
	double up = warmup > 0 ? end / warmup : 1;
	double down = warmup < 1 ? (1 - begin) / (1 - warmup) : 1;

	return clamp(up < down ? up : down);
}

bool
run_schedule_over(const run_schedule *schedule, uint64_t step, double seconds)
{
	return schedule->steps > 0 ? step >= schedule->steps : seconds >= schedule->budget;
}

bool
run_schedule_passes(double begin, double end, int n)
{
	return floor(end * n + 1e-9) > floor(begin * n + 1e-9);
}
