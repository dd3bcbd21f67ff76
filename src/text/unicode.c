/* unicode.c - classes from the reference's tables; decompositions and lower case from utf8proc. */
#include "unicode.h"

#include <utf8proc.h>

typedef struct code_pair
{
	mb_codepoint from;
	mb_codepoint to;
} code_pair;

#include "unicode_tables.h"

#define LAST_PAGE (sizeof(page_runs) / sizeof(page_runs[0]) - 1)
#define N_RUNS (sizeof(class_runs) / sizeof(class_runs[0]))
#define N_LOWER_PAIRS (sizeof(lower_pairs) / sizeof(lower_pairs[0]))

unsigned
mb_classes(mb_codepoint c)
{
	uint32_t wanted = (uint32_t) c << 8 | 0xff;
	size_t page = (size_t) c >> 8;
	size_t low, high;

	/* The last run that begins at or before c lies in [low, high). */
	if (page < LAST_PAGE)
	{
		low = page_runs[page];
		high = (size_t) page_runs[page + 1] + 1;
	}
	else
	{
		low = page_runs[LAST_PAGE];
		high = N_RUNS;
	}
	while (high - low > 1)
	{
		size_t middle = low + (high - low) / 2;

		if (class_runs[middle] <= wanted)
			low = middle;
		else
			high = middle;
	}
	return class_runs[low] & 0xff;
}

size_t
mb_decompose(mb_codepoint c, mb_codepoint out[MB_MAX_DECOMPOSITION])
{
	int boundary = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char(c, out, MB_MAX_DECOMPOSITION, UTF8PROC_DECOMPOSE, &boundary);

	if (n < 1 || n > MB_MAX_DECOMPOSITION)
	{
		/* Not with any utf8proc that keeps Unicode's promise of stable decompositions. */
		out[0] = c;
		return 1;
	}
	return (size_t) n;
}

int
mb_combining_class(mb_codepoint c)
{
	return utf8proc_get_property(c)->combining_class;
}

size_t
mb_lowercase(mb_codepoint c, mb_codepoint out[2])
{
	/* utf8proc_tolower knows the simple mapping only, and this is the one letter whose full mapping is longer. */
	if (c == 0x130)
	{
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = utf8proc_tolower(c);
	if (out[0] == c)
	{
		for (size_t i = 0; i < N_LOWER_PAIRS; i++)
		{
			if (lower_pairs[i].from == c)
				out[0] = lower_pairs[i].to;
		}
	}
	return 1;
}
