/* names.c - how the choices of a pipeline are spelled, in model files and everywhere else. */
#include "names.h"

const char *const pooling_names[N_POOLINGS] = {[MB_POOL_MEAN] = "mean", [MB_POOL_CLS] = "cls", [MB_POOL_POOLER] = "pooler"};

const char *const long_text_names[N_LONG_TEXTS] = {[MB_LONG_WINDOWS] = "windows", [MB_LONG_TRUNCATE] = "truncate"};

const char *const problem_names[N_PROBLEMS] = {[MB_MULTI_LABEL - MB_MULTI_LABEL] = "multi_label",
											   [MB_SINGLE_LABEL - MB_MULTI_LABEL] = "single_label",
											   [MB_REGRESSION - MB_MULTI_LABEL] = "regression"};

const char *
mb_pooling_name(mb_pooling pooling)
{
	return pooling_names[pooling];
}

const char *
mb_long_text_name(mb_long_text long_text)
{
	return long_text_names[long_text];
}

const char *
mb_problem_name(mb_problem problem)
{
	return problem == MB_NO_HEAD ? NULL : problem_names[problem - MB_MULTI_LABEL];
}
