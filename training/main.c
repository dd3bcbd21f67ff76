/* main.c - moviebert: the table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blas.h"
#include "commands.h"
#include "interrupt.h"
#include "report.h"

static const command_spec *const commands[] = {&command_import,   &command_info,     &command_install,
											   &command_export,   &command_vocab,    &command_pretrain,
											   &command_finetune, &command_evaluate, &command_compare,
											   &command_report};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_help(void)
{
	size_t i;

	printf("moviebert - bring, train and install BERT models for PostgreSQL\n\n"
		   "Usage:\n  moviebert COMMAND [options]\n\nCommands:\n");
	for (i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n  moviebert COMMAND --help   explains a command\n"
		   "  moviebert --version        shows the version\n\n"
		   "From a checkpoint to tags in SQL:\n"
		   "  moviebert import ./all-MiniLM-L6-v2 -o base.safetensors\n"
		   "  moviebert finetune --model base.safetensors -d mydb -o tags.safetensors \\\n"
		   "      --query \"SELECT plot, tags FROM movies WHERE tags IS NOT NULL\"\n"
		   "  moviebert install tags.safetensors --name tags --default -d mydb\n"
		   "  psql mydb -c \"SELECT title, bert_tags(plot) FROM movies\"\n");
}

static int
run_command(int argc, char **argv)
{
	const char *names[N_COMMANDS];
	char hint[160] = "Try \"moviebert --help\".";
	const char *near;
	size_t i;

	if (argc < 2)
	{
		print_help();
		return TOOL_USAGE;
	}
	/* -h stands for the host behind a command, as in psql; before one there is no host to name. */
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-?") == 0 ||
		strcmp(argv[1], "help") == 0)
	{
		print_help();
		return TOOL_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
	{
		printf("moviebert %s\n", MOVIEBERT_VERSION);
		return TOOL_OK;
	}
	for (i = 0; i < N_COMMANDS; i++)
	{
		names[i] = commands[i]->name;
		if (strcmp(argv[1], names[i]) != 0)
			continue;
		if (commands[i] == &command_finetune || commands[i] == &command_pretrain)
			blas_prepare(argv);
		interrupt_install();
		return commands[i]->run(argc - 1, argv + 1);
	}
	near = options_suggest(argv[1], names, N_COMMANDS);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "Perhaps you meant \"moviebert %s\".", near);
	return report_failure(TOOL_USAGE, hint, "unknown command \"%s\"", argv[1]);
}

/* What was printed may still be on its way: a disk that is full is found out here.  A reader who has seen enough is none. */
static int
finish_output(int code)
{
	int error;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	error = errno;
	if (error == EPIPE)
		return code;
	return report_failure(code == TOOL_OK ? TOOL_FAILED : code, NULL, "could not write to standard output%s%s",
						  error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

int
main(int argc, char **argv)
{
	return finish_output(run_command(argc, argv));
}
