/* run_folder.c - the folder of a run, and what is written there as it goes. */
#include "run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "blas.h"
#include "memory.h"
#include "moviebert/encoder.h"
#include "output_file.h"
#include "report.h"

static FILE *log_file; /* locked: it is the folder's */

char *
run_folder_file(const char *folder, const char *name)
{
	string_buffer path = {0};

	string_printf(&path, "%s/%s", folder, name);
	return path.data;
}

bool
run_folder_has(const char *folder, const char *name)
{
	char *path = run_folder_file(folder, name);
	bool has = access(path, F_OK) == 0;

	free(path);
	return has;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static const char *const run_files[] = {RUN_MANIFEST,          RUN_METRICS,        RUN_CHECKPOINT,  RUN_BEST,
										"tokens.store",        "validation.store", "rows.store",    "start.safetensors",
										"encoder.safetensors", "vectors.cache",    "teacher.cache", "report.html"};

#define N_RUN_FILES (sizeof(run_files) / sizeof(run_files[0]))

static mb_status
remove_run(const char *folder, mb_error *err)
{
	size_t i;

	for (i = 0; i < N_RUN_FILES; i++)
	{
		char *path = run_folder_file(folder, run_files[i]);
		mb_status status = MB_OK;

		if (unlink(path) != 0 && errno != ENOENT)
			status = mb_fail_system(err, errno, "could not remove \"%.250s\"", path);
		free(path);
		if (status != MB_OK)
			return status;
	}
	return MB_OK;
}

static mb_status
check_contents(const char *folder, run_opening how, mb_error *err)
{
	bool has = run_folder_has(folder, RUN_MANIFEST);

	if (how == RUN_RESTART)
		return remove_run(folder, err);
	if (how == RUN_NEW && (has || run_folder_has(folder, RUN_CHECKPOINT)))
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "folder \"%.250s\" holds a run", folder);
		mb_hint(err, "Add --resume to go on with it, --restart to begin anew, or name another folder with --run.");
		return MB_INVALID_ARGUMENT;
	}
	if (how == RUN_RESUME && !has)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "folder \"%.250s\" holds no run to resume", folder);
		mb_hint(err, "A run can be resumed once its rows have been read; start it without --resume.");
		return MB_INVALID_ARGUMENT;
	}
	return MB_OK;
}

mb_status
run_folder_open(const char *folder, run_opening how, mb_error *err)
{
	char *path;
	FILE *opened = NULL;
	int fd;
	mb_status status;

	if (how != RUN_RESUME && mkdir(folder, 0777) != 0 && errno != EEXIST)
		return mb_fail_system(err, errno, "could not create folder \"%.250s\"", folder);
	if (how == RUN_RESUME && access(folder, F_OK) != 0)
		return check_contents(folder, how, err);
	path = run_folder_file(folder, RUN_LOG);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
	{
		status = mb_fail_system(err, errno, "could not open \"%.250s\"", path);
		free(path);
		return status;
	}
	free(path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		status = mb_fail(err, MB_INVALID_ARGUMENT, "another process is training in folder \"%.250s\"", folder);
		mb_hint(err, "Wait until it has ended, or name another folder with --run.");
	}
	else
		status = check_contents(folder, how, err);
	if (status == MB_OK && how == RUN_RESTART && ftruncate(fd, 0) != 0)
		status = mb_fail_system(err, errno, "could not empty \"%.240s/" RUN_LOG "\"", folder);
	if (status == MB_OK)
		opened = fdopen(fd, "a");
	if (opened == NULL)
	{
		close(fd);
		return status != MB_OK ? status : mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while opening a folder");
	}
	setvbuf(opened, NULL, _IOLBF, 0);
	log_file = opened;
	report_copy_to(opened);
	return MB_OK;
}

void
run_folder_close(void)
{
	report_copy_to(NULL);
	if (log_file != NULL)
		fclose(log_file);
	log_file = NULL;
}

/* ---- the manifest ------------------------------------------------------------------------------------------------ */

/* Where the value of a conninfo string's password begins, or NULL. */
static const char *
password_value(const char *word)
{
	const char *value = strstr(word, "password");

	if (value == NULL)
		return NULL;
	value += strlen("password");
	value += strspn(value, " ");
	if (*value++ != '=')
		return NULL;
	return value + strspn(value, " ");
}

