/* kernels_dispatch.c - which set of training's kernels goes with the engine's. */
#include "kernels.h"

const net_kernels *
net_kernels_get(void)
{
	return &net_kernels_plain;
}
