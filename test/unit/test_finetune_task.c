/*
 * test_finetune_task.c - what a step of fine-tuning computes: the vectors are the engine's, the gradient is that of the
 * objective as finetune_task.h writes it, windows and stored rows are what they were.
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

#include "moviebert/infer.h"
#include "test/unit/seeded_model.h"
#include "training/calibration.h"
#include "training/finetune_model.h"
#include "training/finetune_task.h"
#include "training/memory.h"
#include "training/net/rng.h"
#include "training/rows_store.h"

enum
{
	TEXTS = 9,
	TAGS = 3
};

static const char *const texts[TEXTS] = {"the film",
										 "a ghost in the house at night",
										 "love",
										 "robot , robot ! murder",
										 "the ghost of the murder house loves a robot in the night of love and a film "
										 ", and then the night ends the love of all "
										 "the ghosts that were in the house of the robot at night with the film",
										 "x",
										 "murder murder murder",
										 "the night the robot found love",
										 "a house . a film . a robot ! a love"};

/* A model, its network, and rows of which some have a scope. */
typedef struct world
{
	char folder[40], path[64], tokens_path[64];
	seeded_image seeded;
	mb_model *model;
	mb_pipeline pipeline;
	net net;
	real *parameters;
	tagged_rows rows;
	label_set labels;
	token_store store;
	text_windows windows;
	size_t H;
} world;

static void
add_rows(world *w, row_part last_part)
{
	static const char scope_text[] = "{a,b}";
	static const char *const names[TAGS] = {"a", "b", "c"};
	tag_array scope = {0};
	mb_error err;
	int i, t;

	assert_int_equal(tag_array_parse(&scope, scope_text, strlen(scope_text), &err), MB_OK);
	for (t = 0; t < TAGS; t++)
		assert_int_equal(dictionary_add(&w->rows.tags, names[t]), t);
	for (i = 0; i < TEXTS; i++)
	{
		int32_t ids[TAGS], n = 0;

		for (t = 0; t < TAGS; t++)
			if ((i * 7 + t * 3) % 5 < 2)
				ids[n++] = t;
		tagged_rows_add(&w->rows, texts[i], strlen(texts[i]), ids, n,
						i % 3 == 1 ? tagged_rows_scope(&w->rows, scope_text, &scope) : SCOPE_ALL,
						i + 1 == TEXTS ? last_part : PART_TRAINING, (uint64_t) i);
	}
	tag_array_release(&scope);
	labels_select(&w->labels, &w->rows, 1, 10);
	assert_int_equal(w->labels.n, TAGS);
}

static void
store_texts(world *w)
{
	token_writer *writer;
	mb_error err;
	int i;

	assert_int_equal(token_store_start(&writer, w->tokens_path, w->model->config.vocab_size, &err), MB_OK);
	for (i = 0; i < TEXTS; i++)
	{
		int32_t ids[400];
		size_t n;

		assert_int_equal(mb_tokenize(&w->seeded.image.tokenizer, texts[i], strlen(texts[i]), ids, 400, &n, NULL, &err),
						 MB_OK);
		assert_int_equal(token_store_add(writer, ids, n, texts[i], strlen(texts[i]), &err), MB_OK);
	}
	assert_int_equal(token_store_finish(writer, &err), MB_OK);
	assert_int_equal(token_store_open(&w->store, w->tokens_path, &err), MB_OK);
}

