/*
 * blas.h - making OpenBLAS use the kernels this CPU can run.
 *
 * OpenBLAS chooses its kernels in a constructor, before main.  Versions older than the CPU fall back to their oldest
 * ("Prescott"), several times slower.  The environment variable OPENBLAS_CORETYPE overrides the choice, but only when
 * it is set before the library loads: so the tool sets it and executes itself again, once.
 */
#ifndef MOVIEBERT_TOOL_BLAS_H
#define MOVIEBERT_TOOL_BLAS_H

/* May not return (exec).  Threads are ours, so BLAS gets one.  Warns when the choice did not help. */
void blas_prepare(char **argv);

const char *blas_core_name(void);

/* Kernels wanted for this CPU, as OPENBLAS_CORETYPE spells them, or NULL where OpenBLAS may choose alone. */
const char *blas_wanted_core(void);

#endif
