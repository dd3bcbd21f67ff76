/* describe.c - what is in a model file. */
#include "describe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

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
	printf("  encoder        %d layers, hidden size %d, %d heads, intermediate size %d, %s\n", c->num_hidden_layers,
		   c->hidden_size, c->num_attention_heads, c->intermediate_size, activation_names[c->hidden_act]);
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
		mb_long_text_name(p->long_text), "window_stride", p->window_stride, "problem", problem_name(p), "tags",
		tags, "size", (json_int_t) source->size, "sha256", source->sha256, "card", card != NULL ? card : json_null());
}
