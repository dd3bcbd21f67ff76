/* options.c - the options table: parse, check, explain. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define MAX_SUGGEST_LENGTH 40

/* Damerau-Levenshtein distance (adjacent transpositions), as far as it matters for words a person types. */
static int
edit_distance(const char *a, const char *b)
{
	int rows[3][MAX_SUGGEST_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);
	size_t i, j;

	if (n > MAX_SUGGEST_LENGTH || m > MAX_SUGGEST_LENGTH)
		return MAX_SUGGEST_LENGTH;
	for (j = 0; j <= m; j++)
		rows[0][j] = (int) j;
	for (i = 1; i <= n; i++)
	{
		int *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = (int) i;
		for (j = 1; j <= m; j++)
		{
			int best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[n % 3][m];
}

const char *
options_suggest(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	int best_distance = MAX_SUGGEST_LENGTH;
	size_t length = strlen(word);
	size_t i;

	for (i = 0; i < n; i++)
	{
		int distance = edit_distance(word, candidates[i]);

		/* A beginning of the word ("valid" for "validation") is near, however short. */
		if (length >= 3 && strncmp(word, candidates[i], length) == 0)
			distance = 1;
		if (distance < best_distance)
		{
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best_distance <= 1 + (int) (length / 4) ? best : NULL;
}

static void
print_indented(FILE *out, const char *text, int indent)
{
	bool first = true;

	while (*text != '\0')
	{
		size_t line = strcspn(text, "\n");

		fprintf(out, "%*s%.*s\n", first ? 0 : indent, "", (int) line, text);
		first = false;
		text += line + (text[line] == '\n');
	}
}

void
options_help(const command_spec *command, const option_spec *options)
{
	const option_spec *o;

	printf("moviebert %s - %s\n\n", command->name, command->summary);
	printf("Usage:\n  moviebert %s %s%s[options]\n\n", command->name, command->operands,
		   command->operands[0] != '\0' ? " " : "");
	printf("%s\n", command->description);
	for (o = options; o->kind != OPTION_HEADING || o->help != NULL; o++)
	{
		char left[96];

		if (o->kind == OPTION_HEADING)
		{
			printf("\n%s:\n", o->help);
			continue;
		}
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->short_name != 0 ? '-' : ' ',
				 o->short_name != 0 ? o->short_name : ' ', o->short_name != 0 ? "," : " ", o->name,
				 o->argument != NULL ? "=" : "", o->argument != NULL ? o->argument : "");
		printf("  %-30s ", left);
		if (strlen(left) > 30)
			printf("\n%33s", "");
		print_indented(stdout, o->help, 33);
	}
	printf("  %-30s show this help\n", "    --help");
	if (command->examples != NULL)
		printf("\nExamples:\n%s", command->examples);
	printf(
		"\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 no connection or no matching extension, 130 interrupted.\n");
}

static int
usage_error(const command_spec *command, const char *hint)
{
	if (hint != NULL)
		fprintf(stderr, "HINT:  %s\n", hint);
	else
		fprintf(stderr, "HINT:  Try \"moviebert %s --help\".\n", command->name);
	return TOOL_USAGE;
}

static const option_spec *
find_long(const option_spec *options, const char *name, size_t length)
{
	for (; options->kind != OPTION_HEADING || options->help != NULL; options++)
		if (options->name != NULL && strlen(options->name) == length && strncmp(options->name, name, length) == 0)
			return options;
	return NULL;
}

static const option_spec *
find_short(const option_spec *options, char name)
{
	for (; options->kind != OPTION_HEADING || options->help != NULL; options++)
		if (options->short_name != 0 && options->short_name == name)
			return options;
	return NULL;
}

static int
unknown_option(const command_spec *command, const option_spec *options, const char *name, size_t length)
{
	const char *names[128];
	char word[64];
	char hint[160];
	const char *near;
	size_t n = 0;

	for (; options->kind != OPTION_HEADING || options->help != NULL; options++)
		if (options->name != NULL && n < sizeof(names) / sizeof(names[0]) - 1)
			names[n++] = options->name;
	names[n++] = "help";
	snprintf(word, sizeof(word), "%.*s", (int) (length < 60 ? length : 60), name);
	fprintf(stderr, "moviebert: error: unknown option \"--%s\" of \"moviebert %s\"\n", word, command->name);
	near = options_suggest(word, names, n);
	if (near == NULL)
		return usage_error(command, NULL);
	snprintf(hint, sizeof(hint), "Perhaps you meant \"--%s\".", near);
	return usage_error(command, hint);
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t length = strlen(value);

	while (*choices != '\0')
	{
		size_t one = strcspn(choices, "|");

		if (one == length && strncmp(choices, value, one) == 0)
			return true;
		choices += one + (choices[one] == '|');
	}
	return false;
}

static int
set_value(const command_spec *command, const option_spec *option, const char *value)
{
	char *end;

	switch (option->kind)
	{
		case OPTION_HEADING:
		case OPTION_FLAG:
			break;
		case OPTION_STRING:
			*(const char **) option->target = value;
			break;
		case OPTION_CHOICE:
			if (!is_choice(option->choices, value))
			{
				fprintf(stderr, "moviebert: error: invalid value \"%s\" for option \"--%s\"\n", value, option->name);
				fprintf(stderr, "DETAIL:  It is one of %s.\n", option->choices);
				return usage_error(command, NULL);
			}
			*(const char **) option->target = value;
			break;
		case OPTION_INTEGER:
		{
			long long number;

			errno = 0;
			number = strtoll(value, &end, 10);
			if (end == value || *end != '\0' || errno != 0 || (double) number < option->minimum ||
				(double) number > option->maximum)
			{
				fprintf(stderr, "moviebert: error: invalid value \"%s\" for option \"--%s\"\n", value, option->name);
				fprintf(stderr, "DETAIL:  It is a whole number from %.0f to %.0f.\n", option->minimum, option->maximum);
				return usage_error(command, NULL);
			}
			*(int64_t *) option->target = number;
			break;
		}
		case OPTION_REAL:
		{
			double number;

			errno = 0;
			number = strtod(value, &end);
			if (end == value || *end != '\0' || !isfinite(number) || number < option->minimum ||
				number > option->maximum)
			{
				fprintf(stderr, "moviebert: error: invalid value \"%s\" for option \"--%s\"\n", value, option->name);
				fprintf(stderr, "DETAIL:  It is a number from %g to %g.\n", option->minimum, option->maximum);
				return usage_error(command, NULL);
			}
			*(double *) option->target = number;
			break;
		}
	}
	return -1;
}

int
options_parse(const command_spec *command, const option_spec *options, int argc, char **argv, const char **operands)
{
	int n_operands = 0;
	bool only_operands = false;
	int i;

	for (i = 0; i < command->max_operands; i++)
		operands[i] = NULL;
	for (i = 1; i < argc; i++)
	{
		const char *word = argv[i];
		const option_spec *option = NULL;
		const char *value = NULL;
		int code;

		if (only_operands || word[0] != '-' || word[1] == '\0')
		{
			if (n_operands >= command->max_operands)
			{
				fprintf(stderr, "moviebert: error: unexpected argument \"%s\"\n", word);
				return usage_error(command, NULL);
			}
			operands[n_operands++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0)
		{
			only_operands = true;
			continue;
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0)
		{
			options_help(command, options);
			return TOOL_OK;
		}
		if (word[1] == '-')
		{
			size_t length = strcspn(word + 2, "=");

			option = find_long(options, word + 2, length);
			if (option == NULL)
				return unknown_option(command, options, word + 2, length);
			if (word[2 + length] == '=')
				value = word + 2 + length + 1;
		}
		else
		{
			option = find_short(options, word[1]);
			if (option == NULL)
			{
				fprintf(stderr, "moviebert: error: unknown option \"%.2s\" of \"moviebert %s\"\n", word, command->name);
				return usage_error(command, NULL);
			}
			if (word[2] != '\0')
				value = word + 2;
		}
		if (option->kind == OPTION_FLAG)
		{
			if (value != NULL)
			{
				fprintf(stderr, "moviebert: error: option \"--%s\" takes no value\n", option->name);
				return usage_error(command, NULL);
			}
			*(bool *) option->target = true;
			continue;
		}
		if (value == NULL)
		{
			if (i + 1 >= argc)
			{
				fprintf(stderr, "moviebert: error: option \"--%s\" needs a value\n", option->name);
				return usage_error(command, NULL);
			}
			value = argv[++i];
		}
		code = set_value(command, option, value);
		if (code >= 0)
			return code;
	}
	if (n_operands < command->min_operands)
	{
		fprintf(stderr, "moviebert: error: missing argument: %s\n", command->operands);
		return usage_error(command, NULL);
	}
	return -1;
}
