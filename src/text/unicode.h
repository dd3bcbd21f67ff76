/*
 * unicode.h - what the tokenizer asks about a code point.
 *
 * Classes are those of the reference, Hugging Face tokenizers, whatever newer Unicode versions say.
 */
#ifndef MOVIEBERT_TEXT_UNICODE_H
#define MOVIEBERT_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moviebert/utf8.h"

typedef enum mb_class
{
	MB_REMOVED = 1,     /* control, format, private use, U+FFFD: dropped when a text is cleaned */
	MB_SPACE = 2,       /* White_Space; some of it is also MB_REMOVED, which comes first */
	MB_PUNCTUATION = 4, /* a word of its own */
	MB_MARK = 8,        /* non-spacing mark, stripped with accents; its decomposition is of such marks too */
	MB_IDEOGRAPH = 16,  /* set apart by spaces where CJK is split */
	MB_DECOMPOSES = 32, /* has a canonical decomposition (Hangul syllables included) */
	MB_COMBINING = 64,  /* canonical combining class other than 0; not set where MB_DECOMPOSES is */
	MB_CASED = 128      /* lower-casing changes it */
} mb_class;

/* The classes of c, mb_class bits or'ed together. */
unsigned mb_classes(mb_codepoint c);

/* Most code points that mb_decompose makes of one. */
#define MB_MAX_DECOMPOSITION 4

/* NFD of a c that MB_DECOMPOSES; returns its length. */
size_t mb_decompose(mb_codepoint c, mb_codepoint out[MB_MAX_DECOMPOSITION]);

/* Canonical combining class of a c that is MB_COMBINING. */
int mb_combining_class(mb_codepoint c);

/* Lower case of a c that is MB_CASED, by its full mapping and without context; returns its length, 1 or 2. */
size_t mb_lowercase(mb_codepoint c, mb_codepoint out[2]);

#endif
