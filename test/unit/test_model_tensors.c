/* test_model_tensors.c - weights on their way into a model file: half precision's rounding, and which tensors go. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "training/model_tensors.h"

static float
float_of_half(uint16_t half)
{
	mb_tensor tensor = {.name = "x", .dtype = MB_F16, .n_dims = 1, .shape = {1}, .data = &half, .bytes = 2};
	float x;

	assert_true(mb_tensor_to_f32(&tensor, 0, 1, &x));
	return x;
}

/* Each half comes back; what lies between two goes to the nearer, or to the even one of both. */
static void
halves_are_the_nearest(void **state)
{
	(void) state;
	for (uint32_t i = 0; i < 0x7C00; i++)
		for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000)
		{
			float low = float_of_half((uint16_t) (sign | i));
			/* Beyond the largest half the next one would be 65536. */
			float high = i < 0x7BFF ? float_of_half((uint16_t) (sign | (i + 1))) : (sign != 0 ? -65536.0f : 65536.0f);
			float middle = (low + high) / 2.0f; /* exact */
			uint16_t even = (uint16_t) (sign | (i + (i & 1)));

			assert_int_equal(half_of_float(low), sign | i);
			assert_int_equal(half_of_float(middle), even);
			assert_int_equal(half_of_float(nextafterf(middle, low)), sign | i);
			assert_int_equal(half_of_float(nextafterf(middle, high)), sign | (i + 1));
		}
	assert_int_equal(half_of_float(INFINITY), 0x7C00);
	assert_int_equal(half_of_float(-1e30f), 0xFC00);
	assert_int_equal(half_of_float(1e-30f), 0);
	assert_int_equal(half_of_float(-0.0f), 0x8000);
	assert_true(isnan(float_of_half(half_of_float(NAN))));
}

static const net_options options = {{11, 6, 1, 2, 5, 9, 2, 1e-12f, MB_GELU}, true, true, 4};

static void
tensors_say_what_the_net_holds(void **state)
{
	net n;
	model_tensors made;
	float *x;
	mb_error err;

	(void) state;
	assert_int_equal(net_create(&n, &options, &err), MB_OK);
	x = calloc(n.n_parameters, sizeof(float));
	assert_non_null(x);
	net_init(&n, x, 1, -1);
	for (int dtype = 0; dtype < 2; dtype++)
	{
		assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ALL, dtype == 0 ? MB_F32 : MB_F16, &err), MB_OK);
		assert_int_equal(made.n, n.n_tensors);
		for (size_t i = 0; i < made.n; i++)
		{
			const mb_tensor *tensor = &made.tensors[i];
			const float *expected = x + n.tensors[i].offset;

			assert_string_equal(tensor->name, n.tensors[i].name);
			assert_int_equal(mb_tensor_elements(tensor), n.tensors[i].size);
			assert_int_equal(tensor->bytes, n.tensors[i].size * (dtype == 0 ? 4 : 2));
			for (size_t j = 0; j < n.tensors[i].size; j++)
			{
				float got;

				assert_true(mb_tensor_to_f32(tensor, j, 1, &got));
				assert_true(fabsf(got - expected[j]) <= (dtype == 0 ? 0.0f : fabsf(expected[j]) * 0x1p-11f + 0x1p-25f));
			}
		}
		model_tensors_release(&made);
	}
	net_release(&n);
	free(x);
}

static size_t
count(const net *n, const float *x, unsigned parts, const char *last)
{
	model_tensors made;
	size_t found;
	mb_error err;

	assert_int_equal(model_tensors_make(&made, n, x, parts, MB_F32, &err), MB_OK);
	found = made.n;
	assert_string_equal(made.tensors[found - 1].name, last);
	model_tensors_release(&made);
	return found;
}

static void
parts_can_be_chosen(void **state)
{
	net n;
	float *x;
	mb_error err;

	(void) state;
	assert_int_equal(net_create(&n, &options, &err), MB_OK);
	x = calloc(n.n_parameters, sizeof(float));
	assert_non_null(x);
	assert_int_equal(count(&n, x, MODEL_ENCODER, "encoder.layer.0.output.LayerNorm.bias"), 21);
	assert_int_equal(count(&n, x, MODEL_ENCODER | MODEL_POOLER, "pooler.dense.bias"), 23);
	assert_int_equal(count(&n, x, MODEL_MLM_HEAD, "cls.predictions.bias"), 5);
	assert_int_equal(count(&n, x, MODEL_CLASSIFIER, "classifier.bias"), 2);
	net_release(&n);
	free(x);
}

static void
weights_that_cannot_be_written_are_refused(void **state)
{
	net n;
	model_tensors made;
	float *x;
	mb_error err;

	(void) state;
	assert_int_equal(net_create(&n, &options, &err), MB_OK);
	x = calloc(n.n_parameters, sizeof(float));
	assert_non_null(x);
	x[n.n_parameters - 1] = 65519.0f;
	assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ALL, MB_F16, &err), MB_OK);
	model_tensors_release(&made);
	x[n.n_parameters - 1] = 65520.0f;
	assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ALL, MB_F16, &err), MB_INVALID_ARGUMENT);
	assert_string_equal(err.message, "a weight of tensor \"classifier.bias\" is too large for half precision");
	assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ENCODER, MB_F16, &err), MB_OK);
	model_tensors_release(&made);
	assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ALL, MB_F32, &err), MB_OK);
	model_tensors_release(&made);
	x[3] = NAN;
	assert_int_equal(model_tensors_make(&made, &n, x, MODEL_ALL, MB_F32, &err), MB_INVALID_ARGUMENT);
	assert_string_equal(err.message, "a weight of tensor \"embeddings.word_embeddings.weight\" is not finite");
	net_release(&n);
	free(x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_are_the_nearest),
		cmocka_unit_test(tensors_say_what_the_net_holds),
		cmocka_unit_test(parts_can_be_chosen),
		cmocka_unit_test(weights_that_cannot_be_written_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
