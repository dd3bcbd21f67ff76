/* special_ids.c - what sequences must know of a vocabulary. */
#include "sequences.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

void
special_ids_create(special_ids *ids, const mb_tokenizer *tokenizer)
{
	int32_t V = mb_tokenizer_vocab_size(tokenizer), id;
	uint8_t *special = allocate((size_t) V, 1);
	uint8_t *continues = allocate((size_t) V, 1);

	*ids = (special_ids){.cls = mb_tokenizer_cls_id(tokenizer),
						 .sep = mb_tokenizer_sep_id(tokenizer),
						 .mask = mb_tokenizer_mask_id(tokenizer),
						 .pad = mb_tokenizer_pad_id(tokenizer),
						 .vocab_size = V,
						 .special = special,
						 .continues = continues};
	for (id = 0; id < V; id++)
	{
		size_t bytes = 0;
		const char *token = mb_tokenizer_token(tokenizer, id, &bytes);

		special[id] = token == NULL || bytes == 0 || mb_tokenizer_is_special(tokenizer, id);
		continues[id] = bytes > 2 && memcmp(token, "##", 2) == 0;
	}
}

void
special_ids_release(special_ids *ids)
{
	free((void *) ids->special);
	free((void *) ids->continues);
	memset(ids, 0, sizeof(*ids));
}
