/* progress.c - drawing the bar. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define BAR_WIDTH 30
#define REDRAW_SECONDS 0.1
#define PLAIN_SECONDS 10.0

double
monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

const char *
format_duration(char *buffer, size_t size, double seconds)
{
	long long whole = seconds < 0 || !isfinite(seconds) ? 0 : (long long) (seconds + 0.5);

	if (whole >= 3600)
		snprintf(buffer, size, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
	else
		snprintf(buffer, size, "%lld:%02lld", whole / 60, whole % 60);
	return buffer;
}

void
progress_start(progress *bar, const char *label, const char *unit, uint64_t total, bool silent)
{
	memset(bar, 0, sizeof(*bar));
	bar->label = label;
	bar->unit = unit;
	bar->total = total;
	bar->started = monotonic_seconds();
	bar->terminal = isatty(STDERR_FILENO) != 0;
	bar->silent = silent;
	bar->drawn = bar->terminal ? 0.0 : bar->started;
}

/* Of bytes as MB/s, of anything else as a number. */
static const char *
format_rate(char *buffer, size_t size, const progress *bar, double rate)
{
	if (strcmp(bar->unit, "bytes") == 0)
		format_bytes(buffer, size, rate);
	else
		snprintf(buffer, size, "%.0f", rate);
	return buffer;
}

static void
draw(progress *bar, uint64_t done, double now)
{
	double elapsed = now - bar->started;
	double rate = elapsed > 0 ? (double) done / elapsed : 0.0;
	char count[32], total[32], rate_text[32], time_text[32];

	format_count(count, sizeof(count), (long long) done);
	format_rate(rate_text, sizeof(rate_text), bar, rate);
	if (bar->total == 0)
	{
		fprintf(stderr, "%s%s  %s %s  %s/s%s", bar->terminal ? "\r" : "", bar->label, count, bar->unit, rate_text,
				bar->terminal ? "\033[K" : "\n");
		return;
	}
	format_count(total, sizeof(total), (long long) bar->total);
	if (bar->terminal)
	{
		char cells[BAR_WIDTH + 1];
		int filled = (int) (done * BAR_WIDTH / bar->total);

		memset(cells, '.', BAR_WIDTH);
		memset(cells, '#', (size_t) (filled > BAR_WIDTH ? BAR_WIDTH : filled));
		cells[BAR_WIDTH] = '\0';
		fprintf(stderr, "\r%s  [%s] ", bar->label, cells);
	}
	else
		fprintf(stderr, "%s  ", bar->label);
	fprintf(stderr, "%s/%s %s  %3d%%  %s/s  %s %s", count, total, bar->unit, (int) (done * 100 / bar->total), rate_text,
			done >= bar->total ? "in" : "left",
			format_duration(time_text, sizeof(time_text),
							done >= bar->total ? elapsed : (rate > 0 ? (double) (bar->total - done) / rate : 0.0)));
	fputs(bar->terminal ? "\033[K" : "\n", stderr);
}

void
progress_update(progress *bar, uint64_t done)
{
	double now;

	if (bar->silent)
		return;
	now = monotonic_seconds();
	if (bar->terminal)
	{
		if (now - bar->drawn < REDRAW_SECONDS)
			return;
	}
	else
	{
		int tenths = bar->total == 0 ? 0 : (int) (done * 10 / bar->total);

		if ((tenths <= bar->tenths || now - bar->drawn < 1.0) && now - bar->drawn < PLAIN_SECONDS)
			return;
		bar->tenths = tenths;
	}
	bar->drawn = now;
	draw(bar, done, now);
}

void
progress_finish(progress *bar, uint64_t done)
{
	if (bar->silent)
		return;
	draw(bar, done, monotonic_seconds());
	if (bar->terminal)
		fputc('\n', stderr);
}