/* The end of a value: quoted, with backslashes, or up to what ends it in a conninfo string or a URI. */
static const char *
value_end(const char *value)
{
	bool quoted = *value == '\'';

	value += quoted;
	while (*value != '\0' && (quoted ? *value != '\'' : *value != ' ' && *value != '&'))
		value += value[0] == '\\' && value[1] != '\0' ? 2 : 1;
	return value + (quoted && *value != '\0');
}

/* 'word' where a shell would take it apart; passwords in conninfo strings and URIs become "***". */
static void
add_word(string_buffer *line, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";
	const char *password = password_value(word);
	const char *scheme = strstr(word, "://");
	const char *at = scheme != NULL ? strchr(scheme, '@') : NULL;
	const char *colon = at != NULL ? memchr(scheme + 3, ':', (size_t) (at - scheme - 3)) : NULL;
	bool quoted = word[0] == '\0' || word[strspn(word, plain)] != '\0' || password != NULL || colon != NULL;
	const char *c = word;

	if (quoted)
		string_add(line, "'", 1);
	while (*c != '\0')
		if (c == password)
		{
			string_add(line, "***", 3);
			c = value_end(c);
			password = NULL;
		}
		else if (c == colon)
		{
			string_add(line, ":***", 4);
			c = at;
		}
		else
		{
			string_add(line, *c == '\'' ? "'\\''" : c, *c == '\'' ? 4 : 1);
			c++;
		}
	if (quoted)
		string_add(line, "'", 1);
}

char *
run_command_line(int argc, char **argv, const char *more)
{
	string_buffer line = {0};
	int i;

	string_add(&line, "moviebert", 9);
	for (i = 0; i < argc; i++)
	{
		if (more != NULL && (strcmp(argv[i], "--resume") == 0 || strcmp(argv[i], "--restart") == 0))
			continue;
		string_add(&line, " ", 1);
		add_word(&line, argv[i]);
	}
	if (more != NULL)
		string_printf(&line, " %s", more);
	return line.data;
}

/* As the kernel names it, or the machine's architecture. */
static char *
cpu_name(void)
{
	FILE *info = fopen("/proc/cpuinfo", "r");
	char line[256];
	char *name = NULL;

	while (name == NULL && info != NULL && fgets(line, sizeof(line), info) != NULL)
	{
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) == 0 && value != NULL)
			name = copy_bytes(value + 2, strcspn(value + 2, "\n"));
	}
	if (info != NULL)
		fclose(info);
	return name != NULL ? name : copy_string("unknown");
}

json_t *
run_manifest_start(const char *command_line, const char *server)
{
	char *cpu = cpu_name();
	char now[32];
	time_t seconds = time(NULL);
	struct tm utc;
	json_t *manifest;

	gmtime_r(&seconds, &utc);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
	manifest = json_pack("{s:i, s:s, s:s, s:s, s:i, s:s, s:s, s:{s:s, s:s, s:s*, s:i}}", "format", 1, "command",
						 command_line, "started", now, "cpu", cpu, "cpus", (int) sysconf(_SC_NPROCESSORS_ONLN),
						 "blas_core", blas_core_name(), "kernels", mb_kernel_name(), "versions", "moviebert",
						 MOVIEBERT_VERSION, "compiler", __VERSION__, "server", server, "libpq", PQlibVersion());
	free(cpu);
	return manifest;
}

mb_status
run_manifest_write(const char *folder, const json_t *manifest, mb_error *err)
{
	char *path = run_folder_file(folder, RUN_MANIFEST);
	char *text = json_dumps(manifest, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	string_buffer file = {0};
	mb_status status;

	if (text == NULL)
		status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while writing a manifest");
	else
	{
		string_printf(&file, "%s\n", text);
		status = output_file_write(path, file.data, file.size, err);
	}
	string_release(&file);
	free(text);
	free(path);
	return status;
}

mb_status
run_manifest_read(const char *folder, json_t **manifest, mb_error *err)
{
	char *path = run_folder_file(folder, RUN_MANIFEST);
	json_error_t error;
	mb_status status = MB_OK;

	*manifest = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(*manifest))
	{
		json_decref(*manifest);
		*manifest = NULL;
		status = mb_fail(err, MB_CORRUPT, "\"%.250s\" is not a manifest", path);
		mb_detail(err, "%s.", error.text);
	}
	free(path);
	return status;
}

