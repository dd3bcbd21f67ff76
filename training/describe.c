/* describe.c - what is in a model file. */
#include "describe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "card.h"
#include "report.h"

static const char *const activation_names[] = {"gelu", "gelu_tanh", "relu", "silu"};

static const char *
problem_name(const mb_pipeline *pipeline)
{
	return pipeline->problem == MB_NO_HEAD ? "none" : mb_problem_name(pipeline->problem);
}

void
describe_model(const model_source *source, size_t max_tags)
{
	const mb_model *m = source->model;
	const mb_config *c = &m->config;
	const mb_pipeline *p = &m->pipeline;
	char number[32], size[32];
	int32_t i;

	printf("  kind           %s (%s)\n", m->kind, m->architecture);
	printf("  parameters     %s\n", format_count(number, sizeof(number), m->parameters));
	printf("  encoder        %d layer%s, hidden size %d, %d heads, intermediate size %d, %s\n", c->num_hidden_layers,
		   c->num_hidden_layers == 1 ? "" : "s", c->hidden_size, c->num_attention_heads, c->intermediate_size,
		   activation_names[c->hidden_act]);
	printf("  positions      %d\n", c->max_position_embeddings);
	printf("  vocabulary     %s tokens, %s, accents %s\n", format_count(number, sizeof(number), c->vocab_size),
		   m->tokenizer.lowercase ? "lower-cased" : "cased", m->tokenizer.strip_accents ? "stripped" : "kept");
	printf("  vector         %d dimensions, %s pooling%s\n", c->hidden_size, mb_pooling_name(p->pooling),
		   p->normalize ? ", L2-normalised" : "");
	if (p->long_text == MB_LONG_WINDOWS)
		printf("  long texts     read whole in windows of %d tokens, one every %d\n", p->max_length, p->window_stride);
	else
		printf("  long texts     truncated to %d tokens\n", p->max_length);
	printf("  head           %s", problem_name(p));
	printf(p->num_labels > 0 ? ", %d labels\n" : "\n", p->num_labels);
	printf("  size           %s (%s bytes)\n", format_bytes(size, sizeof(size), (double) source->size),
		   format_count(number, sizeof(number), (long long) source->size));
	printf("  sha256         %s\n", source->sha256);
	if (p->num_labels == 0)
		return;
	printf("\n  %-28s %10s %10s\n", "tag", "threshold", "support");
	for (i = 0; i < p->num_labels && (max_tags == 0 || (size_t) i < max_tags); i++)
	{
		printf("  %-28s ", m->tags[i].name);
		if (isnan(m->tags[i].threshold))
			printf("%10s ", "-");
		else
			printf("%10.4f ", (double) m->tags[i].threshold);
		if (m->tags[i].support < 0)
			printf("%10s\n", "-");
		else
			printf("%10s\n", format_count(number, sizeof(number), m->tags[i].support));
	}
	if (max_tags > 0 && (size_t) p->num_labels > max_tags)
		printf("  ... and %zu more\n", (size_t) p->num_labels - max_tags);
}

/* A card is free: whoever wrote it may have put something else there. */
static const char *
string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "-";
}

static void
describe_metrics(const json_t *measured, const char *part)
{
	const json_t *m = json_object_get(measured, part);
	const json_t *f1 = json_object_get(m, "at_calibrated_thresholds"), *loss = json_object_get(m, "loss");
	const json_t *accuracy = json_object_get(m, "accuracy"), *bits = json_object_get(m, "bits_per_character");
	const json_t *recall = json_object_get(m, "recall_at_1");

	if (accuracy != NULL && loss != NULL)
		printf("  %-14s loss %.3f, accuracy %.3f, bits per character %.3f\n", part, json_number_value(loss),
			   json_number_value(accuracy), json_number_value(bits));
	if (recall != NULL && loss != NULL)
		printf("  %-14s loss %.3f, the other span found among %lld: %.3f\n", part, json_number_value(loss),
			   (long long) json_integer_value(json_object_get(m, "among")), json_number_value(recall));
	if (f1 != NULL)
		printf("  %-14s micro F1 %.3f, macro F1 %.3f, macro AP %.3f, ECE %.3f\n", part,
			   json_number_value(json_object_get(f1, "micro_f1")), json_number_value(json_object_get(f1, "macro_f1")),
			   json_number_value(json_object_get(m, "macro_ap")), json_number_value(json_object_get(m, "ece")));
}

