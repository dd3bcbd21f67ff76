/* kernels_avx512.c - training's kernels for CPUs with AVX-512 (F, BW, DQ, VL). */
#include "kernels.h"

#if defined(__x86_64__) && !defined(NET_DOUBLE)

#include "../../src/nn/vectors_avx512.h"

#define SET net_kernels_avx512
#define V_SUM(v) _mm512_reduce_add_ps(v)
#define V_LARGEST(v) _mm512_reduce_max_ps(v)
#include "kernels_template.h"

#else
typedef int no_avx512_here;
#endif
