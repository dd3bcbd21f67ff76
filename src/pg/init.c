/* init.c - what happens when PostgreSQL loads the library. */
#include "moviebert.h"

#include "utils/guc.h"

#include "catalog.h"
#include "image_cache.h"

PG_MODULE_MAGIC;

char	   *bert_model_setting = NULL;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	/* A name is looked up when it is used: a model may be dropped, or be created, while the setting stands. */
	DefineCustomStringVariable("moviebert.model",
							   "Name of the model that functions use when they are given none.",
							   "An empty string stands for the database's default model.",
							   &bert_model_setting,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);
	MarkGUCPrefixReserved("moviebert");

	BertCatalogInit();
	BertImageCacheInit();
}
