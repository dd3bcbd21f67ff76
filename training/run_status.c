/* run_status.c - drawing the line. */
#include "run_status.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "progress.h"
#include "report.h"

#define BAR_WIDTH 20
#define REDRAW_SECONDS 0.1
#define LOG_SECONDS 30.0

void
run_display_start(run_display *display, bool silent)
{
	memset(display, 0, sizeof(*display));
	display->terminal = isatty(STDERR_FILENO) != 0;
	display->silent = silent;
	display->logged = monotonic_seconds() - LOG_SECONDS + 2;
}

static void
format_status(char *line, size_t size, const run_status *s)
{
	char rate[32], step[32], left[24];

	snprintf(line, size, "step %s  %d%%  %s left  loss %.3f  accuracy %.3f  %s tokens/s  %.0f GFLOP/s",
			 format_count(step, sizeof(step), (long long) s->step), (int) (100 * s->done),
			 format_duration(left, sizeof(left), s->seconds_left), s->loss, s->accuracy,
			 format_count(rate, sizeof(rate), (long long) s->tokens_per_s), s->gflops);
}

/* A line that is longer than the terminal is wide would not be drawn over: the bar is left out first, then the end. */
static void
draw(const run_status *status)
{
	struct winsize window;
	int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
	char cells[BAR_WIDTH + 1];
	char line[200];

	memset(cells, '.', BAR_WIDTH);
	memset(cells, '#', (size_t) (status->done * BAR_WIDTH));
	cells[BAR_WIDTH] = '\0';
	format_status(line, sizeof(line), status);
	if ((int) strlen(line) + BAR_WIDTH + 3 < width)
		fprintf(stderr, "\r[%s] %s\033[K", cells, line);
	else
		fprintf(stderr, "\r%.*s\033[K", width - 1, line);
}

void
run_display_update(run_display *display, const run_status *status)
{
	double now = monotonic_seconds();
	char line[200];

	if (display->terminal && !display->silent && now - display->drawn >= REDRAW_SECONDS)
	{
		draw(status);
		display->open = true;
		display->drawn = now;
	}
	if (now - display->logged >= LOG_SECONDS)
	{
		format_status(line, sizeof(line), status);
		if (display->terminal)
			report_log("%s", line);
		else
			report_note("%s", line);
		display->logged = now;
	}
}

void
run_display_pause(run_display *display)
{
	if (display->open)
		fputc('\n', stderr);
	display->open = false;
}
