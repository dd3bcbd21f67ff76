/* report_html_text.c - escaping, measuring and rounding. */
#include "report_html_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "moviebert/utf8.h"
#include "report.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

static bool
turns_text(mb_codepoint c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c;
}

static void
add_character(string_buffer *out, const char *bytes, size_t size, mb_codepoint c)
{
	if (c == '&')
		string_add(out, "&amp;", 5);
	else if (c == '<')
		string_add(out, "&lt;", 4);
	else if (c == '>')
		string_add(out, "&gt;", 4);
	else if (c == '"')
		string_add(out, "&quot;", 6);
	else if (c == '\'')
		string_add(out, "&#39;", 5);
	else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
	{
		unsigned char picture[4];
		size_t n = mb_utf8_encode(c == 0x7f ? 0x2421 : 0x2400 + c, picture);

		string_add(out, (const char *) picture, n);
	}
	else if ((c >= 0x80 && c < 0xa0) || turns_text(c) || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
		string_add(out, REPLACEMENT, 3);
	else
		string_add(out, bytes, size);
}

void
html_text(string_buffer *out, const char *text)
{
	size_t size = strlen(text);

	while (size > 0)
	{
		mb_codepoint c;
		size_t n = mb_utf8_decode((const unsigned char *) text, size, &c);

		if (n == 0)
		{
			string_add(out, REPLACEMENT, 3);
			n = 1;
		}
		else
			add_character(out, text, n, c);
		text += n;
		size -= n;
	}
}

/* Bytes of the first character, and its columns. */
static size_t
next_width(const char *text, size_t size, size_t *columns)
{
	mb_codepoint c;
	size_t n = mb_utf8_decode((const unsigned char *) text, size, &c);

	if (n == 0)
	{
		*columns = 1;
		return 1;
	}
	/* What is replaced by a picture of itself is one column wide, whatever Unicode says of it. */
	*columns = c < 0xa0 || turns_text(c) ? 1 : (size_t) utf8proc_charwidth(c);
	return n;
}

size_t
html_width(const char *text)
{
	size_t size = strlen(text), width = 0, columns, n;

	for (; size > 0; text += n, size -= n)
	{
		n = next_width(text, size, &columns);
		width += columns;
	}
	return width;
}

bool
html_elided(string_buffer *out, const char *text, size_t most)
{
	size_t size = strlen(text), used = 0, columns, n;
	string_buffer start = {0};

	if (html_width(text) <= most)
	{
		html_text(out, text);
		return false;
	}
	for (; size > 0; text += n, size -= n)
	{
		n = next_width(text, size, &columns);
		if (used + columns + 1 > most)
			break;
		string_add(&start, text, n);
		used += columns;
	}
	if (start.data != NULL)
		html_text(out, start.data);
	string_add(out, ELLIPSIS, 3);
	string_release(&start);
	return true;
}

void
html_words(string_buffer *out, const char *key)
{
	char *words = copy_string(key), *c;

	for (c = words; *c != '\0'; c++)
		if (*c == '_')
			*c = ' ';
	html_text(out, words);
	free(words);
}

const char *
html_power(char *buffer, const char *mantissa, int exponent)
{
	static const char *const digits[] = {"\xe2\x81\xb0", "\xc2\xb9",     "\xc2\xb2",     "\xc2\xb3",
										 "\xe2\x81\xb4", "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7",
										 "\xe2\x81\xb8", "\xe2\x81\xb9"};
	char plain[16];
	size_t i, n;

	n = (size_t) snprintf(buffer, HTML_NUMBER, "%.16s%s10", mantissa, mantissa[0] != '\0' ? "\xc2\xb7" : "");
	snprintf(plain, sizeof(plain), "%d", exponent);
	for (i = 0; plain[i] != '\0'; i++)
		n += (size_t) snprintf(buffer + n, HTML_NUMBER - n, "%s",
							   plain[i] == '-' ? "\xe2\x81\xbb" : digits[plain[i] - '0']);
	return buffer;
}

const char *
html_number(char *buffer, double value)
{
	char mantissa[32];
	int exponent;

	if (!isfinite(value))
		snprintf(buffer, HTML_NUMBER, "%s",
				 isnan(value) ? "\xe2\x80\x93"
				 : value > 0  ? "\xe2\x88\x9e"
							  : "-\xe2\x88\x9e");
	else if (fabs(value) < 1e15 && (value == rint(value) || fabs(value) >= 1e3))
		format_count(buffer, HTML_NUMBER, llround(value));
	else if (fabs(value) < 1e15 && fabs(value) >= 1e-3)
		snprintf(buffer, HTML_NUMBER, "%.4g", value);
	else
	{
		snprintf(mantissa, sizeof(mantissa), "%.2e", value);
		exponent = atoi(strchr(mantissa, 'e') + 1);
		*strchr(mantissa, 'e') = '\0';
		html_power(buffer, mantissa, exponent);
	}
	return buffer;
}

const char *
html_large(char *buffer, double value)
{
	static const char *const names[] = {"", " thousand", " million", " billion", " trillion"};
	size_t name = 0;

	if (!(value >= 1e4))
		return html_number(buffer, value);
	while (value >= 999.5 && name + 1 < sizeof(names) / sizeof(names[0]))
	{
		value /= 1000;
		name++;
	}
	snprintf(buffer, HTML_NUMBER, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, names[name]);
	return buffer;
}

const char *
html_duration(char *buffer, double seconds)
{
	long long whole;

	if (!isfinite(seconds) || seconds < 0)
		return html_number(buffer, NAN);
	whole = llround(seconds < 9e15 ? seconds : 9e15);
	if (seconds < 10)
		snprintf(buffer, HTML_NUMBER, "%.1f s", seconds);
	else if (whole < 60)
		snprintf(buffer, HTML_NUMBER, "%lld s", whole);
	else if (whole < 3600)
		snprintf(buffer, HTML_NUMBER, "%lld min %lld s", whole / 60, whole % 60);
	else if (whole < 86400)
		snprintf(buffer, HTML_NUMBER, "%lld h %lld min", whole / 3600, whole / 60 % 60);
	else
		snprintf(buffer, HTML_NUMBER, "%lld d %lld h", whole / 86400, whole / 3600 % 24);
	return buffer;
}
