/*
 * command_pretrain.c - moviebert pretrain: a query's texts become an encoder.
 *
 * Read the rows into a store, measure, plan, train, write the model.  A run that is resumed needs no rows.
 */
#include "commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blas.h"
#include "card.h"
#include "connection.h"
#include "interrupt.h"
#include "memory.h"
#include "output_file.h"
#include "parallel.h"
#include "pretrain.h"
#include "report.h"
#include "report_data.h"
#include "report_html.h"
#include "run_folder.h"
#include "text_source.h"

#define TOKENS "tokens.store"

/*
 * Validations together are to take about 2 % of a run: 20 of them, and a pass forward is a third of a step.  Of what is
 * trained on, counted and not measured: a model's card tells the result, and is to be the same on every machine.
 */
#define VALIDATION_SHARE_OF_RUN 0.003
#define MIN_VALIDATION 64

#define MIN_SHARDS 2
#define MAX_SHARDS 64

/* Words of either vocabulary that --compare keeps in the manifest. */
#define LISTED_WORDS 200

typedef struct pretraining
{
	pretrain_request *request;
	const connection_options *where;
	run_opening opening;
	pretrain_model model;
	pretrain_texts texts;
	mlm_task *mlm;
	spans_task *spans;
	training_task task;
	pretrain_plan plan;
	text_counts counts;
	char *server; /* its version; NULL when resumed */
	json_t *manifest;
	vocabulary_use other; /* of request->compare */
	string_buffer identity;
	double *rates; /* [n_tensors] training_options.rate_of_tensor */
} pretraining;

/* ---- the rows ---------------------------------------------------------------------------------------------------- */

static int
read_rows(pretraining *p, mb_status *status, mb_error *err)
{
	const pretrain_request *request = p->request;
	const text_request texts = {.query = request->query,
								.text_column = request->text_column,
								.key_column = request->key_column,
								.validation = request->validation,
								.seed = (int64_t) request->training.seed,
								.silent = request->silent};
	PGconn *connection = NULL;
	char *schema = NULL, *path;
	const char *version;
	int code = connection_open(p->where, &connection);

	if (code == TOOL_OK)
		code = connection_handshake(connection, false, &schema);
	free(schema);
	if (code == TOOL_OK)
	{
		version = PQparameterStatus(connection, "server_version");
		p->server = copy_string(version != NULL ? version : "unknown");
		path = run_folder_file(request->folder, TOKENS);
		*status = text_source_read(path, connection, &texts, &p->model.tokenizer, &p->counts, err);
		free(path);
	}
	connection_close(connection);
	return code;
}

/* ---- what run it is ---------------------------------------------------------------------------------------------- */

static void
identify(pretraining *p)
{
	const pretrain_request *r = p->request;
	string_buffer *id = &p->identity;

	string_printf(id, "%s, %zu parameters, vocabulary %.16s, rows %.16s, ", p->task.name, p->model.net.n_parameters,
				  p->model.vocab_sha256, p->texts.sha256);
	if (p->model.base.model != NULL)
		string_printf(id, "from %.16s, ", p->model.base.sha256);
	if (r->spans)
		string_printf(id, "%lld texts a step, spans of %lld to %lld tokens, temperature %g, ",
					  (long long) r->batch_texts, (long long) r->span_min, (long long) r->length - 2, r->temperature);
	else
		string_printf(id, "%lld tokens a step in sequences of %lld, mask %g%s, ",
					  (long long) (r->batch_tokens * r->accumulate), (long long) r->length, r->masking.share,
					  r->masking.whole_words ? " of whole words" : "");
	string_printf(id, "dropout %g, seed %llu, %d shards of %zu tokens", r->dropout,
				  (unsigned long long) r->training.seed, r->training.n_shards, r->training.max_tokens);
	p->request->training.identity = id->data;
}

