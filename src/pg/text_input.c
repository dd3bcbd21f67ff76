/*
 * text_input.c - texts between PostgreSQL and the engine: the database's encoding to UTF-8 and back, and the errors that
 * are about a text.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "inference.h"

const mb_infer_options BertInferOptions = {
	.max_text_tokens = BERT_MAX_TEXT_TOKENS,
	.interrupt = &BertInterrupt,
};

/*
 * The text as the engine reads it, in the datum's own memory where nothing has to be converted.  In a SQL_ASCII
 * database nobody knows the encoding; there the engine's own check decides whether it is UTF-8.
 */
mb_text
BertTextInput(text *t)
{
	mb_text		input = {VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)};

	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		char	   *converted = pg_server_to_any(input.data, (int) input.size, PG_UTF8);

		/* A converted string is a new one that ends with a NUL; the same pointer means that nothing was to be done. */
		if (converted != input.data)
		{
			input.data = converted;
			input.size = strlen(converted);
		}
	}
	return input;
}

/* A text datum of UTF-8 out of a model.  A character that the database's encoding lacks is the server's own error. */
text *
BertTextOutput(const char *utf8, size_t bytes)
{
	char	   *converted = pg_any_to_server(utf8, (int) bytes, PG_UTF8);

	if (converted != utf8)
		return cstring_to_text(converted);
	return cstring_to_text_with_len(utf8, (int) bytes);
}

/* Raises what mb_embed or mb_scores reported, with what only the caller knows: which element, and what to do. */
void
BertInferFailed(mb_status status, mb_error *err, size_t n_texts)
{
	if (status == MB_LIMIT && err->hint[0] == '\0')
		mb_hint(err, "Cut the text into parts.");
	if (n_texts > 1 && (status == MB_LIMIT || status == MB_INVALID_UTF8))
	{
		size_t		used = strlen(err->detail);

		snprintf(err->detail + used, sizeof(err->detail) - used, "%sIt is element %zu of the array.",
				 used > 0 ? " " : "", err->text_index + 1);
	}
	BertRaise(status, err);
}
