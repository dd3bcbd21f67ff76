/* vectors_portable.h - the vocabulary of vector_math.h in the compilers' vectors of four floats (SSE2, NEON, ...). */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float vector_f32 __attribute__((vector_size(16)));
typedef int32_t vector_i32 __attribute__((vector_size(16)));
typedef uint32_t vector_u32 __attribute__((vector_size(16)));

static inline vector_f32
load(const float *p)
{
	vector_f32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
store(float *p, vector_f32 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline vector_f32
broadcast(float x)
{
	return (vector_f32){x, x, x, x};
}

/* mask ? a : b, where each lane of mask is all ones or all zeroes. */
static inline vector_f32
choose(vector_i32 mask, vector_f32 a, vector_f32 b)
{
	return (vector_f32) ((mask & (vector_i32) a) | (~mask & (vector_i32) b));
}

static inline vector_f32
absolute(vector_f32 a)
{
	const int32_t m = INT32_MAX;

	return (vector_f32) ((vector_i32) a & (vector_i32){m, m, m, m});
}

/* 1.5 * 2^23: in a float of this size the last bit is worth 1, so that adding it rounds to the nearest integer. */
#define ROUNDING 12582912.0f

static inline vector_f32
nearest(vector_f32 x)
{
	return (x + broadcast(ROUNDING)) - broadcast(ROUNDING);
}

/* 2^n: n stands in the low bits of n + ROUNDING, from where it goes to the exponent's place, plus the bias of 127. */
static inline vector_f32
exp2_integral(vector_f32 n)
{
	const uint32_t shift = 23, bias = 127;
	vector_u32 bits = (vector_u32) (n + broadcast(ROUNDING)) + (vector_u32){bias, bias, bias, bias};

	return (vector_f32) (bits << (vector_u32){shift, shift, shift, shift});
}

#define TARGET
#define W ((size_t) 4)
#define VF vector_f32
#define V_LOAD(p) load(p)
#define V_STORE(p, v) store(p, v)
#define V_SET1(x) broadcast(x)
#define V_ADD(a, b) ((a) + (b))
#define V_SUB(a, b) ((a) - (b))
#define V_MUL(a, b) ((a) * (b))
#define V_DIV(a, b) ((a) / (b))
#define V_MAX(a, b) choose((b) > (a), b, a)
#define V_FMA(a, b, c) ((a) * (b) + (c))
#define V_ABS(a) absolute(a)
#define V_ROUND(a) nearest(a)
#define V_EXP2I(n) exp2_integral(n)
#define V_IF_POSITIVE(x, a, b) choose((x) > broadcast(0.0f), a, b)