/* The manifest's numbers have 15 digits. */
static bool
is_same(const json_t *a, const json_t *b)
{
	double x = json_number_value(a), y = json_number_value(b);

	return json_is_real(a) && json_is_real(b) ? fabs(x - y) <= 1e-12 * fabs(y) : json_equal(a, b);
}

mb_status
run_manifest_check(const char *folder, const json_t *then, json_t *now, const char *const *may_change, mb_error *err)
{
	mb_status status = MB_OK;
	const char *key;
	json_t *value;

	json_object_foreach(now, key, value)
	{
		const json_t *before = json_object_get(then, key);
		const char *const *other = may_change;
		char *is, *would_be;

		while (other != NULL && *other != NULL && strcmp(*other, key) != 0)
			other++;
		if ((other != NULL && *other != NULL) || before == NULL || is_same(before, value))
			continue;
		is = json_dumps(before, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
		would_be = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
		status = mb_fail(err, MB_INVALID_ARGUMENT, "the run in \"%.250s\" is of other options", folder);
		mb_detail(err, "Its %s is %.100s, not %.100s.", key, is, would_be);
		mb_hint(err, RUN_SAME_OPTIONS_HINT);
		free(is);
		free(would_be);
		break;
	}
	json_decref(now);
	return status;
}

/* ---- metrics.jsonl ----------------------------------------------------------------------------------------------- */

mb_status
run_metrics_open(run_metrics *metrics, const char *folder, int64_t keep, mb_error *err)
{
	struct stat info;
	mb_status status = MB_OK;

	metrics->path = run_folder_file(folder, RUN_METRICS);
	metrics->file = fopen(metrics->path, "a");
	if (metrics->file == NULL)
		status = mb_fail_system(err, errno, "could not open \"%.250s\"", metrics->path);
	else if (fstat(fileno(metrics->file), &info) != 0 ||
			 (keep <= info.st_size && ftruncate(fileno(metrics->file), (off_t) keep) != 0))
		status = mb_fail_system(err, errno, "could not rewind \"%.250s\"", metrics->path);
	else if (keep > info.st_size)
	{
		status = mb_fail(err, MB_CORRUPT, "\"%.250s\" is shorter than when the checkpoint was written", metrics->path);
		mb_hint(err, "Put the file back, or begin anew with --restart.");
	}
	if (status != MB_OK)
		run_metrics_close(metrics);
	return status;
}

mb_status
run_metrics_add(run_metrics *metrics, json_t *line, mb_error *err)
{
	char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) : NULL;
	mb_status status = MB_OK;

	json_decref(line);
	if (text == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while writing metrics");
	if (fprintf(metrics->file, "%s\n", text) < 0 || fflush(metrics->file) != 0)
		status = mb_fail_system(err, errno, "could not write \"%.250s\"", metrics->path);
	free(text);
	return status;
}

mb_status
run_metrics_sync(run_metrics *metrics, int64_t *bytes, mb_error *err)
{
	struct stat info;

	if (fflush(metrics->file) != 0 || fsync(fileno(metrics->file)) != 0 || fstat(fileno(metrics->file), &info) != 0)
		return mb_fail_system(err, errno, "could not sync \"%.250s\"", metrics->path);
	*bytes = info.st_size;
	return MB_OK;
}

void
run_metrics_close(run_metrics *metrics)
{
	if (metrics->file != NULL)
		fclose(metrics->file);
	free(metrics->path);
	memset(metrics, 0, sizeof(*metrics));
}

mb_status
run_metrics_append(const char *folder, json_t *line, mb_error *err)
{
	run_metrics metrics = {0};
	mb_status status;

	metrics.path = run_folder_file(folder, RUN_METRICS);
	metrics.file = fopen(metrics.path, "a");
	if (metrics.file == NULL)
	{
		json_decref(line);
		status = mb_fail_system(err, errno, "could not open \"%.250s\"", metrics.path);
	}
	else
		status = run_metrics_add(&metrics, line, err);
	run_metrics_close(&metrics);
	return status;
}
