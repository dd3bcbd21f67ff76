/* report_html_text.h - text and numbers for the page: escaped, measured, elided, rounded for reading. */
#ifndef MOVIEBERT_TOOL_REPORT_HTML_TEXT_H
#define MOVIEBERT_TOOL_REPORT_HTML_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

/*
 * Adds UTF-8 for an element's content or a quoted attribute.  What must not stand in a document, or would turn the text
 * around it, is made visible: control characters as their pictures, the rest as U+FFFD.  Line ends and tabs stay.
 */
void html_text(string_buffer *out, const char *text);

/* In columns of a monospaced font: 1 for most characters, 2 for wide ones, 0 for combining ones. */
size_t html_width(const char *text);

/* At most `most` columns of text, the last one "…" where it is longer; whether it was. */
bool html_elided(string_buffer *out, const char *text, size_t most);

/* "micro_f1" -> "micro f1" */
void html_words(string_buffer *out, const char *key);

#define HTML_NUMBER 64

/* 1234567 -> "1,234,567", 0.123456 -> "0.1235", 0.0000123 -> "1.23·10⁻⁵", NAN -> "–".  buffer [HTML_NUMBER], returned.
 */
const char *html_number(char *buffer, double value);
/* mantissa·10^exponent; the mantissa left out where it is empty.  Nothing is rounded here. */
const char *html_power(char *buffer, const char *mantissa, int exponent);
/* 12345 -> "12.3 thousand", 2.5e9 -> "2.50 billion" */
const char *html_large(char *buffer, double value);
/* 7265 -> "2 h 1 min" */
const char *html_duration(char *buffer, double seconds);

#endif
