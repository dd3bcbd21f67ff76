/*
 * kernels_portable.c - the kernel set for any CPU, in the compilers' portable vectors of four floats (SSE2, NEON, ...).
 *
 * It is also the definition that the tests hold the others against.
 */
#include "kernels.h"

#include "vectors_portable.h"

static bool
supported(void)
{
	return true;
}

#define SET mb_kernels_portable
#define SET_NAME "portable"
#define TILE_ROWS 2
#define PASS ((size_t) 4)
#include "kernels_template.h"
