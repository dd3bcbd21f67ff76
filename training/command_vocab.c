/*
 * command_vocab.c - moviebert vocab: a query's texts become a WordPiece vocabulary.
 *
 * Count words, train, see what the vocabulary makes of them, write it.
 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "connection.h"
#include "interrupt.h"
#include "memory.h"
#include "output_file.h"
#include "progress.h"
#include "query_rows.h"
#include "report.h"
#include "vocab.h"

static const char *const special_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

#define N_SPECIAL (sizeof(special_tokens) / sizeof(special_tokens[0]))

/* What the table of words and the merging of them take together: measured on words that are all different. */
#define BYTES_PER_WORD 310.0

static void
training_progress(void *arg, size_t n_tokens)
{
	progress_update(arg, n_tokens);
}

static void
report_plan(const vocab_request *request, PGconn *connection)
{
	char size[32], rows[32], words[32], memory[32];
	int64_t expected = query_rows_estimate(connection, request->query);

	report_note("Plan: %s tokens, %s, accents %s, from %s%s rows%s",
				format_count(size, sizeof(size), (long long) request->training.size),
				request->split.lowercase ? "lower case" : "cased", request->split.strip_accents ? "stripped" : "kept",
				expected >= 0 ? "about " : "the query's",
				expected >= 0 ? format_count(rows, sizeof(rows), (long long) expected) : "",
				expected >= 0 ? " (the server's estimate)" : "");
	report_note("  rows are read one by one; at most %s distinct words are held, in at most %s of memory",
				format_count(words, sizeof(words), (long long) request->max_words),
				format_bytes(memory, sizeof(memory), BYTES_PER_WORD * (double) request->max_words));
}

/* The vocabulary as a vocab.txt. */
static string_buffer
vocab_text(const wordpiece_vocabulary *vocabulary)
{
	string_buffer text = {0};
	size_t i;

	for (i = 0; i < vocabulary->tokens.n; i++)
		string_printf(&text, "%s\n", vocabulary->tokens.names[i]);
	return text;
}

static mb_status
train(vocab_result *result, const vocab_request *request, mb_error *err)
{
	wordpiece_options how = request->training;
	string_buffer text = {0};
	progress bar;
	mb_status status;

	progress_start(&bar, "Merging", "tokens", how.size, request->silent);
	how.progress = training_progress;
	how.progress_arg = &bar;
	status = wordpiece_train(&result->vocabulary, &result->words.counts, &how, err);
	if (status != MB_OK)
		return status;
	progress_finish(&bar, result->vocabulary.tokens.n);
	if (result->vocabulary.tokens.n < how.size)
		report_warning("only %zu tokens: no further pair of neighbours was seen %lld times",
					   result->vocabulary.tokens.n, (long long) how.min_frequency);
	text = vocab_text(&result->vocabulary);
	status = vocabulary_use_count(&result->use, text.data, text.size, &result->words.counts, result->words.too_long,
								  &tool_interrupt, err);
	if (status == MB_OK && request->compare != NULL)
		status = vocabulary_use_read(&result->other, request->compare, &result->words.counts, result->words.too_long,
									 &tool_interrupt, err);
	if (status == MB_OK && interrupt_requested())
		status = mb_fail(err, MB_CANCELLED, "interrupted");
	if (status == MB_OK)
		status = output_file_write(request->output, text.data, text.size, err);
	string_release(&text);
	return status;
}

/* What can be known to fail is found before the rows are read. */
static mb_status
check_files(const vocab_request *request, mb_error *err)
{
	const word_counts no_words = {0};
	vocabulary_use other = {0};
	mb_status status = output_file_check(request->output, err);

	if (status == MB_OK && request->compare != NULL)
		status = vocabulary_use_read(&other, request->compare, &no_words, 0, &tool_interrupt, err);
	vocabulary_use_release(&other);
	return status;
}

static int
make_vocabulary(const vocab_request *request, const connection_options *where)
{
	PGconn *connection = NULL;
	char *schema = NULL;
	vocab_result result = {0};
	mb_error err = {0};
	mb_status status = check_files(request, &err);
	int code;

	if (status != MB_OK)
		return report_error(&err);
	code = connection_open(where, &connection);
	if (code == TOOL_OK)
		code = connection_handshake(connection, false, &schema);
	free(schema);
	if (code != TOOL_OK)
	{
		connection_close(connection);
		return code;
	}
	report_plan(request, connection);
	status = vocab_words_read(&result.words, connection, request, &err);
	connection_close(connection);
	if (status == MB_OK)
		status = train(&result, request, &err);
	if (status == MB_OK)
	{
		vocab_report(request, &result);
		if (!request->as_json)
			printf("\nWrote \"%s\".\n", request->output);
	}
	vocabulary_use_release(&result.use);
	vocabulary_use_release(&result.other);
	wordpiece_vocabulary_release(&result.vocabulary);
	vocab_words_release(&result.words);
	return status == MB_OK ? TOOL_OK : report_error(&err);
}

