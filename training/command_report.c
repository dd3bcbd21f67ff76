/* command_report.c - moviebert report: the page of a training run, made again from its files. */
#include "commands.h"

#include <stdio.h>

#include "report.h"
#include "report_html.h"

static int
run(int argc, char **argv)
{
	const char *folder, *output = NULL;
	const option_spec options[] = {OPTION_HELP_HEADING("Options"),
								   {OPTION_STRING, "output", 'o', "FILE", NULL, &output, 0, 0,
									"the page to write (default: report.html in the run's folder)"},
								   OPTION_END};
	mb_error err = {0};
	int code = options_parse(&command_report, options, argc, argv, &folder);

	if (code >= 0)
		return code;
	if (report_html_write_to(folder, output, &err) != MB_OK)
		return report_error(&err);
	if (output != NULL)
		printf("Wrote \"%s\".\n", output);
	else
		printf("Wrote report.html in \"%s\".\n", folder);
	return TOOL_OK;
}

const command_spec command_report = {
	"report",
	"RUN_FOLDER",
	1,
	1,
	"show a training run as one HTML page",
	"Makes a page of a run's manifest.json and metrics.jsonl: curves of loss, "
	"accuracy, learning rate and speed, each\n"
	"tag's figures, reliability, and how the run was started.  The page loads "
	"nothing and runs no script; it can be sent\n"
	"as it is.  Training makes it at its end; this command makes it of a run that still goes on, or was cut off.",
	"  moviebert report tags.safetensors.run\n  moviebert report movies.safetensors.run -o movies.html\n",
	run};
