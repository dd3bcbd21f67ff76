/* status.c - filling an mb_error. */
#include "moviebert/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moviebert/utf8.h"

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
		mb_codepoint c;
		size_t length = mb_utf8_decode(at, size, &c);

		if (length == 0 || *at < 0x20 || *at == 0x7f)
		{
			*at = '?';
			length = 1;
		}
		at += length;
		size -= length;
	}
}

static void
set_message(mb_error *err, mb_status status, const char *format, va_list args)
{
	memset(err, 0, sizeof(*err));
	err->status = status;
	vsnprintf(err->message, sizeof(err->message), format, args);
	make_printable(err->message);
}

mb_status
mb_fail(mb_error *err, mb_status status, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		va_start(args, format);
		set_message(err, status, format, args);
		va_end(args);
	}
	return status;
}

mb_status
mb_fail_system(mb_error *err, int os_errno, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		va_start(args, format);
		set_message(err, MB_IO, format, args);
		va_end(args);
		err->os_errno = os_errno;
		mb_detail(err, "The system says: %s.", strerror(os_errno));
	}
	return MB_IO;
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
