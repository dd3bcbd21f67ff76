/* kernels_avx2.c - the kernel set for CPUs with AVX2 and FMA: tiles of 6 rows by 16 columns, two to a panel. */
#include "kernels.h"

#if defined(__x86_64__)

#include "vectors_avx2.h"

static bool
supported(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#define SET mb_kernels_avx2
#define SET_NAME "avx2"
#define TILE_ROWS 6
#define PASS ((size_t) 2)
#include "kernels_template.h"

#else
typedef int no_avx2_here;
#endif
