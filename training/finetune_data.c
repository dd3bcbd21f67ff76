/* finetune_data.c - from queries to parts and labels, saying what is missing. */
#include "finetune.h"

#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "report.h"

static mb_status
read_part(finetune_data *data, PGconn *connection, const finetune_request *request, const char *query,
		  const part_rule *rule, row_part part, mb_error *err)
{
	mb_status status = tagged_rows_read(&data->rows, connection, query, &request->columns, rule, request->silent, err);

	data->counts[part] = data->rows.counts;
	if (status == MB_OK)
		tagged_rows_report(&data->counts[part], part_names[part]);
	return status;
}

static size_t
count_part(const tagged_rows *rows, row_part part)
{
	size_t n = 0, i;

	for (i = 0; i < rows->n; i++)
		n += rows->rows[i].part == part;
	return n;
}

static mb_status
check_sizes(const finetune_data *data, mb_error *err)
{
	size_t training = count_part(&data->rows, PART_TRAINING);
	size_t validation = count_part(&data->rows, PART_VALIDATION);

	if (training < FINETUNE_MIN_TRAINING)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "too few rows to train on: %zu", training);
		mb_detail(err, "The query gave %lld rows with text and tags; at least %d are needed in the training part.",
				  (long long) data->counts[PART_TRAINING].used, FINETUNE_MIN_TRAINING);
		mb_hint(err, data->counts[PART_TRAINING].used < FINETUNE_MIN_TRAINING
						 ? "Tag more rows, or widen the query."
						 : "Tag more rows, widen the query, or make --validation and --test smaller.");
		return MB_INVALID_ARGUMENT;
	}
	if (validation < FINETUNE_MIN_VALIDATION)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "too few rows in the validation part: %zu", validation);
		mb_detail(err, "Thresholds are calibrated on it; at least %d rows are needed.", FINETUNE_MIN_VALIDATION);
		mb_hint(err, "Give a larger --validation fraction, or a --validation-query.");
		return MB_INVALID_ARGUMENT;
	}
	return MB_OK;
}

static void
report_dropped(const label_set *labels, int64_t min_support)
{
	string_buffer list = {0};

	if (labels->n_dropped == 0)
		return;
	labels_list_dropped(&list, labels);
	report_note("Tags left out: %zu with fewer than %lld training rows, or beyond --max-tags: %s", labels->n_dropped,
				(long long) min_support, list.data);
	string_release(&list);
}

static mb_status
choose_labels(finetune_data *data, const finetune_request *request, mb_error *err)
{
	string_buffer list = {0};
	size_t i;

	data->min_support = request->min_support;
	if (data->min_support == 0)
	{
		size_t few = count_part(&data->rows, PART_TRAINING) / 50;

		data->min_support = few >= FINETUNE_MIN_SUPPORT ? FINETUNE_MIN_SUPPORT : few < 3 ? 3 : (int64_t) few;
	}
	labels_select(&data->labels, &data->rows, data->min_support, (int32_t) request->max_tags);
	if (data->labels.n > 0)
	{
		report_dropped(&data->labels, data->min_support);
		return MB_OK;
	}
	mb_fail(err, MB_INVALID_ARGUMENT, "no tag has %lld training rows or more", (long long) data->min_support);
	for (i = 0; i < data->labels.n_dropped && i < 8; i++)
		string_printf(&list, "%s%s (%lld)", i > 0 ? ", " : "", data->labels.dropped[i].name,
					  (long long) data->labels.dropped[i].support);
	if (list.data != NULL)
		mb_detail(err, "The most frequent tags are %s.", list.data);
	else
		mb_detail(err, "No row has any tag.");
	mb_hint(err, "Tag more rows, or lower --min-support.");
	string_release(&list);
	return MB_INVALID_ARGUMENT;
}

static void
warn_leakage(const finetune_data *data, const finetune_request *request)
{
	char number[32];

	if (data->shared_keys > 0)
		report_warning("%s keys are in more than one part, because the queries overlap: metrics will flatter",
					   format_count(number, sizeof(number), data->shared_keys));
	if (data->shared_texts > 0 && request->columns.key != NULL)
		report_warning("%s texts are the same in more than one part, under different keys: metrics will flatter",
					   format_count(number, sizeof(number), data->shared_texts));
}

static void
report_unused_scope(const tagged_rows *rows)
{
	const char *first = NULL;
	size_t unused = labels_unused_scope(rows, &first);
	char number[32];

	if (unused > 0)
		report_note("Tags that scopes name and no row has: %s, as \"%s\"",
					format_count(number, sizeof(number), (long long) unused), first);
}

mb_status
finetune_read(finetune_data *data, PGconn *connection, const finetune_request *request, mb_error *err)
{
	part_rule rule = {true, PART_TRAINING, request->validation_query == NULL ? request->validation : 0,
					  request->test_query == NULL ? request->test : 0, request->seed};
	mb_status status;

	memset(data, 0, sizeof(*data));
	status = read_part(data, connection, request, request->query, &rule, PART_TRAINING, err);
	rule.by_hash = false;
	if (status == MB_OK && request->validation_query != NULL)
	{
		rule.part = PART_VALIDATION;
		status = read_part(data, connection, request, request->validation_query, &rule, PART_VALIDATION, err);
	}
	if (status == MB_OK && request->test_query != NULL)
	{
		rule.part = PART_TEST;
		status = read_part(data, connection, request, request->test_query, &rule, PART_TEST, err);
	}
	return status == MB_OK ? finetune_choose(data, request, err) : status;
}

mb_status
finetune_choose(finetune_data *data, const finetune_request *request, mb_error *err)
{
	mb_status status = check_sizes(data, err);
	char training[32], validation[32], test[32];

	if (status == MB_OK)
		status = choose_labels(data, request, err);
	if (status != MB_OK)
		return status;
	report_unused_scope(&data->rows);
	tagged_rows_leakage(&data->rows, &data->shared_keys, &data->shared_texts);
	warn_leakage(data, request);
	report_note("Parts: %s training, %s validation, %s test rows; %d tags",
				format_count(training, sizeof(training), (long long) count_part(&data->rows, PART_TRAINING)),
				format_count(validation, sizeof(validation), (long long) count_part(&data->rows, PART_VALIDATION)),
				format_count(test, sizeof(test), (long long) count_part(&data->rows, PART_TEST)), data->labels.n);
	return MB_OK;
}

void
finetune_data_release(finetune_data *data)
{
	labels_release(&data->labels);
	tagged_rows_release(&data->rows);
}
