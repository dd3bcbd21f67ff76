/*
 * checkpoint.h - what an export adds to a checkpoint folder and an import looks for: all that a Hugging Face folder has
 * no place for, so that a model that goes out comes back the same.
 *
 *   moviebert.json    {"format": 1, "pooling": {...}, "head": {"problem": ...} | null, "tags": [...], "card": {...}},
 * the values as in the model file.  Where another file says the same, that one is believed. moviebert_head/   the head
 * of a tagger as a sentence-transformers Dense module (linear.weight, linear.bias).  It is in modules.json only after
 * an export as a tagger.
 */
#ifndef MOVIEBERT_MODEL_CHECKPOINT_H
#define MOVIEBERT_MODEL_CHECKPOINT_H

#define CHECKPOINT_OWN_FILE "moviebert.json"
#define CHECKPOINT_HEAD_FOLDER "moviebert_head"

#endif
