/*
 * vector.c - arrays of real that are made in place.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/memutils.h"

#include "inference.h"

/* An array of the given dimensions without nulls; *elements is where its values are to be written. */
static ArrayType *
new_array(int ndim, const int *dims, float **elements)
{
	uint64		n = 1;
	Size		bytes;
	ArrayType  *array;

	for (int i = 0; i < ndim; i++)
		n *= (uint64) dims[i];
	if (n > (MaxAllocSize - ARR_OVERHEAD_NONULLS(ndim)) / sizeof(float))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("array of embeddings would exceed the maximum size of a value"),
				 errdetail("It would have " UINT64_FORMAT " elements.", n),
				 errhint("Give the texts in several calls.")));
	bytes = ARR_OVERHEAD_NONULLS(ndim) + n * sizeof(float);
	array = palloc(bytes);
	SET_VARSIZE(array, bytes);
	array->ndim = ndim;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	for (int i = 0; i < ndim; i++)
	{
		ARR_DIMS(array)[i] = dims[i];
		ARR_LBOUND(array)[i] = 1;
	}
	*elements = (float *) ARR_DATA_PTR(array);
	return array;
}

/* real[n] */
ArrayType *
BertNewVector(int n, float **elements)
{
	return new_array(1, &n, elements);
}

/* real[rows][n] */
ArrayType *
BertNewVectors(int rows, int n, float **elements)
{
	int			dims[2] = {rows, n};

	return new_array(2, dims, elements);
}
