/*
 * similarity.c - bert_similarity: the cosine of two vectors.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"

#include "inference.h"

PG_FUNCTION_INFO_V1(bert_similarity);

/* The elements of a vector: one dimension, no nulls. */
static const float *
vector_elements(ArrayType *array)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("vector must have one dimension, not %d", ARR_NDIM(array)),
				 errhint("bert_embed of an array gives one vector a row; unnest the texts to compare them one by one.")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("vector must not contain nulls"),
				 errhint("Compare vectors as bert_embed gives them.")));
	return (const float *) ARR_DATA_PTR(array);
}

static void
check_finite(const float *x, int n)
{
	for (int i = 0; i < n; i++)
		if (!isfinite(x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("vector must not contain NaN or infinity"),
					 errdetail("Element %d is %g.", i + 1, x[i]),
					 errhint("Compute the vector anew with bert_embed.")));
}

/*
 * bert_similarity(real[], real[]) -> real: -1 .. 1.
 *
 * A vector of zeros has no direction.  Its similarity to anything is 0, as in torch's cosine_similarity: NaN and NULL
 * would come first in ORDER BY ... DESC.  A vector that holds NaN or infinity is damaged, and an error.
 */
Datum
bert_similarity(PG_FUNCTION_ARGS)
{
	ArrayType  *a = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *b = PG_GETARG_ARRAYTYPE_P(1);
	const float *x = vector_elements(a);
	const float *y = vector_elements(b);
	int			n = ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a));
	int			m = ArrayGetNItems(ARR_NDIM(b), ARR_DIMS(b));
	float		cosine;

	if (n != m)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("vectors must have the same number of dimensions"),
				 errdetail("They have %d and %d.", n, m),
				 errhint("Vectors can be compared when one model made both.")));
	cosine = n > 0 ? mb_cosine_similarity(x, y, n) : 0.0f;
	if (isnan(cosine))
	{
		check_finite(x, n);
		check_finite(y, n);
		cosine = 0.0f;
	}
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT4(cosine);
}
