/* test_finetune_write.c - a trained head on its way to a file: what is there before stays until the new one is proven.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "test/unit/failing_disk.h"
#include "test/unit/tiny_model.h"
#include "training/finetune.h"

enum
{
	H = 8, /* of the tiny model */
	L = 2,
	N = 5
};

static const char older[] = "the older file";

typedef struct training
{
	char folder[32], path[64], beside[80], temporary[80];
	void *bytes;
	mb_model *base;
	label_set labels;
	fit_result fit;
	fit_rows rows;
	json_t *card;
} training;

static const char *names[L] = {"noir", "western"};
static int64_t support[L] = {31, 20};

static int
set_up(void **state)
{
	training *t = calloc(1, sizeof(*t));
	tiny_model *tiny = tiny_model_new();
	mb_error err;
	size_t size;
	FILE *file;

	assert_non_null(t);
	strcpy(t->folder, "/tmp/moviebert-test-XXXXXX");
	assert_non_null(mkdtemp(t->folder));
	snprintf(t->path, sizeof(t->path), "%s/tags", t->folder);
	snprintf(t->beside, sizeof(t->beside), "%s.new", t->path);
	snprintf(t->temporary, sizeof(t->temporary), "%s.new.tmp", t->path);
	file = fopen(t->path, "w");
	assert_non_null(file);
	fputs(older, file);
	fclose(file);
	t->bytes = tiny_model_bytes(tiny, &size);
	tiny_model_free(tiny);
	if (mb_model_open(&t->base, t->bytes, size, &err) != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	t->labels = (label_set){.n = L, .names = names, .support = support};
	t->fit.weight = calloc(L * H, sizeof(float));
	t->fit.bias = calloc(L, sizeof(float));
	t->fit.thresholds = calloc(L, sizeof(float));
	t->rows.features = calloc(N * H, sizeof(float));
	t->rows.n = N;
	for (int i = 0; i < L * H; i++)
		t->fit.weight[i] = (float) (i % 7) - 3.0f;
	for (int i = 0; i < L; i++)
	{
		t->fit.bias[i] = (float) i - 0.25f;
		t->fit.thresholds[i] = 0.3f;
	}
	for (int i = 0; i < N * H; i++)
		t->rows.features[i] = (float) (i % 5) * 0.1f;
	t->card = json_object();
	*state = t;
	return 0;
}

static int
tear_down(void **state)
{
	training *t = *state;

	disk_works();
	unlink(t->path);
	unlink(t->beside);
	unlink(t->temporary);
	rmdir(t->folder);
	json_decref(t->card);
	free(t->fit.weight);
	free(t->fit.bias);
	free(t->fit.thresholds);
	free(t->rows.features);
	mb_model_close(t->base);
	free(t->bytes);
	free(t);
	return 0;
}

static mb_status
write_it(training *t, finetune_written *written, mb_error *err)
{
	return finetune_write(written, t->path, t->base, "tagger", &t->labels, &t->fit, t->card, &t->rows, err);
}

static void
assert_older_is_there(const training *t)
{
	char found[64] = "";
	FILE *file = fopen(t->path, "r");

	assert_non_null(file);
	assert_non_null(fgets(found, sizeof(found), file));
	fclose(file);
	assert_string_equal(found, older);
	assert_int_equal(access(t->beside, F_OK), -1);
	assert_int_equal(access(t->temporary, F_OK), -1);
}

/* Also where there is no room for temporary files: the weights alone prove the head. */
static void
new_one_replaces_it(void **state)
{
	training *t = *state;
	char *folder = getenv("TMPDIR") != NULL ? strdup(getenv("TMPDIR")) : NULL;
	finetune_written written;
	mb_model *model;
	mb_error err;
	mb_status status;

	setenv("TMPDIR", "/nowhere", 1);
	status = write_it(t, &written, &err);
	unsetenv("TMPDIR");
	if (folder != NULL)
		setenv("TMPDIR", folder, 1);
	free(folder);
	if (status != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	assert_true(written.worst_logit < 1e-5);
	assert_int_equal(strlen(written.sha256), 64);
	assert_int_equal(access(t->beside, F_OK), -1);
	assert_int_equal(mb_model_open_file(&model, t->path, &err), MB_OK);
	assert_int_equal(model->pipeline.num_labels, L);
	assert_string_equal(model->tags[1].name, "western");
	assert_int_equal(model->tags[1].support, 20);
	assert_true(model->tags[1].threshold == 0.3f);
	mb_model_close(model);
}

static void
full_disk_keeps_the_older(void **state)
{
	training *t = *state;
	finetune_written written;
	mb_error err;

	disk_fills_after(1000);
	assert_int_equal(write_it(t, &written, &err), MB_IO);
	assert_older_is_there(t);
}

static void
other_scores_keep_the_older(void **state)
{
	training *t = *state;
	finetune_written written;
	mb_error err;

	t->rows.features[3] = NAN;
	assert_int_equal(write_it(t, &written, &err), MB_CORRUPT);
	assert_non_null(strstr(err.message, "scores differ from the fitted ones"));
	assert_older_is_there(t);
}

static void
place_that_cannot_be_taken(void **state)
{
	training *t = *state;
	finetune_written written;
	char expected[128];
	mb_error err;

	unlink(t->path);
	snprintf(t->path, sizeof(t->path), "%s/absent/tags", t->folder);
	snprintf(expected, sizeof(expected), "could not write \"%s\"", t->path);
	assert_int_equal(write_it(t, &written, &err), MB_IO);
	assert_string_equal(err.message, expected);
	assert_non_null(strstr(err.detail, "No such file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(new_one_replaces_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full_disk_keeps_the_older, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_scores_keep_the_older, set_up, tear_down),
		cmocka_unit_test_setup_teardown(place_that_cannot_be_taken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
