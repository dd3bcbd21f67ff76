/*
 * seeded_model.h - small models for tests, without a stored weight: each weight is made from its tensor's name and its
 * place in it, as test/golden/encoder/make.py makes it.
 */
#ifndef MOVIEBERT_TEST_SEEDED_MODEL_H
#define MOVIEBERT_TEST_SEEDED_MODEL_H

#include "moviebert/image.h"

typedef struct seeded_image
{
	mb_image image;
	void    *base;
} seeded_image;

/* A config and pipeline to change: V 90, H 16, 1 layer, 2 heads, I 20, P 24; mean, windows of 24 tokens, stride 11. */
mb_config   seeded_config(void);
mb_pipeline seeded_pipeline(void);

/*
 * Writes the model file, with tags "tag 0", "tag 1", ... of threshold 0.5, and a vocabulary of
 * [PAD] [UNK] [CLS] [SEP] [MASK] . , ! a to z, ##a to ##z, and the words the film ghost house robot love murder night.
 * Fails the test when it cannot.
 */
void seeded_model_write(const char *path, const mb_config *config, const mb_pipeline *pipeline);

/* The model file, opened, packed and mapped; everything on disk is gone again. */
void seeded_image_open(seeded_image *seeded, const mb_config *config, const mb_pipeline *pipeline);
void seeded_image_close(seeded_image *seeded);

#endif