static json_t *
options_json(const pretrain_request *r)
{
	const training_options *o = &r->training;

	return json_pack("{s:s, s:I, s:f, s:b, s:I, s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:i}",
					 "objective", r->spans ? "spans" : "mlm", "length", (json_int_t) r->length, "mask",
					 r->masking.share, "whole_words", (int) r->masking.whole_words, "tokens_per_step",
					 (json_int_t) (r->batch_tokens * r->accumulate), "texts_per_step", (json_int_t) r->batch_texts,
					 "temperature", r->temperature, "steps", (json_int_t) o->steps, "budget", o->budget, "rate",
					 o->rate, "warmup", o->warmup, "weight_decay", o->adamw.weight_decay, "clip", o->adamw.clip,
					 "dropout", r->dropout, "validation", r->validation, "seed", (json_int_t) o->seed, "shards",
					 o->n_shards);
}

static json_t *
config_json(const mb_config *c)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "vocab_size", c->vocab_size, "hidden_size", c->hidden_size,
					 "num_hidden_layers", c->num_hidden_layers, "num_attention_heads", c->num_attention_heads,
					 "intermediate_size", c->intermediate_size, "max_position_embeddings", c->max_position_embeddings);
}

static json_t *
tokenizer_json(const mb_tokenizer_options *options)
{
	return json_pack("{s:b, s:b}", "do_lower_case", options->lowercase, "strip_accents", options->strip_accents);
}

static json_t *
data_json(const pretraining *p)
{
	const token_store *store = &p->texts.store;

	return json_pack("{s:s, s:s, s:{s:I, s:I}, s:I, s:I, s:I, s:I}", "query", p->request->query, "sha256",
					 p->texts.sha256, "parts", "training", (json_int_t) store->part_texts[PART_TRAINING], "validation",
					 (json_int_t) store->part_texts[PART_VALIDATION], "tokens",
					 (json_int_t) store->part_tokens[PART_TRAINING], "words", (json_int_t) store->words, "characters",
					 (json_int_t) store->characters, "bytes", (json_int_t) store->bytes);
}

static json_t *
base_json(const pretraining *p)
{
	const mb_model *base = p->model.base.model;

	if (base == NULL)
		return NULL;
	return json_pack("{s:s, s:s, s:o}", "kind", base->kind, "sha256", p->model.base.sha256, "card", card_of_base(base));
}

static json_t *
vocabulary_json(const pretraining *p)
{
	const token_store *store = &p->texts.store;
	const char *slash = strrchr(p->request->compare, '/');
	vocabulary_use own = {.tokenizer = p->model.tokenizer,
						  .n_tokens = (size_t) p->model.special.vocab_size,
						  .uses = p->texts.counts,
						  .words = store->words,
						  .tokens = store->tokens};

	return report_vocabulary_json(&own, &p->other, slash != NULL ? slash + 1 : p->request->compare, LISTED_WORDS);
}

static mb_status
write_manifest(pretraining *p, size_t validation, mb_error *err)
{
	const pretrain_request *r = p->request;
	const token_store *store = &p->texts.store;
	const text_counts *rows = &p->counts;
	json_t *m = run_manifest_start(r->command_line, p->server);

	json_object_set_new(m, "task", json_string(p->task.name));
	json_object_set_new(m, "model", json_string(r->output));
	json_object_set_new(m, "identity", json_string(p->identity.data));
	json_object_set_new(m, "query", json_string(r->query));
	json_object_set_new(m, "rows",
						json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "read", (json_int_t) rows->read, "used",
								  (json_int_t) rows->used, "null_text", (json_int_t) rows->null_text, "empty_text",
								  (json_int_t) rows->empty_text, "null_key", (json_int_t) rows->null_key, "no_tokens",
								  (json_int_t) rows->no_tokens));
	json_object_set_new(m, "rows_sha256", json_string(p->texts.sha256));
	json_object_set_new(m, "tokens", json_integer((json_int_t) store->tokens));
	json_object_set_new(m, "words", json_integer((json_int_t) store->words));
	json_object_set_new(m, "characters", json_integer((json_int_t) store->characters));
	json_object_set_new(m, "config", config_json(&p->model.net.options.config));
	json_object_set_new(m, "tokenizer", tokenizer_json(&p->model.tokenizer_options));
	json_object_set_new(m, "parameters", json_integer((json_int_t) p->model.net.n_parameters));
	json_object_set_new(m, "vocab_sha256", json_string(p->model.vocab_sha256));
	if (p->request->compare != NULL)
		json_object_set_new(m, "vocabulary", vocabulary_json(p));
	if (p->model.base.model != NULL)
		json_object_set_new(m, "base", base_json(p));
	json_object_set_new(m, "options", options_json(r));
	json_object_set_new(m, "seed", json_integer((json_int_t) r->training.seed));
	json_object_set_new(m, "shards", json_integer(r->training.n_shards));
	json_object_set_new(m, "threads", json_integer(r->training.n_threads));
	if (p->task.watch_plateau)
		json_object_set_new(m, "unigram_entropy", json_real(p->texts.unigram_loss));
	json_object_set_new(m, "validation_sequences", json_integer((json_int_t) validation));
	json_object_set_new(m, "plan", pretrain_plan_json(&p->plan));
	p->manifest = m;
	return run_manifest_write(p->request->folder, m, err);
}

