/*
 * rng.h - random numbers by counter: the n-th number of a stream is a function of (seed, stream, n) and nothing else.
 *
 * So a run that was cut off draws the same numbers again, whatever thread asks, and in whatever order.  The mixing
 * function is SplitMix64's finalizer (Steele, Lea, Flood 2014), applied to each word of the key in turn.
 */
#ifndef MOVIEBERT_NET_RNG_H
#define MOVIEBERT_NET_RNG_H

#include <stdint.h>

static inline uint64_t
rng_mix(uint64_t z)
{
	z += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* What a stream of numbers is for: no two uses share one. */
typedef enum rng_stream
{
	RNG_INIT,
	RNG_SHUFFLE,
	RNG_MASK,
	RNG_DROPOUT,
	RNG_SPAN,
	RNG_SPLIT,
	RNG_BOOTSTRAP
} rng_stream;

/* The key of a stream; a and b tell its instances apart (epoch, step, tensor, ...). */
static inline uint64_t
rng_key(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b)
{
	return rng_mix(rng_mix(rng_mix(seed ^ ((uint64_t) stream << 56)) ^ a) ^ b);
}

static inline uint64_t
rng_at(uint64_t key, uint64_t n)
{
	return rng_mix(key ^ rng_mix(n));
}

/* uniform in [0, 1) */
static inline double
rng_uniform(uint64_t key, uint64_t n)
{
	return (double) (rng_at(key, n) >> 11) * 0x1p-53;
}

/* uniform in 0 .. bound - 1 (bound > 0; the bias, below bound / 2^64, is of no consequence) */
static inline uint64_t
rng_below(uint64_t key, uint64_t n, uint64_t bound)
{
	return (uint64_t) (((unsigned __int128) rng_at(key, n) * bound) >> 64);
}

#endif
