/* command_compare.c - moviebert compare: whether one way of training is better than another. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "compare.h"
#include "compare_report.h"
#include "memory.h"
#include "parallel.h"
#include "prediction_sets.h"
#include "report.h"
#include "significance.h"

/*
 * Takes "--a FILE FILE ..." out of argv, which keeps the rest: the words up to the next option belong to the list.
 * Returns how many words are left.
 */
static int
take_list(int argc, char **argv, const char *name, prediction_set *set)
{
	size_t length = strlen(name);
	int kept = 0, i;

	for (i = 0; i < argc; i++)
	{
		if (strncmp(argv[i], name, length) != 0 || (argv[i][length] != '=' && argv[i][length] != '\0'))
		{
			argv[kept++] = argv[i];
			continue;
		}
		if (argv[i][length] == '=')
			prediction_set_add(set, argv[i] + length + 1);
		while (i + 1 < argc && argv[i + 1][0] != '-')
			prediction_set_add(set, argv[++i]);
	}
	return kept;
}

/* The figure called key. */
static int
find_figure(const char *key, const metrics_cutoffs *cutoffs, size_t *figure)
{
	char keys[WEIGHTED_MAX][32];
	const char *names[WEIGHTED_MAX];
	char hint[200] = "Try \"moviebert compare --help\".";
	const char *near;
	size_t n = weighted_count(cutoffs);

	for (*figure = 0; *figure < n; (*figure)++)
	{
		weighted_key(keys[*figure], sizeof(keys[0]), cutoffs, *figure);
		names[*figure] = keys[*figure];
		if (strcmp(key, keys[*figure]) == 0)
			return -1;
	}
	near = options_suggest(key, names, n);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "Perhaps you meant \"--metric=%s\".", near);
	return report_failure(TOOL_USAGE, hint, "invalid value \"%s\" for option \"--metric\"", key);
}

static mb_status
check_seeds(size_t n, bool anyway, mb_error *err)
{
	if (n >= COMPARE_MIN_SEEDS)
		return MB_OK;
	if (anyway)
	{
		report_warning("%zu paired %s: no verdict, which needs %d", n, n == 1 ? "seed" : "seeds", COMPARE_MIN_SEEDS);
		return MB_OK;
	}
	mb_fail(err, MB_INVALID_ARGUMENT, "%zu paired %s too few for a verdict", n, n == 1 ? "seed is" : "seeds are");
	mb_detail(err, "With n seeds the smallest two-sided p is 2/2^n: %.4g with %zu, %.4g with %d.",
			  sign_flip_smallest(n), n, sign_flip_smallest(COMPARE_MIN_SEEDS), COMPARE_MIN_SEEDS);
	mb_hint(err, "Train at least %d seeds of each, or add --anyway to see the differences without a verdict.",
			COMPARE_MIN_SEEDS);
	return MB_INVALID_ARGUMENT;
}

static mb_status
compare(prediction_set *a, prediction_set *b, const compare_options *options, size_t figure, bool anyway, bool as_json,
		size_t max_tags, mb_error *err)
{
	comparison c;
	compare_report report = {&c, a, b, options, false, figure, max_tags};
	mb_status status = prediction_set_read(a, err);

	if (status == MB_OK)
		status = prediction_set_read(b, err);
	if (status == MB_OK)
		status = prediction_sets_pair(a, b, &report.by_seed, err);
	if (status == MB_OK)
		status = check_seeds(a->n, anyway, err);
	if (status != MB_OK)
		return status;
	status = compare_run(&c, a->files, b->files, a->n, options, err);
	if (status == MB_OK && as_json)
	{
		json_t *root = compare_json(&report);

		json_print(root);
		json_decref(root);
	}
	else if (status == MB_OK)
		compare_print(&report);
	compare_release(&c);
	return status;
}

