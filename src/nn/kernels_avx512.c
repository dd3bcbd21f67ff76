/* kernels_avx512.c - the kernel set for CPUs with AVX-512 (F, BW, DQ, VL): tiles of 12 rows by 32 columns. */
#include "kernels.h"

#if defined(__x86_64__)

#include "vectors_avx512.h"

static bool
supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

#define SET mb_kernels_avx512
#define SET_NAME "avx512"
#define TILE_ROWS 12
#define PASS ((size_t) 2)
#include "kernels_template.h"

#else
typedef int no_avx512_here;
#endif
