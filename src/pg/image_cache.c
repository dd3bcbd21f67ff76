/*
 * image_cache.c - the models that this backend has open, and which names stand for them.
 *
 * A name is looked up in bert_model once, and then believed until something changed there (catalog.c counts the
 * generations).  Then it is looked up again: it may be gone, or the default another.  A model that was not confirmed
 * since the last change is unmapped at the end of the transaction; it may be one whose last name was dropped, and if it
 * is not, mapping it again is cheap.  Nothing is unmapped before, since somebody up the stack may be computing with it.
 */
#include "moviebert.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "image_cache.h"
#include "model_bytes.h"

typedef struct OpenModel
{
	BertModel	model;
	MemoryContext context;		/* holds this struct */
	uint64		confirmed;		/* generation in which a name was last seen to stand for it */
	dlist_node	node;
} OpenModel;

typedef struct NamedModel
{
	char		name[BERT_MAX_NAME + 1];	/* key; empty for the database's default */
	uint64		generation;		/* in which this is true */
	const BertModel *model;
} NamedModel;

/* What a function's fn_extra points to. */
typedef struct CallMemory
{
	uint64		generation;
	const BertModel *model;
	size_t		length;
	char		name[BERT_MAX_NAME + 1];
} CallMemory;

typedef struct Removal
{
	char		sha256[65];
	slist_node	node;
} Removal;

static dlist_head open_models = DLIST_STATIC_INIT(open_models);
static HTAB *named_models = NULL;

/* Image files to remove at commit, in TopTransactionContext. */
static slist_head removals = SLIST_STATIC_INIT(removals);

void
BertRemoveImageAtCommit(const char *sha256)
{
	Removal    *removal = MemoryContextAlloc(TopTransactionContext, sizeof(Removal));

	strlcpy(removal->sha256, sha256, sizeof(removal->sha256));
	slist_push_head(&removals, &removal->node);
}

/*
 * A drop that was rolled back to a savepoint is still in the list, and takes away a file that is needed: it comes back
 * with the next call.  That is rare enough not to follow subtransactions.  And a drop by PREPARE TRANSACTION is
 * forgotten, since another backend may commit it: its file stays until it goes with those that nobody has used for
 * long.
 */
static void
remove_images(void)
{
	slist_iter	iter;

	slist_foreach(iter, &removals)
		BertRemoveImage(slist_container(Removal, node, iter.cur)->sha256);
}

static void
close_unconfirmed(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &open_models)
	{
		OpenModel  *open = dlist_container(OpenModel, node, iter.cur);

		if (open->confirmed < BertChangeGeneration())
		{
			dlist_delete(iter.cur);
			BertUnmapImage(&open->model.image);
			MemoryContextDelete(open->context);
		}
	}
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			remove_images();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			return;
	}
	slist_init(&removals);
	close_unconfirmed();
	BertScratchTrim();
}

void
BertImageCacheInit(void)
{
	HASHCTL		info = {.keysize = BERT_MAX_NAME + 1, .entrysize = sizeof(NamedModel)};

	named_models = hash_create("moviebert names", 8, &info, HASH_ELEM | HASH_STRINGS);
	RegisterXactCallback(xact_callback, NULL);
}

/* NULL if there are no chunks to make its image of. */
static const BertModel *
open_model(const BertModelRow *row)
{
	MemoryContext context;
	OpenModel  *open;
	dlist_iter	iter;

	dlist_foreach(iter, &open_models)
	{
		open = dlist_container(OpenModel, node, iter.cur);
		if (strcmp(open->model.sha256, row->sha256) == 0)
		{
			open->confirmed = row->generation;
			return &open->model;
		}
	}

	/* Belongs to the caller until the image is mapped, so that an error leaves nothing. */
	context = AllocSetContextCreate(CurrentMemoryContext, "moviebert model", ALLOCSET_SMALL_SIZES);
	open = MemoryContextAllocZero(context, sizeof(OpenModel));
	open->context = context;
	open->confirmed = row->generation;
	strlcpy(open->model.sha256, row->sha256, sizeof(open->model.sha256));
	if (!BertMapImage(row, &open->model.image))
	{
		MemoryContextDelete(context);
		return NULL;
	}
	MemoryContextSetParent(context, TopMemoryContext);
	dlist_push_head(&open_models, &open->node);
	return &open->model;
}