static void
world_open(world *w, const mb_pipeline *pipeline)
{
	mb_config config = seeded_config();
	mb_error err = {0};
	bool fresh;

	memset(w, 0, sizeof(*w));
	strcpy(w->folder, "/tmp/moviebert-test-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/model", w->folder);
	snprintf(w->tokens_path, sizeof(w->tokens_path), "%s/tokens", w->folder);
	seeded_model_write(w->path, &config, pipeline);
	seeded_image_open(&w->seeded, &config, pipeline);
	if (mb_model_open_file(&w->model, w->path, &err) != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	w->pipeline = *pipeline;
	w->H = (size_t) config.hidden_size;
	add_rows(w, PART_VALIDATION);
	if (finetune_network(&w->net, &w->parameters, w->model, pipeline, TAGS, 1, &fresh, &err) != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	store_texts(w);
	text_windows_init(&w->windows, &w->store, pipeline, &w->seeded.image.tokenizer);
}

static void
world_close(world *w)
{
	token_store_close(&w->store);
	labels_release(&w->labels);
	tagged_rows_release(&w->rows);
	free(w->parameters);
	net_release(&w->net);
	mb_model_close(w->model);
	seeded_image_close(&w->seeded);
	unlink(w->path);
	unlink(w->tokens_path);
	rmdir(w->folder);
}

static task_options
options_of(const world *w)
{
	return (task_options){.seed = 3,
						  .batch = TEXTS - 1,
						  .most_windows = 8,
						  .freeze = -1,
						  .n_shards = 2,
						  .n_threads = 2,
						  .pipeline = w->pipeline};
}

static void
vectors_are_the_engines(void **state)
{
	const mb_pooling poolings[] = {MB_POOL_MEAN, MB_POOL_CLS, MB_POOL_POOLER};
	int kind;

	(void) state;
	for (kind = 0; kind < 6; kind++)
	{
		mb_pipeline pipeline = seeded_pipeline();
		world w;
		task_options options;
		finetune_task *task;
		mb_scratch *scratch = mb_scratch_create(NULL);
		mb_text given[TEXTS];
		size_t rows[TEXTS], i;
		float *engine, *own;
		double worst = 0;
		mb_error err = {0};

		pipeline.pooling = poolings[kind % 3];
		pipeline.normalize = kind >= 3;
		pipeline.long_text = kind == 1 ? MB_LONG_TRUNCATE : MB_LONG_WINDOWS;
		world_open(&w, &pipeline);
		options = options_of(&w);
		task = finetune_task_create(&w.net, &options, &w.rows, &w.labels, &w.windows, NULL);
		engine = calloc(TEXTS * w.H, sizeof(float));
		own = calloc(TEXTS * w.H, sizeof(float));
		for (i = 0; i < TEXTS; i++)
		{
			given[i] = (mb_text){texts[i], strlen(texts[i])};
			rows[i] = i;
		}
		assert_int_equal(mb_embed(&w.seeded.image, scratch, given, TEXTS, engine, NULL, NULL, &err), MB_OK);
		assert_int_equal(finetune_vectors(task, w.parameters, rows, TEXTS, own, &err), MB_OK);
		for (i = 0; i < TEXTS * w.H; i++)
			worst = fmax(worst, fabs((double) engine[i] - (double) own[i]));
		print_message("%s%s: largest difference from the engine %.1e; the longest text has %zu windows\n",
					  mb_pooling_name(pipeline.pooling), pipeline.normalize ? ", normalised" : "", worst,
					  text_windows_count(&w.windows, 4));
		assert_true(worst < 1e-5);
		assert_true(pipeline.long_text == MB_LONG_TRUNCATE ? text_windows_count(&w.windows, 4) == 1
														   : text_windows_count(&w.windows, 4) > 2);
		free(engine);
		free(own);
		mb_scratch_destroy(scratch);
		finetune_task_destroy(task);
		world_close(&w);
	}
}

/* The objective as finetune_task.h has it, in double from the vectors on. */
static double
objective(const world *w, finetune_task *task, const real *parameters, const float *original, double keep,
		  const teacher *teaching)
{
	size_t rows[TEXTS], n = TEXTS - 1, i, l, h;
	float *vectors = calloc(TEXTS * w->H, sizeof(float));
	const real *weight = parameters + net_find(&w->net, "classifier.weight")->offset;
	const real *bias = parameters + net_find(&w->net, "classifier.bias")->offset;
	double scale = w->pipeline.normalize ? sqrt((double) w->H) : 1, sum = 0;
	mb_error err = {0};

	for (i = 0; i < n; i++)
		rows[i] = i;
	assert_int_equal(finetune_vectors(task, parameters, rows, n, vectors, &err), MB_OK);
	for (i = 0; i < n; i++)
	{
		const float *v = vectors + i * w->H;
		uint8_t labels[TAGS], known[TAGS];
		double norm = 0;

		labels_of_row(labels, known, &w->rows, &w->labels, i);
		for (l = 0; l < TAGS; l++)
		{
			double z = (double) bias[l];

			for (h = 0; h < w->H; h++)
				z += scale * (double) v[h] * (double) weight[l * w->H + h];
			if (teaching != NULL && l != 1)
			{
				double score = teacher_target(teaching, i, l == 0 ? 0 : 1);
				double target = known[l] ? 0.75 * labels[l] + 0.25 * score : score;

				sum += (known[l] ? 1 : 0.25) * (softplus(z) - target * z);
			}
			else if (known[l])
				sum += softplus(z) - (labels[l] ? z : 0);
		}
		for (h = 0; h < w->H; h++)
			norm += (double) v[h] * (double) v[h];
		for (h = 0; h < w->H && keep > 0; h++)
			sum += keep * pow((double) v[h] / sqrt(norm) - (double) original[i * w->H + h], 2);
	}
	free(vectors);
	return sum / (double) n;
}

/* All shards' gradients of step 0, and its loss. */
static void
one_step(const world *w, finetune_task *task, real *gradients, net_loss *loss)
{
	training_task running = finetune_task_of(task);
	size_t max_tokens = finetune_max_tokens(&w->windows, 8);
	mb_error err = {0};
	int s;

	*loss = (net_loss){0, 0, 0};
	assert_int_equal(running.begin(running.arg, 0, &err), MB_OK);
	for (s = 0; s < 2; s++)
	{
		shard_work work = {
			.net = &w->net, .parameters = w->parameters, .gradients = gradients, .shard = s, .n_shards = 2};

		work.activations = net_activations_create(&w->net, max_tokens, w->windows.width + 2);
		assert_int_equal(running.phase(running.arg, 0, &work, &err), MB_OK);
		net_activations_destroy(work.activations);
		assert_true(work.tokens > 0);
		loss->sum += work.loss.sum;
		loss->targets += work.loss.targets;
	}
}

/* Along random directions within each tensor: float's rounding is below a thousandth of such a difference. */
static void
gradient_is_the_derivative(void **state)
{
	int kind;

	(void) state;
	for (kind = 0; kind < 5; kind++)
	{
		mb_pipeline pipeline = seeded_pipeline();
		double keep = kind == 2 || kind == 3 ? 0.7 : 0, worst = 0;
		/* It has the first tag and the last. */
		int32_t label_of[2] = {0, 2}, places[TEXTS];
		uint16_t scores[TEXTS * 2];
		teacher teaching = {.n = 2, .label_of = label_of, .place_of_row = places, .scores = scores, .weight = 0.25};
		world w;
		task_options options;
		finetune_task *task;
		real *gradients, *moved;
		float *original;
		net_loss loss;
		size_t i, t, pairs = 0;

		pipeline.normalize = kind % 2 == 1;
		pipeline.pooling = kind == 2 ? MB_POOL_POOLER : MB_POOL_MEAN;
		world_open(&w, &pipeline);
		options = options_of(&w);
		options.keep_similarity = keep;
		for (i = 0; i < TEXTS; i++)
		{
			places[i] = (int32_t) i;
			scores[2 * i] = (uint16_t) (1000 + 7000 * i);
			scores[2 * i + 1] = (uint16_t) (60000 - 5000 * i);
		}
		options.teacher = kind == 4 ? &teaching : NULL;
		original = calloc(TEXTS * w.H, sizeof(float));
		for (i = 0; i < TEXTS * w.H; i++)
			original[i] = (float) (rng_uniform(9, i) - 0.5);
		for (i = 0; i < TEXTS; i++)
			mb_normalize(original + i * w.H, w.H);
		for (i = 0; i < TAGS * w.H; i++)
			finetune_classifier(&w.net, w.parameters, false)[i] = (real) (rng_uniform(5, i) - 0.5);
		task = finetune_task_create(&w.net, &options, &w.rows, &w.labels, &w.windows, original);
		gradients = calloc(w.net.n_parameters, sizeof(real));
		moved = calloc(w.net.n_parameters, sizeof(real));
		one_step(&w, task, gradients, &loss);
		for (i = 0; i + 1 < TEXTS; i++)
		{
			uint8_t labels[TAGS], known[TAGS];

			labels_of_row(labels, known, &w.rows, &w.labels, i);
			for (t = 0; t < TAGS; t++)
				pairs += known[t];
		}
		assert_true(pairs < (TEXTS - 1) * TAGS);
		/* The tag that scopes leave out is one that the teacher has. */
		assert_int_equal(loss.targets, kind == 4 ? (TEXTS - 1) * TAGS : pairs);
		if (keep == 0)
			assert_true(fabs(loss.sum / (TEXTS - 1) - objective(&w, task, w.parameters, original, 0, options.teacher)) <
						1e-5);
		for (t = 0; t < w.net.n_tensors; t++)
		{
			const net_tensor *tensor = &w.net.tensors[t];
			double along = 0, difference, error, up, down, step = 2e-2;

			for (int side = 0; side < 2; side++)
			{
				memcpy(moved, w.parameters, w.net.n_parameters * sizeof(real));
				along = 0;
				for (i = 0; i < tensor->size; i++)
				{
					double d = (rng_uniform(77 + t, i) - 0.5) / sqrt((double) tensor->size);

					along += d * (double) gradients[tensor->offset + i];
					moved[tensor->offset + i] += (real) ((side == 0 ? step : -step) * d);
				}
				if (side == 0)
					up = objective(&w, task, moved, original, keep, options.teacher);
				else
					down = objective(&w, task, moved, original, keep, options.teacher);
			}
			difference = (up - down) / (2 * step);
			error = fabs(difference - along) / (0.02 + fabs(along));
			if (error > worst)
				worst = error;
			if (error > 1e-3)
				print_message("  %s: %.6f by differences, %.6f\n", tensor->name, difference, along);
		}
		print_message("%s%s, similarity %s: largest relative error %.1e\n", mb_pooling_name(pipeline.pooling),
					  pipeline.normalize ? ", normalised" : "",
					  keep > 0    ? "kept"
					  : kind == 4 ? "free, with a teacher"
								  : "free",
					  worst);
		assert_true(worst < 1e-3);
		free(original);
		free(gradients);
		free(moved);
		finetune_task_destroy(task);
		world_close(&w);
	}
}

static void
windows_are_drawn_from_all_parts(void **state)
{
	mb_pipeline pipeline = seeded_pipeline();
	world w;
	size_t chosen[16], count, n, j, most, seen[16] = {0};
	uint64_t key;

	(void) state;
	world_open(&w, &pipeline);
	count = text_windows_count(&w.windows, 4);
	assert_true(count >= 3);
	for (most = 1; most <= count + 1; most++)
		for (key = 0; key < 50; key++)
		{
			n = text_windows_choose(&w.windows, 4, most, key, chosen);
			assert_int_equal(n, most < count ? most : count);
			for (j = 0; j < n; j++)
			{
				assert_true(chosen[j] < count);
				assert_true(j == 0 || chosen[j] > chosen[j - 1]);
				seen[chosen[j]] += most == 2;
			}
		}
	for (j = 0; j < count; j++)
		assert_true(seen[j] > 0);
	world_close(&w);
}

static void
rows_come_back(void **state)
{
	mb_pipeline pipeline = seeded_pipeline();
	row_counts counts[N_PARTS] = {{.read = 12, .used = 9}}, read_counts[N_PARTS];
	tagged_rows rows;
	char path[80];
	world w;
	mb_error err = {0};
	FILE *file;
	size_t i;
	long size, at;

	(void) state;
	world_open(&w, &pipeline);
	snprintf(path, sizeof(path), "%s/rows", w.folder);
	assert_int_equal(rows_store_write(path, &w.rows, counts, &err), MB_OK);
	assert_int_equal(rows_store_read(path, &rows, read_counts, &err), MB_OK);
	assert_int_equal(rows.n, TEXTS);
	assert_memory_equal(counts, read_counts, sizeof(counts));
	assert_memory_equal(rows.rows, w.rows.rows, TEXTS * sizeof(tagged_row));
	assert_memory_equal(rows.texts, w.rows.texts, w.rows.texts_used);
	assert_memory_equal(rows.tag_ids, w.rows.tag_ids, w.rows.tags_used * sizeof(int32_t));
	assert_int_equal(rows.scope_texts.n, 1);
	assert_string_equal(rows.scope_words.names[1], "b");
	for (i = 0; i < TAGS; i++)
		assert_string_equal(rows.tags.names[i], w.rows.tags.names[i]);
	tagged_rows_release(&rows);

	/* One bit anywhere, or the end lost, and it is refused. */
	file = fopen(path, "r+b");
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	for (at = 0; at < size; at += size / 37)
	{
		int byte;

		fseek(file, at, SEEK_SET);
		byte = fgetc(file);
		fseek(file, at, SEEK_SET);
		fputc(byte ^ 4, file);
		fflush(file);
		assert_int_equal(rows_store_read(path, &rows, read_counts, &err), MB_CORRUPT);
		fseek(file, at, SEEK_SET);
		fputc(byte, file);
		fflush(file);
	}
	assert_int_equal(rows_store_read(path, &rows, read_counts, &err), MB_OK);
	tagged_rows_release(&rows);
	assert_int_equal(ftruncate(fileno(file), size - 1), 0);
	assert_int_equal(rows_store_read(path, &rows, read_counts, &err), MB_CORRUPT);
	fclose(file);
	unlink(path);
	world_close(&w);
}

static void
rates_fall_with_depth(void **state)
{
	mb_pipeline pipeline = seeded_pipeline();
	double rates[64];
	world w;
	size_t i;

	(void) state;
	world_open(&w, &pipeline);
	assert_true(w.net.n_tensors <= 64);
	finetune_rates(rates, &w.net, -1, 0.5, 10);
	for (i = 0; i < w.net.n_tensors; i++)
	{
		const char *name = w.net.tensors[i].name;

		assert_true(rates[i] == (strncmp(name, "classifier", 10) == 0 ? 10
								 : strncmp(name, "encoder", 7) == 0   ? 1
																	  : 0.5));
	}
	finetune_rates(rates, &w.net, 0, 0.5, 10);
	for (i = 0; i < w.net.n_tensors; i++)
		assert_true((rates[i] == 0) == (strncmp(w.net.tensors[i].name, "embeddings", 10) == 0));
	finetune_rates(rates, &w.net, 1, 0.5, 10);
	for (i = 0; i < w.net.n_tensors; i++)
		assert_true((rates[i] == 0) == (strncmp(w.net.tensors[i].name, "classifier", 10) != 0));
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_are_the_engines),
									   cmocka_unit_test(gradient_is_the_derivative),
									   cmocka_unit_test(windows_are_drawn_from_all_parts),
									   cmocka_unit_test(rows_come_back), cmocka_unit_test(rates_fall_with_depth)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
