/*
 * vector_math.h - the functions that the encoder and its training share, on vectors; included once by each file that
 * has included one of vectors_*.h before, which define
 *
 * - TARGET: the attribute that names the instruction set
 * - W, VF: lanes of a vector, and its type
 * - V_LOAD, V_STORE (any alignment), V_SET1, V_ADD, V_SUB, V_MUL, V_DIV, V_ABS; V_FMA(a, b, c) = a * b + c
 * - V_MAX(x, bound): the larger one; a NaN x stays
 * - V_ROUND(x): the nearest integer, as float, |x| < 2^22
 * - V_EXP2I(n): 2^n of an integral float, |n| <= 126
 * - V_IF_POSITIVE(x, a, b): x > 0 ? a : b, lane by lane
 */
#define KERNEL TARGET static inline __attribute__((always_inline))

/*
 * exp(x) for x <= 87: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its Taylor series to r^7 (remainder below 6e-9).
 * ln 2 is split so that the product of n and its high part is exact.  Below -80 the result is 0: nothing beside the 1
 * that every user of this function adds it to, and never a denormal, which is slow to compute with.
 */
KERNEL VF
vector_exp(VF x)
{
	VF below = V_SUB(V_SET1(-80.0f), x);
	VF n, r, y;

	x = V_MAX(x, V_SET1(-80.0f));
	n = V_ROUND(V_MUL(x, V_SET1(1.44269504088896340736f)));
	r = V_FMA(n, V_SET1(-0.693359375f), x);
	r = V_FMA(n, V_SET1(2.12194440054690583e-4f), r);
	y = V_SET1(1.0f / 5040.0f);
	y = V_FMA(y, r, V_SET1(1.0f / 720.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 120.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 24.0f));
	y = V_FMA(y, r, V_SET1(1.0f / 6.0f));
	y = V_FMA(y, r, V_SET1(0.5f));
	y = V_FMA(y, r, V_SET1(1.0f));
	y = V_FMA(y, r, V_SET1(1.0f));
	y = V_MUL(y, V_EXP2I(n));
	return V_IF_POSITIVE(below, V_SET1(0.0f), y);
}

/*
 * gelu(x) = x Phi(x), with Phi(-|x|) = erfc(z)/2 and z = |x|/sqrt 2.  erfc(z) exp(z^2) = t P(t), t = 1/(1 + z/3 *
 * 0.99): P is our own weighted least-squares fit of degree 9 over 0 <= z <= 9, relative error 2.3e-9 before rounding.
 * Negative x thus keeps a relative accuracy of 2e-5 down to -11.5, and positive x is x minus a small term.
 */
KERNEL VF
vector_gelu(VF x)
{
	static const float p[10] = {0.18613580786962836f,  0.18717819438129069f, 0.16673131678354794f, 0.20610512951445403f,
								-0.04661878693899769f, 0.49052924468104553f, -0.546174026239328f,  0.6161543691742369f,
								-0.31853839732509953f, 0.05849714812563942f};
	VF size = V_ABS(x);
	VF z = V_MUL(size, V_SET1(0.70710678118654752f));
	VF t = V_DIV(V_SET1(1.0f), V_FMA(z, V_SET1(0.33f), V_SET1(1.0f)));
	VF y = V_SET1(p[9]);
	VF tail;

#pragma GCC unroll 9
	for (int i = 8; i >= 0; i--)
		y = V_FMA(y, t, V_SET1(p[i]));
	y = V_MUL(V_MUL(y, t), vector_exp(V_SUB(V_SET1(0.0f), V_MUL(z, z))));
	tail = V_MUL(V_MUL(V_SET1(0.5f), size), y);
	return V_IF_POSITIVE(x, V_SUB(x, tail), V_SUB(V_SET1(0.0f), tail));
}

/* x / (1 + exp(-x)), which at -85 is 1e-35, and taken as that from there on: exp would overflow. */
KERNEL VF
vector_silu(VF x)
{
	x = V_MAX(x, V_SET1(-85.0f));
	return V_DIV(x, V_ADD(V_SET1(1.0f), vector_exp(V_SUB(V_SET1(0.0f), x))));
}

/*
 * (1 + tanh u)/2 = 1/(1 + exp(-2u)), so the tanh form of GELU is x times a logistic.  At -9.8 it is -1e-35, and taken
 * as that from there on.
 */
KERNEL VF
vector_gelu_tanh(VF x)
{
	VF cube, minus_twice_u;

	x = V_MAX(x, V_SET1(-9.8f));
	cube = V_MUL(V_MUL(x, x), x);
	minus_twice_u = V_MUL(V_SET1(-1.59576912160573071f), V_FMA(cube, V_SET1(0.044715f), x));
	return V_DIV(x, V_ADD(V_SET1(1.0f), vector_exp(minus_twice_u)));
}

KERNEL VF
vector_relu(VF x)
{
	return V_MAX(x, V_SET1(0.0f));
}
