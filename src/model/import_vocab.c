/* import_vocab.c - the tokens of a checkpoint by id, from vocab.txt or tokenizer.json; where both are, they must agree.
 */
#include "import.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS (1 << 24)

/* Adds a token with the next id. */
static mb_status
append(import_vocab *vocab, const char *token, size_t length, const char *what, mb_error *err)
{
	json_int_t id = (json_int_t) json_array_size(vocab->tokens);
	json_t *value;

	if (id >= MAX_TOKENS)
		return mb_fail(err, MB_LIMIT, "%s has more than %d tokens", what, MAX_TOKENS);
	value = json_stringn(token, length);
	if (value == NULL)
	{
		mb_fail(err, MB_CORRUPT, "a token of %s is not valid UTF-8", what);
		mb_detail(err, "It is the one with id %" JSON_INTEGER_FORMAT ".", id);
		return MB_CORRUPT;
	}
	if (json_object_get(vocab->ids, json_string_value(value)) != NULL)
	{
		mb_fail(err, MB_CORRUPT, "%s has the token \"%.100s\" twice", what, json_string_value(value));
		mb_detail(err, "It has the ids %" JSON_INTEGER_FORMAT " and %" JSON_INTEGER_FORMAT ".",
				  json_integer_value(json_object_get(vocab->ids, json_string_value(value))), id);
		json_decref(value);
		return MB_CORRUPT;
	}
	if (json_object_set_new(vocab->ids, json_string_value(value), json_integer(id)) != 0 ||
		json_array_append(vocab->tokens, value) != 0)
	{
		json_decref(value);
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	json_decref(value);
	return MB_OK;
}

static mb_status
read_lines(import_vocab *vocab, const char *text, mb_error *err)
{
	const char *at = text;
	mb_status status = MB_OK;

	while (*at != '\0' && status == MB_OK)
	{
		size_t length = strcspn(at, "\n");

		status = append(vocab, at, mb_vocabulary_token_bytes(at, length), "vocab.txt", err);
		at += length;
		at += *at == '\n';
	}
	if (status == MB_OK && json_array_size(vocab->tokens) == 0)
		status = mb_fail(err, MB_CORRUPT, "vocab.txt is empty");
	return status;
}

/* The tokens of tokenizer.json, which gives ids to tokens, in the order of their ids: 0, 1, 2, ... without a gap. */
static mb_status
read_object(import_vocab *vocab, json_t *ids, mb_error *err)
{
	static const char what[] = "the vocabulary of tokenizer.json";
	size_t n = json_object_size(ids);
	const char **by_id;
	const char *token;
	json_t *id;
	mb_status status = MB_OK;

	if (n == 0)
		return mb_fail(err, MB_CORRUPT, "%s is empty", what);
	by_id = calloc(n, sizeof(*by_id));
	if (by_id == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	json_object_foreach(ids, token, id)
	{
		json_int_t value = json_integer_value(id);

		if (!json_is_integer(id) || value < 0 || value >= (json_int_t) n || by_id[value] != NULL)
		{
			status = mb_fail(err, MB_CORRUPT, "the ids in %s are not 0, 1, 2, ... without a gap", what);
			mb_detail(err, "Token \"%.100s\" has an id that is out of range or taken; there are %zu tokens.", token, n);
			break;
		}
		by_id[value] = token;
	}
	for (size_t i = 0; i < n && status == MB_OK; i++)
		status = append(vocab, by_id[i], strlen(by_id[i]), what, err);
	free(by_id);
	return status;
}

static mb_status
compare(const import_vocab *vocab, json_t *ids, mb_error *err)
{
	const char *token;
	json_t *id;

	if (json_object_size(ids) != json_array_size(vocab->tokens))
	{
		mb_fail(err, MB_CORRUPT, "vocab.txt and tokenizer.json disagree");
		mb_detail(err, "The one has %zu tokens, the other %zu.", json_array_size(vocab->tokens), json_object_size(ids));
		mb_hint(err, "Remove the one that does not belong to the checkpoint.");
		return MB_CORRUPT;
	}
	json_object_foreach(ids, token, id)
	{
		const char *other;

		if (!json_is_integer(id))
			return mb_fail(err, MB_CORRUPT, "the id of token \"%.100s\" in tokenizer.json is not a whole number",
						   token);
		other = json_string_value(json_array_get(vocab->tokens, (size_t) json_integer_value(id)));

		if (other == NULL || strncmp(token, other, mb_vocabulary_token_bytes(token, strlen(token))) != 0 ||
			strlen(other) != mb_vocabulary_token_bytes(token, strlen(token)))
		{
			mb_fail(err, MB_CORRUPT, "vocab.txt and tokenizer.json disagree");
			mb_detail(err, "Token \"%.100s\" of tokenizer.json is \"%.100s\" in vocab.txt.", token,
					  other != NULL ? other : "(none)");
			mb_hint(err, "Remove the one that does not belong to the checkpoint.");
			return MB_CORRUPT;
		}
	}
	return MB_OK;
}

mb_status
import_vocab_read(import_vocab *vocab, const char *folder, const json_t *wordpiece, mb_error *err)
{
	json_t *ids = json_object_get(wordpiece, "vocab");
	char *text = NULL;
	size_t size;
	mb_status status;

	memset(vocab, 0, sizeof(*vocab));
	if (wordpiece != NULL && !json_is_object(ids))
		return mb_fail(err, MB_CORRUPT, "the model of tokenizer.json has no vocabulary");
	vocab->tokens = json_array();
	vocab->ids = json_object();
	if (vocab->tokens == NULL || vocab->ids == NULL)
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	else
		status = import_read_text(&text, &size, folder, "vocab.txt",
								  ids != NULL ? NULL : "Bring the checkpoint's vocab.txt or tokenizer.json.", err);
	if (status == MB_OK && text != NULL)
	{
		status = read_lines(vocab, text, err);
		if (status == MB_OK && ids != NULL)
			status = compare(vocab, ids, err);
	}
	else if (status == MB_OK)
		status = read_object(vocab, ids, err);
	free(text);
	if (status != MB_OK)
		import_vocab_free(vocab);
	return status;
}

void
import_vocab_free(import_vocab *vocab)
{
	json_decref(vocab->tokens);
	json_decref(vocab->ids);
	memset(vocab, 0, sizeof(*vocab));
}

mb_status
import_vocab_add(import_vocab *vocab, const char *token, json_int_t id, const char *what, mb_error *err)
{
	size_t n = json_array_size(vocab->tokens);
	const json_t *known = json_object_get(vocab->ids, token);

	if (known != NULL && json_integer_value(known) == id)
		return MB_OK;
	if (known == NULL && id == (json_int_t) n)
		return append(vocab, token, strlen(token), what, err);
	mb_fail(err, MB_CORRUPT, "%s gives token \"%.100s\" an id that is not its own", what, token);
	if (known != NULL)
		mb_detail(err, "It says %" JSON_INTEGER_FORMAT "; the vocabulary says %" JSON_INTEGER_FORMAT ".", id,
				  json_integer_value(known));
	else
		mb_detail(err, "It says %" JSON_INTEGER_FORMAT "; the next free id is %zu.", id, n);
	return MB_CORRUPT;
}

mb_status
import_vocab_text(char **text, const import_vocab *vocab, mb_error *err)
{
	size_t size = 1, at = 0;
	size_t i;
	json_t *token;

	*text = NULL;
	json_array_foreach(vocab->tokens, i, token) size += json_string_length(token) + 1;
	*text = malloc(size);
	if (*text == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	json_array_foreach(vocab->tokens, i, token)
	{
		const char *bytes = json_string_value(token);
		size_t length = json_string_length(token);

		if (strchr(bytes, '\n') != NULL || mb_vocabulary_token_bytes(bytes, length) != length)
		{
			free(*text);
			*text = NULL;
			return mb_fail(err, MB_UNSUPPORTED, "token \"%.100s\" cannot be a line of vocab.txt: it has white space",
						   bytes);
		}
		memcpy(*text + at, bytes, length);
		(*text)[at + length] = '\n';
		at += length + 1;
	}
	(*text)[at] = '\0';
	return MB_OK;
}
