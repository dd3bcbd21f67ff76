/*
 * real.h - the number that training computes with: float, or double where the code is compiled with NET_DOUBLE.
 *
 * The double build exists for one test: there every backward pass is compared with central differences, which float is
 * too coarse for.  Both builds are the same source; only the float build has vector kernels.
 */
#ifndef MOVIEBERT_NET_REAL_H
#define MOVIEBERT_NET_REAL_H

#include <cblas.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NET_DOUBLE
typedef double real;
#define net_gemm cblas_dgemm
#else
typedef float real;
#define net_gemm cblas_sgemm
#endif

#endif