void
describe_card(const json_t *card)
{
	const json_t *base = json_object_get(card, "base"), *data = json_object_get(card, "data");
	const json_t *parts = json_object_get(data, "parts"), *training = json_object_get(card, "training");
	const char *query = json_string_value(json_object_get(data, "query"));
	char rows[3][32];

	if (json_object_size(card) == 0)
		return;
	printf("\n  card           the whole with --card\n");
	if (json_object_get(card, "about") != NULL)
		printf("  about          %s\n", string_of(card, "about"));
	if (base != NULL)
		printf("  base           %s, sha256 %.16s...\n", string_of(base, "kind"), string_of(base, "sha256"));
	if (query != NULL)
		printf("  query          %s\n", query);
	if (parts != NULL)
		printf("  rows           %s training, %s validation, %s test\n",
			   format_count(rows[0], sizeof(rows[0]), json_integer_value(json_object_get(parts, "training"))),
			   format_count(rows[1], sizeof(rows[1]), json_integer_value(json_object_get(parts, "validation"))),
			   format_count(rows[2], sizeof(rows[2]), json_integer_value(json_object_get(parts, "test"))));
	if (json_object_get(training, "objective") != NULL)
		printf("  pretraining    %s, %lld steps, %s tokens\n",
			   strcmp(string_of(training, "objective"), "spans") == 0 ? "spans" : "masked words",
			   (long long) json_integer_value(json_object_get(training, "steps")),
			   format_count(rows[0], sizeof(rows[0]), json_integer_value(json_object_get(training, "tokens"))));
	if (json_object_get(training, "l2") != NULL)
		printf("  head           L2 %g, imbalance %s\n", json_number_value(json_object_get(training, "l2")),
			   string_of(training, "imbalance"));
	describe_metrics(json_object_get(card, "metrics"), "validation");
	describe_metrics(json_object_get(card, "metrics"), "test");
}

json_t *
describe_model_json(const model_source *source)
{
	const mb_model *m = source->model;
	const mb_config *c = &m->config;
	const mb_pipeline *p = &m->pipeline;
	json_t *tags = json_array();
	json_t *card = m->card_json != NULL ? json_loads(m->card_json, 0, NULL) : NULL;
	int32_t i;

	for (i = 0; i < p->num_labels; i++)
		json_array_append_new(tags, json_pack("{s:s, s:o, s:o}", "name", m->tags[i].name, "threshold",
											  json_rounded((double) m->tags[i].threshold, 6), "support",
											  m->tags[i].support < 0 ? json_null() : json_integer(m->tags[i].support)));
	return json_pack(
		"{s:s, s:s, s:I, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s}, s:{s:b, s:b, s:b, s:b},"
		" s:{s:s, s:b, s:i, s:s, s:i}, s:s, s:o, s:I, s:s, s:o}",
		"kind", m->kind, "architecture", m->architecture, "parameters", (json_int_t) m->parameters, "config",
		"vocab_size", c->vocab_size, "hidden_size", c->hidden_size, "num_hidden_layers", c->num_hidden_layers,
		"num_attention_heads", c->num_attention_heads, "intermediate_size", c->intermediate_size,
		"max_position_embeddings", c->max_position_embeddings, "type_vocab_size", c->type_vocab_size, "layer_norm_eps",
		(double) c->layer_norm_eps, "hidden_act", activation_names[c->hidden_act], "tokenizer", "do_lower_case",
		m->tokenizer.lowercase, "strip_accents", m->tokenizer.strip_accents, "tokenize_chinese_chars",
		m->tokenizer.split_cjk, "split_special_tokens", m->tokenizer.split_special_tokens, "pooling", "mode",
		mb_pooling_name(p->pooling), "normalize", p->normalize, "max_length", p->max_length, "long_text",
		mb_long_text_name(p->long_text), "window_stride", p->window_stride, "problem", problem_name(p), "tags", tags,
		"size", (json_int_t) source->size, "sha256", source->sha256, "card", card != NULL ? card : json_null());
}
