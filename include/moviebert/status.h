/*
 * status.h - how every engine function reports failure, and how it is told to stop.
 *
 * The engine knows nothing of PostgreSQL: it never longjmps, exits, prints or aborts.  A function that can fail
 * returns an mb_status and, unless that is MB_OK, has filled the caller's mb_error.  The caller decides what a status
 * means to its user (src/pg maps it to a SQLSTATE, training/ to an exit code).
 */
#ifndef MOVIEBERT_STATUS_H
#define MOVIEBERT_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define MB_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#else
#define MB_PRINTF(format_at, first_at)
#endif

typedef enum mb_status
{
	MB_OK = 0,
	MB_CANCELLED,        /* the interrupt callback asked to stop */
	MB_OUT_OF_MEMORY,    /* an allocation failed; nothing is leaked */
	MB_INVALID_ARGUMENT, /* the caller's value is out of range (token id, length, option, ...) */
	MB_INVALID_UTF8,     /* text is not well-formed UTF-8; detail names the byte offset */
	MB_LIMIT,            /* the input is valid but larger than a stated limit */
	MB_CORRUPT,          /* a file is not what its format promises */
	MB_UNSUPPORTED,      /* a well-formed file of a kind that moviebert does not run (RoBERTa, int64 weights, ...) */
	MB_IO                /* the operating system refused: read, write, disk full; detail holds strerror */
} mb_status;

/*
 * What went wrong, in the shape of a PostgreSQL report: a primary message (lower case, no full stop), an optional
 * detail and an optional hint (whole sentences).  Empty strings mean "none".
 */
typedef struct mb_error
{
	mb_status status;
	int       os_errno;   /* errno for MB_IO, else 0 */
	size_t    text_index; /* which text of an array call failed; 0 for single texts */
	char      message[320];
	char      detail[512];
	char      hint[320];
} mb_error;

/* Fills err (which may be NULL) with a message and no detail or hint; returns status, so that `return mb_fail(...)` works. */
mb_status mb_fail(mb_error *err, mb_status status, const char *format, ...) MB_PRINTF(3, 4);

/* The same for what the operating system refused, with MB_IO and a detail that says why. */
mb_status mb_fail_system(mb_error *err, int os_errno, const char *format, ...) MB_PRINTF(3, 4);

/* Adds the sentence(s) to the error that mb_fail just filled; err may be NULL. */
void mb_detail(mb_error *err, const char *format, ...) MB_PRINTF(2, 3);
void mb_hint(mb_error *err, const char *format, ...) MB_PRINTF(2, 3);

/*
 * Asked between layers, between windows and between long stretches of tokenizing or file writing: true means "stop
 * now", and the function returns MB_CANCELLED.  Must not longjmp.  A NULL mb_interrupt or NULL check never stops.
 */
typedef struct mb_interrupt
{
	bool (*check)(void *arg);
	void *arg;
} mb_interrupt;

static inline bool
mb_interrupted(const mb_interrupt *interrupt)
{
	return interrupt != NULL && interrupt->check != NULL && interrupt->check(interrupt->arg);
}

#endif
