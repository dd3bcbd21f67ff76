/*
 * model_json.h - the JSON texts of a model file's metadata, of the structs that they are read into.
 *
 * All malloc'ed; NULL when memory is short.  Strings have been checked: they are UTF-8.
 */
#ifndef MOVIEBERT_MODEL_MODEL_JSON_H
#define MOVIEBERT_MODEL_MODEL_JSON_H

#include "moviebert/model.h"

/* A config.json as transformers writes it, with its defaults for what decides no arithmetic of ours. */
char *model_json_config(const mb_config *config, const char *architecture, int32_t pad_id);
char *model_json_tokenizer(const mb_tokenizer_options *options);
char *model_json_pooling(const mb_pipeline *pipeline);
char *model_json_head(mb_problem problem, const char *kind);
char *model_json_tags(const mb_tag *tags, int32_t n);

#endif
