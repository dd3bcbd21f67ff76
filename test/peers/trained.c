/*
 * trained.c - models as the tool's training writes them, and the training network's numbers, for a peer.
 *
 *   trained masked-lm VOCAB OUT    a masked-LM model from scratch: random weights, a config of our own making
 *   trained classifier VOCAB OUT   a multi-label classifier from scratch, on its pooler
 *   trained losses MODEL           for each sequence on stdin, a 32-bit length and its ids, then as many labels: the sum of
 *                                  the masked-LM head's cross entropy over all places, as a double
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../training/memory.h"
#include "../../training/net/net.h"

#define MAX_LENGTH 128

static void
must(mb_status status, const mb_error *err)
{
	if (status != MB_OK)
	{
		fprintf(stderr, "%s|%s|%s\n", err->message, err->detail, err->hint);
		exit(1);
	}
}

static char *
read_text(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text;
	long size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		exit(2);
	rewind(file);
	text = allocate((size_t) size + 1, 1);
	if (fread(text, 1, (size_t) size, file) != (size_t) size)
		exit(2);
	fclose(file);
	return text;
}

/* Weights large enough for the numbers to differ from label to label. */
static void
write_model(const char *vocab_path, const char *path, bool classifier)
{
	static const mb_tag tags[] = {{"horror", 0.5f, 3}, {"film d'\xc3\xa9t\xc3\xa9", NAN, -1}, {"love", 0.25f, 1}};
	char *vocab = read_text(vocab_path);
	mb_model_parts parts = {
		.config = {0, 32, 2, 4, 64, MAX_LENGTH, 2, 1e-12f, MB_GELU},
		.vocab = vocab,
		.tokenizer = mb_tokenizer_options_default(),
		.pipeline = {MB_POOL_MEAN, true, MAX_LENGTH, MB_LONG_TRUNCATE, 95, MB_NO_HEAD, 0},
		.kind = "classifier",
		.tags = tags,
	};
	net_options options;
	mb_tensor *tensors;
	net n;
	real *parameters;
	mb_error err;

	for (const char *c = vocab; *c != '\0'; c++)
		parts.config.vocab_size += *c == '\n';
	if (classifier)
		parts.pipeline = (mb_pipeline){MB_POOL_POOLER, false, MAX_LENGTH, MB_LONG_TRUNCATE, 95, MB_MULTI_LABEL, 3};
	options = (net_options){parts.config, !classifier, classifier, parts.pipeline.num_labels};
	must(net_create(&n, &options, &err), &err);
	parameters = allocate(n.n_parameters, sizeof(real));
	net_init(&n, parameters, 1, -1);
	tensors = allocate(n.n_tensors, sizeof(*tensors));
	for (size_t i = 0; i < n.n_tensors; i++)
	{
		const net_tensor *from = &n.tensors[i];

		if (from->n_dims == 2)
			for (size_t j = 0; j < from->size; j++)
				parameters[from->offset + j] *= 5;
		tensors[i] = (mb_tensor){from->name,
								 MB_F32,
								 from->n_dims,
								 {from->shape[0], from->n_dims == 2 ? from->shape[1] : 0},
								 parameters + from->offset,
								 from->size * sizeof(real)};
	}
	parts.tensors = tensors;
	parts.n_tensors = n.n_tensors;
	must(mb_model_write(&parts, path, &err), &err);
	free(tensors);
	free(parameters);
	net_release(&n);
	free(vocab);
}

static void
print_losses(const char *path)
{
	mb_model *model;
	net_options options = {.mlm_head = true};
	net_activations *activations;
	net n;
	real *parameters;
	size_t loaded;
	int32_t length, ids[MAX_LENGTH], labels[MAX_LENGTH], places[MAX_LENGTH];
	mb_error err;

	must(mb_model_open_file(&model, path, &err), &err);
	options.config = model->config;
	must(net_create(&n, &options, &err), &err);
	parameters = allocate(n.n_parameters, sizeof(real));
	must(net_load(&n, parameters, model, &loaded, &err), &err);
	if (loaded != n.n_parameters)
		exit(2);
	activations = net_activations_create(&n, MAX_LENGTH, MAX_LENGTH);
	for (int32_t i = 0; i < MAX_LENGTH; i++)
		places[i] = i;
	while (fread(&length, sizeof(length), 1, stdin) == 1)
	{
		net_batch batch = {ids, &length, 1, (size_t) length};
		net_pass pass = {.freeze = -1};
		net_loss loss = {0};

		if (length > MAX_LENGTH || fread(ids, sizeof(*ids), batch.N, stdin) != batch.N ||
			fread(labels, sizeof(*labels), batch.N, stdin) != batch.N)
			exit(2);
		net_forward(&n, parameters, activations, &batch, &pass);
		net_mlm_loss(&n, parameters, NULL, activations, &batch, places, labels, batch.N, 1, &loss);
		fwrite(&loss.sum, sizeof(loss.sum), 1, stdout);
	}
	net_activations_destroy(activations);
	free(parameters);
	net_release(&n);
	mb_model_close(model);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "masked-lm") == 0)
		write_model(argv[2], argv[3], false);
	else if (argc == 4 && strcmp(argv[1], "classifier") == 0)
		write_model(argv[2], argv[3], true);
	else if (argc == 3 && strcmp(argv[1], "losses") == 0)
		print_losses(argv[2]);
	else
		return 2;
	return 0;
}