/* What the identity does not tell: heads, the tokenizer, rates. */
static mb_status
check_options(const pretraining *p, mb_error *err)
{
	static const char *const length[] = {"steps", "budget", "validation", NULL};
	const char *folder = p->request->folder;
	mb_status status = run_manifest_check(folder, json_object_get(p->manifest, "config"),
										  config_json(&p->model.net.options.config), NULL, err);

	if (status == MB_OK)
		status = run_manifest_check(folder, json_object_get(p->manifest, "tokenizer"),
									tokenizer_json(&p->model.tokenizer_options), NULL, err);
	if (status == MB_OK)
		status =
			run_manifest_check(folder, json_object_get(p->manifest, "options"), options_json(p->request), length, err);
	return status;
}

/* A folder's run must be the one that is asked for; only how long it is to go on may change. */
static mb_status
check_manifest(const pretraining *p, mb_error *err)
{
	const char *query = json_string_value(json_object_get(p->manifest, "query"));
	const char *identity = json_string_value(json_object_get(p->manifest, "identity"));

	if (query == NULL || identity == NULL)
		return mb_fail(err, MB_CORRUPT, "the manifest in \"%.250s\" is not one of pretrain", p->request->folder);
	if (strcmp(query, p->request->query) != 0)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the run in \"%.250s\" is of another query", p->request->folder);
		mb_detail(err, "It is of: %.400s", query);
	}
	else if (strcmp(identity, p->identity.data) != 0)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "the run in \"%.250s\" is of other options", p->request->folder);
		mb_detail(err, "It is: %.230s.  This would be: %.230s.", identity, p->identity.data);
	}
	else
		return check_options(p, err);
	mb_hint(err, RUN_SAME_OPTIONS_HINT);
	return MB_INVALID_ARGUMENT;
}

/* ---- before and after the run ------------------------------------------------------------------------------------ */

static uint64_t
steps_per_epoch(const pretraining *p)
{
	return p->request->spans ? spans_steps_per_epoch(p->spans) : mlm_steps_per_epoch(p->mlm);
}

/* Sequences of a step, or texts with their two spans. */
static double
step_sequences(const pretraining *p)
{
	const pretrain_request *r = p->request;

	return r->spans ? (double) r->batch_texts : (double) (r->batch_tokens * r->accumulate) / (double) r->length;
}

static size_t
limit_validation(const pretraining *p, size_t limit)
{
	return p->request->spans ? spans_limit_validation(p->spans, limit) : mlm_limit_validation(p->mlm, limit);
}

/* What the objective does not reach stays as it is: without a gradient, weight decay would wear it away. */
static void
choose_rates(pretraining *p)
{
	const net *n = &p->model.net;
	size_t i;

	p->rates = allocate(n->n_tensors, sizeof(double));
	for (i = 0; i < n->n_tensors; i++)
	{
		bool of_mlm = strncmp(n->tensors[i].name, "cls.", 4) == 0,
			 of_pooler = strncmp(n->tensors[i].name, "pooler.", 7) == 0;

		p->rates[i] = of_pooler || (of_mlm && p->request->spans) ? 0 : 1;
	}
	p->request->training.rate_of_tensor = p->rates;
}

