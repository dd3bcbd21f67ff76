/* vocab_report.c - what was learned, and what the vocabulary makes of the words it was learned from. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "card.h"
#include "report.h"
#include "vocab.h"

/* Tokens by what they are. */
typedef struct token_kinds
{
	size_t special;
	size_t characters;            /* alone or at a word's beginning */
	size_t continuing_characters; /* inside words */
	size_t beginnings;            /* whole words and beginnings of words, of two characters or more */
	size_t continuations;
} token_kinds;

static token_kinds
count_kinds(const wordpiece_vocabulary *v)
{
	token_kinds kinds = {v->n_special, v->n_alphabet, v->n_continuing, 0, 0};
	size_t i;

	for (i = v->n_special + v->n_alphabet + v->n_continuing; i < v->tokens.n; i++)
	{
		if (strncmp(v->tokens.names[i], "##", 2) == 0)
			kinds.continuations++;
		else
			kinds.beginnings++;
	}
	return kinds;
}

static double
tokens_per_word(const vocabulary_use *use)
{
	return use->words > 0 ? (double) use->tokens / (double) use->words : 0;
}

static double
unknown_share(const vocabulary_use *use)
{
	return use->words > 0 ? (double) use->unknown / (double) use->words : 0;
}

static uint64_t
dropped_occurrences(const wordpiece_vocabulary *v)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < v->n_dropped; i++)
		sum += v->dropped[i].count;
	return sum;
}

/* NUL-terminated */
static void
encode(int32_t codepoint, char out[8])
{
	utf8proc_ssize_t n = utf8proc_encode_char(codepoint, (utf8proc_uint8_t *) out);

	out[n] = '\0';
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *
use_json(const vocabulary_use *use)
{
	return json_pack("{sI, sI, sI, so, so, sI}", "words", (json_int_t) use->words, "tokens", (json_int_t) use->tokens,
					 "unknown_words", (json_int_t) use->unknown, "tokens_per_word",
					 json_rounded(tokens_per_word(use), 6), "unknown_share", json_rounded(unknown_share(use), 8),
					 "unused_tokens", (json_int_t) vocabulary_unused(use));
}

static json_t *
difference_json(const vocabulary_use *a, const vocabulary_use *b)
{
	json_t *list = json_array();
	size_t n, i;
	int32_t *ids = vocabulary_difference(a, b, &n);

	for (i = 0; i < n; i++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&a->tokenizer, ids[i], &bytes);

		json_array_append_new(list,
							  json_pack("{ss%, sI}", "token", token, bytes, "uses", (json_int_t) a->uses[ids[i]]));
	}
	free(ids);
	return list;
}

static json_t *
alphabet_json(const wordpiece_vocabulary *v)
{
	json_t *dropped = json_array();
	size_t i;

	for (i = 0; i < v->n_dropped; i++)
	{
		char character[8];

		encode(v->dropped[i].codepoint, character);
		json_array_append_new(dropped,
							  json_pack("{ss, sI}", "character", character, "count", (json_int_t) v->dropped[i].count));
	}
	return json_pack("{sI, so, sI}", "kept", (json_int_t) v->n_alphabet, "dropped", dropped, "dropped_occurrences",
					 (json_int_t) dropped_occurrences(v));
}

