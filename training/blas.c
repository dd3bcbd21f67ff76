/* blas.c - the re-execution described in blas.h. */
#include "blas.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cblas.h>

#include "report.h"

#define REEXECUTED "MOVIEBERT_BLAS_CHOSEN"

const char *
blas_core_name(void)
{
	return openblas_get_corename();
}

static bool
is_one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

const char *
blas_wanted_core(void)
{
#if defined(__x86_64__)
	static const char *const avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
	static const char *const avx2[] = {"Haswell", "Zen", "Excavator", NULL};
	const char *core = blas_core_name();

	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
		return is_one_of(core, avx512) ? NULL : "SkylakeX";
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return is_one_of(core, avx2) ? NULL : "Haswell";
#endif
	return NULL;
}

void
blas_prepare(char **argv)
{
	const char *wanted = getenv("OPENBLAS_CORETYPE") == NULL ? blas_wanted_core() : NULL;

	if (getenv(REEXECUTED) == NULL && (wanted != NULL || getenv("OPENBLAS_NUM_THREADS") == NULL))
	{
		if (wanted != NULL)
			setenv("OPENBLAS_CORETYPE", wanted, 1);
		setenv("OPENBLAS_NUM_THREADS", "1", 1);
		setenv(REEXECUTED, "1", 1);
		execv("/proc/self/exe", argv);
		unsetenv("OPENBLAS_CORETYPE");
	}
	openblas_set_num_threads(1);
	wanted = blas_wanted_core();
	if (wanted != NULL)
		report_warning("OpenBLAS runs its \"%s\" kernels, though this CPU can run \"%s\"; training will be slow "
					   "(set OPENBLAS_CORETYPE=%s)",
					   blas_core_name(), wanted, wanted);
}
