/* status.c - filling an mb_error. */
#include "moviebert/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

/*
 * Messages quote files that nobody vouches for, and cut what is long: whatever they quote, they are one line of
 * well-formed UTF-8.
 */
static void
make_printable(char *text)
{
	size_t size = strlen(text);
	unsigned char *at = (unsigned char *) text;

	while (size > 0)
	{
		size_t length = utf8_length(at, size);

		if (length == 0 || *at < 0x20 || *at == 0x7f)
		{
			*at = '?';
			length = 1;
		}
		at += length;
		size -= length;
	}
}

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
		make_printable(err->message);
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
		make_printable(err->detail);
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
		make_printable(err->hint);
	}
}
