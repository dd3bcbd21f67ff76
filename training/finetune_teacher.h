/*
 * finetune_teacher.h - another tagger's scores as targets beside the rows' labels (Hinton et al. 2015,
 * arXiv:1503.02531).
 *
 *   target = (1 - weight) label + weight score      of a known pair whose tag the teacher has
 *   target = score, and the pair counts weight      of an unknown one
 *
 * So what a larger model thinks reaches a smaller one, also where a row's source had nothing to say.
 */
#ifndef MOVIEBERT_TOOL_FINETUNE_TEACHER_H
#define MOVIEBERT_TOOL_FINETUNE_TEACHER_H

#include "features.h"
#include "labels.h"

typedef struct teacher
{
	char sha256[SHA256_HEX];
	int32_t n;             /* tags of the labels that it has */
	int32_t *label_of;     /* [n] */
	int32_t *place_of_row; /* [rows] in scores; -1: not a training row */
	uint16_t *scores;      /* [training rows, n] in 1/65535 */
	double weight;
} teacher;

/*
 * Opens the model file; its scores come with teacher_score, which takes the time of embedding all training rows.
 * Errors: those of opening; MB_INVALID_ARGUMENT if it is no multi-label tagger or has none of the labels.
 */
mb_status teacher_open(teacher *t, model_source *source, const char *path, const label_set *labels, double weight,
					   mb_error *err);

/* training: the rows' list holds all rows; options->cache_path keeps the teacher's vectors. */
mb_status teacher_score(teacher *t, model_source *source, const tagged_rows *rows, const features_options *options,
						mb_error *err);
void teacher_release(teacher *t);

/* The score of training row `row` for the teacher's i-th tag. */
static inline double
teacher_target(const teacher *t, size_t row, int32_t i)
{
	return (double) t->scores[(size_t) t->place_of_row[row] * (size_t) t->n + (size_t) i] / 65535.0;
}

#endif
