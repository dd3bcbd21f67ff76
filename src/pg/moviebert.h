/*
 * moviebert.h - what the files of this room share: the models a backend has open, and the way from the engine's errors
 * and interrupts to PostgreSQL's.
 */
#ifndef MOVIEBERT_PG_H
#define MOVIEBERT_PG_H

#include "postgres.h"

#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "moviebert/infer.h"

/* PostgreSQL 18 has it. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* The longest name of a model, in bytes. */
#define BERT_MAX_NAME 255

/* A model whose image this backend has mapped.  Read-only to all but image_cache.c. */
typedef struct BertModel
{
	char		sha256[65];		/* of the model file, hexadecimal */
	mb_image	image;
} BertModel;

/*
 * The model that a call names: argument name_arg, or with name_arg < 0 the setting moviebert.model, or with that empty
 * the database's default.  Remembered in fcinfo->flinfo->fn_extra (which it owns), so that a second call with the same
 * name costs a comparison.  Never NULL: an unknown name, or no default, is an error with a hint.  The pointer is good
 * until the function returns.
 */
extern const BertModel *BertModelForCall(FunctionCallInfo fcinfo, int name_arg);

/* The same by name, without a memory; name NULL means the database's default, whatever the setting says. */
extern const BertModel *BertModelByName(const char *name);

/* The setting moviebert.model; empty for the database's default. */
extern char *bert_model_setting;

/*
 * Raises the engine's error with the SQLSTATE that its status maps to (error.c has the table); MB_CANCELLED becomes the
 * cancel it stood for.  BertRaiseInput is the same where the bytes that the engine found wrong are the caller's own.
 */
pg_noreturn extern void BertRaise(mb_status status, const mb_error *err);
pg_noreturn extern void BertRaiseInput(mb_status status, const mb_error *err);

/*
 * Tells the engine to stop when this backend is to cancel, terminate or time out.  A call that it stopped must end in
 * BertRaise, which raises the error that stopped it.
 */
extern const mb_interrupt BertInterrupt;

/* Text of the engine, which is UTF-8, in the database's encoding; what has no place there is an error. */
extern char *BertServerText(const char *utf8);

/* This backend's scratch memory for inference, grown as needed and kept from call to call. */
extern mb_scratch *BertScratch(void);

#endif
