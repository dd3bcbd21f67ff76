/* image_cache.h - the images that this backend has mapped. */
#ifndef MOVIEBERT_IMAGE_CACHE_H
#define MOVIEBERT_IMAGE_CACHE_H

#include "catalog.h"

extern void BertImageCacheInit(void);

/* Removes the image's file when the transaction commits. */
extern void BertRemoveImageAtCommit(const char *sha256);

/*
 * image_file.c: maps the model's image and opens it; writes the file first where it is not there or damaged.  False if
 * that takes the model's chunks and there are none.
 */
extern bool BertMapImage(const BertModelRow *row, mb_image *image);
extern void BertUnmapImage(mb_image *image);
extern void BertRemoveImage(const char *sha256);

/* scratch.c: gives back memory above what is worth keeping.  At the end of a transaction. */
extern void BertScratchTrim(void);

#endif
