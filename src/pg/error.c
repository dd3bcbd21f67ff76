/*
 * error.c - the engine's errors and interrupts as PostgreSQL's.
 *
 *	mb_status				SQLSTATE
 *	MB_INVALID_ARGUMENT		22023 invalid_parameter_value
 *	MB_INVALID_UTF8			22021 character_not_in_repertoire
 *	MB_LIMIT				54000 program_limit_exceeded
 *	MB_CORRUPT				XX001 data_corrupted; in a file that the caller hands us, 22P03 invalid_binary_representation
 *	MB_UNSUPPORTED			0A000 feature_not_supported
 *	MB_OUT_OF_MEMORY		53200 out_of_memory
 *	MB_IO					by errno, as for PostgreSQL's own files: 53100 disk_full, 58030 io_error, 42501, ...
 *	MB_CANCELLED			what stopped it: 57014 query_canceled, 57P01 admin_shutdown, 40001 on a standby, ...
 */
#include "moviebert.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* The error behind the last MB_CANCELLED, in the memory of the call that it stopped. */
static ErrorData *stopped_by = NULL;

/*
 * Serves whatever is pending.  Much of it is not an error at all (a barrier that DROP DATABASE waits for, a request to
 * log memory contexts), and a call of many seconds should not keep it waiting.  An error must not jump over the engine,
 * so it is kept for BertRaise, and the engine told to stop.  A termination would end the process here and now; it waits
 * for BertRaise, so that the caller can clean up.
 */
static bool
interrupt_check(void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool stop = false;

	if (!INTERRUPTS_PENDING_CONDITION())
		return false;
	if (ProcDiePending && INTERRUPTS_CAN_BE_PROCESSED())
		return true;
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		stopped_by = CopyErrorData();
		FlushErrorState();
		stop = true;
	}
	PG_END_TRY();
	return stop;
}

const mb_interrupt BertInterrupt = {interrupt_check, NULL};

char *
BertServerText(const char *utf8)
{
	return pg_any_to_server(utf8, strlen(utf8), PG_UTF8);
}

/*
 * A message that may quote a hostile file, and may have been cut within a character, so that nothing in it can raise an
 * error in place of the one it is about.
 */
static char *
message_text(const char *utf8)
{
	int			length = strlen(utf8);
	char	   *text = palloc(length + 1);
	int			i = 0;

	while (i < length)
	{
		int			n = pg_encoding_mblen(PG_UTF8, utf8 + i);

		if (IS_HIGHBIT_SET(utf8[i]) &&
			(GetDatabaseEncoding() != PG_UTF8 || n > length - i ||
			 !pg_utf8_islegal((const unsigned char *) utf8 + i, n)))
		{
			text[i++] = '?';
			continue;
		}
		memcpy(text + i, utf8 + i, n);
		i += n;
	}
	text[length] = '\0';
	return text;
}

static int
sqlstate_of(mb_status status, int sqlstate_corrupt)
{
	switch (status)
	{
		case MB_INVALID_ARGUMENT:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case MB_INVALID_UTF8:
			return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		case MB_LIMIT:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case MB_CORRUPT:
			return sqlstate_corrupt;
		case MB_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case MB_OUT_OF_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case MB_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case MB_IO:
		case MB_OK:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

pg_noreturn static void
raise_as(mb_status status, const mb_error *err, int sqlstate_corrupt)
{
	const char *message = message_text(err->message);
	const char *detail = message_text(err->detail);
	const char *hint = message_text(err->hint);

	if (status == MB_CANCELLED)
	{
		ErrorData  *error = stopped_by;

		stopped_by = NULL;
		if (error != NULL)
			ReThrowError(error);
		CHECK_FOR_INTERRUPTS();
	}
	if (status == MB_IO && err->os_errno != 0)
	{
		/* PostgreSQL puts the system's words into the message, where the engine keeps them as detail. */
		bool		repeats = strstr(err->detail, strerror(err->os_errno)) != NULL;

		errno = err->os_errno;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("%s: %m", message),
				detail[0] != '\0' && !repeats ? errdetail("%s", detail) : 0,
				hint[0] != '\0' ? errhint("%s", hint) : 0);
	}
	ereport(ERROR,
			errcode(sqlstate_of(status, sqlstate_corrupt)),
			errmsg("%s", message),
			detail[0] != '\0' ? errdetail("%s", detail) : 0,
			hint[0] != '\0' ? errhint("%s", hint) : 0);
	pg_unreachable();
}

void
BertRaise(mb_status status, const mb_error *err)
{
	raise_as(status, err, ERRCODE_DATA_CORRUPTED);
}

void
BertRaiseInput(mb_status status, const mb_error *err)
{
	raise_as(status, err, ERRCODE_INVALID_BINARY_REPRESENTATION);
}
