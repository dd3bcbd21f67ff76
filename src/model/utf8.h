/* utf8.h - well-formed UTF-8, for the strings of files (texts are checked in src/text). */
#ifndef MOVIEBERT_MODEL_UTF8_H
#define MOVIEBERT_MODEL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Bytes of the well-formed UTF-8 character at text[0..size), 0 if there is none (Unicode 15, table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF).
 */
static inline size_t
utf8_length(const unsigned char *text, size_t size)
{
	unsigned char lead, low = 0x80, high = 0xbf;
	size_t length;

	if (size == 0)
		return 0;
	lead = text[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (size < length || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return length;
}

static inline bool
utf8_is_valid(const char *text)
{
	const unsigned char *at = (const unsigned char *) text;
	size_t size = strlen(text), length;

	for (; size > 0; at += length, size -= length)
	{
		length = utf8_length(at, size);
		if (length == 0)
			return false;
	}
	return true;
}

#endif
