/* report.c - messages on stderr. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool quiet_notes;

int
report_error(const mb_error *err)
{
	if (err->status == MB_CANCELLED)
	{
		fprintf(stderr, "moviebert: interrupted\n");
		return TOOL_INTERRUPTED;
	}
	fprintf(stderr, "moviebert: error: %s\n", err->message[0] != '\0' ? err->message : "unknown error");
	if (err->detail[0] != '\0')
		fprintf(stderr, "DETAIL:  %s\n", err->detail);
	if (err->hint[0] != '\0')
		fprintf(stderr, "HINT:  %s\n", err->hint);
	return TOOL_FAILED;
}

int
report_failure(int code, const char *hint, const char *format, ...)
{
	va_list args;

	fputs("moviebert: error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (hint != NULL && hint[0] != '\0')
		fprintf(stderr, "HINT:  %s\n", hint);
	return code;
}

void
report_warning(const char *format, ...)
{
	va_list args;

	fputs("moviebert: warning: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
report_note(const char *format, ...)
{
	va_list args;

	if (quiet_notes)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
report_quiet(bool quiet)
{
	quiet_notes = quiet;
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