static void
report_json(const vocab_request *request, const vocab_result *result)
{
	const vocab_words *words = &result->words;
	const word_counts *counts = &words->counts;
	const wordpiece_vocabulary *v = &result->vocabulary;
	token_kinds kinds = count_kinds(v);
	json_t *report = json_object();

	json_object_set_new(report, "rows",
						json_pack("{sI, sI, sI, sI}", "read", (json_int_t) words->rows_read, "used",
								  (json_int_t) words->rows_used, "null_text", (json_int_t) words->null_text,
								  "empty_text", (json_int_t) words->empty_text));
	json_object_set_new(
		report, "words",
		json_pack("{sI, sI, sI, sI, sI, sI}", "read", (json_int_t) (counts->occurrences + words->too_long), "distinct",
				  (json_int_t) counts->n, "too_long", (json_int_t) words->too_long, "forgotten",
				  (json_int_t) counts->forgotten_words, "forgotten_occurrences",
				  (json_int_t) counts->forgotten_occurrences, "undercount", (json_int_t) counts->undercount));
	json_object_set_new(report, "alphabet", alphabet_json(v));
	json_object_set_new(report, "tokens",
						json_pack("{sI, sI, sI, sI, sI, sI, sI}", "total", (json_int_t) v->tokens.n, "special",
								  (json_int_t) kinds.special, "characters", (json_int_t) kinds.characters,
								  "continuing_characters", (json_int_t) kinds.continuing_characters, "beginnings",
								  (json_int_t) kinds.beginnings, "continuations", (json_int_t) kinds.continuations,
								  "last_pair_count", (json_int_t) v->last_count));
	json_object_set_new(report, "coverage", use_json(&result->use));
	if (request->compare != NULL)
		json_object_set_new(report, "compare",
							json_pack("{ss, sI, so, so, so}", "file", request->compare, "tokens",
									  (json_int_t) result->other.n_tokens, "coverage", use_json(&result->other),
									  "only_here", difference_json(&result->use, &result->other), "only_there",
									  difference_json(&result->other, &result->use)));
	json_print(report);
	json_decref(report);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void
print_dropped(const vocab_request *request, const wordpiece_vocabulary *v)
{
	uint64_t occurrences = dropped_occurrences(v);
	char number[32];
	size_t shown = v->n_dropped < request->max_listed ? v->n_dropped : request->max_listed, i;

	printf("Characters: %zu kept", v->n_alphabet);
	if (v->n_dropped == 0)
	{
		printf(", none dropped\n");
		return;
	}
	printf(", %zu dropped (--limit-alphabet), which were seen %s times:\n ", v->n_dropped,
		   format_count(number, sizeof(number), (long long) occurrences));
	for (i = 0; i < shown; i++)
	{
		char character[8];

		encode(v->dropped[i].codepoint, character);
		printf(" %s", character);
	}
	printf("%s\n", shown < v->n_dropped ? " ..." : "");
}

static void
print_use(const char *title, const vocabulary_use *use)
{
	char unknown[32];

	printf("%s: %.3f tokens a word; %s words are [UNK], %.4f %%; %zu tokens are never used\n", title,
		   tokens_per_word(use), format_count(unknown, sizeof(unknown), (long long) use->unknown),
		   100 * unknown_share(use), vocabulary_unused(use));
}

static void
print_difference(const char *title, const vocabulary_use *a, const vocabulary_use *b, size_t max_listed)
{
	size_t n, i;
	int32_t *ids = vocabulary_difference(a, b, &n);
	size_t shown = n < max_listed ? n : max_listed;

	printf("\n%s: %zu tokens%s\n", title, n, n > 0 ? ", with how often they are used" : "");
	for (i = 0; i < shown; i++)
	{
		size_t bytes;
		const char *token = mb_tokenizer_token(&a->tokenizer, ids[i], &bytes);
		char number[32];

		printf("  %12s  %.*s\n", format_count(number, sizeof(number), (long long) a->uses[ids[i]]), (int) bytes, token);
	}
	if (shown < n)
		printf("  %12s  %zu more (--all-tokens)\n", "", n - shown);
	free(ids);
}

static void
report_tables(const vocab_request *request, const vocab_result *result)
{
	const vocab_words *words = &result->words;
	const wordpiece_vocabulary *v = &result->vocabulary;
	token_kinds kinds = count_kinds(v);
	char total[32], distinct[32], number[32];

	printf("Words: %s, of which %s are distinct\n",
		   format_count(total, sizeof(total), (long long) (words->counts.occurrences + words->too_long)),
		   format_count(distinct, sizeof(distinct), (long long) words->counts.n));
	if (words->too_long > 0)
		printf("  %s of more than %d characters are [UNK] to the tokenizer, and were not learned from\n",
			   format_count(number, sizeof(number), (long long) words->too_long), MAX_WORD_CHARACTERS);
	print_dropped(request, v);
	printf("Tokens: %s\n", format_count(total, sizeof(total), (long long) v->tokens.n));
	printf("  %10s  special\n", format_count(number, sizeof(number), (long long) kinds.special));
	printf("  %10s  characters\n", format_count(number, sizeof(number), (long long) kinds.characters));
	printf("  %10s  characters inside words (##a)\n",
		   format_count(number, sizeof(number), (long long) kinds.continuing_characters));
	printf("  %10s  words and beginnings of words\n",
		   format_count(number, sizeof(number), (long long) kinds.beginnings));
	printf("  %10s  continuations (##ing)\n", format_count(number, sizeof(number), (long long) kinds.continuations));
	if (v->last_count > 0)
		printf("  the last pair merged was seen %s times\n",
			   format_count(number, sizeof(number), (long long) v->last_count));
	print_use("On these words", &result->use);
	if (request->compare == NULL)
		return;
	printf("\nCompared with \"%s\" (%s tokens)\n", request->compare,
		   format_count(number, sizeof(number), (long long) result->other.n_tokens));
	print_use("On the same words", &result->other);
	print_difference("Only here", &result->use, &result->other, request->max_listed);
	print_difference("Only there", &result->other, &result->use, request->max_listed);
}

void
vocab_report(const vocab_request *request, const vocab_result *result)
{
	if (request->as_json)
		report_json(request, result);
	else
		report_tables(request, result);
}
