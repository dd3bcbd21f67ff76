/* status.c - filling an mb_error. */
#include "moviebert/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mb_status
mb_fail(mb_error *err, mb_status status, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		memset(err, 0, sizeof(*err));
		err->status = status;
		va_start(args, format);
		vsnprintf(err->message, sizeof(err->message), format, args);
		va_end(args);
	}
	return status;
}

void
mb_detail(mb_error *err, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		va_start(args, format);
		vsnprintf(err->detail, sizeof(err->detail), format, args);
		va_end(args);
	}
}

void
mb_hint(mb_error *err, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		va_start(args, format);
		vsnprintf(err->hint, sizeof(err->hint), format, args);
		va_end(args);
	}
}
