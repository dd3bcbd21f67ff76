/*
 * bench_encoder.c - how fast the encoder runs on one core, with each kernel set, and how near to what the core can do.
 *
 *   bench_encoder MODEL
 *
 * Shapes are sequences x tokens.  The peak is that of the same instructions in registers alone, measured just before.
 * Times are the thread's CPU time, and speeds the best of many runs, for the machine may have other things to do.
 * longest_wait_ms is the longest time between two questions to the interrupt, which a cancel waits at most.  Prints a
 * JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "moviebert/encoder.h"
#include "peak.h"

#define SECONDS 1.0 /* for each shape */
#define MIN_RUNS 5

static const struct shape
{
	size_t sequences, tokens;
} shapes[] = {{1, 16}, {1, 32}, {1, 128}, {1, 256}, {8, 128}, {1, 512}};

static void
die(const char *message)
{
	fprintf(stderr, "bench_encoder: %s\n", message);
	exit(1);
}

/* ---- encoder ----------------------------------------------------------------------------------------------------- */

static void
open_image(mb_image *image, const char *path)
{
	FILE *file = tmpfile();
	mb_model *model;
	mb_error err;
	void *base;
	long size;

	if (file == NULL)
		die("cannot make a temporary file");
	if (mb_model_open_file(&model, path, &err) != MB_OK || mb_image_write(model, fileno(file), NULL, &err) != MB_OK)
		die(err.message);
	mb_model_close(model);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	base = mmap(NULL, (size_t) size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	if (base == MAP_FAILED)
		die("cannot map the image");
	if (mb_image_open(image, base, (size_t) size, &err) != MB_OK)
		die(err.message);
	fclose(file);
}

static double
flops(const mb_config *config, size_t sequences, size_t tokens)
{
	double h = config->hidden_size, inner = config->intermediate_size;
	double n = (double) sequences * (double) tokens;

	return config->num_hidden_layers * (2 * n * (4 * h * h + 2 * h * inner) + 4 * n * (double) tokens * h);
}

typedef struct waiting
{
	double last, longest;
} waiting;

static bool
note(void *arg)
{
	waiting *w = arg;
	double t = now();

	if (t - w->last > w->longest)
		w->longest = t - w->last;
	w->last = t;
	return false;
}

static void
bench_shape(const mb_image *image, struct shape shape, double peak, bool *first)
{
	size_t n = shape.sequences * shape.tokens, size = mb_encoder_workspace_size(image, n, shape.tokens);
	int32_t *ids = malloc(n * sizeof(int32_t)), *lengths = malloc(shape.sequences * sizeof(int32_t));
	float *pooled = malloc(shape.sequences * (size_t) image->config.hidden_size * sizeof(float));
	void *workspace = aligned_alloc(64, size);
	double best = 1e9, calm = 1e9, end = now() + SECONDS;
	mb_error err;

	if (ids == NULL || lengths == NULL || pooled == NULL || workspace == NULL)
		die("out of memory");
	for (size_t i = 0; i < n; i++)
		ids[i] = (int32_t) (i * 7919 % (size_t) image->config.vocab_size);
	for (size_t s = 0; s < shape.sequences; s++)
		lengths[s] = (int32_t) shape.tokens;
	for (int run = 0; run < MIN_RUNS || now() < end; run++)
	{
		double start = now();
		waiting w = {start, 0};
		mb_interrupt interrupt = {note, &w};

		if (mb_encode(image, ids, lengths, shape.sequences, pooled, NULL, workspace, size, &interrupt, &err) != MB_OK)
			die(err.message);
		note(&w);
		best = w.last - start < best ? w.last - start : best;
		calm = w.longest < calm ? w.longest : calm;
	}
	printf("%s\"%zux%zu\":{\"ms\":%.2f,\"tokens_per_s\":%.0f,\"gflops\":%.1f,\"share_of_peak\":%.2f,"
		   "\"longest_wait_ms\":%.2f}",
		   *first ? "" : ",", shape.sequences, shape.tokens, best * 1e3, (double) n / best,
		   flops(&image->config, shape.sequences, shape.tokens) / best * 1e-9,
		   flops(&image->config, shape.sequences, shape.tokens) / best * 1e-9 / peak, calm * 1e3);
	fflush(stdout);
	*first = false;
	free(workspace);
	free(pooled);
	free(lengths);
	free(ids);
}

int
main(int argc, char **argv)
{
	mb_image image;

	if (argc != 2)
		die("one argument wanted: MODEL");
	open_image(&image, argv[1]);
	printf("{\"hidden_size\":%d,\"layers\":%d,\"chosen\":\"%s\"", image.config.hidden_size,
		   image.config.num_hidden_layers, mb_kernel_name());
	for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++)
		if (mb_kernel_select(sets[s].name))
		{
			double peak = measure_peak(&sets[s]);
			bool first = true;

			printf(",\"%s\":{\"peak_gflops\":%.1f,", sets[s].name, peak);
			for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
				if (shapes[i].tokens <= (size_t) image.config.max_position_embeddings)
					bench_shape(&image, shapes[i], peak, &first);
			printf("}");
		}
	printf("}\n");
	return 0;
}
