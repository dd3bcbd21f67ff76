/*
 * run_folder.h - the files of a run's folder (run.h lists them): the manifest, metrics.jsonl, log.txt, and a lock.
 */
#ifndef MOVIEBERT_TOOL_RUN_FOLDER_H
#define MOVIEBERT_TOOL_RUN_FOLDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "moviebert/status.h"

#define RUN_MANIFEST "manifest.json"
#define RUN_METRICS "metrics.jsonl"
#define RUN_CHECKPOINT "checkpoint"
#define RUN_BEST "best"
#define RUN_LOG "log.txt"

typedef enum run_opening
{
	RUN_NEW,    /* refuses a folder that holds a run */
	RUN_RESUME, /* refuses one that does not */
	RUN_RESTART /* removes what a run left there */
} run_opening;

/*
 * Makes the folder if need be, takes it for this process (another that trains in it is an error), and lets what is said
 * on stderr also go to its log.txt.  Until run_folder_close.
 */
mb_status run_folder_open(const char *folder, run_opening how, mb_error *err);
void run_folder_close(void);

char *run_folder_file(const char *folder, const char *name); /* "folder/name", the caller's to free */
bool run_folder_has(const char *folder, const char *name);

/* The command line as a shell would take it, without passwords; argv[0] is the command's name. */
char *run_command_line(int argc, char **argv, const char *more);

/* What every manifest begins with: command line, time, versions, CPU, BLAS core, kernels.  server: its version, or
 * NULL. */
json_t *run_manifest_start(const char *command_line, const char *server);
mb_status run_manifest_write(const char *folder, const json_t *manifest, mb_error *err);
mb_status run_manifest_read(const char *folder, json_t **manifest, mb_error *err);

#define RUN_SAME_OPTIONS_HINT                                                                                          \
	"Give the options that it was started with (manifest.json has them), or another folder with --run."

/*
 * For a run that is to go on: takes `now`, whose members must be those of `then`, an object of its manifest, as far as
 * that has them; but for some that may change (NULL: none), up to a NULL.  Error: MB_INVALID_ARGUMENT, with the first.
 */
mb_status run_manifest_check(const char *folder, const json_t *then, json_t *now, const char *const *may_change,
							 mb_error *err);

/* metrics.jsonl, open for appending. */
typedef struct run_metrics
{
	FILE *file;
	char *path;
} run_metrics;

/* Cut to its first `keep` bytes, or anew with 0. */
mb_status run_metrics_open(run_metrics *metrics, const char *folder, int64_t keep, mb_error *err);
mb_status run_metrics_add(run_metrics *metrics, json_t *line, mb_error *err); /* takes line */
/* On disk; *bytes: its length now. */
mb_status run_metrics_sync(run_metrics *metrics, int64_t *bytes, mb_error *err);
void run_metrics_close(run_metrics *metrics);

/* For what a command adds after the run ("final"): opens, adds, closes.  Takes line. */
mb_status run_metrics_append(const char *folder, json_t *line, mb_error *err);

#endif
