/* utf8.h - one code point of UTF-8 at a time: of texts, and of the strings of files. */
#ifndef MOVIEBERT_UTF8_H
#define MOVIEBERT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int32_t mb_codepoint;

static inline bool
mb_utf8_continues(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * Decodes the code point at text[0..size), size > 0; returns its bytes, or 0 if they are not well-formed UTF-8
 * (Unicode, table 3-7): overlong, a surrogate, beyond U+10FFFF, cut off.
 */
static inline size_t
mb_utf8_decode(const unsigned char *text, size_t size, mb_codepoint *c)
{
	unsigned char lead = text[0];

	if (lead < 0x80)
	{
		*c = lead;
		return 1;
	}
	if (lead < 0xe0)
	{
		if (lead < 0xc2 || size < 2 || !mb_utf8_continues(text[1]))
			return 0;
		*c = (lead & 0x1f) << 6 | (text[1] & 0x3f);
		return 2;
	}
	if (lead < 0xf0)
	{
		if (size < 3 || !mb_utf8_continues(text[1]) || !mb_utf8_continues(text[2]))
			return 0;
		*c = (lead & 0x0f) << 12 | (text[1] & 0x3f) << 6 | (text[2] & 0x3f);
		return *c < 0x800 || (*c >= 0xd800 && *c < 0xe000) ? 0 : 3;
	}
	if (lead > 0xf4 || size < 4 || !mb_utf8_continues(text[1]) || !mb_utf8_continues(text[2]) ||
		!mb_utf8_continues(text[3]))
		return 0;
	*c = (lead & 0x07) << 18 | (text[1] & 0x3f) << 12 | (text[2] & 0x3f) << 6 | (text[3] & 0x3f);
	return *c < 0x10000 || *c > 0x10ffff ? 0 : 4;
}

static inline bool
mb_utf8_is_valid(const char *text)
{
	size_t size = strlen(text), length;
	mb_codepoint c;

	for (; size > 0; text += length, size -= length)
	{
		length = mb_utf8_decode((const unsigned char *) text, size, &c);
		if (length == 0)
			return false;
	}
	return true;
}

/* Encodes c; returns its bytes, 1 to 4. */
static inline size_t
mb_utf8_encode(mb_codepoint c, unsigned char out[4])
{
	if (c < 0x80)
	{
		out[0] = (unsigned char) c;
		return 1;
	}
	if (c < 0x800)
	{
		out[0] = (unsigned char) (0xc0 | c >> 6);
		out[1] = (unsigned char) (0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000)
	{
		out[0] = (unsigned char) (0xe0 | c >> 12);
		out[1] = (unsigned char) (0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char) (0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (unsigned char) (0xf0 | c >> 18);
	out[1] = (unsigned char) (0x80 | (c >> 12 & 0x3f));
	out[2] = (unsigned char) (0x80 | (c >> 6 & 0x3f));
	out[3] = (unsigned char) (0x80 | (c & 0x3f));
	return 4;
}

#endif
