/* kernels_dispatch.c - which set of training's kernels goes with the engine's. */
#include "kernels.h"

#include "../../src/nn/kernels.h"

const net_kernels *
net_kernels_get(void)
{
#ifdef NET_DOUBLE
	return &net_kernels_plain;
#else
#if defined(__x86_64__)
	const mb_kernels *engine = mb_kernels_get();

	if (engine == &mb_kernels_avx512)
		return &net_kernels_avx512;
	if (engine == &mb_kernels_avx2)
		return &net_kernels_avx2;
#endif
	return &net_kernels_portable;
#endif
}