static int
run_sets(int argc, char **argv, prediction_set *a, prediction_set *b)
{
	compare_options how = {.cutoffs = metrics_default_cutoffs};
	const char *operands[2], *metric = "macro_ap", *list = NULL;
	int64_t draws = 10000, seed = 1, threads = parallel_default_threads();
	bool as_json = false, anyway = false, quiet = false, all_tags = false;
	const option_spec options[] = {
		OPTION_HELP_HEADING("Options"),
		{OPTION_STRING, "a", 0, "FILE...", NULL, &list, 0, 0,
		 "predictions of A, a file for each seed, instead of a folder"},
		{OPTION_STRING, "b", 0, "FILE...", NULL, &list, 0, 0, "predictions of B"},
		{OPTION_STRING, "metric", 0, "NAME", NULL, &metric, 0, 0,
		 "what the verdict is about: micro_f1, macro_f1, samples_f1, macro_ap (default),\n"
		 "micro_ap, ece, brier, or precision, recall or ndcg with _at_3 or _at_5; choose\nbefore you look"},
		{OPTION_INTEGER, "draws", 0, "N", NULL, &draws, 100, 1000000, "draws of the bootstrap (default: 10000)"},
		{OPTION_INTEGER, "seed", 0, "N", NULL, &seed, 0, 1e15, "seed of the draws (default: 1)"},
		{OPTION_FLAG, "anyway", 0, NULL, NULL, &anyway, 0, 0,
		 "with fewer than 6 seeds: the differences, without a verdict"},
		{OPTION_INTEGER, "threads", 0, "N", NULL, &threads, 1, 64, "threads to compute with (default: all CPUs)"},
		{OPTION_FLAG, "json", 0, NULL, NULL, &as_json, 0, 0, "print JSON instead of tables"},
		{OPTION_FLAG, "all-tags", 0, NULL, NULL, &all_tags, 0, 0, "a table with every tag, not only the first 50"},
		{OPTION_FLAG, "quiet", 0, NULL, NULL, &quiet, 0, 0, "no progress"},
		OPTION_END};
	size_t figure;
	mb_error err = {0};
	mb_status status = MB_OK;
	int code;

	code = options_parse(&command_compare, options, argc, argv, operands);
	if (code >= 0)
		return code;
	if ((operands[0] != NULL) == (a->n > 0) || (operands[1] != NULL) == (b->n > 0))
		return report_failure(TOOL_USAGE, "Give two folders, or --a FILE ... and --b FILE ... .",
							  "compare needs the predictions of A and of B");
	code = find_figure(metric, &how.cutoffs, &figure);
	if (code >= 0)
		return code;
	report_quiet(quiet);
	how.draws = (size_t) draws;
	how.seed = (uint64_t) seed;
	how.n_threads = (int) threads;
	how.silent = quiet;
	if (operands[0] != NULL)
		status = prediction_set_add_operand(a, operands[0], &err);
	if (status == MB_OK && operands[1] != NULL)
		status = prediction_set_add_operand(b, operands[1], &err);
	if (status == MB_OK)
		status = compare(a, b, &how, figure, anyway, as_json, all_tags ? 0 : 50, &err);
	return status == MB_OK ? TOOL_OK : report_error(&err);
}

static int
run(int argc, char **argv)
{
	prediction_set a = {0}, b = {0};
	int code;

	argc = take_list(argc, argv, "--a", &a);
	argc = take_list(argc, argv, "--b", &b);
	code = run_sets(argc, argv, &a, &b);
	prediction_set_release(&a);
	prediction_set_release(&b);
	return code;
}

const command_spec command_compare = {
	"compare",
	"[A B]",
	0,
	2,
	"whether models B are better than models A, over seeds and rows",
	"A and B are two ways to train, each tried with several seeds; a folder of each holds what \"moviebert evaluate -o\"\n"
	"wrote, NAME.pred, one file for each seed, all about the same rows.  Files are paired by the seed in the models'\n"
	"cards, or else by order of name.  Differences B - A come with a 95 % interval, from a bootstrap over seeds and over\n"
	"rows with their key, and with the p value of a sign-flip test over the seeds; by tag and by length of the text too.\n"
	"One sentence says what is shown.  Fewer than 6 seeds can show nothing, and get no such sentence.",
	"  moviebert compare runs/general runs/movie\n"
	"  moviebert compare --a general-*.pred --b movie-*.pred --metric=micro_f1\n",
	run};
