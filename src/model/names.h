/* names.h - how the choices of a pipeline are spelled, in the order of their enums: what readers look through. */
#ifndef MOVIEBERT_MODEL_NAMES_H
#define MOVIEBERT_MODEL_NAMES_H

#include "moviebert/model.h"

#define N_POOLINGS 3
#define N_LONG_TEXTS 2
#define N_PROBLEMS 3

extern const char *const pooling_names[N_POOLINGS];
extern const char *const long_text_names[N_LONG_TEXTS];
extern const char *const problem_names[N_PROBLEMS]; /* from MB_MULTI_LABEL on */

#endif
