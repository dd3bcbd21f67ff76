/*
 * dispatch.c - which kernel set this process uses.
 *
 * Each set's supported() asks the compiler's __builtin_cpu_supports, which looks at CPUID and, with XGETBV, at whether
 * the operating system saves the wide registers.
 */
#include "kernels.h"

#include <string.h>

#include "moviebert/encoder.h"

/* Best first. */
static const mb_kernels *const sets[] = {
#if defined(__x86_64__)
	&mb_kernels_avx512,
	&mb_kernels_avx2,
#endif
	&mb_kernels_portable,
};

static const mb_kernels *chosen;

const mb_kernels *
mb_kernels_get(void)
{
	/* Threads that race here all store the same pointer. */
	const mb_kernels *set = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	for (size_t i = 0; set == NULL; i++)
		if (sets[i]->supported())
		{
			set = sets[i];
			__atomic_store_n(&chosen, set, __ATOMIC_RELAXED);
		}
	return set;
}

const char *
mb_kernel_name(void)
{
	return mb_kernels_get()->name;
}

bool
mb_kernel_select(const char *name)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		if (strcmp(sets[i]->name, name) == 0 && sets[i]->supported())
		{
			__atomic_store_n(&chosen, sets[i], __ATOMIC_RELAXED);
			return true;
		}
	return false;
}
