/*
 * options.h - command lines from one table per command: parsing, checking and --help all read the same lines.
 */
#ifndef MOVIEBERT_TOOL_OPTIONS_H
#define MOVIEBERT_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_kind
{
	OPTION_HEADING, /* a line of --help; help holds the text */
	OPTION_FLAG,    /* bool *          */
	OPTION_STRING,  /* const char **   */
	OPTION_CHOICE,  /* const char **   one of choices, "a|b|c" */
	OPTION_INTEGER, /* int64_t *       minimum <= value <= maximum */
	OPTION_REAL     /* double *        minimum <= value <= maximum */
} option_kind;

typedef struct option_spec
{
	option_kind kind;
	const char *name;     /* without the dashes */
	char short_name;      /* 0: none */
	const char *argument; /* how --help calls the value; NULL for flags */
	const char *choices;
	void *target;
	double minimum;
	double maximum;
	const char *help; /* lines separated by \n */
} option_spec;

#define OPTION_HELP_HEADING(text)                                                                                      \
	{                                                                                                                  \
		OPTION_HEADING, NULL, 0, NULL, NULL, NULL, 0, 0, text                                                          \
	}
#define OPTION_END                                                                                                     \
	{                                                                                                                  \
		OPTION_HEADING, NULL, 0, NULL, NULL, NULL, 0, 0, NULL                                                          \
	}

typedef struct command_spec
{
	const char *name;
	const char *operands; /* "FOLDER", or "" */
	int min_operands;
	int max_operands;
	const char *summary;     /* one line for the list of commands */
	const char *description; /* paragraphs for --help */
	const char *examples;    /* lines, or NULL */
	int (*run)(int argc, char **argv);
} command_spec;

/*
 * Parses argv[1..argc).  operands[0..max_operands) receives what is not an option (NULL where absent).  Returns -1 to
 * go on, or the exit code to leave with (after --help, or after an error that has been reported).
 */
int options_parse(const command_spec *command, const option_spec *options, int argc, char **argv,
				  const char **operands);

void options_help(const command_spec *command, const option_spec *options);

/* The word of `candidates` that `word` most looks like, or NULL if none is near (edit distance with transpositions). */
const char *options_suggest(const char *word, const char *const *candidates, size_t n);

#endif
