/* kernels_portable.c - training's kernels for any CPU. */
#include "kernels.h"

#ifndef NET_DOUBLE

#include "../../src/nn/vectors_portable.h"

static inline float
sum_of_lanes(vector_f32 v)
{
	return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float
largest_of_lanes(vector_f32 v)
{
	float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];

	return a > b ? a : b;
}

#define SET net_kernels_portable
#define V_SUM(v) sum_of_lanes(v)
#define V_LARGEST(v) largest_of_lanes(v)
#include "kernels_template.h"

#else
typedef int no_vectors_of_doubles;
#endif