pg_noreturn static void
raise_unknown(const char *name, bool from_setting)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("model \"%s\" does not exist", name),
			from_setting ? errdetail("The name comes from the setting \"moviebert.model\".") : 0,
			errhint("The view bert_models lists those that do."));
}

/* setting_counts: whether the setting moviebert.model, which is empty, could have named one. */
pg_noreturn static void
raise_no_default(bool setting_counts)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("no model was named, and the database has no default model"),
			setting_counts ?
			errhint("Choose one from the view bert_models with bert_default_model('name') or the setting "
					"\"moviebert.model\"; \"moviebert install\" brings one.") :
			errhint("Name one, or choose one from the view bert_models with bert_default_model('name')."));
}

/*
 * The row of a name, or of the default with an empty name.  from_setting: whether name is what the setting
 * moviebert.model says.
 */
static void
read_row(const char *name, bool from_setting, BertModelRow *row)
{
	if (BertReadModel(name[0] != '\0' ? name : NULL, row))
		return;
	if (name[0] == '\0')
		raise_no_default(from_setting);
	raise_unknown(name, from_setting);
}

/*
 * Row and chunks are read one after the other, and somebody may drop the model in between, or drop it and load it
 * again.  Chunks are missing only where the row still says the same and no change came to us since it was first read.
 */
static const BertModel *
look_up(const char *name, bool from_setting, BertModelRow *row)
{
	BertModelRow before;
	const BertModel *model;

	read_row(name, from_setting, row);
	while ((model = open_model(row)) == NULL)
	{
		before = *row;
		read_row(name, from_setting, row);
		AcceptInvalidationMessages();
		if (strcmp(row->sha256, before.sha256) == 0 && BertGeneration() == before.generation)
			BertRaiseNoChunks(row->sha256, row->name);
		CHECK_FOR_INTERRUPTS();
	}
	return model;
}

/* As read_row.  *generation: in which the answer is true. */
static const BertModel *
find_model(const char *name, bool from_setting, uint64 *generation)
{
	NamedModel *named = hash_search(named_models, name, HASH_FIND, NULL);
	BertModelRow row;

	if (named == NULL || named->generation != BertGeneration())
	{
		const BertModel *model = look_up(name, from_setting, &row);

		named = hash_search(named_models, name, HASH_ENTER, NULL);
		named->model = model;
		named->generation = row.generation;
	}
	*generation = named->generation;
	return named->model;
}

const BertModel *
BertModelByName(const char *name)
{
	uint64		generation;

	AcceptInvalidationMessages();
	if (name != NULL && (name[0] == '\0' || strlen(name) > BERT_MAX_NAME))
		raise_unknown(name, false);
	return find_model(name != NULL ? name : "", false, &generation);
}

const BertModel *
BertModelForCall(FunctionCallInfo fcinfo, int name_arg)
{
	CallMemory *memory = fcinfo->flinfo->fn_extra;
	const char *name = bert_model_setting;
	size_t		length;

	if (name_arg >= 0)
	{
		text	   *argument = PG_GETARG_TEXT_PP(name_arg);

		name = VARDATA_ANY(argument);
		length = VARSIZE_ANY_EXHDR(argument);
		if (length == 0 || length > BERT_MAX_NAME)
			raise_unknown(text_to_cstring(argument), false);
	}
	else
	{
		length = strlen(name);
		if (length > BERT_MAX_NAME)
			raise_unknown(name, true);
	}
	if (memory != NULL && memory->generation == BertGeneration() && memory->length == length &&
		memcmp(memory->name, name, length) == 0)
		return memory->model;

	if (memory == NULL)
	{
		/* A new statement sees what others have committed, even if it locks no table. */
		AcceptInvalidationMessages();
		memory = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallMemory));
		fcinfo->flinfo->fn_extra = memory;
	}
	memory->generation = 0;		/* none, should the search fail */
	memcpy(memory->name, name, length);
	memory->name[length] = '\0';
	memory->length = length;
	memory->model = find_model(memory->name, name_arg < 0, &memory->generation);
	return memory->model;
}
