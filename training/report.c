/* report.c - messages on stderr. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool quiet_notes;
static FILE *copy; /* or NULL */

static void
say_v(bool on_stderr, const char *prefix, const char *format, va_list args)
{
	if (on_stderr)
	{
		va_list again;

		va_copy(again, args);
		fputs(prefix, stderr);
		vfprintf(stderr, format, again);
		fputc('\n', stderr);
		va_end(again);
	}
	if (copy != NULL)
	{
		fputs(prefix, copy);
		vfprintf(copy, format, args);
		fputc('\n', copy);
	}
}

static void MB_PRINTF(2, 3)
say(const char *prefix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v(true, prefix, format, args);
	va_end(args);
}

int
report_error(const mb_error *err)
{
	if (err->status == MB_CANCELLED)
	{
		say("moviebert: ", "interrupted");
		return TOOL_INTERRUPTED;
	}
	say("moviebert: error: ", "%s", err->message[0] != '\0' ? err->message : "unknown error");
	if (err->detail[0] != '\0')
		say("DETAIL:  ", "%s", err->detail);
	if (err->hint[0] != '\0')
		say("HINT:  ", "%s", err->hint);
	return TOOL_FAILED;
}

int
report_failure(int code, const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v(true, "moviebert: error: ", format, args);
	va_end(args);
	if (hint != NULL && hint[0] != '\0')
		say("HINT:  ", "%s", hint);
	return code;
}

void
report_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v(true, "moviebert: warning: ", format, args);
	va_end(args);
}

void
report_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v(!quiet_notes, "", format, args);
	va_end(args);
}

void
report_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v(false, "", format, args);
	va_end(args);
}

void
report_quiet(bool quiet)
{
	quiet_notes = quiet;
}

void
report_copy_to(FILE *file)
{
	copy = file;
}

const char *
format_count(char *buffer, size_t size, long long count)
{
	char digits[32];
	size_t length, out = 0;
	size_t i;

	snprintf(digits, sizeof(digits), "%lld", count);
	length = strlen(digits);
	for (i = 0; i < length && out + 2 < size; i++)
	{
		buffer[out++] = digits[i];
		if (digits[i] != '-' && i + 1 < length && (length - i - 1) % 3 == 0)
			buffer[out++] = ',';
	}
	buffer[out] = '\0';
	return buffer;
}

void
report_count(long long count, const char *what)
{
	char number[32];

	if (count > 0)
		report_note("  %10s  %s", format_count(number, sizeof(number), count), what);
}

const char *
format_bytes(char *buffer, size_t size, double bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	size_t unit = 0;

	while (bytes >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0]))
	{
		bytes /= 1024.0;
		unit++;
	}
	snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return buffer;
}
