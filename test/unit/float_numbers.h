/*
 * float_numbers.h - what the tests of training's float arithmetic share: numbers to compute with, and what is near
 * enough.
 */
#ifndef MOVIEBERT_TEST_FLOAT_NUMBERS_H
#define MOVIEBERT_TEST_FLOAT_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Under test; failures name it. */
extern const char *set_name;

/* Random numbers start anew, with another set. */
void numbers_restart(const char *name);

/* Each draws on. */
double uniform(double low, double high);
size_t random_size(size_t low, size_t high);

/* Exactly n numbers from malloc, so that valgrind and AddressSanitizer see a step beside them. */
float *randoms(size_t n, double low, double high);
float *copy_floats(const float *x, size_t n);
double *doubles(size_t n); /* 0 */

/* Equal as bits: a NaN is equal to itself, 0 is not -0. */
bool same_bits(const float *a, const float *b, size_t n);

/* Fails, showing both, unless |got - expected| <= tolerance. */
void check(double got, double expected, double tolerance, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