static mb_status
create_task(pretraining *p, mb_error *err)
{
	pretrain_request *r = p->request;
	training_options *o = &r->training;
	mb_status status = r->spans ? spans_create(&p->spans, r, &p->model, &p->texts, &p->task, err)
								: mlm_create(&p->mlm, r, &p->model, &p->texts, &p->task, err);

	if (status != MB_OK)
		return status;
	choose_rates(p);
	if (o->steps == 0 && o->budget <= 0)
		o->steps = (uint64_t) ceil(r->epochs * (double) steps_per_epoch(p));
	return MB_OK;
}

/* A new run: what it will be; and how much of the validation part it looks at each time. */
static mb_status
plan_run(pretraining *p, mb_error *err)
{
	double share;
	size_t validation;
	mb_status status = training_measure(&p->model.net, p->model.parameters, &p->task, &p->request->training,
										&p->plan.tokens_per_second, &p->plan.tokens_per_step, err);

	if (status != MB_OK)
		return status;
	pretrain_plan_make(&p->plan, p->request, &p->task, &p->model.net, &p->texts.store, steps_per_epoch(p));
	pretrain_plan_report(&p->plan, p->request, &p->task, &p->model, &p->texts);
	share = VALIDATION_SHARE_OF_RUN * p->plan.steps * step_sequences(p);
	validation = limit_validation(p, share < MIN_VALIDATION ? MIN_VALIDATION
									 : share > 1e9          ? 1000000000
															: (size_t) share);
	return write_manifest(p, validation, err);
}

static json_t *
card_of(const pretraining *p, const json_t *validation, const training_result *result)
{
	json_t *training = options_json(p->request);
	json_t *card = json_pack("{s:s*, s:o*, s:o, s:o, s:{s:O}}", "about", p->request->about, "base", base_json(p),
							 "data", data_json(p), "training", training, "metrics", "validation", validation);

	/* Of a run by budget the clock decides these; of one by steps they are always the same. */
	json_object_set_new(training, "steps", json_integer((json_int_t) result->steps));
	json_object_set_new(training, "tokens", json_integer((json_int_t) result->tokens));
	json_object_set_new(training, "moviebert", json_string(MOVIEBERT_VERSION));
	return card;
}

static mb_status
write_model(pretraining *p, const training_result *result, mb_error *err)
{
	json_t *validation = json_object(), *card;
	char hex[SHA256_HEX];
	double score;
	mb_status status = p->task.validate(p->task.arg, &p->model.net, p->model.parameters, validation, &score, err);

	card = card_of(p, validation, result);
	if (status == MB_OK)
		status = pretrain_model_write(&p->model, p->request, p->model.parameters, card, hex, err);
	json_decref(card);
	if (status == MB_OK)
	{
		json_t *line = json_pack("{s:s, s:I, s:I, s:f, s:O, s:s, s:s}", "type", "final", "step",
								 (json_int_t) result->steps, "tokens", (json_int_t) result->tokens, "seconds",
								 result->seconds, "validation", validation, "model", p->request->output, "sha256", hex);

		status = run_metrics_append(p->request->folder, line, err);
		if (status == MB_OK)
			status = report_html_write(p->request->folder, err);
		printf("Wrote \"%s\" (sha256 %.16s...); \"%s/report.html\" shows the run.\n", p->request->output, hex,
			   p->request->folder);
	}
	json_decref(validation);
	return status;
}

static mb_status
train(pretraining *p, mb_error *err)
{
	bool resume = p->opening == RUN_RESUME;
	training_result result = {0};
	mb_status status;

	if (resume)
	{
		status = check_manifest(p, err);
		if (status == MB_OK)
			limit_validation(p, (size_t) json_integer_value(json_object_get(p->manifest, "validation_sequences")));
	}
	else
		status = plan_run(p, err);
	if (status == MB_OK)
		status = training_run(&p->model.net, p->model.parameters, p->request->folder, resume, &p->task,
							  &p->request->training, &result, err);
	if (status == MB_OK)
		status = write_model(p, &result, err);
	return status;
}