static int
run(int argc, char **argv)
{
	vocab_request request = {0};
	connection_options where = {0};
	int64_t size = 8192, min_frequency = 2, limit_alphabet = 1000, max_words = 3000000;
	bool lowercase = false, cased = false, keep_accents = false, all_tokens = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("The rows"),
		{OPTION_STRING, "query", 'q', "SQL", NULL, &request.query, 0, 0, "a SELECT that gives texts (required)"},
		{OPTION_STRING, "text", 0, "COLUMN", NULL, &request.text_column, 0, 0,
		 "its text column (default: the first that is text)"},
		OPTION_HELP_HEADING("The vocabulary"),
		{OPTION_STRING, "output", 'o', "FILE", NULL, &request.output, 0, 0, "the vocab.txt to write (required)"},
		{OPTION_INTEGER, "size", 0, "N", NULL, &size, 6, 1 << 24,
		 "tokens (default 8192; BERT has 30,522).  Small models and small corpora want\n"
		 "fewer: each is a row of the embedding matrix"},
		{OPTION_INTEGER, "min-frequency", 0, "N", NULL, &min_frequency, 1, 9e15,
		 "pairs seen less often are not merged (default 2)"},
		{OPTION_INTEGER, "limit-alphabet", 0, "N", NULL, &limit_alphabet, 1, 0x110000,
		 "at most so many different characters, the most frequent (default 1000);\nwords with others become [UNK]"},
		{OPTION_FLAG, "lowercase", 0, NULL, NULL, &lowercase, 0, 0,
		 "as BERT uncased: lower case, accents stripped (the default)"},
		{OPTION_FLAG, "cased", 0, NULL, NULL, &cased, 0, 0, "as BERT cased: capitals and accents are kept"},
		{OPTION_FLAG, "keep-accents", 0, NULL, NULL, &keep_accents, 0, 0, "keep accents in lower case too"},
		{OPTION_INTEGER, "max-words", 0, "N", NULL, &max_words, 1000, 4e8,
		 "distinct words held at once (default 3,000,000); when they are more, the rarest\nare forgotten, and counted"},
		OPTION_HELP_HEADING("Output"),
		{OPTION_STRING, "compare", 0, "VOCAB.TXT", NULL, &request.compare, 0, 0,
		 "tell which tokens each vocabulary has that the other lacks"},
		{OPTION_FLAG, "all-tokens", 0, NULL, NULL, &all_tokens, 0, 0,
		 "list them all, not only the first 25; and all characters dropped"},
		{OPTION_FLAG, "json", 0, NULL, NULL, &request.as_json, 0, 0, "print JSON instead of tables"},
		{OPTION_FLAG, "quiet", 0, NULL, NULL, &request.silent, 0, 0, "no progress and no notes"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	int code = options_parse(&command_vocab, options, argc, argv, NULL);

	if (code >= 0)
		return code;
	if (request.query == NULL)
		return report_failure(TOOL_USAGE, "Add --query=\"SELECT plot FROM movies\".", "vocab needs a query");
	if (request.output == NULL)
		return report_failure(TOOL_USAGE, "Add -o FILE.", "vocab needs the name of the vocabulary to write");
	if (lowercase && cased)
		return report_failure(TOOL_USAGE, "Leave one of them out.", "--lowercase and --cased contradict each other");
	report_quiet(request.silent);
	request.split = mb_tokenizer_options_default();
	request.split.lowercase = !cased;
	request.split.strip_accents = !cased && !keep_accents;
	request.split.max_chars_per_word = MAX_WORD_CHARACTERS;
	request.training.size = (size_t) size;
	request.training.min_frequency = (uint64_t) min_frequency;
	request.training.limit_alphabet = (size_t) limit_alphabet;
	request.training.special_tokens = special_tokens;
	request.training.n_special = N_SPECIAL;
	request.training.interrupt = &tool_interrupt;
	request.max_words = (size_t) max_words;
	request.max_listed = all_tokens ? SIZE_MAX : 25;
	return make_vocabulary(&request, &where);
}

const command_spec command_vocab = {
	"vocab",
	"",
	0,
	0,
	"train a WordPiece vocabulary on the texts of a query",
	"Splits texts into words as BERT's tokenizer does, counts them, and merges "
	"the most frequent pairs of pieces until\n"
	"there are enough tokens: the algorithm, options and order of tokens of "
	"Hugging Face's WordPieceTrainer, with its\n"
	"choices by chance replaced by fixed ones: the same rows, in whatever order, always give the same bytes.\n"
	"The vocab.txt is for a model trained with the same choice of --lowercase, --cased and --keep-accents.\n"
	"Texts that are NULL or empty are counted and left out.  Words of more than 100 characters are [UNK] to the\n"
	"tokenizer, and are not learned from.",
	"  moviebert vocab -d mydb --query \"SELECT plot FROM movies\" --size=8192 -o vocab.txt\n"
	"  moviebert vocab -d mydb --query \"SELECT plot FROM movies\" --size=30522 -o vocab.txt \\\n"
	"      --compare bert-base-uncased/vocab.txt\n",
	run};
