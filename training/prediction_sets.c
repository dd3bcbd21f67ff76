/* prediction_sets.c - finding, reading, pairing and checking files of predictions. */
#include "prediction_sets.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "memory.h"

#define SUFFIX ".pred"

void
prediction_set_add(prediction_set *set, const char *path)
{
	set->paths = reallocate(set->paths, set->n + 1, sizeof(char *));
	set->paths[set->n++] = copy_string(path);
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static mb_status
add_folder(prediction_set *set, const char *path, mb_error *err)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	size_t before = set->n;

	if (folder == NULL)
		return mb_fail_system(err, errno, "could not open folder \"%.250s\"", path);
	while ((entry = readdir(folder)) != NULL)
	{
		size_t length = strlen(entry->d_name);
		string_buffer full = {0};

		if (length <= strlen(SUFFIX) || strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		string_printf(&full, "%s/%s", path, entry->d_name);
		prediction_set_add(set, full.data);
		string_release(&full);
	}
	closedir(folder);
	qsort(set->paths + before, set->n - before, sizeof(char *), compare_strings);
	if (set->n > before)
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT, "folder \"%.250s\" has no predictions", path);
	mb_detail(err, "It has no file whose name ends in \"%s\".", SUFFIX);
	mb_hint(err, "Write them with \"moviebert evaluate --output=FILE%s\".", SUFFIX);
	return MB_INVALID_ARGUMENT;
}

mb_status
prediction_set_add_operand(prediction_set *set, const char *path, mb_error *err)
{
	struct stat found;

	if (stat(path, &found) != 0)
		return mb_fail_system(err, errno, "could not open \"%.250s\"", path);
	if (S_ISDIR(found.st_mode))
		return add_folder(set, path, err);
	prediction_set_add(set, path);
	return MB_OK;
}

static bool
same_scores(const predictions *a, const predictions *b)
{
	return a->n_rows == b->n_rows && a->n_tags == b->n_tags &&
		   memcmp(a->scores, b->scores, a->n_rows * a->n_tags * sizeof(float)) == 0;
}

mb_status
prediction_set_read(prediction_set *set, mb_error *err)
{
	size_t i, j;
	mb_status status = MB_OK;

	set->files = allocate(set->n, sizeof(predictions));
	for (i = 0; i < set->n && status == MB_OK; i++)
		status = predictions_read(&set->files[i], set->paths[i], err);
	for (i = 0; i < set->n && status == MB_OK; i++)
		for (j = 0; j < i && status == MB_OK; j++)
			if (same_scores(&set->files[i], &set->files[j]))
			{
				status = mb_fail(err, MB_INVALID_ARGUMENT, "\"%.120s\" and \"%.120s\" have the same scores",
								 set->paths[j], set->paths[i]);
				mb_hint(err, "One run counts once: train each seed, and give each file once.  With --freeze=all the seed "
							 "moves only the split: with a --validation-query all seeds are the same.");
			}
	return status;
}

/* One file of a set, while they are ordered. */
typedef struct seeded_file
{
	int64_t seed;
	char *path;
	predictions file;
} seeded_file;

static int
by_seed_then_path(const void *a, const void *b)
{
	const seeded_file *x = a, *y = b;

	if (x->seed != y->seed)
		return x->seed < y->seed ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void
order_set(prediction_set *set, bool by_seed)
{
	seeded_file *items = allocate(set->n, sizeof(seeded_file));
	size_t i;

	for (i = 0; i < set->n; i++)
		items[i] = (seeded_file){by_seed ? set->files[i].seed : 0, set->paths[i], set->files[i]};
	qsort(items, set->n, sizeof(seeded_file), by_seed_then_path);
	for (i = 0; i < set->n; i++)
	{
		set->paths[i] = items[i].path;
		set->files[i] = items[i].file;
	}
	free(items);
}

/* After order_set by seed. */
static bool
seeds_are_distinct(const prediction_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (!set->files[i].has_seed || (i > 0 && set->files[i].seed == set->files[i - 1].seed))
			return false;
	return true;
}

/* "3, 4" of the seeds that a has and b has not. */
static void
seeds_missing(string_buffer *list, const prediction_set *a, const prediction_set *b)
{
	size_t i, j;

	for (i = 0; i < a->n; i++)
	{
		for (j = 0; j < b->n && b->files[j].seed != a->files[i].seed; j++)
			;
		if (j == b->n)
			string_printf(list, "%s%lld", list->size > 0 ? ", " : "", (long long) a->files[i].seed);
	}
}

static mb_status
fail_sizes(const prediction_set *a, const prediction_set *b, bool seeded, mb_error *err)
{
	string_buffer only_a = {0}, only_b = {0};

	mb_fail(err, MB_INVALID_ARGUMENT, "A has %zu %s of predictions and B has %zu", a->n, a->n == 1 ? "file" : "files",
			b->n);
	if (seeded)
	{
		seeds_missing(&only_a, a, b);
		seeds_missing(&only_b, b, a);
		mb_detail(err, "Seeds of A alone: %s.  Seeds of B alone: %s.", only_a.size > 0 ? only_a.data : "none",
				  only_b.size > 0 ? only_b.data : "none");
	}
	mb_hint(err, "Give both the same seeds, one file for each.");
	string_release(&only_a);
	string_release(&only_b);
	return MB_INVALID_ARGUMENT;
}

mb_status
prediction_sets_pair(prediction_set *a, prediction_set *b, bool *by_seed, mb_error *err)
{
	mb_status status = MB_OK;
	size_t i;

	order_set(a, true);
	order_set(b, true);
	*by_seed = seeds_are_distinct(a) && seeds_are_distinct(b);
	if (a->n != b->n)
		return fail_sizes(a, b, *by_seed, err);
	for (i = 0; i < a->n; i++)
		*by_seed = *by_seed && a->files[i].seed == b->files[i].seed;
	order_set(a, *by_seed);
	order_set(b, *by_seed);
	for (i = 1; i < a->n && status == MB_OK; i++)
		status = predictions_match(&a->files[0], &a->files[i], a->paths[0], a->paths[i], err);
	for (i = 0; i < b->n && status == MB_OK; i++)
		status = predictions_match(&a->files[0], &b->files[i], a->paths[0], b->paths[i], err);
	return status;
}

void
prediction_set_release(prediction_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
	{
		free(set->paths[i]);
		if (set->files != NULL)
			predictions_release(&set->files[i]);
	}
	free(set->paths);
	free(set->files);
	memset(set, 0, sizeof(*set));
}