/* Where no option says it, as many as the run has that is resumed: it may have begun on a machine with other CPUs. */
static void
choose_shards(pretraining *p)
{
	training_options *o = &p->request->training;
	json_int_t begun_with = json_integer_value(json_object_get(p->manifest, "shards")); /* 0 in a new run */

	if (o->n_shards > 0)
		return;
	o->n_shards = parallel_default_threads() < MIN_SHARDS ? MIN_SHARDS : parallel_default_threads();
	if (begun_with >= 1 && begun_with <= MAX_SHARDS)
		o->n_shards = (int) begun_with;
}

static int
pretrain_in_folder(pretraining *p, mb_status *status, mb_error *err)
{
	char *path;
	int code = TOOL_OK;

	if (p->opening == RUN_RESUME)
		*status = run_manifest_read(p->request->folder, &p->manifest, err);
	else
		code = read_rows(p, status, err);
	if (code != TOOL_OK || *status != MB_OK)
		return code;
	path = run_folder_file(p->request->folder, TOKENS);
	*status = pretrain_texts_open(&p->texts, path, &p->model.special, err);
	free(path);
	if (*status != MB_OK)
		return code;
	choose_shards(p);
	pretrain_model_set_bias(&p->model, p->texts.counts);
	*status = create_task(p, err);
	if (*status == MB_OK)
	{
		identify(p);
		*status = train(p, err);
	}
	free(p->rates);
	mlm_destroy(p->mlm);
	spans_destroy(p->spans);
	pretrain_texts_close(&p->texts);
	return code;
}

