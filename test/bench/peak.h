/*
 * peak.h - what one core can do at most: multiplications and additions in registers alone, with each instruction set.
 */
#ifndef MOVIEBERT_BENCH_PEAK_H
#define MOVIEBERT_BENCH_PEAK_H

#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* CPU time of this thread, in seconds. */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Twelve chains hide the latency of two units; the empty asm keeps them in registers and the loop as written. */
#define PEAK_LOOP(type, one, step)                                                                                     \
	type a = one, b = one, c = one, d = one, e = one, f = one, g = one, h = one, i = one, j = one, k = one, l = one;   \
	for (long n = 0; n < rounds; n++)                                                                                  \
	{                                                                                                                  \
		step(a);                                                                                                       \
		step(b);                                                                                                       \
		step(c);                                                                                                       \
		step(d);                                                                                                       \
		step(e);                                                                                                       \
		step(f);                                                                                                       \
		step(g);                                                                                                       \
		step(h);                                                                                                       \
		step(i);                                                                                                       \
		step(j);                                                                                                       \
		step(k);                                                                                                       \
		step(l);                                                                                                       \
		BARRIER(a, b, c, d, e, f, g, h, i, j, k, l);                                                                   \
	}

#if defined(__x86_64__)
#define BARRIER(...) BARRIER_OF("+v", __VA_ARGS__)
#else
#define BARRIER(...) BARRIER_OF("+w", __VA_ARGS__)
#endif
#define BARRIER_OF(r, a, b, c, d, e, f, g, h, i, j, k, l)                                                              \
	__asm__ volatile("" : r(a), r(b), r(c), r(d), r(e), r(f), r(g), r(h), r(i), r(j), r(k), r(l))

typedef float vector_f32 __attribute__((vector_size(16)));

static void
peak_portable(long rounds)
{
	const vector_f32 one = {1, 1, 1, 1}, half = {0.5f, 0.5f, 0.5f, 0.5f};

#define STEP(x) x = x * half + half
	PEAK_LOOP(vector_f32, one, STEP)
#undef STEP
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void
peak_avx2(long rounds)
{
	const __m256 half = _mm256_set1_ps(0.5f);

#define STEP(x) x = _mm256_fmadd_ps(x, half, half)
	PEAK_LOOP(__m256, _mm256_set1_ps(1.0f), STEP)
#undef STEP
}

__attribute__((target("avx512f"))) static void
peak_avx512(long rounds)
{
	const __m512 half = _mm512_set1_ps(0.5f);

#define STEP(x) x = _mm512_fmadd_ps(x, half, half)
	PEAK_LOOP(__m512, _mm512_set1_ps(1.0f), STEP)
#undef STEP
}
#endif

static const struct kernel_set
{
	const char *name;
	void (*peak)(long rounds);
	int lanes;
} sets[] = {
#if defined(__x86_64__)
	{"avx512", peak_avx512, 16},
	{"avx2", peak_avx2, 8},
#endif
	{"portable", peak_portable, 4},
};

/* GFLOP/s; a multiplication and an addition are two. */
static double
measure_peak(const struct kernel_set *set)
{
	const long rounds = 2000000;
	double best = 1e9;

	for (int run = 0; run < 20; run++)
	{
		double start = now();

		set->peak(rounds);
		start = now() - start;
		best = start < best ? start : best;
	}
	return (double) rounds * 12 * 2 * set->lanes / best * 1e-9;
}

#endif
