/* finetune_card.c - the card of a fine-tuned model: data, split, choices, metrics, versions; the same for the same
 * inputs. */
#include "finetune.h"

#include "blas.h"
#include "calibration.h"
#include "card.h"
#include "moviebert/encoder.h"

/* So many of the tags left out are named in the card; the number of all is there too. */
#define NAMED_DROPPED 200

static json_t *
string_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *
data_json(const finetune_request *request, const finetune_data *data)
{
	json_t *parts = json_object();
	json_t *rows = json_object();
	json_t *dropped = json_array();
	json_int_t sizes[N_PARTS] = {0};
	size_t i;

	for (i = 0; i < data->rows.n; i++)
		sizes[data->rows.rows[i].part]++;
	for (i = 0; i < N_PARTS; i++)
		json_object_set_new(parts, part_names[i], json_integer(sizes[i]));
	json_object_set_new(rows, "query", row_counts_json(&data->counts[PART_TRAINING]));
	if (request->validation_query != NULL)
		json_object_set_new(rows, "validation_query", row_counts_json(&data->counts[PART_VALIDATION]));
	if (request->test_query != NULL)
		json_object_set_new(rows, "test_query", row_counts_json(&data->counts[PART_TEST]));
	for (i = 0; i < data->labels.n_dropped && i < NAMED_DROPPED; i++)
		json_array_append_new(dropped, json_pack("{s:s, s:I}", "tag", data->labels.dropped[i].name, "training_rows",
												 (json_int_t) data->labels.dropped[i].support));
	return json_pack(
		"{s:s, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:o, s:o, s:{s:s, s:I, s:o, s:o}, s:I, s:I, s:{s:i, s:I, s:I, s:I, "
		"s:o}}",
		"query", request->query, "validation_query", string_or_null(request->validation_query), "test_query",
		string_or_null(request->test_query), "columns", "text", string_or_null(request->columns.text), "tags",
		string_or_null(request->columns.tags), "key", string_or_null(request->columns.key), "scope",
		string_or_null(request->columns.scope), "rows", rows, "parts", parts, "split", "method",
		"first 53 bits of sha256(seed:key), test below, then validation, then training", "seed",
		(json_int_t) request->seed, "validation",
		request->validation_query == NULL ? json_real(request->validation) : json_null(), "test",
		request->test_query == NULL ? json_real(request->test) : json_null(), "keys_in_several_parts",
		(json_int_t) data->shared_keys, "texts_in_several_parts", (json_int_t) data->shared_texts, "tags", "kept",
		data->labels.n, "left_out", (json_int_t) data->labels.n_dropped, "min_support", (json_int_t) data->min_support,
		"max_tags", (json_int_t) request->max_tags, "left_out_first", dropped);
}

json_t *
finetune_head_training(const features_stats *features, const fit_result *fit)
{
	const fit_trial *chosen = &fit->trials[fit->chosen];
	json_t *trials = json_array();
	int i;

	for (i = 0; i < fit->n_trials; i++)
	{
		const fit_trial *t = &fit->trials[i];

		json_array_append_new(trials, json_pack("{s:s, s:f, s:i, s:b, s:o, s:o}", "imbalance",
												fit_imbalance_names[t->imbalance], "l2", t->l2, "iterations",
												t->iterations, "converged", (int) t->converged, "validation_macro_ap",
												json_rounded(t->validation_macro_ap, 5), "validation_log_loss",
												json_rounded(t->validation_log_loss, 6)));
	}
	return json_pack("{s:s, s:s, s:s, s:f, s:s, s:s, s:o, s:I, s:o}", "frozen", "all", "head",
					 "multi-label logistic regression, L-BFGS, bias from the log prior", "imbalance",
					 fit_imbalance_names[chosen->imbalance], "l2", chosen->l2, "calibration",
					 "Platt scaling per tag on the validation part, folded into the head", "thresholds",
					 "best F1 per tag on the validation part, shrunk to the best global one by n/(n+20)",
					 "global_threshold", json_rounded(fit->global_threshold, 6), "distinct_texts",
					 (json_int_t) features->distinct, "trials", trials);
}

json_t *
finetune_card(const finetune_request *request, const finetune_data *data, const model_source *base, json_t *training,
			  const metrics *validation, const char *validation_note, const metrics *test)
{
	json_t *measured = json_pack("{s:o}", "validation", metrics_json(validation, data->labels.names, true));

	json_object_set_new(measured, "validation_note", json_string(validation_note));
	if (test != NULL)
		json_object_set_new(measured, "test", metrics_json(test, data->labels.names, true));
	return json_pack("{s:s*, s:{s:s, s:s, s:s, s:o}, s:o, s:o, s:o, s:{s:s, s:s, s:s}}", "about", request->about,
					 "base", "sha256", base->sha256, "kind", base->model->kind, "architecture",
					 base->model->architecture, "card", card_of_base(base->model), "data", data_json(request, data),
					 "training", training, "metrics", measured, "software", "moviebert", MOVIEBERT_VERSION, "kernels",
					 mb_kernel_name(), "blas_core", blas_core_name());
}