static int
pretrain(pretrain_request *request, const connection_options *where, run_opening opening)
{
	pretraining p = {.request = request, .where = where, .opening = opening};
	const word_counts no_words = {0};
	mb_error err = {0};
	mb_status status = output_file_check(request->output, &err);
	int code = TOOL_OK;

	if (status == MB_OK && request->compare != NULL)
		status = vocabulary_use_read(&p.other, request->compare, &no_words, 0, &tool_interrupt, &err);
	if (status == MB_OK)
		status = pretrain_model_open(&p.model, request, &err);
	if (status == MB_OK)
	{
		status = run_folder_open(request->folder, opening, &err);
		if (status == MB_OK)
			code = pretrain_in_folder(&p, &status, &err);
		pretrain_model_close(&p.model);
	}
	if (code == TOOL_OK && status != MB_OK)
		code = report_error(&err);
	run_folder_close();
	json_decref(p.manifest);
	vocabulary_use_release(&p.other);
	string_release(&p.identity);
	free(p.server);
	return code;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

/* "2h", "30m", "900s", "900"; false if it is none. */
static bool
parse_budget(const char *text, double *seconds)
{
	char *end;
	double value = strtod(text, &end);
	double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : *end == 's' || *end == '\0' ? 1 : 0;

	*seconds = value * unit;
	return end != text && unit > 0 && (*end == '\0' || end[1] == '\0') && *seconds >= 1 && *seconds <= 1e8;
}

static int
run(int argc, char **argv)
{
	pretrain_request request = {
		.config = "4,256,4",
		.masking = {0.20, false},
		.length = 128,
		.span_min = 16,
		.batch_texts = 128,
		.temperature = 0.05,
		.batch_tokens = 8192,
		.accumulate = 1,
		.validation = 0.01,
		.training = {.seed = 1,
					 .warmup = -1,
					 .rate = -1,
					 .adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6, .weight_decay = 0.01, .clip = 1},
					 .checkpoint_every = 300}};
	training_options *training = &request.training;
	connection_options where = {0};
	const char *objective = "mlm", *precision = "fp32", *budget = NULL, *config = NULL;
	int64_t threads = parallel_default_threads(), shards = 0, seed = 1, steps = 0, span_max = 0, pass_tokens = 0;
	bool resume = false, restart = false;
	string_buffer folder = {0};
	char *command_line, *resume_command;
	const option_spec options[] = {
		OPTION_HELP_HEADING("The texts"),
		{OPTION_STRING, "query", 'q', "SQL", NULL, &request.query, 0, 0, "a SELECT that gives texts (required)"},
		{OPTION_STRING, "text", 0, "COLUMN", NULL, &request.text_column, 0, 0,
		 "its text column (default: the first that is text and not the key)"},
		{OPTION_STRING, "key", 0, "COLUMN", NULL, &request.key_column, 0, 0,
		 "texts of one key are all in the training or all in the validation part\n(default: the text itself)"},
		{OPTION_REAL, "validation", 0, "PART", NULL, &request.validation, 0, 0.5,
		 "share of keys to validate on (default 0.01)"},
		OPTION_HELP_HEADING("The model"),
		{OPTION_STRING, "output", 'o', "FILE", NULL, &request.output, 0, 0, "the model file to write (required)"},
		{OPTION_STRING, "from", 0, "FILE", NULL, &request.from, 0, 0,
		 "go on from this model file, with its vocabulary"},
		{OPTION_STRING, "vocab", 0, "VOCAB.TXT", NULL, &request.vocab_path, 0, 0,
		 "or begin from scratch with this vocabulary (moviebert vocab makes one)"},
		{OPTION_STRING, "compare", 0, "VOCAB.TXT", NULL, &request.compare, 0, 0,
		 "tell in the run's page which words the vocabulary has that this one lacks"},
		{OPTION_STRING, "config", 0, "L,H,A[,I]", NULL, &config, 0, 0,
		 "then: layers, hidden size, heads, and the intermediate size if it is not\n"
		 "four times the hidden size (default 4,256,4)"},
		{OPTION_INTEGER, "max-positions", 0, "N", NULL, &request.max_positions, 3, 65536,
		 "then: the longest sequence that the model can take (default: --length; those\nbeyond it are not trained)"},
		{OPTION_FLAG, "cased", 0, NULL, NULL, &request.cased, 0, 0,
		 "then: keep capitals and accents, as the vocabulary was made"},
		{OPTION_FLAG, "keep-accents", 0, NULL, NULL, &request.keep_accents, 0, 0,
		 "then: keep accents in lower case too"},
		{OPTION_CHOICE, "precision", 0, "P", "fp32|fp16", &precision, 0, 0,
		 "of the weights in the file (default fp32)"},
		{OPTION_STRING, "about", 0, "TEXT", NULL, &request.about, 0, 0,
		 "what the model's card is to say as well: where the texts are from, their terms"},
		OPTION_HELP_HEADING("What is learned"),
		{OPTION_CHOICE, "objective", 0, "WHAT", "mlm|spans", &objective, 0, 0,
		 "mlm: words that were masked, from those around them (default); spans: that two\n"
		 "spans of a text are nearer to each other than to those of other texts, which\n"
		 "is what similarity search needs"},
		{OPTION_INTEGER, "length", 0, "N", NULL, &request.length, 8, 65536,
		 "tokens of a sequence, [CLS] and [SEP] included (default 128)"},
		{OPTION_REAL, "mask", 0, "PART", NULL, &request.masking.share, 0.01, 0.9,
		 "mlm: share of tokens to predict (default 0.20)"},
		{OPTION_FLAG, "whole-words", 0, NULL, NULL, &request.masking.whole_words, 0, 0,
		 "mlm: mask the pieces of a word together"},
		{OPTION_INTEGER, "span-min", 0, "N", NULL, &request.span_min, 1, 65536,
		 "spans: tokens of a span, at least (default 16); texts of fewer than twice as\nmany are left out"},
		{OPTION_INTEGER, "span-max", 0, "N", NULL, &span_max, 1, 65536, "spans: at most (default: --length - 2)"},
		{OPTION_REAL, "temperature", 0, "X", NULL, &request.temperature, 0.001, 10,
		 "spans: of the softmax (default 0.05)"},
		OPTION_HELP_HEADING("How long"),
		{OPTION_REAL, "epochs", 0, "N", NULL, &request.epochs, 0.001, 1e6, "times through the texts (default 1)"},
		{OPTION_INTEGER, "steps", 0, "N", NULL, &steps, 1, 1e12, "or so many steps"},
		{OPTION_STRING, "budget", 0, "TIME", NULL, &budget, 0, 0,
		 "or so much time: 2h, 30m, 900s (the result then depends on the machine's speed)"},
		{OPTION_INTEGER, "batch-tokens", 0, "N", NULL, &request.batch_tokens, 8, 1e8,
		 "mlm: tokens of a step (default 8192)"},
		{OPTION_INTEGER, "batch-texts", 0, "N", NULL, &request.batch_texts, 2, 65536,
		 "spans: texts of a step (default 128)"},
		{OPTION_INTEGER, "accumulate", 0, "N", NULL, &request.accumulate, 1, 1000,
		 "mlm: so many times --batch-tokens before each step of the optimiser (default 1)"},
		OPTION_HELP_HEADING("Optimiser (AdamW)"),
		{OPTION_REAL, "rate", 0, "X", NULL, &training->rate, 0, 1e6,
		 "peak learning rate (default 1e-3 from scratch, 5e-5 with --from)"},
		{OPTION_REAL, "warmup", 0, "PART", NULL, &training->warmup, 0, 1,
		 "share of the run in which the rate rises; then it falls linearly to 0 (default\n"
		 "0.04 from scratch, 0.06 with --from)"},
		{OPTION_REAL, "weight-decay", 0, "X", NULL, &training->adamw.weight_decay, 0, 1, "of matrices (default 0.01)"},
		{OPTION_REAL, "clip", 0, "X", NULL, &training->adamw.clip, 0, 1e6,
		 "largest norm of the gradient; 0: no limit (default 1)"},
		{OPTION_REAL, "dropout", 0, "P", NULL, &request.dropout, 0, 0.9,
		 "of hidden states (default 0: right for a few epochs)"},
		{OPTION_INTEGER, "seed", 0, "N", NULL, &seed, 0, 9e15, "of everything that is random (default 1)"},
		OPTION_HELP_HEADING("The run"),
		{OPTION_STRING, "run", 0, "FOLDER", NULL, &request.folder, 0, 0,
		 "its checkpoints, metrics and report (default: the output's name with .run)"},
		{OPTION_FLAG, "resume", 0, NULL, NULL, &resume, 0, 0,
		 "go on with the run in that folder; of one by --steps or --epochs the result is,\nbit by bit, that of the run "
		 "which was not interrupted.  Another --steps, --epochs or\n--budget makes it longer or shorter; all else stays"},
		{OPTION_FLAG, "restart", 0, NULL, NULL, &restart, 0, 0, "begin anew in a folder that holds a run"},
		{OPTION_REAL, "checkpoint-every", 0, "SECONDS", NULL, &training->checkpoint_every, 0, 1e8,
		 "save so often (default 300)"},
		{OPTION_INTEGER, "threads", 0, "N", NULL, &threads, 1, 64,
		 "threads to compute with (default: all CPUs); results do not depend on it"},
		{OPTION_INTEGER, "shards", 0, "N", NULL, &shards, 1, MAX_SHARDS,
		 "parts of a step, of which each thread computes one at a time (default: CPUs, at\nleast 2, and with --resume "
		 "as before); results depend on it in their last digits"},
		{OPTION_INTEGER, "pass-tokens", 0, "N", NULL, &pass_tokens, 8, 1e7,
		 "tokens that a shard computes at once (default 1024; spans: 4096).  With spans,\n"
		 "what is more is computed twice: more is faster and takes more memory"},
		{OPTION_FLAG, "stop-on-plateau", 0, NULL, NULL, &training->stop_on_plateau, 0, 0,
		 "mlm: stop when token frequencies are all that was learned"},
		{OPTION_FLAG, "quiet", 0, NULL, NULL, &request.silent, 0, 0,
		 "no progress and no notes (the folder's log.txt has them)"},
		CONNECTION_OPTIONS(where),
		OPTION_END};
	int code = options_parse(&command_pretrain, options, argc, argv, NULL);

	if (code >= 0)
		return code;
	if (request.query == NULL)
		return report_failure(TOOL_USAGE, "Add --query=\"SELECT plot FROM movies\".", "pretrain needs a query");
	if (request.output == NULL)
		return report_failure(TOOL_USAGE, "Add -o FILE.", "pretrain needs the name of the model file to write");
	if ((request.from == NULL) == (request.vocab_path == NULL))
		return report_failure(TOOL_USAGE,
							  "Give --from=MODEL to go on from a model, or --vocab=VOCAB.TXT to begin anew.",
							  "pretrain needs a model or a vocabulary");
	if (request.from != NULL && (config != NULL || request.max_positions > 0 || request.cased || request.keep_accents))
		return report_failure(TOOL_USAGE, "Leave out --config, --max-positions, --cased and --keep-accents.",
							  "the model of --from already has its sizes and its tokenizer");
	if ((steps > 0) + (budget != NULL) + (request.epochs > 0) > 1)
		return report_failure(TOOL_USAGE, "Leave one of them out.", "%s and %s contradict each other",
							  request.epochs > 0 ? "--epochs" : "--steps", budget != NULL ? "--budget" : "--steps");
	if (budget != NULL && !parse_budget(budget, &training->budget))
		return report_failure(TOOL_USAGE, "It is a time such as 2h, 30m or 900s.",
							  "invalid value \"%s\" for option \"--budget\"", budget);
	if (resume && restart)
		return report_failure(TOOL_USAGE, "Leave one of them out.", "--resume and --restart contradict each other");
	request.spans = strcmp(objective, "spans") == 0;
	if (request.spans && span_max > 0)
		request.length = span_max + 2;
	if (!card_about_is_text(request.about))
		return report_failure(TOOL_USAGE, "Write it in UTF-8.", "the text of --about is not valid UTF-8");
	if (request.spans && request.span_min > request.length - 2)
		return report_failure(TOOL_USAGE, "Make --span-min smaller, or --span-max larger.",
							  "no span would be long enough");
	if (!request.spans && lround(request.masking.share * (double) request.length) < 1)
		return report_failure(TOOL_USAGE, "Make --mask or --length larger.", "no token of a sequence would be masked");
	if (request.epochs <= 0)
		request.epochs = 1;
	if (request.from == NULL && config != NULL)
		request.config = config;
	report_quiet(request.silent);
	request.half = strcmp(precision, "fp16") == 0;
	training->seed = (uint64_t) seed;
	training->steps = (uint64_t) steps;
	training->n_threads = (int) threads;
	training->n_shards = (int) shards;
	training->silent = request.silent;
	training->max_length = (size_t) request.length;
	training->max_tokens = (size_t) (pass_tokens > 0 ? pass_tokens : request.spans ? 4096 : 1024);
	if (training->max_tokens < training->max_length)
		training->max_tokens = training->max_length;
	if (training->rate < 0)
		training->rate = request.from != NULL ? 5e-5 : 1e-3;
	if (training->warmup < 0)
		training->warmup = request.from != NULL ? 0.06 : 0.04;
	string_printf(&folder, "%s.run", request.output);
	if (request.folder == NULL)
		request.folder = folder.data;
	request.command_line = command_line = run_command_line(argc, argv, NULL);
	training->resume_command = resume_command = run_command_line(argc, argv, "--resume");
	code = pretrain(&request, &where, resume ? RUN_RESUME : restart ? RUN_RESTART : RUN_NEW);
	free(command_line);
	free(resume_command);
	string_release(&folder);
	return code;
}

const command_spec command_pretrain = {
	"pretrain",
	"",
	0,
	0,
	"train an encoder on the texts of a query",
	"Reads the texts once, and trains on them: from scratch with a vocabulary of "
	"your own, or on from a model.  Before it\n"
	"begins it says how long it will take; while it goes, everything is kept in "
	"a folder: checkpoints, metrics, a log.\n"
	"Ctrl-C saves and stops; --resume goes on, after a crash too, without reading the rows again.\n"
	"A run by steps gives the same file whatever the number of threads, and however often it was resumed.\n"
	"Rows whose text is NULL or empty are counted and left out.",
	"  moviebert vocab -d mydb --query \"SELECT plot FROM movies\" -o vocab.txt\n"
	"  moviebert pretrain -d mydb --query \"SELECT plot FROM movies\" --vocab=vocab.txt --config=4,256,4 \\\n"
	"      --budget=2h -o encoder.safetensors\n"
	"  moviebert pretrain -d mydb --query \"SELECT plot FROM movies\" --from=encoder.safetensors \\\n"
	"      --objective=spans --epochs=3 -o similarity.safetensors\n",
	run};
