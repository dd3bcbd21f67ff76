/* kernels_avx2.c - training's kernels for CPUs with AVX2 and FMA. */
#include "kernels.h"

#if defined(__x86_64__) && !defined(NET_DOUBLE)

#include "../../src/nn/vectors_avx2.h"

TARGET static inline float
sum_of_lanes(__m256 v)
{
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

TARGET static inline float
largest_of_lanes(__m256 v)
{
	__m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	__m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#define SET net_kernels_avx2
#define V_SUM(v) sum_of_lanes(v)
#define V_LARGEST(v) largest_of_lanes(v)
#include "kernels_template.h"

#else
typedef int no_avx2_here;
#endif
